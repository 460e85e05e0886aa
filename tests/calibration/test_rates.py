from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scipy.stats import binomtest

from calibration import rates as calibration
from calibration.planted import ROLES, SHAPE
from calibration.rates import (
    ALL_ROLES,
    CONFOUNDED,
    COVERED,
    LONGER,
    PAIRS,
    SOURCES,
    TARGETS,
    UNRELATED,
    WORDS,
    Row,
    Seen,
    Target,
    content,
    observe,
    page,
    rows_of,
    spec,
)
from replication.controls.verify import VERDICTS
from tests.paths import ROOT


def seen(said: str, seed: int = 0, role: str = "noise", source: str = UNRELATED) -> Seen:
    return Seen(seed, source, 5, role, frozenset({said}))


def rate_of(found: list[Seen], word: str, scenario: str = f"noise, {UNRELATED}") -> Row:
    (row,) = (row for row in rows_of(found) if (row.scenario, row.word) == (scenario, word))
    return row


@pytest.mark.parametrize(("hits", "models"), [(0, 10), (3, 10), (10, 10), (1, 200), (190, 200)])
def test_a_rates_interval_is_the_exact_one(hits: int, models: int) -> None:
    found = [seen("specific" if seed < hits else "not shown", seed) for seed in range(models)]
    row = rate_of(found, "specific")
    expected = binomtest(hits, models).proportion_ci(0.95, "exact")
    assert (row.rate, row.n) == (hits / models, models)
    assert (row.low, row.high) == pytest.approx((expected.low, expected.high))


def test_components_of_one_model_do_not_make_a_rate_surer() -> None:
    once = [seen("specific" if seed < 2 else "not shown", seed) for seed in range(8)]
    row, more = rate_of(once, "specific"), rate_of(once * 5, "specific")
    assert (more.rate, more.low, more.high) == (row.rate, row.low, row.high)
    assert (row.n, more.n) == (8, 40)


def test_a_rate_is_of_one_role_and_one_source_or_of_all_roles() -> None:
    found = [
        seen("specific"),
        seen("not shown", role="property"),
        seen("artefact", source=LONGER),
    ]
    assert rate_of(found, "specific").rate == 1
    assert rate_of(found, "specific", f"{ALL_ROLES}, {UNRELATED}").rate == 0.5
    assert rate_of(found, "artefact").rate == 0
    assert rate_of(found, "artefact", f"noise, {LONGER}").rate == 1


def test_the_confounded_filler_does_not_count_among_all_roles() -> None:
    found = [seen(COVERED, source=CONFOUNDED), seen("", role="filler", source=CONFOUNDED)]
    assert rate_of(found, COVERED, f"{ALL_ROLES}, {CONFOUNDED}").n == 1
    assert rate_of(found, COVERED, f"filler, {CONFOUNDED}").rate == 0


@pytest.mark.parametrize(
    ("rates", "met_from"),
    [
        ([0.95] * 5, 5),
        ([0.0, 0.949, 0.95, 1.0, 1.0], 20),
        ([1.0, 0.9, 1.0, 1.0, 1.0], 20),
        ([0.0, 0.0, 0.0, 0.0, 0.96], 80),
        ([1.0, 1.0, 1.0, 1.0, 0.94], None),
    ],
)
def test_a_target_is_met_from_where_it_stays_met(rates: list[float], met_from: int | None) -> None:
    target = Target("causes are found", "noise", UNRELATED, "specific", low=0.95)
    rows = [
        Row(pairs, f"noise, {UNRELATED}", word, rate if word == "specific" else 0.0, 0.0, 1.0, 9)
        for pairs, rate in zip(PAIRS, rates, strict=True)
        for word in WORDS
    ]
    assert target.met_from(rows) == met_from


def test_a_rate_above_its_upper_bound_is_no_met_target() -> None:
    target = Target("intervals hold the truth", "noise", UNRELATED, COVERED, 0.93, 0.97)
    rows = [Row(pairs, f"noise, {UNRELATED}", COVERED, 0.99, 0.9, 1.0, 9) for pairs in PAIRS]
    assert target.met_from(rows) is None


@pytest.fixture
def everything_specific() -> list[Row]:
    return rows_of(
        [
            Seen(seed, source, pairs, role, frozenset({"specific", COVERED}))
            for seed in range(4)
            for source in SOURCES
            for pairs in PAIRS
            for role in ROLES
        ]
    )


def test_the_figures_hold_every_rate_and_every_target(everything_specific: list[Row]) -> None:
    figures = json.loads(json.dumps(content(everything_specific, 4)))
    assert figures["models"] == 4
    assert {frozenset(row) for row in figures["rows"]} == {
        frozenset({"pairs", "scenario", "word", "rate", "low", "high", "n"})
    }
    met = {target["name"]: target["met_from_pairs"] for target in figures["targets"]}
    assert len(met) == len(TARGETS)
    assert met[f"planted causes are found: property, {UNRELATED}"] == 5
    assert met[f"false alarms are rare: noise, {UNRELATED}"] is None
    assert met[f"intervals hold the truth: {ALL_ROLES}, {UNRELATED}"] is None


