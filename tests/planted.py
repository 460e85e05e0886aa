"""Models whose causes are planted, and a source of prompt pairs for them: a ground truth.

Every word and every position carries a few features: whether the word bears the property, whether
it is the filler, what it is about, whether this position is the first, and how far on it stands.
Each component of a planted model is a linear map of the features at a position, and of nothing
else, so that its mean activation on a prompt is that map of the prompt's mean features. Which
features the map reads is the component's role.

What makes a GPT-2 linear in its features:

- Layer norm: two dimensions of the residual stream hold ±ANCHOR, so that the variance of the
  stream is theirs; the gain of each norm undoes their scale, and a balancing dimension keeps the
  mean at zero. What the rest of the stream adds to the variance shrinks the features by less than
  one part in a thousand.
- MLP: gelu(x) - gelu(-x) = x, so two neurons hand a feature on.
- Attention: queries and keys read the position alone, and each position attends to itself.
- MLPs write, centred, into dimensions that nothing reads, and heads write nothing back, so that no
  component hears another.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from calibration.planted_causes import tokenizer_of
from replication.circuits.components import Component, ModelShape
from replication.engine.models import LoadedModel, load_model
from replication.experiment.pairs import Pair
from replication.experiment.spec import ModelSpec, TokensSpec

Role = Literal["property", "first", "position", "noise", "filler", "mixed"]

SHAPE = ModelShape(n_layers=3, n_heads=4, d_model=64, d_head=16)
# How many of a model's fifteen components have each role; the seed says which.
ROLES: dict[Role, int] = {
    "property": 3,  # responds to the words with the property
    "first": 2,  # a massive activation at the first position, whatever the text
    "position": 2,  # an activation that grows from position to position, whatever the text
    "filler": 1,  # responds to the filler, which may go along with the property by chance
    "mixed": 2,  # responds to the property, and massively to the first position
    "noise": 5,  # responds to what the prompt is about, as every component does, and to no more
}
# The response to each feature, where the typical one to what a word is about is 1.
STRENGTHS = {"property": (3, 6), "filler": (3, 6), "first": (30, 100), "position": (10, 40)}
READS: dict[Role, set[str]] = {
    "property": {"property"},
    "first": {"first"},
    "position": {"position"},
    "filler": {"filler"},
    "mixed": {"property", "first"},
    "noise": set(),
}

END_OF_TEXT = "<|endoftext|>"
PLAIN = "the"  # a word without features
FILLER = "um"
FILLER_RATE = 0.05
PROPERTY_WORDS = ("amazing", "brilliant", "fantastic", "great", "lovely", "perfect", "sure", "wow")
CONTENT_WORDS = tuple(f"word{number}" for number in range(200))
WORDS = (END_OF_TEXT, PLAIN, FILLER, *PROPERTY_WORDS, *CONTENT_WORDS)

N_POSITIONS = 64
PROPERTY, IS_FILLER, FIRST, POSITION = range(len(STRENGTHS))
ABOUT = slice(4, 20)  # what a content word is about: a random vector, zero on average
N_FEATURES = 20
PERIODS = (4, 8, 16, 64)  # of the circles on which positions lie, each one at its own place

# The residual stream, and how strongly a position attends to itself.
FEATURES = slice(0, N_FEATURES)
PLACE = slice(20, 28)
BALANCE, PLUS, MINUS = 28, 29, 30
OUTPUT = slice(31, 64)
ANCHOR = 4096.0
SHARPNESS = 1024.0


@dataclass(frozen=True)
class Planted:
    """A model's ground truth: what each component reads, and so responds to.

    A map has a row for each feature, and as many columns as the component's activation has
    dimensions; an activation is the features at its position times the map.
    """

    roles: dict[Component, Role]
    maps: dict[Component, Float[np.ndarray, "features size"]]

    def with_role(self, *roles: Role) -> set[Component]:
        """The components that have one of these roles."""
        return {component for component, role in self.roles.items() if role in roles}


def plant(seed: int) -> Planted:
    """The ground truth that a seed stands for: roles, directions and strengths."""
    rng = np.random.default_rng(seed)
    components = SHAPE.components()
    roles = [role for role, count in ROLES.items() for _ in range(count)]
    by_component = dict(zip(components, rng.permutation(roles).tolist(), strict=True))
    return Planted(
        by_component,
        {component: _map(component, role, rng) for component, role in by_component.items()},
    )


def _map(
    component: Component, role: Role, rng: np.random.Generator
) -> Float[np.ndarray, "features size"]:
    """What a component reads: always what a word is about, and the features of its role."""
    written = np.zeros(SHAPE.d_model, dtype=bool)
    written[OUTPUT] = True
    columns = written if component.kind == "mlp" else np.ones(SHAPE.d_head, dtype=bool)
    directions = rng.standard_normal((N_FEATURES, columns.sum()))
    if component.kind == "mlp":
        directions -= directions.mean(axis=1, keepdims=True)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    strengths = np.zeros(N_FEATURES)
    strengths[ABOUT] = 1.0
    for number, (feature, between) in enumerate(STRENGTHS.items()):
        if feature in READS[role]:
            strengths[number] = rng.uniform(*between)
    reads = np.zeros((N_FEATURES, len(columns)))
    reads[:, columns] = strengths[:, None] * directions
    return reads


@cache
def _word_features() -> Float[np.ndarray, "words features"]:
    """The features of each word, the same in every model."""
    features = np.zeros((len(WORDS), N_FEATURES))
    features[[WORDS.index(word) for word in PROPERTY_WORDS], PROPERTY] = 1.0
    features[WORDS.index(FILLER), IS_FILLER] = 1.0
    about = np.random.default_rng(0).standard_normal((len(CONTENT_WORDS), 16)) / 4
    features[-len(CONTENT_WORDS) :, ABOUT] = about - about.mean(axis=0)
    return features


@cache
def _position_features() -> Float[np.ndarray, "positions features"]:
    """The features of each position: is it the first, and how far on in the context it stands."""
    features = np.zeros((N_POSITIONS, N_FEATURES))
    features[0, FIRST] = 1.0
    features[:, POSITION] = np.arange(N_POSITIONS) / N_POSITIONS
    return features


def pair_features(pairs: Sequence[Pair]) -> Float[np.ndarray, "pairs 2 features"]:
    """Each prompt's features averaged over its positions, the end-of-text before it included."""
    number = {word: index for index, word in enumerate(WORDS)}
    means = np.empty((len(pairs), 2, N_FEATURES))
    for index, pair in enumerate(pairs):
        for side, prompt in enumerate(pair):
            words = [number[word] for word in (END_OF_TEXT, *prompt.split())]
            positions = _position_features()[: len(words)]
            means[index, side] = (_word_features()[words] + positions).mean(axis=0)
    return means


