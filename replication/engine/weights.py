"""Weights: which files hold them, and their SHA-256."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from replication.inputs.cache import OURS
from replication.inputs.files import InputError, readable, sha256_of, within
from replication.inputs.hub import WEIGHT_FILES, NotAtHand
from replication.inputs.messages import library_reason, placed


def weight_files(place: Path) -> list[Path]:
    """The files that hold the weights: safetensors where a folder has any, or a GGUF file itself.

    Raises:
        InputError: there are none, or one is empty or may not be read.
    """
    if is_gguf(place):
        return [_not_empty(place)]
    safe, pickled = (within(place, pattern) for pattern in WEIGHT_FILES)
    if not safe and not pickled:
        raise InputError(f"{place}: no weights in it: expected {' or '.join(WEIGHT_FILES)}")
    return [_not_empty(path) for path in safe or pickled]


def is_gguf(place: Path) -> bool:
    """Whether a model is one GGUF file, and not a folder."""
    return place.suffix == ".gguf"


def check_readable(place: Path) -> None:
    """Refuse a GGUF file where what reads it is not installed.

    Raises:
        NotAtHand: naming what brings it.
    """
    if is_gguf(place) and find_spec("gguf") is None:
        raise NotAtHand(
            f"{placed(place)}: reading it needs gguf: `pip install '{OURS}[gguf]'` brings it"
        )


def check_whole(folder: Path) -> None:
    """Refuse a safetensors file that is cut short, or none: libraries may not look at all files.

    Raises:
        InputError: naming the file.
    """
    from safetensors import SafetensorError, safe_open

    for path in within(folder, "*.safetensors"):
        try:
            safe_open(path, framework="np")
        except (SafetensorError, OSError) as error:
            reason = library_reason(error)
            raise InputError(f"{path}: not a whole safetensors file: {reason}") from None


def _not_empty(path: Path) -> Path:
    if not readable(path).stat().st_size:
        raise InputError(f"{path}: expected weights, found an empty file")
    return path


def weights_sha256(place: Path) -> str:
    """The SHA-256 of the weight file; of several, that of their digests, by file name.

    Raises:
        InputError: there are no weights.
    """
    digests = [sha256_of(path) for path in weight_files(place)]
    whole = digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()
    return whole.hex()
