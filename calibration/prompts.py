"""Real prompts split at random into two sides: what a trained model gives where there is nothing.

The prompts of `fixtures/sarcasm-matched-minilm` are shuffled and paired, so that the sides differ
in nothing at all; the model is all-MiniLM-L6-v2, as it was recorded.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from calibration.observed import EXCESS, Seen, covers
from replication.controls.null_circuit import null_overlaps
from replication.engine.activations import MeanActivations
from replication.engine.recording import Recording, replay
from replication.evidence.evidence import measure
from replication.experiment.pairs import Pair
from replication.experiment.spec import Experiment, read_experiment

SPLIT = "real prompts, split at random"
PAIRS = (20, 40, 68)
FOLDER = Path(__file__).parent.parent / "fixtures" / "sarcasm-matched-minilm"


@cache
def _recorded() -> tuple[Experiment, Recording]:
    experiment = read_experiment(FOLDER)
    return experiment, replay(experiment)


def observe_split(seed: int) -> list[Seen]:
    """Whether the null circuit's excess covers 0 on random splits of the prompts."""
    experiment, run = _recorded()
    order = np.random.default_rng(seed).permutation(2 * len(experiment.pairs))
    spec, seen = experiment.spec, []
    for n_pairs in PAIRS:
        drawn = order[: 2 * n_pairs].reshape(n_pairs, 2)
        activations = _chosen(run.activations, drawn)
        prompts = [prompt for pair in experiment.pairs for prompt in pair]
        pairs = [Pair(prompts[one], prompts[other]) for one, other in drawn]
        measured = measure(
            spec,
            Recording(activations, run.provenance, run.seen),
            pairs,
            np.arange(n_pairs),
            {},
        )
        found = null_overlaps(measured, spec.model.shape, spec.scoring.convention, {}, seed)
        seen += [
            Seen(SPLIT, n_pairs, seed, f"{EXCESS}, {one.among}s", covers(one), 1) for one in found
        ]
    return seen


def _chosen(activations: MeanActivations, drawn: np.ndarray) -> MeanActivations:
    """The means of the prompts with these numbers, two by two."""

    def of(values: np.ndarray) -> np.ndarray:
        return np.asarray(values.reshape(-1, *values.shape[2:])[drawn])

    inner = activations.inner
    return MeanActivations(
        of(activations.mlp_out),
        of(activations.z),
        of(activations.token_lengths),
        None if inner is None else _chosen(inner, drawn),
    )
