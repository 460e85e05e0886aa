"""Bounds of an expression over a box of figures: exact, or wider than the truth, never narrower.

A box gives each figure an interval. Interval arithmetic takes a figure that stands in an expression
twice for two figures, which may make its bounds too wide. So the slope in each figure is bounded as
well: where it has one sign, the figure is at one of its ends, both times, and those bounds are
exact. What is left is for subdivision (see `search`).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import reduce
from math import floor

from replication.arithmetic.expressions import Binary, Call, Name, Negative, Number, Power, Tree
from replication.circuits.intervals import Interval, exact

Box = Mapping[str, Interval]
# By figure; one that is missing has no part in it, and None is a slope that is not known.
Slopes = dict[str, Interval | None]

ZERO, ONE = exact(0), exact(1)
# Ends of more bits are rounded outwards, far beyond what digits settle, so that time is bounded.
MOST_BITS = 1024


class Unbounded(Exception):
    """A divisor may be zero in the box."""


def enclosure(tree: Tree, box: Box) -> Interval:
    """An interval that holds every value of an expression in a box.

    Raises:
        Unbounded: a divisor may be zero, as far as bounds can tell.
    """
    values, slopes = _with_slopes(tree, box)
    if all(_is_flat(box[name]) for name in slopes):
        return values
    lower, upper = dict(box), dict(box)
    for name, slope in slopes.items():
        if slope is not None and slope.low >= 0:
            lower[name], upper[name] = exact(box[name].low), exact(box[name].high)
        elif slope is not None and slope.high <= 0:
            lower[name], upper[name] = exact(box[name].high), exact(box[name].low)
    low, high = _values(tree, lower).low, _values(tree, upper).high
    return Interval(max(low, values.low), min(high, values.high))


def slopes_of(tree: Tree, box: Box) -> Slopes:
    """Bounds of the slope of an expression in each of its figures.

    Raises:
        Unbounded: as `enclosure`.
    """
    return _with_slopes(tree, box)[1]


def value_at(tree: Tree, point: Mapping[str, Fraction]) -> Fraction:
    """The value of an expression where each figure has one.

    Raises:
        Unbounded: a divisor is zero.
    """
    return _values(tree, {name: exact(value) for name, value in point.items()}).low


def _is_flat(interval: Interval) -> bool:
    return interval.low == interval.high


def _values(tree: Tree, box: Box) -> Interval:
    """Bounds by interval arithmetic alone."""
    match tree:
        case Number():
            return exact(tree.value)
        case Name():
            return box[tree.name]
        case Negative():
            return -_values(tree.of, box)
        case Power():
            return _raised(_values(tree.base, box), tree.exponent)
        case Binary():
            return _combined(tree, _values(tree.left, box), _values(tree.right, box))
        case Call():
            return _called(tree, [_values(part, box) for part in tree.of])
    raise AssertionError(tree)


def _combined(tree: Binary, left: Interval, right: Interval) -> Interval:
    match tree.operator:
        case "+":
            return _short(left + right)
        case "-":
            return _short(left - right)
        case "*":
            return _short(left * right)
        case "/":
            return _short(_divided(left, right))


def _divided(left: Interval, right: Interval) -> Interval:
    try:
        return left / right
    except ZeroDivisionError:
        raise Unbounded from None


def _raised(base: Interval, exponent: int) -> Interval:
    power = _short(base ** abs(exponent))
    return power if exponent >= 0 else _divided(ONE, power)


def _called(tree: Call, of: list[Interval]) -> Interval:
    match tree.function:
        case "abs":
            return abs(of[0])
        case "min":
            return Interval(min(one.low for one in of), min(one.high for one in of))
        case "max":
            return Interval(max(one.low for one in of), max(one.high for one in of))
        case "sum":
            return _short(sum(of, start=ZERO))
        case "mean":
            return _short(sum(of, start=ZERO).scaled(Fraction(1, len(of))))
        case "floor":
            return Interval(Fraction(floor(of[0].low)), Fraction(floor(of[0].high)))
        case "round":
            return Interval(*(_rounded(end, tree.digits) for end in (of[0].low, of[0].high)))
    raise AssertionError(tree)


def _rounded(value: Fraction, digits: int) -> Fraction:
    """A value at so many decimals; a half goes away from zero."""
    steps = floor(abs(value) * 10**digits + Fraction(1, 2))
    return Fraction(steps if value >= 0 else -steps, 10**digits)


def _short(values: Interval) -> Interval:
    """The interval, its ends rounded outwards where they have very many digits."""
    return Interval(_shortened(values.low, down=True), _shortened(values.high, down=False))


def _shortened(value: Fraction, *, down: bool) -> Fraction:
    over, under = value.numerator, value.denominator
    if over.bit_length() + under.bit_length() <= MOST_BITS:
        return value
    scale = MOST_BITS // 2 - over.bit_length() + under.bit_length()
    steps = value * Fraction(2) ** scale
    return Fraction(floor(steps) if down else -floor(-steps)) / Fraction(2) ** scale


def _with_slopes(tree: Tree, box: Box) -> tuple[Interval, Slopes]:
    """Bounds of an expression, and of its slope in every figure that is not exact."""
    match tree:
        case Number():
            return exact(tree.value), {}
        case Name():
            values = box[tree.name]
            return values, {} if _is_flat(values) else {tree.name: ONE}
        case Negative():
            values, slopes = _with_slopes(tree.of, box)
            return -values, _scaled(slopes, exact(-1))
        case Power():
            values, slopes = _with_slopes(tree.base, box)
            raised = _raised(values, tree.exponent)
            if tree.exponent == 0 or not slopes:
                return raised, {}
            steep = _raised(values, tree.exponent - 1).scaled(tree.exponent)
            return raised, _scaled(slopes, steep)
        case Binary():
            return _combined_slopes(
                tree, _with_slopes(tree.left, box), _with_slopes(tree.right, box)
            )
        case Call():
            return _called_slopes(tree, [_with_slopes(part, box) for part in tree.of])
    raise AssertionError(tree)


def _combined_slopes(
    tree: Binary, one: tuple[Interval, Slopes], other: tuple[Interval, Slopes]
) -> tuple[Interval, Slopes]:
    (left, left_slopes), (right, right_slopes) = one, other
    values = _combined(tree, left, right)
    match tree.operator:
        case "+":
            return values, _together(left_slopes, right_slopes)
        case "-":
            return values, _together(left_slopes, _scaled(right_slopes, exact(-1)))
        case "*":
            return values, _together(_scaled(left_slopes, right), _scaled(right_slopes, left))
        case "/":
            # (u / v)' = (u' - v' u / v) / v, of which u / v is bounded once more than needed.
            inner = _together(left_slopes, _scaled(right_slopes, -values))
            return values, _scaled(inner, _short(_divided(ONE, right)))


def _called_slopes(tree: Call, of: list[tuple[Interval, Slopes]]) -> tuple[Interval, Slopes]:
    values = _called(tree, [one for one, _ in of])
    all_slopes = [slopes for _, slopes in of]
    match tree.function:
        case "sum":
            return values, reduce(_together, all_slopes)
        case "mean":
            return values, _scaled(reduce(_together, all_slopes), exact(Fraction(1, len(of))))
        case "abs":
            inner = of[0][0]
            if inner.low >= 0:
                return values, all_slopes[0]
            sign = exact(-1) if inner.high <= 0 else Interval(Fraction(-1), Fraction(1))
            return values, _scaled(all_slopes[0], sign)
        case "min" | "max":
            return values, _either(all_slopes)
    return values, dict.fromkeys(all_slopes[0])


def _scaled(slopes: Slopes, factor: Interval) -> Slopes:
    return {
        name: None if slope is None else _short(slope * factor) for name, slope in slopes.items()
    }


def _together(one: Slopes, other: Slopes) -> Slopes:
    """The slopes of a sum."""
    return {
        name: None if left is None or right is None else _short(left + right)
        for name in one | other
        for left, right in [(one.get(name, ZERO), other.get(name, ZERO))]
    }


def _either(all_slopes: list[Slopes]) -> Slopes:
    """What holds the slopes of all of these."""
    found: Slopes = {}
    for name in set().union(*all_slopes):
        slopes = [one.get(name, ZERO) for one in all_slopes]
        known = [slope for slope in slopes if slope is not None]
        found[name] = (
            Interval(min(one.low for one in known), max(one.high for one in known))
            if len(known) == len(slopes)
            else None
        )
    return found
