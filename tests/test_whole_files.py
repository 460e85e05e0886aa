"""What is written is whole files of one run: after a kill at any moment, and on a full disk.

A kill is SIGKILL, which no process can hear. A full disk is stood for by the limit that the system
sets on the size of a file (RLIMIT_FSIZE): any user can set it, and the system itself refuses the
write that goes beyond it, in the midst of a file, with another number of the same `OSError`.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from replication.commands.run import PARTS
from replication.engine.recording import record, replay
from replication.experiment.spec import read_experiment
from replication.inputs.files import read_json
from replication.inputs.folders import MANIFEST, check_ours
from tests.gpt2 import make_experiment, make_gpt2
from tests.make import edit
from tests.runs import COLD, WARM, Context, Ended, Run, contents

LONGEST = 300
MODELS = ("model-a", "model-b")  # of two runs that write the same files, with other contents
REPORTS = {"claims.json", "claims.md", "index.html", "junit.xml"} | {"ledger.html", "ledger.md"}
RESULT = {"circuit.json", "scores.json"}
OUTPUTS = RESULT | {"circuit.svg", "pair_scores.csv"}


@dataclass
class Place:
    """A folder for the runs; which model has which weights, and how long runs take."""

    folder: Path
    weights: dict[str, str] = field(default_factory=dict)
    times: dict[tuple[Writer, object], tuple[float, float]] = field(default_factory=dict)

    def names(self) -> frozenset[str]:
        """Everything in it, but for parts, which a run that was stopped leaves for another."""
        found = (path.relative_to(self.folder) for path in self.folder.rglob("*"))
        return frozenset(path.as_posix() for path in found if PARTS not in path.parts)


def leftovers(place: Place) -> set[str]:
    """What is there beside what the tests made, what runs wrote, and pytest's own cache."""
    own = (".pytest_cache", ".gitignore")
    return {
        name
        for name in place.names()
        if name.startswith("tmp/") or (Path(name).name.startswith(".") and not name.endswith(own))
    }


@dataclass(frozen=True)
class Writer:
    """A command that writes; `read` says which run's files a reader finds, all of them whole."""

    arguments: Callable[[Place, str], list[str]]
    read: Callable[[Place], str | None]
    done: str


def run_arguments(place: Place, model: str) -> list[str]:
    experiment = place.folder / "any" / "small"
    where = ["--model", str(place.folder / model), "--out", str(place.folder / "out")]
    return ["replication", "run", str(experiment), "--resume", *where]


def read_outputs(place: Place) -> str | None:
    out = place.folder / "out"
    if not (out / MANIFEST).exists():
        return None
    check_ours(out, [PARTS])
    found = {name for name in contents(out) if not name.startswith(PARTS)}
    assert set(read_json(out / MANIFEST)["files"]) == OUTPUTS == found - {MANIFEST}
    (model,) = {weights_in(out / name, place) for name in RESULT}
    return model


def record_arguments(place: Place, model: str) -> list[str]:
    experiment = place.folder / "any" / "small"
    where = ["--model", str(place.folder / model)]
    return ["replication", "record", str(experiment), "--resume", *where]


def read_recording(place: Place) -> str | None:
    folder = place.folder / "any" / "small"
    if not (folder / "recorded.safetensors").exists():
        return None
    return place.weights[replay(read_experiment(folder)).provenance.weights_sha256]


def report_arguments(place: Place, model: str) -> list[str]:
    options = {"experiments": place.folder / "of" / model, "reports": place.folder / "reports"}
    given = [f"--replication-{name}={path}" for name, path in options.items()]
    settings = ["-c", str(place.folder / "pytest.ini"), "-p", "no:benchmark"]
    return ["pytest", "--pyargs", "replication.test_claims", "-q", *settings, *given]


def read_report(place: Place) -> str | None:
    reports = place.folder / "reports"
    if not reports.exists():
        return None
    check_ours(reports)
    (found,) = (model for model in MODELS if (reports / model).is_dir())
    (other,) = set(MODELS) - {found}
    names = REPORTS | {f"{found}/{name}" for name in RESULT | {"verification.json"}}
    assert set(read_json(reports / MANIFEST)["files"]) == names == {*contents(reports)} - {MANIFEST}
    for name in names - {f"{found}/{name}" for name in RESULT}:
        text = (reports / name).read_text(encoding="utf-8")
        assert found in text, name
        assert other not in text, name
    assert {weights_in(reports / found / name, place) for name in RESULT} == {found}
    return found


def weights_in(path: Path, place: Place) -> str:
    """Of which model's weights a file of results says to be."""
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    return place.weights[metadata["provenance"]["weights_sha256"]]


