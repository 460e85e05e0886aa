"""Evidence: what claims are judged on.

`published` evidence is the figures and circuits as printed in the source; `recorded` evidence is
computed from what a run kept; `live` evidence is computed from a run of the model now.
Recorded and live evidence measure one of the experiment's results again; every other result stays
as it was published.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from replication.circuits.circuit import Circuit, check_convention, read_circuit
from replication.circuits.components import ModelShape
from replication.circuits.notations import NotationName
from replication.circuits.scores import ScoreTable, highest, read_scores, table_of
from replication.circuits.selection import NotSelected
from replication.engine.activations import MeanActivations
from replication.engine.attention import Attention
from replication.engine.provenance import Provenance
from replication.engine.random_weights import RandomWeights
from replication.engine.recording import Recording, mean_activations, recorded_path, replay
from replication.engine.scores.attention import attention_scores, in_best_table
from replication.engine.scores.causal import causal_scores
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.engine.tokens import SeenTokens
from replication.evidence.circuits import select_circuit
from replication.evidence.interventions import (
    NO_INTERVENTIONS,
    Effects,
    Interventions,
    NoInterventions,
    scored_effects,
    without_circuit,
)
from replication.evidence.lengths import Lengths, read_lengths
from replication.evidence.published_behaviours import PublishedBehaviour, read_behaviours
from replication.evidence.published_figures import Named, read_figures
from replication.evidence.random_weights import (
    NoRandomWeights,
    fitting_random,
    recorded_random,
)
from replication.evidence.recorded_interventions import check_circuits, recorded_interventions
from replication.evidence.runs import Runs, check_measured
from replication.experiment.pairs import Pair
from replication.experiment.spec import Experiment, Spec
from replication.inputs.files import InputError, faulty, is_there
from replication.inputs.hub import NotAtHand

Kind = Literal["published", "recorded", "live"]
NO_RANDOM_WEIGHTS = NoRandomWeights("no random weights were run")


class EvidenceMissing(Exception):
    """There is no such evidence; the message says which and how to get it."""


@dataclass(frozen=True)
class Result:
    """One result's figures, as far as they are known.

    Its scores, or the tables of them where there are several, its circuit, and what was published
    of its prompts' lengths and mean norms, and of behaviours.
    """

    scores: ScoreTable | None = None
    circuit: Circuit | None = None
    lengths: Lengths | None = None
    behaviours: Mapping[str, PublishedBehaviour] = field(default_factory=dict)
    tables: Mapping[str, ScoreTable] = field(default_factory=dict)


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
            pairs=len(run.kept.token_lengths),
            pairs_from=dict(pairs_from),
            seen=run.seen,
            token_lengths=run.kept.token_lengths.tolist(),
        )


@dataclass(frozen=True, kw_only=True)
class Measured(Result):
    """A result that a run of the model measured; everything in it was computed once.

    `tables` are those that the spec names, if it names any, and `scores` has each component's
    highest. `pair_scores` are each component's, in the order of
    `ModelShape.components`, nan of one without a score, and `means` theirs over the pairs; of
    several tables they are from the one that the component scores highest in, and `pair_tables` has
    those of each. `repeated` are those
    of a second run, if there was one. `clusters` says which pairs hang together and so count as one
    (`experiment.clusters`). `random` are the means that random weights of the architecture give on
    the same pairs, if there are any, and `interventions` what became of behaviours under them.
    Where the rule selects nothing on the scores there is no circuit, and `no_circuit` says why.
    """

    scores: ScoreTable
    circuit: Circuit | None
    tables: Mapping[str, ScoreTable]
    kept: MeanActivations | Attention
    pairs: Sequence[Pair]
    clusters: Int64[np.ndarray, " pairs"]
    pair_scores: Float32[np.ndarray, "pairs components"]
    pair_tables: Mapping[str, Float32[np.ndarray, "pairs components"]]
    means: Float64[np.ndarray, " components"]
    provenance: RunProvenance
    no_circuit: str | None = None
    repeated: Float32[np.ndarray, "pairs components"] | None = None
    random: RandomWeights | NoRandomWeights = NO_RANDOM_WEIGHTS
    interventions: Interventions | NoInterventions = NO_INTERVENTIONS

    @property
    def selected_on(self) -> Mapping[str, ScoreTable]:
        """The tables that the rule selects on, whether they have names or not."""
        return self.tables or {"scores": self.scores}

    @property
    def activations(self) -> MeanActivations:
        """The mean activations, where scores are computed from those."""
        return mean_activations(self.kept)

    @property
    def reproduced(self) -> bool | None:
        """Whether the second run gave the same scores to the bit; None if there was none."""
        return (
            None
            if self.repeated is None
            else np.array_equal(self.pair_scores, self.repeated, equal_nan=True)
        )


@dataclass(frozen=True)
class Evidence:
    """Everything that a check may look at but the controls.

    `shape` is the model's own where it was run, and the spec's where it was not. `figures` are what
    sources print, which no run measures again.
    """

    kind: Kind
    spec: Spec
    shape: ModelShape
    results: Mapping[str, Result]
    figures: Mapping[str, Named] = field(default_factory=dict)

    @property
    def measured(self) -> Measured | None:
        """The result that a run of the model measured; None on published evidence."""
        found = self.results.get(self.spec.measures)
        return found if isinstance(found, Measured) else None


def published_evidence(experiment: Experiment) -> Evidence:
    """The published results and figures, read and checked.

    Raises:
        InputError: naming the file, the key and the reason.
    """
    spec = experiment.spec
    results = {}
    for name, result in spec.results.items():
        n_pairs = experiment.n_pairs if name == spec.measures else None
        read = partial(
            read_scores,
            shape=spec.model.shape,
            n_pairs=n_pairs,
            notation=result.notation,
            of_attention=spec.scoring.kind == "attention",
        )
        scores = result.scores and read(experiment.folder / result.scores)
        tables = {key: read(experiment.folder / file) for key, file in result.tables.items()}
        circuit = result.circuit and published_circuit(
            experiment.folder / result.circuit, spec, result.notation
        )
        lengths = result.lengths and read_lengths(
            experiment.folder / result.lengths, spec.model.shape, spec.sides, n_pairs
        )
        behaviours = result.behaviours and read_behaviours(
            experiment.folder / result.behaviours, spec.behaviour
        )
        results[name] = Result(
            scores or None, circuit or None, lengths or None, behaviours or {}, tables
        )
    figures = read_figures(experiment.folder / spec.claims)
    return Evidence("published", spec, spec.model.shape, results, figures)


def circuits_of(evidence: Evidence) -> dict[str, Circuit]:
    """The circuits of the results, by name, as far as they are known."""
    found = {name: result.circuit for name, result in evidence.results.items()}
    return {name: circuit for name, circuit in found.items() if circuit is not None}


def published_circuit(path: Path, spec: Spec, notation: NotationName | None = None) -> Circuit:
    """A published circuit, which must keep the cost convention that the spec states.

    Raises:
        InputError: naming the file, the key and the reason.
    """
    circuit = read_circuit(path, spec.model.shape, notation)
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
    effects: Effects | None = None,
    effects_again: Effects | None = None,
) -> Measured:
    """Score a run, and a second one if there is one, and select the circuit.

    Where the score is of a behaviour, `effects` are what it is the size of. A budget or a threshold
    that the scores do not meet leaves the run without a circuit.

    Raises:
        InputError: a step of the rule is by a table that is not measured.
    """
    by_table = _scored(spec, run, effects)
    again = None
    if second is not None:
        again = in_best_table(_scored(spec, second, effects_again))
    scores = in_best_table(by_table)
    tables = {
        name: table_of(mean_scores([one]), spec.model.shape, one)
        for name, one in zip(spec.scoring.table_names, by_table, strict=True)
    }
    circuit, no_circuit = _selected(spec, tables)
    return Measured(
        scores=highest(list(tables.values())),
        tables=tables if spec.scoring.tables else {},
        circuit=circuit,
        no_circuit=no_circuit,
        kept=run.kept,
        pairs=pairs,
        clusters=clusters,
        pair_scores=scores,
        pair_tables=dict(zip(spec.scoring.tables, by_table, strict=False)),
        means=mean_scores([scores]),
        provenance=RunProvenance.of(run, pairs_from),
        repeated=again,
    )


def _selected(spec: Spec, tables: Mapping[str, ScoreTable]) -> tuple[Circuit | None, str | None]:
    """The circuit of these scores, or why there is none."""
    try:
        return select_circuit(spec, tables), None
    except NotSelected as error:
        return None, str(error)


def _scored(
    spec: Spec, run: Recording, effects: Effects | None = None
) -> Float32[np.ndarray, "tables pairs components"]:
    """Each component's score on each pair, by table."""
    if effects is not None:
        return causal_scores(effects)[None]
    if isinstance(run.kept, Attention):
        return attention_scores(run.kept)
    return pair_scores(run.activations, spec.scoring.convention)[None]


