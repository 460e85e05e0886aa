"""Checks of scores: their values, ranks, ratios, deviations and bounds."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, ValidationInfo, model_validator

from replication.circuits import intervals
from replication.circuits.components import Among, Component, listing, parse, parsed
from replication.circuits.intervals import (
    Interval,
    Verdict,
    allowed,
    exact,
    fraction,
    plain,
    printed,
    show,
)
from replication.circuits.scores import ScoreTable, best_first, may_be_next, times_the_next
from replication.claims.asked import (
    CannotJudge,
    circuit_of,
    decider,
    is_printed,
    ranked,
    score_of,
    scores_of,
)
from replication.claims.check import Outcome, Part, ScoreCheck, conjunction, same
from replication.claims.digits import Compute, with_digits
from replication.claims.keys import (
    ComponentOrNext,
    Percent,
    PercentTolerance,
    PrintedPercent,
    PrintedRatio,
    PrintedScore,
    ResultName,
    ScoreBound,
    ScoredName,
    ScoredNames,
    Tolerance,
    known,
    stated_percent,
)
from replication.evidence.evidence import Evidence


class Scores(ScoreCheck):
    """Components' scores: over all pairs, or on the pair of that number."""

    kind: Literal["scores"]
    result: ResultName
    scores: Annotated[dict[ScoredName, PrintedScore], Field(min_length=1)]
    pair: PositiveInt | None = None
    tolerance: Tolerance | None = None

    named_results: ClassVar = ("result",)
    states_figures: ClassVar = True

    @model_validator(mode="after")
    def _a_pair_of_the_run(self, info: ValidationInfo) -> Scores:
        pairs = known(info).pairs if self.result == known(info).measures else None
        if self.pair is not None and pairs is not None and self.pair > pairs:
            raise ValueError(f"pair is {self.pair}; the experiment has {pairs} pairs")
        return self

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        found = self._known(scores_of(evidence, self.result, self.table))
        repeated = [name for name in found if self._repeats(evidence, name, found[name])]
        parts = [
            self._compare(evidence, name, score)
            for name, score in found.items()
            if name not in repeated
        ]
        needed = decider(evidence, self.result)
        if repeated:
            figures = ", ".join(f"{name} {self.scores[name]}" for name in repeated)
            parts.append(
                Part("undecided", f"published as {figures}: the statement itself; {needed}")
            )
        if unknown := [name for name in self.scores if name not in found]:
            where = "" if self.pair is None else f" on pair {self.pair}"
            parts.append(
                Part("undecided", f"no published score of {', '.join(unknown)}{where}; {needed}")
            )
        measured = {name: plain(score) for name, score in found.items()}
        return conjunction(parts, measured, dict(self.scores))

    def _known(self, table: ScoreTable) -> dict[str, Interval]:
        """What is known of each stated score, by component."""
        if self.pair is None:
            found = {name: table.score(parse(name)) for name in self.scores}
        else:
            on_pair = table.by_pair.get(self.pair, {})
            found = {name: on_pair.get(parse(name)) for name in self.scores}
        return {name: score for name, score in found.items() if score is not None}

    def _repeats(self, evidence: Evidence, name: str, score: Interval) -> bool:
        """Whether a published figure is the stated one, digit for digit, and so no test of it."""
        text = self.scores[name]
        return is_printed(evidence, self.result) and score in (printed(text), exact(text))

    def _compare(self, evidence: Evidence, name: str, score: Interval) -> Part:
        """One score against the stated figure.

        A source that prints one figure twice, with as many digits but not the same ones,
        contradicts itself, although the two intervals may touch.
        """
        stated = self.scores[name]
        verdict = intervals.equals(score, allowed(stated, self.tolerance))
        as_many_digits = score.as_printed is not None and score.width == printed(stated).width
        if is_printed(evidence, self.result) and self.tolerance is None and as_many_digits:
            verdict = "refuted"
        margin = "" if self.tolerance is None else f" ± {self.tolerance}"
        relation = {"holds": "is", "refuted": "is not", "undecided": "may or may not be"}[verdict]
        return Part(verdict, f"{name}: {show(score)} {relation} {stated}{margin}")


