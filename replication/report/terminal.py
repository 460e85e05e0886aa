"""What a run prints: what it judges, and at its end the answers and what needs attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from replication.claims.claim import QUESTION
from replication.inputs.messages import LIST, MESSAGE, QUOTE, fitting, shortened
from replication.report.answers import answers
from replication.report.findings import findings
from replication.report.made import Made
from replication.report.provenance import apart
from replication.report.record import EVIDENCE, ExperimentReport
from replication.report.text import partial

Line = tuple[str, dict[str, bool]]
QUESTIONS = ("adds up", "replicates", "means what it says", "does anything")


def header(claims: Mapping[str, int], models: Mapping[str, bool]) -> list[str]:
    """Two lines: the experiments with their numbers of claims, and which models are at hand."""
    counted = [
        f"{shortened(name)} ({count} claim{'' if count == 1 else 's'})"
        for name, count in claims.items()
    ]
    sides = {
        "at hand": [shortened(name) for name, is_at_hand in models.items() if is_at_hand],
        "not at hand": [shortened(name) for name, is_at_hand in models.items() if not is_at_hand],
    }
    said = [f"{side}: {fitting(names, QUOTE + LIST)}" for side, names in sides.items() if names]
    return [f"replication: {fitting(counted, MESSAGE)}", f"models {'; '.join(said)}"]


def summary(
    reports: Sequence[ExperimentReport],
    live: str | None,
    folder: Path | None,
    made: Made | None = None,
) -> Iterator[Line]:
    """Lines with their colours.

    `folder` is where the report is, if it could be written, and `made` how it is made.
    """
    for report in reports:
        answered = answers(report)
        shown = "; ".join(
            f"{question}: {answer.answer.lower()}"
            for question, answer in zip(QUESTIONS, answered, strict=True)
        )
        yield f"{shortened(report.name)}: {shown}", {"bold": True}
        for finding in findings(report):
            yield f"  {finding.whole}", {"yellow": True} if finding.is_doubt else {}
        for answer in answered:
            yield from ((f"  {one}", {}) for one in answer.findings)
        questions = {claim.id for claim in report.claims if claim.is_question}
        for record in report.unexpected():
            asked = f" ({QUESTION})" if record.claim in questions else ""
            yield (
                f"  UNEXPECTED {record.claim}{asked} on {record.evidence} evidence:"
                f" {record.verdict}: {_shortened(record.arithmetic)}",
                {"red": True},
            )
        yield from _missing(report, live)
        for one in apart(report):
            if one.is_another_run:
                yield f"  {one.text[0].lower()}{one.text[1:]}", {"yellow": True}
    if (said := partial(reports)) is not None:
        yield said, {"yellow": True}
    if made is not None:
        yield f"{made.said[0].lower()}{made.said[1:]}", {}
    if folder is not None:
        yield f"report: {folder / 'index.html'}, and as text {folder / 'claims.md'}", {}


def _missing(report: ExperimentReport, live: str | None) -> Iterator[Line]:
    for kind in EVIDENCE:
        reasons = {
            record.arithmetic
            for record in report.records
            if (record.evidence, record.verdict) == (kind, "missing")
        }
        for reason in sorted(reasons):
            yield f"  no {kind} evidence: {reason}", {"yellow": True}
    if live is None:
        yield "  no live evidence: not run; --replication-live runs the model", {}


def _shortened(text: str, length: int = 110) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
