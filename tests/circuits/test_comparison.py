from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.circuits.circuit import Circuit, read_circuit
from replication.circuits.comparison import (
    compare_circuits,
    cut,
    describe_comparison,
    explain,
    moved,
    only_in,
    overlap,
)
from replication.circuits.components import INPUT, Component, ModelShape, head, parse
from replication.circuits.intervals import exact
from replication.circuits.scores import ScoreTable, read_scores
from tests.make import circuit
from tests.paths import PUBLISHED

SMALL = ModelShape(n_layers=2, n_heads=3, d_model=8, d_head=2)

NODES = st.lists(st.sampled_from([INPUT, *SMALL.components()]), unique=True)
quick = settings(max_examples=100, deadline=None)


@pytest.fixture(scope="module")
def original() -> Circuit:
    return read_circuit(PUBLISHED / "original.circuit.json")


@pytest.fixture(scope="module")
def replication() -> Circuit:
    return read_circuit(PUBLISHED / "replication.circuit.json")


def scored(**scores: float) -> ScoreTable:
    """A table of scores, in which `a1_h2` stands for a1.h2."""
    return ScoreTable(
        {parse(name.replace("_", ".")): exact(score) for name, score in scores.items()}
    )


def test_51_of_the_54_published_nodes_are_shared(original: Circuit, replication: Circuit) -> None:
    found = overlap(original.nodes, replication.nodes)
    assert (found.shared, found.left, found.right) == (51, 54, 54)
    assert found.percent == Fraction(5100, 54)
    assert str(found) == "51 of 54 (94.4%)"


def test_six_heads_and_two_places_of_mlps_tell_the_published_circuits_apart(
    original: Circuit, replication: Circuit
) -> None:
    compared = compare_circuits(original, replication)
    assert compared["only_left"] == ["a4.h3", "a3.h6", "a8.h2"]
    assert compared["only_right"] == ["a2.h9", "a11.h10", "a3.h7"]
    assert compared["moved"]["mlp"] == ["m5", "m0"]
    assert len(compared["moved"]["head"]) == 34
    assert compared["overlap"]["all"] == {
        "shared": 51, "left": 54, "right": 54, "percent_of_left": 94.4444,
    }  # fmt: skip
    assert compared["overlap"]["mlp"]["shared"] == 10
    assert (compared["overlap"]["head"]["shared"], compared["overlap"]["head"]["left"]) == (40, 43)
    cost = {"stated": 11200, "budget": 11200, "input_counted": 11200, "input_left_out": 10432}
    assert compared["cost"] == {"left": cost, "right": cost}
    changed = compared["structure"]["values_changed"]
    assert changed["root['nodes'][9]"] == {"old_value": "m5", "new_value": "m0"}
    assert changed["root['metadata']['version']"] == {"old_value": "v1", "new_value": "replication"}
    assert json.loads(json.dumps(compared)) == compared


def test_a_circuit_compared_with_itself_differs_in_nothing(original: Circuit) -> None:
    compared = compare_circuits(original, original)
    assert compared["only_left"] == compared["only_right"] == []
    assert compared["moved"] == {"mlp": [], "head": []}
    assert {part["percent_of_left"] for part in compared["overlap"].values()} == {100.0}
    assert compared["structure"] == {}
    assert explain(("one", original), ("other", original), None) == [
        "The two circuits are the same."
    ]


@given(NODES, NODES)
@quick
def test_what_is_shared_does_not_depend_on_the_side(
    left: list[Component], right: list[Component]
) -> None:
    there, back = overlap(left, right), overlap(right, left)
    assert there.shared == back.shared == sum(node in right for node in left)
    assert (there.left, there.right) == (back.right, back.left) == (len(left), len(right))
    if left:
        assert there.percent == Fraction(100 * there.shared, len(left))


def test_there_is_no_percentage_of_nothing() -> None:
    with pytest.raises(ZeroDivisionError):
        _ = overlap([], [INPUT]).percent


