"""Faithfulness: how much of a behaviour a circuit keeps alone, in a cell, and against chance.

F(C) = (m(C) - m(0)) / (m(M) - m(0)): m(M) with nothing ablated, m(C) with everything but the
circuit, m(0) with every component (Wang et al. 2022; Miller, Chughtai and Saunders 2024).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Float64, Int64

from replication.controls.ratios import Ratios, ratios
from replication.controls.thresholds import THRESHOLDS
from replication.evidence.interventions import Behaved, InSetting
from replication.experiment.behaviours import Averaging, Cell

QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Drawing:
    """How clusters are drawn again: which pair is in which, how often, and from which seed."""

    clusters: Int64[np.ndarray, " pairs"]
    resamples: int
    seed: int

    def ratios(
        self,
        numerators: Float64[np.ndarray, "rows pairs"],
        denominators: Float64[np.ndarray, " pairs"],
        averaging: Averaging = "ratio of means",
    ) -> Ratios:
        """The rows' ratios, with intervals over these clusters."""
        return ratios(numerators, denominators, self.clusters, averaging, self.resamples, self.seed)


@dataclass(frozen=True)
class Faithfulness:
    """A circuit's faithfulness in a cell.

    `interval` is the confidence interval, and `two_tests` what two one-sided tests hold it in; each
    pair's own has the `quantiles` 10%, 50% and 90%. `is_told` says whether m(M) - m(0) is clearly
    off zero: where it is not, nothing is decided by the ratio.
    """

    circuit: str
    cell: Cell
    value: float
    interval: tuple[float, float]
    two_tests: tuple[float, float]
    quantiles: tuple[float, float, float]
    is_told: bool


def faithfulness_in(found: InSetting, circuit: str, cell: Cell, drawing: Drawing) -> Faithfulness:
    """A circuit's faithfulness in a cell, of what was run in its setting."""
    kept, whole = found.circuits[circuit] - found.empty, found.full - found.empty
    ratio = drawing.ratios(kept[None], whole, cell.averaging)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = kept / whole
    low, middle, high = (
        np.quantile(own[np.isfinite(own)], QUANTILES) if whole.any() else [np.nan] * 3
    )
    return Faithfulness(
        circuit,
        cell,
        float(ratio.value[0]),
        _ends(ratio.stated),
        _ends(ratio.two_tests),
        (float(low), float(middle), float(high)),
        is_off_zero(whole, drawing),
    )


def cells(behaved: Behaved) -> Iterator[Cell]:
    """Every cell in which circuits were run."""
    for setting in behaved.settings:
        for averaging in get_args(Averaging):
            yield Cell(setting, averaging)


def _ends(interval: Float64[np.ndarray, "2 1"]) -> tuple[float, float]:
    low, high = interval[:, 0].tolist()
    return low, high


def mean_of(
    values: Float64[np.ndarray, " pairs"], drawing: Drawing
) -> tuple[float, tuple[float, float]]:
    """The mean over the pairs, with its interval over clusters."""
    ratio = drawing.ratios(values[None], np.ones_like(values))
    return float(ratio.value[0]), _ends(ratio.stated)


def is_off_zero(values: Float64[np.ndarray, " pairs"], drawing: Drawing) -> bool:
    """Whether the mean is clearly above zero."""
    _, (low, _) = mean_of(values, drawing)
    return low > 0


@dataclass(frozen=True)
class Curve:
    """The faithfulness of the best of a ranking, by size, and of matched circuits beside it.

    `area` is what the curve integrates to over the share of the components, and `away` what its
    distance from 1 does (MIB's two: Mueller et al. 2025), each with its interval.
    """

    sizes: Sequence[int]
    value: Float64[np.ndarray, " sizes"]
    interval: Float64[np.ndarray, "2 sizes"]
    matched: Float64[np.ndarray, "sizes draws"]
    area: tuple[float, float, float]
    away: tuple[float, float, float]


def curve_of(behaved: Behaved, drawing: Drawing) -> Curve:
    """The curve of what the experiment measures, in the judged setting: ratios of means."""
    ran, found = behaved.curve, behaved.settings[behaved.judged]
    whole = found.full - found.empty
    kept = ran.runs - found.empty
    ratio = drawing.ratios(kept, whole)
    shares = np.array(ran.sizes) / max(ran.sizes)
    widths = _trapezoid(shares)
    area = drawing.ratios(widths[None] @ kept / widths.sum(), whole)
    return Curve(
        ran.sizes,
        ratio.value,
        ratio.stated,
        (ran.matched - found.empty).mean(axis=-1) / whole.mean(),
        (float(area.value[0]), *_ends(area.stated)),
        _away(kept, whole, widths / widths.sum(), drawing),
    )


def _trapezoid(places: Float64[np.ndarray, " sizes"]) -> Float64[np.ndarray, " sizes"]:
    """What each value counts in the integral over these places."""
    steps = np.diff(places, prepend=places[0], append=places[-1])
    return np.asarray((steps[:-1] + steps[1:]) / 2)


def _away(
    kept: Float64[np.ndarray, "sizes pairs"],
    whole: Float64[np.ndarray, " pairs"],
    widths: Float64[np.ndarray, " sizes"],
    drawing: Drawing,
) -> tuple[float, float, float]:
    """The area between the curve and 1, with the percentiles of draws: it is no ratio of means."""
    clusters = drawing.clusters
    n_clusters = int(clusters.max()) + 1
    rng = np.random.default_rng(drawing.seed)
    weights = rng.multinomial(n_clusters, [1 / n_clusters] * n_clusters, drawing.resamples)
    counts = weights[:, clusters].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.abs(1 - counts @ kept.T / (counts @ whole)[:, None]) @ widths
        value = float(np.abs(1 - kept.mean(axis=1) / whole.mean()) @ widths)
    tail = (1 - THRESHOLDS.confidence.value) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return value, float(low), float(high)


@dataclass(frozen=True)
class AgainstMatched:
    """How many of the matched circuits come as near to the whole model: the exact rank p-value.

    p is (1 + as good) / (1 + drawn). It is exact too where drawing stopped as soon as enough were
    as good (Besag and Clifford 1991). `share` are the ends of the 95% interval of the share of
    matched circuits that are as good (Clopper and Pearson 1934).
    """

    circuit: str
    drawn: int
    as_good: int
    p_value: float
    share: tuple[float, float]
    best: float


def against_matched(behaved: Behaved, circuit: str) -> AgainstMatched:
    """A circuit against those of its make-up, by how far the mean is from the whole model's."""
    found = behaved.settings[behaved.judged]
    away = abs(float((behaved.whole - found.circuits[circuit]).mean()))
    means = (behaved.whole - behaved.matched[circuit]).mean(axis=1)
    as_good, drawn = int((np.abs(means) <= away).sum()), len(means)
    whole = (found.full - found.empty).mean(dtype=np.float64)
    nearest = means[np.abs(means).argmin()]
    with np.errstate(divide="ignore", invalid="ignore"):
        best = float(1 - nearest / whole)
    return AgainstMatched(
        circuit,
        drawn,
        as_good,
        (1 + as_good) / (1 + drawn),
        exact_share(as_good, drawn),
        best,
    )


def exact_share(count: float, of: int) -> tuple[float, float]:
    """The exact interval of a share that was counted (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    tail = (1 - THRESHOLDS.confidence.value) / 2
    low = float(betaincinv(count, of - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, of - count, 1 - tail)) if count < of else 1.0
    return low, high
