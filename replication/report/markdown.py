"""Markdown, as far as the reports need it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def escaped(text: str) -> str:
    """Text as a cell of a table shows it, whatever is in it."""
    return re.sub(r"[\\`*\[\]<>|]|\b_|_\b|(?<!\w)_", r"\\\g<0>", " ".join(text.split()))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table, with an empty one behind it; a header that ends in `:` aligns right."""
    names = [name.removesuffix(":") for name in header]
    rule = ["---:" if name.endswith(":") else "---" for name in header]
    return [*(f"| {' | '.join(cells)} |" for cells in (names, rule, *rows)), ""]
