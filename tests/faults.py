"""Faults to plant in a capture, which whatever holds captures against each other must see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
import torch

from replication.engine import packed, padded
from replication.engine.models import LoadedModel
from replication.engine.prompts import Prompt
from replication.engine.taps import See, Taps

Fault = Callable[[pytest.MonkeyPatch, LoadedModel], None]


def padding_in_one_mean(patch: pytest.MonkeyPatch, _: LoadedModel) -> None:
    """The position behind the first prompt of each batch, or pack, counts as one of its own."""
    mean_over, mean_weights = padded._mean_over_positions, packed._mean_weights

    def of_a_batch(activation: torch.Tensor, is_chosen: torch.Tensor) -> torch.Tensor:
        is_chosen = is_chosen.clone()
        is_chosen[0, int(is_chosen[0].nonzero()[-1]) + 1] = True
        return mean_over(activation, is_chosen)

    def of_a_pack(prompts: Sequence[Prompt]) -> torch.Tensor:
        weights = mean_weights(prompts)
        for mean in weights[:, 0]:
            mean[int(mean.nonzero()[-1]) + 1] = 1
            mean[mean > 0] = 1 / mean.count_nonzero()
        return weights

    patch.setattr(padded, "_mean_over_positions", of_a_batch)
    patch.setattr(packed, "_mean_weights", of_a_pack)


def no_mask(patch: pytest.MonkeyPatch, model: LoadedModel) -> None:
    """Every position attends to every other one, of all prompts and of the padding."""
    pack, base = packed.pack, model.taps.transformer
    forward = base.forward

    def without_a_mask(*arguments: Any) -> packed.Packed:
        inputs, places = pack(*arguments)
        open_mask = torch.ones_like(inputs["attention_mask"])
        return packed.Packed(inputs | {"attention_mask": open_mask}, places)

    def to_all_positions(**inputs: torch.Tensor) -> Any:
        tokens, mask = inputs["input_ids"], inputs["attention_mask"]
        if mask.ndim == 2:
            length = tokens.shape[1]
            inputs["attention_mask"] = torch.ones(len(tokens), 1, length, length, dtype=torch.bool)
        return forward(**inputs)

    patch.setattr(packed, "pack", without_a_mask)
    patch.setattr(base, "forward", to_all_positions)


def another_layer(patch: pytest.MonkeyPatch, _: LoadedModel) -> None:
    """The second layer stands for the first one too."""
    hooked = Taps.hooked

    def with_the_second_twice(
        taps: Taps, see_mlp_out: See, see_z: See
    ) -> AbstractContextManager[None]:
        mlp_out, z = ([modules[1], *modules[1:]] for modules in (taps.mlp_out, taps.z))
        return hooked(replace(taps, mlp_out=mlp_out, z=z), see_mlp_out, see_z)

    patch.setattr(Taps, "hooked", with_the_second_twice)


FAULTS: list[Fault] = [padding_in_one_mean, no_mask, another_layer]
