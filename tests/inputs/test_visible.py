from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.inputs.visible import visible

ESCAPES = {
    "a\nb": r"a\nb",
    "a\r\n\tb": r"a\r\n\tb",
    "\x0b\x0c\x1c\x1d\x1e\x85": r"\x0b\x0c\x1c\x1d\x1e\x85",
    "one\u2028two\u2029": r"one\u2028two\u2029",
    "\x1b[31mred\x1b[0m\x9b\x7f\0": r"\x1b[31mred\x1b[0m\x9b\x7f\x00",
    "\u202etxt.exe\u202c \u2066x\u2069 \u200f5 - 3\u061c": (
        r"\u202etxt.exe\u202c \u2066x\u2069 \u200f5 - 3\u061c"
    ),
    "name\udcff.json": r"name\udcff.json",
    "x\n::stop-commands::y": r"x\n::stop-commands::y",
    "x ##[stop-commands]y": r"x ##\x5bstop-commands]y",
}
ORDINARY = [
    "",
    "The ratio of m2 to m11 is 1.41 – “as stated” → ✓, ± 0.01",
    "naïve Ünïcödé, שלום, سلام, 日本語, e\u0301, \u00a0, 👩\u200d🔬 👍🏽 🏳\ufe0f\u200d🌈",
    r"C:\new\table, #[1], ## [2]",
]


@pytest.mark.parametrize(("text", "shown"), ESCAPES.items())
def test_what_acts_stands_as_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_every_character_that_unicode_says_acts_is_escaped() -> None:
    """Controls, line and paragraph separators, surrogates, and what the bidi algorithm obeys."""
    acts = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    marks = {"\u200e", "\u200f", "\u061c"}
    for one in map(chr, range(sys.maxunicode + 1)):
        expected = (
            unicodedata.category(one) in ("Cc", "Zl", "Zp", "Cs")
            or unicodedata.bidirectional(one) in acts
            or one in marks
        )
        assert (visible(one) != one) == expected, ascii(one)


@given(st.text())
def test_it_is_one_line_that_can_be_written_and_is_shown_once(text: str) -> None:
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown
    shown.encode()
