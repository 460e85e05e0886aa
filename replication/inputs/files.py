"""Reading and writing files, with errors that a person can act on."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import mmap
import os
import re
import stat
import tomllib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from replication.inputs.messages import MESSAGE, fitting, placed, quoted, shortened, system_reason
from replication.inputs.positions import Place, lines_of, positions

Model = TypeVar("Model", bound=BaseModel)

# What is read at once, in bytes: parsed, JSON takes some ten times its size of memory, and TOML a
# second for each of its megabytes. The score table of a thousand pairs and heads has 30 MB.
LARGEST, LARGEST_TOML = 64 * 2**20, 4 * 2**20
INTEGERS = range(-(2**63), 2**63)  # TOML's own, and numpy's
DEEPEST = 64  # how far values may be nested; no file here nests more than 10


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
        where = f"{placed(path)}: "
        most = MESSAGE - len(f"replication: {where}")
        super().__init__(where + (message or fitting(list(map(str, faults)), most, "; ")))
        self.path = path
        self.faults = list(faults)


def faulty(path: Path, reasons: Iterable[tuple[Place, str]]) -> FileError:
    """The error of a TOML or JSON file with several faults, each at a place in its data."""
    line = lines_of(path)
    return FileError(path, [Fault(reason, line(place)) for place, reason in reasons])


def is_there(path: Path) -> bool:
    """Whether there is a file; what stands there in a file's stead is no missing file.

    Raises:
        InputError: a link that leads nowhere, a folder, a device, or a path that none can be.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise FileError(path, [Fault("cannot be read: a link that leads nowhere")]) from None
        return False
    except (OSError, ValueError) as error:
        raise FileError(path, [Fault(f"cannot be read: {system_reason(error)}")]) from None
    if stat.S_ISDIR(mode):
        raise FileError(path, [Fault("cannot be read: a folder, where a file is to be")])
    if not stat.S_ISREG(mode):
        raise FileError(path, [Fault("cannot be read: a pipe or a device, where a file is to be")])
    return True


def is_folder(path: Path) -> bool:
    """Whether there is a folder.

    Raises:
        InputError: the path cannot be followed.
    """
    try:
        return path.is_dir()
    except OSError as error:
        raise InputError(f"{placed(path)}: {system_reason(error)}") from None


def followed(path: Path) -> Path:
    """The path without links, as far as it can be followed.

    Raises:
        InputError: no path can be called so.
    """
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:
        raise InputError(f"{quoted(str(path))}: {system_reason(error)}") from None


def required(path: Path) -> Path:
    """The path of a file that must be there.

    Raises:
        InputError: it is not, or something else is.
    """
    if not is_there(path):
        raise FileError(path, [Fault("there is no such file")])
    return path


def readable(path: Path) -> Path:
    """The path of a file that must be there, for a library that does not say why it cannot read it.

    Raises:
        InputError: it is not there, something else is, or it may not be read.
    """
    try:
        required(path).open("rb").close()
    except OSError as error:
        raise FileError(path, [Fault(f"cannot be read: {system_reason(error)}")]) from None
    return path


def sha256_of(path: Path) -> bytes:
    """The SHA-256 of a file, if possible in one call, which lets other threads run meanwhile."""
    with path.open("rb") as file:
        try:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # a file system without such views, or an empty file
            return hashlib.file_digest(file, "sha256").digest()
        with content:
            return hashlib.sha256(content).digest()


def within(folder: Path, pattern: str) -> list[Path]:
    """What in a folder matches a pattern, by name; nothing where there is no such folder.

    Raises:
        InputError: the folder may not be read, of which `glob` says nothing.
    """
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.listdir(folder)
    except OSError as error:
        raise InputError(f"{placed(folder)}: cannot be read: {system_reason(error)}") from None
    return sorted(folder.glob(pattern))


