"""Resumed: what `replication record` writes after it was stopped is what it would have written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from replication.engine.tensor_files import read_tensors
from tests.signals import hearing_sigint
from tests.two_nodes import LONGEST, wait_for

WRITTEN = ("recorded.safetensors", "interventions.safetensors")


def start(experiment: Path, model: Path, *options: str) -> subprocess.Popen[str]:
    """A recording with interventions, in a process of its own."""
    command = [sys.executable, "-m", "replication", "record", str(experiment), "--interventions"]
    with hearing_sigint():
        return subprocess.Popen(
            [*command, "--model", str(model), *options],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    """A run's status, and what it said on standard error."""
    _, said = run.communicate(timeout=LONGEST)
    return run.returncode, said


@pytest.fixture(scope="module")
def expected(
    asking_experiment: Path, gpt2_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Any]:
    """What a recording that nobody stops writes."""
    folder = tmp_path_factory.mktemp("whole") / "asking"
    shutil.copytree(asking_experiment, folder)
    assert ended(start(folder, gpt2_folder)) == (0, "")
    assert not (folder / "parts").exists()
    return written(folder)


def written(folder: Path) -> list[tuple[dict[str, bytes], dict[str, str]]]:
    """What the files hold; their keys stand in an order of chance."""
    found = []
    for name in WRITTEN:
        tensors, metadata = read_tensors(folder / name)
        found.append(({key: one.tobytes() for key, one in tensors.items()}, metadata))
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_recording_that_was_stopped_goes_on(
    asking_experiment: Path,
    gpt2_folder: Path,
    tmp_path: Path,
    expected: list[Any],
    number: signal.Signals,
) -> None:
    folder = tmp_path / "asking"
    shutil.copytree(asking_experiment, folder)
    run = start(folder, gpt2_folder)
    wait_for(lambda: len(list((folder / "parts").glob("*.safetensors"))) >= 5)
    run.send_signal(number)
    status, said = ended(run)
    if number != signal.SIGKILL:
        assert status == 128 + number
        assert said.endswith(", and --resume goes on from there\n")
        assert said.count("\n") == 1
    assert not any((folder / name).exists() for name in WRITTEN)
    assert ended(start(folder, gpt2_folder))[0] == 2
    assert ended(start(folder, gpt2_folder, "--resume")) == (0, "")
    assert written(folder) == expected
    assert not (folder / "parts").exists()
