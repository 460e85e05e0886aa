"""Taps: the model's own modules behind TransformerLens' hook points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replication.inputs.files import InputError

if TYPE_CHECKING:
    from torch.nn import Module
    from transformer_lens.model_bridge import TransformerBridge

# Architectures whose own modules are shown, by tests, to give what the bridge's hook points give.
PACKABLE = {"GPT2LMHeadModel", "BertForMaskedLM"}


@dataclass(frozen=True)
class Taps:
    """The modules that the bridge was built around, freed of its hook machinery.

    `transformer` is the model without its language-model head; each MLP's output is that of its
    module in `mlp_out`, each layer's z is the input of its module in `z`.
    """

    transformer: Module
    mlp_out: list[Module]
    z: list[Module]
    is_causal: bool


def hook_points(layer: int) -> tuple[str, str]:
    """The names of a layer's hook points: the MLP's output, and the heads' z."""
    return f"blocks.{layer}.hook_mlp_out", f"blocks.{layer}.attn.hook_z"


def find_taps(bridge: TransformerBridge) -> Taps:
    """Free the bridge's underlying modules of its wrappers, and find those behind its hook points.

    The bridge itself is spent afterwards, but for its configuration and its tokenizer.
    """
    names = [hook_points(layer) for layer in range(bridge.cfg.n_layers)]
    mlp_out = _modules_behind(bridge, [mlp_out for mlp_out, _ in names], "hook_out")
    z = _modules_behind(bridge, [z for _, z in names], "hook_in")
    transformer = bridge.original_model.base_model
    _unwrap(transformer)
    bridge.original_model.set_attn_implementation("sdpa")
    transformer.config.output_attentions = False
    transformer.config.use_cache = False
    return Taps(transformer, mlp_out, z, bridge.cfg.attention_dir == "causal")


def _modules_behind(bridge: TransformerBridge, names: list[str], side: str) -> list[Any]:
    """The modules of the model's own whose inputs or outputs some hook points see."""
    components = {
        id(hook): component
        for component in bridge.modules()
        for child, hook in component.named_children()
        if child == side
    }
    for name in names:
        if id(bridge.hook_dict[name]) not in components:
            raise InputError(f"the hook point {name} is not the {side} of a component")
    return [components[id(bridge.hook_dict[name])].original_component for name in names]


def _unwrap(module: Module) -> None:
    """Put the model's own modules back where the bridge has put its wrappers around them."""
    for name, child in list(module.named_children()):
        own: Any = child
        while getattr(own, "original_component", None) is not None:
            own = own.original_component
        if own is not child:
            setattr(module, name, own)
        _unwrap(own)
