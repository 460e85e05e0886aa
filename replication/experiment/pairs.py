"""Pairs: two prompts each, where they come from, and which keys or columns of it are read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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

from replication.experiment.places import keys_read
from replication.inputs.messages import listed

Word = Annotated[str, StringConstraints(min_length=1)]


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


# A pair's answers, by the column that holds them: texts, or token ids in digits.
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
    """Where the pairs come from: a JSONL, JSON or CSV file, or a split of a dataset on the hub."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    file: OwnFile | None = None
    """A JSONL, JSON or CSV file, relative to the spec."""
    list: Word | None = None
    """The key under which a JSON file holds the list of pairs, if it is not a list itself."""
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
    they are called as the sides are, and there must be no others. Deeper places are named like
    `counterfactual.prompt` and `prompts[0]`."""
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
        if self.list is not None and Path(self.file or "").suffix.lower() != ".json":
            raise ValueError("list is of a .json file")
        return self

    def keys(
        self,
        sides: Sides,
        answers: Sequence[str] = (),
        counterparts: Sequence[str] = (),
        ids: Sequence[str] = (),
    ) -> Keys:
        """The keys or columns that are read."""
        return Keys(
            self.columns or sides,
            self.group,
            self.columns is not None,
            tuple(answers),
            tuple(counterparts),
            tuple(ids),
            self.list,
        )


class Keys(NamedTuple):
    """The keys or columns of a pair: of its prompts, and of its group, if there is one.

    There may be others beside them where it was said which ones to read. `answers` are columns of
    answers, `ids` those of them that hold token ids, and `counterparts` those of further prompts.
    `under` is the key that holds the pairs of a JSON file.
    """

    prompts: Sides
    group: str | None = None
    others: bool = False
    answers: tuple[str, ...] = ()
    counterparts: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    under: str | None = None

    @property
    def wanted(self) -> list[str]:
        """All names that are read, each once."""
        group = [self.group] if self.group else []
        return list(dict.fromkeys([*self.prompts, *self.counterparts, *group, *self.answers]))

    def read_of(self, names: Collection[str]) -> set[str]:
        """Which keys of a row that has these are read, or would be."""
        return set().union(*(keys_read(column, names) for column in self.wanted))

    def fit(self, names: Collection[str]) -> bool:
        """Whether a pair with these names can be read."""
        read = self.read_of(names)
        return set(names) >= read if self.others else set(names) == read

    def apart(self, names: Collection[str]) -> str:
        """Which names are expected, and what stands in their stead or beside them."""
        expected = " and ".join(map(repr, self.wanted))
        read = self.read_of(names)
        more = [repr(name) for name in names if name not in read]
        has_all = len(names) == len(more) + len(read)
        found = f"also {listed(more)}" if has_all else listed(map(repr, names))
        way_out = "" if self.others else "; pairs.columns says which two to read"
        return f"{expected}, found {found}{way_out}"


def _file_alone(given: Any) -> Any:
    return {"file": given} if isinstance(given, str) else given


AnyPairs = Annotated[
    PairsSpec, BeforeValidator(_file_alone, json_schema_input_type=str | PairsSpec)
]
