"""Verdicts by brute force, of statements as Python reads them: nothing here is the package's.

A statement is read by Python's own parser and computed in fractions, at corners, on grids, at whole
and half values and at random points of what the digits allow. A point decides nothing for a whole
box, but one is enough to show a verdict wrong.
"""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, product
from math import floor

Point = Mapping[str, Fraction]
Value = Callable[[Point], Fraction]
Truth = Callable[[Point], bool]


@dataclass(frozen=True)
class Print:
    """A figure as it is printed, and how far its digits reach."""

    text: str
    digits: str | None
    spread: str | None
    value: Fraction
    low: Fraction
    high: Fraction


def printed(text: str, digits: str | None = None, spread: str | None = None) -> Print:
    """What a text prints: half a unit of the last digit either way, unless more is said of it."""
    if match := re.fullmatch(r"(\d+)(?:/| of )(\d+)", text):
        value = Fraction(int(match[1]), int(match[2]))
        return Print(text, digits, spread, value, value, value)
    number = text.removeprefix("about ").removesuffix("%")
    unit = Fraction(1, 100) if text.endswith("%") else Fraction(1)
    mantissa, _, exponent = number.partition("e")
    value = Fraction(number) * unit
    last = Fraction(10) ** (int(exponent or 0) - len(mantissa.partition(".")[2])) * unit
    if text.isdigit():
        down = up = Fraction(0)
    elif text.startswith("about ") or digits == "about":
        down = up = last if spread is None else Fraction(spread) * unit
    elif digits == "truncated":
        down = Fraction(0) if value > 0 else last
        up = Fraction(0) if value < 0 else last
    else:
        down = up = last / 2
    return Print(text, digits, spread, value, value - down, value + up)


@dataclass(frozen=True)
class Paper:
    """Printed figures and listed sets, by name."""

    figures: Mapping[str, Print]
    sets: Mapping[str, Sequence[str]]


def truths(texts: Sequence[str], paper: Paper) -> list[Truth]:
    """What each statement says of a point; all of them are said of one object."""
    sources = list(map(_in_python, texts))
    trees = [ast.parse(source, mode="eval").body for source in sources]
    alone = _alone(trees)
    return [
        _Reader(source, paper, alone).truth(tree)
        for source, tree in zip(sources, trees, strict=True)
    ]


def value_of(text: str, paper: Paper) -> Value:
    """What an expression comes to at a point."""
    source = _in_python(text)
    return _Reader(source, paper, set()).value(ast.parse(source, mode="eval").body)


def _in_python(text: str) -> str:
    """A text in which percentages are calls, which Python reads."""
    return re.sub(r"([0-9][0-9.]*)%", r"percent('\1')", text)


def _alone(trees: Sequence[ast.expr]) -> set[str]:
    """The names that stand nowhere but by themselves beside `==` or `!=`."""
    everywhere, beside = Counter[str](), Counter[str]()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Name):
            everywhere[node.id] += 1
        if isinstance(node, ast.Compare):
            signs = [None, *node.ops, None]
            for operand, around in zip(
                [node.left, *node.comparators], pairwise(signs), strict=True
            ):
                equal = all(sign is None or isinstance(sign, ast.Eq | ast.NotEq) for sign in around)
                if isinstance(operand, ast.Name) and equal:
                    beside[operand.id] += 1
    return {name for name, count in beside.items() if everywhere[name] == count}


def half_away(value: Fraction, digits: int) -> Fraction:
    steps = floor(abs(value) * 10**digits + Fraction(1, 2))
    return Fraction(steps if value >= 0 else -steps, 10**digits)


