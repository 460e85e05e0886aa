"""Checks of circuits: counts, costs, members, and how two compare."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from replication.evidence.evidence import Evidence, Result
from tests.claims.build import SHAPE, SPEC, check, measured, published, verdict
from tests.make import circuit


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"total": 8, "mlp": 2, "head": 6}, "holds"),
        ({"total": 9}, "refuted"),
        ({"total": 8, "mlp": 1}, "refuted"),
        ({"input": 1}, "refuted"),
        ({"heads_in_layers": {"0": 3, "1": 3}}, "holds"),
        ({"circuit": "paper", "total": 5, "input": 1, "mlp": 1, "head": 3}, "holds"),
        ({"circuit": "paper", "total": 4}, "refuted"),
        ({"circuit": "paper", "input": 0}, "refuted"),
        ({"circuit": "paper", "mlp": 2}, "refuted"),
        ({"circuit": "paper", "head": 2}, "refuted"),
        ({"circuit": "paper", "heads_in_layers": {"0": 1, "1": 2}}, "holds"),
        ({"circuit": "paper", "heads_in_layers": {"0-1": 3, "other": 0}}, "holds"),
        ({"circuit": "paper", "heads_in_layers": {"other": 2, "0": 1}}, "holds"),
        ({"circuit": "paper", "heads_in_layers": {"0": 1, "other": 3}}, "refuted"),
        ({"circuit": "paper", "heads_in_layers": {"1": 3}}, "refuted"),
        ({"circuit": "rerun", "total": 5}, "undecided"),
    ],
)
def test_count(stated: dict[str, Any], expected: str) -> None:
    evidence = published(paper_nodes="input m1 a0.h0 a1.h2 a1.h0")
    assert verdict(check(kind="count", **stated), evidence) == expected


def test_count_in_ranges_that_overlap() -> None:
    evidence = published(paper_nodes="input a0.h0 a1.h2 a1.h0")
    stated = check(kind="count", circuit="paper", heads_in_layers={"0-1": 3, "1": 2})
    assert verdict(stated, evidence) == "holds"


def test_a_range_of_layers_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValidationError):
        check(kind="count", circuit="paper", heads_in_layers={"1-0": 3})


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"used": 20}, "holds"),
        ({"used": 12}, "refuted"),
        ({"used": 20, "budget": 20}, "holds"),
        ({"used": 20, "budget": 21}, "refuted"),
        ({"before_heads": 16, "left_for_heads": 4, "room_for_heads": 2}, "holds"),
        ({"before_heads": 8}, "refuted"),
        ({"left_for_heads": 5}, "refuted"),
        ({"room_for_heads": 1}, "refuted"),
        ({"circuit": "rerun", "used": 20}, "undecided"),
    ],
)
def test_cost(stated: dict[str, Any], expected: str) -> None:
    claim = check(**{"kind": "cost", "circuit": "paper", **stated})
    assert verdict(claim, published(paper_nodes="input m1 a0.h0 a1.h2")) == expected


def test_cost_holds_the_circuit_files_own_budget_against_the_claim() -> None:
    claim = check(kind="cost", circuit="paper", budget=20)
    results = {"paper": Result(None, circuit("input m1", write_budget_max=24))}
    assert verdict(claim, Evidence("published", SPEC, SHAPE, results)) == "refuted"


def test_cost_under_the_other_convention() -> None:
    selection = SPEC.selection.model_copy(update={"input_counts": False})
    spec = SPEC.model_copy(update={"selection": selection})
    evidence = published(paper_nodes="input m1 a0.h0 a1.h2", spec=spec)
    assert verdict(check(kind="cost", circuit="paper", used=12), evidence) == "holds"
    assert verdict(check(kind="cost", circuit="paper", used=20), evidence) == "refuted"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"includes": ["m1", "input"]}, "holds"),
        ({"includes": ["m1", "m0"]}, "refuted"),
        ({"excludes": ["m0", "a0.h1"]}, "holds"),
        ({"excludes": ["m0", "m1"]}, "refuted"),
        ({"includes": ["a0.h0"], "excludes": ["m0"]}, "holds"),
        ({"circuit": "rerun", "includes": ["m1"]}, "undecided"),
    ],
)
def test_membership(stated: dict[str, Any], expected: str) -> None:
    claim = check(**{"kind": "membership", "circuit": "paper", **stated})
    assert verdict(claim, published(paper_nodes="input m1 a0.h0 a1.h2")) == expected


def test_a_component_cannot_be_stated_in_and_out() -> None:
    try:
        claim = check(kind="membership", circuit="paper", includes=["m0"], excludes=["m0"])
    except ValidationError:
        return
    assert verdict(claim, published(paper_nodes="input m1")) == "refuted"


PAPER, RERUN = "input m1 m0 a0.h0 a1.h2 a1.h1", "input m0 m1 a1.h2 a0.h0 a0.h1"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"shared": 5, "of": 6}, "holds"),
        ({"shared": 4}, "refuted"),
        ({"shared": 5, "of": 5}, "refuted"),
        ({"percent": "83.3"}, "holds"),
        ({"percent": "83"}, "holds"),
        ({"percent": "83.4"}, "refuted"),
        ({"percent": "83.33"}, "holds"),
        ({"percent": "83.34"}, "refuted"),
        ({"at_least_percent": "83.3"}, "holds"),
        ({"at_least_percent": "83.4"}, "refuted"),
        ({"among": "mlp", "shared": 2, "of": 2, "at_least_percent": "100"}, "holds"),
        ({"among": "head", "shared": 2, "of": 3}, "holds"),
        ({"among": "head", "first": 2, "shared": 2, "of": 2}, "holds"),
        ({"among": "head", "first": 1, "shared": 0}, "holds"),
        ({"among": "head", "first": 1, "shared": 1}, "refuted"),
        ({"among": "head", "first": 9, "of": 6}, "refuted"),
    ],
)
def test_overlap(stated: dict[str, Any], expected: str) -> None:
    claim = check(kind="overlap", circuit="rerun", reference="paper", **stated)
    assert verdict(claim, published(paper_nodes=PAPER, rerun_nodes=RERUN)) == expected


@pytest.mark.parametrize("nodes", [{}, {"paper_nodes": PAPER}, {"rerun_nodes": RERUN}])
def test_what_compares_two_circuits_needs_both(nodes: dict[str, str]) -> None:
    both = {"circuit": "rerun", "reference": "paper"}
    stated = [
        check(kind="overlap", **both, shared=0),
        check(kind="difference", **both, only_circuit=[], only_reference=[]),
        check(kind="order", **both, moved=[]),
    ]
    assert {verdict(one, published(**nodes)) for one in stated} == {"undecided"}


@pytest.mark.parametrize(
    ("tolerance", "expected"), [("1", "holds"), ("0.3", "refuted"), (None, "refuted")]
)
def test_an_overlap_in_percent_with_a_tolerance(tolerance: str | None, expected: str) -> None:
    # Three of the four nodes: 75%.
    evidence = published(paper_nodes="input m1 a0.h0 a1.h2", rerun_nodes="input m1 a0.h0 a1.h0")
    claim = check(
        kind="overlap", circuit="rerun", reference="paper", percent="74", tolerance=tolerance
    )
    assert verdict(claim, evidence) == expected


def test_counts_and_bounds_of_an_overlap_take_no_tolerance() -> None:
    with pytest.raises(ValidationError, match="tolerance belongs to percent"):
        check(kind="overlap", circuit="rerun", reference="paper", shared=3, tolerance="1")


def test_overlap_with_no_such_component_in_the_reference() -> None:
    claim = check(kind="overlap", circuit="rerun", reference="paper", among="head", shared=0)
    assert verdict(claim, published(paper_nodes="input m1", rerun_nodes=RERUN)) == "undecided"


@pytest.mark.parametrize(
    ("only_circuit", "only_reference", "expected"),
    [
        (["a0.h1"], ["a1.h1"], "holds"),
        (["a1.h1"], ["a0.h1"], "refuted"),
        (["a0.h1"], [], "refuted"),
        ([], ["a1.h1"], "refuted"),
        (["a0.h1", "m0"], ["a1.h1"], "refuted"),
    ],
)
def test_difference(only_circuit: list[str], only_reference: list[str], expected: str) -> None:
    claim = check(
        kind="difference",
        circuit="rerun",
        reference="paper",
        only_circuit=only_circuit,
        only_reference=only_reference,
    )
    assert verdict(claim, published(paper_nodes=PAPER, rerun_nodes=RERUN)) == expected


@pytest.mark.parametrize(
    ("stated", "on_published", "on_measured"),
    [
        ({"first": ["input", "m0", "m1"]}, "undecided", "holds"),
        ({"first": ["input", "m1", "m0"]}, "refuted", "refuted"),
        ({"first": ["m0"]}, "refuted", "refuted"),
        ({"first": ["a1.h2", "a0.h0"], "among": "head"}, "undecided", "holds"),
        ({"first": ["a0.h0"], "among": "head"}, "refuted", "refuted"),
        ({"first": ["a1.h2", "a0.h0", "a0.h1", "a0.h2"], "among": "head"}, "refuted", "refuted"),
        ({"reference": "paper", "moved": ["m0", "m1"], "among": "mlp"}, "holds", "holds"),
        ({"reference": "paper", "moved": ["m1", "m0"], "among": "mlp"}, "holds", "holds"),
        ({"reference": "paper", "moved": [], "among": "mlp"}, "refuted", "refuted"),
        ({"reference": "paper", "moved": ["m0"], "among": "mlp"}, "refuted", "refuted"),
        ({"reference": "paper", "moved": ["a0.h0", "a1.h2"], "among": "head"}, "holds", "holds"),
        ({"reference": "paper", "moved": ["a1.h1"], "among": "head"}, "refuted", "refuted"),
    ],
)
def test_order(stated: dict[str, Any], on_published: str, on_measured: str) -> None:
    claim = check(kind="order", circuit="rerun", **stated)
    nodes = {"paper_nodes": PAPER, "rerun_nodes": RERUN}
    assert verdict(claim, published(**nodes)) == on_published
    assert verdict(claim, measured(**nodes)) == on_measured
