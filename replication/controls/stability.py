"""Stability: how scores and the selection would come out on other prompts from the same source.

The bootstrap (Efron 1979) draws the clusters of pairs again, with replacement; the spread over many
such draws stands for the spread over other prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from replication.circuits.components import ModelShape
from replication.circuits.selection import Rule, selections
from replication.controls.exchanges import means_over, members
from replication.controls.thresholds import THRESHOLDS
from replication.experiment.clusters import count_of

FEWEST_FOR_AN_INTERVAL = 3
# With fewer clusters too many draws hold hardly any others, and know nothing of any spread.
FEWEST_FOR_DRAWS = 10
# Score tables by name, by pair.
PairTables = Mapping[str, Float[np.ndarray, "pairs components"]]
NO_PAIRS: PairTables = MappingProxyType({})
NO_SPREAD = 1e-12  # of a mean: what rounding makes of scores that are all the same


@dataclass(frozen=True)
class LeftOut:
    """The circuit without one cluster's pairs, against the one with all; the input is counted."""

    pairs: Sequence[int]
    shared: int
    of: int
    gained: Sequence[str]
    lost: Sequence[str]


@dataclass(frozen=True)
class Stability:
    """What the resamples and the runs without one cluster say.

    `interval` holds each score's lower and upper end, nan of two clusters, or of too many scores of
    0; `probability` is the share of the resamples in which a component is selected.
    In a share of `without_selection` of these the budget or the threshold could not be met.
    """

    interval: Float64[np.ndarray, "2 components"]
    probability: Float64[np.ndarray, " components"]
    left_out_selected: Int64[np.ndarray, " components"]
    without_selection: float
    left_out: Sequence[LeftOut]

    @property
    def is_near_cut(self) -> Bool[np.ndarray, " components"]:
        """Which components the resamples put in or out too often for either to be stable."""
        stable = THRESHOLDS.stable_probability.value
        return (1 - stable < self.probability) & (self.probability < stable)


def stability(
    scores: Float[np.ndarray, "pairs components"],
    clusters: Int64[np.ndarray, " pairs"],
    shape: ModelShape,
    rule: Rule,
    resamples: int,
    seed: int,
    tables: PairTables = NO_PAIRS,
) -> Stability:
    """The stability of the selection on these per-pair scores; there must be two clusters.

    `tables` are the scores that the rule's steps name.
    """
    by_pair, belongs = scores.astype(np.float64), members(clusters)
    sums, sizes = belongs @ by_pair, belongs.sum(axis=1)
    rng = np.random.default_rng(seed)
    drawn = resampled(by_pair, clusters, shape, rule, resamples, rng, tables)

    def selected(weights: Float64[np.ndarray, "rows clusters"]) -> Bool[np.ndarray, "rows all"]:
        return _selected(by_pair, tables, clusters, weights, shape, rule)

    left_out = selected(1.0 - np.eye(len(sizes)))
    whole = selected(np.ones((1, len(sizes))))[0]
    names = [str(component) for component in shape.components()]
    return Stability(
        interval(sums, sizes, _draws(len(sizes), len(sizes), resamples, rng)),
        drawn.mean(axis=0),
        left_out.sum(axis=0),
        float(1 - drawn.any(axis=1).mean()),
        [
            _left_out(np.flatnonzero(clusters == number) + 1, row, whole, names)
            for number, row in enumerate(left_out)
        ],
    )


