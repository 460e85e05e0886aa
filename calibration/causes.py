"""Planted causes: what each component of a made-up model does to an answer, as arithmetic.

A prompt has a word in each of a few slots, and a word has a value. A head hands on the value in one
slot; an MLP, what its role makes of what stands at the last position. The answer is the sum of what
is written towards it, each in its weight. `calibration.planted_causes` writes GPT-2s that do the
same, and tests hold one against the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from replication.circuits.components import INPUT, Component, ModelShape
from replication.circuits.matched import Mask
from replication.engine.interventions import Masks
from replication.engine.models import LoadedModel
from replication.engine.subject import Layout, Rows, Subject
from replication.experiment.behaviours import BehaviourSpec, Setting

Role = Literal[
    "used",  # writes its value towards the answer
    "against",  # writes it against the answer
    "redundant",  # one of several, of which the combining MLP takes what one suffices for
    "combining",
    "primary",  # writes towards the answer, and the backup makes up for what it does not write
    "backup",
    "ignored",  # differs between the prompts, and writes where nothing reads
    "bystander",  # the same, of the value that the strongest used one reads
    "noise",  # writes towards the answer what differs between the prompts, and is 0 on average
]
Combining = Literal["largest", "saturating"]
Kind = Literal["signal", "redundant", "noise"]

# Shares of the behaviour: together, with what works against it, all of it.
STRENGTHS = (0.3, 0.2, 0.05)  # of the used heads
OF_MLP = 0.1  # of the first MLP, which is used
OPPOSED, COMBINED, BACKED = -0.2, 0.25, 0.3
NOISE = 0.15  # what a noise of 1 writes
LAST = 0  # the slot at the last position, which MLPs read
CAP = 0.7  # of a single one's mean: where the saturating sum is cut off

JUDGED = Setting("interchange", "ablate", "all")


@dataclass(frozen=True)
class Part:
    """What a component does: its role, the slot that it reads, and what it writes of it."""

    role: Role
    slot: int
    weight: float

    @property
    def label(self) -> str:
        """The role, with the strength of what is used."""
        return f"{self.role}, {self.weight:.0%}" if self.role == "used" else self.role


@dataclass(frozen=True)
class Causes:
    """A model's causes: every component's part, and what the words in each slot are.

    `backed` is the share of the primary that the backup makes up for.
    """

    shape: ModelShape
    parts: Mapping[Component, Part]
    slots: tuple[Kind, ...]
    combining: Combining = "largest"
    backed: float = 1.0

    def places(self, *roles: Role) -> list[int]:
        """The places, among the components, of those with one of these roles."""
        return [place for place, one in enumerate(self.parts.values()) if one.role in roles]

    def with_role(self, *roles: Role) -> list[Component]:
        """The components with one of these roles."""
        return [component for component, one in self.parts.items() if one.role in roles]


class Values(NamedTuple):
    """The values of every pair's words, slot by slot, in its first prompt and the counterpart."""

    first: Float[np.ndarray, "slots pairs"]
    other: Float[np.ndarray, "slots pairs"]
    clusters: Int64[np.ndarray, " pairs"]


def plant(
    shape: ModelShape,
    seed: int,
    *,
    redundant: int = 2,
    noises: int = 3,
    combining: Combining = "largest",
    backed: float = 1.0,
) -> Causes:
    """The causes that a seed stands for: it says which head has which part."""
    rng = np.random.default_rng(seed)
    slots: list[Kind] = ["signal"]  # the last position's

    def own(kind: Kind) -> int:
        slots.append(kind)
        return len(slots) - 1

    alike = [Part("redundant", own("redundant"), 0.0) for _ in range(redundant)]
    used = [Part("used", own("signal"), strength) for strength in STRENGTHS]
    parts = [
        *used,
        Part("against", own("signal"), OPPOSED),
        Part("primary", LAST, BACKED),
        Part("bystander", used[0].slot, 0.0),
        *(Part("noise", own("noise"), NOISE) for _ in range(noises)),
    ]
    ignored = Part("ignored", own("signal"), 0.0)
    n_heads = shape.n_layers * shape.n_heads
    parts += [ignored] * (n_heads - len(alike) - len(parts))
    below = rng.permutation((shape.n_layers - 1) * shape.n_heads)[:redundant]
    others = rng.permutation([place for place in range(n_heads) if place not in below])
    placed = dict(zip([*below, *others], [*alike, *parts], strict=True))
    mlps = [Part("used", LAST, OF_MLP), *[Part("ignored", LAST, 0.0)] * (shape.n_layers - 3)]
    mlps += [Part("combining", LAST, COMBINED), Part("backup", LAST, BACKED * backed)]
    ordered = [*mlps, *(placed[place] for place in range(n_heads))]
    by_component = dict(zip(shape.components(), ordered, strict=True))
    return Causes(shape, by_component, tuple(slots), combining, backed)


