"""Dimensions: what an expression gives, and which figures cannot be added or compared.

| of | with | gives |
| --- | --- | --- |
| adding, comparing | figures alike | the same |
| | a share with a percentage, a count or a number | what it is beside |
| | a count with a number | a number |
| | a percentage with a count or a number | an error |
| dividing | figures alike, or a share by a percentage | a share |
| | by a share, or a percentage of another | a number |
| multiplying | by a share or a percentage | a share of a share, or a number |

A number written in an expression fits whatever it is beside. Beside a percentage it is a share: it
is added to one from 0 to 1 only, and compared with one only where it is 0, so that `p < 5` is no
500%.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import pairwise
from typing import Literal

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
    Text,
    Tree,
    at,
    names_in,
    parts_of,
)
from replication.arithmetic.figures import Dimension
from replication.arithmetic.polynomials import constant, is_one_figure
from replication.inputs.files import InputError

Kind = Dimension | Literal["literal", "set", "text", "condition"]
KindOf = Callable[[Name], Dimension | Literal["set"]]

_SHARES = ("share", "percentage")
_WORDS: dict[Kind, str] = {
    "count": "a count",
    "percentage": "a percentage",
    "share": "a share",
    "number": "a number that is no share",
    "literal": "a number",
    "set": "a listed set",
    "text": "a text",
    "condition": "a comparison",
}


def check_condition(tree: Tree, kind_of: KindOf) -> None:
    """Refuse what says nothing, or sets figures beside each other that have no common measure.

    Raises:
        InputError: with the character at which it stands.
    """
    if kind_in(tree, kind_of) != "condition":
        raise at("expected a comparison, such as 'a / b == c'", tree.at)


def kind_in(tree: Tree, kind_of: KindOf) -> Kind:
    """What a tree gives.

    Raises:
        InputError: as `check_condition`; and what `kind_of` says of a name that there is not.
    """
    match tree:
        case Number():
            return "percentage" if tree.text.endswith("%") else "literal"
        case Name():
            return kind_of(tree)
        case Text():
            raise at("a text stands only before 'in'", tree.at)
        case In():
            if kind_of(tree.of) != "set":
                raise at(f"{tree.of.name} is no listed set", tree.of.at)
            return "condition"
        case Logical():
            for part in tree.parts:
                if (found := kind_in(part, kind_of)) != "condition":
                    raise at(f"expected a comparison, found {_WORDS[found]}", part.at)
            return "condition"
        case Comparison():
            return _compared(tree, kind_of)
        case Call(function="count"):
            if (found := kind_in(tree.of[0], kind_of)) != "set":
                raise at(f"count is of a listed set, found {_WORDS[found]}", tree.at)
            return "count"
        case _:
            return _computed(tree, [_value(part, kind_of) for part in parts_of(tree)])


def _value(tree: Tree, kind_of: KindOf) -> Kind:
    """What something gives that is computed with."""
    found = kind_in(tree, kind_of)
    if found in ("set", "condition"):
        raise at(f"expected a figure, found {_WORDS[found]}", tree.at)
    return found


def _computed(tree: Tree, kinds: list[Kind]) -> Kind:
    match tree:
        case Binary(operator="+" | "-"):
            return _added(tree, (tree.left, tree.right), kinds)
        case Binary(operator="*"):
            return _product(tree, kinds[0], kinds[1])
        case Binary():
            return _quotient(kinds[0], kinds[1])
        case Power():
            return _power(kinds[0], tree.exponent)
        case Call(function="round" | "floor"):
            if kinds[0] == "percentage":
                raise at(f"{tree.function} takes no percentage: divide it by 1% first", tree.at)
            return "number" if tree.digits else "count"
        case Call(function="mean"):
            found = _added(tree, tree.of, kinds)
            return "number" if found == "count" else found
        case Call():
            return _added(tree, tree.of, kinds)
        case Negative():
            return kinds[0]
    raise AssertionError(tree)


def _added(tree: Tree, parts: tuple[Tree, ...], kinds: list[Kind]) -> Kind:
    """What comes of figures that are added, or of which one is taken."""
    found = reduce(lambda one, other: _alike(tree, one, other), kinds)
    if found == "percentage":
        for part, kind in zip(parts, kinds, strict=True):
            if kind == "literal" and not (isinstance(part, Number) and 0 <= part.value <= 1):
                raise at("beside a percentage a number is a share: write it with %", part.at)
    return found


def _alike(tree: Tree, one: Kind, other: Kind) -> Kind:
    if one == other or other == "literal":
        return one
    if one == "literal":
        return other
    pair = {one, other}
    if "percentage" in pair and "share" not in pair:
        (rest,) = pair - {"percentage"}
        raise at(f"a percentage and {_WORDS[rest]} have no common measure", tree.at)
    if "share" in pair:
        return one if other == "share" else other
    return "number"


def _product(tree: Binary, one: Kind, other: Kind) -> Kind:
    if "literal" in (one, other):
        found = one if other == "literal" else other
        literal = tree.right if other == "literal" else tree.left
        is_whole = isinstance(literal, Number) and literal.value.denominator == 1
        return "number" if found == "count" and not is_whole else found
    if one in _SHARES and other in _SHARES:
        return "share" if one == other == "share" else "percentage"
    return "count" if one == other == "count" else "number"


def _quotient(one: Kind, other: Kind) -> Kind:
    if other == "literal":
        return "number" if one == "count" else one
    if one == other or (one in _SHARES and other in _SHARES):
        return "share"
    if other == "count" and one in _SHARES:
        return one
    return "share" if (one, other) == ("literal", "count") else "number"


def _power(base: Kind, exponent: int) -> Kind:
    if base in _SHARES:
        return "share"
    return "number" if base == "count" and exponent < 0 else base


def _compared(tree: Comparison, kind_of: KindOf) -> Kind:
    kinds = [kind_in(part, kind_of) for part in tree.operands]
    if "set" in kinds:
        if set(kinds) == {"set"} and set(tree.relations) <= {"==", "!="}:
            return "condition"
        raise at("a listed set is compared with another by == or != only", tree.at)
    for part, kind in zip(tree.operands, kinds, strict=True):
        if kind == "condition":
            raise at("expected a figure, found a comparison", part.at)
    for number, (one, other) in enumerate(pairwise(kinds)):
        beside = (tree.operands[number], tree.operands[number + 1])
        _alike(tree, one, other)
        for part, kind, against in zip(beside, (one, other), (other, one), strict=True):
            is_zero = isinstance(part, Number) and part.value == 0
            if kind == "literal" and against == "percentage" and not is_zero:
                raise at("compared with a percentage, a number needs its %", part.at)
            if against == "percentage" and _is_hundredfold(part):
                raise at("a percentage is compared with a share: leave out the 100", part.at)
    return "condition"


def _is_hundredfold(tree: Tree) -> bool:
    """Whether something is multiplied by 100."""
    match tree:
        case Binary(operator="*"):
            sides = (tree.left, tree.right)
            return any(isinstance(one, Number) and one.value == 100 for one in sides) or any(
                map(_is_hundredfold, sides)
            )
        case Binary(operator="/"):
            return _is_hundredfold(tree.left)
        case _:
            return False


def check_computes(tree: Tree) -> None:
    """Refuse a comparison that no figure, or nothing but a repeated figure, could turn.

    Raises:
        InputError: with the character at which it stands.
    """
    if isinstance(tree, Logical):
        for part in tree.parts:
            check_computes(part)
    if not isinstance(tree, Comparison):
        return
    for place, relation in enumerate(tree.relations):
        one, other = tree.operands[place : place + 2]
        difference = Binary("-", one, other, one.at)
        apart = constant(difference)
        if one == other or apart == 0:
            raise at("both sides are the same", one.at)
        if not (names_in(one) or names_in(other)):
            raise at("compares no figure", one.at)
        if apart is not None:
            raise at("both sides are as far apart whatever the figures are", one.at)
        if is_one_figure(difference) and relation in ("==", "!="):
            raise InputError(
                f"computes nothing, and repeats a figure or contradicts it, at character {one.at};"
                " of scores the kind scores says what they are"
            )
