"""Pairs that a small random model is asked about, and its runs with components changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoConfig

from replication.circuits.components import ModelShape
from replication.engine.answers import Asked, AskedPair
from replication.engine.interventions import Mask, Masks, Settings, mean_values
from replication.engine.prompts import Prompt
from replication.engine.taps import Taps
from replication.engine.transformer import load_taps
from replication.experiment.behaviours import Positions, Unit, Value
from tests.families import HEADS, LAYERS, OF_A_HEAD, WIDTH

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor

SHAPE = ModelShape(n_layers=LAYERS, n_heads=HEADS, d_model=WIDTH, d_head=OF_A_HEAD)
ALL = 1 + len(SHAPE.components())  # the input, and every component
NOTHING, EVERYTHING = np.zeros(ALL, dtype=bool), np.ones(ALL, dtype=bool)
LENGTHS = (7, 12, 3, 20)
SHARED = (4, 0, 1, 13)  # of these, the tokens with which both prompts of a pair begin


def taps_of(folder: Path) -> Taps:
    """The taps of a model in a folder."""
    return load_taps(folder, AutoConfig.from_pretrained(folder), "cpu", "float32", "residual")


def some_tokens(length: int, random: torch.Generator) -> Int[Tensor, " position"]:
    """Tokens at random, none of them special."""
    return torch.randint(5, 380, (length,), generator=random)


def asked(tokens: Int[Tensor, " position"], right: int = 7, wrong: int = 11) -> Asked:
    """A prompt of these tokens, of which the first is no text, and two answers on either side."""
    return Asked(Prompt(tokens, range(1, len(tokens))), (right, right + 1), (wrong, wrong + 2))


def random_pairs(lengths: Sequence[int] = LENGTHS, seed: int = 1) -> list[AskedPair]:
    """Pairs of prompts of one length each, with answers of their own; some begin alike."""
    random = torch.Generator().manual_seed(seed)
    pairs = []
    for length, right, shared in zip(lengths, cycle(range(7, 367, 20)), cycle(SHARED)):
        first, other = some_tokens(length, random), some_tokens(length, random)
        other[: min(shared, length - 1)] = first[: min(shared, length - 1)]
        pairs.append(AskedPair(*(asked(one, right, right + 4) for one in (first, other))))
    return pairs


def settings_of(
    taps: Taps,
    pairs: Sequence[AskedPair],
    value: Value,
    positions: Positions = "all",
    unit: Unit = "logit_difference",
    *,
    by_position: bool = False,
) -> Settings:
    """What is put in components' place; the means are those over the counterparts."""
    means = None
    if value == "mean":
        prompts = [pair.counterpart.prompt for pair in pairs]
        means = mean_values(taps, prompts, positions, by_position)
    return Settings(value, positions, unit, means)


def one_at_a_time(n_all: int = ALL) -> Masks:
    """A mask for each component by itself."""
    return np.eye(n_all, dtype=bool)


def without(mask: Mask, index: int) -> Mask:
    """The mask with one component fewer, or one more."""
    return mask ^ one_at_a_time(len(mask))[index]


def hooks_and_replacements(model: Any) -> list[str]:
    """What hangs on a model's modules that is not their own."""
    return [
        name
        for name, module in model.named_modules()
        if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
    ]
