"""Capture: run the model on the prompts and keep each component's mean activation.

The means are taken inside the hooks, so that no activation outlives the layer that made it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int64

from replication.experiment import Pair
from replication.files import InputError
from replication.models import LoadedModel

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

BATCH_SIZE = 16


@dataclass(frozen=True)
class MeanActivations:
    """Each component's activation averaged over the positions of one prompt.

    `mlp_out` is `blocks.{layer}.hook_mlp_out` and `z` is `blocks.{layer}.attn.hook_z`, both on
    raw weights; the tokenizer's own special tokens are among the positions.
    """

    mlp_out: Float32[np.ndarray, "pairs 2 layers d_model"]
    z: Float32[np.ndarray, "pairs 2 layers heads d_head"]
    token_lengths: Int64[np.ndarray, "pairs 2"]


def capture(
    model: LoadedModel, pairs: Sequence[Pair], batch_size: int = BATCH_SIZE
) -> MeanActivations:
    """The mean activations of every MLP and head on every prompt.

    Prompts run in batches of similar length; a progress bar shows on a terminal.

    Raises:
        InputError: a prompt is longer than the model's context, the model lacks a hook point,
            or an activation is not finite.
    """
    import torch
    from rich.console import Console
    from rich.progress import track

    shape = model.shape
    prompts = [_tokens(model, prompt) for pair in pairs for prompt in pair]
    lengths = np.array([len(tokens) for tokens in prompts], dtype=np.int64)
    mlp_out = np.empty((len(prompts), shape.n_layers, shape.d_model), dtype=np.float32)
    z = np.empty((len(prompts), shape.n_layers, shape.n_heads, shape.d_head), dtype=np.float32)

    by_length = np.argsort(lengths, kind="stable")
    batches = [
        by_length[start : start + batch_size] for start in range(0, len(by_length), batch_size)
    ]
    with torch.inference_mode():
        for batch in track(
            batches,
            description="Capturing",
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        ):
            mlp_out[batch], z[batch] = _batch_means(model, [prompts[index] for index in batch])

    if not (np.isfinite(mlp_out).all() and np.isfinite(z).all()):
        raise InputError(
            f"{model.provenance.model}: the model gives activations that are not finite"
        )
    by_pair = (len(pairs), 2)
    return MeanActivations(
        mlp_out.reshape(*by_pair, *mlp_out.shape[1:]),
        z.reshape(*by_pair, *z.shape[1:]),
        lengths.reshape(by_pair),
    )


def _tokens(model: LoadedModel, prompt: str) -> Int[Tensor, " position"]:
    tokens: Int[Tensor, " position"] = model.bridge.to_tokens(prompt, truncate=False)[0]
    context = model.bridge.cfg.n_ctx
    if len(tokens) > context:
        raise InputError(
            f"the prompt {prompt[:40]!r}… has {len(tokens)} tokens;"
            f" the context of {model.provenance.model} holds {context}"
        )
    return tokens


def _batch_means(
    model: LoadedModel, prompts: Sequence[Int[Tensor, " position"]]
) -> tuple[
    Float32[np.ndarray, "batch layers d_model"], Float32[np.ndarray, "batch layers heads d_head"]
]:
    """One padded batch through the model, without its language-model head."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    device = prompts[0].device
    tokens = pad_sequence(list(prompts), batch_first=True)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    is_real = torch.arange(tokens.shape[1], device=device) < lengths[:, None]

    shape = model.shape
    mlp_out: list[Any] = [None] * shape.n_layers
    z: list[Any] = [None] * shape.n_layers

    def keep(means: list[Any], layer: int, sizes: tuple[int, ...]) -> Any:
        def hook(activation: Float[Tensor, "batch position *sizes"], **_: Any) -> None:
            means[layer] = _mean_over_positions(activation.flatten(2), is_real).reshape(-1, *sizes)

        return hook

    hooks = [
        (name, keep(means, layer, sizes))
        for layer in range(shape.n_layers)
        for name, means, sizes in (
            (f"blocks.{layer}.hook_mlp_out", mlp_out, (shape.d_model,)),
            (f"blocks.{layer}.attn.hook_z", z, (shape.n_heads, shape.d_head)),
        )
    ]
    missing = [name for name, _ in hooks if name not in model.bridge.hook_dict]
    if missing:
        raise InputError(f"{model.provenance.model}: the model has no hook point {missing[0]}")
    with model.bridge.hooks(fwd_hooks=hooks):
        model.bridge.original_model.base_model(input_ids=tokens, attention_mask=is_real.long())
    return torch.stack(mlp_out, 1).cpu().numpy(), torch.stack(z, 1).cpu().numpy()


def _mean_over_positions(
    activation: Float[Tensor, "batch position size"], is_real: Bool[Tensor, "batch position"]
) -> Float[Tensor, "batch size"]:
    """The mean over the real positions; whatever stands at a padded one does not count."""
    real_only = activation.masked_fill(~is_real[:, :, None], 0)
    return real_only.sum(1) / is_real.sum(1, keepdim=True)
