"""Run: an experiment on any number of pairs, in memory that does not grow with them.

Pairs stream in and per-pair scores stream out; what is kept is their sum.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from replication.circuits.circuit import Circuit
from replication.circuits.result_files import write_result
from replication.circuits.scores import table_of
from replication.engine.activations import MeanActivations
from replication.engine.capture import capture_stream
from replication.engine.models import LoadedModel
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.evidence.evidence import Result, select_circuit
from replication.experiment.pairs import PairSource
from replication.experiment.spec import MlpOut, Spec
from replication.inputs.writing import writing_atomically
from replication.report.handover import result_figures
from replication.report.pictures.svg import write_circuit_picture

if TYPE_CHECKING:
    from _csv import Writer


def run(spec: Spec, model: LoadedModel, pairs: PairSource, n_pairs: int, out: Path) -> Circuit:
    """Capture, score and select; write the pairs' scores, the scores, the circuit, its picture.

    Raises:
        InputError: a prompt does not fit the model, or the budget or threshold cannot be met.
    """
    with (
        writing_atomically(out / "pair_scores.csv") as file,
        TextIOWrapper(file, encoding="utf-8", newline="") as text,
    ):
        rows = csv.writer(text, lineterminator="\n")
        sides = (f"{side}_tokens" for side in spec.sides)
        rows.writerow(["pair", *sides, *map(str, model.shape.components())])
        chunks = capture_stream(model, pairs.stream(), n_pairs)
        table = table_of(mean_scores(_written(rows, chunks, spec.scoring.mlp_out)), model.shape)
        circuit = select_circuit(spec, table)
    counted = {"pairs": n_pairs, "pairs_from": pairs.origin()}
    write_result(out, table, circuit, {**model.provenance.model_dump(), **counted})
    write_circuit_picture(
        out / "circuit.svg", result_figures(spec, model.shape, Result(table, circuit))
    )
    return circuit


def _written(
    rows: Writer, chunks: Iterable[MeanActivations], mlp_out: MlpOut
) -> Iterator[Float32[np.ndarray, "pairs components"]]:
    """Each chunk's scores by pair, when they are written."""
    number = count(1)
    for chunk in chunks:
        scores = pair_scores(chunk, mlp_out)
        for lengths, row in zip(chunk.token_lengths, scores, strict=True):
            rows.writerow([next(number), *lengths, *(f"{score:.9g}" for score in row)])
        yield scores
