from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import TypeAdapter
from scipy.stats import norm, t

from replication.circuits.components import INPUT, ModelShape, WriteCosts
from replication.circuits.scores import ScoreTable, table_of
from replication.circuits.selection import Rule, select, selections
from replication.circuits.steps import Step, by_threshold
from replication.controls.halves import halved
from replication.controls.stability import Stability, interval, stability
from replication.experiment.spec import read_experiment
from replication.inputs.files import InputError
from tests.make import copied
from tests.paths import MINILM

SHAPE = ModelShape(n_layers=3, n_heads=2, d_model=8, d_head=4)
KINDS = ("mlp", "head")
NONE: Mapping[str, ScoreTable] = MappingProxyType({})


def rule(budget: int = 28, threshold: float = 2.0, *, input_counts: bool = True) -> Rule:
    return Rule(
        WriteCosts(SHAPE.d_model, SHAPE.d_head, input_counts), budget, by_threshold(threshold)
    )


def stability_of(scores: np.ndarray, rule: Rule) -> Stability:
    return stability(scores, np.arange(len(scores)), SHAPE, rule, resamples=10_000, seed=0)


def assert_selected(
    chosen: np.ndarray, stated: Rule, scores: ScoreTable, named: Mapping[str, ScoreTable] = NONE
) -> None:
    """These are what the selection selects; nothing, where it refuses to."""
    found = {part for part, is_in in zip(SHAPE.components(), chosen, strict=True) if is_in}
    tables = {name: table.middles() for name, table in named.items()}
    try:
        nodes = select(scores.middles(), stated, tables)
    except InputError:
        assert found == set()
    else:
        assert found == set(nodes) - {INPUT}


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
    for row, chosen in zip(scores, selections(scores, SHAPE, stated), strict=True):
        assert_selected(chosen, stated, table_of(row, SHAPE))


ANY_STEP = st.one_of(
    st.just({"take": "input"}),
    st.builds(lambda n, of: {"best": n, "of": of}, st.integers(1, 3), st.sampled_from(KINDS)),
    st.sampled_from(KINDS).map(lambda kind: {"all": kind}),
    st.builds(
        lambda least, of: {"at_least": least, "of": of},
        st.sampled_from([0.0, 1.0, 2.5]),
        st.sampled_from(KINDS),
    ),
    st.sets(st.sampled_from(["input", "m1", "a0.h1", "a2.h0"]), min_size=1).map(
        lambda names: {"fixed": sorted(names)}
    ),
    st.sampled_from(KINDS).map(lambda kind: {"rest": kind}),
)


@settings(deadline=None, max_examples=300)
@given(
    arrays(np.float64, (3, 9), elements=st.integers(0, 4).map(float)),
    st.integers(1, 80),
    st.lists(ANY_STEP, min_size=1, max_size=4),
    st.booleans(),
)
def test_every_row_is_selected_by_steps_as_the_selection_selects_it(
    scores: np.ndarray, budget: int, steps: list[dict[str, object]], input_counts: bool
) -> None:
    read = TypeAdapter(tuple[Step, ...]).validate_python(steps)
    stated = Rule(WriteCosts(8, 4, input_counts), budget, read, SHAPE.components())
    for row, chosen in zip(scores, selections(scores, SHAPE, stated), strict=True):
        assert_selected(chosen, stated, table_of(row, SHAPE))


TABLES = st.sampled_from(["one", "other"])
ANY_STEP_OVER_TABLES = st.one_of(
    st.sampled_from([{"take": "input"}, {"all": "mlp"}, {"fixed": ["m1", "a2.h0"]}]),
    st.builds(lambda n, by: {"best": n, "of": "head", "by": by}, st.integers(1, 3), TABLES),
    st.builds(
        lambda least, by: {"at_least": least, "of": "head", "by": by},
        st.sampled_from([0.0, 1.0, 2.5]),
        TABLES,
    ),
    st.sets(TABLES, min_size=1).map(lambda by: {"rest": "head", "by": sorted(by)}),
)


