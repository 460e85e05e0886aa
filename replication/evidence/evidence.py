"""Evidence: what claims are judged on.

`published` evidence is the figures and circuits as printed in the source; `recorded` evidence is
computed from stored mean activations; `live` evidence is computed from a run of the model now.
Recorded and live evidence measure one of the experiment's results again; every other result stays
as it was published.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from replication.circuits.circuit import Circuit, check_convention, read_circuit, selected_circuit
from replication.circuits.components import ModelShape
from replication.circuits.scores import ScoreTable, read_scores, table_of
from replication.circuits.selection import select
from replication.engine.activations import MeanActivations
from replication.engine.capture import capture
from replication.engine.models import Device, load_model
from replication.engine.provenance import Provenance
from replication.engine.random_weights import (
    Architecture,
    RandomWeights,
    architecture_of,
    random_weights,
)
from replication.engine.recording import Recording, recorded_path, replay
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.engine.tokens import SeenTokens
from replication.evidence.lengths import Lengths, read_lengths
from replication.evidence.random_weights import (
    NoRandomWeights,
    fitting_random,
    recorded_random,
)
from replication.experiment.pairs import Pair
from replication.experiment.spec import Experiment, Spec
from replication.inputs.files import InputError, faulty, is_there

Kind = Literal["published", "recorded", "live"]
NO_RANDOM_WEIGHTS = NoRandomWeights("no random weights were run")


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


class RunProvenance(Provenance):
    """Where a measured result comes from: the model, the pairs, and their prompts' tokens."""

    pairs: int
    pairs_from: dict[str, str]
    seen: SeenTokens
    token_lengths: list[tuple[int, int]]

    @classmethod
    def of(cls, run: Recording, pairs_from: Mapping[str, str]) -> RunProvenance:
        """The provenance of a run on pairs from there."""
        return cls(
            **run.provenance.model_dump(),
            pairs=len(run.activations.token_lengths),
            pairs_from=dict(pairs_from),
            seen=run.seen,
            token_lengths=run.activations.token_lengths.tolist(),
        )


@dataclass(frozen=True, kw_only=True)
class Measured(Result):
    """A result that a run of the model measured; everything in it was computed once.

    `pair_scores` are each component's, in the order of `ModelShape.components`, and `means` theirs
    over the pairs; `repeated` are those of a second run, if there was one. `clusters` says which
    pairs hang together and so count as one (`experiment.clusters`). `random` are the means that
    random weights of the architecture give on the same pairs, if there are any.
    """

    scores: ScoreTable
    circuit: Circuit
    activations: MeanActivations
    pairs: Sequence[Pair]
    clusters: Int64[np.ndarray, " pairs"]
    pair_scores: Float32[np.ndarray, "pairs components"]
    means: Float64[np.ndarray, " components"]
    provenance: RunProvenance
    repeated: Float32[np.ndarray, "pairs components"] | None = None
    random: RandomWeights | NoRandomWeights = NO_RANDOM_WEIGHTS

    @property
    def reproduced(self) -> bool | None:
        """Whether the second run gave the same scores to the bit; None if there was none."""
        return None if self.repeated is None else np.array_equal(self.pair_scores, self.repeated)


@dataclass(frozen=True)
class Evidence:
    """Everything that a check may look at but the controls.

    `shape` is the model's own where it was run, and the spec's where it was not.
    """

    kind: Kind
    spec: Spec
    shape: ModelShape
    results: Mapping[str, Result]

    @property
    def measured(self) -> Measured | None:
        """The result that a run of the model measured; None on published evidence."""
        found = self.results.get(self.spec.measures)
        return found if isinstance(found, Measured) else None


