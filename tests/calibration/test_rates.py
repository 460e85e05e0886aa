from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scipy.stats import binomtest

from calibration import rates as calibration
from calibration.choosing import CHOOSING
from calibration.choosing import SHAPE as SMALL
from calibration.observed import (
    ANY_WORD,
    COMES_AGAIN,
    FALSE_WORDS,
    LARGER_PROPERTY,
    OVERSTATED,
    RIGHT_SPECIFIC,
    SCORE_HELD,
    SHARE_HELD,
    SPECIFIC,
    Seen,
    observe,
)
from calibration.prompts import SPLIT, observe_split
from calibration.rates import (
    JUDGING,
    PAIRS,
    PARTS,
    Job,
    Target,
    content,
    how_often,
    look,
    met_from,
    page,
    rates_of,
    targets,
)
from calibration.strangers import STRANGERS
from replication.report.how_often import HowOften
from replication.report.own_measurements import Rate
from tests.paths import ROOT

PROPERTY = next(one.name for one in STRANGERS if one.has_property)
NOTHING = next(one.name for one in STRANGERS if not one.has_property)


def seen(hits: float, seed: int = 0, what: str = ANY_WORD, of: int = 1, pairs: int = 20) -> Seen:
    return Seen(NOTHING, pairs, seed, what, hits, of)


@pytest.mark.parametrize(("hits", "models"), [(0, 10), (3, 10), (10, 10), (1, 200), (190, 200)])
def test_a_rates_interval_is_the_exact_one(hits: int, models: int) -> None:
    (rate,) = rates_of([seen(seed < hits, seed) for seed in range(models)])
    expected = binomtest(hits, models).proportion_ci(0.95, "exact")
    assert (rate.rate, rate.n) == (hits / models, models)
    assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high))


def test_components_of_one_model_do_not_make_a_rate_surer() -> None:
    (once,) = rates_of([seen(seed < 2, seed) for seed in range(8)])
    (more,) = rates_of([seen(5 * (seed < 2), seed, of=5) for seed in range(8)])
    assert (more.rate, more.low, more.high) == (once.rate, once.low, once.high)
    assert (once.n, more.n) == (8, 40)


def test_points_are_a_mean_with_its_error() -> None:
    (rate,) = rates_of([seen(points, seed, OVERSTATED) for seed, points in enumerate((-4, -2, 0))])
    assert rate.rate == pytest.approx(-0.02)
    assert (rate.low, rate.high) == pytest.approx((-0.02 - 0.04 / 3**0.5, -0.02 + 0.04 / 3**0.5))


def test_rates_are_apart_by_generator_number_and_share() -> None:
    shares: list[tuple[float, float] | None] = [(0.25, 0.5), (0.5, 1.0), None]
    found = [Seen(NOTHING, 20, 0, SPECIFIC, 1, 2, share) for share in shares]
    found += [Seen(PROPERTY, 20, 0, SPECIFIC, 1, 2), Seen(NOTHING, 40, 0, SPECIFIC, 1, 2)]
    words = {(rate.scenario, rate.pairs, rate.word) for rate in rates_of(found)}
    assert words == {
        (NOTHING, 20, f"{SPECIFIC}, share 25% to 50%"),
        (NOTHING, 20, f"{SPECIFIC}, share 50% to 100%"),
        (NOTHING, 20, SPECIFIC),
        (NOTHING, 40, SPECIFIC),
        (PROPERTY, 20, SPECIFIC),
    }


def rate(pairs: int, low: float, high: float) -> Rate:
    return Rate(pairs=pairs, scenario=NOTHING, word=ANY_WORD, rate=low, low=low, high=high, n=200)


@pytest.mark.parametrize(
    ("lows", "met"),
    [
        ([0.0] * 4, 5),
        ([0.2, 0.051, 0.05, 0.0], 20),
        ([0.0, 0.2, 0.0, 0.0], 20),
        ([0, 0, 0, 0.06], None),
    ],
)
def test_a_target_is_met_from_where_it_stays_met(lows: list[float], met: int | None) -> None:
    target = Target("no word", NOTHING, ANY_WORD, high=0.05)
    found = [rate(pairs, low, low + 0.1) for pairs, low in zip(PAIRS, lows, strict=True)]
    assert met_from(target, found) == met


def test_a_rate_below_what_is_wanted_is_no_met_target() -> None:
    target = Target("words", NOTHING, ANY_WORD, low=0.95)
    assert met_from(target, [rate(20, 0.90, 0.949)]) is None
    assert met_from(target, [rate(20, 0.90, 0.95)]) == 20


def test_every_judging_generator_has_targets_and_no_choosing_one_has() -> None:
    named = {target.generator for target in targets()}
    assert named == {*(one.name for one in STRANGERS), SPLIT}
    assert not named & {one.name for one in CHOOSING}


def test_the_generators_that_judge_share_nothing_with_those_that_chose() -> None:
    text = "".join(
        (ROOT / "calibration" / name).read_text(encoding="utf-8")
        for name in ("strangers.py", "made_up_models.py", "language.py")
    )
    assert "replication.controls" not in text
    assert "choosing" not in text


def test_the_page_says_what_is_met_and_what_is_missed() -> None:
    found = [rate(pairs, 0.0, 0.02) for pairs in PAIRS[:3]] + [rate(40, 0.2, 0.3)]
    lines = page(found, 4).splitlines()
    (line,) = (line for line in lines if line.startswith("| no property: no word |"))
    assert "| at most 5% | 0.0% (0.0–2.0%) |" in line
    assert "**20.0% (20.0–30.0%) missed** |" in line
    assert f"### {NOTHING}" in lines
    figures = json.loads(json.dumps(content(found, 4)))
    assert figures["models"] == 4
    (target,) = figures["targets"]
    assert target == {
        "name": f"no property: no word: {NOTHING}",
        "target": "at most 5%",
        "met_from_pairs": None,
    }
    assert {one["part"] for one in figures["generators"]} == set(PARTS)


