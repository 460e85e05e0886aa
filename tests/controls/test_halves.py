from __future__ import annotations

import numpy as np
import pytest

from replication.circuits.components import ModelShape, WriteCosts
from replication.circuits.selection import Rule
from replication.circuits.steps import by_threshold
from replication.controls.halves import SPLITS, Spread, half_means, halved, splits

SHAPE = ModelShape(n_layers=2, n_heads=5, d_model=8, d_head=4)
# The input, both MLPs, and four of the ten heads.
RULE = Rule(WriteCosts(8, 4, True), 8 * 3 + 4 * 4, by_threshold(0.0))


def test_every_split_is_in_halves_and_they_are_many() -> None:
    found = splits(7, seed=0)
    assert found.shape == (SPLITS, 7)
    assert set(found.sum(axis=1)) == {3}
    # 35 ways to choose three of seven.
    assert len({tuple(row) for row in found.tolist()}) == 35
    assert np.array_equal(found, splits(7, seed=0))
    assert not np.array_equal(found, splits(7, seed=1))


def test_the_means_are_over_the_pairs_of_the_chosen_clusters() -> None:
    scores = np.arange(8.0).reshape(4, 2)
    chosen = np.array([[True, False, False], [False, True, True]])
    found = half_means(scores, np.array([0, 0, 1, 2]), chosen)
    assert found.tolist() == [[1.0, 2.0], [5.0, 6.0]]


def scores_of(n_pairs: int, spread: float, seed: int = 0) -> np.ndarray:
    """Scores around those that the components have: 1, 2, 3, …."""
    random = np.random.default_rng(seed)
    return np.abs(np.arange(1.0, 13.0) + spread * random.standard_normal((n_pairs, 12)))


def test_scores_that_no_pair_changes_select_the_same_and_keep_their_height() -> None:
    found = halved(scores_of(8, 0.0), np.arange(8), SHAPE, RULE, 0)
    nothing_lost = Spread(1.0, 1.0, 1.0)
    assert (found.overlap, found.again, found.top, found.last) == (nothing_lost,) * 4


def test_what_luck_chose_scores_less_on_the_other_half() -> None:
    found = halved(np.random.default_rng(0).gamma(1, 1, (10, 12)), np.arange(10), SHAPE, RULE, 0)
    assert found.overlap is not None
    assert found.again is not None
    assert found.overlap.mean < 0.8
    assert found.again.mean < 0.95
    assert found.top.mean < 0.8


@pytest.mark.parametrize("n_pairs", [6, 20])
def test_halves_share_no_more_than_two_runs_do(n_pairs: int) -> None:
    """The overlap of two runs on as many pairs, over fifty models, in which chance differs."""
    stated, seen = [], []
    for seed in range(50):
        both = scores_of(2 * n_pairs, 4.0, seed)
        one, other = both[:n_pairs], both[n_pairs:]
        found = halved(one, np.arange(n_pairs), SHAPE, RULE, seed).overlap
        assert found is not None
        stated.append(found.mean)
        top = [set(np.argsort(-run.mean(0)[2:])[:4]) for run in (one, other)]
        seen.append((3 + len(top[0] & top[1])) / 7)
    # Two standard errors of fifty overlaps, of a spread of 0.12.
    assert np.mean(stated) <= np.mean(seen) + 0.035


def test_pairs_of_a_cluster_stay_together() -> None:
    once = scores_of(6, 2.0)
    again = halved(np.repeat(once, 3, axis=0), np.repeat(np.arange(6), 3), SHAPE, RULE, 0)
    alone = halved(once, np.arange(6), SHAPE, RULE, 0)
    assert again.overlap == alone.overlap
    assert again.top.mean == pytest.approx(alone.top.mean)


def test_where_nothing_can_be_selected_nothing_is_shared() -> None:
    impossible = Rule(WriteCosts(8, 4, True), 40, by_threshold(1000.0))
    found = halved(scores_of(6, 1.0), np.arange(6), SHAPE, impossible, 0)
    assert (found.overlap, found.again, found.last) == (None, None, None)
