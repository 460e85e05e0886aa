"""What a step of GitHub Actions hands on: a summary that fits, and outputs."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from replication.report.github import SAYING, SUMMARY, append_outputs, append_summary, cut
from replication.report.markdown import escaped
from replication.report.record import EVIDENCE, ExperimentReport
from replication.report.text import claims_markdown
from replication.session import Options, Session
from tests.paths import FIXTURES, ROOT


def judged(*names: str) -> list[ExperimentReport]:
    """What these experiments' claims come out as, on what is published and recorded."""
    session = Session(Options(FIXTURES, ROOT, names))
    for case in session.cases():
        session.collect(session.judge(case).handover)
    return list(session.reports.values())


REPORTS = judged("sarcasm-gpt2", "sarcasm-minilm")
REFUTED = ("R22", "O5", "D1", "D2")
MARKDOWN = claims_markdown(REPORTS)
LONGEST = len(MARKDOWN.encode())


def rows(text: str) -> set[tuple[str, str]]:
    """The claims with rows in tables of all claims; those of refuted ones have evidence third."""
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    found = {tuple(cells[:2]) for cells in lines if cells[2] not in EVIDENCE}
    return {
        (report.name, claim.id)
        for report in REPORTS
        for claim in report.claims
        if (f"| {escaped(claim.id)}", escaped(claim.statement)) in found
    }


def test_a_summary_for_which_there_is_room_is_the_whole_table(tmp_path: Path) -> None:
    assert len(rows(MARKDOWN)) == sum(len(report.claims) for report in REPORTS)
    file = tmp_path / "summary.md"
    file.write_text("before\n", encoding="utf-8")
    append_summary(file, MARKDOWN, REPORTS)
    assert file.read_text(encoding="utf-8") == f"before\n{MARKDOWN}"


@given(most=st.integers(SAYING, LONGEST - 1))
@settings(deadline=None)
def test_a_longer_one_is_cut_between_claims_and_says_which_are_left_out(most: int) -> None:
    text = cut(MARKDOWN, REPORTS, most)
    assert len(text.encode()) <= most
    kept, _, said = text.rpartition("\n**Left out here, as GitHub shows 1 MiB of a step: ")
    assert MARKDOWN.startswith(kept)
    assert kept == "" or kept.endswith("\n")
    shown = rows(kept)
    for report in REPORTS:
        stated = [claim.id for claim in report.claims]
        left = [name for name in stated if (report.name, name) not in shown]
        if len(left) == len(stated) and f"all of {report.name}" in said:
            continue
        assert (f" claims of {report.name}, " in said) == bool(left)
        if left:
            assert f"{len(left)} of {len(stated)} claims of {report.name}, {left[0]} and on" in said
    assert "All of it is in the report's claims.md.**" in said


def test_a_summary_of_several_runs_in_one_step_stays_one_that_github_shows(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    for _ in range(SUMMARY // LONGEST + 3):
        append_summary(file, MARKDOWN, REPORTS)
    assert SUMMARY - 2 * SAYING < file.stat().st_size <= SUMMARY


def test_the_outputs_name_the_claims_as_lists_that_a_workflow_can_read(tmp_path: Path) -> None:
    file = tmp_path / "output"
    file.write_text("before=1\n", encoding="utf-8")
    append_outputs(file, REPORTS, Path("/some where/reports"))
    before, *lines = file.read_text(encoding="utf-8").splitlines()
    assert before == "before=1"
    found = dict(line.split("=", 1) for line in lines)
    assert json.loads(found["refuted"]) == [f"sarcasm-gpt2: {name}" for name in REFUTED]
    assert json.loads(found["unexpected"]) == []
    assert found["report"] == "/some where/reports"
