from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from transformers import AutoTokenizer

import replication.engine.capture
import replication.engine.chunks
import replication.engine.packed
import replication.engine.padded
from replication.circuits.components import ModelShape
from replication.engine import transformer
from replication.engine.activations import MeanActivations
from replication.engine.capture import capture
from replication.engine.models import LoadedModel, load_model
from replication.engine.packed import PACK_TOKENS, packs
from replication.engine.padded import _mean_over_positions
from replication.engine.scores.differential import pair_scores
from replication.engine.taps import hook_points
from replication.experiment.pairs import Pair
from replication.experiment.spec import ModelSpec, TokensSpec
from replication.inputs.files import InputError
from tests.closeness import (
    SAME,
    apart,
    assert_close,
    assert_same_means,
    assert_same_pairs,
    means_apart,
)
from tests.faults import FAULTS, Fault
from tests.gpt2 import PAIRS, make_gpt2

pytestmark = pytest.mark.numeric

SHAPE = ModelShape(n_layers=3, n_heads=4, d_model=32, d_head=8)
SHORT, LONG = PAIRS[1]


def load(folder: Path, shape: ModelShape = SHAPE) -> LoadedModel:
    spec = ModelSpec(name="test/gpt2", shape=shape)
    return load_model(spec, str(folder), "cpu", tokens=TokensSpec(special="bos"))


def boot_compatible(folder: Path) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(str(folder), device="cpu")
    bridge.enable_compatibility_mode()
    return bridge


