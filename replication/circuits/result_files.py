"""The files of a result: its scores and `circuit.json`, with where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replication.circuits.circuit import Circuit, circuit_file
from replication.circuits.scores import ScoreTable, highest, scores_file


def result_files(
    tables: Mapping[str, ScoreTable], circuit: Circuit | None, provenance: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The content of the files, by name; `scores.json` has each component's highest score.

    Where there are several tables, each has a file of its own too; a circuit has one if there is
    one.
    """
    made = {"provenance": dict(provenance)}
    by_table = {
        f"scores_{name}.json": scores_file(table, {"table": name, **made})
        for name, table in tables.items()
        if len(tables) > 1
    }
    scores = {"scores.json": scores_file(highest(list(tables.values())), made), **by_table}
    if circuit is None:
        return scores
    content = circuit_file(circuit)
    content["metadata"]["provenance"] = dict(provenance)
    return {**scores, "circuit.json": content}
