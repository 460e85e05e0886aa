"""Provenance: where activations come from."""

from __future__ import annotations

import importlib.metadata
import platform

from pydantic import BaseModel, ConfigDict

from replication.circuits.components import ModelShape
from replication.engine.selfcheck import SelfCheck
from replication.experiment.spec import MlpAt, TokensSpec


class Provenance(BaseModel):
    """Where activations come from; `revision` is the commit of a model of the hub.

    `key_heads` is how many key heads a layer's heads share.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    revision: str | None = None
    weights_sha256: str
    shape: ModelShape
    key_heads: int
    mlp_at: MlpAt
    tokens: TokensSpec
    tokenizer_sha256: str
    self_check: SelfCheck
    device: str
    precision: str
    versions: dict[str, str]
    platform: str


def versions(*others: str) -> dict[str, str]:
    """The versions of Python and of the packages that a figure can depend on."""
    packages = (
        "torch",
        "transformers",
        "transformer_lens",
        "numpy",
        "pytest-circuit-replication",
        *others,
    )
    return {"python": platform.python_version()} | {
        package: importlib.metadata.version(package) for package in packages
    }
