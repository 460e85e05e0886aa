"""Attention scores: how much each head attends from one position to another, on every pair.

A score is a share of what a head attends to at a token, from 0 to 1; over several pairs it is the
mean. It has no sign, and says nothing of what the head writes.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from replication.engine.attention import Attention


def attention_scores(attention: Attention) -> Float32[np.ndarray, "tables pairs components"]:
    """Each component's score on each pair, by table; nan of the MLPs, which attend to nothing.

    Components stand in the order of `ModelShape.components`.
    """
    n_tables, n_pairs, n_layers, _ = attention.weights.shape
    mlps = np.full((n_tables, n_pairs, n_layers), np.nan, dtype=np.float32)
    return np.concatenate([mlps, attention.weights.reshape(n_tables, n_pairs, -1)], axis=2)


def in_best_table(
    scores: Float32[np.ndarray, "tables pairs components"],
) -> Float32[np.ndarray, "pairs components"]:
    """Each component's scores by pair in the table in which their mean is highest."""
    best = scores.mean(axis=1, dtype=np.float64).argmax(axis=0)
    return np.ascontiguousarray(np.take_along_axis(scores, best[None, None], axis=0)[0])
