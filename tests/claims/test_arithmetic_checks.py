"""Checks of arithmetic: read or refused with their line, judged, turned, and shown in reports."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replication.claims.arithmetic_checks import Arithmetic, Joint
from replication.claims.check import Outcome
from replication.claims.claim import Claim, failure_message, judge_claim, judged_on, read_claims
from replication.claims.keys import Known
from replication.controls.verify import Controls
from replication.evidence.evidence import Evidence, published_evidence
from replication.evidence.published_figures import FigureSpec, Named
from replication.experiment.spec import Experiment, read_experiment
from replication.inputs.files import FileError
from replication.session import Options, Session
from tests.claims.build import ANY_CHECK, KNOWN, SPEC, claim_of, measured, outcome, published, table
from tests.claims.build import check as check_of
from tests.claims.counterexamples import counterexample, single_changes
from tests.make import copied
from tests.paths import FIXTURES


def named(**figures: Any) -> dict[str, Named]:
    """Figures by name: a text is printed, a list is listed, a table says more."""
    found = {}
    for name, stated in figures.items():
        key = "listed" if isinstance(stated, list) else "printed"
        table = stated if isinstance(stated, dict) else {key: stated}
        found[name] = FigureSpec.model_validate({"source": "a paper", **table}).named()
    return found


PAPER = named(
    whole="3.56",
    circuit="3.10",
    gap="0.46",
    share="13%",
    kept="87%",
    other="2.62",
    largest="3.09",
    heads="26",
    hits="94/100",
    near="about 45%",
    zero="0.0",
    listed=["a0.h1", "a1.h2"],
    cut={"printed": "12.9%", "digits": "truncated"},
)


def known(figures: Mapping[str, Named]) -> Known:
    return replace(KNOWN, figures=figures)


def arithmetic(that: str) -> Any:
    stated = {"kind": "arithmetic", "that": that}
    return ANY_CHECK.validate_python(stated, context=known(PAPER))


def joint(*that: str) -> Any:
    stated = {"kind": "joint", "that": list(that)}
    return ANY_CHECK.validate_python(stated, context=known(PAPER))


def on_paper(check: Any, **tables: Any) -> Outcome:
    return outcome(check, replace(published(**tables), figures=PAPER))


def test_of_a_score_that_is_not_listed_no_more_is_known_than_its_bounds() -> None:
    """Half-way between the bounds of m1 stands 0.6275, which nobody printed."""
    listed = table({"m0": "1.25", "a0.h0": "3.0"}, mlp=1)
    figures = named(
        both={"printed": "1.26", "digits": "computed"},
        most={"printed": "2.6", "digits": "computed"},
    )
    evidence = replace(published(paper=listed), figures=figures)
    context = known(figures)

    def found(that: str) -> Outcome:
        stated = {"kind": "arithmetic", "that": that}
        return outcome(ANY_CHECK.validate_python(stated, context=context), evidence)

    assert found("2 * paper.m1 == both").verdict == "undecided"
    assert "as printed give it" not in found("2 * paper.m1 == both").reason
    assert found("2 * paper.m1 == most").verdict == "refuted"
    assert found("paper.m1 + paper.m0 == both").verdict == "undecided"


@pytest.mark.parametrize(
    ("that", "verdict", "reason"),
    [
        ("gap / whole == share", "holds", "0.46 / 3.56 = 12.763 to 13.0802%, stated 13%"),
        ("1 - gap / whole == kept", "holds", "1 - 0.46 / 3.56 = 86.9198 to 87.237%, stated 87%"),
        ("largest / whole == kept", "holds", "3.09 / 3.56 = 86.5358 to 87.0605%, stated 87%"),
        ("whole - gap == other", "refuted", "3.56 - 0.46 = 3.09 to 3.11, stated 2.62"),
        ("gap / whole == cut", "undecided", "stated 12.9%; of the values that the digits allow"),
        ("count(listed) == heads", "refuted", "count(listed) = 2, stated 26"),
        ("count(listed) * 13 == heads", "holds", "count(listed) * 13 = 26, stated 26"),
        ("'a0.h1' in listed", "holds", "'a0.h1' is in listed"),
        ("'a0.h2' in listed", "refuted", "'a0.h2' is not in listed"),
        ("hits == kept", "refuted", "94/100, stated 87%"),
        ("gap > 0.3 * whole", "refuted", "0.46 is not above 0.3 * 3.56 (1.0665 to 1.0695)"),
        ("0 < gap < whole", "holds", "0 is below 0.46; 0.46 is below 3.56"),
        ("0 < gap < whole < other", "refuted", "3.56 is not below 2.62"),
        ("gap > 1 or whole > 3", "holds", "3.56 is above 3"),
        ("kept + share == 100.0%", "undecided", "and the figures as printed give it"),
        ("whole != other", "holds", "3.56 is another than 2.62"),
    ],
)
def test_a_verdict_comes_with_its_arithmetic(that: str, verdict: str, reason: str) -> None:
    found = on_paper(arithmetic(that))
    assert found.verdict == verdict
    assert reason in found.reason


@pytest.mark.parametrize(("of", "to"), [("10.51", "9.30"), ("7.51", "5.41"), ("1.0", "2.0")])
@pytest.mark.parametrize("stated", ["1.1", "1.13", "1.130", "1.39", "1.4", "0.5", "0.50"])
def test_a_ratio_of_scores_has_the_verdict_of_its_own_kind(of: str, to: str, stated: str) -> None:
    paper = table({"m0": of, "m1": to})
    kind = check_of(kind="ratio", result="paper", of="m0", to="m1", ratio=stated)
    expected = outcome(kind, published(paper)).verdict
    assert on_paper(arithmetic(f"paper.m0 / paper.m1 == {stated}"), paper=paper).verdict == expected
    figures = named(of=of, to=to, stated=stated)
    check = ANY_CHECK.validate_python(
        {"kind": "arithmetic", "that": "of / to == stated"}, context=known(figures)
    )
    assert outcome(check, replace(published(), figures=figures)).verdict == expected


@pytest.mark.parametrize("percent", ["8.8", "8.9", "9", "12", "8.835"])
def test_a_deviation_has_the_verdict_of_its_own_kind(percent: str) -> None:
    tables = {"rerun": table({"m0": "7.98"}), "paper": table({"m0": "7.3322"})}
    kind = check_of(kind="deviation", result="rerun", reference="paper", percent={"m0": percent})
    found = on_paper(arithmetic(f"abs(rerun.m0 / paper.m0 - 1) == {percent}%"), **tables)
    assert found.verdict == outcome(kind, published(**tables)).verdict


@pytest.mark.parametrize("bound", ["5", "8.8", "10"])
def test_a_bound_on_a_deviation_and_on_a_score_have_the_verdicts_of_their_kinds(bound: str) -> None:
    tables = {"rerun": table({"m0": "7.98"}), "paper": table({"m0": "7.3322"})}
    kind = check_of(
        kind="deviation",
        result="rerun",
        reference="paper",
        components=["m0"],
        at_most_percent=bound,
    )
    found = on_paper(arithmetic(f"abs(rerun.m0 / paper.m0 - 1) <= {bound}%"), **tables)
    assert found.verdict == outcome(kind, published(**tables)).verdict
    below = check_of(kind="bound", result="paper", components=["m0"], below=bound)
    found = on_paper(arithmetic(f"paper.m0 < {bound}"), **tables)
    assert found.verdict == outcome(below, published(**tables)).verdict


def test_figures_of_one_object_are_named_with_a_witness() -> None:
    found = on_paper(joint("gap / whole == share", "1 - gap / whole == kept"))
    assert (found.verdict, found.reason) == (
        "holds", "all of it is true with gap = 0.46, whole = 3.56",
    )  # fmt: skip
    assert found.measured == {"gap": 0.46, "whole": 3.56}


def test_figures_that_cannot_be_of_one_object_are_refuted_with_what_excludes_them() -> None:
    alone = on_paper(joint("whole - gap == other", "other > 0"))
    assert alone.verdict == "refuted"
    assert "what excludes it: 3.56 - 0.46 (3.09 to 3.11) is not the same as 2.62" in alone.reason
    both = on_paper(joint("gap / whole > 13%", "gap < 0.457"))
    assert both.verdict == "refuted"
    assert (
        "each may be true alone: 0.46 / 3.56 (12.763 to 13.0802%) may or may not be" in both.reason
    )


def test_what_stays_open_says_so() -> None:
    bounds = ("circuit < 3.098", "whole > 3.563", "gap < 0.4651")
    found = on_paper(joint("whole - gap == circuit", *bounds))
    assert found.verdict == "undecided"
    assert "neither values were found that make all of it true, nor was it shown" in found.reason
    found = on_paper(arithmetic("whole * abs(gap) == gap * whole"))
    assert found.verdict == "undecided"
    assert "neither shown nor excluded" in found.reason


def test_scores_are_the_evidences_own() -> None:
    check = arithmetic("rerun.m0 / rerun.m1 == 1.13")
    assert on_paper(check, rerun=table({"m0": "10.51", "m1": "9.30"})).verdict == "holds"
    run = replace(measured(rerun=table({"m0": 9.0, "m1": 9.0})), figures=PAPER)
    assert outcome(check, run).verdict == "refuted"
    assert "there are no published scores of rerun" in on_paper(check).reason


def test_a_score_that_may_be_zero_below_the_line_leaves_it_undecided() -> None:
    found = on_paper(arithmetic("1 / paper.m0 > 2"), paper=table({"m0": "0.00"}))
    assert found.verdict == "undecided"
    assert "by a value of paper.m0 that is -0.005 to 0.005, at character 5" in found.reason


def test_a_figure_that_the_evidence_lacks_leaves_it_undecided() -> None:
    found = outcome(arithmetic("gap > 1"), published())
    assert (found.verdict, found.reason) == ("undecided", "there is no published figure gap")


@pytest.mark.parametrize(
    "check",
    [
        arithmetic("gap / whole == share"),
        arithmetic("whole - gap == other"),
        arithmetic("gap / whole == cut"),
        arithmetic("count(listed) * 13 == heads"),
        arithmetic("'a0.h2' in listed"),
        arithmetic("'a0.h1' in listed"),
        arithmetic("hits == kept"),
        arithmetic("near > 40%"),
        arithmetic("zero < gap < whole"),
        arithmetic("count(listed) == heads or gap > 0"),
        joint("whole - gap == other", "other > 0"),
        joint("gap / whole == share", "1 - gap / whole == kept"),
    ],
    ids=lambda check: str(check.that),
)
def test_a_minimal_change_of_a_printed_figure_turns_it(check: Arithmetic | Joint) -> None:
    evidence = replace(published(), figures=PAPER)
    start = outcome(check, evidence)
    found = counterexample(check, evidence)
    assert found is not None
    assert outcome(check, found.evidence).verdict != start.verdict
    for _, changed in single_changes(check, evidence):
        assert (changed.spec, changed.shape, changed.results) == (
            evidence.spec, evidence.shape, evidence.results,
        )  # fmt: skip
        assert list(changed.figures) == list(evidence.figures)


def test_a_score_in_an_expression_turns_it_too() -> None:
    evidence = replace(published(table({"m0": "10.51", "m1": "9.30"})), figures=PAPER)
    found = counterexample(arithmetic("paper.m0 / paper.m1 == 1.13"), evidence)
    assert found is not None
    assert found.changes[0].startswith("paper: m")


@pytest.mark.parametrize(
    ("that", "kinds"),
    [
        ("gap > 0", ["published"]),
        ("paper.m0 > gap", ["published"]),
        ("rerun.m0 > gap", ["published", "recorded", "live"]),
        ("rerun.m0 > paper.m0", ["published", "recorded", "live"]),
    ],
)
def test_it_is_judged_where_something_is_known(that: str, kinds: list[str]) -> None:
    about = {"id": "X1", "made_by": "me", "source": "a paper", "statement": "It is so."}
    stated = {**about, "check": [{"kind": "arithmetic", "that": that}]}
    claim = Claim.model_validate(stated, context=known(PAPER))
    assert judged_on(claim, SPEC) == kinds
    unpublished = SPEC.model_copy(update={"results": {}})
    without = judged_on(claim, unpublished)
    assert without == (kinds if "gap" in that else kinds[1:])


def test_a_failure_names_what_was_expected_and_found() -> None:
    evidence = replace(published(table({"m0": "10.51", "m1": "9.30"})))
    claim = claim_of({"kind": "arithmetic", "that": "paper.m0 / paper.m1 == 1.2"})
    message = failure_message(judge_claim(claim, evidence, Controls([])))
    assert "arithmetic: refuted: 10.51 / 9.30 = 1.12896 to 1.13125, stated 1.2" in message
    assert "expected:  paper.m0 / paper.m1 == 1.2" in message
    assert "tolerance: the printed digits" in message


CLAIM = """\
[[claim]]
id = "X1"
made_by = "me"
source = "a paper"
statement = "It is so."
check = [
  {{ kind = "{kind}", that = {that} }},
]

