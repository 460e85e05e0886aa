"""Published figures at their ends: zeros, the tiniest and the hugest leave every test a verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replication.circuits.components import ModelShape
from replication.circuits.intervals import exact, printed
from replication.circuits.scores import ScoreTable, read_scores
from replication.claims.claim import Claim, judge_claim
from replication.claims.keys import Known
from replication.controls.not_computed import NotComputed
from replication.controls.published_length import published_length
from replication.controls.verify import verify
from replication.engine.activations import MeanActivations
from replication.evidence.evidence import Evidence, Result
from replication.evidence.lengths import Lengths, read_lengths
from replication.experiment.spec import Spec
from replication.inputs.files import InputError
from replication.report.data import claims_json, controls_json
from replication.report.handover import (
    controls_records,
    differences,
    judged_record,
    result_figures,
)
from replication.report.page.gallery import views
from replication.report.record import ExperimentReport, Figures, Handover
from replication.report.text import claims_markdown
from tests.make import circuit, evidence_of, make_spec, means

pytestmark = pytest.mark.numeric

SHAPE = ModelShape(n_layers=2, n_heads=2, d_model=16, d_head=8)
NAMES = [str(component) for component in SHAPE.components()]
RESULTS = {"mine": {"about": "one"}, "other": {"about": "other"}}
SPEC: Spec = make_spec(SHAPE, results=RESULTS)
M0 = SHAPE.component("m0")

ENDS = ["0", "0.00", "0." + "0" * 49 + "1", "0.01", "1.00", "9" * 50]
TEXTS = st.sampled_from(ENDS) | st.decimals(0, 100, places=2).map(str)
NUMBERS = st.sampled_from([0, 0.0, 1e-50, 1.0, 1e50])
TABLES = st.dictionaries(st.sampled_from(NAMES), TEXTS | NUMBERS, min_size=1)
TOKENS = st.sampled_from([1, 2, 9, 12, 100_000_000])
PAIRS_OF_TOKENS = st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=3)
NORMS = st.dictionaries(st.sampled_from(NAMES), st.tuples(TEXTS, TEXTS))


def read(folder: Path, scores: dict[str, Any], tokens: Any, norms: dict[str, Any]) -> Result:
    """A published result whose files hold these figures."""
    by_pair = {"by_pair": {"1": scores}}
    table = {"components": scores, "metadata": by_pair}
    sides = {name: {"one": a, "other": b} for name, (a, b) in norms.items()}
    lengths = {"token_lengths": tokens, "mean_norms": {"1": sides}}
    (folder / "scores.json").write_text(json.dumps(table), encoding="utf-8")
    (folder / "lengths.json").write_text(json.dumps(lengths), encoding="utf-8")
    return Result(
        read_scores(folder / "scores.json", SHAPE),
        circuit("input m0 a0.h0"),
        read_lengths(folder / "lengths.json", SHAPE, ("one", "other")),
    )


def claims() -> list[Claim]:
    """A claim for each kind of check that computes with scores, on every component."""
    both = {"result": "mine", "reference": "other"}
    checks: list[dict[str, Any]] = [
        {"kind": "ratio", "result": "mine", "of": "m0", "to": "m1", "ratio": "1.0"},
        {"kind": "ratio", "result": "mine", "of": "m0", "to": "next", "ratio": "1.0"},
        {"kind": "deviation", **both, "components": NAMES, "mean_percent": "0.0"},
        {"kind": "deviation", **both, "components": NAMES, "at_most_percent": "5"},
        {"kind": "deviation", **both, "percent": dict.fromkeys(NAMES, "0.0")},
        {"kind": "scores", "result": "mine", "scores": dict.fromkeys(NAMES, "0.00")},
        {"kind": "scores", "result": "mine", "scores": {"m0": "0.00"}, "pair": 1},
        {"kind": "bound", "result": "mine", "among": "all", "below": "1"},
        {"kind": "ranking", "result": "mine", "among": "mlp", "first": ["m0", "m1"]},
        {"kind": "arithmetic", "that": "mine.m0 / mine.m1 == 1.0"},
        {"kind": "arithmetic", "that": "(mine.m0 * other.m0) ** 4 >= mine.m1 - other.m1"},
        {"kind": "joint", "that": ["mine.m0 == other.m0", "mine.m1 + mine.m0 == other.m1"]},
        {"kind": "overlap", "circuit": "mine", "reference": "other", "percent": "100"},
        {"kind": "selection", "circuit": "mine", "budget": 40, "mlp_threshold": "0"},
        *({"kind": "control", "component": name} for name in NAMES),
    ]
    about = {"id": "X1", "made_by": "me", "source": "a paper", "statement": "It is so."}
    known = Known(SHAPE, list(RESULTS), SPEC.measures)
    return [Claim.model_validate({**about, "check": [one]}, context=known) for one in checks]


CLAIMS = claims()


def report_on(evidence: Evidence) -> None:
    """Judge every claim on the evidence, and make all of a report but its page's frame."""
    controls = verify(evidence)
    report = ExperimentReport("x", "A title", CLAIMS, is_published=True)
    pictured = Figures(
        evidence=evidence.kind,
        sides=SPEC.sides,
        pairs=[("a", "b")],
        results={
            name: result_figures(SPEC, SHAPE, result) for name, result in evidence.results.items()
        },
    )
    for claim in CLAIMS:
        report.take(
            Handover(
                judgement=judged_record("x", judge_claim(claim, evidence, controls), evidence.spec),
                controls=list(controls_records(controls, evidence)),
                figures=pictured,
                differences=differences(evidence),
            )
        )
    assert claims_markdown([report])
    json.dumps([claims_json([report], ""), controls_json(report)], allow_nan=False)
    pictures = [picture for view in views(report) for picture in view.pictures]
    json.dumps([picture.specs for picture in pictures], allow_nan=False)


