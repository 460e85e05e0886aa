"""Activation patching as people write it with TransformerLens: hooks, one component at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float64

from replication.circuits.components import Component
from replication.engine.answers import Asked, AskedPair
from replication.experiment.behaviours import Positions, Value

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

Cache = Mapping[str, "Float[Tensor, '1 positions *size']"]


def hook_name(component: Component) -> str:
    """The hook point of a component."""
    match component.kind:
        case "input":
            return "hook_embed"
        case "mlp":
            return f"blocks.{component.layer}.hook_mlp_out"
        case "head":
            return f"blocks.{component.layer}.attn.hook_z"


def patched(
    bridge: Any,
    pairs: Sequence[AskedPair],
    components: Sequence[Component],
    value: Value,
    positions: Positions = "all",
    *,
    by_position: bool = False,
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, "components pairs"]]:
    """How much the right answers are preferred: nothing changed, and each component by itself.

    What is put in a component's place is taken from full caches of the prompts; a mean is that of
    the counterparts' means over positions, or at each position.
    """
    whole, found = [], []
    with torch.inference_mode():
        caches = [_cache(bridge, pair.counterpart) for pair in pairs]
        chosen = [_chosen(pair.counterpart, positions) for pair in pairs]
        for pair, cache in zip(pairs, caches, strict=True):
            tokens = pair.first.prompt.tokens[None]
            own = _cache(bridge, pair.first) if value == "shift" else {}
            whole.append(_preference(bridge(tokens), pair.first))
            of_pair = []
            for component in components:
                name = hook_name(component)
                if value == "mean":
                    change = _to_mean([one[name] for one in caches], chosen, by_position)
                else:
                    change = _change(name, value, own, cache)
                hook = _hook(component, change, _chosen(pair.first, positions))
                logits = bridge.run_with_hooks(tokens, fwd_hooks=[(name, hook)])
                of_pair.append(_preference(logits, pair.first))
            found.append(of_pair)
    return np.array(whole), np.array(found).T


def _cache(bridge: Any, asked: Asked) -> Cache:
    _, cache = bridge.run_with_cache(asked.prompt.tokens[None])
    found: Cache = cache
    return found


def _chosen(asked: Asked, positions: Positions) -> slice:
    inner = asked.prompt.inner
    return slice(inner.start, inner.stop) if positions == "text" else slice(None)


def _to_mean(
    activations: Sequence[Tensor], chosen: Sequence[slice], by_position: bool
) -> Callable[[Tensor], Tensor]:
    if not by_position:
        activations = [
            one[:, where].mean(1, keepdim=True)
            for one, where in zip(activations, chosen, strict=True)
        ]
    mean = torch.stack(list(activations)).mean(0)
    return lambda activation: mean.expand_as(activation)


def _change(name: str, value: Value, own: Cache, counterpart: Cache) -> Callable[[Tensor], Tensor]:
    """What an activation of the prompt's own is changed to."""
    if value == "zero":
        return torch.zeros_like
    if value == "interchange":
        return lambda _: counterpart[name]
    moved = counterpart[name].mean(1) - own[name].mean(1)
    return lambda activation: activation + moved[:, None]


def _hook(component: Component, change: Callable[[Tensor], Tensor], where: slice) -> Any:
    place = (slice(None), where)
    if component.kind == "head":
        place += (component.head,)

    def hook(activation: Tensor, hook: Any) -> Tensor:  # noqa: ARG001
        new = activation.clone()
        new[place] = change(activation)[place]
        return new

    return hook


def _preference(logits: Float[Tensor, "1 positions vocabulary"], asked: Asked) -> float:
    last = logits[0, -1]
    return (last[list(asked.right)].mean() - last[list(asked.wrong)].mean()).item()
