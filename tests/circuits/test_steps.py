"""Rules by steps: what each takes, what it passes over, and what it refuses."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from replication.circuits.components import Component, ModelShape, WriteCosts, names, parse, parsed
from replication.circuits.selection import Rule, select
from replication.circuits.steps import Step, by_threshold
from replication.inputs.files import InputError

SHAPE = ModelShape(n_layers=2, n_heads=2, d_model=8, d_head=2)
STEPS: TypeAdapter[tuple[Step, ...]] = TypeAdapter(tuple[Step, ...])

Table = dict[Component, Fraction]


def rule(*steps: dict[str, Any], budget: int = 1000, input_counts: bool = True) -> Rule:
    costs = WriteCosts(SHAPE.d_model, SHAPE.d_head, input_counts)
    return Rule(costs, budget, STEPS.validate_python(steps), SHAPE.components())


def table(**named: str) -> Table:
    """Scores by name, in which `a1_h2` stands for a1.h2."""
    return {parse(name.replace("_", ".")): Fraction(value) for name, value in named.items()}


ONE = table(m0="3", m1="5", a0_h0="1", a0_h1="4", a1_h0="2", a1_h1="3")
MOVING = table(a0_h0="0.9", a0_h1="0.8", a1_h0="0.1")
COPYING = table(a0_h0="0.7", a1_h0="0.6", a1_h1="0.5")
BOTH = {"moving": MOVING, "copying": COPYING}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"take": "input"}, "input"),
        ({"best": 2, "of": "head"}, "a0.h1 a1.h1"),
        ({"best": 1, "of": "mlp"}, "m1"),
        ({"all": "mlp"}, "m0 m1"),
        ({"all": "head"}, "a0.h0 a0.h1 a1.h0 a1.h1"),
        ({"at_least": 3, "of": "head"}, "a0.h1 a1.h1"),
        ({"at_least": 3.5, "of": "mlp"}, "m1"),
        ({"fixed": ["a1.h0", "input", "m0"]}, "a1.h0 input m0"),
        ({"rest": "head"}, "a0.h1 a1.h1 a1.h0 a0.h0"),
        ({"rest": "mlp"}, "m1 m0"),
    ],
)
def test_each_step_takes_its_components_in_order(step: dict[str, Any], expected: str) -> None:
    assert " ".join(names(select(ONE, rule(step)))) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([{"best": 1, "of": "head"}, {"best": 1, "of": "head"}], "a0.h1 a1.h1"),
        ([{"fixed": ["m1", "a0.h1"]}, {"all": "mlp"}], "m1 a0.h1 m0"),
        ([{"best": 1, "of": "mlp"}, {"at_least": 3, "of": "mlp"}], "m1 m0"),
        ([{"take": "input"}, {"fixed": ["input", "a0.h0"]}], "input a0.h0"),
        ([{"fixed": ["a0.h1", "a1.h1"]}, {"best": 1, "of": "head"}], "a0.h1 a1.h1 a1.h0"),
    ],
)
def test_what_an_earlier_step_has_taken_a_later_one_passes_over(
    steps: list[dict[str, Any]], expected: str
) -> None:
    assert " ".join(names(select(ONE, rule(*steps)))) == expected


def test_each_step_looks_at_its_own_table() -> None:
    stated = rule(
        {"best": 1, "of": "head", "by": "copying"},
        {"best": 1, "of": "head", "by": "moving"},
        {"rest": "head", "by": ["moving", "copying"]},
    )
    # a0.h0 is the best of both, so the second of the other follows it.
    assert names(select({}, stated, BOTH)) == ["a0.h0", "a0.h1", "a1.h0", "a1.h1"]


def test_the_rest_goes_by_the_highest_score_in_any_table() -> None:
    moving, copying = table(a0_h0="0.5", a0_h1="0.4"), table(a0_h1="0.6", a1_h0="0.45")
    stated = rule({"rest": "head", "by": ["moving", "copying"]}, budget=4)
    found = select({}, stated, {"moving": moving, "copying": copying})
    assert names(found) == ["a0.h1", "a0.h0"]


def test_a_fixed_set_needs_no_scores() -> None:
    assert names(select({}, rule({"fixed": ["a1.h1", "m0"]}))) == ["a1.h1", "m0"]


def test_the_rest_lasts_as_long_as_the_budget() -> None:
    for budget, heads in ((8, 0), (9, 0), (10, 1), (13, 2), (16, 4), (99, 4)):
        found = select(ONE, rule({"take": "input"}, {"rest": "head"}, budget=budget))
        assert len(found) == 1 + heads


@pytest.mark.parametrize(
    ("steps", "budget", "reason"),
    [
        ([{"take": "input"}], 7, "a budget of 7 does not hold the input, which costs 8"),
        (
            [{"take": "input"}, {"all": "mlp"}],
            23,
            "a budget of 23 does not hold all MLPs, which cost 24 with the input",
        ),
        ([{"fixed": ["m0"]}], 7, "a budget of 7 does not hold the fixed set, which costs 8"),
        (
            [{"fixed": ["m0", "m1"]}, {"best": 3, "of": "head"}],
            21,
            "a budget of 21 does not hold the 3 best heads, which cost 22 with the 2 chosen before",
        ),
        (
            [{"best": 2, "of": "head", "by": "moving"}],
            3,
            "a budget of 3 does not hold the 2 best heads in moving, which cost 4",
        ),
        (
            [{"best": 4, "of": "head", "by": "moving"}],
            99,
            "3 heads are left with a score in moving, of the 4 best that are to be taken",
        ),
        (
            [{"at_least": 4.5, "of": "head"}],
            99,
            "no head reaches the threshold of 4.5: the highest score is 4 (a0.h1)",
        ),
    ],
)
def test_a_step_that_cannot_be_taken_is_refused_with_both_numbers(
    steps: list[dict[str, Any]], budget: int, reason: str
) -> None:
    with pytest.raises(InputError) as caught:
        select(ONE, rule(*steps, budget=budget), BOTH)
    assert str(caught.value) == reason


def test_a_step_that_just_fits_is_taken() -> None:
    assert len(select(ONE, rule({"take": "input"}, {"all": "mlp"}, budget=24))) == 3
    assert len(select(ONE, rule({"fixed": ["m0", "a0.h0"]}, budget=10))) == 2


SCORES = st.dictionaries(st.sampled_from(SHAPE.components()), st.integers(0, 3).map(Fraction))


@given(SCORES, st.integers(0, 40), st.integers(0, 4), st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_threshold_is_three_steps(
    scores: Table, budget: int, threshold: int, input_counts: bool
) -> None:
    costs = WriteCosts(8, 2, input_counts)
    stated = rule(
        {"take": "input"},
        {"at_least": float(threshold), "of": "mlp"},
        {"rest": "head"},
        budget=budget,
        input_counts=input_counts,
    )
    found = []
    for one in (stated, Rule(costs, budget, by_threshold(threshold))):
        try:
            found.append(names(select(scores, one)))
        except InputError as error:
            found.append([str(error)])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"worst": 3, "of": "head"}, "expected a table with one of the keys take, best, all,"),
        ({"best": 3, "all": "mlp"}, "expected a table with one of the keys"),
        ("input", "expected a table with one of the keys"),
        ({"best": 3}, "Field required"),
        ({"best": 0, "of": "head"}, "greater than 0"),
        ({"best": 3, "of": "input"}, "'mlp' or 'head'"),
        ({"at_least": -1.0, "of": "mlp"}, "greater than or equal to 0"),
        ({"fixed": []}, "at least 1 item"),
        ({"fixed": ["m0", "m0"]}, "'m0' stands there more than once"),
        ({"fixed": ["b7"]}, "'b7' is no component"),
        ({"rest": "head", "by": []}, "at least 1 item"),
        ({"rest": "head", "of": "head"}, "Extra inputs"),
    ],
)
def test_a_step_of_no_kind_is_refused(step: Any, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        STEPS.validate_python([step])
    assert reason in str(caught.value)


def test_the_components_of_a_fixed_set_are_those_that_are_named() -> None:
    (step,) = STEPS.validate_python([{"fixed": ["m0", "a1.h1"]}])
    assert select({}, rule(step.model_dump())) == parsed(["m0", "a1.h1"])
