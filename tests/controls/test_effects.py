"""Effects by hand: shares, p-values of turned signs, false discoveries, and sets taken out."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import false_discovery_control, skew
from scipy.stats import t as student

from replication.controls.effects import Effects, effects_of, sets_out
from replication.controls.faithfulness import Drawing
from replication.evidence.interventions import Tried
from tests.claims.behaved_evidence import (
    DRAWING,
    EVERYTHING,
    Says,
    behaved_of,
    place,
)

FIVE = Drawing(np.arange(5), 100, 0)
PLACES = {component: row for row, component in enumerate(EVERYTHING)}


def by_hand(values: np.ndarray, clusters: np.ndarray) -> float:
    """The share of all ways to turn clusters' signs that come out as far from nothing."""
    sums = np.array([values[clusters == one].sum() for one in range(clusters.max() + 1)])
    turned = [abs(np.dot(signs, sums)) for signs in product((1, -1), repeat=len(sums))]
    return float(np.mean([one >= abs(sums.sum()) - 1e-9 * max(turned) for one in turned]))


def unskewed_by_hand(values: np.ndarray, clusters: np.ndarray) -> float:
    """Student's t with the skewness taken out, in the form that Hall (1992) gives."""
    sums = np.array([values[clusters == one].sum() for one in range(clusters.max() + 1)])
    if np.ptp(sums) == 0:
        return 0.0
    unit, skewness, n = sums.mean() / sums.std(), skew(sums), len(sums)
    far = unit + skewness * unit**2 / 3 + skewness**2 * unit**3 / 27 + skewness / (6 * n)
    return float(2 * student.sf(abs(far) * (n - 1) ** 0.5, n - 1))


@given(arrays(np.float64, (3, 6), elements=st.integers(-4, 4).map(float)), st.integers(0, 1))
@settings(max_examples=60, deadline=None)
def test_p_values_are_of_every_way_to_turn_signs_or_of_a_t_if_that_is_larger(
    values: np.ndarray, is_clustered: int
) -> None:
    clusters = np.array([0, 0, 1, 2, 3, 3]) if is_clustered else np.arange(6)
    found = effects_of(values, np.ones(6), Drawing(clusters, 50, 0))
    expected = [max(by_hand(row, clusters), unskewed_by_hand(row, clusters)) for row in values]
    assert found.p_value == pytest.approx(expected)
    assert found.q_value == pytest.approx(false_discovery_control(found.p_value))


def test_the_smallest_p_value_is_one_in_all_ways() -> None:
    found = effects_of(np.ones((1, 5)) + np.arange(5) / 10, np.ones(5), FIVE)
    assert found.p_value == pytest.approx([1 / 16])
    none = effects_of(np.zeros((1, 5)), np.ones(5), FIVE)
    assert none.p_value == pytest.approx([1.0])


def test_of_many_clusters_signs_are_drawn_and_the_observed_is_one_more() -> None:
    drawing = Drawing(np.arange(40), 100, 0)
    found = effects_of(np.ones((1, 40)), np.ones(40), drawing)
    assert found.p_value == pytest.approx([1 / 10_001])


def test_effects_are_shares_of_the_behaviour_with_its_sign() -> None:
    behaviour = np.array([2.0, 4.0, 3.0, 1.0, 2.0])
    values = np.array([0.5 * behaviour, -0.25 * behaviour, [1.0, -1.0, 0.0, 0.0, 0.0]])
    found = effects_of(values, behaviour, FIVE)
    assert found.share == pytest.approx([0.5, -0.25, 0.0])
    assert found.mean == pytest.approx([1.2, -0.6, 0.0])
    assert found.interval[:, 0] == pytest.approx([0.5, 0.5])
    assert found.interval[0, 2] < found.two_tests[0, 2] < 0 < found.two_tests[1, 2]


