from __future__ import annotations

import json
import random
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.circuits.components import (
    INPUT,
    Component,
    ModelShape,
    WriteCosts,
    head,
    mlp,
    parse,
)
from replication.circuits.intervals import printed
from replication.circuits.scores import best_first, read_scores, table_of
from replication.circuits.selection import Rule, select, selections
from replication.circuits.steps import by_threshold
from replication.inputs.files import InputError
from tests.paths import PUBLISHED

GPT2 = WriteCosts(768, 64)
SMALL = ModelShape(n_layers=3, n_heads=4, d_model=8, d_head=2)
COSTS = WriteCosts(8, 2)

quick = settings(max_examples=100, deadline=None)

Scores = dict[Component, Fraction]
# Few different values, so that ties are common.
SCORES = st.dictionaries(
    st.sampled_from(SMALL.components()),
    st.integers(0, 4).map(Fraction),
)


def scores_of(**named: str) -> Scores:
    """Scores by name, in which `a1_h2` stands for a1.h2."""
    return {parse(name.replace("_", ".")): Fraction(value) for name, value in named.items()}


def names(components: list[Component]) -> list[str]:
    return [str(component) for component in components]


def test_the_published_scores_give_the_published_nodes_in_their_order() -> None:
    figures = json.loads((PUBLISHED / "original.scores.json").read_text(encoding="utf-8"))[
        "components"
    ]
    nodes = json.loads((PUBLISHED / "original.circuit.json").read_text(encoding="utf-8"))["nodes"]
    table = read_scores(PUBLISHED / "original.scores.json")
    middles = table.middles()
    found = names(select(middles, Rule(GPT2, 11200, by_threshold(7.0))))
    assert len(found) == 54
    assert set(found) == set(nodes)
    assert found[:11] == nodes[:11]
    for one, other in combinations(nodes[1:], 2):
        left, right = printed(figures[one]), printed(figures[other])
        if left.low > right.high or right.low > left.high:
            assert (nodes.index(one) < nodes.index(other)) == (left.low > right.high)
            assert (found.index(one) < found.index(other)) == (left.low > right.high)


@pytest.mark.parametrize(
    ("budget", "threshold", "mlps", "heads"),
    [
        (11200, 7.0, 10, 43),
        (11199, 7.0, 10, 42),
        (11200, 7.33, 10, 43),
        (11200, 7.34, 9, 43),
        (11200, 6.6, 11, 31),
        (8448, 7.0, 10, 0),
        (8511, 7.0, 10, 0),
        (8512, 7.0, 10, 1),
        (1_000_000, 7.0, 10, 43),
    ],
)
def test_the_budget_and_the_threshold_decide_how_many_are_selected(
    budget: int, threshold: float, mlps: int, heads: int
) -> None:
    table = read_scores(PUBLISHED / "original.scores.json")
    middles = table.middles()
    kinds = [node.kind for node in select(middles, Rule(GPT2, budget, by_threshold(threshold)))]
    assert kinds == ["input"] + ["mlp"] * mlps + ["head"] * heads


def test_the_input_comes_first_then_the_mlps_then_the_heads_each_best_first() -> None:
    scores = scores_of(a0_h0="9", m0="3", m2="5", m1="1", a2_h3="10", a1_h1="9.5")
    assert names(select(scores, Rule(COSTS, 100, by_threshold(2.0)))) == [
        "input",
        "m2",
        "m0",
        "a2.h3",
        "a1.h1",
        "a0.h0",
    ]


def test_ties_fall_by_layer_then_head() -> None:
    scores = {component: Fraction(1) for component in reversed(SMALL.components())}
    assert names(best_first(scores, "mlp")) == ["m0", "m1", "m2"]
    assert names(best_first(scores, "head")) == [
        f"a{layer}.h{index}" for layer in range(3) for index in range(4)
    ]
    assert names(select(scores, Rule(COSTS, 8 * 4 + 2 * 5 + 1, by_threshold(1.0))))[4:] == [
        "a0.h0", "a0.h1", "a0.h2", "a0.h3", "a1.h0",
    ]  # fmt: skip


def test_layers_and_heads_are_compared_as_numbers() -> None:
    scores = {component: Fraction(1) for component in (head(10, 0), head(2, 10), head(2, 9))}
    assert names(best_first(scores, "head")) == ["a2.h9", "a2.h10", "a10.h0"]


def outcome(scores: Scores, costs: WriteCosts, budget: int, threshold: float) -> list[str] | None:
    try:
        return names(select(scores, Rule(costs, budget, by_threshold(threshold))))
    except InputError:
        return None


@given(SCORES, st.integers(0, 80), st.integers(0, 5), st.booleans())
@quick
def test_the_selection_is_what_the_rule_says_and_stays_within_the_budget(
    scores: Scores, budget: int, threshold: int, input_counts: bool
) -> None:
    costs = WriteCosts(8, 2, input_counts)
    found = outcome(scores, costs, budget, threshold)
    mlps = {part for part, score in scores.items() if part.kind == "mlp" and score >= threshold}
    any_mlp = any(part.kind == "mlp" for part in scores)
    before_heads = 8 * len(mlps) + 8 * input_counts
    assert (found is None) == (before_heads > budget or (any_mlp and not mlps))
    if found is None:
        return
    chosen = [parse(name) for name in found]
    assert chosen[0] == INPUT
    assert len(set(chosen)) == len(chosen)
    assert set(chosen[1 : 1 + len(mlps)]) == mlps
    chosen_heads = chosen[1 + len(mlps) :]
    left_out = {part for part in scores if part.kind == "head"} - set(chosen_heads)
    assert all(part.kind == "head" and part in scores for part in chosen_heads)
    cost = before_heads + 2 * len(chosen_heads)
    assert cost <= budget
    assert not left_out or cost + 2 > budget
    for before, after in combinations(chosen[1:], 2):
        if before.kind == after.kind:
            assert (-scores[before], before) < (-scores[after], after)
    for part in left_out:
        assert all((-scores[kept], kept) < (-scores[part], part) for kept in chosen_heads)


