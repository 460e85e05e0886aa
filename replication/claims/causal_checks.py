"""Checks of what a circuit does: behaviour, faithfulness, effects, and what follows from them.

A figure that is stated with its digits is held against the measured one; a bound is held against
the interval, so that too few pairs leave it undecided (see `replication.controls.causal`).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isfinite
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, NonNegativeInt, PositiveInt, ValidationInfo, model_validator

from replication.circuits import intervals
from replication.circuits.components import INPUT, Among, Component, listing, parse
from replication.circuits.intervals import Verdict, allowed, exact, fraction, plain, show
from replication.claims.asked import CannotJudge
from replication.claims.check import Check, Outcome, Part, conjunction, same
from replication.claims.keys import (
    BehaviourName,
    ComponentName,
    CounterpartName,
    KeptCircuit,
    Number,
    Percent,
    PercentTolerance,
    Printed,
    PrintedPart,
    ScoredName,
    Tolerance,
    known,
)
from replication.controls.causal import Causal, NotShown
from replication.controls.causal_words import CausalWord
from replication.controls.faithfulness import Faithfulness
from replication.controls.not_computed import NotComputed
from replication.controls.thresholds import THRESHOLDS
from replication.controls.verify import Controls
from replication.evidence.evidence import Evidence, Result
from replication.experiment.behaviours import Averaging, Cell, Direction, Positions, Setting, Value


def _level(text: str) -> str:
    if not 0 < fraction(text) < 1:
        raise ValueError(f"expected a level between 0 and 1, found {text!r}")
    return text


Level = Annotated[Number, AfterValidator(_level)]
NOT_TOLD = "m(M) - m(0) is not clearly off zero"


RUN = "recorded or live evidence would decide it"


class CausalCheck(Check):
    """What all checks of interventions share: the behaviour that they look at."""

    behaviour: BehaviourName

    tolerance_unit: ClassVar = "%"

    def said(self, controls: Controls) -> Causal | NotShown:
        """What the controls say of the behaviour.

        Raises:
            CannotJudge: nothing was run under interventions.
        """
        if isinstance(controls.causal, NotComputed):
            raise CannotJudge(controls.causal.reason)
        return controls.causal[self.behaviour]

    def causal(self, controls: Controls) -> Causal:
        """What was found, of a behaviour that the model shows.

        Raises:
            CannotJudge: nothing was run, or the model does not show the behaviour.
        """
        found = self.said(controls)
        if isinstance(found, NotShown):
            raise CannotJudge(f"{self.behaviour}: {found.reason}")
        return found

    def told(self, controls: Controls) -> Causal:
        """What was found, of a behaviour that is told from none.

        Raises:
            CannotJudge: as `causal`, or no share of the behaviour says anything.
        """
        found = self.causal(controls)
        if not found.is_told:
            raise CannotJudge(f"{self.behaviour}: {NOT_TOLD}: no share of it says anything")
        return found

    def judge(self, evidence: Evidence, controls: Controls) -> Outcome:  # noqa: ARG002
        return self.judge_causal(controls)

    def judge_causal(self, controls: Controls) -> Outcome:
        """The outcome on what the interventions say; as `judge`."""
        raise NotImplementedError


class Behaviour(CausalCheck):
    """What the model does on the pairs, or on a counterpart: the mean, and how many are right."""

    kind: Literal["behaviour"]
    on: CounterpartName | None = None
    value: Printed | None = None
    tolerance: Tolerance | None = None
    right: PrintedPart | None = None
    at_least: Number | None = None

    states_figures: ClassVar = True
    tolerance_unit: ClassVar = ""

    @model_validator(mode="after")
    def _something_stated(self) -> Behaviour:
        if self.value is None and self.right is None and self.at_least is None:
            raise ValueError("expected value, right or at_least")
        return self

    def judge(self, evidence: Evidence, controls: Controls) -> Outcome:
        found = self.said(controls)
        names = [evidence.spec.sides[1], *evidence.spec.ablation.counterparts]
        one = found.shown if self.on is None else found.counterparts[names.index(self.on)]
        percent = Fraction(100 * one.right, one.pairs)
        low, high = one.interval
        shown = f"{one.mean:.4g} ({low:.4g} to {high:.4g})"
        parts = []
        if self.value is not None:
            verdict = intervals.equals(exact(one.mean), allowed(self.value, self.tolerance))
            parts.append(Part(verdict, f"a mean of {shown}, stated {self.value}"))
        if self.at_least is not None:
            verdict = _reaches(one.interval, float(fraction(self.at_least)))
            parts.append(Part(verdict, f"a mean of {shown}, stated at least {self.at_least}"))
        if self.right is not None:
            verdict = intervals.equals(exact(percent), allowed(self.right, None))
            counted = f"{one.right} of {one.pairs} pairs are right, {float(percent):.4g}%"
            parts.append(Part(verdict, f"{counted}, stated {self.right}%"))
        measured = {"mean": one.mean, "right": float(percent)}
        expected = {"mean": self.value or self.at_least, "right": self.right}
        return conjunction(parts, measured, expected)


class _OfCircuit(CausalCheck):
    """What all checks of a circuit's faithfulness share: the circuit, and the cell."""

    circuit: KeptCircuit
    value: Value | None = None
    direction: Direction | None = None
    positions: Positions | None = None
    averaging: Averaging | None = None

    def faithful(self, found: Causal) -> Faithfulness:
        """The circuit's faithfulness in the stated cell, which is the experiment's where not said.

        Raises:
            CannotJudge: it was not run in this cell, or the behaviour is not told from none there,
                or in one of the pairs whose ratios are averaged.
        """
        setting, averaging = found.cell
        cell = Cell(
            Setting(
                self.value or setting.value,
                self.direction or setting.direction,
                self.positions or setting.positions,
            ),
            self.averaging or averaging,
        )
        _check_kept(found, self.circuit)
        faithful = found.judged(self.circuit, cell)
        if faithful is None:
            raise CannotJudge(f"{self.circuit} was not run in this cell: {cell}")
        if not faithful.is_told:
            raise CannotJudge(f"{NOT_TOLD} ({cell}): no ratio to it says anything")
        if not isfinite(faithful.value):
            raise CannotJudge(f"m(M) - m(0) of a pair is 0 ({cell}), which has no ratio to it")
        return faithful


