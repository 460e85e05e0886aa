"""Expressions multiplied out: what is the same is found to be, and nothing else."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replication.arithmetic.expressions import parse
from replication.arithmetic.polynomials import constant
from tests.arithmetic.random_expressions import Value, values

NAMES = ("a", "b", "c")
POINTS = [dict(zip(NAMES, map(Fraction, point.split()), strict=True)) for point in (
    "1 2 3", "-7/2 5/3 11", "1/9 -13 2/7", "17 19/4 -23/6",
)]  # fmt: skip
few = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a * b - b * a", "0"),
        ("(a + b) ** 2 - (a ** 2 + 2 * a * b + b ** 2)", "0"),
        ("(a - b) * (a + b) - a ** 2 + b ** 2 + 3", "3"),
        ("-(a - b) - (b - a)", "0"),
        ("mean(a, b) - sum([a, b]) / 2 + 0.5", "1/2"),
        ("a / b * c - c * (a / b)", "0"),
        ("abs(a - b) * c - c * abs(a - b)", "0"),
        ("(a - a) ** 0 * 7", "7"),
        ("2 ** 3", "8"),
        ("a * b - b * c", None),
        ("(a + b) ** 2 - (a ** 2 + b ** 2)", None),
        ("abs(a - b) - abs(b - a)", None),  # the same, which multiplying out does not show
        ("a / (b - b)", None),
        ("min(a, b) - min(a, c)", None),
        ("a ** -1 - b ** -1", None),
    ],
)
def test_what_is_the_same_whatever_its_figures_are_has_a_value(
    text: str, value: str | None
) -> None:
    assert constant(parse(text)) == (None if value is None else Fraction(value))


@few
@given(values(NAMES), values(NAMES), st.sampled_from("+-*"))
def test_a_value_is_that_at_every_point(one: Value, other: Value, sign: str) -> None:
    text = f"({one.text} {sign} {other.text}) - ({other.text} {sign} {one.text})"
    found = constant(parse(text))
    assert sign == "-" or found in (0, None)
    for point in POINTS if found is not None else []:
        try:
            left, right = one.at(point), other.at(point)
        except ZeroDivisionError:
            continue
        assert found == (2 * (left - right) if sign == "-" else 0)


@pytest.mark.parametrize(
    "text",
    [
        "(a + b + c) ** 12 * (a + b) ** 12 - 1",
        " + ".join(f"((a + {number}{'1' * 40}.{'1' * 50}) ** 10) ** 10" for number in range(2, 12)),
    ],
)
def test_what_is_too_long_to_multiply_out_is_left_at_once(text: str) -> None:
    started = time.process_time()
    assert constant(parse(text)) is None
    assert time.process_time() - started < 1
