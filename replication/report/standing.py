"""A statement's standing: its verdicts on all kinds of evidence, as one."""

from __future__ import annotations

from collections.abc import Mapping

from replication.evidence.evidence import Kind as EvidenceKind
from replication.report.record import EVIDENCE, ExperimentReport, Outcome

MOST_TELLING: tuple[Outcome, ...] = ("refuted", "holds", "undecided", "missing")


def standing_of(verdicts: Mapping[EvidenceKind, Outcome]) -> Outcome:
    """Refuted if it is on any evidence; else holds, undecided or missing if it is so on some."""
    return next((one for one in MOST_TELLING if one in verdicts.values()), "missing")


def standing_in(report: ExperimentReport, claim: str) -> Outcome:
    """A claim's standing in a report."""
    found = {kind: one for kind in EVIDENCE if (one := report.record(claim, kind))}
    return standing_of({kind: one.verdict for kind, one in found.items()})
