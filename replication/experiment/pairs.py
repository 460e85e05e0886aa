"""Pairs: two prompts each, from a JSONL or a CSV file, or from a dataset of the hub."""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from replication.inputs.files import (
    Fault,
    FileError,
    InputError,
    NotJSON,
    load_json,
    read_lines,
    repeats,
)
from replication.inputs.hub import NotAtHand, hub_folder
from replication.inputs.messages import library_reason, listed, quoted

Word = Annotated[str, StringConstraints(min_length=1)]
BAR = "|"  # between several answers in one text


def _inside(path: str) -> str:
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(f"expected a path inside the experiment's folder, found {path!r}")
    return path


# A file of the experiment's own, in its folder or in one below.
OwnFile = Annotated[str, StringConstraints(min_length=1), AfterValidator(_inside)]
Sides = tuple[str, str]


class Pair(NamedTuple):
    """Two prompts that differ in the property studied, in the order of the spec's sides."""

    first: str
    second: str


# A pair's answers, by the column that holds them.
Answers = Mapping[str, tuple[str, ...]]


class Row(NamedTuple):
    """A pair as it is read: its line in a file that has lines, and the group that it is put in.

    `answers` are by column, and `counterparts` the further prompts that were asked for.
    """

    pair: Pair
    line: int | None = None
    group: str | None = None
    answers: Answers = MappingProxyType({})
    counterparts: tuple[str, ...] = ()


