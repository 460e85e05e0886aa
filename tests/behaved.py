"""Behaviours under interventions of models that there are not, with effects that were planted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Bool

from replication.circuits.components import INPUT, Component, ModelShape, parse
from replication.circuits.matched import mask_of, matched, members_of
from replication.evidence.evidence import Evidence
from replication.evidence.interventions import (
    Behaved,
    Curve,
    Given,
    InSetting,
    Interventions,
    Pairs,
    Rows,
    Single,
    Tried,
    Unshown,
)
from replication.experiment.behaviours import Setting, Value
from tests.make import evidence_of, make_spec, means, provenance_of

JUDGED = Setting("interchange", "ablate", "all")
SETTINGS = (
    JUDGED,
    Setting("zero", "ablate", "all"),
    Setting("mean", "ablate", "all"),
    Setting("shift", "ablate", "all"),
    Setting("mean", "restore", "all"),
    Setting("interchange", "restore", "all"),
)
BEHAVIOUR = "prefers"

# What of a behaviour goes with components, by their names; of several names, separated by spaces,
# each keeps it alone, so that it goes only with all of them. The rest goes with the input.
Shares = Mapping[str, float]
EFFECTS: Shares = {"m0": 0.6, "a0.h0": 0.4}
CIRCUITS: Mapping[str, Sequence[str]] = {"mine": ("input", "m0", "a0.h0")}
LACKING: Mapping[Value, float] = {"zero": 0.5, "mean": 0.1}


@dataclass(frozen=True)
class Planted:
    """A behaviour of `whole` a pair above `empty`, of which components keep their shares.

    `values` are what a circuit is the poorer by where other values than the counterpart's are put
    in the place of the rest.
    """

    shape: ModelShape
    empty: Pairs
    whole: Pairs
    shares: Shares
    noise: float
    rng: np.random.Generator
    values: Mapping[Value, float]

    def run(self, masks: Bool[np.ndarray, "rows all"], value: Value = "interchange") -> Rows:
        """The behaviour of every pair with these components alone."""
        kept = np.array([self.kept(members_of(mask, self.shape)) for mask in masks])
        is_whole = masks.all(axis=1) | ~masks.any(axis=1)
        kept = kept - np.where(is_whole, 0, self.values.get(value, 0.0))
        found = self.empty + kept[:, None] * self.whole
        noise = self.rng.standard_normal(found.shape) * self.noise
        return (found + np.where(is_whole[:, None], 0, noise)).astype(np.float32)

    def kept(self, components: Iterable[Component]) -> float:
        """The share that some components keep."""
        names = set(map(str, components))
        rest = 1 - sum(self.shares.values()) if "input" in names else 0
        return rest + sum(
            share for one, share in self.shares.items() if not names.isdisjoint(one.split())
        )


def behaved_of(
    shape: ModelShape,
    n_pairs: int = 20,
    seed: int = 0,
    effects: Shares = EFFECTS,
    circuits: Mapping[str, Sequence[str]] = CIRCUITS,
    *,
    elsewhere: Sequence[Shares] = (),
    values: Mapping[Value, float] = LACKING,
    settings: Sequence[Setting] = SETTINGS,
    out: Sequence[str] = (),
    backups: bool = True,
    noise: float = 0.02,
    draws: int = 19,
    logits: float = 4.0,
) -> Behaved:
    """A behaviour with these effects, of circuits by name: the first is the measured one.

    `elsewhere` are the effects by further counterparts, and `out` the set that is taken out to see
    what stands in for it. `logits` is how far the mean is above that of the counterpart.
    """
    rng = np.random.default_rng(seed)
    empty = rng.normal(0, 0.1, n_pairs).astype(np.float32)
    whole = rng.normal(logits, 0.2 * abs(logits), n_pairs).astype(np.float32)
    planted = Planted(shape, empty, whole, effects, noise, rng, values)
    others = [replace(planted, shares=one) for one in elsewhere]
    kept = {name: list(map(parse, nodes)) for name, nodes in circuits.items()}
    masks = {name: mask_of(nodes, shape) for name, nodes in kept.items()}
    own, nodes = (
        next(iter(masks.values())),
        [one for one in next(iter(kept.values())) if one.kind != "input"],
    )
    single = _single(planted, others)
    return Behaved(
        unit="logit_difference",
        judged=settings[0],
        by_position=True,
        seed=seed,
        whole=empty + whole,
        counterparts=np.stack([empty] * (1 + len(elsewhere))),
        circuits=kept,
        settings={one: _in_setting(planted, one, masks) for one in settings},
        curve=_curve(planted, single),
        matched={
            name: planted.run(
                np.stack(list(islice(matched(mask, shape, rng, by_layer=False), draws)))
            )
            for name, mask in masks.items()
        },
        single=single,
        restored=planted.run(_each(shape)) - empty if backups else None,
        given=[_given(planted, list(map(parse, out)))] if out else [],
        inside=planted.run(own[None])
        - planted.run(own & ~np.stack([mask_of([one], shape) for one in nodes])),
        tried=_tried(planted, own, nodes),
    )


def unshown_of(n_pairs: int = 20, seed: int = 0, counterparts: int = 1) -> Unshown:
    """A behaviour that the model does not show."""
    values = (
        np.random.default_rng(seed).normal(0, 1, (1 + counterparts, n_pairs)).astype(np.float32)
    )
    reason = "the whole model's mean is not above its counterparts'"
    return Unshown("logit_difference", values[0], values[1:], reason)


def behaved_evidence(
    shape: ModelShape,
    behaviours: Mapping[str, Behaved | Unshown],
    ablation: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Evidence:
    """Recorded evidence of these behaviours, beside mean activations that are noise."""
    pairs = {len(one.whole) for one in behaviours.values()}
    answers = {name: {"right": ["yes"], "wrong": ["no"]} for name in behaviours}
    stated = {"behaviour": answers, "ablation": ablation or {}}
    spec = make_spec(shape, **{"verification": {"resamples": 500}, **stated, **changes})
    evidence = evidence_of(spec, means(shape, pairs.pop()))
    assert evidence.measured is not None
    found = Interventions(provenance_of(shape), behaviours)
    return replace(
        evidence, results={spec.measures: replace(evidence.measured, interventions=found)}
    )


def _each(shape: ModelShape) -> Bool[np.ndarray, "all all"]:
    return np.eye(1 + len(shape.components()), dtype=bool)


def _single(planted: Planted, others: Sequence[Planted]) -> Single:
    effects = np.stack(
        [one.empty + one.whole - one.run(~_each(one.shape)) for one in (planted, *others)]
    )
    near = effects[0] + planted.rng.normal(0, 5 * planted.noise, effects[0].shape)
    return Single(effects, near.astype(np.float32), effects[0].copy())


def _in_setting(
    planted: Planted, setting: Setting, masks: Mapping[str, Bool[np.ndarray, " all"]]
) -> InSetting:
    runs = planted.run(np.stack(list(masks.values())), setting.value)
    circuits = dict(zip(masks, runs, strict=True))
    return InSetting(planted.empty, planted.empty + planted.whole, circuits)


def _curve(planted: Planted, single: Single) -> Curve:
    """Of the components by their exact effects."""
    components, shape = planted.shape.components(), planted.shape
    order = np.argsort(-single.effects[0, 1:].mean(axis=1), kind="stable")
    sizes = sorted({max(1, round(share * len(components))) for share in (0.1, 0.3, 0.6, 1.0)})
    best = [mask_of([INPUT, *(components[one] for one in order[:size])], shape) for size in sizes]
    draws = [list(islice(matched(one, shape, planted.rng, by_layer=False), 5)) for one in best]
    return Curve(
        sizes, planted.run(np.stack(best)), np.stack([planted.run(np.stack(one)) for one in draws])
    )


def _given(planted: Planted, out: Sequence[Component]) -> Given:
    each, context = _each(planted.shape), mask_of(out, planted.shape)
    base = planted.run(~context[None])
    runs = planted.run(~(context ^ each))
    return Given(out, np.where(context[:, None], runs - base, base - runs))


def _tried(
    planted: Planted, circuit: Bool[np.ndarray, " all"], nodes: Collection[Component]
) -> Tried:
    sets = [list(nodes), *([node] for node in nodes)]
    out = np.stack([mask_of(one, planted.shape) for one in sets])
    labels = ["the whole circuit"] + ["search, step 1"] * len(nodes)
    return Tried(labels, sets, planted.run(~out), planted.run(circuit & ~out))
