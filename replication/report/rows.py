"""Rows: what is known of every component of a model, as figures and in words.

A figure that is not known is None, and its words say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from replication.circuits.components import INPUT, Component, Kind, parse
from replication.report.record import ComponentRecord, Ends, ResultFigures

KINDS: Mapping[Kind, str] = {"input": "input", "mlp": "MLP", "head": "head"}


class Words(NamedTuple):
    """What is known of a component, as a reader sees it."""

    score: str
    rank: str
    interval: str
    distance: str
    circuit: str


@dataclass(frozen=True)
class Row:
    """What is known of one component.

    `layer` and `column` are its place on the grid. `listed` is how many of its kind have a score,
    and `of` how many there are, among which `place` is its rank; `limit` is what selects one.
    `ends` are those of what a printed score's digits allow; `score` is half-way between them.
    """

    component: str
    kind: str
    layer: str
    column: str
    score: float | None
    low: float | None
    high: float | None
    selected: bool | None
    rank: int | None
    listed: int
    of: int
    limit: float | None
    probability: float | None
    printed: str | None = None
    place: int | None = None
    ends: Ends | None = None

    @property
    def words(self) -> Words:
        """What hovering shows."""
        circuit = {True: "in the circuit", False: "left out", None: "not known"}[self.selected]
        if self.kind == KINDS["input"]:
            return Words("none", "none", "none", "none", circuit)
        return Words(
            score=self._in_digits,
            rank=self._rank_in_words,
            interval=interval(self.low, self.high),
            distance=self._distance_in_digits,
            circuit=circuit,
        )

    @property
    def _in_digits(self) -> str:
        if self.printed or self.ends is None:
            return self.printed or figure(self.score, "not published")
        return f"{figure(self.ends[0])} to {figure(self.ends[1])}"

    @property
    def _rank_in_words(self) -> str:
        """The rank among all of its kind, or else among those that are listed."""
        if self.place is not None:
            return f"{self.place} of {self.of} {self.kind}s"
        return f"{self.rank} of {self.listed} listed {self.kind}s" if self.rank else "not known"

    @property
    def _distance_in_digits(self) -> str:
        """How far the score lies above the limit; exact, where it was printed."""
        if self.score is None or self.limit is None:
            return "not known"
        if self.printed:
            return f"{Decimal(self.printed) - Decimal(repr(self.limit)):+f}"
        ends = dict.fromkeys(self.ends or (self.score,))
        return " to ".join(f"{end - self.limit:+.6g}" for end in ends)

    @property
    def in_words(self) -> str:
        """What a screen reader says of the mark."""
        known = (f"{key} {text}" for key, text in self.words._asdict().items())
        return f"{self.component}: {', '.join(known)}"


def components(figures: ResultFigures, controlled: Sequence[ComponentRecord] = ()) -> list[Row]:
    """One row for the input and every component of the model, with what is known of it.

    `controlled` are the components of a result's controls; they bring intervals and probabilities.
    """
    known = {one.component: one for one in controlled}
    listed = Counter(parse(name).kind for name in figures.scores or ())
    return [
        _row(component, figures, listed[component.kind], known.get(str(component)))
        for component in [INPUT, *figures.shape.components()]
    ]


def placed_on_grid(component: Component) -> dict[str, str]:
    """A component with its kind, and its place on the grid of its model."""
    return {
        "component": str(component),
        "kind": KINDS[component.kind],
        "layer": "input" if component == INPUT else str(component.layer),
        "column": "MLP" if component.kind == "mlp" else str(component.head),
    }


def _row(
    component: Component, figures: ResultFigures, listed: int, known: ComponentRecord | None
) -> Row:
    name, scores = str(component), figures.scores or {}
    cut = figures.cut.score if figures.cut else None
    limits = {"mlp": figures.mlp_threshold, "head": cut}
    low, high = (known and known.interval) or (None, None)
    return Row(
        **placed_on_grid(component),
        score=_middle(scores[name]) if name in scores else None,
        low=low,
        high=high,
        selected=None if figures.nodes is None else name in figures.nodes,
        rank=figures.ranks.get(name),
        listed=listed,
        of=sum(one.kind == component.kind for one in figures.shape.components()),
        limit=limits.get(component.kind),
        probability=known.selection_probability if known else None,
        printed=figures.printed.get(name),
        place=figures.places.get(name),
        ends=_ends(figures.scores[name]) if figures.scores and name in figures.scores else None,
    )


def _ends(score: float | Ends) -> Ends | None:
    return score if isinstance(score, tuple) else None


def _middle(score: float | Ends) -> float:
    return (score[0] + score[1]) / 2 if isinstance(score, tuple) else score


def figure(value: float | None, lack: str = "not known") -> str:
    """A score, or what selects by it, as a reader sees it: six digits, as arithmetic has it."""
    return lack if value is None else f"{value:.6g}"


def score_shown(one: ComponentRecord) -> str:
    """A component's score with the digits that were printed, if it was."""
    return one.printed or figure(one.score)


def number(value: float | None, lack: str = "not known") -> str:
    """Any other figure as a reader sees it: four digits."""
    return lack if value is None else f"{value:.4g}"


def interval(low: float | None, high: float | None) -> str:
    """An interval as a reader sees it."""
    return "not computed" if low is None else f"{number(low)} to {number(high)}"


@dataclass(frozen=True)
class ComparedRow:
    """One component where two circuits are laid on one grid; `state` says which of them has it."""

    left: Row
    right: Row
    state: str

    @property
    def differs(self) -> bool:
        """Whether only one of the two circuits has it."""
        return bool(self.left.selected) is not bool(self.right.selected)


@dataclass(frozen=True)
class Comparison:
    """Two circuits of one model, by name: the states there are, and a row for each component."""

    left: str
    right: str
    states: Sequence[str]
    rows: Sequence[ComparedRow]

    @cached_property
    def is_scored(self) -> bool:
        """Whether any component has a score in either."""
        return any(side.score is not None for row in self.rows for side in (row.left, row.right))


def compared(
    left: str, left_rows: Sequence[Row], right: str, right_rows: Sequence[Row]
) -> Comparison:
    """Two circuits, component by component."""
    states = {
        (True, True): "in both",
        (True, False): f"only in {left}",
        (False, True): f"only in {right}",
        (False, False): "in neither",
    }
    rows = [
        ComparedRow(here, there, states[bool(here.selected), bool(there.selected)])
        for here, there in zip(left_rows, right_rows, strict=True)
    ]
    return Comparison(left, right, list(states.values()), rows)
