"""The page: what was judged, measured and verified, for people, as one HTML file.

It opens from disk and asks for nothing: styles, the script, the data and the library that draws
the pictures are all in it. Whatever stands in it from a prompt, a spec or a file is text.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from replication.controls.thresholds import THRESHOLDS
from replication.inputs.writing import write_atomically
from replication.report.answers import answers, lacks
from replication.report.page.gallery import benchmarks, calibration, views
from replication.report.pictures.theme import FONT, PALETTES, theme
from replication.report.text import EVIDENCE, VERDICTS, WORDS, ExperimentReport, Record

TEMPLATES = Path(__file__).parent / "templates"


GLYPHS = {"holds": "✓", "refuted": "✗", "undecided": "?", "missing": "○"}


CALIBRATE = "make calibrate"


Data = dict[str, Any]


def write_page(
    folder: Path, reports: Sequence[ExperimentReport], command: str, cached: Path | None
) -> Path:
    """Write `index.html`; `cached` is a folder that keeps the drawing library between runs."""
    path = folder / "index.html"
    write_atomically(path, page(reports, command, folder, drawing_library(cached)))
    return path


def drawing_library(cached: Path | None) -> str:
    """The JavaScript of Vega, Vega-Lite and vega-embed: made in seconds, so kept in a folder."""
    if cached is None:
        return _bundle()
    kept = cached / f"vega-{version('vl-convert-python')}.js"
    if not kept.is_file():
        write_atomically(kept, _bundle())
    return kept.read_text(encoding="utf-8")


@cache
def _bundle() -> str:
    import vl_convert

    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub is wrong
    return f"(() => {{{bundle}}})();"


def page(reports: Sequence[ExperimentReport], command: str, folder: Path, library: str) -> str:
    """The page; `folder` is where a calibration and benchmarks may lie."""
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    experiments = [_experiment(report) for report in reports]
    elsewhere = {"calibrated": calibration(folder), "benchmarks": benchmarks(folder)}
    shown_parts = [*(view for one in experiments for view in one["views"]), *elsewhere.values()]
    specs: list[Data] = []
    for picture in chain(*(part["pictures"] for part in shown_parts)):
        picture["first"] = len(specs)
        specs += picture["specs"]
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(glyphs=GLYPHS, words=WORDS, shown=shown)
    return environment.get_template("index.html").render(
        experiments=experiments,
        **elsewhere,
        command=command,
        calibrate=CALIBRATE,
        thresholds=[
            [name.replace("_", " "), f"{bound.value:g}", bound.reason]
            for name, bound in THRESHOLDS._asdict().items()
        ],
        palettes=PALETTES,
        font=Markup(FONT),
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        drawn={
            "specs": specs,
            "themes": {name: theme(name) for name in PALETTES},
        },
        library=Markup(library),
        script=Markup(script),
        digests=[_digest(library), _digest(script)],
    )


def _digest(script: str) -> str:
    """The hash by which the page's own policy knows a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def shown(value: Any) -> str:
    """An expected or a measured value, in one line."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case Mapping():
            return ", ".join(f"{key} {shown(part)}" for key, part in value.items()) or "none"
        case list() | tuple():
            return ", ".join(map(shown, value)) or "none"
        case _:
            return str(value)


def _experiment(report: ExperimentReport) -> Data:
    return {
        "name": report.name,
        "id": re.sub(r"[^\w.-]", "-", report.name),
        "title": report.title,
        "answers": answers(report),
        "unexpected": [f"{r['claim']} ({r['evidence']})" for r in report.unexpected()],
        "claims": [_claim(report, claim) for claim in report.claims],
        "facets": _facets(report),
        "views": list(views(report)),
        "differences": report.differences,
        "provenance": [_provenance(kind, report) for kind in EVIDENCE if kind in report.provenance],
    }


def _claim(report: ExperimentReport, claim: Any) -> Data:
    judgements = [found for kind in EVIDENCE if (found := report.record(claim.id, kind))]
    return {
        **claim.model_dump(include={"id", "made_by", "source", "statement", "expect", "reason"}),
        "kinds": claim.kinds(),
        "judgements": [{**one, "figures": _figures_of(report, one)} for one in judgements],
    }


def _figures_of(report: ExperimentReport, record: Record) -> str:
    """Where the measured figure comes from."""
    kind, about = record["evidence"], report.provenance.get(record["evidence"])
    if not about:
        return ""
    if kind == "published":
        return "; ".join(f"{name}: {text}" for name, text in about.items())
    source = "mean activations stored from a run of" if kind == "recorded" else "a run now of"
    return f"{source} {about.get('model')} on {about.get('device')}, {about.get('precision')}"


def _facets(report: ExperimentReport) -> list[Data]:
    """What the claims can be filtered by."""
    verdicts = {record["verdict"] for record in report.records}
    kinds = {record["evidence"] for record in report.records}
    return [
        {"name": "verdict", "values": [(v, WORDS[v]) for v in VERDICTS if v in verdicts]},
        {"name": "evidence", "values": [(k, k) for k in EVIDENCE if k in kinds]},
        {"name": "made by", "values": [(maker, maker) for maker in report.makers()]},
    ]


def _provenance(kind: str, report: ExperimentReport) -> Data:
    about = dict(report.provenance[kind] or {})
    found = report.figures.get(kind, {})
    pairs = found.get("pairs", [])
    lengths = about.pop("token_lengths", None) or [[None, None]] * len(pairs)
    return {
        "evidence": kind,
        "facts": {key: shown(value) for key, value in about.items()},
        "sides": found.get("sides", []),
        "pairs": [
            {"number": number, "prompts": list(zip(pair, tokens, strict=True))}
            for number, (pair, tokens) in enumerate(zip(pairs, lengths, strict=False), 1)
        ],
        "lacks": None if about else " ".join(lacks(report, kind)),
    }
