from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from replication.controls.property import length_terms, property_of, without_cluster
from replication.engine.activations import MeanActivations
from tests.closeness import assert_close

# How often something comes out over many draws is no numeric test: what a processor computes of one
# draw is held to plain loops.
ANY_LENGTHS = np.random.default_rng(4).integers(6, 20, (7, 2))
# Lengths that leave a hundredth of a common direction.
NEARLY_ALIKE = np.array([[10, 7], [11, 8], [12, 9], [13, 10], [14, 11], [15, 12], [16, 14]])


def of_differences(differences: np.ndarray) -> MeanActivations:
    """Means of one MLP and one head whose differences are these."""
    n_pairs = len(differences)
    sides = np.stack([differences, np.zeros_like(differences)], axis=1).astype(np.float32)
    return MeanActivations(sides[:, :, None], sides[:, :, None, None], np.full((n_pairs, 2), 9))


def noise(n_pairs: int, size: int = 6, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    """Differences of noise, with a direction in common."""
    found = np.random.default_rng(seed).standard_normal((n_pairs, size))
    found[:, 0] += shift
    return found.astype(np.float32).astype(float)


def p_of(differences: np.ndarray, tokens: np.ndarray, clusters: np.ndarray | None = None) -> float:
    own = np.arange(len(tokens)) if clusters is None else clusters
    return float(property_of(of_differences(differences), tokens, own, "raw", 0).p_value[1])


def left_out(values: np.ndarray, terms: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Residuals of every cluster from a fit to all others, one fit at a time."""
    rest = np.zeros_like(values)
    for number in np.unique(clusters):
        others, own = clusters != number, clusters == number
        slopes, *_ = np.linalg.lstsq(terms[others], values[others], rcond=None)
        rest[own] = values[own] - terms[own] @ slopes
    return rest


def by_hand(differences: np.ndarray, tokens: np.ndarray, clusters: np.ndarray) -> float:
    """The p-value by plain loops."""
    terms = np.array([[1 / t - 1 / u, t - u] for t, u in tokens.tolist()])
    slopes, *_ = np.linalg.lstsq(terms, np.ones(len(tokens)), rcond=None)
    common = 1 - terms @ slopes
    rest = left_out(differences, terms, clusters)
    observed = float(((common @ differences) ** 2).sum())
    numbers = np.unique(clusters)
    statistics = [observed]
    for signs in list(product((1.0, -1.0), repeat=len(numbers) - 1))[1:]:
        sign = np.array([1.0, *signs])[np.searchsorted(numbers, clusters)]
        statistics.append(float((((sign * common) @ rest) ** 2).sum()))
    return float(np.mean([one >= observed * (1 - 1e-9) for one in statistics]))


@pytest.mark.numeric
@pytest.mark.parametrize("shift", [0.0, 3.0])
@pytest.mark.parametrize("tokens", [ANY_LENGTHS, NEARLY_ALIKE], ids=["any", "nearly alike"])
@pytest.mark.parametrize("clusters", [[0, 1, 2, 3, 4, 5, 6], [0, 1, 1, 2, 3, 3, 4]])
def test_the_p_value_is_that_of_plain_loops(
    shift: float, tokens: np.ndarray, clusters: list[int]
) -> None:
    differences, own = noise(7, shift=shift), np.array(clusters)
    assert p_of(differences, tokens, own) == pytest.approx(by_hand(differences, tokens, own))


@pytest.mark.numeric
def test_residuals_of_left_out_clusters_are_those_of_a_fit_to_the_others() -> None:
    terms, clusters = length_terms(ANY_LENGTHS), np.array([0, 1, 1, 2, 3, 3, 4])
    corrected = without_cluster(terms @ np.linalg.pinv(terms), clusters)
    assert corrected is not None
    differences = noise(7)
    assert_close(corrected @ differences, left_out(differences, terms, clusters), allowed=1e-9)


def short_pair(seed: int, n_pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """One short pair of one length, and noisier, among longer ones whose second prompt is longer.

    Lengths explain what the others have in common, so that a common direction hangs on the one.
    """
    random = np.random.default_rng(seed)
    tokens = random.integers(18, 33, (n_pairs, 2))
    tokens[:, 1] = tokens[:, 0] + random.integers(4, 13, n_pairs)
    tokens[0] = 3
    scale = np.sqrt(18 / tokens.mean(axis=1))
    scale[0] *= 4
    return random.standard_normal((n_pairs, 16)) * scale[:, None], tokens


@pytest.mark.parametrize("n_pairs", [10, 20])
def test_one_short_pair_makes_no_p_value_small(n_pairs: int) -> None:
    found = [p_of(*short_pair(seed, n_pairs)) for seed in range(120)]
    # 5% is the level; two standard errors of 120 draws are 4 points more.
    assert np.mean(np.array(found) <= 0.05) <= 0.09


@pytest.mark.parametrize("is_longer", [False, True])
def test_without_an_effect_few_p_values_are_small(is_longer: bool) -> None:
    random, found = np.random.default_rng(0), []
    for seed in range(150):
        tokens = random.integers(6, 16, (9, 2))
        if is_longer:
            tokens[:, 0] = tokens[:, 1] + random.integers(1, 6, 9)
        found.append(p_of(noise(9, 8, seed), tokens))
    assert np.mean(np.array(found) <= 0.05) <= 0.08


@pytest.mark.numeric
def test_where_one_side_is_longer_by_as_much_in_every_pair_nothing_can_be_told_apart() -> None:
    found = property_of(
        of_differences(noise(8, shift=5.0)), np.full((8, 2), [9, 7]), np.arange(8), "raw", 0
    )
    assert found.p_value.tolist() == [1, 1]
    assert np.isnan(found.share).all()
    assert np.isnan(found.interval).all()


@pytest.mark.numeric
@pytest.mark.parametrize("n_pairs", [3, 8])
def test_prompts_of_one_length_leave_everything_to_be_seen(n_pairs: int) -> None:
    differences = noise(n_pairs, shift=9.0)
    found = property_of(
        of_differences(differences), np.full((n_pairs, 2), 9), np.arange(n_pairs), "raw", 0
    )
    assert found.p_value[1] == 2.0 ** (1 - n_pairs)
    total, squares = differences.sum(0), (differences**2).sum()
    across = (total @ total - squares) / (n_pairs * (n_pairs - 1))
    assert found.share[1] == pytest.approx(across / (squares / n_pairs))


@pytest.mark.numeric
def test_the_interval_is_that_of_the_jackknife_by_hand() -> None:
    differences = noise(9, shift=1.5)
    found = property_of(of_differences(differences), np.full((9, 2), 9), np.arange(9), "raw", 0)

    def share(some: np.ndarray) -> float:
        total, squares, n = some.sum(0), (some**2).sum(), len(some)
        return float((total @ total - squares) / (n * (n - 1)) / (squares / n))

    without = np.array([share(np.delete(differences, pair, axis=0)) for pair in range(9)])
    spread = np.sqrt(8 / 9 * ((without - without.mean()) ** 2).sum())
    student = 2.306004  # 8 degrees of freedom, 97.5%
    ends = share(differences) + student * spread * np.array([-1, 1])
    assert found.interval[:, 1] == pytest.approx(np.clip(ends, 0, 1), rel=1e-6)


@pytest.mark.parametrize("n_pairs", [10, 20, 40])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_intervals_hold_the_share_about_as_often_as_they_say(n_pairs: int, share: float) -> None:
    random, held = np.random.default_rng(n_pairs), []
    for _ in range(60):
        lengths = random.integers(8, 26, (n_pairs, 2))
        differences = random.standard_normal((n_pairs, 24)) / 24**0.5
        differences[:, 0] += np.sqrt(share / (1 - share))
        found = property_of(of_differences(differences), lengths, np.arange(n_pairs), "raw", 0)
        held.append(found.interval[0, 1] <= share <= found.interval[1, 1])
    # 95%, less three standard errors of 60 draws.
    assert np.mean(held) >= 0.86


@pytest.mark.numeric
def test_the_share_of_what_is_not_there_is_about_nothing() -> None:
    found = [
        property_of(
            of_differences(noise(12, 32, seed)), np.full((12, 2), 9), np.arange(12), "raw", 0
        )
        for seed in range(40)
    ]
    # Without bias: the mean of 40 shares, whose spread is 0.02.
    assert np.mean([one.share[1] for one in found]) == pytest.approx(0, abs=0.02)


@pytest.mark.numeric
def test_pairs_written_again_make_no_share_surer() -> None:
    once = noise(6, shift=1.0)
    again = np.repeat(once, 4, axis=0)
    tokens, clusters = np.full((24, 2), 9), np.repeat(np.arange(6), 4)
    found = property_of(of_differences(again), tokens, clusters, "raw", 0)
    alone = property_of(of_differences(once), tokens[:6], np.arange(6), "raw", 0)
    assert found.p_value == pytest.approx(alone.p_value)
    assert found.share == pytest.approx(alone.share)
    assert found.interval == pytest.approx(alone.interval)


@pytest.mark.numeric
def test_a_component_that_never_differs_has_no_share() -> None:
    found = property_of(of_differences(np.zeros((5, 3))), ANY_LENGTHS[:5], np.arange(5), "raw", 0)
    assert found.share.tolist() == [0, 0]
    assert found.p_value.tolist() == [1, 1]
