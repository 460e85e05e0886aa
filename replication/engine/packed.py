"""Packed prompts: put one behind the other into one sequence, so that no padding is computed.

A block-diagonal mask keeps them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from replication.engine.prompts import Means, Prompt
from replication.engine.taps import Packing, Taps

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
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


class Places(NamedTuple):
    """Of positions put one behind the other, whose each is, and which one of its prompt."""

    prompt_of: Int[Tensor, " position"]
    position: Int[Tensor, " position"]


class Packed(NamedTuple):
    """What the transformer takes for prompts put one behind the other, and where these are."""

    inputs: dict[str, Any]
    places: Places


def pack(
    prompts: Sequence[Int[Tensor, " position"]], taps: Taps, held: Sequence[int] | None = None
) -> Packed:
    """Prompts put one behind the other, each with positions of its own.

    Of each, as many tokens at its beginning as `held` says are left out and only attended to: their
    keys and values, in this order, are what the caller adds.
    """
    import torch

    packing, device = taps.packing, prompts[0].device
    assert packing is not None
    held = [0] * len(prompts) if held is None else held
    before = _places_of([range(count) for count in held], device)
    own = _places_of(
        [range(count, len(prompt)) for count, prompt in zip(held, prompts, strict=True)], device
    )
    keys = Places(*(torch.cat(both) for both in zip(before, own, strict=True)))
    tokens = [prompt[count:] for count, prompt in zip(held, prompts, strict=True)]
    inputs = {
        "input_ids": torch.cat(tokens)[None],
        "position_ids": own.position[None] + packing.first_position,
        "attention_mask": _attention_mask(own, keys, taps),
    }
    return Packed(inputs, own)


def _places_of(own: Sequence[range], device: Any) -> Places:
    """The places of some positions of each prompt."""
    import torch

    counts = torch.tensor([len(positions) for positions in own], device=device)
    return Places(
        torch.repeat_interleave(torch.arange(len(own), device=device), counts),
        torch.cat([torch.arange(one.start, one.stop, device=device) for one in own]),
    )


def _attention_mask(queries: Places, keys: Places, taps: Taps) -> Any:
    """Who attends to whom, in the form that the transformer takes.

    A position attends to those of its own prompt only: in a decoder, to the earlier ones, and
    behind a sliding window, to those in it.
    """
    packing = taps.packing
    assert packing is not None
    back = queries.position[:, None] - keys.position
    attends = queries.prompt_of[:, None] == keys.prompt_of
    if taps.is_causal:
        attends &= back >= 0
    whole, near = (
        _as_taken(mask, packing, taps)
        for mask in (
            attends,
            attends if packing.window is None else attends & (back < packing.window),
        )
    )
    return {"full_attention": whole, "sliding_attention": near} if packing.by_type else near


def _as_taken(attends: Bool[Tensor, "position position"], packing: Packing, taps: Taps) -> Tensor:
    """A mask in the form that the attention takes."""
    import torch

    if not packing.is_additive:
        return attends[None, None]
    dtype = next(taps.transformer.parameters()).dtype
    scores = torch.zeros(attends.shape, dtype=dtype, device=attends.device)
    return scores.masked_fill(~attends, torch.finfo(dtype).min)[None, None]


def packed_means(taps: Taps, prompts: Sequence[Prompt]) -> Means:
    """The means of a pack of prompts."""
    weights = _mean_weights(prompts)

    def means(activation: Float[Tensor, "*positions size"]) -> Float[Tensor, "2 prompts size"]:
        return weights @ activation.reshape(-1, activation.shape[-1]).float()

    return taps.kept(pack([prompt.tokens for prompt in prompts], taps).inputs, means)


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
