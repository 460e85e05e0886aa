"""Attention scores: which tokens of a prompt are attended from and to, as a spec names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from replication.experiment.pairs import Word
from replication.experiment.table import Table
from replication.inputs.messages import listed, quoted

# Of what rests on mean activations, where scores are attention weights.
NOT_OF_ATTENTION = "does not apply: attention weights"


class PositionSpec(Table):
    """A token of a pair's first prompt: a word's, or the last one."""

    word: Word | None = None
    """The column of the pairs that holds the word."""
    occurrence: PositiveInt | Literal["last"] | None = None
    """Which of the word's places in the prompt is meant: 1 is the first, or `last`."""
    last: Literal[True] | None = None
    """The last token that the model sees, one that was added too."""

    @model_validator(mode="after")
    def _one_form(self) -> PositionSpec:
        if (self.word is None) == (self.last is None):
            raise ValueError("expected either a word or last = true, and not both")
        if (self.word is None) != (self.occurrence is None):
            raise ValueError("word and occurrence belong together: occurrence = 1 is the first")
        return self


class AttentionTable(Table):
    """A table of scores: how much each head attends from one position to another."""

    from_: Word = Field(alias="from")
    """The position that attends."""
    to: Word
    """The position that is attended to; in a decoder one before it."""

    def __str__(self) -> str:
        return f"from {self.from_} to {self.to}"


def name_faults(
    positions: Mapping[str, PositionSpec], tables: Mapping[str, AttentionTable]
) -> Iterator[str]:
    """What is wrong with the names of positions in the tables."""
    for name, table in tables.items():
        for key, position in (("from", table.from_), ("to", table.to)):
            if position not in positions:
                there = listed(map(quoted, positions)) or "none"
                yield f"tables: {name}: {key}: no position {quoted(position)}; there are {there}"
        if table.from_ == table.to:
            yield f"tables: {name}: from and to are both {quoted(table.to)}"
    used = {position for table in tables.values() for position in (table.from_, table.to)}
    if unused := [name for name in positions if name not in used]:
        yield f"positions: no table uses {listed(map(quoted, unused))}"
