"""The check of a selection: that the stated rule gives the circuit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from typing import ClassVar, Literal

from pydantic import ValidationInfo, model_validator

from replication.circuits import intervals
from replication.circuits.circuit import Circuit
from replication.circuits.components import Component, listing, names
from replication.circuits.intervals import Verdict, fraction, show
from replication.circuits.scores import ScoreTable, highest, precedes_over
from replication.circuits.selection import NOUNS, Rule, highest_of, select, take
from replication.circuits.steps import (
    AtLeast,
    Best,
    Rest,
    ScoredKind,
    Step,
    in_tables,
    kinds_of,
    tables_of,
)
from replication.claims.asked import CannotJudge, circuit_of, decider, is_printed, ranked, scores_of
from replication.claims.check import Check, Outcome, Part, conjunction, same
from replication.claims.keys import Budget, ResultName, Threshold, known
from replication.evidence.evidence import Evidence, Measured
from replication.inputs.files import InputError

# The tables that a rule looks at, by name; None stands for the one that has none.
Tables = Mapping[str | None, ScoreTable]


class Selection(Check):
    """The circuit is what the experiment's rule selects on the scores, with this budget.

    On printed scores the set must be settled by the digits, and the order must agree as far as
    they settle it. A measured circuit was selected by the experiment's rule itself; where that
    selects nothing on the run's scores, the check is refuted.
    """

    kind: Literal["selection"]
    circuit: ResultName
    budget: Budget
    mlp_threshold: Threshold | None = None

    named_results: ClassVar = ("circuit",)
    states_structure: ClassVar = True

    @model_validator(mode="after")
    def _of_the_rule(self, info: ValidationInfo) -> Selection:
        by_steps = known(info).by_steps
        if by_steps and self.mlp_threshold is not None:
            raise ValueError(
                "mlp_threshold: the experiment selects by steps, which state their own"
            )
        if not by_steps and self.mlp_threshold is None:
            raise ValueError("mlp_threshold: missing")
        return self

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        rule = evidence.spec.selection
        parts = [same("the experiment's budget", rule.budget, self.budget)]
        if self.mlp_threshold is not None:
            stated = float(fraction(self.mlp_threshold))
            parts.append(same("the experiment's MLP threshold", rule.mlp_threshold, stated))
        found = evidence.results.get(self.circuit)
        if isinstance(found, Measured) and found.no_circuit:
            lack = f"the rule selects no circuit: {found.no_circuit}"
            return conjunction([*parts, Part("refuted", lack)], lack, None)
        circuit = circuit_of(evidence, self.circuit)
        if not is_printed(evidence, self.circuit):
            parts.append(Part("holds", "the circuit was selected by this rule"))
            return conjunction(parts, names(circuit.nodes), names(circuit.nodes))
        parts += _whatever_the_scores(evidence.spec.rule, circuit)
        try:
            tables = self._tables(evidence)
            parts += self._settled(evidence, circuit, tables)
            selected = _selected(evidence.spec.rule, tables)
        except CannotJudge as lack:
            parts.append(Part("undecided", str(lack)))
            selected = None
        return conjunction(parts, selected, names(circuit.nodes))

    def _tables(self, evidence: Evidence) -> Tables:
        """The tables that the steps look at, by name."""
        named = {name for step in evidence.spec.rule.steps for name in tables_of(step)}
        return {name: scores_of(evidence, self.circuit, name) for name in named}

    def _settled(self, evidence: Evidence, circuit: Circuit, tables: Tables) -> list[Part]:
        """Whether the digits settle that the rule selects these nodes, and in this order.

        Of the steps that rank a kind the last one takes what the circuit holds of it beside what
        the others take, which is what they take on the figures as printed, if the digits settle it.
        """
        rule = evidence.spec.rule
        parts: list[Part] = []
        taken: list[Sequence[Component]] = []
        for number, step in enumerate(rule.steps):
            chosen = [component for before in taken for component in before]
            own = [tables[name] for name in tables_of(step)]
            kinds = kinds_of(step)
            is_last = not any(kinds & kinds_of(later) for later in rule.steps[number + 1 :])
            if own and is_last:
                kind = kinds.pop()
                taken.append([one for one in circuit.of_kind(kind) if one not in chosen])
            elif isinstance(step, Rest):
                left = [one for one in ranked(evidence, step.rest) if one not in chosen]
                taken.append(_rest_of(left, step, own, rule, chosen))
            else:
                taken.append(_taken(step, own, rule, chosen))
            if isinstance(step, Best | AtLeast | Rest):
                seen = _Seen(step, own, taken[-1], chosen, is_last)
                found = list(self._of_step(evidence, seen, rule))
                parts += found
                if not is_last and any(part.verdict != "holds" for part in found):
                    return parts
                parts += _lacking(circuit, taken[-1])
        parts += _not_taken(circuit, [one for step in taken for one in step])
        if circuit.metadata.ordered:
            parts += _order(rule, circuit, taken, tables)
        return parts

    def _of_step(self, evidence: Evidence, seen: _Seen, rule: Rule) -> Iterator[Part]:
        """Whether the digits settle that a step takes these components."""
        step, noun = seen.step, NOUNS[seen.kind]
        others = [one for one in ranked(evidence, seen.kind) if one not in seen.chosen]
        verdict_on = seen.reaches if isinstance(step, AtLeast) else seen.ranks
        # Where all that are left of the kind are taken, no score leaves one out.
        are_all = not isinstance(step, AtLeast) and set(seen.taken) == set(others)
        verdicts: dict[Component, Verdict] = {
            component: "holds" if are_all else verdict_on(component) for component in others
        }
        verdict = intervals.all_of(verdicts.values())
        match step:
            case Best():
                how = f" as the best{in_tables(step)}"
                yield same(f"{noun}s{how}", len(seen.taken), step.best)
            case Rest():
                how = f" by their rank{in_tables(step)}"
                room = min(rule.room(step.rest, seen.chosen), len(others))
                yield same(f"{noun}s", len(seen.taken), room)
            case AtLeast():
                how = f" by the threshold{in_tables(step)}"
                is_none = not seen.taken and not any(one.kind == step.of for one in seen.chosen)
                if is_none and (seen.is_the_circuits or verdict == "holds"):
                    yield Part(
                        "refuted",
                        f"where no {noun} reaches the threshold the rule selects nothing",
                    )
        telling = [component for component, found in verdicts.items() if found == verdict]
        named = listing(telling)
        these = f"these {len(seen.taken)} {noun}s{how}"
        match verdict:
            case "holds":
                yield Part(verdict, f"the rule selects {these}")
            case "refuted":
                yield Part(verdict, f"the rule does not select {these}: {named}")
            case "undecided":
                needed = decider(evidence, self.circuit)
                are_in = (
                    f"{named} {'is' if len(telling) == 1 else 'are'} in{seen.unlisted(telling)}"
                )
                yield Part(verdict, f"the figures do not settle whether {are_in}; {needed}")


@dataclass(frozen=True)
class _Seen:
    """A step that looks at scores, its tables, what it takes, and what was chosen before it.

    What it takes is the circuit's, or what it takes on the figures as printed.
    """

    step: Best | AtLeast | Rest
    tables: Sequence[ScoreTable]
    taken: Sequence[Component]
    chosen: Sequence[Component]
    is_the_circuits: bool

    @property
    def kind(self) -> ScoredKind:
        """The kind of component that it takes."""
        return self.step.rest if isinstance(self.step, Rest) else self.step.of

    @cached_property
    def _fills(self) -> bool:
        """Whether the best that one table is known to list fill what is taken of it.

        Then one that it does not list is out, whatever is.
        """
        if len(self.tables) > 1:
            return False
        (table,) = self.tables
        before = sum(component in table.scores for component in self.chosen)
        return table.best_listed.get(self.kind, 0) >= len(self.taken) + before

    def reaches(self, component: Component) -> Verdict:
        """Whether a component reaches the threshold if it is taken, and else does not."""
        assert isinstance(self.step, AtLeast)
        (table,) = self.tables
        score = table.score(component)
        threshold = Fraction(str(self.step.at_least))
        is_out = "undecided" if score is None else intervals.below(score, threshold)
        return intervals.negated(is_out) if component in self.taken else is_out

    def unlisted(self, unsettled: Sequence[Component]) -> str:
        """How high one of these that no table lists may score, in words, where that is known."""
        highest_known = highest(self.tables).scores
        if highest_known.keys() >= set(unsettled):
            return ""
        bounds = [one for table in self.tables if (one := table.unlisted(self.kind)) is not None]
        listed = {one: highest_known[one] for one in self.taken if one in highest_known}
        if isinstance(self.step, AtLeast) or len(bounds) < len(self.tables) or not listed:
            return ""
        last = min(listed, key=lambda one: listed[one].low)
        most = max(bound.high for bound in bounds)
        return (
            f": one that is not listed{in_tables(self.step)} scores at most {float(most):.6g},"
            f" and {last}, which is in, {show(listed[last])}"
        )

    def ranks(self, component: Component) -> Verdict:
        """Whether a component may be taken if it is, and else ranks behind all that are."""
        is_listed = any(component in table.scores for table in self.tables)
        if component in self.taken:
            if is_listed or len(self.tables) > 1:
                return "holds"
            return "refuted" if self._fills else "undecided"
        if not is_listed and self._fills:
            return "holds"
        return intervals.all_of(precedes_over(self.tables, one, component) for one in self.taken)


def _taken(
    step: Step, tables: Sequence[ScoreTable], rule: Rule, chosen: Sequence[Component]
) -> Sequence[Component]:
    """What a step takes on the figures as they are printed.

    Raises:
        CannotJudge: they are too few.
    """
    try:
        return take(step, highest_of([table.middles() for table in tables]), rule, chosen)
    except InputError as error:
        raise CannotJudge(str(error)) from None


def _rest_of(
    left: Sequence[Component],
    step: Rest,
    tables: Sequence[ScoreTable],
    rule: Rule,
    chosen: Sequence[Component],
) -> Sequence[Component]:
    """What a rest takes of what is left of its kind; all, where the budget holds all.

    Raises:
        CannotJudge: the tables list fewer than the budget holds.
    """
    room = rule.room(step.rest, chosen)
    if room >= len(left):
        return left
    found = _taken(step, tables, rule, chosen)
    if len(found) < room:
        raise CannotJudge(
            f"{len(found)} {NOUNS[step.rest]}s are left with a score{in_tables(step)}, of the"
            f" {room} that the budget holds"
        )
    return found


def _selected(rule: Rule, tables: Tables) -> list[str] | str:
    """What the rule selects on the figures as they are printed, or why it selects nothing."""
    scores = {name: table.middles() for name, table in tables.items()}
    named = {name: table for name, table in scores.items() if name is not None}
    try:
        return names(select(scores.get(None, {}), rule, named))
    except InputError as error:
        return str(error)


def _whatever_the_scores(rule: Rule, circuit: Circuit) -> Iterator[Part]:
    """What contradicts the rule whatever the scores are: its cost, and what it lacks."""
    cost = rule.costs.total(circuit.nodes)
    if cost > rule.budget:
        yield Part("refuted", f"the nodes cost {cost}, beyond the budget of {rule.budget}")
    yield from _lacking(circuit, sorted(rule.always))


def _lacking(circuit: Circuit, taken: Sequence[Component]) -> Iterator[Part]:
    if lacking := [component for component in taken if component not in circuit.nodes]:
        yield Part("refuted", f"the rule takes {listing(lacking)}, which the circuit lacks")


def _not_taken(circuit: Circuit, taken: Sequence[Component]) -> Iterator[Part]:
    if others := [component for component in circuit.nodes if component not in taken]:
        yield Part("refuted", f"the rule does not take {listing(others)}")


def _order(
    rule: Rule, circuit: Circuit, taken: Sequence[Sequence[Component]], tables: Tables
) -> Iterator[Part]:
    """What contradicts the order in which the rule takes the nodes."""
    in_order = [[node for node in circuit.nodes if node in step] for step in taken]
    if list(circuit.nodes) != [component for step in in_order for component in step]:
        yield Part("refuted", "the nodes do not stand in the order of the rule's steps")
    for step, stated, found in zip(rule.steps, taken, in_order, strict=True):
        own = [tables[name] for name in tables_of(step)]
        if not own and found != list(stated):
            yield Part("refuted", f"{listing(found)} stand in another order than the rule's")
        for before, after in combinations(found, 2) if own else ():
            if precedes_over(own, before, after) == "refuted":
                yield Part("refuted", f"{before} stands before {after}, which scores higher")
