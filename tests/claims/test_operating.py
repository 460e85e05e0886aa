"""Operating points: a circuit whose every selection is known by hand.

The input and m0 cost 16 dimensions, a head 2, and m1, which scores 7, another 8. With a budget of
20 and a threshold of 8 the points are budgets of 16, 18, 20, 22 and 24 and thresholds of 6.4, 7.2,
8, 8.8 and 9.6. At 6.4 m1 is in as well, which only a budget of 24 holds, without a head; at the
others m0 is alone, with 0 to 4 heads.
"""

from __future__ import annotations

from dataclasses import replace
from time import process_time
from typing import Any

import pytest

from replication.claims.claim import read_claims
from replication.claims.operating import Operating, Turn, operating_points
from replication.controls.verify import Controls, verify
from replication.evidence.evidence import Evidence, published_evidence, recorded_evidence
from replication.experiment.spec import SelectionSpec, read_experiment
from tests.claims.build import claim_of, measured, published, rule, table
from tests.paths import FIXTURES

SCORES = {
    "m0": 10, "m1": 7, "a0.h0": 8, "a0.h1": 6, "a0.h2": 5, "a1.h0": 4, "a1.h1": 3, "a1.h2": 2,
}  # fmt: skip
NOTHING = (
    "a budget of 20 does not hold the 2 MLPs at or above the threshold of 6.4,"
    " which cost 24 with the input"
)


def evidence(budget: int = 20, threshold: float = 8.0) -> Evidence:
    found = measured(table(SCORES), paper_nodes="input m0 a0.h0")
    return replace(found, spec=rule(budget, threshold))


def operating(*checks: dict[str, Any], on: Evidence | None = None) -> list[Operating]:
    return operating_points([claim_of(*checks)], on or evidence(), Controls([]))


def membership(**stated: Any) -> dict[str, Any]:
    return {"kind": "membership", "circuit": "rerun", **stated}


SHAPE = {"kind": "shape", "n_layers": 2, "n_heads": 3, "d_model": 8, "d_head": 2}


@pytest.mark.parametrize(
    ("check", "kept", "unselected"),
    [
        # The second head is in from a budget of 20 on, at four thresholds.
        (membership(includes=["a0.h1"]), 12, 4),
        (membership(excludes=["m1"]), 20, 4),
        # Refuted, and so it stays wherever anything is selected.
        (membership(includes=["a1.h2"]), 21, 4),
        ({"kind": "count", "circuit": "rerun", "head": 2}, 4, 4),
        ({"kind": "cost", "circuit": "rerun", "budget": 20}, 4, 4),
        ({"kind": "cost", "circuit": "rerun", "before_heads": 16}, 20, 4),
        ({"kind": "selection", "circuit": "rerun", "budget": 20, "mlp_threshold": "8"}, 1, 4),
        # m1 is outside, below 8; once it is inside, no MLP is left to be held to the bound.
        ({"kind": "bound", "result": "rerun", "among": "mlp", "outside": "rerun", "below": "8"},
         20, 4),
        # The paper's circuit holds m0 and a0.h0: both are in from a budget of 18 on.
        ({"kind": "overlap", "circuit": "rerun", "reference": "paper", "among": "head",
          "shared": 1}, 16, 4),
        ({"kind": "order", "circuit": "rerun", "among": "head", "first": ["a0.h0", "a0.h1"]},
         12, 4),
    ],
    ids=lambda one: one.get("kind") if isinstance(one, dict) else None,
)  # fmt: skip
def test_a_claim_keeps_its_verdict_at_so_many_points(
    check: dict[str, Any], kept: int, unselected: int
) -> None:
    (found,) = operating(check)
    assert (found.kept, found.points, found.unselected) == (kept, 25, unselected)


def test_the_nearest_point_is_named_with_what_is_found_there() -> None:
    (found,) = operating(membership(includes=["a0.h1"]))
    assert found.verdict == "holds"
    assert found.turn == Turn(18, 8.0, "refuted", "a0.h1 is not in what the run selects for rerun")


