"""Selection: which components make the circuit, by steps under a write budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float64, Int64

from replication.circuits.components import INPUT, Component, ModelShape, WriteCosts, parsed
from replication.circuits.scores import best_first
from replication.circuits.steps import (
    All,
    AtLeast,
    Best,
    Fixed,
    Rest,
    ScoredKind,
    Step,
    Take,
    in_tables,
    kinds_of,
    tables_of,
)
from replication.inputs.files import InputError

Scores = Mapping[Component, Fraction]
NO_TABLES: Mapping[str, Scores] = MappingProxyType({})
# Score tables by name, of which each row has its own.
RowsByTable = Mapping[str, Float64[np.ndarray, "rows components"]]
NO_ROWS: RowsByTable = MappingProxyType({})
NOUNS: Mapping[ScoredKind, str] = {"mlp": "MLP", "head": "head"}


class NotSelected(InputError):
    """The rule selects nothing on these scores; the message says which step cannot be taken."""


@dataclass(frozen=True)
class Rule:
    """The selection rule: steps, one after the other, under a write budget in dimensions.

    `components` are the model's, for a step that takes all of a kind.
    """

    costs: WriteCosts
    budget: int
    steps: Sequence[Step]
    components: Sequence[Component] = ()

    def room(self, kind: ScoredKind, chosen: Sequence[Component]) -> int:
        """How many of a kind the budget holds beside these; below zero where it lacks theirs."""
        return (self.budget - self.costs.total(chosen)) // self.costs.of_kind(kind)

    @property
    def looks_at_scores(self) -> bool:
        """Whether scores have a part in what it selects."""
        return any(map(tables_of, self.steps))

    @property
    def always(self) -> set[Component]:
        """What it takes whatever the scores are."""
        return {
            component
            for step in self.steps
            if not tables_of(step)
            for component in take(step, {}, self, ())
        }


def select(scores: Scores, rule: Rule, tables: Mapping[str, Scores] = NO_TABLES) -> list[Component]:
    """The selected components, in the order in which they are chosen.

    A step that names no table looks at `scores`, another at those of `tables` that it names. What
    an earlier step has chosen, a later one passes over.

    Raises:
        NotSelected: the budget does not hold what a step takes, or a step finds too little to take.
    """
    chosen: list[Component] = []
    for step in rule.steps:
        seen = highest_of([scores if name is None else tables[name] for name in tables_of(step)])
        taken = take(step, seen, rule, chosen)
        if rule.costs.total([*chosen, *taken]) > rule.budget:
            raise NotSelected(_beyond(step, taken, rule, chosen))
        chosen += taken
    return chosen


def highest_of(tables: Sequence[Scores]) -> Scores:
    """Each component's highest score over several tables."""
    if len(tables) == 1:
        return tables[0]
    found: dict[Component, Fraction] = {}
    for table in tables:
        for component, score in table.items():
            found[component] = max(score, found.get(component, score))
    return found


def _candidates(step: Step, scores: Scores, rule: Rule) -> list[Component]:
    """What a step can take, in the order in which it does."""
    match step:
        case Take():
            return [INPUT]
        case All():
            return [component for component in rule.components if component.kind == step.all]
        case Fixed():
            return parsed(step.fixed)
        case Best() | AtLeast():
            return best_first(scores, step.of)
        case Rest():
            return best_first(scores, step.rest)


def take(
    step: Step, scores: Scores, rule: Rule, chosen: Sequence[Component]
) -> Sequence[Component]:
    """What a step takes beside what is chosen, whatever that costs.

    Raises:
        NotSelected: it finds too little to take.
    """
    before = set(chosen)
    found = [one for one in _candidates(step, scores, rule) if one not in before]
    match step:
        case Best():
            if len(found) < step.best:
                raise NotSelected(
                    f"{len(found)} {NOUNS[step.of]}s are left with a score{in_tables(step)}, of"
                    f" the {step.best} best that are to be taken"
                )
            return found[: step.best]
        case AtLeast():
            first = next(iter(best_first(scores, step.of)), None)
            if first is not None and float(scores[first]) < step.at_least:
                raise NotSelected(
                    f"no {NOUNS[step.of]} reaches the threshold of {step.at_least:g}:"
                    f" the highest score is {float(scores[first]):.6g} ({first})"
                )
            return [one for one in found if float(scores[one]) >= step.at_least]
        case Rest():
            return found[: max(0, rule.room(step.rest, chosen))]
        case _:
            return found


