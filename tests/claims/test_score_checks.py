"""Checks of scores: values, ratios, deviations and bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from replication.circuits.scores import read_scores
from tests.claims.build import (
    COMPONENTS,
    Figures,
    check,
    judge,
    measured,
    published,
    table,
    verdict,
)


@pytest.mark.parametrize(
    ("figure", "stated", "expected"),
    [
        ("31.51", "31.51", "undecided"),
        ("31.52", "31.51", "refuted"),
        ("31.5", "31.51", "undecided"),
        ("31.6", "31.51", "refuted"),
        ("31.512", "31.51", "holds"),
        ("31.516", "31.51", "refuted"),
        ("31.5150", "31.51", "undecided"),
        ("31.510", "31.51", "holds"),
        (31.512, "31.51", "holds"),
        (31.516, "31.51", "refuted"),
    ],
)
def test_scores_as_published(figure: str | float, stated: str, expected: str) -> None:
    claim = check(kind="scores", result="paper", scores={"m1": stated})
    assert verdict(claim, published(table({"m1": figure}))) == expected


@pytest.mark.parametrize(
    ("score", "expected"), [(31.51, "holds"), (31.5149, "holds"), (31.5151, "refuted")]
)
def test_scores_as_measured(score: float, expected: str) -> None:
    claim = check(kind="scores", result="rerun", scores={"m1": "31.51"})
    assert verdict(claim, measured(table({"m1": score}))) == expected


@pytest.mark.parametrize(
    ("figure", "tolerance", "expected"),
    [
        ("31.52", "0.02", "holds"),
        ("31.52", "0.01", "undecided"),
        ("31.55", "0.02", "refuted"),
        ("31.51", "0.02", "undecided"),
        ("31.511", "0.0001", "refuted"),
    ],
)
def test_scores_with_a_tolerance(figure: str, tolerance: str, expected: str) -> None:
    claim = check(kind="scores", result="paper", scores={"m1": "31.51"}, tolerance=tolerance)
    assert claim.describe_tolerance() == f"± {tolerance}"
    assert verdict(claim, published(table({"m1": figure}))) == expected


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"m1": "1.00", "m0": "2.00"}, "undecided"),
        ({"m1": "1.00", "m0": "2.000"}, "undecided"),
        ({"m1": "1.000", "m0": "2.000"}, "holds"),
        ({"m1": "1.00", "m0": "2.01"}, "refuted"),
        ({"m1": "1.00"}, "undecided"),
        ({"m1": "1.01"}, "refuted"),
        ({"m1": "1.000"}, "undecided"),
        ({}, "undecided"),
    ],
)
def test_scores_together(named: Figures, expected: str) -> None:
    claim = check(kind="scores", result="paper", scores={"m1": "1.00", "m0": "2.00"})
    assert verdict(claim, published(table(named))) == expected


@pytest.mark.parametrize(
    ("stated", "expected"), [("0.90", "undecided"), ("1.04", "undecided"), ("1.06", "refuted")]
)
def test_a_score_that_is_not_listed_is_known_to_be_no_better(stated: str, expected: str) -> None:
    claim = check(kind="scores", result="paper", scores={"a0.h2": stated})
    listed = table({"a0.h0": "3.0", "a0.h1": "1.0"}, head=2)
    assert verdict(claim, published(listed)) == expected


@pytest.mark.parametrize(
    ("pair", "figure", "expected"),
    [
        (1, "6.99", "undecided"),
        (1, "6.992", "holds"),
        (1, "6.98", "refuted"),
        (2, "6.992", "undecided"),
    ],
)
def test_scores_on_one_pair(pair: int, figure: str, expected: str) -> None:
    claim = check(kind="scores", result="paper", pair=pair, scores={"m0": "6.99"})
    assert verdict(claim, published(table({"m0": "8.00"}, {"m0": figure}))) == expected


def test_a_bound_over_all_pairs_says_nothing_of_one_pair() -> None:
    claim = check(kind="scores", result="paper", pair=1, scores={"m0": "9.0"})
    assert verdict(claim, published(table({"m1": "3.0"}, {"m1": "3.0"}, mlp=1))) == "undecided"


def test_a_number_that_repeats_the_statement_does_not_confirm_it() -> None:
    claim = check(kind="scores", result="paper", scores={"m1": "31.51"})
    assert verdict(claim, published(table({"m1": 31.51}))) == "undecided"


def test_a_negative_tolerance_is_refused() -> None:
    with pytest.raises(ValidationError):
        check(kind="ratio", result="paper", of="m1", to="m0", ratio="1.45", tolerance="-0.01")


@pytest.mark.parametrize(
    ("named", "stated", "expected"),
    [
        ({"m1": "31.51", "m0": "22.32"}, {"ratio": "1.41"}, "holds"),
        ({"m1": "31.51", "m0": "22.32"}, {"ratio": "1.4"}, "holds"),
        ({"m1": "31.51", "m0": "22.32"}, {"ratio": "1.42"}, "refuted"),
        ({"m1": "31.51", "m0": "22.32"}, {"ratio": "1.412"}, "undecided"),
        ({"m1": "31.51", "m0": "22.32"}, {"ratio": "1.42", "tolerance": "0.01"}, "holds"),
        ({"m1": "3", "m0": "2"}, {"ratio": "1.5"}, "undecided"),
        ({"m1": 3, "m0": 2}, {"ratio": "1.5"}, "holds"),
        ({"m1": 3, "m0": 2}, {"ratio": "1.50", "tolerance": "0"}, "holds"),
        ({"m1": 3, "m0": 2.001}, {"ratio": "1.50", "tolerance": "0"}, "refuted"),
        ({"m1": "3.0", "m0": "0.0"}, {"ratio": "1.5"}, "undecided"),
        ({"m1": "3.0"}, {"ratio": "1.5"}, "undecided"),
    ],
)
def test_ratio(named: Figures, stated: dict[str, str], expected: str) -> None:
    claim = check(kind="ratio", result="paper", of="m1", to="m0", **stated)
    assert verdict(claim, published(table(named))) == expected


@pytest.mark.parametrize(
    ("named", "best_listed", "ratio", "expected"),
    [
        ({"m1": "6.0", "m0": "3.0", "a0.h0": "4.0"}, {"mlp": 2, "head": 1}, "1.5", "holds"),
        ({"m1": "6.0", "m0": "3.0", "a0.h0": "4.0"}, {"mlp": 2, "head": 1}, "2.0", "refuted"),
        ({"m1": "6.0", "a0.h0": "4.0"}, {"mlp": 1, "head": 1}, "1.5", "undecided"),
        ({"m1": "6.0", "m0": "3.0", "a0.h0": "4.0"}, {"mlp": 2}, "1.5", "undecided"),
        ({"m1": "2.0", "m0": "4.0"}, {"mlp": 2, "head": 0}, "0.5", "undecided"),
        # What ranks ahead is not next.
        ({"m1": "2.00", "m0": "4.00", "a0.h0": "1.00"}, {"mlp": 2, "head": 1}, "0.5", "refuted"),
        ({"m1": "2.00", "m0": "4.00", "a0.h0": "1.00"}, {"mlp": 2, "head": 1}, "2", "holds"),
        # m0 may be ahead, and then a0.h0 is next; or behind, and then it is about as high.
        ({"m1": "2.0", "m0": "2.0", "a0.h0": "1.0"}, {"mlp": 2, "head": 1}, "2", "undecided"),
        ({"m1": "2.0", "m0": "2.0", "a0.h0": "1.0"}, {"mlp": 2, "head": 1}, "1", "undecided"),
        ({"m1": "2.0", "m0": "2.0", "a0.h0": "1.0"}, {"mlp": 2, "head": 1}, "3", "refuted"),
        ({"m1": "2.0", "m0": "4.0", "a0.h0": "0.0"}, {"mlp": 2, "head": 1}, "2", "undecided"),
    ],
)
def test_ratio_to_the_next(
    named: Figures, best_listed: dict[str, int], ratio: str, expected: str
) -> None:
    claim = check(kind="ratio", result="paper", of="m1", to="next", ratio=ratio)
    known = table(named, **{kind: count for kind, count in best_listed.items() if count})
    assert verdict(claim, published(known)) == expected


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        ([5, 4, 3, 2, 1, 1, 1, 0.5], "a1.h2 is the last in rank"),
        ([5, 4, 3, 2, 1, 1, 1, 1], "a1.h2 is the last in rank"),
        (["5", "4", "3", "2", "1", "1", "1", "1"], "a1.h2 may be the last in rank"),
    ],
)
def test_nothing_comes_next_behind_the_last(scores: list[Any], text: str) -> None:
    claim = check(kind="ratio", result="paper", of="a1.h2", to="next", ratio="1")
    found = judge(claim, published(table(dict(zip(COMPONENTS, scores, strict=True)))))
    assert found.verdict == "undecided"
    assert text in found.reason


# |3.00 / 3.3282 - 1| lies between 9.7096% and 10.0128%, |2.59 / 2.50 - 1| between 3.1936% and
# 4.0080%; their mean between 6.4516% and 7.0104%.
@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"percent": {"m0": "10"}}, "holds"),
        ({"percent": {"m0": "9.9"}}, "undecided"),
        ({"percent": {"m0": "9.6"}}, "refuted"),
        ({"percent": {"m0": "10.0"}}, "undecided"),
        ({"percent": {"m0": "10.1"}}, "refuted"),
        ({"percent": {"m0": "10", "m1": "4"}}, "undecided"),
        ({"percent": {"m0": "10", "m1": "5"}}, "refuted"),
        ({"percent": {"m0": "9.9", "m1": "5"}}, "refuted"),
        ({"components": ["m0", "m1"], "mean_percent": "7"}, "undecided"),
        ({"components": ["m0", "m1"], "mean_percent": "6.7"}, "undecided"),
        ({"components": ["m0", "m1"], "mean_percent": "8"}, "refuted"),
        ({"components": ["m0", "m1"], "mean_percent": "6.3"}, "refuted"),
        ({"components": ["m1"], "at_most_percent": "5"}, "holds"),
        ({"components": ["m0", "m1"], "at_most_percent": "11"}, "holds"),
        ({"components": ["m0", "m1"], "at_most_percent": "10"}, "undecided"),
        ({"components": ["m0", "m1"], "at_most_percent": "9.7"}, "refuted"),
        ({"components": ["m0", "m1"], "at_most_percent": "3.5"}, "refuted"),
        ({"components": ["a0.h0"], "at_most_percent": "3.5"}, "undecided"),
    ],
)
def test_deviation_as_published(stated: dict[str, Any], expected: str) -> None:
    rerun = table({"m0": "3.00", "m1": "2.59"})
    paper = table({"m0": "3.3282", "m1": "2.50"})
    claim = check(kind="deviation", result="rerun", reference="paper", **stated)
    assert verdict(claim, published(paper, rerun)) == expected


# As above: m0 9.7096% to 10.0128%, the mean 6.4516% to 7.0104%.
@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"percent": {"m0": "9"}, "tolerance": "1.1"}, "holds"),
        ({"percent": {"m0": "9"}, "tolerance": "1"}, "undecided"),
        ({"percent": {"m0": "9"}, "tolerance": "0.7"}, "refuted"),
        ({"percent": {"m0": "9", "m1": "4"}, "tolerance": "1.1"}, "holds"),
        ({"components": ["m0", "m1"], "mean_percent": "6", "tolerance": "1.1"}, "holds"),
        ({"components": ["m0", "m1"], "mean_percent": "6", "tolerance": "0.4"}, "refuted"),
    ],
)
def test_a_percentage_with_a_tolerance(stated: dict[str, Any], expected: str) -> None:
    rerun = table({"m0": "3.00", "m1": "2.59"})
    paper = table({"m0": "3.3282", "m1": "2.50"})
    claim = check(kind="deviation", result="rerun", reference="paper", **stated)
    found = judge(claim, published(paper, rerun))
    assert found.verdict == expected
    assert f" ± {stated['tolerance']}%" in found.reason
    assert claim.describe_tolerance() == f"± {stated['tolerance']} percentage points"


def test_a_bound_in_percent_takes_no_tolerance() -> None:
    with pytest.raises(ValidationError, match="tolerance belongs to percent and mean_percent"):
        check(
            kind="deviation", result="rerun", reference="paper", components=["m0"],
            at_most_percent="5", tolerance="1",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"percent": {"m0": "25.0", "m1": "50"}}, "holds"),
        ({"percent": {"m0": "25.1"}}, "refuted"),
        ({"components": ["m0", "m1"], "mean_percent": "37.5"}, "holds"),
        ({"components": ["m0", "m1"], "mean_percent": "12.5"}, "refuted"),
        ({"components": ["m0"], "at_most_percent": "25"}, "holds"),
        ({"components": ["m0", "m1"], "at_most_percent": "49.999"}, "refuted"),
    ],
)
def test_deviation_of_exact_scores(stated: dict[str, Any], expected: str) -> None:
    claim = check(kind="deviation", result="rerun", reference="paper", **stated)
    evidence = measured(table({"m0": 3, "m1": 3}), table({"m0": 4, "m1": 2}))
    assert verdict(claim, evidence) == expected


def test_deviation_from_a_score_that_may_be_zero() -> None:
    claim = check(kind="deviation", result="rerun", reference="paper", percent={"m0": "5"})
    assert verdict(claim, published(table({"m0": "0.0"}), table({"m0": "3.0"}))) == "undecided"


@pytest.mark.parametrize(
    "stated",
    [
        {"percent": {"m0": "1", "m1": "1"}},
        {"components": ["m0", "m1"], "at_most_percent": "5"},
    ],
)
def test_a_known_deviation_refutes_whatever_is_unknown(stated: dict[str, Any]) -> None:
    claim = check(kind="deviation", result="rerun", reference="paper", **stated)
    evidence = published(table({"m0": "3.0", "m1": "2.0"}), table({"m0": "9.0"}))
    assert verdict(claim, evidence) == "refuted"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"components": ["m0"], "below": "6.5"}, "holds"),
        ({"components": ["m0", "m1"], "below": "6.5"}, "refuted"),
        ({"components": ["m0"], "below": "6.29"}, "undecided"),
        ({"components": ["m0"], "below": "6.2"}, "refuted"),
        ({"components": ["m1"], "at_least": "6.5"}, "holds"),
        ({"components": ["m0", "m1"], "at_least": "6.5"}, "refuted"),
        ({"components": ["m0"], "at_least": "6.29"}, "undecided"),
        ({"among": "mlp", "below": "7"}, "holds"),
        ({"among": "mlp", "but": ["m1"], "below": "6.5"}, "holds"),
        ({"among": "mlp", "but": ["m1"], "below": "6.5", "members": 1}, "holds"),
        ({"among": "mlp", "outside": "paper", "below": "6.5", "members": 1}, "holds"),
        ({"among": "mlp", "outside": "paper", "below": "6.2"}, "refuted"),
        ({"among": "mlp", "outside": "rerun", "below": "6.5"}, "undecided"),
        ({"among": "head", "below": "3.1"}, "holds"),
        ({"among": "head", "below": "2.9"}, "refuted"),
        ({"among": "head", "outside": "paper", "below": "0.9", "members": 4}, "holds"),
        ({"among": "head", "outside": "paper", "below": "0.83"}, "undecided"),
        ({"among": "head", "outside": "paper", "below": "0.835", "members": 4}, "undecided"),
        ({"among": "head", "outside": "paper", "below": "0.9", "members": 5}, "refuted"),
        ({"among": "head", "outside": "paper", "at_least": "0.5"}, "undecided"),
        ({"among": "head", "outside": "paper", "at_least": "0.9"}, "refuted"),
        ({"among": "head", "at_least": "0.01"}, "undecided"),
        ({"among": "all", "below": "7"}, "holds"),
        ({"among": "all", "but": ["m1", "m0"], "below": "4"}, "holds"),
    ],
)
def test_bound(stated: dict[str, Any], expected: str) -> None:
    listed = {"m0": "6.29", "m1": "6.68", "a0.h0": "3.0", "a1.h2": "0.83"}
    evidence = published(table(listed, mlp=2, head=2), paper_nodes="input m1 a0.h0 a1.h2")
    assert verdict(check(kind="bound", result="paper", **stated), evidence) == expected


def test_a_mean_deviation_is_told_of_the_figures_as_they_are_printed() -> None:
    evidence = published(
        table({"m0": "31.5", "m1": "6.9"}), table({"m0": "32.4", "m1": "6.9"}, mlp=2)
    )
    claim = {"kind": "deviation", "result": "paper", "reference": "rerun", "mean_percent": "1.4"}
    found = judge(check(**claim, components=["m0", "m1"]), evidence)
    assert found.verdict == "undecided"
    assert found.reason.startswith("(2.78 + 0.00)% / 2 = ")


@pytest.mark.parametrize(("stated", "shown"), [("1", "(0 to 1)"), ("0", "(0 to 1)")])
def test_a_score_that_is_not_listed_was_not_printed_otherwise(stated: str, shown: str) -> None:
    """As wide as the digits of what is stated, what bounds it is no figure that contradicts it."""
    evidence = published(table({"m0": 1.0, "a0.h0": "3.0"}, mlp=1))
    found = judge(check(kind="scores", result="paper", scores={"m1": stated}), evidence)
    assert (found.verdict, found.reason) == ("undecided", f"m1: {shown} may or may not be {stated}")


@pytest.mark.parametrize(("score", "expected"), [(6.4999, "holds"), (6.5, "refuted")])
def test_a_measured_score_at_the_bound_is_not_below_it(score: float, expected: str) -> None:
    claim = check(kind="bound", result="rerun", components=["m0"], below="6.5")
    assert verdict(claim, measured(table({"m0": score}))) == expected


def test_a_published_number_at_the_bound_is_not_below_it(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text('{"components": {"a0.h0": 0.83}}', encoding="utf-8")
    claim = check(kind="bound", result="paper", components=["a0.h0"], below="0.83")
    assert verdict(claim, published(read_scores(path))) == "refuted"


def test_a_bound_on_nothing_is_not_confirmed() -> None:
    evidence = published(table({"m0": "6.29", "m1": "6.68"}), paper_nodes="input m1 m0")
    claim = check(kind="bound", result="paper", among="mlp", outside="paper", below="0.1")
    assert judge(claim, evidence).verdict == "undecided"


def test_a_set_that_is_empty_does_not_have_the_stated_members() -> None:
    evidence = published(table({"m0": "6.29", "m1": "6.68"}), paper_nodes="input m1 m0")
    stated = {"among": "mlp", "outside": "paper", "below": "0.1", "members": 2}
    assert verdict(check(kind="bound", result="paper", **stated), evidence) == "refuted"


def test_a_known_bound_refutes_whatever_is_unknown() -> None:
    evidence = published(table({"a0.h0": "3.0", "a0.h1": "1.0"}, head=2))
    claim = check(kind="bound", result="paper", components=["m0", "a1.h1"], at_least="2")
    assert verdict(claim, evidence) == "refuted"
