"""The documents as a site: whole, read and searched from disk, and asking nothing of a network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser

from docs.site.gallery import TELLING
from docs.site.pages import DOCS, evidence_by_kind
from docs.site.reference import default, type_of
from docs.site.source import PROJECT, in_both_looks, linked_files
from replication.experiment.spec import find_experiments
from tests.paths import FIXTURES, ROOT

DOCUMENTS = [*(ROOT / name for name in PROJECT), *DOCS.glob("*.md")]
LOADED = {"script": "src", "img": "src", "source": "srcset", "iframe": "src", "link": "href"}
ELSEWHERE = re.compile(r"(?:[a-z][a-z+.-]*:)?//", re.I)


class Page(HTMLParser):
    """A page's links, the names that links to it can end in, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: set[str] = set()
        self.names: set[str] = set()
        self.loads: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if name := given.get("id"):
            self.names.add(name)
        if tag == "a" and (link := given.get("href")):
            self.links.add(link)
        if found := given.get(LOADED.get(tag, "")):
            self.loads.add(found)

    def target(self, link: str) -> Path:
        """The file that a link leads to."""
        path = unquote(link.partition("#")[0].partition("?")[0])
        return (self.path.parent / path).resolve() if path else self.path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with every warning an error."""
    folder = tmp_path_factory.mktemp("built") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "docs.site", str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Every page, by its place."""
    return {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html")}


def test_the_start_page_leads_to_every_document(pages: dict[str, Page]) -> None:
    start = pages["docs/README.html"]
    linked = {start.target(link) for link in start.links if not ELSEWHERE.match(link)}
    made = [DOCS / "gallery.md", DOCS / "reference.md"]
    expected = {path.relative_to(ROOT).with_suffix(".html").as_posix() for path in DOCUMENTS + made}
    assert expected <= set(pages)
    assert {pages[place].path.resolve() for place in expected} <= linked | {start.path.resolve()}
    assert "docs/README.html" in pages["index.html"].links


def test_every_link_of_the_site_leads_somewhere(pages: dict[str, Page]) -> None:
    by_path = {page.path.resolve(): page for page in pages.values()}
    for page in pages.values():
        for link in page.links:
            if ELSEWHERE.match(link):
                continue
            target = page.target(link)
            assert target.is_file(), f"{page.path.name}: {link}"
            name = unquote(link.partition("#")[2])
            assert not name or name in by_path[target].names, f"{page.path.name}: {link}"


def test_no_page_loads_anything_from_a_network(site: Path, pages: dict[str, Page]) -> None:
    for page in pages.values():
        assert page.loads or page.path.name == "index.html"
        for loaded in page.loads:
            assert not ELSEWHERE.match(loaded), f"{page.path.name}: {loaded}"
            assert loaded.startswith("data:") or page.target(loaded).is_file(), loaded
    for path in [*site.rglob("*.css"), *(page.path for page in pages.values())]:
        text = path.read_text(encoding="utf-8")
        asked = re.findall(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)", text)
        assert not [one for both in asked for one in both if ELSEWHERE.match(one)], path.name


def test_a_word_of_one_page_is_found_in_that_page(site: Path) -> None:
    word = "fsspec"
    (only,) = (path for path in DOCUMENTS if word in path.read_text(encoding="utf-8"))
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    assert index["docnames"][index["terms"][word]] == f"docs/{only.stem}"


def test_the_site_is_searched_from_disk(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{(site / 'search.html').as_uri()}?q=fsspec")
    found = page.locator("#search-results li a").first
    found.wait_for()
    assert found.get_attribute("href") == "docs/cluster.html"
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()


def test_the_reference_has_every_kind_of_check_with_its_keys(pages: dict[str, Page]) -> None:
    reference = pages["docs/reference.html"]
    anchors = {kind.replace("_", "-") for kind in evidence_by_kind()}
    assert anchors <= {name.replace("_", "-") for name in reference.names}
    text = reference.path.read_text(encoding="utf-8")
    assert text.count("Evidence that can decide it: ") == len(anchors)
    for key in ("model.shape", "selection.steps[].at_least", "results.NAME", "figures.NAME"):
        assert f">{key}</span></code>" in text, key


def test_the_gallery_has_every_experiment_with_pictures_in_both_looks(
    pages: dict[str, Page],
) -> None:
    gallery = pages["docs/gallery.html"]
    pictures = sorted(Path(loaded).name for loaded in gallery.loads if "/_images/" in loaded)
    for experiment in find_experiments(FIXTURES):
        assert experiment.name in gallery.names
        looks = [name for name in pictures if name.startswith(f"{experiment.name}-1-")]
        assert looks == [f"{experiment.name}-1-{look}.svg" for look in ("dark", "light")]
    text = gallery.path.read_text(encoding="utf-8")
    assert [title for title in TELLING if f"<h3>{title}<" not in text] == []
    for found in (
        "The excluded MLPs, m3 and m4, score below 6.5.",
        "51 in both, 3 only in original, 3 only in replication",
        "Their lengths alone explain most of the score of m11",
        "The 10 that differ most and the 10 that matter most",
    ):
        assert found in text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"type": "integer", "exclusiveMinimum": 0}, "whole number, above 0"),
        ({"type": "number", "minimum": 0, "maximum": 1}, "number, at least 0, at most 1"),
        ({"enum": ["mlp", "head"], "type": "string"}, '`"mlp"`, `"head"`'),
        ({"items": {"type": "string"}, "type": "array"}, "list of: text"),
        ({"anyOf": [{"type": "string"}, {"const": True}]}, "text or `true`"),
        ({"additionalProperties": {"type": "number"}, "type": "object"}, "table of: number"),
        ({"patternProperties": {"^a$": {"$ref": "#/$defs/A"}}}, "table of, by name: table"),
    ],
)
def test_a_schema_is_said_in_words(value: dict[str, Any], said: str) -> None:
    assert type_of(value) == said


def test_a_default_is_said_as_it_is_written() -> None:
    keys = {"a": {}, "b": {"default": "all"}, "c": {"default": False}, "d": {}}
    definition = {"properties": keys, "required": ["a"]}
    assert [default(key, definition) for key in keys] == ["required", '`"all"`', "`false`", ""]


def test_pictures_follow_the_sites_own_switch() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    changed = in_both_looks(text)
    assert "<picture>" in text
    assert "<picture>" not in changed
    for look in ("light", "dark"):
        image = f"{{image}} docs/sample/comparison-{look}.svg\n:alt: The published circuit and"
        assert image in changed
        assert f":class: only-{look}" in changed


def test_files_that_are_linked_to_come_along() -> None:
    text = "[one](../action.yml), [two](README.md#x), [three](https://docs.ray.io), [four](no.txt)"
    assert linked_files(text, DOCS) == [ROOT / "action.yml"]