def read_text(path: Path, most: int = LARGEST) -> str:
    """The text of a file.

    Raises:
        InputError: the file is missing, none, unreadable, too large, or not UTF-8.
    """
    if (size := required(path).stat().st_size) > most:
        reason = f"cannot be read: it has {size:,} bytes, more than the {most:,} read at once"
        raise FileError(path, [Fault(reason)])
    return "".join(read_lines(path))


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file, one by one, without the mark that some programs write before UTF-8.

    Raises:
        InputError: the file is missing, none, unreadable, or not UTF-8, or a line is too long.
    """
    required(path)
    number = 0
    try:
        with path.open("rb") as file:
            for line in iter(functools.partial(file.readline, LARGEST + 1), b""):
                number += 1
                yield _decoded(path, line.removeprefix(BOM_UTF8) if number == 1 else line, number)
    except OSError as error:
        raise FileError(path, [Fault(f"cannot be read: {system_reason(error)}")]) from None


def _decoded(path: Path, line: bytes, number: int) -> str:
    if len(line) > LARGEST:
        reason = f"cannot be read: a line of more than the {LARGEST:,} bytes read at once"
        raise FileError(path, [Fault(reason, number)])
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise FileError(path, [Fault(f"cannot be read: {error}", number)]) from None


class NotJSON(InputError):
    """What is wrong with a JSON text: on which line, or which key it repeats, or that it is cut."""

    def __init__(
        self,
        reason: str,
        line: int | None = None,
        repeated: str | None = None,
        is_cut: bool = False,
    ) -> None:
        super().__init__(reason)
        self.line = line
        self.repeated = repeated
        self.is_cut = is_cut


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
        NotJSON: the text is not JSON, repeats a key, nests too deeply, or holds NaN, infinity, an
            integer beyond 64 bits, or half a surrogate pair, which no text can hold.
    """

    def refuse_constant(name: str) -> Any:
        raise NotJSON(f"{name} is not a number that JSON knows")

    def refuse_repeated_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if repeated := repeats(key for key, _ in items):
            reason = f"the key {quoted(repeated[0])} stands there more than once"
            raise NotJSON(reason, repeated=repeated[0])
        return dict(items)

    def refuse_infinity(digits: str) -> float:
        if math.isinf(number := float(digits)):
            raise NotJSON(f"{shortened(digits)} is too large a number")
        return number

    def refuse_large_integers(digits: str) -> int:
        if len(digits) > len(str(INTEGERS.start)) or (number := int(digits)) not in INTEGERS:
            raise NotJSON(f"{shortened(digits)} is too large a number")
        return number

    try:
        data = json.loads(
            text,
            parse_constant=refuse_constant,
            parse_int=refuse_large_integers,
            parse_float=refuse_infinity,
            object_pairs_hook=refuse_repeated_keys,
        )
    except NotJSON:
        raise
    except json.JSONDecodeError as error:
        reason = f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise NotJSON(reason, error.lineno, is_cut=error.pos >= len(text)) from None
    except RecursionError:
        raise NotJSON("not usable JSON: nested too deeply") from None
    # Both are rare, and looked for only where the text can hold them: pairs come by the million.
    if text.count("[") + text.count("{") > DEEPEST and _is_deep(data):
        raise NotJSON("not usable JSON: nested too deeply")
    if re.search(r"\\u[dD][89a-fA-F]", text):
        for place, value in _values(data):
            if not (_is_text(place[-1]) and _is_text(value)):
                raise NotJSON(f"{_key(place)}: half a surrogate pair, which is no text")
    return data


def _values(data: Any) -> Iterator[tuple[Place, Any]]:
    """Every value inside another, with its place."""
    rest: list[tuple[Place, Any]] = [((), data)]
    while rest:
        place, outer = rest.pop()
        if isinstance(outer, dict | list):
            inner = outer.items() if isinstance(outer, dict) else enumerate(outer)
            found = [((*place, step), value) for step, value in inner]
            yield from found
            rest += found


def _key(place: Place) -> str:
    return shortened(": ".join(map(str, place)))


def _is_text(value: Any) -> bool:
    """Whether a value can be encoded, if it is a text."""
    try:
        (value if isinstance(value, str) else "").encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_deep(data: Any) -> bool:
    return any(len(place) > DEEPEST for place, _ in _values(data))


def _second_line(text: str, key: str) -> int | None:
    """The line on which an object of a JSON text repeats a key."""
    seen: set[Place] = set()
    with suppress(RecursionError):
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
    text = read_text(path, LARGEST_TOML)
    try:
        data = tomllib.loads(text, parse_float=_finite)
    except RecursionError:
        raise FileError(path, [Fault("not usable TOML: nested too deeply")]) from None
    except ValueError as error:
        reason = f"not TOML: {error}"
        found = re.search(r"\(at (?:line (\d+)|end of document)", reason)
        line = found and int(found[1] or 1 + text.count("\n"))
        raise FileError(path, [Fault(reason, line)], reason) from None
    if _is_deep(data):
        raise FileError(path, [Fault("not usable TOML: nested too deeply")])
    large = [place for place, value in _values(data) if _is_large(value)]
    if large:
        raise faulty(path, [(place, f"{_key(place)}: too large a number") for place in large])
    return data


def _finite(digits: str) -> float:
    if math.isinf(number := float(digits)) and not digits.endswith("inf"):
        raise ValueError(f"{shortened(digits)} is too large a number")
    return number


def _is_large(value: Any) -> bool:
    return isinstance(value, int) and value not in INTEGERS


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
    steps = fault["loc"]
    for number, step in enumerate(steps, start=1):
        if isinstance(data, dict) and in_list and step == data.get("kind"):
            in_list = False
        elif isinstance(data, dict) and step in data:
            data = data[step]
            place.append(step)
            words.append(shortened(str(step)))
            in_list = False
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
            place.append(step)
            name = data.get("id") if isinstance(data, dict) else None
            words[-1:] = (
                [f"{words[-1]} {shortened(str(name or step + 1))}"] if words else [str(step + 1)]
            )
            in_list = True
        elif fault["type"] == "missing" and number == len(steps):
            words.append(shortened(str(step)))
    return tuple(place), ": ".join(words) or "the whole file"


def _reason(fault: Any) -> str:
    message: str = fault["msg"]
    if fault["type"] == "extra_forbidden":
        return "unknown key"
    if fault["type"] == "missing":
        return "missing"
    message = message.removeprefix("Value error, ")
    message = re.sub("valid dictionary( or instance of \\w+)?", "table, in JSON an object", message)
    if isinstance(tag := fault.get("ctx", {}).get("tag"), str):
        message = message.replace(f"'{tag}'", quoted(tag))
    if fault["type"] == "value_error" or isinstance(fault["input"], dict | list):
        return message
    return f"{message}, found {quoted(fault['input'])}"


def repeats(names: Iterable[str]) -> list[str]:
    """The names that occur more than once, each once, in order of their second occurrence."""
    seen: set[str] = set()
    again: dict[str, None] = {}
    for name in names:
        if name in seen:
            again[name] = None
        seen.add(name)
    return list(again)