def resampled(
    scores: Float64[np.ndarray, "pairs components"],
    clusters: Int64[np.ndarray, " pairs"],
    shape: ModelShape,
    rule: Rule,
    resamples: int,
    rng: np.random.Generator,
    tables: PairTables = NO_PAIRS,
) -> Bool[np.ndarray, "resamples components"]:
    """What is selected on draws that vary as another run would from this one.

    Whether another run selects a component again turns on the luck of both runs, so that the two
    differ by twice the variance of one. That is the variance of a draw of half as many clusters,
    (n - 1) / 2 for one that is lost with the mean.
    """
    n_clusters = count_of(clusters)
    draws = _draws(n_clusters, max(1, (n_clusters - 1) // 2), resamples, rng)
    return _selected(scores, tables, clusters, draws, shape, rule)


def _selected(
    scores: Float64[np.ndarray, "pairs components"],
    tables: PairTables,
    clusters: Int64[np.ndarray, " pairs"],
    weights: Float64[np.ndarray, "rows clusters"],
    shape: ModelShape,
    rule: Rule,
) -> Bool[np.ndarray, "rows components"]:
    """What is selected on the means over clusters that count so often."""
    named = {name: means_over(one, clusters, weights) for name, one in tables.items()}
    return selections(means_over(scores, clusters, weights), shape, rule, named)


def _draws(
    n_clusters: int, size: int, resamples: int, rng: np.random.Generator
) -> Float64[np.ndarray, "resamples clusters"]:
    """How often each cluster is drawn, when so many are drawn with replacement."""
    return rng.multinomial(size, [1 / n_clusters] * n_clusters, resamples).astype(np.float64)


def interval(
    sums: Float64[np.ndarray, "clusters components"],
    sizes: Float64[np.ndarray, " clusters"],
    draws: Float64[np.ndarray, "resamples clusters"],
) -> Float64[np.ndarray, "2 components"]:
    """The ends of each score's confidence interval, by the standard error of its logarithm.

    Logarithms keep skewed scores' intervals above 0 and as wide upwards as they must be. The
    standard error is that of a ratio of sums (Cochran 1977, Sampling techniques, section 6.3); how
    many of it the interval reaches to either side is Student's t for fewer than ten clusters, and
    from ten on what the draws say (`reaches`).
    """
    n_clusters = len(sizes)
    if n_clusters < FEWEST_FOR_AN_INTERVAL:
        return np.full((2, sums.shape[1]), np.nan)
    means = sums.sum(axis=0) / sizes.sum()
    apart = sums - sizes[:, None] * means
    error = np.sqrt(n_clusters / (n_clusters - 1) * np.sum(apart**2, axis=0)) / sizes.sum()
    if n_clusters < FEWEST_FOR_DRAWS:
        from scipy.special import stdtrit

        t = stdtrit(n_clusters - 1, (1 + THRESHOLDS.confidence.value) / 2)
        reach = np.array([[t], [-t]])
    else:
        reach = reaches(means, apart, sizes, draws)
    spread = np.divide(error, means, out=np.zeros_like(means), where=error > NO_SPREAD * means)
    with np.errstate(over="ignore", invalid="ignore"):
        ends = means * np.exp(-reach * spread)
    return np.where(np.isfinite(ends).all(axis=0), ends, np.nan)


def reaches(
    means: Float64[np.ndarray, " components"],
    apart: Float64[np.ndarray, "clusters components"],
    sizes: Float64[np.ndarray, " clusters"],
    draws: Float64[np.ndarray, "resamples clusters"],
) -> Float64[np.ndarray, "2 components"]:
    """How many standard errors the log mean may lie above the true one, and below: bootstrap-t.

    How far a draw's log mean lies from the log mean, in its own standard errors, stands for how far
    the log mean lies from the true one in its own. The tails are moved out by n / (n - 1), since
    draws of few clusters are too much alike. `apart` is how far each cluster's sum lies from what
    the mean says. Source: Efron and Tibshirani 1993, An introduction to the bootstrap, chapter 12;
    the factor is this project's own, chosen by simulation.
    """
    correction = len(sizes) / (len(sizes) - 1)
    drawn = (draws @ sizes)[:, None]
    shift = draws @ apart / drawn
    squares = draws @ apart**2 - 2 * shift * (draws @ (apart * sizes[:, None]))
    squares += shift**2 * (draws @ sizes**2)[:, None]
    errors = np.sqrt(correction * np.maximum(squares, 0)) / drawn
    with np.errstate(divide="ignore", invalid="ignore"):
        # A draw without any spread, or of zeros alone, lies infinitely far out, or nowhere.
        far = np.log1p(shift / means) * (means + shift) / errors
        far = np.where(errors > NO_SPREAD * means, far, np.sign(shift) * np.inf)
    far[np.isnan(far)] = 0.0
    z = NormalDist().inv_cdf((1 + THRESHOLDS.confidence.value) / 2) * correction
    tails = [NormalDist().cdf(z), NormalDist().cdf(-z)]
    return np.asarray(np.quantile(far, tails, axis=0, method="inverted_cdf"))


def _left_out(
    pairs: Int64[np.ndarray, " own"],
    selected: Bool[np.ndarray, " components"],
    whole: Bool[np.ndarray, " components"],
    names: Sequence[str],
) -> LeftOut:
    def chosen(mask: Bool[np.ndarray, " components"]) -> list[str]:
        return [name for name, is_in in zip(names, mask, strict=True) if is_in]

    return LeftOut(
        pairs.tolist(),
        1 + int((selected & whole).sum()),
        1 + int(whole.sum()),
        chosen(selected & ~whole),
        chosen(whole & ~selected),
    )
