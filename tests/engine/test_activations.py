from __future__ import annotations

import numpy as np
import pytest

from replication.circuits.components import ModelShape
from replication.engine.activations import MeanActivations, joined
from tests.make import means

SHAPE = ModelShape(n_layers=2, n_heads=3, d_model=5, d_head=4)


def test_components_stand_in_the_order_of_the_shape_in_doubles() -> None:
    found = means(SHAPE)
    parts = list(found.by_component("raw"))
    assert len(parts) == len(SHAPE.components())
    for component, part in zip(SHAPE.components(), parts, strict=True):
        if component.kind == "mlp":
            expected = found.mlp_out[:, :, component.layer]
        else:
            expected = found.z[:, :, component.layer, component.head]
        assert part.dtype == np.float64
        assert np.array_equal(part, expected)


def test_only_mlps_are_centred_each_prompt_for_itself() -> None:
    found = means(SHAPE)
    raw, centred = (list(found.by_component(how)) for how in ("raw", "centred"))
    for layer in range(2):
        assert centred[layer].sum(axis=-1) == pytest.approx(0, abs=1e-12)
        moved = raw[layer] - centred[layer]
        assert moved == pytest.approx(np.repeat(moved[:, :, :1], 5, axis=2))
    assert all(map(np.array_equal, raw[2:], centred[2:]))


def test_chunks_stand_one_behind_the_other() -> None:
    chunks = [means(SHAPE, n_pairs, seed) for seed, n_pairs in enumerate((2, 1, 3))]
    whole = joined([MeanActivations(c.mlp_out, c.z, c.token_lengths, c) for c in chunks])
    assert whole.inner is None
    for start, stop, chunk in ((0, 2, chunks[0]), (2, 3, chunks[1]), (3, 6, chunks[2])):
        assert np.array_equal(whole.mlp_out[start:stop], chunk.mlp_out)
        assert np.array_equal(whole.z[start:stop], chunk.z)
        assert np.array_equal(whole.token_lengths[start:stop], chunk.token_lengths)
