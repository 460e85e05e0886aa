"""Capture beside the model's own forward pass, and beside the ways that it replaces.

Each group is one number of pairs. `bare forward` is the transformer alone on the same tokens,
tokenized and packed without padding beforehand, with no hook on it and no language-model head: what
capture cannot be faster than. `notebook` takes a full cache per prompt and loops in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.conftest import FIVE, mixed_pairs
from replication.capture import capture, pack, packs
from replication.experiment import ModelSpec, Pair
from replication.models import LoadedModel, load_model
from replication.scoring import pair_scores
from tests.notebook import scores_as_a_notebook

PAIRS = {5: FIVE, 100: mixed_pairs(100), 1000: mixed_pairs(1000)}
ROUNDS = {5: 15, 100: 2, 1000: 1}

peer_sizes = pytest.mark.parametrize(
    "n_pairs",
    [pytest.param(n, marks=pytest.mark.benchmark(group=f"capture, {n} pairs")) for n in (5, 100)],
)
per_size = pytest.mark.parametrize(
    "n_pairs",
    [pytest.param(n, marks=pytest.mark.benchmark(group=f"capture, {n} pairs")) for n in PAIRS],
)


@pytest.fixture(scope="module")
def model(spec: ModelSpec, gpt2_small: Path) -> LoadedModel:
    """The model as capture runs it."""
    return load_model(spec, str(gpt2_small), "cpu")


@pytest.fixture(scope="module")
def bare(gpt2_small: Path) -> Any:
    """The transformer as Hugging Face loads it."""
    from transformers import AutoModel

    return AutoModel.from_pretrained(gpt2_small, use_cache=False).eval()


@pytest.fixture(scope="module")
def bridge(gpt2_small: Path) -> Any:
    """The bridge with its full hook machinery."""
    from transformer_lens.model_bridge import TransformerBridge

    return TransformerBridge.boot_transformers(str(gpt2_small), device="cpu")


def timed(benchmark: Any, n_pairs: int, work: Callable[[], Any]) -> Any:
    """Run the work a stated number of rounds, after a warm-up where it is short."""
    warm_up = 1 if n_pairs == 5 else 0
    return benchmark.pedantic(work, rounds=ROUNDS[n_pairs], warmup_rounds=warm_up)


def forwards(model: LoadedModel, pairs: Sequence[Pair], transformer: Any) -> Callable[[], None]:
    """The forward passes over the packs that capture makes of the pairs."""
    prompts = [model.bridge.to_tokens(prompt)[0] for pair in pairs for prompt in pair]
    packed = [
        pack([prompts[index] for index in group], is_causal=True)
        for group in packs([len(prompt) for prompt in prompts])
    ]

    def run() -> None:
        with torch.inference_mode():
            for one in packed:
                transformer(**one)

    return run


@per_size
def test_capture(benchmark: Any, n_pairs: int, model: LoadedModel) -> None:
    """This project's capture."""
    means = timed(benchmark, n_pairs, lambda: capture(model, PAIRS[n_pairs]))
    benchmark.extra_info["tokens"] = int(means.token_lengths.sum())


@per_size
def test_bare_forward(benchmark: Any, n_pairs: int, model: LoadedModel, bare: Any) -> None:
    """The transformer alone."""
    timed(benchmark, n_pairs, forwards(model, PAIRS[n_pairs], bare))


@per_size
def test_notebook(benchmark: Any, n_pairs: int, bridge: Any) -> None:
    """A full cache per prompt through the bridge, and Python loops; it scores as well."""
    with torch.inference_mode():
        timed(benchmark, n_pairs, lambda: scores_as_a_notebook(bridge, PAIRS[n_pairs]))


@peer_sizes
def test_hugging_face_hooks(benchmark: Any, n_pairs: int, model: LoadedModel, bare: Any) -> None:
    """Plain forward hooks on Hugging Face's modules, one prompt at a time, as people write them."""
    prompts = [model.bridge.to_tokens(prompt) for pair in PAIRS[n_pairs] for prompt in pair]
    means: list[torch.Tensor] = []
    handles = []
    for block in bare.h:
        keep_output = lambda _, __, output: means.append(output[0].mean(0))  # noqa: E731
        keep_input = lambda _, inputs: means.append(inputs[0][0].mean(0))  # noqa: E731
        handles.append(block.mlp.register_forward_hook(keep_output))
        handles.append(block.attn.c_proj.register_forward_pre_hook(keep_input))

    def run() -> None:
        means.clear()
        with torch.inference_mode():
            for prompt in prompts:
                bare(input_ids=prompt)

    try:
        timed(benchmark, n_pairs, run)
    finally:
        for handle in handles:
            handle.remove()


@peer_sizes
def test_nnsight(benchmark: Any, n_pairs: int, gpt2_small: Path) -> None:
    """The same means saved through nnsight, one prompt at a time."""
    nnsight = pytest.importorskip("nnsight", reason="pip install nnsight (the extra `peers`)")
    model = nnsight.LanguageModel(str(gpt2_small), device_map="cpu", dispatch=True)

    def run() -> None:
        with torch.inference_mode():
            for pair in PAIRS[n_pairs]:
                for prompt in pair:
                    with model.trace(prompt):
                        for block in model.transformer.h:
                            block.attn.c_proj.input[0].mean(0).save()
                            block.mlp.output[0].mean(0).save()

    timed(benchmark, n_pairs, run)


@pytest.mark.benchmark(group="model ready")
def test_model_ready(benchmark: Any, spec: ModelSpec, gpt2_small: Path) -> None:
    """Loaded, hashed, checked, and freed of the bridge's wrappers."""
    benchmark.pedantic(lambda: load_model(spec, str(gpt2_small), "cpu"), rounds=7, warmup_rounds=1)


@pytest.mark.benchmark(group="model ready")
def test_bridge_boot(benchmark: Any, gpt2_small: Path) -> None:
    """What TransformerLens takes to load the weights, without processing them."""
    from transformer_lens.model_bridge import TransformerBridge

    benchmark.pedantic(
        lambda: TransformerBridge.boot_transformers(str(gpt2_small), device="cpu"),
        rounds=7,
        warmup_rounds=1,
    )


def test_the_benchmarked_ways_agree(spec: ModelSpec, gpt2_small: Path, model: LoadedModel) -> None:
    """The notebook's scores, in compatibility mode, are those that capture and scoring give."""
    from transformer_lens.model_bridge import TransformerBridge

    processed = TransformerBridge.boot_transformers(str(gpt2_small), device="cpu")
    processed.enable_compatibility_mode()
    found = pair_scores(capture(model, FIVE), "centred").mean(axis=0)
    by_layer = {
        str(part): score for part, score in zip(spec.shape.components(), found, strict=True)
    }
    expected = scores_as_a_notebook(processed, FIVE)
    assert len(expected) == 156
    assert by_layer == pytest.approx(expected, abs=1e-4)
