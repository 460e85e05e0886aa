"""The check of a selection by steps over several tables."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.circuits.components import names
from replication.circuits.scores import ScoreTable
from replication.circuits.selection import select
from replication.claims.check import Outcome
from replication.claims.keys import Known
from replication.claims.selection_check import Selection
from replication.evidence.evidence import Evidence, Result
from replication.experiment.spec import Spec
from replication.inputs.files import InputError
from tests.claims.build import COMPONENTS, SHAPE, Figures, judge, table
from tests.claims.test_truth import true_and_published
from tests.make import circuit, make_spec

# With 20 dimensions and both MLPs, which cost 16, there is room for two heads.
STEPS = (
    {"best": 1, "of": "head", "by": "moving"},
    {"all": "mlp"},
    {"rest": "head", "by": ["moving", "copying"]},
)
MOVING = {"a0.h0": "0.90", "a0.h1": "0.50", "a0.h2": "0.20"}
COPYING = {"a1.h0": "0.60", "a1.h1": "0.40", "a1.h2": "0.10"}
NODES = "a0.h0 m0 m1 a1.h0"


def spec_of(steps: Any = STEPS, budget: int = 20) -> Spec:
    return make_spec(
        SHAPE,
        scoring={"kind": "attention"},
        selection={"budget": budget, "steps": list(steps), "input_counts": False},
        results={"paper": {"about": "a", "tables": {"moving": "a.json", "copying": "b.json"}}},
    )


def evidence_of(
    moving: ScoreTable, copying: ScoreTable, nodes: str, spec: Spec, **metadata: Any
) -> Evidence:
    tables = {"moving": moving, "copying": copying}
    paper = Result(circuit=circuit(nodes, **metadata), tables=tables)
    return Evidence("published", spec, SHAPE, {"paper": paper})


def found_on(evidence: Evidence, budget: int = 20) -> Outcome:
    stated = {"kind": "selection", "circuit": "paper", "budget": budget}
    claim = Selection.model_validate(stated, context=Known.of(evidence.spec, None))
    return judge(claim, evidence)


def found(
    moving: Figures = MOVING,
    copying: Figures = COPYING,
    nodes: str = NODES,
    budget: int = 20,
    listed: int = 3,
    steps: Any = STEPS,
    **metadata: Any,
) -> Outcome:
    """What the check finds; both tables list so many of the best."""
    tables = (table(one, head=listed) for one in (moving, copying))
    return found_on(evidence_of(*tables, nodes, spec_of(steps, budget), **metadata), budget)


def test_printed_scores_settle_what_each_step_takes() -> None:
    outcome = found()
    assert outcome.verdict == "holds"
    assert outcome.reason == (
        "the experiment's budget: 20; heads as the best in moving: 1; the rule selects these 1"
        " heads as the best in moving; heads: 1; the rule selects these 1 heads by their rank in"
        " moving, copying"
    )
    assert outcome.measured == NODES.split()


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ("a0.h0 m0 m1 a0.h1", "the rule does not select these 1 heads by their rank"),
        ("a0.h1 m0 m1 a1.h0", "the rule takes a0.h0, which the circuit lacks"),
        ("a0.h0 m0 a1.h0 a0.h1", "the rule takes m1, which the circuit lacks"),
        ("a0.h0 m0 m1", "heads: 0, stated 1"),
        ("input a0.h0 m0 m1 a1.h0", "the rule does not take input"),
        ("a0.h0 m0 m1 a1.h0 a0.h1", "the nodes cost 22, beyond the budget of 20"),
        ("m0 m1 a0.h0 a1.h0", "the nodes do not stand in the order of the rule's steps"),
        ("a0.h0 m1 m0 a1.h0", "m1, m0 stand in another order than the rule's"),
    ],
)
def test_what_contradicts_the_steps_refutes_them(nodes: str, reason: str) -> None:
    outcome = found(nodes=nodes)
    assert outcome.verdict == "refuted"
    assert reason in outcome.reason


def test_a_circuit_in_no_order_is_not_held_to_one() -> None:
    assert found(nodes="m1 m0 a1.h0 a0.h0", ordered=False).verdict == "holds"
    assert found(nodes="m1 m0 a1.h1 a0.h0", ordered=False).verdict == "refuted"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        # Either may be the best by moving, and what follows hangs on it.
        ({"moving": MOVING | {"a0.h1": "0.9"}}, "whether a0.h1 is in"),
        ({"copying": COPYING | {"a1.h0": "0.50"}}, "whether a0.h1 is in"),
        # One that copying does not list may score as much as the last of those that it does.
        (
            {"copying": {"a1.h0": "0.60"}, "moving": {"a0.h0": "0.90"}, "listed": 1,
             "nodes": "a0.h0 m0 m1 a1.h0 a1.h1", "budget": 22},
            "one that is not listed in moving, copying scores at most 0.905, and a1.h0, which is"
            " in, 0.6",
        ),
    ],
)  # fmt: skip
def test_what_the_digits_leave_open_is_undecided(changed: dict[str, Any], reason: str) -> None:
    outcome = found(**changed)
    assert outcome.verdict == "undecided"
    assert reason in outcome.reason
    assert outcome.reason.endswith("only further figures of the result 'paper' would decide it")


def test_what_is_listed_is_not_told_of_as_if_it_were_not() -> None:
    found_at = found(moving=MOVING | {"a0.h1": "0.9"}).reason
    assert "whether a0.h1 is in; only further figures" in found_at


def test_an_unsettled_step_decides_nothing_of_those_behind_it() -> None:
    """Where a0.h1 may be the best by moving, a0.h0 comes second, and a1.h0 does not."""
    tied = MOVING | {"a0.h1": "0.9"}
    assert found(moving=tied, nodes="a0.h1 m0 m1 a0.h0").verdict == "undecided"
    assert found(moving=tied, nodes="a0.h1 a0.h0 m0").verdict == "refuted"


HEADS = "a0.h0 a0.h1 a0.h2 a1.h0 a1.h1 a1.h2"
REST_FIRST = [{"rest": "head", "by": ["moving"]}, {"all": "head"}]


@pytest.mark.parametrize(
    ("nodes", "budget", "steps", "verdict"),
    [
        # Six heads cost 12: with room for more, all are taken, whatever is listed of them.
        (HEADS, 12, REST_FIRST, "holds"),
        (HEADS, 20, REST_FIRST, "holds"),
        (HEADS, 20, REST_FIRST[:1], "holds"),
        ("a0.h0 a0.h1 a0.h2", 20, REST_FIRST, "refuted"),
        # With room for four, one that is not listed is among them, and any may be.
        ("a0.h0 a0.h1 a0.h2 a1.h0", 8, [REST_FIRST[0], {"fixed": ["a0.h0"]}], "undecided"),
        ("a0.h0 a0.h1 a0.h2", 6, [REST_FIRST[0], {"fixed": ["a0.h0"]}], "holds"),
    ],
)
def test_a_rest_takes_what_the_budget_holds_of_what_is_not_listed_too(
    nodes: str, budget: int, steps: Any, verdict: str
) -> None:
    assert found(nodes=nodes, budget=budget, steps=steps).verdict == verdict


def test_without_a_table_nothing_is_settled() -> None:
    evidence = evidence_of(table(MOVING), table(COPYING), NODES, spec_of())
    lacking = replace(evidence.results["paper"], tables={"moving": table(MOVING)})
    outcome = found_on(replace(evidence, results={"paper": lacking}))
    assert outcome.verdict == "undecided"
    assert outcome.reason.startswith("there are no published scores of paper by copying; ")


def test_fixed_steps_need_no_scores() -> None:
    spec = spec_of([{"fixed": ["m0", "a0.h0"]}])
    paper = Result(circuit=circuit("m0 a0.h0"))
    evidence = Evidence("published", spec, SHAPE, {"paper": paper})
    assert found_on(evidence).verdict == "holds"
    other = replace(evidence, results={"paper": Result(circuit=circuit("m0 a0.h1"))})
    assert found_on(other).verdict == "refuted"


@pytest.mark.parametrize(
    ("steps", "stated", "reason"),
    [
        (STEPS, {"mlp_threshold": "1"}, "mlp_threshold: the experiment selects by steps"),
        (None, {}, "mlp_threshold: missing"),
    ],
)
def test_a_claim_states_a_threshold_where_the_rule_has_one(
    steps: Any, stated: dict[str, str], reason: str
) -> None:
    spec = spec_of(steps) if steps else make_spec(SHAPE, results={"paper": {"about": "a"}})
    claim = {"kind": "selection", "circuit": "paper", "budget": 20, **stated}
    with pytest.raises(ValueError, match=reason):
        Selection.model_validate(claim, context=Known.of(spec, None))


RULES = st.sampled_from(
    [
        STEPS,
        [
            {"take": "input"},
            {"best": 2, "of": "head", "by": "moving"},
            {"best": 1, "of": "head", "by": "copying"},
            {"rest": "head", "by": ["moving", "copying"]},
        ],
        [{"fixed": ["m1", "a0.h1"]}, {"best": 2, "of": "head", "by": "copying"}],
        [
            {"best": 1, "of": "head", "by": "copying"},
            {"at_least": 1.5, "of": "head", "by": "moving"},
            {"rest": "head", "by": ["copying"]},
        ],
        [{"at_least": 1.5, "of": "head", "by": "moving"}, {"fixed": ["a1.h0"]}],
        [{"rest": "head", "by": ["moving"]}, {"fixed": ["a0.h1", "a1.h2"]}],
        [{"rest": "head", "by": ["moving"]}, {"all": "head"}],
        [
            {"rest": "head", "by": ["moving", "copying"]},
            {"at_least": 1.5, "of": "head", "by": "copying"},
        ],
    ]
)


@given(
    true_and_published(), true_and_published(), RULES, st.integers(0, 30), st.randoms(),
    st.integers(0, 2), st.booleans(),
)  # fmt: skip
@settings(max_examples=250, deadline=None)
def test_what_published_figures_settle_by_steps_is_what_the_true_scores_select(
    moving: tuple[dict[str, Decimal], ScoreTable],
    copying: tuple[dict[str, Decimal], ScoreTable],
    steps: Any,
    budget: int,
    chance: random.Random,
    swaps: int,
    ordered: bool,
) -> None:
    spec = spec_of(steps, max(budget, 1))
    true = {
        name: {one: Fraction(scores[str(one)]) for one in SHAPE.components()}
        for name, (scores, _) in (("moving", moving), ("copying", copying))
    }
    try:
        selected = names(select({}, spec.rule, true))
    except InputError:
        return
    nodes = list(selected)
    for _ in range(swaps if nodes else 0):
        nodes[chance.randrange(len(nodes))] = chance.choice(COMPONENTS)
    nodes = list(dict.fromkeys(nodes))
    evidence = evidence_of(moving[1], copying[1], " ".join(nodes), spec, ordered=ordered)
    verdict = found_on(evidence, max(budget, 1)).verdict
    if verdict == "holds":
        assert set(nodes) == set(selected)
    if verdict == "refuted":
        assert nodes != selected if ordered else set(nodes) != set(selected)
