"""Effects: what of a behaviour goes with each component, with intervals and false discoveries.

An effect is a share of m(M) - m(0): positive where the component serves the behaviour, negative
where it works against it. Whether it is there at all is asked by turning the signs of clusters of
pairs (`controls.exchanges`), as of a difference that has no side; and, as effects that are none on
average may still lean to one side, by Student's t with the skewness taken out (Hall 1992, On the
removal of skewness by transformation). The larger p-value counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from replication.circuits.components import Component
from replication.controls.exchanges import (
    exchanges,
    false_discovery_rates,
    members,
    share_as_large,
)
from replication.controls.faithfulness import Drawing
from replication.controls.ratios import NO_SPREAD, Ratios
from replication.controls.thresholds import THRESHOLDS
from replication.evidence.interventions import Behaved


@dataclass(frozen=True)
class Effects:
    """Effects as shares of the behaviour: with intervals, p-values and false-discovery rates.

    `mean` is in the behaviour's own unit. `two_tests` is what two one-sided tests hold each in.
    """

    mean: Float64[np.ndarray, " rows"]
    share: Float64[np.ndarray, " rows"]
    interval: Float64[np.ndarray, "2 rows"]
    two_tests: Float64[np.ndarray, "2 rows"]
    p_value: Float64[np.ndarray, " rows"]
    q_value: Float64[np.ndarray, " rows"]

    @property
    def _is_found(self) -> Bool[np.ndarray, " rows"]:
        return self.q_value <= THRESHOLDS.false_discovery_rate.value

    @property
    def serves(self) -> Bool[np.ndarray, " rows"]:
        """Which are there, and clearly more than what is as good as none."""
        return np.asarray(self._is_found & (self.interval[0] > THRESHOLDS.effect_share.value))

    @property
    def opposes(self) -> Bool[np.ndarray, " rows"]:
        """Which are there, and clearly less than nothing."""
        return np.asarray(self._is_found & (self.interval[1] < -THRESHOLDS.effect_share.value))

    @property
    def is_none(self) -> Bool[np.ndarray, " rows"]:
        """Which are as good as none, by two one-sided tests."""
        bound = THRESHOLDS.effect_share.value
        return np.asarray((-bound < self.two_tests[0]) & (self.two_tests[1] < bound))


def effects_of(
    values: Float[np.ndarray, "rows pairs"],
    behaviour: Float[np.ndarray, " pairs"],
    drawing: Drawing,
    times: int = 1,
) -> Effects:
    """Effects as shares of a behaviour; false discoveries among all that is asked so many times."""
    ratio: Ratios = drawing.ratios(values.astype(np.float64), behaviour.astype(np.float64))
    p_values = _p_values(values.astype(np.float64), drawing)
    return Effects(
        values.mean(axis=1, dtype=np.float64),
        ratio.value,
        ratio.stated,
        ratio.two_tests,
        p_values,
        np.minimum(1, times * false_discovery_rates(p_values)),
    )


def _p_values(
    values: Float64[np.ndarray, "rows pairs"], drawing: Drawing
) -> Float64[np.ndarray, " rows"]:
    """Of each row, the larger one of two p-values of its mean."""
    sums = values @ members(drawing.clusters).T
    return np.asarray(np.maximum(_turned(sums, drawing), _unskewed(sums)))


def _turned(
    sums: Float64[np.ndarray, "rows clusters"], drawing: Drawing
) -> Float64[np.ndarray, " rows"]:
    """Of each row, how often its sum is as far from 0 with clusters' signs turned at random."""
    signs, is_exhaustive = exchanges(sums.shape[1], drawing.seed)
    turned, observed = np.abs(sums @ signs.T), np.abs(sums.sum(axis=1))
    return np.array(
        [
            share_as_large(row, float(own), is_exhaustive)
            for row, own in zip(turned, observed, strict=True)
        ]
    )


def _unskewed(sums: Float64[np.ndarray, "rows clusters"]) -> Float64[np.ndarray, " rows"]:
    """By Student's t with the skewness taken out; 0 where there is no spread to go by."""
    from scipy.special import stdtr

    n_clusters = sums.shape[1]
    mean = sums.mean(axis=1)
    apart = sums - mean[:, None]
    spread = np.sqrt((apart**2).mean(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        unit, skewness = mean / spread, (apart**3).mean(axis=1) / spread**3
        lean = skewness * unit
        far = unit * (1 + lean / 3 + lean**2 / 27) + skewness / (6 * n_clusters)
        far = np.where(spread > NO_SPREAD * np.abs(mean), np.abs(far), np.inf)
    return np.asarray(2 * stdtr(max(1, n_clusters - 1), -far * (n_clusters - 1) ** 0.5))


@dataclass(frozen=True)
class SetOut:
    """A set of components out of the model, and out of the circuit, in shares of the behaviour.

    `gap` is what the circuit keeps without the set, less what the model keeps without it, with an
    interval that holds for all sets that were tried at once. `effect` is what the model lacks
    without the set, and `summed` what its members' own effects come to: less than the effect where
    they stand in for each other (self-repair).
    """

    label: str
    components: Sequence[Component]
    gap: float
    gap_interval: tuple[float, float]
    effect: float
    summed: float


def sets_out(behaved: Behaved, drawing: Drawing, places: Mapping[Component, int]) -> list[SetOut]:
    """Every set that was tried; `places` are the components' among the effects."""
    tried, found = behaved.tried, behaved.settings[behaved.judged]
    whole = (found.full - found.empty).astype(np.float64)
    gap = drawing.ratios((tried.of_circuit - tried.of_model).astype(np.float64), whole)
    ends = gap.interval(1 - (1 - THRESHOLDS.confidence.value) / max(1, len(tried.sets)))
    lacking = (found.full - tried.of_model).mean(axis=1, dtype=np.float64) / whole.mean()
    alone = behaved.single.effects[0].mean(axis=1, dtype=np.float64) / whole.mean()
    return [
        SetOut(
            label,
            components,
            float(gap.value[row]),
            (float(ends[0, row]), float(ends[1, row])),
            float(lacking[row]),
            float(sum(alone[places[component]] for component in components)),
        )
        for row, (label, components) in enumerate(zip(tried.labels, tried.sets, strict=True))
    ]