@given(NODES, NODES)
@quick
def test_a_node_is_shared_or_on_one_side_only(
    left: list[Component], right: list[Component]
) -> None:
    here, there = only_in(left, right), only_in(right, left)
    assert here == [node for node in left if node not in right]
    assert set(left) | set(right) == set(here) | set(there) | (set(left) & set(right))
    assert len(here) + overlap(left, right).shared == len(left)


@given(NODES, NODES)
@quick
def test_nodes_move_among_the_shared_ones_alone(
    left: list[Component], right: list[Component]
) -> None:
    shared = [node for node in left if node in right]
    among = [node for node in right if node in left]
    expected = [node for node in shared if shared.index(node) != among.index(node)]
    assert moved(left, right) == expected == moved(shared, right) == moved(left, among)
    assert set(moved(right, left)) == set(expected)
    assert (shared == among) == (expected == [])
    assert moved(left, left) == []


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("m0 m1 a0.h0", "m0 m1 a0.h0", ""),
        ("m0 m1", "m1 m0", "m0 m1"),
        ("m0 a0.h0 m1", "m0 m1", ""),
        ("a0.h0 a0.h1 a0.h2", "a0.h2 a0.h0 a0.h1", "a0.h0 a0.h1 a0.h2"),
        ("a0.h0 a0.h1 a0.h2", "a1.h0 a0.h1 a0.h0", "a0.h0 a0.h1"),
    ],
)
def test_places_are_counted_among_shared_nodes(left: str, right: str, expected: str) -> None:
    found = moved([parse(name) for name in left.split()], [parse(name) for name in right.split()])
    assert " ".join(map(str, found)) == expected


def test_the_published_comparison_in_words(original: Circuit, replication: Circuit) -> None:
    lines = describe_comparison(compare_circuits(original, replication), "O", "R")
    assert lines == [
        "nodes  51 of 54 (94.4%)",
        "MLPs   10 of 10 (100.0%)",
        "heads  40 of 43 (93.0%)",
        "only in O: a4.h3, a3.h6, a8.h2",
        "only in R: a2.h9, a11.h10, a3.h7",
        "order: 2 of the 10 shared MLPs stand at another place: m5, m0",
        "order: 34 of the 40 shared heads stand at another place",
        "cost of O: 11200 of 11200, as its nodes cost",
        "cost of R: 11200 of 11200, as its nodes cost",
    ]


@pytest.mark.parametrize(("count", "is_named"), [(2, True), (10, True), (11, False)])
def test_up_to_ten_moved_nodes_are_named(count: int, is_named: bool) -> None:
    names = [f"m{layer}" for layer in range(count)]
    left, right = circuit(" ".join(names)), circuit(" ".join([*names[1:], names[0]]))
    told = describe_comparison(compare_circuits(left, right), "L", "R")
    explained = explain(("L", left), ("R", right), None)
    for line in (told[5], explained[0]):
        assert f"{count} of the {count} shared MLPs stand at another place" in line
        assert (", ".join(names) in line) == is_named


def test_circuits_of_other_sizes_and_without_a_kind_are_compared() -> None:
    left, right = circuit("input m0"), circuit("input m0 m1 a0.h1")
    compared = compare_circuits(left, right)
    assert compared["overlap"]["head"] == {
        "shared": 0, "left": 0, "right": 1, "percent_of_left": None,
    }  # fmt: skip
    lines = describe_comparison(compared, "L", "R")
    assert lines[:3] == ["nodes  2 of 2 (100.0%); R has 4", "MLPs   1 of 1 (100.0%); R has 2",
                         "heads  0 of 0; R has 1"]  # fmt: skip
    assert "only in L: none" in lines


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({}, "not stated; its metadata give no d_model and d_head to check this with"),
        (
            {"write_budget_used": 18, "write_budget_max": 20},
            "18 of 20; its metadata give no d_model and d_head to check this with",
        ),
        (
            {"d_model": 8, "d_head": 2, "write_budget_used": 18, "write_budget_max": 20},
            "18 of 20, as its nodes cost",
        ),
        (
            {"d_model": 8, "d_head": 2, "write_budget_used": 10},
            "10; the nodes cost 18 with the input counted and 10 without,"
            " so this file leaves the input out",
        ),
        (
            {"d_model": 8, "d_head": 2},
            "not stated; the nodes cost 18 with the input counted and 10 without",
        ),
    ],
)
def test_a_cost_is_told_with_its_convention(metadata: dict[str, int], text: str) -> None:
    made = circuit("input m0 a0.h1", **metadata)
    lines = describe_comparison(compare_circuits(made, made), "L", "R")
    assert lines[-2:] == [f"cost of L: {text}", f"cost of R: {text}"]


