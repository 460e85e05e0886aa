"""Scores over those of random weights: the arithmetic, and what a report says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from replication.circuits.components import ModelShape
from replication.controls.not_computed import NotComputed
from replication.controls.random_weights import held_against, over_random
from replication.controls.verify import verify
from replication.engine.random_weights import Architecture, RandomWeights
from replication.evidence.evidence import Evidence
from replication.evidence.random_weights import NoRandomWeights
from replication.report.controls_text import controls_markdown
from replication.report.handover import controls_records
from replication.report.page.gallery import CONTROL_COLUMNS
from replication.report.record import ControlsRecord
from tests.make import make_spec, means, measured_of

pytestmark = pytest.mark.numeric

SHAPE = ModelShape(n_layers=2, n_heads=2, d_model=8, d_head=4)
COMPONENTS = SHAPE.components()


def random(
    scores: Sequence[Sequence[float]],
    recorded_in: str | None = None,
    initializer_range: float | None = None,
) -> RandomWeights:
    architecture = Architecture("gpt2", "0" * 64, initializer_range)
    return RandomWeights(tuple(range(len(scores))), np.array(scores), architecture, recorded_in)


def test_a_score_is_given_over_the_point_below_which_95_of_100_of_its_kind_lie() -> None:
    # Of MLPs 1 to 4; of heads 10 to 80. The point lies 95% of the way from the first to the last.
    found = held_against(
        np.array([3.85, 7.7, 76.5, 153.0, 7.65, 0.0]),
        random([[1, 2, 10, 20, 30, 40], [3, 4, 50, 60, 70, 80]]),
        COMPONENTS,
    )
    assert found.points == pytest.approx({"mlp": 3.85, "head": 76.5})
    assert found.ratio == pytest.approx([1, 2, 1, 2, 0.1, 0])


def test_neither_the_order_of_the_seeds_nor_of_a_kind_changes_a_ratio() -> None:
    scores = np.random.default_rng(0).random((5, 6))
    own = np.arange(1.0, 7.0)
    expected = held_against(own, random(scores.tolist()), COMPONENTS).ratio
    turned = scores[::-1, [1, 0, 5, 4, 3, 2]]
    assert held_against(own, random(turned.tolist()), COMPONENTS).ratio == pytest.approx(expected)


@pytest.mark.parametrize("nearly", [0.0, 5e-324])
def test_over_nothing_there_is_no_ratio(nearly: float) -> None:
    found = held_against(np.ones(6), random([[1, 1, *[nearly] * 4]] * 5), COMPONENTS)
    assert found.ratio[:2].tolist() == [1, 1]
    assert np.isnan(found.ratio[2:]).all()


def record_with(found: RandomWeights | NoRandomWeights) -> ControlsRecord:
    spec = make_spec(SHAPE, verification={"resamples": 50})
    measured = replace(measured_of(spec, means(SHAPE)), random=found)
    evidence = Evidence("recorded", spec, SHAPE, {spec.measures: measured})
    (record,) = controls_records(verify(evidence), evidence)
    return record


def test_a_report_shows_the_points_the_ratios_and_what_scores_no_higher() -> None:
    spec = make_spec(SHAPE)
    own = measured_of(spec, means(SHAPE)).means
    low, high = own / 2, own * 4
    record = record_with(random([[*high[:2], *low[2:]]] * 5, "random_weights.json", 0.0417))
    by_name = {one.component: one.over_random for one in record.components}
    points = {
        "mlp": np.quantile(np.repeat(high[:2], 5), 0.95),
        "head": np.quantile(np.repeat(low[2:], 5), 0.95),
    }
    assert record.random_weights is not None
    assert record.random_weights.points == pytest.approx(points)
    assert record.random_weights.seeds == [0, 1, 2, 3, 4]
    assert record.random_weights.initializer_range == 0.0417
    for component, score in zip(COMPONENTS, own, strict=True):
        assert by_name[str(component)] == pytest.approx(score / points[component.kind])
    text = "\n".join(controls_markdown([record]))
    assert (
        "- **Random weights**: in 5 models of this architecture that learned nothing"
        " (random_weights.json; weights begin with a standard deviation of 0.0417) 95% of the MLPs"
        f" score at most {points['mlp']:.4g} and 95% of the"
        f" heads score at most {points['head']:.4g}.\n"
    ) in text
    mlps = [one.component for one in record.components if one.kind == "mlp"]
    heads = [one.component for one in record.components if one.kind == "head"]
    best = ", ".join(f"{name} {by_name[name]:.3g}" for name in (*heads[:3], *mlps))
    said = "The circuit's best score so many times that point of their kind: "
    assert sorted(best.split(", ")) == sorted(
        text.partition(said)[2].partition(".\n")[0].split(", ")
    )
    assert (
        "Of the 6 components selected 2 score no higher than that, and a model that learned nothing"
        f" scores as high: {mlps[0]}, {mlps[1]}."
    ) in text
    assert " over random weights |" in text
    column = CONTROL_COLUMNS["over random weights"]
    assert [column(one) for one in record.components] == [
        f"{one.over_random:.3g}" for one in record.components
    ]


def test_where_all_score_higher_nothing_is_said_of_any_that_does_not() -> None:
    record = record_with(random([[0.01] * 6] * 5))
    text = "\n".join(controls_markdown([record]))
    assert "learned nothing (run with this model) 95% of the MLPs score at most 0.01" in text
    assert "scores as high" not in text


def test_where_there_are_none_the_reason_is_told() -> None:
    none = NoRandomWeights("nobody ran them")
    assert over_random(
        replace(measured_of(make_spec(SHAPE), means(SHAPE)), random=none), COMPONENTS
    ) == NotComputed("nobody ran them")
    record = record_with(none)
    assert record.random_weights is None
    assert record.not_computed["random weights"] == "nobody ran them"
    assert {one.over_random for one in record.components} == {None}
    text = "\n".join(controls_markdown([record]))
    assert "- **Random weights**: not computed: nobody ran them.\n" in text
    assert "over random weights" not in text


def test_it_gives_no_word() -> None:
    low, high = (record_with(random([[point] * 6] * 5)) for point in (1e-6, 1e6))
    assert [one.word for one in low.components] == [one.word for one in high.components]
