"""Circuits: what the experiment's rule selects on scores, by their kind, under one budget."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from replication.circuits.circuit import Circuit, selected_circuit
from replication.circuits.components import Component
from replication.circuits.scores import ScoreTable
from replication.circuits.selection import NotSelected, select
from replication.circuits.steps import tables_of
from replication.experiment.behaviours import RivalKind
from replication.experiment.spec import ScoreKind, Spec
from replication.inputs.files import InputError

METHODS: Mapping[ScoreKind, str] = {
    "differential": "differential_activation_analysis",
    "attribution": "attribution_patching",
    "effect": "activation_patching",
    "attention": "mean_attention_weight",
}


def select_circuit(spec: Spec, tables: Mapping[str, ScoreTable]) -> Circuit:
    """The circuit that the experiment's rule selects on computed scores.

    A step that names no table looks at the only one.

    Raises:
        NotSelected: the budget or the threshold cannot be met.
        InputError: a step is by a table that is not measured.
    """
    middles = {name: table.middles() for name, table in tables.items()}
    for name in chain.from_iterable(map(tables_of, spec.rule.steps)):
        if name is not None and name not in tables:
            raise InputError(f"the rule selects by {name!r}, which scoring.tables does not measure")
    return selected_circuit(
        select(next(iter(middles.values())), spec.rule, middles),
        spec.costs,
        spec.selection.budget,
        model=spec.model.label,
        task=spec.task,
        version=spec.measures,
        method=METHODS[spec.scoring.kind],
    )


def rival_circuit(spec: Spec, kind: RivalKind, scores: ScoreTable) -> Circuit:
    """The circuit that rival scores select under the experiment's budget.

    Raises:
        NotSelected: the budget or the rival's threshold cannot be met.
    """
    changed = {"mlp_threshold": spec.ablation.rivals[kind]}
    rule = spec.selection.model_copy(update=changed)
    scoring = spec.scoring.model_copy(update={"kind": kind})
    there = spec.model_copy(update={"selection": rule, "scoring": scoring})
    try:
        return select_circuit(there, {kind: scores})
    except NotSelected as error:
        raise NotSelected(f"ablation.rivals: {kind}: {error}") from None


def kept_circuits(
    spec: Spec,
    tables: Mapping[str, ScoreTable],
    rivals: Mapping[ScoreKind, ScoreTable],
    published: Mapping[str, Circuit],
) -> tuple[dict[str, tuple[Component, ...]], dict[str, str]]:
    """The circuits that are kept alone, by name: the measured one, its rivals, published ones.

    `tables` are what is measured. A rival is named by the kind of its scores; there is none where
    those could not be had, nor where they select none: the second dict says why, by its name.

    Raises:
        NotSelected: the experiment's own budget or threshold cannot be met.
    """
    circuits = {spec.measures: select_circuit(spec, tables).nodes}
    unselected: dict[str, str] = {}
    for kind in spec.ablation.rivals:
        if kind in rivals:
            try:
                circuits[kind] = rival_circuit(spec, kind, rivals[kind]).nodes
            except NotSelected as error:
                unselected[kind] = str(error)
    others = {name: one.nodes for name, one in published.items() if name != spec.measures}
    return circuits | others, unselected
