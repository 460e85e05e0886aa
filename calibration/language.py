"""A made-up language: prompts as words, and what a made-up model's latents make of them.

A position's latents are the tanh of its word's vector and of the mood of the whole prompt, less
what they are on average: what a prompt means is 0 over all prompts, whatever its length, unless a
prompt is told to shift. Equal texts mean the same wherever their moods and shifts are equal, which
the writers of prompts see to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Int

from replication.experiment.pairs import Pair

WIDTH = 32  # words in the longest prompt there may be
MARK = "!"
_N_WORDS = 400
_TOPIC_WORDS = 6
_ON_TOPIC = 0.3  # of the words
_CHUNK = 1000  # pairs whose positions are held at once


@dataclass(frozen=True)
class Source:
    """Random numbers by name: each array has a stream of its own, so longer ones begin alike."""

    path: tuple[str | int, ...]

    def __call__(self, name: str) -> np.random.Generator:
        digest = blake2b(repr((*self.path, name)).encode(), digest_size=16).digest()
        return np.random.default_rng(int.from_bytes(digest, "big"))

    def under(self, name: str) -> Source:
        """Another source, with streams of its own."""
        return Source((*self.path, name))


@dataclass(frozen=True)
class Language:
    """Words, how often they are used, and what they mean; `mood` is the moods' spread.

    `typical` is the mean of a position's latents over words and moods.
    """

    words: tuple[str, ...]
    cumulated: Float[np.ndarray, " words"]
    vectors: Float[np.ndarray, "words latents"]
    spectrum: Float[np.ndarray, " latents"]
    mood: float
    typical: Float[np.ndarray, " latents"]

    @property
    def latents(self) -> int:
        """The dimensions of what is meant."""
        return len(self.spectrum)

    def sampled(self, uniform: Float[np.ndarray, "*batch"]) -> Int[np.ndarray, "*batch"]:
        """A word, by its number, for each number between 0 and 1."""
        return np.searchsorted(self.cumulated, uniform, side="right")


@dataclass(frozen=True)
class Prompts:
    """Pairs of prompts as they are written, and what sets each one apart.

    What a prompt means is `spread * (mean latents + shift)`. `front` multiplies the activation of
    the first position, `strength` is that of the property in a pair's first prompt, and `marked`
    prompts end in the mark.
    """

    words: Int[np.ndarray, "pairs 2 width"]
    lengths: Int[np.ndarray, "pairs 2"]
    mood: Float[np.ndarray, "pairs 2 latents"]
    shift: Float[np.ndarray, "pairs 2 latents"]
    spread: Float[np.ndarray, "pairs 2"]
    front: Float[np.ndarray, "pairs 2"]
    strength: Float[np.ndarray, " pairs"]
    marked: Bool[np.ndarray, "pairs 2"]
    groups: list[str] | None = None


@lru_cache(maxsize=32)
def language(number: int, latents: int, decay: float, mood: float) -> Language:
    """One of many languages; each latent's scale is `decay` times that of the one before."""
    source = Source(("language", number, latents))
    syllables = [one + other for one, other in product("bdfgklmnprst", "aeiou")]
    spelt = [one + other for one, other in product(syllables, syllables)]
    chosen = source("spelling").choice(len(spelt), _N_WORDS, replace=False)
    usage = 1 / (np.arange(_N_WORDS) + 3.0)
    usage /= usage.sum()
    vectors = source("vectors").standard_normal((_N_WORDS, latents))
    spectrum = decay ** np.arange(latents)
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)
    moods = mood * np.sqrt(2) * nodes  # a prompt's own mood and its pair's together
    means = np.tanh(vectors[..., None] + moods) @ (weights / weights.sum())
    return Language(
        tuple(spelt[index] for index in chosen),
        np.cumsum(usage)[:-1],
        vectors,
        spectrum,
        mood,
        usage @ means * spectrum,
    )


def written(source: Source, language: Language, lengths: Int[np.ndarray, "pairs 2"]) -> Prompts:
    """Independent pairs of the lengths given, each with words and a mood that its sides share."""
    n_pairs = len(lengths)
    topics = language.sampled(source("topics").random((n_pairs, _TOPIC_WORDS)))
    words = language.sampled(source("words").random((n_pairs, 2, WIDTH)))
    which = source("which").integers(_TOPIC_WORDS, size=words.shape)
    on_topic = source("on topic").random(words.shape) < _ON_TOPIC
    words = np.where(on_topic, topics[np.arange(n_pairs)[:, None, None], which], words)
    shared = source("shared mood").standard_normal((n_pairs, 1, language.latents))
    own = source("own mood").standard_normal((n_pairs, 2, language.latents))
    return Prompts(
        words,
        lengths,
        mood=language.mood * (shared + own),
        shift=np.zeros(own.shape),
        spread=np.ones((n_pairs, 2)),
        front=np.ones((n_pairs, 2)),
        strength=source("strength").uniform(0.6, 1.4, n_pairs),
        marked=np.zeros((n_pairs, 2), dtype=np.bool_),
    )


def reworded(source: Source, language: Language, prompts: Prompts) -> Int[np.ndarray, "pairs 2 w"]:
    """The prompts' words after one or two in each prompt became others."""
    words = prompts.words.copy()
    twice = source("twice").random(prompts.lengths.shape) < 0.5
    for name, meant in (("first", np.ones_like(twice)), ("second", twice)):
        place = (source(f"{name} place").random(twice.shape) * prompts.lengths).astype(np.int64)
        at = (*np.nonzero(meant), place[meant])
        new = language.sampled(source(f"{name} word").random(twice.shape))[meant]
        words[at] = np.where(new == words[at], (new + 1) % _N_WORDS, new)
    return words


def meaning(language: Language, prompts: Prompts) -> Float[np.ndarray, "pairs 2 latents"]:
    """What each prompt means: its latents averaged over the positions of its text."""
    mean = np.concatenate([*_mean_latents(language, prompts)])
    return np.asarray(prompts.spread[..., None] * (mean - language.typical + prompts.shift))


def _mean_latents(
    language: Language, prompts: Prompts
) -> Iterator[Float[np.ndarray, "pairs 2 latents"]]:
    for start in range(0, len(prompts.lengths), _CHUNK):
        part = slice(start, start + _CHUNK)
        lengths = prompts.lengths[part, :, None]
        width = int(lengths.max())
        states = language.vectors[prompts.words[part, :, :width]]
        states += prompts.mood[part, :, None]
        np.tanh(states, out=states)
        weights = (np.arange(width) < lengths) / lengths
        yield (weights[:, :, None] @ states)[:, :, 0] * language.spectrum


def texts(language: Language, prompts: Prompts) -> list[Pair]:
    """The prompts as texts; a mark of punctuation is part of the word that it follows."""
    return [
        Pair(
            *(
                _text(language, words[:length], bool(marked))
                for words, length, marked in zip(*sides, strict=True)
            )
        )
        for sides in zip(prompts.words.tolist(), prompts.lengths, prompts.marked, strict=True)
    ]


def _text(language: Language, words: list[int], marked: bool) -> str:
    body = [
        language.words[word] + ("," if place % 3 == 2 and word % 3 == 0 else "")
        for place, word in enumerate(words[:-1])
    ]
    end = MARK if marked else ".?"[words[0] % 2]
    return " ".join([*body, language.words[words[-1]] + end])
