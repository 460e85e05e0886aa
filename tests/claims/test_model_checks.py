"""Checks of the model and of what its scores mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replication.circuits.components import parse
from replication.claims.check import judge as judge_on
from replication.controls.verify import Controls, measured_controls
from replication.controls.words import ComponentControl, Word
from replication.evidence.evidence import Evidence
from tests.claims.build import MEASURED, SIZES, SPEC, check, measured, published, verdict


@pytest.mark.parametrize(
    ("evidence", "changed", "expected"),
    [
        (published(), {}, "undecided"),
        (published(), {"n_heads": 4}, "refuted"),
        (measured(), {}, "holds"),
        *[(measured(), {size: 9}, "refuted") for size in SIZES],
    ],
)
def test_shape(evidence: Evidence, changed: dict[str, int], expected: str) -> None:
    assert verdict(check(kind="shape", **SIZES | changed), evidence) == expected


@pytest.mark.parametrize(
    ("reproduced", "identical", "expected"),
    [
        (True, True, "holds"),
        (False, True, "refuted"),
        (True, False, "refuted"),
        (False, False, "holds"),
        (None, True, "undecided"),
        (None, False, "undecided"),
    ],
)
def test_determinism(reproduced: bool | None, identical: bool, expected: str) -> None:
    claim = check(kind="determinism", result="rerun", identical=identical)
    first = MEASURED.pair_scores
    second = {True: first, False: first + 1, None: None}[reproduced]
    assert verdict(claim, measured(repeated=second)) == expected


def test_published_evidence_says_nothing_of_determinism() -> None:
    claim = check(kind="determinism", result="rerun", identical=False)
    assert verdict(claim, published()) == "undecided"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, "undecided"),
        ({"m0": "specific"}, "undecided"),
        ({"m1": "specific"}, "holds"),
        ({"m1": "artefact"}, "refuted"),
        ({"m1": "unstable"}, "undecided"),
        ({"m1": "not shown"}, "undecided"),
    ],
)
def test_control(words: dict[str, Word], expected: str) -> None:
    claim = check(kind="control", component="m1")
    found = {parse(name): ComponentControl(word, "because") for name, word in words.items()}
    controls = Controls([replace(measured_controls(SPEC, MEASURED), words=found)])
    assert judge_on(claim, measured(), controls).verdict == expected
