"""Writing reports: what was judged, for programs and for people, and what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from replication.circuits.result_files import write_result
from replication.evidence.evidence import Kind, Measured
from replication.inputs.writing import write_atomically, write_json
from replication.report.data import claims_json, controls_json
from replication.report.record import ExperimentReport
from replication.report.text import claims_markdown


def write_measured(folder: Path, kind: Kind, measured: Measured) -> None:
    """Write `circuit.json` and `scores.json` of a measured result."""
    provenance = {"evidence": kind, **measured.provenance.model_dump(mode="json")}
    write_result(folder, measured.scores, measured.circuit, provenance)


def write_reports(folder: Path, reports: Sequence[ExperimentReport], command: str) -> str:
    """Write `claims.json` and `claims.md`; the Markdown is returned for other places to show."""
    markdown = claims_markdown(reports)
    write_json(folder / "claims.json", claims_json(reports, command))
    for report in reports:
        if report.controls:
            write_json(folder / report.name / "verification.json", controls_json(report))
    write_atomically(folder / "claims.md", markdown)
    return markdown
