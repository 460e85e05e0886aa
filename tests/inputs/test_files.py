from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, RootModel

from replication.inputs import writing
from replication.inputs.files import (
    FileError,
    InputError,
    parse_json,
    read_json,
    read_lines,
    read_text,
    read_toml,
    repeats,
    validate,
)
from replication.inputs.messages import placed
from replication.inputs.writing import write_atomically, write_json

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


def refusal(path: Path, call: object, *arguments: object) -> str:
    """The one line with which a call refuses its input."""
    with pytest.raises(InputError) as caught:
        call(*arguments)  # type: ignore[operator]
    message = str(caught.value)
    assert message.startswith(f"{placed(path)}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no.json"
    assert refusal(path, read_text, path) == "there is no such file"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path, read_text, tmp_path).startswith("cannot be read: ")


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.json"
    path.write_bytes('"é"'.encode("latin-1"))
    assert "utf-8" in refusal(path, read_json, path)


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (read_json, '{"a": 1}', {"a": 1}),
        (read_toml, "a = 1", {"a": 1}),
        (read_text, "a\n", "a\n"),
        (lambda path: list(read_lines(path)), "a\n\ufeffb", ["a\n", "\ufeffb"]),
    ],
)
def test_a_mark_before_utf8_is_no_part_of_the_text(
    tmp_path: Path, read: Callable[[Path], object], text: str, expected: object
) -> None:
    path = tmp_path / "a"
    path.write_text("\ufeff" + text, encoding="utf-8")
    assert read(path) == expected


@pytest.mark.parametrize(
    ("name", "read", "text"),
    [("a.toml", read_toml, f"[a]\nb = {10**30}"), ("a.json", read_json, '{"a": 1,\n"a": 2}')],
)
def test_a_fault_behind_a_mark_is_found_on_its_line(
    tmp_path: Path, name: str, read: Callable[[Path], object], text: str
) -> None:
    path = tmp_path / name
    path.write_text("\ufeff" + text, encoding="utf-8")
    with pytest.raises(FileError) as caught:
        read(path)
    assert [fault.line for fault in caught.value.faults] == [2]


def test_text_is_read_as_utf8_whatever_the_locale(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('"naïve → 皮肉"'.encode())
    assert read_json(path) == "naïve → 皮肉"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"m2": 1, "m2": 2}', "the key 'm2' stands there more than once"),
        ('{"a": [{"b": {"c": 1, "d": 2, "c": 1}}]}', "the key 'c' stands there more than once"),
        ('{"m\\u0032": 1, "m2": 2}', "the key 'm2' stands there more than once"),
        ('{"m2": NaN}', "NaN is not a number that JSON knows"),
        ("[Infinity]", "Infinity is not a number that JSON knows"),
        ("-Infinity", "-Infinity is not a number that JSON knows"),
        ("", "not JSON: Expecting value (line 1, column 1)"),
        ('{"a": 1,\n "b": }', "(line 2, column 7)"),
        ("{} {}", "not JSON: Extra data (line 1, column 4)"),
        ("{'a': 1}", "not JSON: "),
        ("\ufeff\ufeff{}", "not JSON: "),
        ("{}\n\ufeff", "not JSON: "),
        ('"a\nb"', "not JSON: Invalid control character"),
        ("[" * 100_000, "not usable JSON: nested too deeply"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    assert reason in refusal(path, read_json, path)


def test_the_same_key_in_two_objects_is_no_repetition() -> None:
    assert parse_json('[{"a": 1}, {"a": {"a": 2}}]', "here") == [{"a": 1}, {"a": {"a": 2}}]


@pytest.mark.parametrize("text", ["1e999", "[-1e999]"])
def test_a_number_too_large_for_a_float_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    refusal(path, read_json, path)


@pytest.mark.parametrize(("read", "before"), [(read_json, ""), (read_toml, "x = ")])
def test_a_number_with_too_many_digits_is_refused(
    tmp_path: Path, read: object, before: str
) -> None:
    path = tmp_path / "a"
    path.write_text(before + "1" * 4301, encoding="utf-8")
    refusal(path, read, path)


def test_toml_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("x = " + "[" * 5000 + "]" * 5000, encoding="utf-8")
    refusal(path, read_toml, path)


def test_a_path_that_no_file_can_have_is_refused() -> None:
    path = Path("pairs\0.jsonl")
    refusal(path, read_text, path)


@pytest.mark.parametrize("text", ["a = 1\na = 2", "a = ", "[table", "a = 1 b = 2"])
def test_what_is_not_toml_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text, encoding="utf-8")
    message = refusal(path, read_toml, path)
    assert message.startswith("not TOML: ")
    assert re.search(r"at line \d|at end of document", message)


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: str
    size: int


