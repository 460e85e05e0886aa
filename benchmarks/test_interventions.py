"""Interventions beside the model's own forward pass, and beside the ways that people write them.

The bare forward is the model with its head on the same packed tokens, with no hook on it, which
gives the logits of each prompt's last position: what one run of a circuit cannot be faster than.
Every other way takes one prompt and one component at a time, and is first held against this
project's: it gives the same effects, to a share of the largest behaviour.

The models are GPT-2 small's shape with random weights, and SmolLM2-135M.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from jaxtyping import Float

from benchmarks.conftest import TOKENS
from benchmarks.timing import seconds_of, timed_beside
from replication.circuits.components import INPUT, Component
from replication.engine.answers import AskedPair
from replication.engine.attribution import attributions
from replication.engine.gguf import of_converted
from replication.engine.interventions import Masks, Runner, Settings, answers_under, preferred
from replication.engine.locate import locate
from replication.engine.models import LoadedModel, load_model
from replication.engine.together import last_logits, together
from replication.engine.weights import weights_sha256
from replication.experiment.spec import ModelSpec
from tests.engine.asked import random_pairs
from tests.gpt2 import make_gpt2
from tests.patching import patched
from tests.paths import ROOT

if TYPE_CHECKING:
    from torch import Tensor

EIGHT = random_pairs(range(12, 20))
FOUR = EIGHT[:4]
STATED = Settings("interchange", "all", "logit_difference")
SAME_EFFECT = 1e-4

MODELS = pytest.mark.parametrize("name", ["gpt2", "smollm2"])

# Runs so many sets on so many pairs, and measures from when the model is loaded.
MEASURED = """
import ctypes, gc, sys
from pathlib import Path
import numpy as np
from replication.engine.interventions import Settings, answers_under
from tests.engine.asked import ALL, random_pairs, taps_of

def kib(key):
    return int(Path("/proc/self/status").read_text().split(f"{key}:")[1].split()[0])

folder, n_sets, n_pairs = Path(sys.argv[1]), *map(int, sys.argv[2:])
taps, settings = taps_of(folder), Settings("interchange", "all", "logit_difference")
pairs = random_pairs([20 + number % 20 for number in range(n_pairs)])
masks = np.random.default_rng(0).random((n_sets, ALL)) < 0.5
answers_under(taps, pairs[:2], masks[:1], settings)
gc.collect()
ctypes.CDLL(None).malloc_trim(0)
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
loaded = kib("VmRSS")
answers_under(taps, pairs, masks, settings)
print(loaded, kib("VmHWM"))
"""


class Ready(NamedTuple):
    """A model as interventions run it, and the folder that libraries load it from."""

    model: LoadedModel
    use_folder: Callable[[Callable[[Path], Any]], Any]

    @property
    def components(self) -> list[Component]:
        """The input, and all components, in the order of a mask."""
        return [INPUT, *self.model.shape.components()]

    def bare(self, pairs: Sequence[AskedPair]) -> Callable[[], Tensor]:
        """The bare forward on the pairs' first prompts."""
        prompts = together(self.model.taps, [pair.first.prompt for pair in pairs])
        return torch.inference_mode()(lambda: last_logits(self.model.taps, prompts))

    def masks(self) -> Masks:
        """Each component by itself."""
        return np.eye(len(self.components), dtype=bool)

    def effects(
        self, pairs: Sequence[AskedPair], masks: Masks
    ) -> Float[np.ndarray, "components pairs"]:
        """The exact effects of these sets."""
        whole = preferred(self.model.taps, [pair.first for pair in pairs], STATED.unit)
        return whole - answers_under(self.model.taps, pairs, masks, STATED)


@pytest.fixture(scope="module")
def ready(gpt2_small: Path, spec: ModelSpec, smollm2: ModelSpec) -> Callable[[str], Ready]:
    """The models by their names, each loaded once."""
    loaded: dict[str, Ready] = {}

    def load(name: str) -> Ready:
        if name == "gpt2":
            model = load_model(spec, str(gpt2_small), "cpu", tokens=TOKENS)
            return Ready(model, lambda use: use(gpt2_small))
        place = locate(smollm2)
        model = load_model(smollm2, device="cpu", tokens=TOKENS)
        return Ready(model, lambda use: of_converted(place, weights_sha256(place), use))

    def of(name: str) -> Ready:
        if name not in loaded:
            loaded[name] = load(name)
        return loaded[name]

    return of


