"""Folders that are written as one: whole at every moment, and over nothing that is not ours."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from replication.inputs import folders
from replication.inputs.files import InputError, read_json
from replication.inputs.folders import (
    MANIFEST,
    check_ours,
    check_replaceable,
    check_writable,
    writing_folder,
)
from replication.inputs.writing import prefix_beside, write_atomically


def write(folder: Path, *others: str, **content: str) -> None:
    with writing_folder(folder, others) as new:
        for name, text in content.items():
            path = new / name.replace("_in_", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def test_a_folder_takes_the_place_of_the_one_before_it(tmp_path: Path) -> None:
    folder = tmp_path / "there" / "reports"
    write(folder, a="1", sub_in_b="2")
    assert files(folder) == {"a": "1", "sub/b": "2"}
    write(folder, c="3")
    assert files(folder) == {"c": "3"}
    assert set(read_json(folder / MANIFEST)["files"]) == {"c"}
    assert list(folder.parent.iterdir()) == [folder]


def test_where_the_system_exchanges_no_folders_two_steps_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_exchanged", lambda *_: False)
    test_a_folder_takes_the_place_of_the_one_before_it(tmp_path)


@pytest.mark.parametrize("name", ["experiment.toml", "sub/notes.md", ".hidden", "sub/link"])
def test_what_no_run_wrote_is_not_touched(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "mine"
    write(folder, a="1")
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if name == "sub/link":
        path.symlink_to("nowhere")
    else:
        path.write_text("mine", encoding="utf-8")
    for refused in (check_ours, write):
        with pytest.raises(InputError) as raised:
            refused(folder)
        assert f"{folder}: holds {name}, which no earlier run is known" in str(raised.value)
    assert os.path.lexists(path)
    assert (folder / "a").read_text(encoding="utf-8") == "1"


def test_a_folder_of_others_is_refused_before_all_of_it_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").touch()
    listed, iterdir = [], Path.iterdir

    def noted(folder: Path) -> Iterator[Path]:
        listed.append(folder.name)
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", noted)
    with pytest.raises(InputError, match="holds a/mine, which no earlier run"):
        check_ours(tmp_path)
    assert listed == [tmp_path.name, "a"]


def test_what_was_changed_since_it_was_written_is_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write(folder, a="1")
    (folder / "a").write_text("my notes", encoding="utf-8")
    with pytest.raises(InputError, match="a was changed after a run wrote it"):
        write(folder, a="2")
    assert files(folder) == {"a": "my notes"}


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="expected a folder to write to, found a file"):
        write(tmp_path / "mine", a="1")


def test_what_others_wrote_stays(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    write(folder, a="1")
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "ratios.json").write_text("{}", encoding="utf-8")
    write(folder, "benchmarks", "calibration.json", b="2")
    assert files(folder) == {"b": "2", "benchmarks/ratios.json": "{}"}


def test_what_others_linked_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "one.txt").write_text("one", encoding="utf-8")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "parts").symlink_to("../large")
    for content in ("a", "b"):
        with writing_folder(folder, ["parts"]) as new:
            (new / "a.txt").write_text(content, encoding="utf-8")
        assert os.readlink(folder / "parts") == "../large"
        assert (folder / "parts" / "one.txt").read_text(encoding="utf-8") == "one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large", "out"]


def test_a_failure_leaves_all_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    write(folder, a="1")

    def interrupted() -> None:
        with writing_folder(folder) as new:
            (new / "a").write_text("2", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert files(folder) == {"a": "1"}
    assert list(tmp_path.iterdir()) == [folder]


def test_a_file_that_comes_while_a_folder_is_written_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    write(folder, a="1")
    with writing_folder(folder) as new:
        (new / "b").write_text("2", encoding="utf-8")
        (folder / "mine").write_text("mine", encoding="utf-8")
    assert files(folder) == {"b": "2", "mine": "mine"}


KILLED = """
import sys
from pathlib import Path
from replication.inputs.folders import writing_folder
folder, run = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
while True:
    with writing_folder(folder) as new:
        for number in range(20):
            (new / f"{number}.txt").write_text(f"{run} " * 5000, encoding="utf-8")
    run += 1
"""


def test_after_a_kill_at_any_moment_the_folder_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    chance = random.Random(0)
    for kill in range(12):
        command = [sys.executable, "-c", KILLED, str(folder), str(1000 * kill)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0.02, 0.2))
            process.send_signal(signal.SIGKILL)
        if folder.exists():
            check_ours(folder)
            found = set(files(folder).values())
            assert len(found) == 1
    write(folder, a="1")
    assert [path.name for path in tmp_path.iterdir()] == ["reports"]
    assert files(folder) == {"a": "1"}


def test_two_at_once_leave_one_of_them_whole(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    command = [sys.executable, "-c", KILLED, str(folder)]
    processes = [subprocess.Popen([*command, str(run)]) for run in (0, 10_000)]
    time.sleep(3)
    for process in processes:
        process.kill()
        process.wait()
    assert len(set(files(folder).values())) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("path", ["/proc/x", "/proc/x/y/z"])
def test_where_nothing_can_be_made_nothing_is_written_whatever_is_permitted(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: True)  # as for root
    reason = f"{path}: cannot be written: nothing can be made in /proc: "
    with pytest.raises(InputError, match=reason):
        check_writable(Path(path))


def test_what_is_tried_is_gone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("there", "new", "deep/new"):
        check_writable(tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_a_file_is_replaced_by_nothing_but_its_like(tmp_path: Path) -> None:
    path = tmp_path / "badge.json"
    check_replaceable(path, "badge", lambda _: False)
    path.write_text("mine", encoding="utf-8")
    check_replaceable(path, "badge", lambda there: there == path)
    with pytest.raises(InputError) as refused:
        check_replaceable(path, "badge", lambda _: False)
    assert str(refused.value) == f"{path}: is there and is no badge; nothing else is overwritten"
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "nowhere.json")
    for other in (tmp_path, link):
        with pytest.raises(InputError, match=f"^{other}: "):
            check_replaceable(other, "badge", lambda _: True)


def test_what_a_kill_leaves_of_a_trial_goes_with_the_next_file(tmp_path: Path) -> None:
    (tmp_path / f"{prefix_beside(tmp_path / 'a.json')}left").mkdir()
    write_atomically(tmp_path / "a.json", "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