[figures.F_M]
printed = "3.56"
source = "a paper, page 1"

[figures]
F_C = {{ printed = "3.10", source = "a paper, page 2" }}
share = {{ printed = "13%", source = "a paper, page 2" }}
prompts = {{ printed = "1,984", source = "a paper, page 3" }}
{more}
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    copied(FIXTURES / "sarcasm-gpt2", tmp_path / "sarcasm")
    return read_experiment(tmp_path / "sarcasm")


def faults(experiment: Experiment, text: str) -> list[str]:
    path = experiment.folder / "claims.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileError) as caught:
        read_claims(experiment)
    assert str(caught.value).startswith(f"{path}: ")
    return list(map(str, caught.value.faults))


def text_of(that: str, kind: str = "arithmetic", more: str = "") -> str:
    shown = json.dumps(that if kind == "arithmetic" else [that])
    return CLAIM.format(kind=kind, that=shown, more=more)


@pytest.mark.parametrize("kind", ["arithmetic", "joint"])
@pytest.mark.parametrize(
    ("that", "reason"),
    [
        ("F_X > 1", "there is no figure F_X; did you mean F_M, F_C?, at character 1"),
        ("f_m > 1", "there is no figure f_m; did you mean F_M"),
        ("zzz > 1", "there is no figure zzz; there are F_M, F_C, share, prompts, at character 1"),
        ("other.m2 > 1", "the experiment has no result 'other'; it has original, replication"),
        ("original.m99 > 1", "the model has no component m99"),
        ("original.input > 1", "the input is not scored, at character 1"),
        ("original.b > F_M", "'b' is no component: expected input, m<layer> or a<layer>.h<head>"),
        (
            "1 / (F_M - 3.56) > 1",
            "may divide by zero, by a value of F_M that is -0.005 to 0.005, at",
        ),
        ("F_M / 0 > 1", "may divide by zero, by a value that is 0, at character 7"),
        ("prompts > share", "a percentage and a count have no common measure, at character 1"),
        ("F_M >", "does not parse: expected a number, a name, a function or '(', found the end"),
        ("9**9**9 > F_M", "expected a whole number as the exponent, at character 4"),
        ("nan < F_M", "there is no figure nan"),
        ("1 + 1 == 2", "names no figure, so that no evidence could turn it"),
        ("F_M == 3.56", "computes nothing, and repeats a figure or contradicts it"),
        ("F_M - F_C == F_M - F_C", "both sides are the same"),
        ("F_M * F_C == F_C * F_M", "both sides are the same, at character 5"),
    ],
)
def test_a_bad_expression_is_refused_by_file_claim_and_line(
    experiment: Experiment, kind: str, that: str, reason: str
) -> None:
    (fault,) = faults(experiment, text_of(that, kind))
    key = "that" if kind == "arithmetic" else "that 1"
    assert fault.startswith(f"claim X1: check 1: {key}: ")
    assert reason in fault
    assert fault.endswith("(line 7)")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ('bad = { printed = "x", source = "a" }', "figures: bad: 'x' is no figure such as '3.56'"),
        ('bad = { printed = "NaN", source = "a" }', "figures: bad: 'NaN' is no figure"),
        (
            'bad = { printed = 3.56, source = "a" }',
            "figures: bad: printed: Input should be a valid",
        ),
        ('bad = { printed = "3.56" }', "figures: bad: source: missing"),
        ('bad = { source = "a" }', "figures: bad: expected either printed or listed"),
        ('bad = { printed = "1.0", listed = ["a"], source = "a" }', "either printed or listed"),
        ('bad = { listed = [], source = "a" }', "figures: bad: listed: "),
        ('bad = { listed = ["a", "a"], source = "a" }', "'a' stands there more than once"),
        ('bad = { listed = ["a"], digits = "about", source = "a" }', "belong to printed"),
        ('bad = { printed = "12", digits = "truncated", source = "a" }', "is a count, and exact"),
        ('bad = { printed = "12", digits = "cut", source = "a" }', "figures: bad: digits: "),
        ('bad = { printed = "1.2", spread = "1", source = "a" }', "belongs to it alone"),
        ('bad = { printed = "1.2", page = "1", source = "a" }', "figures: bad: page: unknown key"),
        ('min = { printed = "1.2", source = "a" }', "min is a word of the expressions"),
        ('"a.b" = { printed = "1.2", source = "a" }', "figures: a.b: "),
        ("bad = 3", "figures: bad: "),
    ],
)
def test_a_bad_figure_is_refused_by_name_and_line(
    experiment: Experiment, more: str, reason: str
) -> None:
    text = text_of("F_M > F_C", more=more)
    (fault,) = faults(experiment, text)
    assert reason in fault
    assert fault.endswith(f"(line {text[: text.index(more)].count(chr(10)) + 1})")


