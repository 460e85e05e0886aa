"""Reports: what was judged, as JSON for programs and as Markdown for people.

A record is one claim on one kind of evidence, as plain data. Records are what test processes hand
over, so a report can be written from whatever tests ran, in whatever order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replication.circuits.comparison import explain
from replication.circuits.result_files import write_result
from replication.claims.claim import Claim, Judgement
from replication.evidence.evidence import Evidence
from replication.evidence.evidence import Kind as EvidenceKind
from replication.inputs.writing import write_atomically, write_json
from replication.report.controls_text import (
    meaning_markdown,
    thresholds_markdown,
    verification_file,
)
from replication.report.figures import Figures
from replication.report.markdown import escaped

FORMAT = "replication.claims.1"


EVIDENCE: tuple[EvidenceKind, ...] = ("published", "recorded", "live")


WORDS = {"holds": "hold", "refuted": "refuted", "undecided": "undecided", "missing": "not judged"}


VERDICTS = tuple(WORDS)


Record = dict[str, Any]


@dataclass
class ExperimentReport:
    """What one experiment's tests found."""

    name: str
    title: str
    claims: Sequence[Claim]
    is_published: bool = False
    records: list[Record] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
    differences: dict[str, list[str]] = field(default_factory=dict)
    verifications: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Figures] = field(default_factory=dict)

    def add_verifications(self, found: Iterable[dict[str, Any]]) -> None:
        """Take verifications over, each once: test processes may have made the same ones."""
        known = {(one["evidence"], one["result"]) for one in self.verifications}
        self.verifications += [
            one for one in found if (one["evidence"], one["result"]) not in known
        ]

    def record(self, claim_id: str, evidence: str) -> Record | None:
        """The record of a claim on a kind of evidence, if its test ran."""
        return next(
            (r for r in self.records if (r["claim"], r["evidence"]) == (claim_id, evidence)), None
        )

    def counts(self, evidence: str, made_by: str | None = None) -> Counter[str]:
        """How many claims came out how on this evidence."""
        wanted = {claim.id for claim in self.claims if made_by in (None, claim.made_by)}
        return Counter(
            r["verdict"] for r in self.records if r["evidence"] == evidence and r["claim"] in wanted
        )

    def makers(self) -> list[str]:
        """Who made the statements, in the order of the claims."""
        return list(dict.fromkeys(claim.made_by for claim in self.claims))

    def unexpected(self) -> list[Record]:
        """The records whose verdict is not the expected one."""
        return [r for r in self.records if r["as_expected"] is False]


def judged_record(experiment: str, judgement: Judgement) -> Record:
    """The record of a judgement."""
    return {
        "experiment": experiment,
        "claim": judgement.claim.id,
        "evidence": judgement.evidence,
        "verdict": judgement.verdict,
        "as_expected": judgement.as_expected,
        "arithmetic": judgement.arithmetic,
        "checks": [
            {
                "kind": check.kind,
                "verdict": outcome.verdict,
                "expected": outcome.expected,
                "measured": outcome.measured,
                "tolerance": check.describe_tolerance(),
                "reason": outcome.reason,
            }
            for check, outcome in zip(judgement.claim.check, judgement.outcomes, strict=True)
        ],
    }


def missing_record(
    experiment: str, claim: Claim, evidence: EvidenceKind, reason: str, failed: bool
) -> Record:
    """The record of a claim for which there was no evidence, or none that could be used."""
    return {
        "experiment": experiment,
        "claim": claim.id,
        "evidence": evidence,
        "verdict": "missing",
        "as_expected": False if failed else None,
        "arithmetic": reason,
        "checks": [],
    }


def differences(evidence: Evidence) -> dict[str, list[str]]:
    """How the circuit of the measured result differs from each other circuit, in words.

    On published evidence `measures` stands for the measured result.
    """
    name = evidence.spec.measures
    measured = evidence.results.get(name)
    if measured is None or measured.circuit is None:
        return {}
    return {
        other: explain((other, result.circuit), (name, measured.circuit), measured.scores)
        for other, result in evidence.results.items()
        if other != name and result.circuit is not None
    }


def write_measured(folder: Path, evidence: Evidence) -> None:
    """Write `circuit.json` and `scores.json` of the measured result."""
    result = evidence.results[str(evidence.measured)]
    assert result.scores is not None
    assert result.circuit is not None
    provenance = {"evidence": evidence.kind, **evidence.provenance}
    write_result(folder, result.scores, result.circuit, provenance)


def claims_json(reports: Iterable[ExperimentReport], command: str) -> dict[str, Any]:
    """The content of `claims.json`."""
    reports = list(reports)
    return {
        "format": FORMAT,
        "counts": {
            kind: _filled(sum((report.counts(kind) for report in reports), Counter()))
            for kind in EVIDENCE
        },
        "command": command,
        "experiments": [
            {
                "name": report.name,
                "title": report.title,
                "counts": {kind: _filled(report.counts(kind)) for kind in EVIDENCE},
                "counts_by_maker": {
                    maker: {kind: _filled(report.counts(kind, maker)) for kind in EVIDENCE}
                    for maker in report.makers()
                },
                "provenance": report.provenance,
                "differences": report.differences,
                "claims": [_claim_json(report, claim) for claim in report.claims],
            }
            for report in reports
        ],
    }


def _filled(counts: Mapping[str, int]) -> dict[str, int]:
    return {verdict: counts.get(verdict, 0) for verdict in VERDICTS}


