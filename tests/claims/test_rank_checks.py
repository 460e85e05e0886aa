"""Checks of ranks."""

from __future__ import annotations

import pytest

from tests.claims.build import Figures, check, measured, published, table, verdict


@pytest.mark.parametrize(
    ("named", "best_listed", "first", "expected"),
    [
        ({"m0": "1.0", "m1": "2.0"}, {}, ["m1"], "holds"),
        ({"m0": "1.0", "m1": "2.0"}, {}, ["m1", "m0"], "holds"),
        ({"m0": "1.0", "m1": "2.0"}, {}, ["m0"], "refuted"),
        ({"m0": "1.0", "m1": "2.0"}, {}, ["m0", "m1"], "refuted"),
        ({"m0": "2.0", "m1": "2.0"}, {}, ["m0"], "undecided"),
        ({"m0": "2.0", "m1": "2.0"}, {}, ["m1"], "undecided"),
        ({"m0": "2.1", "m1": "2.0"}, {}, ["m0"], "holds"),
        # Rounding keeps the order: what prints 2.1 is higher than what prints 2.0.
        ({"m0": "2.0", "m1": "2.1"}, {}, ["m1"], "holds"),
        ({"m0": "2.0", "m1": "2.1"}, {}, ["m0"], "refuted"),
        ({"m0": "2.00", "m1": "2.01"}, {}, ["m1"], "holds"),
        # Of other digits: 2.05 and 2.1 may both be 2.05.
        ({"m0": 2.05, "m1": "2.1"}, {}, ["m1"], "undecided"),
        ({"m0": "2.0", "m1": 2.05}, {}, ["m1"], "undecided"),
        ({"m0": 2.0, "m1": 2.0}, {}, ["m0"], "holds"),
        ({"m0": 2.0, "m1": 2.0}, {}, ["m1"], "refuted"),
        ({"m1": "2.0"}, {}, ["m1"], "undecided"),
        # The best is listed, so the one that is not listed is not it.
        ({"m1": "2.0"}, {"mlp": 1}, ["m1"], "holds"),
        ({"m1": "2.0"}, {"mlp": 1}, ["m0"], "refuted"),
        ({}, {}, ["m1"], "undecided"),
    ],
)
def test_ranking_of_the_best(
    named: Figures, best_listed: dict[str, int], first: list[str], expected: str
) -> None:
    claim = check(kind="ranking", result="paper", among="mlp", first=first)
    assert verdict(claim, published(table(named, **best_listed))) == expected


def test_ranking_before_what_is_not_listed() -> None:
    claim = check(kind="ranking", result="paper", among="head", first=["a0.h1", "a1.h1"])
    listed = {"a0.h1": "3.0", "a1.h1": "2.0", "a1.h2": "1.0"}
    assert verdict(claim, published(table(listed, head=3))) == "holds"
    assert verdict(claim, published(table(listed, head=2))) == "holds"
    assert verdict(claim, published(table(listed, head=1))) == "undecided"
    alike = {"a0.h1": "3.0", "a1.h1": "2.0", "a1.h2": "2.0"}
    assert verdict(claim, published(table(alike, head=2))) == "undecided"
    assert verdict(claim, published(table(listed))) == "undecided"


def test_ranking_among_all_kinds() -> None:
    listed = table({"m0": "5.0", "m1": "4.0", "a0.h1": "4.5", "a1.h0": "1.0"}, mlp=2, head=2)
    for first, expected in ((["m0", "a0.h1"], "holds"), (["m0", "m1"], "refuted")):
        claim = check(kind="ranking", result="paper", among="all", first=first)
        assert verdict(claim, published(listed)) == expected


def test_a_known_better_component_refutes_whatever_is_unknown() -> None:
    claim = check(kind="ranking", result="paper", among="all", first=["m0"])
    assert verdict(claim, published(table({"m0": "1.0", "m1": "2.0"}))) == "refuted"


@pytest.mark.parametrize(
    ("named", "best_listed", "ranks", "expected"),
    [
        ({"m0": "1.0", "m1": "2.0"}, {}, {"m1": 1, "m0": 2}, "holds"),
        ({"m0": "1.0", "m1": "2.0"}, {}, {"m1": 2}, "refuted"),
        ({"m0": "2.0", "m1": "2.0"}, {}, {"m1": 2}, "undecided"),
        ({"m0": 2.0, "m1": 2.0}, {}, {"m1": 2}, "holds"),
        ({"m1": "2.0"}, {}, {"m1": 1}, "undecided"),
        ({"m1": "2.0"}, {"mlp": 1}, {"m0": 2}, "holds"),
        ({"m1": "2.0"}, {"mlp": 1}, {"m0": 1}, "refuted"),
    ],
)
def test_ranks_from_scores(
    named: Figures, best_listed: dict[str, int], ranks: dict[str, int], expected: str
) -> None:
    claim = check(kind="ranking", result="paper", among="mlp", ranks=ranks)
    assert verdict(claim, published(table(named, **best_listed))) == expected


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [
        ({"a1.h2": 1, "a0.h1": 2, "a0.h0": 3}, "holds"),
        ({"a1.h2": 2}, "refuted"),
        ({"a0.h2": 3}, "refuted"),
        ({"a0.h2": 4}, "undecided"),
        ({"a0.h2": 6}, "undecided"),
        ({"a1.h2": 1, "a0.h2": 5}, "undecided"),
    ],
)
def test_ranks_from_a_published_circuit(ranks: dict[str, int], expected: str) -> None:
    nodes = "input m1 a1.h2 a0.h1 a0.h0"
    evidence = published(table({"a1.h2": "3.0"}), paper_nodes=nodes)
    claim = check(kind="ranking", result="paper", among="head", ranks=ranks)
    assert verdict(claim, evidence) == expected


def test_a_circuit_gives_no_ranks_across_kinds() -> None:
    evidence = published(table({"m1": "9.0"}), paper_nodes="input m1 a1.h2")
    claim = check(kind="ranking", result="paper", among="all", ranks={"a1.h2": 1})
    assert verdict(claim, evidence) == "undecided"


def test_ranks_of_a_measured_result_come_from_its_scores() -> None:
    scores = {"m0": 9.0, "m1": 8.0}
    claim = check(kind="ranking", result="rerun", among="mlp", ranks={"m0": 1})
    assert verdict(claim, measured(table(scores), rerun_nodes="input m1 m0")) == "holds"
