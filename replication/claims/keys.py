"""The keys of checks: what may stand in a claims file, as types that say what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from replication.circuits.components import Component, ModelShape
from replication.circuits.intervals import printed
from replication.inputs.files import InputError, repeats
from replication.inputs.messages import listed, quoted


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
        raise InputError(f"the experiment has no result {quoted(name)}; it has {listed(known)}")
    return name


def _printed(text: str) -> str:
    printed(text)
    return text


def _not_negative(text: str) -> str:
    if text.startswith("-"):
        raise ValueError(f"a tolerance cannot be negative, found {quoted(text)}")
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


ComponentOrNext = Annotated[
    str,
    AfterValidator(_component_or_next),
    Field(description="A component, or next: the one that comes next."),
]


ComponentNames = Annotated[
    list[ComponentName],
    Field(min_length=1, description="Components, each once."),
    AfterValidator(_distinct),
]


ResultName = Annotated[
    str,
    AfterValidator(_result),
    Field(description="A published result of the experiment, or what it measures."),
]


Printed = Annotated[
    str,
    AfterValidator(_printed),
    Field(description="A figure as it was printed, as a text: its digits are its tolerance."),
]


Number = Annotated[
    str, AfterValidator(_printed), Field(description="A number, as a text, taken exactly.")
]


Tolerance = Annotated[
    str,
    AfterValidator(_printed),
    AfterValidator(_not_negative),
    Field(description="How far the figure may lie to either side, instead of its digits."),
]
