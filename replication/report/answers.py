"""The answer: does it add up, does it replicate, does it mean what it says?

Each question with a word, the counts behind it, and what was not run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from replication.controls.words import VERDICTS as VERDICT_OF_WORD
from replication.controls.words import Word
from replication.evidence.evidence import Kind
from replication.inputs.messages import QUOTE, fitting
from replication.report.record import (
    EVIDENCE,
    VERDICTS,
    ControlsRecord,
    ExperimentReport,
    Outcome,
)


@dataclass(frozen=True)
class Tally:
    """How many verdicts, or words, there are of each kind."""

    label: str
    counts: Sequence[tuple[Outcome, int]] = ()
    words: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True)
class Answer:
    """A question with its answer, the counts behind it, and what was not run."""

    question: str
    asks: str
    answer: str
    tallies: Sequence[Tally]
    lacks: Sequence[str]


def answers(report: ExperimentReport) -> list[Answer]:
    """The three questions, each with its answer, the counts behind it, and what was not run."""
    return [_adds_up(report), _replicates(report), _means(report)]


def _tally(report: ExperimentReport, kind: Kind, controls: bool) -> Counter[Outcome]:
    """The verdicts on one kind of evidence, of the claims about controls or of all others."""
    wanted = {
        claim.id
        for claim in report.claims
        if controls == any(check.kind == "control" for check in claim.check)
    }
    return Counter(r.verdict for r in report.records if r.evidence == kind and r.claim in wanted)


def _verdict_on(counts: Counter[Outcome]) -> str:
    if counts["refuted"]:
        return "Not entirely" if counts["holds"] else "No"
    if counts["holds"]:
        return "As far as it was judged, yes" if counts["undecided"] else "Yes"
    return "Not decided" if counts["undecided"] else "Not run"


def _counted(label: str, counts: Counter[Outcome]) -> Tally:
    return Tally(label, [(verdict, counts[verdict]) for verdict in VERDICTS if counts[verdict]])


def lacks(report: ExperimentReport, kind: Kind) -> list[str]:
    """Why there is no evidence of a kind."""
    found = [r for r in report.records if r.evidence == kind]
    is_asked = any(asked == kind for _, asked in report.cases)
    if not found and kind == "live" and not is_asked:
        return ["Live evidence: not run; --replication-live runs the model."]
    if not found and kind == "published" and not report.is_published:
        return ["The experiment has no published result."]
    if not found:
        return [f"{kind.capitalize()} evidence: not judged in this run."]
    reasons = dict.fromkeys(r.arithmetic for r in found if r.verdict == "missing")
    return [f"{kind.capitalize()} evidence: {reason}." for reason in reasons]


def _adds_up(report: ExperimentReport) -> Answer:
    counts = _tally(report, "published", controls=False)
    return Answer(
        "Does it add up?",
        "the published statements, from the published figures",
        _verdict_on(counts) if report.is_published else "Nothing to add up",
        [_counted("published", counts)] if counts else [],
        lacks(report, "published"),
    )


def _replicates(report: ExperimentReport) -> Answer:
    kinds: tuple[Kind, ...] = ("live", "recorded")
    counts = {kind: _tally(report, kind, controls=False) for kind in kinds}
    settled = [found for found in counts.values() if set(found) - {"missing"}]
    return Answer(
        "Does it replicate?",
        "the same statements, from a run of the model",
        _verdict_on(settled[0]) if settled else "Not run",
        [_counted(kind, found) for kind, found in counts.items() if found],
        [line for kind in kinds for line in lacks(report, kind)],
    )


def _means(report: ExperimentReport) -> Answer:
    shown = _best(report)
    named = [Counter(one.word for one in found.components if one.selected) for found in shown]
    stated = [(kind, _tally(report, kind, controls=True)) for kind in reversed(EVIDENCE)]
    words = sum(named, Counter())
    tallies = [
        Tally(
            f"selected by {found.result} ({found.evidence})",
            words=[
                (word + "s" * (word == "artefact" and counts[word] > 1), counts[word])
                for word in VERDICT_OF_WORD
                if counts[word]
            ],
        )
        for found, counts in zip(shown, named, strict=True)
    ]
    tallies += [_counted(f"claims on meaning, {kind}", counts) for kind, counts in stated if counts]
    return Answer(
        "Does it mean what it says?",
        "whether the scores are stable, specific, and no matter of prompt length",
        _meaning_on(sum((counts for _, counts in stated), Counter()), words),
        tallies,
        [*_not_computed(report), *([] if words else ["No verification was run."])],
    )


def _not_computed(report: ExperimentReport) -> list[str]:
    """The controls that were not computed, each with the results that lack it, and why."""
    lacking: dict[tuple[str, str], list[str]] = {}
    for one in report.controls:
        for control, reason in one.not_computed.items():
            lacking.setdefault((control, reason), []).append(f"{one.result} ({one.evidence})")
    return [
        f"{control.capitalize()}, not computed for {fitting(results, QUOTE)}: {reason}."
        for (control, reason), results in lacking.items()
    ]


def _meaning_on(stated: Counter[Outcome], words: Counter[Word]) -> str:
    """What the statements on meaning came to; where there are none, the words do."""
    if stated["holds"] or stated["refuted"]:
        return _verdict_on(stated)
    if not words:
        return "Not run"
    if words["specific"]:
        return "Yes" if set(words) == {"specific"} else "Only in part"
    return "Not shown, and in part an artefact" if words["artefact"] else "Not shown"


def _best(report: ExperimentReport) -> list[ControlsRecord]:
    """The controls on the best evidence that there are any on: live before recorded."""
    by_kind = ([one for one in report.controls if one.evidence == k] for k in reversed(EVIDENCE))
    return next(filter(None, by_kind), [])
