"""Differential activation: the score of every component on every pair.

Per pair, a component's score is the L2 norm of the difference between its mean activations on the
two prompts; over several pairs it is the mean of those norms. Source: the method of the published
sarcasm circuit (2025-11-10), which states it in these terms.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float32, Float64

from replication.engine.activations import MeanActivations, centred
from replication.experiment.spec import MlpOut

BLOCK_PAIRS = 32  # pairs whose differences stay in a processor's cache


def pair_scores(
    activations: MeanActivations, mlp_out: MlpOut
) -> Float32[np.ndarray, "pairs components"]:
    """Each component's score on each pair, in the units of its activation.

    Components stand in the order of `ModelShape.components`.

    The activations are read once, in blocks of pairs, by as many threads as there are cores.
    """
    n_pairs, _, n_layers, n_heads, _ = activations.z.shape
    scores = np.empty((n_pairs, n_layers + n_layers * n_heads), dtype=np.float32)
    mlp_scores = scores[:, :n_layers]
    head_scores = scores[:, n_layers:].reshape(n_pairs, n_layers, n_heads)

    def score(share: slice) -> None:
        _norms(activations.mlp_out[share], mlp_out == "centred", mlp_scores[share])
        _norms(activations.z[share], False, head_scores[share])

    n_threads = min(os.cpu_count() or 1, -(-n_pairs // BLOCK_PAIRS))
    ends = [n_pairs * thread // n_threads for thread in range(n_threads + 1)]
    shares = list(map(slice, ends, ends[1:]))
    if n_threads == 1:
        score(shares[0])
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(score, shares))
    return scores


def mean_scores(
    chunks: Iterable[Float32[np.ndarray, "pairs components"]],
) -> Float64[np.ndarray, " components"]:
    """Each component's mean over the pairs, whose scores come a few at a time.

    Raises:
        ZeroDivisionError: there are no pairs.
    """
    total, n_pairs = np.float64(0), 0
    for scores in chunks:
        total = total + scores.sum(axis=0, dtype=np.float64)
        n_pairs += len(scores)
    if not n_pairs:
        raise ZeroDivisionError("a mean over no pairs")
    return np.asarray(total / n_pairs)


def _norms(
    means: Float32[np.ndarray, "pairs 2 *components size"],
    is_centred: bool,
    norms: Float32[np.ndarray, pairs * components],
) -> None:
    """Write the norms of the differences of the means into `norms`, a block of pairs at a time."""
    buffer = np.empty((min(BLOCK_PAIRS, len(means)), *means.shape[2:]), dtype=np.float32)
    for start in range(0, len(means), BLOCK_PAIRS):
        block = means[start : start + BLOCK_PAIRS]
        difference = np.subtract(block[:, 0], block[:, 1], out=buffer[: len(block)])
        if is_centred:
            centred(difference, out=difference)
        found = norms[start : start + BLOCK_PAIRS]
        np.sqrt(np.vecdot(difference, difference, out=found), out=found)
