"""Matched circuits: of the make-up of another, all of them as likely, the same from a seed."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from replication.circuits.components import INPUT, ModelShape, parse
from replication.circuits.matched import Mask, mask_of, matched, members_of

SHAPE = ModelShape(n_layers=4, n_heads=3, d_model=6, d_head=2)
N_ALL = 1 + len(SHAPE.components())
SHAPES = st.builds(
    lambda n_layers, n_heads: ModelShape(
        n_layers=n_layers, n_heads=n_heads, d_model=2 * n_heads, d_head=2
    ),
    st.integers(1, 5),
    st.integers(1, 4),
)


def drawn(circuit: Mask, number: int, *, by_layer: bool = False, seed: int = 0) -> list[Mask]:
    rng = np.random.default_rng(seed)
    return list(islice(matched(circuit, SHAPE, rng, by_layer=by_layer), number))


def make_up(mask: Mask, shape: ModelShape, *, by_layer: bool) -> dict[tuple[str, int], int]:
    """How many there are of each kind, or of each kind in each layer."""
    counts: dict[tuple[str, int], int] = {}
    for one in members_of(mask, shape):
        key = (one.kind, one.layer if by_layer else 0)
        counts[key] = counts.get(key, 0) + 1
    return counts


def test_a_mask_is_of_the_input_and_then_of_the_models_components_in_order() -> None:
    some = [parse("a1.h2"), INPUT, parse("m3")]
    mask = mask_of(some, SHAPE)
    assert np.flatnonzero(mask).tolist() == [0, 4, 1 + 4 + 3 + 2]
    assert members_of(mask, SHAPE) == [INPUT, parse("m3"), parse("a1.h2")]
    assert members_of(mask_of([], SHAPE), SHAPE) == []
    assert members_of(np.ones(N_ALL, dtype=bool), SHAPE) == [INPUT, *SHAPE.components()]


@given(SHAPES, st.data())
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("by_layer", [False, True])
def test_the_make_up_is_kept_and_the_input_is_as_it_is(
    by_layer: bool, shape: ModelShape, data: st.DataObject
) -> None:
    n_all = 1 + len(shape.components())
    bits = data.draw(st.lists(st.booleans(), min_size=n_all, max_size=n_all))
    circuit, rng = np.array(bits), np.random.default_rng(data.draw(st.integers(0, 99)))
    for other in islice(matched(circuit, shape, rng, by_layer=by_layer), 5):
        assert other.dtype == bool
        assert other[0] == circuit[0]
        assert make_up(other, shape, by_layer=by_layer) == make_up(
            circuit, shape, by_layer=by_layer
        )


def test_by_layer_keeps_more_than_the_make_up_alone() -> None:
    circuit = mask_of(map(parse, ["input", "m0", "a0.h0", "a0.h1", "a2.h2"]), SHAPE)
    own = make_up(circuit, SHAPE, by_layer=True)
    anywhere = drawn(circuit, 20)
    assert any(make_up(one, SHAPE, by_layer=True) != own for one in anywhere)
    assert len({tuple(members_of(one, SHAPE)) for one in anywhere}) > 10


@pytest.mark.parametrize("by_layer", [False, True])
def test_a_seed_gives_the_same_circuits_and_another_one_others(by_layer: bool) -> None:
    circuit = mask_of(map(parse, ["input", "m1", "a0.h0", "a2.h2"]), SHAPE)
    first, again, other = (drawn(circuit, 9, by_layer=by_layer, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_component_of_a_kind_is_as_likely() -> None:
    circuit = mask_of(map(parse, ["input", "m0", "m1", "a0.h0", "a0.h1", "a3.h2"]), SHAPE)
    counts = np.sum(drawn(circuit, 3000), axis=0)
    assert counts[0] == 3000
    for first, last, number in ((1, 5, 2), (5, N_ALL, 3)):
        assert counts[first:last].sum() == number * 3000
        assert chisquare(counts[first:last]).pvalue > 1e-3


def test_every_component_of_a_layer_is_as_likely() -> None:
    circuit = mask_of(map(parse, ["m2", "a0.h0", "a3.h1", "a3.h2"]), SHAPE)
    counts = np.sum(drawn(circuit, 3000, by_layer=True), axis=0)
    assert counts[:5].tolist() == [0, 0, 0, 3000, 0]
    by_head = counts[5:].reshape(4, 3)
    assert by_head[1:3].sum() == 0
    assert by_head.sum(axis=1).tolist() == [3000, 0, 0, 6000]
    assert chisquare(by_head[0]).pvalue > 1e-3
    assert chisquare(by_head[3]).pvalue > 1e-3
