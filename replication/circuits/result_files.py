"""The files of a result: `scores.json` and `circuit.json`, with where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from replication.circuits.circuit import Circuit, circuit_file
from replication.circuits.scores import ScoreTable, scores_file
from replication.inputs.writing import write_json


def write_result(
    folder: Path, scores: ScoreTable, circuit: Circuit, provenance: dict[str, Any]
) -> None:
    """Write `scores.json` and `circuit.json`, with where they come from."""
    write_json(folder / "scores.json", scores_file(scores, {"provenance": provenance}))
    content = circuit_file(circuit)
    content["metadata"]["provenance"] = provenance
    write_json(folder / "circuit.json", content)
