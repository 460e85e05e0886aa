"""Generators on which bounds and methods were chosen; they judge nothing.

Differences are Gaussian, or scaled by what their name says, around the property's direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float, Int64

from calibration.drawn import Drawn, Generator
from replication.circuits.components import ModelShape
from replication.engine.activations import MeanActivations
from replication.experiment.pairs import Pair

SHAPE = ModelShape(n_layers=12, n_heads=12, d_model=64, d_head=16)
SHARES = (0.05, 0.1, 0.25, 0.5, 0.8)
Noise = Literal["even", "uneven", "heavy", "skewed", "one short pair"]
LengthTo = Literal["along", "opposed", "across"]


@dataclass(frozen=True)
class Kind:
    """What a generator draws.

    `responding` components have the property's `shares` in turn. `length_ratio` is the size of what
    length gives them over that of the property; without it a fifth of all others respond to the
    first position, five times as strongly as to anything else.
    """

    name: str
    about: str
    noise: Noise = "even"
    longer: bool = False
    group_size: int = 1
    responding: int = 0
    shares: tuple[float, ...] = SHARES
    length_ratio: float | None = None
    length_to: LengthTo = "across"


def draw(kind: Kind, seed: int, n_pairs: int) -> Drawn:
    """Pairs of a kind, and what the model of a seed makes of them."""
    model = np.random.default_rng([seed, 0])
    sizes = [SHAPE.d_model] * SHAPE.n_layers + [SHAPE.d_head] * (SHAPE.n_layers * SHAPE.n_heads)
    share = np.zeros(len(sizes))
    chosen = model.permutation(len(sizes))[: kind.responding]
    share[chosen] = np.resize(kind.shares, kind.responding)
    lengths = _lengths(kind, n_pairs, np.random.default_rng([seed, 1]))
    step = 1 / (lengths + 1)
    mean_step = abs(float((step[:, 1] - step[:, 0]).mean())) or 1.0
    inner, whole = [], []
    for index, size in enumerate(sizes):
        noise = _noise(kind, n_pairs, size, lengths, np.random.default_rng([seed, 2, index]))
        direction, front = _unit(model, size), _unit(model, size)
        strength = np.sqrt(share[index] / (1 - share[index]) * 2)
        noise[:, 0] += strength * direction
        if kind.length_ratio is not None and share[index]:
            towards = {"along": -direction, "opposed": direction, "across": front}[kind.length_to]
            # The second side is the longer one: the first position pulls the first side's mean.
            front = -towards * kind.length_ratio * strength / mean_step
        else:
            front = front * (5 if model.random() < 0.2 else 0)
        inner.append(noise)
        whole.append(noise * (1 - step[..., None]) + front * step[..., None])
    ratio = np.where(share > 0, kind.length_ratio or 0.0, 0.0)
    groups = [str(pair // kind.group_size) for pair in range(n_pairs)]
    return Drawn(
        [Pair(str(2 * number), str(2 * number + 1)) for number in range(n_pairs)],
        groups if kind.group_size > 1 else None,
        _means(whole, lengths + 1, _means(inner, lengths)),
        share,
        ratio,
        np.full(len(sizes), np.nan),
    )


def _lengths(kind: Kind, n_pairs: int, rng: np.random.Generator) -> Int64[np.ndarray, "pairs 2"]:
    """The texts' lengths in tokens."""
    lengths = rng.integers(8, 25, (n_pairs, 2))
    if kind.longer:
        lengths[:, 1] = lengths[:, 0] + rng.integers(4, 13, n_pairs)
    if kind.noise == "one short pair":
        lengths += 12
        lengths[0] = 3
    return lengths


def _noise(
    kind: Kind,
    n_pairs: int,
    size: int,
    lengths: Int64[np.ndarray, "pairs 2"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "pairs 2 size"]:
    """What the prompts are about: of mean square 1 a side, of a spectrum that falls."""
    spectrum = 1 / np.arange(1, size + 1)
    spectrum /= spectrum.sum()
    n_groups = -(-n_pairs // kind.group_size)
    own = rng.standard_normal((n_pairs, 2, size))
    if kind.group_size > 1:
        shared = rng.standard_normal((n_groups, 2, size))[np.arange(n_pairs) // kind.group_size]
        own = (own + shared) / 2**0.5
    match kind.noise:
        case "uneven":
            own *= rng.lognormal(-0.25, 0.5, (n_pairs, 1, 1))
        case "heavy":
            own *= np.sqrt(3 / rng.chisquare(5, (n_pairs, 1, 1)))
        case "skewed":
            own = (rng.exponential(1, own.shape) - 1) * np.sign(own[:1, :1])
        case "one short pair":
            own *= np.sqrt(3 / lengths.mean(axis=1))[:, None, None] * 2
    return np.asarray(own * np.sqrt(spectrum))


def _unit(rng: np.random.Generator, size: int) -> Float[np.ndarray, " size"]:
    vector = rng.standard_normal(size)
    return np.asarray(vector / np.linalg.norm(vector))


def _means(
    components: list[np.ndarray],
    lengths: Int64[np.ndarray, "pairs 2"],
    inner: MeanActivations | None = None,
) -> MeanActivations:
    n_layers, n_heads = SHAPE.n_layers, SHAPE.n_heads
    heads = np.stack(components[n_layers:], axis=2)
    return MeanActivations(
        np.stack(components[:n_layers], axis=2).astype(np.float32),
        heads.reshape(*heads.shape[:2], n_layers, n_heads, -1).astype(np.float32),
        lengths,
        inner,
    )


KINDS = [
    Kind("even noise", "independent pairs, lengths unrelated"),
    Kind("even noise, second side longer", "the same, second prompts longer", longer=True),
    Kind("uneven noise", "pairs' noise lognormal with sigma 0.5", noise="uneven"),
    Kind("heavy noise", "pairs' noise Student's t with 5 degrees", noise="heavy", longer=True),
    Kind("skewed noise", "exponential noise on both sides", noise="skewed"),
    Kind("short pair", "one short pair among long ones", noise="one short pair"),
    Kind("groups", "stated groups of four that share half of their noise", group_size=4),
    Kind("31 respond", "shares of 5 to 80%", responding=31),
    Kind("31 respond, second side longer", "the same, lengths apart", responding=31, longer=True),
    Kind("3 respond", "shares of 5 to 80%", responding=3),
    Kind("in groups", "31 respond, in groups of four", responding=31, group_size=4),
    *(
        Kind(
            f"length {to}, {ratio:g} of the property",
            f"a first position {to} the property's direction",
            longer=True,
            responding=31,
            shares=(0.5, 0.8),
            length_ratio=ratio,
            length_to=to,
        )
        for to in ("along", "opposed", "across")
        for ratio in (1 / 1.5, 4.0)
    ),
]
CHOOSING = [
    Generator(kind.name, kind.about, kind.responding > 0, partial(draw, kind)) for kind in KINDS
]
