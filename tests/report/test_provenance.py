"""Recorded and live evidence of other runs than each other: each difference, in one line."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest

from replication.circuits.components import ModelShape
from replication.claims.claim import Claim
from replication.engine.tokens import SeenTokens
from replication.evidence.evidence import RunProvenance
from replication.experiment.spec import TokensSpec
from replication.report.page.page import page
from replication.report.record import ExperimentReport, Handover, JudgementRecord
from replication.report.terminal import summary
from replication.report.text import claims_markdown
from tests.make import provenance_of

SHAPE = ModelShape(n_layers=1, n_heads=1, d_model=4, d_head=4)
OF_THE_RUN = provenance_of(
    SHAPE,
    weights_sha256="0a" * 32,
    configuration_sha256="6f" * 32,
    versions={"python": "3.11.7", "torch": "2.13.0+cpu"},
)
SEEN = SeenTokens(first_pair=(["a"] * 10, ["b"] * 12), added=(1, 1), ids_sha256="3c" * 32)
RECORDED = RunProvenance(
    **OF_THE_RUN.model_dump(),
    seen=SEEN,
    pairs=3,
    pairs_from={"file": "pairs.jsonl"},
    token_lengths=[(10, 12), (9, 9), (8, 7)],
)
OF_TOKENS = "the token lengths, first in pair 2: 9 and 9 recorded, 8 and 8 live"
DIFFERENCES: list[tuple[dict[str, Any], list[str], bool]] = [
    ({}, [], False),
    ({"platform": "Darwin arm64", "model": "/a/folder"}, [], False),
    ({"device": "cuda"}, ["device: cpu recorded, cuda live"], False),
    ({"precision": "bfloat16"}, ["precision: float32 recorded, bfloat16 live"], False),
    (
        {"versions": {"python": "3.12.1", "torch": "2.13.0+cpu", "numpy": "2.4.6"}},
        [
            "the version of python: 3.11.7 recorded, 3.12.1 live",
            "the version of numpy: none recorded, 2.4.6 live",
        ],
        False,
    ),
    (
        {"weights_sha256": "5e" * 32},
        [f"the weights' SHA-256: {'0a' * 32} recorded, {'5e' * 32} live"],
        True,
    ),
    (
        {"configuration_sha256": "7f" * 32},
        [f"the configuration's SHA-256: {'6f' * 32} recorded, {'7f' * 32} live"],
        True,
    ),
    (
        {"tokens": TokensSpec(special="bos")},
        ["how tokens are added: tokenizer recorded, bos live"],
        True,
    ),
    (
        {"tokenizer_sha256": "4d" * 32},
        [f"the tokenizer's SHA-256: {'1' * 64} recorded, {'4d' * 32} live"],
        False,
    ),
    (
        {"seen": SEEN.model_copy(update={"ids_sha256": "4d" * 32})},
        [f"the tokens' SHA-256: {'3c' * 32} recorded, {'4d' * 32} live"],
        True,
    ),
    (
        {"mlp_at": "module"},
        ["where the MLP's output is read: residual recorded, module live"],
        True,
    ),
    ({"token_lengths": [(10, 12), (8, 8), (7, 6)]}, [OF_TOKENS], True),
]


def report_of(recorded: RunProvenance | None, live: RunProvenance | None) -> ExperimentReport:
    claim = Claim.model_validate(
        {
            "id": "X1", "made_by": "me", "source": "a paper", "statement": "It is so.",
            "check": [{"kind": "shape", "n_layers": 1, "n_heads": 1, "d_model": 4, "d_head": 4}],
        }
    )  # fmt: skip
    report = ExperimentReport("mine", "A title", [claim])
    for kind, provenance in (("recorded", recorded), ("live", live)):
        judgement = JudgementRecord.model_validate(
            {
                "experiment": "mine", "claim": "X1", "evidence": kind, "verdict": "holds",
                "as_expected": True, "arithmetic": "", "checks": [],
            }
        )  # fmt: skip
        report.take(Handover(judgement=judgement, provenance=provenance))
    return report


@pytest.mark.parametrize(("change", "expected", "is_another_run"), DIFFERENCES)
def test_each_difference_of_recorded_and_live_evidence_is_one_line(
    change: dict[str, Any], expected: list[str], is_another_run: bool
) -> None:
    report = report_of(RECORDED, RECORDED.model_copy(update=change))
    lines = claims_markdown([report]).splitlines()
    said = "- Recorded and live evidence differ in "
    found = [line.removeprefix(said) for line in lines if line.startswith(said)]
    assert found == [f"{line}." for line in expected]
    shown = [line for line, _ in summary([report], "on", Path("reports")) if "differ in" in line]
    wanted = [f"  recorded and live evidence differ in {line}" for line in expected]
    assert shown == (wanted if is_another_run else [])


@pytest.mark.parametrize(("change", "expected", "is_another_run"), DIFFERENCES)
def test_the_page_says_them_too_and_at_its_top_where_it_is_another_run(
    tmp_path: Path, change: dict[str, Any], expected: list[str], is_another_run: bool
) -> None:
    report = report_of(RECORDED, RECORDED.model_copy(update=change))
    text = html.unescape(page([report], "pytest", tmp_path, ""))
    said = [f"Recorded and live evidence differ in {line}." for line in expected]
    assert re.findall("<li>(Recorded and live [^<]+)</li>", text) == said
    at_the_top = re.findall('<p class="unexpected">(Recorded and live [^<]+)</p>', text)
    assert at_the_top == (said if is_another_run else [])


def test_what_was_recorded_before_configurations_were_named_differs_in_none() -> None:
    before = RECORDED.model_copy(update={"configuration_sha256": None})
    assert "differ in" not in claims_markdown([report_of(before, RECORDED)])


@pytest.mark.parametrize(("recorded", "live"), [(RECORDED, None), (None, RECORDED), (None, None)])
def test_one_kind_of_evidence_differs_from_nothing(
    recorded: RunProvenance | None, live: RunProvenance | None
) -> None:
    assert "differ in" not in claims_markdown([report_of(recorded, live)])


def test_the_tokens_that_the_model_saw_are_said_once_where_both_runs_saw_the_same() -> None:
    others = SEEN.model_copy(update={"first_pair": (["c"], ["d"]), "added": (0, 0)})
    for live, expected in (
        (RECORDED, ["recorded and live"]),
        (RECORDED.model_copy(update={"seen": others}), ["recorded", "live"]),
    ):
        text = claims_markdown([report_of(RECORDED, live)])
        found = re.findall(r"^- On (.+) evidence of pair 1 the model sees ", text, re.M)
        assert found == expected
    assert "(10 tokens, 1 of them added)" in text
    assert "'c' (1 tokens, 0 of them added) and 'd' (1 tokens, 0 of them added)." in text


def test_the_page_says_which_tokens_the_model_saw(tmp_path: Path) -> None:
    text = html.unescape(page([report_of(RECORDED, None)], "pytest", tmp_path, ""))
    assert SEEN.described() in text
    assert SEEN.ids_sha256 in text
