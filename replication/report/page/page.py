"""The page: what was judged, measured and verified, for people, as one HTML file.

It opens from disk and asks for nothing: styles, the script, the data and the library that draws
the pictures are all in it. Whatever stands in it from a prompt, a spec or a file is text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from replication.controls.thresholds import THRESHOLDS
from replication.inputs.visible import visible
from replication.inputs.writing import write_atomically
from replication.report.answers import said
from replication.report.ledger import ABOUT, CORRECTION, HEADINGS, QUESTIONS, entries
from replication.report.made import Made
from replication.report.page.gallery import Table
from replication.report.page.own_measurements import benchmarks, calibration
from replication.report.page.sections import section, shown
from replication.report.pictures.marks import Spec
from replication.report.pictures.theme import FONT, PALETTES, theme
from replication.report.record import WORDS, ExperimentReport
from replication.report.text import partial

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
GLYPHS = {"holds": "✓", "refuted": "✗", "undecided": "?", "missing": "○"}
CALIBRATE = "make calibrate"


def drawing_library(folder: Path) -> str:
    """The JavaScript of Vega, Vega-Lite and vega-embed: made in seconds, so kept in a folder."""
    kept = folder / f"vega-{version('vl-convert-python')}.js"
    with suppress(OSError):  # what cannot be kept is made again
        if not kept.is_file():
            write_atomically(kept, _bundle())
        return kept.read_text(encoding="utf-8")
    return _bundle()


@cache
def _bundle() -> str:
    import vl_convert

    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub is wrong
    return f"(() => {{{bundle}}})();"


def page(
    reports: Sequence[ExperimentReport],
    command: str,
    folder: Path,
    library: str,
    made: Made | None = None,
) -> str:
    """The page; `folder` is where a calibration and benchmarks may lie, `made` how it is made."""
    from markupsafe import Markup

    specs: list[Spec] = []

    def place(spec: Spec) -> int:
        """The number by which the script finds the picture that it draws here."""
        specs.append(spec)
        return len(specs) - 1

    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    environment = _environment()
    environment.globals.update(shown=shown, place=place)
    return environment.get_template("index.html").render(
        experiments=[section(report) for report in reports],
        calibrated=calibration(folder),
        benchmarks=benchmarks(folder),
        command=command,
        made=made,
        partial=partial(reports),
        calibrate=CALIBRATE,
        thresholds=_thresholds(),
        # The template reads it last, when every picture has its place.
        drawn={"specs": specs, "themes": {name: theme(name) for name in PALETTES}},
        library=Markup(library),
        script=Markup(script),
        digests=[_digest(library), _digest(script)],
    )


def ledger_page(reports: Sequence[ExperimentReport]) -> str:
    """The ledger as a page of its own."""
    return (
        _environment()
        .get_template("ledger.html")
        .render(
            entries=entries(reports),
            said=said,
            about=ABOUT,
            headings=HEADINGS,
            questions=QUESTIONS,
            correction=CORRECTION,
            partial=partial(reports),
        )
    )


def _environment() -> Environment:
    """What every page is rendered in; whatever is put into a template is text."""
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.globals.update(
        glyphs=GLYPHS,
        words=WORDS,
        palettes=PALETTES,
        font=Markup(FONT),
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
    )
    return environment


def _thresholds() -> Table:
    return Table(
        head=["threshold", "value", "reason"],
        body=[
            [name.replace("_", " "), f"{bound.value:g}", bound.reason]
            for name, bound in THRESHOLDS._asdict().items()
        ],
        caption="What the words and verdicts rest on",
    )


def _digest(script: str) -> str:
    """The hash by which the page's own policy knows a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
