"""Causal words: what a behaviour's interventions say of a component, in one word, with the reason.

One word for each component, the first of these that applies:

| word | says |
| --- | --- |
| against | the behaviour grows without it |
| necessary | a clear part of the behaviour goes with it alone |
| redundant | it goes with it only once those that stand in for it are out |
| sufficient together | it goes with it from the circuit, which suffices alone |
| not used | as good as none of it goes, whatever else is out |
| not shown | anything else |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from replication.circuits.components import Component, listing
from replication.controls.effects import Effects
from replication.controls.faithfulness import Faithfulness
from replication.controls.thresholds import THRESHOLDS

CausalWord = Literal[
    "against", "necessary", "redundant", "sufficient together", "not used", "not shown"
]


@dataclass(frozen=True)
class Said:
    """The causal word on a component, and why."""

    word: CausalWord
    reason: str


@dataclass(frozen=True)
class Looked:
    """What was looked at: effects alone, restored, while sets are out, and inside the circuit.

    Effects are over all `components`, but those inside the circuit, which are over its `nodes`;
    `outs` are the sets that were out.
    """

    components: Sequence[Component]
    alone: Effects
    restored: Effects | None
    outs: Sequence[Sequence[Component]]
    given: Sequence[Effects]
    nodes: Sequence[Component]
    inside: Effects
    circuit: Faithfulness
    is_told: bool


def words_of(looked: Looked) -> dict[Component, Said]:
    """The word on every component, the input too."""
    inside = {component: place for place, component in enumerate(looked.nodes)}
    return {
        component: _said(looked, component, place, inside.get(component))
        for place, component in enumerate(looked.components)
    }


def _said(looked: Looked, component: Component, place: int, node: int | None) -> Said:
    alone = looked.alone
    said = f"alone {_share(alone, place)} of the behaviour goes with it"
    if not looked.is_told:
        return Said("not shown", "what the whole model does is not clearly more than without any")
    if alone.opposes[place]:
        return Said("against", f"{_share(alone, place)} of the behaviour goes with it: it grows")
    if alone.serves[place]:
        return Said("necessary", said)
    for out, given in zip(looked.outs, looked.given, strict=True):
        if given.serves[place]:
            others = [one for one in out if one != component]
            return Said("redundant", f"{said}, and {_share(given, place)} {_once_out(others)}")
    if node is not None and looked.inside.serves[node] and _suffices(looked.circuit):
        return Said(
            "sufficient together",
            f"{said}, and {_share(looked.inside, node)} from the circuit, which keeps"
            f" {looked.circuit.value:.0%} alone",
        )
    return _unused(looked, place, node, said)


def _unused(looked: Looked, place: int, node: int | None, said: str) -> Said:
    """Not used, if whatever was looked at says so; and backups must have been looked for."""
    if looked.restored is None:
        return Said("not shown", f"{said}; what may stand in for it was not looked for")
    others = [("in the counterpart's run", looked.restored, place)]
    others += [
        (_once_out(out), given, place) for out, given in zip(looked.outs, looked.given, strict=True)
    ]
    if node is not None:
        others.append(("inside the circuit", looked.inside, node))
    for where, effects, row in [("alone", looked.alone, place), *others]:
        if not effects.is_none[row]:
            return Said("not shown", f"{where} {_share(effects, row)} of the behaviour is its")
    return Said("not used", said)


def _once_out(components: Sequence[Component]) -> str:
    return f"once {listing(components)} {'is' if len(components) == 1 else 'are'} out"


def _suffices(circuit: Faithfulness) -> bool:
    return circuit.is_told and circuit.interval[0] > THRESHOLDS.sufficient_share.value


def _share(effects: Effects, row: int) -> str:
    low, high = effects.interval[:, row]
    return f"{effects.share[row]:.1%} ({low:.1%} to {high:.1%}, q = {effects.q_value[row]:.2g})"
