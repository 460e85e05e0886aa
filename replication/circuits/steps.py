"""Steps: what a selection rule takes, one after the other.

Each is one small table of a spec, told from the others by its first key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, PositiveInt, Tag

from replication.circuits.components import Kind, parsed
from replication.inputs.files import repeats
from replication.inputs.messages import quoted

ScoredKind = Literal["mlp", "head"]
TableName = Annotated[str, Field(min_length=1)]


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if again := repeats(names):
        raise ValueError(f"{quoted(again[0])} stands there more than once")
    parsed(names)
    return names


class _Step(BaseModel):
    """What all steps have in common."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class Take(_Step):
    """The input."""

    take: Literal["input"]
    """The input; what it costs is what the rule says."""


class Best(_Step):
    """The best of a kind."""

    best: PositiveInt
    """How many: those of the highest scores, the highest first."""
    of: ScoredKind
    """The kind."""
    by: TableName | None = None
    """The table of scores, where there are several."""


class All(_Step):
    """All of a kind, whatever they score."""

    all: ScoredKind
    """The kind."""


class AtLeast(_Step):
    """Those of a kind that reach a threshold."""

    at_least: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """The score that is to be reached; the highest come first."""
    of: ScoredKind
    """The kind."""
    by: TableName | None = None
    """The table of scores, where there are several."""


class Fixed(_Step):
    """A fixed set."""

    fixed: Annotated[tuple[str, ...], Field(strict=False, min_length=1), AfterValidator(_each_once)]
    """The components."""


class Rest(_Step):
    """More of a kind, while the budget lasts."""

    rest: ScoredKind
    """The kind; the highest scores come first."""
    by: Annotated[tuple[TableName, ...], Field(strict=False, min_length=1)] | None = None
    """The tables, where there are several: a component counts by its highest score in them."""


KEYS = ("take", "best", "all", "at_least", "fixed", "rest")


def _tag(step: Any) -> str | None:
    """Which step it is, by the one of the keys that it has; None where it has none, or several."""
    has = step if isinstance(step, dict) else getattr(step, "__dict__", {})
    found = [key for key in KEYS if key in has]
    return f"step {found[0]}" if len(found) == 1 else None


Step = Annotated[
    Annotated[Take, Tag("step take")]
    | Annotated[Best, Tag("step best")]
    | Annotated[All, Tag("step all")]
    | Annotated[AtLeast, Tag("step at_least")]
    | Annotated[Fixed, Tag("step fixed")]
    | Annotated[Rest, Tag("step rest")],
    Discriminator(
        _tag,
        custom_error_type="step",
        custom_error_message=f"expected a table with one of the keys {', '.join(KEYS)}",
    ),
]


def by_threshold(mlp_threshold: float) -> tuple[Step, ...]:
    """The input; then every MLP that reaches the threshold; then heads while the budget lasts.

    Source: the method of the published sarcasm circuit (2025-11-10).
    """
    return Take(take="input"), AtLeast(at_least=mlp_threshold, of="mlp"), Rest(rest="head")


def kinds_of(step: Step) -> set[Kind]:
    """The kinds of component that a step takes."""
    match step:
        case Take():
            return {"input"}
        case Best() | AtLeast():
            return {step.of}
        case All():
            return {step.all}
        case Fixed():
            return {component.kind for component in parsed(step.fixed)}
        case Rest():
            return {step.rest}


def tables_of(step: Step) -> tuple[str | None, ...]:
    """The tables that a step looks at; None stands for the one table that has no name."""
    match step:
        case Best() | AtLeast():
            return (step.by,)
        case Rest():
            return step.by or (None,)
        case _:
            return ()


def in_tables(step: Step) -> str:
    """The tables that a step names, in words."""
    named = [name for name in tables_of(step) if name is not None]
    return f" in {', '.join(named)}" if named else ""
