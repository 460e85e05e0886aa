from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration import cause_rates
from calibration.cause_generators import CHOOSING, CIRCUITS, STRANGERS, true_faithfulness
from calibration.cause_rates import (
    BEATS,
    BOTH_REDUNDANT,
    CLUSTERS,
    COUNTS_UNUSED,
    ENGINE,
    EQUIVALENT,
    FOUND,
    HELD,
    MISSED,
    calibrate,
    content,
    look,
    look_at_faithfulness,
    look_at_nothing,
    look_by_engine,
    page,
    targets,
)
from calibration.causes import COMBINED, OPPOSED, answers
from calibration.observed import Seen
from calibration.rates import bounds, met_from, rates_of
from replication.report.own_measurements import Calibration, Rate
from tests.paths import ROOT

SAMPLE = ROOT / "docs" / "sample"
EVEN = CHOOSING[0]


@cache
def figures() -> dict[str, Any]:
    return json.loads((SAMPLE / "causes.json").read_text(encoding="utf-8"))


def committed_rates() -> list[Rate]:
    return Calibration.model_validate(figures()).rows


def test_the_committed_page_says_what_its_figures_say() -> None:
    text = (SAMPLE / "causes.md").read_text(encoding="utf-8")
    versions = text.split("Measured with: ")[1]
    again = page(committed_rates(), figures()["models"]).split("Measured with: ")
    assert f"{again[0]}Measured with: {versions}" == text


def test_the_document_shows_the_lowest_and_the_highest_rates_of_the_judging_generators() -> None:
    text = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    section = text.split("## How often its causal words are right")[1].split("\n## ")[0]
    shown = [line for line in section.splitlines() if line.startswith("| ")][2:]
    judging = [one for one in targets() if one.generator in {own.name for own in STRANGERS}]
    for line in shown:
        name, wanted, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        alike = [one for one in judging if one.name == name]
        assert {bounds(one) for one in alike} == {wanted}
        for clusters, cell in zip(CLUSTERS, cells, strict=True):
            of_target = [rate for one in alike for rate in one.rates(committed_rates())]
            rates = [rate.rate for rate in of_target if rate.pairs == clusters]
            assert cell == (f"{min(rates):.1%} to {max(rates):.1%}" if rates else "")
    assert FOUND in section
    assert len(shown) == 10


def test_the_committed_figures_say_which_targets_are_reached() -> None:
    stated = {one["name"]: one["met_from_pairs"] for one in figures()["targets"]}
    found = {
        f"{one.name}: {one.generator}": met_from(one, committed_rates())
        for one in targets()
        if one.rates(committed_rates())
    }
    assert stated == found
    assert len(found) > 100


def test_the_page_knows_why_each_target_is_missed_that_is() -> None:
    text = (SAMPLE / "causes.md").read_text(encoding="utf-8")
    missed = {
        one.name
        for one in targets()
        if not all(one.is_met(rate) for rate in one.rates(committed_rates()))
    }
    assert missed == set(MISSED)
    assert all(f"- Missed: {name}: {reason}\n" in text for name, reason in MISSED.items())


def test_a_rate_that_misses_its_target_is_shown_as_missed() -> None:
    name = STRANGERS[0].name
    rates = [
        Rate(pairs=clusters, scenario=name, word=FOUND, rate=0.2, low=0.2, high=0.3, n=9)
        for clusters in CLUSTERS
    ]
    (line,) = (one for one in page(rates, 4).splitlines() if one.startswith(f"| {FOUND} | {name}"))
    assert line.count("missed**") == len(CLUSTERS)
    assert "| at most 5% | missed |" in line


def test_every_judging_generator_has_targets_and_no_choosing_one_has() -> None:
    judged = {one.generator for one in targets()}
    assert judged == {*(one.name for one in STRANGERS), *(one.name for one in ENGINE)}
    assert not judged & {one.name for one in CHOOSING}


@pytest.mark.parametrize("generator", [*CHOOSING, *STRANGERS], ids=lambda one: one.name)
def test_what_is_drawn_has_the_planted_shares(generator: Any) -> None:
    """Over many clusters each component takes its share alone, and noise none."""
    causes = generator.plant(0)
    values = generator.draw(causes, 8000, np.random.default_rng(0))
    each = np.eye(1 + len(causes.parts), dtype=bool)
    nothing = np.zeros((1, len(each)), dtype=bool)
    whole, empty = (answers(causes, values, one)[0] for one in (nothing, ~nothing))
    gone = (whole - answers(causes, values, each)).mean(axis=1) / (whole - empty).mean()
    expected = {"used": None, "combining": COMBINED, "against": OPPOSED}
    for share, part in zip(gone[1:], causes.parts.values(), strict=True):
        true = part.weight if part.role == "used" else expected.get(part.role, 0.0)
        if part.role == "primary":
            true = part.weight * (1 - causes.backed)
        assert share == pytest.approx(true, abs=0.025), part


