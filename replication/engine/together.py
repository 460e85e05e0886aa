"""Prompts of one forward pass: what the model takes, and which position is whose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from replication.engine.packed import pack
from replication.engine.padded import pad
from replication.engine.prompts import Prompt
from replication.engine.taps import Taps
from replication.engine.ways import way_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor


@dataclass(frozen=True)
class Together:
    """Prompts put together for one forward pass.

    `inputs` are what the model takes. Of every position, `prompt_of` is whose it is, `number` which
    one of its prompt, and `is_text` whether it is of the prompt's own text; where `is_real` is
    false, it is padding behind its row's prompt. `row` and `last` say where each prompt ends.
    """

    inputs: dict[str, Any]
    prompt_of: Int[Tensor, "rows positions"]
    number: Int[Tensor, "rows positions"]
    is_text: Bool[Tensor, "rows positions"]
    is_real: Bool[Tensor, "rows positions"]
    row: Int[Tensor, " prompts"]
    last: Int[Tensor, " prompts"]


class Prefixes(NamedTuple):
    """How many tokens at each prompt's beginning are held, and their keys and values, packed."""

    held: Sequence[int]
    cache: Any


def together(taps: Taps, prompts: Sequence[Prompt], prefixes: Prefixes | None = None) -> Together:
    """The prompts as the model takes them, packed or padded; packed, less what is held of them."""
    import torch

    device = prompts[0].tokens.device
    tokens = [prompt.tokens for prompt in prompts]
    lengths = torch.tensor([prompt.length for prompt in prompts], device=device)
    starts = torch.tensor([prompt.inner.start for prompt in prompts], device=device)
    stops = torch.tensor([prompt.inner.stop for prompt in prompts], device=device)
    if way_of(taps) == "packed":
        inputs, places = pack(tokens, taps, prefixes and prefixes.held)
        if prefixes:
            inputs |= {"past_key_values": prefixes.cache, "use_cache": True}
        prompt_of, number = places.prompt_of[None], places.position[None]
        last = torch.bincount(places.prompt_of).cumsum(0) - 1
        row = torch.zeros_like(last)
    else:
        inputs = pad(tokens)
        row = torch.arange(len(prompts), device=device)
        number = torch.arange(int(lengths.max()), device=device).expand(len(prompts), -1)
        prompt_of, last = row[:, None].expand_as(number), lengths - 1
    return Together(
        inputs,
        prompt_of,
        number,
        (number >= starts[prompt_of]) & (number < stops[prompt_of]),
        number < lengths[prompt_of],
        row,
        last,
    )


def last_logits(taps: Taps, prompts: Together) -> Float[Tensor, "prompts vocabulary"]:
    """The logits at each prompt's last position, in a forward pass of the model and its head."""
    assert taps.with_head is not None
    if taps.packing is not None:
        # The tabled architectures take the positions whose logits are wanted.
        given = taps.with_head(**prompts.inputs, logits_to_keep=prompts.last).logits[0]
    else:
        given = taps.with_head(**prompts.inputs).logits[prompts.row, prompts.last]
    logits: Tensor = given.float()
    return logits


def means_over(
    activation: Float[Tensor, "rows positions size"],
    prompts: Together,
    which: Bool[Tensor, "rows positions"],
) -> Float[Tensor, "prompts size"]:
    """Each prompt's mean over these positions of its own, of which it has one at least."""
    import torch

    chosen, whose = activation[which].float(), prompts.prompt_of[which]
    sums = torch.zeros(len(prompts.last), activation.shape[-1], device=activation.device)
    counts = torch.bincount(whose, minlength=len(prompts.last))
    return sums.index_add_(0, whose, chosen) / counts[:, None]
