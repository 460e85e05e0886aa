"""Null scores: would prompts that do not differ in the property score as high?

The same score is taken between prompts of the same side, and between a prompt and the partners of
other prompts. If the sides mean nothing to a component, exchanging the two prompts of any pair
changes nothing; so the p-value is the share of such exchanges after which the partners of others
exceed the prompts of the same side by as much as they do. Every two pairs' topics stand on both
sides of that comparison, and cancel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64

from replication.capture import MeanActivations

EXCHANGES = 10_000  # at most; all of them where there are fewer
QUANTILES = (0, 0.25, 0.5, 0.75, 1)


@dataclass(frozen=True)
class Null:
    """What the comparison with prompts of the same side gives, by component.

    `smallest_p` is the smallest p-value that so few pairs can give.
    """

    same_side: Float64[np.ndarray, " components"]
    same_side_quantiles: Float64[np.ndarray, "components 5"]
    shuffled: Float64[np.ndarray, " components"]
    p_value: Float64[np.ndarray, " components"]
    exchanges: int
    is_exhaustive: bool

    @property
    def smallest_p(self) -> float:
        """The smallest p-value that these exchanges can give."""
        return 1 / (self.exchanges + (not self.is_exhaustive))


def null(activations: MeanActivations, mlp_out: Literal["centred", "raw"], seed: int) -> Null:
    """The null scores and the p-value of every component; there must be at least two pairs."""
    n_pairs = len(activations.z)
    signs, is_exhaustive = exchanges(n_pairs, seed)
    others = ~np.eye(n_pairs, dtype=bool)
    later = np.triu(others)
    same_side, quantiles, shuffled, p_values = [], [], [], []
    for means in component_means(activations, mlp_out):
        first, second, across = _distances(means)
        of_same_side = np.concatenate([first[later], second[later]])
        same_side.append(of_same_side.mean())
        quantiles.append(np.quantile(of_same_side, QUANTILES))
        shuffled.append(across[others].mean())
        excess = np.where(others, across + across.T - first - second, 0)
        p_values.append(_p_value(excess, signs, is_exhaustive))
    return Null(
        np.array(same_side),
        np.array(quantiles),
        np.array(shuffled),
        np.array(p_values),
        len(signs),
        is_exhaustive,
    )


def exchanges(n_pairs: int, seed: int) -> tuple[Float64[np.ndarray, "exchanges pairs"], bool]:
    """Which pairs' prompts are exchanged (-1) and which are not (1), and whether that is all.

    All ways are taken where there are few enough; exchanging every pair changes nothing, so the
    first one stays as it is. Otherwise they are drawn, from the seed.
    """
    if 2 ** (n_pairs - 1) <= EXCHANGES:
        bits = np.arange(2 ** (n_pairs - 1))[:, None] >> np.arange(n_pairs - 1) & 1
        return np.hstack([np.ones((len(bits), 1)), 1.0 - 2.0 * bits]), True
    return np.random.default_rng(seed).choice([-1.0, 1.0], (EXCHANGES, n_pairs)), False


def component_means(
    activations: MeanActivations, mlp_out: Literal["centred", "raw"]
) -> Iterator[Float64[np.ndarray, "pairs 2 size"]]:
    """Each component's means, in the order of `ModelShape.components`."""
    _, _, n_layers, n_heads, _ = activations.z.shape
    for layer in range(n_layers):
        means = activations.mlp_out[:, :, layer].astype(np.float64)
        yield means - means.mean(axis=-1, keepdims=True) if mlp_out == "centred" else means
    for layer in range(n_layers):
        for head in range(n_heads):
            yield activations.z[:, :, layer, head].astype(np.float64)


def _distances(
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


def _p_value(
    excess: Float64[np.ndarray, "pairs pairs"],
    signs: Float64[np.ndarray, "exchanges pairs"],
    is_exhaustive: bool,
) -> float:
    """The p-value of the total excess: exchanging one of two pairs turns the sign of theirs."""
    totals = np.vecdot(signs @ excess, signs)
    return share_as_large(totals, float(excess.sum()), is_exhaustive)


def share_as_large(
    statistics: Float64[np.ndarray, " exchanges"], observed: float, is_exhaustive: bool
) -> float:
    """The p-value: the share of the exchanges whose statistic is as large as the observed one.

    Among drawn exchanges the observed order counts as one more (Phipson and Smyth 2010).
    """
    margin = 1e-9 * np.abs(statistics).max(initial=abs(observed))
    as_large = int((statistics >= observed - margin).sum())
    if is_exhaustive:
        return as_large / len(statistics)
    return (1 + as_large) / (1 + len(statistics))


def false_discovery_rates(
    p_values: Float64[np.ndarray, " components"],
) -> Float64[np.ndarray, " components"]:
    """The smallest false-discovery rate at which each is found (Benjamini and Hochberg 1995)."""
    order = np.argsort(p_values)
    scaled = p_values[order] * len(p_values) / np.arange(1, len(p_values) + 1)
    rates = np.empty_like(scaled)
    rates[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return np.minimum(rates, 1)
