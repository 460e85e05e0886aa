"""Capture: run the model on the prompts and keep each component's mean activation.

The means are taken inside the hooks, so that no activation outlives the layer that made it, and
the language-model head never runs. Where the architecture allows it, prompts are packed one behind
the other into a single sequence, so that no padding is computed; a block-diagonal mask keeps them
apart. Other architectures run in padded batches through TransformerLens' own hooks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int64

from replication.files import InputError
from replication.models import LoadedModel, hook_points
from replication.pairs import Pair

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

BATCH_SIZE = 16  # prompts in a padded batch
PACK_TOKENS = 512  # tokens in a pack; from 256 to 512 a token costs least on a CPU
CHUNK_PAIRS = 64  # pairs whose means are held at a time


@dataclass(frozen=True)
class MeanActivations:
    """Each component's activation averaged over the positions of one prompt.

    `mlp_out` is `blocks.{layer}.hook_mlp_out` and `z` is `blocks.{layer}.attn.hook_z`, both on
    raw weights; the tokenizer's own special tokens are among the positions, which `token_lengths`
    counts. `inner` are the means without the first position and, where the tokenizer ends prompts
    with a separator, without that; a mean over no position is zero.
    """

    mlp_out: Float32[np.ndarray, "pairs 2 layers d_model"]
    z: Float32[np.ndarray, "pairs 2 layers heads d_head"]
    token_lengths: Int64[np.ndarray, "pairs 2"]
    inner: MeanActivations | None = None


def capture(model: LoadedModel, pairs: Sequence[Pair]) -> MeanActivations:
    """The mean activations of every MLP and head on every prompt.

    Raises:
        InputError: a prompt is longer than the model's context, the model lacks a hook point,
            or an activation is not finite.
    """
    chunks = list(capture_stream(model, pairs, len(pairs)))
    inner = [chunk.inner for chunk in chunks if chunk.inner is not None]
    return replace(_joined(chunks), inner=_joined(inner))


def _joined(chunks: Sequence[MeanActivations]) -> MeanActivations:
    return MeanActivations(
        np.concatenate([chunk.mlp_out for chunk in chunks]),
        np.concatenate([chunk.z for chunk in chunks]),
        np.concatenate([chunk.token_lengths for chunk in chunks]),
    )


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

    prompts = [_prompt(model, text) for pair in pairs for text in pair]
    lengths = np.array([prompt.length for prompt in prompts], dtype=np.int64)
    if model.taps is not None:
        groups, means_of = packs(lengths.tolist()), _packed_means
    else:
        groups, means_of = _batches(lengths), _padded_means

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


@dataclass(frozen=True)
class Prompt:
    """A prompt's tokens, and which positions its inner mean is taken over."""

    tokens: Int[Tensor, " position"]
    inner: range

    @property
    def length(self) -> int:
        """How many tokens it has."""
        return len(self.tokens)


def _prompt(model: LoadedModel, text: str) -> Prompt:
    tokens = _tokens(model, text)
    ends_with_separator = int(tokens[-1]) in model.bridge.tokenizer.all_special_ids
    return Prompt(tokens, range(1, len(tokens) - ends_with_separator))


def _tokens(model: LoadedModel, prompt: str) -> Int[Tensor, " position"]:
    tokens: Int[Tensor, " position"] = model.bridge.to_tokens(prompt, truncate=False)[0]
    context = model.bridge.cfg.n_ctx
    if len(tokens) > context:
        raise InputError(
            f"the prompt {prompt[:40]!r}… has {len(tokens)} tokens;"
            f" the context of {model.provenance.model} holds {context}"
        )
    return tokens


def packs(lengths: Sequence[int]) -> list[list[int]]:
    """Which prompts share a pack: as many, in their order, as its tokens hold, and at least one."""
    groups: list[list[int]] = []
    room = 0
    for index, length in enumerate(lengths):
        if length > room:
            groups.append([])
            room = PACK_TOKENS
        groups[-1].append(index)
        room -= length
    return groups


def _batches(lengths: Int64[np.ndarray, " prompts"]) -> list[list[int]]:
    """Prompts of similar length together."""
    by_length = np.argsort(lengths, kind="stable").tolist()
    return [by_length[start : start + BATCH_SIZE] for start in range(0, len(by_length), BATCH_SIZE)]


# Of each prompt the mean over all positions, then the one over its inner positions.
Means = tuple[
    Float32[np.ndarray, "2 prompts layers d_model"], Float32[np.ndarray, "2 prompts layers z"]
]