class Ratio(ScoreCheck):
    """One component's score over another's, or over that of the next in rank, of any kind."""

    kind: Literal["ratio"]
    result: ResultName
    of: ScoredName
    to: ComponentOrNext
    ratio: PrintedRatio
    tolerance: Tolerance | None = None

    named_results: ClassVar = ("result",)
    states_figures: ClassVar = True

    @model_validator(mode="after")
    def _of_two(self) -> Ratio:
        if self.of == self.to:
            raise ValueError(f"of and to are both {self.of}")
        return self

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        of = parse(self.of)
        over = score_of(evidence, self.result, of, self.table)
        if self.to == "next":
            below, ratio = self._next(evidence)
        else:
            below = [parse(self.to)]
            under = score_of(evidence, self.result, below[0], self.table)
            ratio = _divide(over, under, f"the score of {self.to}")
        expected = allowed(self.ratio, self.tolerance)
        found = [score_of(evidence, self.result, part, self.table) for part in below]
        shown = show(found[0]) if len(found) == 1 else f"that of the next ({listing(below)} may be)"
        text = f"{show(over)} / {shown} = {ratio}, stated {_stated(self)}"
        outcome = Outcome(intervals.equals(ratio, expected), plain(ratio), _stated(self), text)
        listed = scores_of(evidence, self.result, self.table).scores
        if len(found) > 1 or not {of, *below} <= set(listed):
            return outcome
        return with_digits(outcome, [over, *found], _quotient, [expected])

    def _next(self, evidence: Evidence) -> tuple[list[Component], Interval]:
        """What may rank next behind `of`, and the ratio to it.

        Raises:
            CannotJudge: nothing may rank behind it, or a component has no score, or one of zero.
        """
        of = parse(self.of)
        table = scores_of(evidence, self.result, self.table)
        others = [other for other in ranked(evidence, "all") if other != of]
        for other in others:
            score_of(evidence, self.result, other, self.table)
        try:
            ratio = times_the_next(table, of, others)
        except ZeroDivisionError as error:
            raise CannotJudge(str(error)) from None
        found = may_be_next(table, of, others)
        if ratio is None:
            unless = f"; {decider(evidence, self.result)}" if found else ""
            is_last = "may be" if found else "is"
            raise CannotJudge(f"{of} {is_last} the last in rank, with none that comes next{unless}")
        return found, ratio


def _quotient(figures: Sequence[Any]) -> Sequence[Any]:
    over, under = figures
    return [over / under]


def _stated(check: Ratio) -> str:
    return check.ratio if check.tolerance is None else f"{check.ratio} ± {check.tolerance}"


def _divide(over: Interval, under: Interval, name: str) -> Interval:
    try:
        return over / under
    except ZeroDivisionError:
        raise CannotJudge(f"{name} may be zero ({under})") from None


