"""`replication badge` and `replication compare-reports`, on the reports of real runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.make import edit
from tests.paths import FIXTURES


def replication(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "replication.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def judge(experiments: Path, reports: Path) -> Path:
    """The reports of a run on an experiment's published evidence."""
    command = [sys.executable, "-m", "pytest", "--pyargs", "replication.test_claims", "-q"]
    places = ["--replication-experiments", str(experiments), "--replication-reports", str(reports)]
    subprocess.run([*command, *places], cwd=experiments.parent, capture_output=True, check=False)
    return reports


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs: in the second, the published score of m4 is another."""
    folder = tmp_path_factory.mktemp("runs")
    experiment = folder / "experiments" / "sarcasm-gpt2"
    shutil.copytree(FIXTURES / "sarcasm-gpt2", experiment)
    old = judge(experiment.parent, folder / "old")
    edit(experiment / "published/original.scores.json", '"6.6772"', '"6.4"')
    return old, judge(experiment.parent, folder / "new")


def test_a_verdict_that_got_worse_ends_with_status_1(runs: tuple[Path, Path]) -> None:
    old, new = runs
    done = replication("compare-reports", old, new / "claims.json")
    assert (done.returncode, done.stderr) == (1, "")
    first, *_, last = done.stdout.splitlines()
    assert first.startswith(
        "worse: sarcasm-gpt2 O5 on published evidence: refuted, now holds, unexpected: "
    )
    assert last.endswith(" verdicts stand in both; 1 got worse")

    done = replication("compare-reports", new, old)
    assert (done.returncode, done.stderr) == (0, "")
    assert "sarcasm-gpt2 O5 on published evidence: holds, unexpected, now refuted" in done.stdout


def test_the_same_run_again_has_no_changes(runs: tuple[Path, Path]) -> None:
    done = replication("compare-reports", runs[0], runs[0])
    assert done.returncode == 0
    assert done.stdout.endswith(" verdicts stand in both; 0 got worse\n")
    assert len(done.stdout.splitlines()) == 1


def test_a_badge_says_what_became_of_the_statements(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "badge.json"
    done = replication("badge", runs[0], "--out", out, "--experiment", "sarcasm-gpt2")
    assert (done.returncode, done.stderr) == (0, "")
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["label"] == "sarcasm-gpt2"
    assert content["color"] == "orange"
    assert done.stdout == f"{out}: sarcasm-gpt2: {content['message']}\n"

    assert replication("badge", runs[1], "--out", out).returncode == 0
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["label"] == "replication"
    assert content["color"] == "red"


def test_what_is_no_badge_is_not_overwritten(runs: tuple[Path, Path], tmp_path: Path) -> None:
    claims, before = runs[0] / "claims.json", (runs[0] / "claims.json").read_bytes()
    done = replication("badge", runs[0], "--out", claims)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"replication: {claims}: is there and is no badge; nothing else is overwritten\n"
    )
    assert claims.read_bytes() == before
    notes = tmp_path / "notes.txt"
    notes.write_text("mine", encoding="utf-8")
    assert replication("badge", runs[0], "--out", notes).returncode == 2
    assert notes.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("command", [["badge", "--out", "b.json"], ["compare-reports", "x.json"]])
def test_what_is_no_report_is_named(command: list[str], tmp_path: Path) -> None:
    name, *rest = command
    done = replication(name, tmp_path / "nothing.json", *rest)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "there is no such file" in done.stderr
