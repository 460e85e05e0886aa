"""GPT-2s with planted causes: their weights are set by hand to what `calibration.causes` says.

Words carry their value in one dimension of the residual stream, positions one of their own. What
makes a GPT-2 do as it is told:

- Layer norm: two dimensions hold ±ANCHOR, so that the variance of the stream is theirs; the gain of
  each norm undoes their scale, and a balancing dimension keeps the mean at zero.
- Attention: each head's query is its bias, which asks for the position of its slot, and for no
  other; its first dimension holds the value there.
- MLP: with relu, or with a steep gelu, which is as good as one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from calibration.causes import CAP, LAST, Causes, Part, Values
from replication.circuits.components import Component, ModelShape
from replication.engine.models import LoadedModel, load_model
from replication.experiment.clusters import clusters_of
from replication.experiment.pairs import Pair, Row
from replication.experiment.spec import ModelSpec, TokensSpec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SHAPE = ModelShape(n_layers=3, n_heads=4, d_model=64, d_head=16)
Activation = Literal["relu", "gelu_new"]
STEEP = 256.0

END_OF_TEXT, RIGHT, WRONG = "<|endoftext|>", "yes", "no"
N_WORDS = 64  # of each kind
SIGNALS, BLANKS, NOISES = (
    [f"{kind}{number}" for number in range(N_WORDS)] for kind in ("signal", "blank", "noise")
)
WORDS = (END_OF_TEXT, RIGHT, WRONG, *SIGNALS, *BLANKS, *NOISES)

N_POSITIONS = 16
VALUE, BALANCE, PLUS, MINUS, ANSWER, SEEN, UNREAD = range(7)
ALIKE = slice(8, 16)  # what each redundant head writes, and the combining MLP reads
PLACE = slice(16, 16 + N_POSITIONS)
ANCHOR = 4096.0
SHARPNESS = 1024.0


@cache
def word_values() -> dict[str, float]:
    """Each word's value: of signals as an exponential's, 1 on average; of noise as a normal's."""
    places = (np.arange(N_WORDS) + 0.5) / N_WORDS
    signals = -np.log1p(-places)
    signals /= signals.mean()
    noises = [NormalDist().inv_cdf(place) for place in places]
    values = dict.fromkeys(WORDS, 0.0)
    return values | dict(zip([*SIGNALS, *NOISES], [*signals, *noises], strict=True))


