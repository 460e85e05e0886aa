"""Annotations: what GitHub shows beside a line of a file, as a workflow command prints it.

Source of the format and of its escapes: GitHub's documentation of workflow commands, and
`escapeData` and `escapeProperty` of its actions toolkit.
"""

from __future__ import annotations

import os
from pathlib import Path

from replication.claims.claim import QUESTION
from replication.inputs.positions import lines_of
from replication.inputs.visible import visible
from replication.report.record import ExperimentReport


def annotate(report: ExperimentReport, claims: Path) -> list[str]:
    """One line for each unexpected verdict, at its claim's line in the file of claims."""
    line = lines_of(claims)
    questions = {claim.id for claim in report.claims if claim.is_question}
    places = {claim.id: line(("claim", number)) for number, claim in enumerate(report.claims)}
    return [
        error(
            claims,
            places[record.claim],
            f"{report.name}: {record.claim}{f' ({QUESTION})' if record.claim in questions else ''}"
            f" on {record.evidence} evidence",
            f"{record.verdict}: {record.arithmetic}",
        )
        for record in report.unexpected()
    ]


def error(path: Path, line: int | None, title: str, message: str) -> str:
    """The workflow command that annotates a line; a path in the workspace is told from there."""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    inside = path.resolve().is_relative_to(workspace)
    shown = path.resolve().relative_to(workspace) if inside else path
    where = f"file={_property(shown.as_posix())},line={line or 1},title={_property(title)}"
    return f"::error {where}::{_data(message)}"


def _data(text: str) -> str:
    return visible(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
