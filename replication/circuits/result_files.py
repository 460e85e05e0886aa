"""The files of a result: `scores.json` and `circuit.json`, with where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replication.circuits.circuit import Circuit, circuit_file
from replication.circuits.scores import ScoreTable, scores_file


def result_files(
    scores: ScoreTable, circuit: Circuit, provenance: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The content of both files, by name."""
    content = circuit_file(circuit)
    content["metadata"]["provenance"] = dict(provenance)
    return {
        "scores.json": scores_file(scores, {"provenance": dict(provenance)}),
        "circuit.json": content,
    }
