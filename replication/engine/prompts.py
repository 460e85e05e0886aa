"""Prompts: their tokens as the model takes them, and the positions that means are taken over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

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


# Of each prompt the mean over all positions, then the one over its inner positions.
Means = tuple[
    Float32[np.ndarray, "2 prompts layers d_model"], Float32[np.ndarray, "2 prompts layers z"]
]
