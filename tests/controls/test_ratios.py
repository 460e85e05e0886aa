"""Ratios of sums over pairs: by hand, beside exact intervals, and how often intervals are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from replication.controls.ratios import Ratios, ratios

APART = np.arange(1000)


def of(
    tops: Any, bottoms: Any, clusters: Any = None, averaging: Any = "ratio of means", **more: int
) -> Ratios:
    tops = np.atleast_2d(np.asarray(tops, dtype=np.float64))
    own = APART[: tops.shape[1]] if clusters is None else np.asarray(clusters)
    given_ = {"resamples": 400, "seed": 0} | more
    return ratios(tops, np.asarray(bottoms, dtype=np.float64), own, averaging, **given_)


def test_a_ratio_is_of_the_means_or_the_mean_of_the_pairs_own() -> None:
    tops, bottoms = [1.0, 6.0, 3.0], [2.0, 3.0, 3.0]
    assert of(tops, bottoms).value == pytest.approx([10 / 8])
    own = of(tops, bottoms, averaging="mean of ratios")
    assert own.value == pytest.approx([(0.5 + 2 + 1) / 3])
    both = of([tops, bottoms], bottoms)
    assert both.value == pytest.approx([10 / 8, 1.0])


def test_the_error_is_that_of_a_ratio_of_sums_over_clusters() -> None:
    tops, bottoms = np.array([1.0, 6.0, 3.0, 2.0]), np.array([2.0, 3.0, 3.0, 4.0])
    residuals = tops - tops.sum() / bottoms.sum() * bottoms
    expected = np.sqrt(4 / 3 * (residuals**2).sum()) / bottoms.sum()
    assert of(tops, bottoms).error == pytest.approx([expected])
    # Two clusters of two: the residuals are of their sums.
    of_two = residuals.reshape(2, 2).sum(axis=1)
    clustered = of(tops, bottoms, clusters=[0, 0, 1, 1])
    assert clustered.error == pytest.approx([np.sqrt(2 * (of_two**2).sum()) / bottoms.sum()])
    assert clustered.value == pytest.approx([1.0])
    assert clustered.clusters == 2


@pytest.mark.parametrize("n_pairs", [3, 4, 9])
def test_of_few_clusters_a_mean_has_students_interval(n_pairs: int) -> None:
    values = np.random.default_rng(n_pairs).normal(3, 1, n_pairs)
    found = of(values, np.ones(n_pairs))
    assert found.far is None
    for confidence, ends in ((0.95, found.stated), (0.9, found.two_tests)):
        scale = values.std(ddof=1) / np.sqrt(n_pairs)
        expected = student.interval(confidence, n_pairs - 1, values.mean(), scale)
        assert ends[:, 0] == pytest.approx(expected)


def test_two_clusters_have_no_interval() -> None:
    assert np.isnan(of([1.0, 2.0], [1.0, 1.0]).stated).all()
    assert np.isnan(of([1.0] * 8, [1.0] * 8, clusters=[0, 1] * 4).stated).all()
    assert np.isnan(of([1.0], [2.0]).stated).all()
    assert np.isfinite(of([1.0, 2.0, 4.0], [1.0, 1.0, 1.0]).stated).all()


def fieller(tops: np.ndarray, bottoms: np.ndarray, confidence: float) -> tuple[float, float]:
    """The exact interval of a ratio of the means of normal pairs (Fieller 1954)."""
    n = len(tops)
    (a, b), cov = (tops.mean(), bottoms.mean()), np.cov(tops, bottoms) / n
    q = student.ppf((1 + confidence) / 2, n - 1) ** 2
    roots = np.roots([b * b - q * cov[1, 1], -2 * (a * b - q * cov[0, 1]), a * a - q * cov[0, 0]])
    low, high = sorted(roots.real)
    return float(low), float(high)


@pytest.mark.parametrize("n_pairs", [5, 9, 40, 200])
def test_where_the_denominator_is_well_off_zero_fiellers_interval_comes_out(n_pairs: int) -> None:
    random = np.random.default_rng(n_pairs)
    bottoms = random.normal(5, 0.3, n_pairs)
    tops = 0.8 * bottoms + random.normal(0, 0.3, n_pairs)
    low, high = of(tops, bottoms, resamples=4000).stated[:, 0]
    expected = fieller(tops, bottoms, 0.95)
    width = expected[1] - expected[0]
    # Few draws of few clusters: the tails are moved out, never in by much.
    tolerance = 0.08 if n_pairs < 10 else 0.25 if n_pairs < 100 else 0.1
    assert [low, high] == pytest.approx(expected, abs=tolerance * width)


def test_of_draws_the_tails_are_moved_out_where_clusters_are_few() -> None:
    tops, bottoms = np.random.default_rng(3).normal(4, 1, (2, 10))
    found = of(tops, bottoms)
    assert found.far is not None
    tail = norm.cdf(-norm.ppf(0.975) * 10 / 9)
    reach = np.quantile(found.far[:, 0], [1 - tail, tail], method="inverted_cdf")
    assert found.stated[:, 0] == pytest.approx(found.value - reach * found.error)


def test_a_wider_confidence_is_a_wider_interval() -> None:
    random = np.random.default_rng(0)
    for n_pairs in (5, 30):
        found = of(random.normal(2, 1, n_pairs), random.normal(3, 0.5, n_pairs))
        (outer_low, outer_high), (low, high) = found.interval(0.99), found.interval(0.8)
        assert outer_low < low < found.value < high < outer_high


@given(st.integers(0, 999), st.sampled_from([5, 12]), st.floats(0.1, 10))
@settings(max_examples=40, deadline=None)
def test_the_unit_changes_nothing(seed: int, n_pairs: int, unit: float) -> None:
    random = np.random.default_rng(seed)
    tops, bottoms = random.normal(1, 1, n_pairs), random.normal(4, 1, n_pairs)
    one, other = of(tops, bottoms), of(unit * tops, unit * bottoms)
    assert other.value == pytest.approx(one.value)
    assert other.stated == pytest.approx(one.stated, rel=1e-6, abs=1e-9)
    scaled = of(unit * tops, bottoms)
    assert scaled.stated == pytest.approx(unit * one.stated, rel=1e-6, abs=1e-9)
    turned = of(-tops, -bottoms)
    assert turned.stated == pytest.approx(one.stated)


def test_a_seed_gives_the_same_interval() -> None:
    tops, bottoms = np.random.default_rng(1).normal(2, 1, (2, 20))
    one, again, other = (of(tops, bottoms, seed=seed).stated for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("n_pairs", [4, 20])
def test_pairs_that_all_say_the_same_have_an_interval_of_one_point(n_pairs: int) -> None:
    bottoms = np.random.default_rng(1).normal(3, 1, n_pairs)
    found = of([0.3 * bottoms, 0 * bottoms], bottoms)
    assert found.stated == pytest.approx(np.array([[0.3, 0.0]] * 2), abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_rounding_is_no_spread(seed: int) -> None:
    """Figures are of float32: pairs that all say the same differ in their last digits."""
    random = np.random.default_rng(seed)
    bottoms = random.normal(3, 1, 12).astype(np.float32)
    tops = (np.float32(0.7) * bottoms + np.float32(5)) - np.float32(5)
    found = of(tops, bottoms).stated
    assert found == pytest.approx(np.array([[0.7], [0.7]]), abs=1e-5)


def test_draws_in_which_the_denominator_vanishes_widen_the_interval() -> None:
    # Every second pair has what the next one takes away: draws of as many of both come to nothing.
    bottoms = np.array([1.0, -1.0] * 6)
    bottoms[0] = 1.5
    tops = np.random.default_rng(1).normal(1, 0.2, 12)
    with np.errstate(all="raise"):
        found = of(tops, bottoms)
    assert found.far is not None
    assert not np.isnan(found.far).any()
    low, high = found.stated[:, 0]
    assert low < found.value[0] < high
    steady = of(tops, np.abs(bottoms)).stated[:, 0]
    assert high - low > 10 * (steady[1] - steady[0])


@pytest.mark.parametrize("n_pairs", [4, 12])
@pytest.mark.parametrize("averaging", ["ratio of means", "mean of ratios"])
def test_a_ratio_to_nothing_has_no_interval(n_pairs: int, averaging: str) -> None:
    with np.errstate(all="ignore"):
        for numerator in (0.0, 1.0):
            found = of([numerator] * n_pairs, np.zeros(n_pairs), averaging=averaging)
            assert not np.isfinite(found.value).any()
            assert np.isnan(found.stated).all()


def test_one_pair_of_nothing_spoils_the_mean_of_ratios_alone() -> None:
    bottoms = np.array([0.0, *np.linspace(2, 3, 11)])
    with np.errstate(all="ignore"):
        own = of(np.ones(12), bottoms, averaging="mean of ratios")
    assert not np.isfinite(own.value).any()
    assert np.isnan(own.stated).all()
    assert np.isfinite(of(np.ones(12), bottoms).stated).all()


def normal(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    bottoms = random.normal(2, 0.8, n)
    return 0.7 * bottoms + random.normal(0, 0.5, n), bottoms, 0.7


def skewed(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    bottoms = random.gamma(2, 1, n)
    return 0.7 * bottoms + random.gamma(1, 0.4, n) - 0.4, bottoms, 0.7


@pytest.mark.slow
@pytest.mark.parametrize("n_pairs", [5, 9, 12, 30])
@pytest.mark.parametrize("made", [normal, skewed])
def test_intervals_contain_the_true_ratio_as_often_as_they_say(made: Any, n_pairs: int) -> None:
    contained = []
    for seed in range(1500):
        tops, bottoms, true = made(np.random.default_rng(seed), n_pairs)
        low, high = of(tops, bottoms, resamples=500, seed=seed).stated[:, 0]
        contained.append(low <= true <= high)
    assert 0.92 <= np.mean(contained) <= 0.99


def test_intervals_of_some_replications_contain_the_true_ratio() -> None:
    contained = []
    for seed in range(200):
        tops, bottoms, true = normal(np.random.default_rng(seed), 14)
        low, high = of(tops, bottoms, resamples=300, seed=seed).stated[:, 0]
        contained.append(low <= true <= high)
    assert 0.9 <= np.mean(contained) <= 0.995
