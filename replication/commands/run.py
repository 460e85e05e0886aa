"""Run: an experiment on any number of pairs.

Pairs stream in and per-pair scores stream out; their sum is kept, and a digest of each pair.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Int64

from replication.circuits.circuit import Circuit, circuit_file
from replication.circuits.comparison import compare_circuits, describe_comparison
from replication.circuits.result_files import result_files
from replication.circuits.scores import table_of
from replication.engine.capture import capture_stream
from replication.engine.models import LoadedModel
from replication.engine.scores.causal import causal_scores
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.engine.subject import check_interventions, not_shown, subject_of
from replication.engine.tokens import SeenTokens
from replication.evidence.circuits import rival_circuit, select_circuit
from replication.evidence.evidence import Result
from replication.evidence.intervening import effects_of
from replication.experiment.pair_files import PairSource
from replication.experiment.spec import ScoreKind, Spec
from replication.inputs.files import InputError
from replication.inputs.folders import writing_folder
from replication.inputs.writing import write_json
from replication.report.handover import result_figures
from replication.report.pictures.svg import write_circuit_picture

if TYPE_CHECKING:
    from _csv import Writer

Scored = tuple[Int64[np.ndarray, "pairs 2"], Float32[np.ndarray, "pairs components"]]


@dataclass(frozen=True)
class Ran:
    """What a run selected, and how it compares with what rival scores select, in words."""

    circuit: Circuit
    compared: Sequence[str] = ()


def run(spec: Spec, model: LoadedModel, pairs: PairSource, n_pairs: int, out: Path) -> Ran:
    """Capture, score and select; write the pairs' scores, the scores, the circuit, its picture.

    All files take their place together, over nothing but what an earlier run wrote there. Where the
    experiment states rival scores, the circuit that each selects is written too.

    Raises:
        InputError: a prompt does not fit the model, the budget or threshold cannot be met, the
            model does not show the behaviour that scores are of, or something stands there that no
            run wrote.
    """
    with writing_folder(out) as new:
        with (new / "pair_scores.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            sides = (f"{side}_tokens" for side in spec.sides)
            rows.writerow(["pair", *sides, *map(str, model.shape.components())])
            scored = _scored(spec, spec.scoring.kind, model, pairs, n_pairs)
            means = mean_scores(_written(rows, scored))
        table = table_of(means, model.shape)
        circuit = select_circuit(spec, table)
        provenance = {
            **model.provenance.model_dump(mode="json"),
            "pairs": n_pairs,
            "pairs_from": pairs.origin(),
            "seen": first_tokens(model, pairs).model_dump(mode="json", exclude={"ids_sha256"}),
        }
        compared: list[str] = []
        for kind in spec.ablation.rivals:
            rival, said = _rival(spec, kind, model, pairs, n_pairs, circuit)
            compared += said
            if rival is not None:
                write_json(new / f"circuit_{kind}.json", circuit_file(rival))
        for name, content in result_files(table, circuit, provenance).items():
            write_json(new / name, content)
        figures = result_figures(spec, model.shape, Result(table, circuit))
        write_circuit_picture(new / "circuit.svg", figures)
    return Ran(circuit, compared)


def first_tokens(model: LoadedModel, pairs: PairSource) -> SeenTokens:
    """Which tokens the model sees of the first pair."""
    return model.tokenizer.seen(islice(pairs.stream(), 1))


class _NotShown(InputError):
    """The model does not show the behaviour that scores are of."""


def _rival(
    spec: Spec,
    kind: ScoreKind,
    model: LoadedModel,
    pairs: PairSource,
    n_pairs: int,
    circuit: Circuit,
) -> tuple[Circuit | None, list[str]]:
    """The circuit that rival scores select under the budget, and how the run's own compares."""
    try:
        means = mean_scores(scores for _, scores in _scored(spec, kind, model, pairs, n_pairs))
    except _NotShown as error:
        return None, [f"no circuit by {kind}: {error}"]
    rival = rival_circuit(spec, kind, table_of(means, model.shape))
    return rival, describe_comparison(compare_circuits(circuit, rival), spec.scoring.kind, kind)


def _scored(
    spec: Spec, kind: ScoreKind, model: LoadedModel, pairs: PairSource, n_pairs: int
) -> Iterator[Scored]:
    """The prompts' lengths and the scores by pair, some pairs at a time.

    Scores of a behaviour take all pairs at once, as a mean over the counterparts does.
    """
    if kind == "differential":
        for chunk in capture_stream(model, pairs.stream(), n_pairs):
            yield chunk.token_lengths, pair_scores(chunk, spec.scoring.mlp_out)
        return
    name = str(spec.scored_behaviour)
    subject = subject_of(model, list(pairs.read()), name, spec.behaviour[name], spec.ablation)
    if (reason := not_shown(subject)) is not None:
        raise _NotShown(f"behaviour {name}: {reason}")
    check_interventions(subject)
    lengths = [
        (pair.first.prompt.length, pair.counterpart.prompt.length) for pair in subject.pairs[0]
    ]
    yield np.array(lengths, dtype=np.int64), causal_scores(effects_of(subject, kind))


def _written(
    rows: Writer, scored: Iterable[Scored]
) -> Iterator[Float32[np.ndarray, "pairs components"]]:
    """Each chunk's scores by pair, when they are written."""
    number = count(1)
    for lengths, scores in scored:
        for own, row in zip(lengths, scores, strict=True):
            rows.writerow([next(number), *own, *(f"{score:.9g}" for score in row)])
        yield scores
