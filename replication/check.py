"""What all kinds of check share: outcomes, conjunctions, and how a check reads the evidence.

A figure is an interval throughout (see `replication.intervals`). Published evidence that merely
repeats a statement can contradict it, but never confirms it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from replication import intervals
from replication.circuit import Circuit
from replication.components import Component, ModelShape, parse
from replication.evidence import Evidence, Result
from replication.files import InputError, repeats
from replication.intervals import Interval, Verdict, printed
from replication.scoring import ScoreTable


@dataclass(frozen=True)
class Outcome:
    """What one check found; `measured` and `expected` are plain data."""

    verdict: Verdict
    measured: Any
    expected: Any
    reason: str


class CannotJudge(Exception):
    """The evidence lacks what the check needs; the message says what would decide it."""


@dataclass(frozen=True)
class Known:
    """What a check may speak of: the model's components and the experiment's results."""

    shape: ModelShape
    results: list[str]


def _context(info: ValidationInfo) -> Known:
    assert isinstance(info.context, Known)
    return info.context


def _component(name: str, info: ValidationInfo) -> Component:
    component: Component = _context(info).shape.component(name)
    return component


def _component_or_next(name: str, info: ValidationInfo) -> str:
    try:
        return name if name == "next" else str(_component(name, info))
    except InputError as error:
        raise InputError(f"{error}; or 'next'") from None


def _result(name: str, info: ValidationInfo) -> str:
    known = _context(info).results
    if name not in known:
        raise InputError(f"the experiment has no result {name!r}; it has {', '.join(known)}")
    return name


def _printed(text: str) -> str:
    printed(text)
    return text


def _not_negative(text: str) -> str:
    if text.startswith("-"):
        raise ValueError(f"a tolerance cannot be negative, found {text!r}")
    return text


def _distinct(names: Sequence[str]) -> Sequence[str]:
    if repeated := repeats(names):
        raise ValueError(f"{repeated[0]} stands there more than once")
    return names


ComponentName = Annotated[str, AfterValidator(lambda name, info: str(_component(name, info)))]
ComponentOrNext = Annotated[str, AfterValidator(_component_or_next)]
ComponentNames = Annotated[list[ComponentName], Field(min_length=1), AfterValidator(_distinct)]
ResultName = Annotated[str, AfterValidator(_result)]
Printed = Annotated[str, AfterValidator(_printed)]
Number = Annotated[str, AfterValidator(_printed)]
Tolerance = Annotated[str, AfterValidator(_printed), AfterValidator(_not_negative)]
Among = Literal["mlp", "head", "all"]


class Check(BaseModel):
    """What all checks have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: str

    named_results: ClassVar[tuple[str, ...]] = ()
    states_figures: ClassVar[bool] = False
    states_structure: ClassVar[bool] = False

    def results(self) -> set[str]:
        """The results that the check looks at."""
        return {getattr(self, key) for key in self.named_results if getattr(self, key)}

    def describe_tolerance(self) -> str:
        """How far a figure may lie from the stated one."""
        if tolerance := getattr(self, "tolerance", None):
            return f"± {tolerance}"
        return "the printed digits" if self.states_figures else "none"

    def judge(self, evidence: Evidence) -> Outcome:
        """The outcome on this evidence.

        Raises:
            CannotJudge: the evidence lacks what the check needs.
        """
        raise NotImplementedError


def judge(check: Check, evidence: Evidence) -> Outcome:
    """The outcome of a check; undecided, with what would decide it, where the evidence lacks it."""
    try:
        return check.judge(evidence)
    except CannotJudge as lack:
        return Outcome("undecided", None, None, str(lack))


@dataclass(frozen=True)
class Part:
    """One part of a check: several make a conjunction."""

    verdict: Verdict
    text: str


def conjunction(parts: Sequence[Part], measured: Any, expected: Any) -> Outcome:
    """The conjunction of the parts; its reason names the parts that settle it."""
    verdict = intervals.all_of(part.verdict for part in parts)
    telling = [part.text for part in parts if part.verdict == verdict]
    shown = "; ".join(telling[:6])
    if len(telling) > 6:
        shown += f"; and {len(telling) - 6} more"
    return Outcome(verdict, measured, expected, shown)


def same(name: str, measured: Any, expected: Any) -> Part:
    """The part that holds if two exact things are equal."""
    if measured == expected:
        return Part("holds", f"{name}: {measured}")
    return Part("refuted", f"{name}: {measured}, stated {expected}")


def names(components: Iterable[Component]) -> list[str]:
    """The names of components, as plain data."""
    return [str(component) for component in components]


def listing(components: Sequence[Component]) -> str:
    """Components in a sentence: by name where they are few, else their number."""
    few = len(components) <= 6
    return ", ".join(names(components)) if few else f"{len(components)} components"


def parsed(names: Iterable[str]) -> list[Component]:
    """The components that names mean."""
    return [parse(name) for name in names]


def is_printed(evidence: Evidence, result: str) -> bool:
    """Whether the result stands as it was published, and was not measured again."""
    return evidence.measured != result


def decider(evidence: Evidence, result: str) -> str:
    """What would decide a check that lacks a figure of this result."""
    if result == evidence.spec.measures:
        return "recorded or live evidence would decide it"
    return f"only further figures of the result {result!r} would decide it"


def scores_of(evidence: Evidence, result: str) -> ScoreTable:
    """A result's scores.

    Raises:
        CannotJudge: the evidence has none.
    """
    table = evidence.results.get(result, Result()).scores
    if table is None:
        raise CannotJudge(
            f"there are no {evidence.kind} scores of {result}; {decider(evidence, result)}"
        )
    return table


def circuit_of(evidence: Evidence, result: str) -> Circuit:
    """A result's circuit.

    Raises:
        CannotJudge: the evidence has none.
    """
    circuit = evidence.results.get(result, Result()).circuit
    if circuit is None:
        raise CannotJudge(
            f"there is no {evidence.kind} circuit of {result}; {decider(evidence, result)}"
        )
    return circuit


def score_of(evidence: Evidence, result: str, component: Component) -> Interval:
    """What is known of one component's score.

    Raises:
        CannotJudge: nothing is.
    """
    score = scores_of(evidence, result).score(component)
    if score is None:
        raise CannotJudge(
            f"{component} of {result} has no published score; {decider(evidence, result)}"
        )
    return score


def ranked(evidence: Evidence, among: Among) -> list[Component]:
    """The model's components of a kind: those that have a rank among each other."""
    return [part for part in evidence.shape.components() if among in (part.kind, "all")]


def show(figure: Interval) -> str:
    """A figure as it is written in arithmetic: of a printed one, the printed value."""
    return f"{float(figure.middle):.6g}"


def plain(figure: Interval) -> float | list[float]:
    """A figure as JSON: a number where it is one, its ends where it is not."""
    if figure.low == figure.high:
        return float(figure.low)
    return [float(figure.low), float(figure.high)]


def fraction(text: str) -> Fraction:
    """The exact value of a printed number."""
    return printed(text).middle


def allowed(text: str, tolerance: str | None) -> Interval:
    """What a claimed figure allows: its printed digits, or the stated tolerance to either side."""
    if tolerance is None:
        return printed(text)
    margin = fraction(tolerance)
    return Interval(fraction(text) - margin, fraction(text) + margin)
