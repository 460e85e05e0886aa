"""The keys of checks: what may stand in a claims file, as types that say what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveInt, ValidationInfo

from replication.circuits.components import INPUT, Among, Component, ModelShape
from replication.circuits.intervals import fraction, printed
from replication.evidence.published_figures import Named
from replication.experiment.spec import Spec
from replication.inputs.files import InputError, repeats
from replication.inputs.messages import listed, quoted


@dataclass(frozen=True)
class Known:
    """What a check may speak of: the model's components and the experiment's results.

    A run measures the result `measures`, on so many pairs; None where those were not read. No
    budget is below `input_cost`. Of `behaviours` it runs `circuits` alone, with `counterparts`. Of
    `figures` those that are at fault themselves are None. Of `tables` there are several, in the
    results that have some. The rule is a threshold, or goes `by_steps`. Scores `of_attention` are
    heads' alone.
    """

    shape: ModelShape
    results: list[str]
    measures: str
    pairs: int | None = None
    input_cost: int = 0
    behaviours: Sequence[str] = ()
    circuits: Sequence[str] = ()
    counterparts: Sequence[str] = ()
    figures: Mapping[str, Named | None] = field(default_factory=dict)
    tables: Mapping[str, Sequence[str]] = field(default_factory=dict)
    by_steps: bool = False
    of_attention: bool = False

    @classmethod
    def of(cls, spec: Spec, pairs: int | None) -> Known:
        """What a check of an experiment may speak of."""
        results = list(dict.fromkeys([*spec.results, spec.measures]))
        published = [name for name, one in spec.results.items() if one.circuit is not None]
        return cls(
            spec.model.shape,
            results,
            spec.measures,
            pairs,
            spec.costs.of(INPUT),
            list(spec.behaviour),
            list(dict.fromkeys([spec.measures, *spec.ablation.rivals, *published])),
            [spec.sides[1], *spec.ablation.counterparts],
            tables=spec.tables_of_results,
            by_steps=spec.selection.steps is not None,
            of_attention=spec.scoring.kind == "attention",
        )

    def candidates(self, among: Among) -> list[Component]:
        """The components of a kind that are scored."""
        return [part for part in self.shape.components() if among in (part.kind, "all")]


def known(info: ValidationInfo) -> Known:
    """What the check being read may speak of."""
    assert isinstance(info.context, Known)
    return info.context


def _component(name: str, info: ValidationInfo) -> Component:
    component: Component = known(info).shape.component(name)
    return component


def _scored(name: str, info: ValidationInfo) -> str:
    kind = _component(name, info).kind
    if kind == "input":
        raise InputError("the input is not scored")
    if kind == "mlp" and known(info).of_attention:
        raise InputError("attention gives an MLP no score")
    return name


def _component_or_next(name: str, info: ValidationInfo) -> str:
    try:
        return name if name == "next" else _scored(name, info)
    except InputError as error:
        raise InputError(f"{error}; or 'next'") from None


def _result(name: str, info: ValidationInfo) -> str:
    results = known(info).results
    if name not in results:
        raise InputError(f"the experiment has no result {quoted(name)}; it has {listed(results)}")
    return name


def _measured(name: str, info: ValidationInfo) -> str:
    if name != (measures := known(info).measures):
        raise InputError(f"no run measures {name!r}; runs measure {measures!r}")
    return name


def _budget(budget: int, info: ValidationInfo) -> int:
    if budget < (cost := known(info).input_cost):
        raise InputError(f"a budget of {budget} does not hold the input, which costs {cost}")
    return budget


def _behaviour(name: str, info: ValidationInfo) -> str:
    return _one_of("behaviour", name, known(info).behaviours)


def _kept(name: str, info: ValidationInfo) -> str:
    return _one_of("circuit that is kept alone", name, known(info).circuits)


def _counterpart(name: str, info: ValidationInfo) -> str:
    return _one_of("counterpart", name, known(info).counterparts)


def _one_of(what: str, name: str, names: Sequence[str]) -> str:
    if name not in names:
        raise InputError(
            f"the experiment has no {what} {quoted(name)}; it has {listed(names) or 'none'}"
        )
    return name


def _printed(text: str) -> str:
    printed(text)
    return text


def _not_negative(what: str) -> AfterValidator:
    """What refuses a text below 0."""

    def refuse(text: str) -> str:
        if text.startswith("-"):
            raise ValueError(f"a {what} cannot be negative, found {quoted(text)}")
        return text

    return AfterValidator(refuse)


def _bound_on(what: str) -> AfterValidator:
    """What refuses a bound that nothing of such a kind, none of which is negative, could miss."""

    def refuse(text: str) -> str:
        if fraction(text) == 0:
            raise ValueError(
                f"no {what} is below 0: expected a bound above it, found {quoted(text)}"
            )
        return text

    return AfterValidator(refuse)


def _part(text: str) -> str:
    if fraction(text) > 100:
        raise ValueError(f"expected at most 100 percent, found {quoted(text)}")
    return text


def _distinct(names: Sequence[str]) -> Sequence[str]:
    if repeated := repeats(names):
        raise ValueError(f"{repeated[0]} stands there more than once")
    return names


ComponentName = Annotated[
    str,
    AfterValidator(lambda name, info: str(_component(name, info))),
    Field(description="A component: input, m<layer> or a<layer>.h<head>."),
]


ScoredName = Annotated[
    str,
    AfterValidator(_scored),
    Field(description="A component that is scored: m<layer> or a<layer>.h<head>."),
]


ComponentOrNext = Annotated[
    str,
    AfterValidator(_component_or_next),
    Field(description="A component, or next: the one that ranks next behind it."),
]


ComponentNames = Annotated[
    list[ComponentName], Field(description="Components, each once."), AfterValidator(_distinct)
]


ScoredNames = Annotated[
    list[ScoredName],
    Field(min_length=1, description="Components that are scored, each once."),
    AfterValidator(_distinct),
]


ResultName = Annotated[
    str,
    AfterValidator(_result),
    Field(description="A published result of the experiment, or what it measures."),
]


MeasuredName = Annotated[
    ResultName,
    AfterValidator(_measured),
    Field(description="The result that the experiment measures."),
]


BehaviourName = Annotated[
    str, AfterValidator(_behaviour), Field(description="A behaviour of the experiment.")
]


KeptCircuit = Annotated[
    str,
    AfterValidator(_kept),
    Field(
        description="A circuit that is kept alone: what the experiment measures, a rival kind of"
        " score, or a published result."
    ),
]


CounterpartName = Annotated[
    str,
    AfterValidator(_counterpart),
    Field(description="The second side's name, or a column of further counterparts."),
]


Budget = Annotated[PositiveInt, AfterValidator(_budget)]


Printed = Annotated[
    str,
    AfterValidator(_printed),
    Field(description="A figure as it was printed, as a text: its digits are its tolerance."),
]


PrintedScore = Annotated[Printed, _not_negative("score")]
PrintedRatio = Annotated[Printed, _not_negative("ratio")]
PrintedCount = Annotated[Printed, _not_negative("count")]
PrintedPercent = Annotated[Printed, _not_negative("percentage")]
PrintedPart = Annotated[PrintedPercent, AfterValidator(_part)]


Number = Annotated[
    str, AfterValidator(_printed), Field(description="A number, as a text, taken exactly.")
]


Percent = Annotated[Number, _not_negative("percentage")]
PartBound = Annotated[Percent, AfterValidator(_part), _bound_on("percentage")]
ScoreBound = Annotated[Number, _not_negative("bound on scores"), _bound_on("score")]
Threshold = Annotated[Number, _not_negative("threshold")]


Tolerance = Annotated[
    str,
    AfterValidator(_printed),
    _not_negative("tolerance"),
    Field(description="How far the figure may lie to either side, instead of its digits."),
]


PercentTolerance = Annotated[
    Tolerance,
    Field(
        description="How far the percentage may lie to either side, in percentage points, instead"
        " of its digits."
    ),
]


def stated_percent(percent: str, tolerance: str | None) -> str:
    """A stated percentage in words, with its tolerance."""
    return f"{percent}%" if tolerance is None else f"{percent} ± {tolerance}%"
