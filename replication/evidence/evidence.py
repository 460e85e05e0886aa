"""Evidence: what claims are judged on.

`published` evidence is the figures and circuits as printed in the source; `recorded` evidence is
computed from stored mean activations; `live` evidence is computed from a run of the model now.
Recorded and live evidence measure one of the experiment's results again; every other result stays
as it was published.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from replication.circuits.circuit import Circuit, check_convention, read_circuit, selected_circuit
from replication.circuits.components import ModelShape
from replication.circuits.intervals import Verdict
from replication.circuits.scores import ScoreTable, read_scores, table_of
from replication.circuits.selection import select
from replication.engine.activations import MeanActivations
from replication.engine.capture import capture
from replication.engine.models import Device, load_model
from replication.engine.provenance import Provenance
from replication.engine.recording import Recording, recorded_path, replay
from replication.engine.scores.differential import pair_scores
from replication.evidence.lengths import Lengths, read_lengths
from replication.experiment.spec import Experiment, Spec
from replication.inputs.files import InputError, faulty

Kind = Literal["published", "recorded", "live"]


class EvidenceMissing(Exception):
    """There is no such evidence; the message says which and how to get it."""


@dataclass(frozen=True)
class Result:
    """One result's figures, as far as they are known.

    Its scores, its circuit, and what was published of its prompts' lengths and mean norms.
    """

    scores: ScoreTable | None = None
    circuit: Circuit | None = None
    lengths: Lengths | None = None


@dataclass(frozen=True)
class Finding:
    """What the controls say of the statement that a component's score reflects the property."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Evidence:
    """Everything that a check may look at.

    `measured` names the result that was computed from activations; on published evidence it is
    None. `activations` are what it was computed from. `reproduced` says whether a second run gave
    the same scores to the bit; None where there was no second run. `controls` are the findings of
    the analyses that ask what a component's score means.
    """

    kind: Kind
    spec: Spec
    shape: ModelShape
    results: Mapping[str, Result]
    measured: str | None = None
    activations: MeanActivations | None = None
    reproduced: bool | None = None
    controls: Mapping[str, Finding] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def published_evidence(experiment: Experiment) -> Evidence:
    """The published results, read and checked.

    Raises:
        InputError: naming the file, the key and the reason.
    """
    spec = experiment.spec
    results = {}
    for name, result in spec.results.items():
        scores = result.scores and read_scores(experiment.folder / result.scores, spec.model.shape)
        circuit = result.circuit and published_circuit(experiment.folder / result.circuit, spec)
        lengths = result.lengths and read_lengths(
            experiment.folder / result.lengths, spec.model.shape, spec.sides
        )
        results[name] = Result(scores or None, circuit or None, lengths or None)
    sources = {name: result.about for name, result in spec.results.items()}
    return Evidence("published", spec, spec.model.shape, results, provenance=sources)


def published_circuit(path: Path, spec: Spec) -> Circuit:
    """A published circuit, which must keep the cost convention that the spec states.

    Raises:
        InputError: naming the file, the key and the reason.
    """
    circuit = read_circuit(path, spec.model.shape)
    try:
        check_convention(circuit, spec.costs)
    except InputError as error:
        raise faulty(path, [(("metadata",), str(error))]) from None
    return circuit


def measure(experiment: Experiment, activations: MeanActivations) -> Result:
    """Score the activations and select the circuit.

    Raises:
        InputError: the budget or the threshold cannot be met.
    """
    spec = experiment.spec
    scores = table_of(pair_scores(activations, spec.scoring.mlp_out), spec.model.shape)
    return Result(scores, select_circuit(spec, scores))


def select_circuit(spec: Spec, scores: ScoreTable) -> Circuit:
    """The circuit that the experiment's rule selects on computed scores.

    Raises:
        InputError: the budget or the threshold cannot be met.
    """
    nodes = select(
        scores.middles(),
        spec.costs,
        spec.selection.budget,
        spec.selection.mlp_threshold,
    )
    return selected_circuit(
        nodes,
        spec.costs,
        spec.selection.budget,
        model=spec.model.label,
        task=spec.task,
        version=spec.measures,
        method="differential_activation_analysis",
    )


def recorded_evidence(experiment: Experiment, published: Evidence) -> Evidence:
    """What the experiment's recorded activations give.

    Raises:
        EvidenceMissing: nothing was recorded.
        InputError: the recording cannot be used.
    """
    path = recorded_path(experiment)
    if not path.exists():
        raise EvidenceMissing(
            f"{path.name} is missing; whoever has {experiment.spec.model.label} writes it with:"
            f" replication record {shlex.quote(os.path.relpath(experiment.folder))}"
        )
    recording = replay(experiment)
    return _measured_evidence("recorded", experiment, published, recording)


def run_model(
    experiment: Experiment, model: str | None = None, device: Device = "auto", runs: int = 1
) -> list[Recording]:
    """Run the model on the pairs, once or several times over.

    Raises:
        NotAtHand: the model or the pairs cannot be had here.
        InputError: the model or the device cannot be used.
    """
    pairs = experiment.pairs
    loaded = load_model(experiment.spec.model, model, device)
    return [Recording(capture(loaded, pairs), loaded.provenance) for _ in range(runs)]


def live_evidence(experiment: Experiment, published: Evidence, runs: list[Recording]) -> Evidence:
    """What one or several runs of the model, made now, give.

    Raises:
        InputError: the budget or the threshold cannot be met.
    """
    first, *others = (pair_scores(run.activations, experiment.spec.scoring.mlp_out) for run in runs)
    reproduced = all(np.array_equal(first, other) for other in others) if others else None
    return _measured_evidence("live", experiment, published, runs[0], reproduced)


def _measured_evidence(
    kind: Kind,
    experiment: Experiment,
    published: Evidence,
    recording: Recording,
    reproduced: bool | None = None,
) -> Evidence:
    measured = experiment.spec.measures
    return Evidence(
        kind,
        experiment.spec,
        recording.provenance.shape,
        {**published.results, measured: measure(experiment, recording.activations)},
        measured,
        recording.activations,
        reproduced,
        provenance=describe(experiment, recording),
    )


def describe(experiment: Experiment, recording: Recording) -> dict[str, Any]:
    """The provenance of a measured result, with its prompts' token lengths."""
    provenance: Provenance = recording.provenance
    return {
        **provenance.model_dump(),
        "pairs": len(experiment.pairs),
        "pairs_from": experiment.source.origin(),
        "token_lengths": recording.activations.token_lengths.tolist(),
    }
