"""Ratios of two sums over pairs, with intervals over clusters: faithfulness, and shares of effects.

Numerator and denominator are drawn together, as they come from the same pairs. The interval is the
bootstrap's t (Efron and Tibshirani 1993, An introduction to the bootstrap, chapter 12) on the ratio
with the standard error of a ratio of sums (Cochran 1977, Sampling techniques, section 6.3), and
Student's t where there are few clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Float64, Int64

from replication.controls.exchanges import members
from replication.controls.stability import FEWEST_FOR_AN_INTERVAL, FEWEST_FOR_DRAWS
from replication.controls.thresholds import THRESHOLDS
from replication.experiment.behaviours import Averaging

# Of the ratio: what rounding to float32 makes of pairs that all say the same, and of a draw of one.
NO_SPREAD, NO_SPREAD_OF_A_DRAW = 1e-6, 1e-7


@dataclass(frozen=True)
class Ratios:
    """The ratio of each row, and by the draws how far it may lie from the true one.

    `error` is its standard error, and `far` how many of a draw's own standard errors each draw's
    ratio lies above it; None with too few clusters for draws.
    """

    value: Float64[np.ndarray, " rows"]
    error: Float64[np.ndarray, " rows"]
    clusters: int
    far: Float64[np.ndarray, "draws rows"] | None

    def interval(self, confidence: float) -> Float64[np.ndarray, "2 rows"]:
        """The ends of each row's interval; nan with too few clusters."""
        if self.clusters < FEWEST_FOR_AN_INTERVAL:
            return np.full((2, len(self.value)), np.nan)
        if self.far is None:
            from scipy.special import stdtrit

            t = stdtrit(self.clusters - 1, (1 + confidence) / 2)
            reach = np.array([[t], [-t]])
        else:
            # Draws of few clusters are too much alike: their tails are moved out.
            z = NormalDist().inv_cdf((1 + confidence) / 2) * self.clusters / (self.clusters - 1)
            tails = [NormalDist().cdf(z), NormalDist().cdf(-z)]
            reach = np.quantile(self.far, tails, axis=0, method="inverted_cdf")
        spread = np.where(self.error > NO_SPREAD * np.abs(self.value), self.error, 0.0)
        with np.errstate(invalid="ignore"):
            ends = self.value - np.where(spread, reach, 0.0) * spread
        return np.where(np.isfinite(self.value), ends, np.nan)

    @cached_property
    def stated(self) -> Float64[np.ndarray, "2 rows"]:
        """The ends at the confidence of all intervals."""
        return self.interval(THRESHOLDS.confidence.value)

    @cached_property
    def two_tests(self) -> Float64[np.ndarray, "2 rows"]:
        """What holds the ratio where two one-sided tests of 5% each hold it (Schuirmann 1987)."""
        return self.interval(2 * THRESHOLDS.confidence.value - 1)


def ratios(
    numerators: Float[np.ndarray, "rows pairs"],
    denominators: Float[np.ndarray, " pairs"],
    clusters: Int64[np.ndarray, " pairs"],
    averaging: Averaging,
    resamples: int,
    seed: int,
) -> Ratios:
    """The rows' ratios to the denominators: of the means, or the mean of the pairs' own."""
    tops, bottoms = numerators.astype(np.float64), denominators.astype(np.float64)
    if averaging == "mean of ratios":
        with np.errstate(divide="ignore", invalid="ignore"):
            tops, bottoms = tops / bottoms, np.ones_like(bottoms)
    belongs = members(clusters)
    with np.errstate(divide="ignore", invalid="ignore"):
        above, below = tops @ belongs.T, belongs @ bottoms
        n_clusters = len(below)
        value = above.sum(axis=1) / below.sum()
        apart = above - value[:, None] * below
        error = np.sqrt(n_clusters / max(1, n_clusters - 1) * np.sum(apart**2, axis=1))
        error /= abs(below.sum())
    far = None
    if n_clusters >= FEWEST_FOR_DRAWS:
        far = _far(above, below, value, _draws(n_clusters, resamples, seed))
    return Ratios(value, error, n_clusters, far)


@lru_cache(maxsize=4)  # an experiment's ratios are all of the same draws
def _draws(n_clusters: int, resamples: int, seed: int) -> Float64[np.ndarray, "draws clusters"]:
    """How often each cluster counts in each draw."""
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(n_clusters, [1 / n_clusters] * n_clusters, resamples)
    counts = draws.astype(np.float64)
    counts.flags.writeable = False
    return counts


def _far(
    above: Float64[np.ndarray, "rows clusters"],
    below: Float64[np.ndarray, " clusters"],
    value: Float64[np.ndarray, " rows"],
    draws: Float64[np.ndarray, "draws clusters"],
) -> Float64[np.ndarray, "draws rows"]:
    """How many of its own standard errors each draw's ratio lies above the ratio."""
    n_clusters = len(below)
    with np.errstate(divide="ignore", invalid="ignore"):
        sums, total = draws @ above.T, (draws @ below)[:, None]
        drawn = sums / total
        squares = draws @ (above**2).T - 2 * drawn * (draws @ (above * below).T)
        squares += drawn**2 * (draws @ below**2)[:, None]
        errors = np.sqrt(n_clusters / (n_clusters - 1) * np.maximum(squares, 0)) / np.abs(total)
        far = (drawn - value) / errors
    # A draw of one cluster again and again lies infinitely far out, or nowhere.
    flat = ~(errors > NO_SPREAD_OF_A_DRAW * np.abs(value))
    far = np.where(flat, np.copysign(np.inf, drawn - value), far)
    return np.where(
        flat & (drawn == value), 0.0, np.nan_to_num(far, nan=0.0, posinf=np.inf, neginf=-np.inf)
    )
