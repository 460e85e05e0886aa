"""Places: where in a row of pairs the value of a column stands, in a closed little language.

`prompt` is a key; `counterfactual.prompt` a key of the object under another; `choices[0]` the first
in a list; `choices[answer]` the one whose number stands under `answer` in the object that holds the
list; and `choices[!answer]` all others. A key that is called so itself comes first.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from replication.inputs.files import InputError
from replication.inputs.messages import listed, quoted

_KEY = r"[^.\[\]!]+"
_STEP = rf"{_KEY}(?:\[(?:[0-9]{{1,9}}|{_KEY})\])?"
_PLACE = re.compile(rf"(?:{_STEP}\.)*(?:{_STEP}|{_KEY}\[!{_KEY}\])")
_PARTS = re.compile(rf"(?:^|\.)(?P<key>{_KEY})(?:\[(?P<others>!?)(?P<item>{_KEY})\])?")


class _Step(NamedTuple):
    """A key of an object and, if a list stands there, a place in it or the key that says which."""

    key: str
    item: str
    all_others: bool

    @property
    def beside(self) -> str | None:
        """The key, in the same object, under which the place in the list stands."""
        return self.item if self.item and not re.fullmatch("[0-9]+", self.item) else None


@functools.cache  # pairs come by the million
def _steps(column: str) -> list[_Step]:
    """The steps that a column's name can be read as; one, of the whole name, if as no others."""
    if not _PLACE.fullmatch(column):
        return [_Step(column, "", False)]
    return [
        _Step(part["key"], part["item"] or "", bool(part["others"]))
        for part in _PARTS.finditer(column)
    ]


def keys_read(column: str, names: Collection[str]) -> set[str]:
    """Which keys of a row that has these are read for a column."""
    if column in names:
        return {column}
    first = _steps(column)[0]
    return {first.key} | ({first.beside} if first.beside else set())


def value_at(row: Mapping[str, Any], column: str) -> Any:
    """The value of a column in a row.

    Raises:
        InputError: there is none, or both a key and a place are called so.
    """
    steps = _steps(column)
    if column not in row:
        return _led(row, column, steps)
    if len(steps) > 1 or steps[0].item:
        try:
            place = _led(row, column, steps)
        except InputError:
            return row[column]
        raise InputError(
            f"{column}: can be read in two ways: the key of this name holds {quoted(row[column])},"
            f" and {quoted(place)} stands at this place; call the key otherwise"
        )
    return row[column]


def _led(row: Mapping[str, Any], column: str, steps: list[_Step]) -> Any:
    """What stands where the steps lead."""
    value: Any = row
    walked: list[str] = []
    for step in steps:
        within = f" in {'.'.join(walked)}" if walked else ""
        if not isinstance(value, Mapping):
            raise InputError(f"{column}: expected an object{within}, found {quoted(value)}")
        if step.key not in value:
            raise InputError(
                f"{column}: there is no {step.key!r}{within}; there are {listed(map(repr, value))}"
            )
        walked.append(step.key)
        value = _listed(value, column, step) if step.item else value[step.key]
    return value


def _listed(holder: Mapping[str, Any], column: str, step: _Step) -> Any:
    """The item of a list that a step means, or all others."""
    items = holder[step.key]
    if not isinstance(items, list):
        raise InputError(f"{column}: expected a list in {step.key}, found {quoted(items)}")
    if step.beside is None:
        place: Any = int(step.item)
    elif step.beside in holder:
        place = holder[step.beside]
    else:
        raise InputError(
            f"{column}: there is no {step.beside!r} beside {step.key}; there are"
            f" {listed(map(repr, holder))}"
        )
    if isinstance(place, bool) or not isinstance(place, int) or place not in range(len(items)):
        raise InputError(
            f"{column}: expected a place in {step.key}, which has {len(items)}, counted from 0;"
            f" found {quoted(place)}"
        )
    return items[:place] + items[place + 1 :] if step.all_others else items[place]