def rows(causes: Causes, count: int, seed: int, group: int = 1) -> list[Row]:
    """Pairs at random: signals in the first prompt's slots, and words of no value in the second's.

    Every `group` of pairs shares the signals of half of its slots, and is stated to be one.
    """
    rng = random.Random(seed)
    found: list[Row] = []
    shared: list[str] = []
    for number in range(count):
        if number % group == 0:
            shared = rng.choices(SIGNALS, k=len(causes.slots))
        own = [
            one if slot % 2 and group > 1 else rng.choice(SIGNALS)
            for slot, one in enumerate(shared)
        ]
        alike = rng.choice(SIGNALS)
        first, second = ([] for _ in range(2))  # type: list[str], list[str]
        for slot, kind in enumerate(causes.slots):
            signal = alike if kind == "redundant" else own[slot]
            first.append(rng.choice(NOISES) if kind == "noise" else signal)
            second.append(rng.choice(NOISES if kind == "noise" else BLANKS))
        texts = (" ".join([*words[1:], words[LAST]]) for words in (first, second))
        answers = {"right": (f" {RIGHT}",), "wrong": (f" {WRONG}",)}
        found.append(Row(Pair(*texts), None, str(number // group), answers))
    return found


def values_of(pairs: Sequence[Row]) -> Values:
    """The values of the words in each slot."""
    of = word_values()
    sides = [
        np.array([[of[word] for word in _by_slot(row.pair[side])] for row in pairs]).T
        for side in range(2)
    ]
    groups = [row.group for row in pairs]
    return Values(sides[0], sides[1], clusters_of([row.pair for row in pairs], groups))


def _by_slot(text: str) -> list[str]:
    *others, last = text.split()
    return [last, *others]


def load_causes(folder: Path, causes: Causes, activation: Activation = "relu") -> LoadedModel:
    """Write the model to a folder, weights and tokenizer, and load it as any other."""
    write_causes(folder, causes, activation)
    spec = ModelSpec(name="test/planted-causes", shape=causes.shape)
    return load_model(spec, str(folder), "cpu", tokens=TokensSpec(special="bos"))


def write_causes(folder: Path, causes: Causes, activation: Activation) -> None:
    """Write a GPT-2 that does what is planted, and its tokenizer."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = tokenizer_of(WORDS)
    end, shape = tokenizer.convert_tokens_to_ids(END_OF_TEXT), causes.shape
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(WORDS),
            n_positions=N_POSITIONS,
            n_embd=shape.d_model,
            n_layer=shape.n_layers,
            n_head=shape.n_heads,
            n_inner=16,
            activation_function=activation,
            tie_word_embeddings=False,
            bos_token_id=end,
            eos_token_id=end,
        )
    )
    weights = {name: np.zeros(tuple(one.shape)) for name, one in model.named_parameters()}
    _embed(weights)
    for name, weight in weights.items():
        if ".ln_" in name and name.endswith(".weight"):
            weight[:] = ANCHOR * (2 / shape.d_model) ** 0.5
    for component, part in causes.parts.items():
        write = _write_head if component.kind == "head" else _write_mlp
        write(weights, causes, component, part)
    if activation != "relu":
        for layer in range(shape.n_layers):
            weights[f"transformer.h.{layer}.mlp.c_fc.weight"] *= STEEP
            weights[f"transformer.h.{layer}.mlp.c_fc.bias"] *= STEEP
            weights[f"transformer.h.{layer}.mlp.c_proj.weight"] /= STEEP
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _embed(weights: dict[str, Float[np.ndarray, "*any"]]) -> None:
    words, positions = weights["transformer.wte.weight"], weights["transformer.wpe.weight"]
    words[:, VALUE] = list(word_values().values())
    words[:, PLUS], words[:, MINUS] = ANCHOR, -ANCHOR
    positions[:, PLACE] = np.eye(N_POSITIONS)
    for one in (words, positions):
        one[:, BALANCE] -= one.sum(axis=1)
    weights["lm_head.weight"][WORDS.index(RIGHT), ANSWER] = 0.5
    weights["lm_head.weight"][WORDS.index(WRONG), ANSWER] = -0.5


def _write_head(
    weights: dict[str, Float[np.ndarray, "*any"]], causes: Causes, component: Component, part: Part
) -> None:
    """A head that looks at its slot's position, and writes the value there."""
    d_head, block = causes.shape.d_head, f"transformer.h.{component.layer}.attn"
    own = component.head * d_head
    _, keys, values = np.split(weights[f"{block}.c_attn.weight"], 3, axis=1)
    # The end of the text stands before the first slot, and the slot that MLPs read is the last.
    position = part.slot or len(causes.slots)
    weights[f"{block}.c_attn.bias"][own + position] = SHARPNESS
    keys[PLACE, own : own + N_POSITIONS] = np.eye(N_POSITIONS)
    values[VALUE, own] = 1.0
    written = weights[f"{block}.c_proj.weight"][own]
    match part.role:
        case "redundant":
            written[ALIKE.start + part.slot] = 1.0
        case "ignored" | "bystander":
            written[UNREAD] = 1.0
        case _:
            written[ANSWER] = part.weight
    if part.role == "primary":
        written[SEEN] = 1.0
    written[BALANCE] -= written.sum()


def _write_mlp(
    weights: dict[str, Float[np.ndarray, "*any"]], causes: Causes, component: Component, part: Part
) -> None:
    """An MLP of a few neurons: what each reads, and by how much it writes towards the answer."""
    block = f"transformer.h.{component.layer}.mlp"
    reads, bias = weights[f"{block}.c_fc.weight"], weights[f"{block}.c_fc.bias"]
    writes = weights[f"{block}.c_proj.weight"]
    towards = UNREAD if part.role == "ignored" else ANSWER
    weight = 1.0 if part.role == "ignored" else part.weight
    alike = [ALIKE.start + one.slot for one in causes.parts.values() if one.role == "redundant"]
    match part.role:
        case "combining" if causes.combining == "largest":
            one, other = alike
            reads[[one, other], 0] = 1.0, -1.0
            reads[other, 1], reads[other, 2] = 1.0, -1.0
            counts = [1.0, 1.0, -1.0]
        case "combining":
            reads[alike, 0], reads[alike, 1], bias[1] = 1.0, 1.0, -CAP
            counts = [1 / CAP, -1 / CAP]
        case "backup":
            reads[VALUE, 0], reads[SEEN, 0] = 1.0, -1.0
            counts = [1.0]
        case _:
            reads[VALUE, 0], reads[VALUE, 1] = 1.0, -1.0
            counts = [1.0, -1.0]
    writes[: len(counts), towards] = weight * np.array(counts)
    writes[: len(counts), BALANCE] = -weight * np.array(counts)


def tokenizer_of(words: Sequence[str]) -> PreTrainedTokenizerFast:
    """One token for each word; the end of the text is among them."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=END_OF_TEXT))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
    )
