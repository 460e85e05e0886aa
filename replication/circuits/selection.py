"""Selection: which components make the circuit, under a write budget.

The input first; then every MLP that reaches the threshold, best first; then heads, best first,
while the budget lasts. Source: the method of the published sarcasm circuit (2025-11-10).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float64, Int64

from replication.circuits.components import INPUT, Component, ModelShape, WriteCosts
from replication.circuits.scores import best_first
from replication.inputs.files import InputError

Number = TypeVar("Number", int, Int64[np.ndarray, " rows"])


@dataclass(frozen=True)
class Rule:
    """The selection rule: a write budget, in dimensions, and the score that an MLP must reach."""

    costs: WriteCosts
    budget: int
    mlp_threshold: float

    def heads_that_fit(self, n_mlps: Number) -> Number:
        """How many heads the budget holds beside the input and so many MLPs.

        Below zero where it does not even hold those.
        """
        return (self.budget - self.costs.of(INPUT) - n_mlps * self.costs.d_model) // (
            self.costs.d_head
        )


def select(scores: Mapping[Component, Fraction], rule: Rule) -> list[Component]:
    """The selected components, in the order in which they are chosen.

    Raises:
        InputError: the budget does not hold the input, or the MLPs at or above the threshold; or
            no MLP reaches the threshold.
    """
    costs, budget = rule.costs, rule.budget
    if budget < costs.of(INPUT):
        raise InputError(
            f"a budget of {budget} does not hold the input, which costs {costs.of(INPUT)}"
        )
    mlps = best_first(scores, "mlp")
    chosen = [INPUT, *(mlp for mlp in mlps if float(scores[mlp]) >= rule.mlp_threshold)]
    if mlps and chosen == [INPUT]:
        raise InputError(
            f"no MLP reaches the threshold of {rule.mlp_threshold:g}:"
            f" the highest score is {float(scores[mlps[0]]):.6g} ({mlps[0]})"
        )
    if (room := rule.heads_that_fit(len(chosen) - 1)) < 0:
        raise InputError(
            f"a budget of {budget} does not hold the {len(chosen) - 1} MLPs at or above the"
            f" threshold of {rule.mlp_threshold:g}, which cost {costs.total(chosen)} with the input"
        )
    return chosen + best_first(scores, "head")[:room]


def selections(
    scores: Float64[np.ndarray, "rows components"], shape: ModelShape, rule: Rule
) -> Bool[np.ndarray, "rows components"]:
    """What `select` selects on every row, the input aside.

    Components stand in the order of `ModelShape.components`; one whose score is nan is not scored.
    Nothing is selected on a row on which the threshold or the budget cannot be met.
    """
    mlps, heads = scores[:, : shape.n_layers], scores[:, shape.n_layers :]
    chosen_mlps = mlps >= rule.mlp_threshold
    n_mlps = chosen_mlps.sum(axis=1)
    room = rule.heads_that_fit(n_mlps)
    order = np.argsort(-heads, axis=1, kind="stable")  # ties fall by layer, then head
    chosen_heads = np.zeros_like(heads, dtype=bool)
    np.put_along_axis(chosen_heads, order, np.arange(heads.shape[1]) < room[:, None], axis=1)
    is_possible = ((n_mlps > 0) | np.isnan(mlps).all(axis=1)) & (room >= 0)
    return np.asarray(np.hstack([chosen_mlps, chosen_heads]) & is_possible[:, None])
