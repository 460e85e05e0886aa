from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from replication.circuits.intervals import (
    Interval,
    Verdict,
    all_of,
    allowed,
    at_most,
    below,
    equals,
    exact,
    fraction,
    mean,
    negated,
    plain,
    printed,
    show,
)
from replication.inputs.files import InputError

quick = settings(max_examples=100, deadline=None)

VALUES = st.integers(-40, 40).map(lambda number: Fraction(number, 8))
SHARES = st.integers(0, 7).map(lambda number: Fraction(number, 7))
INTERVALS = st.tuples(VALUES, VALUES).map(lambda ends: Interval(min(ends), max(ends)))
VERDICTS: tuple[Verdict, ...] = ("holds", "refuted", "undecided")


def at(interval: Interval, share: Fraction) -> Fraction:
    return interval.low + share * (interval.high - interval.low)


def holds_point(interval: Interval, point: Fraction) -> bool:
    return interval.low <= point <= interval.high


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("31.51", "31.505", "31.515"),
        ("31.510", "31.5095", "31.5105"),
        ("3", "2.5", "3.5"),
        ("0", "-0.5", "0.5"),
        ("0.0", "-0.05", "0.05"),
        ("-1.5", "-1.55", "-1.45"),
        ("007.0", "6.95", "7.05"),
        ("123456789012345678901234567890.1", "123456789012345678901234567890.05",
         "123456789012345678901234567890.15"),
    ],
)  # fmt: skip
def test_a_printed_figure_spans_half_a_unit_of_its_last_digit(
    text: str, low: str, high: str
) -> None:
    assert printed(text) == Interval(Fraction(low), Fraction(high))


@given(
    st.decimals(-1000, 1000, places=8),
    st.integers(0, 6),
    st.sampled_from([ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_HALF_DOWN]),
)
@example(Decimal("31.505"), 2, ROUND_HALF_UP)
@example(Decimal("31.515"), 2, ROUND_HALF_DOWN)
@quick
def test_every_value_that_rounds_to_the_printed_digits_lies_in_the_interval(
    value: Decimal, places: int, rounding: str
) -> None:
    digits = value.quantize(Decimal(1).scaleb(-places), rounding, Context(prec=40))
    assert holds_point(printed(f"{digits:f}"), Fraction(value))


@given(st.decimals(-1000, 1000, places=8), st.integers(0, 6), st.integers(-9, 9))
@quick
def test_a_value_that_rounds_to_other_digits_lies_outside_but_for_the_ends(
    value: Decimal, places: int, units: int
) -> None:
    unit = Decimal(1).scaleb(-places)
    digits = value.quantize(unit, ROUND_HALF_EVEN, Context(prec=40))
    other = printed(f"{digits + units * unit:f}")
    on_end = abs(Fraction(value) - Fraction(digits)) == Fraction(unit) / 2
    assume(units and not on_end)
    assert not holds_point(other, Fraction(value))


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "31,51", "1e3", "nan", "inf", "-inf", "+1", " 1", "1 ", "1\n", "1.", ".5", "-",
        "0x1", "--1", "1_000", "1.2.3", "31.51%", "~31", "1/2", "−1",
    ],
)  # fmt: skip
def test_what_is_no_plain_decimal_number_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a plain decimal number") as caught:
        printed(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["٣", "3.١", "３.５"])
def test_digits_of_another_script_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        printed(text)


def test_a_figure_with_too_many_digits_is_refused() -> None:
    with pytest.raises(InputError):
        printed("1" * 4301)


@pytest.mark.parametrize("value", [0.5, "0.5", Fraction(1, 2)])
def test_an_exact_figure_is_one_value(value: float | str | Fraction) -> None:
    assert exact(value) == Interval(Fraction(1, 2), Fraction(1, 2))


@given(INTERVALS, INTERVALS, SHARES, SHARES)
@quick
def test_a_sum_holds_the_sums_of_its_parts_values_and_no_more(
    one: Interval, other: Interval, here: Fraction, there: Fraction
) -> None:
    total = one + other
    assert holds_point(total, at(one, here) + at(other, there))
    assert (total.low, total.high) == (one.low + other.low, one.high + other.high)


@given(INTERVALS, INTERVALS, SHARES, SHARES)
@example(exact(1), Interval(Fraction(0), Fraction(1)), Fraction(0), Fraction(1))
@example(exact(1), Interval(Fraction(-1), Fraction(0)), Fraction(0), Fraction(1))
@quick
def test_a_quotient_holds_the_quotients_of_its_parts_values_and_no_more(
    over: Interval, under: Interval, here: Fraction, there: Fraction
) -> None:
    if holds_point(under, Fraction(0)):
        with pytest.raises(ZeroDivisionError, match="may be zero"):
            _ = over / under
        return
    quotient = over / under
    assert holds_point(quotient, at(over, here) / at(under, there))
    ends = [a / b for a, b in product((over.low, over.high), (under.low, under.high))]
    assert quotient.low in ends
    assert quotient.high in ends


@given(INTERVALS, SHARES)
@quick
def test_an_absolute_value_holds_those_of_the_values_and_no_more(
    figure: Interval, share: Fraction
) -> None:
    size = abs(figure)
    assert holds_point(size, abs(at(figure, share)))
    assert size.high in (abs(figure.low), abs(figure.high))
    if holds_point(figure, Fraction(0)):
        assert size.low == 0
    else:
        assert size.low == min(abs(figure.low), abs(figure.high))