def recorded_evidence(experiment: Experiment, published: Evidence) -> Evidence:
    """What the experiment's recording gives.

    Raises:
        EvidenceMissing: nothing was recorded.
        InputError: the recording cannot be used.
    """
    try:
        check_measured(experiment.spec)
    except NotAtHand as reason:
        raise EvidenceMissing(str(reason)) from None
    path = recorded_path(experiment)
    if not is_there(path):
        raise EvidenceMissing(
            f"{path.name} is missing; whoever has {experiment.spec.model.label} writes it with:"
            f" replication record {shlex.quote(os.path.relpath(experiment.folder))}"
        )
    run = replay(experiment)
    random = recorded_random(experiment, run)
    found = recorded_interventions(experiment, run)
    return _measured_evidence("recorded", experiment, published, [run], random, found)


def live_evidence(experiment: Experiment, published: Evidence, runs: Runs) -> Evidence:
    """What one run of the model, made now, gives, or two.

    Where random weights were not run with it, those that were recorded serve, if they fit.

    Raises:
        InputError: a step of the rule is by a table that is not measured.
    """
    random = runs.random or fitting_random(experiment, runs.own[0], runs.architecture)
    found = runs.interventions
    effects = runs.effects, runs.effects_again
    return _measured_evidence("live", experiment, published, runs.own, random, found, *effects)


