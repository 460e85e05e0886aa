"""Prefixes: what both prompts of a pair begin with, computed once and then only attended to.

In a decoder nothing at these positions depends on what comes behind them, so that a run in which
activations are interchanged between the two prompts is as the model's own there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from replication.engine.packed import Places, attention_mask, pack, places_of
from replication.engine.prompts import Prompt
from replication.engine.taps import Taps
from replication.engine.together import Together, together

if TYPE_CHECKING:
    from torch import Tensor


def behind_prefixes(
    taps: Taps, firsts: Sequence[Prompt], others: Sequence[Prompt]
) -> tuple[Together, Together]:
    """The prompts of pairs as the model takes them, less what the two of a pair begin with alike.

    Whole where no two begin alike, or where prompts are padded.
    """
    shared = [_shared(one, other) for one, other in zip(firsts, others, strict=True)]
    if taps.packing is None or not any(shared):
        return together(taps, firsts), together(taps, others)
    cache = _cache(taps, [one.tokens[:count] for one, count in zip(firsts, shared, strict=True)])
    first, other = (_behind(taps, prompts, shared, cache) for prompts in (firsts, others))
    return first, other


def _shared(one: Prompt, other: Prompt) -> int:
    """How many tokens both begin with, short of the last one."""
    least = min(one.length, other.length) - 1
    differs = (one.tokens[:least] != other.tokens[:least]).nonzero()
    return int(differs[0]) if len(differs) else least


def _cache(taps: Taps, prefixes: Sequence[Tensor]) -> Any:
    """The keys and values of prefixes, packed, which stay as they are whatever attends to them."""
    import torch
    from transformers import DynamicCache

    class Held(DynamicCache):  # type: ignore[misc]
        is_held = False

        def update(
            self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **more: Any
        ) -> Any:
            if not self.is_held:
                return super().update(key_states, value_states, layer_idx, *args, **more)
            before = self.layers[layer_idx]
            return (
                torch.cat([before.keys, key_states], dim=-2),
                torch.cat([before.values, value_states], dim=-2),
            )

    cache = Held()
    taps.transformer(**pack(prefixes, taps), past_key_values=cache, use_cache=True)
    cache.is_held = True
    return cache


def _behind(taps: Taps, prompts: Sequence[Prompt], shared: Sequence[int], cache: Any) -> Together:
    import torch

    packing, device = taps.packing, prompts[0].tokens.device
    assert packing is not None
    prefixes = places_of([range(count) for count in shared], device)
    own = places_of(
        [range(count, one.length) for count, one in zip(shared, prompts, strict=True)], device
    )
    keys = Places(*(torch.cat(both) for both in zip(prefixes, own, strict=True)))
    number, prompt_of = own.position[None], own.prompt_of[None]
    starts, stops = (
        torch.tensor(ends, device=device)[prompt_of]
        for ends in zip(*((one.inner.start, one.inner.stop) for one in prompts), strict=True)
    )
    tokens = [one.tokens[count:] for count, one in zip(shared, prompts, strict=True)]
    last = torch.tensor([len(one) for one in tokens], device=device).cumsum(0) - 1
    return Together(
        {
            "input_ids": torch.cat(tokens)[None],
            "position_ids": number + packing.first_position,
            "attention_mask": attention_mask(own, keys, taps),
            "past_key_values": cache,
            "use_cache": True,
        },
        prompt_of,
        number,
        (number >= starts) & (number < stops),
        torch.ones_like(number, dtype=torch.bool),
        torch.zeros_like(last),
        last,
    )
