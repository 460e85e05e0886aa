"""Runs of what writes, each a process of its own: to be killed, or starved of disk."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

Context = multiprocessing.context.ForkServerContext | multiprocessing.context.SpawnContext

# A cold run loads all modules itself, for seconds in which it writes nothing. A warm one is forked
# from a process that has loaded them.
COLD = multiprocessing.get_context("spawn")
WARM = multiprocessing.get_context("forkserver")
WARM.set_forkserver_preload(
    [
        "jinja2",
        "pytest",
        "replication.cli",
        "replication.commands.run",
        "replication.controls.verify",
        "replication.engine.scores.differential",
        "replication.report.pictures.svg",
        "replication.report.page.page",
        "replication.report.write",
        "replication.session",
        "transformer_lens",
        "transformers.models.gpt2.modeling_gpt2",
        "vl_convert",
    ]
)
LONGEST = 120  # seconds, on a machine that has much else to do
FOREIGN = ("GITHUB_", "PYTEST_")  # of whoever runs the tests


class Ended(NamedTuple):
    """How a run ended; the status of a killed one is the signal's number, negative."""

    status: int | None
    printed: str


class Run:
    """A run of `replication` or `pytest`, in a folder that holds its temporary files too."""

    def __init__(
        self,
        arguments: Sequence[str],
        place: Path,
        context: Context = WARM,
        largest: int = resource.RLIM_INFINITY,
        before: Callable[[], None] | None = None,
    ) -> None:
        self._reading, writing = context.Pipe(duplex=False)
        # A process that is forked has the environment of when the first one was.
        own = dict(os.environ)
        self._process: Any = context.Process(
            target=_run, args=(arguments, place, largest, own, before, writing), daemon=True
        )
        self.started = time.monotonic()
        self._process.start()
        writing.close()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def is_running(self) -> bool:
        return bool(self._process.is_alive())

    def kill(self) -> Ended:
        self._process.kill()
        return self.end()

    def end(self) -> Ended:
        printed = b""
        with self._reading as reading:
            while reading.poll(LONGEST) and (some := os.read(reading.fileno(), 2**16)):
                printed += some
        self._process.join(LONGEST)
        return Ended(self._process.exitcode, printed.decode())


def _run(
    arguments: Sequence[str],
    place: Path,
    largest: int,
    environment: Mapping[str, str],
    before: Callable[[], None] | None,
    writing: Connection,
) -> None:
    """Run in this process, which ends with it; no file may become larger than so many bytes.

    What comes before is done in this process too.
    """
    for stream in (1, 2):
        os.dup2(writing.fileno(), stream)
    writing.close()
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", encoding="utf-8") for stream in (1, 2))
    os.environ.clear()
    kept = {name: environment[name] for name in environment if not name.startswith(FOREIGN)}
    os.environ.update(kept)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TMPDIR"] = str(place / "tmp")
    tempfile.tempdir = None
    os.chdir(place)
    sys.argv = list(arguments)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    if before is not None:
        before()
    _main(arguments[0])()


def _main(name: str) -> Callable[[], Any]:
    if name == "pytest":
        import pytest

        return lambda: sys.exit(pytest.console_main())
    from replication.__main__ import main

    return main


def contents(folder: Path) -> Mapping[str, bytes]:
    """Every file in a folder, by its path from there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
