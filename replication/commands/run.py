"""Run: an experiment on any number of pairs.

Pairs stream in and per-pair scores stream out; their sum is kept, and a digest of each pair.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from replication.circuits.circuit import Circuit
from replication.circuits.result_files import result_files
from replication.circuits.scores import table_of
from replication.engine.activations import MeanActivations
from replication.engine.capture import capture_stream
from replication.engine.models import LoadedModel
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.engine.tokens import SeenTokens
from replication.evidence.evidence import Result, select_circuit
from replication.experiment.pairs import PairSource
from replication.experiment.spec import MlpOut, Spec
from replication.inputs.folders import writing_folder
from replication.inputs.writing import write_json
from replication.report.handover import result_figures
from replication.report.pictures.svg import write_circuit_picture

if TYPE_CHECKING:
    from _csv import Writer


def run(spec: Spec, model: LoadedModel, pairs: PairSource, n_pairs: int, out: Path) -> Circuit:
    """Capture, score and select; write the pairs' scores, the scores, the circuit, its picture.

    All files take their place together, over nothing but what an earlier run wrote there.

    Raises:
        InputError: a prompt does not fit the model, the budget or threshold cannot be met, or
            something stands there that no run wrote.
    """
    with writing_folder(out) as new:
        with (new / "pair_scores.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            sides = (f"{side}_tokens" for side in spec.sides)
            rows.writerow(["pair", *sides, *map(str, model.shape.components())])
            chunks = capture_stream(model, pairs.stream(), n_pairs)
            means = mean_scores(_written(rows, chunks, spec.scoring.mlp_out))
        table = table_of(means, model.shape)
        circuit = select_circuit(spec, table)
        provenance = {
            **model.provenance.model_dump(mode="json"),
            "pairs": n_pairs,
            "pairs_from": pairs.origin(),
            "seen": first_tokens(model, pairs).model_dump(mode="json", exclude={"ids_sha256"}),
        }
        for name, content in result_files(table, circuit, provenance).items():
            write_json(new / name, content)
        figures = result_figures(spec, model.shape, Result(table, circuit))
        write_circuit_picture(new / "circuit.svg", figures)
    return circuit


def first_tokens(model: LoadedModel, pairs: PairSource) -> SeenTokens:
    """Which tokens the model sees of the first pair."""
    return model.tokenizer.seen(islice(pairs.stream(), 1))


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
