"""`replication import` and `replication badge`: whole files, whenever a signal ends them."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from replication.report.data import FORMAT
from tests.runs import contents
from tests.signals import hearing_sigint

# Commands in turn, again and again, in one process, so that most of its time is spent in writing.
AGAIN_AND_AGAIN = """
import itertools, json, os, sys
import replication.commands.import_scores, replication.commands.reports
from replication.cli import main
commands = json.loads(sys.argv[1])
print("ready", flush=True)
sys.stdout = open(os.devnull, "w")
for number in itertools.count():
    for arguments in commands:
        sys.argv = ["replication", *(one.replace("{number}", str(number)) for one in arguments)]
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
"""
SCORES = {f"m{layer}": f"{layer}.50" for layer in range(400)}
VERDICTS = ("holds", "refuted")
MANY = 2000  # folders: more than are written to before a kill


def report(verdict: str) -> str:
    """A run's report of one claim."""
    judgement = {"evidence": "live", "verdict": verdict, "as_expected": True, "arithmetic": "x"}
    claim = {"id": "X1", "statement": "x", "expect": verdict, "is_question": False}
    experiment = {"name": "x", "claims": [{**claim, "judgements": [judgement]}]}
    return json.dumps({"format": FORMAT, "experiments": [experiment], "partial": None})


class Place:
    """A folder for the commands, and what they write when nothing ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "table.txt").write_text(repr(SCORES), encoding="utf-8")
        for verdict in VERDICTS:
            (folder / f"{verdict}.json").write_text(report(verdict), encoding="utf-8")
        self.run(self.imported("whole"))
        self.whole = contents(folder / "whole")
        self.badges = set[bytes]()
        for verdict in VERDICTS:
            self.run(self.badge(verdict))
            self.badges.add((folder / "badge.json").read_bytes())

    def imported(self, out: str) -> list[str]:
        return ["import", str(self.folder / "table.txt"), "--out", str(self.folder / out)]

    def badge(self, verdict: str) -> list[str]:
        written = self.folder / "badge.json"
        return ["badge", str(self.folder / f"{verdict}.json"), "--out", str(written)]

    def run(self, command: list[str]) -> None:
        """Run a command that nothing ends."""
        whole = [sys.executable, "-m", "replication.cli", *command]
        subprocess.run(whole, capture_output=True, check=True)

    def ended(self, number: signal.Signals, seconds: float) -> None:
        """Run the commands again and again, into new folders and old ones, until a signal."""
        for name in ("new", "old"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for folder in range(MANY):
            (self.folder / "old" / str(folder)).mkdir(parents=True)
        commands = [self.imported("new/{number}"), self.imported("old/{number}")]
        commands += map(self.badge, VERDICTS)
        arguments = [sys.executable, "-c", AGAIN_AND_AGAIN, json.dumps(commands)]
        with hearing_sigint():
            process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(seconds)
            process.send_signal(number)
            _, error = process.communicate(timeout=60)
        # Between two commands an interruption is Python's own.
        assert process.returncode in (-number, 130), error
        assert number == signal.SIGINT or not error

    def check(self, number: signal.Signals) -> None:
        """Whole files, and what is not whole yet only beside them; the same command clears it."""
        assert (self.folder / "badge.json").read_bytes() in self.badges
        done = list((self.folder / "new").glob("[0-9]*"))
        assert all(contents(folder) == self.whole for folder in done)
        unfinished = [path for path in (self.folder / "old").iterdir() if not self.is_whole(path)]
        begun = [path for path in unfinished if (path / "scores.json").exists()]
        # In a folder that is there one file comes first: only what no process hears parts the two.
        assert len(begun) <= (number == signal.SIGKILL)
        interrupted = [path for path in unfinished if any(path.iterdir())]
        assert len(interrupted) <= 1
        for path in interrupted:
            self.run(self.imported(f"old/{path.name}"))
            assert self.is_whole(path)
            assert len(list(path.iterdir())) == 2
        self.run(self.imported(f"new/{len(done)}"))
        self.run(self.badge(VERDICTS[0]))
        names = [path.name for path in (*self.folder.iterdir(), *(self.folder / "new").iterdir())]
        assert not [name for name in names if name.startswith(".")]

    def is_whole(self, folder: Path) -> bool:
        """Whether an import is there as it is written, beside what a killed one may have left."""
        found = contents(folder)
        return {name: text for name, text in found.items() if name[0] != "."} == self.whole


def end_often(folder: Path, times: int) -> None:
    place, chance = Place(folder), random.Random(times)
    for _ in range(times):
        for number in (signal.SIGKILL, signal.SIGINT):
            place.ended(number, chance.uniform(0.02, 0.2))
            place.check(number)


def test_whenever_a_signal_ends_them_files_are_whole(tmp_path: Path) -> None:
    end_often(tmp_path, 1)


@pytest.mark.slow
def test_whenever_signals_end_them_often_files_are_whole(tmp_path: Path) -> None:
    end_often(tmp_path, 20)
