"""The check of a selection."""

from __future__ import annotations

from typing import Any

import pytest

from tests.claims.build import Figures, check, measured, published, rule, table, verdict

# With 20 dimensions, the input and one MLP, there is room for two heads.
EVERY_SCORE = {
    "m1": "9.00", "m0": "1.00", "a0.h0": "3.00", "a1.h2": "2.00", "a0.h1": "0.90", "a0.h2": "0.80",
    "a1.h0": "0.70", "a1.h1": "0.60",
}  # fmt: skip


def selection_verdict(
    named: Figures,
    nodes: str,
    budget: int = 20,
    stated: dict[str, Any] | None = None,
    **best_listed: int,
) -> str:
    stated = {"budget": budget, "mlp_threshold": "5.0"} | (stated or {})
    claim = check(kind="selection", circuit="paper", **stated)
    return verdict(
        claim, published(table(named, **best_listed), paper_nodes=nodes, spec=rule(budget))
    )


@pytest.mark.parametrize(
    ("changed", "nodes", "budget", "expected"),
    [
        ({}, "input m1 a0.h0 a1.h2", 20, "holds"),
        ({}, "input m1 a0.h0 a1.h2", 21, "holds"),
        ({}, "input m1 a1.h2 a0.h0", 20, "refuted"),
        ({}, "input m1 a0.h0 a0.h1", 20, "refuted"),
        ({}, "input m1 a0.h0", 20, "refuted"),
        ({}, "input m1 m0 a0.h0 a1.h2", 28, "refuted"),
        ({}, "m1 a0.h0 a1.h2", 20, "refuted"),
        ({"m0": "5.0"}, "input m1 m0 a0.h0 a1.h2", 28, "undecided"),
        ({"m0": "5.1"}, "input m1 m0 a0.h0 a1.h2", 28, "holds"),
        ({"m0": "9.01"}, "input m1 m0 a0.h0 a1.h2", 28, "refuted"),
        ({"m1": "4.9"}, "input m1 a0.h0 a1.h2", 20, "refuted"),
        ({"a1.h2": "3.00"}, "input m1 a1.h2 a0.h0", 20, "holds"),
        ({"a1.h2": "3.02"}, "input m1 a0.h0 a1.h2", 20, "refuted"),
    ],
)
def test_selection_as_published(
    changed: dict[str, str], nodes: str, budget: int, expected: str
) -> None:
    assert selection_verdict(EVERY_SCORE | changed, nodes, budget) == expected


@pytest.mark.parametrize("stated", [{"budget": 21}, {"mlp_threshold": "5.1"}])
def test_selection_by_another_rule_than_the_experiments(stated: dict[str, Any]) -> None:
    assert selection_verdict(EVERY_SCORE, "input m1 a0.h0 a1.h2", stated=stated) == "refuted"
    claim = check(kind="selection", circuit="rerun", budget=20, mlp_threshold="5.0")
    assert verdict(claim, measured(rerun_nodes="input m1")) == "holds"
    claim = check(
        kind="selection", circuit="rerun", **{"budget": 20, "mlp_threshold": "5"} | stated
    )
    assert verdict(claim, measured(rerun_nodes="input m1")) == "refuted"


def test_selection_without_every_nodes_score() -> None:
    lacking = {name: score for name, score in EVERY_SCORE.items() if name != "a1.h2"}
    assert selection_verdict(lacking, "input m1 a0.h0 a1.h2") == "undecided"
    # Among the two best heads a1.h2 would have to be listed.
    assert selection_verdict(lacking, "input m1 a0.h0 a1.h2", head=2) == "refuted"
    assert selection_verdict(lacking, "input m1 a0.h0 a1.h2", head=1) == "undecided"
    assert selection_verdict(lacking, "input m1 a0.h0 a1.h2", head=5) == "refuted"


def test_selection_from_a_table_of_the_best() -> None:
    best = {name: EVERY_SCORE[name] for name in ("m1", "m0", "a0.h0", "a1.h2")}
    assert selection_verdict(best, "input m1 a0.h0 a1.h2", mlp=2, head=2) == "holds"


@pytest.mark.parametrize(
    ("changed", "nodes", "budget"),
    [
        # a0.h1 and a1.h2 print alike: either may be the second best head.
        ({"a0.h1": "2.00"}, "input m1 a0.h0 a1.h2", 20),
        ({"a0.h1": "2.00"}, "input m1 a0.h0 a0.h1", 20),
        # A coarser figure may stand for more.
        ({"a0.h1": "1.9", "a1.h2": "1.94"}, "input m1 a0.h0 a1.h2", 20),
        # m0 prints as the threshold, and may lie just below it.
        ({"m0": "5.0"}, "input m1 a0.h0 a1.h2", 20),
        ({"m0": "5.0"}, "input m1 a0.h0 a1.h2 a0.h1 a0.h2 a1.h0 a1.h1", 28),
    ],
)
def test_selection_that_the_printed_digits_do_not_settle(
    changed: dict[str, str], nodes: str, budget: int
) -> None:
    assert selection_verdict(EVERY_SCORE | changed, nodes, budget) == "undecided"


@pytest.mark.parametrize(
    ("unlisted", "best_listed"),
    [("a0.h1", {}), ("a0.h1", {"head": 1}), ("m0", {}), ("m0", {"mlp": 1})],
)
def test_selection_past_what_the_table_does_not_list(
    unlisted: str, best_listed: dict[str, int]
) -> None:
    listed = {name: score for name, score in EVERY_SCORE.items() if name != unlisted}
    assert selection_verdict(listed, "input m1 a0.h0 a1.h2", **best_listed) == "undecided"


def test_selection_with_an_inversion_across_a_coarse_figure() -> None:
    changed = {"a0.h0": "2.04", "a0.h1": "2", "a1.h2": "2.06"}
    nodes = "input m1 a0.h0 a0.h1 a1.h2"
    assert selection_verdict(EVERY_SCORE | changed, nodes, 22) == "refuted"


def test_selection_by_another_rule_refutes_whatever_is_unknown() -> None:
    found = selection_verdict({"m1": "9.0"}, "input m1 a0.h0 a1.h2", stated={"budget": 99})
    assert found == "refuted"


def test_selection_by_another_rule_refutes_without_any_score() -> None:
    claim = check(kind="selection", circuit="paper", budget=99, mlp_threshold="5.0")
    assert verdict(claim, published(paper_nodes="input m1 a0.h0 a1.h2")) == "refuted"


def test_selection_where_no_mlp_reaches_the_threshold() -> None:
    nodes = "input a0.h0 a1.h2 a0.h1 a0.h2 a1.h0 a1.h1"
    assert selection_verdict(EVERY_SCORE | {"m1": "4.9"}, nodes) == "refuted"
