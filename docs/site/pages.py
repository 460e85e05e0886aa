"""What stands in a document: its sections and its tables, as plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parent.parent
ROOT = DOCS.parent


def sections(document: str) -> dict[str, str]:
    """A document's text by its third-rank headings."""
    parts = re.split(r"^(#+) (.*)\n", (DOCS / document).read_text(encoding="utf-8"), flags=re.M)
    triples = zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
    return {name: text for rank, name, text in triples if rank == "###"}


def tables(text: str) -> Iterator[list[list[str]]]:
    """The tables of a text, without their headings, cell by cell."""
    for table in re.findall(r"(?:^\|.*\|\n)+", text, re.M):
        rows = [line.strip().strip("|").split("|") for line in table.splitlines()]
        yield [[cell.strip() for cell in row] for row in rows[2:]]


def evidence_by_kind() -> dict[str, str]:
    """Which evidence can decide a check, by its kind, in the order of the document."""
    text = (DOCS / "claims.md").read_text(encoding="utf-8")
    (index,) = (rows for rows in tables(text) if rows[0][0].startswith("["))
    return {kind[1 : kind.index("]")]: evidence for kind, _, evidence in index}
