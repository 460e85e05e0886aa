"""Power: how many clusters of pairs a component needs for its word, by what was recorded of it.

The noise is what the clusters' mean differences on the text alone have besides lengths and a common
direction. A direction that makes a given share R of the squared difference is planted in it,

    |c|² = R / (1 - R) mean |noise|²,        c any direction of the noise's span, at random,

and so many clusters are drawn, with replacement: their noise, turned or not at random, and apart
from it their lengths, the same for all draws of a number. Every draw is tested as what was recorded
is (`controls.property`). The share of the draws that are found is the chance with so many clusters.

The null scores' test is not drawn again, nor is a marker, the selection, or what the first position
gives: the numbers are what a component needs at least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from replication.controls.exchanges import EXCHANGES, members, smallest_p
from replication.controls.property import NOTHING, p_values_of, shares_of
from replication.controls.thresholds import THRESHOLDS
from replication.experiment.clusters import count_of

SHARES = (0.1, 0.25, 0.35, 0.5, 0.65, 0.8)
CLUSTERS = (6, 8, 10, 12, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128)
DRAWS = 100
IN_COMPANY = 0.1  # of the components, which respond as well
FEWEST_FOR_NOISE = 5  # clusters: of four, lengths and a common direction leave one


@dataclass(frozen=True)
class Noise:
    """A component's noise by cluster, in coordinates of its own span, and the clusters' lengths."""

    noise: Float64[np.ndarray, "clusters rank"]
    terms: Float64[np.ndarray, "clusters terms"]


class Needed(NamedTuple):
    """The fewest clusters that give the chance; None where the most of `CLUSTERS` do not."""

    differs: int | None
    specific: int | None


@dataclass(frozen=True)
class Power:
    """How many clusters a component needs that the property makes this share of.

    `alone` where no other component responds, `in_company` where a tenth of them do.
    """

    share: float
    alone: Needed
    in_company: Needed


def noise_of(
    difference: Float64[np.ndarray, "pairs size"],
    terms: Float64[np.ndarray, "pairs terms"],
    clusters: Int64[np.ndarray, " pairs"],
) -> Noise | None:
    """The noise of a component; None where lengths and a common direction leave nothing.

    What the fit took is made up for: n clusters less the fit's rank are the degrees of freedom.
    """
    belongs = members(clusters)
    belongs /= belongs.sum(axis=1, keepdims=True)
    means, lengths = belongs @ difference, belongs @ terms
    fitted = np.column_stack([lengths, np.ones(len(means))])
    left = means - fitted @ (np.linalg.pinv(fitted) @ means)
    free = count_of(clusters) - np.linalg.matrix_rank(fitted)
    along, sizes, _ = np.linalg.svd(left, full_matrices=False)
    is_noise = sizes > NOTHING * max(1.0, float(np.linalg.norm(means)))
    if free < 1 or not is_noise.any():
        return None
    return Noise((along * sizes)[:, is_noise] * np.sqrt(len(means) / free), lengths)


def p_bounds(n_components: int) -> tuple[float, float]:
    """The largest p-values that are found, among these many: alone, and with a tenth of them.

    The q-value of the k smallest of m p-values is at most m / k of the largest of them.
    """
    rate = THRESHOLDS.false_discovery_rate.value
    return rate / n_components, rate * max(IN_COMPANY, 1 / n_components)


def fewest_clusters(p_bound: float) -> int | None:
    """The fewest clusters with a p-value as small as this one; None if no number of them has."""
    n_clusters, n_exchanges = 2, 2
    while n_exchanges <= EXCHANGES:
        if smallest_p(n_exchanges, is_exhaustive=True) <= p_bound:
            return n_clusters
        n_clusters, n_exchanges = n_clusters + 1, 2 * n_exchanges
    return n_clusters if smallest_p(EXCHANGES, is_exhaustive=False) <= p_bound else None


def powers(
    noise: Noise, shares: Sequence[float], n_components: int, chance: float, seed: int
) -> list[Power]:
    """How many clusters are needed at each of the shares, for this chance or a higher one."""
    bounds = p_bounds(n_components)
    return [_power(noise, share, bounds, chance, seed) for share in shares]


def _power(
    noise: Noise, share: float, bounds: tuple[float, float], chance: float, seed: int
) -> Power:
    """How many clusters are needed at one share, under both bounds on p."""
    found: list[dict[str, int]] = [{}, {}]
    for n_clusters in CLUSTERS:
        if all(len(one) == len(Needed._fields) for one in found):
            break
        p_values, is_large = drawn(noise, share, n_clusters, seed)
        for one, bound in zip(found, bounds, strict=True):
            is_found = p_values <= bound
            for word, flags in (("differs", is_found), ("specific", is_found & is_large)):
                if flags.mean() >= chance:
                    one.setdefault(word, n_clusters)
    alone, in_company = (Needed(one.get("differs"), one.get("specific")) for one in found)
    return Power(share, alone, in_company)


def drawn(
    noise: Noise, share: float, n_clusters: int, seed: int
) -> tuple[Float64[np.ndarray, " draws"], np.ndarray]:
    """The draws' p-values, and whether the share's lower end is above that of *specific*."""
    random = np.random.default_rng([seed, n_clusters])
    n_known, rank = noise.noise.shape
    terms = noise.terms[random.integers(n_known, size=n_clusters)]
    rows = noise.noise[random.integers(n_known, size=(DRAWS, n_clusters))]
    rows *= random.choice([-1.0, 1.0], (DRAWS, n_clusters, 1))
    directions = random.standard_normal((DRAWS, 1, rank))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    mean_square = np.sum(noise.noise**2) / n_known
    rows += np.sqrt(share / (1 - share) * mean_square) * directions
    own = np.arange(n_clusters)
    p_values = p_values_of(list(rows), terms, own, seed)
    low = shares_of(list(rows), terms, own)[1]
    return p_values, low > THRESHOLDS.property_share.value
