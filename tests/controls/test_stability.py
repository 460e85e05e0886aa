from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import bootstrap, norm, t

from replication.circuits.components import ModelShape, WriteCosts
from replication.circuits.scores import table_of
from replication.circuits.selection import Rule, select, selections
from replication.controls.stability import Stability, interval, resampled_means, stability
from replication.experiment.spec import read_experiment
from replication.inputs.files import InputError
from tests.make import copied
from tests.paths import MINILM

SHAPE = ModelShape(n_layers=3, n_heads=2, d_model=8, d_head=4)


def rule(budget: int = 28, threshold: float = 2.0, *, input_counts: bool = True) -> Rule:
    return Rule(WriteCosts(SHAPE.d_model, SHAPE.d_head, input_counts), budget, threshold)


def stability_of(scores: np.ndarray, rule: Rule) -> Stability:
    return stability(scores, SHAPE, rule, resamples=10_000, seed=0)


@settings(deadline=None, max_examples=200)
@given(
    arrays(np.float64, (4, 9), elements=st.integers(0, 4).map(float)),
    st.integers(1, 60),
    st.sampled_from([0.0, 1.0, 2.5, 9.0]),
    st.booleans(),
)
def test_every_row_is_selected_as_the_selection_selects_it(
    scores: np.ndarray, budget: int, threshold: float, input_counts: bool
) -> None:
    stated = rule(budget, threshold, input_counts=input_counts)
    components = SHAPE.components()
    for row, chosen in zip(scores, selections(scores, SHAPE, stated), strict=True):
        found = {part for part, is_in in zip(components, chosen, strict=True) if is_in}
        try:
            nodes = select(table_of(row, SHAPE).middles(), stated)
        except InputError:
            assert found == set()
        else:
            assert found == set(nodes[1:])


def test_the_resampled_means_are_those_of_pairs_drawn_again() -> None:
    by_pair = np.array([[0.0, 5.0], [1.0, 5.0], [10.0, 5.0]])
    means = resampled_means(by_pair, 5000, seed=1)
    possible = {
        round(float(by_pair[[i, j, k], 0].mean()), 9)
        for i in range(3)
        for j in range(3)
        for k in range(3)
    }
    assert {round(float(mean), 9) for mean in means[:, 0]} == possible
    assert np.allclose(means[:, 1], 5)
    # Four standard errors of 5000 means of three draws.
    assert means[:, 0].mean() == pytest.approx(by_pair[:, 0].mean(), abs=0.15)
    assert np.array_equal(means, resampled_means(by_pair, 5000, seed=1))
    assert not np.array_equal(means, resampled_means(by_pair, 5000, seed=2))


def test_with_many_pairs_the_interval_is_the_percentile_interval_of_a_library() -> None:
    by_pair = np.random.default_rng(0).gamma(4, size=(400, 1))
    low, high = interval(resampled_means(by_pair, 10_000, 0), 400)[:, 0]
    expected = bootstrap((by_pair[:, 0],), np.mean, method="percentile", n_resamples=10_000, rng=1)
    # Some three standard errors of the difference of two such quantiles of 10,000 means.
    assert (low, high) == pytest.approx(expected.confidence_interval, abs=0.01)


def test_with_few_pairs_the_interval_is_as_wide_as_students() -> None:
    by_pair = np.random.default_rng(3).normal(10, 1, size=(12, 1))
    low, high = interval(resampled_means(by_pair, 100_000, 0), 12)[:, 0]
    student = t.interval(0.95, 11, by_pair.mean(), by_pair.std(ddof=1) / 12**0.5)
    # A tenth of the pairs' standard deviation: the draws are the twelve pairs', not a normal's.
    assert (low, high) == pytest.approx(student, abs=0.1)
    percentile = np.quantile(resampled_means(by_pair, 100_000, 0), [0.025, 0.975])
    assert high - low > 1.1 * (percentile[1] - percentile[0])


@pytest.mark.parametrize("n_pairs", [2, 3, 5, 40])
def test_the_ends_lie_where_students_t_on_one_degree_less_than_pairs_lies(n_pairs: int) -> None:
    # Means from 0 to 1 in equal steps: a quantile is its own probability.
    low, high = interval(np.linspace(0, 1, 100_001)[:, None], n_pairs)[:, 0]
    tail = norm.sf(t.ppf(0.975, n_pairs - 1) * np.sqrt(n_pairs / (n_pairs - 1)))
    assert (low, high) == pytest.approx((tail, 1 - tail), rel=1e-9)


def test_a_component_that_one_resample_in_twenty_reverses_is_not_near_the_cut() -> None:
    chances = np.array([0, 0.04, 1 - 0.95, 0.06, 0.5, 0.94, 0.95, 0.96, 1])
    found = stability_of(np.ones((2, 9)), rule(budget=24, threshold=0.0))
    near = replace(found, probability=chances).is_near_cut
    assert near.tolist() == [False, False, False, True, True, True, False, False, False]


