"""Printed tables: scores by component as sources give them, with the digits that they print.

A CSV file, or a dict as a notebook prints it, whose numbers are read as text and never evaluated.
"""

from __future__ import annotations

import ast
import csv
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from replication.inputs.files import Fault, FileError, InputError, read_lines, read_text, repeats
from replication.inputs.messages import listed, quoted

COLUMNS = ("component", "score")
_WRAPPERS = {"float16", "float32", "float64", "tensor"}  # as numpy and torch print a number
_EXPECTED = "expected a dict such as {'m2': 31.51}, a list of such pairs, or a .csv file"


class Printed(NamedTuple):
    """A score as it is printed: its component's name, its digits, and its line in the file."""

    name: str
    digits: str
    line: int


def read_printed(path: Path, columns: tuple[str, str] = COLUMNS) -> list[Printed]:
    """The scores in a file: a CSV file, by two columns, if it is called so, else a dict.

    Raises:
        InputError: naming the file, the line, what was found and what was expected.
    """
    is_table = path.suffix.lower() == ".csv"
    found = _table(path, columns) if is_table else _literal(path)
    scores, faults = list[Printed](), list[Fault]()
    for one in found:
        if isinstance(one, Fault):
            faults.append(one)
        else:
            scores.append(one._replace(digits=_plain(one.digits)))
    if not scores and not faults:
        faults.append(Fault("there are no scores in it"))
    if faults:
        raise FileError(path, faults)
    return scores


def _plain(digits: str) -> str:
    """Digits without an exponent, which can be had with no more of them if it is negative."""
    is_small = re.fullmatch(r"[0-9]+(\.[0-9]+)?[eE]-[0-9]{1,3}", digits)
    return f"{Decimal(digits):f}" if is_small else digits


def _table(path: Path, columns: tuple[str, str]) -> Iterator[Printed | Fault]:
    reader = csv.reader(read_lines(path), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if repeated := repeats(header):
            yield Fault(f"the column {quoted(repeated[0])} stands there more than once", 1)
            return
        if not set(columns) <= set(header):
            expected = " and ".join(map(repr, columns))
            found = listed(map(repr, header)) or "none"
            way_out = "--component and --score say which two to read"
            if len(header) == 1:
                way_out = "columns are separated by commas"
            yield Fault(f"expected the columns {expected}, found {found}; {way_out}", 1)
            return
        name, score = map(header.index, columns)
        for row in reader:
            if row and len(row) != len(header):
                yield Fault(f"expected {len(header)} values, found {len(row)}", reader.line_num)
            elif row:
                yield Printed(row[name].strip(), row[score].strip(), reader.line_num)
    except csv.Error as error:
        yield Fault(f"not CSV: {error}", reader.line_num)


def _literal(path: Path) -> Iterator[Printed | Fault]:
    text = read_text(path)
    start = len(text) - len(text.lstrip())
    first, text = text.count("\n", 0, start), text[start:]
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        line = None if error.lineno is None else first + error.lineno
        yield Fault(f"{_EXPECTED}, found no literal: {error.msg}", line)
        return
    except (ValueError, RecursionError, MemoryError):
        yield Fault(f"{_EXPECTED}, found what cannot be parsed")
        return
    lines = [line.encode() for line in re.split("\r\n|\r|\n", text)]
    for name, value in _items(tree):
        line = first + (name or value).lineno
        try:
            yield Printed(_name(name), _digits(value, lines), line)
        except InputError as error:
            yield Fault(str(error), line)


def _items(tree: ast.expr) -> Iterator[tuple[ast.expr | None, ast.expr]]:
    """The keys and values of a dict, or of a list of pairs; of anything else, itself as a value."""
    if isinstance(tree, ast.Dict):
        yield from zip(tree.keys, tree.values, strict=True)
    elif isinstance(tree, ast.List | ast.Tuple):
        for item in tree.elts:
            match item:
                case ast.Tuple(elts=[name, value]) | ast.List(elts=[name, value]):
                    yield name, value
                case _:
                    yield None, item
    else:
        yield None, tree


def _name(node: ast.expr | None) -> str:
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        raise InputError(
            f"expected a component's name, found the number {value}: a number loses its digits,"
            " 9.10 is 9.1"
        )
    found = "none" if node is None else quoted(ast.unparse(node))
    raise InputError(f"{_EXPECTED}, found for a component's name {found}")


def _digits(node: ast.expr, lines: list[bytes]) -> str:
    """A number as it is printed, out of what numpy or torch print around it."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode()
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"-{_digits(operand, lines)}"
        case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=[inner]) if (
            called in _WRAPPERS
        ):
            return _digits(inner, lines)
    raise InputError(f"expected a score, found {quoted(ast.unparse(node))}")
