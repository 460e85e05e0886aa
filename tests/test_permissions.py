"""What may not be read or written is refused as that: status 2, one line, and nothing written.

Root may read and write everything, so that its commands run without that capability.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.runs import Ended, Run
from tests.test_bad_inputs import LONGEST, make

NOTHING, NO_LISTING, NO_WRITING = 0o000, 0o311, 0o555
UNREADABLE = "cannot be read: Permission denied"
UNWRITABLE = "cannot be written: no permission to write in"
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2  # of Linux
LINUX_CAPABILITY_VERSION_3 = 0x20080522


def obey_permissions() -> None:
    """Give up, in this process and in programs it starts, what lets root pass over permissions."""
    libc = ctypes.CDLL(None, use_errno=True)
    version, no_capability = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3), ctypes.c_uint32 * 6
    failed = [
        libc.prctl(PR_CAPBSET_DROP, one, 0, 0, 0) for one in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)
    ]
    if any(failed) or libc.capset(version, no_capability()):
        raise OSError(ctypes.get_errno(), "root's capabilities cannot be given up")


def ask(*arguments: object, program: str = "replication") -> Ended:
    before = obey_permissions if os.geteuid() == 0 else None
    return Run([program, *map(str, arguments)], ROOT, before=before).end()


def refused(*arguments: object) -> str:
    """The one line with which a command refuses what it may not use."""
    status, line = ask(*arguments)
    assert status == 2
    assert re.fullmatch(r"[^\n]+\n", line)
    assert len(line) <= LONGEST + 1
    return line


def judged(experiments: Path, reports: Path, *more: str) -> Ended:
    """What a run of pytest on these experiments gives."""
    options = [f"--replication-experiments={experiments}", f"--replication-reports={reports}"]
    return ask("--pyargs", "replication.test_claims", "-q", *options, *more, program="pytest")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return make(tmp_path / "experiments" / "mine")


Permit = Callable[[Path, int], Path]


@pytest.fixture
def permit() -> Iterator[Permit]:
    """Give a path other permissions until the test ends."""
    before: list[tuple[Path, int]] = []

    def change(path: Path, mode: int) -> Path:
        before.append((path, path.stat().st_mode))
        path.chmod(mode)
        return path

    yield change
    for path, mode in reversed(before):
        path.chmod(mode)


@pytest.mark.parametrize(
    "name",
    [
        "experiment.toml",
        "claims.toml",
        "pairs.jsonl",
        "paper.circuit.json",
        "paper.scores.json",
        "paper.lengths.json",
        "recorded.safetensors",
    ],
)
def test_a_file_of_an_experiment_that_may_not_be_read_is_named(
    mine: Path, permit: Permit, name: str
) -> None:
    permit(mine / name, NOTHING)
    assert f"{name}: {UNREADABLE}" in refused("check", mine)


def test_an_experiment_in_a_folder_that_may_not_be_entered_is_not_called_missing(
    mine: Path, permit: Permit
) -> None:
    permit(mine, NOTHING)
    assert f"experiment.toml: {UNREADABLE}" in refused("check", mine)


def test_a_recording_that_may_not_be_read_judges_nothing(
    mine: Path, permit: Permit, tmp_path: Path
) -> None:
    permit(mine / "recorded.safetensors", NOTHING)
    status, printed = judged(mine, tmp_path / "reports")
    assert status == 1
    assert f"recorded.safetensors: {UNREADABLE}" in printed


@pytest.mark.parametrize(
    ("place", "mode"),
    [(".", NO_LISTING), ("mine", NOTHING), ("mine/experiment.toml", NOTHING)],
)
def test_a_run_on_experiments_that_may_not_be_read_does_not_start(
    mine: Path, permit: Permit, tmp_path: Path, place: str, mode: int
) -> None:
    permit(mine.parent / place, mode)
    status, line = judged(mine.parent, tmp_path / "reports")
    assert status == 2
    assert re.fullmatch(rf"Exit: replication: [^\n]+: {UNREADABLE}\n", line)


def test_a_run_whose_reports_may_not_be_written_does_not_start(
    mine: Path, permit: Permit, tmp_path: Path
) -> None:
    (tmp_path / "locked" / "reports").mkdir(parents=True)
    for folder, reports in (
        ("locked/reports", "locked/reports"),
        ("locked", "locked/reports"),
        ("locked", "locked/new/reports"),
    ):
        permit(tmp_path / folder, NO_WRITING)
        status, line = judged(mine, tmp_path / reports)
        assert status == 2
        assert line == (
            f"Exit: replication: {tmp_path / reports}: {UNWRITABLE} {tmp_path / folder}\n"
        )
        (tmp_path / folder).chmod(0o755)
    assert [path.name for path in (tmp_path / "locked").rglob("*")] == ["reports"]


def test_where_nothing_is_written_nothing_needs_to_be_writable(
    mine: Path, permit: Permit, tmp_path: Path
) -> None:
    (tmp_path / "locked").mkdir()
    permit(tmp_path / "locked", NO_WRITING)
    assert judged(mine, tmp_path / "locked" / "reports", "--collect-only").status == 0


def test_reports_that_may_not_be_listed_are_not_taken_for_none(
    mine: Path, permit: Permit, tmp_path: Path
) -> None:
    kept = tmp_path / "reports" / "mine" / "kept.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("of nobody's run", encoding="utf-8")
    for folder in (kept.parent, kept.parent.parent):
        permit(folder, NO_LISTING)
        status, line = judged(mine, tmp_path / "reports")
        assert status == 2
        assert line == f"Exit: replication: {folder}: {UNREADABLE}\n"
        folder.chmod(0o755)
    assert kept.is_file()
    assert list(tmp_path.glob(".reports*")) == []


def test_a_table_or_circuit_that_may_not_be_read_is_named(mine: Path, permit: Permit) -> None:
    scores = permit(mine / "paper.scores.json", NOTHING)
    rule = ["--budget=40", "--mlp-threshold=0.5", "--d-model=8", "--d-head=4"]
    assert f"{scores}: {UNREADABLE}" in refused("select", scores, *rule)
    circuit = permit(mine / "paper.circuit.json", NOTHING)
    assert f"{circuit}: {UNREADABLE}" in refused("compare", circuit, circuit)


def test_pairs_that_may_not_be_read_are_named(mine: Path, permit: Permit, tmp_path: Path) -> None:
    pairs = permit(mine / "pairs.csv", NOTHING)
    line = refused("run", mine, "--pairs", pairs, "--out", tmp_path / "out")
    assert f"{pairs}: {UNREADABLE}" in line


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_file_of_a_model_that_may_not_be_read_is_named(
    gpt2_experiment: Path, gpt2_folder: Path, permit: Permit, tmp_path: Path, name: str
) -> None:
    model = Path(shutil.copytree(gpt2_folder, tmp_path / "model"))
    permit(model / name, NOTHING)
    line = refused("run", gpt2_experiment, "--model", model, "--out", tmp_path / "out")
    assert str(model / name) in line
    assert "Permission denied" in line


def test_a_model_in_a_folder_that_may_not_be_listed_is_not_called_empty(
    gpt2_experiment: Path, gpt2_folder: Path, permit: Permit, tmp_path: Path
) -> None:
    model = permit(Path(shutil.copytree(gpt2_folder, tmp_path / "model")), NO_LISTING)
    line = refused("run", gpt2_experiment, "--model", model, "--out", tmp_path / "out")
    assert f"{model}: {UNREADABLE}" in line


def test_what_a_command_may_not_write_is_said_before_a_model_is_looked_for(
    mine: Path, permit: Permit, tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    permit(locked, NO_WRITING)
    permit(mine, NO_WRITING)
    for out in (locked, locked / "out"):
        assert f"{out}: {UNWRITABLE} {locked}\n" in refused("run", mine, "--out", out)
    recording = mine / "recorded.safetensors"
    assert f"{recording}: {UNWRITABLE} {mine}\n" in refused("record", mine)
    assert "Permission denied" in refused("new", locked / "mine")
    assert list(locked.iterdir()) == []


def test_a_recording_that_may_not_be_read_is_not_called_something_else(
    mine: Path, permit: Permit
) -> None:
    recording = permit(mine / "recorded.safetensors", NOTHING)
    assert f"{recording}: {UNREADABLE}" in refused("record", mine)
