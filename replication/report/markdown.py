"""Markdown, as far as the reports need it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from replication.inputs.visible import visible

# What Markdown reads in its source.
_SYNTAX = r"""
    [\\`*\[\]<>|~]                        # code, emphasis, links, footnotes, HTML, cells
    | (?<![^\W_])_ | _(?![^\W_])          # emphasis, which no line within a word is
    | & (?= \#?\w+; )                     # entities
    | (?:^|(?<=\s)) \# (?! \d )           # headings, and what may end them
    | ^[-+] (?= \s|$ ) | ^- (?= [-\s]+$ ) # lists, rules
"""
# What GitHub reads in the text that Markdown gives, and what a backslash does not undo.
_REFERENCE = r"""
    @                                     # people, mail
    | \# (?= \d ) | (?<= \bGH ) - | (?<= \bGHSA ) - | (?<= \bCVE ) -
    | : (?= // ) | (?<= www ) \.          # addresses
    | : (?= [\w+-]+: )                    # emoji
    | \$                                  # formulas
    | ^\d{1,9}[.)] (?= \s|$ )             # numbered lists
    # A commit's hash; digits behind a point are a number's.
    | (?<!\w) (?<!\d\.) (?= \d*[a-f] ) (?= [a-f]*\d ) [\da-f]{7,40} (?!\w)
"""
_READ = re.compile(
    f"(?P<syntax>{_SYNTAX}) | (?P<reference>{_REFERENCE})", re.VERBOSE | re.IGNORECASE | re.ASCII
)


def escaped(text: str) -> str:
    """Text as a cell of a table, a heading or an item of a list shows it, whatever is in it.

    A backslash keeps a character from being Markdown. It does not keep GitHub from what it makes
    of the text that is then left: links to people, issues, commits and addresses, emoji, formulas.
    GitHub looks at each element's text by itself, so the character that it goes by stands in a
    `<span>`, as its documentation has it for a dollar sign. Unlike a space of no width, that is not
    copied. A commit's hash stands in pieces that are too short for one; a word of 7 to 40 digits,
    or of letters up to f, without the other, is taken for a number, or a word.
    """
    return _READ.sub(_as_text, " ".join(visible(text).split()))


def _as_text(found: re.Match[str]) -> str:
    if found["syntax"]:
        return f"\\{found[0]}"
    return re.sub(".{1,6}", r"<span>\g<0></span>", found[0])


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table, with an empty one behind it; a header that ends in `:` aligns right."""
    names = [name.removesuffix(":") for name in header]
    rule = ["---:" if name.endswith(":") else "---" for name in header]
    return [*(f"| {' | '.join(cells)} |" for cells in (names, rule, *rows)), ""]
