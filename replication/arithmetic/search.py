"""Verdicts by subdivision: a box of digits is halved until every part is known, or for so long.

A condition is true at some points of a box of figures, and false at others. It holds if it is true
at all of them, is refuted if at none, and is undecided if points of both kinds were found, or if
neither could be shown with the effort that is stated here. Everything is exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from itertools import count

from replication.arithmetic.bounds import Box, Unbounded, slopes_of
from replication.arithmetic.conditions import (
    AllOf,
    Condition,
    Related,
    Within,
    atoms_of,
    divisors_in,
    names_of,
    nonzero,
    status,
)
from replication.arithmetic.expressions import Tree, names_in, walk
from replication.circuits.intervals import Interval, Verdict, exact

# How many boxes are looked at: as many as take a second or so where an expression is long, and no
# more than settle what digits can settle where it is short. Once points of both kinds are known
# only the shares are left, which so many boxes tell to a percent or two.
MOST_BOXES, MOST_STEPS, BOXES_FOR_SHARES, FEWEST_BOXES = 1000, 20_000, 256, 64

Point = dict[str, Fraction]


@dataclass(frozen=True)
class Decision:
    """A verdict, how much of the box it is known to be true and false of, and after how many boxes.

    `is_open` of an undecided one says that effort ran out before points of both kinds were found.
    """

    verdict: Verdict
    true: Fraction
    false: Fraction
    boxes: int
    is_open: bool = False


@dataclass(frozen=True)
class Joint:
    """Whether conditions can be true at once: where, or what excludes it.

    `excludes` are the numbers of those that exclude some of the box, from 0 on; `witness` is a
    point where all are true.
    """

    verdict: Verdict
    witness: Point | None
    excludes: Sequence[int]
    boxes: int


def decide(condition: Condition, box: Box, of: int = 1) -> Decision:
    """The verdict on a condition that is to be true of every value in a box.

    Where it is one `of` several that are asked about at once, they share the effort.
    """
    box = {name: box[name] for name in sorted(names_of(condition))}
    most, seen = max(effort([condition], box) // of, FEWEST_BOXES), set[bool]()
    shares: dict[Verdict, Fraction] = {"holds": Fraction(0), "refuted": Fraction(0)}
    queue = _Queue(box)
    boxes = 0
    while queue and boxes < (min(most, BOXES_FOR_SHARES) if len(seen) == 2 else most):
        share, part = queue.take()
        boxes += 1
        found = status(condition, part)
        if found != "undecided":
            shares[found] += share
            seen.add(found == "holds")
            continue
        if len(seen) < 2:
            there = {status(condition, _at(point)) for point in _probes(condition, part)}
            seen |= {one == "holds" for one in there if one != "undecided"}
        queue.put(share, _halves(condition, part, box))
    true, false = shares["holds"], shares["refuted"]
    if true == 1 or false == 1:
        return Decision("holds" if true == 1 else "refuted", true, false, boxes)
    return Decision("undecided", true, false, boxes, is_open=len(seen) < 2)


def find_joint(conditions: Sequence[Condition], box: Box) -> Joint:
    """Whether conditions can all be true at one point of a box."""
    whole = AllOf(tuple(conditions))
    box = {name: box[name] for name in sorted(names_of(whole))}
    most, excludes = effort(conditions, box), Counter[int]()
    queue, is_stuck = _Queue(box), False
    boxes = 0
    while queue and boxes < most:
        share, part = queue.take()
        boxes += 1
        found = [status(condition, part) for condition in conditions]
        if "refuted" in found:
            excludes[found.index("refuted")] += 1
            continue
        for point in _probes(whole, part):
            if status(whole, _at(point)) == "holds":
                return Joint("holds", point, (), boxes)
        halves = _halves(whole, part, box)
        is_stuck = is_stuck or not halves
        queue.put(share, halves)
    verdict: Verdict = "undecided" if queue or is_stuck else "refuted"
    return Joint(verdict, None, sorted(excludes), boxes)


def zero_divisor(tree: Tree, box: Box) -> Tree | None:
    """What a tree divides by that may be zero in a box, as far as is known.

    A divisor with a figure that the box does not hold is passed over.
    """
    divisors = list(dict.fromkeys(divisors_in(tree)))
    for divisor in divisors:
        if not {one.name for one in names_in(divisor)} <= set(box):
            continue
        if decide(nonzero(divisor), box, len(divisors)).verdict != "holds":
            return divisor
    return None


def effort(conditions: Sequence[Condition], box: Box) -> int:
    """How many boxes are looked at, at most: fewer the longer the conditions are."""
    atoms = [atom for condition in conditions for atom in atoms_of(condition)]
    size = sum(len(list(walk(_tree_of(atom)))) for atom in atoms)
    free = sum(one.low != one.high for one in box.values())
    return max(FEWEST_BOXES, min(MOST_BOXES, MOST_STEPS // (size * (1 + free) + 1)))


def _tree_of(atom: Related | Within) -> Tree:
    return atom.difference if isinstance(atom, Related) else atom.value


class _Queue:
    """Parts of a box, with their shares of it: the largest first, of as large ones the oldest."""

    def __init__(self, box: Box) -> None:
        self._parts: list[tuple[Fraction, int, Box]] = [(Fraction(-1), 0, box)]
        self._numbers = count(1)

    def __bool__(self) -> bool:
        return bool(self._parts)

    def take(self) -> tuple[Fraction, Box]:
        share, _, part = heappop(self._parts)
        return -share, part

    def put(self, share: Fraction, halves: Sequence[Box]) -> None:
        for half in halves:
            heappush(self._parts, (-share / 2, next(self._numbers), half))


def _at(point: Mapping[str, Fraction]) -> Box:
    return {name: exact(value) for name, value in point.items()}


def _halves(condition: Condition, part: Box, whole: Box) -> list[Box]:
    """A part of a box in two, across the figure that moves what is not known yet the most.

    There are none where every figure is exact.
    """
    free = [name for name, values in part.items() if values.low != values.high]
    if not free:
        return []
    weights = dict.fromkeys(free, Fraction(0))
    for atom in atoms_of(condition):
        if status(atom, part) == "undecided":
            _weigh(_tree_of(atom), part, weights)
    # Where no slope is known, the figure that was halved the least.
    widest = max(free, key=lambda name: (weights[name], part[name].width / whole[name].width))
    values = part[widest]
    sides = Interval(values.low, values.middle), Interval(values.middle, values.high)
    return [{**part, widest: side} for side in sides]


def _weigh(tree: Tree, part: Box, weights: dict[str, Fraction]) -> None:
    """Add how far each figure moves an expression in a part of a box, as a share of all."""
    try:
        slopes = slopes_of(tree, part)
    except Unbounded:
        return
    moves = {
        name: max(-slope.low, slope.high) * part[name].width
        for name, slope in slopes.items()
        if slope is not None
    }
    total = sum(moves.values()) or Fraction(1)
    for name, move in moves.items():
        weights[name] += move / total


def _probes(condition: Condition, part: Box) -> Iterator[Point]:
    """Points of a part of a box: its middle, and the corners where something is small and large."""
    middle = {name: values.middle for name, values in part.items()}
    yield middle
    for atom in atoms_of(condition):
        try:
            slopes = slopes_of(_tree_of(atom), part)
        except Unbounded:
            continue
        low, high = dict(middle), dict(middle)
        for name, slope in slopes.items():
            if slope is not None and slope.low >= 0:
                low[name], high[name] = part[name].low, part[name].high
            elif slope is not None and slope.high <= 0:
                low[name], high[name] = part[name].high, part[name].low
        yield from (low, high)