def _measured_evidence(
    kind: Kind,
    experiment: Experiment,
    published: Evidence,
    runs: Sequence[Recording],
    random: RandomWeights | NoRandomWeights,
    interventions: Interventions | NoInterventions,
    effects: Effects | None = None,
    effects_again: Effects | None = None,
) -> Evidence:
    spec, (run, *others) = experiment.spec, runs
    second = others[0] if others else None
    if effects is None and isinstance(interventions, Interventions):
        effects = scored_effects(spec, interventions)
    if effects is None and spec.scoring.is_of_behaviour:
        assert isinstance(interventions, NoInterventions)
        raise EvidenceMissing(f"its scores are of a behaviour: {interventions.reason}")
    pairs, clusters = experiment.pairs, experiment.clusters
    origin = experiment.source.origin()
    measured = measure(spec, run, pairs, clusters, origin, second, effects, effects_again)
    if measured.no_circuit and isinstance(interventions, Interventions):
        interventions = without_circuit(measured.no_circuit)
    measured = replace(measured, random=random, interventions=interventions)
    results = {**published.results, spec.measures: measured}
    evidence = Evidence(kind, spec, run.provenance.shape, results, published.figures)
    if isinstance(interventions, Interventions):
        check_circuits(experiment, interventions, circuits_of(evidence))
    return evidence