def test_where_nothing_can_be_selected_the_reason_is_given() -> None:
    (found,) = operating(membership(excludes=["m1"]))
    assert found.turn == Turn(20, 6.4, None, NOTHING)


def test_the_rule_alone_is_looked_at_where_the_circuit_is_published() -> None:
    """Its budget is another at 20 of the points, whatever can be selected there."""
    (found,) = operating({"kind": "cost", "circuit": "paper", "budget": 20}, SHAPE)
    assert (found.kept, found.unselected) == (5, 0)
    assert found.turn is not None
    assert (found.turn.budget, found.turn.mlp_threshold) == (18, 8.0)


def test_a_part_that_looks_at_no_rule_goes_along() -> None:
    """It is refuted everywhere, and so is the claim: m1 does not score below 5."""
    bound = {"kind": "bound", "result": "rerun", "components": ["m1"], "below": "5"}
    (found,) = operating(bound, {"kind": "cost", "circuit": "paper", "budget": 20}, SHAPE)
    assert (found.verdict, found.kept, found.turn) == ("refuted", 25, None)


@pytest.mark.parametrize(
    "check",
    [
        SHAPE,
        {"kind": "count", "mlp": 2},
        {"kind": "ranking", "result": "rerun", "among": "mlp", "ranks": {"m0": 1}},
        {"kind": "bound", "result": "rerun", "among": "mlp", "outside": "paper", "below": "8"},
        {"kind": "control", "component": "m0"},
    ],
    ids=lambda one: one["kind"],
)
def test_what_looks_at_neither_is_left_out(check: dict[str, Any]) -> None:
    assert operating(check) == []


def test_a_choice_that_matters_nowhere_turns_nothing() -> None:
    (found,) = operating(membership(includes=["a1.h2", "m1"]), on=evidence(60, 2.0))
    assert (found.kept, found.turn) == (25, None)


def test_a_budget_is_of_whole_dimensions() -> None:
    """Nine tenths of 23 are 20.7: 21, which hold two heads, where 23 hold three."""
    check = {"kind": "count", "circuit": "rerun", "head": 3}
    (found,) = operating(check, on=evidence(23))
    assert found.turn is not None
    assert (found.turn.budget, found.turn.mlp_threshold) == (21, 8.0)


def test_of_a_rule_by_steps_the_budget_alone_is_moved() -> None:
    """With m0 and the input taken there is room for 0 to 4 heads, at five budgets."""
    steps = ({"take": "input"}, {"best": 1, "of": "mlp"}, {"rest": "head"})
    stated = SelectionSpec(budget=20, steps=steps, input_counts=True)
    found = evidence()
    spec = found.spec.model_copy(update={"selection": stated})
    (one,) = operating(membership(includes=["a0.h1"]), on=replace(found, spec=spec))
    assert (one.verdict, one.kept, one.points, one.unselected) == ("holds", 3, 5, 0)
    reason = "a0.h1 is not in what the run selects for rerun"
    assert one.turn == Turn(18, None, "refuted", reason)


def test_published_evidence_selects_nothing() -> None:
    claim = claim_of(membership(includes=["a0.h1"]))
    on = published(rerun=table(SCORES), rerun_nodes="input m0")
    assert operating_points([claim], on, Controls([])) == []


@pytest.mark.parametrize("name", ["sarcasm-minilm", "sarcasm-matched"])
def test_a_real_experiment_takes_little_time(name: str) -> None:
    experiment = read_experiment(FIXTURES / name)
    found = recorded_evidence(experiment, published_evidence(experiment))
    claims, controls = read_claims(experiment), verify(found)
    start = process_time()
    operated = operating_points(claims, found, controls)
    assert process_time() - start < 1  # 0.02 and 0.06 seconds of the processor
    assert operated
    assert all(one.points == 25 and 1 <= one.kept <= 25 for one in operated)
    assert all((one.turn is None) == (one.kept == 25) for one in operated)