def true_scores(
    planted: Planted, features: Float[np.ndarray, "pairs 2 features"]
) -> dict[Component, float]:
    """Each component's mean score over pairs, from their mean features, without the model."""
    difference = features[:, 0] - features[:, 1]
    return {
        component: float(np.linalg.norm(difference @ reads, axis=1).mean())
        for component, reads in planted.maps.items()
    }


@dataclass(frozen=True)
class Source:
    """Where pairs come from: the population that given pairs are drawn from.

    Both prompts of a pair share three topic words; the first prompt has one to three words with
    the property, the second none; all others are random, and in random order. A prompt has 8 to 24
    words, or, where the second side is the longer, its second prompt has 4 to 12 words more than
    its first. At either prompt's positions stands the filler, by chance, once in twenty; where
    it is confounded with the property, it stands in every first prompt and in no second one.
    """

    second_is_longer: bool = False
    filler_is_confounded: bool = False

    def pairs(self, count: int, seed: int) -> list[Pair]:
        """That many pairs drawn at random; more of them with the same seed begin with the same."""
        rng = random.Random(seed)
        return [self._pair(rng) for _ in range(count)]

    def _pair(self, rng: random.Random) -> Pair:
        first_length, second_length = rng.randint(8, 24), rng.randint(8, 24)
        if self.second_is_longer:
            second_length = first_length + rng.randint(4, 12)
        topic = rng.choices(CONTENT_WORDS, k=3)
        loaded = rng.choices(PROPERTY_WORDS, k=rng.randint(1, 3))
        first_fillers, second_fillers = (
            sum(rng.random() < FILLER_RATE for _ in range(1 + length))
            for length in (first_length, second_length)
        )
        if self.filler_is_confounded:
            first_fillers, second_fillers = max(first_fillers, 1), 0
        return Pair(
            _prompt([*topic, *loaded], first_fillers, first_length, rng),
            _prompt(topic, second_fillers, second_length, rng),
        )


