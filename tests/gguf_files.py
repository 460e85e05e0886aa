"""GGUF files of small models of Llama's architecture, made on the spot from folders."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from safetensors.numpy import load_file

NORMAL, CONTROL, UNUSED = 1, 3, 5  # kinds of tokens
# How its files call the weights of a layer.
_OF_A_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_OTHERS = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def make_gguf(
    path: Path,
    model: Path,
    *,
    quantised: bool = False,
    without: Collection[str] = (),
    architecture: str = "llama",
    has_tokenizer: bool = True,
    scaling: str | None = None,
    more: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Path:
    """Write the model in a folder as one file, its matrices as they are or as Q8_0."""
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import quantize

    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    heads, key_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    if scaling is not None:
        writer.add_string(f"{architecture}.rope.scaling.type", scaling)
    if has_tokenizer:
        _add_tokenizer(writer, model, config["vocab_size"])
    for name, tensor in load_file(model / "model.safetensors").items():
        if name in without:
            continue
        halved = {"q_proj": heads, "k_proj": key_heads}.get(name.split(".")[-2])
        stored = tensor if halved is None else _interleaved(tensor, halved)
        if quantised and stored.ndim > 1:
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(_called(name), quantize(stored, kind), raw_dtype=kind)
        else:
            writer.add_tensor(_called(name), stored)
    for name, tensor in more.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: Any, model: Path, n_tokens: int) -> None:
    own = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    special = {token["id"] for token in own["added_tokens"]}
    tokens = sorted(own["model"]["vocab"], key=own["model"]["vocab"].get)
    unused = [f"[PAD{number}]" for number in range(len(tokens), n_tokens)]
    kinds = [CONTROL if number in special else NORMAL for number in range(len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*tokens, *unused])
    writer.add_token_types([*kinds, *(UNUSED for _ in unused)])
    writer.add_token_merges([" ".join(merge) for merge in own["model"]["merges"]])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_unk_token_id):
        add(min(special))


def _called(name: str) -> str:
    inner, kind = name.rsplit(".", 1)
    if inner in _OTHERS:
        return f"{_OTHERS[inner]}.{kind}"
    _, _, layer, of_a_layer = inner.split(".", 3)
    return f"blk.{layer}.{_OF_A_LAYER[of_a_layer]}.{kind}"


def _interleaved(tensor: np.ndarray, heads: int) -> np.ndarray:
    """Each head's rows as these files order them: the halves that rotate together, in pairs."""
    halves = tensor.reshape(heads, 2, -1, *tensor.shape[1:])
    return halves.swapaxes(1, 2).reshape(tensor.shape)