def test_the_true_faithfulness_is_what_the_circuits_components_make() -> None:
    truth = true_faithfulness(0, is_judging=False)
    assert truth["planted"] == pytest.approx(1 - OPPOSED, abs=0.01)
    assert truth["partial"] == pytest.approx(0.3 + 0.2 + 0.05 + 0.1 + OPPOSED, abs=0.01)


def by_what(found: Any) -> dict[str, Seen]:
    return {one.what: one for one in found}


def test_a_model_is_looked_at_for_the_words_on_every_role() -> None:
    found = by_what(look(EVEN, 0, 20))
    assert found["used, 30%: necessary"].hits == 1
    assert found["against: against"].hits == 1
    assert found["ignored: not used"].hits == found["ignored: not used"].of
    assert found["backup: redundant"].hits == 1
    assert found["primary, 100% backed: redundant"].hits == 1
    assert found[BOTH_REDUNDANT].hits == 1
    assert found[COUNTS_UNUSED].hits == 0
    assert BEATS in found
    assert found == by_what(look(EVEN, 0, 20))
    assert found != by_what(look(EVEN, 1, 20))


def test_a_backup_that_makes_up_for_a_part_is_found() -> None:
    half = next(one for one in CHOOSING if one.name == "half backed")
    found = by_what(look(half, 1, 40))
    assert found["primary, 50% backed: necessary"].hits == 1
    assert found["backup: redundant"].hits == 1


def test_an_interval_that_is_off_the_truth_does_not_hold_it() -> None:
    truth = true_faithfulness(0, is_judging=False)
    found = by_what(look_at_faithfulness(EVEN, truth, 0, 40))
    off = by_what(look_at_faithfulness(EVEN, dict.fromkeys(truth, 3.0), 0, 40))
    for circuit in CIRCUITS:
        assert found[f"{HELD}, {circuit} circuit"].hits == 1
        assert off[f"{HELD}, {circuit} circuit"].hits == 0
        assert off[f"{EQUIVALENT}, {circuit} circuit"].hits == 1


def test_few_models_without_an_effect_have_one_found() -> None:
    found = [seen for seed in range(20) for seen in look_at_nothing(EVEN, seed, 20)]
    assert sum(one.hits for one in found if one.what == FOUND) <= 4


@pytest.mark.slow
def test_a_model_that_the_engine_runs_is_looked_at() -> None:
    found = by_what(look_by_engine(ENGINE[0], 0, 20))
    assert found["used, 30%: necessary"].hits == 1
    assert found["bystander: necessary"].hits == 0
    assert found[BOTH_REDUNDANT].hits == 1


def test_where_methods_were_chosen_a_fifth_of_the_models_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cause_rates, "CLUSTERS", (10,))
    monkeypatch.setattr(cause_rates, "ENGINE", ())
    monkeypatch.setattr(cause_rates, "CHOOSING", CHOOSING[:1])
    monkeypatch.setattr(cause_rates, "STRANGERS", STRANGERS[:1])
    monkeypatch.setattr(cause_rates, "FAITHFULNESS_DRAWS", 2)
    rates = {(one.scenario, one.word): one for one in rates_of(calibrate(5))}
    assert (rates[EVEN.name, FOUND].n, rates[STRANGERS[0].name, FOUND].n) == (1, 5)
    held = f"{HELD}, planted circuit"
    assert (rates[EVEN.name, held].n, rates[STRANGERS[0].name, held].n) == (2, 10)
    assert content([*rates.values()], 5)["models"] == 5


@pytest.mark.slow
def test_the_words_are_right_as_often_as_is_claimed(tmp_path: Path) -> None:
    """A twentieth of the models: what was reached is not clearly missed."""
    subprocess.run(
        [sys.executable, "-m", "calibration.cause_rates", str(tmp_path), "8"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
    )
    again = json.loads((tmp_path / "causes.json").read_text(encoding="utf-8"))
    rates = Calibration.model_validate(again).rows
    reached = {one["name"] for one in figures()["targets"] if one["met_from_pairs"] is not None}
    for target in targets():
        if f"{target.name}: {target.generator}" in reached and target.rates(rates):
            last = max(target.rates(rates), key=lambda rate: rate.pairs)
            assert target.is_met(last) or abs(last.rate - target.low) < 0.3, target
