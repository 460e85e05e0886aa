"""Badges, and changes from one run to another, from the `claims.json` of runs."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from replication.claims.claim import READER
from replication.evidence.evidence import Kind
from replication.inputs.files import InputError
from replication.report.badge import badge
from replication.report.changes import changes, compared, got_worse
from replication.report.claims_file import ReadJudgement, ReadReport, experiment_in, read_report
from replication.report.data import claims_json
from replication.report.record import Outcome
from tests.report.test_ledger import report_with, statement

Verdicts = dict[str, dict[Kind, Outcome]]


def read(
    tmp_path: Path, found: Verdicts, name: str = "x", as_expected: bool | None = True
) -> ReadReport:
    """A report as it is written and read again."""
    content = claims_json([report_with(found, name, as_expected)], "pytest")
    (tmp_path / "claims.json").write_text(json.dumps(content), encoding="utf-8")
    return read_report(tmp_path)


def told(old: ReadReport, new: ReadReport) -> list[tuple[str, bool]]:
    return [(one.text, one.is_worse) for one in changes(old, new)]


def judged(verdict: Outcome, expect: str) -> ReadJudgement:
    """A judgement as runs make it."""
    as_expected = None if verdict in ("undecided", "missing") else verdict == expect
    return ReadJudgement(evidence="live", verdict=verdict, as_expected=as_expected, arithmetic="so")


@pytest.mark.parametrize("expect", ["holds", "refuted"])
def test_what_got_worse_and_back_is_worse_in_one_direction_only(expect: str) -> None:
    outcomes = get_args(Outcome.__args__[0]) + get_args(Outcome.__args__[1])  # type: ignore[attr-defined]
    for one, other in itertools.combinations(outcomes, 2):
        was, now = judged(one, expect), judged(other, expect)
        assert got_worse(was, now) != got_worse(now, was), (one, other)
    for one in outcomes:
        assert not got_worse(judged(one, expect), judged(one, expect))


@pytest.mark.parametrize(
    ("was", "now", "is_worse"),
    [
        ("holds", "refuted", True),
        ("holds", "undecided", True),
        ("holds", "missing", True),
        ("undecided", "missing", True),
        ("undecided", "holds", False),
        ("missing", "undecided", False),
    ],
)
def test_a_verdict_is_worse_where_less_is_shown(
    tmp_path: Path, was: Outcome, now: Outcome, is_worse: bool
) -> None:
    old, new = (read(tmp_path, {"A": {"recorded": one}}) for one in (was, now))
    ((text, worse),) = told(old, new)
    assert worse == is_worse
    assert text.startswith("x A on recorded evidence: ")
    assert text.endswith("so on recorded")


def test_an_expected_refutation_that_holds_now_is_worse() -> None:
    assert got_worse(judged("refuted", "refuted"), judged("holds", "refuted"))
    assert not got_worse(judged("holds", "refuted"), judged("refuted", "refuted"))


def test_nothing_changed(tmp_path: Path) -> None:
    old = read(tmp_path, {"A": {"recorded": "holds", "published": "undecided"}})
    assert told(old, old) == []
    assert compared(old, old) == 2


def test_evidence_that_one_run_did_not_look_at_is_named_and_not_worse(tmp_path: Path) -> None:
    old = read(tmp_path, {"A": {"recorded": "holds", "live": "holds"}})
    new = read(tmp_path, {"A": {"recorded": "holds"}})
    assert told(old, new) == [("x: live evidence was judged in the old run only", False)]
    assert told(new, old) == [("x: live evidence was judged in the new run only", False)]
    assert compared(old, new) == 1


def test_what_is_gone_is_worse_if_it_was_decided(tmp_path: Path) -> None:
    old = read(tmp_path, {"A": {"recorded": "refuted"}, "B": {"recorded": "undecided"}})
    new = read(tmp_path, {"C": {"recorded": "holds"}})
    assert told(old, new) == [
        ("x A: gone", True),
        ("x B: gone", False),
        ("x C: new, holds (recorded)", False),
    ]
    other = read(tmp_path, {"A": {"recorded": "refuted"}}, "y")
    assert told(old, other) == [("x: gone, with 2 claims", True), ("y: new, 1 claim", False)]


def test_a_claim_that_is_no_longer_judged_on_evidence_that_others_are_is_worse(
    tmp_path: Path,
) -> None:
    old = read(tmp_path, {"A": {"recorded": "holds"}, "B": {"recorded": "holds"}})
    new = read(tmp_path, {"A": {}, "B": {"recorded": "holds"}})
    assert told(old, new) == [("x A on recorded evidence: no longer judged", True)]


@pytest.mark.parametrize(
    ("found", "as_expected", "message", "colour"),
    [
        ({"A": {"recorded": "holds"}, "B": {"live": "holds"}}, True, "2 hold", "brightgreen"),
        (
            {"A": {"recorded": "holds"}, "B": {"live": "undecided"}},
            None,
            "1 hold, 1 undecided",
            "yellow",
        ),
        ({"A": {"published": "holds", "recorded": "refuted"}}, True, "1 refuted", "orange"),
        ({"A": {"recorded": "missing"}}, None, "1 not judged", "lightgrey"),
        ({"A": {"recorded": "holds"}}, False, "1 hold, 1 not as expected", "red"),
    ],
)
def test_a_badge_is_green_only_where_every_statement_holds(
    tmp_path: Path, found: Verdicts, as_expected: bool | None, message: str, colour: str
) -> None:
    report = read(tmp_path, found, as_expected=as_expected)
    assert badge(report.experiments, "replication", False) == {
        "schemaVersion": 1,
        "label": "replication",
        "message": message,
        "color": colour,
    }
    assert badge(report.experiments, "x", True)["message"] == f"{message}, of a part"


def test_a_readers_question_is_not_counted_on_a_badge(tmp_path: Path) -> None:
    report = report_with({"A": {"published": "refuted"}, "B": {"published": "holds"}})
    report.claims = [statement("A", READER), statement("B")]
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(claims_json([report], "pytest")), encoding="utf-8")
    found = badge(read_report(path).experiments, "replication", False)
    assert (found["message"], found["color"]) == ("1 hold", "brightgreen")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "expected the claims.json of a run, of format 'replication.claims.1', found []"),
        ({"format": "replication.claims.9"}, "found 'replication.claims.9'"),
        ({"format": "replication.claims.1", "experiments": []}, "experiments: "),
        ({"format": "replication.claims.1"}, "experiments: "),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: Any, reason: str) -> None:
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=r"claims\.json: ") as refused:
        read_report(path)
    assert reason in str(refused.value)


def test_an_experiment_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    report = read(tmp_path, {"A": {}})
    with pytest.raises(InputError, match="there is no experiment 'y'; it has 'x'"):
        experiment_in(report, "y", tmp_path)
