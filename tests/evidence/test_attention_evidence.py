"""Attention weights as evidence: a table for each that is asked for, and a head's highest score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from replication.circuits.components import INPUT, ModelShape, head, mlp
from replication.circuits.intervals import exact
from replication.controls.not_computed import NotComputed
from replication.controls.stability import Stability
from replication.controls.verify import measured_controls, verify
from replication.engine.attention import Attention
from replication.engine.recording import Recording
from replication.engine.tokens import SeenTokens
from replication.evidence.evidence import Evidence, Measured, measure
from replication.experiment.pairs import Pair
from replication.experiment.spec import Spec
from replication.report.controls_text import controls_markdown
from replication.report.handover import controls_records, measured_files
from tests.make import make_spec, provenance_of

pytestmark = pytest.mark.numeric

SHAPE = ModelShape(n_layers=2, n_heads=3, d_model=12, d_head=4)
N_PAIRS = 12
SCORING = {
    "kind": "attention",
    "positions": {
        "S": {"word": "s", "occurrence": 1},
        "IO": {"word": "io", "occurrence": 1},
        "END": {"last": True},
    },
    "tables": {"inhibits": {"from": "END", "to": "S"}, "moves": {"from": "END", "to": "IO"}},
}
N_A = "does not apply: attention weights"


def spec(**changes: Any) -> Spec:
    steps = [{"take": "input"}, {"rest": "head", "by": ["inhibits", "moves"]}]
    selection = {"budget": 12 + 2 * 4, "steps": steps, "input_counts": True}
    verification = {"resamples": 200}
    return make_spec(
        SHAPE,
        **{
            "scoring": SCORING,
            "selection": selection,
            "verification": verification,
            "pairs": {"file": "pairs.jsonl", "columns": ("one", "other")},
            **changes,
        },
    )


def weights() -> np.ndarray:
    """Shares with little noise: a0.h1 inhibits most, a1.h2 moves most, of both most by far."""
    found = np.full((2, N_PAIRS, 2, 3), 0.1)
    found[0, :, 0, 1] = 0.6
    found[1, :, 1, 2] = 0.8
    found[0, :, 1, 2] = 0.3
    noise = np.random.default_rng(0).random(found.shape) * 0.02
    return (found + noise).astype(np.float32)


def run(values: np.ndarray) -> Recording:
    lengths = np.tile([9, 8], (N_PAIRS, 1))
    kept = Attention(values, np.tile([2, 4, 8], (N_PAIRS, 1)), lengths)
    seen = SeenTokens(first_pair=(["a"] * 9, ["b"] * 8), added=(0, 0), ids_sha256="2" * 64)
    return Recording(kept, provenance_of(SHAPE), seen)


def measured(second: np.ndarray | None = None) -> Measured:
    pairs = [Pair(str(2 * number), str(2 * number + 1)) for number in range(N_PAIRS)]
    again = None if second is None else run(second)
    return measure(spec(), run(weights()), pairs, np.arange(N_PAIRS), {}, again)


def evidence() -> Evidence:
    return Evidence("recorded", spec(), SHAPE, {"mine": measured()})


def test_each_table_has_every_heads_mean_exactly() -> None:
    found = measured()
    assert list(found.tables) == ["inhibits", "moves"]
    for table, values in zip(found.tables.values(), weights(), strict=True):
        assert set(table.scores) == {head(layer, one) for layer in range(2) for one in range(3)}
        for component, score in table.scores.items():
            own = values[:, component.layer, component.head]
            assert score == exact(float(own.astype(np.float64).sum() / N_PAIRS))
            assert table.by_pair[3][component] == exact(float(own[2]))


def test_a_head_counts_with_its_highest_score_over_the_tables() -> None:
    found = measured()
    for component, score in found.scores.scores.items():
        both = [table.scores[component] for table in found.tables.values()]
        assert score == max(both, key=lambda one: one.middle)
    assert found.scores.by_pair[1][head(1, 2)] == found.tables["moves"].by_pair[1][head(1, 2)]
    assert found.circuit.nodes == (INPUT, head(1, 2), head(0, 1))
    places = [SHAPE.components().index(one) for one in found.scores.scores]
    means = [float(score.middle) for score in found.scores.scores.values()]
    assert np.array_equal(found.means[places], means)
    assert np.allclose(found.pair_scores[:, places].mean(axis=0), means)
    assert np.isnan(found.means[: SHAPE.n_layers]).all()


def test_a_second_run_that_gives_the_same_reproduces_it() -> None:
    assert measured().reproduced is None
    assert measured(weights()).reproduced
    other = weights()
    other[1, 0, 1, 2] += np.float32(1e-6)
    assert measured(other).reproduced is False


def test_what_is_of_activations_says_that_it_does_not_apply() -> None:
    found = measured_controls(spec(), measured())
    for control in (
        found.null,
        found.null_circuit,
        found.property,
        found.length,
        found.random_weights,
    ):
        assert isinstance(control, NotComputed)
    assert {
        one.reason
        for one in (found.null, found.null_circuit, found.property, found.length)
        if isinstance(one, NotComputed)
    } == {N_A}
    assert set(found.words) == set(measured().scores.scores)
    assert {one.word for one in found.words.values()} == {"not shown"}


def test_stability_is_of_the_pairs_scores_in_each_table() -> None:
    found = measured_controls(spec(), measured())
    assert isinstance(found.stability, Stability)
    assert found.stability.without_selection == 0
    components = SHAPE.components()
    probability = dict(zip(components, found.stability.probability, strict=True))
    assert probability[head(1, 2)] == probability[head(0, 1)] == 1
    assert probability[mlp(0)] == probability[head(0, 0)] == 0
    low, high = found.stability.interval[:, components.index(head(1, 2))]
    assert 0.8 < low < high < 0.82
    assert np.isnan(found.stability.interval[:, 0]).all()
    assert not isinstance(found.halves, NotComputed)
    assert found.halves.overlap is not None
    assert found.halves.overlap.mean == 1
    assert 0.9 < found.halves.top.mean < 1.1


def test_reports_leave_mlps_out_and_say_what_does_not_apply() -> None:
    (found,) = controls_records(verify(evidence()), evidence())
    assert [one.kind for one in found.components] == ["head"] * 6
    assert [one.component for one in found.components[:2]] == ["a1.h2", "a0.h1"]
    assert set(found.not_computed) == {
        "null",
        "length",
        "null circuit",
        "property",
        "random weights",
    }
    assert f"- **Length**: {N_A}." in controls_markdown([found])


def test_each_table_has_a_file_beside_the_highest_scores() -> None:
    files = measured_files(evidence())
    assert list(files) == [
        "scores.json",
        "scores_inhibits.json",
        "scores_moves.json",
        "circuit.json",
    ]
    made = files["scores_moves.json"]["metadata"]
    assert made["table"] == "moves"
    assert made["provenance"]["tables"]["moves"] == {"from": "END", "to": "IO"}
    assert made["provenance"]["positions"]["END"] == {"last": True}
    best = {name: next(iter(one["components"])) for name, one in files.items() if "scores" in name}
    assert best == {
        "scores.json": "a1.h2",
        "scores_inhibits.json": "a0.h1",
        "scores_moves.json": "a1.h2",
    }
    assert files["circuit.json"]["metadata"]["method"] == "mean_attention_weight"
