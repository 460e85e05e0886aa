"""Capture beside the model's own forward pass, and beside the ways that it replaces.

Each group is one number of pairs on one device. The bare forward is the transformer alone on the
same tokens, tokenized and packed without padding beforehand, with no hook on it and no
language-model head: what capture cannot be faster than. Every other way takes one prompt at a time,
and is first held against capture: it gives the same means, or the same scores.

The model is GPT-2 small's shape with random weights, but where SmolLM2 is named.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.conftest import FIVE, TOKENS, mixed_pairs
from benchmarks.timing import busy_seconds, seconds_of, synchronize, timed_beside
from replication.engine.capture import capture
from replication.engine.models import Device, LoadedModel, load_model
from replication.engine.packed import pack, packs
from replication.engine.scores.differential import pair_scores
from replication.engine.weights import weights_sha256
from replication.experiment.pairs import Pair
from replication.experiment.spec import ModelSpec
from tests.closeness import assert_close
from tests.notebook import scores_as_a_notebook

SIZES = (5, 100, 1000, 10_000)
ROUNDS_BESIDE = {5: 40, 100: 2}  # of capture beside the bare forward; one of the larger ones
ROUNDS = {5: 10}

OnDevice = Callable[[Device], Any]


def up_to(*, cpu: int, cuda: int) -> pytest.MarkDecorator:
    """Run on both devices, with so many pairs at most."""
    no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    cases = [("cpu", n) for n in SIZES if n <= cpu] + [("cuda", n) for n in SIZES if n <= cuda]
    return pytest.mark.parametrize(
        ("device", "n_pairs"),
        [
            pytest.param(
                device,
                n_pairs,
                marks=[
                    pytest.mark.benchmark(group=f"capture, {n_pairs} pairs, {device}"),
                    *([no_gpu] if device == "cuda" else []),
                ],
            )
            for device, n_pairs in cases
        ],
    )


@functools.cache
def pairs_of(n_pairs: int) -> list[Pair]:
    """The published pairs, or as many of mixed length."""
    return FIVE if n_pairs == len(FIVE) else mixed_pairs(n_pairs)


@pytest.fixture(scope="module")
def model_on(spec: ModelSpec, gpt2_small: Path) -> OnDevice:
    """The model as capture runs it."""
    return functools.cache(lambda device: load_model(spec, str(gpt2_small), device, tokens=TOKENS))


@pytest.fixture(scope="module")
def smollm2_on(smollm2: ModelSpec) -> OnDevice:
    """SmolLM2-135M as capture runs it; the first load of all converts it, later ones read that."""
    return functools.cache(lambda device: load_model(smollm2, device=device, tokens=TOKENS))


@pytest.fixture(scope="module")
def bare_on(gpt2_small: Path) -> OnDevice:
    """The transformer as Hugging Face loads it."""
    from transformers import AutoModel

    return functools.cache(
        lambda device: AutoModel.from_pretrained(gpt2_small, use_cache=False).eval().to(device)
    )


@pytest.fixture(scope="module")
def notebook_on(gpt2_small: Path) -> OnDevice:
    """The bridge with its full hook machinery, its weights processed as the notebook had them."""
    from transformer_lens.model_bridge import TransformerBridge

    def load(device: Device) -> Any:
        bridge = TransformerBridge.boot_transformers(str(gpt2_small), device=device)
        bridge.enable_compatibility_mode()
        return bridge

    return functools.cache(load)


def tokenized(model: LoadedModel, pairs: Sequence[Pair]) -> list[torch.Tensor]:
    """Each prompt's tokens, a batch of one."""
    return [
        torch.tensor([model.tokenizer.read(prompt).ids], device=model.taps.device)
        for pair in pairs
        for prompt in pair
    ]


def without_gradients(device: Device, work: Callable[[], object]) -> Callable[[], None]:
    """The work as a way is timed: to its end, in inference mode."""

    def run() -> None:
        with torch.inference_mode():
            work()
        synchronize(device)

    return run


