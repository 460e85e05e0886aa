"""Exchanges: the prompts of pairs change places, and what that says of a statistic.

All pairs of a cluster are exchanged together, because what hangs together is no evidence twice.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float64, Int64

from replication.experiment.clusters import count_of

EXCHANGES = 10_000  # at most; all of them where there are fewer
AT_A_TIME = 2**20  # signs of two clusters, of 8 bytes each: what a cache holds


def exchanges(n_clusters: int, seed: int) -> tuple[Float64[np.ndarray, "exchanges clusters"], bool]:
    """Which clusters' prompts are exchanged (-1) and which are not (1), and whether that is all.

    All ways are taken where there are few enough; exchanging every cluster changes nothing, so the
    first one stays as it is, and the first way exchanges none. Otherwise they are drawn, from the
    seed.
    """
    is_exhaustive = 2 ** (n_clusters - 1) <= EXCHANGES
    return (
        _all(n_clusters) if is_exhaustive else _drawn(EXCHANGES, n_clusters, seed)
    ), is_exhaustive


def _all(n_clusters: int) -> Float64[np.ndarray, "exchanges clusters"]:
    bits = np.arange(2 ** (n_clusters - 1))[:, None] >> np.arange(n_clusters - 1) & 1
    return np.hstack([np.ones((len(bits), 1)), 1.0 - 2.0 * bits])


@lru_cache(maxsize=4)  # an experiment's tests are all of the same exchanges
def _drawn(count: int, n_clusters: int, seed: int) -> Float64[np.ndarray, "exchanges clusters"]:
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (count, n_clusters))
    signs.flags.writeable = False
    return signs


def smallest_p(n_exchanges: int, is_exhaustive: bool) -> float:
    """The smallest p-value that these exchanges can give."""
    return 1 / (n_exchanges + (not is_exhaustive))


def members(clusters: Int64[np.ndarray, " pairs"]) -> Float64[np.ndarray, "clusters pairs"]:
    """Which pairs are in which cluster: 1 where a pair is in it, else 0."""
    return np.asarray(np.arange(count_of(clusters))[:, None] == clusters, dtype=np.float64)


def means_over(
    scores: Float[np.ndarray, "pairs components"],
    clusters: Int64[np.ndarray, " pairs"],
    counts: Float64[np.ndarray, "rows clusters"],
) -> Float64[np.ndarray, "rows components"]:
    """The scores' means over the pairs of clusters that count so often in a row."""
    belongs = members(clusters)
    return np.asarray(counts @ (belongs @ scores) / (counts @ belongs.sum(axis=1))[:, None])


def by_cluster(
    matrices: Float64[np.ndarray, "components pairs pairs"], clusters: Int64[np.ndarray, " pairs"]
) -> Float64[np.ndarray, "components clusters clusters"]:
    """The sums of each matrix's elements over the pairs of every two clusters."""
    belongs = members(clusters)
    return np.asarray(belongs @ matrices @ belongs.T)


def exchanged_totals(
    matrices: Float64[np.ndarray, "components clusters clusters"],
    signs: Float64[np.ndarray, "exchanges clusters"],
) -> Float64[np.ndarray, "components exchanges"]:
    """The sum over each symmetric matrix's elements after every exchange: e'Me.

    An element stands for two clusters, and exchanging one of them turns its sign.
    """
    one, other = np.triu_indices(signs.shape[1], 1)
    above = matrices[:, one, other]
    unchanged = np.trace(matrices, axis1=1, axis2=2)[:, None]
    turned = np.ascontiguousarray(signs.T)  # whole rows are gathered, which is much faster
    step = max(1, AT_A_TIME // max(1, len(one)))
    parts = (turned[:, start : start + step] for start in range(0, len(signs), step))
    return np.hstack([unchanged + 2 * above @ (part[one] * part[other]) for part in parts])


def share_as_large(
    statistics: Float64[np.ndarray, " exchanges"], observed: float, is_exhaustive: bool
) -> float:
    """The p-value: the share of the exchanges whose statistic is as large as the observed one.

    Among drawn exchanges the observed order counts as one more (Phipson and Smyth 2010).
    """
    margin = 1e-9 * np.abs(statistics).max(initial=abs(observed))
    as_large = int((statistics >= observed - margin).sum())
    if is_exhaustive:
        return as_large / len(statistics)
    return (1 + as_large) / (1 + len(statistics))


def false_discovery_rates(
    p_values: Float64[np.ndarray, " components"],
) -> Float64[np.ndarray, " components"]:
    """The smallest false-discovery rate at which each is found (Benjamini and Hochberg 1995).

    What `scipy.stats.false_discovery_control` gives, whose import takes a third of a second: more
    than everything else that a run on published and recorded evidence computes.
    """
    order = np.argsort(p_values)
    scaled = p_values[order] * len(p_values) / np.arange(1, len(p_values) + 1)
    rates = np.empty_like(scaled)
    rates[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return np.minimum(rates, 1)
