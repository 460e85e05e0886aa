"""Selection: which components make the circuit, under a write budget.

The input first; then every MLP that reaches the threshold, best first; then heads, best first,
while the budget lasts. Source: the method of the published sarcasm circuit (2025-11-10).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float64

from replication.circuits.components import INPUT, Component, Kind, WriteCosts
from replication.experiment.spec import Spec
from replication.inputs.files import InputError


def best_first(scores: Mapping[Component, Fraction], kind: Kind) -> list[Component]:
    """The components of a kind by falling score; ties fall by layer, then head."""
    return sorted(
        (component for component in scores if component.kind == kind),
        key=lambda component: (-scores[component], component),
    )


def select(
    scores: Mapping[Component, Fraction], costs: WriteCosts, budget: int, mlp_threshold: float
) -> list[Component]:
    """The selected components, in the order in which they are chosen.

    Raises:
        InputError: the budget does not hold the input, or the MLPs at or above the threshold; or
            no MLP reaches the threshold.
    """
    if budget < costs.of(INPUT):
        raise InputError(
            f"a budget of {budget} does not hold the input, which costs {costs.of(INPUT)}"
        )
    mlps = best_first(scores, "mlp")
    chosen = [INPUT, *(mlp for mlp in mlps if float(scores[mlp]) >= mlp_threshold)]
    if mlps and chosen == [INPUT]:
        raise InputError(
            f"no MLP reaches the threshold of {mlp_threshold:g}:"
            f" the highest score is {float(scores[mlps[0]]):.6g} ({mlps[0]})"
        )
    if (needed := costs.total(chosen)) > budget:
        raise InputError(
            f"a budget of {budget} does not hold the {len(chosen) - 1} MLPs at or above the"
            f" threshold of {mlp_threshold:g}, which cost {needed} with the input"
        )
    room = (budget - needed) // costs.d_head
    return chosen + best_first(scores, "head")[:room]


def selections(
    spec: Spec, scores: Float64[np.ndarray, "rows components"]
) -> Bool[np.ndarray, "rows components"]:
    """What `select` selects on every row, the input aside.

    Nothing is selected on a row on which the threshold or the budget cannot be met.
    """
    shape, costs, rule = spec.model.shape, spec.costs, spec.selection
    mlps, heads = scores[:, : shape.n_layers], scores[:, shape.n_layers :]
    chosen_mlps = mlps >= rule.mlp_threshold
    n_mlps = chosen_mlps.sum(axis=1)
    room = rule.budget - (costs.d_model if costs.input_counts else 0) - n_mlps * costs.d_model
    is_possible = (n_mlps > 0) & (room >= 0)
    best_first = np.argsort(-heads, axis=1, kind="stable")
    chosen_heads = np.zeros_like(heads, dtype=bool)
    fits = np.arange(heads.shape[1]) < (room // costs.d_head)[:, None]
    np.put_along_axis(chosen_heads, best_first, fits, axis=1)
    return np.asarray(np.hstack([chosen_mlps, chosen_heads]) & is_possible[:, None])
