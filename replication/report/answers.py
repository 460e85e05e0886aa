"""The answer: does it add up, does it replicate, does it mean what it says, does it do anything?

Each question with a word, the counts behind it, and what was not run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from replication.claims.causal_checks import Behaviour, CausalCheck
from replication.claims.claim import QUESTION, Claim
from replication.controls.causal_words import CausalWord
from replication.controls.not_computed import DOES_NOT_APPLY
from replication.controls.thresholds import THRESHOLDS
from replication.controls.words import VERDICTS as VERDICT_OF_WORD
from replication.controls.words import Word
from replication.evidence.evidence import Kind
from replication.inputs.messages import LIST, QUOTE, fitting
from replication.report.causal_record import CausalRecord, CausalRecords, NotShownRecord
from replication.report.record import (
    EVIDENCE,
    VERDICTS,
    WORDS,
    AgainstRecord,
    ChangedRecord,
    ControlsRecord,
    ExperimentReport,
    JudgementRecord,
    Outcome,
    OutsideRecord,
    ReplicationRecord,
)

About = Literal["figures", "meaning", "doing"]
RUNS: tuple[Kind, ...] = ("live", "recorded")
NO_BEHAVIOUR = "The experiment states no behaviour."


@dataclass(frozen=True)
class Question:
    """A question, what it asks, and by claims about what, on which evidence it is answered.

    The best evidence comes first.
    """

    text: str
    asks: str
    about: Sequence[About]
    on: Sequence[Kind]


ADDS_UP = Question(
    "Does it add up?",
    "the published statements, from the published figures",
    ("figures", "doing"),
    ("published",),
)
REPLICATES = Question(
    "Does it replicate?",
    "whether a run of the model gives what was published",
    ("figures",),
    RUNS,
)
MEANS = Question(
    "Does it mean what it says?",
    "whether the scores are stable, specific, and no matter of prompt length",
    ("meaning",),
    EVIDENCE[::-1],
)
DOES = Question(
    "Does it do anything?",
    "whether the model's behaviour rests on the circuit, more than on random ones",
    ("doing",),
    RUNS,
)
QUESTIONS = (ADDS_UP, REPLICATES, MEANS, DOES)


@dataclass(frozen=True)
class Tally:
    """How many verdicts, or words, there are of each kind; of verdicts, on which claims."""

    label: str
    counts: Sequence[tuple[Outcome, int]] = ()
    words: Sequence[tuple[str, int]] = ()
    claims: Mapping[Outcome, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A question with its answer, what it rests on, the counts behind it, and what was not run."""

    question: str
    asks: str
    answer: str
    tallies: Sequence[Tally]
    lacks: Sequence[str]
    findings: Sequence[str] = ()


def answers(report: ExperimentReport) -> list[Answer]:
    """The four questions, each with its answer, the counts behind it, and what was not run."""
    return [_adds_up(report), _replicates(report), _means(report), _does(report)]


def said(answer: Answer) -> Iterator[str]:
    """An answer as sentences: the word, what it rests on, and the counts behind it."""
    yield f"{answer.answer}."
    yield from (f"{found}." for found in answer.findings)
    for tally in answer.tallies:
        counts = [f"{number} {WORDS[verdict]}" for verdict, number in tally.counts]
        words = [f"{number} {word}" for word, number in tally.words]
        yield f"{tally.label[0].upper()}{tally.label[1:]}: {', '.join([*counts, *words])}."


def asks(claim: Claim) -> About:
    """What a claim is about: meaning, if it looks at controls; or else what a circuit does.

    A claim that only states what the model itself does says nothing of a circuit.
    """
    if any(check.kind == "control" for check in claim.check):
        return "meaning"
    if any(isinstance(one, CausalCheck) and not isinstance(one, Behaviour) for one in claim.check):
        return "doing"
    return "figures"


def _found(
    report: ExperimentReport, kind: Kind, about: Sequence[About], *, of_questions: bool = False
) -> list[JudgementRecord]:
    """What was judged on one kind of evidence of the statements about something, or questions."""
    wanted = {
        claim.id
        for claim in report.claims
        if asks(claim) in about and claim.is_question == of_questions
    }
    return [r for r in report.records if r.evidence == kind and r.claim in wanted]


