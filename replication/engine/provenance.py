"""Provenance: where activations come from."""

from __future__ import annotations

import importlib.metadata
import platform

from pydantic import BaseModel, ConfigDict

from replication.circuits.components import ModelShape


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


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that a figure can depend on."""
    packages = ("torch", "transformers", "transformer_lens", "numpy", "pytest-circuit-replication")
    return {"python": platform.python_version()} | {
        package: importlib.metadata.version(package) for package in packages
    }
