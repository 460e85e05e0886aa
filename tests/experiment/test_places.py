"""Places: what a column's name leads to in a row, and what is no such place."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.experiment.places import keys_read, value_at
from replication.inputs.files import InputError

ROW = {
    "prompt": "Ann met Bob, and Bob thanked",
    "choices": [" Ann", " Bob", " Eve"],
    "answer": 1,
    "about": {"subject": "Bob"},
    "swapped": {"prompt": "Ann met Bob, and Ann thanked", "choices": [" Eve", " Bob"], "answer": 0},
}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("prompt", "Ann met Bob, and Bob thanked"),
        ("about.subject", "Bob"),
        ("choices[0]", " Ann"),
        ("choices[2]", " Eve"),
        ("choices[answer]", " Bob"),
        ("choices[!answer]", [" Ann", " Eve"]),
        ("swapped.prompt", "Ann met Bob, and Ann thanked"),
        ("swapped.choices[answer]", " Eve"),
        ("swapped.choices[!answer]", [" Bob"]),
    ],
)
def test_a_place_leads_to_its_value(column: str, value: object) -> None:
    assert value_at(ROW, column) == value


@pytest.mark.parametrize(
    ("column", "keys"),
    [
        ("prompt", {"prompt"}),
        ("about.subject", {"about"}),
        ("choices[0]", {"choices"}),
        ("choices[!answer]", {"choices", "answer"}),
        ("swapped.choices[answer]", {"swapped"}),
        ("a.b[c].d", {"a"}),
        ("a.", {"a."}),
    ],
)
def test_the_keys_of_a_row_that_a_place_reads_are_known(column: str, keys: set[str]) -> None:
    assert keys_read(column, ROW) == keys
    assert keys_read(column, {column: 1}) == {column}


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("other", "there is no 'other'; there are 'prompt', 'choice"),
        (
            "swapped.other",
            "there is no 'other' in swapped; there are 'prompt', 'choices', 'answer'",
        ),
        ("prompt.text", "expected an object in prompt, found 'Ann met Bob, and Bob thanked'"),
        ("choices.text", "expected an object in choices, found [' Ann', ' Bob', ' Eve']"),
        ("prompt[0]", "expected a list in prompt, found 'Ann met Bob, and Bob thanked'"),
        ("choices[3]", "expected a place in choices, which has 3, counted from 0; found 3"),
        ("choices[prompt]", "expected a place in choices, which has 3, counted from 0; found 'Ann"),
        ("choices[other]", "there is no 'other' beside choices; there are 'prompt', 'choice"),
        ("swapped.choices[subject]", "there is no 'subject' beside choices; there are 'prompt',"),
    ],
)
def test_a_place_that_leads_nowhere_says_where_it_ends(column: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        value_at(ROW, column)
    assert str(caught.value).startswith(f"{column}: {reason}")


@pytest.mark.parametrize("answer", [-1, 3, True, 1.0, "1", None, [1]])
def test_what_stands_beside_a_list_is_a_place_in_it(answer: object) -> None:
    with pytest.raises(InputError, match="expected a place in choices, which has 3"):
        value_at(ROW | {"answer": answer}, "choices[answer]")


@pytest.mark.parametrize(
    "column",
    [
        "", ".", "a.", ".a", "a..b", "a[", "a[]", "a[0", "a]", "[0]", "a[0][1]", "a[!]", "a[!0",
        "a[!b].c", "a[0]b",
    ],
)  # fmt: skip
def test_what_is_no_place_is_a_key_and_nothing_else(column: str) -> None:
    assert value_at({column: 1}, column) == 1
    row = {"a": [[1, 2]], "b": 0, "": 1}
    with pytest.raises(InputError, match="there is no "):
        value_at({key: value for key, value in row.items() if key != column}, column)


def test_a_key_that_is_called_like_a_place_comes_first() -> None:
    assert value_at({"a.b": 1, "a": {"c": 2}}, "a.b") == 1
    assert value_at({"a[0]": 1, "a": "text"}, "a[0]") == 1


@pytest.mark.parametrize("column", ["a.b", "c[0]", "c[!d]"])
def test_a_key_and_a_place_of_one_name_are_refused_with_what_both_hold(column: str) -> None:
    row = {column: "key", "a": {"b": "place"}, "c": ["place"], "d": 0}
    with pytest.raises(InputError) as caught:
        value_at(row, column)
    place = [] if column == "c[!d]" else "place"
    assert str(caught.value) == (
        f"{column}: can be read in two ways: the key of this name holds 'key', and {place!r} stands"
        " at this place; call the key otherwise"
    )


KEYS = st.text(alphabet="abc d", min_size=1, max_size=3)
VALUES = st.recursive(
    st.integers() | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def places(value: object, column: str = "") -> dict[str, Any]:
    """Every place in a value that a column can name, with what stands there."""
    found: dict[str, Any] = {}
    if isinstance(value, dict):
        for key, inner in value.items():
            name = f"{column}.{key}" if column else key
            found |= {name: inner} | places(inner, name)
            if isinstance(inner, list):
                for number, item in enumerate(inner):
                    found |= {f"{name}[{number}]": item} | places(item, f"{name}[{number}]")
    return found


@given(st.dictionaries(KEYS, VALUES, max_size=4))
@settings(deadline=None)
def test_everything_in_a_row_but_lists_in_lists_can_be_named(row: dict[str, Any]) -> None:
    for column, value in places(row).items():
        assert value_at(row, column) == value
        assert keys_read(column, row) <= set(row)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.text(alphabet="abc .[]!01", max_size=9))
@settings(deadline=None)
def test_a_column_leads_to_what_stands_there_or_is_refused(
    row: dict[str, Any], column: str
) -> None:
    known = places(row) | row
    if "!" in column or column in known:
        return
    with suppress(InputError):  # but one whose place stands beside the list, all are known
        assert value_at(row, column) in known.values()


@given(st.lists(st.integers(), min_size=1, max_size=5, unique=True), st.data())
@settings(deadline=None)
def test_the_one_and_all_others_are_the_whole_list(items: list[int], data: st.DataObject) -> None:
    row = {"a": items, "b": data.draw(st.integers(0, len(items) - 1))}
    one, others = value_at(row, "a[b]"), value_at(row, "a[!b]")
    assert sorted([one, *others]) == sorted(items)
