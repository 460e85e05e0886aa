"""The null circuit: what the same rule selects on prompts that do not differ in the property.

Some components have large norms whatever the prompts say, and are selected from any pairs. So the
overlap of two circuits is held against that of a null circuit: as many MLPs and as many heads, the
best on pairs of prompts of one side. What two circuits share beyond it is owed to the property, or
to whatever else the sides differ in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from replication.circuits.circuit import Circuit
from replication.circuits.components import Kind, ModelShape
from replication.controls.chance import KINDS
from replication.controls.halves import Spread, half_means, splits
from replication.controls.null import distances
from replication.evidence.evidence import Measured
from replication.experiment.clusters import count_of
from replication.experiment.spec import MlpOut

FEWEST_CLUSTERS = 4  # of which a half has two prompts of a side
ANOTHER_HALF = "the other half of the pairs"


@dataclass(frozen=True)
class NullOverlap:
    """How many components of a kind a circuit shares with a replication, and the null circuit does.

    `against` is the replication: another result's circuit, or that of the other half of the pairs,
    against which both are of a half. `real` and `null` are means over random splits; `excess` is
    the one less the other.
    """

    against: str
    among: Kind
    of: int
    real: float
    null: float
    excess: Spread


@dataclass(frozen=True)
class _Pairing:
    """Which pairs' prompts stand for a split: in a row, two by two, for each side another order."""

    first: Int64[np.ndarray, "splits drawn"]
    second: Int64[np.ndarray, "splits drawn"]


def null_overlaps(
    measured: Measured,
    shape: ModelShape,
    mlp_out: MlpOut,
    others: Mapping[str, Circuit],
    seed: int,
) -> list[NullOverlap]:
    """The overlaps, by replication and kind; there must be at least four clusters.

    There are none without a circuit. Each cluster is drawn by one of its pairs, for the circuit and
    the null circuit alike. A kind of which the circuit holds nothing, or every one, is left out.
    """
    circuit = measured.circuit
    parts = [
        (kind, part, size)
        for kind, part in _parts(shape)
        if circuit and 0 < (size := len(circuit.of_kind(kind))) < part.stop - part.start
    ]
    if circuit is None or not parts:
        return []
    clusters, rng = measured.clusters, np.random.default_rng(seed)
    n_clusters = count_of(clusters)
    halves = splits(n_clusters, seed)
    in_half = _pairing(clusters, halves, rng)
    in_whole = _pairing(clusters, np.ones_like(halves), rng)
    real = np.stack([scores[in_half.first].mean(axis=1) for scores in measured.pair_scores.T], 1)
    null_half, null_whole = _null_scores(measured, mlp_out, in_half, in_whole)
    replication = half_means(measured.pair_scores, clusters, ~halves)
    found = []
    for kind, part, size in parts:
        real_best, null_best, null_of_all, other_half = (
            _best(scores[:, part], size) for scores in (real, null_half, null_whole, replication)
        )
        shared, null_shared = ((best & other_half).sum(axis=1) for best in (real_best, null_best))
        found.append(_overlap(ANOTHER_HALF, kind, size, shared, null_shared))
        own = set(circuit.of_kind(kind))
        for name, other in others.items():
            theirs = set(other.of_kind(kind))
            is_theirs = np.array([one in theirs for one in shape.components()[part]])
            null_shared = (null_of_all & is_theirs).sum(axis=1)
            found.append(
                _overlap(name, kind, size, np.full(len(halves), len(own & theirs)), null_shared)
            )
    return found


def _parts(shape: ModelShape) -> Iterator[tuple[Kind, slice]]:
    """Where the components of each kind stand among all."""
    kinds = [component.kind for component in shape.components()]
    for kind in KINDS:
        yield kind, slice(kinds.index(kind), kinds.index(kind) + kinds.count(kind))


def _pairing(
    clusters: Int64[np.ndarray, " pairs"],
    chosen: Bool[np.ndarray, "splits clusters"],
    rng: np.random.Generator,
) -> _Pairing:
    """One pair of every chosen cluster, in random order, of an even number of clusters."""
    n_drawn = int(chosen[0].sum()) // 2 * 2
    by_cluster = [np.flatnonzero(clusters == number) for number in range(count_of(clusters))]
    pair_of = np.stack([rng.choice(own, len(chosen)) for own in by_cluster], axis=1)

    def drawn() -> Int64[np.ndarray, "splits drawn"]:
        order = np.where(chosen, rng.random(chosen.shape), np.inf).argsort(axis=1)[:, :n_drawn]
        return np.take_along_axis(pair_of, order, axis=1)

    return _Pairing(drawn(), drawn())


def _null_scores(
    measured: Measured, mlp_out: MlpOut, *pairings: _Pairing
) -> list[Float64[np.ndarray, "splits components"]]:
    """The components' mean scores over pairs of prompts of one side, for each pairing."""
    scores: list[list[np.ndarray]] = [[] for _ in pairings]
    for means in measured.activations.by_component(mlp_out):
        first, second, _ = distances(means)
        for of_pairing, drawn in zip(scores, pairings, strict=True):
            one = first[drawn.first[:, ::2], drawn.first[:, 1::2]]
            other = second[drawn.second[:, ::2], drawn.second[:, 1::2]]
            of_pairing.append((one.mean(axis=1) + other.mean(axis=1)) / 2)
    return [np.stack(of_pairing, axis=1) for of_pairing in scores]


def _best(
    scores: Float64[np.ndarray, "splits components"], size: int
) -> Bool[np.ndarray, "splits components"]:
    """Which are among the so many best of each split."""
    best = np.zeros(scores.shape, dtype=bool)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :size]
    np.put_along_axis(best, order, True, axis=1)
    return best


def _overlap(
    against: str,
    kind: Kind,
    size: int,
    shared: Int64[np.ndarray, " splits"],
    null_shared: Int64[np.ndarray, " splits"],
) -> NullOverlap:
    return NullOverlap(
        against,
        kind,
        size,
        float(shared.mean()),
        float(null_shared.mean()),
        Spread.of(np.asarray(shared - null_shared, dtype=np.float64)),
    )
