"""Provenance: in what recorded and live evidence differ, beside their figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from replication.evidence.evidence import RunProvenance
from replication.inputs.messages import listed
from replication.report.record import ExperimentReport


class Apart(NamedTuple):
    """In what the two differ; `is_another_run` if they ran other weights, or other tokens."""

    text: str
    is_another_run: bool


def apart(report: ExperimentReport) -> list[Apart]:
    """Each difference in one line; none where only one of the two was judged."""
    recorded, live = (report.provenance.get(kind) for kind in ("recorded", "live"))
    if not isinstance(recorded, RunProvenance) or not isinstance(live, RunProvenance):
        return []
    return [
        Apart(
            f"Recorded and live evidence differ in {what}: {here} recorded, {there} live", is_other
        )
        for what, here, there, is_other in _fields(recorded, live)
        if here != there
    ]


def seen_tokens(report: ExperimentReport) -> list[str]:
    """Which tokens the model saw of the first pair, on each kind of evidence that was measured."""
    kinds: dict[str, list[str]] = {}
    for kind, run in report.provenance.items():
        if isinstance(run, RunProvenance):
            kinds.setdefault(run.seen.described(), []).append(kind)
    return [f"On {' and '.join(named)} evidence {seen}" for seen, named in kinds.items()]


def mixed_processors(report: ExperimentReport) -> list[str]:
    """Which evidence was run on several kinds of processor, and on which."""
    return [
        f"{kind.capitalize()} evidence was {line}"
        for kind, run in report.provenance.items()
        if isinstance(run, RunProvenance)
        for line in run.mixed()
    ]


def _fields(recorded: RunProvenance, live: RunProvenance) -> Iterator[tuple[str, str, str, bool]]:
    """What is compared, as each has it, and whether that makes another run of it."""
    yield "the weights' SHA-256", recorded.weights_sha256, live.weights_sha256, True
    lengths = zip(recorded.token_lengths, live.token_lengths, strict=True)
    others = [number for number, (here, there) in enumerate(lengths, start=1) if here != there]
    if others:
        here, there = (
            "{} and {}".format(*one.token_lengths[others[0] - 1]) for one in (recorded, live)
        )
        yield f"the token lengths, first in pair {others[0]}", here, there, True
    yield "how tokens are added", _added(recorded), _added(live), True
    yield "the tokenizer's SHA-256", recorded.tokenizer_sha256, live.tokenizer_sha256, False
    yield "the tokens' SHA-256", recorded.seen.ids_sha256, live.seen.ids_sha256, True
    yield "where the MLP's output is read", recorded.mlp_at, live.mlp_at, True
    for package in dict.fromkeys([*recorded.versions, *live.versions]):
        here, there = (one.versions.get(package, "none") for one in (recorded, live))
        yield f"the version of {package}", here, there, False
    yield "precision", recorded.precision, live.precision, False
    yield "device", recorded.device, live.device, False
    if recorded.processors:  # what was recorded before they were names none
        here, there = listed(recorded.processors), listed(live.processors)
        yield "the kind of processor", here, there, False


def _added(run: RunProvenance) -> str:
    return "chat template" if run.tokens.chat_template else run.tokens.special
