"""Run: an experiment on any number of pairs, in memory that does not grow with them.

Pairs stream in and per-pair scores stream out; what is kept is their sum.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from replication.circuits.circuit import Circuit
from replication.circuits.result_files import write_result
from replication.circuits.scores import mean_table
from replication.engine.capture import capture_stream
from replication.engine.models import LoadedModel
from replication.engine.scores.differential import pair_scores
from replication.evidence.evidence import Result, select_circuit
from replication.experiment.pairs import PairSource
from replication.experiment.spec import Spec
from replication.inputs.writing import writing_atomically
from replication.report.figures import result_figures
from replication.report.pictures.pictures import write_circuit_picture


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
