"""The experiment spec: which model, which pairs, which selection, which published results.

An experiment is a folder with an `experiment.toml`; the folder's name is the experiment's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
    field_validator,
    model_validator,
)

from replication.components import ModelShape, WriteCosts
from replication.files import (
    Fault,
    FileError,
    InputError,
    load_json,
    read_lines,
    read_toml,
    validate,
)

# One line, whatever the file's own lines: it goes to terminals and into tables.
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1),
    AfterValidator(lambda text: " ".join(text.split())),
]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ModelSpec(_Table):
    """The model: a name on the hub, or a folder inside an installed Python package."""

    name: Annotated[str, StringConstraints(min_length=1)] | None = None
    package: Annotated[str, StringConstraints(min_length=1)] | None = None
    folder: str = "."
    install: str | None = None
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    shape: ModelShape

    @model_validator(mode="after")
    def _one_source(self) -> ModelSpec:
        if (self.name is None) == (self.package is None):
            raise ValueError("expected either a name on the hub or a package, and not both")
        return self

    @property
    def label(self) -> str:
        """How reports name the model."""
        return self.name or str(self.package)


class ScoringSpec(_Table):
    """What a published score was computed from.

    `centred` is the MLP output less its mean over d_model: what a library that centres the
    writing weights (TransformerLens' default processing) reports. `raw` is the output itself.
    """

    mlp_out: Literal["centred", "raw"]


class SelectionSpec(_Table):
    """The write budget (dimensions), the MLPs' threshold (a score), the cost convention."""

    budget: PositiveInt
    mlp_threshold: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    input_counts: bool


class VerificationSpec(_Table):
    """How many times the pairs are drawn again, and the seed of everything drawn."""

    resamples: PositiveInt = 10_000
    seed: NonNegativeInt = 0


class ResultSpec(_Table):
    """One published result: where its figures are, relative to the spec.

    A circuit, a score table, and what was published of the prompts' lengths and mean norms.
    """

    about: Text
    circuit: str | None = None
    scores: str | None = None
    lengths: str | None = None


class Spec(_Table):
    """The content of an `experiment.toml`."""

    title: Text
    task: Text
    sides: Annotated[tuple[Name, Name], Field(strict=False)]
    pairs: str
    measures: Name
    recorded: str = "recorded.safetensors"
    claims: str = "claims.toml"
    model: ModelSpec
    scoring: ScoringSpec
    selection: SelectionSpec
    verification: VerificationSpec = VerificationSpec()
    results: dict[Name, ResultSpec] = Field(default_factory=dict)

    @field_validator("sides")
    @classmethod
    def _two_sides(cls, sides: tuple[str, str]) -> tuple[str, str]:
        if sides[0] == sides[1]:
            raise ValueError(f"both are called {sides[0]!r}")
        return sides

    @property
    def costs(self) -> WriteCosts:
        """The write costs under the convention that the spec states."""
        shape = self.model.shape
        return WriteCosts(shape.d_model, shape.d_head, self.selection.input_counts)


class Pair(NamedTuple):
    """Two prompts that differ in the property studied, in the order of the spec's sides."""

    first: str
    second: str


@dataclass(frozen=True)
class Experiment:
    """One result under test: its folder, its spec and its pairs."""

    folder: Path
    spec: Spec
    pairs: list[Pair]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name


def read_experiment(folder: Path) -> Experiment:
    """The experiment in a folder.

    Raises:
        InputError: naming the file, the key and the reason.
    """
    path = folder / "experiment.toml"
    spec = validate(Spec, read_toml(path), path)
    return Experiment(folder.resolve(), spec, read_pairs(folder / spec.pairs, spec.sides))


def read_pairs(path: Path, sides: tuple[str, str]) -> list[Pair]:
    """The pairs of a JSONL file: one object a line, with a prompt for each side.

    Raises:
        InputError: naming the file, the line and the reason.
    """
    return list(stream_pairs(path, sides))


def count_pairs(path: Path, sides: tuple[str, str]) -> int:
    """How many pairs a JSONL file holds, after reading every line of it.

    Raises:
        InputError: naming the file, the line and the reason.
    """
    return sum(1 for _ in stream_pairs(path, sides))


def stream_pairs(path: Path, sides: tuple[str, str]) -> Iterator[Pair]:
    """The pairs of a JSONL file, one by one, in memory that does not grow with the file.

    Raises:
        InputError: naming the file, the line and the reason, when it comes to the line at fault.
    """
    for row in read_rows(path, sides):
        if isinstance(row, Fault):
            raise FileError(
                path, [row], row.reason if row.line is None else f"line {row.line}: {row.reason}"
            )
        yield row


def read_rows(path: Path, sides: tuple[str, str]) -> Iterator[Pair | Fault]:
    """The pairs of a JSONL file, and, in their places, what is wrong with lines that hold none.

    Raises:
        InputError: the file cannot be read.
    """
    is_empty = True
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            is_empty = False
            try:
                yield _pair(load_json(line.rstrip()), sides)
            except InputError as error:
                yield Fault(str(error), number)
    if is_empty:
        yield Fault("there are no pairs in it")


def _pair(data: object, sides: tuple[str, str]) -> Pair:
    if not isinstance(data, dict) or set(data) != set(sides):
        found = ", ".join(map(repr, data)) if isinstance(data, dict) else repr(data)
        raise InputError(
            f"expected an object with the keys {sides[0]!r} and {sides[1]!r}, found {found}"
        )
    for side in sides:
        if not isinstance(data[side], str):
            raise InputError(f"{side}: expected a text, found {data[side]!r}")
        if not data[side].strip():
            raise InputError(f"{side}: the prompt is empty")
        try:
            data[side].encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{side}: the prompt is no text: {error.reason}") from None
    return Pair(data[sides[0]], data[sides[1]])


def find_experiments(folder: Path) -> list[Path]:
    """The folders in `folder` that hold an `experiment.toml`, by name.

    Raises:
        InputError: there is no such folder, or no experiment in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder of experiments")
    found = sorted(path.parent for path in folder.glob("*/experiment.toml"))
    if not found:
        raise InputError(f"{folder}: no folder in it holds an experiment.toml")
    return found
