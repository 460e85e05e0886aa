"""Expressions over figures, such as `abs(F_M - F_C) / F_M == share`: read, never run as a program.

The language is closed. It has

- numbers, also with a percent sign; names of figures; texts in quotes, which are members of sets
- `+ - * /`, `**` with a whole number behind it, a minus sign, parentheses
- `abs`, `min`, `max`, `sum`, `mean`, `round(x, digits)`, `floor`, and `count` of a listed set
- `== != < <= > >=`, also in chains (`a < b <= c`), and `in` a listed set
- `and`, `or`, `not`

Lists, in brackets, stand inside min, max, sum and mean only, which take figures one by one too.
Whatever is wrong is told with the character, counted from 1, at which it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

from replication.inputs.files import InputError
from replication.inputs.messages import quoted

# What a person writes has a tenth of these. Powers are bounded so that no value has more digits
# than can be worked with at once: `9**9**9` has 369 million.
LONGEST, DEEPEST, MOST_TOKENS, LARGEST_EXPONENT, LARGEST_DEGREE = 2000, 30, 300, 12, 100

Operator = Literal["+", "-", "*", "/"]
Relation = Literal["==", "!=", "<", "<=", ">", ">="]
Function = Literal["abs", "min", "max", "sum", "mean", "round", "floor", "count"]

OF_ONE: tuple[Function, ...] = ("abs", "floor", "count")
OF_MANY: tuple[Function, ...] = ("min", "max", "sum", "mean")
FUNCTIONS: tuple[Function, ...] = (*OF_ONE, *OF_MANY, "round")
WORDS = (*FUNCTIONS, "and", "or", "not", "in")
_RELATIONS: tuple[Relation, ...] = ("==", "!=", "<=", ">=", "<", ">")
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?%?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*|`[^`]+`)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign>\*\*|==|!=|<=|>=|[-+*/<>()\[\],])"
)
_NUMBER = re.compile(r"[0-9]{1,50}(?:\.[0-9]{1,50})?(?:[eE][+-]?[0-9]{1,2})?%?")


class Token(NamedTuple):
    """A piece of an expression, and the character, from 1, at which it begins."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class Number:
    """A number that stands in the expression; `text` is how, where it stands there itself."""

    value: Fraction
    text: str
    at: int = field(compare=False)


@dataclass(frozen=True)
class Name:
    """A figure's, a score's or a set's name."""

    name: str
    at: int = field(compare=False)


@dataclass(frozen=True)
class Text:
    """A text in quotes: what may be a member of a set."""

    text: str
    at: int = field(compare=False)


@dataclass(frozen=True)
class Negative:
    """A minus sign before something."""

    of: Tree
    at: int = field(compare=False)


@dataclass(frozen=True)
class Binary:
    """A sum, difference, product or quotient."""

    operator: Operator
    left: Tree
    right: Tree
    at: int = field(compare=False)


@dataclass(frozen=True)
class Power:
    """A whole power."""

    base: Tree
    exponent: int
    at: int = field(compare=False)


@dataclass(frozen=True)
class Call:
    """A function of one or more; `digits` are those that `round` keeps."""

    function: Function
    of: tuple[Tree, ...]
    at: int = field(compare=False)
    digits: int = 0


@dataclass(frozen=True)
class Comparison:
    """Two or more, each compared with the next; `shown` is how they stand in the expression."""

    operands: tuple[Tree, ...]
    relations: tuple[Relation, ...]
    shown: tuple[tuple[Token, ...], ...] = field(compare=False)
    at: int = field(compare=False)


@dataclass(frozen=True)
class In:
    """Whether a text is a member of a listed set."""

    member: str
    of: Name
    at: int = field(compare=False)


@dataclass(frozen=True)
class Logical:
    """`and`, `or`, or `not` of one."""

    word: Literal["and", "or", "not"]
    parts: tuple[Tree, ...]
    at: int = field(compare=False)


Tree = Number | Name | Text | Negative | Binary | Power | Call | Comparison | In | Logical


def at(reason: str, character: int) -> InputError:
    """The error at a character of an expression."""
    return InputError(f"{reason}, at character {character}")


