"""Reading and writing files, with errors that a person can act on."""

from __future__ import annotations

import json
import math
import os
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


class InputError(ValueError):
    """Input that cannot be used; the message is one line: the file, the key, the reason."""


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
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from file
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def read_json(path: Path) -> Any:
    """The content of a JSON file, in which a repeated key or a NaN is an error.

    Raises:
        InputError: the file cannot be read or is not JSON.
    """
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str) -> Any:
    """The content of a JSON text; `where` names its source in errors.

    Raises:
        InputError: the text is not JSON, repeats a key, or holds NaN or infinity.
    """

    def refuse_constant(name: str) -> Any:
        raise InputError(f"{where}: {name} is not a number that JSON knows")

    def refuse_repeated_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in items]
        if repeated := repeats(keys):
            raise InputError(f"{where}: the key {repeated[0]!r} stands there more than once")
        return dict(items)

    def refuse_infinity(digits: str) -> float:
        if math.isinf(number := float(digits)):
            raise InputError(f"{where}: {digits} is too large a number")
        return number

    try:
        return json.loads(
            text,
            parse_constant=refuse_constant,
            parse_float=refuse_infinity,
            object_pairs_hook=refuse_repeated_keys,
        )
    except InputError:
        raise
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except RecursionError:
        raise InputError(f"{where}: not usable JSON: nested too deeply") from None
    except ValueError:
        raise InputError(f"{where}: not usable JSON: a number has too many digits") from None


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        InputError: the file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(read_text(path))
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{path}: not usable TOML: nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{path}: not TOML: {error}") from None


def validate(model: type[Model], data: Any, path: Path, context: Any = None) -> Model:
    """`data`, read from `path`, as an instance of `model`.

    Raises:
        InputError: naming the file, each key at fault, and the reason.
    """
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        faults = [f"{_key(data, fault)}: {_reason(fault)}" for fault in error.errors()]
        raise InputError(f"{path}: {'; '.join(faults)}") from None


def _key(data: Any, fault: Any) -> str:
    """`claim R7: check 1: of` rather than `claim.6.check.0.ratio.of`.

    pydantic puts the tags of unions into a location; what is not in the data is left out.
    """
    words = []
    in_list = False
    for step in fault["loc"]:
        if isinstance(data, dict) and in_list and step == data.get("kind"):
            in_list = False
        elif isinstance(data, dict) and step in data:
            data = data[step]
            words.append(str(step))
            in_list = False
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
            name = data.get("id") if isinstance(data, dict) else None
            words[-1:] = [f"{words[-1]} {name or step + 1}"] if words else [str(step + 1)]
            in_list = True
        elif fault["type"] == "missing":
            words.append(str(step))
    return ": ".join(words) or "the whole file"


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


@contextmanager
def writing_atomically(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to that takes its place when it is whole: a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing."""
    with writing_atomically(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, indented, with a final newline; NaN and infinity are refused."""
    write_atomically(
        path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    )


def repeats(names: Iterable[str]) -> list[str]:
    """The names that occur more than once, each once, in order of their second occurrence."""
    seen: set[str] = set()
    again: dict[str, None] = {}
    for name in names:
        if name in seen:
            again[name] = None
        seen.add(name)
    return list(again)
