"""Selection: which components make the circuit, under a write budget.

The input first; then every MLP that reaches the threshold, best first; then heads, best first,
while the budget lasts. Source: the method of the published sarcasm circuit (2025-11-10).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from replication.components import INPUT, Component, Kind, WriteCosts
from replication.files import InputError


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
