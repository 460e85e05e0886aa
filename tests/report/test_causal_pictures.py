"""The pictures of the fourth question: what they draw, that they can be drawn, and their bounds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from replication.report.causal_record import CausalRecord, FaithfulnessRecord
from replication.report.pictures.causal import ENDS, cells, curve
from replication.report.pictures.effects import DEEPEST, differs_and_matters, effects
from replication.report.pictures.names import Point, placed
from replication.report.pictures.svg import svg
from tests.report.causal import SHAPE, shown
from tests.report.test_pictures import labels


@pytest.fixture(scope="module")
def found() -> CausalRecord:
    return shown()


def marks(spec: dict[str, Any]) -> str:
    return "\n".join(labels(spec))


def test_the_curve_has_a_point_for_each_size_and_one_for_the_circuit(found: CausalRecord) -> None:
    spec = curve(found)
    said = labels(spec)
    assert len(said) == len(found.curve.sizes) + 1
    assert said[0].startswith("the best 1 keep ")
    assert said[-1].startswith("mine, of 4 components, keep 99.")
    assert "20 matched circuits" in spec["description"]


def test_what_runs_away_stands_at_the_end_of_the_axis(found: CausalRecord) -> None:
    away = found.curve.model_copy(
        update={
            "shares": [-50.0, *found.curve.shares[1:]],
            "intervals": [(None, None), *found.curve.intervals[1:]],
        }
    )
    first = curve(found.model_copy(update={"curve": away}))["data"]["values"][0]
    assert (first["share"], first["low"], first["high"]) == (ENDS[0], *ENDS)
    assert first["in words"] == "the best 1 keep -5,000%, interval without bounds"


def test_the_effects_stand_on_the_grid_with_signs_and_outlines(found: CausalRecord) -> None:
    spec = effects(found, SHAPE)
    assert len(labels(spec)) == 1 + 12
    assert "m0: 39.9% of the behaviour goes with it" in marks(spec)
    outlined = re.findall(r'aria-label="([^:"]+):[^>]*stroke-width="2.2"', svg(spec))
    assert sorted(outlined) == ["a0.h1", "a1.h0", "a2.h2", "input", "m0"]
    signs = {one["component"]: one["sign"] for one in spec["data"]["values"]}
    assert {name: sign for name, sign in signs.items() if sign} == {
        "input": "+",
        "m0": "+",
        "a0.h1": "+",
        "a2.h2": "−",
    }
    assert max(abs(one["depth"]) for one in spec["data"]["values"]) <= DEEPEST
    assert "A plus marks 3 that are necessary, a minus 1 that work against" in spec["description"]


def test_what_differs_stands_against_what_matters_and_the_extremes_are_named(
    found: CausalRecord,
) -> None:
    spec = differs_and_matters(found)
    assert len(labels(spec)) == 12
    drawn = svg(spec)
    named = set(re.findall(r"<text[^>]*>([am][0-9.h]+)</text>", drawn))
    assert {"m0", "a0.h1", "a2.h2", "m1"} <= named
    assert 5 <= len(named) <= 10
    assert "Of the 5 that differ most, " in spec["description"]


def test_scores_of_zero_have_no_place_on_a_logarithmic_axis_and_are_left_out(
    found: CausalRecord,
) -> None:
    flat = [one.model_copy(update={"differential": 0.0}) for one in found.components]
    spec = differs_and_matters(found.model_copy(update={"components": flat}))
    assert labels(spec) == []
    assert spec["description"].startswith("Each of 0 components")


def test_every_cell_has_a_mark_for_each_circuit_and_the_judged_one_is_named(
    found: CausalRecord,
) -> None:
    panels = cells(found, "ratio of means")
    assert [panel["title"] for panel in panels] == ["ablate, all", "restore, all"]
    assert [len(labels(panel)) for panel in panels] == [8, 4]
    assert ["judged" in svg(panel) for panel in panels] == [True, False]
    assert ["judged" in svg(panel) for panel in cells(found, "mean of ratios")] == [False] * 2


def test_what_lies_beyond_the_axis_is_a_triangle_at_its_end(found: CausalRecord) -> None:
    def moved(one: FaithfulnessRecord) -> FaithfulnessRecord:
        is_first = one.cell.value == "zero" and one.circuit == "mine"
        return one.model_copy(update={"share": -19.8, "is_told": False}) if is_first else one

    changed = found.model_copy(update={"faithfulness": list(map(moved, found.faithfulness))})
    panel = cells(changed, "ratio of means")[0]
    assert "1 lie beyond the axis" in panel["description"]
    (away,) = [one for one in panel["data"]["values"] if one["shape"] == "triangle-left"]
    assert away["share"] == ENDS[0]
    assert "mine keeps -1,980%" in away["in words"]
    assert away["in words"].endswith("not told from none")


def test_no_picture_names_a_colour(found: CausalRecord) -> None:
    specs = [curve(found), effects(found, SHAPE), differs_and_matters(found)]
    for spec in [*specs, *cells(found, "ratio of means")]:
        assert not re.search(r"#[0-9a-f]{3,6}\b", str(spec))
        assert len(spec["description"]) > 20


def test_names_stand_where_they_cover_no_other_name_or_mark() -> None:
    points = [Point("m26", 100, 50), Point("m27", 101, 52), Point("m28", 104, 47)]
    found = placed(points, points, 420)
    assert len({(one.align, one.dx, one.dy) for one in found}) == 3
    (last,) = placed([Point("a29.h10", 415, 50)], [], 420)
    assert last.align == "right"
