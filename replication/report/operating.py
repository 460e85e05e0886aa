"""Operating points in words: which claims turn on the budget and the threshold, and where."""

from __future__ import annotations

from collections.abc import Iterator

from replication.report.record import ExperimentReport, OperatingRecord

HEAD = ("claim", "on", "keeps its verdict at", "turns first at", "there")


def summary(report: ExperimentReport) -> str:
    """How many claims turn at a point, and which points there are; nothing where none was taken."""
    found = report.operating
    looking = {one.claim for of_kind in found.values() for one in of_kind}
    turning = {one.claim for of_kind in found.values() for one in of_kind if one.turn}
    if not looking:
        return ""
    return (
        f"Of the claims that look at the circuit or at its rule, {len(turning)} of {len(looking)}"
        " turn where the budget and the threshold are 0.8 to 1.2 times the experiment's own"
    )


def rows(report: ExperimentReport) -> Iterator[list[str]]:
    """A line of the table for each claim that turns at a point, on each evidence."""
    for kind, found in report.operating.items():
        for one in found:
            if one.turn is not None:
                yield [one.claim, kind, _kept(one), *_turn(one)]


def _kept(found: OperatingRecord) -> str:
    kept = f"{found.kept} of {found.points}"
    return f"{kept} ({found.unselected} select nothing)" if found.unselected else kept


def _turn(found: OperatingRecord) -> tuple[str, str]:
    turn = found.turn
    assert turn is not None
    verdict = turn.verdict or "nothing is selected"
    place = f"budget {turn.budget}"
    if turn.mlp_threshold is not None:
        place += f", threshold {turn.mlp_threshold:g}"
    return place, f"{verdict}: {turn.reason}"
