"""Score tables: what is known of each component's score, its rank, and score files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float, Float32, Float64
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from replication.circuits.components import Component, Kind, ModelShape
from replication.circuits.intervals import Interval, Verdict, exact, printed
from replication.circuits.notations import Notation, NotationName, notation_of
from replication.inputs.files import InputError, faulty, read_json, validate
from replication.inputs.messages import quoted
from replication.inputs.positions import Place


def best_first(
    scores: Mapping[Component, Fraction], kind: Kind | Literal["all"] = "all"
) -> list[Component]:
    """The components of a kind by falling score; ties fall by layer, then head."""
    return sorted(
        (component for component in scores if kind in (component.kind, "all")),
        key=lambda component: (-scores[component], component),
    )


@dataclass(frozen=True)
class ScoreTable:
    """Scores as figures: exact where they were computed, intervals where they were printed.

    `best_listed` says how many of the best components of a kind the table is known to list: one
    that it does not list ranks behind those, and scores at most as much as the last of them.
    """

    scores: Mapping[Component, Interval]
    by_pair: Mapping[int, Mapping[Component, Interval]] = field(default_factory=dict)
    best_listed: Mapping[Kind, int] = field(default_factory=dict)

    def score(self, component: Component) -> Interval | None:
        """What is known of a component's score: None where that is nothing."""
        return self.scores.get(component) or self.unlisted(component.kind)

    def middles(self) -> dict[Component, Fraction]:
        """Every listed score as one number: of a printed figure, the printed value."""
        return {component: score.middle for component, score in self.scores.items()}

    @cached_property
    def ranks(self) -> dict[Component, int]:
        """Each listed component's rank among its kind, from 1."""
        kinds: tuple[Kind, ...] = ("mlp", "head")
        return {
            component: rank
            for kind in kinds
            for rank, component in enumerate(best_first(self.middles(), kind), start=1)
        }

    @cached_property
    def certain_best(self) -> set[Component]:
        """The listed components that are among the best so many of their kind, by `best_listed`."""
        found = set()
        for kind, count in self.best_listed.items():
            listed = {part: score for part, score in self.scores.items() if part.kind == kind}
            for part, score in listed.items():
                ahead = sum(
                    _listed_precedes(other_score, score, wins_ties=other < part) != "refuted"
                    for other, other_score in listed.items()
                    if other != part
                )
                if ahead < count:
                    found.add(part)
        return found

    def unlisted(self, kind: Kind) -> Interval | None:
        """What is known of a component of a kind that the table does not list."""
        return self._unlisted.get(kind)

    @cached_property
    def _unlisted(self) -> dict[Kind, Interval]:
        bounds = {}
        for kind, count in self.best_listed.items():
            highest = [score.high for other, score in self.scores.items() if other.kind == kind]
            bounds[kind] = Interval(Fraction(0), sorted(highest, reverse=True)[count - 1])
        return bounds


def table_of(
    means: Float64[np.ndarray, " components"],
    shape: ModelShape,
    pair_scores: Float32[np.ndarray, "pairs components"] | None = None,
) -> ScoreTable:
    """The table of computed scores: their means over the pairs and, where kept, each pair's own.

    A component whose score is nan has none, and is not listed.
    """
    by_pair = () if pair_scores is None else pair_scores
    return ScoreTable(
        _figures(means, shape),
        {number: _figures(values, shape) for number, values in enumerate(by_pair, start=1)},
    )


def _figures(
    values: Float[np.ndarray, " components"], shape: ModelShape
) -> dict[Component, Interval]:
    return {
        component: exact(float(value))
        for component, value in zip(shape.components(), values, strict=True)
        if not np.isnan(value)
    }


# What a score may be but 0, as a number or a text: beyond, what is computed from it is no float.
SMALLEST, LARGEST = 1e-50, 1e50

Score = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] | str


class _Metadata(BaseModel):
    """The metadata that a computation uses; others are carried along."""

    model_config = ConfigDict(extra="allow", strict=True)

    best_listed: dict[Kind, PositiveInt] = Field(default_factory=dict)
    by_pair: dict[str, dict[str, Score]] = Field(default_factory=dict)


class _ScoreFile(BaseModel):
    """`{"components": {"m2": 31.51, …}, "metadata": {…}}`; a score as a string keeps its digits.

    Published ones hold other keys besides.
    """

    model_config = ConfigDict(extra="ignore", strict=True)

    components: dict[str, Score]
    metadata: _Metadata = Field(default_factory=_Metadata)


