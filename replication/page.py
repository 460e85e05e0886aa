"""The page: what was judged, measured and verified, for people, as one HTML file.

It opens from disk and asks for nothing: styles, the script, the data and the library that draws
the pictures are all in it. Whatever stands in it from a prompt, a spec or a file is text.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from itertools import chain, combinations
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from replication import pictures
from replication.components import parse
from replication.files import InputError, read_json, write_atomically
from replication.meaning import sentences
from replication.report import EVIDENCE, VERDICTS, WORDS, ExperimentReport, Record
from replication.verification import THRESHOLDS
from replication.verification import VERDICTS as VERDICT_OF_WORD

TEMPLATES = Path(__file__).parent / "templates"
GLYPHS = {"holds": "✓", "refuted": "✗", "undecided": "?", "missing": "○"}
DIFFERENCES = ("score", "distance")
CALIBRATE = "make calibration"
SHOWN = 30  # components in the picture of same-side scores
LENGTHS = 8  # components in the pictures of what length explains
Data = dict[str, Any]


class _Rate(BaseModel):
    pairs: int
    scenario: str
    word: str
    rate: float
    low: float
    high: float
    n: int


class _Target(BaseModel):
    name: str
    target: str | float | int
    met_from_pairs: int | None = None


class Calibration(BaseModel):
    """The content of `calibration.json`: how often the verifier is right on planted circuits."""

    models: int
    rows: list[_Rate]
    targets: list[_Target] = Field(default_factory=list)


class _Run(BaseModel):
    date: str
    commit: str
    ratios: dict[str, float]


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
    calibrated, benchmarks = _calibration(folder), _benchmarks(folder)
    views = [view for one in experiments for view in one["views"]]
    specs: list[pictures.Spec] = []
    for picture in chain(*(part["pictures"] for part in [*views, calibrated, benchmarks])):
        picture["first"] = len(specs)
        specs += picture["specs"]
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(glyphs=GLYPHS, words=WORDS, shown=shown)
    return environment.get_template("index.html").render(
        experiments=experiments,
        calibrated=calibrated,
        benchmarks=benchmarks,
        command=command,
        calibrate=CALIBRATE,
        thresholds=[
            [name.replace("_", " "), f"{bound.value:g}", bound.reason]
            for name, bound in THRESHOLDS.items()
        ],
        palettes=pictures.PALETTES,
        font=Markup(pictures.FONT),
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        drawn={
            "specs": specs,
            "themes": {name: pictures.theme(name) for name in pictures.PALETTES},
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


# The answer


def answers(report: ExperimentReport) -> list[Data]:
    """The three questions, each with its answer, the counts behind it, and what was not run."""
    return [_adds_up(report), _replicates(report), _means(report)]


def _tally(report: ExperimentReport, kind: str, controls: bool) -> Counter[str]:
    """The verdicts on one kind of evidence, of the claims about controls or of all others."""
    wanted = {
        claim.id
        for claim in report.claims
        if controls == any(check.kind == "control" for check in claim.check)
    }
    return Counter(
        r["verdict"] for r in report.records if r["evidence"] == kind and r["claim"] in wanted
    )


def _verdict_on(counts: Counter[str]) -> str:
    if counts["refuted"]:
        return "Not entirely" if counts["holds"] else "No"
    if counts["holds"]:
        return "As far as it was judged, yes" if counts["undecided"] else "Yes"
    return "Not decided" if counts["undecided"] else "Not run"


def _counted(label: str, counts: Counter[str]) -> Data:
    return {"label": label, "counts": [(v, counts[v]) for v in VERDICTS if counts[v]]}


def _lacks(report: ExperimentReport, kind: str) -> list[str]:
    """Why there is no evidence of a kind."""
    found = [r for r in report.records if r["evidence"] == kind]
    if not found and kind == "live":
        return ["Live evidence: not run; --live runs the model."]
    if not found and kind == "published" and not report.is_published:
        return ["The experiment has no published result."]
    if not found:
        return [f"{kind.capitalize()} evidence: not judged in this run."]
    reasons = dict.fromkeys(r["arithmetic"] for r in found if r["verdict"] == "missing")
    return [f"{kind.capitalize()} evidence: {reason}." for reason in reasons]


def _adds_up(report: ExperimentReport) -> Data:
    counts = _tally(report, "published", controls=False)
    return {
        "question": "Does it add up?",
        "asks": "the published statements, from the published figures",
        "answer": _verdict_on(counts) if report.is_published else "Nothing to add up",
        "tallies": [_counted("published", counts)] if counts else [],
        "lacks": _lacks(report, "published"),
    }


def _replicates(report: ExperimentReport) -> Data:
    counts = {kind: _tally(report, kind, controls=False) for kind in ("live", "recorded")}
    settled = [found for found in counts.values() if set(found) - {"missing"}]
    return {
        "question": "Does it replicate?",
        "asks": "the same statements, from a run of the model",
        "answer": _verdict_on(settled[0]) if settled else "Not run",
        "tallies": [_counted(kind, found) for kind, found in counts.items() if found],
        "lacks": [line for kind in counts for line in _lacks(report, kind)],
    }


def _means(report: ExperimentReport) -> Data:
    judged = _verified(report)
    named = [
        Counter(one["word"] for one in found["components"] if one["selected"]) for found in judged
    ]
    controls = [(kind, _tally(report, kind, controls=True)) for kind in reversed(EVIDENCE)]
    words = sum(named, Counter())
    stated = sum((counts for _, counts in controls), Counter())
    tallies = [
        {
            "label": f"selected by {found['result']} ({found['evidence']})",
            "words": [
                (word + "s" * (word == "artefact" and counts[word] > 1), counts[word])
                for word in VERDICT_OF_WORD
                if counts[word]
            ],
        }
        for found, counts in zip(judged, named, strict=True)
    ]
    tallies += [
        _counted(f"claims on meaning, {kind}", counts) for kind, counts in controls if counts
    ]
    lacking: dict[tuple[str, str], list[str]] = {}
    for one in report.verifications:
        for part, reason in one["not_computed"].items():
            lacking.setdefault((part, reason), []).append(f"{one['result']} ({one['evidence']})")
    return {
        "question": "Does it mean what it says?",
        "asks": "whether the scores are stable, specific, and no matter of prompt length",
        "answer": _meaning_on(stated, words),
        "tallies": tallies,
        "lacks": [
            f"{part.capitalize()}, not computed for {', '.join(results)}: {reason}."
            for (part, reason), results in lacking.items()
        ]
        + ([] if words else ["No verification was run."]),
    }


def _meaning_on(stated: Counter[str], words: Counter[str]) -> str:
    """What the statements on meaning came to; where there are none, the words do."""
    if stated["holds"] or stated["refuted"]:
        return _verdict_on(stated)
    if not words:
        return "Not run"
    if words["specific"]:
        return "Yes" if set(words) == {"specific"} else "Only in part"
    return "Not shown, and in part an artefact" if words["artefact"] else "Not shown"


def _verified(report: ExperimentReport) -> list[Data]:
    """The verifications on the best evidence that there are any of: live before recorded."""
    by_kind = ([v for v in report.verifications if v["evidence"] == k] for k in reversed(EVIDENCE))
    return next(filter(None, by_kind), [])


# An experiment


def _experiment(report: ExperimentReport) -> Data:
    return {
        "name": report.name,
        "title": report.title,
        "answers": answers(report),
        "claims": [_claim(report, claim) for claim in report.claims],
        "facets": _facets(report),
        "views": [*_views(report), *_comparisons(report)],
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
    lengths = about.pop("token_lengths", None) or [[None, None]] * len(found.get("pairs", []))
    pairs = [
        {"number": number, "prompts": list(zip(pair, tokens, strict=True))}
        for number, (pair, tokens) in enumerate(zip(found.get("pairs", []), lengths), 1)  # noqa: B905
    ]
    return {
        "evidence": kind,
        "facts": {key: shown(value) for key, value in about.items()},
        "sides": found.get("sides", []),
        "pairs": pairs,
        "lacks": None if about else "; ".join(_lacks(report, kind)),
    }


def _picture(title: str, caption: str, *specs: pictures.Spec) -> Data:
    return {"title": title, "caption": caption, "specs": list(specs)}


def _shown_results(report: ExperimentReport) -> Iterator[tuple[str, str, Data]]:
    """Evidence, name and figures of what is pictured: the best measured result, the published."""
    measured = [kind for kind in ("live", "recorded") if kind in report.figures][:1]
    for kind in [*measured, "published"]:
        for name, figures in report.figures.get(kind, {}).get("results", {}).items():
            yield kind, name, figures


def _views(report: ExperimentReport) -> Iterator[Data]:
    """One view for each result pictured: its circuit, its scores, what became of them."""
    for kind, name, figures in _shown_results(report):
        verified: Data = next(
            (v for v in report.verifications if (v["evidence"], v["result"]) == (kind, name)), {}
        )
        by_rank = sorted(
            verified.get("components", []), key=lambda one: (one["kind"] != "mlp", one["rank"])
        )
        rows = pictures.components(figures, by_rank)
        yield {
            "title": f"{name}, {kind}",
            "pictures": [
                *_score_pictures(rows, figures, verified),
                *_verification_pictures(rows, by_rank, verified),
            ],
            "sentences": list(sentences(verified)) if verified else [],
            "left_out": (verified.get("stability") or {}).get("leave_one_out"),
            "rows": _table(rows, by_rank),
        }


def _score_pictures(rows: list[Data], figures: Data, verified: Data) -> Iterator[Data]:
    if figures["nodes"] is not None:
        cost = f"It costs {figures['cost']} of {figures['budget']} dimensions."
        listed = sum(row["score"] is not None for row in rows)
        unknown = len(rows) - 1 - listed
        yield _picture(
            "The circuit",
            f"Outlined: selected. Colour: the score. {cost}"
            + (f" Empty squares: {unknown} scores that were not published." if unknown else ""),
            pictures.circuit(rows, figures["shape"]),
        )
    if figures["scores"] is None:
        return
    intervals = (
        f" Whiskers: {THRESHOLDS['confidence'].value:.0%} intervals from"
        f" {verified['resamples']:,} draws of the pairs."
        if any(row["low"] is not None for row in rows)
        else " No intervals: they need each pair's own scores."
    )
    if any(row["kind"] == "MLP" and row["score"] is not None for row in rows):
        yield _picture(
            "Scores of the MLPs",
            "Filled: selected, for the score reaches the threshold. Hollow: left out." + intervals,
            pictures.mlp_scores(rows),
        )
    if any(row["kind"] == "head" and row["score"] is not None for row in rows):
        cut = figures["cut"]
        unsure = (verified.get("stability") or {}).get("near_cut", [])
        near = [name for name in unsure if parse(name).kind == "head"]
        ends = [cut["last_in"], cut["first_out"]] if cut else []
        marked = (
            f" Triangles: the {len(near)} that other prompts of this kind put in or out."
            if near
            else f" Triangles: {ends[0]}, the last one in, and {ends[1]}, the first one out."
            if ends
            else " The table lists none that was left out, so it shows no cut-off."
        )
        yield _picture(
            "Scores of the heads",
            "Filled: selected, while the budget lasted. Hollow: left out." + marked + intervals,
            pictures.head_scores(rows, near or ends),
        )


def _verification_pictures(rows: list[Data], by_rank: list[Data], verified: Data) -> Iterator[Data]:
    if any(row["probability"] is not None for row in rows):
        yield _picture(
            "How sure the selection is",
            f"How often each component is selected in {verified['resamples']:,} draws of"
            f" {verified['pairs']} pairs. Filled: in the circuit. Hollow: left out.",
            pictures.probabilities(rows),
        )
    selected = [one for one in by_rank if one["selected"] and one["score"]]
    chosen = [one for one in selected if one["same_side_quantiles"]][:SHOWN]
    if chosen:
        yield _picture(
            "Would unrelated prompts score as high?",
            "The same score between prompts of one side: its range (line), its middle half (box)"
            " and its median (tick), with the pairs' score as 1."
            + (f" The first {SHOWN} of the circuit." if len(chosen) == SHOWN else ""),
            pictures.null(chosen),
        )
    shares = [one for one in selected if one["length_share"]][:SHOWN]
    if shares:
        yield _picture(
            "How much length alone explains",
            "The part of each score that the first position gives, which every prompt has and"
            " which weighs more in a shorter one. A bar where published digits leave a range.",
            pictures.length_shares(shares, THRESHOLDS["artefact_share"].value),
        )
    scored = [one for one in selected if one["by_pair"] and one["length_norm"] is not None]
    if scored:
        yield _picture(
            "What length explains, pair by pair",
            "Each point is a pair: its score over how far its two prompts, T and T′ tokens long,"
            " differ in 1 / length. The dashed line is what the first position alone predicts."
            " Diamonds: pairs of equal length. The first components of the circuit:",
            *(pictures.length(one, verified["length"]) for one in _first_of_each(scored)),
        )


def _first_of_each(scored: list[Data]) -> list[Data]:
    """The best MLPs and the best heads, as many of each as there is room for."""
    kinds = [[one for one in scored if parse(one["component"]).kind == k] for k in ("mlp", "head")]
    room = LENGTHS // 2
    return (
        kinds[0][: LENGTHS - min(room, len(kinds[1]))]
        + kinds[1][: LENGTHS - min(room, len(kinds[0]))]
    )


COLUMNS = {
    "component": "component",
    "score in words": "score",
    "interval in words": "interval",
    "rank in words": "rank",
    "circuit in words": "circuit",
    "distance in words": "distance",
}
VERIFIED_COLUMNS = {
    "selection_probability": "selected in",
    "same_side_score": "same-side score",
    "shuffled_score": "shuffled score",
    "p_value": "p",
    "q_value": "q",
    "controlled_q_value": "controlled q",
    "length_share": "length explains",
    "matched_score": "equal lengths",
    "score_without_first": "without first position",
    "word": "word",
    "reason": "reason",
}


def _table(rows: Sequence[Data], by_rank: Sequence[Data]) -> Data:
    """Every component with its figures, those of the verification where there are any."""
    known = {one["component"]: one for one in by_rank}
    more = {
        key: title
        for key, title in VERIFIED_COLUMNS.items()
        if any(one[key] is not None for one in by_rank)
    }
    ordered = sorted(rows, key=lambda row: (row["kind"] == "head", row["rank"] or 0))
    return {
        "head": [*COLUMNS.values(), *more.values()],
        "body": [
            [row[key] for key in COLUMNS]
            + [_cell(known.get(row["component"], {}).get(key)) for key in more]
            for row in ordered
        ],
    }


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return pictures.interval(*value)
    return pictures.number(value, "–") if not isinstance(value, str) else value


def _comparisons(report: ExperimentReport) -> Iterator[Data]:
    """Every two pictured circuits on one grid, the published one first."""
    circuits = [
        (name if kind == "published" else f"{name} ({kind})", figures)
        for kind, name, figures in _shown_results(report)
        if figures["nodes"] is not None
    ]
    circuits.sort(key=lambda circuit: circuit[0].endswith(")"))
    for (left, here), (right, there) in combinations(circuits, 2):
        if here["shape"] != there["shape"]:
            continue
        words, rows = pictures.compared(
            (left, pictures.components(here)), (right, pictures.components(there))
        )
        differing = [row for row in rows if row["state"] in words[1:3]]
        yield {
            "title": f"{left} against {right}",
            "pictures": [
                _picture(
                    "Both circuits on one grid",
                    "A disc: in both. Half a disc: only in one. A small dot: in neither.",
                    pictures.comparison(words, rows, here["shape"], left, right),
                )
            ],
            "rows": {
                "head": [
                    "component",
                    "stands",
                    *(f"{what}, {name}" for name in (left, right) for what in DIFFERENCES),
                ],
                "body": [
                    [row["component"], row["state"]]
                    + [row[f"{side} {what}"] for side in ("left", "right") for what in DIFFERENCES]
                    for row in differing
                ],
                "caption": "The components that only one of the two has",
            },
            "is_comparison": True,
        }


# What was run elsewhere


def _read(path: Path, model: Any) -> tuple[Any, str | None]:
    """What an optional file holds, or why it cannot be shown; None and None where it is absent."""
    if not path.exists():
        return None, None
    try:
        return TypeAdapter(model).validate_python(read_json(path)), None
    except InputError as error:
        return None, str(error)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ": ".join(map(str, fault["loc"]))
        return None, f"{path}: {place}: {fault['msg']}"


def _calibration(folder: Path) -> Data:
    found, fault = _read(folder / "calibration.json", Calibration)
    scenarios = dict.fromkeys(row.scenario for row in found.rows) if found else {}
    return {
        "found": found,
        "fault": fault,
        "targets": [
            [one.name, one.target, f"{one.met_from_pairs} pairs" if one.met_from_pairs else "–"]
            for one in found.targets
        ]
        if found
        else [],
        "pictures": [
            _picture(
                "How often the verifier is right",
                f"On {found.models} planted models, by number of pairs, with intervals:",
                *(
                    pictures.calibration(
                        scenario,
                        [row.model_dump() for row in found.rows if row.scenario == scenario],
                    )
                    for scenario in scenarios
                ),
            )
        ]
        if scenarios
        else [],
    }


def _benchmarks(folder: Path) -> Data:
    ratios, fault = _read(folder / "benchmarks" / "ratios.json", dict[str, float])
    history, history_fault = _read(folder / "benchmarks" / "history.json", list[_Run])
    found = []
    if ratios:
        found.append(
            _picture(
                "Ratios of the last run",
                "Time over time within one run, on a logarithmic axis; the name says what is"
                " divided by what. The dashed line: as costly as the other.",
                pictures.ratios(ratios),
            )
        )
    runs = [run.model_dump() for run in history or []]
    names = dict.fromkeys(name for run in runs for name in run["ratios"])
    if names:
        found.append(
            _picture(
                "Their history",
                f"{len(runs)} runs, the oldest first:",
                *(pictures.history(name, runs) for name in names),
            )
        )
    return {
        "ratios": ratios or {},
        "rows": [[name, pictures.number(ratio)] for name, ratio in (ratios or {}).items()],
        "runs": runs,
        "faults": [text for text in (fault, history_fault) if text],
        "pictures": found,
    }
