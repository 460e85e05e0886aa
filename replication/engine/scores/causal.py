"""Causal scores: how far the behaviour moves, on every pair, when a component alone is ablated.

The score of kind `effect` is the size of the exact effect, that of kind `attribution` the size of
what the gradient says of it; over several pairs it is the mean, as for the differential kind.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32


def causal_scores(
    effects: Float32[np.ndarray, "all pairs"],
) -> Float32[np.ndarray, "pairs components"]:
    """Each component's score on each pair; the input, the first among the effects, has none."""
    return np.ascontiguousarray(np.abs(effects[1:].T))
