"""What of a claim the spec alone gives."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from replication.claims.claim import Claim
from replication.claims.given import is_given
from replication.experiment.spec import SelectionSpec
from tests.claims.build import KNOWN, SIZES, SPEC

Stated = Mapping[str, object]  # a check, as a file of claims states it

SHAPE = {"kind": "shape", **SIZES}
SELECTION = {"kind": "selection", "circuit": "rerun", "budget": 20, "mlp_threshold": "5"}
SCALE = {"kind": "count", "total": 8}
COUNT = {"kind": "count", "circuit": "rerun", "total": 4}
RANKING = {"kind": "ranking", "result": "rerun", "among": "mlp", "first": ["m1"]}
PAPERS = {"kind": "ranking", "result": "paper", "among": "mlp", "first": ["m1"]}
OVERLAP = {"kind": "overlap", "circuit": "rerun", "reference": "paper", "shared": 2}
FIXED = {
    "budget": 20,
    "input_counts": True,
    "steps": [{"take": "input"}, {"fixed": ["m0", "a0.h1"]}],
}


def of(kind: str, **stated: object) -> Stated:
    return {"kind": kind, "circuit": "rerun", **stated}


@pytest.mark.parametrize(
    ("checks", "by_scores", "fixed"),
    [
        ([SHAPE], True, True),
        ([SELECTION], True, True),
        ([SCALE], True, True),
        ([PAPERS], True, True),
        ([SELECTION, SCALE, PAPERS], True, True),
        ([of("cost", budget=20)], True, True),
        ([of("membership", includes=["input"])], True, True),
        ([of("membership", includes=["input", "m0"])], False, True),
        ([of("membership", includes=["input"], excludes=["m1"])], False, True),
        ([COUNT], False, True),
        ([of("cost", budget=20, used=18)], False, True),
        ([of("difference", reference="paper", only_circuit=[], only_reference=[])], False, True),
        ([of("order", first=["input", "m1"])], False, True),
        ([OVERLAP], False, True),
        ([RANKING], False, False),
        ([SELECTION, RANKING], False, False),
        ([{"kind": "determinism", "result": "rerun", "identical": True}], False, False),
        ([{"kind": "control", "component": "m1"}], False, False),
        ([{"kind": "scores", "result": "rerun", "scores": {"m1": "3.0"}}], False, False),
    ],
)
def test_no_score_of_a_run_has_a_part_in_it(
    checks: list[Stated], by_scores: bool, fixed: bool
) -> None:
    stated = {"id": "A1", "made_by": "paper", "source": "p. 1", "statement": "So it is."}
    claim = Claim.model_validate({**stated, "check": checks}, context=KNOWN)
    selection = SelectionSpec.model_validate(FIXED)
    assert is_given(claim, SPEC) is by_scores
    assert is_given(claim, SPEC.model_copy(update={"selection": selection})) is fixed
