"""Checks of scores where a result has several tables, and of circuits in no order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replication.claims.check import Check
from replication.claims.keys import Known
from replication.controls.verify import verify
from replication.evidence.evidence import Evidence, Result
from tests.claims.build import ANY_CHECK, SHAPE, check, judge, published, table
from tests.make import circuit, make_spec

SPEC = make_spec(
    SHAPE,
    scoring={"kind": "attention"},
    selection={"budget": 20, "steps": [{"rest": "head", "by": ["moving"]}], "input_counts": False},
    results={
        "paper": {"about": "a", "tables": {"moving": "a.json", "copying": "b.json"}},
        "rerun": {"about": "b", "tables": {"moving": "c.json"}},
        "other": {"about": "c", "scores": "d.json"},
    },
)
MOVING = {"a0.h0": "0.80", "a0.h1": "0.40", "a1.h0": "0.10"}
COPYING = {"a0.h0": "0.20", "a0.h1": "0.50"}
EVIDENCE = Evidence(
    "published",
    SPEC,
    SHAPE,
    {
        "paper": Result(
            circuit=circuit("a1.h0 a0.h0"),
            tables={"moving": table(MOVING, head=3), "copying": table(COPYING, head=2)},
        ),
        "rerun": Result(tables={"moving": table({"a0.h0": "0.84"})}),
        "other": Result(scores=table({"a0.h0": "0.90"})),
    },
)


def stated(**keys: Any) -> Check:
    return ANY_CHECK.validate_python(keys, context=Known.of(SPEC, None))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"kind": "scores", "result": "paper", "table": "moving", "scores": {"a0.h1": "0.4"}},
         "holds"),
        ({"kind": "scores", "result": "paper", "table": "copying", "scores": {"a0.h1": "0.4"}},
         "refuted"),
        ({"kind": "ranking", "result": "paper", "table": "moving", "among": "head",
          "first": ["a0.h0", "a0.h1"]}, "holds"),
        ({"kind": "ranking", "result": "paper", "table": "copying", "among": "head",
          "first": ["a0.h0", "a0.h1"]}, "refuted"),
        ({"kind": "ranking", "result": "paper", "table": "moving", "among": "all",
          "ranks": {"a1.h0": 3}}, "holds"),
        ({"kind": "ratio", "result": "paper", "table": "moving", "of": "a0.h0", "to": "a0.h1",
          "ratio": "2.0"}, "holds"),
        ({"kind": "ratio", "result": "paper", "table": "moving", "of": "a0.h0", "to": "next",
          "ratio": "2.0"}, "holds"),
        ({"kind": "deviation", "result": "rerun", "reference": "paper", "table": "moving",
          "percent": {"a0.h0": "5"}}, "undecided"),
        ({"kind": "deviation", "result": "rerun", "reference": "other", "table": "moving",
          "components": ["a0.h0"], "at_most_percent": "8"}, "holds"),
        ({"kind": "bound", "result": "paper", "table": "moving", "components": ["a1.h0"],
          "below": "0.2"}, "holds"),
        ({"kind": "bound", "result": "paper", "table": "copying", "components": ["a0.h1"],
          "below": "0.2"}, "refuted"),
        ({"kind": "scores", "result": "other", "scores": {"a0.h0": "0.9"}}, "holds"),
    ],
)  # fmt: skip
def test_a_check_looks_at_the_table_that_it_names(keys: dict[str, Any], expected: str) -> None:
    assert judge(stated(**keys), EVIDENCE).verdict == expected


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"result": "paper"}, "table: 'paper' has several tables: expected one of moving, copying"),
        ({"result": "paper", "table": "mving"}, "expected one of moving, copying, found 'mving'"),
        ({"result": "other", "table": "moving"}, "table: 'other' has one, without a name"),
    ],
)
def test_a_table_is_named_where_there_are_several(keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        stated(kind="scores", scores={"a0.h0": "0.5"}, **keys)


def test_attention_has_no_score_of_an_mlp() -> None:
    with pytest.raises(ValueError, match="attention gives an MLP no score"):
        stated(kind="scores", result="paper", table="moving", scores={"m0": "0.5"})


def test_of_several_tables_arithmetic_has_no_one_score() -> None:
    with pytest.raises(ValueError, match="paper has several tables of scores, moving, copying"):
        stated(kind="arithmetic", that="paper.a0.h0 > 0.1")
    assert judge(stated(kind="arithmetic", that="other.a0.h0 > 0.1"), EVIDENCE).verdict == "holds"


def test_a_circuit_by_steps_gives_no_ranks() -> None:
    """Its nodes stand in the order of steps, not of a table's scores."""
    lacking = replace(EVIDENCE.results["paper"], tables={"moving": table({}), "copying": table({})})
    evidence = replace(EVIDENCE, results={**EVIDENCE.results, "paper": lacking})
    claim = stated(kind="ranking", result="paper", table="moving", among="head", ranks={"a1.h0": 1})
    assert judge(claim, evidence).verdict == "undecided"


