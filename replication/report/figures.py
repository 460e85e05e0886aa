"""Figures: what the pictures are drawn from, as plain data that one process can hand to another."""

from __future__ import annotations

from typing import Any

from replication.circuits.comparison import cut
from replication.circuits.components import ModelShape, names
from replication.circuits.intervals import plain
from replication.evidence.evidence import Evidence, Result
from replication.experiment.spec import Experiment, Spec

Figures = dict[str, Any]


def figures(experiment: Experiment, evidence: Evidence) -> Figures:
    """The figures of one kind of evidence: of the measured result, or of every published one."""
    spec = experiment.spec
    shown = [evidence.measured] if evidence.measured else list(evidence.results)
    return {
        "evidence": evidence.kind,
        "sides": list(spec.sides),
        "pairs": [list(pair) for pair in experiment.pairs],
        "results": {
            name: result_figures(spec, evidence.shape, evidence.results[name]) for name in shown
        },
    }


def result_figures(spec: Spec, shape: ModelShape, result: Result) -> Figures:
    """One result: its scores, each pair's own, its nodes, and where its heads were cut off.

    A score is a number, or the two ends of what its printed digits allow. What is not known is
    None, or missing from a table.
    """
    scores, circuit = result.scores, result.circuit
    edge = cut(circuit, scores) if circuit and scores else None
    return {
        "shape": shape.model_dump(),
        "mlp_threshold": spec.selection.mlp_threshold,
        "budget": spec.selection.budget,
        "nodes": names(circuit.nodes) if circuit else None,
        "cost": spec.costs.total(circuit.nodes) if circuit else None,
        "scores": {str(part): plain(score) for part, score in scores.scores.items()}
        if scores
        else None,
        "cut": edge
        and {
            "last_in": str(edge.last_in),
            "first_out": str(edge.first_out),
            "score": float(edge.middle),
        },
    }
