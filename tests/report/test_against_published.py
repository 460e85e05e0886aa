"""A run against what was published of the same result, from figures made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from replication.evidence.evidence import Evidence, Measured
from replication.experiment.spec import SelectionSpec
from replication.report.handover import against_published
from replication.report.record import AgainstRecord, OutsideRecord
from tests.claims.build import measured, published, table

PRINTED = table({"m0": "10.51", "a0.h1": "3.00"})


def run_with(scores: Mapping[str, float], nodes: str) -> Evidence:
    """A run that gives these scores and nodes."""
    evidence = measured(table(scores), rerun_nodes=nodes)
    assert isinstance(evidence.measured, Measured)
    run = replace(evidence.measured, tables={})
    return replace(evidence, results={**evidence.results, "rerun": run})


def test_scores_within_the_printed_digits_and_the_same_nodes_agree() -> None:
    there = published(rerun=PRINTED, rerun_nodes="input m0 a0.h1").results["rerun"]
    run = run_with({"m0": 10.514, "a0.h1": 2.996, "m1": 7.0}, "input m0 a0.h1")
    assert against_published(there, run) == AgainstRecord(result="rerun", scores=2, nodes=3)


def test_what_lies_outside_the_digits_or_the_circuit_is_named() -> None:
    there = published(rerun=PRINTED, rerun_nodes="input m0 a0.h1").results["rerun"]
    run = run_with({"m0": 10.514, "a0.h1": 3.006}, "input m0 a0.h2")
    assert against_published(there, run) == AgainstRecord(
        result="rerun",
        scores=2,
        outside=[OutsideRecord(component="a0.h1", measured=3.006, printed="3.00")],
        nodes=3,
        only_published=["a0.h1"],
        only_measured=["a0.h2"],
    )


def test_a_number_is_met_by_what_is_the_same_but_for_rounding() -> None:
    there = published(rerun=table({"m0": 10.51, "a0.h1": 3.0, "m1": "7.0"})).results["rerun"]
    run = run_with({"m0": 10.5105, "a0.h1": 3.0004, "m1": 7.04}, "input")
    assert against_published(there, run) == AgainstRecord(
        result="rerun",
        scores=3,
        rounding=1e-4,
        outside=[OutsideRecord(component="a0.h1", measured=3.0004, printed="3", is_number=True)],
    )


def test_a_circuit_that_the_rule_takes_whatever_the_scores_are_shows_no_agreement() -> None:
    nodes = "input m0 a0.h1"
    there = published(rerun=PRINTED, rerun_nodes=nodes).results["rerun"]
    run = run_with({"m0": 10.514, "a0.h1": 2.996}, nodes)
    assert isinstance(run.spec.selection, SelectionSpec)
    fixed = {
        "budget": 20,
        "input_counts": True,
        "steps": [{"take": "input"}, {"fixed": ["m0", "a0.h1"]}],
    }
    spec = run.spec.model_copy(update={"selection": SelectionSpec.model_validate(fixed)})
    found = against_published(there, replace(run, spec=spec))
    assert found == AgainstRecord(result="rerun", scores=2)


def test_tables_are_compared_by_their_names() -> None:
    there = replace(published().results["rerun"], tables={"one": PRINTED, "other": PRINTED})
    run = run_with({}, "input")
    assert isinstance(run.measured, Measured)
    tables = {"one": table({"m0": 10.51}), "other": table({"m0": 9.0})}
    both = replace(run, results={"rerun": replace(run.measured, tables=tables)})
    found = against_published(there, both)
    assert found == AgainstRecord(
        result="rerun",
        scores=2,
        outside=[OutsideRecord(component="m0", table="other", measured=9.0, printed="10.51")],
    )


def test_scores_of_single_pairs_are_compared_as_far_as_they_were_published() -> None:
    first = {1: table({"m0": "10.5", "a0.h1": "3.1"}).scores, 3: table({"m0": "9.00"}).scores}
    there = published(rerun=replace(PRINTED, by_pair=first)).results["rerun"]
    run = run_with({"m0": 10.51, "a0.h1": 3.0}, "input")
    assert isinstance(run.measured, Measured)
    by_pair = {1: table({"m0": 10.54, "a0.h1": 3.2}).scores, 2: table({"m0": 1.0}).scores}
    own = replace(run.measured, scores=replace(run.measured.scores, by_pair=by_pair))
    found = against_published(there, replace(run, results={"rerun": own}))
    assert found is not None
    assert (found.scores, found.pair_scores) == (2, 2)
    assert found.outside == [OutsideRecord(component="a0.h1", pair=1, measured=3.2, printed="3.1")]


def test_without_a_run_or_a_published_result_there_is_nothing_to_compare() -> None:
    there = published(rerun=PRINTED)
    assert against_published(there.results["rerun"], there) is None
    assert against_published(None, run_with({"m0": 10.51}, "input")) is None
