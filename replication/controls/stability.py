"""Stability: how scores and the selection would come out on other prompts from the same source.

The bootstrap (Efron 1979) draws the pairs again, with replacement, as often as there are pairs; the
spread over many such draws stands for the spread over other prompts.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from replication.circuits.components import ModelShape
from replication.circuits.selection import Rule, selections
from replication.controls.thresholds import THRESHOLDS


@dataclass(frozen=True)
class LeftOut:
    """The circuit without one pair, against the one with all pairs; the input is counted."""

    pair: int
    shared: int
    of: int
    gained: Sequence[str]
    lost: Sequence[str]


@dataclass(frozen=True)
class Stability:
    """What the resamples and the runs without one pair say.

    `interval` holds each score's lower and upper end, `probability` the share of the resamples in
    which a component is selected, `overlap` the mean and the ends of the share of nodes that two
    independent resamples' circuits have in common. In a share of `without_selection` of the
    resamples the budget or the threshold could not be met.
    """

    interval: Float64[np.ndarray, "2 components"]
    probability: Float64[np.ndarray, " components"]
    left_out_selected: Int64[np.ndarray, " components"]
    overlap: tuple[float, float, float]
    without_selection: float
    left_out: Sequence[LeftOut]

    @property
    def is_near_cut(self) -> Bool[np.ndarray, " components"]:
        """Which components the resamples put in or out too often for either to be stable."""
        stable = THRESHOLDS.stable_probability.value
        return (1 - stable < self.probability) & (self.probability < stable)


def stability(
    scores: Float[np.ndarray, "pairs components"],
    shape: ModelShape,
    rule: Rule,
    resamples: int,
    seed: int,
) -> Stability:
    """The stability of the selection on these per-pair scores; there must be at least two pairs."""
    by_pair = scores.astype(np.float64)
    means = resampled_means(by_pair, resamples, seed)
    drawn = selections(means, shape, rule)
    without = (by_pair.sum(axis=0) - by_pair) / (len(by_pair) - 1)
    left_out = selections(without, shape, rule)
    whole = selections(by_pair.mean(axis=0, keepdims=True), shape, rule)[0]
    names = [str(component) for component in shape.components()]
    return Stability(
        interval(means, len(by_pair)),
        drawn.mean(axis=0),
        left_out.sum(axis=0),
        _overlap(drawn),
        float(1 - drawn.any(axis=1).mean()),
        [_left_out(number, row, whole, names) for number, row in enumerate(left_out, start=1)],
    )


def resampled_means(
    by_pair: Float64[np.ndarray, "pairs components"], resamples: int, seed: int
) -> Float64[np.ndarray, "resamples components"]:
    """The scores' means over pairs drawn with replacement."""
    n_pairs = len(by_pair)
    draws = np.random.default_rng(seed).multinomial(n_pairs, [1 / n_pairs] * n_pairs, resamples)
    return np.asarray(draws @ by_pair / n_pairs)


def interval(
    means: Float64[np.ndarray, "resamples components"], n_pairs: int
) -> Float64[np.ndarray, "2 components"]:
    """The ends of each score's confidence interval.

    The percentile interval is too narrow for few pairs; its percentiles are moved out to where
    Student's t lies, by the factor that the bootstrap's variance falls short. Source: Hesterberg
    (2015), What teachers should know about the bootstrap, The American Statistician 69(4), the
    expanded percentile interval.
    """
    from scipy.special import stdtrit

    t = stdtrit(n_pairs - 1, (1 + THRESHOLDS.confidence.value) / 2)
    tail = statistics.NormalDist().cdf(-t * (n_pairs / (n_pairs - 1)) ** 0.5)
    return np.asarray(np.quantile(means, [tail, 1 - tail], axis=0))


def _overlap(drawn: Bool[np.ndarray, "resamples components"]) -> tuple[float, float, float]:
    """Mean and ends of the share of a circuit's nodes that the next resample's has as well."""
    following = np.roll(drawn, 1, axis=0)
    shares = (1 + (drawn & following).sum(axis=1)) / (1 + drawn.sum(axis=1))
    confidence = THRESHOLDS.confidence.value
    low, high = np.quantile(shares, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(shares.mean()), float(low), float(high)


def _left_out(
    number: int,
    selected: Bool[np.ndarray, " components"],
    whole: Bool[np.ndarray, " components"],
    names: Sequence[str],
) -> LeftOut:
    def chosen(mask: Bool[np.ndarray, " components"]) -> list[str]:
        return [name for name, is_in in zip(names, mask, strict=True) if is_in]

    return LeftOut(
        number,
        1 + int((selected & whole).sum()),
        1 + int(whole.sum()),
        chosen(selected & ~whole),
        chosen(whole & ~selected),
    )
