"""The ledger: how each statement stands, and the document that is generated from it."""

from __future__ import annotations

import re
from functools import cache
from html import unescape

import pytest

from replication.claims.claim import READER, Claim
from replication.evidence.evidence import Kind
from replication.report.ledger import entries, ledger_markdown
from replication.report.page.page import ledger_page
from replication.report.record import ExperimentReport, Handover, JudgementRecord, Outcome
from replication.report.standing import standing_of
from replication.session import Options, Session
from tests.paths import FIXTURES, ROOT
from tests.report.causal import claim, evidence_with

NUMBER = re.compile(r"(?<![\w.])[0-9]+(?:\.[0-9]+)?(?![\w.]*\w)")
HOSTILE = "<script>window.pwned = 1</script> | `x` \x1b[31m *all*"


@cache
def statement(name: str, made_by: str = "me") -> Claim:
    """A claim of some check."""
    made = claim(name, evidence_with(), kind="behaviour", value="1.0")
    return made.model_copy(update={"made_by": made_by})


def report_with(
    found: dict[str, dict[Kind, Outcome]],
    name: str = "x",
    as_expected: bool | None = True,
    why: str = "it is so",
) -> ExperimentReport:
    """A report of claims with these verdicts."""
    claims = [statement(one) for one in found]
    cases = [(one, kind) for one, verdicts in found.items() for kind in verdicts]
    report = ExperimentReport(name, "A title", claims, cases=cases)
    for one, verdicts in found.items():
        for kind, verdict in verdicts.items():
            record = JudgementRecord(
                experiment=name,
                claim=one,
                evidence=kind,
                verdict=verdict,
                as_expected=as_expected,
                arithmetic=f"{why} on {kind}",
                checks=[],
            )
            report.take(Handover(judgement=record))
    return report


@pytest.mark.parametrize(
    ("verdicts", "standing"),
    [
        ({"published": "holds", "recorded": "refuted"}, "refuted"),
        ({"published": "refuted", "recorded": "holds"}, "refuted"),
        ({"published": "undecided", "recorded": "holds"}, "holds"),
        ({"published": "holds", "recorded": "missing"}, "holds"),
        ({"published": "undecided", "recorded": "missing"}, "undecided"),
        ({"recorded": "missing"}, "missing"),
        ({}, "missing"),
    ],
)
def test_a_statement_has_one_standing(verdicts: dict[Kind, Outcome], standing: Outcome) -> None:
    assert standing_of(verdicts) == standing
    (entry,) = entries([report_with({"A": verdicts})])
    assert entry.counts == {standing: 1}


def test_what_a_run_measured_says_why() -> None:
    (entry,) = entries([report_with({"A": {"published": "refuted", "live": "refuted"}})])
    (stated,) = entry.standing("refuted")
    assert (stated.why, stated.on) == ("it is so on live", ["published", "live"])


def test_statements_stand_by_their_standing_each_with_its_arithmetic() -> None:
    text = ledger_markdown(
        [report_with({"A": {"recorded": "refuted"}, "B": {"recorded": "holds"}, "C": {}})]
    )
    assert "| Not run | 1 | 1 | 0 | 1 |" in text.replace("Not asked | 1", "Not run | 1")
    assert "### Refuted (1)\n\n- **A** (me; recorded evidence): It is so.<br>it is so on" in text
    assert "### Not judged, and what it would take (1)\n\n- **C** (me): It is so.<br>not" in text
    assert "**B**" not in text


def test_a_verdict_that_was_not_expected_is_marked() -> None:
    reports = [report_with({"A": {"recorded": "refuted"}}, as_expected=False)]
    assert "It is so. **Unexpected.**<br>" in ledger_markdown(reports)
    assert '<strong class="unexpected">unexpected</strong>' in ledger_page(reports)
    expected = [report_with({"A": {"recorded": "refuted"}})]
    assert "nexpected" not in ledger_markdown(expected)
    assert ">unexpected<" not in ledger_page(expected)


def test_what_stands_in_files_is_text() -> None:
    reports = [report_with({"A": {"recorded": "refuted"}}, name="a b", why=HOSTILE)]
    text, page = ledger_markdown(reports), ledger_page(reports)
    assert r"\<script\>" in text
    assert r"\*all\*" in text
    assert "\x1b" not in text
    assert "<script" not in page
    assert "\x1b" not in page
    assert 'id="a-b"' in page
    assert 'href="#a-b"' in page


def test_a_readers_question_is_nobodys_statement() -> None:
    report = report_with({"A": {"published": "refuted"}, "B": {"published": "holds"}})
    report.claims = [statement("A", READER), statement("B")]
    (entry,) = entries([report])
    assert entry.counts == {"holds": 1}
    text, page = ledger_markdown([report]), ledger_page([report])
    assert "Refuted (" not in text + page
    assert "(reader's question; published evidence): It is so.<br>No: it is so on pub" in text
    assert "A reader's question, and nobody's statement. Its figures: a paper." in unescape(page)
    assert "<strong>No.</strong> it is so on published" in page


def test_published_results_come_first() -> None:
    own, published = report_with({"A": {}}, "a"), report_with({"A": {}}, "b")
    published.is_published = True
    assert [one.name for one in entries([own, published])] == ["b", "a"]


def test_a_part_says_that_it_is_one() -> None:
    report = report_with({"A": {"recorded": "holds"}})
    assert "Partial" not in ledger_markdown([report]) + ledger_page([report])
    report.left_out = ["another"]
    assert "**Partial" in ledger_markdown([report])
    assert "<strong>Partial" in ledger_page([report])


@pytest.fixture(scope="module")
def ledger() -> str:
    """The ledger of this project's experiments, on published and recorded evidence."""
    session = Session(Options(FIXTURES, ROOT))
    for case in session.cases():
        session.collect(session.judge(case).handover)
    return ledger_markdown(list(session.reports.values()))


def test_the_ledger_in_the_docs_is_that_of_the_experiments(ledger: str) -> None:
    """Word by word; figures that a run measured may differ in their last digits."""
    kept = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
    found, stated = (NUMBER.split(text) for text in (ledger, kept))
    assert found == stated, "docs/ledger.md is not that of these experiments: make ledger"
    found, stated = (list(map(float, NUMBER.findall(text))) for text in (ledger, kept))
    assert found == pytest.approx(stated, rel=0.02, abs=0.002)
