"""Findings: what stands first of an experiment, from records made by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from replication.evidence.evidence import Kind
from replication.report.answers import answers
from replication.report.findings import findings
from replication.report.made import commit_of
from replication.report.record import ComponentRecord, ExperimentReport, Figures, ResultFigures
from replication.report.terminal import summary
from replication.report.text import claims_markdown
from tests.report.causal import SHAPE
from tests.report.test_answers import report_of
from tests.report.test_ledger import report_with


def whole(report: ExperimentReport) -> list[str]:
    return [one.whole for one in findings(report)]


def test_what_came_out_as_expected_is_said() -> None:
    assert whole(report_with({"A": {"recorded": "holds"}})) == [
        "Everything that was decided came out as expected"
    ]
    refuted = {"A": {"recorded": "holds"}, "B": {"recorded": "refuted"}, "C": {"live": "refuted"}}
    assert whole(report_with(refuted)) == [  # type: ignore[arg-type]
        "Everything that was decided came out as expected",
        "2 of 3 statements are refuted: B, C",
    ]
    assert whole(report_with(refuted, as_expected=False))[0] == (  # type: ignore[arg-type]
        "3 of 3 claims do not come out as expected: A, B, C"
    )
    assert whole(report_with({"A": {"recorded": "missing"}}, as_expected=None)) == []


def test_what_nothing_decides_is_named() -> None:
    found: Any = {
        "A": {"published": "undecided", "recorded": "missing"},
        "B": {"published": "undecided", "recorded": "holds"},
        "C": {"published": "undecided"},
    }
    assert whole(report_with(found))[-1] == "2 of 3 statements are undecided: A, C"


def with_component(evidence: Kind, size: int | None = None, **known: Any) -> ExperimentReport:
    """A report on controls of one selected component, of a circuit of that size."""
    report = report_of(evidence, ("holds",), words=("unstable",))
    (case,) = report.found
    handed = report.found[case]
    (controls,) = handed.controls
    lacking = dict.fromkeys(("stability", "null", "length"), "there is nothing")
    about: dict[str, Any] = {
        "component": "m2", "kind": "mlp", "rank": 1, "listed_rank": 1, "score": 1.0,
        "selected": True, "reason": "so",
    }  # fmt: skip
    component = ComponentRecord(**about, **known)
    nodes = None if size is None else ["input", *(f"a0.h{number}" for number in range(size))]
    result = ResultFigures(
        shape=SHAPE, mlp_threshold=1.0, budget=10, nodes=nodes, cost=1, scores=None, ranks={},
        cut=None,
    )  # fmt: skip
    figures = Figures(
        evidence=evidence, sides=("a", "b"), pairs=[], results={"replication": result}
    )
    changed = controls.model_copy(update={"components": [component], "not_computed": lacking})
    report.found[case] = handed.model_copy(update={"controls": [changed], "figures": figures})
    return report


@pytest.mark.parametrize(
    ("evidence", "known", "said"),
    [
        (
            "live",
            {"word": "artefact", "length_share": (0.981, 0.981)},
            "m2: 98% of its squared score is prompt length (replication, live)",
        ),
        (
            "published",
            {"word": "not shown", "length_share": (0.979, 0.986), "length_breakdown": 0.17},
            "m2: 98 to 99% of its score may be prompt length (replication, published)",
        ),
        (
            "recorded",
            {"word": "artefact", "length_share": (0.2, 0.2)},
            "m2: its score goes with prompt length (replication, recorded)",
        ),
        ("recorded", {"word": "not shown", "length_share": (0.981, 0.981)}, None),
    ],
)
def test_a_score_that_length_gives_is_named(
    evidence: Kind, known: dict[str, Any], said: str | None
) -> None:
    report = with_component(evidence, **known)
    assert whole(report)[1:] == ([] if said is None else [said])
    if said is not None:
        assert any(said in line for line, _ in summary([report], None, None))
        assert said in claims_markdown([report])


def test_what_is_unstable_is_counted_of_the_whole_circuit() -> None:
    """Published words are on the components whose scores are printed, and on no others."""
    report = with_component("published", size=5, word="unstable")
    assert whole(report)[1] == "1 of 5 selected is unstable (replication, published): m2"
    (words, *_) = answers(report)[2].tallies
    assert words.label == "1 with a score, of 5 selected by replication (published)"
    (words, *_) = answers(with_component("live", size=1, word="unstable"))[2].tallies
    assert words.label == "selected by replication (live)"


def git(folder: Path, *arguments: str) -> str:
    named = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *named, *arguments]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.strip()


def test_the_commit_is_that_of_the_repository_that_keeps_the_files(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    (tmp_path / "one").mkdir()
    assert commit_of(tmp_path / "one") is None
    (tmp_path / "one" / "claims.toml").write_text("", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert commit_of(tmp_path / "one") == commit
    (tmp_path / "another").mkdir()
    assert commit_of(tmp_path / "another") is None
    (tmp_path / "one" / "claims.toml").write_text("changed", encoding="utf-8")
    assert commit_of(tmp_path / "one") == f"{commit}, with changes since,"