def _tally(report: ExperimentReport, kind: Kind, *about: About) -> Counter[Outcome]:
    """The verdicts on one kind of evidence, of the statements about something."""
    return Counter(r.verdict for r in _found(report, kind, about))


def _verdict_on(counts: Counter[Outcome]) -> str:
    if counts["refuted"]:
        return "Not entirely" if counts["holds"] else "No"
    if counts["holds"]:
        return "As far as it was judged, yes" if counts["undecided"] else "Yes"
    return "Not decided" if counts["undecided"] else "Not run"


def _counted(label: str, found: Sequence[JudgementRecord]) -> Tally:
    claims = {
        verdict: [record.claim for record in found if record.verdict == verdict]
        for verdict in VERDICTS
    }
    counts = [(verdict, len(names)) for verdict, names in claims.items() if names]
    return Tally(label, counts, claims=claims)


def _statements(
    report: ExperimentReport, kinds: Sequence[Kind], about: Sequence[About], label: str = "{}"
) -> list[Tally]:
    """How the statements about something come out, on each kind of evidence."""
    found = {kind: _found(report, kind, about) for kind in kinds}
    return [_counted(label.format(kind), records) for kind, records in found.items() if records]


def _questions(report: ExperimentReport, kinds: Sequence[Kind], *about: About) -> list[Tally]:
    """How readers' questions come out, beside the statements: they are nobody's word."""
    found = {kind: _found(report, kind, about, of_questions=True) for kind in kinds}
    return [_counted(f"{QUESTION}s, {kind}", records) for kind, records in found.items() if records]


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
    counts = _tally(report, "published", *ADDS_UP.about)
    questions = _questions(report, ADDS_UP.on, *ADDS_UP.about)
    answer = "Only questions" if questions and not counts else _verdict_on(counts)
    return Answer(
        ADDS_UP.text,
        ADDS_UP.asks,
        answer if report.is_published else "Nothing to add up",
        [*_statements(report, ADDS_UP.on, ADDS_UP.about), *questions],
        lacks(report, "published"),
    )


def _replicates(report: ExperimentReport) -> Answer:
    found = replication(report)
    wanted: Sequence[Kind] = ("published", *RUNS) if found.answer == NOT_COMPARED else RUNS
    return Answer(
        REPLICATES.text,
        REPLICATES.asks,
        found.answer,
        [
            *_statements(report, REPLICATES.on, REPLICATES.about),
            *_questions(report, REPLICATES.on, *REPLICATES.about),
        ],
        [line for kind in wanted for line in lacks(report, kind)],
        list(_agreement(found)),
    )


NOT_COMPARED = "Not compared"


def replication(report: ExperimentReport) -> ReplicationRecord:
    """What a run gives of what was published, on the best one: live before recorded."""
    on = next((k for k in RUNS if any(r.verdict != "missing" for r in _on(report, k))), None)
    if on is None:
        return ReplicationRecord(answer="Not run")
    same: list[str] = []
    changed: list[ChangedRecord] = []
    still_open: list[str] = []
    for claim in report.claims:
        before, after = report.record(claim.id, "published"), report.record(claim.id, on)
        if claim.is_question or asks(claim) != "figures" or before is None or after is None:
            continue
        stated = "holds" if before.verdict == "undecided" else before.verdict
        if after.verdict not in ("holds", "refuted"):
            still_open.append(claim.id)
        elif after.verdict != stated:
            changed.append(
                ChangedRecord(claim=claim.id, published=before.verdict, measured=after.verdict)
            )
        elif not after.is_given:
            same.append(claim.id)
    found = ReplicationRecord(
        answer="",
        evidence=on,
        against=report.against.get(on),
        same=same,
        changed=changed,
        open=still_open,
    )
    return found.model_copy(update={"answer": _agrees(found, report)})


def _on(report: ExperimentReport, kind: Kind) -> list[JudgementRecord]:
    return [record for record in report.records if record.evidence == kind]


