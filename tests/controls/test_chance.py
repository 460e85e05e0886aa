from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom, kendalltau
from scipy.stats import t as student

from replication.circuits.circuit import Circuit, Metadata, read_circuit
from replication.circuits.components import INPUT, ModelShape, parse
from replication.controls.chance import (
    agreements,
    hypergeometric,
    kendall,
    rank_agreements,
    tau_interval,
)
from tests.paths import PUBLISHED

GPT2 = ModelShape(n_layers=12, n_heads=12, d_model=768, d_head=64)
Ranked = tuple[np.ndarray, np.ndarray]
SHAPE = ModelShape(n_layers=3, n_heads=2, d_model=8, d_head=4)


def circuit(*names: str) -> Circuit:
    return Circuit((INPUT, *map(parse, names)), Metadata())


@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))
    )
)
def test_the_probabilities_are_those_of_a_library(sizes: tuple[int, int, int]) -> None:
    candidates, left, right = sizes
    found = hypergeometric(candidates, left, right)
    assert sum(found) == 1
    expected = hypergeom(candidates, left, right).pmf(range(len(found)))
    # Of a total of 1, in doubles.
    assert [float(p) for p in found] == pytest.approx(expected, abs=1e-12)


def test_the_published_circuits_agree_far_beyond_chance_on_heads_and_hardly_on_mlps() -> None:
    original, replication = (
        read_circuit(PUBLISHED / f"{name}.circuit.json") for name in ("original", "replication")
    )
    mlp, head, both = agreements(original, replication, GPT2)
    assert (mlp.candidates, mlp.left_size, mlp.right_size, mlp.shared) == (12, 10, 10, 10)
    assert mlp.expected == pytest.approx(100 / 12)
    assert mlp.p_value == pytest.approx(1 / 66)
    assert mlp.agreement == 1
    assert (head.candidates, head.left_size, head.right_size, head.shared) == (144, 43, 43, 40)
    assert head.p_value == pytest.approx(hypergeom(144, 43, 43).sf(39), rel=1e-9)
    assert head.agreement == pytest.approx((40 - 43 * 43 / 144) / (43 - 43 * 43 / 144))
    assert (both.candidates, both.shared) == (156, 50)
    assert both.expected == pytest.approx(mlp.expected + head.expected)


def test_the_p_value_is_how_often_random_circuits_share_as_much() -> None:
    left = circuit("m0", "a0.h0", "a0.h1", "a1.h0")
    right = circuit("m0", "m1", "a0.h0", "a0.h1", "a2.h1")
    *_, both = agreements(left, right, SHAPE)
    source = random.Random(0)
    mlps, heads = SHAPE.components()[:3], SHAPE.components()[3:]
    draws = 20_000
    as_many = 0
    for _ in range(draws):
        drawn = [{*source.sample(mlps, m), *source.sample(heads, h)} for m, h in ((1, 3), (2, 3))]
        as_many += len(drawn[0] & drawn[1]) >= 3
    assert both.shared == 3
    # Four standard errors of a share of 20,000 draws.
    assert both.p_value == pytest.approx(as_many / draws, abs=0.015)


def test_every_figure_of_an_agreement_is_that_of_all_circuits_of_these_sizes() -> None:
    left = circuit("m0", "a0.h0", "a0.h1", "a1.h0")
    right = circuit("m0", "m1", "a0.h0", "a0.h1", "a2.h1")
    mlps, heads = SHAPE.components()[:3], SHAPE.components()[3:]
    expected = []
    for among, pools, sizes, shared in [
        ("mlp", [mlps], [(1, 2)], 1),
        ("head", [heads], [(3, 3)], 2),
        ("all", [mlps, heads], [(1, 2), (3, 3)], 3),
    ]:
        # Every way to draw the parts of both circuits, and how much the two then share.
        ways = product(
            *(
                [len({*one} & {*two}) for one in combinations(pool, n) for two in other]
                for pool, (n, m) in zip(pools, sizes, strict=True)
                for other in [list(combinations(pool, m))]
            )
        )
        overlaps = [sum(way) for way in ways]
        mean = Fraction(sum(overlaps), len(overlaps))
        as_many = sum(overlap >= shared for overlap in overlaps)
        expected.append(
            (
                among,
                sum(map(len, pools)),
                sum(n for n, _ in sizes),
                sum(m for _, m in sizes),
                shared,
                float(mean),
                float(Fraction(as_many, len(overlaps))),
                float((shared - mean) / (max(overlaps) - mean)),
            )
        )
    found = agreements(left, right, SHAPE)
    assert [tuple(vars(one).values()) for one in found] == expected


