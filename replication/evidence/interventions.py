"""What was measured of a behaviour under interventions: plain arrays, and what each row is.

Every figure is the behaviour of one pair, in the behaviour's own unit: logits, or probability.
Effects are differences of two such figures on the same pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from replication.circuits.components import Component
from replication.engine.provenance import Provenance
from replication.experiment.behaviours import Setting, Unit
from replication.experiment.spec import Spec

Pairs = Float32[np.ndarray, " pairs"]
Rows = Float32[np.ndarray, "rows pairs"]
Effects = Float32[np.ndarray, "all pairs"]


@dataclass(frozen=True)
class InSetting:
    """The behaviour in a setting: with nothing kept, with everything kept, and with circuits."""

    empty: Pairs
    full: Pairs
    circuits: Mapping[str, Pairs]


@dataclass(frozen=True)
class Curve:
    """The behaviour with the best of a ranking kept, at several sizes, and with matched circuits.

    Sizes count components, the input aside, which is always kept.
    """

    sizes: Sequence[int]
    runs: Float32[np.ndarray, "sizes pairs"]
    matched: Float32[np.ndarray, "sizes draws pairs"]


@dataclass(frozen=True)
class Tried:
    """Sets of components that were taken out: of the model, and of the measured circuit."""

    labels: Sequence[str]
    sets: Sequence[Sequence[Component]]
    of_model: Rows
    of_circuit: Rows


@dataclass(frozen=True)
class Single:
    """What single components do: over all of them, the input first.

    `effects` is what goes when each alone is ablated, for every counterpart. `attribution` and
    `integrated` are what gradients say of the first counterpart's.
    """

    effects: Float32[np.ndarray, "counterparts all pairs"]
    attribution: Effects
    integrated: Effects


@dataclass(frozen=True)
class Given:
    """What each component's ablation takes while a set is out; of the set, while its rest is."""

    out: Sequence[Component]
    effects: Effects


@dataclass(frozen=True)
class Behaved:
    """One behaviour of every pair under every circuit and component that was run.

    `whole` is the model's own, and `counterparts` what it does on each counterpart, by the same
    answers. `circuits` are those that were kept, by name, and `unselected` the rivals that there
    are none of, with the reasons; from the one that the experiment measures
    the components were taken one by one (`inside`, in the order of its nodes, the input aside), and
    in sets (`tried`). `matched` are the random circuits of each one's make-up, as they were drawn,
    in the judged setting. `restored` is what comes back when each component alone is restored in
    the counterpart's run; None, and nothing `given`, where backups were not looked for.
    """

    unit: Unit
    judged: Setting
    by_position: bool
    seed: int
    whole: Pairs
    counterparts: Float32[np.ndarray, "counterparts pairs"]
    circuits: Mapping[str, Sequence[Component]]
    settings: Mapping[Setting, InSetting]
    curve: Curve
    matched: Mapping[str, Rows]
    single: Single
    restored: Effects | None
    given: Sequence[Given]
    inside: Rows
    tried: Tried
    unselected: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Unshown:
    """A behaviour that the model does not show, so that nothing was run that would explain it."""

    unit: Unit
    whole: Pairs
    counterparts: Float32[np.ndarray, "counterparts pairs"]
    reason: str


@dataclass(frozen=True)
class Interventions:
    """Every behaviour of an experiment under interventions, and the run that they come from."""

    provenance: Provenance
    behaviours: Mapping[str, Behaved | Unshown]


@dataclass(frozen=True)
class NoInterventions:
    """Nothing was run under interventions, and why."""

    reason: str


NO_INTERVENTIONS = NoInterventions("the experiment states no behaviour")


def without_circuit(reason: str) -> NoInterventions:
    """No interventions, for there is no circuit that could be kept alone."""
    return NoInterventions(f"the rule selects no circuit: {reason}")


def scored_effects(spec: Spec, found: Interventions) -> Effects | None:
    """What the experiment's scores are the size of; None where they are no effects."""
    if not spec.scoring.is_of_behaviour:
        return None
    scored = found.behaviours[str(spec.scored_behaviour)]
    assert isinstance(scored, Behaved)  # scores of what the model does not show are refused
    single = scored.single
    return single.attribution if spec.scoring.kind == "attribution" else single.effects[0]
