"""The property: how much of a component's differences has one direction that lengths do not give.

From the pairs' differences d is taken out what goes linearly with 1/T and with T, by least squares
through the origin. What is left may have a direction in common: c, the difference that the property
makes. Whether it has one is tested by exchanges; how much of a squared difference it makes is the
property's share,

    R = |c|² / mean |d|²,        |c|² by (|sum d|² - sum |d|²) / (n (n - 1)) over n clusters,

without bias, because the products of two clusters' differences have c in common and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from replication.controls.exchanges import (
    exchanged_totals,
    exchanges,
    false_discovery_rates,
    members,
    share_as_large,
)
from replication.controls.thresholds import THRESHOLDS
from replication.engine.activations import MeanActivations
from replication.experiment.clusters import count_of
from replication.experiment.spec import MlpOut

NOTHING = 1e-9  # what is left of ones of which nothing is left
FEWEST_FOR_AN_INTERVAL = 3  # clusters; of two, one is left when the other is left out


@dataclass(frozen=True)
class Property:
    """What the property makes of the differences, by component.

    `p_value` is that of a direction in common, with what goes with length taken out, `q_value` its
    false-discovery rate. `share` is R, by an estimate that may lie below 0, with the ends of its
    interval, which do not. All are nan and p is 1 where
    lengths go with the side so closely that nothing of a common direction is left.
    """

    p_value: Float64[np.ndarray, " components"]
    q_value: Float64[np.ndarray, " components"]
    share: Float64[np.ndarray, " components"]
    interval: Float64[np.ndarray, "2 components"]


def property_of(
    means: MeanActivations,
    token_lengths: Int64[np.ndarray, "pairs 2"],
    clusters: Int64[np.ndarray, " pairs"],
    mlp_out: MlpOut,
    seed: int,
) -> Property:
    """The test and the share of every component; there must be at least two clusters.

    `means` are those of the text alone; `token_lengths` count what was added to it too.
    """
    differences = [one[:, 0] - one[:, 1] for one in means.by_component(mlp_out)]
    terms = length_terms(token_lengths)
    p_values = p_values_of(differences, terms, clusters, seed)
    share, *ends = shares_of(differences, terms, clusters)
    return Property(p_values, false_discovery_rates(p_values), share, np.stack(ends))


def length_terms(token_lengths: Int64[np.ndarray, "pairs 2"]) -> Float64[np.ndarray, "pairs 2"]:
    """What a score can go with linearly: every pair's differences of 1/T and of T, in that order.

    T is taken in units of the longest prompt.
    """
    terms = np.stack([1 / token_lengths, token_lengths / token_lengths.max()], axis=-1)
    return np.asarray(terms[:, 0] - terms[:, 1])


def without_cluster(
    onto: Float64[np.ndarray, "pairs pairs"], clusters: Int64[np.ndarray, " pairs"]
) -> Float64[np.ndarray, "pairs pairs"] | None:
    """What gives every pair's residual from a fit to the other clusters.

    `onto` projects onto what is fitted. The residual of a cluster that was left out is its residual
    over I - H, with H its own part of the projection, which for one pair is its leverage (HC3 and
    CR3: MacKinnon and White 1985, Cameron and Miller 2015). None where one cluster alone decides
    what is fitted.
    """
    left = np.asarray(np.eye(len(onto)) - onto)
    corrected = np.zeros_like(left)
    for number in range(count_of(clusters)):
        own = np.flatnonzero(clusters == number)
        free = left[np.ix_(own, own)]
        if np.linalg.eigvalsh(free)[0] < NOTHING:
            return None
        corrected[own] = np.linalg.solve(free, left[own])
    return corrected


def p_values_of(
    differences: Sequence[Float64[np.ndarray, "pairs _"]],
    terms: Float64[np.ndarray, "pairs terms"],
    clusters: Int64[np.ndarray, " pairs"],
    seed: int,
) -> Float64[np.ndarray, " components"]:
    """Each component's p-value of a common direction that lengths do not give.

    With u what the lengths leave of a common direction, the statistic is |sum u d|². If the sides
    mean nothing, a cluster's residuals are as likely to have the other sign: the statistic is held
    against |sum s u r|² over all signs s of clusters, with r the residuals from a fit to the other
    clusters, which are as large as the noise is even where a pair stands far out in length.
    """
    onto = terms @ np.linalg.pinv(terms)
    common = 1 - onto.sum(axis=1)
    corrected = without_cluster(onto, clusters)
    if corrected is None or common @ common < NOTHING:
        return np.ones(len(differences))
    signs, is_exhaustive = exchanges(count_of(clusters), seed)
    weights = members(clusters) * common
    parts = [weights @ (corrected @ one) for one in differences]
    totals = exchanged_totals(np.stack([part @ part.T for part in parts]), signs)
    observed = np.array([np.sum((common @ one) ** 2) for one in differences])
    if is_exhaustive:
        totals[:, 0] = observed  # the way that exchanges none is the one that was seen
    return np.array(
        [
            share_as_large(of_one, float(own), is_exhaustive)
            for of_one, own in zip(totals, observed, strict=True)
        ]
    )


def shares_of(
    differences: Sequence[Float64[np.ndarray, "pairs _"]],
    terms: Float64[np.ndarray, "pairs terms"],
    clusters: Int64[np.ndarray, " pairs"],
) -> Float64[np.ndarray, "3 components"]:
    """R and the ends of its interval, by the jackknife over clusters (Tukey 1958).

    c is the coefficient of one for every pair beside those of the lengths. Its pseudo-values, one a
    cluster, stand for the clusters' own differences; without lengths, and with as many pairs in
    each, they are just these. An interval takes three clusters.
    """
    weights, pseudo = _weights(terms), _pseudo_values(terms, clusters)
    if weights is None or pseudo is None:
        return np.full((3, len(differences)), np.nan)
    n_pairs, onto = len(clusters), terms @ np.linalg.pinv(terms)
    free = np.eye(n_pairs) - onto + np.outer(onto.sum(axis=1), weights)
    inflated = n_pairs / max(1, n_pairs - np.linalg.matrix_rank(terms))
    products, squares = [], []
    for one in differences:
        own, left = pseudo @ one, free @ one
        common = left.mean(axis=0)
        noise = left - common
        squares.append(np.vecdot(common, common + 2 * noise) + inflated * np.vecdot(noise, noise))
        products.append(own @ own.T)
    belongs = members(clusters)
    return _jackknifed(np.stack(products), np.stack(squares) @ belongs.T, belongs.sum(axis=1))


def _weights(terms: Float64[np.ndarray, "pairs terms"]) -> Float64[np.ndarray, " pairs"] | None:
    """What gives c from the differences: ones less what goes with length, over their square."""
    rest = 1 - terms @ (np.linalg.pinv(terms) @ np.ones(len(terms)))
    square = rest @ rest
    return None if square < NOTHING else rest / square


def _pseudo_values(
    terms: Float64[np.ndarray, "pairs terms"], clusters: Int64[np.ndarray, " pairs"]
) -> Float64[np.ndarray, "clusters pairs"] | None:
    """What gives the pseudo-values of c; None where c cannot be told from the lengths.

    Nor where it could not without one of the clusters.
    """
    whole, n_clusters = _weights(terms), count_of(clusters)
    if whole is None:
        return None
    without = np.zeros((n_clusters, len(clusters)))
    for number in range(n_clusters):
        others = clusters != number
        weights = _weights(terms[others])
        if weights is None:
            return None
        without[number, others] = weights
    return np.asarray(whole - (n_clusters - 1) * (without - whole))


def _jackknifed(
    products: Float64[np.ndarray, "components clusters clusters"],
    squares: Float64[np.ndarray, "components clusters"],
    sizes: Float64[np.ndarray, " clusters"],
) -> Float64[np.ndarray, "3 components"]:
    """R of all clusters, and the ends of its interval, from R without each of them.

    `products` are those of the clusters' pseudo-values; `squares` the sums of |d|² over the `sizes`
    pairs of each.
    """
    from scipy.special import stdtrit

    n_clusters = len(sizes)
    across = products.sum(axis=2) - products.diagonal(axis1=1, axis2=2)
    share = _ratio(across.sum(axis=1), n_clusters, squares.sum(axis=1) / sizes.sum())
    if n_clusters < FEWEST_FOR_AN_INTERVAL:
        return np.stack([share, np.full_like(share, np.nan), np.full_like(share, np.nan)])
    without = _ratio(
        across.sum(axis=1, keepdims=True) - 2 * across,
        n_clusters - 1,
        (squares.sum(axis=1, keepdims=True) - squares) / (sizes.sum() - sizes),
    )
    apart = without - without.mean(axis=1, keepdims=True)
    spread = np.sqrt((n_clusters - 1) / n_clusters * np.vecdot(apart, apart))
    margin = stdtrit(n_clusters - 1, (1 + THRESHOLDS.confidence.value) / 2) * spread
    return np.stack([share, np.maximum(share - margin, 0), np.minimum(share + margin, 1)])


def _ratio(
    across: Float64[np.ndarray, "*all"], n_clusters: int, mean_square: Float64[np.ndarray, "*all"]
) -> Float64[np.ndarray, "*all"]:
    """R from the sum of the products of different clusters; 0 where nothing differs at all."""
    square = across / (n_clusters * (n_clusters - 1))
    return np.asarray(
        np.divide(square, mean_square, out=np.zeros_like(square), where=mean_square > 0)
    )
