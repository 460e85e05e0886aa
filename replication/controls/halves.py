"""Halves: the pairs split at random in two, so that each half is a run that the other replicates.

No cluster is in both halves. What two halves agree on is what two runs agree on that have half as
many pairs; a component chosen on one half and scored on the other is scored without the luck that
chose it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from replication.circuits.components import ModelShape
from replication.circuits.selection import Rule, selections
from replication.controls.exchanges import means_over
from replication.controls.stability import NO_PAIRS, PairTables, resampled
from replication.controls.thresholds import THRESHOLDS
from replication.experiment.clusters import count_of

SPLITS = 1000
LOOKED_AT = 20  # of them, where a half's own stability is
DRAWS = 200
STABLE = THRESHOLDS.stable_probability.value


@dataclass(frozen=True)
class Spread:
    """A mean over many splits, and the ends between which 95% of them lie."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Float64[np.ndarray, " splits"]) -> Spread:
        """That of these values; there must be some."""
        confidence = THRESHOLDS.confidence.value
        low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
        return cls(float(values.mean()), float(low), float(high))


@dataclass(frozen=True)
class Halves:
    """What the halves say of each other.

    `overlap` is the share of one half's nodes, the input counted, that the other half selects too.
    `again` is the share of what one half calls stably in or out that comes out so on the other
    half. `top` is the score on the other half of the component that one half ranks first, over its
    score there; `last` the same of the last head that it selects. None where no half selects
    anything.
    """

    overlap: Spread | None
    again: Spread | None
    top: Spread
    last: Spread | None


def splits(n_clusters: int, seed: int) -> Bool[np.ndarray, "splits clusters"]:
    """Which clusters are in the first half, and which in the second, at random."""
    order = np.random.default_rng(seed).random((SPLITS, n_clusters)).argsort(axis=1)
    return np.asarray(order < n_clusters // 2)


def half_means(
    scores: Float[np.ndarray, "pairs components"],
    clusters: Int64[np.ndarray, " pairs"],
    halves: Bool[np.ndarray, "splits clusters"],
) -> Float64[np.ndarray, "splits components"]:
    """The scores' means over the pairs of these clusters."""
    return means_over(scores, clusters, halves.astype(np.float64))


def halved(
    scores: Float[np.ndarray, "pairs components"],
    clusters: Int64[np.ndarray, " pairs"],
    shape: ModelShape,
    rule: Rule,
    seed: int,
    tables: PairTables = NO_PAIRS,
) -> Halves:
    """What the halves of these per-pair scores say; there must be at least two clusters.

    `tables` are the scores that the rule's steps name.
    """
    halves = splits(count_of(clusters), seed)
    both_halves = (halves, ~halves)
    one, other = (half_means(scores, clusters, half) for half in both_halves)
    named = (
        {name: half_means(table, clusters, half) for name, table in tables.items()}
        for half in both_halves
    )
    here, there = (
        selections(means, shape, rule, of_half)
        for means, of_half in zip((one, other), named, strict=True)
    )
    both = here.any(axis=1) & there.any(axis=1)
    shares = (1 + (here & there).sum(axis=1)) / (1 + here.sum(axis=1))
    heads = np.where(here, one, np.inf)[:, shape.n_layers :]
    last = shape.n_layers + heads.argmin(axis=1)
    has_heads = here[:, shape.n_layers :].any(axis=1)
    return Halves(
        Spread.of(shares[both]) if both.any() else None,
        _again(scores, clusters, halves, there, shape, rule, seed, tables),
        Spread.of(_kept(one, other, np.nanargmax(one, axis=1))),
        Spread.of(_kept(one, other, last)[has_heads]) if has_heads.any() else None,
    )


def _again(
    scores: Float[np.ndarray, "pairs components"],
    clusters: Int64[np.ndarray, " pairs"],
    halves: Bool[np.ndarray, "splits clusters"],
    there: Bool[np.ndarray, "splits components"],
    shape: ModelShape,
    rule: Rule,
    seed: int,
    tables: PairTables,
) -> Spread | None:
    """How much of what some of the halves call stable comes out so on the others, `there`."""
    rng, shares = np.random.default_rng(seed), []
    for half, selected in zip(halves[:LOOKED_AT], there, strict=False):
        own = np.flatnonzero(half[clusters])
        _, renumbered = np.unique(clusters[own], return_inverse=True)
        of_half = {name: table[own] for name, table in tables.items()}
        by_pair = scores[own].astype(np.float64)
        drawn = resampled(by_pair, renumbered, shape, rule, DRAWS, rng, of_half)
        probability = drawn.mean(axis=0)
        is_in, is_out = (side >= STABLE for side in (probability, 1 - probability))
        if (is_in | is_out).any() and selected.any():
            shares.append((selected == is_in)[is_in | is_out].mean())
    return Spread.of(np.array(shares)) if shares else None


def _kept(
    one: Float64[np.ndarray, "splits components"],
    other: Float64[np.ndarray, "splits components"],
    chosen: Int64[np.ndarray, " splits"],
) -> Float64[np.ndarray, " splits"]:
    """The chosen component's score on the other half over that on the one that chose it."""
    rows = np.arange(len(chosen))
    over, under = other[rows, chosen], one[rows, chosen]
    return np.asarray(np.divide(over, under, out=np.ones_like(over), where=under > 0))