def test_how_often_a_word_is_right_is_over_all_generators_with_the_property() -> None:
    bounds = (0.25, 0.5)
    found = [
        Seen(PROPERTY, 20, seed, RIGHT_SPECIFIC, hits, 2, bounds)
        for seed, hits in enumerate((2, 2, 1, 2))
    ]
    found.append(Seen(NOTHING, 20, 0, RIGHT_SPECIFIC, 0, 50, bounds))
    found.append(Seen(PROPERTY, 20, 0, LARGER_PROPERTY, 1, 10))
    right, mistaken = how_often(found)
    assert (right.question, right.word, right.clusters, right.share) == (
        "right",
        "specific",
        20,
        bounds,
    )
    assert (right.rate, right.n) == (7 / 8, 8)
    assert (mistaken.question, mistaken.word, mistaken.rate) == ("mistaken", "artefact", 0.1)


def whats(found: list[Seen]) -> set[str]:
    return {one.what for one in found}


def test_a_model_without_the_property_is_looked_at_for_words_intervals_and_the_circuit() -> None:
    found = list(observe(STRANGERS[0], calibration.SHAPES[JUDGING], seed=0, n_pairs=10))
    assert {ANY_WORD, SCORE_HELD, COMES_AGAIN, OVERSTATED} <= whats(found)
    assert FALSE_WORDS not in whats(found)
    assert found == list(observe(STRANGERS[0], calibration.SHAPES[JUDGING], seed=0, n_pairs=10))


def test_a_model_with_the_property_is_looked_at_by_its_share() -> None:
    generator = next(one for one in CHOOSING if one.name == "31 respond")
    found = list(observe(generator, SMALL, seed=1, n_pairs=20))
    of = {(one.what, one.of_share): one for one in found}
    large = of[SPECIFIC, (0.5, 1.0)]
    # 80% of the squared score, 20 pairs: those of this share are found, and those below the bound
    # are not called specific.
    assert large.hits == large.of == 6
    assert of[SPECIFIC, (0.0, 0.1)].hits == 0
    assert of[SHARE_HELD, None].of == 31
    assert SCORE_HELD not in whats(found)


def test_real_prompts_are_split_at_random() -> None:
    one, other = observe_split(0), observe_split(1)
    assert {found.generator for found in one} == {SPLIT}
    assert {found.pairs for found in one} == {20, 40, 68}
    assert one != other


def test_a_job_is_one_model_on_every_number_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "PAIRS", (5, 6))
    found = look(Job(JUDGING, 2, 3))
    assert {one.pairs for one in found} == {5, 6}
    assert {(one.generator, one.seed) for one in found} == {(STRANGERS[2].name, 3)}


def shipped() -> list[HowOften]:
    path = ROOT / "replication" / "report" / "how_often.json"
    return [HowOften.model_validate(one) for one in json.loads(path.read_text(encoding="utf-8"))]


def test_what_reports_quote_is_of_every_word_and_number_of_pairs() -> None:
    found = {(one.question, one.word, one.clusters) for one in shipped()}
    assert {
        ("right", "specific", 20),
        ("right", "differs", 20),
        ("mistaken", "artefact", 20),
    } <= found
    assert {clusters for _, word, clusters in found if word == "not shown"} == set(PAIRS)


def shown_rates() -> list[list[str]]:
    """The rows of the document's table."""
    text = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    section = text.split("## How often its words are right")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows[2:]]


def test_the_document_shows_what_reports_quote() -> None:
    by_key = {
        (one.question, one.clusters, one.share): one.rate
        for one in shipped()
        if one.word != "differs"
    }
    quoted = 0
    for _, of, _, *rates in shown_rates():
        if "share of" not in of:
            continue
        question = "found" if "true share" in of else "right"
        low, high = (float(end) / 100 for end in re.findall(r"(\d+)%", of))
        for pairs, rate in zip(PAIRS, rates, strict=True):
            measured = by_key.get((question, pairs, (low, high)))
            assert rate == ("" if measured is None else f"{100 * measured:.1f}%"), (of, pairs)
            quoted += 1
    assert quoted == 6 * len(PAIRS)


def test_the_document_shows_the_worst_rates_of_the_committed_page() -> None:
    page_text = (ROOT / "docs" / "sample" / "calibration.md").read_text(encoding="utf-8")
    targets_text = page_text.split("## Targets")[1].split("\n## ")[0]
    for _, of, _, *rates in shown_rates():
        if "share of" not in of:
            for rate in filter(None, rates):
                assert f"{rate} (" in targets_text, (of, rate)


@pytest.mark.slow
def test_the_controls_are_right_as_often_as_is_claimed(tmp_path: Path) -> None:
    """A tenth of the models: without the property, words are as rare as they are to be."""
    subprocess.run(
        [sys.executable, "-m", "calibration.rates", str(tmp_path), "20"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
    )
    figures = json.loads((tmp_path / "calibration.json").read_text(encoding="utf-8"))
    again = {(row["scenario"], row["word"], row["pairs"]): row for row in figures["rows"]}
    text = (ROOT / "docs" / "sample" / "calibration.md").read_text(encoding="utf-8")
    assert "## Targets" in text
    for one in STRANGERS:
        if not one.has_property and "mark" not in one.name:
            for pairs in PAIRS:
                assert again[one.name, ANY_WORD, pairs]["low"] <= 0.05, (one.name, pairs)