class Deviation(ScoreCheck):
    """How far scores lie from a reference result's: |score / reference - 1|, in percent.

    Stated for each component, as the mean over components, or as a bound on all of them.
    """

    kind: Literal["deviation"]
    result: ResultName
    reference: ResultName
    percent: Annotated[dict[ScoredName, PrintedPercent], Field(min_length=1)] | None = None
    components: ScoredNames | None = None
    mean_percent: PrintedPercent | None = None
    at_most_percent: Percent | None = None
    tolerance: PercentTolerance | None = None

    named_results: ClassVar = ("result", "reference")
    states_figures: ClassVar = True
    tolerance_unit: ClassVar = " percentage points"

    @model_validator(mode="after")
    def _one_form(self) -> Deviation:
        stated = [self.percent, self.mean_percent, self.at_most_percent]
        if sum(form is not None for form in stated) != 1:
            raise ValueError("expected one of percent, mean_percent, at_most_percent")
        if (self.components is None) != (self.percent is not None):
            raise ValueError(
                "components belong to mean_percent and at_most_percent, and only there"
            )
        if self.at_most_percent is not None and self.tolerance is not None:
            raise ValueError("tolerance belongs to percent and mean_percent: a bound is exact")
        if self.result == self.reference:
            raise ValueError(f"result and reference are both {self.result!r}")
        return self

    def _stated(self, percent: str) -> str:
        return stated_percent(percent, self.tolerance)

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        named = list(self.percent or self.components or ())
        if self.mean_percent is not None:
            return self._judge_mean(evidence, named, self.mean_percent)
        parts, measured = [], {}
        for name in named:
            try:
                deviation = self._deviation(evidence, parse(name))
            except CannotJudge as lack:
                parts.append(Part("undecided", str(lack)))
            else:
                measured[name] = plain(deviation)
                parts.append(self._part(evidence, name, deviation))
        outcome = conjunction(parts, measured, self.percent or f"at most {self.at_most_percent}")
        if self.percent is not None:
            expected = [allowed(stated, self.tolerance) for stated in self.percent.values()]
        else:
            bound = Interval(Fraction(0), fraction(str(self.at_most_percent)))
            expected = [bound] * len(named)
        return self._with_digits(outcome, evidence, named, expected, _deviations)

    def _judge_mean(self, evidence: Evidence, named: Sequence[str], stated: str) -> Outcome:
        found = {name: self._deviation(evidence, parse(name)) for name in named}
        average = intervals.mean(list(found.values()))
        terms = " + ".join(self._at_middles(evidence, parse(name)) for name in named)
        text = f"({terms})% / {len(found)} = {average}%, stated {self._stated(stated)}"
        measured = {
            "mean": plain(average),
            **{name: plain(deviation) for name, deviation in found.items()},
        }
        expected = allowed(stated, self.tolerance)
        outcome = Outcome(intervals.equals(average, expected), measured, stated, text)
        return self._with_digits(outcome, evidence, named, [expected], _mean_deviation)

    def _with_digits(
        self,
        outcome: Outcome,
        evidence: Evidence,
        named: Sequence[str],
        expected: Sequence[Interval],
        compute: Compute,
    ) -> Outcome:
        """The outcome with what the digits give, if every figure is one that a table lists."""
        results = (self.result, self.reference)
        tables = [scores_of(evidence, name, self.table).scores for name in results]
        components = parsed(named)
        figures = [table.get(part) for part in components for table in tables]
        known = [figure for figure in figures if figure is not None]
        may_be_zero = any(figure.low <= 0 for figure in known[1::2])
        if len(known) < len(figures) or may_be_zero:
            return outcome
        is_figure = self.at_most_percent is None
        return with_digits(outcome, known, compute, expected, is_figure=is_figure)

    def _deviation(self, evidence: Evidence, component: Component) -> Interval:
        score = score_of(evidence, self.result, component, self.table)
        reference = score_of(evidence, self.reference, component, self.table)
        quotient = _divide(score, reference, f"the reference score of {component}")
        return abs(quotient.shifted(-1)).scaled(100)

    def _at_middles(self, evidence: Evidence, component: Component) -> str:
        """The deviation of the figures as they are printed; of one that is not, its bounds."""
        score = score_of(evidence, self.result, component, self.table)
        reference = score_of(evidence, self.reference, component, self.table)
        if score.is_bound or reference.is_bound:
            return f"({self._deviation(evidence, component)})"
        return f"{100 * abs(float(score.middle / reference.middle) - 1):.2f}"

    def _part(self, evidence: Evidence, name: str, deviation: Interval) -> Part:
        component = parse(name)
        score = show(score_of(evidence, self.result, component, self.table))
        reference = show(score_of(evidence, self.reference, component, self.table))
        arithmetic = f"{name}: |{score} / {reference} - 1| = {deviation}%"
        if self.percent is not None:
            stated = self.percent[name]
            verdict = intervals.equals(deviation, allowed(stated, self.tolerance))
            return Part(verdict, f"{arithmetic}, stated {self._stated(stated)}")
        bound = str(self.at_most_percent)
        return Part(
            intervals.at_most(deviation, fraction(bound)), f"{arithmetic}, stated at most {bound}%"
        )


def _deviations(figures: Sequence[Any]) -> Sequence[Any]:
    """In percent, of scores and references in turn."""
    pairs = zip(figures[::2], figures[1::2], strict=True)
    return [100 * abs(score / reference - 1) for score, reference in pairs]


def _mean_deviation(figures: Sequence[Any]) -> Sequence[Any]:
    found = _deviations(figures)
    return [sum(found) / len(found)]


