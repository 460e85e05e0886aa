"""Random expressions over random figures, each with what it is worth at a point, by itself.

The value at a point is computed here from fractions, and by nothing of the package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from math import floor

from hypothesis import strategies as st

from replication.arithmetic.figures import Figure, read_figure

Point = dict[str, Fraction]


@dataclass(frozen=True)
class Value:
    """An expression's text, and its value at a point."""

    text: str
    at: Callable[[Point], Fraction]


@dataclass(frozen=True)
class Truth:
    """A condition's text, and whether it is so at a point."""

    text: str
    at: Callable[[Point], bool]


def of_name(name: str) -> Value:
    return Value(name, lambda point: point[name])


def of_number(text: str) -> Value:
    return Value(text, lambda _: Fraction(text))


def half_away(value: Fraction, digits: int) -> Fraction:
    steps = floor(abs(value) * 10**digits + Fraction(1, 2))
    return Fraction(steps, 10**digits) * (1 if value >= 0 else -1)


BINARY: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": lambda one, other: one / other,
}
CALLS: dict[str, Callable[[list[Fraction]], Fraction]] = {
    "min": min,
    "max": max,
    "sum": lambda values: sum(values, start=Fraction(0)),
    "mean": lambda values: sum(values, start=Fraction(0)) / len(values),
}
RELATIONS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


def binary(sign: str, one: Value, other: Value) -> Value:
    return Value(
        f"({one.text} {sign} {other.text})",
        lambda point: BINARY[sign](one.at(point), other.at(point)),
    )


def call(name: str, parts: list[Value]) -> Value:
    return Value(
        f"{name}({', '.join(part.text for part in parts)})",
        lambda point: CALLS[name]([part.at(point) for part in parts]),
    )


def extended(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    return st.one_of(
        st.builds(binary, st.sampled_from("+-*/"), inner, inner),
        st.builds(call, st.sampled_from(sorted(CALLS)), st.lists(inner, min_size=1, max_size=3)),
        inner.map(lambda one: Value(f"abs({one.text})", lambda point: abs(one.at(point)))),
        inner.map(lambda one: Value(f"-({one.text})", lambda point: -one.at(point))),
        inner.map(
            lambda one: Value(f"floor({one.text})", lambda point: Fraction(floor(one.at(point))))
        ),
        st.builds(
            lambda one, digits: Value(
                f"round({one.text}, {digits})", lambda point: half_away(one.at(point), digits)
            ),
            inner,
            st.integers(0, 2),
        ),
        st.builds(
            lambda one, exponent: Value(
                f"({one.text}) ** {exponent}", lambda point: one.at(point) ** exponent
            ),
            inner,
            st.integers(-2, 3),
        ),
    )


@cache
def values(names: tuple[str, ...]) -> st.SearchStrategy[Value]:
    leaves = st.one_of(
        st.sampled_from(names).map(of_name),
        st.sampled_from(names).map(of_name),
        st.sampled_from(["0", "1", "2", "0.5", "3.25"]).map(of_number),
    )
    return st.recursive(leaves, extended, max_leaves=5)


def compared(relation: str, one: Value, other: Value) -> Truth:
    return Truth(
        f"{one.text} {relation} {other.text}",
        lambda point: RELATIONS[relation](one.at(point), other.at(point)),
    )


def stated(figures: dict[str, Figure], one: Value, name: str, is_first: bool) -> Truth:
    """An equation with a figure by itself that stands nowhere else: what it states."""
    allowed = figures[name].values
    text = f"{name} == {one.text}" if is_first else f"{one.text} == {name}"
    return Truth(text, lambda point: allowed.low <= one.at(point) <= allowed.high)


def joined(one: Truth, word: str, other: Truth) -> Truth:
    if word == "and":
        return Truth(f"({one.text}) and ({other.text})", lambda p: one.at(p) and other.at(p))
    return Truth(f"({one.text}) or not ({other.text})", lambda p: one.at(p) or not other.at(p))


PRINTED = st.builds(
    lambda sign, whole, decimals: f"{sign}{whole}{decimals}",
    st.sampled_from(["", "", "-"]),
    st.integers(0, 12),
    st.sampled_from([".0", ".5", ".25", ".125", ".7", ".99"]),
)


@st.composite
def boxes(draw: st.DrawFn) -> dict[str, Figure]:
    """Figures a, b, c, some exact, some so wide that slopes turn in them; s only ever states."""
    names = draw(st.sampled_from([["a"], ["a", "b"], ["a", "b", "c"]]))
    found = {}
    for name in [*names, "s"]:
        text = draw(st.one_of(PRINTED, PRINTED, st.integers(0, 9).map(str)))
        spread = draw(st.sampled_from([None, "0.5", "2", "4"])) if "." in text else None
        found[name] = read_figure(text, digits="about" if spread else None, spread=spread)
    return found


@st.composite
def truths(draw: st.DrawFn, figures: dict[str, Figure]) -> Truth:
    names = tuple(name for name in figures if name != "s")
    value = values(names)

    def one() -> Truth:
        first = draw(value)
        if draw(st.booleans()) and first.text not in names:
            return stated(figures, first, "s", draw(st.booleans()))
        # What stands by itself would state: a sum with 0 does not.
        second = binary("+", draw(value), of_number("0"))
        return compared(
            draw(st.sampled_from(sorted(RELATIONS))), binary("+", first, of_number("0")), second
        )

    found = one()
    if draw(st.integers(0, 3)) == 0:
        found = joined(found, draw(st.sampled_from(["and", "or"])), one())
    return found


def grid(figures: dict[str, Figure], steps: int = 5) -> Iterator[Point]:
    """Points of a box: evenly spaced, the ends and the middles among them."""
    axes = []
    for figure in figures.values():
        low, width = figure.values.low, figure.values.width
        axes.append([low + width * step / (steps - 1) for step in range(steps)] if width else [low])
    for point in product(*axes):
        yield dict(zip(figures, point, strict=True))