def combined(
    causes: Causes, alike: Float[np.ndarray, "sets redundant pairs"]
) -> Float[np.ndarray, "sets pairs"]:
    """What the combining MLP makes of what the redundant ones write."""
    if causes.combining == "largest":
        return np.asarray(alike.max(axis=1))
    return np.asarray(np.clip(alike.sum(axis=1), 0, CAP) / CAP)


def activations(
    causes: Causes,
    values: Float[np.ndarray, "sets slots pairs"],
    masks: Bool[np.ndarray, "sets components"],
    put: Float[np.ndarray, "components pairs"],
) -> Float[np.ndarray, "sets components pairs"]:
    """What every component gives, where those of a mask give what is put in their place."""
    found = values[:, [one.slot for one in causes.parts.values()]]
    changed = masks[:, :, None]
    found = np.where(changed, put, found)
    (combining,), (backup,) = causes.places("combining"), causes.places("backup")
    (primary,) = causes.places("primary")
    alike = combined(causes, found[:, causes.places("redundant")])
    found[:, combining] = np.where(changed[:, combining], put[combining], alike)
    lacking = np.maximum(values[:, LAST] - found[:, primary], 0)
    found[:, backup] = np.where(changed[:, backup], put[backup], lacking)
    return found


def plain(
    causes: Causes, values: Float[np.ndarray, "slots pairs"]
) -> Float[np.ndarray, "components pairs"]:
    """What every component gives where nothing is changed."""
    nothing = np.zeros((1, len(causes.parts)), dtype=bool)
    found = activations(causes, values[None], nothing, np.zeros((len(causes.parts), 1)))
    return np.asarray(found[0])


def answers(
    causes: Causes, values: Values, masks: Masks, setting: Setting = JUDGED
) -> Float32[np.ndarray, "sets pairs"]:
    """The answer of every pair where a mask's components are changed, the input first."""
    base, source = values.first, values.other
    if setting.direction == "restore":
        base, source = source, base
    put, words = plain(causes, source), source
    if setting.value == "zero":
        put, words = np.zeros_like(put), np.zeros_like(words)
    elif setting.value == "mean":
        put, words = (np.broadcast_to(one.mean(axis=1)[:, None], one.shape) for one in (put, words))
    weights = np.array([one.weight for one in causes.parts.values()])
    found = np.empty((len(masks), base.shape[1]), dtype=np.float32)
    for is_changed in (False, True):
        rows = masks[:, 0] == is_changed
        given = np.broadcast_to(
            (words if is_changed else base)[None], (int(rows.sum()), *base.shape)
        )
        found[rows] = np.einsum(
            "c,scp->sp", weights, activations(causes, given, masks[rows, 1:], put)
        )
    return found


@dataclass(frozen=True)
class OfCauses(Subject):
    """A subject whose answers are those of planted causes, by arithmetic, without a model."""

    causes: Causes
    values: Values

    def _changed(
        self,
        masks: Masks,
        setting: Setting,
        what: str,  # noqa: ARG002
        context: Mask | None,  # noqa: ARG002
        counterpart: int = 0,  # noqa: ARG002
    ) -> Rows:
        return answers(self.causes, self.values, masks, setting)

    def attributed(self, steps: int) -> Float32[np.ndarray, "all pairs"]:  # noqa: ARG002
        """What ablating does, as nothing here is judged by gradients."""
        each = np.eye(1 + len(self.causes.parts), dtype=bool)
        return np.asarray(self.whole - self.ablated(each, "single components"))


def subject(causes: Causes, values: Values) -> OfCauses:
    """The causes on these pairs, to be run as a model is."""
    nothing = np.zeros((1, 1 + len(causes.parts)), dtype=bool)
    return OfCauses(
        name="planted",
        model=cast(LoadedModel, None),
        shape=causes.shape,
        behaviour=BehaviourSpec(right="right", wrong="wrong"),
        judged=JUDGED,
        rows=[],
        pairs=[],
        layout=Layout(by_pair=True, by_position=True, adds_tokens=False),
        offset=np.zeros(values.first.shape[1], dtype=np.float32),
        whole=answers(causes, values, nothing)[0],
        counterparts=answers(causes, values, ~nothing),
        causes=causes,
        values=values,
    )


def planted_circuit(causes: Causes) -> list[Component]:
    """Whatever serves the behaviour alone or together with others, but no backup."""
    return [INPUT, *causes.with_role("used", "combining", "redundant", "primary")]


def partial_circuit(causes: Causes) -> list[Component]:
    """What keeps a part of the behaviour: the used ones, and what works against it."""
    return [INPUT, *causes.with_role("used", "against")]