class Faithful(_OfCircuit):
    """How much of the behaviour a circuit keeps, in percent: a figure, or a bound."""

    kind: Literal["faithfulness"]
    percent: Printed | None = None
    tolerance: PercentTolerance | None = None
    at_least: Number | None = None
    at_most: Number | None = None

    states_figures: ClassVar = True

    @model_validator(mode="after")
    def _something_stated(self) -> Faithful:
        if self.percent is None and self.at_least is None and self.at_most is None:
            raise ValueError("expected percent, at_least or at_most")
        return self

    def judge(self, evidence: Evidence, controls: Controls) -> Outcome:
        if evidence.measured is None:
            return self._published(evidence)
        return self.judge_causal(controls)

    def _published(self, evidence: Evidence) -> Outcome:
        """F(C) by the means that a source prints, in whatever cell it means."""
        result = evidence.results.get(self.circuit, Result())
        published = result.behaviours.get(self.behaviour)
        is_of_a_cell = any((self.value, self.direction, self.positions, self.averaging))
        if published is None or is_of_a_cell:
            what = "this cell" if is_of_a_cell else f"{self.circuit} on {self.behaviour}"
            raise CannotJudge(f"no means of {what} were published; {RUN}")
        found = published.faithfulness
        if found is None:
            raise CannotJudge(f"by its digits m(M) - m(0) may be 0 or less; {RUN}")
        percent = found.scaled(100)
        shown = (
            f"({show(published.circuit)} - {show(published.empty)}) / ({show(published.whole)} -"
            f" {show(published.empty)}) = {percent}%"
        )
        parts = []
        if self.percent is not None:
            verdict = intervals.equals(percent, allowed(self.percent, self.tolerance))
            parts.append(Part(verdict, f"{shown}, stated {self.percent}%"))
        if self.at_least is not None:
            verdict = intervals.negated(intervals.below(percent, fraction(self.at_least)))
            parts.append(Part(verdict, f"{shown}, stated at least {self.at_least}%"))
        if self.at_most is not None:
            verdict = intervals.at_most(percent, fraction(self.at_most))
            parts.append(Part(verdict, f"{shown}, stated at most {self.at_most}%"))
        return conjunction(parts, plain(percent), self.percent or self.at_least or self.at_most)

    def judge_causal(self, controls: Controls) -> Outcome:
        found = self.faithful(self.causal(controls))
        value, (low, high) = 100 * found.value, found.interval
        shown = f"{self.circuit} keeps {_percent(found)} ({found.cell})"
        parts = []
        if self.percent is not None:
            verdict = intervals.equals(exact(value), allowed(self.percent, self.tolerance))
            parts.append(Part(verdict, f"{shown}, stated {self.percent}%"))
        if self.at_least is not None:
            verdict = _reaches((100 * low, 100 * high), float(fraction(self.at_least)))
            parts.append(Part(verdict, f"{shown}, stated at least {self.at_least}%"))
        if self.at_most is not None:
            verdict = _reaches((-100 * high, -100 * low), -float(fraction(self.at_most)))
            parts.append(Part(verdict, f"{shown}, stated at most {self.at_most}%"))
        return conjunction(parts, value, self.percent or self.at_least or self.at_most)


