"""Matched circuits: random ones of as many MLPs and as many heads, hence of the same write cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool

from replication.circuits.components import INPUT, Component, ModelShape

# Whether each component is in a set: the input, then those in the order of `ModelShape.components`.
Mask = Bool[np.ndarray, " all"]


def mask_of(components: Iterable[Component], shape: ModelShape) -> Mask:
    """The mask of some components."""
    wanted = set(components)
    return np.array([component in wanted for component in (INPUT, *shape.components())])


def members_of(mask: Mask, shape: ModelShape) -> list[Component]:
    """The components in a mask."""
    everything = [INPUT, *shape.components()]
    return [everything[index] for index in np.flatnonzero(mask)]


def matched(
    circuit: Mask, shape: ModelShape, rng: np.random.Generator, *, by_layer: bool
) -> Iterator[Mask]:
    """Random circuits of one make-up, without end: as many MLPs and heads, and the input as it is.

    `by_layer` keeps how many there are in every layer.
    """
    n_layers, n_heads = shape.n_layers, shape.n_heads
    mlps = np.arange(1, 1 + n_layers)
    heads = np.arange(1 + n_layers, 1 + n_layers + n_layers * n_heads)
    pools = [mlps[:, None], heads.reshape(n_layers, n_heads)] if by_layer else [[mlps], [heads]]
    drawn_from = [pool for kind in pools for pool in kind]
    while True:
        drawn = np.zeros_like(circuit)
        drawn[0] = circuit[0]
        for pool in drawn_from:
            drawn[rng.choice(pool, int(circuit[pool].sum()), replace=False)] = True
        yield drawn
