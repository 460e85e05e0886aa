"""What a generator draws: pairs, the mean activations of a made-up model on them, and the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from replication.engine.activations import MeanActivations
from replication.experiment.pairs import Pair


@dataclass(frozen=True)
class Drawn:
    """Pairs that were drawn, the model's mean activations on them, and each component's truth.

    `share` is that of the property in the square of the difference on the text alone, after what is
    linear in either length or its inverse was taken out; `length_ratio` is the norm of the mean
    effect of length on the whole means' difference over that of the property, infinite where there
    is no property and 0 where there is neither; `score` is the mean norm of the whole means'
    difference over a large population, NaN where the pairs are none of one.
    """

    pairs: list[Pair]
    groups: list[str] | None
    activations: MeanActivations
    share: Float[np.ndarray, " components"]
    length_ratio: Float[np.ndarray, " components"]
    score: Float[np.ndarray, " components"]


@dataclass(frozen=True)
class Generator:
    """A kind of pairs and models. `draw` takes the seed of the model and the number of pairs."""

    name: str
    about: str
    has_property: bool
    draw: Callable[[int, int], Drawn]
