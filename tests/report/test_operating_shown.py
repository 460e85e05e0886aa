"""Operating points in the reports: for people as text and on the page, and for programs."""

from __future__ import annotations

import html
from pathlib import Path

from replication.report.data import claims_json
from replication.report.page.page import page
from replication.report.record import ExperimentReport, Handover, OperatingRecord, TurnRecord
from replication.report.text import claims_markdown
from replication.session import Options, Session
from tests.paths import FIXTURES, ROOT
from tests.report.test_answers import record_of, report_of

STEADY = OperatingRecord(claim="R2", verdict="holds", kept=25, points=25, unselected=0, turn=None)
TURNING = OperatingRecord(
    claim="R1",
    verdict="holds",
    kept=17,
    points=25,
    unselected=2,
    turn=TurnRecord(budget=10080, mlp_threshold=7.0, verdict="refuted", reason="heads: 25"),
)
EMPTY = OperatingRecord(
    claim="R3",
    verdict="refuted",
    kept=20,
    points=25,
    unselected=5,
    turn=TurnRecord(budget=11200, mlp_threshold=8.4, verdict=None, reason="no MLP reaches it"),
)
SAID = (
    "Of the claims that look at the circuit or at its rule, 2 of 3 turn where the budget and the"
    " threshold are 0.8 to 1.2 times the experiment's own."
)


def report(*found: OperatingRecord) -> ExperimentReport:
    made = report_of()
    made.take(Handover(judgement=record_of("R1", "recorded", "holds"), operating=list(found)))
    return made


def test_the_claims_that_turn_stand_in_the_text_with_where_they_do() -> None:
    text = claims_markdown([report(STEADY, TURNING, EMPTY)])
    section = text.split("### Operating points\n\n")[1].split("###")[0]
    assert section.splitlines()[0] == SAID
    assert section.splitlines()[2:] == [
        "| claim | on | keeps its verdict at | turns first at | there |",
        "| --- | --- | --- | --- | --- |",
        "| R1 | recorded | 17 of 25 (2 select nothing) | budget 10080, threshold 7 |"
        " refuted: heads: 25 |",
        "| R3 | recorded | 20 of 25 (5 select nothing) | budget 11200, threshold 8.4 |"
        " nothing is selected: no MLP reaches it |",
        "",
    ]


def test_the_page_has_them_in_a_table_that_is_folded(tmp_path: Path) -> None:
    text = html.unescape(page([report(STEADY, TURNING, EMPTY)], "pytest", tmp_path, ""))
    section = text.split('<details class="fold operating"')[1].split("</details>")[0]
    assert SAID in section
    assert "budget 10080, threshold 7" in section
    assert ">R2<" not in section


def test_where_none_turns_there_is_a_sentence_and_no_table(tmp_path: Path) -> None:
    made = report(STEADY)
    text = claims_markdown([made])
    assert "at its rule, 0 of 1 turn where" in text
    assert "turns first at" not in text
    on_page = page([made], "pytest", tmp_path, "").split('<details class="fold operating"')[1]
    assert "<table" not in on_page.split("</details>")[0]


def test_where_no_point_was_taken_nothing_is_said(tmp_path: Path) -> None:
    made = report()
    assert "Operating points" not in claims_markdown([made])
    assert "Operating points" not in page([made], "pytest", tmp_path, "")


def test_programs_have_every_claim_by_evidence() -> None:
    (found,) = claims_json([report(STEADY, TURNING)], "pytest")["experiments"]
    assert list(found["operating_points"]) == ["recorded"]
    assert found["operating_points"]["recorded"][1] == TURNING.model_dump(mode="json")


def test_the_first_handover_of_measured_evidence_brings_them() -> None:
    session = Session(Options(FIXTURES, ROOT, ["sarcasm-minilm"]))
    first, second = (session.judge(case).handover for case in session.cases()[:2])
    assert {one.claim for one in first.operating} == {"M12", "M13", "M14"}
    assert second.operating == []
