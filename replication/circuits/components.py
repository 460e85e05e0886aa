"""Components of a transformer: their names, their order, and what they write.

A component is the `input`, an MLP `m{layer}`, or an attention head `a{layer}.h{head}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from replication.inputs.files import InputError
from replication.inputs.messages import quoted

Kind = Literal["input", "mlp", "head"]
_NAME = re.compile(
    r"input|m(?P<mlp>0|[1-9][0-9]{0,5})|a(?P<layer>0|[1-9][0-9]{0,5})\.h(?P<head>0|[1-9][0-9]{0,5})"
)


@dataclass(frozen=True, order=True)
class Component:
    """One component. Components sort by layer, then the MLP before the heads, then by head."""

    layer: int
    head: int
    kind: Kind

    def __str__(self) -> str:
        match self.kind:
            case "input":
                return "input"
            case "mlp":
                return f"m{self.layer}"
            case "head":
                return f"a{self.layer}.h{self.head}"


INPUT = Component(-1, -1, "input")


def mlp(layer: int) -> Component:
    """The MLP of a layer."""
    return Component(layer, -1, "mlp")


def head(layer: int, head: int) -> Component:
    """An attention head of a layer."""
    return Component(layer, head, "head")


def parse(name: str) -> Component:
    """The component that a name means.

    Raises:
        InputError: the name is not `input`, `m{layer}` or `a{layer}.h{head}`.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(
            f"{quoted(name)} is no component: expected input, m<layer> or a<layer>.h<head>"
        )
    if match["mlp"] is not None:
        return mlp(int(match["mlp"]))
    if match["layer"] is not None:
        return head(int(match["layer"]), int(match["head"]))
    return INPUT


# Several times those of the largest models that were published (Llama 3.1 405B: 126 layers, 128
# heads, d_model 16384), and few enough for every component to be looked at.
Layers = Annotated[PositiveInt, Field(le=1000)]
Dimensions = Annotated[PositiveInt, Field(le=2**17)]


class ModelShape(BaseModel):
    """The sizes of a model that decide which components it has and what they cost."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    n_layers: Layers
    n_heads: Layers
    d_model: Dimensions
    d_head: Dimensions

    def components(self) -> list[Component]:
        """Every component that is scored: the MLPs by layer, then the heads by layer and head."""
        layers = range(self.n_layers)
        return [mlp(layer) for layer in layers] + [
            head(layer, index) for layer in layers for index in range(self.n_heads)
        ]

    def component(self, name: str) -> Component:
        """The component that a name means in this model.

        Raises:
            InputError: the name means none, or one that the model does not have.
        """
        return self.holding(parse(name))

    def holding(self, component: Component) -> Component:
        """The component, which this model must have.

        Raises:
            InputError: it does not.
        """
        if component.layer >= self.n_layers or component.head >= self.n_heads:
            raise InputError(
                f"the model has no component {component}: it has layers 0 to {self.n_layers - 1}"
                f" and heads 0 to {self.n_heads - 1}"
            )
        return component

    def __str__(self) -> str:
        return (
            f"{self.n_layers} layers, {self.n_heads} heads,"
            f" d_model {self.d_model}, d_head {self.d_head}"
        )


@dataclass(frozen=True)
class WriteCosts:
    """What components cost, in dimensions written to the residual stream.

    Whether the input's `d_model` dimensions count is a convention: published circuits do both.
    """

    d_model: int
    d_head: int
    input_counts: bool = True

    def of(self, component: Component) -> int:
        """The write cost of one component."""
        return self.of_kind(component.kind)

    def of_kind(self, kind: Kind) -> int:
        """The write cost of one component of a kind."""
        match kind:
            case "input":
                return self.d_model if self.input_counts else 0
            case "mlp":
                return self.d_model
            case "head":
                return self.d_head

    def total(self, components: Iterable[Component]) -> int:
        """The write cost of several components together."""
        return sum(self.of(component) for component in components)


Among = Annotated[
    Literal["mlp", "head", "all"], Field(description="The components that are meant.")
]


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
