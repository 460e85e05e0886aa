"""Chance: how far two circuits agree beyond what random circuits of their make-up would.

Random circuits have as many MLPs and as many heads as the two at hand, drawn at random from the
model's. The input is in every circuit and is left out. Figures are exact where they can be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Literal

from replication.circuits.circuit import Circuit
from replication.circuits.components import Among, ModelShape
from replication.controls.thresholds import THRESHOLDS

KINDS: tuple[Literal["mlp", "head"], ...] = ("mlp", "head")
FEWEST_SHARED = 5  # components, for an interval that says more than nothing


@dataclass(frozen=True)
class Agreement:
    """How many components two circuits share, beside what chance gives.

    `p_value` is the probability that random circuits share as many or more. `agreement` is 0 where
    the overlap is the expected one and 1 where it is the largest possible; between circuits of one
    size and kind it is Cohen's kappa (Cohen 1960). It is None where only one overlap is possible.
    """

    among: Among
    candidates: int
    left_size: int
    right_size: int
    shared: int
    expected: float
    p_value: float
    agreement: float | None


@dataclass(frozen=True)
class RankAgreement:
    """Kendall's tau of the shared components' orders of selection, with its 95% interval.

    The interval is about the tau of the population that the shared components are draws from, as if
    other ones of their kind had been ordered twice by the same two runs (`tau_interval`).
    """

    among: Among
    shared: int
    tau: float
    interval: tuple[float, float] | None


def agreements(left: Circuit, right: Circuit, shape: ModelShape) -> list[Agreement]:
    """The agreement on the MLPs, on the heads, and on both together."""
    total = {"mlp": shape.n_layers, "head": shape.n_layers * shape.n_heads}
    sizes = {
        kind: (total[kind], len(left.of_kind(kind)), len(right.of_kind(kind))) for kind in KINDS
    }
    shared = {kind: len({*left.of_kind(kind)} & {*right.of_kind(kind)}) for kind in KINDS}
    chances = {kind: hypergeometric(*sizes[kind]) for kind in KINDS}
    found = [_agreement(kind, sizes[kind], shared[kind], chances[kind]) for kind in KINDS]
    summed = (sum(size) for size in zip(*sizes.values(), strict=True))
    candidates, left_size, right_size = summed
    both = _agreement(
        "all",
        (candidates, left_size, right_size),
        sum(shared.values()),
        _sum_of(chances["mlp"], chances["head"]),
    )
    return [*found, both]


def hypergeometric(candidates: int, left: int, right: int) -> list[Fraction]:
    """The probabilities that random sets of `left` and `right` candidates share 0, 1, 2, …."""
    ways = math.comb(candidates, right)
    return [
        Fraction(math.comb(left, shared) * math.comb(candidates - left, right - shared), ways)
        for shared in range(min(left, right) + 1)
    ]


def _sum_of(one: Sequence[Fraction], other: Sequence[Fraction]) -> list[Fraction]:
    """The probabilities of the sum of two independent counts."""
    total = [Fraction(0)] * (len(one) + len(other) - 1)
    for i, p in enumerate(one):
        for j, q in enumerate(other):
            total[i + j] += p * q
    return total


def _agreement(
    among: Among, sizes: tuple[int, int, int], shared: int, chances: Sequence[Fraction]
) -> Agreement:
    expected = sum((count * p for count, p in enumerate(chances)), Fraction(0))
    most = len(chances) - 1
    return Agreement(
        among,
        *sizes,
        shared,
        float(expected),
        float(sum(chances[shared:], Fraction(0))),
        None if most == expected else float((shared - expected) / (most - expected)),
    )


def rank_agreements(left: Circuit, right: Circuit) -> list[RankAgreement]:
    """Kendall's tau over the shared MLPs and over the shared heads, where there are two or more.

    There is none where a circuit is not listed in the order of its selection.
    """
    if not (left.metadata.ordered and right.metadata.ordered):
        return []
    found = []
    for kind in KINDS:
        place = {component: rank for rank, component in enumerate(right.of_kind(kind))}
        ranks = [place[component] for component in left.of_kind(kind) if component in place]
        if len(ranks) > 1:
            found.append(
                RankAgreement(
                    kind, len(ranks), tau := kendall(ranks), tau_interval(tau, len(ranks))
                )
            )
    return found


def kendall(ranks: Sequence[int]) -> float:
    """Kendall's tau between the order in which ranks stand and the ranks; none may be tied."""
    n_pairs = math.comb(len(ranks), 2)
    discordant = sum(earlier > later for earlier, later in combinations(ranks, 2))
    return 1 - 2 * discordant / n_pairs


def tau_interval(tau: float, shared: int) -> tuple[float, float] | None:
    """The 95% interval of Kendall's tau over so many components; None for fewer than five.

    Every tau that is not rejected at Student's t with n - 1 degrees of freedom if an estimate has
    the variance 2 (1 - tau^2) / n, the largest that any distribution without ties allows (Daniels
    and Kendall 1947; Kendall and Gibbons 1990): a quadratic inequality in tau. It is conservative
    where components scatter as normal ones do. Variances for those alone, or estimated from so few,
    give intervals that hold the true tau far less often than they say where a few components stand
    far from their places, or where the orders are the very same.
    """
    if shared < FEWEST_SHARED:
        return None
    from scipy.special import stdtrit

    t = float(stdtrit(shared - 1, (1 + THRESHOLDS.confidence.value) / 2))
    bound = 2 * t**2 / shared
    margin = math.sqrt(bound * (1 + bound - tau**2))
    return max(-1.0, (tau - margin) / (1 + bound)), min(1.0, (tau + margin) / (1 + bound))