def pack(prompts: Sequence[Int[Tensor, " position"]], is_causal: bool) -> dict[str, Tensor]:
    """What the transformer takes for prompts put one behind the other, each with own positions.

    A position attends to those of its own prompt only: in a decoder, to the earlier ones.
    """
    import torch

    device = prompts[0].device
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    prompt_of = torch.repeat_interleave(torch.arange(len(prompts), device=device), lengths)
    position = torch.cat([torch.arange(len(prompt), device=device) for prompt in prompts])
    attends = prompt_of[:, None] == prompt_of
    if is_causal:
        attends &= position[:, None] >= position
    return {
        "input_ids": torch.cat(list(prompts))[None],
        "position_ids": position[None],
        "attention_mask": attends[None, None],
    }


def _packed_means(model: LoadedModel, prompts: Sequence[Prompt]) -> Means:
    """A pack of prompts, through the modules that the bridge was built around."""
    import torch

    assert model.taps is not None
    weights = _mean_weights(prompts)
    mlp_out: list[Float[Tensor, "2 prompts d_model"]] = []
    z: list[Float[Tensor, "2 prompts z"]] = []

    def keep(means: list[Any]) -> Callable[..., None]:
        def hook(_: Any, inputs: tuple[Any, ...], output: Any = None) -> None:
            activation: Float[Tensor, "1 position size"] = inputs[0] if output is None else output
            means.append(weights @ activation[0].float())

        return hook

    with ExitStack() as hooks:
        for module in model.taps.mlp_out:
            hooks.enter_context(module.register_forward_hook(keep(mlp_out)))
        for module in model.taps.z:
            hooks.enter_context(module.register_forward_pre_hook(keep(z)))
        model.taps.transformer(**pack([prompt.tokens for prompt in prompts], model.taps.is_causal))
    return torch.stack(mlp_out, 2).cpu().numpy(), torch.stack(z, 2).cpu().numpy()


def _mean_weights(prompts: Sequence[Prompt]) -> Float[Tensor, "2 prompts position"]:
    """What turns a pack's activations by position into each prompt's two means."""
    import torch

    weights = torch.zeros(2, len(prompts), sum(prompt.length for prompt in prompts))
    start = 0
    for index, prompt in enumerate(prompts):
        for which, positions in enumerate((range(prompt.length), prompt.inner)):
            if positions:
                own = slice(start + positions.start, start + positions.stop)
                weights[which, index, own] = 1 / len(positions)
        start += prompt.length
    return weights.to(prompts[0].tokens.device)


def _padded_means(model: LoadedModel, prompts: Sequence[Prompt]) -> Means:
    """One padded batch through TransformerLens' own hook points, for any architecture."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    tokens = pad_sequence([prompt.tokens for prompt in prompts], batch_first=True)
    position = torch.arange(tokens.shape[1], device=tokens.device)
    starts, stops, lengths = (
        torch.tensor(values, device=tokens.device)[:, None]
        for values in zip(
            *((prompt.inner.start, prompt.inner.stop, prompt.length) for prompt in prompts),
            strict=True,
        )
    )
    is_real = position < lengths
    is_inner = (position >= starts) & (position < stops)
    mlp_out: dict[int, Tensor] = {}
    z: dict[int, Tensor] = {}

    def keep(means: dict[int, Tensor], layer: int) -> Callable[..., None]:
        def hook(activation: Float[Tensor, "prompts position ..."], **_: Any) -> None:
            flat = activation.flatten(2).float()
            means[layer] = torch.stack(
                [_mean_over_positions(flat, chosen) for chosen in (is_real, is_inner)]
            )

        return hook

    hooks = [
        (name, keep(means, layer))
        for layer in range(model.shape.n_layers)
        for name, means in zip(hook_points(layer), (mlp_out, z), strict=True)
    ]
    with model.bridge.hooks(fwd_hooks=hooks):
        model.bridge.original_model.base_model(input_ids=tokens, attention_mask=is_real.long())
    layers = range(model.shape.n_layers)
    return (
        torch.stack([mlp_out[layer] for layer in layers], 2).cpu().numpy(),
        torch.stack([z[layer] for layer in layers], 2).cpu().numpy(),
    )


def _mean_over_positions(
    activation: Float[Tensor, "batch position size"], is_chosen: Bool[Tensor, "batch position"]
) -> Float[Tensor, "batch size"]:
    """The mean over the chosen positions, zero where there are none; no other one counts."""
    chosen_only = activation.masked_fill(~is_chosen[:, :, None], 0)
    return chosen_only.sum(1) / is_chosen.sum(1, keepdim=True).clamp(min=1)