def parts_of(tree: Tree) -> tuple[Tree, ...]:
    """What a tree is immediately made of."""
    match tree:
        case Negative():
            return (tree.of,)
        case Binary():
            return (tree.left, tree.right)
        case Power():
            return (tree.base,)
        case Call():
            return tree.of
        case Comparison():
            return tree.operands
        case In():
            return (tree.of,)
        case Logical():
            return tree.parts
        case _:
            return ()


def walk(tree: Tree) -> Iterator[Tree]:
    """A tree and everything in it."""
    yield tree
    for part in parts_of(tree):
        yield from walk(part)


def names_in(tree: Tree) -> list[Name]:
    """The names in a tree, one for each time that they stand there."""
    return [one for one in walk(tree) if isinstance(one, Name)]


@lru_cache(maxsize=4096)
def parse(text: str) -> Tree:
    """The tree of an expression.

    Raises:
        InputError: it is none, with the character at which that shows.
    """
    if len(text) > LONGEST:
        raise at(f"an expression of {len(text)} characters, of at most {LONGEST}", LONGEST + 1)
    tokens = list(_tokens(text))
    if len(tokens) > MOST_TOKENS:
        raise at(
            f"an expression of {len(tokens)} numbers, names and signs, of at most {MOST_TOKENS}",
            tokens[MOST_TOKENS].at,
        )
    reader = _Reader([*tokens, Token("end", "", len(text) + 1)])
    tree = reader.whole()
    for power in walk(tree):
        if isinstance(power, Power) and _degree(power) > LARGEST_DEGREE:
            raise at(
                f"powers of powers make one of {_degree(power)}, of at most {LARGEST_DEGREE}",
                power.at,
            )
    return tree


def _degree(tree: Tree) -> int:
    """How many factors the longest product in a tree has."""
    degrees = [_degree(part) for part in parts_of(tree)]
    match tree:
        case Power():
            return max(abs(tree.exponent), 1) * degrees[0]
        case Binary(operator="*" | "/"):
            return sum(degrees)
        case _:
            return max(degrees, default=1)


def _tokens(text: str) -> Iterator[Token]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise at(f"{quoted(text[place])} means nothing here", place + 1)
        if found.lastgroup != "space":
            yield Token(found.lastgroup, found[0], place + 1)
        place = found.end()


