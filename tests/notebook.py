"""The notebook's way of scoring, which the published result used and this project replaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replication.experiment.pairs import Pair


def scores_as_a_notebook(bridge: Any, pairs: Sequence[Pair]) -> dict[str, float]:
    """Whole caches, one prompt at a time, plain loops."""
    norms: dict[str, list[float]] = {}
    for pair in pairs:
        first, second = (_cached_means(bridge, prompt) for prompt in pair)
        for name in first:
            norms.setdefault(name, []).append((first[name] - second[name]).norm().item())
    return {name: sum(values) / len(values) for name, values in norms.items()}


def _cached_means(bridge: Any, prompt: str) -> dict[str, Any]:
    _, cache = bridge.run_with_cache(prompt)
    means = {}
    for layer in range(bridge.cfg.n_layers):
        means[f"m{layer}"] = cache[f"blocks.{layer}.hook_mlp_out"][0].mean(dim=0)
        for head in range(bridge.cfg.n_heads):
            z = cache[f"blocks.{layer}.attn.hook_z"][0, :, head]
            means[f"a{layer}.h{head}"] = z.mean(dim=0)
    return means
