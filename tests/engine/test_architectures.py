"""Each architecture: its own modules, run as capture runs them, against hooks on it by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from replication.engine.architectures import ARCHITECTURES, Architecture
from replication.engine.prompts import Prompt
from replication.engine.selfcheck import self_check
from replication.engine.taps import Taps, hook_points
from replication.engine.transformer import load_taps
from replication.engine.ways import means_of, way_of
from tests.families import (
    EACH_DECODER,
    EACH_FAMILY,
    ENCODERS,
    FAMILIES,
    LAYERS,
    REPRESENTATIVE,
    make_model,
)

# Relative to a layer's means: another order of the same additions moves them by some 1e-6.
ALIKE = 1e-5
# TransformerLens knows these as no architecture of its own; their modules are called as BERT's are.
AS_BERT = {"camembert", "electra", "xlm-roberta"}


@pytest.fixture(scope="module", params=EACH_FAMILY)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(family)
    make_model(folder, family)
    return folder


def taps_of(folder: Path, mlp_at: Any = "residual") -> Taps:
    return load_taps(folder, AutoConfig.from_pretrained(folder), "cpu", "float32", mlp_at)


@pytest.fixture(scope="module")
def taps(folder: Path) -> Taps:
    return taps_of(folder)


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    random = torch.Generator().manual_seed(1)
    return [
        Prompt(torch.randint(5, 390, (length,), generator=random), range(1, length))
        for length in (7, 12, 3, 20)
    ]


def by_itself(folder: Path, family: str, prompt: Prompt) -> Mapping[str, torch.Tensor]:
    """What every hook point shows of a prompt by itself, without a mask."""
    if family in AS_BERT:
        return _as_bert(AutoModel.from_pretrained(folder), prompt)
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(str(folder), device="cpu")
    _, cache = bridge.run_with_cache(prompt.tokens[None])
    found: Mapping[str, torch.Tensor] = cache
    return found


def _as_bert(model: Any, prompt: Prompt) -> Mapping[str, torch.Tensor]:
    shown: dict[str, torch.Tensor] = {}
    for number, layer in enumerate(model.encoder.layer):
        mlp_out, z = hook_points(number)
        layer.output.dense.register_forward_hook(
            lambda _, __, output, name=mlp_out: shown.update({name: output})
        )
        layer.attention.output.dense.register_forward_pre_hook(
            lambda _, inputs, name=z: shown.update({name: inputs[0]})
        )
    model(input_ids=prompt.tokens[None])
    return shown


def assert_alike(found: Any, expected: Any) -> None:
    assert np.linalg.norm(found - expected) <= ALIKE * np.linalg.norm(expected)


@torch.inference_mode()
def test_the_means_are_those_of_hooks_on_the_model_by_itself(
    folder: Path, family: str, taps: Taps, prompts: list[Prompt]
) -> None:
    assert way_of(taps) == ("packed" if family in ARCHITECTURES else "padded")
    mlp_out, z = means_of(taps, prompts)
    for index, prompt in enumerate(prompts):
        shown = by_itself(folder, family, prompt)
        for layer in range(LAYERS):
            names = hook_points(layer)
            expected = [shown[name][0].flatten(1).double().numpy() for name in names]
            for which, positions in enumerate((slice(None), slice(1, None))):
                found = mlp_out[which, index, layer] * taps.mlp_scale, z[which, index, layer]
                for ours, theirs in zip(found, expected, strict=True):
                    assert_alike(ours, theirs[positions].mean(0))


# In an encoder a norm stands behind the sum.
@pytest.mark.parametrize("family", EACH_DECODER, indirect=True)
@torch.inference_mode()
def test_what_an_mlp_is_said_to_give_is_what_the_residual_stream_gains(
    taps: Taps, prompts: list[Prompt]
) -> None:
    prompt = prompts[1]
    layers: Any = next(
        module for module in taps.transformer.modules() if isinstance(module, torch.nn.ModuleList)
    )
    (mlp_out, _) = means_of(taps, [prompt])

    def after(layer: int) -> torch.Tensor:
        shown: list[torch.Tensor] = []
        hook = layers[layer].register_forward_hook(
            lambda _, __, output: shown.append(output[0] if isinstance(output, tuple) else output)
        )
        taps.transformer(input_ids=prompt.tokens[None])
        hook.remove()
        return shown[0].reshape(prompt.length, -1).double()

    for layer in range(LAYERS):
        whole = after(layer)
        silent = taps.mlp_out[layer].register_forward_hook(
            lambda _, __, output: (
                (torch.zeros_like(output[0]), *output[1:])
                if isinstance(output, tuple)
                else torch.zeros_like(output)
            )
        )
        gained = (whole - after(layer)).mean(0).numpy()
        silent.remove()
        assert_alike(mlp_out[0, 0, layer] * taps.mlp_scale, gained)


def test_every_architecture_of_the_table_is_tried() -> None:
    assert set(ARCHITECTURES) <= set(FAMILIES)


def test_every_way_through_the_table_is_tried_on_other_processors_too() -> None:
    def way(row: Architecture) -> tuple[object, ...]:
        own = row.post_norm is None, row.key_heads is None
        return (*own, row.positions, row.windows, row.is_causal)

    represented = {way(ARCHITECTURES[name]) for name in REPRESENTATIVE & ARCHITECTURES.keys()}
    assert set(map(way, ARCHITECTURES.values())) == represented


def test_the_self_check_passes_each(taps: Taps, family: str) -> None:
    widths, check = self_check(taps, range(10, 90, 10), "float32")
    assert (widths.mlp_out, taps.n_heads) == (32, 4)
    assert widths.z == 4 * FAMILIES[family].get("head_dim", 8)
    assert check.means < ALIKE
    assert (check.earlier is None) == (family in ENCODERS)
    assert (check.earlier or 0) < ALIKE


@pytest.mark.numeric
@pytest.mark.parametrize("family", ["gemma2", "gemma3_text", "olmo2", "olmo3", "granite"])
@torch.inference_mode()
def test_the_mlps_own_output_may_be_asked_for(
    family: str, tmp_path: Path, prompts: list[Prompt]
) -> None:
    model = make_model(tmp_path, family)
    own, added = (taps_of(tmp_path, mlp_at) for mlp_at in ("module", "residual"))
    shown: list[torch.Tensor] = []
    for layer in model.base_model.layers:
        layer.mlp.register_forward_hook(lambda _, __, output: shown.append(output[0].double()))
    model(input_ids=prompts[0].tokens[None])
    means, others = (means_of(taps, prompts[:1])[0][0, 0] for taps in (own, added))
    for found, expected, other in zip(means, shown, others, strict=True):
        assert_alike(found * own.mlp_scale, expected.mean(0).numpy())
        with pytest.raises(AssertionError):
            assert_alike(other * added.mlp_scale, expected.mean(0).numpy())


def test_without_a_row_only_what_is_added_is_known(tmp_path: Path) -> None:
    make_model(tmp_path, "gpt_neo")
    with pytest.raises(Exception, match="only what is added to the residual stream is known"):
        taps_of(tmp_path, "module")
