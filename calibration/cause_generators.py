"""Where the values of pairs' words come from, and which causes are planted in a made-up model.

The first few generators are those on which methods were chosen; they judge nothing. The others
judge, and had no part in choosing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from zlib import crc32

import numpy as np
from jaxtyping import Float, Int64

from calibration.causes import (
    Causes,
    Values,
    answers,
    partial_circuit,
    plant,
    planted_circuit,
)
from replication.circuits.components import Component, ModelShape
from replication.circuits.matched import mask_of

SMALL = ModelShape(n_layers=3, n_heads=4, d_model=64, d_head=16)
LARGER = ModelShape(n_layers=6, n_heads=8, d_model=64, d_head=8)
POPULATION = 60_000  # clusters of pairs: whose figures intervals are to hold
AT_A_TIME = 10_000
Sizes = tuple[int, ...]
Draw = Callable[[np.random.Generator, Sizes], Float[np.ndarray, "*any"]]
CIRCUITS: dict[str, Callable[[Causes], list[Component]]] = {
    "planted": planted_circuit,
    "partial": partial_circuit,
}


@dataclass(frozen=True)
class Generator:
    """A kind of pairs and of models.

    Signals are 1 on average, and noise 0. Of both, the pairs of a cluster share so much of the
    variance (`shared`). A pair's signals are all multiplied by one factor, whose logarithm has the
    deviation `common`; noise may go along with it. `own` is what each redundant component's signal
    deviates by itself, and `counter` what signals are in counterparts.
    """

    name: str
    about: str
    plant: Callable[[int], Causes]
    signal: Draw
    noise: Draw
    sizes: Callable[[np.random.Generator, int], Int64[np.ndarray, " clusters"]] = field(
        default=lambda _, clusters: np.ones(clusters, dtype=np.int64)
    )
    shared: float = 0.0
    common: float = 0.0
    noise_follows: bool = False
    own: float = 0.0
    counter: float = 0.0

    def random(self, *numbers: int) -> np.random.Generator:
        """Random numbers of this generator alone."""
        return np.random.default_rng([crc32(self.name.encode()), *numbers])

    def draw(self, causes: Causes, clusters: int, rng: np.random.Generator) -> Values:
        """The values of the pairs of that many clusters."""
        belongs = np.repeat(np.arange(clusters), self.sizes(rng, clusters))
        shape = (len(causes.slots), len(belongs))
        kinds = np.array(causes.slots)[:, None]
        factor = rng.lognormal(-(self.common**2) / 2, self.common, len(belongs))
        signals = self._shared(self.signal, rng, len(causes.slots), belongs) * factor
        redundant = np.flatnonzero(kinds[:, 0] == "redundant")
        signals[redundant] = signals[redundant[0]] * rng.lognormal(
            -(self.own**2) / 2, self.own, (len(redundant), len(belongs))
        )
        counter = self.counter * self.signal(rng, shape)
        noises = [self.of_noise(rng, belongs, factor, len(causes.slots)) / 2**0.5 for _ in range(2)]
        return Values(
            np.where(kinds == "noise", noises[0], signals),
            np.where(kinds == "noise", -noises[1], counter),
            belongs,
        )

    def of_noise(
        self,
        rng: np.random.Generator,
        belongs: Int64[np.ndarray, " pairs"],
        factor: Float[np.ndarray, " pairs"],
        rows: int,
    ) -> Float[np.ndarray, "rows pairs"]:
        """Noise, which may go along with what all of a pair's signals are multiplied by."""
        found = self._shared(self.noise, rng, rows, belongs)
        return found + (factor - 1) if self.noise_follows else found

    def _shared(
        self, draw: Draw, rng: np.random.Generator, rows: int, belongs: Int64[np.ndarray, " pairs"]
    ) -> Float[np.ndarray, "rows pairs"]:
        """What every pair draws by itself, or with this chance takes from its cluster."""
        alone = draw(rng, (rows, len(belongs)))
        if not self.shared:
            return alone
        of_cluster = draw(rng, (rows, int(belongs.max()) + 1))[:, belongs]
        return np.where(rng.random(alone.shape) < self.shared, of_cluster, alone)


def _gamma(shape: float, rng: np.random.Generator, sizes: Sizes) -> Float[np.ndarray, "*any"]:
    return rng.gamma(shape, 1 / shape, sizes)


def _lognormal(sigma: float, rng: np.random.Generator, sizes: Sizes) -> Float[np.ndarray, "*any"]:
    return rng.lognormal(-(sigma**2) / 2, sigma, sizes)


def _normal(rng: np.random.Generator, sizes: Sizes) -> Float[np.ndarray, "*any"]:
    return rng.standard_normal(sizes)


def _exponential(rng: np.random.Generator, sizes: Sizes) -> Float[np.ndarray, "*any"]:
    """An exponential less its mean."""
    return rng.exponential(1, sizes) - 1


def _student(rng: np.random.Generator, sizes: Sizes) -> Float[np.ndarray, "*any"]:
    """Student's t with 3 degrees of freedom, of variance 1."""
    return rng.standard_t(3, sizes) / 3**0.5


