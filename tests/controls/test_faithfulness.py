"""Faithfulness by hand: ratios, areas, ranks among matched circuits, and what is told at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from replication.controls.faithfulness import (
    Drawing,
    against_matched,
    cells,
    curve_of,
    exact_share,
    faithfulness_in,
    is_off_zero,
    mean_of,
)
from replication.evidence.interventions import Behaved, Curve, InSetting
from replication.experiment.behaviours import Cell
from tests.claims.behaved_evidence import ABLATED, DRAWING, ZEROED, Says, behaved_of

FEW = Drawing(np.arange(4), 100, 0)


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


RAN = InSetting(
    empty=floats(1, 0, 1, 0),
    full=floats(3, 4, 2, 1),
    circuits={"mine": floats(2, 4, 3, 0), "none": floats(1, 0, 1, 0)},
)


def test_faithfulness_is_what_a_circuit_keeps_of_what_there_is() -> None:
    cell = Cell(ABLATED, "ratio of means")
    found = faithfulness_in(RAN, "mine", cell, FEW)
    assert (found.circuit, found.cell) == ("mine", cell)
    assert found.value == pytest.approx((1 + 4 + 2 + 0) / (2 + 4 + 1 + 1))
    own = [0.5, 1.0, 2.0, 0.0]
    assert found.quantiles == pytest.approx(np.quantile(own, [0.1, 0.5, 0.9]))
    assert found.interval[0] < found.two_tests[0] < found.value
    assert found.value < found.two_tests[1] < found.interval[1]
    averaged = faithfulness_in(RAN, "mine", Cell(ABLATED, "mean of ratios"), FEW)
    assert averaged.value == pytest.approx(np.mean(own))
    assert faithfulness_in(RAN, "none", cell, FEW).value == 0


def test_the_cells_are_every_setting_with_both_averages() -> None:
    found = list(cells(behaved_of(Says())))
    assert found == [
        Cell(setting, averaging)
        for setting in (ABLATED, ZEROED)
        for averaging in ("ratio of means", "mean of ratios")
    ]


@pytest.mark.parametrize(
    ("full", "is_told"), [([3, 4, 2, 1], True), ([1, 0, 1, 0], False), ([-3, -4, -2, -3], False)]
)
def test_a_behaviour_is_told_where_it_is_clearly_above_none(
    full: list[float], is_told: bool
) -> None:
    ran = replace(RAN, full=floats(*full), empty=floats(0.1, 0, 0.2, 0))
    with np.errstate(all="ignore"):
        found = faithfulness_in(ran, "mine", Cell(ABLATED, "ratio of means"), FEW)
    # Of four pairs the second one's mean is 0.5, and its spread as large.
    assert found.is_told is is_told


def test_where_there_is_nothing_no_pair_has_a_share() -> None:
    with np.errstate(all="ignore"):
        ran = replace(RAN, full=RAN.empty)
        found = faithfulness_in(ran, "mine", Cell(ABLATED, "ratio of means"), FEW)
    assert np.isnan(found.quantiles).all()
    assert not found.is_told
    some = replace(RAN, full=floats(1, 4, 2, 1))
    assert np.isfinite(
        faithfulness_in(some, "mine", Cell(ABLATED, "ratio of means"), FEW).quantiles
    ).all()


def test_a_mean_has_its_interval_over_clusters() -> None:
    mean, (low, high) = mean_of(floats(1, 2, 4, 3), FEW)
    assert mean == 2.5
    assert low < 1 < 4 < high
    assert not is_off_zero(floats(1, -1, 4, 3), FEW)
    assert is_off_zero(floats(3, 3.1, 2.9, 3), FEW)
    assert not is_off_zero(floats(3, 3.1, 2.9, 3), Drawing(np.array([0, 1, 0, 1]), 100, 0))


def with_matched(runs: list[list[float]], own: list[float]) -> Behaved:
    """A circuit beside matched ones, of a model whose every pair is at 2, and 0 with nothing."""
    behaved = behaved_of(Says(), n_pairs=3)
    ran = InSetting(floats(0, 0, 0), floats(2, 2, 2), {"mine": floats(*own)})
    return replace(
        behaved,
        whole=floats(2, 2, 2),
        settings={behaved.judged: ran},
        matched={"mine": np.array(runs, dtype=np.float32)},
    )


def test_the_rank_is_by_how_near_the_mean_is_to_the_whole_model() -> None:
    runs = [[0, 0, 0], [1, 2, 3], [4, 4, 1], [3, 3, 3], [1, 1, 1.03125]]
    found = against_matched(with_matched(runs, [1, 1, 1]), "mine")
    # Means of 0, 2, 3, 3 and 1.01 beside 1: all but the first are as near to 2.
    assert (found.drawn, found.as_good) == (5, 4)
    assert found.p_value == pytest.approx(5 / 6)
    assert found.best == pytest.approx(1.0)
    worse = against_matched(with_matched(runs[:1], [1, 1, 1]), "mine")
    assert (worse.as_good, worse.p_value) == (0, 1 / 2)
    assert worse.best == pytest.approx(0.0)
    over = against_matched(with_matched([[5, 5, 5]], [4, 4, 4]), "mine")
    assert (over.as_good, over.best) == (0, pytest.approx(2.5))


def test_a_circuit_is_no_better_than_itself() -> None:
    found = against_matched(with_matched([[1, 2, 1.3]] * 7, [1, 2, 1.3]), "mine")
    assert (found.as_good, found.p_value) == (7, 1.0)


@pytest.mark.parametrize(("count", "of"), [(0, 10), (1, 10), (7, 20), (99, 99), (5, 9999), (1, 1)])
def test_the_ends_of_a_share_are_cloppers_and_pearsons(count: int, of: int) -> None:
    exact = binomtest(count, of).proportion_ci(0.95, method="exact")
    assert exact_share(count, of) == pytest.approx((exact.low, exact.high), abs=1e-9)


def with_curve(sizes: list[int], shares: list[float], n_pairs: int = 12) -> Behaved:
    behaved = behaved_of(Says(noise=0.0), n_pairs=n_pairs)
    ran = behaved.settings[behaved.judged]
    runs = np.array([ran.empty + share * (ran.full - ran.empty) for share in shares])
    matched = np.stack([runs, 0 * runs + ran.empty], axis=1)
    curve = Curve(sizes, runs.astype(np.float32), matched.astype(np.float32))
    return replace(behaved, curve=curve)


def test_areas_are_of_trapezoids_over_the_share_of_the_components() -> None:
    found = curve_of(with_curve([1, 4, 8], [0.2, 0.6, 1.2]), DRAWING)
    assert found.value == pytest.approx([0.2, 0.6, 1.2], abs=1e-6)
    assert found.interval == pytest.approx(np.array([found.value] * 2), abs=1e-5)
    assert found.matched == pytest.approx(np.array([[0.2, 0], [0.6, 0], [1.2, 0]]), abs=1e-6)
    # Places 1/8, 1/2 and 1: widths of 3/8 and 1/2 of 7/8.
    area = (3 / 8 * (0.2 + 0.6) / 2 + 1 / 2 * (0.6 + 1.2) / 2) / (7 / 8)
    away = (3 / 8 * (0.8 + 0.4) / 2 + 1 / 2 * (0.4 + 0.2) / 2) / (7 / 8)
    assert found.area == pytest.approx((area,) * 3, abs=1e-5)
    assert found.away == pytest.approx((away,) * 3, abs=1e-5)


def test_a_whole_curve_has_an_area_of_1_and_is_not_away() -> None:
    found = curve_of(with_curve([1, 2, 8], [1.0, 1.0, 1.0]), DRAWING)
    assert found.area[0] == pytest.approx(1)
    assert found.away == pytest.approx((0, 0, 0), abs=1e-6)


def test_areas_of_noise_have_intervals_around_them() -> None:
    behaved = behaved_of(Says(noise=0.3))
    found = curve_of(behaved, DRAWING)
    for value, low, high in (found.area, found.away):
        assert low < value < high
