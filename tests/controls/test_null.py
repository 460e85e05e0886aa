from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

import replication.controls.exchanges
from replication.controls.exchanges import (
    exchanged_totals,
    exchanges,
    false_discovery_rates,
    share_as_large,
)
from replication.controls.null import null
from replication.engine.activations import MeanActivations
from replication.engine.scores.differential import pair_scores
from replication.experiment.clusters import clusters_of, count_of
from replication.experiment.pairs import Pair
from tests.closeness import assert_close

pytestmark = pytest.mark.numeric
OWN = np.arange(20)  # every pair is a cluster of its own


def activations(n_pairs: int, seed: int = 0, shift: float = 0.0, size: int = 5) -> MeanActivations:
    """One layer with an MLP and two heads; the first head's means move by `shift` with the side."""
    random = np.random.default_rng(seed)
    topic = random.standard_normal((n_pairs, 1, 1, 2, size))
    z = random.standard_normal((n_pairs, 2, 1, 2, size)) + topic
    z[:, 0, 0, 0, 0] += shift
    return MeanActivations(
        random.standard_normal((n_pairs, 2, 1, size)).astype(np.float32),
        z.astype(np.float32),
        np.full((n_pairs, 2), 7),
    )


def by_hand(means: np.ndarray) -> tuple[float, float, float]:
    """Same-side score, shuffled score and p-value of a component, all by plain loops."""
    n_pairs = len(means)

    def distance(one: Any, other: Any) -> float:
        return float(np.linalg.norm(one - other))

    pairs = list(combinations(range(n_pairs), 2))

    def scores(sides: tuple[int, ...]) -> tuple[float, float]:
        first = [means[i, sides[i]] for i in range(n_pairs)]
        second = [means[i, 1 - sides[i]] for i in range(n_pairs)]
        within = [distance(a[i], a[j]) for a in (first, second) for i, j in pairs]
        across = [
            distance(first[i], second[j]) for i in range(n_pairs) for j in range(n_pairs) if i != j
        ]
        return float(np.mean(within)), float(np.mean(across))

    within, across = scores((0,) * n_pairs)
    found = [scores((0, *sides)) for sides in product((0, 1), repeat=n_pairs - 1)]
    margin = 1e-9 * across  # exchanges that tie, but for the last digits of a double
    as_large = [b - a >= across - within - margin for a, b in found]
    return within, across, float(np.mean(as_large))


@pytest.mark.parametrize(("n_pairs", "shift"), [(2, 0.0), (3, 1.0), (5, 0.0), (6, 3.0)])
def test_the_null_scores_and_p_values_are_those_of_plain_loops(n_pairs: int, shift: float) -> None:
    means = activations(n_pairs, shift=shift)
    found = null(means, OWN[:n_pairs], "raw", seed=0)
    for index, component in enumerate(means.by_component("raw")):
        within, across, p_value = by_hand(component)
        assert found.same_side[index] == pytest.approx(within)
        assert found.shuffled[index] == pytest.approx(across)
        assert found.p_value[index] == pytest.approx(p_value)
    assert found.is_exhaustive
    assert found.smallest_p == 2.0 ** (1 - n_pairs)


def test_the_quantiles_are_those_of_all_pairs_of_prompts_of_one_side() -> None:
    means = activations(4)
    first = next(means.by_component("raw"))
    within = [
        np.linalg.norm(first[i, side] - first[j, side])
        for side in (0, 1)
        for i, j in combinations(range(4), 2)
    ]
    assert null(means, OWN[:4], "raw", 0).same_side_quantiles[0] == pytest.approx(
        np.quantile(within, [0, 0.25, 0.5, 0.75, 1])
    )


def test_a_component_that_responds_to_the_side_has_the_smallest_p_there_is() -> None:
    found = null(activations(8, shift=12.0), OWN[:8], "raw", 0)
    assert found.p_value[1] == found.smallest_p == 1 / 128
    assert found.p_value[0] > 0.02
    assert found.p_value[2] > 0.02


def test_the_components_stand_in_the_order_of_the_scores_and_are_centred_as_they_are() -> None:
    means = activations(3)
    for mlp_out in ("raw", "centred"):
        norms = [
            np.linalg.norm(component[:, 0] - component[:, 1], axis=1)
            for component in means.by_component(mlp_out)
        ]
        assert_close(np.stack(norms, 1), pair_scores(means, mlp_out))


def test_without_an_effect_p_values_are_as_small_as_their_level_and_no_more() -> None:
    found = np.concatenate(
        [null(activations(8, seed=seed), OWN[:8], "raw", 0).p_value for seed in range(400)]
    )
    for level in (0.01, 0.05, 0.2):
        # 1200 p-values: two standard errors at the level of 0.2, the widest.
        assert (found <= level).mean() == pytest.approx(level, abs=0.02)


def test_drawn_exchanges_give_nearly_what_all_of_them_give(monkeypatch: pytest.MonkeyPatch) -> None:
    means = activations(11, shift=1.0, seed=4)
    every = null(means, OWN[:11], "raw", 0)
    monkeypatch.setattr(replication.controls.exchanges, "EXCHANGES", 1000)
    drawn = null(means, OWN[:11], "raw", 0)
    assert (every.is_exhaustive, drawn.is_exhaustive) == (True, False)
    assert drawn.exchanges == 1000
    assert drawn.smallest_p == 1 / 1001
    # Three standard errors of a share of 1000 draws.
    assert drawn.p_value == pytest.approx(every.p_value, abs=0.05)
    assert np.array_equal(drawn.p_value, null(means, OWN[:11], "raw", 0).p_value)