class _Reader:
    """Reads tokens by recursive descent, one method for each level of binding."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def whole(self) -> Tree:
        tree = self._or()
        if self._here.kind != "end":
            raise self._unexpected("the end or an operator")
        return tree

    @property
    def _here(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._here
        self._next += 1
        return token

    def _takes(self, *texts: str) -> Token | None:
        """The next token, taken, if it is one of these signs or words."""
        return (
            self._take()
            if self._here.text in texts and self._here.kind in ("sign", "name")
            else None
        )

    def _expect(self, text: str) -> Token:
        return self._takes(text) or self._fail(quoted(text))

    def _fail(self, expected: str) -> Token:
        raise self._unexpected(expected)

    def _unexpected(self, expected: str) -> InputError:
        token = self._here
        found = "the end" if token.kind == "end" else quoted(token.text)
        return at(f"does not parse: expected {expected}, found {found}", token.at)

    def _deeper(self, read: Callable[[], Tree]) -> Tree:
        self._depth += 1
        if self._depth > DEEPEST:
            raise at(f"nested more than {DEEPEST} deep", self._here.at)
        tree = read()
        self._depth -= 1
        return tree

    def _or(self) -> Tree:
        return self._joined("or", self._and)

    def _and(self) -> Tree:
        return self._joined("and", self._not)

    def _joined(self, word: Literal["and", "or"], read: Callable[[], Tree]) -> Tree:
        start = self._here.at
        parts = [read()]
        while self._takes(word):
            parts.append(read())
        return parts[0] if len(parts) == 1 else Logical(word, tuple(parts), start)

    def _not(self) -> Tree:
        if found := self._takes("not"):
            return Logical("not", (self._deeper(self._not),), found.at)
        return self._comparison()

    def _comparison(self) -> Tree:
        start = self._here.at
        first = self._next
        operands, relations = [self._sum()], list[Relation]()
        shown = [tuple(self._tokens[first : self._next])]
        if self._takes("in"):
            return self._in(operands[0])
        while (sign := self._here.text) in _RELATIONS and self._here.kind == "sign":
            relations.append(next(one for one in _RELATIONS if one == sign))
            self._take()
            first = self._next
            operands.append(self._sum())
            shown.append(tuple(self._tokens[first : self._next]))
        if not relations:
            return operands[0]
        return Comparison(tuple(operands), tuple(relations), tuple(shown), start)

    def _in(self, member: Tree) -> Tree:
        if not isinstance(member, Text):
            raise at("only a text in quotes can be in a set", member.at)
        if self._here.kind != "name" or self._here.text in WORDS:
            raise self._unexpected("the name of a listed set")
        return In(member.text, self._name(), member.at)

    def _sum(self) -> Tree:
        tree = self._product()
        while found := self._takes("+", "-"):
            operator: Operator = "+" if found.text == "+" else "-"
            tree = Binary(operator, tree, self._product(), found.at)
        return tree

    def _product(self) -> Tree:
        tree = self._signed()
        while found := self._takes("*", "/"):
            operator: Operator = "*" if found.text == "*" else "/"
            tree = Binary(operator, tree, self._signed(), found.at)
        return tree

    def _signed(self) -> Tree:
        if found := self._takes("-"):
            tree = self._deeper(self._signed)
            if isinstance(tree, Number):
                text = tree.text.removeprefix("-") if tree.value < 0 else f"-{tree.text}"
                return Number(-tree.value, text, found.at)
            return Negative(tree, found.at)
        return self._power()

    def _power(self) -> Tree:
        base = self._atom()
        if found := self._takes("**"):
            place = self._here.at
            exponent = self._deeper(self._signed)
            if not (isinstance(exponent, Number) and exponent.value.denominator == 1):
                raise at("expected a whole number as the exponent", place)
            if abs(exponent.value) > LARGEST_EXPONENT:
                most = LARGEST_EXPONENT
                raise at(f"expected an exponent from -{most} to {most}", place)
            return Power(base, int(exponent.value), found.at)
        return base

    def _atom(self) -> Tree:
        token = self._here
        if token.kind == "number":
            return _number(self._take())
        if token.kind == "text":
            return Text(self._take().text[1:-1], token.at)
        if token.kind == "name" and self._tokens[self._next + 1].text == "(":
            return self._deeper(self._call)
        if token.kind == "name" and token.text not in WORDS:
            return self._name()
        if self._takes("("):
            inner = self._deeper(self._or)
            self._expect(")")
            return inner
        if token.text == "[":
            raise at("a list stands only inside min, max, sum or mean", token.at)
        raise self._unexpected("a number, a name, a function or '('")

    def _name(self) -> Name:
        token = self._take()
        return Name(token.text.strip("`"), token.at)

    def _call(self) -> Tree:
        token = self._take()
        function = next((one for one in FUNCTIONS if one == token.text), None)
        if function is None:
            known = ", ".join(FUNCTIONS)
            raise at(f"there is no function {quoted(token.text)}; there are {known}", token.at)
        self._expect("(")
        listed = function in OF_MANY and self._takes("[") is not None
        given = [self._sum()]
        while self._takes(","):
            given.append(self._sum())
        if listed:
            self._expect("]")
        self._expect(")")
        if function == "round":
            return _rounded(given, token.at)
        if function in OF_ONE and len(given) > 1:
            raise at(f"{function} is of one, found {len(given)}", token.at)
        return Call(function, tuple(given), token.at)


def _number(token: Token) -> Number:
    if not _NUMBER.fullmatch(token.text):
        raise at(f"{quoted(token.text)} has too many digits, or too large an exponent", token.at)
    value = Fraction(token.text.removesuffix("%"))
    return Number(value / 100 if token.text.endswith("%") else value, token.text, token.at)


def _rounded(given: list[Tree], character: int) -> Call:
    of, *rest = given
    digits = rest[0] if rest else Number(Fraction(0), "0", character)
    whole = isinstance(digits, Number) and digits.value.denominator == 1
    if len(rest) > 1 or not (whole and isinstance(digits, Number) and 0 <= digits.value <= 20):
        raise at("round is of one figure, and of how many decimals it keeps, 0 to 20", character)
    return Call("round", (of,), character, int(digits.value))
