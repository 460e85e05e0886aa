"""Prefixes: what both prompts of a pair begin with, computed once and then only attended to.

In a decoder nothing at these positions depends on what comes behind them, so that a run in which
activations are interchanged between the two prompts is as the model's own there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from replication.engine.packed import pack
from replication.engine.prompts import Prompt
from replication.engine.taps import Taps
from replication.engine.together import Prefixes, Together, together

if TYPE_CHECKING:
    from torch import Tensor


def behind_prefixes(
    taps: Taps, firsts: Sequence[Prompt], others: Sequence[Prompt]
) -> tuple[Together, Together]:
    """The prompts of pairs as the model takes them, less what the two of a pair begin with alike.

    Whole where no two begin alike, or where prompts are padded.
    """
    prefixes, shared = None, [_shared(one, two) for one, two in zip(firsts, others, strict=True)]
    if taps.packing is not None and any(shared):
        begun = [one.tokens[:count] for one, count in zip(firsts, shared, strict=True)]
        prefixes = Prefixes(shared, _cache(taps, begun))
    return together(taps, firsts, prefixes), together(taps, others, prefixes)


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
    taps.transformer(**pack(prefixes, taps).inputs, past_key_values=cache, use_cache=True)
    cache.is_held = True
    return cache
