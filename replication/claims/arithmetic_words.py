"""Comparisons of figures in words: with what was printed, and what it comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from replication.arithmetic.bounds import Unbounded, enclosure
from replication.arithmetic.conditions import (
    Condition,
    box_of,
    condition_of,
    counted,
    stated_side,
    taken_by,
)
from replication.arithmetic.expressions import (
    Comparison,
    In,
    Name,
    Number,
    Relation,
    Token,
    Tree,
    walk,
)
from replication.arithmetic.figures import PERCENT, Figure, ListedSet
from replication.arithmetic.search import Decision, decide
from replication.circuits.intervals import Interval, Verdict, plain
from replication.claims.check import Part
from replication.evidence.published_figures import Named

Figures = Mapping[str, Named]

_RELATIONS: dict[Relation | Literal["in"], str] = {
    "==": "the same as",
    "!=": "another than",
    "<": "below",
    "<=": "at most",
    ">": "above",
    ">=": "at least",
    "in": "in",
}
_VERBS: dict[Verdict, str] = {
    "holds": "is",
    "refuted": "is not",
    "undecided": "may or may not be",
}


@dataclass(frozen=True)
class Told:
    """One comparison: its sides as they are printed, and what they come to where they compute.

    `stated` is the side, 0 or 1, that states the other, if one does; `unit` that of the values.
    """

    condition: Condition
    sides: tuple[str, str]
    values: tuple[Interval | None, Interval | None]
    relation: Relation | Literal["in"]
    stated: int | None = None
    unit: Literal["", "%"] = ""

    def text(self, verdict: Verdict) -> str:
        """The comparison in words, with the verdict on it."""
        if self.stated is not None and self.relation == "==":
            return f"{self._side(1 - self.stated, ' = {}')}, stated {self.sides[self.stated]}"
        is_so = f"{_VERBS[verdict]} {_RELATIONS[self.relation]}"
        return f"{self._side(0, ' ({})')} {is_so} {self._side(1, ' ({})')}"

    def part(self, figures: Figures) -> Part:
        """The comparison with a verdict of its own."""
        verdict = decide(self.condition, box_of(figures)).verdict
        return Part(verdict, self.text(verdict))

    def _side(self, side: int, form: str) -> str:
        values = self.values[side]
        shown = self.sides[side] if values is None else f"{range_of(values)}{self.unit}"
        return self.sides[side] + (form.format(shown) if shown != self.sides[side] else "")


def comparisons(text: str, tree: Tree, figures: Figures, stating: set[str]) -> Iterator[Told]:
    """Every comparison in an expression."""
    for part in walk(tree):
        if isinstance(part, In):
            condition = condition_of(part, figures, stating)
            yield Told(condition, (repr(part.member), part.of.name), (None, None), "in")
        if not isinstance(part, Comparison):
            continue
        shown = [_as_printed(text, tokens, figures) for tokens in part.shown]
        for place, relation in enumerate(part.relations):
            sides = part.operands[place], part.operands[place + 1]
            yield _compared(sides, (shown[place], shown[place + 1]), relation, figures, stating)


def _compared(
    sides: tuple[Tree, Tree],
    shown: tuple[str, str],
    relation: Relation,
    figures: Figures,
    stating: set[str],
) -> Told:
    condition = condition_of(Comparison(sides, (relation,), (), sides[0].at), figures, stating)
    is_equation = relation in ("==", "!=") and not isinstance(_figure(sides[0], figures), ListedSet)
    stated = stated_side(*sides, figures, stating) if is_equation else None
    in_percent = any(_is_percentage(side, figures) for side in sides)
    taken = list(sides)
    if stated is not None:
        taken[1 - stated] = taken_by(sides[stated], sides[1 - stated], figures)
    found = [
        None if isinstance(side, Name | Number) else _bounds(one, figures)
        for side, one in zip(sides, taken, strict=True)
    ]
    left, right = (one.scaled(100) if one and in_percent else one for one in found)
    return Told(condition, shown, (left, right), relation, stated, "%" if in_percent else "")


def measured_in(told: Sequence[Told]) -> dict[str, Any]:
    """What the sides that compute something come to, as plain data."""
    return {
        side: plainly(values)
        for one in told
        for side, values in zip(one.sides, one.values, strict=True)
        if values is not None
    }


def shares(decision: Decision) -> str:
    """How much of what the digits allow gives a statement that they leave undecided."""
    if decision.is_open and not (decision.true or decision.false):
        return (
            f"in {decision.boxes} parts of what the digits allow it is neither shown nor excluded"
        )
    give, not_give = (f"{int(share / PERCENT)}%" for share in (decision.true, decision.false))
    return (
        f"of the values that the digits allow at least {give} give it, and at least {not_give} do"
        " not"
    )


def number(value: Fraction) -> str:
    """A value with six digits."""
    try:
        return f"{float(value):.6g}"
    except OverflowError:
        return "beyond 1e308"


def range_of(values: Interval) -> str:
    """The ends of an interval, or its only value."""
    low, high = number(values.low), number(values.high)
    return low if low == high else f"{low} to {high}"


def plainly(values: Interval) -> Any:
    """An interval as JSON."""
    try:
        return plain(values)
    except OverflowError:
        return range_of(values)


def _figure(side: Tree, figures: Figures) -> Named | None:
    return figures[side.name] if isinstance(side, Name) else None


def _bounds(side: Tree, figures: Figures) -> Interval | None:
    """What a side that computes something comes to; None where that has no bounds."""
    try:
        return enclosure(counted(side, figures), box_of(figures))
    except Unbounded:
        return None


def _is_percentage(side: Tree, figures: Figures) -> bool:
    figure = _figure(side, figures)
    if isinstance(figure, Figure):
        return figure.dimension == "percentage"
    return isinstance(side, Number) and side.text.endswith("%")


def _as_printed(text: str, tokens: Sequence[Token], figures: Figures) -> str:
    """A side of a comparison as it is written, with printed figures in place of their names."""
    shown, end = "", tokens[0].at - 1
    for token in tokens:
        figure = figures.get(token.text.strip("`")) if token.kind == "name" else None
        shown += text[end : token.at - 1]
        shown += figure.printed if isinstance(figure, Figure) else token.text
        end = token.at - 1 + len(token.text)
    return " ".join(shown.split())
