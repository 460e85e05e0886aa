"""Padded prompts: batches through TransformerLens' own hooks, for any architecture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64

from replication.engine.models import LoadedModel
from replication.engine.prompts import Means, Prompt
from replication.engine.taps import hook_points

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

BATCH_SIZE = 16  # prompts in a padded batch


def batches(lengths: Int64[np.ndarray, " prompts"]) -> list[list[int]]:
    """Prompts of similar length together."""
    by_length = np.argsort(lengths, kind="stable").tolist()
    return [by_length[start : start + BATCH_SIZE] for start in range(0, len(by_length), BATCH_SIZE)]


def padded_means(model: LoadedModel, prompts: Sequence[Prompt]) -> Means:
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
