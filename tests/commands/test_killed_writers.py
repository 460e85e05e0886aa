"""`replication import` and `replication badge`: whole files, at whatever step a signal ends them.

A step is the call, or the return, of what changes a file or a folder. So every moment is tried at
which something else stands there than before.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from replication import cli
from replication.report.data import FORMAT
from tests.runs import contents
from tests.signals import hearing_sigint

# For every step a process of its own, forked from one that has loaded the modules.
AT_EVERY_STEP = """
import itertools, json, os, signal, sys
import replication.commands.import_scores, replication.commands.reports
from replication.cli import main
CHANGES = {"replace", "rename", "mkdir", "chmod", "unlink", "write", "open"}
number, arguments = signal.Signals(int(sys.argv[1])), json.loads(sys.argv[2])

def run(step):
    steps = itertools.count()
    def at(frame, event, called):
        name, of = (getattr(called, key, None) for key in ("__name__", "__self__"))
        is_change = name in CHANGES and not isinstance(of, str)
        if event in ("c_call", "c_return") and is_change and next(steps) == step:
            sys.setprofile(None)
            os.kill(os.getpid(), number)
    sys.argv = ["replication", *(one.replace("{step}", str(step)) for one in arguments)]
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")
    sys.setprofile(at)
    main()

for step in itertools.count():
    child = os.fork()
    if child == 0:
        try:
            run(step)
        except SystemExit as end:
            os._exit(end.code or 0)
        os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0:
        print(step)
        break
    assert status == (-number if number == signal.SIGKILL else 130), status
"""
SIGNALS = [signal.SIGKILL, signal.SIGINT]


def at_every_step(number: signal.Signals, *arguments: object) -> int:
    """Let a signal end a command at each step in turn; how many there are."""
    command = [
        sys.executable,
        "-c",
        AT_EVERY_STEP,
        str(number),
        json.dumps(list(map(str, arguments))),
    ]
    with hearing_sigint():
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    steps = int(done.stdout)
    assert steps > 10
    return steps


def run(*arguments: object) -> None:
    done = CliRunner().invoke(cli.app, list(map(str, arguments)))
    assert done.exception is None, done.exception


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("is_new", [True, False])
def test_an_import_that_a_signal_ends_leaves_both_files_or_none(
    tmp_path: Path, number: signal.Signals, is_new: bool
) -> None:
    table, place = tmp_path / "table.txt", tmp_path / "place"
    table.write_text("{'m0': 9.30, 'm1': 7.51, 'm2': 5.41}", encoding="utf-8")
    run("import", table, "--out", tmp_path / "whole")
    whole = contents(tmp_path / "whole")
    for step in range(0 if is_new else 200):
        (place / str(step)).mkdir(parents=True)
    steps = at_every_step(number, "import", table, "--out", place / "{step}")
    begun = 0
    for step in range(steps):
        out = place / str(step)
        found = {name: text for name, text in contents(out).items() if not name.startswith(".")}
        if found == {"scores.json": whole["scores.json"]}:
            begun += 1
        else:
            assert found in ({}, whole)
        if found != whole:
            run("import", table, "--out", out)
        assert contents(out) == whole
    # In a folder that is there one comes first: between the two is what no process hears.
    assert (begun > 0) == (number == signal.SIGKILL and not is_new)
    assert begun <= 4
    # No import follows one that is whole, to clear the empty lock that the last steps leave.
    left = [path for path in place.rglob(".*") if path.suffix != ".lock" or path.read_bytes()]
    assert left == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_badge_that_a_signal_ends_is_the_old_one_or_the_new(
    tmp_path: Path, number: signal.Signals
) -> None:
    badges = []
    for verdict in ("holds", "refuted"):
        (tmp_path / verdict).write_text(report(verdict), encoding="utf-8")
        run("badge", tmp_path / verdict, "--out", tmp_path / "badge.json")
        badges.append((tmp_path / "badge.json").read_bytes())
    place = tmp_path / "place"
    place.mkdir()
    for step in range(200):
        (place / f"{step}.json").write_bytes(badges[0])
    steps = at_every_step(number, "badge", tmp_path / "refuted", "--out", place / "{step}.json")
    found = [(place / f"{step}.json").read_bytes() for step in range(steps)]
    assert set(found) == set(badges)
    for step in range(steps):
        run("badge", tmp_path / "refuted", "--out", place / f"{step}.json")
    assert list(place.rglob(".*")) == []


def report(verdict: str) -> str:
    """A run's report of one claim."""
    judgement = {"evidence": "live", "verdict": verdict, "as_expected": True, "arithmetic": "x"}
    claim = {"id": "X1", "statement": "x", "expect": verdict, "is_question": False}
    experiment = {"name": "x", "claims": [{**claim, "judgements": [judgement]}]}
    return json.dumps({"format": FORMAT, "experiments": [experiment], "partial": None})
