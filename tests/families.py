"""Small random models of many families, each written as a folder that any library loads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.gpt2 import PAIRS, randomise, train_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LAYERS, HEADS, WIDTH, OF_A_HEAD = 3, 4, 32, 8
_SIZES = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
_SHARED = {**_SIZES, "num_key_value_heads": 2}
_WIDE_HEADS = {**_SHARED, "head_dim": 12}
_NEAR = {"sliding_window": 4}
_MIXED = ["full_attention", "sliding_attention", "full_attention"]
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}

# Of each `model_type`: its sizes, beside what all share. Windows are shorter than the prompts.
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": _SIZES,
    "camembert": {**_SIZES, "pad_token_id": 1},
    "cohere": _SHARED,
    "cohere2": {**_SHARED, **_NEAR, "layer_types": _MIXED},
    "electra": {**_SIZES, "embedding_size": 16},
    "gemma": _WIDE_HEADS,
    "gemma2": {**_WIDE_HEADS, **_NEAR, "layer_types": _MIXED},
    "gemma3_text": {**_WIDE_HEADS, **_NEAR, "layer_types": _MIXED},
    "gpt2": {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 64},
    "gpt_neox": {**_SIZES, "use_parallel_residual": True},
    "gptj": {
        "n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 64, "rotary_dim": 4,
    },
    "granite": {**_SHARED, "residual_multiplier": 0.25, "attention_multiplier": 0.5},
    "llama": _WIDE_HEADS,
    "mistral": {**_SHARED, **_NEAR},
    "mixtral": {**_SHARED, **_NEAR, "num_local_experts": 4},
    "nemotron": _SHARED,
    "olmo": _SHARED,
    "olmo2": _SHARED,
    "olmo3": {**_SHARED, **_NEAR, "layer_types": _MIXED},
    "opt": {**_SIZES, "ffn_dim": 48, "word_embed_proj_dim": WIDTH},
    "phi": {**_SHARED, "partial_rotary_factor": 0.5},
    "phi3": {**_SHARED, **_NEAR},
    "qwen2": {**_SHARED, **_NEAR, "use_sliding_window": True, "max_window_layers": 1},
    "qwen2_moe": {
        **_SHARED, **_NEAR, **_EXPERTS, "use_sliding_window": True, "layer_types": _MIXED,
        "shared_expert_intermediate_size": 24,
    },
    "qwen3": {**_WIDE_HEADS, **_NEAR, "use_sliding_window": True, "max_window_layers": 1},
    "qwen3_moe": {**_WIDE_HEADS, **_EXPERTS, **_NEAR, "use_sliding_window": True},
    "roberta": {**_SIZES, "pad_token_id": 1},
    "smollm3": {
        **_SHARED, **_NEAR, "use_sliding_window": True, "layer_types": _MIXED,
        "no_rope_layers": [1, 0, 1],
    },
    "stablelm": {**_SHARED, "use_parallel_residual": True},
    "starcoder2": {**_SHARED, **_NEAR},
    "xlm-roberta": {**_SIZES, "pad_token_id": 1},
    # Without a row of their own: located through TransformerLens, and padded.
    "bloom": {"hidden_size": WIDTH, "n_layer": LAYERS, "n_head": HEADS},
    "gpt_bigcode": {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 64},
    "gpt_neo": {
        "hidden_size": WIDTH, "num_layers": LAYERS, "num_heads": HEADS, "window_size": 4,
        "attention_types": [[["global", "local", "global"], 1]], "max_position_embeddings": 64,
    },
}  # fmt: skip


# The families whose numeric tests run on other processors too: one for each way that prompts take
# through this project's code, by the table of architectures, one whose attention and MLP stand side
# by side, one with experts, and one without a row in the table.
REPRESENTATIVE = {
    "bert", "gemma2", "gpt2", "gpt_neo", "gpt_neox", "llama", "mistral", "olmo2", "qwen2",
    "qwen3_moe", "roberta",
}  # fmt: skip
EACH_FAMILY = [
    pytest.param(family, marks=[pytest.mark.numeric] if family in REPRESENTATIVE else [])
    for family in FAMILIES
]


def make_model(folder: Path, family: str, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """Write a model of the family, no parameter of which is trivial, and a tokenizer of its own."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    tokenizer = train_tokenizer(400, [prompt for pair in PAIRS for prompt in pair])
    end = tokenizer.bos_token_id
    shared = {"vocab_size": 400, "bos_token_id": end, "eos_token_id": end, "pad_token_id": end}
    config = AutoConfig.for_model(family, **{**shared, **FAMILIES[family], **changes})
    of = AutoModelForMaskedLM if config.model_type in ENCODERS else AutoModelForCausalLM
    model = of.from_config(config)
    randomise(model, WIDTH, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.eval()


ENCODERS = {"bert", "camembert", "electra", "roberta", "xlm-roberta"}
EACH_DECODER = [one for one in EACH_FAMILY if ENCODERS.isdisjoint(one.values)]