class _Reader:
    """Reads one statement's tree."""

    def __init__(self, source: str, paper: Paper, alone: set[str]) -> None:
        self._source = source
        self._paper = paper
        self._alone = alone

    def truth(self, node: ast.expr) -> Truth:
        match node:
            case ast.BoolOp(op=word):
                parts = [self.truth(part) for part in node.values]
                every = all if isinstance(word, ast.And) else any
                return lambda point: every(part(point) for part in parts)
            case ast.UnaryOp(op=ast.Not()):
                inner = self.truth(node.operand)
                return lambda point: not inner(point)
            case ast.Compare(ops=[ast.In()], left=ast.Constant(), comparators=[ast.Name()]):
                (listed,) = node.comparators
                assert isinstance(listed, ast.Name)
                assert isinstance(node.left, ast.Constant)
                there = node.left.value in self._paper.sets[listed.id]
                return lambda _: there
            case ast.Compare():
                operands = [node.left, *node.comparators]
                pairs = [
                    self._pair(one, sign, other)
                    for (one, other), sign in zip(pairwise(operands), node.ops, strict=True)
                ]
                return lambda point: all(pair(point) for pair in pairs)
        raise AssertionError(ast.dump(node))

    def _pair(self, one: ast.expr, sign: ast.cmpop, other: ast.expr) -> Truth:
        if isinstance(sign, ast.NotEq):
            same = self._pair(one, ast.Eq(), other)
            return lambda point: not same(point)
        if isinstance(one, ast.Name) and one.id in self._paper.sets:
            assert isinstance(other, ast.Name)
            equal = set(self._paper.sets[one.id]) == set(self._paper.sets[other.id])
            return lambda _: equal
        order = self._order(one, other)
        if (
            order is None
            and isinstance(sign, ast.Eq)
            and (stated := self._equation(one, other)) is not None
        ):
            return stated
        left, right = self.value(one), self.value(other)
        if order is not None:
            left, right = (lambda _: Fraction(order)), (lambda _: Fraction(0))
        match sign:
            case ast.Eq():
                return lambda point: left(point) == right(point)
            case ast.Lt():
                return lambda point: left(point) < right(point)
            case ast.LtE():
                return lambda point: left(point) <= right(point)
            case ast.Gt():
                return lambda point: left(point) > right(point)
            case ast.GtE():
                return lambda point: left(point) >= right(point)
        raise AssertionError(sign)

    def _order(self, one: ast.expr, other: ast.expr) -> int | None:
        """Which of two figures of as many digits is the larger, where these tell."""
        if not (isinstance(one, ast.Name) and isinstance(other, ast.Name)):
            return None
        left, right = self._paper.figures[one.id], self._paper.figures[other.id]
        is_about = "about" in f"{left.text} {left.digits} {right.text} {right.digits}"
        if is_about or left.high - left.low != right.high - right.low or left.low == right.low:
            return None
        common = min(left.high, right.high) - max(left.low, right.low)
        return None if common > 0 else 1 if left.low > right.low else -1

    def _equation(self, one: ast.expr, other: ast.expr) -> Truth | None:
        """An equation of which a side states the other: the coarser, if both could."""
        left, right = self._stated(one), self._stated(other)
        if left is None and right is None:
            return None
        is_left = right is None or (
            left is not None and left.high - left.low > right.high - right.low
        )
        side, rest = (left, other) if is_left else (right, one)
        assert side is not None
        value = self.value(rest)
        if side.digits == "computed":
            as_printed = {name: figure.value for name, figure in self._paper.figures.items()}
            return lambda _: side.low <= value(as_printed) <= side.high
        return lambda point: side.low <= value(point) <= side.high

    def _stated(self, side: ast.expr) -> Print | None:
        """What a side by itself states by its digits: a figure, a decimal, a percentage."""
        if isinstance(side, ast.Name):
            return self._paper.figures[side.id] if side.id in self._alone else None
        text = self._literal(side)
        return None if text is None or text.lstrip("-").isdigit() else printed(text)

    def _literal(self, node: ast.expr) -> str | None:
        match node:
            case ast.Constant():
                return ast.get_source_segment(self._source, node)
            case ast.Call(func=ast.Name(id="percent"), args=[ast.Constant(value=str(text))]):
                return f"{text}%"
            case ast.UnaryOp(op=ast.USub()):
                inner = self._literal(node.operand)
                return None if inner is None else f"-{inner}".removeprefix("--")
        return None

    def value(self, node: ast.expr) -> Value:
        if (text := self._literal(node)) is not None:
            exact = printed(text).value
            return lambda _: exact
        match node:
            case ast.Name(id=name):
                return lambda point: point[name]
            case ast.UnaryOp(op=ast.USub()):
                inner = self.value(node.operand)
                return lambda point: -inner(point)
            case ast.BinOp():
                return self._binary(node.op, self.value(node.left), self.value(node.right))
            case ast.Call(func=ast.Name(id="count"), args=[ast.Name(id=name)]):
                size = Fraction(len(self._paper.sets[name]))
                return lambda _: size
            case ast.Call(func=ast.Name(id=name), args=[ast.List(elts=parts)]):
                return self._function(name, parts)
            case ast.Call(func=ast.Name(id=name)):
                return self._function(name, node.args)
        raise AssertionError(ast.dump(node))

    def _binary(self, sign: ast.operator, one: Value, other: Value) -> Value:
        match sign:
            case ast.Add():
                return lambda point: one(point) + other(point)
            case ast.Sub():
                return lambda point: one(point) - other(point)
            case ast.Mult():
                return lambda point: one(point) * other(point)
            case ast.Div():
                return lambda point: one(point) / other(point)
            case ast.Pow():
                return lambda point: one(point) ** int(other(point))
        raise AssertionError(sign)

    def _function(self, name: str, parts: Sequence[ast.expr]) -> Value:
        of = [self.value(part) for part in parts]
        match name:
            case "abs":
                return lambda point: abs(of[0](point))
            case "floor":
                return lambda point: Fraction(floor(of[0](point)))
            case "round":
                digits = int(of[1]({})) if len(of) > 1 else 0
                return lambda point: half_away(of[0](point), digits)
            case "min":
                return lambda point: min(one(point) for one in of)
            case "max":
                return lambda point: max(one(point) for one in of)
            case "sum":
                return lambda point: sum((one(point) for one in of), start=Fraction(0))
            case "mean":
                return lambda point: sum((one(point) for one in of), start=Fraction(0)) / len(of)
        raise AssertionError(name)


