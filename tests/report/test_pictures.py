"""The pictures: what they draw, that they can be drawn, and that the committed sample is theirs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from docs.draw_sample import SAMPLE, sample_pictures
from replication.report.pictures import pictures
from replication.report.pictures.theme import PALETTES
from replication.report.rows import components

SHAPE = {"n_layers": 2, "n_heads": 3, "d_model": 8, "d_head": 2}
FIGURES: dict[str, Any] = {
    "shape": SHAPE,
    "mlp_threshold": 2.0,
    "budget": 30,
    "nodes": ["input", "m1", "a0.h2", "a1.h0"],
    "cost": 20,
    "scores": {"m0": 1.0, "m1": [2.95, 3.05], "a0.h2": 0.9, "a1.h0": 0.7, "a1.h1": 0.5},
    "cut": {"last_in": "a1.h0", "first_out": "a1.h1", "score": 0.6},
}


def labels(spec: pictures.Spec) -> list[str]:
    """What the marks of the drawn picture say to a screen reader."""
    return re.findall(r'aria-label="([^"]+)" role="graphics-symbol"', pictures.svg(spec))


def test_rows_say_what_is_known_of_each_component_and_what_is_not() -> None:
    rows = {row["component"]: row for row in components(FIGURES)}
    assert list(rows) == ["input", "m0", "m1", *(f"a{x}.h{y}" for x in range(2) for y in range(3))]
    assert rows["m1"]["score"] == pytest.approx(3.0)
    assert rows["m1"]["distance"] == pytest.approx(1.0)
    assert rows["a1.h1"]["rank in words"] == "3 of 3 listed heads"
    assert rows["a1.h1"]["distance in words"] == "-0.1"
    assert rows["a0.h0"]["score in words"] == "not published"
    assert rows["a0.h0"]["rank in words"] == "not known"
    assert [name for name, row in rows.items() if row["selected"]] == FIGURES["nodes"]

    verified = [{"component": "m1", "interval": [2.5, 3.5], "selection_probability": 0.9}]
    known = {row["component"]: row for row in components(FIGURES, verified)}
    assert known["m1"]["interval in words"] == "2.5 to 3.5"
    assert known["m0"]["interval in words"] == "not computed"


def test_the_circuit_is_drawn_with_a_cell_for_each_component_and_an_outline_for_its_nodes() -> None:
    spec = pictures.circuit(components(FIGURES), SHAPE)
    assert len(labels(spec)) == 1 + 2 + 6
    drawn = pictures.svg(spec)
    outlined = re.findall(r'aria-label="([^:"]+):[^>]*stroke-width="2.2"', drawn)
    assert sorted(outlined) == sorted(FIGURES["nodes"])


def test_a_circuit_without_scores_and_scores_without_a_circuit_are_drawn() -> None:
    bare = {**FIGURES, "scores": None, "cut": None}
    assert len(labels(pictures.circuit(components(bare), SHAPE))) == 9
    loose = components({**FIGURES, "nodes": None, "cost": None, "cut": None})
    assert len(labels(pictures.mlp_scores(loose))) == 2
    assert len(labels(pictures.head_scores(loose, []))) == 3


def test_bars_show_the_threshold_the_cut_off_and_what_lies_near_it() -> None:
    rows = components(FIGURES)
    assert "threshold 2" in pictures.svg(pictures.mlp_scores(rows))
    heads = pictures.svg(pictures.head_scores(rows, ["a1.h0", "a1.h1"]))
    assert "cut-off" in heads
    assert "0.6" in heads
    assert len(labels(pictures.head_scores(rows, ["a1.h0", "a1.h1"]))) == 3 + 2


def test_the_line_of_the_length_picture_is_what_length_alone_predicts() -> None:
    data = {"component": "m0", "by_pair": [4.0, 2.0], "length_norm": 100.0}
    lengths = {"inverse_differences": [0.02, 0.0], "matched_pairs": [2]}
    spec = pictures.length(data, lengths)
    assert spec["layer"][0]["data"]["values"][-1] == {"difference": 0.02, "score": 2.0}
    assert labels(spec) == [
        "m0, pair 1: score 4 at a difference of 0.02",
        "m0, pair 2: score 2 at a difference of 0",
    ]


def test_same_side_scores_are_shown_as_a_share_of_the_pairs() -> None:
    one = {"component": "m0", "score": 2.0, "same_side_quantiles": [0.5, 1.0, 1.5, 2.0, 4.0]}
    (row,) = pictures.null([one])["data"]["values"]
    shares = [row[key] for key in ("least", "q25", "median", "q75", "most")]
    assert shares == [0.25, 0.5, 0.75, 1.0, 2.0]


def test_no_picture_names_a_colour_so_both_looks_hold_everywhere() -> None:
    for name, spec in sample_pictures().items():
        assert not re.search(r"#[0-9a-f]{3,6}\b", str(spec)), name
        light, dark = (pictures.svg(spec, look=look) for look in ("light", "dark"))
        assert PALETTES["light"]["paper"] in light
        assert PALETTES["light"]["muted"] not in dark


@pytest.mark.parametrize("look", PALETTES)
def test_the_committed_sample_is_what_the_experiments_give(look: str) -> None:
    for name, spec in sample_pictures().items():
        kept = (SAMPLE / f"{name}-{look}.svg").read_text(encoding="utf-8")
        said = re.findall(r'aria-label="([^"]+)"', kept)
        assert said == re.findall(r'aria-label="([^"]+)"', pictures.svg(spec, look=look)), name
        assert Path(SAMPLE / f"page-{look}.png").read_bytes().startswith(b"\x89PNG")
