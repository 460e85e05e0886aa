"""Ways: how prompts are put together for a forward pass, packed or padded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from replication.engine.packed import packed_means, packs
from replication.engine.padded import batches, padded_means
from replication.engine.prompts import Means, Prompt
from replication.engine.taps import Taps

Way = Literal["packed", "padded"]


def way_of(taps: Taps) -> Way:
    """The way that a model's prompts take."""
    return "padded" if taps.packing is None else "packed"


def grouped(taps: Taps, prompts: Sequence[Prompt]) -> list[list[int]]:
    """Which prompts share a forward pass."""
    lengths = [prompt.length for prompt in prompts]
    return packs(lengths) if way_of(taps) == "packed" else batches(np.array(lengths))


def means_of(taps: Taps, prompts: Sequence[Prompt]) -> Means:
    """The means of some prompts, of one forward pass."""
    return (packed_means if way_of(taps) == "packed" else padded_means)(taps, prompts)
