"""The self-check: that capture's way through a model gives what the model itself gives.

Two forward passes: a short prompt by itself, seen by plain hooks; then, as capture will run it,
behind a longer prompt that repeats all of it but its last token, and goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float32
from pydantic import BaseModel, ConfigDict

from replication.engine.prompts import Prompt
from replication.engine.taps import See, Taps
from replication.engine.ways import Way, means_of, way_of
from replication.inputs.files import InputError

if TYPE_CHECKING:
    from torch import Tensor

LENGTH = 6  # tokens of the short prompt
# Relative differences: a forgotten mask or another layer moves means by more than a tenth of
# themselves, another order of the same additions by about the precision's last digit.
ALLOWED = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.1}


class SelfCheck(BaseModel):
    """What the self-check measured: the largest differences, relative to what is compared.

    `means` is between capture's way and plain hooks; `earlier` is between the means over earlier
    positions with one last token and with another, in a decoder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    way: Way
    means: float
    earlier: float | None


class Widths(NamedTuple):
    """What an MLP and all heads of a layer give."""

    mlp_out: int
    z: int


def self_check(taps: Taps, some: Sequence[int], precision: str) -> tuple[Widths, SelfCheck]:
    """Run both passes, on some tokens, of which each is to differ from the one before it.

    Raises:
        InputError: saying which check failed.
    """
    import torch

    tokens = torch.tensor(np.resize(some, LENGTH + 2), device=taps.device)
    beginning, last, others = torch.split(tokens, [LENGTH - 1, 1, 2])
    short, longer = torch.cat([beginning, last]), torch.cat([beginning, others])
    earlier = range(len(beginning))
    with torch.inference_mode(), _one_thread():
        plain = _plain_means(taps, short)
        found = means_of(taps, [Prompt(longer, earlier), Prompt(short, earlier)])
    allowed = ALLOWED[precision]
    means = max(_apart(ours[0, 1], theirs) for ours, theirs in zip(found, plain, strict=True))
    if not means <= allowed:
        raise InputError(
            f"the self-check fails: {way_of(taps)} prompts give other mean activations than the"
            f" model by itself on one prompt, by {means:.1g} of their size"
        )
    moved = None
    if taps.is_causal:
        moved = max(_apart(one[1, 0], one[1, 1]) for one in found)
        if not moved <= allowed:
            raise InputError(
                "the self-check fails: in a decoder the last token moves activations at earlier"
                f" positions, by {moved:.1g} of their size"
            )
    widths = Widths(*(one.shape[-1] for one in plain))
    return widths, SelfCheck(way=way_of(taps), means=means, earlier=moved)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Few tokens take longer to share out among threads, on a busy machine by far, than to run."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _plain_means(
    taps: Taps, tokens: Tensor
) -> tuple[Float32[np.ndarray, "layers d_model"], Float32[np.ndarray, "layers z"]]:
    """The means on a prompt by itself, after a look at when each module runs.

    Raises:
        InputError: a layer's modules do not run once, and one behind the other, or are not alike.
    """
    mlp_out: list[tuple[int, Tensor]] = []
    z: list[tuple[int, Tensor]] = []

    def keep(means: list[tuple[int, Tensor]]) -> See:
        def see(layer: int, activation: Tensor) -> None:
            by_position = activation.reshape(len(tokens), -1).float()
            means.append((layer, by_position.mean(0).cpu()))

        return see

    with taps.hooked(keep(mlp_out), keep(z)):
        taps.transformer(input_ids=tokens[None])
    for name, modules, seen in (("MLPs", taps.mlp_out, mlp_out), ("heads", taps.z, z)):
        order = [layer for layer, _ in seen]
        if len(set(modules)) != len(modules):
            raise InputError(f"the self-check fails: layers share the module of their {name}")
        if order != list(range(len(modules))):
            raise InputError(
                f"the self-check fails: the {name} of {len(modules)} layers ran in the order"
                f" {str(order)[:80]}, where each is to run once, and behind the one before it"
            )
        if len(sizes := {len(mean) for _, mean in seen}) != 1:
            raise InputError(f"the {name} of the layers give {sorted(sizes)} numbers a position")
    first, second = (np.stack([mean.numpy() for _, mean in seen]) for seen in (mlp_out, z))
    return first, second


def _apart(
    ours: Float32[np.ndarray, "layers size"], theirs: Float32[np.ndarray, "layers size"]
) -> float:
    """The largest difference of a layer, relative to the size of what is compared."""
    sizes = np.linalg.norm(theirs, axis=-1)
    differences = np.linalg.norm(ours - theirs, axis=-1)
    return float(np.max(differences / np.where(sizes == 0, 1, sizes)))
