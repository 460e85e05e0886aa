"""Markdown as GitHub renders it: a text on the page is the text."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st

from replication.inputs.visible import visible
from replication.report.markdown import escaped, table

PLACES: dict[str, Callable[[str], str]] = {
    "cell": lambda text: "\n".join(table(["x", "y"], [[text, text], ["next", "row"]])),
    "heading": lambda text: f"# {text}\n\nnext\n",
    "item": lambda text: f"- {text}\n- next\n",
    "bold": lambda text: f"- **{text}**, next\n",
    "paragraph": lambda text: f"before\n\n{text}\n\nnext\n",
}
STATEMENTS = [
    "~~x~~ ~x~",
    "@user, @org/team: see #1, GH-1, user/repo#1 and user@a5c3785",
    "http://a.b, https://a.b/c_d?e=f&g=h, ftp://a.b, www.a.b and me@a.bc, mailto:me@a.bc",
    "$x$, $$x$$, $`x`$",
    "&lt;b&gt; &#35;1 &amp;amp; &copy",
    "<b>x</b> <!-- x --> <https://a.b> </td></table>",
    "*x* **x** _x_ __x__ a_b a_b_ x._y_",
    "`x` ``x`` ```",
    "a | b \\| c \\\\| d",
    "[text](link) ![image](link) [^1] [x] [ ] [x]: y",
    ":smile: :+1: :100: a:b:c: d",
    "# heading",
    "## closed ##",
    "C# is no heading #",
    "- item",
    "+ item",
    "- [ ] task",
    "-",
    "---",
    "- - -",
    "===",
    "1. item",
    "12) item",
    "> quote",
    "~~~ fence",
    "    code",
    "trailing \\",
    "trailing \\\\",
    "at a5c3785ed8d6a35868bc169f07e40e889087fd2e, fedcba9",
    "GHSA-jfh8-c2jp-5v3q CVE-2026-1234",
    "<span>x</span>",
    "##[stop-commands]x",
    "\x1b[31mred\x1b[0m \u202etxet\u202c\r\n::stop-commands::x",
]
MARKS = st.sampled_from(" \\`*_[]()<>|~&#@:$!^+-.=/\"'0123456789;\n\x1b\u202eé😀\u00a0\u2028")
WORDS = st.sampled_from(
    ["www.", "http://", "a5c3785", "GH-1", "user", "&lt;", ":smile:", "##[", "a.bc", "1. ", "xmpp:"]
)
TEXTS = st.lists(MARKS | WORDS | st.characters(exclude_categories=["Cs"]), max_size=30).map("".join)
# What GitHub makes links, pictures and formulas of, in the text of one element.
READ_BY_GITHUB = re.compile(
    r"@[a-z0-9]|#\d|\bGH-\d|\bGHSA-|\bCVE-|://|www\.|:[\w+-]+:|\$.*\$"
    r"|(?<!\d\.)\b(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{7,40}\b",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)


class Rendered(HTMLParser):
    """The elements of a page, and its text, in the pieces that stand between their tags."""

    def __init__(self, markdown: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.pieces: list[str] = []
        options = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
        self.feed(cmarkgfm.github_flavored_markdown_to_html(markdown, options=options))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.elements.update(f"{tag} {name}" for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)


def text_of(page: Rendered) -> str:
    return " ".join("".join(page.pieces).split())


def holds_as_text(text: str) -> None:
    """In each place the text is what was written, of the elements that plain words make."""
    in_one_line = " ".join(visible(text).split())
    for place in PLACES.values():
        plain, page = Rendered(place("PLAIN")), Rendered(place(escaped(text)))
        assert text_of(page) == " ".join(text_of(plain).replace("PLAIN", in_one_line).split())
        assert page.elements - {"span"} == plain.elements
        assert not [piece for piece in page.pieces if READ_BY_GITHUB.search(piece)]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_on_the_page_is_the_statement(statement: str) -> None:
    holds_as_text(statement)


@given(TEXTS.filter(str.strip))
def test_whatever_the_text_is(text: str) -> None:
    holds_as_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "|7.98 / 7.3322 - 1| = 8.8%, more than 5%; the other nine stay within 3%.",
        "The ratio of m2 to m11 is 1.41; 32.4653 / 22.2967 = 1.45605 to 1.45606, ± 0.01.",
        "a4.h3, a3.h6, not in sarcasm-gpt2: -5 of 1234567, 0.12345e7, at 10:30 (naïve ✓ 😀)",
        "recorded.safetensors is missing; written with: replication record fixtures/one_two",
        "run with --replication-live, of snake_case & co, 95% (12. and so on); R&D",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert escaped(text) == text.replace("|", "\\|")