@pytest.mark.parametrize(
    "keys",
    [
        {"kind": "order", "first": ["m1"]},
        {"kind": "order", "reference": "rerun", "moved": []},
        {"kind": "overlap", "reference": "rerun", "first": 1, "among": "mlp", "shared": 1},
    ],
)
def test_of_a_circuit_in_no_order_no_place_is_judged(keys: dict[str, Any]) -> None:
    evidence = published(paper_nodes="m0 m1", rerun_nodes="m0 m1")
    assert judge(check(circuit="paper", **keys), evidence).verdict != "undecided"
    paper = replace(evidence.results["paper"], circuit=circuit("m0 m1", ordered=False))
    evidence = replace(evidence, results={**evidence.results, "paper": paper})
    outcome = judge(check(circuit="paper", **keys), evidence)
    assert outcome.verdict == "undecided"
    assert outcome.reason.startswith(
        "the circuit of paper is not listed in the order of its selection; "
    )


def test_a_circuit_in_no_order_gives_no_ranks() -> None:
    claim = check(kind="ranking", result="paper", among="mlp", ranks={"m1": 1})
    evidence = published(table({}), paper_nodes="m1 m0")
    assert judge(claim, evidence).verdict == "holds"
    paper = replace(evidence.results["paper"], circuit=circuit("m1 m0", ordered=False))
    evidence = replace(evidence, results={**evidence.results, "paper": paper})
    assert judge(claim, evidence).verdict == "undecided"


@pytest.mark.parametrize(
    ("stated_chance", "expected"), [("0.67", "holds"), ("0.7", "holds"), ("0.6", "refuted")]
)
def test_an_overlap_is_held_to_what_chance_would_share(stated_chance: str, expected: str) -> None:
    """Two heads and two of six share 2 x 2 / 6 on average."""
    nodes = {"paper_nodes": "input m0 a0.h0 a0.h1", "rerun_nodes": "m1 a0.h1 a1.h0"}
    claim = check(
        kind="overlap", circuit="paper", reference="rerun", among="head", shared=1,
        by_chance=stated_chance,
    )  # fmt: skip
    assert judge(claim, published(**nodes)).verdict == expected


@pytest.mark.parametrize("keys", [{}, {"among": "all"}, {"among": "head", "first": 2}])
def test_chance_is_of_all_components_of_a_kind(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="by_chance is of all MLPs, or of all heads"):
        check(kind="overlap", circuit="paper", reference="rerun", by_chance="1", **keys)


def test_of_attention_weights_no_control_is_computed() -> None:
    controls = verify(EVIDENCE).results
    assert [one.result for one in controls] == ["paper", "rerun", "other"]
    for one in controls:
        assert one.words == {}
        assert (one.null.reason, one.lengths.reason) == ("does not apply: attention weights",) * 2  # type: ignore[union-attr]
