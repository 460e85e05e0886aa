"""The model: found, checked, loaded, and shown to give what it gives by itself.

Nothing here imports torch, transformers or the hub's client before a model is asked for.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from replication.circuits.components import ModelShape
from replication.engine.configuration import CONFIGURATION, read_configuration
from replication.engine.gguf import of_converted
from replication.engine.locate import is_on_hub, label, locate
from replication.engine.provenance import Provenance, processor, versions
from replication.engine.selfcheck import SelfCheck, Widths, self_check
from replication.engine.taps import Taps
from replication.engine.tokens import Tokenizer, load_tokenizer
from replication.engine.transformer import load_taps
from replication.engine.weights import is_gguf, weight_files, weights_sha256
from replication.experiment.spec import MlpAt, ModelSpec, TokensSpec
from replication.inputs.files import InputError, sha256_of, validate
from replication.inputs.hub import NotAtHand, cache_of_hub, cached_folder
from replication.inputs.messages import placed, shortened

if TYPE_CHECKING:
    from replication.engine.tensor_files import Tensors

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16", "float16"]


# What is told how many more pairs were run.
Advance = Callable[[int], None]


class Part(Protocol):
    """A part of what is run of a model, which needs nothing but the model and what it carries.

    `about` says in words which pairs it runs, `size` how often one of them is run.
    """

    @property
    def about(self) -> str: ...

    @property
    def size(self) -> int: ...

    def run(self, model: LoadedModel, advance: Advance) -> Tensors:
        """What comes out of it, by name."""
        ...


class Done(NamedTuple):
    """What came out of a part, and the kind of processor that ran it."""

    tensors: Tensors
    processor: str


class Workers(Protocol):
    """Whoever runs parts: this process, others, or an earlier run that kept what came out."""

    def done(self, parts: Iterable[Part], advance: Advance) -> Iterator[Done]:
        """What comes out of every part, in their order; not all of them are held at a time."""
        ...


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to run, its tokenizer, its provenance, and who runs it.

    By default that is this process. `processors` are the kinds that have run something of it.
    """

    taps: Taps
    tokenizer: Tokenizer
    provenance: Provenance
    workers: Workers | None = None
    processors: set[str] = field(default_factory=set)

    @property
    def shape(self) -> ModelShape:
        """The model's own shape, as a run of it shows."""
        return self.provenance.shape

    def done(self, parts: Iterable[Part], advance: Advance) -> Iterator[Done]:
        """What comes out of every part, run one by one in this process."""
        kind = processor(self.provenance.device)
        return (Done(part.run(self, advance), kind) for part in parts)

    def run(self, parts: Iterable[Part], advance: Advance) -> Iterator[Tensors]:
        """What comes out of every part, in their order, from whoever runs the model."""
        for done in (self.workers or self).done(parts, advance):
            self.processors.add(done.processor)
            yield done.tensors

    @property
    def provenance_of_runs(self) -> Provenance:
        """Its provenance, with the kinds of processor that have run something of it."""
        return self.provenance.model_copy(update={"processors": tuple(sorted(self.processors))})


def choose_device(wanted: Device) -> str:
    """The device to run on; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        InputError: the device is not there.
    """
    import torch

    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return next(device for device, is_there in present.items() if is_there)
    if not present[wanted]:
        there = ", ".join(device for device, is_there in present.items() if is_there)
        raise InputError(f"the device {wanted} is not there; this machine has {there}")
    return wanted


