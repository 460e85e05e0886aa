"""Recordings: what a run kept of the model, stored with where it comes from.

It is mean activations or, where scores are attention weights, those that the experiment asks for.

The file is a `safetensors` file. Its metadata hold the provenance, the pairs and a digest of the
tensors and of all other metadata, so that a byte that was damaged, or edited by hand, is found
before a figure is computed from it. A digest is no signature: who makes a new one goes unnoticed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from replication.engine.activations import MOST_TOKENS, MeanActivations
from replication.engine.attention import Attention
from replication.engine.provenance import Provenance
from replication.engine.selfcheck import ALLOWED
from replication.engine.tensor_files import (
    canonical,
    check_tensor,
    check_unchanged,
    is_of_kind,
    part_of,
    read_tensors,
    write_tensors,
)
from replication.engine.tokens import SeenTokens
from replication.experiment.pairs import Pair
from replication.experiment.spec import Experiment
from replication.inputs.files import InputError, parse_json
from replication.inputs.folders import check_replaceable, check_writable

FORMAT = "replication.mean-activations.4"
ATTENTION_FORMAT = "replication.attention.1"
LARGEST_SHARE = 1 + ALLOWED["float32"]  # what rounding makes of 1
Asked = dict[str, Any]
Layout = dict[str, tuple[type[np.generic], tuple[int, ...]]]


@dataclass(frozen=True)
class Recording:
    """What a run kept, its provenance, and the tokens that the model saw."""

    kept: MeanActivations | Attention
    provenance: Provenance
    seen: SeenTokens

    @property
    def activations(self) -> MeanActivations:
        """The mean activations, where those are what it kept."""
        return mean_activations(self.kept)


def mean_activations(kept: MeanActivations | Attention) -> MeanActivations:
    """What a run kept, which must be mean activations."""
    assert isinstance(kept, MeanActivations)
    return kept


def recorded_path(experiment: Experiment) -> Path:
    """Where the experiment keeps its recording."""
    return experiment.folder / experiment.spec.recorded


def check_overwritten(path: Path) -> None:
    """Refuse to write a recording where anything but a recording stands.

    Raises:
        InputError: something else stands there, or nothing may be written there.
    """
    kinds = tuple(one.rpartition(".")[0] for one in (FORMAT, ATTENTION_FORMAT))
    check_writable(path)
    check_replaceable(path, "recording", lambda there: is_of_kind(there, kinds))


def record(
    recording: Recording, pairs: Sequence[Pair], path: Path, asked: Asked | None = None
) -> None:
    """Write a recording, all of it or nothing; of attention weights with what was asked for."""
    found = recording.kept
    metadata = {
        "provenance": canonical(recording.provenance.model_dump(mode="json")),
        "tokens": canonical(recording.seen.model_dump(mode="json")),
        "pairs": canonical(pairs),
    }
    if isinstance(found, Attention):
        metadata |= {"format": ATTENTION_FORMAT, "scoring": canonical(asked)}
        write_tensors(path, found.tensors(), metadata)
    else:
        write_tensors(path, found.tensors(), metadata | {"format": FORMAT})


def replay(experiment: Experiment) -> Recording:
    """The experiment's recording, after checking that it is whole and of this experiment.

    Raises:
        InputError: the file is missing, damaged, of another format, shape, or model, of other
            pairs, or holds a value that is not finite, or a length that no prompt has; or it is of
            attention between other positions or words.
    """
    path = recorded_path(experiment)
    tensors, metadata = read_tensors(path)
    is_attention = experiment.spec.scoring.kind == "attention"
    expected = ATTENTION_FORMAT if is_attention else FORMAT
    if metadata.get("format") != expected:
        raise InputError(
            f"{path}: format: expected {expected}, found {metadata.get('format')};"
            " `replication record` writes it anew"
        )
    provenance = part_of(path, metadata, "provenance", Provenance)
    seen = part_of(path, metadata, "tokens", SeenTokens)
    _check_source(path, experiment, provenance)
    _check_pairs(path, parse_json(metadata.get("pairs", ""), f"{path}: pairs"), experiment.pairs)
    layout = _attention_layout(experiment) if is_attention else _layout(experiment)
    if unknown := sorted(set(tensors) - set(layout)):
        raise InputError(f"{path}: {unknown[0]}: unknown tensor")
    for name, one in layout.items():
        check_tensor(path, name, tensors.get(name), one)
    kept: MeanActivations | Attention
    if is_attention:
        kept = Attention.of(tensors)
        _check_asked(path, parse_json(metadata.get("scoring", ""), f"{path}: scoring"), experiment)
        _check_attention(path, kept, seen)
    else:
        kept = MeanActivations.of(tensors)
        _check_lengths(path, kept, seen)
    check_unchanged(path, tensors, metadata)
    return Recording(kept, provenance, seen)


def asked_of(experiment: Experiment) -> Asked | None:
    """What attention weights depend on beside prompts: positions, tables, and the pairs' words.

    None where scores are no attention weights.
    """
    scoring = experiment.spec.scoring
    if scoring.kind != "attention":
        return None
    words = {column: [row.answers[column] for row in experiment.rows] for column in scoring.words}
    # Positions and tables in the order that the arrays have.
    return {key: [*stated.items()] for key, stated in scoring.asked.items()} | {"words": words}


def _attention_layout(experiment: Experiment) -> Layout:
    """The type and the shape of each tensor of attention weights in the file."""
    spec, n_pairs = experiment.spec, len(experiment.pairs)
    shape, scoring = spec.model.shape, spec.scoring
    return {
        "attention": (np.float32, (len(scoring.tables), n_pairs, shape.n_layers, shape.n_heads)),
        "positions": (np.int64, (n_pairs, len(scoring.positions))),
        "token_lengths": (np.int64, (n_pairs, 2)),
    }


def _layout(experiment: Experiment) -> Layout:
    """The type and the shape of each tensor of mean activations in the file."""
    shape, n_pairs = experiment.spec.model.shape, len(experiment.pairs)
    means: Layout = {
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


def _check_asked(path: Path, found: Any, experiment: Experiment) -> None:
    """Refuse weights between other positions, or of other words.

    Raises:
        InputError: naming what was recorded otherwise.
    """
    expected = json.loads(canonical(asked_of(experiment)))
    found = found if isinstance(found, dict) else {}
    for key, here in expected.items():
        if found.get(key) != here:
            raise InputError(
                f"{path}: scoring: {key}: recorded with others than the experiment states;"
                " `replication record` writes it anew"
            )


def _check_attention(path: Path, attention: Attention, seen: SeenTokens) -> None:
    """Refuse weights that are no shares, and positions that a prompt does not have."""
    if not ((attention.weights >= 0) & (attention.weights <= LARGEST_SHARE)).all():
        raise InputError(f"{path}: attention: expected shares from 0 to 1")
    for number, lengths in enumerate(attention.token_lengths.tolist(), start=1):
        for length in lengths:
            if not 1 <= length <= MOST_TOKENS:
                raise InputError(_length_fault(path, "token_lengths", number, MOST_TOKENS, length))
        for position in attention.positions[number - 1].tolist():
            if not 0 <= position < lengths[0]:
                raise InputError(
                    f"{path}: positions: pair {number}: expected 0 to {lengths[0] - 1}, found"
                    f" {position}"
                )
    if attention.token_lengths[0].tolist() != [len(tokens) for tokens in seen.first_pair]:
        raise InputError(f"{path}: tokens: the first pair's are not as many as its token_lengths")


def _check_lengths(path: Path, activations: MeanActivations, seen: SeenTokens) -> None:
    """Every prompt has tokens; those of its text, and not those that were added, are inner ones."""
    assert activations.inner is not None
    lengths = zip(activations.token_lengths, activations.inner.token_lengths, strict=True)
    for number, pair in enumerate(lengths, start=1):
        for whole, inner in zip(*map(np.ndarray.tolist, pair), strict=True):
            if not 1 <= whole <= MOST_TOKENS:
                raise InputError(_length_fault(path, "token_lengths", number, MOST_TOKENS, whole))
            if not 1 <= inner <= whole:
                raise InputError(_length_fault(path, "inner.token_lengths", number, whole, inner))
    lengths = activations.token_lengths[0].tolist()
    if lengths != [len(tokens) for tokens in seen.first_pair]:
        raise InputError(f"{path}: tokens: the first pair's are not as many as its token_lengths")
    if [*seen.added] != (activations.token_lengths - activations.inner.token_lengths)[0].tolist():
        raise InputError(f"{path}: tokens: not as many were added to the first pair as it says")


def _length_fault(path: Path, tensor: str, number: int, most: int, found: int) -> str:
    return f"{path}: {tensor}: pair {number}: expected 1 to {most} tokens, found {found}"
