"""Conditions that are to be true at once, of figures of one object.

A figure that an equation gives, and that stands in other conditions too, is replaced by what it
equals, which must lie in what its digits allow: so a point where everything is true is found where
an exact equation would leave next to none to find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from replication.arithmetic.bounds import value_at
from replication.arithmetic.conditions import (
    AllOf,
    Condition,
    Known,
    Within,
    box_of,
    condition_of,
    counted,
    printed_order,
    replaced,
    stating_in,
    taken_by,
)
from replication.arithmetic.expressions import (
    MOST_TOKENS,
    Comparison,
    Logical,
    Name,
    Tree,
    names_in,
    walk,
)
from replication.arithmetic.figures import Figure
from replication.arithmetic.search import Joint, find_joint
from replication.circuits.intervals import Interval


@dataclass(frozen=True)
class _Given:
    """A figure that the condition of a number gives: what it equals, and what its digits allow."""

    name: str
    equals: Tree
    allowed: Interval
    number: int


def judge_together(trees: Sequence[Tree], known: Known) -> Joint:
    """Whether conditions can be true at once; a witness names every figure in them."""
    stating = stating_in(list(trees))
    printed = [_of_printed(tree, known, stating) for tree in trees]
    rest, given = _eliminated(list(map(_parts, printed)), known, stating)
    conditions: list[Condition] = [
        AllOf(
            (
                *(condition_of(tree, known, stating) for tree in parts),
                *(Within(one.equals, one.allowed) for one in given if one.number == number),
            )
        )
        for number, parts in enumerate(rest)
    ]
    found = find_joint(conditions, box_of(known))
    if found.witness is None:
        return found
    point = dict(found.witness)
    for one in reversed(given):
        point[one.name] = value_at(one.equals, point)
    return Joint(found.verdict, _whole(point, trees, known), (), found.boxes)


def _whole(point: dict[str, Fraction], trees: Sequence[Tree], known: Known) -> dict[str, Fraction]:
    """The point with a value for the figures that only state, in the order they stand in."""
    values: dict[str, Fraction] = {}
    for name in (one.name for tree in trees for one in names_in(tree)):
        figure = known[name]
        if isinstance(figure, Figure) and name in point:
            values[name] = point[name]
    return values


def _parts(tree: Tree) -> list[Tree]:
    """What a tree states, one statement each, as far as they are joined by and."""
    if isinstance(tree, Logical) and tree.word == "and":
        return [part for inner in tree.parts for part in _parts(inner)]
    return [tree]


def _of_printed(tree: Tree, known: Known, stating: set[str]) -> Tree:
    """The tree in pairs, with printed values in what a figure states that was computed from those.

    So they stay when a figure is replaced by what it equals: that is another value than its print.
    """

    def pairs(part: Tree) -> Tree | None:
        if not isinstance(part, Comparison):
            return None
        found: list[Tree] = []
        for at, relation in enumerate(part.relations):
            one, other = part.operands[at : at + 2]
            sides = _taken(other, one, known, stating), _taken(one, other, known, stating)
            found.append(Comparison(sides, (relation,), part.shown[at : at + 2], part.at))
        return found[0] if len(found) == 1 else Logical("and", tuple(found), part.at)

    return replaced(tree, pairs)


def _taken(beside: Tree, side: Tree, known: Known, stating: set[str]) -> Tree:
    """A side, of printed values if a computed figure stands beside it that only ever states."""
    if not (isinstance(beside, Name) and beside.name in stating):
        return side
    is_stating = isinstance(side, Name) and side.name in stating
    return side if is_stating else taken_by(beside, side, known)


def _eliminated(
    conditions: list[list[Tree]], known: Known, stating: set[str]
) -> tuple[list[list[Tree]], list[_Given]]:
    """The conditions without the figures that equations give, and these, each by later ones."""
    given: list[_Given] = []
    while True:
        found = _equation(conditions, known, stating)
        if found is None:
            return conditions, given
        number, equation, name, equal = found

        def put(part: Tree, name: str = name, equal: Tree = equal) -> Tree | None:
            return equal if isinstance(part, Name) and part.name == name else None

        conditions = [
            [replaced(tree, put) for tree in parts if tree is not equation] for parts in conditions
        ]
        given = [
            _Given(one.name, replaced(one.equals, put), one.allowed, one.number) for one in given
        ]
        figure = known[name]
        assert isinstance(figure, Figure)
        given.append(_Given(name, equal, figure.values, number))


def _equation(
    conditions: list[list[Tree]], known: Known, stating: set[str]
) -> tuple[int, Tree, str, Tree] | None:
    """An equation with a figure by itself on one side that it gives, and other conditions use."""
    size = sum(len(list(walk(tree))) for parts in conditions for tree in parts)
    for number, parts in enumerate(conditions):
        for tree in parts:
            if not (isinstance(tree, Comparison) and tree.relations == ("==",)):
                continue
            for side, other in (tree.operands, reversed(tree.operands)):
                if not isinstance(side, Name) or side.name in stating:
                    continue
                figure, equal = known[side.name], counted(other, known)
                inside = {one.name for one in names_in(equal)}
                if not isinstance(figure, Figure) or side.name in inside:
                    continue
                if printed_order(side, other, known) != 0:
                    continue
                if inside & stating or size + len(list(walk(equal))) > 4 * MOST_TOKENS:
                    continue
                return number, tree, side.name, equal
    return None