def _folded(rng: np.random.Generator, sizes: Sizes) -> Float[np.ndarray, "*any"]:
    """The size of Student's t with 4 degrees of freedom, 1 on average."""
    return np.abs(rng.standard_t(4, sizes))


def _skewed(rng: np.random.Generator, sizes: Sizes) -> Float[np.ndarray, "*any"]:
    """A lognormal less its mean, of variance 1; sigma is 1."""
    return np.asarray((rng.lognormal(0, 1, sizes) - np.e**0.5) / (np.e**2 - np.e) ** 0.5)


def _groups_of(size: int, _: np.random.Generator, clusters: int) -> Int64[np.ndarray, " clusters"]:
    return np.full(clusters, size, dtype=np.int64)


def _uneven(rng: np.random.Generator, clusters: int) -> Int64[np.ndarray, " clusters"]:
    """From 1 to 12 pairs; three on average, of very different sizes."""
    return np.minimum(rng.geometric(1 / 3, clusters), 12).astype(np.int64)


CHOOSING: Sequence[Generator] = [
    Generator(
        "small spread",
        "A signal's spread over pairs is half of its mean (gamma); noise is normal.",
        partial(plant, SMALL),
        partial(_gamma, 4.0),
        _normal,
    ),
    Generator(
        "spread as large as the effect",
        "Signals are exponential.",
        partial(plant, SMALL),
        partial(_gamma, 1.0),
        _normal,
    ),
    Generator(
        "groups of four",
        "Exponential signals; pairs come in groups of four that share half of their words.",
        partial(plant, SMALL),
        partial(_gamma, 1.0),
        _normal,
        partial(_groups_of, 4),
        shared=0.5,
    ),
    Generator(
        "skewed effects",
        "Noise is exponential less its mean, in groups of two that share half of it.",
        partial(plant, SMALL),
        partial(_gamma, 2.0),
        _exponential,
        partial(_groups_of, 2),
        shared=0.5,
    ),
    Generator(
        "half backed",
        "Exponential signals; the backup makes up for half of the primary.",
        partial(plant, SMALL, backed=0.5),
        partial(_gamma, 1.0),
        _normal,
    ),
]

STRANGERS: Sequence[Generator] = [
    Generator(
        "lognormal signals",
        "Signals are lognormal with sigma 1: their spread is 1.3 times their mean.",
        partial(plant, SMALL),
        partial(_lognormal, 1.0),
        _normal,
    ),
    Generator(
        "clusters of uneven sizes",
        "Clusters of 1 to 12 pairs, which share most of their words; signals are skewed (gamma of"
        " shape 1.5).",
        partial(plant, SMALL),
        partial(_gamma, 1.5),
        _normal,
        _uneven,
        shared=0.8,
    ),
    Generator(
        "heavy tails",
        "Signals are the size of Student's t with 4 degrees of freedom, noise is"
        " Student's t with 3.",
        partial(plant, SMALL),
        _folded,
        _student,
    ),
    Generator(
        "noise goes with the behaviour",
        "All of a pair's signals are multiplied by one lognormal factor of sigma 0.6, and every"
        " noise goes along with it: where the behaviour is large, so is what is none of it.",
        partial(plant, SMALL),
        partial(_gamma, 2.0),
        _normal,
        common=0.6,
        noise_follows=True,
    ),
    Generator(
        "skewed noise",
        "Noise is lognormal less its mean, sigma 1; in pairs of templates that share most of it.",
        partial(plant, SMALL),
        partial(_gamma, 3.0),
        _skewed,
        partial(_groups_of, 2),
        shared=0.7,
    ),
    Generator(
        "another architecture",
        "54 components; three redundant heads of which none is quite like another, behind an MLP"
        " that saturates; a backup that makes up for two thirds; eight heads of noise.",
        partial(plant, LARGER, redundant=3, noises=8, combining="saturating", backed=2 / 3),
        partial(_gamma, 2.0),
        _normal,
        own=0.3,
    ),
    Generator(
        "counterparts show some",
        "In counterparts every signal is there to a fifth, and varies as much in itself.",
        partial(plant, SMALL),
        partial(_gamma, 2.0),
        _normal,
        counter=0.2,
    ),
]


@cache
def true_faithfulness(number: int, is_judging: bool) -> dict[str, float]:
    """Each circuit's faithfulness over a large population of a generator's pairs."""
    generator = (STRANGERS if is_judging else CHOOSING)[number]
    causes, rng = generator.plant(0), generator.random(0)
    nothing = np.zeros(1 + len(causes.parts), dtype=bool)
    kept = [mask_of(one(causes), causes.shape) for one in CIRCUITS.values()]
    masks = np.stack([~nothing, nothing, *(~one for one in kept)])
    sums = np.zeros(len(masks))
    for _ in range(POPULATION // AT_A_TIME):
        values = generator.draw(causes, AT_A_TIME, rng)
        sums += answers(causes, values, masks).sum(axis=1, dtype=np.float64)
    empty, full, *circuits = sums
    return dict(
        zip(CIRCUITS, ((np.array(circuits) - empty) / (full - empty)).tolist(), strict=True)
    )