def test_false_discoveries_are_among_all_that_is_asked() -> None:
    values = np.random.default_rng(0).normal(1, 1, (4, 8))
    drawing = Drawing(np.arange(8), 50, 0)
    once, thrice = (effects_of(values, np.ones(8), drawing, times) for times in (1, 3))
    assert thrice.q_value == pytest.approx(np.minimum(1, 3 * once.q_value))
    assert thrice.p_value == pytest.approx(once.p_value)


def said(low: float, high: float, q: float, two_tests: tuple[float, float]) -> Effects:
    one = np.zeros(1)
    return Effects(
        one, one, np.array([[low], [high]]), np.array([[two_tests[0]], [two_tests[1]]]), one,
        np.array([q]),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("effects", "word"),
    [
        (said(0.06, 0.2, 0.05, (0.07, 0.19)), "serves"),
        (said(0.06, 0.2, 0.051, (0.07, 0.19)), None),
        (said(0.04, 0.2, 0.01, (0.06, 0.19)), None),
        (said(-0.2, -0.06, 0.05, (-0.19, -0.07)), "opposes"),
        (said(-0.2, -0.06, 0.06, (-0.19, -0.07)), None),
        (said(-0.2, -0.04, 0.01, (-0.19, -0.06)), None),
        (said(-0.06, 0.06, 0.9, (-0.049, 0.049)), "is_none"),
        (said(0.01, 0.04, 0.01, (0.02, 0.03)), "is_none"),
        (said(-0.06, 0.04, 0.9, (-0.05, 0.03)), None),
        (said(-0.04, 0.06, 0.9, (-0.03, 0.05)), None),
        (said(np.nan, np.nan, 0.01, (np.nan, np.nan)), None),
    ],
)
def test_an_effect_is_there_or_as_good_as_none(effects: Effects, word: str | None) -> None:
    for name in ("serves", "opposes", "is_none"):
        assert getattr(effects, name).tolist() == [name == word], name


def test_a_set_is_held_against_its_members() -> None:
    effects = {"m0": 0.5, "a0.h0": 0.2}
    behaved = behaved_of(Says(noise=0.0, effects=effects))
    ran = behaved.settings[behaved.judged]
    whole = ran.full - ran.empty
    sets = [[EVERYTHING[place("m0")], EVERYTHING[place("a0.h0")]], [EVERYTHING[place("m1")]]]
    tried = Tried(
        ["two", "one"],
        sets,
        of_model=np.stack([ran.full - 0.9 * whole, ran.full - 0.1 * whole]),
        of_circuit=np.stack([ran.full - 0.8 * whole, ran.full - 0.3 * whole]),
    )
    two, one = sets_out(replace(behaved, tried=tried), DRAWING, PLACES)
    assert (two.label, two.components) == ("two", sets[0])
    assert two.gap == pytest.approx(0.1, abs=1e-5)
    assert two.gap_interval == pytest.approx((0.1, 0.1), abs=1e-4)
    assert (two.effect, two.summed) == pytest.approx((0.9, 0.7), abs=1e-5)
    assert (one.gap, one.effect, one.summed) == pytest.approx((-0.2, 0.1, 0.0), abs=1e-5)


def test_the_intervals_hold_for_all_sets_at_once() -> None:
    behaved = behaved_of(Says(noise=0.2, gaps=dict.fromkeys(["m0", "m1", "a0.h0", "a1.h1"], 0.1)))
    found = sets_out(behaved, DRAWING, PLACES)
    tried, ran = behaved.tried, behaved.settings[behaved.judged]
    gap = DRAWING.ratios(
        (tried.of_circuit - tried.of_model).astype(np.float64), (ran.full - ran.empty)
    )
    at_once = gap.interval(1 - 0.05 / 4)
    assert [one.gap_interval for one in found] == [pytest.approx(tuple(ends)) for ends in at_once.T]
    alone = gap.interval(0.95)
    assert (at_once[0] <= alone[0]).all()
    assert (at_once[1] >= alone[1]).all()
    assert (at_once[1] - at_once[0]).sum() > 1.05 * (alone[1] - alone[0]).sum()
