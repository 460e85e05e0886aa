"""Architectures: where each one's own modules stand behind the hook points.

A new architecture is one row; a test holds every row, on small random models, against hooks on the
model by itself: those of TransformerLens, where it knows the architecture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Where things are in the model without its head, and how its prompts are packed.

    `layers` is the list of layers. In a layer, the output of `mlp` is the MLP's, and the input of
    `z` is what the heads give. Where a norm stands behind the MLP, the output of `post_norm` is
    what is added to the residual stream.

    `key_heads` is the configuration's number of key heads, which query heads share evenly; None
    where each has its own. `positions` says from where a prompt's positions are counted, and
    `windows` which layers look back no further than the configuration's sliding window: all of
    them, or those whose type says so.
    """

    layers: str = "layers"
    mlp: str = "mlp"
    post_norm: str | None = None
    z: str = "self_attn.o_proj"
    key_heads: str | None = "num_key_value_heads"
    positions: Literal["from 0", "from behind the padding token"] = "from 0"
    windows: Literal["none", "all", "by type"] = "none"
    is_causal: bool = True


_BERT = Architecture(
    layers="encoder.layer",
    mlp="output.dense",
    z="attention.output.dense",
    key_heads=None,
    is_causal=False,
)
_ROBERTA = replace(_BERT, positions="from behind the padding token")
_LLAMA = Architecture()
_MISTRAL = Architecture(windows="all")
_QWEN = Architecture(windows="by type")
_GEMMA2 = Architecture(post_norm="post_feedforward_layernorm", windows="by type")

# By the configuration's `model_type`. Whatever is not here is located through TransformerLens, and
# runs in padded batches.
ARCHITECTURES = {
    "bert": _BERT,
    "camembert": _ROBERTA,
    "cohere": _LLAMA,
    "cohere2": _QWEN,
    "electra": _BERT,
    "gemma": _LLAMA,
    "gemma2": _GEMMA2,
    "gemma3_text": _GEMMA2,
    "gpt2": Architecture(layers="h", z="attn.c_proj", key_heads=None),
    "gpt_neox": Architecture(z="attention.dense", key_heads=None),
    "gptj": Architecture(layers="h", z="attn.out_proj", key_heads=None),
    "granite": _LLAMA,
    "llama": _LLAMA,
    "mistral": _MISTRAL,
    "mixtral": _MISTRAL,
    "nemotron": _LLAMA,
    "olmo": _LLAMA,
    "olmo2": Architecture(post_norm="post_feedforward_layernorm"),
    "olmo3": _GEMMA2,
    "opt": Architecture(layers="decoder.layers", mlp="fc2", z="self_attn.out_proj", key_heads=None),
    "phi": Architecture(z="self_attn.dense"),
    "phi3": _MISTRAL,
    "qwen2": _QWEN,
    "qwen2_moe": _QWEN,
    "qwen3": _QWEN,
    "qwen3_moe": _MISTRAL,
    "roberta": _ROBERTA,
    "smollm3": _QWEN,
    "stablelm": _LLAMA,
    "starcoder2": _MISTRAL,
    "xlm-roberta": _ROBERTA,
}


def first_position(config: Any) -> int:
    """The number of a prompt's first position."""
    row = ARCHITECTURES.get(config.model_type)
    counts_padding = row is not None and row.positions == "from behind the padding token"
    return config.pad_token_id + 1 if counts_padding else 0
