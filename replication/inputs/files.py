"""Reading and writing files, with errors that a person can act on."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from replication.inputs.positions import Place, lines_of, positions

Model = TypeVar("Model", bound=BaseModel)


class InputError(ValueError):
    """Input that cannot be used; the message is one line: the file, the key, the reason."""


class Fault(NamedTuple):
    """One thing that is wrong in a file: why, and on which line, where that is known."""

    reason: str
    line: int | None = None

    def __str__(self) -> str:
        return self.reason if self.line is None else f"{self.reason} (line {self.line})"


class FileError(InputError):
    """A file that cannot be used, with everything that was found wrong in it."""

    def __init__(self, path: Path, faults: Sequence[Fault], message: str | None = None) -> None:
        super().__init__(f"{path}: {message or '; '.join(map(str, faults))}")
        self.path = path
        self.faults = list(faults)


def faulty(path: Path, reasons: Iterable[tuple[Place, str]]) -> FileError:
    """The error of a TOML or JSON file with several faults, each at a place in its data."""
    line = lines_of(path)
    return FileError(path, [Fault(reason, line(place)) for place, reason in reasons])


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        InputError: the file is missing, a folder, unreadable, or not UTF-8.
    """
    return "".join(read_lines(path))


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file, one by one.

    Raises:
        InputError: the file is missing, a folder, unreadable, or not UTF-8.
    """
    number = 0
    try:
        with path.open("rb") as file:
            for line in file:
                number += 1
                yield line.decode()
    except FileNotFoundError:
        raise FileError(path, [Fault("there is no such file")]) from None
    except UnicodeDecodeError as error:
        raise FileError(path, [Fault(f"cannot be read: {error}", number)]) from None
    except (OSError, ValueError) as error:
        raise FileError(path, [Fault(f"cannot be read: {error}")]) from None


class NotJSON(InputError):
    """What is wrong with a JSON text; on which line, or which key it repeats."""

    def __init__(self, reason: str, line: int | None = None, repeated: str | None = None) -> None:
        super().__init__(reason)
        self.line = line
        self.repeated = repeated


def read_json(path: Path) -> Any:
    """The content of a JSON file, in which a repeated key or a NaN is an error.

    Raises:
        InputError: the file cannot be read or is not JSON.
    """
    text = read_text(path)
    try:
        return load_json(text)
    except NotJSON as error:
        line = error.line if error.repeated is None else _second_line(text, error.repeated)
        raise FileError(path, [Fault(str(error), line)], str(error)) from None


def parse_json(text: str, where: str) -> Any:
    """The content of a JSON text; `where` names its source in errors.

    Raises:
        InputError: the text is not JSON, repeats a key, or holds NaN or infinity.
    """
    try:
        return load_json(text)
    except NotJSON as error:
        raise InputError(f"{where}: {error}") from None


def load_json(text: str) -> Any:
    """The content of a JSON text.

    Raises:
        NotJSON: the text is not JSON, repeats a key, or holds NaN or infinity.
    """

    def refuse_constant(name: str) -> Any:
        raise NotJSON(f"{name} is not a number that JSON knows")

    def refuse_repeated_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if repeated := repeats(key for key, _ in items):
            reason = f"the key {repeated[0]!r} stands there more than once"
            raise NotJSON(reason, repeated=repeated[0])
        return dict(items)

    def refuse_infinity(digits: str) -> float:
        if math.isinf(number := float(digits)):
            raise NotJSON(f"{digits} is too large a number")
        return number

    try:
        return json.loads(
            text,
            parse_constant=refuse_constant,
            parse_float=refuse_infinity,
            object_pairs_hook=refuse_repeated_keys,
        )
    except NotJSON:
        raise
    except json.JSONDecodeError as error:
        reason = f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise NotJSON(reason, error.lineno) from None
    except RecursionError:
        raise NotJSON("not usable JSON: nested too deeply") from None
    except ValueError:
        raise NotJSON("not usable JSON: a number has too many digits") from None


def _second_line(text: str, key: str) -> int | None:
    """The line on which an object of a JSON text repeats a key."""
    seen: set[Place] = set()
    for place, line in positions(text.encode(), "json"):
        if place in seen and place[-1] == key:
            return line
        seen.add(place)
    return None


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        InputError: the file cannot be read or is not TOML.
    """
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise FileError(path, [Fault("not usable TOML: nested too deeply")]) from None
    except ValueError as error:
        reason = f"not TOML: {error}"
        found = re.search(r"\(at (?:line (\d+)|end of document)", reason)
        line = found and int(found[1] or 1 + text.count("\n"))
        raise FileError(path, [Fault(reason, line)], reason) from None


def validate(model: type[Model], data: Any, path: Path, context: Any = None) -> Model:
    """`data`, read from `path`, as an instance of `model`.

    Raises:
        InputError: naming the file, each key at fault, and the reason.
    """
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        reasons = []
        for fault in error.errors():
            place, key = _place(data, fault)
            reasons.append((place, f"{key}: {_reason(fault)}"))
        raise faulty(path, reasons) from None


def _place(data: Any, fault: Any) -> tuple[Place, str]:
    """Where a fault stands: `claim R7: check 1: of` rather than `claim.6.check.0.ratio.of`.

    pydantic puts the tags of unions into a location; what is not in the data is left out.
    """
    place: list[str | int] = []
    words: list[str] = []
    in_list = False
    for step in fault["loc"]:
        if isinstance(data, dict) and in_list and step == data.get("kind"):
            in_list = False
        elif isinstance(data, dict) and step in data:
            data = data[step]
            place.append(step)
            words.append(str(step))
            in_list = False
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
            place.append(step)
            name = data.get("id") if isinstance(data, dict) else None
            words[-1:] = [f"{words[-1]} {name or step + 1}"] if words else [str(step + 1)]
            in_list = True
        elif fault["type"] == "missing":
            words.append(str(step))
    return tuple(place), ": ".join(words) or "the whole file"


def _reason(fault: Any) -> str:
    message: str = fault["msg"]
    if fault["type"] == "extra_forbidden":
        return "unknown key"
    if fault["type"] == "missing":
        return "missing"
    message = message.removeprefix("Value error, ")
    if fault["type"] == "value_error" or isinstance(fault["input"], dict | list):
        return message
    return f"{message}, found {fault['input']!r}"


def repeats(names: Iterable[str]) -> list[str]:
    """The names that occur more than once, each once, in order of their second occurrence."""
    seen: set[str] = set()
    again: dict[str, None] = {}
    for name in names:
        if name in seen:
            again[name] = None
        seen.add(name)
    return list(again)
