"""Provenance: where activations come from."""

from __future__ import annotations

import importlib.metadata
import platform
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from replication.circuits.components import ModelShape
from replication.engine.selfcheck import SelfCheck
from replication.experiment.spec import MlpAt, TokensSpec
from replication.inputs.messages import listed


class Provenance(BaseModel):
    """Where activations come from; `revision` is the commit of a model of the hub.

    `key_heads` is how many key heads a layer's heads share. `configuration_sha256` is that of the
    model's `config.json`, and `processors` are the kinds that ran the prompts; what was recorded
    before these were names neither.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    revision: str | None = None
    weights_sha256: str
    configuration_sha256: str | None = None
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
    processors: tuple[str, ...] = ()

    def mixed(self) -> list[str]:
        """A line that names the kinds of processor, where there are several."""
        if len(self.processors) < 2:
            return []
        return [
            f"run on {len(self.processors)} kinds of processor, which are apart in the last digits:"
            f" {listed(self.processors)}"
        ]


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


def processor(device: str) -> str:
    """The kind of processor behind a device, and what else the last digits of a run hang on."""
    import torch

    if device == "cuda":
        return str(torch.cuda.get_device_name())
    if device != "cpu":
        return f"{device}, {platform.machine()}"
    instructions, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return f"{_cpu()}, {instructions}, {threads} thread{'s' if threads > 1 else ''}"


@cache
def _cpu() -> str:
    """The processor's name, as far as the system tells it."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return " ".join([*names[:1], platform.machine()])
