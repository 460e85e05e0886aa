"""Padded prompts: batches of similar lengths, for any architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from replication.engine.prompts import Means, Prompt
from replication.engine.taps import See, Taps

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

BATCH_SIZE = 16  # prompts in a padded batch


def batches(lengths: Int64[np.ndarray, " prompts"]) -> list[list[int]]:
    """Prompts of similar length together."""
    by_length = np.argsort(lengths, kind="stable").tolist()
    return [by_length[start : start + BATCH_SIZE] for start in range(0, len(by_length), BATCH_SIZE)]


def padded_means(taps: Taps, prompts: Sequence[Prompt]) -> Means:
    """The means of one padded batch."""
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
    mlp_out: list[Float[Tensor, "2 prompts d_model"]] = []
    z: list[Float[Tensor, "2 prompts z"]] = []

    def keep(means: list[Float[Tensor, "2 prompts size"]]) -> See:
        def see(_: int, activation: Float[Tensor, "*positions size"]) -> None:
            by_prompt = activation.reshape(*tokens.shape, -1).float()
            means.append(
                torch.stack(
                    [_mean_over_positions(by_prompt, chosen) for chosen in (is_real, is_inner)]
                )
            )

        return see

    with taps.hooked(keep(mlp_out), keep(z)):
        taps.transformer(input_ids=tokens, attention_mask=is_real.long())
    return torch.stack(mlp_out, 2).cpu().numpy(), torch.stack(z, 2).cpu().numpy()


def _mean_over_positions(
    activation: Float[Tensor, "batch position size"], is_chosen: Bool[Tensor, "batch position"]
) -> Float[Tensor, "batch size"]:
    """The mean over the chosen positions, zero where there are none; no other one counts."""
    chosen_only = activation.masked_fill(~is_chosen[:, :, None], 0)
    return chosen_only.sum(1) / is_chosen.sum(1, keepdim=True).clamp(min=1)