def assert_same_effects(
    ready: Ready,
    pairs: Sequence[AskedPair],
    found: Float[np.ndarray, "components pairs"],
    masks: Masks,
) -> None:
    """Effects found in another way are this project's, to a share of the largest behaviour."""
    whole = preferred(ready.model.taps, [pair.first for pair in pairs], STATED.unit)
    ours = ready.effects(pairs, masks)
    assert np.abs(ours).max() > 100 * SAME_EFFECT * np.abs(whole).max()
    assert np.abs(found - ours).max() <= SAME_EFFECT * np.abs(whole).max()


@pytest.mark.benchmark(group="interventions")
@MODELS
def test_circuit(benchmark: Any, name: str, ready: Callable[[str], Ready]) -> None:
    """One circuit's run, from the embedding on, and before each round the bare forward."""
    own = ready(name)
    mask = np.random.default_rng(0).random(len(own.components)) < 0.5
    mask[0] = True
    first, counterparts = zip(*((pair.first, pair.counterpart) for pair in EIGHT), strict=True)
    with torch.inference_mode():
        nothing = np.zeros_like(mask)
        runner = Runner(own.model.taps, first, counterparts, STATED, nothing)
    run = torch.inference_mode()(lambda: runner.run(mask))
    timed_beside(benchmark, run, "bare forward", own.bare(EIGHT), rounds=15)


@pytest.mark.benchmark(group="interventions")
@MODELS
def test_effects(benchmark: Any, name: str, ready: Callable[[str], Ready]) -> None:
    """The exact effects of all components, and after each component's run a bare forward.

    Both take minutes: side by side, what disturbs one disturbs both.
    """
    own = ready(name)
    bare = own.bare(EIGHT)
    beside: list[float] = []

    def run() -> None:
        answers_under(
            own.model.taps,
            EIGHT,
            own.masks(),
            STATED,
            advance=lambda _: beside.append(seconds_of(bare)),
        )

    seconds = seconds_of(lambda: benchmark.pedantic(run, rounds=1))
    assert len(beside) == len(own.components)
    benchmark.extra_info["bare forwards, seconds"] = sum(beside)
    benchmark.extra_info["effects, seconds"] = seconds - sum(beside)


@pytest.mark.benchmark(group="interventions")
@MODELS
def test_attribution(benchmark: Any, name: str, ready: Callable[[str], Ready]) -> None:
    """All components' attributions with the gradient at the prompt, beside one bare forward."""
    own = ready(name)
    timed_beside(
        benchmark,
        lambda: attributions(own.model.taps, EIGHT, STATED),
        "bare forward",
        own.bare(EIGHT),
        rounds=10,
    )


def timed_beside_ours(
    benchmark: Any,
    own: Ready,
    way: Callable[[], Float[np.ndarray, "components pairs"]],
    masks: Masks,
) -> None:
    """Time another way to the effects of these sets, held against this project's."""
    found = benchmark.pedantic(way, rounds=1)
    assert_same_effects(own, FOUR, found, masks)
    benchmark.extra_info["ours, seconds"] = seconds_of(lambda: own.effects(FOUR, masks))


@pytest.mark.benchmark(group="interventions")
@MODELS
def test_patching(benchmark: Any, name: str, ready: Callable[[str], Ready]) -> None:
    """TransformerLens' own patching, on raw weights: of all components, or every third one."""
    from transformer_lens.model_bridge import TransformerBridge

    every = {"gpt2": 1, "smollm2": 3}[name]
    own = ready(name)
    bridge = own.use_folder(
        lambda folder: TransformerBridge.boot_transformers(str(folder), device="cpu")
    )

    def effects() -> Float[np.ndarray, "components pairs"]:
        whole, answers = patched(bridge, FOUR, own.components[::every], "interchange")
        return whole - answers

    timed_beside_ours(benchmark, own, effects, own.masks()[::every])


def preference(logits: Float[Tensor, " vocabulary"], pair: AskedPair) -> float:
    """By how much a pair's right answers are preferred."""
    right, wrong = (logits[list(one)].mean() for one in (pair.first.right, pair.first.wrong))
    return (right - wrong).item()


