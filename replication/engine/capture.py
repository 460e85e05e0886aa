"""Capture: run the model on the prompts and keep each component's mean activation.

The means are taken inside the hooks, so that no activation outlives the layer that made it, and
the language-model head never runs. Where the architecture allows it, prompts are packed one behind
the other into a single sequence, so that no padding is computed; a block-diagonal mask keeps them
apart. Other architectures run in padded batches through TransformerLens' own hooks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from replication.engine.activations import MeanActivations, joined
from replication.engine.models import LoadedModel
from replication.engine.packed import packed_means, packs
from replication.engine.padded import batches, padded_means
from replication.engine.prompts import read_prompt
from replication.experiment.pairs import Pair
from replication.inputs.files import InputError

CHUNK_PAIRS = 64  # pairs whose means are held at a time


def capture(model: LoadedModel, pairs: Sequence[Pair]) -> MeanActivations:
    """The mean activations of every MLP and head on every prompt.

    The same pairs in the same order, on the same machine with as many threads, give the same to
    the bit. Other neighbours in the pack move the last digits of a pair: of its scores by less
    than 1e-5 of themselves, in tests.

    Raises:
        InputError: a prompt is longer than the model's context, the model lacks a hook point,
            or an activation is not finite.
    """
    chunks = list(capture_stream(model, pairs, len(pairs)))
    inner = [chunk.inner for chunk in chunks if chunk.inner is not None]
    return replace(joined(chunks), inner=joined(inner))


def capture_stream(
    model: LoadedModel, pairs: Iterable[Pair], n_pairs: int
) -> Iterator[MeanActivations]:
    """The mean activations of a few pairs at a time, in order, whatever the number of pairs.

    A progress bar with the time to go shows on a terminal; `n_pairs` is where it ends.

    Raises:
        InputError: as `capture` does, when it comes to the pair at fault.
    """
    from rich.console import Console
    from rich.progress import Progress

    source = iter(pairs)
    with Progress(
        console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True
    ) as progress:
        task = progress.add_task("Capturing", total=n_pairs)
        while chunk := list(islice(source, CHUNK_PAIRS)):
            yield _capture_chunk(model, chunk)
            progress.advance(task, len(chunk))


def _capture_chunk(model: LoadedModel, pairs: Sequence[Pair]) -> MeanActivations:
    import torch

    prompts = [read_prompt(model, text) for pair in pairs for text in pair]
    lengths = np.array([prompt.length for prompt in prompts], dtype=np.int64)
    if model.taps is not None:
        groups, means_of = packs(lengths.tolist()), packed_means
    else:
        groups, means_of = batches(lengths), padded_means

    shape = model.shape
    mlp_out = np.empty((2, len(prompts), shape.n_layers, shape.d_model), dtype=np.float32)
    z = np.empty((2, len(prompts), shape.n_layers, shape.n_heads, shape.d_head), dtype=np.float32)
    with torch.inference_mode():
        for group in groups:
            mlp_means, z_means = means_of(model, [prompts[index] for index in group])
            mlp_out[:, group] = mlp_means
            z[:, group] = z_means.reshape(2, len(group), *z.shape[2:])

    if not (np.isfinite(mlp_out).all() and np.isfinite(z).all()):
        raise InputError(f"{model.provenance.model} gives activations that are not finite")

    def by_pair(values: np.ndarray) -> np.ndarray:
        return values.reshape(len(pairs), 2, *values.shape[1:])

    inner_lengths = np.array([len(prompt.inner) for prompt in prompts], dtype=np.int64)
    inner = MeanActivations(by_pair(mlp_out[1]), by_pair(z[1]), by_pair(inner_lengths))
    return MeanActivations(by_pair(mlp_out[0]), by_pair(z[0]), by_pair(lengths), inner)
