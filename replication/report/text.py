"""The report as text: `claims.md`, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from replication.claims.claim import QUESTION, READER
from replication.evidence.evidence import Kind as EvidenceKind
from replication.inputs.messages import MESSAGE, fitting, shortened
from replication.report.answers import answers, said
from replication.report.causal_text import causal_markdown
from replication.report.controls_text import controls_markdown, thresholds_markdown
from replication.report.findings import findings
from replication.report.made import Made
from replication.report.markdown import escaped, table
from replication.report.operating import HEAD, rows, summary
from replication.report.provenance import apart, mixed_processors, seen_tokens
from replication.report.record import (
    EVIDENCE,
    VERDICTS,
    ExperimentReport,
    JudgementRecord,
    named_maker,
)
from replication.report.recorded_and_live import HEAD as HEAD_OF_RUNS
from replication.report.recorded_and_live import recorded_against_live

REASON = "the reason that the claims' author gives"


def claims_markdown(reports: Iterable[ExperimentReport], made: Made | None = None) -> str:
    """The content of `claims.md`; `made` is how the report is."""
    reports = list(reports)
    lines = ["# Claims and verdicts", "", *_partial(reports), *map(_opening, reports), ""]
    if made is not None:
        how = f"{made.said}, by {escaped(made.command)}"
        lines += [f"{how}; for programs: [claims.json](claims.json).", ""]
    for report in reports:
        lines += _experiment_markdown(report)
    if any(report.controls for report in reports):
        lines += thresholds_markdown()
    return "\n".join(lines).rstrip() + "\n"


def partial(reports: Iterable[ExperimentReport]) -> str | None:
    """What a report says of itself where some of the claims were not judged."""
    partly = [report for report in reports if report.is_partial]
    if not partly:
        return None
    counts = [f"{len(one.found)} of {len(one.cases)} of {shortened(one.name)}" for one in partly]
    counts += [f"none of {shortened(name)}" for name in partly[0].left_out]
    said = "Partial: of the judgements that a whole run makes, this one made "
    return f"{said}{fitting(counts, MESSAGE - len(f'{said}.'))}."


def _partial(reports: Sequence[ExperimentReport]) -> list[str]:
    partly = partial(reports)
    return [f"**{escaped(partly)}**", ""] if partly else []


def _opening(report: ExperimentReport) -> str:
    """One line: the answers, and what was found."""
    said = [f"{one.question} {one.answer}" for one in answers(report)]
    said += [found.whole for found in findings(report)]
    return f"- **{escaped(report.name)}**, {_counted(report)}: {escaped('. '.join(said))}."


def _counted(report: ExperimentReport) -> str:
    """How many claims there are, and how many of them are questions."""
    asked = sum(claim.is_question for claim in report.claims)
    questions = f" ({asked} {QUESTION}{'s' if asked > 1 else ''})" if asked else ""
    return f"{len(report.claims)} claims{questions}"


def _experiment_markdown(report: ExperimentReport) -> list[str]:
    shown = [kind for kind in EVIDENCE if report.counts(kind)]
    lines = [f"## {escaped(f'{report.name}: {report.title}')}", ""]
    if not shown:
        return [*lines, "Nothing was judged.", ""]
    for answer in answers(report):
        lines.append(f"- *{answer.question}* {escaped(' '.join(said(answer)))}")
    lines += ["", *_counts_table(report, shown)]
    lines += _missing(report, shown)
    if differing := apart(report):
        lines += [*(f"- {escaped(one.text)}." for one in differing), ""]
    if noted := [*seen_tokens(report), *mixed_processors(report)]:
        lines += [*(f"- {escaped(line)}." for line in noted), ""]
    shown = [kind for kind in shown if set(report.counts(kind)) != {"missing"}]
    lines += _statements("Unexpected verdicts", report.unexpected(), report)
    refuted = [r for r in report.records if r.verdict == "refuted" and r.as_expected]
    lines += _statements("Refuted statements", refuted, report)
    for kind, found in report.shown_differences().items():
        lines += [f"**{escaped(kind)}**", "", *(f"- {escaped(line)}" for line in found), ""]
    if beside := [list(map(escaped, row)) for row in recorded_against_live(report)]:
        lines += ["### Recorded against live", "", *table(HEAD_OF_RUNS, beside)]
    lines += _operating(report)
    lines += controls_markdown(report.controls)
    if report.behaviours:
        lines += [line for ran in report.causal.values() for line in causal_markdown(ran)]
    for made_by in report.makers():
        lines += _claims_table(report, made_by, shown)
    return lines


def _operating(report: ExperimentReport) -> list[str]:
    """The claims that turn on the budget or the threshold."""
    said = summary(report)
    if not said:
        return []
    found = [list(map(escaped, row)) for row in rows(report)]
    return ["### Operating points", "", f"{said}.", "", *(table(HEAD, found) if found else [])]


def _counts_table(report: ExperimentReport, shown: Sequence[EvidenceKind]) -> list[str]:
    lines = [
        "| evidence | made by | hold | refuted | undecided | no evidence |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    makers = report.makers()
    for kind in shown:
        is_missing = set(report.counts(kind)) == {"missing"}
        for made_by in [None] if is_missing or len(makers) == 1 else [None, *makers]:
            counts = report.counts(kind, made_by)
            if counts:
                figures = " | ".join(str(counts[verdict]) for verdict in VERDICTS)
                maker = "all together" if made_by is None else named_maker(made_by)
                lines.append(f"| {kind} | {escaped(maker)} | {figures} |")
    return [*lines, ""]


def _missing(report: ExperimentReport, shown: Sequence[EvidenceKind]) -> list[str]:
    lines = []
    for kind in shown:
        reasons = [
            r.arithmetic for r in report.records if r.evidence == kind and r.verdict == "missing"
        ]
        lines += [f"- No {kind} evidence: {escaped(reason)}" for reason in dict.fromkeys(reasons)]
    lines += [
        f"- {kind.capitalize()} evidence: {_why_absent(report, kind)}."
        for kind in EVIDENCE
        if kind not in shown
    ]
    return [*lines, ""] if lines else []


def _why_absent(report: ExperimentReport, kind: EvidenceKind) -> str:
    if any(asked == kind for _, asked in report.cases):
        return "not judged in this run"
    if kind == "live":
        return "not run (`--replication-live` runs the model)"
    return "the experiment has none" if kind == "published" else "not judged"


def _statements(
    heading: str, records: Sequence[JudgementRecord], report: ExperimentReport
) -> list[str]:
    if not records:
        return []
    claims = {claim.id: claim for claim in report.claims}
    lines = [
        f"### {heading}",
        "",
        f"| claim | statement | on | arithmetic | {REASON} |",
        "| --- | --- | --- | --- | --- |",
    ]
    for record in records:
        claim = claims[record.claim]
        stated = f"{escaped(claim.id)} | {escaped(claim.said)}"
        why = f"{escaped(record.arithmetic)} | {escaped(claim.reason or '')}"
        lines.append(f"| {stated} | {record.evidence} | {why} |")
    return [*lines, ""]


def _claims_table(
    report: ExperimentReport, made_by: str, shown: Sequence[EvidenceKind]
) -> list[str]:
    lines = [
        "### Readers' questions" if made_by == READER else f"### Made by: {escaped(made_by)}",
        "",
        f"| claim | statement | {' | '.join(shown)} | arithmetic, or what would decide it |",
        f"| --- | --- | {' | '.join('---' for _ in shown)} | --- |",
    ]
    for claim in report.claims:
        if claim.made_by == made_by:
            records = [report.record(claim.id, kind) for kind in shown]
            verdicts = " | ".join(_verdict(record) for record in records)
            why = next((r.arithmetic for r in _most_telling(records)), "")
            stated = f"{escaped(claim.id)} | {escaped(claim.statement)}"
            lines.append(f"| {stated} | {verdicts} | {escaped(why)} |")
    return [*lines, ""]


def _most_telling(records: Iterable[JudgementRecord | None]) -> list[JudgementRecord]:
    """The records from the most telling on: settled before unsettled, measured before published."""
    order = {"holds": 0, "refuted": 0, "undecided": 1, "missing": 2}
    return sorted(
        (record for record in records if record),
        key=lambda record: (order[record.verdict], -EVIDENCE.index(record.evidence)),
    )


def _verdict(record: JudgementRecord | None) -> str:
    if record is None:
        return ""
    words = "no evidence" if record.verdict == "missing" else str(record.verdict)
    return f"**{words}, unexpected**" if record.as_expected is False else words