@given(SCORES, st.integers(0, 80), st.integers(0, 5), st.randoms(use_true_random=False))
@quick
def test_the_order_of_the_table_does_not_matter(
    scores: Scores, budget: int, threshold: int, chance: random.Random
) -> None:
    items = list(scores.items())
    chance.shuffle(items)
    assert outcome(dict(items), COSTS, budget, threshold) == outcome(
        scores, COSTS, budget, threshold
    )


@given(SCORES, st.integers(0, 80), st.integers(0, 20), st.integers(0, 5))
@quick
def test_more_budget_only_appends_heads(
    scores: Scores, budget: int, more: int, threshold: int
) -> None:
    less, larger = (outcome(scores, COSTS, size, threshold) for size in (budget, budget + more))
    if less is not None:
        assert larger is not None
        assert larger[: len(less)] == less
        assert all(parse(name).kind == "head" for name in larger[len(less) :])


def test_what_the_table_does_not_list_is_no_candidate() -> None:
    scores = scores_of(m1="5", a0_h1="1")
    assert names(select(scores, Rule(COSTS, 1000, by_threshold(0.0)))) == ["input", "m1", "a0.h1"]


def test_a_table_of_heads_alone_selects_heads() -> None:
    assert names(select(scores_of(a0_h1="1"), Rule(COSTS, 10, by_threshold(7.0)))) == [
        "input",
        "a0.h1",
    ]


def test_the_input_can_be_left_out_of_the_cost_but_not_of_the_circuit() -> None:
    scores = scores_of(m1="5", a0_h1="1", a0_h2="2")
    left_out = WriteCosts(8, 2, input_counts=False)
    assert names(select(scores, Rule(left_out, 10, by_threshold(0.0)))) == ["input", "m1", "a0.h2"]
    with pytest.raises(InputError, match="cost 16 with the input"):
        select(scores, Rule(COSTS, 10, by_threshold(0.0)))


@pytest.mark.parametrize(
    ("budget", "threshold", "reason"),
    [
        (7, 1.0, "a budget of 7 does not hold the input, which costs 8"),
        (0, 1.0, "a budget of 0 does not hold the input"),
        (-100, 1.0, "a budget of -100 does not hold the input"),
        (23, 1.0, "a budget of 23 does not hold the 2 MLPs at or above the threshold of 1, which"
         " cost 24 with the input"),
        (100, 5.0001, "no MLP reaches the threshold of 5.0001: the highest score is 5 (m1)"),
    ],
)  # fmt: skip
def test_a_budget_or_a_threshold_that_cannot_be_met_is_refused(
    budget: int, threshold: float, reason: str
) -> None:
    with pytest.raises(InputError) as caught:
        select(scores_of(m1="5", m0="1", a0_h1="9"), Rule(COSTS, budget, by_threshold(threshold)))
    assert reason in str(caught.value)


@pytest.mark.parametrize(("budget", "count"), [(8, 1), (16, 2)])
def test_a_budget_that_is_just_met_is_enough(budget: int, count: int) -> None:
    scores = {mlp(0): Fraction(5)} if count == 2 else {head(0, 0): Fraction(5)}
    assert len(select(scores, Rule(COSTS, budget, by_threshold(1.0)))) == count


def test_an_mlp_at_the_threshold_reaches_it() -> None:
    assert names(select(scores_of(m0="7", m1="6.9999"), Rule(COSTS, 100, by_threshold(7.0)))) == [
        "input",
        "m0",
    ]


@pytest.mark.parametrize("figure", ["7.3322", "6.7", "3.1"])
def test_an_mlp_printed_as_the_threshold_reaches_it(figure: str) -> None:
    scores = {mlp(0): printed(figure).middle, mlp(1): Fraction(100)}
    assert mlp(0) in select(scores, Rule(COSTS, 100, by_threshold(float(figure))))


def test_a_computed_score_reaches_itself_as_a_threshold() -> None:
    shape = ModelShape(n_layers=1, n_heads=1, d_model=8, d_head=2)
    for score in (0.83, 6.7, 0.1, 7.3322):
        table = table_of(np.array([score, 0.0]), shape)
        middles = {component: figure.middle for component, figure in table.scores.items()}
        assert mlp(0) in select(middles, Rule(COSTS, 100, by_threshold(score)))


@quick
@given(st.lists(st.integers(0, 4), min_size=12, max_size=12), st.integers(0, 40))
def test_where_no_mlp_is_scored_heads_alone_are_selected(heads: list[int], budget: int) -> None:
    rule = Rule(COSTS, budget, by_threshold(0.0))
    scores = np.array([[np.nan] * 3 + heads], dtype=float)
    (chosen,) = selections(scores, SMALL, rule)
    found = [one for one, is_in in zip(SMALL.components(), chosen, strict=True) if is_in]
    table = table_of(scores[0], SMALL).middles()
    if budget < COSTS.d_model:
        with pytest.raises(InputError, match="does not hold the input"):
            select(table, rule)
        assert found == []
    else:
        assert [INPUT, *sorted(found)] == sorted(select(table, rule))
