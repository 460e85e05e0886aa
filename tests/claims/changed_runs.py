"""Runs under interventions that came out otherwise: the least that turns a causal check.

A circuit's runs move towards those with nothing kept or with everything kept; matched circuits are
exchanged for better ones; a component's effects are scaled, turned, or moved by a share of the
behaviour; what a circuit keeps without a set moves towards what the model keeps, or away from it;
some pairs' own behaviour is turned, or all of them's moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float32

from replication.circuits.components import INPUT, Component, parse
from replication.claims.causal_checks import (
    BeatsMatched,
    Behaviour,
    CausalCheck,
    Complete,
    Effect,
    Equivalence,
    Faithful,
    Matters,
    Minimal,
)
from replication.evidence.interventions import Behaved, InSetting, Unshown
from replication.experiment.behaviours import Setting
from replication.experiment.spec import Spec

STEPS = [Fraction(1, 10**exponent) for exponent in range(5, 0, -1)] + [Fraction(1, 2), Fraction(2)]
TOWARDS = [*map(float, STEPS[:-1]), 1.0]

Rows = Float32[np.ndarray, "*rows pairs"]
Changed = Iterator[tuple[str, Any]]


def changed_runs(check: CausalCheck, found: Behaved | Unshown, spec: Spec) -> Changed:
    """What a check looks at, changed from the smallest change on, with what was changed."""
    if isinstance(check, Behaviour):
        yield from _own(check, found, spec)
    elif isinstance(found, Behaved):
        if not isinstance(check, BeatsMatched):
            yield from _nothing_kept_leaves_less(found)
        yield from _looked_at(check, found, [INPUT, *spec.model.shape.components()])


def _nothing_kept_leaves_less(found: Behaved) -> Changed:
    """With nothing kept every pair lacks as much of the behaviour as the pairs have on average."""
    size = np.abs(found.whole.mean())
    settings = {
        setting: replace(ran, empty=ran.full - size) for setting, ran in found.settings.items()
    }
    yield "as much goes of every pair with nothing kept", replace(found, settings=settings)


def _looked_at(check: CausalCheck, found: Behaved, components: Sequence[Component]) -> Changed:
    match check:
        case Faithful() | Equivalence():
            yield from _kept_in_its_cell(check, found)
        case BeatsMatched():
            yield from _matched_exchanged(check, found)
            yield from _circuit_moved(found, found.judged, check.circuit)
        case Effect():
            yield from _effects_changed(found, components.index(parse(check.component)))
            if check.rank is not None:
                yield from _others_effects(found, components.index(parse(check.component)))
        case Minimal():
            yield from _inside_changed(found, range(len(found.inside)))
        case Complete():
            yield from _sets_changed(found)
        case Matters():
            yield from _meaning_changed(found, parse(check.component), components)
        case _:
            raise NotImplementedError(f"no change of what {check.kind} looks at")


def _own(check: Behaviour, found: Behaved | Unshown, spec: Spec) -> Changed:
    """The behaviour of the first pairs turned, or of all of them moved."""
    names = [spec.sides[1], *spec.ablation.counterparts]
    row = None if check.on is None else names.index(check.on)
    own = found.whole if row is None else found.counterparts[row]
    size = np.float32(np.abs(own).max())

    def put(values: Rows) -> Behaved | Unshown:
        if row is None:
            return replace(found, whole=values)
        counterparts = found.counterparts.copy()
        counterparts[row] = values
        return replace(found, counterparts=counterparts)

    for step in map(float, STEPS):
        for turned in (step, -step):
            yield f"{turned:+g} of the largest more on every pair", put(own + turned * size)
    for number in range(1, len(own) + 1):
        turn = np.where(np.arange(len(own)) < number, -1, 1).astype(np.float32)
        yield f"the first {number} pairs turned", put(own * turn)


def _kept_in_its_cell(check: Faithful | Equivalence, found: Behaved) -> Changed:
    own = found.judged
    setting = Setting(
        check.value or own.value, check.direction or own.direction, check.positions or own.positions
    )
    if setting in found.settings:
        yield from _circuit_moved(found, setting, check.circuit)


def _matched_exchanged(check: BeatsMatched, found: Behaved) -> Changed:
    """Some matched circuits exchanged for the whole model, the best that there is, or the worst."""
    empty, runs = found.settings[found.judged].empty, found.matched[check.circuit]
    for number in range(1, len(runs) + 1):
        for what, runs_of in (("with everything kept", found.whole), ("with nothing kept", empty)):
            exchanged = runs.copy()
            exchanged[:number] = runs_of
            matched = {**found.matched, check.circuit: exchanged}
            yield f"{number} matched circuits as {what}", replace(found, matched=matched)


def _inside_changed(found: Behaved, rows: Sequence[int]) -> Changed:
    """A component's effects inside the circuit; or those of several, where more than one may go."""
    for row in rows:
        for what, values in _row_changed(found, found.inside[row]):
            yield f"node {row} inside the circuit: {what}", _with_inside(found, [row], values)
    for number in range(2, len(rows) + 1):
        none = np.zeros_like(found.inside[0])
        what = f"{number} nodes do nothing inside the circuit"
        yield what, _with_inside(found, rows[:number], none)


