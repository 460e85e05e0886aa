"""Expressions: how tightly each sign binds, and what is refused at which character."""

from __future__ import annotations

import time
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.arithmetic.bounds import value_at
from replication.arithmetic.dimensions import check_computes, check_condition, kind_in
from replication.arithmetic.expressions import Name, names_in, parse, walk
from replication.arithmetic.figures import Dimension
from replication.inputs.files import InputError

POINT = {"a": Fraction(3), "b": Fraction(5), "c": Fraction(-7, 2)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("2 - 3 - 4", "-5"),
        ("24 / 4 / 2", "3"),
        ("-2 ** 2", "-4"),
        ("(-2) ** 2", "4"),
        ("2 ** -1", "1/2"),
        ("--3", "3"),
        ("- - a", "3"),
        ("2 ** 3 * 2", "16"),
        ("13% * 200", "26"),
        ("1.5e2", "150"),
        ("a - -b", "8"),
        ("abs(c)", "7/2"),
        ("min(a, b, c)", "-7/2"),
        ("max([a, b])", "5"),
        ("sum([a, b, c])", "9/2"),
        ("mean(a, b)", "4"),
        ("mean([a])", "3"),
        ("floor(c)", "-4"),
        ("floor(b / a)", "1"),
        ("round(c)", "-4"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(b / a, 2)", "1.67"),
        ("a**0", "1"),
        ("`a` * 2", "6"),
    ],
)
def test_an_expression_is_worth_what_arithmetic_says(text: str, value: str) -> None:
    assert value_at(parse(text), POINT) == Fraction(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected a number, a name, a function or '(', found the end, at character 1"),
        ("a +", "found the end, at character 4"),
        ("a b", "expected the end or an operator, found 'b', at character 3"),
        ("1,984 == a", "found ',', at character 2"),
        ("(a", "expected ')', found the end, at character 3"),
        ("a)", "found ')', at character 2"),
        ("a = b", "'=' means nothing here, at character 3"),
        ("a & b", "'&' means nothing here, at character 3"),
        ("a ; b", "';' means nothing here, at character 3"),
        ("'a", '"\'" means nothing here, at character 1'),
        ("1. + a", "'.' means nothing here, at character 2"),
        ("[a, b] == 3", "a list stands only inside min, max, sum or mean, at character 1"),
        ("sum([a, b)", "expected ']', found ')', at character 10"),
        ("log(a)", "there is no function 'log'; there are abs, floor, count"),
        ("__import__('os')", "there is no function '__import__'"),
        ("a.__class__", None),
        ("abs(a, b)", "abs is of one, found 2, at character 1"),
        ("abs()", "found ')', at character 5"),
        ("round(a, b)", "how many decimals it keeps, 0 to 20, at character 1"),
        ("round(a, -1)", "how many decimals it keeps, 0 to 20, at character 1"),
        ("round(a, 1, 2)", "how many decimals it keeps, 0 to 20, at character 1"),
        ("a ** b", "expected a whole number as the exponent, at character 6"),
        ("a ** 0.5", "expected a whole number as the exponent, at character 6"),
        ("9**9**9", "expected a whole number as the exponent, at character 4"),
        ("a ** 13", "expected an exponent from -12 to 12, at character 6"),
        ("((a**12)**12) ** 2", "powers of powers make one of 288, of at most 100"),
        ("a in b", "only a text in quotes can be in a set, at character 1"),
        ("'x' in abs", "expected the name of a listed set, found 'abs', at character 8"),
        ("'x' in 'y'", "expected the name of a listed set"),
        ("and", "found 'and', at character 1"),
        ("a < < b", "found '<', at character 5"),
        ("1e999 < a", "too large an exponent, at character 1"),
        ("9" * 51, "has too many digits"),
        ("(" * 40 + "a" + ")" * 40, "nested more than 30 deep, at character 32"),
        ("-" * 40 + "a", "nested more than 30 deep"),
        ("not " * 40 + "a < b", "nested more than 30 deep"),
        ("a + " * 200 + "a", "numbers, names and signs, of at most 300, at character 601"),
        ("a" * 2001, "of 2001 characters, of at most 2000, at character 2001"),
    ],
)
def test_what_does_not_parse_is_refused_where_it_does_not(text: str, reason: str | None) -> None:
    if reason is None:
        assert [one.name for one in names_in(parse(text))] == [text]
        return
    with pytest.raises(InputError) as raised:
        parse(text)
    assert reason in str(raised.value)


