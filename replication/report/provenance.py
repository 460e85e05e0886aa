"""Provenance: in what recorded and live evidence differ, beside their figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from replication.evidence.evidence import RunProvenance
from replication.inputs.messages import listed
from replication.report.record import ExperimentReport


class Fact(NamedTuple):
    """What is known of both runs; where they differ in it, `makes_another_run` of the other."""

    what: str
    recorded: str
    live: str
    makes_another_run: bool


class Apart(NamedTuple):
    """In what the two differ; `is_another_run` if they ran other weights, or other tokens."""

    text: str
    is_another_run: bool


def facts_of_both(report: ExperimentReport) -> list[Fact]:
    """What each of the two ran, and on what; none where only one of them was judged."""
    recorded, live = (report.provenance.get(kind) for kind in ("recorded", "live"))
    if not isinstance(recorded, RunProvenance) or not isinstance(live, RunProvenance):
        return []
    return list(_facts(recorded, live))


def apart(report: ExperimentReport) -> list[Apart]:
    """Each difference in one line."""
    return [
        Apart(
            f"Recorded and live evidence differ in {one.what}: {one.recorded} recorded,"
            f" {one.live} live",
            one.makes_another_run,
        )
        for one in facts_of_both(report)
        if one.recorded != one.live
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


def _facts(recorded: RunProvenance, live: RunProvenance) -> Iterator[Fact]:
    yield Fact("the weights' SHA-256", recorded.weights_sha256, live.weights_sha256, True)
    if recorded.configuration_sha256 is not None:  # what was recorded before it was names none
        here, there = recorded.configuration_sha256, str(live.configuration_sha256)
        yield Fact("the configuration's SHA-256", here, there, True)
    yield _token_lengths(recorded, live)
    yield Fact("how tokens are added", _added(recorded), _added(live), True)
    yield Fact("the tokenizer's SHA-256", recorded.tokenizer_sha256, live.tokenizer_sha256, False)
    yield Fact("the tokens' SHA-256", recorded.seen.ids_sha256, live.seen.ids_sha256, True)
    yield Fact("where the MLP's output is read", recorded.mlp_at, live.mlp_at, True)
    for package in dict.fromkeys([*recorded.versions, *live.versions]):
        here, there = (one.versions.get(package, "none") for one in (recorded, live))
        yield Fact(f"the version of {package}", here, there, False)
    yield Fact("precision", recorded.precision, live.precision, False)
    yield Fact("device", recorded.device, live.device, False)
    if recorded.processors:  # what was recorded before they were names none
        here, there = listed(recorded.processors), listed(live.processors)
        yield Fact("the kind of processor", here, there, False)


def _token_lengths(recorded: RunProvenance, live: RunProvenance) -> Fact:
    lengths = zip(recorded.token_lengths, live.token_lengths, strict=True)
    others = [number for number, (here, there) in enumerate(lengths, start=1) if here != there]
    if not others:
        tokens = str(sum(map(sum, live.token_lengths)))
        return Fact("the number of tokens", tokens, tokens, True)
    here, there = (
        "{} and {}".format(*one.token_lengths[others[0] - 1]) for one in (recorded, live)
    )
    return Fact(f"the token lengths, first in pair {others[0]}", here, there, True)


def _added(run: RunProvenance) -> str:
    return "chat template" if run.tokens.chat_template else run.tokens.special
