"""Changes from one run to another: which verdicts got worse, and what else is not as it was.

A verdict is the better, the less it leaves to be wished: best is one that holds as expected, then
one that is refuted as expected, then one that is undecided, then none for lack of evidence, and
worst one that was not expected. It is worse for an experiment or a claim that was decided to be
gone. Evidence that one of the two runs did
not look at at all, as live evidence without the option for it, is named and cannot be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from replication.evidence.evidence import Kind as EvidenceKind
from replication.inputs.messages import listed, shortened
from replication.report.claims_file import ReadClaim, ReadExperiment, ReadJudgement, ReadReport
from replication.report.record import Outcome

_SAID: dict[Outcome, str] = {
    "holds": "holds",
    "refuted": "refuted",
    "undecided": "undecided",
    "missing": "no evidence",
}
_BEST_FIRST: tuple[Outcome, ...] = ("holds", "refuted", "undecided", "missing")


@dataclass(frozen=True)
class Change:
    """Something that is not as it was, in one line."""

    text: str
    is_worse: bool


def changes(old: ReadReport, new: ReadReport) -> list[Change]:
    """What changed, in the order of the old report, and then what is new."""
    found = list(chain.from_iterable(_experiment(one, new) for one in old.experiments))
    added = (one for one in new.experiments if old.experiment(one.name) is None)
    for one in added:
        count = f"{len(one.claims)} claims" if len(one.claims) != 1 else "1 claim"
        found.append(Change(f"{shortened(one.name)}: new, {count}", False))
    return found


def compared(old: ReadReport, new: ReadReport) -> int:
    """How many verdicts stand in both reports."""
    return sum(
        len(_verdicts(claim).keys() & _verdicts(other).keys())
        for one in old.experiments
        if (there := new.experiment(one.name))
        for claim in one.claims
        if (other := _claim(there, claim.id))
    )


def _experiment(old: ReadExperiment, report: ReadReport) -> Iterator[Change]:
    name, new = shortened(old.name), report.experiment(old.name)
    if new is None:
        was_decided = any(_was_decided(claim) for claim in old.claims)
        yield Change(f"{name}: gone, with {len(old.claims)} claims", was_decided)
        return
    for here, there, which in ((old, new, "the old"), (new, old, "the new")):
        if apart := [kind for kind in here.judged_on if kind not in there.judged_on]:
            yield Change(f"{name}: {listed(apart)} evidence was judged in {which} run only", False)
    both = [kind for kind in old.judged_on if kind in new.judged_on]
    for claim in old.claims:
        place = f"{name} {shortened(claim.id)}"
        other = _claim(new, claim.id)
        if other is None:
            yield Change(f"{place}: gone", _was_decided(claim))
        else:
            yield from _claims(place, claim, other, both)
    for claim in new.claims:
        if _claim(old, claim.id) is None:
            verdicts = [f"{_SAID[one.verdict]} ({one.evidence})" for one in claim.judgements]
            yield Change(f"{name} {shortened(claim.id)}: new, {listed(verdicts)}", False)


def _claims(
    place: str, old: ReadClaim, new: ReadClaim, both: list[EvidenceKind]
) -> Iterator[Change]:
    if old.statement != new.statement:
        yield Change(f"{place}: states something else", False)
    if old.expect != new.expect:
        yield Change(f"{place}: expected to be {new.expect}, was {old.expect}", False)
    before, after = _verdicts(old), _verdicts(new)
    for kind in both:
        was, now = before.get(kind), after.get(kind)
        if was is None:
            continue
        if now is None:
            yield Change(f"{place} on {kind} evidence: no longer judged", _is_decided(was))
        elif (was.verdict, was.as_expected) != (now.verdict, now.as_expected):
            said = f"{place} on {kind} evidence: {_told(was)}, now {_told(now)}"
            yield Change(f"{said}: {shortened(now.arithmetic, 110)}", got_worse(was, now))


def got_worse(was: ReadJudgement, now: ReadJudgement) -> bool:
    """Whether a verdict is worse than it was."""
    return _place(now) > _place(was)


def _place(one: ReadJudgement) -> int:
    """A verdict's place in the order of what is to be wished, the best first."""
    return len(_BEST_FIRST) if one.as_expected is False else _BEST_FIRST.index(one.verdict)


def _told(one: ReadJudgement) -> str:
    return _SAID[one.verdict] + ", unexpected" * (one.as_expected is False)


def _verdicts(claim: ReadClaim) -> dict[EvidenceKind, ReadJudgement]:
    return {one.evidence: one for one in claim.judgements}


def _claim(experiment: ReadExperiment, name: str) -> ReadClaim | None:
    return next((one for one in experiment.claims if one.id == name), None)


def _was_decided(claim: ReadClaim) -> bool:
    return any(map(_is_decided, claim.judgements))


def _is_decided(one: ReadJudgement) -> bool:
    return one.verdict in ("holds", "refuted")