@settings(deadline=None)
@example({"m0": "0.00"}, {"m0": "0.00"}, [(10, 12)], {"m0": ("243.6318", "204.4037")})
@example({"m0": 0}, {"m0": 0}, [(10, 12)], {"m0": ("243.6318", "204.4037")})
@example(dict.fromkeys(NAMES, 1e50), dict.fromkeys(NAMES, 1e-50), [(1, 10**8)], {})
@given(TABLES, TABLES, PAIRS_OF_TOKENS, NORMS)
def test_no_published_figure_leaves_a_test_without_a_verdict_or_a_report_unwritten(
    tmp_path_factory: pytest.TempPathFactory,
    mine: dict[str, Any],
    other: dict[str, Any],
    tokens: list[tuple[int, int]],
    norms: dict[str, Any],
) -> None:
    folder = tmp_path_factory.mktemp("figures")
    results = {
        "mine": read(folder, mine, tokens, norms),
        "other": read(folder, other, tokens, norms),
    }
    evidence = Evidence("published", SPEC, SHAPE, results)
    report_on(evidence)


@pytest.mark.parametrize("size", [0.0, 1e-38, 1e15])
def test_activations_of_any_size_are_judged_and_reported(size: float) -> None:
    noise = means(SHAPE, n_pairs=3)
    run = MeanActivations(
        noise.mlp_out * np.float32(size), noise.z * np.float32(size), np.array([[9, 7]] * 3)
    )
    inner = MeanActivations(run.mlp_out, run.z, run.token_lengths - 1)
    report_on(evidence_of(SPEC, replace(run, inner=inner)))


@pytest.mark.parametrize(
    ("score", "shown"),
    [(printed("0.00"), "-0.005 to 0.005"), (printed("0"), "-0.5 to 0.5"), (exact(0), "0")],
)
def test_of_a_score_that_may_be_zero_length_explains_no_share(score: Any, shown: str) -> None:
    norms = {1: {M0: (printed("243.6318"), printed("204.4037"))}}
    lengths = Lengths([(10, 12)], norms)
    found = published_length(M0, ScoreTable({M0: score}), lengths, [lengths])
    assert found == NotComputed(
        f"the score of m0 may be zero ({shown}): length has no share of that"
    )


@pytest.mark.parametrize("score", [0, 0.0, "0", "0.00"])
@pytest.mark.parametrize("norms", [("0", "0"), ("0.00", "0.00"), ("243.6318", "204.4037")])
def test_scores_of_zero_are_judged_and_reported(
    tmp_path: Path, score: str | float, norms: tuple[str, str]
) -> None:
    """Every quotient has such a score below the line once: ratio, deviation, share, breakdown."""
    result = read(
        tmp_path, dict.fromkeys(NAMES, score), [(10, 12), (9, 9)], dict.fromkeys(NAMES, norms)
    )
    evidence = Evidence("published", SPEC, SHAPE, {"mine": result, "other": result})
    report_on(evidence)
    verdicts = {
        claim.kinds(): judge_claim(claim, evidence, verify(evidence)).verdict for claim in CLAIMS
    }
    assert {verdicts[kind] for kind in ("ratio", "deviation", "control")} == {"undecided"}


def scores_refused(folder: Path, score: float) -> str:
    with pytest.raises(InputError) as raised:
        read(folder, {"m0": score}, [(1, 2)], {})
    return str(raised.value)


@pytest.mark.parametrize("score", [1e-51, 5e-324, 1.1e50, 1e308])
def test_a_number_beyond_what_a_text_can_print_is_refused(tmp_path: Path, score: float) -> None:
    expected = f"components: m0: expected 0, or 1e-50 to 1e+50, found {score:g} (line 1)"
    assert scores_refused(tmp_path, score).startswith(f"{tmp_path / 'scores.json'}: {expected}; ")


@pytest.mark.parametrize(
    ("tokens", "norms", "reason"),
    [
        ([[10, 10**9]], {}, "token_lengths 1 2: Input should be less than or equal to 100000000"),
        ([[10, 12]], {"m0": ("-1.0", "2.0")}, "m0: a norm cannot be negative, found '-1.0'"),
    ],
)
def test_lengths_and_norms_that_no_prompt_has_are_refused(
    tmp_path: Path, tokens: Any, norms: Any, reason: str
) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, {"m0": "1.0"}, tokens, norms)
    assert reason in str(raised.value)