WRITERS = {
    "run": Writer(run_arguments, read_outputs, r"small: 4 pairs, \d+ nodes, written to "),
    "record": Writer(record_arguments, read_recording, "small: 4 pairs recorded in "),
    "reports": Writer(report_arguments, read_report, "1 passed, 1 skipped"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two models, an experiment that either fits, and one that holds a recording of each."""
    place = Place(tmp_path_factory.mktemp("whole"))
    (place.folder / "tmp").mkdir()
    (place.folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    any_model = make_experiment(place.folder / "any" / "small")
    edit(any_model / "experiment.toml", "\n[model]", "\n[verification]\nresamples = 50\n\n[model]")
    for seed, model in enumerate(MODELS):
        make_gpt2(place.folder / model, seed=seed)
        ended = Run(record_arguments(place, model), place.folder).end()
        assert ended.status == 0, ended
        recording = replay(read_experiment(any_model))
        place.weights[recording.provenance.weights_sha256] = model
        own = make_experiment(place.folder / "of" / model / model)
        edit(own / "experiment.toml", "\n[model]", "\n[verification]\nresamples = 50\n\n[model]")
        record(recording, read_experiment(own).pairs, own / "recorded.safetensors")
    (any_model / "recorded.safetensors").unlink()
    return place


@contextmanager
def having_written(name: str, place: Place) -> Iterator[Writer]:
    """A writer; what it wrote once is there."""
    run_whole(WRITERS[name], place, MODELS[0])
    yield WRITERS[name]
    remove_written(place)


def run_whole(writer: Writer, place: Place, model: str) -> None:
    """A run that nothing disturbs."""
    ended = Run(writer.arguments(place, model), place.folder).end()
    assert ended.status == 0, ended
    assert re.search(writer.done, ended.printed), ended
    assert writer.read(place) == model


def remove_written(place: Place) -> None:
    for name in ("out", "reports", f"any/small/{PARTS}"):
        shutil.rmtree(place.folder / name, ignore_errors=True)
    (place.folder / "any" / "small" / "recorded.safetensors").unlink(missing_ok=True)


def until_names_change(run: Run, place: Place, before: frozenset[str]) -> None:
    while run.is_running and place.names() == before:
        time.sleep(0.001)


def seconds_of(writer: Writer, place: Place, context: Context) -> tuple[float, float]:
    """How long a run takes, and how long of that from its first new file on; measured once."""
    if (writer, context) not in place.times:
        names = place.names()
        run = Run(writer.arguments(place, MODELS[0]), place.folder, context)
        until_names_change(run, place, names)
        before = run.seconds
        assert run.end().status == 0
        place.times[writer, context] = run.seconds, run.seconds - before
    return place.times[writer, context]


def kills(writer: Writer, place: Place, number: int) -> None:
    """Kill runs at moments that chance picks: of a whole run, and from its first new file on.

    Every third run has nothing before it, and every third the leftovers of the one before it.
    """
    chance = random.Random(number)
    for kill in range(number):
        context = COLD if kill % 10 == 9 else WARM
        whole, writing = seconds_of(writer, place, context)
        if kill % 3 == 0:
            remove_written(place)
        before, model = writer.read(place), MODELS[kill % 2]
        is_of_writing = kill % 2 == 0
        names = place.names()
        run = Run(writer.arguments(place, model), place.folder, context)
        if is_of_writing:
            until_names_change(run, place, names)
        wait = chance.uniform(0, writing if is_of_writing else whole)
        time.sleep(wait)
        moment = f"kill {kill}, {run.seconds:.4f} s after its start, {wait:.4f} s waited"
        status = run.kill().status
        assert status in (-9, 0), moment
        assert writer.read(place) in ((before, model) if status else (model,)), moment
        if kill % 3 != 1:
            run_whole(writer, place, MODELS[chance.randrange(2)])
            assert leftovers(place) == set(), moment


def written_sizes(place: Place) -> list[int]:
    """The sizes of the files that runs write."""
    folder = place.folder
    found = [*contents(folder / "out").values()] if (folder / "out").exists() else []
    if (folder / "reports").exists():
        found += contents(folder / "reports").values()
    recorded = folder / "any" / "small" / "recorded.safetensors"
    return sorted({*map(len, found), *([recorded.stat().st_size] if recorded.exists() else [])})


def full_disks(writer: Writer, place: Place, number: int) -> None:
    """Let the disk be full somewhere in a file, each of those that a run writes in turn."""
    chance = random.Random(number)
    sizes = written_sizes(place)
    for disk in range(number):
        before, model = writer.read(place), MODELS[disk % 2]
        names = place.names()
        largest = chance.randrange(sizes[(disk * len(sizes)) // number])
        ended = Run(writer.arguments(place, model), place.folder, largest=largest).end()
        said = f"disk {disk}, full after {largest} bytes of a file: {ended}"
        assert is_refusal(ended), said
        assert writer.read(place) == before, said
        assert place.names() <= names, said
        run_whole(writer, place, model)


def is_refusal(ended: Ended) -> bool:
    """Status 2 and one line; pytest's verdicts stand before it."""
    lines = ended.printed.splitlines()
    own = [line for line in lines if line.startswith("replication: ")]
    return (
        ended.status == 2
        and len(own) == 1
        and len(own[0]) <= LONGEST
        and (lines == own or "1 passed, 1 skipped" in lines[-1])
        and not re.search("Traceback|INTERNALERROR", ended.printed)
    )


def test_after_a_kill_and_on_a_full_disk_a_reader_finds_one_run_whole(place: Place) -> None:
    for name in WRITERS:
        with having_written(name, place) as writer:
            kills(writer, place, 2)
            full_disks(writer, place, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_after_a_kill_at_any_moment_a_reader_finds_one_run_whole(name: str, place: Place) -> None:
    with having_written(name, place) as writer:
        kills(writer, place, 20)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_wherever_the_disk_is_full_all_is_as_before(name: str, place: Place) -> None:
    with having_written(name, place) as writer:
        full_disks(writer, place, 7)
