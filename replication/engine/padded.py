"""Padded prompts: batches of similar lengths, for any architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from replication.engine.prompts import Means, Prompt
from replication.engine.taps import Taps

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

BATCH_SIZE = 16  # prompts in a padded batch


def batches(lengths: Int64[np.ndarray, " prompts"]) -> list[list[int]]:
    """Prompts of similar length together."""
    by_length = np.argsort(lengths, kind="stable").tolist()
    return [by_length[start : start + BATCH_SIZE] for start in range(0, len(by_length), BATCH_SIZE)]


def pad(prompts: Sequence[Int[Tensor, " position"]]) -> dict[str, Int[Tensor, "prompts positions"]]:
    """What the transformer takes for prompts of a batch, one a row, padded behind."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    tokens = pad_sequence(list(prompts), batch_first=True)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=tokens.device)
    is_real = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    return {"input_ids": tokens, "attention_mask": is_real.long()}


def padded_means(taps: Taps, prompts: Sequence[Prompt]) -> Means:
    """The means of one padded batch."""
    import torch

    inputs = pad([prompt.tokens for prompt in prompts])
    tokens, is_real = inputs["input_ids"], inputs["attention_mask"].bool()
    position = torch.arange(tokens.shape[1], device=tokens.device)
    starts, stops = (
        torch.tensor(values, device=tokens.device)[:, None]
        for values in zip(
            *((prompt.inner.start, prompt.inner.stop) for prompt in prompts), strict=True
        )
    )
    is_inner = (position >= starts) & (position < stops)

    def means(activation: Float[Tensor, "*positions size"]) -> Float[Tensor, "2 prompts size"]:
        by_prompt = activation.reshape(*tokens.shape, -1).float()
        return torch.stack(
            [_mean_over_positions(by_prompt, chosen) for chosen in (is_real, is_inner)]
        )

    return taps.kept(inputs, means)


def _mean_over_positions(
    activation: Float[Tensor, "batch position size"], is_chosen: Bool[Tensor, "batch position"]
) -> Float[Tensor, "batch size"]:
    """The mean over the chosen positions, zero where there are none; no other one counts."""
    chosen_only = activation.masked_fill(~is_chosen[:, :, None], 0)
    return chosen_only.sum(1) / is_chosen.sum(1, keepdim=True).clamp(min=1)
