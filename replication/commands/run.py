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
from replication.circuits.scores import highest, table_of
from replication.circuits.selection import NotSelected
from replication.engine.attention import attention_stream
from replication.engine.models import LoadedModel
from replication.engine.scores.attention import attention_scores
from replication.engine.scores.causal import causal_scores
from replication.engine.scores.differential import mean_scores
from replication.engine.scores.streamed import score_stream
from replication.engine.subject import check_interventions, not_shown, subject_of
from replication.engine.tokens import SeenTokens
from replication.engine.words import in_words, token_positions
from replication.evidence.circuits import rival_circuit, select_circuit
from replication.evidence.evidence import Result
from replication.evidence.intervening import effects_of
from replication.experiment.behaviours import RivalKind
from replication.experiment.pair_files import PairSource
from replication.experiment.spec import ScoreKind, Spec
from replication.inputs.files import InputError
from replication.inputs.folders import writing_folder
from replication.inputs.writing import write_json
from replication.report.handover import result_figures
from replication.report.pictures.svg import write_circuit_picture

if TYPE_CHECKING:
    from _csv import Writer

Scored = tuple[Int64[np.ndarray, "pairs 2"], Float32[np.ndarray, "tables pairs components"]]


@dataclass(frozen=True)
class Ran:
    """What a run selected, and in words how it compares with what rival scores select.

    `positions` says of the first pair which tokens attention was measured between.
    """

    circuit: Circuit
    compared: Sequence[str] = ()
    positions: str | None = None


PARTS = "parts"  # the folder in that of a run where its parts are kept until it is done with


def run(spec: Spec, model: LoadedModel, pairs: PairSource, n_pairs: int, out: Path) -> Ran:
    """Capture, score and select; write the pairs' scores, the scores, the circuit, its picture.

    All files take their place together, over nothing but what an earlier run wrote there, and
    beside the parts that are kept. Where the experiment states rival scores, the circuit that each
    selects is written too.

    Raises:
        InputError: a prompt does not fit the model, the budget or threshold cannot be met, the
            model does not show the behaviour that scores are of, or something stands there that no
            run wrote.
    """
    with writing_folder(out, [PARTS]) as new:
        with (new / "pair_scores.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            sides = (f"{side}_tokens" for side in spec.sides)
            rows.writerow(["pair", *sides, *_columns(spec)])
            scored = _scored(spec, spec.scoring.kind, model, pairs, n_pairs)
            means = mean_scores(_written(rows, scored))
        names = spec.scoring.table_names
        by_table = zip(names, np.split(means, len(names)), strict=True)
        tables = {name: table_of(one, model.shape) for name, one in by_table}
        circuit = select_circuit(spec, tables)
        provenance = {
            **model.provenance_of_runs.model_dump(mode="json"),
            **spec.scoring.asked,
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
        for name, content in result_files(tables, circuit, provenance).items():
            write_json(new / name, content)
        figures = result_figures(spec, model.shape, Result(highest(list(tables.values())), circuit))
        write_circuit_picture(new / "circuit.svg", figures)
    return Ran(circuit, compared, _positions(spec, model, pairs))


def _columns(spec: Spec) -> list[str]:
    """The columns of the pairs' scores: of several tables each with its table's name."""
    components = list(map(str, spec.model.shape.components()))
    if spec.scoring.kind != "attention":
        return components
    heads = components[spec.model.shape.n_layers :]
    return [f"{table}:{head}" for table in spec.scoring.tables for head in heads]


def _positions(spec: Spec, model: LoadedModel, pairs: PairSource) -> str | None:
    """Which tokens of the first pair attention was measured between."""
    if spec.scoring.kind != "attention":
        return None
    first = next(pairs.read())
    found = token_positions(model.tokenizer, first, spec.scoring.positions)
    return in_words(found, first_tokens(model, pairs))


def first_tokens(model: LoadedModel, pairs: PairSource) -> SeenTokens:
    """Which tokens the model sees of the first pair."""
    return model.tokenizer.seen(islice(pairs.stream(), 1))


class _NotShown(InputError):
    """The model does not show the behaviour that scores are of."""


def _rival(
    spec: Spec,
    kind: RivalKind,
    model: LoadedModel,
    pairs: PairSource,
    n_pairs: int,
    circuit: Circuit,
) -> tuple[Circuit | None, list[str]]:
    """The circuit that rival scores select under the budget, and how the run's own compares."""
    try:
        scored = _scored(spec, kind, model, pairs, n_pairs)
        means = mean_scores(scores[0] for _, scores in scored)
    except _NotShown as error:
        return None, [f"no circuit by {kind}: {error}"]
    try:
        rival = rival_circuit(spec, kind, table_of(means, model.shape))
    except NotSelected as error:
        return None, [f"no circuit by {kind}: {error}"]
    return rival, describe_comparison(compare_circuits(circuit, rival), spec.scoring.kind, kind)


def _scored(
    spec: Spec, kind: ScoreKind, model: LoadedModel, pairs: PairSource, n_pairs: int
) -> Iterator[Scored]:
    """The prompts' lengths and the scores by table and pair, some pairs at a time.

    Scores of a behaviour take all pairs at once, as a mean over the counterparts does.
    """
    if kind == "differential":
        convention = spec.scoring.convention
        for seen, scores in score_stream(model, pairs.stream(), convention, n_pairs):
            yield seen, scores[None]
        return
    if kind == "attention":
        for part in attention_stream(model, pairs.read(), spec.scoring, n_pairs):
            yield part.token_lengths, attention_scores(part)
        return
    name = str(spec.scored_behaviour)
    subject = subject_of(model, list(pairs.read()), name, spec.behaviour[name], spec.ablation)
    if (reason := not_shown(subject)) is not None:
        raise _NotShown(f"behaviour {name}: {reason}")
    check_interventions(subject)
    lengths = [
        (pair.first.prompt.length, pair.counterpart.prompt.length) for pair in subject.pairs[0]
    ]
    yield np.array(lengths, dtype=np.int64), causal_scores(effects_of(subject, kind))[None]


def _written(
    rows: Writer, scored: Iterable[Scored]
) -> Iterator[Float32[np.ndarray, "pairs columns"]]:
    """Each chunk's scores by pair, table by table, when they are written; nan is no score."""
    number = count(1)
    for lengths, by_table in scored:
        scores = np.concatenate(by_table, axis=1)
        for own, row in zip(lengths, scores, strict=True):
            figures = (f"{score:.9g}" for score in row if not np.isnan(score))
            rows.writerow([next(number), *own, *figures])
        yield scores
