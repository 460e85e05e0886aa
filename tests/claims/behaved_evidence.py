"""Evidence of interventions, made of arrays: what goes with whom is said, and noise added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from replication.circuits.components import INPUT, Component, ModelShape, parse
from replication.controls.faithfulness import Drawing
from replication.evidence.evidence import Evidence, Measured
from replication.evidence.interventions import (
    Behaved,
    Curve,
    Given,
    InSetting,
    Interventions,
    NoInterventions,
    Single,
    Tried,
    Unshown,
)
from replication.experiment.behaviours import Setting
from replication.experiment.spec import Spec
from tests.make import make_spec, means, measured_of, provenance_of

SHAPE = ModelShape(n_layers=2, n_heads=3, d_model=8, d_head=2)
EVERYTHING = [INPUT, *SHAPE.components()]
N_PAIRS = 12
RESAMPLES, SEED = 200, 1
DRAWING = Drawing(np.arange(N_PAIRS), RESAMPLES, SEED)

ABLATED = Setting("interchange", "ablate", "all")
RESTORED = Setting("interchange", "restore", "all")
ZEROED = Setting("zero", "ablate", "all")

Shares = Mapping[str, float]


@dataclass(frozen=True)
class Says:
    """What goes with what, in shares of a behaviour of about 2 that is 0.4 where nothing is kept.

    Effects that are not named are 0; those inside the circuit are 0.3. `given` is what goes while
    the sets named are out, and `gaps` what the circuit keeps more than the model without a set.
    """

    whole: float = 2.0
    empty: float = 0.4
    noise: float = 0.02
    kept: Shares = field(default_factory=lambda: {"mine": 0.95, "other": 0.3})
    kept_zeroed: Shares = field(default_factory=lambda: {"mine": 0.6, "other": 0.1})
    effects: Shares = field(default_factory=lambda: {"m0": 0.5, "a0.h0": 0.2, "a1.h0": -0.3})
    further: Shares | None = None
    restored: Shares | None = field(default_factory=lambda: {"m0": 0.5, "a0.h1": 0.4})
    given: Mapping[str, Shares] = field(default_factory=dict)
    inside: Shares = field(default_factory=dict)
    gaps: Mapping[str, float] = field(default_factory=lambda: {"m0": 0.02, "a0.h0 a1.h1": -0.01})
    matched: Sequence[float] = tuple(0.01 * number for number in range(39))
    curve: Shares = field(default_factory=lambda: {"1": 0.1, "4": 0.6, "8": 1.0})
    seed: int = 0


CIRCUITS = {
    "mine": [INPUT, *map(parse, ["m0", "a0.h0", "a1.h1"])],
    "other": [INPUT, *map(parse, ["m1", "a1.h2"])],
}


def behaved_of(says: Says, n_pairs: int = N_PAIRS, setting: Setting = ABLATED) -> Behaved:
    """The arrays of what is said."""
    made = _Made(says, n_pairs)
    whole, nodes = made.full, CIRCUITS["mine"][1:]
    settings = {setting: made.setting(says.kept), ZEROED: made.setting(says.kept_zeroed)}
    if setting.direction == "restore":
        settings |= {setting._replace(direction="ablate"): made.setting(says.kept)}
    effects = made.shares({str(one): says.effects.get(str(one), 0) for one in EVERYTHING})
    further = (
        effects
        if says.further is None
        else made.shares({str(one): says.further.get(str(one), 0) for one in EVERYTHING})
    )
    restored = says.restored
    return Behaved(
        unit="logit_difference",
        judged=setting,
        by_position=False,
        seed=SEED,
        whole=whole,
        counterparts=np.stack([made.empty, made.empty + made.noise()]),
        circuits=CIRCUITS,
        settings=settings,
        curve=Curve(
            [int(size) for size in says.curve],
            made.runs(list(says.curve.values())),
            np.stack([made.runs([share / 2, share / 4]) for share in says.curve.values()]),
        ),
        matched={name: made.runs(says.matched) for name in CIRCUITS},
        single=Single(np.stack([effects, further]), effects * 0.9, effects + made.noise()),
        restored=None
        if restored is None
        else made.shares({str(one): restored.get(str(one), 0) for one in EVERYTHING}),
        given=[
            Given(
                [parse(name) for name in out.split()],
                made.shares({str(one): shares.get(str(one), 0) for one in EVERYTHING}),
            )
            for out, shares in says.given.items()
        ],
        inside=made.shares({str(one): says.inside.get(str(one), 0.3) for one in nodes}),
        tried=_tried(says, made),
    )


def _tried(says: Says, made: _Made) -> Tried:
    of_model = made.runs([0.5] * len(says.gaps))
    gaps = made.shares(says.gaps)
    return Tried(
        [f"set {number}" for number in range(len(says.gaps))],
        [[parse(name) for name in one.split()] for one in says.gaps],
        of_model,
        of_model + gaps,
    )


class _Made:
    def __init__(self, says: Says, n_pairs: int) -> None:
        self._random, self._says = np.random.default_rng(says.seed), says
        self._n_pairs = n_pairs
        self.full = self._about(says.whole, 0.3)
        self.empty = self._about(says.empty, 0.05)

    def noise(self, scale: float | None = None) -> Float32[np.ndarray, " pairs"]:
        scale = self._says.noise if scale is None else scale
        return (scale * self._random.standard_normal(self._n_pairs)).astype(np.float32)

    def _about(self, middle: float, spread: float) -> Float32[np.ndarray, " pairs"]:
        return np.float32(middle) + self.noise(spread)

    def runs(self, shares: Sequence[float]) -> Float32[np.ndarray, "rows pairs"]:
        """What is left where these shares are kept."""
        return self.empty + self.shares({str(row): share for row, share in enumerate(shares)})

    def shares(self, of: Shares) -> Float32[np.ndarray, "rows pairs"]:
        """These shares of every pair's behaviour."""
        behaviour = self.full - self.empty
        rows = [np.float32(share) * behaviour + self.noise() for share in of.values()]
        return np.array(rows, dtype=np.float32).reshape(-1, self._n_pairs)

    def setting(self, kept: Shares) -> InSetting:
        return InSetting(
            self.empty, self.full, dict(zip(kept, self.runs([*kept.values()]), strict=True))
        )


