"""Recorded activations: the mean activations of a run, stored with where they come from.

The file is a `safetensors` file. Its metadata hold the provenance, the pairs and a digest of the
tensors and of all other metadata, so that a byte that was damaged, or edited by hand, is found
before a figure is computed from it. A digest is no signature: who makes a new one goes unnoticed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from replication.circuits.components import ModelShape
from replication.engine.activations import MOST_TOKENS, MeanActivations
from replication.engine.provenance import Provenance
from replication.engine.tensor_files import (
    canonical,
    check_replaceable,
    check_tensor,
    check_unchanged,
    part_of,
    read_tensors,
    write_tensors,
)
from replication.engine.tokens import SeenTokens
from replication.experiment.pairs import Pair
from replication.experiment.spec import Experiment
from replication.inputs.files import InputError, parse_json

FORMAT = "replication.mean-activations.4"


@dataclass(frozen=True)
class Recording:
    """Mean activations, their provenance, and the tokens that the model saw."""

    activations: MeanActivations
    provenance: Provenance
    seen: SeenTokens


def recorded_path(experiment: Experiment) -> Path:
    """Where the experiment keeps its recorded activations."""
    return experiment.folder / experiment.spec.recorded


def check_overwritten(path: Path) -> None:
    """Refuse to write a recording where anything but a recording stands.

    Raises:
        InputError: something else stands there, or nothing may be written there.
    """
    check_replaceable(path, FORMAT.rpartition(".")[0], "recording")


def record(recording: Recording, pairs: Sequence[Pair], path: Path) -> None:
    """Write a recording, all of it or nothing."""
    tensors = _tensors(recording.activations)
    metadata = {
        "format": FORMAT,
        "provenance": canonical(recording.provenance.model_dump(mode="json")),
        "tokens": canonical(recording.seen.model_dump(mode="json")),
        "pairs": canonical(pairs),
    }
    write_tensors(path, tensors, metadata)


def replay(experiment: Experiment) -> Recording:
    """The experiment's recording, after checking that it is whole and of this experiment.

    Raises:
        InputError: the file is missing, damaged, of another format, shape, or model, of other
            pairs, or holds a value that is not finite, or a length that no prompt has.
    """
    path = recorded_path(experiment)
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise InputError(
            f"{path}: format: expected {FORMAT}, found {metadata.get('format')};"
            " `replication record` writes it anew"
        )
    provenance = part_of(path, metadata, "provenance", Provenance)
    seen = part_of(path, metadata, "tokens", SeenTokens)
    _check_source(path, experiment, provenance)
    _check_pairs(path, parse_json(metadata.get("pairs", ""), f"{path}: pairs"), experiment.pairs)
    layout = _layout(experiment.spec.model.shape, len(experiment.pairs))
    if unknown := sorted(set(tensors) - set(layout)):
        raise InputError(f"{path}: {unknown[0]}: unknown tensor")
    for name, expected in layout.items():
        check_tensor(path, name, tensors.get(name), expected)
    activations = replace(_means(tensors), inner=_means(tensors, "inner."))
    _check_lengths(path, activations, seen)
    check_unchanged(path, tensors, metadata)
    return Recording(activations, provenance, seen)


def _tensors(activations: MeanActivations) -> dict[str, np.ndarray]:
    assert activations.inner is not None
    return _named(activations) | {
        f"inner.{name}": tensor for name, tensor in _named(activations.inner).items()
    }


def _named(activations: MeanActivations) -> dict[str, np.ndarray]:
    return {
        "mlp_out": np.ascontiguousarray(activations.mlp_out),
        "z": np.ascontiguousarray(activations.z),
        "token_lengths": np.ascontiguousarray(activations.token_lengths),
    }


def _means(tensors: Mapping[str, np.ndarray], prefix: str = "") -> MeanActivations:
    return MeanActivations(
        tensors[f"{prefix}mlp_out"], tensors[f"{prefix}z"], tensors[f"{prefix}token_lengths"]
    )


def _layout(shape: ModelShape, n_pairs: int) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """The type and the shape of each tensor in the file."""
    means: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
        "mlp_out": (np.float32, (n_pairs, 2, shape.n_layers, shape.d_model)),
        "z": (np.float32, (n_pairs, 2, shape.n_layers, shape.n_heads, shape.d_head)),
        "token_lengths": (np.int64, (n_pairs, 2)),
    }
    return means | {f"inner.{name}": layout for name, layout in means.items()}


def _check_source(path: Path, experiment: Experiment, provenance: Provenance) -> None:
    model = experiment.spec.model
    if provenance.shape != model.shape:
        raise InputError(f"{path}: recorded from {provenance.shape}; expected {model.shape}")
    if model.sha256 not in (None, provenance.weights_sha256):
        raise InputError(
            f"{path}: recorded from weights with SHA-256 {provenance.weights_sha256};"
            f" the experiment pins {model.sha256}"
        )
    spec = experiment.spec
    stated = {**spec.tokens.model_dump(), "mlp_at": spec.scoring.mlp_at}
    recorded = {**provenance.tokens.model_dump(), "mlp_at": provenance.mlp_at}
    for key, expected in stated.items():
        if recorded[key] != expected:
            raise InputError(
                f"{path}: recorded with {key} = {json.dumps(recorded[key])}; the experiment states"
                f" {json.dumps(expected)}"
            )


def _check_pairs(path: Path, found: Any, expected: Sequence[Pair]) -> None:
    if found == [list(pair) for pair in expected]:
        return
    if not isinstance(found, list) or len(found) != len(expected):
        count = len(found) if isinstance(found, list) else "no"
        raise InputError(f"{path}: pairs: recorded from {count} pairs, expected {len(expected)}")
    number, there, here = next(
        (number, there, here)
        for number, (there, here) in enumerate(zip(found, expected, strict=True), start=1)
        if there != list(here)
    )
    raise InputError(f"{path}: pairs: pair {number} was recorded as {there}, expected {list(here)}")


def _check_lengths(path: Path, activations: MeanActivations, seen: SeenTokens) -> None:
    """Every prompt has tokens; those of its text, and not those that were added, are inner ones."""
    assert activations.inner is not None
    lengths = zip(activations.token_lengths, activations.inner.token_lengths, strict=True)
    for number, pair in enumerate(lengths, start=1):
        for whole, inner in zip(*map(np.ndarray.tolist, pair), strict=True):
            if not 1 <= whole <= MOST_TOKENS:
                raise InputError(
                    f"{path}: token_lengths: pair {number}: expected 1 to {MOST_TOKENS} tokens,"
                    f" found {whole}"
                )
            if not 1 <= inner <= whole:
                raise InputError(
                    f"{path}: inner.token_lengths: pair {number}: expected 1 to {whole} tokens,"
                    f" found {inner}"
                )
    lengths = activations.token_lengths[0].tolist()
    if lengths != [len(tokens) for tokens in seen.first_pair]:
        raise InputError(f"{path}: tokens: the first pair's are not as many as its token_lengths")
    if [*seen.added] != (activations.token_lengths - activations.inner.token_lengths)[0].tolist():
        raise InputError(f"{path}: tokens: not as many were added to the first pair as it says")