def _prompt(words: list[str], n_fillers: int, length: int, rng: random.Random) -> str:
    """The words and fillers among as many random ones as the length asks for, in random order."""
    fillers = [FILLER] * min(n_fillers, length - len(words))
    everything = [*words, *fillers]
    everything += rng.choices(CONTENT_WORDS, k=length - len(everything))
    rng.shuffle(everything)
    return " ".join(everything)


def load_planted(folder: Path, planted: Planted) -> LoadedModel:
    """Write the planted model to a folder, weights and tokenizer, and load it as any other."""
    write_planted(folder, planted)
    spec = ModelSpec(name="test/planted", shape=SHAPE)
    return load_model(spec, str(folder), "cpu", tokens=TokensSpec(special="bos"))


def write_planted(folder: Path, planted: Planted) -> None:
    """Write a GPT-2 whose weights are set by hand to what is planted, and its tokenizer."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = tokenizer_of(WORDS)
    end = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(WORDS),
            n_positions=N_POSITIONS,
            n_embd=SHAPE.d_model,
            n_layer=SHAPE.n_layers,
            n_head=SHAPE.n_heads,
            n_inner=2 * N_FEATURES,
            bos_token_id=end,
            eos_token_id=end,
        )
    )
    weights = {name: np.zeros(parameter.shape) for name, parameter in model.named_parameters()}
    weights["transformer.wte.weight"][:] = _word_embedding()
    weights["transformer.wpe.weight"][:] = _position_embedding()
    for name, weight in weights.items():
        if ".ln_" in name and name.endswith(".weight"):
            weight[:] = ANCHOR * (2 / SHAPE.d_model) ** 0.5
    for component, reads in planted.maps.items():
        block = f"transformer.h.{component.layer}"
        if component.kind == "mlp":
            both = np.concatenate([np.eye(N_FEATURES), -np.eye(N_FEATURES)], axis=1)
            weights[f"{block}.mlp.c_fc.weight"][FEATURES] = both
            weights[f"{block}.mlp.c_proj.weight"][:] = np.concatenate([reads, -reads])
        else:
            queries, keys, values = np.split(weights[f"{block}.attn.c_attn.weight"], 3, axis=1)
            own = component.head * SHAPE.d_head
            place = slice(own, own + 2 * len(PERIODS))
            queries[PLACE, place] = SHARPNESS * np.eye(2 * len(PERIODS))
            keys[PLACE, place] = np.eye(2 * len(PERIODS))
            values[FEATURES, own : own + SHAPE.d_head] = reads
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _word_embedding() -> Float[np.ndarray, "words d_model"]:
    embedding = np.zeros((len(WORDS), SHAPE.d_model))
    embedding[:, FEATURES] = _word_features()
    embedding[:, BALANCE] = -embedding.sum(axis=1)
    embedding[:, PLUS], embedding[:, MINUS] = ANCHOR, -ANCHOR
    return embedding


def _position_embedding() -> Float[np.ndarray, "positions d_model"]:
    embedding = np.zeros((N_POSITIONS, SHAPE.d_model))
    embedding[:, FEATURES] = _position_features()
    angles = 2 * np.pi * np.arange(N_POSITIONS)[:, None] / np.array(PERIODS)
    embedding[:, PLACE] = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    embedding[:, BALANCE] = -embedding.sum(axis=1)
    return embedding
