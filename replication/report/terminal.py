"""The summary at the end of a run: the answers, then what needs attention, for one screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from replication.claims.claim import QUESTION
from replication.inputs.messages import shortened
from replication.report.answers import Answer, answers
from replication.report.provenance import apart
from replication.report.record import EVIDENCE, WORDS, ControlsRecord, ExperimentReport
from replication.report.text import partial

Line = tuple[str, dict[str, bool]]
QUESTIONS = ("adds up", "replicates", "means what it says", "does anything")
NAMED = 8  # components in a line


def summary(
    reports: Sequence[ExperimentReport], live: str | None, folder: Path | None
) -> Iterator[Line]:
    """Lines with their colours; `folder` is where the report is, if it could be written."""
    for report in reports:
        answered = zip(QUESTIONS, map(_short, answers(report)), strict=True)
        shown = "; ".join(f"{question}: {answer}" for question, answer in answered)
        yield f"{shortened(report.name)}: {shown}", {"bold": True}
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
        for found in report.controls:
            yield from _doubtful(found)
    if (said := partial(reports)) is not None:
        yield said, {"yellow": True}
    if folder is not None:
        yield f"report: {folder / 'index.html'}, and as text {folder / 'claims.md'}", {}


def _short(answer: Answer) -> str:
    """The answer, with what it rests on, or the counts of the evidence that gave it."""
    if answer.findings:
        return f"{answer.answer.lower()} ({'; '.join(answer.findings)})"
    for tally in answer.tallies:
        if any(verdict != "missing" for verdict, _ in tally.counts):
            shown = ", ".join(f"{count} {WORDS[verdict]}" for verdict, count in tally.counts)
            return f"{answer.answer.lower()} ({tally.label}: {shown})"
    return answer.answer.lower()


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


def _doubtful(found: ControlsRecord) -> Iterator[Line]:
    """The selected components whose scores do not mean what they seem to."""
    selected = sorted(
        (one for one in found.components if one.selected),
        key=lambda one: (one.kind != "mlp", one.rank),
    )
    for word, is_so in (("artefact", "artefacts of prompt length"), ("unstable", "unstable")):
        names = [one.component for one in selected if one.word == word]
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            yield (
                f"  {is_so}, of {len(selected)} selected ({found.result}, {found.evidence}):"
                f" {', '.join(names[:NAMED])}{more}",
                {"yellow": True},
            )


def _shortened(text: str, length: int = 110) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
