"""Reading and writing files, with errors that a person can act on."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


class InputError(ValueError):
    """Input that cannot be used; the message is one line: the file, the key, the reason."""


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        InputError: the file is missing, a folder, unreadable, or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
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

    try:
        return json.loads(
            text, parse_constant=refuse_constant, object_pairs_hook=refuse_repeated_keys
        )
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except RecursionError:
        raise InputError(f"{where}: not usable JSON: nested too deeply") from None


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        InputError: the file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}") from None


def validate(model: type[Model], data: Any, path: Path, context: Any = None) -> Model:
    """`data`, read from `path`, as an instance of `model`.

    Raises:
        InputError: naming the file, each key at fault, and the reason.
    """
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        faults = [f"{_key(data, fault['loc'])}: {_reason(fault)}" for fault in error.errors()]
        raise InputError(f"{path}: {'; '.join(faults)}") from None


def _key(data: Any, location: tuple[int | str, ...]) -> str:
    """`claim R7: check 1: of` rather than `claim.6.check.0.ratio.of`.

    pydantic puts the tag of a union into the location; what is not in the data is left out.
    """
    words = []
    for step in location:
        if isinstance(data, dict) and step in data:
            data = data[step]
            words.append(str(step))
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
            name = data.get("id") if isinstance(data, dict) else None
            words[-1:] = [f"{words[-1]} {name or step + 1}"] if words else [str(step + 1)]
        elif step == location[-1]:
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


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing: a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


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
