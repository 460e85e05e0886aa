"""Attribution: what the gradient says of every component's effect, in a few forward passes.

The effect of putting another value in a component's place is, to first order, the behaviour's
gradient at its activation times the difference (attribution patching: Nanda 2023; Syed, Rager and
Conmy 2023). Integrated over steps, the gradient is the mean over inputs on the way from the value
to the prompt's own embedding (Hanna, Pezzelle and Belinkov 2024; Sundararajan, Taly and Yan 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from replication.engine.answers import Asked, AskedPair, preferences
from replication.engine.interventions import (
    Activations,
    Settings,
    activations_of,
    check_seen,
    values_of,
)
from replication.engine.taps import Taps
from replication.engine.together import Together, last_logits, together
from replication.engine.ways import grouped
from replication.experiment.behaviours import Unit
from replication.inputs.files import InputError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from torch.nn import Module

STEPS = 5  # on the way from the value to the prompt's own embedding: what its authors take


def attributions(
    taps: Taps,
    pairs: Sequence[AskedPair],
    settings: Settings,
    steps: int = 1,
    advance: Callable[[int], None] = lambda _: None,
) -> Float32[np.ndarray, "all pairs"]:
    """What the gradient says of each effect in the first prompt's run: positive where it serves.

    With one step the gradient is taken at the prompt itself.

    Raises:
        InputError: what comes out is not finite.
    """
    n_components = 1 + len(taps.layers) * (1 + taps.n_heads)
    found = np.empty((n_components, len(pairs)), dtype=np.float32)
    for group in grouped(taps, [pair.first.prompt for pair in pairs]):
        products, base = _products(taps, [pairs[one] for one in group], settings, steps)
        found[:, group] = _by_component(products, base, taps.n_heads).cpu().numpy()
        advance(len(group))
    if not np.isfinite(found).all():
        raise InputError("the behaviour's gradients are not finite")
    return found


def _products(
    taps: Taps, pairs: Sequence[AskedPair], settings: Settings, steps: int
) -> tuple[Activations, Together]:
    """Gradient times difference at every position of the pairs' first prompts."""
    import torch

    asked = [pair.first for pair in pairs]
    base = together(taps, [one.prompt for one in asked])
    source = together(taps, [pair.counterpart.prompt for pair in pairs])
    where = (base.is_text if settings.positions == "text" else base.is_real)[..., None]

    def gradients(embedding: Tensor | None = None) -> tuple[Activations, Activations]:
        return _gradients(taps, base, asked, settings.unit, embedding)

    def apart(own: Activations) -> Activations:
        with torch.no_grad():
            values = values_of(taps, own, base, source, settings)
        if settings.value == "shift":  # what is added to what is there
            return values.map(lambda one: -one * where)
        return own.with_each(values, lambda one, other: (one - other) * where)

    if steps == 1:
        own, found = gradients()
        return found.with_each(apart(own), torch.mul), base
    with torch.no_grad():
        own = activations_of(taps, base)
    away = apart(own)
    total = away.map(torch.zeros_like)
    for step in range(steps):
        left = 1 - (step + 0.5) / steps
        _, found = gradients(own.embedding - left * away.embedding)
        total = total.with_each(found, torch.add)
    return total.with_each(away, lambda one, other: one * other / steps), base


def _gradients(
    taps: Taps,
    prompts: Together,
    asked: Sequence[Asked],
    unit: Unit,
    embedding: Float[Tensor, "rows positions d_model"] | None,
) -> tuple[Activations, Activations]:
    """The activations from an embedding on, and the gradient of the preferences' sum at each.

    By default the embedding is the prompts' own.
    """
    import torch

    embeddings: Any = taps.transformer.get_input_embeddings()  # type: ignore[operator]
    seen = Activations(torch.empty(0))
    embedded: list[Tensor] = []

    def put_in(_: Module, __: Any, output: Tensor) -> Tensor:
        given = output if embedding is None else embedding.reshape(output.shape).to(output.dtype)
        seen.embedding = given.detach().clone().requires_grad_()
        embedded.append(seen.embedding)
        return seen.embedding

    with ExitStack() as stack:
        for parameter in taps.transformer.parameters():
            stack.callback(parameter.requires_grad_, parameter.requires_grad)
            parameter.requires_grad_(False)
        stack.enter_context(embeddings.register_forward_hook(put_in))
        stack.enter_context(
            taps.hooked(
                lambda _, activation: seen.mlp_out.append(activation),
                lambda _, activation: seen.z.append(activation),
            )
        )
        with torch.enable_grad():
            total = preferences(last_logits(taps, prompts), asked, unit).sum()
        check_seen(taps, embedded, seen.mlp_out, seen.z)
        first, *others = torch.autograd.grad(total, seen.all())
    n_layers = len(taps.layers)
    gradients = Activations(first, others[:n_layers], others[n_layers:])

    def in_rows(one: Tensor) -> Tensor:
        return one.detach().reshape(*prompts.prompt_of.shape, -1).float()

    return seen.map(in_rows), gradients.map(in_rows)


def _by_component(
    products: Activations, prompts: Together, n_heads: int
) -> Float[Tensor, "all prompts"]:
    """The products' sums over each prompt's positions and each component's own dimensions."""
    import torch

    shape = prompts.prompt_of.shape
    rows = [
        products.embedding.sum(-1)[..., None],
        *(one.sum(-1)[..., None] for one in products.mlp_out),
    ]
    rows += [one.reshape(*shape, n_heads, -1).sum(-1) for one in products.z]
    by_position = torch.cat(rows, -1)[prompts.is_real]
    sums = torch.zeros(len(prompts.last), by_position.shape[-1], device=by_position.device)
    return sums.index_add_(0, prompts.prompt_of[prompts.is_real], by_position).T