class Equivalence(_OfCircuit):
    """A circuit keeps all of the behaviour within so many percent, by two one-sided tests.

    What the tests must reject is that it differs by more, so that too few pairs give undecided.
    """

    kind: Literal["equivalence"]
    within: Percent

    def judge_causal(self, controls: Controls) -> Outcome:
        found = self.faithful(self.causal(controls))
        bound = float(fraction(self.within)) / 100
        low, high = (end - 1 for end in found.two_tests)
        shown = f"{100 * (1 + low):.4g}% to {100 * (1 + high):.4g}%"
        verdict: Verdict = "undecided"
        if -bound < low and high < bound:
            verdict = "holds"
        elif low >= bound or high <= -bound:
            verdict = "refuted"
        relation = {"holds": "are", "refuted": "are not", "undecided": "may or may not be"}[verdict]
        text = f"{self.circuit} keeps {shown}, which {relation} within {self.within}% of all of it"
        return conjunction([Part(verdict, text)], 100 * found.value, f"100 ± {self.within}")


def _check_kept(found: Causal, circuit: str) -> None:
    """Refuse a rival that selects no circuit, saying why.

    Raises:
        CannotJudge: it selects none.
    """
    if reason := found.behaved.unselected.get(circuit):
        raise CannotJudge(f"{circuit} was not run: {reason}")


class BeatsMatched(CausalCheck):
    """A circuit comes nearer to the whole model than matched circuits do, by their exact ranks."""

    kind: Literal["beats_matched"]
    circuit: KeptCircuit
    level: Level = "0.05"

    def judge_causal(self, controls: Controls) -> Outcome:
        ran = self.causal(controls)
        _check_kept(ran, self.circuit)
        found = ran.matched.get(self.circuit)
        if found is None:
            raise CannotJudge(f"{self.circuit} was not run on {self.behaviour}")
        level = float(fraction(self.level))
        verdict: Verdict = "undecided"
        if found.p_value <= level:
            verdict = "holds"
        elif found.share[0] > level:
            verdict = "refuted"
        text = (
            f"{found.as_good} of {found.drawn} matched circuits come as near to the whole model:"
            f" p = (1 + {found.as_good}) / (1 + {found.drawn}) = {found.p_value:.3g}"
        )
        if verdict == "undecided":
            text += f"; of all, {found.share[0]:.1%} to {found.share[1]:.1%} may"
        return conjunction([Part(verdict, text)], found.p_value, f"at most {self.level}")


class Effect(CausalCheck):
    """What of the behaviour goes when a component alone is ablated: its sign, share and rank.

    Rank 1 has the largest effect of that sign among the components of the kinds `among`, the input
    aside.
    """

    kind: Literal["effect"]
    component: ScoredName
    sign: Literal["serves", "against"]
    percent: Printed | None = None
    tolerance: PercentTolerance | None = None
    rank: PositiveInt | None = None
    among: Among = "all"

    states_figures: ClassVar = True

    @model_validator(mode="after")
    def _of_its_kind(self) -> Effect:
        if self.among not in (parse(self.component).kind, "all"):
            raise ValueError(f"{self.component} is not among the components ranked, {self.among}")
        return self

    def judge_causal(self, controls: Controls) -> Outcome:
        found = self.told(controls)
        effects, component = found.effects[0], parse(self.component)
        row = list(found.components).index(component)
        share, (low, high) = 100 * float(effects.share[row]), 100 * effects.interval[:, row]
        shown = f"{share:.4g}% ({low:.4g}% to {high:.4g}%) goes with {component}"
        is_found = effects.q_value[row] <= THRESHOLDS.false_discovery_rate.value
        turned = 1 if self.sign == "serves" else -1
        verdict: Verdict = "undecided"
        if is_found and min(turned * low, turned * high) > 0:
            verdict = "holds"
        elif (is_found and max(turned * low, turned * high) < 0) or effects.is_none[row]:
            verdict = "refuted"
        parts = [Part(verdict, f"{shown} (q = {effects.q_value[row]:.2g}), stated: {self.sign}")]
        if self.percent is not None:
            verdict = intervals.equals(exact(share), allowed(self.percent, self.tolerance))
            parts.append(Part(verdict, f"{shown}, stated {self.percent}%"))
        rank = self._rank(found, component)
        if self.rank is not None:
            parts.append(same(f"the rank of {component}", rank, self.rank))
        measured = {"share": share, "rank": rank}
        return conjunction(parts, measured, {"share": self.percent, "rank": self.rank})

    def _rank(self, found: Causal, component: Component) -> int:
        turned = 1 if self.sign == "serves" else -1
        shares = {
            one: turned * float(share)
            for one, share in zip(found.components, found.effects[0].share, strict=True)
            if one != INPUT and self.among in (one.kind, "all")
        }
        return 1 + sum(share > shares[component] for share in shares.values())


