"""Interventions: other values in components' places, and what the model then answers.

A set of components is a mask: the input, then the components in the order of
`ModelShape.components`. Prompts run as they do in capture; what lies below the lowest layer that is
changed is not computed again, its output is put in from the run before; nor is what both prompts of
a pair begin with, where their activations are interchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float32

from replication.circuits.matched import Mask
from replication.engine.answers import Asked, AskedPair, preferences
from replication.engine.prefixes import behind_prefixes
from replication.engine.prompts import Prompt
from replication.engine.taps import Taps
from replication.engine.tensor_files import Tensors
from replication.engine.together import Together, last_logits, means_over, together
from replication.engine.ways import grouped
from replication.experiment.behaviours import Positions, Unit, Value
from replication.inputs.files import InputError

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from torch import Tensor
    from torch.nn import Module

Masks = Bool[np.ndarray, "sets all"]


@dataclass
class Activations:
    """The activations of a forward pass, or what is put in their place, layer by layer.

    Each broadcasts to rows × positions × size: of all positions, of a prompt's, or of one.
    """

    embedding: Float[Tensor, "*any d_model"]
    mlp_out: list[Float[Tensor, "*any d_model"]] = field(default_factory=list)
    z: list[Float[Tensor, "*any z"]] = field(default_factory=list)

    def map(self, change: Callable[[Tensor], Tensor]) -> Activations:
        """Every tensor changed alike."""
        return Activations(
            change(self.embedding), [*map(change, self.mlp_out)], [*map(change, self.z)]
        )

    def with_each(
        self, other: Activations, change: Callable[[Tensor, Tensor], Tensor]
    ) -> Activations:
        """Every tensor with the other one in its place."""
        return Activations(
            change(self.embedding, other.embedding),
            [change(*both) for both in zip(self.mlp_out, other.mlp_out, strict=True)],
            [change(*both) for both in zip(self.z, other.z, strict=True)],
        )

    def all(self) -> list[Tensor]:
        """Every tensor."""
        return [self.embedding, *self.mlp_out, *self.z]

    def tensors(self) -> Tensors:
        """Every tensor by name, in memory that every process can read."""
        return {f"{number:04}": one.cpu().numpy() for number, one in enumerate(self.all())}

    @classmethod
    def of(cls, tensors: Tensors, device: torch.device) -> Activations:
        """The activations that these tensors are, on a device."""
        import torch

        embedding, *others = (
            torch.tensor(tensors[name], device=device) for name in sorted(tensors)
        )
        n_layers = len(others) // 2
        return cls(embedding, others[:n_layers], others[n_layers:])


@dataclass(frozen=True)
class Settings:
    """What is put in components' place, where, and in which unit answers are read.

    `means` are those over the counterparts, where they are what is put in.
    """

    value: Value
    positions: Positions
    unit: Unit
    means: Activations | None = None


def activations_of(taps: Taps, prompts: Together) -> Activations:
    """All activations of a forward pass."""
    import torch

    seen: list[Tensor] = []
    found = Activations(torch.empty(0))
    embeddings: Any = taps.transformer.get_input_embeddings()  # type: ignore[operator]
    with ExitStack() as hooks:
        hooks.enter_context(
            embeddings.register_forward_hook(lambda _, __, output: seen.append(output))
        )
        hooks.enter_context(
            taps.hooked(
                lambda _, activation: found.mlp_out.append(_in_rows(activation, prompts)),
                lambda _, activation: found.z.append(_in_rows(activation, prompts)),
            )
        )
        taps.transformer(**prompts.inputs)
    check_seen(taps, seen, found.mlp_out, found.z)
    found.embedding = _in_rows(seen[0], prompts)
    return found


def check_seen(taps: Taps, embedding: Sized, mlp_out: Sized, z: Sized) -> None:
    """Refuse what was not seen once of the embedding, and once of each layer's MLP and heads.

    Raises:
        InputError: the model's own forward pass leaves one out, or runs it again.
    """
    n_layers = len(taps.layers)
    if (len(embedding), len(mlp_out), len(z)) != (1, n_layers, n_layers):
        raise InputError(
            f"a forward pass runs {len(embedding)} embeddings, {len(mlp_out)} MLPs and the heads of"
            f" {len(z)} layers, where the model has one, and {n_layers} layers with both"
        )


def _in_rows(activation: Tensor, prompts: Together) -> Float[Tensor, "rows positions size"]:
    """An activation with its rows apart, which some modules put one behind the other."""
    return activation.reshape(*prompts.prompt_of.shape, -1)


def mean_values(
    taps: Taps, prompts: Sequence[Prompt], positions: Positions, by_position: bool
) -> Activations:
    """Each activation's mean over the prompts: at each position, or over its positions."""
    import torch

    total: Activations | None = None
    with torch.inference_mode():
        for group in grouped(taps, prompts):
            these = together(taps, [prompts[index] for index in group])
            reduce = partial(_by_number if by_position else _sums, prompts=these, which=positions)
            sums = activations_of(taps, these).map(reduce)
            total = sums if total is None else total.with_each(sums, torch.add)
    assert total is not None
    return total.map(lambda one: one / len(prompts))