def test_the_page_says_what_is_met_and_what_is_not(everything_specific: list[Row]) -> None:
    lines = page(everything_specific, 4).splitlines()
    (found,) = (
        line
        for line in lines
        if line.startswith(f"| planted causes are found | property | {UNRELATED}")
    )
    assert "| at least 95% | 5 pairs on | 100.0% |" in found
    (alarms,) = (
        line for line in lines if line.startswith(f"| false alarms are rare | noise | {LONGER}")
    )
    assert "| at most 5% | not met | 100.0% |" in alarms
    assert f"## Words: {CONFOUNDED}" in lines


def test_every_component_of_a_model_is_seen_with_one_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "PAIRS", (5, 6))
    monkeypatch.setattr(calibration, "SOURCES", {UNRELATED: SOURCES[UNRELATED]})
    found = observe(0)
    assert len(found) == 2 * len(SHAPE.components())
    assert all(len(one.said & set(WORDS)) == 1 for one in found)
    assert {"artefact"} == {
        word for one in found if one.role == "first" for word in one.said & set(WORDS)
    }
    assert observe(0) == found


def test_the_words_are_the_verifiers() -> None:
    assert set(WORDS) == set(VERDICTS)


def test_everything_is_selected() -> None:
    """No word of the calibration turns on the selection."""
    assert spec().selection.mlp_threshold == 0
    room = spec().selection.budget - spec().costs.d_model
    assert room == sum(
        SHAPE.d_model if one.kind == "mlp" else SHAPE.d_head for one in SHAPE.components()
    )


# From how many pairs on each target is met; those that are not here are not met at 80 pairs.
CLAIMED = {
    f"planted causes are found: property, {UNRELATED}": 10,
    f"planted causes are found: property, {LONGER}": 80,
    f"planted causes are not called artefacts: property, {UNRELATED}": 5,
    f"planted causes are not called artefacts: property, {LONGER}": 5,
    f"length artefacts are called so: first, {UNRELATED}": 5,
    f"length artefacts are called so: first, {LONGER}": 5,
    f"length artefacts are called so: position, {UNRELATED}": 10,
    f"length artefacts are not called specific: first, {UNRELATED}": 5,
    f"length artefacts are not called specific: first, {LONGER}": 5,
    f"length artefacts are not called specific: position, {UNRELATED}": 5,
    f"length artefacts are not called specific: position, {LONGER}": 5,
    f"false alarms are rare: noise, {UNRELATED}": 5,
    f"false alarms are rare: noise, {LONGER}": 5,
    f"false alarms are rare: noise, {CONFOUNDED}": 5,
    f"false alarms are rare: filler, {UNRELATED}": 5,
    f"false alarms are rare: filler, {LONGER}": 5,
    f"intervals hold the truth: {ALL_ROLES}, {UNRELATED}": 10,
    f"intervals hold the truth: {ALL_ROLES}, {LONGER}": 10,
}


def shown_rates() -> list[tuple[str, str, list[float]]]:
    """The rates that the README shows: scenario, word, and a rate for each number of pairs."""
    section = (
        (ROOT / "README.md")
        .read_text(encoding="utf-8")
        .split("## How often its words are right")[1]
    )
    table = section.split("## ")[0].split("\n| ---")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[1:]]
    return [
        (f"{role}, {source}", word, [float(rate.rstrip("%")) / 100 for rate in rates])
        for role, source, word, *rates, _ in rows
    ]


def test_the_readme_shows_rates_of_every_role() -> None:
    shown = shown_rates()
    assert {scenario.partition(",")[0] for scenario, _, _ in shown} == {*ROLES, ALL_ROLES}
    assert all(len(rates) == len(PAIRS) for _, _, rates in shown)


@pytest.mark.slow
def test_the_verifier_is_right_as_often_as_is_claimed(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "calibration.rates", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
    )
    figures = json.loads((tmp_path / "calibration.json").read_text(encoding="utf-8"))
    assert figures["models"] >= 200
    met = {target["name"]: target["met_from_pairs"] for target in figures["targets"]}
    late = {
        name: met[name]
        for name, claimed in CLAIMED.items()
        if met[name] is None or met[name] > claimed
    }
    assert late == {}
    measured = {
        (row["scenario"], row["word"], row["pairs"]): row["rate"] for row in figures["rows"]
    }
    for scenario, word, rates in shown_rates():
        found = [measured[scenario, word, pairs] for pairs in PAIRS]
        # One of the hundredths that are shown: a word on the edge may turn with the last digits.
        assert rates == pytest.approx(found, abs=0.01), (scenario, word)
    assert "## Targets" in (tmp_path / "calibration.md").read_text(encoding="utf-8")
