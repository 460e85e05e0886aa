"""Scoring at 10,000 pairs, beside the speed at which memory can be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.conftest import GPT2_SMALL
from replication.engine.activations import MeanActivations
from replication.engine.scores.differential import pair_scores
from tests.closeness import assert_close

PAIRS = 10_000
GROUP = f"scoring, {PAIRS} pairs"


@pytest.fixture(scope="module")
def activations() -> MeanActivations:
    """Mean activations of GPT-2 small's shape, 1.5 GB of them, the same few in turn."""
    random = np.random.default_rng(0)
    layers, heads = GPT2_SMALL.n_layers, GPT2_SMALL.n_heads
    mlp_out = random.standard_normal((50, 2, layers, GPT2_SMALL.d_model), dtype=np.float32)
    z = random.standard_normal((50, 2, layers, heads, GPT2_SMALL.d_head), dtype=np.float32)
    return MeanActivations(
        np.tile(mlp_out, (PAIRS // 50, 1, 1, 1)),
        np.tile(z, (PAIRS // 50, 1, 1, 1, 1)),
        np.full((PAIRS, 2), 10),
    )


@pytest.mark.benchmark(group=GROUP)
def test_scoring_large(benchmark: Any, activations: MeanActivations) -> None:
    """All components on all pairs."""
    scores = benchmark.pedantic(pair_scores, (activations, "raw"), rounds=7, warmup_rounds=1)
    assert scores.shape == (PAIRS, 156)


@pytest.mark.benchmark(group=GROUP)
def test_reading_memory(benchmark: Any, activations: MeanActivations) -> None:
    """A sum over the same arrays by torch, with all its threads."""
    arrays = [torch.from_numpy(array) for array in (activations.mlp_out, activations.z)]
    benchmark.pedantic(lambda: [array.sum() for array in arrays], rounds=7, warmup_rounds=1)


@pytest.mark.benchmark(group="scoring, the notebook's loop")
def test_scoring_loop_of_a_notebook(benchmark: Any, activations: MeanActivations) -> None:
    """Five pairs: a mean over ten positions, a difference and a norm, one head at a time."""
    components = GPT2_SMALL.components()
    five = [torch.from_numpy(array[:5]) for array in (activations.mlp_out, activations.z)]
    mlp_out, z = (array[:, :, None].repeat_interleave(10, 2) for array in five)

    def loop() -> list[float]:
        scores = []
        for component in components:
            norms = []
            for pair in range(5):
                if component.kind == "mlp":
                    first, second = mlp_out[pair, :, :, component.layer]
                else:
                    first, second = z[pair, :, :, component.layer, component.head]
                norms.append(torch.norm(first.mean(0) - second.mean(0)).item())
            scores.append(sum(norms) / len(norms))
        return scores

    few = MeanActivations(*(array.numpy() for array in five), activations.token_lengths[:5])
    expected = pair_scores(few, "raw").mean(0)
    assert_close(benchmark(loop), expected)
