"""Does it do anything? What the interventions on a behaviour say of circuits and of components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from replication.circuits.components import INPUT, Component, ModelShape
from replication.controls.causal_words import Looked, Said, words_of
from replication.controls.effects import Effects, SetOut, effects_of, sets_out
from replication.controls.faithfulness import (
    AgainstMatched,
    Curve,
    Drawing,
    Faithfulness,
    against_matched,
    cells,
    curve_of,
    faithfulness_in,
    is_off_zero,
    mean_of,
)
from replication.evidence.interventions import Behaved
from replication.experiment.behaviours import Cell


@dataclass(frozen=True)
class Shown:
    """The behaviour itself: its mean, with an interval, and how many pairs come out right."""

    mean: float
    interval: tuple[float, float]
    right: int
    pairs: int


@dataclass(frozen=True)
class NotShown:
    """A behaviour that the model does not show, and why nothing is said of what explains it."""

    shown: Shown
    counterparts: Sequence[Shown]
    reason: str


@dataclass(frozen=True)
class Agreement:
    """How far two figures of every component go together: the correlation of their ranks."""

    of: str
    with_: str
    ranks: float


@dataclass(frozen=True)
class Causal:
    """Everything that is said of one behaviour.

    Effects are over all components, the input first: `effects` for each counterpart, `restored` and
    `given` in the counterpart's run and while others are out, and `inside` the circuit over its own
    nodes, the input aside. `differential` are the scores by activations, the input aside too, where
    activations were captured.
    `only_by_one` are the components that some counterparts find necessary and others do not.
    """

    behaviour: str
    behaved: Behaved
    cell: Cell
    components: Sequence[Component]
    shown: Shown
    counterparts: Sequence[Shown]
    is_told: bool
    faithfulness: Sequence[Faithfulness]
    matched: Mapping[str, AgainstMatched]
    curve: Curve
    effects: Sequence[Effects]
    restored: Effects | None
    given: Sequence[Effects]
    inside: Effects
    sets: Sequence[SetOut]
    differential: Float[np.ndarray, " components"] | None
    agreements: Sequence[Agreement]
    words: Mapping[Component, Said]
    only_by_one: Sequence[Component]

    def judged(self, circuit: str, cell: Cell | None = None) -> Faithfulness | None:
        """A circuit's faithfulness in a cell, by default the judged one; None if it was not run."""
        wanted = cell or self.cell
        found = (one for one in self.faithfulness if (one.circuit, one.cell) == (circuit, wanted))
        return next(found, None)


def causal(
    name: str,
    behaved: Behaved,
    cell: Cell,
    shape: ModelShape,
    drawing: Drawing,
    differential: Float[np.ndarray, " components"] | None,
) -> Causal:
    """What the interventions on a behaviour say; `differential` are the scores by activations."""
    components = [INPUT, *shape.components()]
    places = {component: place for place, component in enumerate(components)}
    ablated = behaved.settings[behaved.judged._replace(direction="ablate")]
    whole = (ablated.full - ablated.empty).astype(np.float64)
    faithful = [
        faithfulness_in(behaved.settings[one.setting], circuit, one, drawing)
        for one in cells(behaved)
        for circuit in behaved.circuits
    ]
    effects = _by_counterpart(behaved, whole, drawing)
    restored = behaved.restored
    back = None if restored is None else effects_of(restored, whole, drawing)
    given = [effects_of(one.effects, whole, drawing, len(behaved.given)) for one in behaved.given]
    inside = effects_of(behaved.inside, whole, drawing)
    measured = next(iter(behaved.circuits))
    is_told = is_off_zero(whole, drawing)
    looked = Looked(
        components,
        effects[0],
        back,
        [one.out for one in behaved.given],
        given,
        [node for node in behaved.circuits[measured] if node != INPUT],
        inside,
        next(one for one in faithful if (one.circuit, one.cell) == (measured, cell)),
        is_told,
    )
    return Causal(
        behaviour=name,
        behaved=behaved,
        cell=cell,
        components=components,
        shown=shown(behaved.whole, drawing),
        counterparts=[shown(one, drawing) for one in behaved.counterparts],
        is_told=is_told,
        faithfulness=faithful,
        matched={circuit: against_matched(behaved, circuit) for circuit in behaved.circuits},
        curve=curve_of(behaved, drawing),
        effects=effects,
        restored=back,
        given=given,
        inside=inside,
        sets=sets_out(behaved, drawing, places),
        differential=differential,
        agreements=_agreements(behaved, differential),
        words=words_of(looked),
        only_by_one=_only_by_one(effects, components),
    )


def _by_counterpart(
    behaved: Behaved, whole: Float[np.ndarray, " pairs"], drawing: Drawing
) -> list[Effects]:
    """What goes with each component, by each counterpart.

    A further counterpart's own behaviour is what is left where everything is interchanged.
    """
    wholes = [whole, *(behaved.whole - one for one in behaved.counterparts[1:])]
    return [
        effects_of(values, of, drawing)
        for values, of in zip(behaved.single.effects, wholes, strict=True)
    ]


def shown(values: Float[np.ndarray, " pairs"], drawing: Drawing) -> Shown:
    """A behaviour's mean over the pairs, and how many come out right."""
    mean, interval = mean_of(values, drawing)
    return Shown(mean, interval, int((values > 0).sum()), len(values))


def _agreements(
    behaved: Behaved, differential: Float[np.ndarray, " components"] | None
) -> list[Agreement]:
    """What is held against exact effects: attributions with their sign, scores with the size."""
    single = behaved.single
    effects = single.effects[0].mean(axis=1)
    found = [
        Agreement("attribution", "effect", _ranks_agree(single.attribution.mean(axis=1), effects)),
        Agreement("integrated", "effect", _ranks_agree(single.integrated.mean(axis=1), effects)),
    ]
    if differential is not None:
        agree = _ranks_agree(differential, np.abs(effects[1:]))
        found.append(Agreement("differential", "size of the effect", agree))
    return found


def _ranks_agree(one: Float[np.ndarray, " some"], other: Float[np.ndarray, " some"]) -> float:
    """The correlation of the ranks (Spearman 1904); ties share their mean rank."""
    from scipy.stats import rankdata

    ranks = np.corrcoef(rankdata(one), rankdata(other))
    return float(ranks[0, 1])


def _only_by_one(effects: Sequence[Effects], components: Sequence[Component]) -> list[Component]:
    """The components that are necessary by some counterparts and not by others."""
    serves = np.stack([one.serves for one in effects])
    differs = np.atleast_1d(serves.any(axis=0) & ~serves.all(axis=0))
    return [component for component, is_so in zip(components, differs, strict=True) if is_so]
