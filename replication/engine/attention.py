"""Attention: how much every head attends from one named token of a prompt to another.

The weights are those that the model itself gives when its attention is computed step by step
("eager"), on prompts of one length at a time, so that nothing is padded. Of each prompt the few
weights that are asked for are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int64

from replication.engine.chunks import Chunk, in_chunks
from replication.engine.models import Advance, LoadedModel
from replication.engine.progress import progress
from replication.engine.selfcheck import ALLOWED
from replication.engine.tensor_files import Tensors
from replication.engine.words import from_to, token_positions
from replication.experiment.pairs import Row
from replication.experiment.spec import ScoringSpec
from replication.inputs.files import InputError

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor

_NAMES = ("attention", "positions", "token_lengths")
MOST_WEIGHTS = 2**24  # of a forward pass, of all layers: 64 MiB


@dataclass(frozen=True)
class Attention:
    """What a run keeps where scores are attention weights, of the first prompt of every pair.

    `weights` are by table, in the order of the spec's, and `positions`, counted from 0, by the
    spec's names; `token_lengths` are of both prompts.
    """

    weights: Float32[np.ndarray, "tables pairs layers heads"]
    positions: Int64[np.ndarray, "pairs positions"]
    token_lengths: Int64[np.ndarray, "pairs 2"]

    def tensors(self) -> Tensors:
        """All of it by name, each tensor in one piece."""
        found = (self.weights, self.positions, self.token_lengths)
        return dict(zip(_NAMES, map(np.ascontiguousarray, found), strict=True))

    @classmethod
    def of(cls, tensors: Tensors) -> Attention:
        """The attention that these tensors are."""
        return cls(*(tensors[name] for name in _NAMES))


@dataclass(frozen=True)
class AttentionOfPairs(Chunk[Row]):
    """The part of a run that takes the attention weights of some pairs."""

    scoring: ScoringSpec

    def run(self, model: LoadedModel, advance: Advance) -> Tensors:
        """The weights that the tables ask for."""
        asked = [
            _asked(model, row, self.scoring, number)
            for number, row in enumerate(self.pairs, self.first)
        ]
        found = _measured(model, asked)
        advance(self.size)
        return found.tensors()


@dataclass(frozen=True)
class _Asked:
    """A pair's first prompt, and what is asked of it."""

    ids: list[int]
    positions: Mapping[str, int]
    from_to: Sequence[tuple[int, int]]
    token_lengths: tuple[int, int]


def attention(model: LoadedModel, rows: Sequence[Row], scoring: ScoringSpec) -> Attention:
    """The attention weights that the tables ask for, of every head on every pair.

    Raises:
        InputError: as `attention_stream`.
    """
    chunks = list(attention_stream(model, rows, scoring, len(rows)))
    return Attention(
        np.concatenate([chunk.weights for chunk in chunks], axis=1),
        np.concatenate([chunk.positions for chunk in chunks]),
        np.concatenate([chunk.token_lengths for chunk in chunks]),
    )


def attention_stream(
    model: LoadedModel, rows: Iterable[Row], scoring: ScoringSpec, n_pairs: int
) -> Iterator[Attention]:
    """The attention weights of a few pairs at a time, in order, whatever the number of pairs.

    Raises:
        InputError: a position is not there, or in a decoder behind the one that attends to it, each
            naming the pair; or the model gives no attention weights.
    """
    with progress("Attention", n_pairs) as advance:
        parts = (AttentionOfPairs(*chunk, scoring) for chunk in in_chunks(rows))
        yield from map(Attention.of, model.run(parts, advance))


def _asked(model: LoadedModel, row: Row, scoring: ScoringSpec, number: int) -> _Asked:
    try:
        found = token_positions(model.tokenizer, row, scoring.positions)
        both = from_to(found, scoring.tables, model.taps.is_causal)
        one, other = map(model.tokenizer.read, row.pair)
    except InputError as error:
        raise InputError(f"pair {number}: {error}") from None
    return _Asked(one.ids, found, both, (len(one.ids), len(other.ids)))


def _measured(model: LoadedModel, asked: Sequence[_Asked]) -> Attention:
    import torch

    shape, device = model.shape, model.taps.device
    both = torch.tensor([one.from_to for one in asked], device=device)
    n_tables = both.shape[1]
    weights = np.empty((n_tables, len(asked), shape.n_layers, shape.n_heads), dtype=np.float32)
    with torch.inference_mode():
        for group in _of_one_length(model, asked):
            tokens = torch.tensor([asked[index].ids for index in group], device=device)
            for layer, pattern in enumerate(_patterns(model, tokens)):
                kept = _kept(model, pattern, both[group])
                weights[:, group, layer] = kept.permute(1, 0, 2).cpu().numpy()
    return Attention(
        weights,
        np.array([[*one.positions.values()] for one in asked], dtype=np.int64),
        np.array([one.token_lengths for one in asked], dtype=np.int64),
    )


def _of_one_length(model: LoadedModel, asked: Sequence[_Asked]) -> Iterator[list[int]]:
    """Which prompts share a forward pass: of one length, and no more weights than may be held."""
    by_length: dict[int, list[int]] = {}
    for index, one in enumerate(asked):
        by_length.setdefault(len(one.ids), []).append(index)
    n_heads = model.shape.n_layers * model.shape.n_heads
    for length, indices in by_length.items():
        size = max(1, MOST_WEIGHTS // (n_heads * length**2))
        for start in range(0, len(indices), size):
            yield indices[start : start + size]


def _patterns(model: LoadedModel, tokens: Int[Tensor, "prompts positions"]) -> Sequence[Tensor]:
    """Every layer's attention weights, prompts × heads × positions × positions.

    Raises:
        InputError: the model does not give them.
    """
    run: Any = model.taps.transformer
    found = run(input_ids=tokens, output_attentions=True).attentions or ()
    (n_prompts, length), shape = tokens.shape, model.shape
    expected = [(n_prompts, shape.n_heads, length, length)] * shape.n_layers
    if [None if one is None else tuple(one.shape) for one in found] != expected:
        raise InputError(
            f"{model.provenance.model} does not give the attention weights of {shape.n_layers}"
            f" layers of {shape.n_heads} heads each"
        )
    patterns: Sequence[Tensor] = found
    return patterns


def _kept(model: LoadedModel, pattern: Tensor, both: Tensor) -> Tensor:
    """The weights that are asked for, prompts × tables × heads.

    Raises:
        InputError: what a head attends to does not sum to 1.
    """
    import torch

    prompts = torch.arange(len(pattern), device=pattern.device)[:, None]
    rows = pattern[prompts, :, both[..., 0]].float()
    apart = float((rows.sum(-1) - 1).abs().max())
    if not apart <= ALLOWED[model.provenance.precision]:
        raise InputError(
            f"{model.provenance.model} gives attention weights of a token that do not sum to 1,"
            f" by {apart:.2g}"
        )
    return rows.gather(-1, both[..., 1][:, :, None, None].expand(*rows.shape[:-1], 1))[..., 0]