class Minimal(CausalCheck):
    """At most so many components of the measured circuit could go from it, one at a time."""

    kind: Literal["minimal"]
    at_most: NonNegativeInt = 0

    @model_validator(mode="after")
    def _of_fewer(self, info: ValidationInfo) -> Minimal:
        most = len(known(info).candidates("all"))
        if self.at_most >= most:
            raise ValueError(f"at_most is {self.at_most}; the model has {most} components")
        return self

    def judge_causal(self, controls: Controls) -> Outcome:
        found = self.told(controls)
        nodes = [node for node in next(iter(found.behaved.circuits.values())) if node != INPUT]
        go = found.inside.is_none | found.inside.opposes
        serve = found.inside.serves
        could = [node for node, is_so in zip(nodes, go, strict=True) if is_so]
        may = [node for node, one, two in zip(nodes, go, serve, strict=True) if not (one or two)]
        verdict: Verdict = "undecided"
        if len(could) > self.at_most:
            verdict = "refuted"
        elif len(could) + len(may) <= self.at_most:
            verdict = "holds"
        text = f"of {len(nodes)} components {len(could)} could go ({_some(could)})"
        if may:
            text += f", and of {len(may)} it is not shown that they serve"
        return conjunction([Part(verdict, text)], len(could), f"at most {self.at_most}")


class Complete(CausalCheck):
    """Without any set that was tried, the circuit lacks what the model lacks, within so much."""

    kind: Literal["complete"]
    within: Percent

    def judge_causal(self, controls: Controls) -> Outcome:
        found = self.told(controls)
        bound = float(fraction(self.within)) / 100
        worst = max(found.sets, key=lambda one: abs(one.gap))
        apart = [one for one in found.sets if _is_beyond(one.gap_interval, bound)]
        near = all(
            -bound < low and high < bound for low, high in (one.gap_interval for one in found.sets)
        )
        verdict: Verdict = "refuted" if apart else "holds" if near else "undecided"
        low, high = worst.gap_interval
        text = (
            f"of {len(found.sets)} sets that were tried, {listing(list(worst.components))}"
            f" ({worst.label}) parts the two most: without it the circuit keeps {worst.gap:+.1%}"
            f" ({low:+.1%} to {high:+.1%}) more than the model does"
        )
        return conjunction([Part(verdict, text)], 100 * worst.gap, f"within {self.within}")


class Matters(CausalCheck):
    """The causal word on a component."""

    kind: Literal["matters"]
    component: ComponentName
    word: CausalWord

    def judge_causal(self, controls: Controls) -> Outcome:
        found = self.causal(controls).words[parse(self.component)]
        verdict: Verdict = "undecided" if found.word == "not shown" else "refuted"
        if found.word == self.word:
            verdict = "holds"
        text = f"{self.component}: {found.word}: {found.reason}"
        return conjunction([Part(verdict, text)], found.word, self.word)


def _reaches(interval: tuple[float, float], bound: float) -> Verdict:
    """Whether what has this interval is at least the bound."""
    low, high = interval
    if low >= bound:
        return "holds"
    return "refuted" if high < bound else "undecided"


def _is_beyond(interval: tuple[float, float], bound: float) -> bool:
    return interval[0] > bound or interval[1] < -bound


def _percent(found: Faithfulness) -> str:
    low, high = found.interval
    return f"{100 * found.value:.4g}% ({100 * low:.4g}% to {100 * high:.4g}%)"


def _some(components: Sequence[Component]) -> str:
    shown = ", ".join(map(str, components[:6])) or "none"
    return f"{shown} and {len(components) - 6} more" if len(components) > 6 else shown
