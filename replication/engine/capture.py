"""Capture: run the model on the prompts and keep each component's mean activation.

The means are taken inside the hooks, so that no activation outlives the layer that made it, and
the language-model head never runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import starmap

import numpy as np

from replication.engine.activations import MeanActivations, joined
from replication.engine.chunks import Chunk, in_chunks
from replication.engine.models import Advance, LoadedModel
from replication.engine.progress import progress
from replication.engine.prompts import Prompt
from replication.engine.tensor_files import Tensors
from replication.engine.ways import grouped, means_of
from replication.experiment.pairs import Pair
from replication.inputs.files import InputError


@dataclass(frozen=True)
class MeansOfPairs(Chunk[Pair]):
    """The part of a run that takes the mean activations of some pairs."""

    def run(self, model: LoadedModel, advance: Advance) -> Tensors:
        """The means over all positions, and over those of the prompts' own text."""
        found = means_of_pairs(model, self.pairs, self.first)
        advance(self.size)
        return found.tensors()


def capture(model: LoadedModel, pairs: Sequence[Pair]) -> MeanActivations:
    """The mean activations of every MLP and head on every prompt.

    The same pairs in the same order, on the same machine with as many threads, give the same to
    the bit. Other neighbours in the pack move the last digits of a pair: of its scores by less
    than 1e-5 of themselves, in tests.

    Raises:
        InputError: a prompt has no tokens, or more than the model's context, or an activation is
            not finite.
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
    with progress("Capturing", n_pairs) as advance:
        parts = starmap(MeansOfPairs, in_chunks(pairs))
        yield from map(MeanActivations.of, model.run(parts, advance))


def means_of_pairs(model: LoadedModel, pairs: Sequence[Pair], first: int) -> MeanActivations:
    """The means of some pairs, of which the first has this number, run in this process.

    Raises:
        InputError: as `capture` does.
    """
    import torch

    prompts = [
        prompt
        for number, pair in enumerate(pairs, start=first)
        for prompt in _read_pair(model, pair, number)
    ]
    lengths = np.array([prompt.length for prompt in prompts], dtype=np.int64)
    shape = model.shape
    mlp_out = np.empty((2, len(prompts), shape.n_layers, shape.d_model), dtype=np.float32)
    z = np.empty((2, len(prompts), shape.n_layers, shape.n_heads, shape.d_head), dtype=np.float32)
    with torch.inference_mode():
        for group in grouped(model.taps, prompts):
            mlp_means, z_means = means_of(model.taps, [prompts[index] for index in group])
            mlp_out[:, group] = mlp_means * np.float32(model.taps.mlp_scale)
            z[:, group] = z_means.reshape(2, len(group), *z.shape[2:])

    if not (np.isfinite(mlp_out).all() and np.isfinite(z).all()):
        raise InputError(f"{model.provenance.model} gives activations that are not finite")

    def by_pair(values: np.ndarray) -> np.ndarray:
        return values.reshape(len(pairs), 2, *values.shape[1:])

    inner_lengths = np.array([len(prompt.inner) for prompt in prompts], dtype=np.int64)
    inner = MeanActivations(by_pair(mlp_out[1]), by_pair(z[1]), by_pair(inner_lengths))
    return MeanActivations(by_pair(mlp_out[0]), by_pair(z[0]), by_pair(lengths), inner)


def _read_pair(model: LoadedModel, pair: Pair, number: int) -> list[Prompt]:
    import torch

    try:
        read = [model.tokenizer.read(text) for text in pair]
    except InputError as error:
        raise InputError(f"pair {number}: {error}") from None
    return [Prompt(torch.tensor(one.ids, device=model.taps.device), one.text) for one in read]