def test_a_figure_at_fault_is_no_fault_of_the_claims_that_use_it(experiment: Experiment) -> None:
    bad = 'bad = { printed = "x", source = "a" }'
    (fault,) = faults(experiment, text_of("bad > F_M", more=bad))
    assert fault.startswith("figures: bad: ")
    both = faults(experiment, text_of("F_X > F_M", more=bad))
    assert len(both) == 2


def test_hostile_expressions_are_judged_in_bounded_time(experiment: Experiment) -> None:
    more = 'tiny = { printed = "1e-50", source = "a" }'
    terms = " + ".join(f"F_M ** 12 / (F_C ** 12 + {number})" for number in range(1, 20))
    started = time.monotonic()
    for that in (f"{terms} == share * F_C ** 12", "(F_M ** 12) ** 8 * (tiny + 1) ** 2 > 0"):
        path = experiment.folder / "claims.toml"
        path.write_text(text_of(that, more=more), encoding="utf-8")
        (claim,) = read_claims(experiment)
        judged = judge_claim(claim, published_evidence(experiment), Controls([]))
        assert judged.arithmetic
        json.dumps(judged.outcomes[0].measured, allow_nan=False)
    assert time.monotonic() - started < 30


def test_an_experiment_without_any_result_adds_up(tmp_path: Path) -> None:
    copied(FIXTURES / "sarcasm-minilm", tmp_path / "mine")
    (tmp_path / "mine" / "claims.toml").write_text(
        text_of("abs(F_M - F_C) / F_M == share"), encoding="utf-8"
    )
    session = Session(Options(tmp_path, tmp_path))
    assert session.experiments[0].spec.results == {}
    (case,) = session.cases()
    assert case.id == "mine-X1-arithmetic-published"
    found = session.judge(case)
    assert found.handover.judgement.verdict == "holds"
    assert found.failure is None
    assert session.reports["mine"].is_published


def test_a_run_keeps_the_figures_that_were_published(experiment: Experiment) -> None:
    path = experiment.folder / "claims.toml"
    path.write_text(text_of("F_M > F_C"), encoding="utf-8")
    evidence: Evidence = published_evidence(experiment)
    assert list(evidence.figures) == ["F_M", "F_C", "share", "prompts"]
    path.unlink()
    assert published_evidence(experiment).figures == {}
