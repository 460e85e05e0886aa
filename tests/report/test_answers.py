"""The answer to the four questions, from records and verifications made by hand."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from replication.claims.claim import Claim, read_claims
from replication.controls.words import Word
from replication.evidence.evidence import Kind
from replication.experiment.spec import read_experiment
from replication.report.answers import answers, replication
from replication.report.causal_record import CausalRecords
from replication.report.data import claims_json
from replication.report.ledger import ledger_markdown
from replication.report.page.page import page
from replication.report.record import (
    AgainstRecord,
    ComponentRecord,
    ControlsRecord,
    ExperimentReport,
    Handover,
    JudgementRecord,
    Outcome,
    OutsideRecord,
)
from replication.report.terminal import summary
from replication.report.text import claims_markdown
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
                listed_rank=number + 1,
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
def test_the_verdicts_on_published_figures_answer_the_first_question(
    verdicts: tuple[str, ...], answer: str
) -> None:
    assert said(report_of("published", verdicts))[:2] == [answer, "Not run"]


def on_both(published: tuple[Outcome, ...], measured: tuple[Outcome, ...]) -> ExperimentReport:
    """A report with these verdicts on published and on recorded evidence."""
    report = report_of("published", published)
    report.found |= report_of("recorded", measured).found
    return report


@pytest.mark.parametrize(
    ("published", "measured", "answer", "changed"),
    [
        (("holds", "refuted"), ("holds", "refuted"), "Yes", []),
        (("undecided",), ("holds",), "Yes", []),
        (("undecided", "holds"), ("refuted", "holds"), "Not entirely", ["undecided"]),
        (("refuted", "holds"), ("holds", "holds"), "Not entirely", ["refuted"]),
        (("holds",), ("refuted",), "No", ["holds"]),
        (("holds", "holds"), ("holds", "undecided"), "As far as it was judged, yes", []),
        (("undecided",), ("undecided",), "Not decided", []),
        (("holds",), ("missing",), "Not run", []),
    ],
)
def test_a_run_replicates_what_comes_out_as_on_the_published_figures(
    published: tuple[Outcome, ...],
    measured: tuple[Outcome, ...],
    answer: str,
    changed: list[Outcome],
) -> None:
    report = on_both(published, measured)
    assert said(report)[1] == answer == replication(report).answer
    assert [one.published for one in replication(report).changed] == changed


@pytest.mark.parametrize(
    ("measured", "answer"),
    [
        ("holds", "Nothing published to compare with"),
        ("refuted", "No"),
        ("undecided", "Not decided"),
    ],
)
def test_what_the_spec_alone_gives_shows_no_agreement(measured: Outcome, answer: str) -> None:
    """A run may miss it all the same: a rule that selects nothing on its scores."""
    report = on_both(("holds",), (measured,))
    for case, handed in report.found.items():
        judgement = handed.judgement.model_copy(update={"is_given": True})
        report.found[case] = handed.model_copy(update={"judgement": judgement})
    assert said(report)[1] == answer


AGREES = AgainstRecord(result="replication", scores=10, nodes=4)
OUTSIDE = OutsideRecord(component="m2", measured=3.004, printed="3.00")


@pytest.mark.parametrize(
    ("changes", "answer", "finding"),
    [
        ({}, "Yes", "10 of 10 published scores are met to the printed digits"),
        ({}, "Yes", "The rule selects the published circuit of 4 nodes"),
        (
            {"outside": [OUTSIDE]},
            "Not entirely",
            "9 of 10 published scores are met to the printed digits, all but m2 (3.004, printed"
            " 3.00)",
        ),
        (
            {"only_published": ["m2"], "only_measured": ["m3"]},
            "Not entirely",
            "The rule selects 3 of the published circuit's 4 nodes, and m3",
        ),
        (
            {"pair_scores": 3, "outside": [OUTSIDE.model_copy(update={"pair": 2})]},
            "Not entirely",
            "2 of 3 published scores of single pairs are met to the printed digits, all but m2 of"
            " pair 2 (3.004, printed 3.00)",
        ),
        (
            {"rounding": 1e-4, "outside": [OUTSIDE.model_copy(update={"is_number": True})]},
            "Not entirely",
            "9 of 10 published scores are met to the printed digits or, where they are numbers, to"
            " 0.01% of themselves, all but m2 (3.004, the number 3.00)",
        ),
        ({"scores": 0, "only_published": ["m2"]}, "No", "The rule selects 3 of"),
        ({"scores": 1, "outside": [OUTSIDE], "nodes": None}, "No", "0 of 1 published scores"),
        ({"scores": 0, "nodes": None}, "Nothing published to compare with", ""),
    ],
)
def test_a_run_replicates_the_scores_and_the_circuit_that_were_published(
    changes: dict[str, Any], answer: str, finding: str
) -> None:
    report = report_of("published", ("missing",))
    (handed,) = report_of("live", ("undecided",)).found.values()
    other = {"claim": report.claims[1].id}
    against = AGREES.model_copy(update=changes)
    judgement = handed.judgement.model_copy(update=other)
    report.take(handed.model_copy(update={"judgement": judgement, "against": against}))
    found = answers(report)[1]
    assert found.answer == answer
    assert any(finding in one for one in [*found.findings, ""])
    shown = (
        claims_markdown([report]),
        ledger_markdown([report]),
        " ".join(line for line, _ in summary([report], None, None)),
        html.unescape(page([report], "pytest", Path(), "")),
    )
    for text in shown:
        assert answer.lower() in text.lower()
        assert finding in re.sub(r"\\(.)", r"\1", text)
    (experiment,) = claims_json([report], "pytest")["experiments"]
    assert experiment["replication"] == replication(report).model_dump(mode="json")


def test_where_nothing_was_published_there_is_nothing_to_replicate() -> None:
    report = report_of("recorded", ("holds", "refuted"))
    report.is_published = False
    assert said(report)[1] == "Nothing published to compare with"
    assert [tally.counts for tally in answers(report)[1].tallies] == [
        [("holds", 1), ("refuted", 1)]
    ]
    report.is_published = True
    found = answers(report)[1]
    assert (found.answer, found.lacks[0]) == (
        "Not compared",
        "Published evidence: not judged in this run.",
    )


def test_a_run_now_answers_before_a_recorded_one() -> None:
    report = on_both(("holds",), ("refuted",))
    report.found |= report_of("live", ("holds",)).found
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
    assert said(report) == ["Not run", "Not compared", answer, "Not asked"]


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
    assert said(report)[1] == "Nothing published to compare with"
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
