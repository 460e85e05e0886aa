"""What interventions say, as records: what crosses processes, and what stands in the JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from replication.claims.cells import by_cell
from replication.controls.verify import verify
from replication.report.causal_handover import causal_records
from replication.report.causal_record import CausalRecords, NotShownRecord
from replication.report.data import CONTROLS_FORMAT, controls_json
from tests.behaved import behaved_evidence, behaved_of
from tests.make import evidence_of, make_spec, means
from tests.report.causal import CIRCUITS, SHAPE, claim, evidence_with, records, report_on, shown


def test_records_survive_the_way_between_processes() -> None:
    found = records(evidence_with())
    assert CausalRecords.model_validate(found.model_dump()) == found
    assert CausalRecords.model_validate_json(found.model_dump_json()) == found


def test_of_a_behaviour_the_circuits_the_cells_and_the_components_are_told() -> None:
    found = shown()
    assert (found.shown.right, found.shown.pairs) == (20, 20)
    assert found.shown.mean == pytest.approx(4, rel=0.1)
    assert list(found.counterparts) == ["other", "third"]
    assert found.circuits == CIRCUITS
    assert found.measures == "mine"
    assert found.cell_in_words == found.cell.in_words
    assert len(found.faithfulness) == 6 * 2 * 2
    kept = found.judged("mine")
    assert kept is not None
    assert kept.share == pytest.approx(1.0, abs=0.01)
    assert kept.is_told
    assert found.against("mine").drawn == 19
    assert len(found.curve.matched) == len(found.curve.sizes) == len(found.curve.intervals)


def test_of_a_component_its_effects_and_its_word_are_told() -> None:
    found = {one.component: one for one in shown().components}
    assert len(found) == 1 + 12
    m0 = found["m0"]
    assert m0.effect == pytest.approx(0.4, abs=0.01)
    assert m0.by_counterpart == {"other": m0.effect, "third": pytest.approx(0.9, abs=0.01)}
    assert m0.inside == pytest.approx(0.4, abs=0.01)
    assert m0.restored == pytest.approx(0.4, abs=0.01)
    assert m0.word == "necessary"
    assert m0.selected
    assert m0.attribution == pytest.approx(m0.mean, abs=0.5)
    spare = found["a1.h1"]
    assert (spare.word, spare.selected, spare.inside) == ("redundant", False, None)
    assert spare.given == [pytest.approx(0.4, abs=0.01)]
    assert found["a2.h2"].word == "against"
    assert found["input"].differential is None
    assert found["m1"].differential is not None
    assert shown().only_by_one == ["a0.h1"]


def test_the_largest_effects_come_first_and_of_each_label_the_set_that_parts_most() -> None:
    found = shown()
    sizes = [abs(one.mean) for one in found.components]
    assert sizes == sorted(sizes, reverse=True)
    sets = {one.label: one for one in found.sets}
    assert {label: one.tried for label, one in sets.items()} == {
        "the whole circuit": 1,
        "search, step 1": 4,
    }
    assert sets["search, step 1"].components == ["a1.h0"]
    assert sets["search, step 1"].gap == pytest.approx(-0.4, abs=0.02)


def test_without_a_search_for_backups_nothing_is_said_of_them() -> None:
    found = shown(backups=False, out=[])
    assert {one.restored for one in found.components} == {None}
    assert found.outs == []


def test_a_behaviour_that_the_model_does_not_show_is_there_with_the_reason() -> None:
    _, found = records(evidence_with()).behaviours
    assert isinstance(found, NotShownRecord)
    assert found.reason == "the whole model's mean is not above its counterparts'"
    assert found.shown.pairs == 20


def test_where_nothing_was_run_the_reason_is_there() -> None:
    evidence = evidence_of(make_spec(SHAPE), means(SHAPE, 4))
    found = records(evidence)
    assert (found.not_computed, found.behaviours) == ("the experiment states no behaviour", [])
    published = replace(evidence, kind="published", results={})
    assert causal_records([], published, verify(evidence)) is None


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_no_number_holds_is_none_and_the_json_is_json() -> None:
    behaved = behaved_of(SHAPE, 4)
    flat = replace(
        behaved,
        settings={
            setting: replace(one, full=one.empty.copy())
            for setting, one in behaved.settings.items()
        },
    )
    evidence = behaved_evidence(SHAPE, {"prefers": flat})
    report = report_on(evidence, claim("C1", evidence, kind="behaviour", at_least="0"))
    data = controls_json(report)
    text = json.dumps(data, allow_nan=False)
    assert data["format"] == CONTROLS_FORMAT
    (told,) = json.loads(text)["causal"][0]["behaviours"]
    assert not told["is_told"]
    assert {one["share"] for one in told["faithfulness"]} == {None}


def test_an_end_at_infinity_is_none() -> None:
    found = shown(logits=0.05, noise=0.5)
    ends = [one.interval for one in found.faithfulness if one.interval is not None]
    assert all(end is None or np.isfinite(end) for pair in ends for end in pair)


def test_a_claim_on_faithfulness_is_judged_again_in_every_cell() -> None:
    evidence = evidence_with()
    kept = claim("F1", evidence, kind="faithfulness", circuit="mine", at_least="80")
    equal = claim("F2", evidence, kind="equivalence", circuit="mine", within="5")
    other = claim("B1", evidence, kind="behaviour", at_least="0")
    first, second = by_cell([kept, equal, other], evidence, verify(evidence))
    assert (first.claim, first.verdict, first.cells) == ("F1", "holds", 12)
    assert {(cell.setting.value, verdict) for cell, verdict in first.otherwise} == {
        ("zero", "refuted")
    }
    assert len(first.otherwise) == 2
    assert {cell.setting.value for cell, _ in second.otherwise} == {"zero", "mean"}


def test_where_the_behaviour_is_not_shown_no_claim_is_judged_by_cell() -> None:
    evidence = evidence_with()
    kept = claim("F1", evidence, kind="faithfulness", behaviour="not", circuit="mine", at_least="8")
    assert by_cell([kept], evidence, verify(evidence)) == []
