"""Runs of `replication` in processes of their own, to be stopped in the midst of their parts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.signals import hearing_sigint
from tests.two_nodes import LONGEST, wait_for


def started(*arguments: object) -> subprocess.Popen[str]:
    """A run with one thread."""
    with hearing_sigint():
        return subprocess.Popen(
            [sys.executable, "-m", "replication", *map(str, arguments)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    """A run's status, and what it said on standard error."""
    _, said = run.communicate(timeout=LONGEST)
    return run.returncode, said


def n_kept(folder: Path) -> int:
    """How many parts of a run are kept in the folder that it writes to."""
    return len(list((folder / "parts").glob("*.safetensors")))


def wait_until_kept(folder: Path, count: int) -> None:
    """Wait until so many parts are."""
    wait_for(lambda: n_kept(folder) >= count)