@settings(deadline=None, max_examples=300)
@given(
    arrays(np.float64, (2, 3, 9), elements=st.integers(0, 4).map(float)),
    st.integers(1, 80),
    st.lists(ANY_STEP_OVER_TABLES, min_size=1, max_size=4),
)
def test_every_row_is_selected_over_tables_as_the_selection_selects_it(
    scores: np.ndarray, budget: int, steps: list[dict[str, object]]
) -> None:
    components = SHAPE.components()
    scores[:, :, [part.kind == "mlp" for part in components]] = np.nan
    read = TypeAdapter(tuple[Step, ...]).validate_python(steps)
    stated = Rule(WriteCosts(8, 4), budget, read, components)
    tables = dict(zip(("one", "other"), scores, strict=True))
    for number, chosen in enumerate(selections(np.fmax(*scores), SHAPE, stated, tables)):
        named = {name: table_of(rows[number], SHAPE) for name, rows in tables.items()}
        assert_selected(chosen, stated, ScoreTable({}), named)


def test_stability_over_tables_is_that_of_each_tables_own_draws() -> None:
    """One head leads one table for certain, two others take turns in the other."""
    one, other = np.full((2, 12, 9), 1.0)
    heads = [part.kind == "head" for part in SHAPE.components()]
    sure, first, second = np.flatnonzero(heads)[:3]
    one[:, sure] = 5.0
    other[::2, first], other[1::2, second] = 3.0, 3.0
    steps = [
        {"best": 1, "of": "head", "by": "one"},
        {"best": 1, "of": "head", "by": "other"},
    ]
    read = TypeAdapter(tuple[Step, ...]).validate_python(steps)
    stated = Rule(WriteCosts(8, 4), 80, read, SHAPE.components())
    tables = {"one": one, "other": other}
    found = stability(np.fmax(one, other), np.arange(12), SHAPE, stated, 2000, 0, tables)
    assert found.probability[sure] == 1
    assert found.probability[first] + found.probability[second] == pytest.approx(1)
    assert 0.3 < found.probability[second] < 0.7
    assert found.left_out_selected[sure] == 12
    halves = halved(np.fmax(one, other), np.arange(12), SHAPE, stated, 0, tables)
    assert halves.overlap is not None
    assert 0.6 < halves.overlap.mean < 1


def drawn(n_clusters: int, resamples: int = 4000) -> np.ndarray:
    """How often each cluster is drawn."""
    rng = np.random.default_rng(0)
    return rng.multinomial(n_clusters, [1 / n_clusters] * n_clusters, resamples).astype(float)


def interval_of(scores: np.ndarray, resamples: int = 4000) -> tuple[float, float]:
    """The interval of one component's mean over pairs that are clusters of their own."""
    low, high = interval(scores[:, None], np.ones(len(scores)), drawn(len(scores), resamples))
    return float(low[0]), float(high[0])


# How scores may be spread: their draws and their mean.
SPREAD: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {
    "normal": (lambda random, n: random.normal(10, 2, n), 10.0),
    "gamma": (lambda random, n: random.gamma(2, 1, n), 2.0),
    "lognormal": (lambda random, n: random.lognormal(0, 1, n), np.exp(0.5)),
    "heavy": (lambda random, n: 10 + random.standard_t(3, n), 10.0),
}


@pytest.mark.parametrize("n_pairs", [10, 20, 40])
@pytest.mark.parametrize("spread", SPREAD)
def test_intervals_hold_the_mean_about_as_often_as_they_say(spread: str, n_pairs: int) -> None:
    draw, mean = SPREAD[spread]
    random = np.random.default_rng(n_pairs)
    scores = np.stack([draw(random, n_pairs) for _ in range(400)], axis=1)
    low, high = interval(scores, np.ones(n_pairs), drawn(n_pairs))
    held = np.mean((low <= mean) & (mean <= high))
    # Two standard errors of 400 trials are two points; lognormal scores lose as many more.
    assert 0.90 <= held <= 0.995


def test_percentiles_alone_would_not_hold_a_skewed_mean() -> None:
    """What the interval was before: the bound above would have found it."""
    random = np.random.default_rng(10)
    scores = random.lognormal(0, 1, (10, 400))
    means = drawn(10) @ scores / 10
    tail = norm.sf(t.ppf(0.975, 9) * np.sqrt(10 / 9))
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    assert np.mean((low <= np.exp(0.5)) & (np.exp(0.5) <= high)) < 0.90


@pytest.mark.parametrize("n_pairs", [3, 5, 9])
def test_with_few_clusters_the_interval_is_students_on_logarithms(n_pairs: int) -> None:
    scores = np.random.default_rng(n_pairs).gamma(4, 1, n_pairs)
    mean, error = scores.mean(), scores.std(ddof=1) / n_pairs**0.5
    reach = t.ppf(0.975, n_pairs - 1) * error / mean
    assert interval_of(scores) == pytest.approx((mean * np.exp(-reach), mean * np.exp(reach)))


