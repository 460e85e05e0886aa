"""Rows: a pair from an object of a file, or from a line of a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from replication.experiment.pairs import Keys, Pair, Row
from replication.experiment.places import value_at
from replication.inputs.files import InputError, repeats
from replication.inputs.messages import quoted

BAR = "|"  # between several answers in one text


def row_of(data: object, keys: Keys, line: int | None = None) -> Row:
    """The pair that an object or a line of a table holds.

    Raises:
        InputError: what is wrong with it.
    """
    first, second = keys.prompts
    if not isinstance(data, dict):
        expected = f"expected an object with the keys {first!r} and {second!r}"
        raise InputError(f"{expected}, found {quoted(data)}")
    if not keys.fit(data):
        raise InputError(f"expected an object with the keys {keys.apart(data)}")
    prompts = {key: _prompt(data, key) for key in (*keys.prompts, *keys.counterparts)}
    for key in (second, *keys.counterparts):
        if prompts[first] == prompts[key]:
            raise InputError(f"{first} and {key}: the two prompts are the same text")
    return Row(
        Pair(prompts[first], prompts[second]),
        line,
        _group(data, keys.group),
        {
            key: (_ids if key in keys.ids else _answers)(value_at(data, key), key)
            for key in keys.answers
        },
        tuple(prompts[key] for key in keys.counterparts),
    )


def _prompt(data: Mapping[str, Any], key: str) -> str:
    prompt = value_at(data, key)
    if not isinstance(prompt, str):
        raise InputError(f"{key}: expected a text, found {quoted(prompt)}")
    if not prompt.strip():
        raise InputError(f"{key}: the prompt is empty")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{key}: the prompt is no text: {error.reason}") from None
    return prompt


def _ids(given: object, key: str) -> tuple[str, ...]:
    """A pair's answers as token ids, in digits: a number, several in a list or between bars."""
    parts = given.split(BAR) if isinstance(given, str) else given
    found = [str(one).strip() for one in (parts if isinstance(parts, list) else [parts])]
    if not found or not all(re.fullmatch("0|[1-9][0-9]{0,9}", one) for one in found):
        raise InputError(
            f"{key}: expected a token id, a whole number, or several in a list or with {BAR}"
            f" between them, found {quoted(given)}"
        )
    if repeated := repeats(found):
        raise InputError(f"{key}: the id {repeated[0]} stands there more than once")
    return tuple(found)


def _answers(given: object, key: str) -> tuple[str, ...]:
    """A pair's answers: a text, a list of texts, or in one text several between bars."""
    found = given if isinstance(given, list) else str(given).split(BAR)
    if isinstance(given, str | list) and found and all(isinstance(one, str) for one in found):
        if not all(one.strip() for one in found):
            raise InputError(f"{key}: an answer is empty, in {quoted(given)}")
        if repeated := repeats(found):
            raise InputError(f"{key}: the answer {quoted(repeated[0])} stands there more than once")
        return tuple(found)
    raise InputError(
        f"{key}: expected an answer, or several in a list or with {BAR} between them, found"
        f" {quoted(given)}"
    )


def _group(data: Mapping[str, Any], key: str | None) -> str | None:
    """The group's name: a text or a whole number."""
    if key is None:
        return None
    group = value_at(data, key)
    if isinstance(group, bool) or not isinstance(group, str | int) or not str(group).strip():
        raise InputError(
            f"{key}: expected the name or the number of a group, found {quoted(group)}"
        )
    return str(group)