def load_model(
    spec: ModelSpec,
    override: str | None = None,
    device: Device = "auto",
    precision: Precision = "float32",
    *,
    tokens: TokensSpec = TokensSpec(),  # noqa: B008
    mlp_at: MlpAt = "residual",
    gives_attention: bool = False,
) -> LoadedModel:
    """Load the model, on raw weights, after checking its hash, its shape and its way to run.

    Raises:
        ModelNotFound: the model cannot be had here.
        InputError: no weights, other weights than the pinned ones, missing ones, another shape, no
            such device, or the self-check fails.
    """
    place = locate(spec, override)
    weight_files(place)
    target = choose_device(device)

    def ready(folder: Path) -> tuple[str, Tokenizer, Taps, Widths, SelfCheck]:
        config = read_configuration(folder, spec.shape, place)
        configuration = sha256_of(folder / CONFIGURATION).hex()
        tokenizer = load_tokenizer(folder, config, tokens)
        taps = load_taps(folder, config, target, precision, mlp_at, gives_attention=gives_attention)
        try:
            checked = self_check(taps, tokenizer.ordinary(8), precision)
        except InputError as error:
            raise InputError(f"{placed(place)}: {error}") from None
        return configuration, tokenizer, taps, *checked

    with ThreadPoolExecutor(1) as pool:
        hashing = pool.submit(weights_sha256, place)  # while the model is loaded
        if is_gguf(place):
            _check_pinned(spec, override, place, hashing.result())
            made = of_converted(place, hashing.result(), ready)
        else:
            made = ready(place)
        digest = hashing.result()
    _check_pinned(spec, override, place, digest)
    configuration, tokenizer, taps, widths, checked = made
    provenance = Provenance(
        model=label(spec, override),
        revision=place.name if is_on_hub(spec, override) else None,
        weights_sha256=digest,
        configuration_sha256=configuration,
        shape=_shape(place, taps, widths, spec.shape),
        key_heads=taps.key_heads,
        mlp_at=mlp_at,
        tokens=tokens,
        tokenizer_sha256=tokenizer.sha256,
        self_check=checked,
        device=target,
        precision=precision,
        versions=versions(*(["gguf"] if is_gguf(place) else [])),
        platform=f"{platform.system()} {platform.machine()}",
    )
    return LoadedModel(taps, tokenizer, provenance)


def place_at_hand(spec: ModelSpec) -> Path:
    """Where the model is that can be had without asking the hub.

    Raises:
        NotAtHand: saying where it was looked for, and how to get it.
    """
    if spec.name is None:
        return locate(spec)
    if (cached := cached_folder("model", spec.name, spec.revision)) is None:
        raise NotAtHand(
            f"{shortened(spec.name)} is not in the hub's cache, {placed(cache_of_hub())};"
            " a live run asks the hub for it"
        )
    return cached


def tokenizer_at_hand(spec: ModelSpec, tokens: TokensSpec) -> Tokenizer:
    """The model's tokenizer by itself, where it can be had without asking the hub.

    Raises:
        NotAtHand: it cannot be had so.
        InputError: the model's configuration or its tokenizer cannot be used, or its one file is
            another than the pinned one.
    """
    place = place_at_hand(spec)
    weight_files(place)

    def read(folder: Path) -> Tokenizer:
        return load_tokenizer(folder, read_configuration(folder, spec.shape, place), tokens)

    if not is_gguf(place):
        return read(place)
    digest = weights_sha256(place)
    _check_pinned(spec, None, place, digest)
    return of_converted(place, digest, read)


def _check_pinned(spec: ModelSpec, override: str | None, place: Path, digest: str) -> None:
    if override is None and spec.sha256 not in (None, digest):
        raise InputError(
            f"{place}: the weights' SHA-256 is {digest}, and the experiment pins {spec.sha256}"
        )


def _shape(place: Path, taps: Taps, widths: Widths, expected: ModelShape) -> ModelShape:
    """The shape that a run of the model shows, which must be the expected one."""
    sizes = {
        "n_layers": len(taps.mlp_out),
        "n_heads": taps.n_heads,
        "d_model": widths.mlp_out,
        "d_head": widths.z // taps.n_heads,
    }
    shape = validate(ModelShape, sizes, place)
    if shape != expected:
        raise InputError(f"{place}: the model has {shape}; the experiment expects {expected}")
    return shape
