"""Prompts: their tokens, and the positions that means are taken over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from replication.engine.models import LoadedModel
from replication.inputs.files import InputError
from replication.inputs.messages import quoted

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor


@dataclass(frozen=True)
class Prompt:
    """A prompt's tokens, and which positions its inner mean is taken over."""

    tokens: Int[Tensor, " position"]
    inner: range

    @property
    def length(self) -> int:
        """How many tokens it has."""
        return len(self.tokens)


def read_prompt(model: LoadedModel, text: str) -> Prompt:
    """The tokens of a text.

    Raises:
        InputError: there are more of them than the model's context holds.
    """
    tokens = _tokens(model, text)
    ends_with_separator = int(tokens[-1]) in model.bridge.tokenizer.all_special_ids
    return Prompt(tokens, range(1, len(tokens) - ends_with_separator))


def _tokens(model: LoadedModel, prompt: str) -> Int[Tensor, " position"]:
    tokens: Int[Tensor, " position"] = model.bridge.to_tokens(prompt, truncate=False)[0]
    context = model.bridge.cfg.n_ctx
    if len(tokens) > context:
        raise InputError(
            f"the prompt {quoted(prompt)} has {len(tokens)} tokens;"
            f" the context of {model.provenance.model} holds {context}"
        )
    return tokens


# Of each prompt the mean over all positions, then the one over its inner positions.
Means = tuple[
    Float32[np.ndarray, "2 prompts layers d_model"], Float32[np.ndarray, "2 prompts layers z"]
]
