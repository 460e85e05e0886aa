"""Digits: how much of what printed figures allow gives a statement that they leave undecided.

A statement that was computed from rounded figures may be right of those and not of the scores
behind them; so it is tried at the printed values, and at two decimals, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np

from replication.circuits.intervals import Interval
from replication.claims.check import Outcome

# Evenly spread over the box at random, always the same ones: a share of one half is then exact to
# 0.2%, its standard error, and is told to the percent.
POINTS, SEED = 100_000, 0

Compute = Callable[[Sequence[Any]], Sequence[Any]]


def with_digits(
    outcome: Outcome,
    figures: Sequence[Interval],
    compute: Compute,
    expected: Sequence[Interval],
    *,
    is_figure: bool = True,
) -> Outcome:
    """An undecided outcome with the share of the figures' digits that give the statement.

    `compute` makes of figures, numbers or arrays, what the statement expects; `is_figure` if that
    is a figure, which may have been computed from rounded ones, and no bound.
    """
    if outcome.verdict != "undecided":
        return outcome
    reason = f"{outcome.reason}; {_share(figures, compute, expected)}"
    if is_figure and (source := _source(figures, compute, expected)):
        reason += f", and the figures {source} give it"
    return replace(outcome, reason=reason)


def _share(figures: Sequence[Interval], compute: Compute, expected: Sequence[Interval]) -> str:
    points = np.random.default_rng(SEED).random((len(figures), POINTS))
    drawn = zip(figures, points, strict=True)
    values = compute([float(one.low) + float(one.width) * part for one, part in drawn])
    gives = np.ones(POINTS, bool)
    for value, allowed in zip(values, expected, strict=True):
        gives &= (float(allowed.low) <= value) & (value <= float(allowed.high))
    percent = round(100 * float(gives.mean()))
    found = {0: "less than 1%", 100: "more than 99%"}.get(percent, f"{percent}%")
    return f"{found} of the values that the digits allow give it"


def _source(
    figures: Sequence[Interval], compute: Compute, expected: Sequence[Interval]
) -> str | None:
    """The rounded figures that give the statement, in words."""
    as_printed = [one.middle for one in figures]
    rounded = [_two_decimals(value) for value in as_printed]
    for values, source in ((as_printed, "as printed"), (rounded, "at two decimals")):
        # A score that rounds to zero may stand below a line.
        if all(values) and all(
            allowed.low <= value <= allowed.high
            for value, allowed in zip(compute(values), expected, strict=True)
        ):
            return source
    return None


def _two_decimals(value: Fraction) -> Fraction:
    """A figure rounded to two decimals, half a unit up."""
    return Fraction(floor(100 * value + Fraction(1, 2)), 100)
