"""Models and experiments that several test files use; tests leave them as they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from replication.experiment import Pair
from tests.gpt2 import make_experiment, make_gpt2

os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small GPT-2 with random weights."""
    return make_gpt2(tmp_path_factory.mktemp("models") / "gpt2")


@pytest.fixture(scope="session")
def gpt2_experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment on that model, alone in its own folder of experiments."""
    return make_experiment(tmp_path_factory.mktemp("experiments") / "random-gpt2")


@pytest.fixture(scope="session")
def notebook_scores() -> Callable[[Any, Sequence[Pair]], dict[str, float]]:
    """The scores as a notebook computes them: whole caches, one prompt at a time, plain loops."""

    def scores(bridge: Any, pairs: Sequence[Pair]) -> dict[str, float]:
        norms: dict[str, list[float]] = {}
        for pair in pairs:
            first, second = (_cached_means(bridge, prompt) for prompt in pair)
            for name in first:
                norms.setdefault(name, []).append((first[name] - second[name]).norm().item())
        return {name: sum(values) / len(values) for name, values in norms.items()}

    return scores


def _cached_means(bridge: Any, prompt: str) -> dict[str, Any]:
    _, cache = bridge.run_with_cache(prompt)
    means = {}
    for layer in range(bridge.cfg.n_layers):
        means[f"m{layer}"] = cache[f"blocks.{layer}.hook_mlp_out"][0].mean(dim=0)
        for head in range(bridge.cfg.n_heads):
            z = cache[f"blocks.{layer}.attn.hook_z"][0, :, head]
            means[f"a{layer}.h{head}"] = z.mean(dim=0)
    return means
