"""Notations: how files name components. Within a file, heads are named in one of them.

An MLP and the input can be spelled in several ways, each of which means one thing; heads can not:
`9.6` is a layer and a head to some, and a head and a layer to others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from replication.circuits.components import INPUT, Component, ModelShape, head, mlp
from replication.inputs.files import InputError
from replication.inputs.messages import quoted

NotationName = Literal["a9.h6", "a9.6", "L9H6", "hook_z[6]", "layer.head", "head.layer"]

_INDEX = "(?:0|[1-9][0-9]{0,5})"
_LAYER, _HEAD = f"(?P<layer>{_INDEX})", f"(?P<head>{_INDEX})"
_INPUTS = ("input", "embed", "Resid Start", "hook_embed", "blocks.0.hook_resid_pre")
_MLPS = [
    re.compile(pattern)
    for pattern in (
        f"m{_LAYER}",
        f"(?:MLP|mlp)[ _]?{_LAYER}",
        f"[Ll]{_LAYER}[._ ]?(?:MLP|mlp)",
        rf"blocks\.{_LAYER}\.hook_mlp_out",
    )
]
OUTPUTS = ("logits", "Resid End")  # what a graph ends in: no component


@dataclass(frozen=True)
class Notation:
    """One way to name heads, and how it is told of in errors."""

    name: NotationName
    heads: re.Pattern[str]
    expected: str

    def reads(self, name: str) -> Component | None:
        """The component that a name means; None where it means none."""
        if name in _INPUTS:
            return INPUT
        if found := self.heads.fullmatch(name):
            return head(int(found["layer"]), int(found["head"]))
        for pattern in _MLPS:
            if found := pattern.fullmatch(name):
                return mlp(int(found["layer"]))
        return None

    def component(self, name: str, shape: ModelShape | None = None) -> Component:
        """The component that a name means, in the model if there is one.

        Raises:
            InputError: it means none, or one that the model does not have.
        """
        component = self.reads(name)
        if component is None:
            raise InputError(
                f"{quoted(name)} is no component: expected input, m<layer> or {self.expected}"
            )
        return shape.holding(component) if shape else component


NOTATIONS = [
    Notation("a9.h6", re.compile(rf"a{_LAYER}\.h{_HEAD}"), "a<layer>.h<head>"),
    Notation("a9.6", re.compile(rf"[aA]{_LAYER}\.{_HEAD}"), "a<layer>.<head>"),
    Notation(
        "L9H6",
        re.compile(f"(?:[Ll]|[Ll]ayer[_ ]?){_LAYER}[._ ]?(?:[Hh]|[Hh]ead[_ ]?){_HEAD}"),
        "L<layer>H<head>",
    ),
    Notation(
        "hook_z[6]",
        re.compile(rf"blocks\.{_LAYER}\.attn\.hook_(?:z|result)\[(?::, :, )?{_HEAD}\]"),
        "blocks.<layer>.attn.hook_z[<head>]",
    ),
    Notation("layer.head", re.compile(f"(?:[Hh]ead[_ ])?{_LAYER}[._]{_HEAD}"), "<layer>.<head>"),
    Notation("head.layer", re.compile(f"(?:[Hh]ead[_ ])?{_HEAD}[._]{_LAYER}"), "<head>.<layer>"),
]


def notation_of(names: Sequence[str], stated: NotationName | None = None) -> Notation:
    """The stated notation; or the one that all names of a file fit, or else most of them.

    Raises:
        InputError: they fit two notations, which read them differently.
    """
    if stated is not None:
        return next(one for one in NOTATIONS if one.name == stated)
    fitting = [one for one in NOTATIONS if None not in map(one.reads, names)]
    for name in names:
        for other in fitting[1:]:
            if other.reads(name) != fitting[0].reads(name):
                raise InputError(
                    f"{quoted(name)} can be read in two ways: as {fitting[0].name} it is"
                    f" {fitting[0].reads(name)}, as {other.name} {other.reads(name)};"
                    " results.NAME.notation in experiment.toml, or an option --notation, says which"
                )
    return max(
        fitting or NOTATIONS, key=lambda one: sum(one.reads(name) is not None for name in names)
    )
