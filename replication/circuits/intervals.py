"""Figures as intervals: what the printed digits of a number allow, and what follows from it.

A figure printed as "31.51" is any value in [31.505, 31.515]. Bounds are exact fractions, so a
verdict never depends on how a digit, or a step of the computation, was rounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from replication.inputs.files import InputError
from replication.inputs.messages import quoted

Verdict = Literal["holds", "refuted", "undecided"]
_PRINTED = re.compile(r"-?[0-9]{1,50}(?:\.(?P<decimals>[0-9]{1,50}))?")


@dataclass(frozen=True)
class Interval:
    """All values from `low` to `high`, both included."""

    low: Fraction
    high: Fraction
    as_printed: str | None = field(default=None, compare=False, repr=False, kw_only=True)
    """As it was printed; None of what was computed."""

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __sub__(self, other: Interval) -> Interval:
        return self + -other

    def __mul__(self, other: Interval) -> Interval:
        """The product of independent figures."""
        products = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Interval(min(products), max(products))

    def __pow__(self, exponent: int) -> Interval:
        """Every value to a whole power, 0 or more."""
        base = abs(self) if exponent % 2 == 0 else self
        return Interval(base.low**exponent, base.high**exponent)

    def __truediv__(self, other: Interval) -> Interval:
        """The quotient of independent figures.

        Raises:
            ZeroDivisionError: the divisor may be zero.
        """
        if other.low <= 0 <= other.high:
            raise ZeroDivisionError(f"{other} may be zero")
        quotients = [a / b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Interval(min(quotients), max(quotients))

    def __abs__(self) -> Interval:
        if self.low <= 0 <= self.high:
            return Interval(Fraction(0), max(-self.low, self.high))
        ends = sorted((abs(self.low), abs(self.high)))
        return Interval(ends[0], ends[1])

    def scaled(self, factor: Fraction | int) -> Interval:
        """Every value times `factor`."""
        ends = sorted((self.low * factor, self.high * factor))
        return Interval(ends[0], ends[1])

    def shifted(self, offset: Fraction | int) -> Interval:
        """Every value plus `offset`."""
        return Interval(self.low + offset, self.high + offset)

    @property
    def width(self) -> Fraction:
        """How far the ends lie apart."""
        return self.high - self.low

    @property
    def is_bound(self) -> bool:
        """Whether it only bounds a figure, which was neither printed nor computed."""
        return self.as_printed is None and self.width > 0

    @property
    def middle(self) -> Fraction:
        """The value half-way between the ends."""
        return (self.low + self.high) / 2

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{float(self.low):.6g}"
        return f"{float(self.low):.6g} to {float(self.high):.6g}"


def exact(value: float | Fraction | str) -> Interval:
    """The interval that holds one value only."""
    return Interval(Fraction(value), Fraction(value))


def printed(text: str) -> Interval:
    """The values that a printed number stands for: half a unit of its last digit to either side.

    Raises:
        InputError: the text is not a plain decimal number.
    """
    match = _PRINTED.fullmatch(text)
    if match is None:
        raise InputError(f"{quoted(text)} is not a plain decimal number such as '31.51'")
    half_unit = Fraction(1, 2 * 10 ** len(match["decimals"] or ""))
    return Interval(Fraction(text) - half_unit, Fraction(text) + half_unit, as_printed=text)


def mean(intervals: Sequence[Interval]) -> Interval:
    """The mean of independent figures.

    Raises:
        ZeroDivisionError: there are none.
    """
    return sum(intervals, start=exact(0)).scaled(Fraction(1, len(intervals)))


def equals(measured: Interval, expected: Interval) -> Verdict:
    """Whether the measured figure lies in the expected interval: all, none, or some of it."""
    if expected.low <= measured.low and measured.high <= expected.high:
        return "holds"
    if measured.high < expected.low or expected.high < measured.low:
        return "refuted"
    return "undecided"


def below(measured: Interval, bound: Fraction) -> Verdict:
    """Whether the measured figure is smaller than the bound."""
    if measured.high < bound:
        return "holds"
    return "refuted" if measured.low >= bound else "undecided"


def at_most(measured: Interval, bound: Fraction) -> Verdict:
    """Whether the measured figure is the bound or smaller."""
    if measured.high <= bound:
        return "holds"
    return "refuted" if measured.low > bound else "undecided"


def negated(verdict: Verdict) -> Verdict:
    """The verdict on the opposite statement."""
    match verdict:
        case "holds":
            return "refuted"
        case "refuted":
            return "holds"
        case "undecided":
            return "undecided"


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a conjunction: it holds if all parts do; one refuted part refutes it."""
    found = set(verdicts)
    if "refuted" in found:
        return "refuted"
    return "undecided" if "undecided" in found else "holds"


def show(figure: Interval) -> str:
    """A figure as it is written in arithmetic: of a printed one, the digits that were printed."""
    if figure.as_printed is not None:
        return figure.as_printed
    return f"({figure})" if figure.is_bound else str(figure)


def plain(figure: Interval) -> float | list[float]:
    """A figure as JSON: a number where it is one, its ends where it is not."""
    if figure.low == figure.high:
        return float(figure.low)
    return [float(figure.low), float(figure.high)]


def fraction(text: str) -> Fraction:
    """The exact value of a printed number."""
    return printed(text).middle


def allowed(text: str, tolerance: str | None) -> Interval:
    """What a claimed figure allows: its printed digits, or the stated tolerance to either side."""
    if tolerance is None:
        return printed(text)
    margin = fraction(tolerance)
    return Interval(fraction(text) - margin, fraction(text) + margin)
