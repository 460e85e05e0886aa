"""Random weights: would a model of this architecture that learned nothing score as high?

A component's score is given over the point below which 95% of the scores of its kind lie that
random weights give: all components of the kind over all seeds, for a single one has only as many
scores as there are seeds. It gives no word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from replication.circuits.components import Component, Kind
from replication.controls.not_computed import NotComputed
from replication.engine.random_weights import RandomWeights
from replication.evidence.evidence import Measured
from replication.evidence.random_weights import NoRandomWeights

POINT = 0.95  # the share of random weights' scores that lie below


@dataclass(frozen=True)
class OverRandom:
    """Every component's score over the 95% point of random weights; nan where that is 0.

    `points` are in the units of a score, by kind; `recorded_in` is the file that random weights'
    scores were read from, None where they were run, and `initializer_range` the standard deviation
    that the configuration states for random weights, if it does.
    """

    seeds: Sequence[int]
    recorded_in: str | None
    initializer_range: float | None
    points: Mapping[Kind, float]
    ratio: Float64[np.ndarray, " components"]


def over_random(measured: Measured, components: Sequence[Component]) -> OverRandom | NotComputed:
    """A measured result's scores over those that random weights give, where there are any."""
    random = measured.random
    if isinstance(random, NoRandomWeights):
        return NotComputed(random.reason)
    return held_against(measured.means, random, components)


def held_against(
    means: Float64[np.ndarray, " components"],
    random: RandomWeights,
    components: Sequence[Component],
) -> OverRandom:
    """These scores over the 95% point of the random ones of their kind."""
    kinds = [component.kind for component in components]
    points: dict[Kind, float] = {
        kind: float(np.quantile(random.scores[:, [one == kind for one in kinds]], POINT))
        for kind in dict.fromkeys(kinds)
    }
    below = np.array([points[kind] for kind in kinds])
    with np.errstate(over="ignore"):  # over a point that is nearly 0
        ratio = np.divide(means, below, out=np.full(len(kinds), np.nan), where=below > 0)
    ratio[np.isinf(ratio)] = np.nan
    spread = random.architecture.initializer_range
    return OverRandom(random.seeds, random.recorded_in, spread, points, ratio)