@up_to(cpu=1000, cuda=10_000)
def test_capture(
    benchmark: Any, device: Device, n_pairs: int, model_on: OnDevice, bare_on: OnDevice
) -> None:
    """This project's capture, and before each round the bare forward."""
    time_capture(benchmark, device, model_on(device), bare_on(device), n_pairs)


@up_to(cpu=100, cuda=1000)
def test_capture_smollm2(
    benchmark: Any, device: Device, n_pairs: int, smollm2_on: OnDevice
) -> None:
    """The same on SmolLM2-135M; the bare forward is that of the transformer just loaded."""
    model = smollm2_on(device)
    time_capture(benchmark, device, model, model.taps.transformer, n_pairs)


def time_capture(
    benchmark: Any, device: Device, model: LoadedModel, bare: Any, n_pairs: int
) -> None:
    """Time capture, and before each round the bare forward on the same packs."""
    pairs = pairs_of(n_pairs)
    prompts = [tokens[0] for tokens in tokenized(model, pairs)]
    packed = [
        pack([prompts[index] for index in group], model.taps).inputs
        for group in packs([len(prompt) for prompt in prompts])
    ]
    means = timed_beside(
        benchmark,
        lambda: capture(model, pairs),
        "bare forward",
        without_gradients(device, lambda: [bare(**inputs) for inputs in packed]),
        rounds=ROUNDS_BESIDE.get(n_pairs, 1),
    )
    tokenizing = min(seconds_of(lambda: tokenized(model, pairs)) for _ in range(3))
    benchmark.extra_info["tokenizing, seconds"] = tokenizing
    benchmark.extra_info["tokens"] = int(means.token_lengths.sum())


@up_to(cpu=5, cuda=1000)
def test_busy(benchmark: Any, device: Device, n_pairs: int, model_on: OnDevice) -> None:
    """Capture under torch's profiler."""
    model, pairs = model_on(device), pairs_of(n_pairs)
    capture(model, FIVE)
    benchmark.extra_info["busy, seconds"] = busy_seconds(
        device, lambda: benchmark.pedantic(lambda: capture(model, pairs))
    )


@up_to(cpu=1000, cuda=1000)
def test_notebook(
    benchmark: Any, device: Device, n_pairs: int, model_on: OnDevice, notebook_on: OnDevice
) -> None:
    """A full cache per prompt through the bridge, and Python loops; it scores as well."""
    bridge, pairs = notebook_on(device), pairs_of(n_pairs)
    expected = pair_scores(capture(model_on(device), FIVE), "centred").mean(axis=0)
    with torch.inference_mode():
        found = scores_as_a_notebook(bridge, FIVE)
        components = map(str, model_on(device).shape.components())
        assert_close(found, dict(zip(components, expected.tolist(), strict=True)))
        benchmark.pedantic(
            lambda: scores_as_a_notebook(bridge, pairs), rounds=ROUNDS.get(n_pairs, 1)
        )


@up_to(cpu=5, cuda=5)
def test_notebook_forwards(
    benchmark: Any, device: Device, n_pairs: int, notebook_on: OnDevice
) -> None:
    """The notebook's forward passes alone, without its cache and its loops."""
    bridge, prompts = notebook_on(device), [prompt for pair in pairs_of(n_pairs) for prompt in pair]
    run = without_gradients(device, lambda: [bridge(prompt) for prompt in prompts])
    benchmark.pedantic(run, rounds=ROUNDS.get(n_pairs, 1), warmup_rounds=1)


def hold_against_capture(means: Sequence[torch.Tensor], model: LoadedModel) -> None:
    """The five pairs' means, by prompt and layer, z before the MLP's output, are capture's."""
    captured, shape = capture(model, FIVE), model.shape
    found = torch.stack(list(means)).cpu().numpy()
    found = found.reshape(len(FIVE), 2, shape.n_layers, 2, shape.d_model)
    z = captured.z.reshape(len(FIVE), 2, shape.n_layers, shape.d_model)
    for layer in range(shape.n_layers):
        assert_close(found[:, :, layer, 0], z[:, :, layer])
        assert_close(found[:, :, layer, 1], captured.mlp_out[:, :, layer])


