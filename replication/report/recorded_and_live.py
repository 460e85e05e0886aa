"""Recorded against live: what both runs ran, and what they gave, a row for each of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from replication.inputs.messages import fitting
from replication.report.provenance import facts_of_both
from replication.report.record import VERDICTS, ExperimentReport, Outcome, ResultFigures
from replication.report.rows import figure

HEAD = ("", "recorded", "live", "agree")
SAME = "yes"
DIGITS = 16  # of a SHA-256: what a reader compares at a glance; the whole stands with each run
LIST = 120  # characters of claims that come out otherwise


class Row(NamedTuple):
    """Something of both runs; `agree` is "yes", or in what they do not."""

    what: str
    recorded: str
    live: str
    agree: str


def recorded_against_live(report: ExperimentReport) -> list[Row]:
    """What ran and what came out, on a stored run and on this one; none without both."""
    facts = facts_of_both(report)
    if not facts:
        return []
    rows = [
        Row(
            one.what,
            _short(one.recorded),
            _short(one.live),
            SAME if one.recorded == one.live else "no",
        )
        for one in facts
    ]
    return [*rows, *_of_results(report), *_of_verdicts(report)]


def _short(value: str) -> str:
    is_digest = len(value) == 64 and set(value) <= set("0123456789abcdef")
    return f"{value[:DIGITS]}…" if is_digest else value


def _of_results(report: ExperimentReport) -> Iterator[Row]:
    """How near the measured scores are, and how many nodes the circuits share."""
    recorded, live = (report.figures.get(kind) for kind in ("recorded", "live"))
    if recorded is None or live is None:
        return
    for name in [one for one in recorded.results if one in live.results]:
        here, there = recorded.results[name], live.results[name]
        yield from _of_scores(name, here, there)
        if here.nodes is not None and there.nodes is not None:
            shared = len({*here.nodes} & {*there.nodes})
            is_same = {*here.nodes} == {*there.nodes}
            yield Row(
                f"the nodes that the rule selects of {name}",
                str(len(here.nodes)),
                str(len(there.nodes)),
                SAME if is_same else f"in {shared}",
            )


def _of_scores(name: str, recorded: ResultFigures, live: ResultFigures) -> Iterator[Row]:
    here, there = _measured(recorded), _measured(live)
    both = [one for one in here if one in there]
    largest = max((abs(here[one]) for one in both), default=0.0)
    if not largest:
        return
    apart = {one: abs(there[one] - here[one]) / largest for one in both}
    most = max(apart, key=lambda one: apart[one])
    agree = SAME if not apart[most] else f"to {apart[most]:.1g} of the highest"
    yield Row(
        f"the score of {most}, of {len(both)} of {name} the one that differs most",
        figure(here[most]),
        figure(there[most]),
        agree,
    )


def _measured(figures: ResultFigures) -> dict[str, float]:
    scores = (figures.scores or {}).items()
    return {component: score for component, score in scores if isinstance(score, float)}


def _of_verdicts(report: ExperimentReport) -> Iterator[Row]:
    """How the claims came out that both have."""
    both = [
        (claim.id, here.verdict, there.verdict)
        for claim in report.claims
        if (here := report.record(claim.id, "recorded"))
        and (there := report.record(claim.id, "live"))
    ]
    others = [f"{claim} ({here}, {there})" for claim, here, there in both if here != there]
    if both:
        yield Row(
            f"the verdicts on {len(both)} claims",
            _counted(Counter(recorded for _, recorded, _ in both)),
            _counted(Counter(live for _, _, live in both)),
            f"all but {fitting(others, LIST)}" if others else SAME,
        )


def _counted(verdicts: Counter[Outcome]) -> str:
    return ", ".join(f"{verdicts[one]} {one}" for one in VERDICTS if verdicts[one])
