"""A reader's question is marked as that wherever a claim is shown, and is nobody's statement."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from replication.claims.claim import Claim, failure_message, judge_claim
from replication.controls.verify import Controls
from replication.report.annotations import annotate
from replication.report.answers import answers
from replication.report.data import claims_json
from replication.report.page.page import page
from replication.report.record import ExperimentReport, Handover, Outcome
from replication.report.terminal import summary
from replication.report.text import claims_markdown
from tests.claims.build import claim_of, published
from tests.report.test_answers import record_of

OVERLAP = {"kind": "membership", "circuit": "paper", "includes": ["m0"]}
STATED = claim_of(OVERLAP, id="S1")
ASKED = claim_of(OVERLAP, id="Q1", made_by="reader", statement="Is m0 in it?")
NEVER = claim_of(
    OVERLAP, id="Q2", made_by="reader", statement="Is it all?", expect="refuted", reason="It is not"
)


def report(*found: tuple[Claim, Outcome, bool]) -> ExperimentReport:
    claims = [claim for claim, _, _ in found]
    made = ExperimentReport("x", "X", claims, is_published=True)
    for claim, verdict, as_expected in found:
        record = record_of(claim.id, "published", verdict)
        judgement = record.model_copy(update={"as_expected": as_expected})
        made.take(Handover(judgement=judgement))
    return made


REPORT = report((STATED, "holds", True), (ASKED, "refuted", False), (NEVER, "refuted", True))


@pytest.mark.parametrize(
    ("found", "answer", "tallies"),
    [
        # A no to a reader is no fault of the statements.
        ([(STATED, "holds", True), (NEVER, "refuted", True)], "Yes",
         ["published", "reader's questions, published"]),
        ([(STATED, "refuted", False), (ASKED, "holds", True)], "No",
         ["published", "reader's questions, published"]),
        ([(ASKED, "holds", True)], "Only questions", ["reader's questions, published"]),
        ([(STATED, "holds", True)], "Yes", ["published"]),
    ],
)  # fmt: skip
def test_questions_are_counted_apart(
    found: list[tuple[Claim, Outcome, bool]], answer: str, tallies: list[str]
) -> None:
    adds_up = answers(report(*found))[0]
    assert adds_up.answer == answer
    assert [tally.label for tally in adds_up.tallies] == tallies


def test_the_terminal_marks_a_question() -> None:
    lines = [line for line, _ in summary([REPORT], None, None)]
    assert lines[0].startswith("x: adds up: yes; ")
    (unexpected,) = (line for line in lines if "UNEXPECTED" in line)
    assert unexpected.startswith("  UNEXPECTED Q1 (reader's question) on published evidence: ")


def test_the_text_marks_a_question() -> None:
    text = claims_markdown([REPORT])
    assert "**x**, 3 claims (2 reader's questions): " in text
    assert "| published | reader's question | 0 | 2 | 0 | 0 |" in text
    assert "| Q1 | reader's question: Is m0 in it? | published |" in text
    assert "| arithmetic | the reason that the claims' author gives |" in text
    assert (
        "| Q2 | reader's question: Is it all? | published | there is no model | It is not |" in text
    )
    assert "### Readers' questions" in text
    assert "Made by: reader" not in text


def test_the_data_mark_a_question() -> None:
    (experiment,) = claims_json([REPORT], "pytest")["experiments"]
    marks = {claim["id"]: claim["is_question"] for claim in experiment["claims"]}
    assert marks == {"S1": False, "Q1": True, "Q2": True}


def test_the_page_marks_a_question(tmp_path: Path) -> None:
    shown = html.unescape(page([REPORT], "pytest", tmp_path, ""))
    assert "reader's question: Is m0 in it?" in shown
    assert "A reader's question, and nobody's statement. Its figures: a paper." in shown
    assert "expected to be no. The reason that the claims' author gives: It is not" in shown
    assert not re.search("Made by reader", shown)


def test_a_failure_and_an_annotation_mark_a_question(tmp_path: Path) -> None:
    judgement = judge_claim(ASKED, published(paper_nodes="input m1"), Controls([]))
    assert failure_message(judgement).startswith("Q1: reader's question: Is m0 in it?")
    claims = tmp_path / "claims.toml"
    claims.write_text("", encoding="utf-8")
    (line,) = annotate(REPORT, claims)
    assert "title=x%3A Q1 (reader's question) on published evidence::" in line
