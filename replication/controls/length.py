"""Length: how much of a score the prompts' lengths alone explain.

Where the first position carries the same large activation whatever the text (an attention sink), a
mean over T positions moves with 1/T: if f is what stands at the first position, with an encoder's
separator, and b the mean over the others, the mean is (f + (T - 1) b) / T, and prompts of T and T'
tokens score |1/T - 1/T'| |f - b| before a word of them counts.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from replication.controls.exchanges import exchanges, share_as_large
from replication.engine.activations import MeanActivations, component_means


def inverse_differences(
    token_lengths: Int64[np.ndarray, "pairs 2"],
) -> Float64[np.ndarray, " pairs"]:
    """1/T - 1/T' of every pair."""
    inverse = 1 / token_lengths
    return np.asarray(inverse[:, 0] - inverse[:, 1])


def length_norms(
    activations: MeanActivations, mlp_out: Literal["centred", "raw"]
) -> Float64[np.ndarray, " components"]:
    """Each component's |f - b|, over all prompts: what |1/T - 1/T'| is multiplied by.

    The activations must hold inner means, over at least one position each. With k positions left
    out of the inner means, it is the norm of their sum less k times the inner mean.
    """
    inner = activations.inner
    assert inner is not None
    lengths = activations.token_lengths[:, :, None]
    n_inner = inner.token_lengths[:, :, None]
    norms = []
    both = (component_means(part, mlp_out) for part in (activations, inner))
    for whole, inside in zip(*both, strict=True):
        special = lengths * whole - n_inner * inside
        step = (special - (lengths - n_inner) * inside).mean(axis=(0, 1))
        norms.append(float(np.linalg.norm(step)))
    return np.array(norms)


def length_terms(token_lengths: Int64[np.ndarray, "pairs 2"]) -> Float64[np.ndarray, "pairs 2"]:
    """What a score can go with linearly: every pair's differences of 1/T and of T, in that order.

    T is taken in units of the longest prompt.
    """
    terms = np.stack([1 / token_lengths, token_lengths / token_lengths.max()], axis=-1)
    return np.asarray(terms[:, 0] - terms[:, 1])


def length_fits(
    means: MeanActivations,
    token_lengths: Int64[np.ndarray, "pairs 2"],
    mlp_out: Literal["centred", "raw"],
) -> Float64[np.ndarray, " components"]:
    """How much of the squared difference of a pair the lengths predict from all other pairs.

    The prediction is linear in the differences of 1/T and of T, by least squares through the
    origin; a pair's residual without itself is its residual over 1 - h, with h its leverage. The
    share is 1 where lengths say everything, and 0 where they say nothing, or where one pair alone
    decides what they say.
    """
    terms = length_terms(token_lengths)
    onto = terms @ np.linalg.pinv(terms)
    free = 1 - onto.diagonal()[:, None]
    fits = []
    for component in component_means(means, mlp_out):
        difference = component[:, 0] - component[:, 1]
        total = np.vdot(difference, difference)
        if not total or (free < 1e-9).any():
            fits.append(0.0)
            continue
        rest = (difference - onto @ difference) / free
        fits.append(max(0.0, 1 - np.vdot(rest, rest) / total))
    return np.array(fits)


def length_free_p_values(
    means: MeanActivations,
    token_lengths: Int64[np.ndarray, "pairs 2"],
    mlp_out: Literal["centred", "raw"],
    seed: int,
) -> Float64[np.ndarray, " components"]:
    """Each component's p-value of a common direction that lengths do not give.

    From the pairs' differences is taken out what goes linearly with 1/T and with T, by least
    squares through the origin: with H the projection onto what is left, r = H d. The statistic is
    |sum r|² over its expectation if all pairs' differences are noise, which 1'H1 is in proportion
    to; exchanging the prompts of pairs turns the signs e, and gives |sum e r|² over e'He. Where H
    leaves nothing of a common direction, the lengths cannot be told from the property: p is 1.
    """
    differences = length_terms(token_lengths)
    left = np.eye(len(differences)) - differences @ np.linalg.pinv(differences)
    signs, is_exhaustive = exchanges(len(differences), seed)
    scales = np.vecdot(signs @ left, signs)
    observed_scale = left.sum()
    if observed_scale < 1e-9:
        return np.ones(len(list(component_means(means, mlp_out))))
    is_seen = scales > 1e-9
    p_values = []
    for component in component_means(means, mlp_out):
        rest = left @ (component[:, 0] - component[:, 1])
        products = rest @ rest.T
        totals = np.vecdot(signs[is_seen] @ products, signs[is_seen]) / scales[is_seen]
        observed = float(products.sum() / observed_scale)
        p_values.append(share_as_large(totals, observed, is_exhaustive))
    return np.array(p_values)