def _chosen(prompts: Together, positions: Positions) -> Bool[Tensor, "rows positions"]:
    return prompts.is_text if positions == "text" else prompts.is_real


def _by_number(
    activation: Tensor,
    prompts: Together,
    which: Positions,  # noqa: ARG001
) -> Float[Tensor, "positions size"]:
    """The sums at each position of prompts of one length."""
    length = int(prompts.number.max()) + 1
    return activation[prompts.is_real].float().reshape(-1, length, activation.shape[-1]).sum(0)


def _sums(activation: Tensor, prompts: Together, which: Positions) -> Float[Tensor, " size"]:
    return means_over(activation, prompts, _chosen(prompts, which)).sum(0)


def values_of(
    taps: Taps,
    own: Activations | None,
    base: Together,
    source: Together,
    settings: Settings,
) -> Activations:
    """What is put in the place of a run's own activations; a shift is what is added to them.

    A shift takes the `own` activations of the run, which are computed where they are not at hand.
    """
    import torch

    match settings.value:
        case "zero":
            nothing = torch.zeros(1, device=base.last.device)
            n_layers = len(taps.layers)
            return Activations(nothing, [nothing] * n_layers, [nothing] * n_layers)
        case "mean":
            assert settings.means is not None
            if settings.means.embedding.ndim == 1:
                return settings.means
            return settings.means.map(lambda one: one[base.number])
        case "interchange":
            return activations_of(taps, source)
        case "shift":
            here, there = (
                found.map(partial(means_over, prompts=prompts, which=prompts.is_real))
                for found, prompts in (
                    (own or activations_of(taps, base), base),
                    (activations_of(taps, source), source),
                )
            )
            return here.with_each(there, lambda one, other: (other - one)[base.prompt_of])


@dataclass
class _Running:
    """A forward pass in which a mask's components are changed, and how many hooks have fired."""

    taps: Taps
    values: Activations
    where: Bool[Tensor, "rows positions"] | None
    adds: bool
    mask: Mask
    fired: int = 0

    def embedding(self, _: Module, __: Any, output: Tensor) -> Tensor | None:
        self.fired += 1
        return self._changed(output, self.values.embedding) if self.mask[0] else None

    def mlp_out(self, layer: int, _: Module, __: Any, output: Any) -> Any:
        self.fired += 1
        if not self.mask[1 + layer]:
            return None
        own = output[0] if isinstance(output, tuple) else output
        new = self._changed(own, self.values.mlp_out[layer])
        return (new, *output[1:]) if isinstance(output, tuple) else new

    def z(self, layer: int, _: Module, inputs: Any) -> Any:
        self.fired += 1
        heads = self._heads(layer)
        if not heads.any():
            return None
        import torch

        own = inputs[0]
        d_head = own.shape[-1] // len(heads)
        chosen = torch.tensor(np.repeat(heads, d_head), device=own.device)
        new = self._changed(own, self.values.z[layer], None if heads.all() else chosen)
        return (new, *inputs[1:])

    def _heads(self, layer: int) -> Mask:
        n_layers, n_heads = len(self.taps.layers), self.taps.n_heads
        start = 1 + n_layers + layer * n_heads
        return self.mask[start : start + n_heads]

    def _changed(
        self, own: Tensor, value: Tensor, chosen: Bool[Tensor, " size"] | None = None
    ) -> Tensor:
        """An activation with the value in its place where it is to be changed."""
        import torch

        values = value.to(own.dtype)
        if values.ndim == 3:
            values = values.reshape(own.shape)
        new = own + values if self.adds else values.expand_as(own)
        if self.where is not None:
            there = self.where.reshape(*own.shape[:-1], 1)
            chosen = there if chosen is None else there & chosen
        return new if chosen is None else torch.where(chosen, new, own)

    @contextmanager
    def hooked(self, lowest: int) -> Iterator[None]:
        """The hooks in place, from a layer on; the first layer takes the embedding."""
        with ExitStack() as hooks:
            if lowest <= 0:
                embeddings: Any = self.taps.transformer.get_input_embeddings()  # type: ignore[operator]
                hooks.enter_context(embeddings.register_forward_hook(self.embedding))
            for layer in range(max(lowest, 0), len(self.taps.layers)):
                mlp, z = self.taps.mlp_out[layer], self.taps.z[layer]
                hooks.enter_context(mlp.register_forward_hook(partial(self.mlp_out, layer)))
                hooks.enter_context(z.register_forward_pre_hook(partial(self.z, layer)))
            yield
        expected = 2 * (len(self.taps.layers) - max(lowest, 0)) + (lowest <= 0)
        if self.fired != expected:
            raise InputError(
                f"an intervention did not take place: {self.fired} of {expected} hooks fired"
            )


