"""The gallery: the pictures of a report with their captions, and the same figures as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from replication.circuits.components import parse
from replication.controls.thresholds import THRESHOLDS
from replication.evidence.evidence import Kind as EvidenceKind
from replication.report.controls_text import FIGURES, sentences
from replication.report.how_often import said
from replication.report.pictures.controls import length, length_shares, null
from replication.report.pictures.grids import circuit, comparison
from replication.report.pictures.marks import Spec, is_scored, told_apart
from replication.report.pictures.scores import head_scores, mlp_scores, probabilities
from replication.report.record import (
    ComponentRecord,
    ControlsRecord,
    ExperimentReport,
    LeftOutRecord,
    ResultFigures,
)
from replication.report.rows import Comparison, Row, compared, components

About = Literal["adds up", "replicates", "means", "does"]
SHOWN = 30  # components in a picture with a line for each
LENGTHS = 8  # components in the pictures of what length explains


@dataclass(frozen=True)
class Picture:
    """A picture, or several small ones, with a caption."""

    title: str
    caption: str
    specs: Sequence[Spec]


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a line is its heading."""

    head: Sequence[str]
    body: Sequence[Sequence[str]]
    caption: str


@dataclass(frozen=True)
class View:
    """Something that answers one of the questions: pictures, what is said of it, and tables.

    It is a result's scores, its controls, two circuits on one grid, or a behaviour. Of the tables
    some are `folded` away, each under a summary.
    """

    about: About
    title: str
    pictures: Sequence[Picture]
    sentences: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    folded: Sequence[tuple[str, Table]] = ()


@dataclass(frozen=True)
class _Shown:
    """A result that is pictured."""

    evidence: EvidenceKind
    name: str
    figures: ResultFigures


def views(report: ExperimentReport) -> Iterator[View]:
    """Every two circuits on one grid; and of each result pictured its scores, and its controls."""
    shown = list(_shown_results(report))
    yield from _comparisons(shown)
    for one in shown:
        yield from _result(report, one)


def _shown_results(report: ExperimentReport) -> Iterator[_Shown]:
    """What is pictured: the best measured result, and the published ones."""
    best_first: tuple[EvidenceKind, ...] = ("live", "recorded")
    measured = [kind for kind in best_first if kind in report.figures][:1]
    for kind in [*measured, *(("published",) if "published" in report.figures else ())]:
        for name, figures in report.figures[kind].results.items():
            yield _Shown(kind, name, figures)


def _result(report: ExperimentReport, shown: _Shown) -> Iterator[View]:
    """A result: its circuit and scores, and what the controls say of them."""
    wanted = (shown.evidence, shown.name)
    controls = next((one for one in report.controls if (one.evidence, one.result) == wanted), None)
    by_rank = sorted(
        controls.components if controls else [],
        key=lambda one: (one.kind != "mlp", one.listed_rank),
    )
    rows = components(shown.figures, by_rank)
    title = f"{shown.name}, {shown.evidence}"
    yield View(
        about="adds up" if shown.evidence == "published" else "replicates",
        title=title,
        pictures=list(_score_pictures(rows, shown.figures, controls)),
        sentences=[] if controls else [("", "No verification was run on this result.")],
        folded=[("The same as a table", _table(rows, by_rank, f"{title}: every component"))],
    )
    if controls:
        stability = controls.stability
        yield View(
            about="means",
            title=title,
            pictures=list(_control_pictures(rows, by_rank, controls)),
            sentences=list(sentences(controls)),
            folded=[("Leaving pairs out", _left_out(stability.leave_one_out))] if stability else [],
        )


def _left_out(found: Sequence[LeftOutRecord]) -> Table:
    return Table(
        head=["left out", "shared", "gained", "lost"],
        body=[
            [
                ", ".join(map(str, one.pairs)),
                f"{one.shared} of {one.of}",
                ", ".join(one.gained) or "none",
                ", ".join(one.lost) or "none",
            ]
            for one in found
        ],
        caption="The selection with pairs left out, those of a cluster together",
    )


