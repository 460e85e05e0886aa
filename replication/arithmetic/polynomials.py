"""What an expression comes to when it is multiplied out: whether two are one and the same.

Figures are the unknowns, and so is everything else that is no sum or product: `abs(a - b)` is the
same as `abs(a - b)`, whatever it is. So `a * b` and `b * a` are the same, and so are `(a + b) ** 2`
and `a ** 2 + 2 * a * b + b ** 2`, which intervals alone cannot show of figures that are not exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import reduce

from replication.arithmetic.expressions import Binary, Call, Name, Negative, Number, Power, Tree

# What people write has a handful of terms; a power of a long sum could have millions, and one of
# long numbers could have factors that take seconds to multiply.
MOST_TERMS, MOST_BITS = 200, 2048

# How often each unknown stands in a product.
_Product = frozenset[tuple[Tree, int]]
_Sum = Mapping[_Product, Fraction]
_NONE: _Product = frozenset()


class _TooLong(Exception):
    """A sum of more terms, or of longer factors, than are looked at."""


def constant(tree: Tree) -> Fraction | None:
    """The value of a tree that has the same one whatever its figures are, where that is shown."""
    try:
        found = _expanded(tree)
    except _TooLong:
        return None
    return found.get(_NONE, Fraction(0)) if set(found) <= {_NONE} else None


def is_one_figure(tree: Tree) -> bool:
    """Whether it comes to one figure, but for a number that is added: nothing is computed."""
    try:
        found = [term for term in _expanded(tree).items() if term[0] != _NONE]
    except _TooLong:
        return False
    if len(found) != 1:
        return False
    ((product, factor),) = found
    return abs(factor) == 1 and [(type(of), power) for of, power in product] == [(Name, 1)]


def _expanded(tree: Tree) -> _Sum:
    match tree:
        case Number():
            return _added([{_NONE: tree.value}])
        case Negative():
            return _times({_NONE: Fraction(-1)}, _expanded(tree.of))
        case Binary(operator="+"):
            return _added([_expanded(tree.left), _expanded(tree.right)])
        case Binary(operator="-"):
            return _added([_expanded(tree.left), _expanded(Negative(tree.right, tree.at))])
        case Binary(operator="*"):
            return _times(_expanded(tree.left), _expanded(tree.right))
        case Binary(operator="/"):
            divisor = constant(tree.right)
            return _times(_expanded(tree.left), {_NONE: 1 / divisor}) if divisor else _unknown(tree)
        case Power() if tree.exponent >= 0:
            base = _expanded(tree.base) if tree.exponent else {}
            return reduce(_times, [base] * tree.exponent, {_NONE: Fraction(1)})
        case Call(function="sum" | "mean"):
            share = Fraction(1, len(tree.of) if tree.function == "mean" else 1)
            return _times(_added(map(_expanded, tree.of)), {_NONE: share})
        case _:
            return _unknown(tree)


def _unknown(tree: Tree) -> _Sum:
    return {frozenset({(tree, 1)}): Fraction(1)}


def _added(sums: Iterable[_Sum]) -> _Sum:
    """The sum of sums, without what cancels out."""
    found: dict[_Product, Fraction] = {}
    for one in sums:
        for product, factor in one.items():
            found[product] = found.get(product, Fraction(0)) + factor
    bits = max((abs(one.numerator).bit_length() for one in found.values()), default=0)
    if len(found) > MOST_TERMS or bits > MOST_BITS:
        raise _TooLong
    return {product: factor for product, factor in found.items() if factor != 0}


def _times(one: _Sum, other: _Sum) -> _Sum:
    return _added(
        {_joined(left, right): factor * by}
        for left, factor in one.items()
        for right, by in other.items()
    )


def _joined(one: _Product, other: _Product) -> _Product:
    counts = dict(one)
    for unknown, count in other:
        counts[unknown] = counts.get(unknown, 0) + count
    return frozenset(counts.items())