def read_scores(
    path: Path,
    shape: ModelShape | None = None,
    n_pairs: int | None = None,
    notation: NotationName | None = None,
    *,
    of_attention: bool = False,
) -> ScoreTable:
    """The score table in a file.

    With a shape, every component must be one that the model has; with a number of pairs, every
    pair's number one of theirs; with a notation, heads must be named so. Scores `of_attention` are
    heads' mean attention weights.

    Raises:
        InputError: naming the file, the component and the reason.
    """
    file = validate(_ScoreFile, read_json(path), path)
    if not file.components:
        raise faulty(path, [(("components",), "components: there are no scores in it")])

    by_pair = file.metadata.by_pair
    names = dict.fromkeys(name for table in (file.components, *by_pair.values()) for name in table)
    try:
        named = notation_of(list(names), notation)
    except InputError as error:
        raise faulty(path, [(("components",), f"components: {error}")]) from None
    faults: list[tuple[Place, str]] = []

    def figures(scores: Mapping[str, float | str], *place: str) -> dict[Component, Interval]:
        found: dict[Component, Interval] = {}
        for name, score in scores.items():
            try:
                component, figure = _scored(name, named, shape), figure_of(name, score)
                if component in found:
                    raise InputError(f"{component} stands there more than once")
                if of_attention:
                    _check_attention(component, score, figure)
                found[component] = figure
            except InputError as error:
                faults.append(((*place, name), str(error)))
        return found

    scores = figures(file.components, "components")
    if len(scores) == len(file.components):
        faults += _best_listed_faults(file.metadata.best_listed, scores)
    pairs: dict[int, dict[Component, Interval]] = {}
    for number, pair in by_pair.items():
        place = ("metadata", "by_pair", number)
        if not re.fullmatch("[1-9][0-9]{0,8}", number):
            faults.append((place, f"metadata: by_pair: {quoted(number)} is no pair's number"))
        elif n_pairs is not None and int(number) > n_pairs:
            reason = f"metadata: by_pair: {number!r}: expected a pair from 1 to {n_pairs}"
            faults.append((place, reason))
        else:
            pairs[int(number)] = figures(pair, *place)
    if faults:
        raise faulty(path, faults)
    return ScoreTable(scores, pairs, file.metadata.best_listed)


def _best_listed_faults(
    stated: Mapping[Kind, int], scores: Collection[Component]
) -> Iterator[tuple[Place, str]]:
    """Of which kind a table lists fewer than it says it lists the best of."""
    for kind, count in stated.items():
        listed = sum(component.kind == kind for component in scores)
        if listed < count:
            reason = f"metadata: best_listed: {kind}: {count} stated, {listed} listed"
            yield ("metadata", "best_listed", kind), reason


def taken_as_exact(path: Path) -> list[str]:
    """The scores in a file that are numbers, by key: their printed digits are not known."""
    file = validate(_ScoreFile, read_json(path), path)
    places = {"components": file.components} | {
        f"metadata: by_pair: {number}": scores for number, scores in file.metadata.by_pair.items()
    }
    return [
        f"{place}: {name}: {score!r}"
        for place, scores in places.items()
        for name, score in scores.items()
        if not isinstance(score, str)
    ]


def _scored(name: str, notation: Notation, shape: ModelShape | None) -> Component:
    component = notation.component(name, shape)
    if component.kind == "input":
        raise InputError("the input is not scored, and cannot have a score")
    return component


def _check_attention(component: Component, score: float | str, figure: Interval) -> None:
    if component.kind != "head":
        raise InputError(f"components: {component}: attention gives an MLP no score")
    if figure.middle > 1:
        raise InputError(
            f"components: {component}: a mean attention weight is 0 to 1, found {quoted(score)}"
        )


def figure_of(name: str, score: float | str) -> Interval:
    """The figure that a component's score is, a text with the digits it was printed with.

    Raises:
        InputError: it is none, or negative, or too large or too small to compute with.
    """
    if not isinstance(score, str):
        if score and not SMALLEST <= score <= LARGEST:
            raise InputError(
                f"components: {name}: expected 0, or {SMALLEST:g} to {LARGEST:g}, found {score:g}"
            )
        return exact(str(score))
    if score.startswith("-"):
        raise InputError(f"components: {name}: a norm cannot be negative, found {quoted(score)}")
    try:
        return printed(score)
    except InputError as error:
        raise InputError(f"components: {name}: {error}") from None


