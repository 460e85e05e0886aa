"""Conditions: what an expression states of values, each of which its figures' digits allow.

`==` has two readings, by what stands beside it. A figure that stands by itself on one side, and
nowhere else but so, states the other side to its digits: `abs(F_M - F_C) / F_M == share`, with a
share of 13%, says that the quotient lies from 12.5% to 13.5%. So does a decimal or a percentage
that is written there. A figure that its source computed from others as they are printed states what
their printed values give, whatever else their digits allow. Between anything else `==` means one
and the same value. A whole number is a count, and exact.

Two figures that stand by themselves: the coarser states the finer. Of as many digits, but not the
same ones, they are never one value, although their intervals may share an end: rounding keeps the
order. Where they share more, as 0.5 that was truncated and 0.6 that was rounded, they may be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from replication.arithmetic.bounds import Box, Unbounded, enclosure
from replication.arithmetic.expressions import (
    Binary,
    Call,
    Comparison,
    In,
    Logical,
    Name,
    Negative,
    Number,
    Power,
    Relation,
    Tree,
    walk,
)
from replication.arithmetic.figures import Figure, ListedSet, read_figure
from replication.arithmetic.polynomials import constant
from replication.circuits.intervals import Interval, Verdict, all_of, equals, negated

Known = Mapping[str, Figure | ListedSet]


@dataclass(frozen=True)
class Related:
    """`left` less `right` is related to 0."""

    difference: Tree
    relation: Relation


@dataclass(frozen=True)
class Within:
    """A value lies in an interval, both ends included."""

    value: Tree
    stated: Interval


@dataclass(frozen=True)
class Fixed:
    """Something that hangs on no value."""

    is_so: bool


@dataclass(frozen=True)
class Not:
    """The opposite."""

    part: Condition


@dataclass(frozen=True)
class AllOf:
    """Every part."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyOf:
    """One part at least."""

    parts: tuple[Condition, ...]


Condition = Related | Within | Fixed | Not | AllOf | AnyOf


def condition_of(tree: Tree, known: Known, stating: set[str] | None = None) -> Condition:
    """What a tree states; `stating` names the figures that only ever state, if not by it alone."""
    found = stating_in([tree]) if stating is None else stating
    match tree:
        case Logical(word="not"):
            return Not(condition_of(tree.parts[0], known, found))
        case Logical():
            parts = tuple(condition_of(part, known, found) for part in tree.parts)
            return AllOf(parts) if tree.word == "and" else AnyOf(parts)
        case In():
            listed = known[tree.of.name]
            assert isinstance(listed, ListedSet)
            return Fixed(tree.member in listed.members)
        case Comparison():
            pairs = zip(pairwise(tree.operands), tree.relations, strict=True)
            parts = tuple(_pair(*sides, relation, known, found) for sides, relation in pairs)
            return parts[0] if len(parts) == 1 else AllOf(parts)
    raise AssertionError(tree)


def stating_in(trees: list[Tree]) -> set[str]:
    """The figures that stand nowhere but by themselves on a side of `==` or `!=`."""
    everywhere, alone = Counter[str](), Counter[str]()
    for tree in trees:
        for part in walk(tree):
            if isinstance(part, Name):
                everywhere[part.name] += 1
            if isinstance(part, Comparison):
                for place, operand in enumerate(part.operands):
                    beside = part.relations[max(place - 1, 0) : place + 1]
                    if isinstance(operand, Name) and set(beside) <= {"==", "!="}:
                        alone[operand.name] += 1
    return {name for name, count in everywhere.items() if alone[name] == count}


def stated_side(left: Tree, right: Tree, known: Known, stating: set[str]) -> int | None:
    """Which of two equated sides states the other, 0 or 1; None where they are one value."""
    widths = {
        side: stated.width
        for side, tree in enumerate((left, right))
        if (stated := _stated(tree, known, stating)) is not None
    }
    return max(widths, key=lambda side: (widths[side], side), default=None)


def stated_values(side: Tree, known: Known) -> Interval:
    """The values that a side which states allows."""
    if isinstance(side, Number):
        return read_figure(side.text).values
    assert isinstance(side, Name)
    figure = known[side.name]
    assert isinstance(figure, Figure)
    return figure.values


def _stated(side: Tree, known: Known, stating: set[str]) -> Interval | None:
    if isinstance(side, Number) and side.text:
        return None if side.text.lstrip("-").isdigit() else stated_values(side, known)
    if isinstance(side, Name) and side.name in stating:
        return stated_values(side, known)
    return None


def _pair(
    left: Tree, right: Tree, relation: Relation, known: Known, stating: set[str]
) -> Condition:
    sets = [_members(side, known) for side in (left, right)]
    if sets[0] is not None:
        return Fixed((sets[0] == sets[1]) == (relation == "=="))
    if (order := printed_order(left, right, known)) != 0:
        return Related(Number(Fraction(order), "", left.at), relation)
    if relation == "!=":
        return Not(_pair(left, right, "==", known, stating))
    if relation == "==":
        side = stated_side(left, right, known, stating)
        if side is not None:
            stating_side, other = (left, right) if side == 0 else (right, left)
            return Within(taken_by(stating_side, other, known), stated_values(stating_side, known))
    left, right = counted(left, known), counted(right, known)
    difference = Binary("-", left, right, left.at)
    always = constant(difference)
    if always is not None:
        return Related(Number(always, "", left.at), relation)
    return Related(difference, relation)


