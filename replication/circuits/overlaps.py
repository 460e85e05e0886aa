"""Overlaps: what several circuits share, two by two and all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

from replication.circuits.circuit import Circuit
from replication.circuits.comparison import (
    AMONG,
    Cost,
    Overlap,
    cost_of,
    describe_cost,
    overlap,
)
from replication.circuits.components import Component, Kind, names


@dataclass(frozen=True)
class Member:
    """One of several circuits: what it holds and costs, and what no other of them holds."""

    name: str
    nodes: int
    mlps: int
    heads: int
    only_here: list[str]
    cost: Cost
    aside: tuple[str, ...]


@dataclass(frozen=True)
class Shared:
    """How many components two circuits share, of all that stand in either."""

    shared: int
    either: int
    percent: float | None

    @classmethod
    def of(cls, found: Overlap) -> Shared:
        """What an overlap is of the union."""
        either = found.left + found.right - found.shared
        percent = round(100 * found.shared / either, 4) if either else None
        return cls(found.shared, either, percent)

    def __str__(self) -> str:
        percent = "" if self.percent is None else f" ({self.percent:.1f}%)"
        return f"{self.shared} of {self.either}{percent}"


@dataclass(frozen=True)
class Two:
    """What two of several circuits share, of all nodes and by kind."""

    circuits: tuple[str, str]
    shared: Mapping[Kind | Literal["all"], Shared]


@dataclass(frozen=True)
class Overlaps:
    """What several circuits share; `held` is in how many of them each component stands."""

    circuits: Sequence[Member]
    overlaps: Sequence[Two]
    in_all: list[str]
    held: Mapping[str, int]

    def data(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


def overlaps(circuits: Mapping[str, Circuit]) -> Overlaps:
    """What several circuits, by name, share."""
    counts = Counter(node for circuit in circuits.values() for node in circuit.nodes)
    return Overlaps(
        [_member(name, circuit, counts) for name, circuit in circuits.items()],
        [_two(names, *map(circuits.__getitem__, names)) for names in combinations(circuits, 2)],
        names(
            node for node in next(iter(circuits.values())).nodes if counts[node] == len(circuits)
        ),
        {str(node): counts[node] for node in sorted(counts)},
    )


def _member(name: str, circuit: Circuit, counts: Mapping[Component, int]) -> Member:
    return Member(
        name,
        len(circuit.nodes),
        len(circuit.of_kind("mlp")),
        len(circuit.of_kind("head")),
        names(node for node in circuit.nodes if counts[node] == 1),
        cost_of(circuit),
        circuit.aside,
    )


def _two(both: tuple[str, str], left: Circuit, right: Circuit) -> Two:
    found = {one: Shared.of(overlap(left.of_kind(one), right.of_kind(one))) for one in AMONG}
    return Two(both, found)


def describe_overlaps(found: Overlaps) -> Iterator[str]:
    """The overlaps in words: a table, what all circuits hold, and what only one of them does."""
    rows = [["shared, of all that stand in either", *AMONG.values()]]
    rows += [[" and ".join(two.circuits), *map(str, two.shared.values())] for two in found.overlaps]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
    shared, number = found.in_all, len(found.circuits)
    listed = ", ".join(shared) or "none"
    yield f"in all {number}: {len(shared)} of {len(found.held)} nodes: {listed}"
    for one in found.circuits:
        yield f"only in {one.name}: {', '.join(one.only_here) or 'none'}"
    for one in found.circuits:
        yield f"cost of {one.name}: {describe_cost(one.cost)}"
    for one in found.circuits:
        yield from (f"note: {one.name}: {reason}" for reason in one.aside)
