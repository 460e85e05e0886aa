"""Weights: which files hold them, their SHA-256, and that nothing was made up."""

from __future__ import annotations

import hashlib
import mmap
import re
from pathlib import Path
from typing import TYPE_CHECKING

from replication.inputs.files import InputError, readable, within
from replication.inputs.hub import WEIGHT_FILES
from replication.inputs.messages import library_reason

if TYPE_CHECKING:
    from torch.nn import Module


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights: safetensors where there are any.

    Raises:
        InputError: there are none, or one is empty or may not be read.
    """
    safe, pickled = (within(folder, pattern) for pattern in WEIGHT_FILES)
    if not safe and not pickled:
        raise InputError(f"{folder}: no weights in it: expected {' or '.join(WEIGHT_FILES)}")
    for path in safe or pickled:
        if not readable(path).stat().st_size:
            raise InputError(f"{path}: expected weights, found an empty file")
    return safe or pickled


def weights_sha256(folder: Path) -> str:
    """The SHA-256 of the weight file; of several, that of their digests, by file name.

    A file is hashed in one call, which lets other threads run all the while.

    Raises:
        InputError: there are no weights in the folder.
    """
    digests = []
    for path in weight_files(folder):
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            digests.append(hashlib.sha256(content))
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()


def check_weights(folder: Path, transformer: Module, prefix: str) -> None:
    """Hold the parameters against the weight files: what these lack would be made up at random."""
    from safetensors import SafetensorError, safe_open

    stored: set[str] = set()
    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, framework="pt") as file:
                stored.update(_own_name(name, prefix) for name in file.keys())  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            reason = library_reason(error)
            raise InputError(f"{path}: not a whole safetensors file: {reason}") from None
    missing = [name for name, _ in transformer.named_parameters() if name not in stored]
    if stored and missing:
        raise InputError(f"{folder}: the weights lack {missing[0]} ({len(missing)} in all)")


def _own_name(stored: str, prefix: str) -> str:
    """A stored tensor's name in the transformer; older files have other names in layer norms."""
    name = stored.removeprefix(f"{prefix}.")
    return re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))