def _with_inside(found: Behaved, rows: Sequence[int], values: Rows) -> Behaved:
    inside = found.inside.copy()
    inside[list(rows)] = values
    return replace(found, inside=inside)


def _sets_changed(found: Behaved) -> Changed:
    """What the circuit keeps without a set: by a share of the behaviour, or nearer to the model."""
    tried = found.tried
    for step in TOWARDS:
        nearer = _towards(tried.of_circuit, tried.of_model, step)
        changed = replace(tried, of_circuit=nearer)
        yield f"without every set {step:g} of the way to the model", replace(found, tried=changed)
        for row in range(len(tried.sets)):
            for turned in (step, -step):
                of_circuit = tried.of_circuit.copy()
                of_circuit[row] += np.float32(turned) * _behaviour(found)
                changed = replace(tried, of_circuit=of_circuit)
                what = f"without set {row} the circuit keeps {turned:+g} of the behaviour more"
                yield what, replace(found, tried=changed)


def _meaning_changed(
    found: Behaved, component: Component, components: Sequence[Component]
) -> Changed:
    """Effects of a component: alone, while others are out, in the other run, and in the circuit."""
    place = components.index(component)
    yield from _effects_changed(found, place)
    for number, given in enumerate(found.given):
        for what, values in _row_changed(found, given.effects[place]):
            others = [*found.given]
            others[number] = replace(given, effects=_with_row(given.effects, place, values))
            yield f"{component} while others are out: {what}", replace(found, given=others)
    if found.restored is not None:
        for what, values in _row_changed(found, found.restored[place]):
            changed = replace(found, restored=_with_row(found.restored, place, values))
            yield f"{component} restored: {what}", changed
    nodes = [node for node in next(iter(found.circuits.values())) if node != INPUT]
    if component in nodes:
        yield from _inside_changed(found, [nodes.index(component)])


def _effects_changed(found: Behaved, place: int) -> Changed:
    """A component's effects alone, by the first counterpart."""
    effects = found.single.effects
    for what, values in _row_changed(found, effects[0, place]):
        changed = effects.copy()
        changed[0, place] = values
        single = replace(found.single, effects=changed)
        yield f"component {place} alone: {what}", replace(found, single=single)


def _others_effects(found: Behaved, place: int) -> Changed:
    """More of the behaviour with another component, behind which this one then ranks."""
    effects = found.single.effects
    for other in (other for other in range(1, effects.shape[1]) if other != place):
        for share in (1.0, -1.0):
            changed = effects.copy()
            changed[0, other] += np.float32(share) * _behaviour(found)
            single = replace(found.single, effects=changed)
            what = f"component {other} alone: {share:+g} of the behaviour more"
            yield what, replace(found, single=single)


def _with_row(rows: Rows, place: int, values: Rows) -> Rows:
    changed = rows.copy()
    changed[place] = values
    return changed


def _row_changed(found: Behaved, row: Rows) -> Iterator[tuple[str, Rows]]:
    """One row scaled, or with a share of every pair's behaviour more, or less; at last turned."""
    for step in TOWARDS:
        yield f"{1 - step:g} times as much", np.float32(1 - step) * row
        for share in (step, -step):
            yield f"{share:+g} of the behaviour more", row + np.float32(share) * _behaviour(found)
    yield "turned", -row


def _behaviour(found: Behaved) -> Rows:
    ablated = found.settings[found.judged._replace(direction="ablate")]
    return np.asarray(ablated.full - ablated.empty)


def _circuit_moved(found: Behaved, setting: Setting, circuit: str) -> Changed:
    """A circuit's runs in a setting, moved towards those with nothing or with everything kept."""
    ran = found.settings[setting]
    if circuit not in ran.circuits:
        return
    for step in TOWARDS:
        for what, end in (("nothing", ran.empty), ("everything", ran.full)):
            moved = _towards(ran.circuits[circuit], end, step)
            changed = InSetting(ran.empty, ran.full, {**ran.circuits, circuit: moved})
            settings = {**found.settings, setting: changed}
            yield (
                f"{circuit} ({setting}): {step:g} of the way to where {what} is kept",
                replace(found, settings=settings),
            )


def _towards(runs: Rows, end: Rows, step: float) -> Rows:
    return np.asarray(runs + np.float32(step) * (end - runs))
