"""Chunks: some pairs at a time, each chunk the same whoever runs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

One = TypeVar("One")

CHUNK_PAIRS = 64  # pairs of a part of a run: what is held, and what is lost with one that fails


@dataclass(frozen=True)
class Chunk(Generic[One]):
    """Some of the pairs, of which the first has this number, counted from 1."""

    pairs: Sequence[One]
    first: int

    @property
    def about(self) -> str:
        """Which pairs they are."""
        last = self.first + len(self.pairs) - 1
        return f"pair {last}" if last == self.first else f"pairs {self.first} to {last}"

    @property
    def size(self) -> int:
        """How many pairs are run, once each."""
        return len(self.pairs)


def in_chunks(pairs: Iterable[One]) -> Iterator[tuple[list[One], int]]:
    """A few pairs at a time, with the number of the first."""
    source, first = iter(pairs), 1
    while chunk := list(islice(source, CHUNK_PAIRS)):
        yield chunk, first
        first += len(chunk)
