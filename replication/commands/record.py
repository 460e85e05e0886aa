"""Record: what was run of a model, stored with the experiment for whoever has not got the model."""

from __future__ import annotations

from collections.abc import Iterator

from replication.engine.attention import Attention
from replication.engine.models import Device
from replication.engine.recording import asked_of, check_overwritten, recorded_path
from replication.engine.recording import record as write_recording
from replication.engine.spread import Spread
from replication.engine.words import in_words
from replication.evidence import random_weights as of_random
from replication.evidence import recorded_interventions as of_interventions
from replication.evidence.evidence import circuits_of, published_evidence
from replication.evidence.interventions import Interventions, NoInterventions
from replication.evidence.runs import Runs, load_for, run_model
from replication.experiment.attention import NOT_OF_ATTENTION
from replication.experiment.spec import Experiment
from replication.inputs.files import InputError
from replication.inputs.messages import LIST, fitting, one_line, placed, shortened


def record(
    experiment: Experiment,
    model: str | None,
    device: Device,
    spread: Spread,
    *,
    random: bool,
    interventions: bool,
) -> Iterator[str]:
    """Run the model, write what was asked for, and say in a line each what was written.

    Interventions are run without being asked for where scores are of a behaviour.

    Raises:
        NotAtHand: the model or the pairs cannot be had here.
        InputError: something else stands where a file is to be written, there is no behaviour to
            intervene on, no circuit to keep alone, or the model or the device cannot be used.
    """
    spec = experiment.spec
    if interventions and not spec.behaviour:
        raise InputError(f"--interventions: {placed(experiment.folder)} states no behaviour")
    if random and spec.scoring.kind == "attention":
        raise InputError(f"--random-weights: {NOT_OF_ATTENTION}")
    intervenes = interventions or spec.scoring.is_of_behaviour
    check_overwritten(recorded_path(experiment))
    if random:
        of_random.check_overwritten(of_random.random_weights_path(experiment))
    if intervenes:
        of_interventions.check_overwritten(of_interventions.interventions_path(experiment))
    with load_for(spec, model, device, spread=spread) as loaded:
        runs = run_model(
            loaded,
            experiment,
            with_random=random,
            with_interventions=intervenes,
            published=circuits_of(published_evidence(experiment)),
        )
        if intervenes and isinstance(runs.interventions, NoInterventions):
            raise InputError(f"{placed(experiment.folder)}: {runs.interventions.reason}")
        yield from _written(experiment, runs)


def _written(experiment: Experiment, runs: Runs) -> Iterator[str]:
    name, path = shortened(experiment.name), recorded_path(experiment)
    (recording,) = runs.own
    write_recording(recording, experiment.pairs, path, asked_of(experiment))
    yield f"{name}: {len(experiment.pairs)} pairs recorded in {placed(path)}"
    yield one_line(f"{name}: {recording.seen.described()}")
    yield from (one_line(f"{name}: {line}") for line in recording.provenance.mixed())
    if isinstance(recording.kept, Attention):
        first = recording.kept.positions[0].tolist()
        found = dict(zip(experiment.spec.scoring.positions, first, strict=True))
        yield one_line(f"{name}: {in_words(found, recording.seen)}")
    if runs.random is not None:
        written = of_random.record_random_weights(experiment, runs.random, recording)
        seeds = len(runs.random.seeds)
        yield f"{name}: {seeds} seeds of random weights recorded in {placed(written)}"
    if isinstance(runs.interventions, Interventions):
        written = of_interventions.record_interventions(experiment, runs.interventions)
        behaviours = fitting(list(runs.interventions.behaviours), LIST)
        yield f"{name}: interventions on {behaviours} recorded in {placed(written)}"