def test_with_ten_clusters_the_draws_say_how_far_an_interval_reaches() -> None:
    scores = np.random.default_rng(1).lognormal(0, 1, 12)
    draws = drawn(12, 300)
    mean, factor = scores.mean(), 12 / 11
    far = []
    for row in draws:
        again = np.repeat(scores, row.astype(int))
        error = np.sqrt(factor) * again.std() / 12**0.5
        far.append(np.log(again.mean() / mean) * again.mean() / error)
    z = norm.ppf(0.975) * factor
    error = scores.std(ddof=1) / 12**0.5 / mean
    high, low = np.quantile(far, [norm.cdf(-z), norm.cdf(z)], method="inverted_cdf")
    found = interval(scores[:, None], np.ones(12), draws)[:, 0]
    assert found == pytest.approx([mean * np.exp(-low * error), mean * np.exp(-high * error)])


def test_a_clusters_pairs_count_once_in_an_interval() -> None:
    scores = np.random.default_rng(2).gamma(4, 1, 12)
    once = interval(scores[:, None], np.ones(12), drawn(12))
    again = interval(5 * scores[:, None], np.full(12, 5.0), drawn(12))
    assert again == pytest.approx(once)


@pytest.mark.parametrize("scores", [np.full(12, 3.0), np.zeros(12), np.full(4, 3.0)])
def test_scores_that_are_all_the_same_have_no_spread(scores: np.ndarray) -> None:
    with np.errstate(all="raise"):
        assert interval_of(scores) == pytest.approx((scores[0], scores[0]))


def test_two_clusters_have_no_interval() -> None:
    assert np.isnan(interval_of(np.array([1.0, 2.0]))).all()


@pytest.mark.parametrize("n_pairs", [5, 20])
def test_draws_vary_as_two_runs_differ(n_pairs: int) -> None:
    """Half of the clusters: the variance of the difference of two means of all of them."""
    scores = np.random.default_rng(0).normal(0, 1, n_pairs)
    random = np.random.default_rng(1)
    size = (n_pairs - 1) // 2
    means = [random.choice(scores, size).mean() for _ in range(20_000)]
    wanted = 2 * scores.var(ddof=1) / n_pairs
    # What rounds the half down makes them vary more.
    assert wanted <= np.var(means) * 1.02 <= wanted * (n_pairs - 1) / 2 / size * 1.06


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


@pytest.mark.parametrize("clusters", [[0, 1], [0, 1, 2], [0, 1, 1, 2], [0, 1, 0, 2, 3, 3]])
def test_circuits_without_a_cluster_are_those_of_plain_loops(clusters: list[int]) -> None:
    own, n_clusters = np.array(clusters), max(clusters) + 1
    scores = np.random.default_rng(len(own)).uniform(0, 4, (len(own), 9))
    stated = rule(budget=28, threshold=1.8)
    found = stability(scores, own, SHAPE, stated, resamples=300, seed=5)
    whole = nodes_of(scores.mean(axis=0), stated)
    for number, left_out in enumerate(found.left_out):
        nodes = nodes_of(scores[own != number].mean(axis=0), stated)
        assert left_out.pairs == (np.flatnonzero(own == number) + 1).tolist()
        assert (left_out.shared, left_out.of) == (len(nodes & whole), len(whole))
        assert (set(left_out.gained), set(left_out.lost)) == (nodes - whole, whole - nodes)
    size = max(1, (n_clusters - 1) // 2)
    draws = np.random.default_rng(5).multinomial(size, [1 / n_clusters] * n_clusters, 300)
    circuits = []
    for row in draws:
        again = [scores[own == number] for number in range(n_clusters) for _ in range(row[number])]
        circuits.append(nodes_of(np.concatenate(again).mean(axis=0), stated))
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
    assert (third.pairs, third.shared, third.of) == ([3], 3, 4)
    assert (list(third.gained), list(third.lost)) == (["a1.h0"], ["a0.h1"])
    assert all(one.shared == one.of for one in found.left_out[:2])
    assert found.left_out_selected.tolist() == [3, 0, 0, 3, 2, 1, 0, 0, 0]


def test_resamples_on_which_nothing_can_be_selected_are_counted() -> None:
    scores = np.array([[0.0] * 9, [4.0] * 9])
    found = stability_of(scores, rule(threshold=2.0, budget=100))
    # Draws of one of the two; four standard errors of a share of 10,000.
    assert found.without_selection == pytest.approx(0.5, abs=0.02)


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
