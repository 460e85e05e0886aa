"""The gallery: the pictures of a report with their captions, and the same figures as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, PositiveFloat, TypeAdapter, ValidationError

from replication.circuits.components import parse
from replication.controls.thresholds import THRESHOLDS
from replication.inputs.files import InputError, read_json
from replication.report.controls_text import sentences
from replication.report.pictures import pictures
from replication.report.rows import compared, components, interval, number
from replication.report.text import ExperimentReport

DIFFERENCES = ("score", "distance")


SHOWN = 30  # components in a picture with a line for each


LENGTHS = 8  # components in the pictures of what length explains


Data = dict[str, Any]


Ratios = dict[str, PositiveFloat]


def _picture(title: str, caption: str, *specs: pictures.Spec) -> Data:
    return {"title": title, "caption": caption, "specs": list(specs)}


def _shown_results(report: ExperimentReport) -> Iterator[tuple[str, str, Data]]:
    """Evidence, name and figures of what is pictured: the best measured result, the published."""
    measured = [kind for kind in ("live", "recorded") if kind in report.figures][:1]
    for kind in [*measured, "published"]:
        for name, figures in report.figures.get(kind, {}).get("results", {}).items():
            yield kind, name, figures


def views(report: ExperimentReport) -> Iterator[Data]:
    """One view for each result pictured, and one for every two circuits on one grid."""
    yield from _results(report)
    yield from _comparisons(report)


def _results(report: ExperimentReport) -> Iterator[Data]:
    """One view for each result: its circuit, its scores, what became of them."""
    for kind, name, figures in _shown_results(report):
        verified: Data = next(
            (v for v in report.verifications if (v["evidence"], v["result"]) == (kind, name)), {}
        )
        by_rank = sorted(
            verified.get("components", []), key=lambda one: (one["kind"] != "mlp", one["rank"])
        )
        rows = components(figures, by_rank)
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
            pictures.length_shares(shares, THRESHOLDS.artefact_share.value),
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
    """The best MLPs and the best heads."""
    kinds = ([one for one in scored if one["kind"] == kind] for kind in ("mlp", "head"))
    return [one for among in kinds for one in among[: LENGTHS // 2]]


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
        return interval(*value)
    return number(value, "–") if not isinstance(value, str) else value


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
        words, rows = compared((left, components(here)), (right, components(there)))
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
    ratios: Ratios


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


def calibration(folder: Path) -> Data:
    """What `calibration.json` in this folder holds, in pictures, or why it is not shown."""
    found, fault = _read(folder / "calibration.json", Calibration)
    scenarios = dict.fromkeys(row.scenario for row in found.rows) if found else {}
    return {
        "found": found,
        "fault": fault,
        "rates": [
            [
                row.scenario,
                row.word,
                row.pairs,
                f"{row.rate:.1%}",
                f"{row.low:.1%} to {row.high:.1%}",
            ]
            for row in (found.rows if found else [])
        ],
        "targets": [
            [one.name, one.target, f"{one.met_from_pairs} pairs" if one.met_from_pairs else "–"]
            for one in found.targets
        ]
        if found
        else [],
        "pictures": [
            _picture(
                "What the verifier says of planted components",
                f"How often, on {found.models} models, by number of pairs, with intervals. What it"
                " never says is left out of a picture:",
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


def benchmarks(folder: Path) -> Data:
    """What the benchmarks under this folder gave, in pictures, or why they are not shown."""
    ratios, fault = _read(folder / "benchmarks" / "ratios.json", Ratios)
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
        "rows": [[name, number(ratio)] for name, ratio in (ratios or {}).items()],
        "runs": runs,
        "faults": [text for text in (fault, history_fault) if text],
        "pictures": found,
    }