def behaving_spec(setting: Setting = ABLATED, **changes: Any) -> Spec:
    """A spec that states the behaviours, the rivals and a further counterpart."""
    return make_spec(
        SHAPE,
        behaviour={
            "names": {"right": "right", "wrong": "wrong"},
            "never": {"right": "wrong", "wrong": "right"},
        },
        ablation={
            **setting._asdict(), "counterparts": ["third"], "rivals": {"effect": 0.1}, **changes
        },
        scoring={"mlp_out": "raw", "behaviour": "names"},
        verification={"resamples": RESAMPLES, "seed": SEED},
        results={"other": {"about": "another paper", "circuit": "other.json"}},
    )  # fmt: skip


def behaving(
    says: Says | None = None,
    setting: Setting = ABLATED,
    behaved: Behaved | None = None,
    **spec: Any,
) -> Evidence:
    """Recorded evidence on which `names` is as said, and `never` is not shown."""
    found = behaved or behaved_of(says or Says(), setting=setting)
    never = Unshown(found.unit, -found.whole, -found.counterparts, "the model does not show it: 0")
    stated = behaving_spec(setting, **spec)
    behaviours = {"names": found, "never": never}
    interventions = Interventions(provenance_of(SHAPE), behaviours)
    return with_interventions(stated, interventions)


def with_interventions(spec: Spec, found: Interventions | NoInterventions) -> Evidence:
    """Recorded evidence on a run that is noise, with these interventions."""
    measured = replace(measured_of(spec, means(SHAPE, N_PAIRS)), interventions=found)
    return Evidence("recorded", spec, SHAPE, {spec.measures: measured})


def behaved_in(evidence: Evidence, name: str = "names") -> Behaved:
    """A behaviour as it was measured."""
    measured = evidence.measured
    assert isinstance(measured, Measured)
    assert isinstance(measured.interventions, Interventions)
    found = measured.interventions.behaviours[name]
    assert isinstance(found, Behaved)
    return found


def place(component: str | Component) -> int:
    """A component's row among the effects."""
    return EVERYTHING.index(parse(str(component)))
