"""What Sphinx reads: the documents in the repository's layout, and the pages made beside them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from docs.site.pages import DOCS, ROOT

START = "docs/README"
PROJECT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
MADE = """
## Made from the code and the experiments

- [Gallery](gallery.md): what was found in each experiment, in words and pictures.
- [Reference](reference.md): every kind of check and every key of `experiment.toml`, with types and
  defaults.
"""
UNLISTED = "---\norphan: true\n---\n\n"  # is reached by links alone, and Sphinx is to take it so

LINK = re.compile(r"\]\(([^)#]+)")
LISTED = re.compile(r"^- \[([^\]]+)\]\((\w+)\.md\)", re.M)
PICTURE = re.compile(
    r'<picture>\s*<source [^>]*srcset="(?P<dark>[^"]+)">'
    r'\s*<img alt="(?P<alt>[^"]+)" src="(?P<light>[^"]+)">\s*</picture>'
)


def write_source(folder: Path, made: Mapping[str, str], pictures: Mapping[str, str]) -> None:
    """Write the documents, and what they show and link to, and `made`, pages by their names.

    `pictures` are those of the pages made, by their places from `docs/`.
    """
    shutil.copytree(DOCS / "sample", folder / "docs" / "sample")
    for path in [*(ROOT / name for name in PROJECT), *sorted(DOCS.rglob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        for linked in linked_files(text, path.parent):
            place = folder / linked.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(linked, place)
        if path == DOCS / "README.md":
            text += MADE + contents(text + MADE)
        if path.parent != DOCS and path.parent != ROOT:
            text = UNLISTED + text
        write(folder / path.relative_to(ROOT), in_both_looks(text))
    for name, text in made.items():
        write(folder / "docs" / f"{name}.md", in_both_looks(text))
    for name, picture in pictures.items():
        write(folder / "docs" / name, picture)


def write(path: Path, text: str) -> None:
    """Write a file, in a folder that may not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def linked_files(text: str, folder: Path) -> list[Path]:
    """The files of the repository, and no documents, that a text links to from a folder."""
    found = {(folder / link).resolve() for link in LINK.findall(text)}
    return sorted(path for path in found if path.suffix != ".md" and path.is_file())


def in_both_looks(text: str) -> str:
    """A text whose pictures follow the site's own switch of light and dark, not the system's.

    Sphinx takes no notice of pictures in HTML.
    """

    def images(found: re.Match[str]) -> str:
        alt = " ".join(found["alt"].split())
        return "\n\n".join(
            f"```{{image}} {found[look]}\n:alt: {alt}\n:class: only-{look}\n```"
            for look in ("light", "dark")
        )

    return PICTURE.sub(images, text)


def contents(index: str) -> str:
    """The site's contents: what the index lists, under its headings, and the project's pages."""
    parts = re.split(r"^#+ (.*)\n", index, flags=re.M)
    groups = {
        title: [f"{name} <{page}>" for name, page in LISTED.findall(text)]
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    groups["The project"] = [f"../{name.removesuffix('.md')}" for name in PROJECT]
    return "".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "\n".join(pages) + "\n```\n"
        for title, pages in groups.items()
    )
