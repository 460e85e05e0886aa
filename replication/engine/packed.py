"""Packed prompts: put one behind the other into one sequence, so that no padding is computed.

A block-diagonal mask keeps them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from replication.engine.models import LoadedModel
from replication.engine.prompts import Means, Prompt

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

PACK_TOKENS = 512  # tokens in a pack; from 256 to 512 a token costs least on a CPU


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


def packed_means(model: LoadedModel, prompts: Sequence[Prompt]) -> Means:
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