def test_every_exchange_stands_there_once() -> None:
    signs, is_exhaustive = exchanges(6, 0)
    assert is_exhaustive
    assert signs.shape == (32, 6)
    assert len({tuple(row) for row in signs}) == 32
    assert set(signs.flat) == {-1.0, 1.0}
    assert (signs[0] == 1).all()
    assert (signs[:, 0] == 1).all()


def test_exchanges_are_drawn_where_all_of_them_are_more_than_ten_thousand() -> None:
    every, is_exhaustive = exchanges(14, 0)
    assert (len(every), is_exhaustive) == (2**13, True)
    drawn, is_exhaustive = exchanges(15, 0)
    assert (drawn.shape, is_exhaustive) == ((10_000, 15), False)
    assert set(drawn.flat) == {-1.0, 1.0}
    # Four standard errors of the mean of 10,000 signs.
    assert np.abs(drawn.mean(axis=0)).max() < 0.04
    assert np.array_equal(drawn, exchanges(15, 0)[0])
    assert not np.array_equal(drawn, exchanges(15, 1)[0])


@pytest.mark.parametrize("at_a_time", [1, 7, 45, 100_000])
def test_totals_after_exchanges_are_those_of_plain_sums(
    monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr(replication.controls.exchanges, "AT_A_TIME", at_a_time)
    halves = np.random.default_rng(0).standard_normal((3, 6, 6))
    matrices = halves + halves.transpose(0, 2, 1)
    signs, _ = exchanges(6, 0)
    found = exchanged_totals(matrices, signs)
    assert found.shape == (3, 32)
    for matrix, totals in zip(matrices, found, strict=True):
        by_hand = [(matrix * np.outer(sign, sign)).sum() for sign in signs]
        assert_close(totals, by_hand, allowed=1e-12)


@pytest.mark.parametrize(("most", "is_exhaustive"), [(31, False), (32, True)])
def test_as_many_exchanges_as_may_be_drawn_are_all_taken(
    monkeypatch: pytest.MonkeyPatch, most: int, is_exhaustive: bool
) -> None:
    monkeypatch.setattr(replication.controls.exchanges, "EXCHANGES", most)
    assert exchanges(6, 0)[1] == is_exhaustive


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("is_exhaustive", [False, True])
def test_statistics_tie_in_all_but_their_last_digits(size: float, is_exhaustive: bool) -> None:
    statistics = size * np.array([1 - 1e-12, 1 - 1e-5, -1.0])
    found = share_as_large(statistics, size, is_exhaustive)
    assert found == (1 / 3 if is_exhaustive else 2 / 4)
    # The largest may be the observed one, which drawn exchanges need not hold.
    assert share_as_large(statistics * 1e-3, size, is_exhaustive) == (0 if is_exhaustive else 1 / 4)


def test_a_dead_component_is_found_by_no_exchange() -> None:
    dead = MeanActivations(
        np.ones((4, 2, 1, 3), np.float32), np.ones((4, 2, 1, 1, 3), np.float32), np.full((4, 2), 5)
    )
    found = null(dead, OWN[:4], "raw", 0)
    assert found.p_value.tolist() == [1, 1]
    assert found.same_side.tolist() == [0, 0]


def test_massive_activations_that_all_prompts_share_cost_no_digit() -> None:
    means = activations(5)
    size = np.float32(2**17)
    massive = MeanActivations(means.mlp_out + size, means.z, means.token_lengths)
    small = MeanActivations(massive.mlp_out - size, means.z, means.token_lengths)
    exact = null(small, OWN[:5], "raw", 0)
    # Doubles: the last digit of such a size is 1e-11, and of its square 1e-6.
    assert null(massive, OWN[:5], "raw", 0).same_side == pytest.approx(exact.same_side, rel=1e-9)


def test_among_drawn_exchanges_the_observed_order_counts() -> None:
    statistics = np.array([1.0, 2.0, 3.0])
    assert share_as_large(statistics, 4.0, is_exhaustive=False) == 1 / 4
    assert share_as_large(statistics, 2.0, is_exhaustive=False) == 3 / 4
    assert share_as_large(statistics, 2.0, is_exhaustive=True) == 2 / 3


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=30))
def test_false_discovery_rates_are_those_of_a_library(p_values: list[float]) -> None:
    found = false_discovery_rates(np.array(p_values))
    assert found == pytest.approx(false_discovery_control(p_values))


def test_pairs_written_again_make_nothing_surer() -> None:
    once = activations(6, shift=2.0)
    again = MeanActivations(
        *(np.repeat(part, 4, axis=0) for part in (once.mlp_out, once.z)), np.full((24, 2), 7)
    )
    found = null(again, np.repeat(OWN[:6], 4), "raw", 0)
    assert found.exchanges == 32
    assert found.p_value == pytest.approx(null(once, OWN[:6], "raw", 0).p_value)
    # Taken for independent pairs, they would be.
    taken_for_more = null(again, np.arange(24), "raw", 0)
    assert taken_for_more.p_value[1] < found.smallest_p


def test_prompts_crossed_with_each_other_are_one_cluster_in_which_nothing_can_be_told() -> None:
    prompts = [f"word{number} of its own{number}" for number in range(10)]
    pairs = [Pair(one, other) for one in prompts[:5] for other in prompts[5:]]
    assert count_of(clusters_of(pairs)) == 1


def test_within_a_cluster_prompts_are_not_held_against_each_other() -> None:
    means = activations(4)
    found = null(means, np.array([0, 0, 1, 1]), "raw", 0)
    for index, component in enumerate(means.by_component("raw")):
        across = [
            np.linalg.norm(component[i, side] - component[j, side])
            for side in (0, 1)
            for i, j in ((0, 2), (0, 3), (1, 2), (1, 3))
        ]
        assert found.same_side[index] == pytest.approx(np.mean(across))
