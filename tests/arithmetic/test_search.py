"""Verdicts over boxes of digits: none is contradicted by any point, and witnesses are some."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from unittest import mock

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from replication.arithmetic import search
from replication.arithmetic.bounds import Unbounded, enclosure, value_at
from replication.arithmetic.conditions import box_of, condition_of, stating_in
from replication.arithmetic.expressions import parse
from replication.arithmetic.figures import Digits, Figure, read_figure
from replication.arithmetic.search import decide, find_joint, zero_divisor
from replication.arithmetic.together import judge_together
from replication.circuits.intervals import Interval, equals, printed
from tests.arithmetic.random_expressions import Truth, boxes, grid, truths, values

SLACK = [HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large]
fast = settings(max_examples=500, deadline=None, suppress_health_check=SLACK)
thorough = settings(max_examples=10_000, deadline=None, suppress_health_check=SLACK)
few = settings(max_examples=100, deadline=None, suppress_health_check=SLACK)


@contextmanager
def small_effort() -> Iterator[None]:
    """Fewer boxes: what is undecided is never wrong, only slow."""
    with mock.patch.multiple(search, MOST_BOXES=40, BOXES_FOR_SHARES=16, FEWEST_BOXES=8):
        yield


def random_case(data: st.DataObject, number: int = 1) -> tuple[dict[str, Figure], list[Truth]]:
    figures = data.draw(boxes())
    stated = [data.draw(truths(figures)) for _ in range(number)]
    names = {name for one in stated for name in figures if name in one.text}
    for one in stated:
        assume(zero_divisor(parse(one.text), box_of(figures)) is None)
    return {name: figures[name] for name in figures if name in names}, stated


def no_verdict_is_contradicted(data: st.DataObject) -> None:
    with small_effort():
        figures, (stated,) = random_case(data)
        tree = parse(stated.text)
        found = decide(condition_of(tree, figures), box_of(figures))
    assert found.true + found.false <= 1
    assert (found.verdict == "holds") == (found.true == 1)
    assert (found.verdict == "refuted") == (found.false == 1)
    seen = {stated.at(point) for point in grid(figures)}
    if found.verdict == "holds":
        assert seen == {True}
    if found.verdict == "refuted":
        assert seen == {False}


@fast
@given(st.data())
def test_no_verdict_is_contradicted_by_a_point(data: st.DataObject) -> None:
    no_verdict_is_contradicted(data)


@pytest.mark.slow
@thorough
@given(st.data())
def test_no_verdict_of_many_is_contradicted_by_a_point(data: st.DataObject) -> None:
    no_verdict_is_contradicted(data)


@few
@given(st.data())
def test_a_witness_makes_all_true_and_where_there_is_none_no_point_does(
    data: st.DataObject,
) -> None:
    with small_effort():
        figures, stated = random_case(data, data.draw(st.integers(1, 3)))
        found = judge_together([parse(one.text) for one in stated], figures)
    if found.witness is not None:
        assert all(
            figure.values.low <= found.witness.get(name, figure.value) <= figure.values.high
            for name, figure in figures.items()
        )
        point = {name: figure.value for name, figure in figures.items()} | found.witness
        assert all(one.at(point) for one in stated)
    if found.verdict == "refuted":
        assert not any(all(one.at(point) for one in stated) for point in grid(figures))


@few
@given(st.data())
def test_bounds_hold_every_value(data: st.DataObject) -> None:
    figures = data.draw(boxes())
    value = data.draw(values(tuple(name for name in figures if name != "s")))
    tree, box = parse(value.text), box_of(figures)
    try:
        found = enclosure(tree, box)
    except Unbounded:
        assume(False)
    for point in grid(figures):
        exact_value = value.at(point)
        assert found.low <= exact_value <= found.high
        assert value_at(tree, point) == exact_value


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("a - floor(a)", "0.5", "2.5"),
        ("a - round(a)", "0.2", "2.2"),
        ("abs(a) + a / 2", "-1", "1"),
        ("max(a, 1) - a / 2", "0", "2"),
        ("min(a, 1) - a / 2", "0", "2"),
        ("a ** 2 - 3 * a", "1", "2"),
        ("a ** -1 + a", "0.5", "2"),
        ("a / (a ** 2 + 1)", "0.5", "2"),
        ("mean(a, a ** 2) - a", "-1", "1"),
    ],
)
def test_bounds_hold_where_a_slope_turns(text: str, low: str, high: str) -> None:
    box = {"a": Interval(Fraction(low), Fraction(high))}
    found = enclosure(parse(text), box)
    steps = [box["a"].low + box["a"].width * step / 60 for step in range(61)]
    assert all(found.low <= value_at(parse(text), {"a": one}) <= found.high for one in steps)


FIGURES = {
    name: read_figure(text)
    for name, text in {
        "whole": "3.56", "circuit": "3.10", "gap": "0.46", "share": "13%", "kept": "87%",
        "other": "2.62", "heads": "26", "zero": "0.0",
    }.items()
}  # fmt: skip


def verdict(text: str) -> str:
    return decide(condition_of(parse(text), FIGURES), box_of(FIGURES)).verdict


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abs(whole - circuit) / whole == share", "holds"),
        ("gap / whole == 13%", "holds"),
        ("gap / whole == 12.9%", "undecided"),
        ("gap / whole == 14%", "refuted"),
        ("1 - share == kept", "holds"),
        ("whole - gap == other", "refuted"),
        ("whole - gap != other", "holds"),
        # A figure that stands twice is one: neither bound is as wide as two of it would make it.
        ("(whole - circuit) / (whole + circuit) < 7.1%", "holds"),
        ("whole ** 2 - 2 * whole * circuit + circuit ** 2 >= 0", "holds"),
        ("whole / whole == 1.0", "holds"),
        ("min(whole, circuit) == circuit", "holds"),
        ("gap < circuit < whole", "holds"),
        ("gap < whole < circuit", "refuted"),
        ("gap > 0.465 or circuit > 3", "holds"),
        ("gap > 0.465", "refuted"),
        ("gap >= 0.465", "undecided"),
        ("gap <= 0.465", "holds"),
        ("not gap <= 0.465", "refuted"),
        ("floor(whole) == 3", "holds"),
        ("round(whole, 1) == 3.6", "holds"),
        ("heads / 2 == 13", "holds"),
        ("heads / 4 == 6.5", "holds"),
        ("heads / 4 == 6", "refuted"),
        ("(whole + 1) ** -1 < 0.22", "holds"),
        # What is the same when it is multiplied out is, whatever values the digits allow.
        ("whole * circuit == circuit * whole", "holds"),
        ("whole * circuit != circuit * whole", "refuted"),
        ("(whole - gap) ** 2 == whole ** 2 + gap ** 2 - 2 * whole * gap", "holds"),
        ("(whole - gap) ** 2 < whole ** 2 + gap ** 2 - 2 * whole * gap", "refuted"),
        ("whole * gap + 1 > gap * whole", "holds"),
    ],
)  # fmt: skip
def test_a_verdict_is_over_all_values_that_the_digits_allow(text: str, expected: str) -> None:
    assert verdict(text) == expected


def test_a_lone_figure_that_is_used_elsewhere_states_nothing() -> None:
    assert verdict("whole - gap == circuit") == "undecided"
    assert verdict("heads / 2 == 13 and heads == 13 * 2") == "holds"
    assert stating_in([parse("whole - gap == circuit and circuit > 3")]) == set()
    assert stating_in([parse("whole - gap == circuit")]) == {"circuit"}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("3.1", "3.10", "holds"),  # the coarser states the finer
        ("3.10", "3.1", "holds"),
        ("3.10", "3.10", "holds"),
        ("3.10", "3.11", "refuted"),  # as many digits, and not the same, although both may be 3.105
        ("3.1", "3.15", "undecided"),
        ("26", "26", "holds"),
        ("26", "27", "refuted"),
        ("26", "26.0", "holds"),
        ("about 45%", "46%", "undecided"),
        ("about 45%", "45.5%", "holds"),
    ],
)
def test_of_two_figures_the_coarser_states_the_finer(one: str, other: str, expected: str) -> None:
    figures = {"one": read_figure(one), "other": read_figure(other)}
    found = decide(condition_of(parse("one == other"), figures), box_of(figures))
    assert found.verdict == expected


decimals = st.builds(
    lambda whole, rest: f"{whole}.{rest:02}", st.integers(1, 99), st.integers(0, 99)
)


@few
@given(decimals, decimals, decimals)
def test_a_ratio_has_the_verdict_that_intervals_give_it(one: str, other: str, ratio: str) -> None:
    figures = {"a": read_figure(one), "b": read_figure(other), "r": read_figure(ratio)}
    found = decide(condition_of(parse("a / b == r"), figures), box_of(figures))
    assert found.verdict == equals(printed(one) / printed(other), printed(ratio))


def test_the_shares_of_what_is_undecided_are_known_in_part() -> None:
    figures = {"a": read_figure("1.0"), "b": read_figure("1.0")}
    found = decide(condition_of(parse("a < b"), figures), box_of(figures))
    assert found.verdict == "undecided"
    assert not found.is_open
    assert Fraction(44, 100) < found.true < Fraction(1, 2)
    assert Fraction(44, 100) < found.false < Fraction(1, 2)


def test_effort_ends_where_nothing_can_be_shown() -> None:
    found = decide(
        condition_of(parse("whole * abs(circuit) == circuit * whole"), FIGURES), box_of(FIGURES)
    )
    assert (found.verdict, found.is_open) == ("undecided", True)
    assert found.boxes <= search.MOST_BOXES


@pytest.mark.parametrize(
    "text", ["1 / zero > 1", "1 / (circuit - 3.10) > 1", "zero ** -1 > 1", "1/0 > gap"]
)
def test_a_divisor_that_may_be_zero_is_found(text: str) -> None:
    assert zero_divisor(parse(text), box_of(FIGURES)) is not None


@pytest.mark.parametrize("text", ["gap / (whole - circuit) > 1", "1 / (zero * zero + 1) > 0"])
def test_one_that_cannot_be_is_none(text: str) -> None:
    assert zero_divisor(parse(text), box_of(FIGURES)) is None


def test_many_divisors_share_the_effort_of_one() -> None:
    terms = [f"1 / (gap * whole - whole * abs(gap) + 0.003{number:02})" for number in range(17)]
    tree, box = parse(f"{' + '.join(terms)} > circuit"), box_of(FIGURES)
    with mock.patch.object(search, "status", wraps=search.status) as status:
        assert zero_divisor(tree, box) is not None  # though not zero: it takes hundreds of boxes
        together = status.call_count
        assert zero_divisor(parse("1 / (gap * whole - whole * abs(gap) + 0.003) > 1"), box) is None
    assert together < status.call_count - together


def together(*texts: str) -> search.Joint:
    return judge_together([parse(text) for text in texts], FIGURES)


def test_figures_of_one_object_have_a_witness() -> None:
    found = together("whole - circuit == gap", "circuit / whole == kept", "gap / whole == share")
    assert found.verdict == "holds"
    assert found.witness is not None
    assert found.witness["whole"] - found.witness["circuit"] == found.witness["gap"]


def test_an_equation_need_not_be_met_at_the_printed_values() -> None:
    found = together("whole - gap == circuit", "circuit > 3.104", "gap > 0.4605")
    assert found.verdict == "holds"
    assert found.witness is not None
    assert found.witness["whole"] - found.witness["gap"] == found.witness["circuit"]
    assert found.witness["circuit"] > Fraction("3.104")


def test_conditions_that_no_values_meet_together_are_refuted() -> None:
    bounds = ("circuit < 3.098", "whole > 3.563", "gap < 0.464")
    assert together("whole - gap == circuit", *bounds).verdict == "refuted"
    assert together("whole - gap == other").excludes == [0]
    assert together("whole == circuit * gap + 2", "whole - gap * circuit < 2").verdict == "refuted"


def test_a_point_is_looked_for_in_vain_for_so_long() -> None:
    conditions = [
        condition_of(parse("whole * abs(circuit) == circuit * whole + zero * zero"), FIGURES)
    ]
    found = find_joint(conditions, {**box_of(FIGURES), "zero": Interval(Fraction(1), Fraction(2))})
    assert found.verdict in ("undecided", "refuted")


def test_what_a_source_computed_from_printed_values_is_of_those_whatever_else_they_equal() -> None:
    printed = {"share": "12.98%", "gap": "0.46", "whole": "3.56", "one": "0.21", "other": "2.2"}
    figures = {name: read_figure(text) for name, text in printed.items()}
    figures["share"] = read_figure("12.98%", digits="computed")
    texts = ["gap == one * other", "gap / whole == share"]
    # 0.21 * 2.2 is 0.462, and 0.462 / 3.56 would be 12.98%; but 0.46 / 3.56 is not.
    assert judge_together(list(map(parse, texts)), figures).verdict == "refuted"
    figures["share"] = read_figure("12.92%", digits="computed")
    assert judge_together(list(map(parse, texts)), figures).verdict == "holds"


def test_of_figures_of_as_many_digits_rounding_keeps_the_order() -> None:
    figures = {name: read_figure(text) for name, text in {"a": "1.2", "b": "1.3", "c": "1"}.items()}

    def found(text: str) -> str:
        return decide(condition_of(parse(text), figures), box_of(figures)).verdict

    for said in ("a < b", "a <= b", "b > a", "b >= a", "a != b", "a < b and a + b > 2"):
        assert found(said) == "holds"
    for said in ("a > b", "a >= b", "b < a", "b <= a", "a == b", "a == b and a + b > 2"):
        assert found(said) == "refuted"
    # What is computed is of no digits of its own.
    assert found("a + 0 < b") == "undecided"
    for more in ([], ["a > 1"], ["a > 1", "b / 2 > 0.5"]):
        assert judge_together([parse(text) for text in ["a == b", *more]], figures).verdict == (
            "refuted"
        )


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("0.5", "truncated"), ("0.6", "rounded"), "undecided"),  # 0.58 prints as both
        (("0.5", "truncated"), ("0.5", "rounded"), "undecided"),
        (("0.5", "truncated"), ("0.6", "truncated"), "refuted"),
        (("0.5", "truncated"), ("0.7", "rounded"), "refuted"),
        (("45%", "about"), ("46%", "about"), "undecided"),
        (("45%", "about"), ("47%", "about"), "undecided"),
        (("45%", "about"), ("48%", "about"), "refuted"),
    ],
)
def test_figures_that_one_value_prints_as_do_not_contradict_each_other(
    one: tuple[str, Digits], other: tuple[str, Digits], expected: str
) -> None:
    figures = {
        "one": read_figure(one[0], digits=one[1]),
        "other": read_figure(other[0], digits=other[1]),
    }
    for text in ("one == other", "other == one"):
        found = decide(condition_of(parse(text), figures), box_of(figures))
        assert found.verdict == expected
