"""The model: finding its weights, checking them, and loading them through TransformerLens.

Nothing here imports torch, transformers or the hub's client before a model is asked for.
"""

from __future__ import annotations

import logging
import os
import platform
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from replication.circuits.components import ModelShape
from replication.engine.locate import is_on_hub, label, locate
from replication.engine.provenance import Provenance, versions
from replication.engine.taps import PACKABLE, Taps, find_taps, hook_points
from replication.engine.weights import check_weights, weight_files, weights_sha256
from replication.experiment.spec import ModelSpec
from replication.inputs.files import InputError, read_json, validate
from replication.inputs.messages import library_reason, placed, quoted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16", "float16"]
# What configurations call the sizes of a model.
_SIZES = {
    "n_layers": ("n_layer", "num_hidden_layers"),
    "n_heads": ("n_head", "num_attention_heads"),
    "d_model": ("n_embd", "hidden_size"),
}
_TOKENIZER_FILES = ["tokenizer.json", "vocab.*", "*.model", "*.tiktoken"]


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
    weight_files(folder)
    if not any(next(folder.glob(name), None) for name in _TOKENIZER_FILES):
        raise InputError(f"{folder}: no tokenizer in it: expected {' or '.join(_TOKENIZER_FILES)}")
    target = choose_device(device)
    _check_configuration(folder, spec.shape)
    with ThreadPoolExecutor(1) as pool:
        hashing = pool.submit(weights_sha256, folder)  # while the model is loaded
        _import_quietly()
        bridge = _boot(folder, target, precision)
        digest = hashing.result()
    if override is None and spec.sha256 not in (None, digest):
        raise InputError(
            f"{folder}: the weights' SHA-256 is {digest}, and the experiment pins {spec.sha256}"
        )
    sizes = {name: getattr(bridge.cfg, name) for name in ModelShape.model_fields}
    shape = validate(ModelShape, sizes, folder)
    if shape != spec.shape:
        raise InputError(f"{folder}: the model has {shape}; the experiment expects {spec.shape}")
    for layer in range(shape.n_layers):
        for name in hook_points(layer):
            if name not in bridge.hook_dict:
                raise InputError(f"{folder}: the model has no hook point {name}")
    provenance = Provenance(
        model=label(spec, override),
        revision=folder.name if is_on_hub(spec, override) else None,
        weights_sha256=digest,
        shape=shape,
        device=target,
        precision=precision,
        versions=versions(),
        platform=f"{platform.system()} {platform.machine()}",
    )
    taps = find_taps(bridge) if bridge.cfg.architecture in PACKABLE else None
    if taps is not None:
        check_weights(folder, taps.transformer, bridge.original_model.base_model_prefix)
    return LoadedModel(bridge, provenance, taps)


def _check_configuration(folder: Path, expected: ModelShape) -> None:
    """Refuse a model whose stated sizes are others, before a library builds one of these sizes."""
    path = folder / "config.json"
    config = read_json(path)
    if not isinstance(config, dict):
        raise InputError(f"{placed(path)}: expected an object, found {quoted(config)}")
    sizes = {size: config[key] for size, keys in _SIZES.items() for key in keys if key in config}
    if len(sizes) < len(_SIZES):
        return  # whatever the libraries make of it
    are_counts = all(type(size) is int and size > 0 for size in sizes.values())
    sizes["d_head"] = config.get("head_dim") or (
        sizes["d_model"] // sizes["n_heads"] if are_counts else 1
    )
    found = validate(ModelShape, sizes, path)
    if found.model_copy(update={"d_head": expected.d_head}) != expected:
        raise InputError(
            f"{placed(folder)}: the model has {found}; the experiment expects {expected}"
        )


def _boot(folder: Path, device: str, precision: Precision) -> TransformerBridge:
    import torch
    from transformer_lens.model_bridge import TransformerBridge

    try:
        return TransformerBridge.boot_transformers(
            str(folder), device=device, dtype=getattr(torch, precision)
        )
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # whatever a folder of files can make the libraries raise
        reason = library_reason(error)
        raise InputError(f"{placed(folder)}: TransformerLens cannot load it: {reason}") from None


def _import_quietly() -> None:
    """Import the libraries that load models, without their own progress bars and advice."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("transformer_lens").setLevel(logging.ERROR)