def nodes_of(scores: np.ndarray, rule: Rule) -> set[str]:
    """The names of what the selection selects, the input too; nothing where it cannot be met."""
    try:
        return set(map(str, select(table_of(scores, SHAPE).middles(), rule)))
    except InputError:
        return {"input"}


@pytest.mark.parametrize("n_pairs", [2, 3, 4, 6])
def test_circuits_without_a_pair_and_their_overlap_are_those_of_plain_loops(n_pairs: int) -> None:
    scores = np.random.default_rng(n_pairs).uniform(0, 4, (n_pairs, 9))
    stated = rule(budget=28, threshold=1.8)
    found = stability(scores, SHAPE, stated, resamples=300, seed=5)
    whole = nodes_of(scores.mean(axis=0), stated)
    for pair, left_out in enumerate(found.left_out):
        nodes = nodes_of(np.delete(scores, pair, axis=0).mean(axis=0), stated)
        assert (left_out.pair, left_out.shared, left_out.of) == (
            pair + 1,
            len(nodes & whole),
            len(whole),
        )
        assert (set(left_out.gained), set(left_out.lost)) == (nodes - whole, whole - nodes)
    circuits = [nodes_of(row, stated) for row in resampled_means(scores, 300, 5)]
    # Of each resample's circuit, what the one drawn before it has as well.
    shares = sorted(
        len(one & other) / len(one)
        for one, other in zip(circuits, [circuits[-1], *circuits], strict=False)
    )
    mean, low, high = found.overlap
    assert mean == pytest.approx(sum(shares) / 300)
    # A quantile lies between two of the sorted shares: the 2.5% one at 0.025 * 299 = 7.475.
    assert low == pytest.approx(shares[7] + 0.475 * (shares[8] - shares[7]))
    assert high == pytest.approx(shares[291] + 0.525 * (shares[292] - shares[291]))
    assert found.without_selection == pytest.approx(circuits.count({"input"}) / 300)
    for component, chance in zip(SHAPE.components(), found.probability, strict=True):
        assert chance == pytest.approx(sum(str(component) in nodes for nodes in circuits) / 300)


def test_a_component_far_from_the_cut_is_always_selected_and_one_near_it_sometimes() -> None:
    scores = np.array(
        [
            # m0, m1, m2, then the heads of layers 0, 1, 2; there is room for two heads
            [9.0, 1.0, 0.1, 8.0, 3.0, 2.9, 0.1, 0.1, 0.1],
            [9.5, 1.0, 0.1, 8.2, 2.9, 3.0, 0.1, 0.1, 0.1],
            [9.1, 1.0, 0.1, 8.1, 3.1, 2.9, 0.1, 0.1, 0.1],
        ]
    )
    found = stability_of(scores, rule(budget=24))
    chances = dict(zip(map(str, SHAPE.components()), found.probability, strict=True))
    assert chances["m0"] == chances["a0.h0"] == 1
    assert chances["m1"] == chances["a2.h1"] == 0
    assert 0.05 < chances["a1.h0"] < chances["a0.h1"] < 0.95
    assert chances["a0.h1"] + chances["a1.h0"] == pytest.approx(1)
    assert found.without_selection == 0
    mean, low, high = found.overlap
    assert (low, high) == (0.75, 1)
    assert low < mean < high


def test_leaving_out_a_pair_shows_what_rests_on_it() -> None:
    scores = np.array(
        [
            [9.0, 1.0, 0.1, 8.0, 1.0, 1.1, 0.1, 0.1, 0.1],
            [9.0, 1.0, 0.1, 8.0, 1.0, 1.1, 0.1, 0.1, 0.1],
            [9.0, 1.0, 0.1, 8.0, 5.0, 1.1, 0.1, 0.1, 0.1],
        ]
    )
    found = stability_of(scores, rule(budget=24))
    third = found.left_out[2]
    assert (third.pair, third.shared, third.of) == (3, 3, 4)
    assert (list(third.gained), list(third.lost)) == (["a1.h0"], ["a0.h1"])
    assert all(one.shared == one.of for one in found.left_out[:2])
    assert found.left_out_selected.tolist() == [3, 0, 0, 3, 2, 1, 0, 0, 0]


def test_resamples_on_which_nothing_can_be_selected_are_counted() -> None:
    scores = np.array([[0.0] * 9, [4.0] * 9])
    found = stability_of(scores, rule(threshold=2.0, budget=100))
    # Four standard errors of a share of 10,000 draws.
    assert found.without_selection == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("count", [0, -5])
def test_a_number_of_resamples_that_is_not_positive_is_refused(tmp_path: Path, count: int) -> None:
    folder = copied(MINILM, tmp_path / "minilm")
    path = folder / "experiment.toml"
    path.write_text(
        path.read_text(encoding="utf-8") + f"\n[verification]\nresamples = {count}\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError) as raised:
        read_experiment(folder)
    assert str(raised.value).startswith(
        f"{path}: verification: resamples: Input should be greater than 0, found {count} (line "
    )
