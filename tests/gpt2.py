"""A GPT-2 with random weights, and an experiment on it, both made on the spot and offline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from replication.experiment.pairs import Pair

if TYPE_CHECKING:
    from torch.nn import Module
    from transformers import PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"

PAIRS = [
    Pair("Oh great, another meeting at 7 AM.", "I look forward to the meeting tomorrow at 7 AM."),
    Pair("Wow.", "I really enjoy my quiet walk to work along the river, every single morning."),
    Pair("Perfect, it crashed again right before the deadline!", "It is saved."),
    Pair("Amazing, the wifi is down again.", "The wifi is working, as is the rest of the house."),
]


def make_gpt2(
    folder: Path,
    *,
    n_layer: int = 3,
    n_head: int = 4,
    n_embd: int = 32,
    n_positions: int = 64,
    vocab_size: int = 400,
    n_embedded: int = 0,
    texts: Sequence[str] = tuple(prompt for pair in PAIRS for prompt in pair),
    seed: int = 0,
) -> Path:
    """Write weights, as safetensors, and a tokenizer of the texts; a seed gives the same model.

    No parameter is trivial: biases and layer norms are random too. The weights' scale keeps
    activations in the same range at every width. The tokenizer learns a vocabulary of at most
    `vocab_size` from the texts; the model embeds `n_embedded` tokens where those are more.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = train_tokenizer(vocab_size, texts)
    end = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=max(len(tokenizer), n_embedded),
            n_positions=n_positions,
            n_embd=n_embd,
            n_layer=n_layer,
            n_head=n_head,
            bos_token_id=end,
            eos_token_id=end,
        )
    )
    randomise(model, n_embd, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def randomise(model: Module, width: int, seed: int) -> None:
    """Make no parameter of a model trivial, and all of them what the seed says."""
    import torch

    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            is_matrix = parameter.dim() > 1
            centre = 1.0 if not is_matrix and parameter.eq(1).all() else 0.0
            scale = 0.6 / width**0.5 if is_matrix else 0.2
            parameter.copy_(centre + scale * torch.randn(parameter.shape, generator=random))


def train_tokenizer(vocab_size: int, texts: Sequence[str]) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
    )


def make_experiment(
    folder: Path,
    *,
    n_layer: int = 3,
    n_head: int = 4,
    n_embd: int = 32,
    pairs: Sequence[Pair] = PAIRS,
) -> Path:
    """Write an experiment on a model of this shape; its budget holds every MLP and two heads."""
    d_head = n_embd // n_head
    folder.mkdir(parents=True)
    (folder / "experiment.toml").write_text(
        f"""\
title = "A GPT-2 with random weights"
task = "nothing"
sides = ["first", "second"]
pairs = "pairs.jsonl"
measures = "run"

[model]
name = "test/gpt2"
shape = {{ n_layers = {n_layer}, n_heads = {n_head}, d_model = {n_embd}, d_head = {d_head} }}

[tokens]
special = "bos"

[scoring]
mlp_out = "centred"

[selection]
budget = {n_embd * (1 + n_layer) + 2 * d_head}
mlp_threshold = 0.0
input_counts = true
""",
        encoding="utf-8",
    )
    lines = [json.dumps({"first": pair[0], "second": pair[1]}) for pair in pairs]
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "claims.toml").write_text(
        f"""\
[[claim]]
id = "S1"
made_by = "the tests"
source = "the model's configuration"
statement = "The model has {n_layer} layers, {n_head} heads per layer and d_model {n_embd}."

[[claim.check]]
kind = "shape"
n_layers = {n_layer}
n_heads = {n_head}
d_model = {n_embd}
d_head = {d_head}

[[claim]]
id = "S2"
made_by = "the tests"
source = "the method"
statement = "The same prompts give the same scores to the bit, run twice."
check = [{{ kind = "determinism", result = "run", identical = true }}]
""",
        encoding="utf-8",
    )
    return folder
