"""Published behaviours: their file, and the faithfulness that their digits allow."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.circuits.intervals import Interval, exact, printed
from replication.claims.check import judge
from replication.claims.keys import Known
from replication.controls.verify import Controls
from replication.evidence.evidence import Evidence, Result
from replication.evidence.published_behaviours import PublishedBehaviour, read_behaviours
from replication.inputs.files import InputError
from tests.claims.build import ANY_CHECK, SHAPE, SPEC

PRINTED = PublishedBehaviour(printed("3.56"), printed("0.12"), printed("3.10"))
KNOWN = Known(SHAPE, ["paper", "rerun"], "rerun", behaviours=["name"], circuits=["paper"])


def verdict(published: PublishedBehaviour | None, **stated: Any) -> str:
    check = {"kind": "faithfulness", "behaviour": "name", "circuit": "paper", **stated}
    behaviours = {} if published is None else {"name": published}
    evidence = Evidence("published", SPEC, SHAPE, {"paper": Result(behaviours=behaviours)})
    read = ANY_CHECK.validate_python(check, context=KNOWN)
    return judge(read, evidence, Controls([])).verdict


def test_faithfulness_is_what_the_digits_allow() -> None:
    found = PRINTED.faithfulness
    assert found is not None
    assert found.low == (Fraction("3.095") - Fraction("0.125")) / (
        Fraction("3.565") - Fraction("0.125")
    )
    assert found.high == (Fraction("3.105") - Fraction("0.115")) / (
        Fraction("3.555") - Fraction("0.115")
    )


FIGURES = st.fractions(-9, 9)
PARTS = st.fractions(0, 1)


@given(FIGURES, FIGURES, FIGURES, st.fractions(0, 2), st.tuples(PARTS, PARTS, PARTS))
def test_every_value_within_the_digits_gives_one_within_the_ends(
    whole: Fraction, empty: Fraction, circuit: Fraction, half: Fraction, parts: Any
) -> None:
    three = [Interval(one - half, one + half) for one in (whole, empty, circuit)]
    found = PublishedBehaviour(*three).faithfulness
    if whole - half <= empty + half:
        assert found is None
        return
    assert found is not None
    m, nothing, c = (one.low + part * one.width for one, part in zip(three, parts, strict=True))
    assert found.low <= (c - nothing) / (m - nothing) <= found.high


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"percent": "87", "tolerance": "1"}, "holds"),
        ({"percent": "88"}, "refuted"),
        ({"percent": "87"}, "undecided"),
        ({"at_least": "86"}, "holds"),
        ({"at_least": "88"}, "refuted"),
        ({"at_least": "86.6"}, "undecided"),
        ({"at_most": "88"}, "holds"),
        ({"at_most": "86"}, "refuted"),
        ({"percent": "87", "value": "mean"}, "undecided"),
    ],
)
def test_a_claim_is_judged_on_what_was_printed(stated: dict[str, str], expected: str) -> None:
    assert verdict(PRINTED, **stated) == expected


def test_nothing_is_judged_without_means_or_where_the_model_may_do_no_more_than_nothing() -> None:
    assert verdict(None, percent="87") == "undecided"
    assert verdict(PublishedBehaviour(exact(1), exact(1), exact(1)), percent="87") == "undecided"


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "behaviours.json"
    path.write_text(
        json.dumps({"name": {"whole": "3.56", "empty": "0.12", "circuit": "3.10"}}),
        encoding="utf-8",
    )
    assert read_behaviours(path, {"name": None}) == {"name": PRINTED}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"other": {"whole": "1", "empty": "0", "circuit": "1"}}, "states no behaviour 'other'"),
        ({"name": {"whole": "one", "empty": "0", "circuit": "1"}}, "'one' is not a plain decimal"),
        ({"name": {"whole": "1", "empty": "0"}}, "circuit"),
    ],
)
def test_a_file_at_fault_is_named_with_the_reason(
    tmp_path: Path, content: object, reason: str
) -> None:
    path = tmp_path / "behaviours.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_behaviours(path, {"name": None})
    assert str(path) in str(error.value)
    assert reason in str(error.value)