def _score_pictures(
    rows: Sequence[Row], figures: ResultFigures, controls: ControlsRecord | None
) -> Iterator[Picture]:
    if figures.nodes is not None:
        yield _circuit_picture(rows, figures)
    intervals = _intervals(rows, controls)
    if any(is_scored(row, "MLP") for row in rows):
        limit = "" if figures.mlp_threshold is None else " Dashed: the threshold."
        yield Picture(
            "Scores of the MLPs", told_apart(rows) + limit + intervals, [mlp_scores(rows)]
        )
    if any(is_scored(row, "head") for row in rows):
        yield _heads_picture(rows, figures, controls, intervals)


def _circuit_picture(rows: Sequence[Row], figures: ResultFigures) -> Picture:
    unknown = sum(row.score is None for row in rows) - 1  # the input has no score
    caption = (
        f"Outlined: selected. Colour: the score{_over(figures)}."
        f" It costs {figures.cost} of {figures.budget} dimensions."
    )
    if unknown:
        caption += f" Empty squares: {unknown} scores that were not published."
    return Picture("The circuit", caption, [circuit(rows, figures.shape)])


def _over(figures: ResultFigures) -> str:
    """Of which tables a score is the highest, where there are several."""
    return f", the highest in {', '.join(figures.tables)}" if figures.tables else ""


def _intervals(rows: Sequence[Row], controls: ControlsRecord | None) -> str:
    """What the whiskers of the bars are."""
    if controls is None or all(row.low is None for row in rows):
        return " No intervals: they need each pair's own scores."
    return (
        f" Whiskers: {THRESHOLDS.confidence.value:.0%} intervals from"
        f" {controls.resamples:,} draws of the pairs."
    )


def _heads_picture(
    rows: Sequence[Row], figures: ResultFigures, controls: ControlsRecord | None, intervals: str
) -> Picture:
    cut, stability = figures.cut, controls and controls.stability
    unsure = stability.near_cut if stability else []
    unranked = [row.component for row in rows if is_scored(row, "head") and row.place is None]
    near = [name for name in unsure if parse(name).kind == "head"]
    if near:
        marked = f" Triangles: the {len(near)} that other prompts of this kind put in or out."
    elif cut and not unranked:
        near = [cut.last_in, cut.first_out]
        marked = f" Triangles: {near[0]}, the last one in, and {near[1]}, the first one out."
    elif figures.nodes is not None:
        marked = " The table does not list every head, so it shows no cut-off."
    else:
        marked = ""
    if unranked:
        marked += f" Left out here, for their ranks are not known: {', '.join(unranked)}."
    return Picture(
        "Scores of the heads",
        f"{told_apart(rows)}{marked}{intervals}",
        [head_scores(rows, near)],
    )


ASSUMED = " Published norms give it if those of all other positions are alike on both sides."


def _control_pictures(
    rows: Sequence[Row], by_rank: Sequence[ComponentRecord], controls: ControlsRecord
) -> Iterator[Picture]:
    selected = [one for one in by_rank if one.selected and one.score]
    shares = [one for one in selected if one.length_share and any(one.length_share)][:SHOWN]
    if shares:
        yield Picture(
            "How much length alone explains",
            "The first position weighs more in a shorter prompt. Of a measured result, what lengths"
            " alone make of the squared score, as far as it goes without the first position, below"
            " 0 where it works against the rest; of a published one, what lengths alone give over"
            " the score, a bar where digits leave a range."
            + (ASSUMED if any(one.length_breakdown for one in shares) else ""),
            [length_shares(shares, THRESHOLDS.artefact_share.value)],
        )
    chosen = [one for one in selected if one.same_side_quantiles][:SHOWN]
    if chosen:
        yield Picture(
            "Would unrelated prompts score as high?",
            "The same score between prompts of one side: its range (line), its middle half (box)"
            " and its median (tick), with the pairs' score as 1."
            + (f" The first {SHOWN} of the circuit." if len(chosen) == SHOWN else ""),
            [null(chosen)],
        )
    if any(row.probability is not None for row in rows):
        yield Picture(
            "How sure the selection is",
            f"How often each component is selected in {controls.resamples:,} draws of"
            f" {controls.pairs} pairs. {told_apart(rows)}",
            [probabilities(rows)],
        )
    lengths = controls.length
    scored = [one for one in selected if one.by_pair and one.length_norm is not None]
    if scored and lengths and any(lengths.inverse_differences):
        yield Picture(
            "What length explains, pair by pair",
            "Each point is a pair: its score over how far its two prompts, T and T′ tokens long,"
            " differ in 1 / length. The dashed line is what the first position alone predicts."
            " Diamonds: pairs of equal length. The first components of the circuit:",
            [length(one, lengths) for one in _first_of_each(scored)],
        )


