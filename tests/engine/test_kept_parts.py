"""Kept parts: a run that goes on gives what one gives that was never stopped, and runs no more."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import fsspec
import numpy as np
import pytest

import replication.engine.chunks
from replication.engine.activations import MeanActivations
from replication.engine.capture import MeansOfPairs, capture, capture_stream
from replication.engine.kept_parts import SUFFIX, check_parts, keeping
from replication.engine.models import Advance, Done, LoadedModel, Part
from replication.engine.provenance import processor
from replication.engine.scores.streamed import score_stream
from replication.engine.tensor_files import Tensors
from replication.experiment.pairs import Pair
from replication.inputs.files import InputError
from replication.inputs.messages import shortened
from tests.asking import loaded_for
from tests.gpt2 import PAIRS


class Stopped(Exception):
    """What stops a run in these tests."""


@dataclass
class Counting:
    """Workers that count the parts they run, and stop before one more than so many."""

    model: LoadedModel
    most: float = float("inf")
    ran: list[Part] = field(default_factory=list)

    def done(self, parts: Iterable[Part], advance: Advance) -> Iterator[Done]:
        for part in parts:
            if len(self.ran) >= self.most:
                raise Stopped
            self.ran.append(part)
            yield from self.model.done([part], advance)


@pytest.fixture(scope="module")
def gpt2(gpt2_experiment: Path, gpt2_folder: Path) -> LoadedModel:
    return loaded_for(gpt2_experiment, gpt2_folder)


@pytest.fixture(autouse=True)
def _one_pair_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replication.engine.chunks, "CHUNK_PAIRS", 1)


def captured(workers: Counting, place: object, pairs: Sequence[Pair] = PAIRS) -> MeanActivations:
    """The mean activations, with parts that are kept in a place."""
    with keeping(str(place), workers, workers.model.provenance) as kept:
        return capture(replace(workers.model, workers=kept), pairs)


def stop(model: LoadedModel, place: object, after: int) -> None:
    with pytest.raises(Stopped):
        captured(Counting(model, after), place)


def the_same(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("place", ["parts", "deeper/parts", "memory://parts-of-a-run"])
@pytest.mark.parametrize("after", range(len(PAIRS)))
def test_a_run_goes_on_where_it_was_stopped(
    gpt2: LoadedModel, tmp_path: Path, place: str, after: int
) -> None:
    place = place if "://" in place else str(tmp_path / place)
    stop(gpt2, place, after)
    workers = Counting(gpt2)
    found = captured(workers, place)
    assert the_same(found.tensors(), capture(gpt2, PAIRS).tensors())
    assert [part.about for part in workers.ran] == [
        f"pair {number}" for number in range(after + 1, len(PAIRS) + 1)
    ]


def test_what_a_stopped_run_says_names_what_is_kept(gpt2: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(Stopped) as caught:
        captured(Counting(gpt2, 2), tmp_path / "parts")
    place = shortened(str(tmp_path / "parts"))
    assert caught.value.__notes__ == [
        f"2 finished parts of it kept in {place}, and --resume goes on from there"
    ]
    with pytest.raises(Stopped) as caught:
        captured(Counting(gpt2, 0), tmp_path / "others")
    assert not hasattr(caught.value, "__notes__")


def test_parts_of_a_stopped_run_are_not_gone_on_from_unasked(
    gpt2: LoadedModel, tmp_path: Path
) -> None:
    place = tmp_path / "parts"
    check_parts(str(place), resume=False)
    stop(gpt2, place, 1)
    assert reason(lambda: check_parts(str(place), resume=False)) == (
        f"{shortened(str(place))}: holds 1 finished part of a run that was stopped; --resume goes"
        " on from there, or remove the folder"
    )
    check_parts(str(place), resume=True)


def test_a_run_that_is_done_with_leaves_nothing_but_what_is_not_its_own(
    gpt2: LoadedModel, tmp_path: Path
) -> None:
    captured(Counting(gpt2), tmp_path / "parts")
    assert not (tmp_path / "parts").exists()
    stop(gpt2, tmp_path / "parts", 2)
    (tmp_path / "parts" / "notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "parts" / f"0123{SUFFIX}").write_text("of another run", encoding="utf-8")
    captured(Counting(gpt2), tmp_path / "parts")
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [
        f"0123{SUFFIX}",
        "notes.txt",
    ]


def other_pairs(model: LoadedModel) -> tuple[LoadedModel, Sequence[Pair]]:
    return model, [Pair(one, f"{other} ") for one, other in PAIRS]


def other_weights(model: LoadedModel) -> tuple[LoadedModel, Sequence[Pair]]:
    named = model.provenance.model_copy(update={"weights_sha256": "0" * 64})
    return replace(model, provenance=named), PAIRS


def another_configuration(model: LoadedModel) -> tuple[LoadedModel, Sequence[Pair]]:
    named = model.provenance.model_copy(update={"configuration_sha256": "0" * 64})
    return replace(model, provenance=named), PAIRS


def another_library(model: LoadedModel) -> tuple[LoadedModel, Sequence[Pair]]:
    newer = model.provenance.versions | {"torch": "99.0"}
    named = model.provenance.model_copy(update={"versions": newer})
    return replace(model, provenance=named), PAIRS


@pytest.mark.parametrize(
    "changed", [other_pairs, other_weights, another_configuration, another_library]
)
def test_a_part_of_another_run_is_not_taken(
    gpt2: LoadedModel,
    tmp_path: Path,
    changed: Callable[[LoadedModel], tuple[LoadedModel, Sequence[Pair]]],
) -> None:
    stop(gpt2, tmp_path / "parts", 3)
    model, pairs = changed(gpt2)
    workers = Counting(model)
    captured(workers, tmp_path / "parts", pairs)
    assert len(workers.ran) == len(PAIRS)


def test_a_part_of_another_processor_is_taken(gpt2: LoadedModel, tmp_path: Path) -> None:
    stop(gpt2, tmp_path / "parts", 3)
    checked = gpt2.provenance.self_check.model_copy(update={"means": 0.0})
    changes = {"self_check": checked, "platform": "another", "device": "another"}
    elsewhere = replace(gpt2, provenance=gpt2.provenance.model_copy(update=changes))
    workers = Counting(elsewhere)
    captured(workers, tmp_path / "parts")
    assert len(workers.ran) == 1


def test_another_kind_of_part_on_the_same_pairs_is_not_taken(
    gpt2: LoadedModel, tmp_path: Path
) -> None:
    stop(gpt2, tmp_path / "parts", 3)
    workers = Counting(gpt2)
    with keeping(str(tmp_path / "parts"), workers, gpt2.provenance) as kept:
        model = replace(gpt2, workers=kept)
        centred = [scores for _, scores in score_stream(model, PAIRS, "centred", 4)]
        raw = [scores for _, scores in score_stream(model, PAIRS, "raw", 4)]
    assert len(workers.ran) == 2 * len(PAIRS)
    assert not np.array_equal(centred, raw)


def test_a_part_that_is_asked_for_again_is_run_once(gpt2: LoadedModel, tmp_path: Path) -> None:
    workers = Counting(gpt2)
    with keeping(str(tmp_path / "parts"), workers, gpt2.provenance) as kept:
        model = replace(gpt2, workers=kept)
        one, other = (list(capture_stream(model, PAIRS, 4)) for _ in range(2))
    assert len(workers.ran) == len(PAIRS)
    assert all(the_same(a.tensors(), b.tensors()) for a, b in zip(one, other, strict=True))


@dataclass(frozen=True)
class Ahead:
    """Workers that take all parts before they give the first, as those of a cluster may."""

    model: LoadedModel

    def done(self, parts: Iterable[Part], advance: Advance) -> Iterator[Done]:
        return iter([*self.model.done(list(parts), advance)])


def test_parts_that_are_the_same_are_told_apart_by_their_place(
    gpt2: LoadedModel, tmp_path: Path
) -> None:
    twice = [MeansOfPairs([pair], 1) for pair in (PAIRS[0], PAIRS[0], PAIRS[1])]
    with keeping(str(tmp_path / "parts"), Ahead(gpt2), gpt2.provenance) as kept:
        found = [done.tensors for done in kept.done(twice, lambda _: None)]
    expected = [done.tensors for done in gpt2.done(twice, lambda _: None)]
    assert all(map(the_same, found, expected))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:0],
        lambda content: content[:-1] + b"x",
    ],
    ids=["cut", "emptied", "changed"],
)
def test_a_damaged_part_is_named(
    gpt2: LoadedModel, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    stop(gpt2, tmp_path / "parts", 2)
    path = next((tmp_path / "parts").iterdir())
    path.write_bytes(damage(path.read_bytes()))
    assert reason(lambda: captured(Counting(gpt2), tmp_path / "parts")) == (
        f"{path}: damaged after it was written; remove it, and it is run again"
    )
    path.unlink()
    found = captured(Counting(gpt2), tmp_path / "parts")
    assert the_same(found.tensors(), capture(gpt2, PAIRS).tensors())


def test_a_part_under_the_name_of_another_is_damaged(gpt2: LoadedModel, tmp_path: Path) -> None:
    stop(gpt2, tmp_path / "parts", 2)
    one, other = (tmp_path / "parts").iterdir()
    other.write_bytes(one.read_bytes())
    said = reason(lambda: captured(Counting(gpt2), tmp_path / "parts"))
    assert said == f"{other}: damaged after it was written; remove it, and it is run again"


@dataclass
class Removing(Counting):
    """Workers beside whom somebody removes what is kept."""

    removed: Callable[[], None] = lambda: None

    def done(self, parts: Iterable[Part], advance: Advance) -> Iterator[Done]:
        for done in super().done(parts, advance):
            self.removed()
            yield done


@pytest.mark.parametrize("whole", [False, True])
def test_what_somebody_removes_meanwhile_is_not_missed(
    gpt2: LoadedModel, tmp_path: Path, whole: bool
) -> None:
    place = tmp_path / "parts"

    def removed() -> None:
        for path in place.glob(f"*{SUFFIX}"):
            path.unlink()
        if whole and place.exists():
            place.rmdir()

    found = captured(Removing(gpt2, removed=removed), place)
    assert the_same(found.tensors(), capture(gpt2, PAIRS).tensors())
    assert not place.exists()


def test_a_place_that_is_a_link_stays_one_and_is_emptied(gpt2: LoadedModel, tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "parts").symlink_to("large")
    captured(Counting(gpt2), tmp_path / "parts")
    assert os.readlink(tmp_path / "parts") == "large"
    assert list((tmp_path / "large").iterdir()) == []


def test_a_folder_that_cannot_be_removed_costs_no_run(
    gpt2: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it is what another file system is mounted at."""

    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(fsspec.implementations.local.LocalFileSystem, "rmdir", busy)
    captured(Counting(gpt2), tmp_path / "parts")
    assert list((tmp_path / "parts").iterdir()) == []


