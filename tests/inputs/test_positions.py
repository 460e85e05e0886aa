from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.inputs.positions import Place, lines_of, positions

# Every number is the line that it stands on.
TOML = """\
# a comment
first = 2
"with spaces" = 3
dotted."quoted.key".last = 4
text = '''
[not.a.table]
first = 7
'''
after = 9
list = [ # 10
  11, 12_000, # two on a line
  12,
  { a = 13, b.c = 13 },

  [15, 15],
]
inline = { a = 17, "b\\u0021" = [17] }
[table] # a comment
key = 19
[table.sub]
key = 21
[[claim]]
id = 23
check = [
  { kind = 25, deep = { er = 25 } },
  { kind = 26 },
]
[[claim]]
id = 29
[[claim.check]]
kind = 31
[[claim.check]]
kind = 33
[claim.check.more]
key = 35
[other."a.b"]
key = 37
"""


def leaves(data: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value that holds no others, with its place."""
    if isinstance(data, dict | list):
        steps = data.items() if isinstance(data, dict) else enumerate(data)
        for step, value in steps:
            yield from leaves(value, (*place, step))
    else:
        yield place, data


def test_every_value_of_a_toml_file_is_found_on_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(TOML, encoding="utf-8")
    line = lines_of(path)
    numbers = {place: value for place, value in leaves(tomllib.loads(TOML)) if place != ("text",)}
    numbers[("list", 1)] = 11
    assert {place: line(place) for place in numbers} == numbers
    assert line(("text",)) == 5


def test_a_place_that_is_not_there_is_that_of_what_would_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(TOML, encoding="utf-8")
    line = lines_of(path)
    assert line(("claim", 0, "check", 1, "of")) == 26
    assert line(("claim", 1, "statement")) == 28
    assert line(("table", "sub", "budget")) == 20
    assert line(("nothing", 3)) == 1


PLAIN = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN, st.sampled_from([None, 0, 2, "\t"]))
@settings(max_examples=100, deadline=None)
def test_every_value_of_a_json_file_is_found_on_its_line(data: Any, indent: Any) -> None:
    text = json.dumps(data, indent=indent)
    lines = text.splitlines()
    found = dict(positions(text.encode(), "json"))
    for place, value in leaves(data):
        if place:
            shown = lines[found[place] - 1]
            assert json.dumps(value) in shown
            assert isinstance(place[-1], int) or json.dumps(place[-1]) in shown


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"a = 1"),
        ("a.json", b"[" * 100_000),
        ("a.toml", b"\xff = 1"),
        ("a.toml", b'"\\q" = 1'),
    ],
)
def test_a_file_that_cannot_be_followed_gives_no_line_or_its_first(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert lines_of(path)(("a",)) in (None, 1)
    assert lines_of(tmp_path / "missing.toml")(("a",)) is None
