"""Checks of ranks: the best components in order, or the ranks of some."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, ValidationInfo, model_validator

from replication.circuits import intervals
from replication.circuits.components import Among, Component, listing, names, parse, parsed
from replication.circuits.intervals import Interval, exact, show
from replication.circuits.scores import ScoreTable, best_first, precedes
from replication.claims.asked import decider, is_printed, ranked, scores_of
from replication.claims.check import Outcome, Part, ScoreCheck, conjunction
from replication.claims.keys import ResultName, ScoredName, ScoredNames, known
from replication.evidence.evidence import Evidence


class Ranking(ScoreCheck):
    """The best components in order, or the ranks of some; the best has rank 1."""

    kind: Literal["ranking"]
    result: ResultName
    among: Among
    first: ScoredNames | None = None
    ranks: Annotated[dict[ScoredName, PositiveInt], Field(min_length=1)] | None = None

    named_results: ClassVar = ("result",)
    states_structure: ClassVar = True

    @model_validator(mode="after")
    def _one_form(self, info: ValidationInfo) -> Ranking:
        if (self.first is None) == (self.ranks is None):
            raise ValueError("expected either first or ranks")
        for name in [*(self.first or ()), *(self.ranks or ())]:
            if self.among not in (parse(name).kind, "all"):
                raise ValueError(f"{name} is not among the components ranked, {self.among}")
        lowest = len(known(info).candidates(self.among))
        for name, rank in (self.ranks or {}).items():
            if rank > lowest:
                raise ValueError(f"ranks: {name} has rank {rank}, of {lowest} components ranked")
        return self

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        table = scores_of(evidence, self.result, self.table)
        candidates = ranked(evidence, self.among)
        if self.first is not None:
            return self._judge_first(evidence, table, candidates, parsed(self.first))
        measured, parts = {}, []
        for name, expected in (self.ranks or {}).items():
            low, high = self._rank(evidence, table, candidates, parse(name))
            measured[name] = low if low == high else [low, high]
            verdict = intervals.equals(Interval(Fraction(low), Fraction(high)), exact(expected))
            found = str(low) if low == high else f"between {low} and {high}"
            parts.append(Part(verdict, f"{name} has rank {found}, stated {expected}"))
        return conjunction(parts, measured, self.ranks)

    def _judge_first(
        self,
        evidence: Evidence,
        table: ScoreTable,
        candidates: Sequence[Component],
        first: Sequence[Component],
    ) -> Outcome:
        rest = [component for component in candidates if component not in first]
        parts = [self._step(evidence, table, better, [worse]) for better, worse in pairwise(first)]
        if rest:
            parts.append(self._step(evidence, table, first[-1], rest))
        middles = table.middles()
        best = best_first({part: middles[part] for part in candidates if part in middles})
        return conjunction(parts, names(best[: len(first)]), names(first))

    def _step(
        self,
        evidence: Evidence,
        table: ScoreTable,
        better: Component,
        others: Sequence[Component],
    ) -> Part:
        """Whether a component ranks before all the others; the text names the closest of them."""
        verdict = intervals.all_of(precedes(table, better, other) for other in others)
        unknown = [part for part in (better, *others) if table.score(part) is None]
        if unknown and verdict == "undecided":
            text = f"no published score of {listing(unknown)}; {decider(evidence, self.result)}"
            return Part("undecided", text)
        telling = [other for other in others if precedes(table, better, other) == verdict]
        closest = max(telling, key=lambda other: _known(table, other).high)
        relation = {"holds": "before", "refuted": "not before", "undecided": "perhaps before"}
        text = f"{better} ({_bounds(table, better)}) {relation[verdict]}"
        if len(others) > 1:
            text += f" the {len(others)} others, the closest"
        text += f" {closest} ({_bounds(table, closest)})"
        if verdict == "undecided":
            text += f"; {decider(evidence, self.result)}"
        return Part(verdict, text)

    def _rank(
        self,
        evidence: Evidence,
        table: ScoreTable,
        candidates: Sequence[Component],
        component: Component,
    ) -> tuple[int, int]:
        """The lowest and the highest rank that the evidence allows.

        A published circuit that was selected by rank lists its nodes best first, so it gives the
        ranks of its own nodes, and puts every other component of the kind behind them. Where the
        scores contradict it, both are allowed.
        """
        others = [other for other in candidates if other != component]
        ahead = [precedes(table, other, component) for other in others]
        low = 1 + ahead.count("holds")
        high = len(candidates) - ahead.count("refuted")
        circuit = evidence.results[self.result].circuit
        by_rank = evidence.spec.selection.steps is None
        if (
            is_printed(evidence, self.result)
            and circuit is not None
            and circuit.metadata.ordered
            and by_rank
            and self.among != "all"
        ):
            listed = circuit.of_kind(component.kind)
            if component in listed:
                place = listed.index(component) + 1
                return (
                    (place, place) if low <= place <= high else (min(low, place), max(high, place))
                )
            low = max(low, len(listed) + 1)
        return low, high


def _known(table: ScoreTable, component: Component) -> Interval:
    score = table.score(component)
    assert score is not None
    return score


def _bounds(table: ScoreTable, component: Component) -> str:
    score = _known(table, component)
    if component in table.scores:
        return show(score)
    return f"not listed, at most {float(score.high):.6g}"