def _beyond(step: Step, taken: Sequence[Component], rule: Rule, chosen: Sequence[Component]) -> str:
    """That the budget does not hold what a step takes, with both numbers."""
    match step:
        case Take():
            what = "the input"
        case Best():
            what = f"the {len(taken)} best {NOUNS[step.of]}s{in_tables(step)}"
        case AtLeast():
            what = (
                f"the {len(taken)} {NOUNS[step.of]}s at or above the threshold of {step.at_least:g}"
            )
        case All():
            what = f"all {NOUNS[step.all]}s"
        case Fixed() | Rest():  # the rest is what the budget holds
            what = "the fixed set"
    cost = "costs" if isinstance(step, Take | Fixed) else "cost"
    beside = f" with the {len(chosen)} chosen before" if chosen else ""
    if chosen == [INPUT]:
        beside = " with the input"
    total = rule.costs.total([*chosen, *taken])
    return f"a budget of {rule.budget} does not hold {what}, which {cost} {total}{beside}"


def selections(
    scores: Float64[np.ndarray, "rows components"],
    shape: ModelShape,
    rule: Rule,
    tables: RowsByTable = NO_ROWS,
) -> Bool[np.ndarray, "rows components"]:
    """What `select` selects on every row, the input aside.

    A step that names no table looks at `scores`, another at those of `tables` that it names.
    Components stand in the order of `ModelShape.components`; one whose score is nan is not scored.
    Nothing is selected on a row on which a step cannot be taken.
    """
    components = shape.components()
    costs = np.array([rule.costs.of(component) for component in components])
    chosen = np.zeros(scores.shape, dtype=bool)
    cost = np.zeros(len(scores), dtype=np.int64)
    is_possible = np.ones(len(scores), dtype=bool)
    has_input = False
    for step in rule.steps:
        if "input" in kinds_of(step) and not has_input:
            has_input = True
            cost += rule.costs.of(INPUT)
        own = _is_candidate(step, components)
        seen = [scores if name is None else tables[name] for name in tables_of(step)] or [scores]
        highest = np.fmax.reduce(seen)
        taken, is_enough = _taken_by_row(step, highest, own, chosen, rule, cost)
        chosen |= taken
        cost += taken @ costs
        is_possible &= is_enough & (cost <= rule.budget)
    return chosen & is_possible[:, None]


def _is_candidate(step: Step, components: Sequence[Component]) -> Bool[np.ndarray, " components"]:
    """Which components a step can take."""
    if isinstance(step, Fixed):
        fixed = set(parsed(step.fixed))
        return np.array([component in fixed for component in components])
    kinds = kinds_of(step)
    return np.array([component.kind in kinds for component in components])


def _taken_by_row(
    step: Step,
    scores: Float64[np.ndarray, "rows components"],
    own: Bool[np.ndarray, " components"],
    chosen: Bool[np.ndarray, "rows components"],
    rule: Rule,
    cost: Int64[np.ndarray, " rows"],
) -> tuple[Bool[np.ndarray, "rows components"], Bool[np.ndarray, " rows"]]:
    """What a step takes of its `own` components on each row, and whether there are enough."""
    can, scored = own & ~chosen, own & ~np.isnan(scores)
    match step:
        case AtLeast():
            reaches = scored & (scores >= step.at_least)
            return can & reaches, reaches.any(axis=1) | ~scored.any(axis=1)
        case Best():
            most = np.full(len(scores), step.best)
            can &= scored
            is_enough = np.asarray(can.sum(axis=1) >= step.best)
        case Rest():
            can &= scored
            most = (rule.budget - cost) // rule.costs.of_kind(step.rest)
            is_enough = np.ones(len(scores), dtype=bool)
        case _:
            return can, np.ones(len(scores), dtype=bool)
    # Ties fall by layer, then head.
    order = np.argsort(np.where(can, -scores, np.inf), axis=1, kind="stable")
    first = np.zeros_like(can)
    np.put_along_axis(first, order, np.arange(scores.shape[1]) < most[:, None], axis=1)
    return first & can, is_enough
