"""The answer to the four questions, from records and verifications made by hand."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from replication.claims.claim import Claim, read_claims
from replication.controls.words import Word
from replication.evidence.evidence import Kind
from replication.experiment.spec import read_experiment
from replication.report.answers import answers
from replication.report.causal_record import CausalRecords
from replication.report.record import (
    ComponentRecord,
    ControlsRecord,
    ExperimentReport,
    Handover,
    JudgementRecord,
    Outcome,
)
from tests.paths import FIXTURES
from tests.report.causal import SHAPE, claim, evidence_with, report_on

ON_MEANING = "O9"


def record_of(claim: str, evidence: Kind, verdict: Outcome) -> JudgementRecord:
    return JudgementRecord(
        experiment="gpt2",
        claim=claim,
        evidence=evidence,
        verdict=verdict,
        as_expected=True,
        arithmetic="there is no model",
        checks=[],
    )


def report_of(
    evidence: Kind = "live",
    verdicts: tuple[Outcome, ...] = (),
    on_meaning: Outcome | None = None,
    words: tuple[Word, ...] = (),
) -> ExperimentReport:
    """A report on the published result with these verdicts and words, all on one evidence."""
    experiment = read_experiment(FIXTURES / "sarcasm-gpt2")
    claims = read_claims(experiment)
    others = [claim.id for claim in claims if claim.id != ON_MEANING]
    found = dict(zip(others, verdicts, strict=False))
    if on_meaning:
        found[ON_MEANING] = on_meaning
    records = [record_of(claim, evidence, verdict) for claim, verdict in found.items()]
    left_out: tuple[Word] = ("artefact",)
    controls = ControlsRecord(
        evidence=evidence,
        result="replication",
        not_computed={"null": "one pair has no other"},
        components=[
            ComponentRecord(
                component=f"m{number}",
                kind="mlp",
                rank=number + 1,
                score=1.0,
                selected=number < len(words),
                word=word,
                reason="it is so",
            )
            for number, word in enumerate((*words, *left_out))
        ],
    )
    report = ExperimentReport("gpt2", "GPT-2", claims, is_published=True)
    for record in records:
        report.take(Handover(judgement=record))
    if words:
        first = records[0] if records else record_of(ON_MEANING, evidence, "missing")
        report.take(Handover(judgement=first, controls=[controls]))
    return report


def said(report: ExperimentReport) -> list[str]:
    return [line.answer for line in answers(report)]


@pytest.mark.parametrize(
    ("verdicts", "answer"),
    [
        (("holds", "holds"), "Yes"),
        (("holds", "undecided"), "As far as it was judged, yes"),
        (("holds", "refuted", "undecided"), "Not entirely"),
        (("refuted", "undecided"), "No"),
        (("undecided",), "Not decided"),
        (("missing", "missing"), "Not run"),
        ((), "Not run"),
    ],
)
def test_the_verdicts_answer_the_first_two_questions(
    verdicts: tuple[str, ...], answer: str
) -> None:
    assert said(report_of("published", verdicts))[:2] == [answer, "Not run"]
    assert said(report_of("live", verdicts))[:2] == ["Not run", answer]
    assert said(report_of("recorded", verdicts))[:2] == ["Not run", answer]


def test_a_run_now_answers_before_a_recorded_one() -> None:
    report = report_of("live", ("holds",))
    report.found |= report_of("recorded", ("refuted",)).found
    assert said(report)[1] == "Yes"
    assert [tally.label for tally in answers(report)[1].tallies] == ["live", "recorded"]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ((), "Not run"),
        (("specific", "specific"), "Yes"),
        (("specific", "unstable"), "Only in part"),
        (("specific", "artefact"), "Only in part"),
        (("artefact", "not shown"), "Not shown, and in part an artefact"),
        (("unstable", "not shown"), "Not shown"),
    ],
)
def test_the_words_answer_the_third_question_where_no_statement_does(
    words: tuple[str, ...], answer: str
) -> None:
    assert said(report_of(words=words))[2] == answer


@pytest.mark.parametrize(
    ("on_meaning", "answer"),
    [("holds", "Yes"), ("refuted", "No"), ("undecided", "Only in part")],
)
def test_a_statement_on_meaning_answers_the_third_question_alone(
    on_meaning: str, answer: str
) -> None:
    report = report_of(verdicts=("holds",), on_meaning=on_meaning, words=("specific", "unstable"))
    assert said(report) == ["Not run", "Yes", answer, "Not asked"]


def test_what_was_not_run_is_said_with_its_reason() -> None:
    found = answers(report_of("live", ("missing",), words=("unstable",)))
    assert found[0].lacks == ["Published evidence: not judged in this run."]
    assert found[1].lacks == [
        "Live evidence: there is no model.",
        "Recorded evidence: not judged in this run.",
    ]
    assert found[2].lacks == ["Null, not computed for replication (live): one pair has no other."]
    assert answers(report_of())[2].lacks == ["No verification was run."]
    assert "--replication-live" in answers(report_of("recorded"))[1].lacks[0]


def test_an_experiment_without_a_behaviour_is_not_asked_what_it_does() -> None:
    found = answers(report_of("live", ("holds",)))[3]
    assert (found.question, found.answer) == ("Does it do anything?", "Not asked")
    assert found.lacks == ["The experiment states no behaviour."]


def others() -> list[Claim]:
    """A claim that is on no behaviour, and holds."""
    about = {"id": "S1", "made_by": "me", "source": "a paper", "statement": "It is so."}
    shape = {"kind": "shape", **SHAPE.model_dump()}
    return [TypeAdapter(Claim).validate_python({**about, "check": [shape]})]


@pytest.mark.numeric
@pytest.mark.parametrize(
    ("at_least", "answer"),
    [(("80",), "Yes"), (("80", "120"), "Not entirely"), (("120",), "No"), ((), "Not shown")],
)
def test_claims_on_behaviours_answer_the_fourth_question_alone(
    at_least: tuple[str, ...], answer: str
) -> None:
    evidence = evidence_with()
    stated = [
        claim(f"F{one}", evidence, kind="faithfulness", circuit="mine", at_least=one)
        for one in at_least
    ]
    report = report_on(evidence, *others(), *stated)
    assert said(report)[1] == "Yes"
    found = answers(report)[3]
    assert found.answer == answer
    assert found.lacks == ["not: the whole model's mean is not above its counterparts'."]
    words = found.tallies[-1]
    assert words.label == "in mine, of prefers (recorded)"
    assert words.words == [("against", 1), ("necessary", 2), ("sufficient together", 1)]
    assert [tally.label for tally in found.tallies[:-1]] == ["recorded"] * bool(at_least)


@pytest.mark.numeric
def test_on_published_figures_claims_on_behaviours_add_up_or_do_not() -> None:
    evidence = evidence_with()
    stated = claim("F1", evidence, kind="faithfulness", circuit="mine", at_least="80")
    report = ExperimentReport("x", "X", [stated], is_published=True, behaviours=["prefers"])
    report.take(Handover(judgement=record_of("F1", "published", "refuted")))
    assert said(report) == ["No", "Not run", "Not run", "Not run"]


@pytest.mark.numeric
def test_where_nothing_is_stated_the_circuit_answers_against_matched_ones() -> None:
    report = report_on(evidence_with(), *others())
    (found,) = report.causal["recorded"].shown
    near = [one.model_copy(update={"p_value": 0.05}) for one in found.matched]
    beats = found.model_copy(update={"matched": near})
    for behaviours, answer in (
        ([beats], "Yes"),
        ([beats, *report.causal["recorded"].behaviours[1:]], "Only in part"),
        ([found], "Not shown"),
        ([beats.model_copy(update={"is_told": False, "faithfulness": []})], "Not shown"),
    ):
        update = {"behaviours": behaviours}
        taken = report.causal["recorded"].model_copy(update=update)
        (handed,) = report.found.values()
        report.take(handed.model_copy(update={"causal": taken}))
        assert said(report)[3] == answer


@pytest.mark.numeric
def test_interventions_that_were_not_run_are_said_with_the_reason() -> None:
    report = report_on(evidence_with(), *others())
    (handed,) = report.found.values()
    lacking = CausalRecords(
        evidence="recorded", clusters=20, resamples=10, not_computed="there is no file"
    )
    report.take(handed.model_copy(update={"causal": lacking}))
    found = answers(report)[3]
    assert found.answer == "Not run"
    assert found.lacks == [
        "Live evidence: not run; --replication-live runs the model.",
        "Interventions, not run for recorded evidence: there is no file.",
    ]