@contextmanager
def _put_in(layers: Sequence[Module], outputs: Sequence[Any]) -> Iterator[None]:
    """Let layers give these outputs, whatever they are given, and compute nothing."""
    for layer, output in zip(layers, outputs, strict=True):
        layer.forward = partial(_given, output)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _given(output: Any, *_: Any, **__: Any) -> Any:
    return output


class Runner:
    """The runs of one group of pairs: a context, and sets of components changed beside it.

    In the context's run the components of its mask are changed; its layers' outputs are kept, so
    that a run of another mask begins at the lowest layer in which the two differ.
    """

    def __init__(
        self,
        taps: Taps,
        base: Sequence[Asked],
        source: Sequence[Asked],
        settings: Settings,
        context: Mask,
    ) -> None:
        self.taps, self.asked, self.settings, self.context = taps, base, settings, context
        prompts = [one.prompt for one in base], [one.prompt for one in source]
        if settings.value == "interchange":
            self.base, counterparts = behind_prefixes(taps, *prompts)
        else:
            self.base, counterparts = (together(taps, these) for these in prompts)
        self.values = values_of(taps, None, self.base, counterparts, settings)
        self._layers = np.array(
            [-1, *range(len(taps.layers)), *np.repeat(range(len(taps.layers)), taps.n_heads)]
        )
        self._outputs: list[Any] = []
        self.whole = self._first()

    def _first(self) -> Float[Tensor, " prompts"]:
        """The context's own run, of which every layer's output is kept."""
        with ExitStack() as hooks:
            for layer in self.taps.layers:
                hooks.enter_context(layer.register_forward_hook(self._keep))
            return self._run(self.context, -1)

    def _keep(self, _: Module, __: Any, output: Any) -> None:
        self._outputs.append(output)

    def run(self, mask: Mask) -> Float[Tensor, " prompts"]:
        """The preferences where the components of a mask are changed."""
        differs = mask != self.context
        if not differs.any():
            return self.whole
        lowest = int(self._layers[differs].min())
        skipped = self.taps.layers[: max(lowest, 0)]
        outputs = [self._outputs[lowest - 1]] * len(skipped)
        with _put_in(skipped, outputs):
            return self._run(mask, lowest)

    def _run(self, mask: Mask, lowest: int) -> Float[Tensor, " prompts"]:
        where = self.base.is_text if self.settings.positions == "text" else None
        running = _Running(self.taps, self.values, where, self.settings.value == "shift", mask)
        with running.hooked(lowest):
            logits = last_logits(self.taps, self.base)
        return preferences(logits, self.asked, self.settings.unit)


def answers_under(
    taps: Taps,
    pairs: Sequence[AskedPair],
    masks: Masks,
    settings: Settings,
    *,
    restore: bool = False,
    context: Mask | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Float32[np.ndarray, "sets pairs"]:
    """By how much the right answers are preferred where the components of each mask are changed.

    In the first prompt's run, with what the counterpart gives; or to `restore` them, in the
    counterpart's with what the first prompt gives. Groups of pairs run one after the other, so that
    memory does not grow with their number. `advance` is told of every run.

    Raises:
        InputError: a hook did not fire, or what comes out is not finite.
    """
    import torch

    found = np.empty((len(masks), len(pairs)), dtype=np.float32)
    none = np.zeros(masks.shape[1], dtype=bool) if context is None else context
    bases = [pair.counterpart if restore else pair.first for pair in pairs]
    sources = [pair.first if restore else pair.counterpart for pair in pairs]
    with torch.inference_mode():
        for group in grouped(taps, [one.prompt for one in bases]):
            runner = Runner(
                taps, [bases[one] for one in group], [sources[one] for one in group], settings, none
            )
            for row, mask in enumerate(masks):
                found[row, group] = runner.run(mask).cpu().numpy()
                advance(len(group))
            del runner  # what it keeps, before the next one is made
    if not np.isfinite(found).all():
        raise InputError("under an intervention the model gives logits that are not finite")
    return found


def preferred(taps: Taps, asked: Sequence[Asked], unit: Unit) -> Float32[np.ndarray, " prompts"]:
    """By how much the right answers are preferred, nothing changed and no hook in place.

    Raises:
        InputError: what comes out is not finite.
    """
    import torch

    found = np.empty(len(asked), dtype=np.float32)
    with torch.inference_mode():
        for group in grouped(taps, [one.prompt for one in asked]):
            these = [asked[one] for one in group]
            logits = last_logits(taps, together(taps, [one.prompt for one in these]))
            found[group] = preferences(logits, these, unit).cpu().numpy()
    if not np.isfinite(found).all():
        raise InputError("the model gives logits that are not finite")
    return found


def check_lengths(pairs: Sequence[AskedPair]) -> None:
    """Refuse pairs whose prompts differ in length, between which nothing can be interchanged.

    Raises:
        InputError: naming the pair.
    """
    for number, pair in enumerate(pairs, start=1):
        one, other = pair.first.prompt.length, pair.counterpart.prompt.length
        if one != other:
            raise InputError(
                f"pair {number}: interchange needs prompts of one length, and they have {one} and"
                f' {other} tokens; ablation.value = "mean" takes any'
            )