class Bound(ScoreCheck):
    """Every score of a set lies below a bound, or reaches it.

    The set is the listed components, or all MLPs or heads, less those in `but`, less those that
    the circuit of `outside` holds.
    """

    kind: Literal["bound"]
    result: ResultName
    components: ScoredNames | None = None
    among: Among | None = None
    but: ScoredNames | None = None
    outside: ResultName | None = None
    members: PositiveInt | None = None
    below: ScoreBound | None = None
    at_least: ScoreBound | None = None

    named_results: ClassVar = ("result", "outside")

    @model_validator(mode="after")
    def _one_form(self, info: ValidationInfo) -> Bound:
        if (self.components is None) == (self.among is None):
            raise ValueError("expected either components or among")
        if (self.below is None) == (self.at_least is None):
            raise ValueError("expected either below or at_least")
        named = parsed(self.components or ()) or known(info).candidates(self.among or "all")
        left = set(named) - set(parsed(self.but or ()))
        if not left:
            raise ValueError("but leaves no component")
        if self.members is not None and self.members > len(left):
            raise ValueError(f"members is {self.members}, of at most {len(left)} components")
        return self

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        table = scores_of(evidence, self.result, self.table)
        members = self._members(evidence)
        if not members and self.members is None:
            raise CannotJudge("there is no such component, and so no score to hold to the bound")
        listed = [component for component in members if component in table.scores]
        parts = [self._part(evidence, table, component) for component in listed]
        if len(parts) > 1 and intervals.all_of(part.verdict for part in parts) == "holds":
            parts = [self._all_hold(table, listed)]
        if unlisted := [component for component in members if component not in table.scores]:
            parts.append(self._unlisted(evidence, table, unlisted))
        if self.members is not None:
            parts.append(same("components", len(members), self.members))
        measured = {str(component): plain(table.scores[component]) for component in listed}
        expected = {"bound": self._stated(), "members": self.members or len(members)}
        return conjunction(parts, measured, expected)

    def _stated(self) -> str:
        return f"below {self.below}" if self.below is not None else f"at least {self.at_least}"

    def _members(self, evidence: Evidence) -> list[Component]:
        if self.components is not None:
            members = parsed(self.components)
        else:
            members = ranked(evidence, self.among or "all")
        left_out = set(parsed(self.but or ()))
        if self.outside is not None:
            left_out |= set(circuit_of(evidence, self.outside).nodes)
        return [component for component in members if component not in left_out]

    def _verdict(self, score: Interval) -> Verdict:
        if self.below is not None:
            return intervals.below(score, fraction(self.below))
        return intervals.negated(intervals.below(score, fraction(str(self.at_least))))

    def _part(self, evidence: Evidence, table: ScoreTable, component: Component) -> Part:
        score = table.scores[component]
        verdict = self._verdict(score)
        relation = {"holds": "is", "refuted": "is not", "undecided": "may or may not be"}[verdict]
        text = f"{component} ({show(score)}) {relation} {self._stated()}"
        if verdict == "undecided":
            text += f"; {decider(evidence, self.result)}"
        return Part(verdict, text)

    def _all_hold(self, table: ScoreTable, listed: Sequence[Component]) -> Part:
        ends = best_first({component: table.scores[component].middle for component in listed})
        closest = ends[0] if self.below is not None else ends[-1]
        score = show(table.scores[closest])
        return Part(
            "holds", f"{len(listed)} scores, the closest {closest} ({score}), are {self._stated()}"
        )

    def _unlisted(
        self, evidence: Evidence, table: ScoreTable, components: Sequence[Component]
    ) -> Part:
        """Components that the table does not list: what is known of them is the table's bound."""
        scores = {component: table.score(component) for component in components}
        verdicts = {
            component: "undecided" if score is None else self._verdict(score)
            for component, score in scores.items()
        }
        verdict = intervals.all_of(verdicts.values())
        telling = [component for component in components if verdicts[component] == verdict]
        known = [score for component in telling if (score := scores[component]) is not None]
        bound = f", at most {float(max(score.high for score in known)):.6g}," if known else ""
        relation = {"holds": "are", "refuted": "are not", "undecided": "may or may not be"}[verdict]
        text = f"{listing(telling)}, not listed{bound} {relation} {self._stated()}"
        if verdict == "undecided":
            text += f"; {decider(evidence, self.result)}"
        return Part(verdict, text)
