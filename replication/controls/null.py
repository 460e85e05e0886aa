"""Null scores: would prompts that do not differ in the property score as high?

The same score is taken between prompts of the same side, and between a prompt and the partners of
other prompts. If the sides mean nothing to a component, exchanging the two prompts of every pair of
a cluster changes nothing; so the p-value is the share of such exchanges after which the partners of
others exceed the prompts of the same side by as much as they do. Every two pairs' topics stand on
both sides of that comparison, and cancel. Only pairs of two clusters are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from replication.controls.exchanges import (
    by_cluster,
    exchanged_totals,
    exchanges,
    false_discovery_rates,
    share_as_large,
    smallest_p,
)
from replication.engine.activations import MeanActivations
from replication.experiment.clusters import count_of
from replication.experiment.spec import MlpOut

QUANTILES = (0, 0.25, 0.5, 0.75, 1)


@dataclass(frozen=True)
class Null:
    """What the comparison with prompts of the same side gives, by component.

    `smallest_p` is the smallest p-value that so few clusters can give; `q_value` the smallest
    false-discovery rate at which a component is found.
    """

    same_side: Float64[np.ndarray, " components"]
    same_side_quantiles: Float64[np.ndarray, "components 5"]
    shuffled: Float64[np.ndarray, " components"]
    p_value: Float64[np.ndarray, " components"]
    q_value: Float64[np.ndarray, " components"]
    exchanges: int
    is_exhaustive: bool

    @property
    def smallest_p(self) -> float:
        """The smallest p-value that these exchanges can give."""
        return smallest_p(self.exchanges, self.is_exhaustive)


def null(
    activations: MeanActivations, clusters: Int64[np.ndarray, " pairs"], mlp_out: MlpOut, seed: int
) -> Null:
    """The null scores and the p-value of every component; there must be at least two clusters."""
    signs, is_exhaustive = exchanges(count_of(clusters), seed)
    others = clusters[:, None] != clusters
    later = np.triu(others)
    same_side, quantiles, shuffled, excesses = [], [], [], []
    for means in activations.by_component(mlp_out):
        first, second, across = distances(means)
        of_same_side = np.concatenate([first[later], second[later]])
        same_side.append(of_same_side.mean())
        quantiles.append(np.quantile(of_same_side, QUANTILES))
        shuffled.append(across[others].mean())
        excess = np.where(others, across + across.T - first - second, 0)
        excesses.append(excess)
    summed = by_cluster(np.stack(excesses), clusters)
    p_values = [
        share_as_large(totals, float(excess.sum()), is_exhaustive)
        for excess, totals in zip(summed, exchanged_totals(summed, signs), strict=True)
    ]
    return Null(
        np.array(same_side),
        np.array(quantiles),
        np.array(shuffled),
        np.array(p_values),
        false_discovery_rates(np.array(p_values)),
        len(signs),
        is_exhaustive,
    )


def distances(
    means: Float[np.ndarray, "pairs 2 size"],
) -> tuple[
    Float64[np.ndarray, "pairs pairs"],
    Float64[np.ndarray, "pairs pairs"],
    Float64[np.ndarray, "pairs pairs"],
]:
    """The norms of all differences: within the first side, within the second, from first to second.

    Products are of means less their common mean, so that nothing large cancels.
    """
    first, second = np.moveaxis(means - means.mean(axis=(0, 1)), 1, 0)

    def norms(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        squares = np.vecdot(one, one)[:, None] + np.vecdot(other, other) - 2 * one @ other.T
        return np.asarray(np.sqrt(np.maximum(squares, 0)))

    return norms(first, first), norms(second, second), norms(first, second)