@given(st.text(alphabet="abc1289.%+-*/()[]<>=!,' `in andotrm", max_size=60))
def test_any_text_is_read_or_refused_at_once(text: str) -> None:
    started = time.monotonic()
    with suppress(InputError):
        assert list(walk(parse(text)))
    assert time.monotonic() - started < 1


KINDS: dict[str, Dimension] = {
    "n": "count", "m": "count", "p": "percentage", "q": "percentage", "s": "share",
    "x": "number", "y": "number",
}  # fmt: skip


def kind_of(name: Name) -> Dimension:
    return KINDS[name.name]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("n + m", "count"),
        ("n * m", "count"),
        ("n / m", "share"),
        ("n + x", "number"),
        ("n / 2", "number"),
        ("2 * n", "count"),
        ("0.5 * n", "number"),
        ("n ** -1", "number"),
        ("n ** 2", "count"),
        ("p + q", "percentage"),
        ("p * q", "percentage"),
        ("p / q", "share"),
        ("1 - p", "percentage"),
        ("p + s", "percentage"),
        ("p * x", "number"),
        ("p * n", "number"),
        ("p / 2", "percentage"),
        ("sum(p, q) / n", "percentage"),
        ("x / p", "number"),
        ("x / y", "share"),
        ("x / y + x", "number"),
        ("n / m + n", "count"),
        ("s * s", "share"),
        ("s ** 2", "share"),
        ("abs(p)", "percentage"),
        ("mean(n, m)", "number"),
        ("max(p, 13%)", "percentage"),
        ("floor(x / y)", "count"),
        ("round(x, 2)", "number"),
        ("round(p / 1%)", "count"),
        ("2 * 3", "literal"),
        ("x < y", "condition"),
        ("x / y == p", "condition"),
        ("n / m == p", "condition"),
        ("p > 0", "condition"),
        ("s < 0.5", "condition"),
        ("n == 26", "condition"),
        ("x > n and not p < 5%", "condition"),
    ],
)
def test_an_expression_has_a_dimension(text: str, kind: str) -> None:
    assert kind_in(parse(text), kind_of) == kind


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("n + p > 1", "a percentage and a count have no common measure, at character 3"),
        ("n == p", "a percentage and a count have no common measure, at character 1"),
        ("x == p", "a percentage and a number that is no share have no common measure"),
        ("max(n, p) > 1", "a percentage and a count have no common measure, at character 1"),
        ("p > 5", "compared with a percentage, a number needs its %, at character 5"),
        ("p < 0.5", "compared with a percentage, a number needs its %, at character 5"),
        ("p + 5 > q", "beside a percentage a number is a share: write it with %, at character 5"),
        ("100 * x / y == p", "leave out the 100, at character 9"),
        ("x / y * 100 == p", "leave out the 100, at character 7"),
        ("round(p) == 1", "round takes no percentage: divide it by 1% first, at character 1"),
        ("floor(p) == 1", "floor takes no percentage"),
        ("x", "expected a comparison, such as 'a / b == c', at character 1"),
        ("x + (x < y) > 1", "expected a figure, found a comparison, at character 6"),
        ("(x < y) < x", "expected a figure, found a comparison"),
        ("x < y and x", "expected a comparison, found a number that is no share, at character 11"),
        ("count(x) == 1", "count is of a listed set, found a number that is no share"),
        ("'t' in x", "x is no listed set, at character 8"),
        ("'t' == x", "a text stands only before 'in', at character 1"),
    ],
)
def test_figures_without_a_common_measure_are_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError) as raised:
        check_condition(parse(text), kind_of)
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x == x", "both sides are the same, at character 1"),
        ("x / y >= x / y", "both sides are the same"),
        ("y > 2 and 1 < 2", "compares no figure, at character 11"),
        ("x == 3.56", "computes nothing, and repeats a figure or contradicts it, at character 1"),
        ("3.56 != x", "computes nothing"),
        ("x * 1 == 3.56", "computes nothing"),
        ("y - y + x == 3.56", "computes nothing"),
        ("x + 1 == 4.56", "computes nothing"),
        ("1 - x != 0.4", "computes nothing"),
        ("x * y == y * x", "both sides are the same, at character 3"),
        ("y > x and x + 1 > x", "as far apart whatever the figures are, at character 13"),
        ("x * 0 < 1", "as far apart whatever the figures are, at character 3"),
        (
            "y > x == 3.56",
            "computes nothing, and repeats a figure or contradicts it, at character 5",
        ),
    ],
)
def test_what_no_figure_could_turn_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError) as raised:
        check_computes(parse(text))
    assert reason in str(raised.value)