def _agrees(found: ReplicationRecord, report: ExperimentReport) -> str:
    """The answer, from what agrees and what does not."""
    agreeing, differing = len(found.same), len(found.changed)
    if (against := found.against) is not None:
        agreeing += against.scores + against.pair_scores - len(against.outside)
        differing += len(against.outside)
        if against.nodes is not None:
            is_same = not against.only_published and not against.only_measured
            agreeing, differing = agreeing + is_same, differing + (not is_same)
    if not agreeing and not differing:
        if report.is_published and not _on(report, "published"):
            return NOT_COMPARED
        return "Not decided" if found.open else "Nothing published to compare with"
    if differing:
        return "Not entirely" if agreeing else "No"
    return "As far as it was judged, yes" if found.open else "Yes"


def _agreement(found: ReplicationRecord) -> Iterator[str]:
    """What agrees with what was published, and what does not, in words."""
    if found.against is not None:
        yield from _of_result(found.against)
    compared = len(found.same) + len(found.changed)
    if compared:
        named = [
            f"{one.claim} ({one.published} on what was published, {one.measured} on the run)"
            for one in found.changed
        ]
        but = f", all but {fitting(named, LIST)}" if named else ""
        yield (
            f"{len(found.same)} of {compared} statements come out on the run as on the published"
            f" figures, or as stated where these leave it open{but}"
        )


def _of_result(against: AgainstRecord) -> Iterator[str]:
    """What of a published table and circuit a run gives again."""
    on_all = [one for one in against.outside if one.pair is None]
    on_one = [one for one in against.outside if one.pair is not None]
    or_rounding = ""
    if against.rounding is not None:
        or_rounding = f" or, where they are numbers, to {against.rounding:.2%} of themselves"
    for what, count, outside in (
        ("published scores", against.scores, on_all),
        ("published scores of single pairs", against.pair_scores, on_one),
    ):
        if count:
            but = f", all but {fitting(list(map(_outside, outside)), LIST)}" if outside else ""
            within = count - len(outside)
            yield f"{within} of {count} {what} are met to the printed digits{or_rounding}{but}"
    if against.no_circuit is not None:
        yield f"The rule selects no circuit: {against.no_circuit}"
        return
    if against.nodes is None:
        return
    if not against.only_published and not against.only_measured:
        yield f"The rule selects the published circuit of {against.nodes} nodes"
        return
    shared = against.nodes - len(against.only_published)
    others = fitting(against.only_measured, LIST) or "no other"
    yield (
        f"The rule selects {shared} of the published circuit's {against.nodes} nodes, and {others}"
    )


def _outside(one: OutsideRecord) -> str:
    table = f" by {one.table}" if one.table else ""
    pair = f" of pair {one.pair}" if one.pair is not None else ""
    stated = f"the number {one.printed}" if one.is_number else f"printed {one.printed}"
    return f"{one.component}{table}{pair} ({one.measured:.6g}, {stated})"


def _means(report: ExperimentReport) -> Answer:
    shown = best_controls(report)
    named = [Counter(one.word for one in found.components if one.selected) for found in shown]
    stated = [(kind, _tally(report, kind, *MEANS.about)) for kind in MEANS.on]
    words = sum(named, Counter())
    tallies = [
        Tally(
            _selected(report, found, counts.total()),
            words=[
                (word + "s" * (word == "artefact" and counts[word] > 1), counts[word])
                for word in VERDICT_OF_WORD
                if counts[word]
            ],
        )
        for found, counts in zip(shown, named, strict=True)
        if counts
    ]
    tallies += _statements(report, MEANS.on, MEANS.about, "claims on meaning, {}")
    tallies += _questions(report, EVIDENCE, *MEANS.about)
    return Answer(
        MEANS.text,
        MEANS.asks,
        _meaning_on(sum((counts for _, counts in stated), Counter()), words),
        tallies,
        [*_not_computed(report), *([] if words else ["No verification was run."])],
    )


def _selected(report: ExperimentReport, found: ControlsRecord, scored: int) -> str:
    """What words are counted of: the circuit, or what of it has a printed score."""
    size = report.circuit_size(found)
    of = f"{scored} with a score, of {size} " if size not in (None, scored) else ""
    return f"{of}selected by {found.result} ({found.evidence})"


