"""The report as data, for programs: the judgements, the controls, and what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, JsonValue

from replication.claims.claim import Claim
from replication.controls.thresholds import THRESHOLDS
from replication.report.answers import replication
from replication.report.record import EVIDENCE, VERDICTS, ExperimentReport, Outcome

FORMAT = "replication.claims.1"
CONTROLS_FORMAT = "replication.verification.4"


def claims_json(reports: Iterable[ExperimentReport], command: str) -> dict[str, Any]:
    """The content of `claims.json`."""
    reports = list(reports)
    return {
        "format": FORMAT,
        "counts": {
            kind: _filled(sum((report.counts(kind) for report in reports), Counter[Outcome]()))
            for kind in EVIDENCE
        },
        "command": command,
        **_if_partial(reports),
        "experiments": [
            {
                "name": report.name,
                "title": report.title,
                "counts": {kind: _filled(report.counts(kind)) for kind in EVIDENCE},
                "counts_by_maker": {
                    maker: {kind: _filled(report.counts(kind, maker)) for kind in EVIDENCE}
                    for maker in report.makers()
                },
                "provenance": {
                    kind: found.model_dump(mode="json") if isinstance(found, BaseModel) else found
                    for kind, found in report.provenance.items()
                },
                "differences": report.shown_differences(),
                "operating_points": {
                    kind: [one.model_dump(mode="json") for one in found]
                    for kind, found in report.operating.items()
                },
                "replication": replication(report).model_dump(mode="json"),
                "claims": [_claim_json(report, claim) for claim in report.claims],
            }
            for report in reports
        ],
    }


def _if_partial(reports: Iterable[ExperimentReport]) -> dict[str, Any]:
    """Of a run of some of the claims, how many were judged, of how many."""
    if not any(report.is_partial for report in reports):
        return {}
    judged, cases = (
        sum(len(found) for found in counted)
        for counted in zip(*((one.found, one.cases) for one in reports), strict=True)
    )
    return {"partial": {"judged": judged, "of": cases}}


def results_json(report: ExperimentReport) -> dict[str, dict[str, Any]]:
    """The content of `circuit.json` and `scores.json`, by name."""
    return {
        name: {**content, "metadata": {**_table(content["metadata"]), **_if_partial([report])}}
        for name, content in report.files.items()
    }


def _table(value: JsonValue) -> dict[str, JsonValue]:
    assert isinstance(value, dict)
    return value


def _filled(counts: Counter[Outcome]) -> dict[Outcome, int]:
    return {verdict: counts[verdict] for verdict in VERDICTS}


def _claim_json(report: ExperimentReport, claim: Claim) -> dict[str, Any]:
    return {
        **claim.model_dump(include={"id", "made_by", "source", "statement", "expect", "reason"}),
        "is_question": claim.is_question,
        "kinds": [check.kind for check in claim.check],
        "judgements": [
            record.model_dump(mode="json", exclude={"experiment", "claim"})
            for kind in EVIDENCE
            if (record := report.record(claim.id, kind))
        ],
    }


def controls_json(report: ExperimentReport) -> dict[str, Any]:
    """The content of `verification.json`."""
    thresholds = THRESHOLDS._asdict().items()
    return {
        "format": CONTROLS_FORMAT,
        "experiment": report.name,
        "thresholds": {name: threshold._asdict() for name, threshold in thresholds},
        **_if_partial([report]),
        "verifications": [one.model_dump(mode="json") for one in report.controls],
        "causal": [one.model_dump(mode="json") for one in report.causal.values()],
    }
