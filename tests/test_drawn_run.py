"""The run that the README shows as a moving picture: that it is what its commands print."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from docs.draw_run import COLUMNS, COMMANDS, PROMPT, Line, drawn, run, wrapped
from docs.draw_sample import SAMPLE
from replication.report.pictures.theme import PALETTES, Look


def lines_of(picture: str) -> list[str]:
    return [unescape(text) for text in re.findall(r"<text [^>]*>(.*)</text>", picture)]


def timeless(line: str) -> str:
    """A line without what is another in every run, and the frame that is drawn around titles."""
    line = re.sub(r"\d{4}-\d\d-\d\d", "DAY", re.sub(r"in \d+\.\d+s", "in 0s", line))
    return re.sub(r"[=_]{4,}|(?<=ssF) +", "", line).strip()


def test_the_committed_run_is_what_its_commands_print_under_any_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"CI": "true", "FORCE_COLOR": "1", "PYTEST_ADDOPTS": "-vv"}.items():
        monkeypatch.setenv(name, value)
    printed = [timeless(line.text) for line in wrapped(run())]
    assert any("refuted" in line for line in printed)
    for look in PALETTES:
        kept = (SAMPLE / f"run-{look}.svg").read_text(encoding="utf-8")
        assert [timeless(line) for line in lines_of(kept)] == printed


def test_its_commands_are_those_of_the_readme() -> None:
    readme = (SAMPLE.parent.parent / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\$ (.*)$", readme, re.M)
    for command in COMMANDS:
        plain = command.partition("  #")[0]
        assert any(one.startswith(plain) for one in shown), command


def test_a_long_line_is_wrapped_and_loses_nothing() -> None:
    long = Line("word " * 50 + "end", 1.0)
    found = list(wrapped([long, Line("", 2.0)]))
    assert max(len(line.text) for line in found) <= COLUMNS
    assert "".join(line.text for line in found[:-1]) == long.text
    assert found[-1] == Line("", 2.0)


LINES = [Line(f"{PROMPT}one < two & three", 1.0), Line("2", 3.0), Line("3", 3.0), Line("4", 5.0)]
VISIBLE = """now => {
    const moves = document.getAnimations();
    moves.forEach(one => { one.pause(); one.currentTime = 1000 * now; });
    const texts = [...document.querySelectorAll("text")];
    return texts.filter(one => getComputedStyle(one).opacity === "1").length;
}"""


@pytest.mark.parametrize("look", PALETTES)
def test_lines_come_when_they_came_and_stand_still_where_that_is_asked(
    browser: Browser, tmp_path: Path, look: Look
) -> None:
    path = tmp_path / "run.svg"
    path.write_text(drawn(LINES, look), encoding="utf-8")
    with browser.new_page(reduced_motion="no-preference") as page:
        page.goto(path.as_uri())
        assert page.locator("text").first.text_content() == LINES[0].text
        seen = [page.evaluate(VISIBLE, now) for now in (0.9, 1.1, 2.9, 3.1, 4.9, 5.1, 10.9, 11.1)]
        assert seen == [0, 1, 1, 3, 3, 4, 4, 0]
    with browser.new_page(reduced_motion="reduce") as page:
        page.goto(path.as_uri())
        assert page.evaluate(VISIBLE, 0.5) == len(LINES)