@pytest.mark.benchmark(group="interventions")
def test_nnsight_patching(benchmark: Any, ready: Callable[[str], Ready]) -> None:
    """The same through nnsight: one trace for each component and prompt."""
    nnsight = pytest.importorskip("nnsight", reason="nnsight is not installed")
    own = ready("gpt2")
    traced = own.use_folder(
        lambda folder: nnsight.TransformersModel(
            str(folder), task="text-generation", device_map="cpu", dispatch=True
        )
    )

    def source_of(tokens: Tensor) -> Any:
        with traced.trace(tokens):
            kept = nnsight.save([traced.transformer.wte.output])
            for block in traced.transformer.h:
                kept.append(block.attn.c_proj.input)
                kept.append(block.mlp.output)
        return kept

    def effect(tokens: Tensor, source: Any, component: Component) -> Tensor:
        with traced.trace(tokens):
            if component.kind == "input":
                traced.transformer.wte.output = source[0]
            elif component.kind == "mlp":
                traced.transformer.h[component.layer].mlp.output = source[2 + 2 * component.layer]
            else:
                size = own.model.shape.d_head
                place = slice(component.head * size, (component.head + 1) * size)
                module = traced.transformer.h[component.layer].attn.c_proj
                z = module.input.clone()
                z[..., place] = source[1 + 2 * component.layer][..., place]
                module.input = z
            logits = nnsight.save(traced.lm_head.output[0, -1])
        return logits  # noqa: RET504

    def bare(tokens: Tensor) -> Tensor:
        with traced.trace(tokens):
            logits = nnsight.save(traced.lm_head.output[0, -1])
        return logits  # noqa: RET504

    @torch.inference_mode()
    def effects() -> Float[np.ndarray, "components pairs"]:
        found = []
        for pair in FOUR:
            tokens = pair.first.prompt.tokens[None]
            source = source_of(pair.counterpart.prompt.tokens[None])
            whole = preference(bare(tokens), pair)
            found.append(
                [
                    whole - preference(effect(tokens, source, component), pair)
                    for component in own.components
                ]
            )
        return np.array(found).T

    timed_beside_ours(benchmark, own, effects, own.masks())


@pytest.mark.benchmark(group="interventions")
def test_pyvene_patching(benchmark: Any, ready: Callable[[str], Ready]) -> None:
    """The same through pyvene: an intervenable model for each component; it has none of inputs."""
    pyvene = pytest.importorskip("pyvene", reason="pyvene is not installed")
    from transformers import AutoModelForCausalLM

    own = ready("gpt2")
    whole_model = own.use_folder(lambda folder: AutoModelForCausalLM.from_pretrained(folder).eval())

    def changing(component: Component) -> Any:
        kind = "mlp_output" if component.kind == "mlp" else "head_attention_value_output"
        unit = "pos" if component.kind == "mlp" else "h"
        one = pyvene.RepresentationConfig(component.layer, kind, unit, max_number_of_units=1)
        config = pyvene.IntervenableConfig([one], intervention_types=pyvene.VanillaIntervention)
        return pyvene.IntervenableModel(config, whole_model)

    def places(component: Component, length: int) -> Any:
        return [[list(range(length)) if component.kind == "mlp" else [component.head]]]

    def effect(intervenable: Any, component: Component, pair: AskedPair) -> float:
        base, source = (
            {"input_ids": one.prompt.tokens[None]} for one in (pair.first, pair.counterpart)
        )
        where = places(component, pair.first.prompt.length)
        before, after = intervenable(
            base,
            [source],
            {"sources->base": (where, where)},
            output_original_output=True,
        )
        return preference(before.logits[0, -1], pair) - preference(after.logits[0, -1], pair)

    @torch.inference_mode()
    def effects() -> Float[np.ndarray, "components pairs"]:
        found = []
        for component in own.components[1:]:
            intervenable = changing(component)
            found.append([effect(intervenable, component, pair) for pair in FOUR])
        return np.array(found)

    timed_beside_ours(benchmark, own, effects, own.masks()[1:])


@pytest.mark.benchmark(group="memory")
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize(("n_sets", "n_pairs"), [(5, 50), (50, 50), (5, 500)])
def test_memory_of_interventions(benchmark: Any, tmp_path: Path, n_sets: int, n_pairs: int) -> None:
    """What runs of many sets, or on many pairs, need, on a model small enough not to hide it."""
    model = make_gpt2(tmp_path / "model", n_embd=256)
    arguments = map(str, ["-c", MEASURED, model, n_sets, n_pairs])
    # Whatever the allocator would keep for later is given back at once.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}

    def run() -> None:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        loaded, peak = map(int, done.stdout.split())
        benchmark.extra_info |= {"loaded, KiB": loaded, "growth, KiB": peak - loaded}

    benchmark.pedantic(run, rounds=1)