def test_an_overlap_that_could_not_be_otherwise_shows_no_agreement() -> None:
    whole = circuit("m0", "m1", "m2", "a0.h0")
    mlp, head, _ = agreements(whole, whole, SHAPE)
    assert (mlp.p_value, mlp.agreement) == (1, None)
    assert head.agreement == 1


def test_circuits_that_share_less_than_chance_agree_less_than_nothing() -> None:
    found = agreements(
        circuit("a0.h0", "a0.h1", "a1.h0"), circuit("a1.h1", "a2.h0", "a2.h1"), SHAPE
    )
    assert found[1].agreement == pytest.approx(-1)
    assert found[1].p_value == 1


@given(st.permutations(range(7)))
def test_tau_is_that_of_a_library(ranks: list[int]) -> None:
    assert kendall(ranks) == pytest.approx(kendalltau(range(7), ranks).statistic)


def test_the_published_orders_of_selection_agree_with_these_taus() -> None:
    original, replication = (
        read_circuit(PUBLISHED / f"{name}.circuit.json") for name in ("original", "replication")
    )
    mlp, head = rank_agreements(original, replication)
    assert (mlp.shared, mlp.tau) == (10, pytest.approx(1 - 4 / 90))
    assert head.shared == 40
    assert head.interval is not None
    assert head.interval[0] < head.tau < head.interval[1] < 1


def normal(random: np.random.Generator, size: tuple[int, int], tau: float) -> Ranked:
    """Bivariate normal: tau is 2/pi * asin(correlation)."""
    correlation = np.sin(np.pi * tau / 2)
    x, noise = random.standard_normal((2, *size))
    return x, correlation * x + np.sqrt(1 - correlation**2) * noise


def heavy_tailed(random: np.random.Generator, size: tuple[int, int], tau: float) -> Ranked:
    """Bivariate t with 1.5 degrees of freedom, of the same tau as the normal."""
    x, y = normal(random, size, tau)
    scale = np.sqrt(random.chisquare(1.5, size))
    return x / scale, y / scale


def drawn_twice(random: np.random.Generator, size: tuple[int, int], spread: float) -> Ranked:
    """Two orders drawn from the same strengths (Plackett and Luce): strength plus Gumbel noise."""
    strength = spread * random.standard_normal(size)
    one, other = random.gumbel(size=(2, *size))
    return strength + one, strength + other


def some_reversed(random: np.random.Generator, size: tuple[int, int], share: float) -> Ranked:
    """One order, in which some components change sides: the variance comes near its bound."""
    x = random.random(size)
    return x, np.where(random.random(size) < share, 1 - x, x)


def neighbours_swapped(random: np.random.Generator, size: tuple[int, int], rounds: float) -> Ranked:
    """One order, in which neighbours change places `rounds` times n times: no independent draws."""
    rows, n = size
    order = np.tile(np.arange(n), (rows, 1)).astype(float)
    for _ in range(int(rounds * n)):
        place = random.integers(0, n - 1, rows)
        both = np.arange(rows)[:, None], np.stack([place, place + 1], axis=1)
        order[both] = order[both][:, ::-1]
    return np.tile(np.arange(n), (rows, 1)).astype(float), order