def taken_by(stating: Tree, other: Tree, known: Known) -> Tree:
    """What a side states of the other: of its printed values, where it was computed from those."""
    figure = known[stating.name] if isinstance(stating, Name) else None
    taken = counted(other, known)
    if not (isinstance(figure, Figure) and figure.computed):
        return taken

    def printed(part: Tree) -> Tree | None:
        found = known[part.name] if isinstance(part, Name) else None
        if not isinstance(found, Figure) or found.is_bound:
            return None
        return Number(found.value, "", part.at)

    return replaced(taken, printed)


def printed_order(left: Tree, right: Tree, known: Known) -> Literal[-1, 0, 1]:
    """Which of two figures of as many digits is the larger; 0 where these do not tell."""
    one, other = (known[side.name] if isinstance(side, Name) else None for side in (left, right))
    if not (isinstance(one, Figure) and isinstance(other, Figure)) or one.about or other.about:
        return 0
    if one.is_bound or other.is_bound:
        return 0
    if one.values == other.values or one.values.width != other.values.width:
        return 0
    if one.values.high <= other.values.low:
        return -1
    return 1 if other.values.high <= one.values.low else 0


def _members(side: Tree, known: Known) -> set[str] | None:
    found = known[side.name] if isinstance(side, Name) else None
    return set(found.members) if isinstance(found, ListedSet) else None


def counted(tree: Tree, known: Known) -> Tree:
    """The tree with the sizes of listed sets in place of their counts."""

    def number(part: Tree) -> Tree | None:
        if not (isinstance(part, Call) and part.function == "count"):
            return None
        assert isinstance(part.of[0], Name)
        listed = known[part.of[0].name]
        assert isinstance(listed, ListedSet)
        return Number(Fraction(len(listed.members)), "", part.at)

    return replaced(tree, number)


def replaced(tree: Tree, by: Callable[[Tree], Tree | None]) -> Tree:
    """The tree with what `by` gives in place of its parts, where it gives something."""
    if (found := by(tree)) is not None:
        return found
    match tree:
        case Negative():
            return Negative(replaced(tree.of, by), tree.at)
        case Power():
            return Power(replaced(tree.base, by), tree.exponent, tree.at)
        case Binary():
            left, right = replaced(tree.left, by), replaced(tree.right, by)
            return Binary(tree.operator, left, right, tree.at)
        case Call():
            of = tuple(replaced(part, by) for part in tree.of)
            return Call(tree.function, of, tree.at, tree.digits)
        case Comparison():
            operands = tuple(replaced(part, by) for part in tree.operands)
            return Comparison(operands, tree.relations, tree.shown, tree.at)
        case Logical():
            parts = tuple(replaced(part, by) for part in tree.parts)
            return Logical(tree.word, parts, tree.at)
        case _:
            return tree


def box_of(known: Known) -> dict[str, Interval]:
    """The values that the digits of figures allow."""
    return {name: one.values for name, one in known.items() if isinstance(one, Figure)}


def names_of(condition: Condition) -> set[str]:
    """The figures that a condition hangs on."""
    match condition:
        case Related():
            trees = [condition.difference]
        case Within():
            trees = [condition.value]
        case Fixed():
            return set()
        case Not():
            return names_of(condition.part)
        case AllOf() | AnyOf():
            return set().union(*map(names_of, condition.parts))
    return {part.name for tree in trees for part in walk(tree) if isinstance(part, Name)}


def status(condition: Condition, box: Box) -> Verdict:
    """Whether a condition holds for all values in a box, is refuted by all, or neither is known."""
    match condition:
        case Fixed():
            return "holds" if condition.is_so else "refuted"
        case Not():
            return negated(status(condition.part, box))
        case AllOf():
            return all_of(status(part, box) for part in condition.parts)
        case AnyOf():
            return negated(all_of(negated(status(part, box)) for part in condition.parts))
        case Within():
            return _within(condition, box)
        case Related():
            try:
                difference = enclosure(condition.difference, box)
            except Unbounded:
                return "undecided"
            return _related(difference, condition.relation)


def _within(condition: Within, box: Box) -> Verdict:
    try:
        return equals(enclosure(condition.value, box), condition.stated)
    except Unbounded:
        return "undecided"


def _related(difference: Interval, relation: Relation) -> Verdict:
    low, high = difference.low, difference.high
    match relation:
        case "<":
            return "holds" if high < 0 else "refuted" if low >= 0 else "undecided"
        case "<=":
            return "holds" if high <= 0 else "refuted" if low > 0 else "undecided"
        case ">":
            return negated(_related(difference, "<="))
        case ">=":
            return negated(_related(difference, "<"))
        case "!=":
            return negated(_related(difference, "=="))
        case "==":
            if low == high == 0:
                return "holds"
            return "refuted" if low > 0 or high < 0 else "undecided"


def atoms_of(condition: Condition) -> list[Related | Within]:
    """The comparisons that a condition is made of."""
    match condition:
        case Related() | Within():
            return [condition]
        case Not():
            return atoms_of(condition.part)
        case AllOf() | AnyOf():
            return [atom for part in condition.parts for atom in atoms_of(part)]
        case Fixed():
            return []


def nonzero(tree: Tree) -> Condition:
    """The condition that a divisor is not zero."""
    return Related(tree, "!=")


def divisors_in(tree: Tree) -> list[Tree]:
    """What a tree divides by."""
    found: list[Tree] = []
    for part in walk(tree):
        if isinstance(part, Binary) and part.operator == "/":
            found.append(part.right)
        if isinstance(part, Power) and part.exponent < 0:
            found.append(part.base)
    return found