def _first_of_each(scored: Sequence[ComponentRecord]) -> list[ComponentRecord]:
    """The best MLPs and the best heads."""
    kinds = ([one for one in scored if one.kind == kind] for kind in ("mlp", "head"))
    return [one for among in kinds for one in among[: LENGTHS // 2]]


COLUMNS: dict[str, Callable[[Row], str]] = {
    "component": lambda row: row.component,
    "score": lambda row: row.words.score,
    "interval": lambda row: row.words.interval,
    "rank": lambda row: row.words.rank,
    "circuit": lambda row: row.words.circuit,
    "distance": lambda row: row.words.distance,
}


CONTROL_COLUMNS: dict[str, Callable[[ComponentRecord], str]] = {
    **FIGURES,
    "word": lambda one: one.word,
    "how often": lambda one: said(one.how_often) or "",
    "reason": lambda one: one.reason,
}


def _table(rows: Sequence[Row], by_rank: Sequence[ComponentRecord], caption: str) -> Table:
    """Every component with its figures, those of the controls where there are any."""
    known = {one.component: one for one in by_rank}
    more = {title: column for title, column in CONTROL_COLUMNS.items() if any(map(column, by_rank))}
    ordered = sorted(rows, key=lambda row: (row.kind == "head", row.rank or 0))
    return Table(
        head=[*COLUMNS, *more],
        body=[
            [column(row) for column in COLUMNS.values()]
            + [
                (row.component in known and column(known[row.component])) or "–"
                for column in more.values()
            ]
            for row in ordered
        ],
        caption=caption,
    )


def _comparisons(shown: Sequence[_Shown]) -> Iterator[View]:
    """Every two pictured circuits on one grid, those with the run's first."""
    published = [one for one in shown if one.evidence == "published"]
    measured = [one for one in shown if one.evidence != "published"]
    circuits = [one for one in [*published, *measured] if one.figures.nodes is not None]
    with_the_run_first = sorted(
        combinations(circuits, 2), key=lambda two: two[1].evidence == "published"
    )
    for left, right in with_the_run_first:
        if left.figures.shape == right.figures.shape:
            found = compared(
                _label(left), components(left.figures), _label(right), components(right.figures)
            )
            yield View(
                about="replicates",
                title=f"{found.left} against {found.right}",
                pictures=[
                    Picture(
                        "Both circuits on one grid",
                        "A disc: in both. Half a disc: only in one. A small dot: in neither.",
                        [comparison(found, left.figures.shape)],
                    )
                ],
                tables=[_differing(found)],
            )


def _label(shown: _Shown) -> str:
    return shown.name if shown.evidence == "published" else f"{shown.name} ({shown.evidence})"


def _differing(found: Comparison) -> Table:
    sides = (found.left, found.right)
    return Table(
        head=[
            "component",
            "stands",
            *(title for name in sides for title in (f"score, {name}", f"distance, {name}")),
        ],
        body=[
            [
                row.left.component,
                row.state,
                *(row.left.words.score, row.left.words.distance),
                *(row.right.words.score, row.right.words.distance),
            ]
            for row in found.rows
            if row.differs
        ],
        caption="The components that only one of the two has",
    )
