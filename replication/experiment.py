"""The experiment spec: which model, which pairs, which selection, which published results.

An experiment is a folder with an `experiment.toml`; the folder's name is the experiment's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

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
from replication.files import InputError, read_toml, validate
from replication.pairs import AnyPairs, Pair, PairSource, Word, source_of

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
    """The model: a name on the hub, a folder in an installed Python package, or just a folder.

    `revision` is a branch, a tag or a commit of the hub's. A folder by itself is told from the
    spec's own.
    """

    name: Word | None = None
    revision: Word | None = None
    package: Word | None = None
    folder: Word | None = None
    install: str | None = None
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    shape: ModelShape

    @model_validator(mode="after")
    def _one_source(self) -> ModelSpec:
        sources = (self.name, self.package, None if self.package else self.folder)
        if sum(source is not None for source in sources) != 1:
            raise ValueError(
                "expected either a name on the hub or a package, and not both, or a folder alone"
            )
        if self.revision is not None and self.name is None:
            raise ValueError("a revision is of a model on the hub")
        return self

    @property
    def label(self) -> str:
        """How reports name the model."""
        return self.name or self.package or Path(str(self.folder)).name

    def told_from(self, folder: Path) -> ModelSpec:
        """The same model, its own folder, if it has one, told from this one."""
        if self.name or self.package:
            return self
        return self.model_copy(update={"folder": str((folder / str(self.folder)).resolve())})


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
    pairs: AnyPairs
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


@dataclass(frozen=True)
class Experiment:
    """One result under test: its folder, its spec and its pairs."""

    folder: Path
    spec: Spec
    source: PairSource

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @cached_property
    def pairs(self) -> list[Pair]:
        """The pairs, read once.

        Raises:
            NotAtHand: they are a dataset's that cannot be had here.
            InputError: naming the file, the line and the reason.
        """
        return list(self.source.stream())


def read_experiment(folder: Path) -> Experiment:
    """The experiment in a folder; a dataset's pairs are read when they are asked for.

    Raises:
        InputError: naming the file, the key and the reason.
    """
    path = folder / "experiment.toml"
    spec = validate(Spec, read_toml(path), path)
    experiment = experiment_of(folder, spec)
    if spec.pairs.file is not None:
        _ = experiment.pairs  # a file at fault is refused at once
    return experiment


def experiment_of(folder: Path, spec: Spec) -> Experiment:
    """The experiment of a spec that stands in a folder, from where the spec's paths are told."""
    model = spec.model.told_from(folder)
    source = source_of(spec.pairs, folder, spec.sides)
    return Experiment(folder.resolve(), spec.model_copy(update={"model": model}), source)


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