def scores_file(table: ScoreTable, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a `scores.json`, the highest score first."""
    middles = table.middles()
    return {
        "components": {str(part): float(middles[part]) for part in best_first(middles)},
        "metadata": dict(metadata),
    }


def precedes(table: ScoreTable, better: Component, worse: Component) -> Verdict:
    """Whether a component ranks before another: the higher score does; ties fall by layer, head.

    The best that a table is known to list rank before any of their kind that it does not list,
    however near the two scores may be.
    """
    left, right = table.score(better), table.score(worse)
    if left is None or right is None:
        return "undecided"
    if better in table.scores and worse in table.scores:
        return _listed_precedes(left, right, wins_ties=better < worse)
    if better.kind == worse.kind and {better, worse} & table.certain_best:
        return "holds" if better in table.scores else "refuted"
    return _precedes(left, right, better < worse, worse < better)


def _listed_precedes(left: Interval, right: Interval, *, wins_ties: bool) -> Verdict:
    """As `precedes`, of two figures.

    Rounding keeps the order: figures of as many digits that differ are those of different scores,
    although their intervals share an end.
    """
    meet = left.low == right.high or left.high == right.low
    is_no_tie = meet and left.width == right.width > 0
    return _precedes(left, right, wins_ties or is_no_tie, not wins_ties or is_no_tie)


def _precedes(left: Interval, right: Interval, at_its_low: bool, at_its_high: bool) -> Verdict:
    """Whether the left score is higher; where only an end is shared, whether it counts as that."""
    if left.low > right.high or (left.low == right.high and at_its_low):
        return "holds"
    if left.high < right.low or (left.high == right.low and at_its_high):
        return "refuted"
    return "undecided"


def highest(tables: Sequence[ScoreTable]) -> ScoreTable:
    """Each component's highest score over the tables that list it.

    By pair it has those of the table in which the middle of its score is highest; of ties, of the
    first.
    """
    if len(tables) == 1:
        return tables[0]
    best: dict[Component, ScoreTable] = {}
    found: dict[Component, Interval] = {}
    for table in tables:
        for part, score in table.scores.items():
            so_far = found.setdefault(part, score)
            if part not in best or score.middle > best[part].scores[part].middle:
                best[part] = table
            higher = Interval(max(so_far.low, score.low), max(so_far.high, score.high))
            found[part] = next((one for one in (so_far, score) if one == higher), higher)
    pairs = sorted({number for table in tables for number in table.by_pair})
    return ScoreTable(
        found,
        {
            number: {
                part: table.by_pair[number][part]
                for part, table in best.items()
                if part in table.by_pair.get(number, {})
            }
            for number in pairs
        },
    )


def precedes_over(tables: Sequence[ScoreTable], better: Component, worse: Component) -> Verdict:
    """As `precedes`, by the highest score that a component has over several tables."""
    if _is_over(tables, better, worse):
        return "holds"
    return "refuted" if _is_over(tables, worse, better) else "undecided"


def _is_over(tables: Sequence[ScoreTable], better: Component, worse: Component) -> bool:
    """Whether every score of the one lies behind some score of the other, for certain."""
    return all(any(_is_before(here, better, there, worse) for here in tables) for there in tables)


def _is_before(here: ScoreTable, better: Component, there: ScoreTable, worse: Component) -> bool:
    """Whether a component's score in one table ranks before another's in another, for certain."""
    if here is there:
        return precedes(here, better, worse) == "holds"
    left, right = here.score(better), there.score(worse)
    if left is None or right is None:
        return False
    if better in here.scores and worse in there.scores:
        return _listed_precedes(left, right, wins_ties=better < worse) == "holds"
    return _precedes(left, right, better < worse, worse < better) == "holds"


def may_be_next(
    table: ScoreTable, component: Component, others: Sequence[Component]
) -> list[Component]:
    """The components that may rank next behind one, for all that the figures say."""
    score = {part: _known(table, part) for part in (component, *others)}
    certain = [other for other in others if precedes(table, component, other) == "holds"]
    least = max((score[other].low for other in certain), default=None)
    return [
        other
        for other in others
        if precedes(table, other, component) != "holds"
        and (least is None or score[other].high >= least)
    ]


def times_the_next(
    table: ScoreTable, component: Component, others: Sequence[Component]
) -> Interval | None:
    """A score over that of the one that ranks next behind it; None if it may be the last.

    Figures that overlap leave open which that is: the interval holds the quotient for every table
    that they allow. Let the score be x. The next one's is as high as the highest figure of those
    that may be behind, or x; and as low as the highest low end of those that are certain to be
    behind, the others being ahead. Both quotients rise with x, but fall where another component
    comes in, so their extremes are there or at the ends of x.

    Raises:
        ZeroDivisionError: the next one's score may be zero.
    """
    own = _known(table, component)
    behind = [other for other in others if precedes(table, other, component) != "holds"]
    scores = {other: _known(table, other) for other in behind}
    certain = [other for other in behind if precedes(table, component, other) == "holds"]
    if not certain:
        return None
    if max(scores[other].low for other in certain) <= 0:
        raise ZeroDivisionError(f"the score of what ranks next behind {component} may be zero")
    lowest = min(
        max(x / score.high, Fraction(1))
        for x in {own.low, *(score.low for score in scores.values())}
        if own.low <= x <= own.high
        for other, score in scores.items()
        if score.high > 0 and ((score.low, component) < (x, other) or score.low == x < own.high)
    )
    highest = max(
        x / max(score.low for other, score in scores.items() if score.high < x or other in certain)
        for x in {own.high, *(score.high for score in scores.values())}
        if own.low <= x <= own.high
    )
    return Interval(lowest, highest)


def _known(table: ScoreTable, component: Component) -> Interval:
    score = table.score(component)
    assert score is not None
    return score