def test_a_path_is_meant_as_it_stands(
    gpt2: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    stop(gpt2, "~/parts", 1)
    assert (tmp_path / "~" / "parts").is_dir()
    assert not (tmp_path / "home").exists()


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_half_of_a_part_is_never_seen(
    gpt2: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed between writing a part and putting it in its place."""
    place = tmp_path / "parts"
    with monkeypatch.context() as patched:
        system = fsspec.implementations.local.LocalFileSystem
        patched.setattr(system, "mv", killed)
        patched.setattr(system, "rm_file", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            captured(Counting(gpt2), place)
    (left,) = place.iterdir()
    left.write_bytes(left.read_bytes()[:9])
    check_parts(str(place), resume=False)
    captured(Counting(gpt2), place)
    assert not place.exists()


def test_a_part_that_cannot_be_written_whole_leaves_nothing(
    gpt2: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pipe_half(_: object, path: str, content: bytes) -> None:
        Path(path).write_bytes(content[:9])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    system = fsspec.implementations.local.LocalFileSystem
    monkeypatch.setattr(system, "pipe_file", pipe_half)
    said = reason(lambda: captured(Counting(gpt2), tmp_path / "parts"))
    assert "parts cannot be kept there: [Errno 28] No space left on device" in said
    assert list((tmp_path / "parts").iterdir()) == []


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nosuch://somewhere", "Protocol not known: nosuch"),
        ("{file}/parts", "Not a directory"),
    ],
)
def test_a_place_that_cannot_be_used_is_named(
    gpt2: LoadedModel, tmp_path: Path, place: str, said: str
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    place = place.format(file=tmp_path / "file")
    found = reason(lambda: captured(Counting(gpt2), place))
    assert found.startswith(f"{shortened(place)}: parts cannot be kept there: ")
    assert said in found


def test_whatever_a_file_system_raises_is_told_in_a_line(
    gpt2: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*_: object) -> bool:
        raise TypeError("no host was given")

    monkeypatch.setattr(fsspec.implementations.local.LocalFileSystem, "exists", odd)
    place = tmp_path / "parts"
    said = reason(lambda: captured(Counting(gpt2), place))
    assert said == f"{shortened(str(place))}: parts cannot be kept there: no host was given"


def test_what_ran_a_part_is_kept_with_it(gpt2: LoadedModel, tmp_path: Path) -> None:
    stop(gpt2, tmp_path / "parts", 2)
    with keeping(str(tmp_path / "parts"), Elsewhere(gpt2), gpt2.provenance) as kept:
        model = replace(gpt2, workers=kept, processors=set())
        capture(model, PAIRS)
    assert model.provenance_of_runs.processors == tuple(sorted(["another", processor("cpu")]))


@dataclass(frozen=True)
class Elsewhere:
    """Workers of another kind."""

    model: LoadedModel

    def done(self, parts: Iterable[Part], advance: Advance) -> Iterator[Done]:
        for done in self.model.done(parts, advance):
            yield done._replace(processor="another")
