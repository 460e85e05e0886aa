"""Positions: on which line of a TOML or JSON file a value stands.

A place is the steps that lead to a value: `("claim", 6, "check", 0, "of")`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tree_sitter import Node

Place = tuple[str | int, ...]
Language = Literal["toml", "json"]


def lines_of(path: Path) -> Callable[[Place], int | None]:
    """What gives the line of a value, or of the closest one around it that the file holds.

    It gives None throughout where the file is neither TOML nor JSON by its name, or is not there.
    """
    languages: dict[str, Language] = {".toml": "toml", ".json": "json"}
    try:
        found = list(positions(path.read_bytes(), languages[path.suffix]))
    except (KeyError, OSError, ValueError, RecursionError):
        return lambda _: None
    lines = dict(reversed(found)) | {(): 1}

    def line(place: Place) -> int:
        while place not in lines:
            place = place[:-1]
        return lines[place]

    return line


def positions(text: bytes, language: Language) -> Iterator[tuple[Place, int]]:
    """Every key and every element of an array in a file, in order, with its line, from 1 on."""
    import tree_sitter
    import tree_sitter_json
    import tree_sitter_toml

    grammar = {"toml": tree_sitter_toml, "json": tree_sitter_json}[language]
    tree = tree_sitter.Parser(tree_sitter.Language(grammar.language())).parse(text)
    yield from _inside((), tree.root_node, {})


def _inside(place: Place, node: Node, sizes: dict[Place, int]) -> Iterator[tuple[Place, int]]:
    """The positions inside a node; `sizes` counts the tables of each array of tables so far."""
    children = [child for child in node.named_children if child.type != "comment"]
    match node.type:
        case "array":
            for number, child in enumerate(children):
                yield (*place, number), child.start_point.row + 1
                yield from _inside((*place, number), child, sizes)
        case "pair":
            key, value = children
            for step in _steps(key):
                place = (*place, step)
                yield place, key.start_point.row + 1
            yield from _inside(place, value, sizes)
        case "table" | "table_array_element":
            key, *pairs = children
            for step in _steps(key):
                if place in sizes:
                    place = (*place, sizes[place] - 1)
                place = (*place, step)
                yield place, key.start_point.row + 1
            if node.type == "table_array_element":
                sizes[place] = sizes.get(place, 0) + 1
            if place in sizes:
                place = (*place, sizes[place] - 1)
                yield place, key.start_point.row + 1
            for pair in pairs:
                yield from _inside(place, pair, sizes)
        case _:
            for child in children:
                yield from _inside(place, child, sizes)


def _steps(key: Node) -> list[str]:
    """The steps of a key: several where TOML's is dotted."""
    text = (key.text or b"").decode()
    if key.type == "string":
        return [json.loads(text)]
    steps: list[str] = []
    data: Any = tomllib.loads(f"{text} = 0")
    while isinstance(data, dict):
        ((step, data),) = data.items()
        steps.append(step)
    return steps