def points(paper: Paper, chance: random.Random, most: int = 40) -> list[Point]:
    """Every corner and the printed values; then whole, half, near and random ones, mixed."""
    axes = {name: _axis(figure, chance) for name, figure in paper.figures.items()}
    ends = [sorted({figure.low, figure.high}) for figure in paper.figures.values()]
    found: list[Point] = [
        {name: figure.value for name, figure in paper.figures.items()},
        *(dict(zip(paper.figures, corner, strict=True)) for corner in product(*ends)),
    ]
    for _ in range(most):
        found.append({name: chance.choice(axis) for name, axis in axes.items()})
    return found


def _axis(figure: Print, chance: random.Random) -> list[Fraction]:
    """Values of one figure: ends, close to the ends, whole and half ones, and random ones."""
    low, width = figure.low, figure.high - figure.low
    steps = (Fraction(0), Fraction(1, 997), Fraction(1, 2), Fraction(996, 997), Fraction(1))
    halves = range(floor(2 * low), floor(2 * figure.high) + 1)[:20]
    near = [Fraction(half, 2) for half in halves if 2 * low <= half <= 2 * figure.high]
    drawn = [low + width * Fraction(chance.randint(0, 360), 360) for _ in range(4)]
    return [*(low + width * step for step in steps), *near, *drawn]


