"""Taps: the model's own modules behind the hook points, and how to see what passes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from replication.engine.architectures import Architecture, first_position
from replication.engine.prompts import Means
from replication.experiment.spec import MlpAt
from replication.inputs.files import InputError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from torch.nn import Module
    from transformer_lens.model_bridge import TransformerBridge

# What is shown an activation, after the number of its layer.
See = Callable[[int, "Float[Tensor, '*positions size']"], None]


@dataclass(frozen=True)
class Packing:
    """What a transformer needs to be told of prompts that are put one behind the other.

    `window` is how many positions back a layer with a sliding window looks, the own one counted;
    where `by_type`, masks are given by the layers' types. An additive mask is added to the
    attention's scores, another one says who attends to whom.
    """

    first_position: int
    window: int | None
    by_type: bool
    is_additive: bool


@dataclass(frozen=True)
class Taps:
    """The model's own modules behind the hook points.

    `transformer` is the model without its language-model head, and `with_head` with it; None of an
    encoder. A layer's MLP gives the output of its module in `mlp_out` times `mlp_scale`, its heads
    give the input of its module in `z`. `packing` says how prompts are packed; None where they are
    padded.
    """

    transformer: Module
    with_head: Module | None
    layers: Sequence[Module]
    mlp_out: Sequence[Module]
    z: Sequence[Module]
    n_heads: int
    key_heads: int
    is_causal: bool
    mlp_scale: float
    packing: Packing | None = None

    @property
    def device(self) -> Any:
        """Where the model is."""
        return next(self.transformer.parameters()).device

    @contextmanager
    def hooked(self, see_mlp_out: See, see_z: See) -> Iterator[None]:
        """Show each layer's activations as a forward pass makes them."""
        with ExitStack() as hooks:
            for layer, module in enumerate(self.mlp_out):
                hook = partial(_show_output, see_mlp_out, layer)
                hooks.enter_context(module.register_forward_hook(hook))
            for layer, module in enumerate(self.z):
                hook = partial(_show_input, see_z, layer)
                hooks.enter_context(module.register_forward_pre_hook(hook))
            yield

    def kept(
        self, inputs: dict[str, Any], keep: Callable[[Float[Tensor, "*positions size"]], Tensor]
    ) -> Means:
        """What is kept of each layer's activations in a forward pass on these inputs."""
        import torch

        mlp_out: list[Float[Tensor, "2 prompts d_model"]] = []
        z: list[Float[Tensor, "2 prompts z"]] = []
        with self.hooked(
            lambda _, activation: mlp_out.append(keep(activation)),
            lambda _, activation: z.append(keep(activation)),
        ):
            self.transformer(**inputs)
        return torch.stack(mlp_out, 2).cpu().numpy(), torch.stack(z, 2).cpu().numpy()


def _show_output(see: See, layer: int, _: Module, __: Any, output: Any) -> None:
    see(layer, output[0] if isinstance(output, tuple) else output)


def _show_input(see: See, layer: int, _: Module, inputs: Any) -> None:
    see(layer, inputs[0])


def tabled_taps(model: Any, architecture: Architecture, mlp_at: MlpAt) -> Taps:
    """The modules of a model that a row of the table names."""
    transformer: Any = model.base_model
    config: Any = transformer.config
    mlp = (mlp_at == "residual" and architecture.post_norm) or architecture.mlp
    layers: Any = transformer.get_submodule(architecture.layers)
    return Taps(
        transformer,
        model if architecture.is_causal else None,
        list(layers),
        [layer.get_submodule(mlp) for layer in layers],
        [layer.get_submodule(architecture.z) for layer in layers],
        n_heads=config.num_attention_heads,
        key_heads=getattr(config, architecture.key_heads or "num_attention_heads"),
        is_causal=architecture.is_causal,
        mlp_scale=_multiplier(config, mlp_at),
        packing=Packing(
            first_position(config),
            None if architecture.windows == "none" else getattr(config, "sliding_window", None),
            architecture.windows == "by type",
            config._attn_implementation == "eager",
        ),
    )


def located_taps(bridge: TransformerBridge, mlp_at: MlpAt) -> Taps:
    """The modules behind the hook points of a bridge, freed of its wrappers.

    The bridge itself is spent afterwards.

    Raises:
        InputError: a hook point is missing, or is no module's output or input; or the MLP's own
            output is asked for, which the bridge does not tell from what is added.
    """
    if mlp_at == "module":
        raise InputError(
            'scoring.mlp_at = "module": of this architecture only what is added to the residual'
            " stream is known"
        )
    cfg = bridge.cfg
    names = [hook_points(layer) for layer in range(cfg.n_layers)]
    mlp_out = _modules_behind(bridge, [mlp_out for mlp_out, _ in names], "hook_out")
    z = _modules_behind(bridge, [z for _, z in names], "hook_in")
    model: Any = bridge.original_model
    _unwrap(model)
    transformer: Any = model.base_model
    is_causal = cfg.attention_dir == "causal"
    return Taps(
        transformer,
        model if is_causal else None,
        _layers_around(transformer, mlp_out),
        mlp_out,
        z,
        n_heads=cfg.n_heads,
        key_heads=getattr(cfg, "n_key_value_heads", None) or cfg.n_heads,
        is_causal=is_causal,
        mlp_scale=_multiplier(transformer.config, mlp_at),
    )


def _multiplier(config: Any, mlp_at: MlpAt) -> float:
    """What the MLP's output is multiplied by before it is added to the residual stream."""
    return getattr(config, "residual_multiplier", 1.0) if mlp_at == "residual" else 1.0


def hook_points(layer: int) -> tuple[str, str]:
    """The names of a layer's hook points: the MLP's output, and the heads' z."""
    return f"blocks.{layer}.hook_mlp_out", f"blocks.{layer}.attn.hook_z"


def _modules_behind(bridge: TransformerBridge, names: list[str], side: str) -> list[Any]:
    """The modules of the model's own whose inputs or outputs some hook points see."""
    components = {
        id(hook): component
        for component in bridge.modules()
        for child, hook in component.named_children()
        if child == side
    }
    for name in names:
        if name not in bridge.hook_dict:
            raise InputError(f"TransformerLens has no hook point {name} for this architecture")
        if id(bridge.hook_dict[name]) not in components:
            raise InputError(f"the hook point {name} is not the {side} of a module")
    return [components[id(bridge.hook_dict[name])].original_component for name in names]


def _layers_around(transformer: Module, mlp_out: Sequence[Module]) -> list[Module]:
    """The layers that the MLPs are in, one each.

    Raises:
        InputError: the MLPs are not each in a layer of one list.
    """
    for stack in transformer.modules():
        layers = list(stack.children())
        if len(layers) == len(mlp_out) and all(
            mlp in set(layer.modules()) for layer, mlp in zip(layers, mlp_out, strict=True)
        ):
            return layers
    raise InputError(f"the model has no list of {len(mlp_out)} layers with an MLP in each")


def _unwrap(module: Module) -> None:
    """Put the model's own modules back where the bridge has put its wrappers around them."""
    for name, child in list(module.named_children()):
        own: Any = child
        while getattr(own, "original_component", None) is not None:
            own = own.original_component
        if own is not child:
            setattr(module, name, own)
        _unwrap(own)
