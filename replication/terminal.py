"""The summary at the end of a run, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from replication.report import EVIDENCE, WORDS, ExperimentReport, Record

Line = tuple[str, dict[str, bool]]


def summary(reports: Sequence[ExperimentReport], live: str | None, folder: Path) -> Iterator[Line]:
    """Lines with their colours: counts, what is missing or unexpected, where the report is."""
    for report in reports:
        yield f"{report.name}: {report.title}", {"bold": True}
        for kind in EVIDENCE:
            counts = report.counts(kind)
            if counts:
                shown = [
                    f"{counts[verdict]} {words}"
                    for verdict, words in WORDS.items()
                    if counts[verdict]
                ]
                yield f"  {kind:<10}{', '.join(shown)}", {}
            elif kind == "live" and live is None:
                yield f"  {kind:<10}not run (--live runs the model)", {}
        yield from _missing(report)
        for record in report.unexpected():
            yield (
                f"  UNEXPECTED {record['claim']} on {record['evidence']} evidence:"
                f" {record['verdict']}: {_shortened(record['arithmetic'])}",
                {"red": True},
            )
        for claim in report.claims:
            refuted = [r for r in report.records if _is_refuted(r, claim.id)]
            if refuted:
                evidence = ", ".join(record["evidence"] for record in refuted)
                why = _shortened(str(claim.reason))
                yield f"  refuted, as expected: {claim.id} ({evidence}): {why}", {"yellow": True}
    yield f"report: {folder / 'index.html'}, and as text {folder / 'claims.md'}", {}


def _is_refuted(record: Record, claim_id: str) -> bool:
    return bool(record["claim"] == claim_id and record["as_expected"]) and (
        record["verdict"] == "refuted"
    )


def _missing(report: ExperimentReport) -> Iterator[Line]:
    reasons = {
        (record["evidence"], record["arithmetic"])
        for record in report.records
        if record["verdict"] == "missing"
    }
    for kind, reason in sorted(reasons):
        yield f"  no {kind} evidence: {reason}", {"yellow": True}


def _shortened(text: str, length: int = 110) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
