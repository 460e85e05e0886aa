"""Sections: what the page shows of one experiment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from pydantic import JsonValue

from replication.claims.claim import Claim
from replication.evidence.evidence import Kind as EvidenceKind
from replication.evidence.evidence import RunProvenance
from replication.report.answers import Answer, answers, lacks
from replication.report.findings import Finding, findings
from replication.report.operating import HEAD, rows, summary
from replication.report.page.causal import doings, turning
from replication.report.page.gallery import About, Picture, Table, View, views
from replication.report.provenance import Apart, apart
from replication.report.record import (
    EVIDENCE,
    VERDICTS,
    WORDS,
    ExperimentReport,
    JudgementRecord,
    named_maker,
)
from replication.report.recorded_and_live import HEAD as HEAD_OF_RUNS
from replication.report.recorded_and_live import recorded_against_live


@dataclass(frozen=True)
class JudgedClaim:
    """A claim, and what came out on each kind of evidence, with where the figures come from.

    `anchor` is what links within the page lead to.
    """

    anchor: str
    claim: Claim
    judgements: Sequence[tuple[JudgementRecord, str]]


@dataclass(frozen=True)
class Facet:
    """Something that claims can be filtered by: its values, and what they are called."""

    name: str
    choices: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Origin:
    """Where evidence of a kind comes from, or why there is none.

    `pairs` holds, for each side of a pair, the prompt and its length in tokens.
    """

    evidence: EvidenceKind
    facts: Mapping[str, str]
    sides: Sequence[str]
    pairs: Sequence[Sequence[tuple[str, int | None]]]
    lacks: str


@dataclass(frozen=True)
class Question:
    """One of the four questions: its answer, the picture beside it, and what else it rests on."""

    answer: Answer
    beside: Picture | None
    views: Sequence[View]


@dataclass(frozen=True)
class Section:
    """An experiment on the page; `id` is what links lead to.

    `apart` is in what recorded and live evidence differ, and `two_runs` has both beside each other;
    `operating` are the claims that turn on the budget or the threshold, and `turning` says how
    many. `cells` are the claims on behaviours that turn with the cell.
    """

    name: str
    id: str
    title: str
    questions: Sequence[Question]
    apart: Sequence[Apart]
    two_runs: Table
    findings: Sequence[Finding]
    claims: Sequence[JudgedClaim]
    facets: Sequence[Facet]
    turning: str
    operating: Table
    cells: Table | None
    differences: Mapping[str, Sequence[str]]
    origins: Sequence[Origin]


def section(report: ExperimentReport) -> Section:
    """What the page shows of an experiment."""
    return Section(
        name=report.name,
        id=report.id,
        title=report.title,
        questions=list(_questions(report)),
        apart=apart(report),
        two_runs=Table(
            HEAD_OF_RUNS, recorded_against_live(report), f"{report.name}, recorded against live"
        ),
        findings=findings(report),
        claims=[_judged(report, claim) for claim in sorted(report.claims, key=_telling(report))],
        facets=_facets(report),
        turning=summary(report),
        operating=Table(HEAD, list(rows(report)), f"Where claims of {report.name} turn"),
        cells=turning(report),
        differences=report.shown_differences(),
        origins=[_origin(report, kind) for kind in EVIDENCE if kind in report.provenance],
    )


def shown(value: JsonValue) -> str:
    """A value of a record, in one line."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case dict():
            return ", ".join(f"{key} {shown(part)}" for key, part in value.items()) or "none"
        case list():
            return ", ".join(map(shown, value)) or "none"
        case _:
            return str(value)


def _questions(report: ExperimentReport) -> Iterator[Question]:
    """The four questions; the first picture of each stands beside its answer."""
    found = [*views(report), *doings(report)]
    for about, answer in zip(get_args(About), answers(report), strict=True):
        own = [view for view in found if view.about == about]
        first = next((view for view in own if view.pictures), None)
        beside = None
        if first is not None:
            picture = first.pictures[0]
            beside = replace(picture, title=f"{picture.title}: {first.title}")
        rest = [replace(one, pictures=one.pictures[1:]) if one is first else one for one in own]
        yield Question(answer, beside, rest)


def _telling(report: ExperimentReport) -> Callable[[Claim], int]:
    """The place of a claim: what was not expected first, then what is refuted, then all others."""

    def place(claim: Claim) -> int:
        found = [one for kind in EVIDENCE if (one := report.record(claim.id, kind))]
        if any(one.as_expected is False for one in found):
            return 0
        return 1 if any(one.verdict == "refuted" for one in found) else 2

    return place


def _judged(report: ExperimentReport, claim: Claim) -> JudgedClaim:
    found = [one for kind in EVIDENCE if (one := report.record(claim.id, kind))]
    return JudgedClaim(
        f"{report.id}-{claim.id}", claim, [(one, _figures_of(report, one)) for one in found]
    )


def _figures_of(report: ExperimentReport, judged: JudgementRecord) -> str:
    """Where the figures of a judgement come from: those that are named in it, or its evidence's."""
    named = [f"{'; '.join(figures)} ({source})" for source, figures in judged.figures.items()]
    return "; ".join(named) or _figures_from(report, judged.evidence)


def _figures_from(report: ExperimentReport, kind: EvidenceKind) -> str:
    """Where the measured figures come from."""
    found = report.provenance.get(kind)
    if isinstance(found, RunProvenance):
        source = "a stored run of" if kind == "recorded" else "a run now of"
        return f"{source} {found.model} on {found.device}, {found.precision}"
    return "; ".join(f"{name}: {about}" for name, about in (found or {}).items())


def _facets(report: ExperimentReport) -> list[Facet]:
    verdicts = {record.verdict for record in report.records}
    kinds = {record.evidence for record in report.records}
    return [
        Facet(
            "verdict", [(verdict, WORDS[verdict]) for verdict in VERDICTS if verdict in verdicts]
        ),
        Facet("evidence", [(kind, kind) for kind in EVIDENCE if kind in kinds]),
        Facet("made by", [(maker, named_maker(maker)) for maker in report.makers()]),
    ]


def _origin(report: ExperimentReport, kind: EvidenceKind) -> Origin:
    found, figures = report.provenance[kind], report.figures.get(kind)
    pairs = figures.pairs if figures else []
    lengths: Sequence[tuple[int, int] | tuple[None, None]] = [(None, None)] * len(pairs)
    if isinstance(found, RunProvenance):
        lengths = found.token_lengths
        facts = found.model_dump(mode="json", exclude={"token_lengths", "seen"})
        facts |= {
            "tokens of pair 1": found.seen.described(),
            "tokens_sha256": found.seen.ids_sha256,
        }
    else:
        facts = found or {}
    return Origin(
        evidence=kind,
        facts={key: shown(value) for key, value in facts.items()},
        sides=figures.sides if figures else (),
        pairs=[
            list(zip(pair, tokens, strict=True))
            for pair, tokens in zip(pairs, lengths, strict=False)
        ],
        lacks="" if facts else " ".join(lacks(report, kind)),
    )