def load_plain(folder: Path, shape: ModelShape = SHAPE) -> LoadedModel:
    """The model as any architecture is run: padded batches through the bridge's hook points."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(transformer.ARCHITECTURES, "gpt2")
        return load(folder, shape)


@pytest.fixture(scope="module", params=[load, load_plain], ids=["packed", "padded"])
def model(request: pytest.FixtureRequest, gpt2_folder: Path) -> LoadedModel:
    loaded: LoadedModel = request.param(gpt2_folder)
    assert (loaded.taps.packing is not None) == (request.param is load)
    return loaded


@pytest.fixture(scope="module")
def bridge(gpt2_folder: Path) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    return TransformerBridge.boot_transformers(str(gpt2_folder), device="cpu")


@pytest.fixture(scope="module")
def compatible(gpt2_folder: Path) -> Any:
    return boot_compatible(gpt2_folder)


@pytest.fixture(scope="module")
def activations(model: LoadedModel) -> MeanActivations:
    return capture(model, PAIRS)


def named_scores(activations: MeanActivations, shape: ModelShape) -> dict[str, float]:
    means = pair_scores(activations, "centred").mean(axis=0, dtype=np.float64)
    return dict(zip(map(str, shape.components()), means.tolist(), strict=True))


def test_scores_are_those_of_a_notebook_in_compatibility_mode(
    activations: MeanActivations, compatible: Any, notebook_scores: Any
) -> None:
    expected = notebook_scores(compatible, PAIRS)
    assert len(expected) == 3 + 3 * 4
    assert min(expected.values()) > 0.05
    assert_close(named_scores(activations, SHAPE), expected)


@pytest.mark.slow
def test_all_156_scores_at_gpt2_smalls_shape_are_those_of_a_notebook(
    tmp_path: Path, notebook_scores: Any
) -> None:
    folder = make_gpt2(tmp_path, n_layer=12, n_head=12, n_embd=768)
    shape = ModelShape(n_layers=12, n_heads=12, d_model=768, d_head=64)
    found = named_scores(capture(load(folder, shape), PAIRS), shape)
    expected = notebook_scores(boot_compatible(folder), PAIRS)
    assert len(expected) == 156
    assert min(expected.values()) > 0.05
    assert_close(found, expected)


def test_centring_the_raw_mlp_output_gives_what_compatibility_mode_writes(
    activations: MeanActivations, compatible: Any
) -> None:
    for pair, raw_means in zip(PAIRS, activations.mlp_out, strict=True):
        for prompt, raw in zip(pair, raw_means, strict=True):
            _, cache = compatible.run_with_cache(prompt)
            for layer in range(SHAPE.n_layers):
                processed = cache[f"blocks.{layer}.hook_mlp_out"][0].mean(dim=0).numpy()
                assert_close(raw[layer] - raw[layer].mean(), processed)
                assert apart(raw[layer] - raw[layer].mean(), raw[layer]) > 100 * SAME


def test_compatibility_mode_moves_a_heads_z_by_a_constant_only(
    activations: MeanActivations, compatible: Any
) -> None:
    offsets = []
    for pair, raw_means in zip(PAIRS, activations.z, strict=True):
        for prompt, raw in zip(pair, raw_means, strict=True):
            _, cache = compatible.run_with_cache(prompt)
            processed = [
                cache[f"blocks.{layer}.attn.hook_z"][0].mean(dim=0).numpy()
                for layer in range(SHAPE.n_layers)
            ]
            offsets.append(raw - np.stack(processed))
    assert np.abs(offsets[0]).max() > 0.1
    for offset in offsets[1:]:
        # The difference of two figures keeps the last digits of the larger ones.
        assert_close(offset, offsets[0], size=np.abs(activations.z).max())


def test_raw_scores_differ_from_centred_ones_for_every_mlp_and_for_no_head(
    activations: MeanActivations,
) -> None:
    centred, raw = (pair_scores(activations, mlp_out) for mlp_out in ("centred", "raw"))
    heads = slice(SHAPE.n_layers, None)
    for mlp in range(SHAPE.n_layers):
        assert apart(centred[:, mlp], raw[:, mlp]) > 100 * SAME
    assert np.array_equal(raw[:, heads], centred[:, heads])


@pytest.mark.parametrize("size", [1, 3, 50, 1000])
def test_how_prompts_are_put_together_changes_nothing(
    model: LoadedModel,
    activations: MeanActivations,
    size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replication.engine.padded, "BATCH_SIZE", size)
    monkeypatch.setattr(replication.engine.packed, "PACK_TOKENS", size)
    monkeypatch.setattr(replication.engine.chunks, "CHUNK_PAIRS", size)
    assert_same_means(capture(model, PAIRS), activations)


def test_packed_prompts_give_what_padded_batches_through_the_bridge_give(
    gpt2_folder: Path,
) -> None:
    packed, padded = (capture(read(gpt2_folder), PAIRS) for read in (load, load_plain))
    assert_same_means(packed, padded)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bound_on_means_catches_a_fault(
    model: LoadedModel, activations: MeanActivations, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch, model)
    assert means_apart(capture(model, PAIRS), activations) > 1000 * SAME


@given(st.lists(st.integers(1, 700), max_size=40))
def test_packs_hold_every_prompt_once_in_order_and_no_more_tokens_than_they_may(
    lengths: list[int],
) -> None:
    groups = packs(lengths)
    assert [index for group in groups for index in group] == list(range(len(lengths)))
    for pack in groups:
        assert len(pack) == 1 or sum(lengths[index] for index in pack) <= PACK_TOKENS


@pytest.mark.parametrize("name", ["packed", "padded"])
def test_what_runs_the_model_is_loaded_where_there_is_no_torch(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    found = importlib.util.find_spec(f"replication.engine.{name}")
    assert found is not None
    assert found.loader is not None
    monkeypatch.setitem(sys.modules, "torch", None)
    found.loader.exec_module(importlib.util.module_from_spec(found))


def test_prompts_that_fill_a_pack_share_it() -> None:
    half = PACK_TOKENS // 2
    assert packs([half, PACK_TOKENS - half, 1, PACK_TOKENS]) == [[0, 1], [2], [3]]


@example([3, 2, 1, 0])
@example([2])
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_neither_the_order_nor_the_number_of_the_pairs_changes_a_pair(
    model: LoadedModel, activations: MeanActivations, pairs: list[int]
) -> None:
    found = capture(model, [PAIRS[number] for number in pairs])
    assert_same_pairs(found, activations, pairs, "centred")


def test_the_order_within_a_pair_changes_no_score(
    model: LoadedModel, activations: MeanActivations
) -> None:
    swapped = capture(model, [Pair(second, first) for first, second in PAIRS])
    assert_close(named_scores(swapped, SHAPE), named_scores(activations, SHAPE))
    assert np.array_equal(swapped.token_lengths, activations.token_lengths[:, ::-1])


def test_a_short_prompt_beside_a_long_one_gives_the_same_as_alone(model: LoadedModel) -> None:
    together = capture(model, [Pair(SHORT, LONG)])
    alone = capture(model, [Pair(SHORT, SHORT)])
    short_length, long_length = together.token_lengths[0]
    assert long_length > 5 * short_length
    for layer in range(SHAPE.n_layers):
        assert_close(together.mlp_out[0, 0, layer], alone.mlp_out[0, 0, layer])
        assert_close(together.z[0, 0, layer], alone.z[0, 0, layer])


def test_the_beginning_of_sequence_token_counts_although_it_is_the_padding_token_too(
    model: LoadedModel, bridge: Any
) -> None:
    assert bridge.tokenizer.pad_token_id == bridge.tokenizer.bos_token_id
    _, cache = bridge.run_with_cache(SHORT)
    every_position = cache["blocks.0.hook_mlp_out"][0]
    together = capture(model, [Pair(SHORT, LONG)])
    assert together.token_lengths[0, 0] == len(every_position)
    assert_close(together.mlp_out[0, 0, 0], every_position.mean(0))
    assert apart(together.mlp_out[0, 0, 0], every_position[1:].mean(0)) > 1000 * SAME


def test_the_inner_means_leave_out_the_first_position(
    bridge: Any, activations: MeanActivations
) -> None:
    inner = activations.inner
    assert inner is not None
    assert np.array_equal(inner.token_lengths, activations.token_lengths - 1)
    for number, prompts in enumerate(PAIRS):
        for side, prompt in enumerate(prompts):
            _, cache = bridge.run_with_cache(prompt)
            for layer in range(SHAPE.n_layers):
                mlp_out, z = (cache[name][0, 1:].mean(0).numpy() for name in hook_points(layer))
                assert_close(inner.mlp_out[number, side, layer], mlp_out)
                assert_close(inner.z[number, side, layer], z)


def test_token_lengths_count_the_prompts_tokens_and_the_beginning_of_sequence(
    gpt2_folder: Path, activations: MeanActivations
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(gpt2_folder)
    expected = [[1 + len(tokenizer(prompt).input_ids) for prompt in pair] for pair in PAIRS]
    assert activations.token_lengths.tolist() == expected


def test_two_captures_are_the_same_to_the_bit(
    model: LoadedModel, activations: MeanActivations
) -> None:
    again = capture(model, PAIRS)
    assert np.array_equal(again.mlp_out, activations.mlp_out)
    assert np.array_equal(again.z, activations.z)
    assert np.array_equal(again.token_lengths, activations.token_lengths)


def test_two_loads_of_a_model_capture_the_same_to_the_bit(
    gpt2_folder: Path, model: LoadedModel, activations: MeanActivations
) -> None:
    again = capture(load(gpt2_folder) if model.taps.packing else load_plain(gpt2_folder), PAIRS)
    assert np.array_equal(again.mlp_out, activations.mlp_out)
    assert np.array_equal(again.z, activations.z)


def test_a_prompt_may_fill_the_context_and_no_more(model: LoadedModel) -> None:
    fits = "7" * 63
    assert capture(model, [Pair(fits, SHORT)]).token_lengths[0, 0] == 64
    with pytest.raises(InputError) as raised:
        capture(model, [Pair(SHORT, fits + "7")])
    message = str(raised.value)
    assert f"the prompt {'7' * 64!r} has 65 tokens" in message
    assert "the model's context holds 64" in message
    assert message.startswith("pair 1: ")
    assert "\n" not in message


@pytest.mark.parametrize("load_model_of", [load, load_plain], ids=["packed", "padded"])
def test_activations_that_are_not_finite_are_refused(
    gpt2_folder: Path, load_model_of: Callable[[Path], LoadedModel]
) -> None:
    broken = load_model_of(gpt2_folder)
    parameters = dict(broken.taps.transformer.named_parameters())

    def spoil(pattern: str) -> None:
        (name,) = (name for name in parameters if re.search(pattern, name))
        with torch.no_grad():
            parameters[name].fill_(float("nan"))

    spoil(r"ln_f.*weight$")
    capture(broken, PAIRS)
    spoil(r"h\.2\..*mlp.*c_proj.*bias$")
    with pytest.raises(InputError, match="gpt2 gives activations that are not finite"):
        capture(broken, PAIRS)


def test_the_transformer_has_no_language_model_head(model: LoadedModel) -> None:
    names = [name for name, _ in model.taps.transformer.named_modules()]
    assert "h.0.mlp" in names
    assert not [name for name in names if "lm_head" in name]


def test_no_hook_stays_behind(model: LoadedModel) -> None:
    def hooks() -> int:
        modules = list(model.taps.transformer.modules())
        return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in modules)

    capture(model, PAIRS)
    after_one = hooks()
    capture(model, PAIRS)
    assert hooks() == after_one


@st.composite
def padded_batches(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    batch, longest, size = (draw(st.integers(1, limit)) for limit in (4, 8, 5))
    lengths = draw(st.lists(st.integers(1, longest), min_size=batch, max_size=batch))
    # Below the normal numbers a mean has fewer digits.
    finite = st.floats(-1000, 1000, width=32, allow_subnormal=False)
    activation = draw(arrays(np.float32, (batch, longest, size), elements=finite))
    for row, length in enumerate(lengths):
        activation[row, length:] = draw(st.sampled_from([0, 1e30, np.nan, np.inf, -np.inf]))
    return activation, lengths


@settings(deadline=None)
@given(padded_batches())
def test_the_mean_is_over_the_real_positions_whatever_stands_at_the_padded_ones(
    padded: tuple[np.ndarray, list[int]],
) -> None:
    activation, lengths = padded
    is_real = torch.arange(activation.shape[1]) < torch.tensor(lengths)[:, None]
    means = _mean_over_positions(torch.tensor(activation), is_real).numpy()
    for row, length in enumerate(lengths):
        own = activation[row, :length].astype(np.float64)
        # What cancels in a mean leaves its last digits there.
        assert_close(means[row], own.mean(axis=0), size=np.abs(own).max())