class PairsSpec(BaseModel):
    """Where the pairs come from: a JSONL or CSV file, or a split of a dataset on the hub."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    file: OwnFile | None = None
    """A JSONL or CSV file, relative to the spec."""
    dataset: Word | None = None
    """A dataset of the hub."""
    config: Word | None = None
    """Its configuration, where it has several."""
    split: Word | None = None
    """Its split."""
    revision: Word | None = None
    """Which one of the hub: a branch, a tag, or, to stay the same, a commit."""
    columns: Annotated[tuple[Word, Word], Field(strict=False)] | None = None
    """The prompts' keys or columns, in the order of the sides; others are left aside. Without it
    they are called as the sides are, and there must be no others."""
    group: Word | None = None
    """The key or column that says which pairs belong together, and so count as one: those that were
    made from one text, one template, one scene."""

    @model_validator(mode="after")
    def _one_source(self) -> PairsSpec:
        if (self.file is None) == (self.dataset is None):
            raise ValueError("expected either a file or a dataset on the hub, and not both")
        if (self.split is None) != (self.dataset is None):
            raise ValueError("dataset and split belong together")
        if self.dataset is None and (self.revision or self.config):
            raise ValueError("revision and config are a dataset's")
        return self

    def keys(
        self, sides: Sides, answers: Sequence[str] = (), counterparts: Sequence[str] = ()
    ) -> Keys:
        """The keys or columns that are read."""
        return Keys(
            self.columns or sides,
            self.group,
            self.columns is not None,
            tuple(answers),
            tuple(counterparts),
        )


class Keys(NamedTuple):
    """The keys or columns of a pair: of its prompts, and of its group, if there is one.

    There may be others beside them where it was said which ones to read. `answers` are columns of
    answers, and `counterparts` those of further prompts.
    """

    prompts: Sides
    group: str | None = None
    others: bool = False
    answers: tuple[str, ...] = ()
    counterparts: tuple[str, ...] = ()

    @property
    def wanted(self) -> list[str]:
        """All names that are read, each once."""
        group = [self.group] if self.group else []
        return list(dict.fromkeys([*self.prompts, *self.counterparts, *group, *self.answers]))

    def fit(self, names: Iterable[str]) -> bool:
        """Whether a pair with these names can be read."""
        wanted = set(self.wanted)
        return set(names) >= wanted if self.others else set(names) == wanted

    def apart(self, names: Collection[str]) -> str:
        """Which names are expected, and what stands in their stead or beside them."""
        wanted = self.wanted
        expected = " and ".join(map(repr, wanted))
        more = [repr(name) for name in names if name not in wanted]
        has_all = len(names) == len(more) + len(wanted)
        found = f"also {listed(more)}" if has_all else listed(map(repr, names))
        way_out = "" if self.others else "; pairs.columns says which two to read"
        return f"{expected}, found {found}{way_out}"


def _file_alone(given: Any) -> Any:
    return {"file": given} if isinstance(given, str) else given


AnyPairs = Annotated[
    PairsSpec, BeforeValidator(_file_alone, json_schema_input_type=str | PairsSpec)
]


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
    """The pairs of a file: CSV if it is called so, else JSONL, one object a line."""
    read = _csv_rows if path.suffix.lower() == ".csv" else _jsonl_rows
    return PairSource(str(path), lambda: _distinct(read(path, keys)), lambda: {"file": path.name})


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
    if _is_one_document(path, keys.prompts):
        yield Fault("expected JSONL, one object a line, or a .csv file, found one JSON document")
        return
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            try:
                yield _row(load_json(line.rstrip()), keys, number)
            except InputError as error:
                yield Fault(str(error), number)


def _is_one_document(path: Path, keys: Sides) -> bool:
    """Whether JSON goes on after its first line, or its only line holds more than a pair."""
    first, second, *_ = [*islice(filter(str.strip, read_lines(path)), 2), "", ""]
    try:
        data = load_json(first.strip())
    except NotJSON as error:
        return bool(first) and error.is_cut and (first[0] == "[" or not _is_object(second))
    if second or (isinstance(data, dict) and set(keys) <= set(data)):
        return False
    values = data.values() if isinstance(data, dict) else data if isinstance(data, list) else []
    return any(isinstance(value, dict | list) for value in values)


def _is_object(text: str) -> bool:
    try:
        return isinstance(load_json(text.strip()), dict)
    except NotJSON:
        return False


def _csv_rows(path: Path, keys: Keys) -> Iterator[Row | Fault]:
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
        return _row(dict(zip(header, values, strict=True)), keys, number)
    except InputError as error:
        return Fault(str(error), number)


def _dataset_rows(spec: PairsSpec, keys: Keys) -> Iterator[Row | Fault]:
    dataset = _load_dataset(spec)
    if reason := _header_fault(dataset.column_names, keys):
        yield Fault(reason)
        return
    wanted = dataset.select_columns(keys.wanted)
    for number, row in enumerate(wanted, start=1):
        try:
            yield _row(row, keys, None)
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


def _row(data: object, keys: Keys, line: int | None) -> Row:
    first, second = keys.prompts
    if not isinstance(data, dict):
        expected = f"expected an object with the keys {first!r} and {second!r}"
        raise InputError(f"{expected}, found {quoted(data)}")
    if not keys.fit(data):
        raise InputError(f"expected an object with the keys {keys.apart(data)}")
    for key in (*keys.prompts, *keys.counterparts):
        if not isinstance(data[key], str):
            raise InputError(f"{key}: expected a text, found {quoted(data[key])}")
        if not data[key].strip():
            raise InputError(f"{key}: the prompt is empty")
        try:
            data[key].encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{key}: the prompt is no text: {error.reason}") from None
    for key in (second, *keys.counterparts):
        if data[first] == data[key]:
            raise InputError(f"{first} and {key}: the two prompts are the same text")
    return Row(
        Pair(data[first], data[second]),
        line,
        _group(data, keys.group),
        {key: _answers(data[key], key) for key in keys.answers},
        tuple(data[key] for key in keys.counterparts),
    )


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


def _group(data: Mapping[str, object], key: str | None) -> str | None:
    """The group's name: a text or a whole number."""
    if key is None:
        return None
    group = data[key]
    if isinstance(group, bool) or not isinstance(group, str | int) or not str(group).strip():
        raise InputError(
            f"{key}: expected the name or the number of a group, found {quoted(group)}"
        )
    return str(group)
