"""Pairs' files: JSONL, one JSON document, CSV, or a dataset of the hub, read into rows."""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from replication.experiment.pairs import Keys, Pair, PairsSpec, Row, Sides
from replication.experiment.rows import row_of
from replication.inputs.files import (
    Fault,
    FileError,
    InputError,
    NotJSON,
    load_json,
    read_json,
    read_lines,
    repeats,
)
from replication.inputs.hub import NotAtHand, hub_folder
from replication.inputs.messages import library_reason, listed, quoted


@dataclass(frozen=True)
class PairSource:
    """Pairs that can be read, as often as wanted; what is kept of each is a digest.

    `name` is what errors call it; `origin` is what provenance says of it.
    """

    name: str
    rows: Callable[[], Iterator[Row | Fault]]
    origin: Callable[[], Mapping[str, str]]

    def read(self) -> Iterator[Row]:
        """The pairs, one by one, with the group of each.

        Raises:
            InputError: naming the file, the line and the reason, when it comes to the one at fault.
        """
        for row in self.rows():
            if isinstance(row, Fault):
                place = "" if row.line is None else f"line {row.line}: "
                raise FileError(Path(self.name), [row], f"{place}{row.reason}")
            yield row

    def stream(self) -> Iterator[Pair]:
        """The pairs alone; as `read`."""
        return (row.pair for row in self.read())

    def count(self) -> int:
        """How many pairs there are, after reading every one of them.

        Raises:
            InputError: as `stream` does.
        """
        return sum(1 for _ in self.stream())


def source_of(spec: PairsSpec, folder: Path, keys: Keys) -> PairSource:
    """The pairs that an experiment in a folder names; nothing is read yet."""
    if spec.file is not None:
        return file_source(folder / spec.file, keys)
    return PairSource(
        f"{spec.dataset}, split {spec.split}",
        lambda: _distinct(_dataset_rows(spec, keys)),
        lambda: _dataset_origin(spec),
    )


def file_source(path: Path, keys: Keys) -> PairSource:
    """The pairs of a file: CSV or one JSON document if it is called so, else one object a line."""
    readers = {".csv": _csv_rows, ".json": _json_rows}
    read = readers.get(path.suffix.lower(), _jsonl_rows)
    return PairSource(str(path), lambda: read(path, keys), lambda: {"file": path.name})


def read_pairs(path: Path, sides: Sides) -> list[Pair]:
    """The pairs of a file.

    Raises:
        InputError: naming the file, the line and the reason.
    """
    return list(file_source(path, Keys(sides)).stream())


def _distinct(rows: Iterator[Row | Fault]) -> Iterator[Row | Fault]:
    """The pairs; that there are none is a fault too, and so is one that stands there again."""
    seen: dict[bytes, int] = {}  # a pair's number, negative where its prompts are not sorted
    number = 0
    for number, row in enumerate(rows, start=1):
        if isinstance(row, Fault):
            yield row
            continue
        pair = row.pair
        here = number if pair.first < pair.second else -number
        there = seen.setdefault(_digest(pair), here)
        if there == here:
            yield row
        else:
            how = "" if there * here > 0 else ", its sides exchanged"
            yield Fault(
                f"pair {number} repeats pair {abs(there)}{how}; give each pair once", row.line
            )
    if number == 0:
        yield Fault("there are no pairs in it")


def _digest(pair: Pair) -> bytes:
    """What stands for a pair, whichever of its prompts comes first."""
    one, other = sorted(pair)
    return blake2b(f"{len(one)} {one}{other}".encode(), digest_size=16).digest()


def _jsonl_rows(path: Path, keys: Keys) -> Iterator[Row | Fault]:
    return _distinct(_line_rows(path, keys))


def _line_rows(path: Path, keys: Keys) -> Iterator[Row | Fault]:
    if _is_one_document(path, keys):
        expected = "expected JSONL, one object a line, or a .csv file"
        yield Fault(f"{expected}, found one JSON document; call it .json to have it read as that")
        return
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            try:
                yield row_of(load_json(line.rstrip()), keys, number)
            except InputError as error:
                yield Fault(str(error), number)


def _two_lines(path: Path) -> tuple[str, str]:
    """The first two lines of a file that hold anything; empty where there are none."""
    first, second, *_ = [*islice(filter(str.strip, read_lines(path)), 2), "", ""]
    return first, second


def _is_one_document(path: Path, keys: Keys) -> bool:
    """Whether JSON goes on after its first line, or its only line holds more than a pair."""
    first, second = _two_lines(path)
    try:
        data = load_json(first.strip())
    except NotJSON as error:
        return bool(first) and error.is_cut and (first[0] == "[" or not _is_object(second))
    if second or (isinstance(data, dict) and Keys(keys.prompts).read_of(data) <= set(data)):
        return False
    values = data.values() if isinstance(data, dict) else data if isinstance(data, list) else []
    return any(isinstance(value, dict | list) for value in values)


