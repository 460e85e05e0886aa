"""Loading: nothing made up, whatever the architecture and the kind of file; one line where not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from replication.circuits.components import ModelShape
from replication.engine.capture import capture
from replication.engine.models import load_model
from replication.experiment.spec import ModelSpec
from replication.inputs.files import InputError
from tests.families import FAMILIES, HEADS, LAYERS, OF_A_HEAD, WIDTH, make_model
from tests.gpt2 import PAIRS

FAMILY = ["bert", "bloom", "gemma2", "gpt2", "llama", "mixtral", "opt", "roberta"]


def spec_of(family: str, d_head: int | None = None) -> ModelSpec:
    own = d_head or FAMILIES.get(family, {}).get("head_dim", OF_A_HEAD)
    shape = ModelShape(n_layers=LAYERS, n_heads=HEADS, d_model=WIDTH, d_head=own)
    return ModelSpec(name="test/one", shape=shape)


def refused(folder: Path, spec: ModelSpec) -> str:
    with pytest.raises(InputError) as raised:
        load_model(spec, str(folder), "cpu")
    message = str(raised.value)
    assert message.startswith(str(folder))
    assert "\n" not in message
    assert len(message.replace(str(folder), "")) <= 300
    return message


def sharded(folder: Path) -> None:
    """The same weights in two files, with the index that says what is where."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[::2]}
    parts["model-00002-of-00002.safetensors"] = names[1::2]
    for file, held in parts.items():
        save_file({name: weights[name] for name in held}, folder / file, {"format": "pt"})
    where = {name: file for file, held in parts.items() for name in held}
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def as_it_is(_: Path) -> None:
    pass


KINDS = [as_it_is, sharded, pickled]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILY)
def test_a_weight_that_the_files_lack_is_never_made_up(
    tmp_path: Path, family: str, kind: Callable[[Path], None]
) -> None:
    make_model(tmp_path, family)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    lost = next(
        name
        for name in sorted(weights)
        if ".1." in name and "weight" in name and "experts" not in name
    )
    del weights[lost]
    save_file(weights, path, {"format": "pt"})
    kind(tmp_path)
    message = refused(tmp_path, spec_of(family))
    assert "the weights lack " in message
    assert ".".join(lost.split(".")[-2:]) in message


def test_an_expert_that_the_files_lack_is_never_made_up(tmp_path: Path) -> None:
    make_model(tmp_path, "mixtral")
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.layers.1.block_sparse_moe.experts.2.w1.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    assert "cannot be loaded as mixtral: " in refused(tmp_path, spec_of("mixtral"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_whole_weights_load_from_every_kind_of_file(
    tmp_path: Path, family: str, kind: Callable[[Path], None]
) -> None:
    make_model(tmp_path / "one", family)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    kind(tmp_path / "other")
    one, other = (
        capture(load_model(spec_of(family), str(tmp_path / name), "cpu"), PAIRS)
        for name in ("one", "other")
    )
    assert (one.mlp_out == other.mlp_out).all()
    assert (one.z == other.z).all()


@pytest.mark.parametrize("family", ["gpt2", "llama", "opt"])
def test_weights_under_another_prefix_are_missing_ones(tmp_path: Path, family: str) -> None:
    make_model(tmp_path, family)
    weights = load_file(tmp_path / "model.safetensors")
    other = {f"wrapped.{name}": tensor for name, tensor in weights.items()}
    save_file(other, tmp_path / "model.safetensors", {"format": "pt"})
    assert "the weights lack " in refused(tmp_path, spec_of(family))


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_a_head_that_is_not_there_is_no_fault(tmp_path: Path, family: str) -> None:
    make_model(tmp_path, family).base_model.save_pretrained(tmp_path)
    load_model(spec_of(family), str(tmp_path), "cpu")


def test_tied_weights_are_no_fault(tmp_path: Path) -> None:
    make_model(tmp_path, "llama", tie_word_embeddings=True)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    load_model(spec_of("llama"), str(tmp_path), "cpu")


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    make_model(tmp_path, "llama")
    config = T5Config(
        vocab_size=400, d_model=WIDTH, d_kv=OF_A_HEAD, num_layers=LAYERS, num_heads=HEADS, d_ff=48
    )
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    assert "t5 is an encoder-decoder, " in refused(tmp_path, spec_of("t5"))


def test_a_model_without_mlps_is_refused(tmp_path: Path) -> None:
    from transformers import MambaConfig, MambaForCausalLM

    make_model(tmp_path, "llama")
    config = MambaConfig(vocab_size=400, hidden_size=WIDTH, num_hidden_layers=LAYERS)
    MambaForCausalLM(config).save_pretrained(tmp_path)
    message = refused(tmp_path, spec_of("mamba"))
    assert "TransformerLens has no hook point blocks.0." in message


def test_layers_that_share_their_modules_are_refused(tmp_path: Path) -> None:
    from transformers import AlbertConfig, AlbertForMaskedLM

    make_model(tmp_path, "bert")
    config = AlbertConfig(
        vocab_size=400,
        embedding_size=16,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=48,
    )
    AlbertForMaskedLM(config).save_pretrained(tmp_path)
    assert refused(tmp_path, spec_of("albert"))


@pytest.mark.parametrize("d_head", [4, 10])
def test_value_heads_of_another_size_are_heads_of_their_own_size(
    tmp_path: Path, d_head: int
) -> None:
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    make_model(tmp_path, "llama")
    config = DeepseekV3Config(
        vocab_size=400, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=HEADS, intermediate_size=48, moe_intermediate_size=16,
        n_routed_experts=4, n_group=1, topk_group=1, num_experts_per_tok=2,
        first_k_dense_replace=1, q_lora_rank=16, kv_lora_rank=8, qk_rope_head_dim=4,
        qk_nope_head_dim=4, v_head_dim=10, max_position_embeddings=64,
    )  # fmt: skip
    DeepseekV3ForCausalLM(config).save_pretrained(tmp_path)
    if d_head == 10:
        loaded = load_model(spec_of("deepseek", d_head), str(tmp_path), "cpu")
        assert capture(loaded, PAIRS).z.shape == (len(PAIRS), 2, LAYERS, HEADS, 10)
    else:
        assert "d_head 10; the experiment expects" in refused(tmp_path, spec_of("deepseek", d_head))