def _not_computed(report: ExperimentReport) -> list[str]:
    """The controls that were not computed, each with the results that lack it, and why."""
    lacking: dict[tuple[str, str], list[str]] = {}
    for one in report.controls:
        for control, reason in one.not_computed.items():
            lacking.setdefault((control, reason), []).append(f"{one.result} ({one.evidence})")
    return [
        f"{control.capitalize()}, {_lacks_for(reason, fitting(results, QUOTE))}."
        for (control, reason), results in lacking.items()
    ]


def _lacks_for(reason: str, results: str) -> str:
    if reason.startswith(DOES_NOT_APPLY):
        return reason.replace(DOES_NOT_APPLY, f"which {DOES_NOT_APPLY} to {results}", 1)
    return f"not computed for {results}: {reason}"


def _meaning_on(stated: Counter[Outcome], words: Counter[Word]) -> str:
    """What the statements on meaning came to; where there are none, the words do."""
    if stated["holds"] or stated["refuted"]:
        return _verdict_on(stated)
    if not words:
        return "Not run"
    if words["specific"]:
        return "Yes" if set(words) == {"specific"} else "Only in part"
    return "Not shown, and in part an artefact" if words["artefact"] else "Not shown"


def _does(report: ExperimentReport) -> Answer:
    if not report.behaviours:
        return Answer(DOES.text, DOES.asks, "Not asked", [], [NO_BEHAVIOUR])
    ran = best_causal(report)
    counts = {kind: _tally(report, kind, *DOES.about) for kind in DOES.on}
    best = sorted(DOES.on, key=lambda kind: ran is not None and kind != ran.evidence)
    tallies = _statements(report, best, DOES.about)
    tallies += _questions(report, best, *DOES.about)
    if ran is None:
        return Answer(DOES.text, DOES.asks, "Not run", tallies, list(_not_run(report, ran)))
    tallies += [_causal_words(one, ran.evidence) for one in ran.shown]
    stated = counts[ran.evidence]
    answer = _verdict_on(stated) if stated else _doing_on(ran)
    return Answer(DOES.text, DOES.asks, answer, tallies, list(_not_run(report, ran)))


def best_causal(report: ExperimentReport) -> CausalRecords | None:
    """What interventions say on the best evidence on which any were run: live before recorded."""
    found = [report.causal[kind] for kind in RUNS if kind in report.causal]
    return next((one for one in found if one.not_computed is None), None)


def _causal_words(found: CausalRecord, evidence: Kind) -> Tally:
    """The causal words on the measured circuit's components."""
    words = Counter(one.word for one in found.components if one.selected and one.kind != "input")
    return Tally(
        f"in {found.measures}, of {found.behaviour} ({evidence})",
        words=[(word, words[word]) for word in get_args(CausalWord) if words[word]],
    )


def _doing_on(ran: CausalRecords) -> str:
    """What the measured circuit comes to where no claim states it, on all behaviours together."""
    rests = [_rests_on_it(one) for one in ran.shown]
    if not any(rests):
        return "Not shown"
    return "Yes" if len(rests) == len(ran.behaviours) and all(rests) else "Only in part"


def _rests_on_it(found: CausalRecord) -> bool:
    """Whether the circuit keeps something, and comes nearer to the whole than matched ones."""
    kept = found.judged(found.measures)
    low = kept.interval[0] if kept and kept.is_told and kept.interval else None
    level = 1 - THRESHOLDS.confidence.value
    return low is not None and low > 0 and found.against(found.measures).p_value <= level


def _not_run(report: ExperimentReport, ran: CausalRecords | None) -> Iterator[str]:
    """Why interventions were not run, and which behaviours the model does not show."""
    for kind in RUNS:
        found = report.causal.get(kind)
        if found is None and ran is None:
            yield from lacks(report, kind)
        elif found is not None and found.not_computed is not None:
            yield f"Interventions, not run for {kind} evidence: {found.not_computed}."
    for one in ran.behaviours if ran else ():
        if isinstance(one, NotShownRecord):
            yield f"{one.behaviour}: {one.reason}."


def best_controls(report: ExperimentReport) -> list[ControlsRecord]:
    """The controls on the best evidence that there are any on: live before recorded."""
    by_kind = ([one for one in report.controls if one.evidence == k] for k in reversed(EVIDENCE))
    return next(filter(None, by_kind), [])
