"""Power: held against pairs drawn anew, whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from replication.controls.power import (
    CLUSTERS,
    Noise,
    drawn,
    fewest_clusters,
    noise_of,
    p_bounds,
    powers,
)
from replication.controls.property import length_terms, p_values_of

SIZE = 5


def recorded(n_clusters: int, shift: float = 3.0, seed: int = 0) -> Noise:
    """The noise of Gaussian differences about a common one, of pairs of any lengths."""
    random = np.random.default_rng(seed)
    terms = length_terms(random.integers(8, 20, (n_clusters, 2)))
    difference = shift + random.standard_normal((n_clusters, SIZE))
    found = noise_of(difference, terms, np.arange(n_clusters))
    assert found is not None
    return found


def test_noise_is_as_large_as_it_was() -> None:
    mean_squares = [np.sum(recorded(12, seed=seed).noise ** 2) / 12 for seed in range(60)]
    # Five dimensions of variance 1; three standard errors of sixty means of 45 squares.
    assert np.mean(mean_squares) == pytest.approx(SIZE, abs=0.3)


def test_what_is_common_is_no_noise() -> None:
    one, other = (recorded(12, shift=shift).noise for shift in (0.0, 50.0))
    # The products, for the signs of a span's axes are as a processor has them; their size is 1 to
    # 10, and the last digits of what was shifted by 50 are 1e-14.
    assert one @ one.T == pytest.approx(other @ other.T, abs=1e-9)


def test_what_is_alike_in_every_pair_has_no_noise() -> None:
    terms = length_terms(np.random.default_rng(0).integers(8, 20, (8, 2)))
    assert noise_of(np.full((8, SIZE), 3.0), terms, np.arange(8)) is None


def test_pairs_of_a_cluster_count_once() -> None:
    random = np.random.default_rng(0)
    lengths, difference = random.integers(8, 20, (9, 2)), random.standard_normal((9, SIZE))
    once = noise_of(difference, length_terms(lengths), np.arange(9))
    again = noise_of(
        np.repeat(difference, 3, axis=0),
        length_terms(np.repeat(lengths, 3, axis=0)),
        np.repeat(np.arange(9), 3),
    )
    assert once is not None
    assert again is not None
    assert np.abs(again.noise) == pytest.approx(np.abs(once.noise))


@pytest.mark.parametrize(("share", "n_clusters"), [(0.3, 16), (0.5, 10), (0.1, 25)])
def test_the_chance_is_that_of_new_pairs_from_the_same_source(
    share: float, n_clusters: int
) -> None:
    p_values, _ = drawn(recorded(200), share, n_clusters, seed=0)
    random = np.random.default_rng(7)
    terms = length_terms(random.integers(8, 20, (n_clusters, 2)))
    size = np.sqrt(share / (1 - share) * SIZE)
    fresh = random.standard_normal((300, n_clusters, SIZE))
    fresh[:, :, 0] += size
    others = p_values_of(list(fresh), terms, np.arange(n_clusters), 0)
    # Two standard errors of a share of 100 draws are 0.1; other lengths were drawn.
    assert np.mean(p_values <= 0.05) == pytest.approx(np.mean(others <= 0.05), abs=0.2)


def test_without_a_share_few_are_found() -> None:
    p_values, is_large = drawn(recorded(60), 1e-9, 16, seed=0)
    assert np.mean(p_values <= 0.05) <= 0.11
    assert not is_large.any()


def test_a_larger_share_takes_no_more_clusters() -> None:
    found = powers(recorded(40), [0.25, 0.5, 0.8], 78, 0.8, 0)
    needed = [one.in_company.differs or np.inf for one in found]
    assert needed == sorted(needed, reverse=True)
    assert all((one.alone.differs or 999) >= (one.in_company.differs or 999) for one in found)
    assert all((one.alone.specific or 999) >= (one.alone.differs or 999) for one in found)


def test_a_number_gives_the_chance_and_the_one_before_does_not() -> None:
    noise = recorded(40)
    (found,) = powers(noise, [0.5], 78, 0.8, 0)
    needed = found.in_company.differs
    assert needed is not None
    before = CLUSTERS[CLUSTERS.index(needed) - 1]
    _, bound = p_bounds(78)
    chances = [np.mean(drawn(noise, 0.5, n, 0)[0] <= bound) for n in (before, needed)]
    assert chances[0] < 0.8 <= chances[1]


def test_a_share_below_the_bound_is_specific_with_no_number() -> None:
    (found,) = powers(recorded(40), [0.1], 10, 0.8, 0)
    assert found.alone.specific is None


def test_what_no_effect_can_do_without() -> None:
    assert fewest_clusters(0.05 / 156) == 13
    assert fewest_clusters(0.05 / 78) == 12
    assert fewest_clusters(0.05) == 6
    assert fewest_clusters(1 / 20_000) is None
