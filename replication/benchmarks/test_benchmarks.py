"""The benchmarks that `pytest replication/` runs: scoring and selection, activations given.

The shape is GPT-2 small's, with five pairs. The loop over pairs and components, as a notebook
writes it, is an entry of its own, so that the table shows the ratio.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from replication.circuits.components import ModelShape, WriteCosts
from replication.circuits.scores import table_of
from replication.circuits.selection import Rule, select
from replication.circuits.steps import by_threshold
from replication.engine.activations import MeanActivations
from replication.engine.scores.differential import mean_scores, pair_scores

SHAPE = ModelShape(n_layers=12, n_heads=12, d_model=768, d_head=64)
PAIRS = 5


@pytest.fixture(scope="module")
def activations() -> MeanActivations:
    """Random mean activations, seeded."""
    random = np.random.default_rng(0)
    layers, heads = SHAPE.n_layers, SHAPE.n_heads
    return MeanActivations(
        random.standard_normal((PAIRS, 2, layers, SHAPE.d_model), dtype=np.float32),
        random.standard_normal((PAIRS, 2, layers, heads, SHAPE.d_head), dtype=np.float32),
        np.full((PAIRS, 2), 10),
    )


def _as_a_notebook_scores(activations: MeanActivations) -> list[float]:
    scores = []
    for component in SHAPE.components():
        norms = []
        for pair in range(PAIRS):
            if component.kind == "mlp":
                first, second = activations.mlp_out[pair, :, component.layer]
            else:
                first, second = activations.z[pair, :, component.layer, component.head]
            norms.append(float(np.linalg.norm(first - second)))
        scores.append(sum(norms) / len(norms))
    return scores


@pytest.mark.benchmark(group="scoring, five pairs")
def test_scoring(benchmark: Any, activations: MeanActivations) -> None:
    """All components at once."""
    scores = benchmark(pair_scores, activations, "raw")
    # Norms of up to 768 differences in float32, whose step is 6e-8, in another order.
    np.testing.assert_allclose(scores.mean(axis=0), _as_a_notebook_scores(activations), rtol=1e-5)


@pytest.mark.benchmark(group="scoring, five pairs")
def test_scoring_as_a_notebook_does(benchmark: Any, activations: MeanActivations) -> None:
    """A Python loop over components and pairs."""
    assert len(benchmark(_as_a_notebook_scores, activations)) == len(SHAPE.components())


@pytest.mark.benchmark(group="selection")
def test_selection(benchmark: Any, activations: MeanActivations) -> None:
    """A circuit from 156 scores."""
    table = table_of(mean_scores([pair_scores(activations, "raw")]), SHAPE)
    nodes = benchmark(
        select,
        table.middles(),
        Rule(WriteCosts(SHAPE.d_model, SHAPE.d_head), 11200, by_threshold(7.0)),
    )
    assert len(nodes) == 1 + SHAPE.n_layers + (11200 - 13 * SHAPE.d_model) // SHAPE.d_head
