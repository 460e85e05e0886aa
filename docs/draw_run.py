"""Draw the README's run as a moving picture, from what its commands print when they are run.

A line comes when it came, in the time that the commands took. The picture moves by CSS alone, as
pages that show a README run no scripts, and stands still for readers who asked for that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from replication.report.pictures.theme import PALETTES, Look

COMMANDS = (
    r"printf 'component,score\nm2,31.51\nm0,22.32\nm1,13.05\na3.h5,9.40\n' > table.csv",
    "replication new my-result --from table.csv",
    r"sed -i 's/1\.41/1.48/' my-result/claims.toml  # what the paper says of m2 and m0",
    "pytest --pyargs replication.test_claims --replication-experiments my-result -q",
)
TITLE = "From a printed table to a verdict: 31.51 / 22.32 is not 1.48"
PROMPT = "$ "
READING, END = 1.5, 6.0  # seconds before a command, and before it all begins anew

TERMINAL = ("HOME", "LANG", "TMPDIR", "PYTHONPATH")
COLUMNS = 100
WRAPPER = textwrap.TextWrapper(COLUMNS, drop_whitespace=False, replace_whitespace=False)
SIZE, LEADING, MARGIN = 13, 19, 20  # pixels
WIDTH_OF_A_LETTER = 0.602  # of the size, in the fonts that are named
FONT = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"


class Line(NamedTuple):
    """A line of a terminal, and how many seconds after the beginning it came."""

    text: str
    at: float

    @property
    def style(self) -> str:
        """What it is drawn as."""
        if self.text.startswith(PROMPT):
            return "command"
        return "refuted" if "refuted" in self.text else "output"


def run(commands: Sequence[str] = COMMANDS) -> list[Line]:
    """Run commands one after another in an empty folder, which their output calls `~`.

    They find no other variables than those of a new terminal, as pytest prints more where it finds
    `CI`, and colours where it finds `FORCE_COLOR`.

    Raises:
        CalledProcessError: one of them cannot be run.
    """
    with tempfile.TemporaryDirectory() as folder:
        return list(_run(commands, Path(folder).resolve()))


def _run(commands: Sequence[str], folder: Path) -> Iterator[Line]:
    terminal = {name: os.environ[name] for name in TERMINAL if name in os.environ} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": str(COLUMNS),
        "PYTHONUNBUFFERED": "1",
    }
    now = 0.0
    for command in commands:
        now += READING
        yield Line(f"{PROMPT}{command}", now)
        begun = time.monotonic()
        with subprocess.Popen(
            ["bash", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            cwd=folder,
            env=terminal,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                text = line.rstrip("\n").replace(str(folder), "~")
                yield Line(text, now + time.monotonic() - begun)
        if process.returncode not in (0, 1):  # pytest's, where a claim does not come out
            raise subprocess.CalledProcessError(process.returncode, command)
        now += time.monotonic() - begun


def wrapped(lines: Sequence[Line]) -> Iterator[Line]:
    """The lines as a terminal has them, none longer than it is wide."""
    for line in lines:
        for text in WRAPPER.wrap(line.text) or [""]:
            yield Line(text, line.at)


def drawn(lines: Sequence[Line], look: Look) -> str:
    """The picture as SVG; without motion every line stands there."""
    colours, shown = PALETTES[look], list(wrapped(lines))
    seconds = lines[-1].at + END
    width = round(COLUMNS * SIZE * WIDTH_OF_A_LETTER) + 2 * MARGIN
    height = len(shown) * LEADING + 2 * MARGIN
    moves = (
        f"@keyframes line{number} {{ 0% {{ opacity: 0 }}"
        f" {line.at / seconds:.2%} {{ opacity: 1 }} }}"
        for number, line in enumerate(shown)
    )
    texts = (
        f'<text class="{line.style}" style="animation-name: line{number}" x="{MARGIN}"'
        f' y="{MARGIN + SIZE + number * LEADING}">{escape(line.text)}</text>'
        for number, line in enumerate(shown)
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
            f' aria-label="{TITLE}">',
            "<style>",
            f"text {{ font: {SIZE}px {FONT}; white-space: pre; fill: {colours['ink']}; }}",
            ".command { font-weight: 600; }",
            f".refuted {{ fill: {colours['refuted']}; }}",
            "@media (prefers-reduced-motion: no-preference) {",
            f"text {{ animation: {seconds:.2f}s step-end infinite; }}",
            *moves,
            "}",
            "</style>",
            f'<rect width="{width}" height="{height}" rx="8" fill="{colours["panel"]}"/>',
            *texts,
            "</svg>\n",
        ]
    )
