"""Runs: what is run of a model on an experiment's pairs, once it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from replication.circuits.circuit import Circuit
from replication.circuits.scores import ScoreTable, best_first, highest, table_of
from replication.circuits.selection import NotSelected
from replication.engine.activations import MeanActivations
from replication.engine.attention import Attention, attention
from replication.engine.capture import capture
from replication.engine.locate import is_local
from replication.engine.models import Device, LoadedModel, Precision, load_model
from replication.engine.random_weights import (
    Architecture,
    RandomWeights,
    architecture_of,
    random_weights,
)
from replication.engine.recording import Recording
from replication.engine.scores.attention import attention_scores
from replication.engine.scores.causal import causal_scores
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.engine.spread import THIS_PROCESS, Spread, loaded
from replication.engine.subject import (
    Subject,
    check_interventions,
    not_shown,
    subject_of,
)
from replication.evidence.circuits import kept_circuits
from replication.evidence.intervening import behaved, effects_of, single
from replication.evidence.interventions import (
    NO_INTERVENTIONS,
    Behaved,
    Effects,
    Interventions,
    NoInterventions,
    Unshown,
    scored_effects,
    without_circuit,
)
from replication.experiment.spec import Experiment, ScoreKind, Spec
from replication.inputs.files import InputError
from replication.inputs.hub import NotAtHand


@dataclass(frozen=True)
class Runs:
    """What was run of a model: itself, once or several times, and what was asked for beside it.

    `effects` are what scores are the size of, where they are of a behaviour, and `effects_again`
    the same of a second run.
    """

    own: list[Recording]
    architecture: Architecture
    random: RandomWeights | None = None
    interventions: Interventions | NoInterventions = NO_INTERVENTIONS
    effects: Effects | None = None
    effects_again: Effects | None = None


def check_measured(spec: Spec) -> None:
    """Refuse to run a model where nothing says which scores are to be measured.

    Raises:
        NotAtHand: they are attention weights, and no positions are named.
    """
    if spec.scoring.kind == "attention" and not spec.scoring.tables:
        raise NotAtHand("scoring.tables does not say between which positions attention is measured")


def load_for(
    spec: Spec,
    model: str | None = None,
    device: Device = "auto",
    precision: Precision = "float32",
    spread: Spread = THIS_PROCESS,
) -> AbstractContextManager[LoadedModel]:
    """The model that a spec asks for, or another one in its place, loaded as its scores need it.

    Raises:
        NotAtHand: the model cannot be had here, or the spec does not say what is measured.
        InputError: the model or the device cannot be used, or there is nobody to run it.
    """
    check_measured(spec)
    here = Path.cwd()  # workers may be started elsewhere
    if model is not None and is_local(Path(model)):
        model = str(here / model)
    load = partial(
        load_model,
        spec.model.told_from(here),
        model,
        device,
        precision,
        tokens=spec.tokens,
        mlp_at=spec.scoring.mlp_at,
        gives_attention=spec.scoring.kind == "attention",
    )
    return loaded(load, device, spread)


def run_model(
    loaded: LoadedModel,
    experiment: Experiment,
    runs: int = 1,
    *,
    with_random: bool = False,
    with_interventions: bool = False,
    published: Mapping[str, Circuit] | None = None,
) -> Runs:
    """Run the model on the pairs, once or several times over, and then what else is asked for.

    Interventions keep the `published` circuits too.

    Raises:
        NotAtHand: the pairs cannot be had here.
        InputError: the model cannot be used, or does not show a behaviour.
    """
    pairs, spec = experiment.pairs, experiment.spec
    seen = loaded.tokenizer.seen(pairs)
    intervenes = with_interventions and bool(spec.behaviour)
    subjects = _subjects(loaded, experiment, intervenes)
    kept = [_kept(loaded, experiment) for _ in range(runs)]
    own = [Recording(one, loaded.provenance_of_runs, seen) for one in kept]
    random = random_weights(loaded, pairs, spec.scoring.convention) if with_random else None
    architecture = architecture_of(loaded)
    again = _effects(spec, _subjects(loaded, experiment, intervenes=False)) if runs > 1 else None
    if intervenes:
        try:
            found = _interventions(experiment, loaded, subjects, kept[0], published or {})
            return Runs(own, architecture, random, found, scored_effects(spec, found), again)
        except NotSelected as error:
            none = without_circuit(str(error))
            return Runs(own, architecture, random, none, _effects(spec, subjects), again)
    none = NoInterventions("interventions were not run: ablation.live is false")
    without = none if spec.behaviour else NO_INTERVENTIONS
    return Runs(own, architecture, random, without, _effects(spec, subjects), again)


def _effects(spec: Spec, subjects: Mapping[str, Subject]) -> Effects | None:
    """What scores are the size of, where they are of a behaviour."""
    if not spec.scoring.is_of_behaviour:
        return None
    return effects_of(subjects[str(spec.scored_behaviour)], spec.scoring.kind)


def _kept(model: LoadedModel, experiment: Experiment) -> MeanActivations | Attention:
    """What scores are computed from."""
    if experiment.spec.scoring.kind == "attention":
        return attention(model, experiment.rows, experiment.spec.scoring)
    return capture(model, experiment.pairs)


def _subjects(model: LoadedModel, experiment: Experiment, intervenes: bool) -> dict[str, Subject]:
    """The behaviours that are run, asked and checked before anything that takes long."""
    spec = experiment.spec
    scored = {spec.scored_behaviour} if spec.scoring.is_of_behaviour else set()
    subjects = {
        name: subject_of(model, experiment.rows, name, behaviour, spec.ablation)
        for name, behaviour in spec.behaviour.items()
        if intervenes or name in scored
    }
    for name, subject in subjects.items():
        reason = not_shown(subject)
        if reason and name in scored:
            raise InputError(f"behaviour {name}: {reason}, and scores are of it")
        if reason is None:
            check_interventions(subject)
    return subjects


def _interventions(
    experiment: Experiment,
    loaded: LoadedModel,
    subjects: Mapping[str, Subject],
    kept: MeanActivations | Attention,
    published: Mapping[str, Circuit],
) -> Interventions:
    """Every behaviour under everything that the experiment asks for."""
    spec = experiment.spec
    reasons = {name: not_shown(subject) for name, subject in subjects.items()}
    found = {name: single(subjects[name]) for name, reason in reasons.items() if reason is None}
    scores: dict[ScoreKind, Float32[np.ndarray, "pairs components"]] = {}
    if isinstance(kept, MeanActivations):
        scores["differential"] = pair_scores(kept, spec.scoring.convention)
    if (of := found.get(str(spec.scored_behaviour))) is not None:
        scores["attribution"] = causal_scores(of.attribution)
        scores["effect"] = causal_scores(of.effects[0])
    by_kind: dict[ScoreKind, ScoreTable] = {
        kind: table_of(mean_scores([one]), spec.model.shape) for kind, one in scores.items()
    }
    if isinstance(kept, Attention):
        by_table = zip(spec.scoring.tables, attention_scores(kept), strict=True)
        tables = {name: table_of(mean_scores([one]), spec.model.shape) for name, one in by_table}
    else:
        tables = {spec.scoring.kind: by_kind[spec.scoring.kind]}
    circuits, unselected = kept_circuits(spec, tables, by_kind, published)
    ranking = best_first(highest(list(tables.values())).middles())
    behaviours: dict[str, Behaved | Unshown] = {}
    for name, subject in subjects.items():
        if (reason := reasons[name]) is not None:
            own = subject.behaviour.kind, subject.whole, subject.counterparts
            behaviours[name] = Unshown(*own, reason)
        else:
            ran = behaved(
                subject,
                found[name],
                circuits,
                spec.measures,
                ranking,
                spec.ablation,
                spec.verification.seed,
            )
            behaviours[name] = replace(ran, unselected=unselected)
    return Interventions(loaded.provenance_of_runs, behaviours)
