"""Files of tensors: arrays with metadata, written whole, and refused where anything was changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel
from safetensors import safe_open
from safetensors.numpy import load, save

from replication.inputs.files import FileError, InputError, parse_json, readable, validate
from replication.inputs.messages import library_reason
from replication.inputs.writing import write_atomically

Part = TypeVar("Part", bound=BaseModel)
Tensors = dict[str, np.ndarray]
Metadata = dict[str, str]


def is_of_kind(path: Path, kind: str | tuple[str, ...]) -> bool:
    """Whether a file is one of tensors whose format begins so.

    Raises:
        FileError: it may not be read.
    """
    try:
        _, metadata = read_tensors(path)
    except FileError:
        raise
    except InputError:
        return False
    return metadata.get("format", "").startswith(kind)


def write_tensors(path: Path, tensors: Tensors, metadata: Metadata) -> None:
    """Write tensors and their metadata, with a digest of both, all of it or nothing."""
    write_atomically(path, whole_file(tensors, metadata))


def whole_file(tensors: Tensors, metadata: Metadata) -> bytes:
    """The content of a file of tensors and their metadata, with a digest of both."""
    return save(tensors, {**metadata, "digest": tensors_digest(tensors, metadata)})


def tensors_in(content: bytes, name: str) -> tuple[Tensors, Metadata]:
    """The tensors and the metadata in the content of a file.

    Raises:
        InputError: naming the file: it is not a whole file of tensors.
    """
    try:
        tensors = load(content)
    except Exception as error:  # as `read_tensors`
        raise InputError(f"{name}: not a whole safetensors file: {library_reason(error)}") from None
    # Eight bytes say how long the header is, a JSON object that the library reads without these.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, header.get("__metadata__", {})


def read_tensors(path: Path) -> tuple[Tensors, Metadata]:
    """The tensors and the metadata in a file.

    Raises:
        InputError: it is missing, or not a whole file of tensors.
    """
    try:
        with safe_open(readable(path), framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except InputError:
        raise
    except Exception as error:  # a type of tensor that numpy lacks makes the library raise any
        raise InputError(f"{path}: not a whole safetensors file: {library_reason(error)}") from None


def check_unchanged(path: Path, tensors: Tensors, metadata: Metadata) -> None:
    """Refuse a file of which anything was changed since it was written.

    Raises:
        InputError: naming the file.
    """
    if tensors_digest(tensors, metadata) != metadata.get("digest"):
        raise InputError(f"{path}: the recording was changed after it was made")


def part_of(path: Path, metadata: Metadata, key: str, kind: type[Part]) -> Part:
    """A part of the metadata.

    Raises:
        InputError: naming the file and the key.
    """
    return validate(kind, parse_json(metadata.get(key, ""), f"{path}: {key}"), path)


def check_tensor(
    path: Path,
    name: str,
    tensor: np.ndarray | None,
    expected: tuple[type[np.generic], tuple[int, ...]],
) -> None:
    """Refuse a tensor that is missing, of another type or shape, or not finite.

    Raises:
        InputError: naming the file and the tensor.
    """
    dtype, shape = expected
    if tensor is None:
        raise InputError(f"{path}: {name}: missing")
    if tensor.dtype != dtype or tensor.shape != shape:
        raise InputError(
            f"{path}: {name}: expected {np.dtype(dtype)} of shape {shape},"
            f" found {tensor.dtype} of shape {tensor.shape}"
        )
    if not np.isfinite(tensor).all():
        raise InputError(f"{path}: {name}: holds NaN or infinity")


def tensors_digest(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """The SHA-256 of everything in the file: its metadata, and each tensor's name, type, shape."""
    layout = {name: [str(tensor.dtype), tensor.shape] for name, tensor in tensors.items()}
    others = {key: text for key, text in metadata.items() if key != "digest"}
    digest = hashlib.sha256(canonical([others, layout]).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()


def digest_of(data: Any) -> str:
    """The SHA-256 of some data's one JSON text: keys in order, no spaces, every letter as it is."""
    return hashlib.sha256(canonical(data).encode()).hexdigest()


def canonical(data: Any) -> str:
    """The one JSON text of some data: keys in order, no spaces, every letter as it is."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
