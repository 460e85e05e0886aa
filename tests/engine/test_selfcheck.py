"""The self-check refuses models whose way through capture is not what they give by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig

from replication.circuits.components import ModelShape
from replication.engine import transformer
from replication.engine.models import load_model
from replication.engine.selfcheck import ALLOWED, SelfCheck, self_check
from replication.engine.taps import Taps
from replication.engine.transformer import load_taps
from replication.experiment.spec import ModelSpec
from replication.inputs.files import InputError
from tests.families import make_model

pytestmark = pytest.mark.numeric

TOKENS = range(10, 90, 10)


@pytest.fixture(params=["llama", "bert", "gpt2"])
def taps(request: pytest.FixtureRequest, tmp_path: Path) -> Taps:
    make_model(tmp_path, request.param)
    return load_taps(tmp_path, AutoConfig.from_pretrained(tmp_path), "cpu", "float32", "residual")


def padded(taps: Taps) -> Taps:
    return replace(taps, packing=None)


def spoil(monkeypatch: pytest.MonkeyPatch, taps: Taps, change: Callable[..., Any]) -> None:
    """The model takes other inputs than it is given."""
    forward = taps.transformer.forward
    monkeypatch.setattr(
        taps.transformer, "forward", lambda **inputs: forward(**{**inputs, **change(**inputs)})
    )


@pytest.mark.parametrize("way", [lambda taps: taps, padded], ids=["packed", "padded"])
def test_a_model_as_it_is_passes(taps: Taps, way: Callable[[Taps], Taps]) -> None:
    _, check = self_check(way(taps), TOKENS, "float32")
    assert check.means < ALLOWED["float32"] / 10


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_half_precision_passes_and_hides_no_dropped_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, family: str
) -> None:
    make_model(tmp_path, family)
    config = AutoConfig.from_pretrained(tmp_path)
    half = load_taps(tmp_path, config, "cpu", precision, "residual")
    _, check = self_check(half, TOKENS, precision)
    assert check.means <= ALLOWED[precision]
    spoil(monkeypatch, half, lambda **_: {"attention_mask": None, "position_ids": None})
    with pytest.raises(InputError, match="the self-check fails: "):
        self_check(half, TOKENS, precision)


def one_prompt(input_ids: torch.Tensor, **_: Any) -> dict[str, torch.Tensor]:
    """The mask of a decoder that takes everything it is given for one prompt."""
    length = input_ids.shape[1]
    everyone = torch.ones(len(input_ids), 1, length, length).bool()
    return {"attention_mask": everyone.tril()}


def test_a_model_that_drops_the_mask_is_refused(
    taps: Taps, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, taps, one_prompt)
    with pytest.raises(InputError, match="the self-check fails: "):
        self_check(taps, TOKENS, "float32")


def test_positions_that_go_on_from_prompt_to_prompt_are_refused(
    taps: Taps, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, taps, lambda **_: {"position_ids": None})
    if taps.transformer.config.model_type == "llama":
        # Its positions are relative: where a prompt begins makes no difference.
        assert self_check(taps, TOKENS, "float32")[1].means < ALLOWED["float32"]
        return
    with pytest.raises(InputError, match="the self-check fails: "):
        self_check(taps, TOKENS, "float32")


@pytest.mark.parametrize("taps", ["bert"], indirect=True)
def test_a_decoder_that_looks_ahead_is_refused(taps: Taps) -> None:
    looking_ahead = replace(padded(taps), is_causal=True)
    with pytest.raises(InputError, match="in a decoder the last token moves activations at earl"):
        self_check(looking_ahead, TOKENS, "float32")


@pytest.mark.parametrize("part", ["mlp_out", "z"])
def test_swapped_layers_are_refused(taps: Taps, part: str) -> None:
    first, second, *others = getattr(taps, part)
    with pytest.raises(InputError, match=r"ran in the order \[1, 0, 2\]"):
        self_check(replace(taps, **{part: [second, first, *others]}), TOKENS, "float32")


@pytest.mark.parametrize("part", ["mlp_out", "z"])
def test_a_layer_that_stands_for_another_is_refused(taps: Taps, part: str) -> None:
    first, _, *others = getattr(taps, part)
    with pytest.raises(InputError, match="layers share the module of their"):
        self_check(replace(taps, **{part: [first, first, *others]}), TOKENS, "float32")


def test_a_model_whose_activations_are_not_finite_is_refused(taps: Taps) -> None:
    with torch.no_grad():
        next(iter(taps.mlp_out[0].parameters())).fill_(float("nan"))
    with pytest.raises(InputError, match=r"the self-check fails: .* by nan of their size"):
        self_check(taps, TOKENS, "float32")


@pytest.mark.parametrize("tokens", [[3, 4], range(5, 10), [1, 2, 3]])
def test_few_tokens_are_enough(taps: Taps, tokens: list[int]) -> None:
    assert self_check(taps, tokens, "float32")[1].means < ALLOWED["float32"]


def test_openais_first_gpt_does_not_look_ahead_for_a_mask(tmp_path: Path) -> None:
    from transformers import OpenAIGPTConfig, OpenAIGPTLMHeadModel

    from tests.gpt2 import make_gpt2

    make_gpt2(tmp_path)
    config = OpenAIGPTConfig(vocab_size=400, n_positions=64, n_embd=32, n_layer=3, n_head=4)
    OpenAIGPTLMHeadModel(config).save_pretrained(tmp_path)
    shape = ModelShape(n_layers=3, n_heads=4, d_model=32, d_head=8)
    check = load_model(ModelSpec(name="a", shape=shape), str(tmp_path), "cpu").provenance.self_check
    assert check.way == "padded"
    assert check.earlier is not None
    assert max(check.means, check.earlier) < ALLOWED["float32"] / 10


def test_the_provenance_records_what_was_checked(tmp_path: Path) -> None:
    make_model(tmp_path, "llama")
    shape = ModelShape(n_layers=3, n_heads=4, d_model=32, d_head=12)
    spec = ModelSpec(name="a", shape=shape)
    with pytest.MonkeyPatch.context() as patch:
        tabled = load_model(spec, str(tmp_path), "cpu").provenance
        patch.delitem(transformer.ARCHITECTURES, "llama")
        located = load_model(spec, str(tmp_path), "cpu").provenance
    assert (tabled.key_heads, located.key_heads) == (2, 2)
    for found, way in ((tabled.self_check, "packed"), (located.self_check, "padded")):
        assert isinstance(found, SelfCheck)
        assert found.way == way
        assert found.earlier is not None
        assert max(found.means, found.earlier) < ALLOWED["float32"] / 10
