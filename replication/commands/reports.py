"""What is made of a run's reports afterwards: a badge, and what changed since another run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from replication.inputs.files import InputError, read_json
from replication.inputs.folders import check_replaceable
from replication.inputs.messages import one_line, placed
from replication.inputs.writing import write_json
from replication.report.badge import LABEL
from replication.report.badge import badge as badge_of
from replication.report.changes import changes, compared
from replication.report.claims_file import experiment_in, read_report


def badge(reports: Path, experiment: str | None, out: Path) -> str:
    """Write a badge of all experiments of a run, or of one, and say in a line what it says.

    Raises:
        InputError: the reports cannot be read, they have no such experiment, or something else
            than a badge stands where it is to be written.
    """
    report = read_report(reports)
    chosen = report.experiments
    if experiment is not None:
        chosen = [experiment_in(report, experiment, reports)]
    check_replaceable(out, "badge", _is_badge)
    content = badge_of(chosen, experiment or LABEL, report.partial is not None)
    write_json(out, content)
    return one_line(f"{placed(out)}: {content['label']}: {content['message']}")


def _is_badge(path: Path) -> bool:
    try:
        data = read_json(path)
    except InputError:
        return False
    return isinstance(data, dict) and "schemaVersion" in data


@dataclass(frozen=True)
class Compared:
    """What changed from one run to another, in lines, and how many verdicts got worse."""

    lines: list[str]
    worse: int


def compare_reports(old: Path, new: Path) -> Compared:
    """What changed, what got worse first.

    Raises:
        InputError: one of the two cannot be read.
    """
    before, after = read_report(old), read_report(new)
    found = sorted(changes(before, after), key=lambda one: not one.is_worse)
    worse = sum(one.is_worse for one in found)

    def lines() -> Iterator[str]:
        for one in found:
            yield f"worse: {one.text}" if one.is_worse else one.text
        if (part := after.partial) is not None:
            yield f"{placed(new)} is of a part: {part.judged} of {part.of} judgements"
        yield f"{compared(before, after)} verdicts stand in both; {worse} got worse"

    return Compared(list(map(one_line, lines())), worse)
