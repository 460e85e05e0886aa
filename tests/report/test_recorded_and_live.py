"""A stored run and this one beside each other: what ran, its scores, its circuit, its verdicts."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pytest

from replication.circuits.components import ModelShape
from replication.claims.claim import Claim
from replication.engine.tokens import SeenTokens
from replication.evidence.evidence import RunProvenance
from replication.report.page.page import page
from replication.report.record import (
    ExperimentReport,
    Figures,
    Handover,
    JudgementRecord,
    ResultFigures,
)
from replication.report.recorded_and_live import Row, recorded_against_live
from replication.report.text import claims_markdown
from tests.make import provenance_of

SHAPE = ModelShape(n_layers=2, n_heads=1, d_model=4, d_head=4)
SCORES = {"m0": 8.0, "m1": 2.0, "a0.h0": 1.0}
NODES = ["input", "m0", "m1"]
RUN = RunProvenance(
    **provenance_of(SHAPE, weights_sha256="0a" * 32, versions={"torch": "2.13.0"}).model_dump(),
    seen=SeenTokens(first_pair=(["a"] * 10, ["b"] * 12), added=(1, 1), ids_sha256="3c" * 32),
    pairs=2,
    pairs_from={"file": "pairs.jsonl"},
    token_lengths=[(10, 12), (9, 9)],
)


def handed_over(
    kind: str,
    claim: str,
    verdict: str,
    scores: dict[str, float],
    nodes: list[str] | None,
    **run: Any,
) -> Handover:
    result = ResultFigures(
        shape=SHAPE, mlp_threshold=1.0, budget=12, nodes=nodes, cost=None, scores=dict(scores),
        ranks={}, cut=None,
    )  # fmt: skip
    figures = {
        "evidence": kind, "sides": ("a", "b"), "pairs": [("x", "y")], "results": {"norms": result},
    }  # fmt: skip
    judgement = {
        "experiment": "mine", "claim": claim, "evidence": kind, "verdict": verdict,
        "as_expected": None, "arithmetic": "", "checks": [],
    }  # fmt: skip
    return Handover(
        judgement=JudgementRecord.model_validate(judgement),
        provenance=RUN.model_copy(update=run),
        figures=Figures.model_validate(figures),
    )


def report_of(
    verdicts: tuple[str, str] = ("holds", "holds"),
    scores: dict[str, float] = SCORES,
    nodes: list[str] | None = NODES,
    **run: Any,
) -> ExperimentReport:
    """One that two claims were judged in: as stored, the first holds, and the second is refuted."""
    claims = [
        Claim.model_validate(
            {
                "id": name, "made_by": "me", "source": "a paper", "statement": "It is so.",
                "check": [{"kind": "shape", **SHAPE.model_dump(mode="json")}],
            }
        )
        for name in ("X1", "X2")
    ]  # fmt: skip
    report = ExperimentReport("mine", "A title", claims)
    for name, stored, now in (("X1", "holds", verdicts[0]), ("X2", "refuted", verdicts[1])):
        report.take(handed_over("recorded", name, stored, SCORES, NODES))
        report.take(handed_over("live", name, now, scores, nodes, **run))
    return report


def row(report: ExperimentReport, what: str) -> Row:
    (found,) = [one for one in recorded_against_live(report) if one.what.startswith(what)]
    return found


def test_a_run_that_gives_the_same_agrees_in_every_row() -> None:
    rows = recorded_against_live(report_of(("holds", "refuted")))
    assert {one.agree for one in rows} == {"yes"}
    assert all(one.recorded == one.live for one in rows)
    named = {one.what for one in rows}
    assert {"the weights' SHA-256", "the tokenizer's SHA-256", "the tokens' SHA-256"} <= named
    assert row(report_of(), "the number of tokens").live == "40"
    assert row(report_of(), "the weights' SHA-256").live == "0a0a0a0a0a0a0a0a…"


def test_other_weights_and_tokens_do_not_agree() -> None:
    other = report_of(weights_sha256="5e" * 32, token_lengths=[(10, 12), (8, 9)])
    assert row(other, "the weights' SHA-256") == (
        "the weights' SHA-256", "0a0a0a0a0a0a0a0a…", "5e5e5e5e5e5e5e5e…", "no",
    )  # fmt: skip
    assert row(other, "the token lengths") == (
        "the token lengths, first in pair 2", "9 and 9", "8 and 9", "no",
    )  # fmt: skip


def test_the_score_that_differs_most_is_named_with_how_much() -> None:
    found = row(report_of(scores={**SCORES, "m1": 2.04, "a0.h0": 0.9}), "the score of a0.h0")
    assert (found.recorded, found.live) == ("1", "0.9")
    assert found.what.endswith("of 3 of norms the one that differs most")
    assert found.agree == "to 0.01 of the highest"


@pytest.mark.parametrize(
    ("nodes", "live", "agree"),
    [(["input", "m0", "a0.h0"], "3", "in 2"), (["input", "m0"], "2", "in 2"), (NODES, "3", "yes")],
)
def test_circuits_agree_in_the_nodes_they_share(nodes: list[str], live: str, agree: str) -> None:
    found = row(report_of(nodes=nodes), "the nodes that the rule selects")
    assert (found.recorded, found.live, found.agree) == ("3", live, agree)


def test_without_a_circuit_there_are_no_nodes_to_share() -> None:
    rows = recorded_against_live(report_of(nodes=None))
    assert not [one for one in rows if "nodes" in one.what]


def test_verdicts_that_changed_are_named() -> None:
    assert row(report_of(("holds", "undecided")), "the verdicts") == (
        "the verdicts on 2 claims", "1 holds, 1 refuted", "1 holds, 1 undecided",
        "all but X2 (refuted, undecided)",
    )  # fmt: skip


def test_one_run_alone_is_beside_nothing() -> None:
    report = report_of()
    report.found = {case: one for case, one in report.found.items() if case[1] == "live"}
    assert recorded_against_live(report) == []
    assert "Recorded against live" not in claims_markdown([report])


def test_the_text_and_the_page_have_every_row(tmp_path: Path) -> None:
    report = report_of(weights_sha256="5e" * 32)
    text, shown = claims_markdown([report]), html.unescape(page([report], "pytest", tmp_path, ""))
    rows = recorded_against_live(report)
    assert len(rows) > 10
    under = text.split("### Recorded against live")[1]
    for one in rows:
        assert f"| {one.what} | " in under
        cells = "".join(f"<td>{cell}</td>" for cell in one[1:])
        assert f'<th scope="row">{one.what}</th>{cells}' in shown
