"""What a step of GitHub Actions hands on: the summary that GitHub shows of it, and its outputs.

Source of both formats and of the limit: GitHub's documentation of workflow commands.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from replication.inputs.messages import MESSAGE, fitting, shortened
from replication.report.findings import statements_standing
from replication.report.markdown import escaped
from replication.report.record import ExperimentReport

# In bytes: a step's whole summary, of a longer one GitHub shows nothing; and what is kept of it for
# saying what was left out.
SUMMARY, SAYING = 1024 * 1024, 8 * 1024


def append_summary(file: Path, markdown: str, reports: Sequence[ExperimentReport]) -> None:
    """Append the content of `claims.md`, as far as there is room, to a step's summary."""
    room = SUMMARY - (file.stat().st_size if file.exists() else 0)
    if room > SAYING:
        with file.open("a", encoding="utf-8") as summary:
            summary.write(cut(markdown, reports, room))


def cut(markdown: str, reports: Sequence[ExperimentReport], most: int) -> str:
    """As much of `claims.md` as so many bytes hold, and what was left out.

    It is cut between lines, and a claim is one line of its table.
    """
    if len(markdown.encode()) <= most:
        return markdown
    lines = markdown.splitlines(keepends=True)
    ends = list(accumulate(len(line.encode()) for line in lines))
    kept = bisect_right(ends, most - SAYING)
    left_out = list(_left_out(lines[:kept], lines[kept:], reports))
    said = escaped(f"as GitHub shows 1 MiB of a step: {fitting(left_out, MESSAGE)}")
    note = f"\n**Left out here, {said}. All of it is in the report's claims.md.**\n"
    return "".join([*lines[:kept], note])


def _left_out(
    kept: Sequence[str], left: Sequence[str], reports: Sequence[ExperimentReport]
) -> Iterator[str]:
    """What the lines that are left out would have said, by experiment."""
    begun = sum(line.startswith("## ") for line in kept)
    rows = {tuple(line.split(" | ")[:2]) for line in left}
    for place, report in enumerate(reports):
        name = shortened(report.name)
        claims = [
            claim.id
            for claim in report.claims
            if (f"| {escaped(claim.id)}", escaped(claim.statement)) in rows
        ]
        if place >= begun:
            yield f"all of {name}"
        elif claims:
            yield f"{len(claims)} of {len(report.claims)} claims of {name}, {claims[0]} and on"
    if begun > len(reports) or "## Thresholds\n" in left:
        yield "thresholds"


def append_outputs(file: Path, reports: Sequence[ExperimentReport], folder: Path) -> None:
    """Append a step's outputs: which claims are refuted, which unexpected, and the report's folder.

    The claims are JSON, a list of texts such as `mine: C3`.
    """
    refuted = [
        f"{one.name}: {claim}" for one in reports for claim in statements_standing(one, "refuted")
    ]
    unexpected = [f"{one.name}: {found.claim}" for one in reports for found in one.unexpected()]
    outputs = {
        "refuted": json.dumps(refuted),
        "unexpected": json.dumps(list(dict.fromkeys(unexpected))),
        "report": str(folder),
    }
    with file.open("a", encoding="utf-8") as written:
        written.writelines(f"{name}={value}\n" for name, value in outputs.items())
