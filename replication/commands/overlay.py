"""Overlay: one commented template for all kinds of experiment, whose own lines take the example's.

A template is paragraphs, each with what it explains and then what stands there: `title = ...`, or
the table `[model]`. An overlay brings such paragraphs for the same keys and tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator


def overlaid(template: str, overlay: str) -> str:
    """The template, in which what the overlay brings stands in place of what it has.

    Its comments go behind the template's own. What the template has only as an example, commented
    out, is replaced there; what it has not at all is an error of the package.
    """
    paragraphs = template.rstrip("\n").split("\n\n")
    for brought in overlay.rstrip("\n").split("\n\n"):
        place = _place_of(_key(brought), paragraphs)
        explained = [line for line in paragraphs[place].splitlines() if _explains(line)]
        paragraphs[place] = "\n".join([*explained, brought])
    return "\n\n".join(paragraphs) + "\n"


def _place_of(key: str, paragraphs: list[str]) -> int:
    """Where something stands: in force, or else as the first example of it."""
    found = [place for place, one in enumerate(paragraphs) if _key(one) == key]
    in_force = [place for place in found if _in_force(paragraphs[place])]
    return (in_force or found)[0]


def _key(paragraph: str) -> str:
    """What a paragraph states: its table, without a name, or its first key."""
    first = next(_stated(paragraph), "")
    found = re.match(r"#?\[{0,2}(\w+)", first)
    return found[1] if found else ""


def _stated(paragraph: str) -> Iterator[str]:
    return (line for line in paragraph.splitlines() if not _explains(line))


def _in_force(paragraph: str) -> bool:
    return any(not line.startswith("#") for line in _stated(paragraph))


def _explains(line: str) -> bool:
    """Whether a line of a template explains, and is no example, which starts with `#` alone."""
    return line == "#" or line.startswith(("# ", "#:"))