def taus(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Kendall's tau of every row."""
    n = one.shape[1]
    signs = [np.sign(ranks[:, :, None] - ranks[:, None, :]) for ranks in (one, other)]
    found: np.ndarray = (signs[0] * signs[1]).sum(axis=(1, 2)) / (n * (n - 1))
    return found


@pytest.mark.parametrize("n", [5, 10, 20, 40])
@pytest.mark.parametrize(
    ("generator", "strengths"),
    [
        (normal, [0.2, 0.5, 0.7, 0.85, 0.95]),
        (heavy_tailed, [0.2, 0.5, 0.7, 0.85, 0.95]),
        (drawn_twice, [0.8, 1.6, 3, 6, 15]),
        (some_reversed, [0.3, 0.15, 0.07, 0.03]),
        (neighbours_swapped, [4, 1.5, 0.5, 0.2]),
    ],
)
def test_the_interval_of_tau_contains_the_truth_at_least_as_often_as_93_in_100(
    generator: Callable[..., Ranked], strengths: list[float], n: int
) -> None:
    random = np.random.default_rng(0)
    for strength in strengths:
        # By definition of the generator, or the mean of many: tau has no bias.
        found = taus(*generator(random, (1000, n), strength))
        known = generator in (normal, heavy_tailed)
        truth = strength if known else taus(*generator(random, (8000, n), strength)).mean()
        ends = np.array([tau_interval(float(tau), n) for tau in found])
        covered = (ends[:, 0] <= truth + 1e-9) & (truth - 1e-9 <= ends[:, 1])
        # The lowest of 4000 draws was 96.7%; the standard error of 1000 is 0.6%.
        assert covered.mean() >= 0.93, (strength, truth, covered.mean())


@pytest.mark.parametrize("names", [["m0"], ["m0", "m1", "m2"]])
def test_few_components_give_no_interval(names: list[str]) -> None:
    found = rank_agreements(circuit(*names), circuit(*names))
    assert [one.interval for one in found] == ([] if len(names) == 1 else [None])


def ordered(*places: int) -> tuple[Circuit, Circuit]:
    """Two circuits of as many heads, the second in the order of these places in the first."""
    names = [str(part) for part in GPT2.components()[12 : 12 + len(places)]]
    return circuit(*names), circuit(*(names[place] for place in places))


def test_two_shared_components_have_a_tau_and_no_interval() -> None:
    (found,) = rank_agreements(*ordered(1, 0))
    assert (found.among, found.shared, found.tau, found.interval) == ("head", 2, -1, None)


@pytest.mark.parametrize(
    ("places", "has_interval"),
    [
        ((1, 0, 2, 3), False),
        ((0, 1, 2, 3, 4), True),
        ((4, 3, 2, 1, 0), True),
        ((1, 0, 2, 3, 4), True),
        ((4, 3, 2, 0, 1, 5), True),
    ],
)
def test_an_interval_takes_five_shared_components(
    places: tuple[int, ...], has_interval: bool
) -> None:
    (found,) = rank_agreements(*ordered(*places))
    assert (found.interval is not None) == has_interval
    if found.interval is None:
        return
    # Its ends are as far from the estimate as the largest possible variance there allows.
    n = len(places)
    for end in found.interval:
        deviation = math.sqrt(2 * (1 - end**2) / n)
        is_farthest = abs(found.tau - end) == pytest.approx(student.ppf(0.975, n - 1) * deviation)
        assert is_farthest or abs(end) == pytest.approx(1)


def test_an_order_that_is_the_very_same_may_have_been_another() -> None:
    found = tau_interval(1.0, 10)
    assert found is not None
    assert found[0] == pytest.approx(-0.0116, abs=1e-4)
    assert found[1] == pytest.approx(1)
    assert tau_interval(-1.0, 10) == pytest.approx((-found[1], -found[0]))