def _is_object(text: str) -> bool:
    try:
        return isinstance(load_json(text.strip()), dict)
    except NotJSON:
        return False


def _json_rows(path: Path, keys: Keys) -> Iterator[Row | Fault]:
    """The pairs of one document, and behind them one fault that stands for all."""
    first, second = _two_lines(path)
    if _is_object(second) and _is_object(first):
        yield Fault("expected one JSON document, found JSONL, one object a line; call it .jsonl")
        return
    found = _list_in(read_json(path), keys.under)
    if isinstance(found, Fault):
        yield found
        return
    faults: list[tuple[int, Fault]] = []
    for number, row in enumerate(_distinct(_read(one, keys) for one in found), start=1):
        if isinstance(row, Fault):
            faults.append((number, row))
        else:
            yield row
    if faults:
        (number, fault), *others = faults
        where = f"row {number}: " if found else ""
        more = f"; {len(faults)} rows are at fault in all, the next " if others else ""
        numbers = " and ".join(str(number) for number, _ in others[:2])
        yield Fault(f"{where}{fault.reason}{more}{numbers}")


def _list_in(data: Any, under: str | None) -> list[Any] | Fault:
    """The list of pairs in a document, which is that list or holds it under a key."""
    if under is not None:
        found = data.get(under) if isinstance(data, dict) else None
        if isinstance(found, list):
            return found
        return Fault(f"expected an object with a list under {under!r}, found {quoted(data)}")
    if isinstance(data, list):
        return data
    values = data.items() if isinstance(data, dict) else ()
    lists = listed(repr(key) for key, value in values if isinstance(value, list))
    way_out = f"; pairs.list says under which key it stands: {lists}" if lists else ""
    return Fault(f"expected a list of objects, found {quoted(data)}{way_out}")


def _read(data: object, keys: Keys) -> Row | Fault:
    try:
        return row_of(data, keys)
    except InputError as error:
        return Fault(str(error))


def _csv_rows(path: Path, keys: Keys) -> Iterator[Row | Fault]:
    return _distinct(_table_rows(path, keys))


def _table_rows(path: Path, keys: Keys) -> Iterator[Row | Fault]:
    reader = csv.reader(read_lines(path), strict=True)
    try:
        header = next(reader, [])
        if header and (reason := _header_fault(header, keys)):
            yield Fault(reason, 1)
            return
        number = reader.line_num + 1
        for values in reader:
            if values:
                yield _csv_row(header, values, keys, number)
            number = reader.line_num + 1
    except csv.Error as error:
        yield Fault(f"not CSV: {error}", reader.line_num)


def _csv_row(header: list[str], values: list[str], keys: Keys, number: int) -> Row | Fault:
    if len(values) != len(header):
        return Fault(f"expected {len(header)} values, found {len(values)}", number)
    try:
        return row_of(dict(zip(header, values, strict=True)), keys, number)
    except InputError as error:
        return Fault(str(error), number)


def _dataset_rows(spec: PairsSpec, keys: Keys) -> Iterator[Row | Fault]:
    dataset = _load_dataset(spec)
    if reason := _header_fault(dataset.column_names, keys):
        yield Fault(reason)
        return
    wanted = dataset.select_columns(sorted(keys.read_of(dataset.column_names)))
    for number, row in enumerate(wanted, start=1):
        try:
            yield row_of(row, keys)
        except InputError as error:
            yield Fault(f"row {number}: {error}")


def _dataset_origin(spec: PairsSpec) -> dict[str, str]:
    """The dataset, its split, and the commit that its files are of."""
    stated = spec.model_dump(include={"dataset", "config", "split"}, exclude_none=True)
    return {**stated, "revision": _dataset_folder(spec).name}


def _dataset_folder(spec: PairsSpec) -> Path:
    return hub_folder("dataset", str(spec.dataset), spec.revision)


@functools.cache
def _load_dataset(spec: PairsSpec) -> Any:
    try:
        import datasets
    except ImportError:
        raise NotAtHand(
            f"the dataset {spec.dataset} is read with the package datasets, which is not installed;"
            " `pip install 'pytest-circuit-replication[hub]'` brings it"
        ) from None
    folder = _dataset_folder(spec)
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        return datasets.load_dataset(str(folder), spec.config, split=spec.split)
    except Exception as error:  # whatever files of any kind can make the library raise
        reason = library_reason(error)
        raise InputError(f"{spec.dataset}: datasets cannot read it: {reason}") from None


def _header_fault(header: Sequence[str], keys: Keys) -> str | None:
    """What is wrong with the names of the columns."""
    if repeated := repeats(header):
        return f"the column {quoted(repeated[0])} stands there more than once"
    if not keys.fit(header):
        return f"expected the columns {keys.apart(header)}"
    return None
