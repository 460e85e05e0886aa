"""Run: an experiment on any number of pairs, in memory that does not grow with them.

Pairs stream in and per-pair scores stream out; what is kept is their sum.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from replication.capture import capture_stream
from replication.circuit import Circuit, circuit_file
from replication.evidence import Result, select_circuit
from replication.experiment import Spec
from replication.figures import result_figures
from replication.files import write_json, writing_atomically
from replication.models import LoadedModel
from replication.pairs import PairSource
from replication.pictures import write_circuit_picture
from replication.scoring import ScoreTable, mean_table, pair_scores, scores_file


def run(spec: Spec, model: LoadedModel, pairs: PairSource, n_pairs: int, out: Path) -> Circuit:
    """Capture, score and select; write the pairs' scores, the scores, the circuit, its picture.

    Raises:
        InputError: a prompt does not fit the model, or the budget or threshold cannot be met.
    """
    components = model.shape.components()
    total = np.zeros(len(components))
    with writing_atomically(out / "pair_scores.csv") as file:
        sides = [f"{side}_tokens" for side in spec.sides]
        file.write(",".join(["pair", *sides, *map(str, components)]).encode() + b"\n")
        number = 0
        for chunk in capture_stream(model, pairs.stream(), n_pairs):
            scores = pair_scores(chunk, spec.scoring.mlp_out)
            total += scores.sum(axis=0, dtype=np.float64)
            for lengths, row in zip(chunk.token_lengths, scores, strict=True):
                number += 1
                figures = [str(number), *map(str, lengths), *(f"{score:.9g}" for score in row)]
                file.write(",".join(figures).encode() + b"\n")
        table = mean_table(total / number, model.shape)
        circuit = select_circuit(spec, table)
    counted = {"pairs": number, "pairs_from": pairs.origin()}
    write_result(out, table, circuit, {**model.provenance.model_dump(), **counted})
    write_circuit_picture(
        out / "circuit.svg", result_figures(spec, model.shape, Result(table, circuit))
    )
    return circuit


def write_result(
    folder: Path, scores: ScoreTable, circuit: Circuit, provenance: dict[str, Any]
) -> None:
    """Write `scores.json` and `circuit.json`, with where they come from."""
    write_json(folder / "scores.json", scores_file(scores, {"provenance": provenance}))
    content = circuit_file(circuit)
    content["metadata"]["provenance"] = provenance
    write_json(folder / "circuit.json", content)