def _claim_json(report: ExperimentReport, claim: Claim) -> dict[str, Any]:
    return {
        **claim.model_dump(include={"id", "made_by", "source", "statement", "expect", "reason"}),
        "kinds": [check.kind for check in claim.check],
        "judgements": [
            {key: value for key, value in record.items() if key not in ("experiment", "claim")}
            for kind in EVIDENCE
            if (record := report.record(claim.id, kind))
        ],
    }


def claims_markdown(reports: Iterable[ExperimentReport]) -> str:
    """The content of `claims.md`."""
    reports = list(reports)
    lines = ["# Claims and verdicts", "", *map(_opening, reports), ""]
    for report in reports:
        lines += _experiment_markdown(report)
    if any(report.verifications for report in reports):
        lines += thresholds_markdown()
    return "\n".join(lines).rstrip() + "\n"


def _opening(report: ExperimentReport) -> str:
    """One line: how many claims hold, are refuted, are undecided, on which evidence."""
    found = []
    for kind in EVIDENCE:
        counts = report.counts(kind)
        if counts:
            words = (
                f"{counts[verdict]} {word}" for verdict, word in WORDS.items() if counts[verdict]
            )
            found.append(f"on {kind} evidence {', '.join(words)}")
    unexpected = len(report.unexpected())
    outcome = f"**{unexpected} not as expected**" if unexpected else "all judged ones as expected"
    return f"- **{report.name}**, {len(report.claims)} claims: {'; '.join(found)}; {outcome}."


def _experiment_markdown(report: ExperimentReport) -> list[str]:
    shown = [kind for kind in EVIDENCE if report.counts(kind)]
    lines = [f"## {report.name}: {escaped(report.title)}", ""]
    if not shown:
        return [*lines, "Nothing was judged.", ""]
    lines += _counts_table(report, shown)
    lines += _missing(report, shown)
    shown = [kind for kind in shown if set(report.counts(kind)) != {"missing"}]
    lines += _statements("Unexpected verdicts", report.unexpected(), report)
    refuted = [r for r in report.records if r["verdict"] == "refuted" and r["as_expected"]]
    lines += _statements("Refuted statements", refuted, report)
    for kind, found in report.differences.items():
        lines += [f"**{kind}**", "", *(f"- {line}" for line in found), ""]
    lines += meaning_markdown(report.verifications)
    for made_by in report.makers():
        lines += _claims_table(report, made_by, shown)
    return lines


def _counts_table(report: ExperimentReport, shown: Sequence[str]) -> list[str]:
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
                lines.append(f"| {kind} | {escaped(made_by or 'all together')} | {figures} |")
    return [*lines, ""]


def _missing(report: ExperimentReport, shown: Sequence[str]) -> list[str]:
    lines = []
    for kind in shown:
        reasons = [
            r["arithmetic"]
            for r in report.records
            if r["evidence"] == kind and r["verdict"] == "missing"
        ]
        lines += [f"- No {kind} evidence: {escaped(reason)}" for reason in dict.fromkeys(reasons)]
    absent = {
        "published": "the experiment has none",
        "live": "not run (`--replication-live` runs the model)",
    }
    lines += [
        f"- {kind.capitalize()} evidence: {absent.get(kind, 'not judged')}."
        for kind in EVIDENCE
        if kind not in shown
    ]
    return [*lines, ""] if lines else []


def _statements(heading: str, records: Sequence[Record], report: ExperimentReport) -> list[str]:
    if not records:
        return []
    claims = {claim.id: claim for claim in report.claims}
    lines = [
        f"### {heading}",
        "",
        "| claim | statement | on | arithmetic |",
        "| --- | --- | --- | --- |",
    ]
    for record in records:
        claim = claims[record["claim"]]
        why = claim.reason if record["as_expected"] and claim.reason else record["arithmetic"]
        lines.append(
            f"| {claim.id} | {escaped(claim.statement)} | {record['evidence']} | {escaped(why)} |"
        )
    return [*lines, ""]


def _claims_table(
    report: ExperimentReport, made_by: str, shown: Sequence[EvidenceKind]
) -> list[str]:
    lines = [
        f"### Made by: {escaped(made_by)}",
        "",
        f"| claim | statement | {' | '.join(shown)} | arithmetic, or what would decide it |",
        f"| --- | --- | {' | '.join('---' for _ in shown)} | --- |",
    ]
    for claim in report.claims:
        if claim.made_by == made_by:
            records = [report.record(claim.id, kind) for kind in shown]
            verdicts = " | ".join(_verdict(record) for record in records)
            why = next((r["arithmetic"] for r in _most_telling(records)), "")
            lines.append(
                f"| {claim.id} | {escaped(claim.statement)} | {verdicts} | {escaped(why)} |"
            )
    return [*lines, ""]


def _most_telling(records: Iterable[Record | None]) -> list[Record]:
    """The records from the most telling on: settled before unsettled, measured before published."""
    order = {"holds": 0, "refuted": 0, "undecided": 1, "missing": 2}
    return sorted(
        (record for record in records if record),
        key=lambda record: (order[record["verdict"]], -EVIDENCE.index(record["evidence"])),
    )


def _verdict(record: Record | None) -> str:
    if record is None:
        return ""
    words = "no evidence" if record["verdict"] == "missing" else str(record["verdict"])
    return f"**{words}, unexpected**" if record["as_expected"] is False else words


def write_reports(folder: Path, reports: Sequence[ExperimentReport], command: str) -> str:
    """Write `claims.json` and `claims.md`; the Markdown is returned for other places to show."""
    markdown = claims_markdown(reports)
    write_json(folder / "claims.json", claims_json(reports, command))
    for report in reports:
        if report.verifications:
            content = verification_file(report.name, report.verifications)
            write_json(folder / report.name / "verification.json", content)
    write_atomically(folder / "claims.md", markdown)
    return markdown
