"""Digits: the share of what printed figures allow that gives a statement, and its source."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from tests.claims.build import Figures, check, judge, measured, published, table

GIVE = "of the values that the digits allow give it"


def test_the_share_of_a_ratio_is_the_part_of_the_box_that_gives_it() -> None:
    # x in 2.5 to 3.5 over y in 1.5 to 2.5 is 1.45 to 1.55 between the lines x = 1.45 y and 1.55 y:
    # up to y = 2.5 / 1.55 none, then 1.55 y - 2.5 until y = 2.5 / 1.45, and so on; piece by piece.
    ratios = ("1.45", "1.55")

    def covered(y: Fraction) -> Fraction:
        low, high = (max(Fraction("2.5"), min(Fraction("3.5"), Fraction(k) * y)) for k in ratios)
        return high - low

    ends = {Fraction("1.5"), Fraction("2.5")}
    ends |= {Fraction(x) / Fraction(k) for x in ("2.5", "3.5") for k in ratios}
    inside = sorted(y for y in ends if Fraction("1.5") <= y <= Fraction("2.5"))
    area = sum((b - a) * (covered(a) + covered(b)) / 2 for a, b in pairwise(inside))
    claim = check(kind="ratio", result="paper", of="m1", to="m0", ratio="1.5")
    found = judge(claim, published(table({"m1": "3", "m0": "2"})))
    assert found.verdict == "undecided"
    assert f"; {100 * float(area):.0f}% {GIVE}, and the figures as printed give it" in found.reason


@pytest.mark.parametrize(
    ("rerun", "paper", "stated", "said"),
    [
        # |3.00 / 3.3282 - 1| is 9.7096% to 10.0128%, 9.86% as printed and 9.91% at two decimals.
        (
            "3.00",
            "3.3282",
            {"percent": {"m0": "9.86"}},
            f"{GIVE}, and the figures as printed give it",
        ),
        ("3.00", "3.3282", {"percent": {"m0": "9.91"}}, f"{GIVE}, and the figures at two decimals"),
        ("3.00", "3.3282", {"percent": {"m0": "9.75"}}, GIVE),
        ("3.00", "3.3282", {"percent": {"m0": "9.71"}}, f"; 1% {GIVE}"),
        ("3.00", "3.3282", {"components": ["m0"], "mean_percent": "9.9"}, "as printed give it"),
        # A bound is kept or not; it is not computed from figures.
        ("3.00", "3.3282", {"components": ["m0"], "at_most_percent": "9.9"}, GIVE),
        ("3.00", "3.3282", {"components": ["m0"], "at_most_percent": "10.01"}, "more than 99%"),
        ("3.00", "3.3282", {"components": ["m0"], "at_most_percent": "9.71"}, "less than 1%"),
        # At two decimals this reference is zero, and nothing is above it.
        ("0.0050", "0.0040", {"percent": {"m0": "25"}}, "as printed give it"),
        ("0.0050", "0.0040", {"percent": {"m0": "23"}}, GIVE),
    ],
)
def test_an_undecided_deviation_says_how_much_of_the_digits_gives_it(
    rerun: str, paper: str, stated: dict[str, Any], said: str
) -> None:
    claim = check(kind="deviation", result="rerun", reference="paper", **stated)
    found = judge(claim, published(table({"m0": paper}), table({"m0": rerun})))
    assert found.verdict == "undecided"
    assert said in found.reason
    if said == GIVE:
        assert found.reason.endswith(GIVE)


@pytest.mark.parametrize(
    ("named", "best_listed"),
    [({"m1": "3"}, {"mlp": 1}), ({"m1": "3"}, {}), ({"m1": "3", "m0": "0"}, {})],
)
def test_what_is_not_listed_has_no_digits(named: Figures, best_listed: dict[str, int]) -> None:
    claim = check(kind="ratio", result="paper", of="m1", to="m0", ratio="1.5")
    found = judge(claim, published(table(named, **best_listed)))
    assert found.verdict == "undecided"
    assert GIVE not in found.reason


def test_what_is_settled_says_nothing_of_digits() -> None:
    claim = check(kind="ratio", result="rerun", of="m1", to="m0", ratio="1.5")
    assert GIVE not in judge(claim, measured(table({"m1": 3, "m0": 2}))).reason
    claim = check(kind="ratio", result="paper", of="m1", to="m0", ratio="1.9")
    assert GIVE not in judge(claim, published(table({"m1": "3.0", "m0": "2.0"}))).reason
