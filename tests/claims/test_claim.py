"""A claim: its checks together, what it says when it fails, what evidence it is judged on."""

from __future__ import annotations

from typing import Any

import pytest

from replication.claims.claim import (
    failure_message,
    judge_claim,
    judged_on,
)
from replication.controls.verify import Controls
from tests.claims.build import SIZES, SPEC, check, claim_of, judge, measured, published, table


def test_no_scores_and_no_circuit_decide_nothing() -> None:
    stated = [
        check(kind="scores", result="paper", scores={"m0": "1"}),
        check(kind="ranking", result="paper", among="mlp", first=["m0"]),
        check(kind="ranking", result="paper", among="mlp", ranks={"m0": 1}),
        check(kind="ratio", result="paper", of="m0", to="m1", ratio="1"),
        check(kind="ratio", result="paper", of="m0", to="next", ratio="1"),
        check(kind="deviation", result="paper", reference="rerun", percent={"m0": "1"}),
        check(kind="bound", result="paper", among="mlp", below="1"),
        check(kind="bound", result="paper", components=["m0"], at_least="1"),
        check(kind="membership", circuit="paper", excludes=["m0"]),
        check(kind="selection", circuit="paper", budget=20, mlp_threshold="5"),
        check(kind="order", circuit="paper", first=["input"]),
    ]
    assert {judge(one, published()).verdict for one in stated} == {"undecided"}
    assert {judge(one, measured()).verdict for one in stated} == {"undecided"}
    assert all("would decide it" in judge(one, published()).reason for one in stated)


HOLDS = {"kind": "count", "total": 8}


REFUTED = {"kind": "count", "total": 7}


UNDECIDED = {"kind": "control", "component": "m1"}


@pytest.mark.parametrize(
    ("checks", "expected", "as_expected"),
    [
        ([HOLDS], "holds", True),
        ([HOLDS, HOLDS], "holds", True),
        ([HOLDS, UNDECIDED], "undecided", None),
        ([UNDECIDED, HOLDS], "undecided", None),
        ([HOLDS, REFUTED], "refuted", False),
        ([UNDECIDED, REFUTED], "refuted", False),
        ([REFUTED, UNDECIDED, HOLDS], "refuted", False),
    ],
)
def test_a_claim_is_the_conjunction_of_its_checks(
    checks: list[dict[str, Any]], expected: str, as_expected: bool | None
) -> None:
    found = judge_claim(claim_of(*checks), published(), Controls([]))
    assert (found.verdict, found.as_expected) == (expected, as_expected)
    opposite = judge_claim(
        claim_of(*checks, expect="refuted", reason="why"), published(), Controls([])
    )
    assert opposite.verdict == expected
    assert opposite.as_expected is (None if as_expected is None else not as_expected)


def test_the_arithmetic_is_that_of_the_telling_checks() -> None:
    found = judge_claim(claim_of(HOLDS, REFUTED, UNDECIDED), published(), Controls([]))
    assert "7" in found.arithmetic
    assert "control" not in found.arithmetic


def test_a_failure_names_what_was_expected_what_was_measured_and_the_source() -> None:
    stated = {"kind": "scores", "result": "rerun", "scores": {"m1": "31.51"}, "tolerance": "0.02"}
    evidence = measured(table({"m1": 31.75}))
    message = failure_message(judge_claim(claim_of(stated), evidence, Controls([])))
    for part in ("X1: It is so.", "a paper", "holds", "refuted", "31.51", "31.75", "± 0.02"):
        assert part in message


SCORES = {"kind": "scores", "scores": {"m1": "1"}}


ALL_KINDS = ["published", "recorded", "live"]


@pytest.mark.parametrize(
    ("stated", "kinds"),
    [
        ([SCORES | {"result": "paper"}], ["published"]),
        ([SCORES | {"result": "rerun"}], ALL_KINDS),
        ([SCORES | {"result": "paper"}, SCORES | {"result": "rerun"}], ALL_KINDS),
        ([{"kind": "shape", **SIZES}], ALL_KINDS),
        ([{"kind": "count", "total": 8}], ALL_KINDS),
        ([{"kind": "count", "circuit": "paper", "total": 8}], ["published"]),
        ([{"kind": "count", "circuit": "rerun", "total": 8}], ALL_KINDS),
        ([UNDECIDED], ALL_KINDS),
        ([{"kind": "determinism", "result": "rerun", "identical": True}], ALL_KINDS),
        (
            [{"kind": "order", "circuit": "paper", "reference": "rerun", "moved": []}],
            ALL_KINDS,
        ),
        (
            [
                {
                    "kind": "bound",
                    "result": "paper",
                    "among": "mlp",
                    "outside": "rerun",
                    "below": "1",
                }
            ],
            ALL_KINDS,
        ),
    ],
)
def test_a_claim_is_judged_on_the_evidence_that_can_say_something(
    stated: list[dict[str, Any]], kinds: list[str]
) -> None:
    claim = claim_of(*stated)
    assert judged_on(claim, SPEC) == kinds
    unpublished = SPEC.model_copy(update={"results": {}})
    assert judged_on(claim, unpublished) == [kind for kind in kinds if kind != "published"]
