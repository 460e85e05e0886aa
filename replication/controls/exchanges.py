"""Exchanges: the prompts of pairs change places, and what that says of a statistic."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

EXCHANGES = 10_000  # at most; all of them where there are fewer
AT_A_TIME = 2**22  # signs of two pairs, of 8 bytes each


def exchanges(n_pairs: int, seed: int) -> tuple[Float64[np.ndarray, "exchanges pairs"], bool]:
    """Which pairs' prompts are exchanged (-1) and which are not (1), and whether that is all.

    All ways are taken where there are few enough; exchanging every pair changes nothing, so the
    first one stays as it is. Otherwise they are drawn, from the seed.
    """
    if 2 ** (n_pairs - 1) <= EXCHANGES:
        bits = np.arange(2 ** (n_pairs - 1))[:, None] >> np.arange(n_pairs - 1) & 1
        return np.hstack([np.ones((len(bits), 1)), 1.0 - 2.0 * bits]), True
    return np.random.default_rng(seed).choice([-1.0, 1.0], (EXCHANGES, n_pairs)), False


def exchanged_totals(
    matrices: Float64[np.ndarray, "components pairs pairs"],
    signs: Float64[np.ndarray, "exchanges pairs"],
) -> Float64[np.ndarray, "components exchanges"]:
    """The sum over each symmetric matrix's elements after every exchange: e'Me.

    An element stands for two pairs, and exchanging one of them turns its sign.
    """
    one, other = np.triu_indices(signs.shape[1], 1)
    above = matrices[:, one, other]
    unchanged = np.trace(matrices, axis1=1, axis2=2)[:, None]
    step = max(1, AT_A_TIME // max(1, len(one)))
    parts = (signs[start : start + step] for start in range(0, len(signs), step))
    return np.hstack([unchanged + 2 * above @ (part[:, one] * part[:, other]).T for part in parts])


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
    """The smallest false-discovery rate at which each is found (Benjamini and Hochberg 1995).

    What `scipy.stats.false_discovery_control` gives, whose import takes a third of a second: more
    than everything else that a run on published and recorded evidence computes.
    """
    order = np.argsort(p_values)
    scaled = p_values[order] * len(p_values) / np.arange(1, len(p_values) + 1)
    rates = np.empty_like(scaled)
    rates[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return np.minimum(rates, 1)