def test_the_published_difference_in_words(original: Circuit, replication: Circuit) -> None:
    scores = read_scores(PUBLISHED / "replication.scores.json")
    lines = explain(("original", original), ("replication", replication), scores)
    assert lines == [
        "Only in original: a4.h3, a3.h6, a8.h2.",
        "Only in replication: a2.h9, a11.h10, a3.h7.",
        "2 of the 10 shared MLPs stand at another place: m5, m0.",
        "34 of the 40 shared heads stand at another place.",
        "In replication the heads end between a3.h7 (the lowest known score in, 0.8319) and a3.h6"
        " (the highest known one out, 0.8009).",
        # The cut is at 0.8164; the farthest, a2.h9, lies 0.0537 from it, 6.58% of 0.8164.
        "The 6 differing heads lie within 0.0537 of that cut, 6.6% of its score: a4.h3 0.7940,"
        " a3.h6 0.8009, a8.h2 0.7937, a2.h9 0.8701, a11.h10 0.8578, a3.h7 0.8319.",
    ]


def test_scores_that_show_one_side_only_explain_no_distance(
    original: Circuit, replication: Circuit
) -> None:
    scores = read_scores(PUBLISHED / "original.scores.json")
    assert cut(original, scores) is None
    lines = explain(("replication", replication), ("original", original), scores)
    assert lines[:2] == [
        "Only in replication: a2.h9, a11.h10, a3.h7.",
        "Only in original: a4.h3, a3.h6, a8.h2.",
    ]
    assert not [line for line in lines if "cut" in line]


def test_the_cut_lies_between_the_lowest_head_in_and_the_highest_out() -> None:
    scores = scored(a0_h0=3, a0_h1=2, a0_h2=1, a1_h0=0.5, m0=0.1, m1=9)
    found = cut(circuit("input m0 a0.h0 a0.h1 a1.h2"), scores)
    assert found is not None
    assert [found.last_in, found.first_out] == [head(0, 1), head(0, 2)]
    assert (found.last_score, found.first_score, found.middle) == (2, 1, Fraction(3, 2))


def test_only_differing_heads_with_a_score_have_a_distance() -> None:
    scores = scored(a0_h0=3, a0_h1=2, a0_h2=1, m0=5, m1=4)
    lines = explain(
        ("L", circuit("input m1 a0.h0 a0.h2 a1.h1")), ("R", circuit("input m0 a0.h0 a0.h1")), scores
    )
    assert lines[:2] == ["Only in L: m1, a0.h2, a1.h1.", "Only in R: m0, a0.h1."]
    assert lines[3].startswith(
        "The 2 differing heads lie within 0.5 of that cut, 33% of its score: a0.h2 1, a0.h1 2"
    )
    assert len(lines) == 4


def test_heads_that_all_score_zero_are_explained() -> None:
    scores = ScoreTable({head(0, 0): exact(0), head(0, 1): exact(0)})
    lines = explain(("L", circuit("input a0.h0")), ("R", circuit("input a0.h1")), scores)
    assert lines[:2] == ["Only in L: a0.h0.", "Only in R: a0.h1."]


def test_the_same_components_in_another_order_of_kinds_are_not_the_same_circuit() -> None:
    left, right = circuit("input m0 a0.h0"), circuit("input a0.h0 m0")
    assert explain(("L", left), ("R", right), None) == [
        "The same components stand in another order of kinds."
    ]