@given(INTERVALS, SHARES, VALUES)
@quick
def test_scaling_and_shifting_move_every_value(
    figure: Interval, share: Fraction, number: Fraction
) -> None:
    assert holds_point(figure.scaled(number), at(figure, share) * number)
    assert holds_point(figure.shifted(number), at(figure, share) + number)
    width = figure.high - figure.low
    assert figure.scaled(number).high - figure.scaled(number).low == abs(number) * width
    assert figure.shifted(number).high - figure.shifted(number).low == width


@given(st.lists(st.tuples(INTERVALS, SHARES), min_size=1, max_size=6))
@quick
def test_a_mean_holds_the_means_of_its_parts_values_and_no_more(
    parts: list[tuple[Interval, Fraction]],
) -> None:
    count = len(parts)
    found = mean([figure for figure, _ in parts])
    assert holds_point(found, sum(at(figure, share) for figure, share in parts) / count)
    assert found.low == sum(figure.low for figure, _ in parts) / count
    assert found.high == sum(figure.high for figure, _ in parts) / count


def test_there_is_no_mean_of_nothing() -> None:
    with pytest.raises(ZeroDivisionError):
        mean([])


@given(INTERVALS)
@quick
def test_the_middle_is_as_far_from_either_end(figure: Interval) -> None:
    assert figure.middle - figure.low == figure.high - figure.middle == figure.width / 2


@pytest.mark.parametrize(
    ("figure", "text"),
    [(exact("31.51"), "31.51"), (printed("31.51"), "31.505 to 31.515"), (exact(0), "0")],
)
def test_a_figure_is_shown_by_its_ends(figure: Interval, text: str) -> None:
    assert str(figure) == text


def pointwise(truths: Sequence[bool]) -> Verdict:
    """What the truth on each of the possible values makes of a statement."""
    if all(truths):
        return "holds"
    return "undecided" if any(truths) else "refuted"


@given(INTERVALS, INTERVALS, st.lists(SHARES))
@example(exact("31.515"), printed("31.51"), [])
@example(printed("31.52"), printed("31.51"), [])
@example(printed("31.51"), printed("31.51"), [])
@quick
def test_equals_is_what_every_possible_value_says(
    measured: Interval, expected: Interval, shares: list[Fraction]
) -> None:
    telling = [end for end in (expected.low, expected.high) if holds_point(measured, end)]
    values = [measured.low, measured.high, *telling, *(at(measured, share) for share in shares)]
    assert equals(measured, expected) == pointwise(
        [holds_point(expected, value) for value in values]
    )


@given(INTERVALS, VALUES, st.lists(SHARES))
@example(exact(1), Fraction(1), [])
@example(printed("0.83"), Fraction("0.835"), [])
@example(printed("0.83"), Fraction("0.825"), [])
@quick
def test_below_and_at_most_are_what_every_possible_value_says(
    measured: Interval, bound: Fraction, shares: list[Fraction]
) -> None:
    values = [measured.low, measured.high, *(at(measured, share) for share in shares)]
    assert below(measured, bound) == pointwise([value < bound for value in values])
    assert at_most(measured, bound) == pointwise([value <= bound for value in values])
    assert negated(below(measured, bound)) == pointwise([value >= bound for value in values])


@pytest.mark.parametrize(
    ("verdict", "opposite"),
    [("holds", "refuted"), ("refuted", "holds"), ("undecided", "undecided")],
)
def test_the_opposite_statement_has_the_opposite_verdict(
    verdict: Verdict, opposite: Verdict
) -> None:
    assert negated(verdict) == opposite


@given(st.lists(st.sampled_from(VERDICTS), min_size=1))
@quick
def test_a_conjunction_is_refuted_by_one_part_and_held_by_all(verdicts: list[Verdict]) -> None:
    if any(verdict == "refuted" for verdict in verdicts):
        assert all_of(verdicts) == "refuted"
    elif all(verdict == "holds" for verdict in verdicts):
        assert all_of(verdicts) == "holds"
    else:
        assert all_of(verdicts) == "undecided"


@pytest.mark.parametrize(
    ("figure", "shown", "as_json"),
    [
        (printed("31.51"), "31.51", [31.505, 31.515]),
        (printed("3.00"), "3.00", [2.995, 3.005]),
        (printed("0.610"), "0.610", [0.6095, 0.6105]),
        (printed("243.63180"), "243.63180", [243.631795, 243.631805]),
        (printed("3.00") + exact(0), "(2.995 to 3.005)", [2.995, 3.005]),
        (exact("31.505"), "31.505", 31.505),
        (Interval(Fraction(1), Fraction(2)), "(1 to 2)", [1.0, 2.0]),
    ],
)
def test_a_figure_is_written_as_printed_or_by_its_ends_and_as_json_by_its_ends(
    figure: Interval, shown: str, as_json: float | list[float]
) -> None:
    assert show(figure) == shown
    assert plain(figure) == as_json


@pytest.mark.parametrize(
    ("text", "tolerance", "low", "high"),
    [("31.51", None, "31.505", "31.515"), ("31.51", "0.2", "31.31", "31.71")],
)
def test_a_claimed_figure_allows_its_digits_or_its_tolerance(
    text: str, tolerance: str | None, low: str, high: str
) -> None:
    assert allowed(text, tolerance) == Interval(Fraction(low), Fraction(high))
    assert fraction(text) == Fraction(3151, 100)


@given(INTERVALS)
@quick
def test_the_width_is_how_far_the_ends_lie_apart(figure: Interval) -> None:
    assert figure.low + figure.width == figure.high


@pytest.mark.parametrize("digits", [50, 51])
def test_a_figure_has_at_most_fifty_digits_on_either_side_of_the_point(digits: int) -> None:
    for text in ("1" * digits, f"0.{'1' * digits}"):
        if digits > 50:
            with pytest.raises(InputError):
                printed(text)
        else:
            assert printed(text).middle == Fraction(text)