@up_to(cpu=100, cuda=100)
def test_hugging_face_hooks(
    benchmark: Any, device: Device, n_pairs: int, model_on: OnDevice, bare_on: OnDevice
) -> None:
    """Plain forward hooks on Hugging Face's modules, as people write them."""
    model, bare = model_on(device), bare_on(device)
    means: list[torch.Tensor] = []
    handles = []
    for block in bare.h:
        keep_input = lambda _, inputs: means.append(inputs[0][0].mean(0))  # noqa: E731
        keep_output = lambda _, __, output: means.append(output[0].mean(0))  # noqa: E731
        handles.append(block.attn.c_proj.register_forward_pre_hook(keep_input))
        handles.append(block.mlp.register_forward_hook(keep_output))

    def run(prompts: Sequence[torch.Tensor]) -> None:
        means.clear()
        for tokens in prompts:
            bare(input_ids=tokens)

    try:
        without_gradients(device, lambda: run(tokenized(model, FIVE)))()
        hold_against_capture(means, model)
        prompts = tokenized(model, pairs_of(n_pairs))
        work = without_gradients(device, lambda: run(prompts))
        benchmark.pedantic(work, rounds=ROUNDS.get(n_pairs, 1))
    finally:
        for handle in handles:
            handle.remove()


@up_to(cpu=100, cuda=100)
def test_nnsight(
    benchmark: Any, device: Device, n_pairs: int, model_on: OnDevice, gpt2_small: Path
) -> None:
    """The same means saved through nnsight."""
    nnsight = pytest.importorskip("nnsight", reason="nnsight is not installed")
    model = model_on(device)
    traced = nnsight.TransformersModel(
        str(gpt2_small), task="text-generation", device_map=device, dispatch=True
    )
    means: list[torch.Tensor] = []

    def run(prompts: Sequence[torch.Tensor]) -> None:
        means.clear()
        for tokens in prompts:
            with traced.trace(tokens):
                kept = nnsight.save([])
                for block in traced.transformer.h:
                    kept.append(block.attn.c_proj.input[0].mean(0))
                    kept.append(block.mlp.output[0].mean(0))
            means.extend(kept)

    without_gradients(device, lambda: run(tokenized(model, FIVE)))()
    hold_against_capture(means, model)
    prompts = tokenized(model, pairs_of(n_pairs))
    work = without_gradients(device, lambda: run(prompts))
    benchmark.pedantic(work, rounds=ROUNDS.get(n_pairs, 1))


@pytest.mark.benchmark(group="model ready")
def test_model_ready(benchmark: Any, spec: ModelSpec, gpt2_small: Path) -> None:
    """Loaded by transformers, hashed, and shown by two runs to give what it gives by itself.

    Before each round, what TransformerLens, which has no part in it, takes to load the weights
    without processing them. Transformers by itself maps the files, and reads them in the first run.
    """
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoModel, AutoTokenizer

    def load_and_run() -> None:
        tokens = AutoTokenizer.from_pretrained(str(gpt2_small))("the", return_tensors="pt")
        with torch.inference_mode():
            AutoModel.from_pretrained(str(gpt2_small))(**tokens)

    timed_beside(
        benchmark,
        lambda: load_model(spec, str(gpt2_small), "cpu", tokens=TOKENS),
        "bridge boot",
        lambda: TransformerBridge.boot_transformers(str(gpt2_small), device="cpu"),
        rounds=15,
    )
    hashing = min(seconds_of(lambda: weights_sha256(gpt2_small)) for _ in range(3))
    benchmark.extra_info["hashing, seconds"] = hashing
    by_transformers = min(seconds_of(load_and_run) for _ in range(3))
    benchmark.extra_info["loaded and run once by transformers, seconds"] = by_transformers