def published_evidence(experiment: Experiment) -> Evidence:
    """The published results, read and checked.

    Raises:
        InputError: naming the file, the key and the reason.
    """
    spec = experiment.spec
    results = {}
    for name, result in spec.results.items():
        n_pairs = experiment.n_pairs if name == spec.measures else None
        scores = result.scores and read_scores(
            experiment.folder / result.scores, spec.model.shape, n_pairs
        )
        circuit = result.circuit and published_circuit(experiment.folder / result.circuit, spec)
        lengths = result.lengths and read_lengths(
            experiment.folder / result.lengths, spec.model.shape, spec.sides, n_pairs
        )
        results[name] = Result(scores or None, circuit or None, lengths or None)
    return Evidence("published", spec, spec.model.shape, results)


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


def measure(
    spec: Spec,
    run: Recording,
    pairs: Sequence[Pair],
    clusters: Int64[np.ndarray, " pairs"],
    pairs_from: Mapping[str, str],
    second: Recording | None = None,
) -> Measured:
    """Score a run's activations and select the circuit.

    Raises:
        InputError: the budget or the threshold cannot be met.
    """
    mlp_out, shape = spec.scoring.mlp_out, spec.model.shape
    scores = pair_scores(run.activations, mlp_out)
    means = mean_scores([scores])
    table = table_of(means, shape, scores)
    return Measured(
        scores=table,
        circuit=select_circuit(spec, table),
        activations=run.activations,
        pairs=pairs,
        clusters=clusters,
        pair_scores=scores,
        means=means,
        provenance=RunProvenance.of(run, pairs_from),
        repeated=None if second is None else pair_scores(second.activations, mlp_out),
    )


def select_circuit(spec: Spec, scores: ScoreTable) -> Circuit:
    """The circuit that the experiment's rule selects on computed scores.

    Raises:
        InputError: the budget or the threshold cannot be met.
    """
    return selected_circuit(
        select(scores.middles(), spec.rule),
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
    if not is_there(path):
        raise EvidenceMissing(
            f"{path.name} is missing; whoever has {experiment.spec.model.label} writes it with:"
            f" replication record {shlex.quote(os.path.relpath(experiment.folder))}"
        )
    run = replay(experiment)
    random = recorded_random(experiment, run)
    return _measured_evidence("recorded", experiment, published, [run], random)


@dataclass(frozen=True)
class Runs:
    """What was run of a model: itself, once or several times, and its random weights, if asked."""

    own: list[Recording]
    architecture: Architecture
    random: RandomWeights | None = None


def run_model(
    experiment: Experiment,
    model: str | None = None,
    device: Device = "auto",
    runs: int = 1,
    *,
    with_random: bool = False,
) -> Runs:
    """Run the model on the pairs, once or several times over, and then random weights, if asked.

    Raises:
        NotAtHand: the model or the pairs cannot be had here.
        InputError: the model or the device cannot be used.
    """
    pairs, spec = experiment.pairs, experiment.spec
    loaded = load_model(spec.model, model, device, tokens=spec.tokens, mlp_at=spec.scoring.mlp_at)
    seen = loaded.tokenizer.seen(pairs)
    own = [Recording(capture(loaded, pairs), loaded.provenance, seen) for _ in range(runs)]
    random = random_weights(loaded, pairs, spec.scoring.mlp_out) if with_random else None
    return Runs(own, architecture_of(loaded), random)


def live_evidence(experiment: Experiment, published: Evidence, runs: Runs) -> Evidence:
    """What one run of the model, made now, gives, or two.

    Where random weights were not run with it, those that were recorded serve, if they fit.

    Raises:
        InputError: the budget or the threshold cannot be met.
    """
    random = runs.random or fitting_random(experiment, runs.own[0], runs.architecture)
    return _measured_evidence("live", experiment, published, runs.own, random)


def _measured_evidence(
    kind: Kind,
    experiment: Experiment,
    published: Evidence,
    runs: Sequence[Recording],
    random: RandomWeights | NoRandomWeights,
) -> Evidence:
    spec, (run, *others) = experiment.spec, runs
    second = others[0] if others else None
    measured = measure(
        spec, run, experiment.pairs, experiment.clusters, experiment.source.origin(), second
    )
    results = {**published.results, spec.measures: replace(measured, random=random)}
    return Evidence(kind, spec, run.provenance.shape, results)