class Author:
    """Writes statements over a few printed figures, as a stranger might who means no good."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        count = self.chance.choice([1, 1, 2, 2, 2, 3, 4])
        figures = {name: self._figure() for name in "abcd"[:count]}
        self.names = list(figures)
        figures["s"] = self._figure()
        members = ["x", "y", "z", "w"]
        sets = {name: self.chance.sample(members, self.chance.randint(1, 4)) for name in "LM"}
        self.paper = Paper(figures, sets)

    def _figure(self) -> Print:
        chance = self.chance
        whole, decimals = chance.choice([0, 0, 1, 2, 3, 7]), chance.choice(["0", "5", "25", "999"])
        sign = chance.choice(["", "", "-"])
        match chance.randint(0, 9):
            case 0:
                return printed(str(whole))
            case 1:
                return printed(f"{chance.choice([0, 5, 13, 50, 87, 99, 100])}%")
            case 2:
                return printed(f"{whole}{chance.choice(['/', ' of '])}{whole + 3}")
            case 3:
                return printed(f"{sign}{whole}.{decimals}", "truncated")
            case 4 | 5:
                spread = chance.choice(["0.5", "1", "2.5", "4"])
                return printed(f"{sign}{whole}.{decimals}", "about", spread)
            case 6:
                return printed(f"about {whole}.{decimals}")
            case 7:
                return printed(f"{sign}{whole}.{decimals}", "computed")
            case 8:
                return printed(f"{sign}{whole}.5e{chance.choice([-1, 0, 1])}")
        return printed(f"{sign}{whole}.{decimals}")

    def value(self, depth: int) -> str:
        """An expression; the same figure often stands in it many times."""
        chance = self.chance
        if depth == 0 or chance.random() < 0.15:
            return self._leaf()
        one, other = self.value(depth - 1), self.value(depth - 1)
        match chance.randint(0, 11):
            case 0 | 1 | 2:
                return f"({one} {chance.choice('+-*')} {other})"
            case 3:
                return f"{chance.choice(['min', 'max'])}({one}, abs({other}), {self._leaf()})"
            case 4:
                return f"{chance.choice(['min', 'max', 'sum', 'mean'])}([{one}, {other}])"
            case 5:
                return f"abs({one} - {other})"
            case 6:
                return f"({one}) ** {chance.choice([-3, -2, -1, 0, 1, 2, 3])}"
            case 7:
                return f"({one}) / ({self._divisor(other)})"
            case 8:
                return f"round({one}, {chance.choice([0, 0, 1, 2])})"
            case 9:
                return f"floor({one} * {chance.choice(['1', '2', '0.5', '10'])})"
            case 10:
                name = chance.choice(self.names)
                return f"({name} * ({one}) - {name} ** 2 + {other} * {name})"
        return f"-({one}) - -{other}"

    def _divisor(self, inner: str) -> str:
        """What is below the line: now and then it comes close to zero, or touches it."""
        name = self.chance.choice(self.names)
        figure = self.paper.figures[name]
        end = literal(self.chance.choice([figure.low, figure.high]))
        forms = [inner, f"{name} - {end}", f"abs({name} - {end}) + 0.01", f"{name} ** 2 + 0.1"]
        return self.chance.choice([*forms, f"max({inner}, 0.5)", f"1 + abs({inner})"])

    def _leaf(self) -> str:
        chance = self.chance
        numbers = ["0", "1", "2", "0.5", "2.5", "13%", "100%", "1e1", "count(L)"]
        return chance.choice(self.names if chance.random() < 0.7 else numbers)

    def statement(self) -> str:
        """A statement of one or several comparisons."""
        chance = self.chance
        match chance.randint(0, 9):
            case 0:
                parts = [self.value(1) for _ in range(chance.randint(3, 4))]
                signs = [self._sign() for _ in parts[1:]]
                joined = [f"{sign} {part}" for sign, part in zip(signs, parts[1:], strict=True)]
                return " ".join([parts[0], *joined])
            case 1:
                inner = chance.choice(["'x' in L", "'y' in M", "L == M", "L != M"])
                return f"{inner} {chance.choice(['and', 'or'])} {self._comparison()}"
            case 2:
                word = chance.choice(["and", "or", "and not", "or not"])
                return f"({self._comparison()}) {word} ({self._comparison()})"
            case 3:
                return f"not ({self._comparison()} or {self._comparison()})"
        return self._comparison()

    def together(self) -> tuple[list[str], Point]:
        """Statements of one object, and a point that makes most of them true, if not all."""
        there = {
            name: one.low + (one.high - one.low) * Fraction(self.chance.randint(0, 8), 8)
            for name, one in self.paper.figures.items()
        }
        found = [self._planted(there) for _ in range(self.chance.randint(1, 4))]
        if self.chance.random() < 0.3:
            found.append(self._computed(there))
        return found, there

    def _computed(self, there: Point) -> str:
        """A statement with a new figure, t, of what values give: those printed, or those there."""
        name, figures = self.chance.choice(self.names), dict(self.paper.figures)
        text = self.chance.choice([f"{name} / 2", f"{name} * {name} + 1", f"3 - {name}"])
        digits = self.chance.choice(["computed", "computed", "rounded"])
        of = {one: figure.value for one, figure in figures.items()}
        value = value_of(text, self.paper)(of if digits == "computed" else there)
        figures["t"] = printed(f"{float(value):.3f}", digits)
        self.paper = Paper(figures, self.paper.sets)
        return f"{text} == t"

    def _planted(self, there: Point) -> str:
        """A statement that is true at a point, or stops being so there."""
        chance, name = self.chance, self.chance.choice(self.names)
        text = self.value(chance.choice([1, 1, 2]))
        try:
            value = value_of(text, self.paper)(there)
        except ZeroDivisionError:
            return f"{name} >= -100"
        match chance.randint(0, 6):
            case 0 | 1:
                sides = [f"{text} - {literal(value - there[name])}", name]
                chance.shuffle(sides)
                return " == ".join(sides)
            case 2:
                return f"{text} == s"
            case 3:
                return f"{literal(value - 1)} < {text} <= {literal(value)} > -1000"
            case 4:
                return f"{name} <= {literal(there[name])} or 'x' in L and {text} > 0"
        return f"{text} {chance.choice(['<=', '>=', '==', '<'])} {literal(value)}"

    def _sign(self) -> str:
        return self.chance.choice(["<", "<=", ">", ">=", "==", "!="])

    def _comparison(self) -> str:
        chance = self.chance
        one = self.value(chance.choice([1, 2, 2, 3]))
        match chance.randint(0, 5):
            case 0:
                sides = [one, "s"]
                chance.shuffle(sides)
                return f"{sides[0]} {chance.choice(['==', '==', '!='])} {sides[1]}"
            case 1:
                return f"{one} == {chance.choice(['0.5', '2.5', '1.00', '13%', '-1.0', '50%'])}"
            case 2:
                return f"{one} {self._sign()} {self.value(2)}"
        return f"{one} {self._sign()} {self._extreme(one)}"

    def _extreme(self, text: str) -> str:
        """The smallest or largest value that an expression takes at points, or just beyond it."""
        value = value_of(text, self.paper)
        try:
            seen = [value(point) for point in points(self.paper, self.chance, 10)]
        except ZeroDivisionError:
            return "1"
        end = self.chance.choice([min, max])(seen)
        return literal(end + self.chance.choice([0, 0, 0, Fraction(1, 1000), Fraction(-1, 1000)]))


def literal(value: Fraction) -> str:
    """A value as the language writes it exactly."""
    over, under = abs(value.numerator), value.denominator
    if max(len(str(over)), len(str(under))) > 50:
        over, under = abs(floor(value)), 1
    return f"({'-' if value < 0 else ''}{over} / {under})"