class Content(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    item: list[Item]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"item": [{"id": "A", "size": 1, "colour": 2}]}, "item A: colour: unknown key"),
        ({"item": [{"id": "A"}]}, "item A: size: missing"),
        ({"item": [{"size": 1}]}, "item 1: id: missing"),
        ({"item": [{"id": "A", "size": "1"}]}, "item A: size: Input should be a valid integer"),
        ({"items": []}, "items: unknown key"),
        ([], "the whole file: "),
    ],
)
def test_a_fault_is_named_by_its_key(data: object, reason: str) -> None:
    path = Path("some.json")
    assert reason in refusal(path, validate, Content, data, path)


def test_a_fault_in_a_list_is_named_by_its_place() -> None:
    path = Path("some.json")
    message = refusal(path, validate, RootModel[list[Item]], [{"id": "A", "size": 1}, 3], path)
    assert message.startswith("2: ")


def test_every_fault_is_named() -> None:
    path = Path("some.json")
    data = {"item": [{"id": 1, "size": "x"}, {"id": "B", "size": True}]}
    message = refusal(path, validate, Content, data, path)
    assert [part.split(": ")[:2] for part in message.split("; ")] == [
        ["item 1", "id"],
        ["item 1", "size"],
        ["item B", "size"],
    ]


@pytest.mark.parametrize("content", ["naïve\n", b"\x00\xff"])
def test_a_file_is_written_whole_and_alone(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "new" / "folder" / "a.json"
    write_atomically(path, content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("mask", "mode"), [(0o027, 0o640), (0, 0o666)])
def test_a_written_file_has_the_permissions_of_any_new_file(
    tmp_path: Path, mask: int, mode: int
) -> None:
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "a", "a")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_a_failure_before_the_last_step_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, "old")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing.os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


WRITES_ON = """
import sys, time
from pathlib import Path
from replication.inputs.writing import writing_atomically
with writing_atomically(Path(sys.argv[1])) as file:
    file.write(b"new")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_goes_with_the_next_one_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    command = [sys.executable, "-c", WRITES_ON, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        write_atomically(path, "old")
        assert len(list(tmp_path.iterdir())) == 2
        process.kill()
    assert len(list(tmp_path.iterdir())) == 2
    write_atomically(path, "new")
    assert list(tmp_path.iterdir()) == [path]


def test_writing_over_a_folder_fails_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "a.json"
    folder.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(folder, "new")
    assert list(tmp_path.rglob("*")) == [folder]


def test_text_that_cannot_be_encoded_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "a", "\ud800")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_json_without_a_number_is_not_written(tmp_path: Path, value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", value)
    assert list(tmp_path.iterdir()) == []


def test_json_is_written_for_people_to_read(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"naïve": [1]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == '{\n  "naïve": [\n    1\n  ]\n}\n'


@given(PLAIN)
@settings(max_examples=50, deadline=None)
def test_json_is_read_as_it_was_written(content: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        write_json(path, content)
        assert path.read_bytes().endswith(b"\n")
        assert read_json(path) == content
        assert json.dumps(read_json(path)) == json.dumps(content)


@given(st.lists(st.sampled_from("abcd")))
@settings(deadline=None)
def test_repeats_are_the_names_that_occur_more_than_once(names: list[str]) -> None:
    found = repeats(names)
    assert Counter(found) == Counter({name for name in names if names.count(name) > 1})
    seconds = [[i for i, other in enumerate(names) if other == name][1] for name in found]
    assert seconds == sorted(seconds)
