"""Findings: what a reader is to know first of an experiment, each in a line.

Whether everything came out as expected, which statements are refuted, which scores do not mean what
they seem to, and which statements are undecided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from replication.controls.thresholds import THRESHOLDS
from replication.controls.words import percent
from replication.inputs.messages import shortened
from replication.report.answers import best_controls
from replication.report.record import (
    ComponentRecord,
    ControlsRecord,
    ExperimentReport,
    Outcome,
)
from replication.report.standing import standing_in

NAMED = 8  # components in a line
ARTEFACTS = 3  # components with a line each


@dataclass(frozen=True)
class Finding:
    """A finding, and the claims that it is about."""

    text: str
    claims: Sequence[str] = ()
    is_doubt: bool = False
    is_unexpected: bool = False

    @property
    def whole(self) -> str:
        """The text with the claims' names."""
        named = _named(list(map(shortened, self.claims)))
        return f"{self.text}: {named}" if named else self.text

    @property
    def shown(self) -> Sequence[str]:
        """The claims that a line names."""
        return self.claims[:NAMED]


def findings(report: ExperimentReport) -> list[Finding]:
    """The findings, the most telling first."""
    return [
        *_outcome(report),
        *_standing(report, "refuted"),
        *_doubts(report),
        *_standing(report, "undecided"),
    ]


def _outcome(report: ExperimentReport) -> Iterator[Finding]:
    settled = [one for one in report.records if one.as_expected is not None]
    if unexpected := report.unexpected():
        names = list(dict.fromkeys(one.claim for one in unexpected))
        verb = "does" if len(names) == 1 else "do"
        text = f"{len(names)} of {len(report.claims)} claims {verb} not come out as expected"
        yield Finding(text, names, is_unexpected=True)
    elif settled:
        yield Finding("Everything that was decided came out as expected")


def _standing(report: ExperimentReport, outcome: Outcome) -> Iterator[Finding]:
    if names := statements_standing(report, outcome):
        statements = sum(not claim.is_question for claim in report.claims)
        verb = "is" if len(names) == 1 else "are"
        yield Finding(f"{len(names)} of {statements} statements {verb} {outcome}", names)


def statements_standing(report: ExperimentReport, outcome: Outcome) -> list[str]:
    """The claims that stand so on all evidence together, readers' questions aside."""
    return [
        claim.id
        for claim in report.claims
        if not claim.is_question and standing_in(report, claim.id) == outcome
    ]


def _doubts(report: ExperimentReport) -> Iterator[Finding]:
    """The selected components whose scores do not mean what they seem to."""
    for found in best_controls(report):
        selected = sorted(
            (one for one in found.components if one.selected),
            key=lambda one: (one.kind != "mlp", one.listed_rank),
        )
        on = f"({found.result}, {found.evidence})"
        by_length = [one for one in selected if _is_by_length(one, found)]
        for one in by_length[:ARTEFACTS]:
            yield Finding(f"{one.component}: {_of_length(one, found)} {on}", is_doubt=True)
        if more := by_length[ARTEFACTS:]:
            names = _named([one.component for one in more])
            yield Finding(f"So with {names} {on}", is_doubt=True)
        if unstable := [one.component for one in selected if one.word == "unstable"]:
            verb = "is" if len(unstable) == 1 else "are"
            size = report.circuit_size(found) or len(selected)
            text = f"{len(unstable)} of {size} selected {verb} unstable {on}: {_named(unstable)}"
            yield Finding(text, is_doubt=True)


def _is_by_length(one: ComponentRecord, found: ControlsRecord) -> bool:
    """Whether length alone gives most of the score, or, of a published one, may do so."""
    share, most = one.length_share, THRESHOLDS.artefact_share.value
    may = found.evidence == "published" and share is not None and share[0] > most
    return one.word == "artefact" or may


def _of_length(one: ComponentRecord, found: ControlsRecord) -> str:
    share = one.length_share
    if share is None or share[0] <= THRESHOLDS.artefact_share.value:
        return "its score goes with prompt length"
    what = "score" if found.evidence == "published" else "squared score"
    verb = "is" if one.word == "artefact" else "may be"
    return f"{percent(*share)} of its {what} {verb} prompt length"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
