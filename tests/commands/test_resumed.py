"""Resumed: what `replication record` writes after it was stopped is what it would have written."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from replication.engine.tensor_files import read_tensors
from tests.stopped_runs import ended, started, wait_until_kept

WRITTEN = ("recorded.safetensors", "interventions.safetensors")


def start(experiment: Path, model: Path, *options: str) -> subprocess.Popen[str]:
    """A recording with interventions."""
    return started("record", experiment, "--interventions", "--model", model, *options)


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
    wait_until_kept(folder, 5)
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
