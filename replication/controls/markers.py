"""Markers: what tells the sides apart in these prompts, whatever they mean.

A component that hears a comma is no detector of sarcasm, though every sarcastic prompt begins with
"Oh great,". Nothing but other prompts can tell the two apart: the mark with the property and
without it, the property with the mark and without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from replication.controls.property import length_terms, shares_of
from replication.controls.thresholds import THRESHOLDS
from replication.experiment.clusters import tokens_of
from replication.experiment.pairs import Pair

Shares = tuple[float, float]


@dataclass(frozen=True)
class Marker:
    """A mark that tells the sides apart: on which share of the prompts of either side it stands."""

    mark: str
    shares: Shares
    sides: tuple[str, str]

    @property
    def described(self) -> str:
        """What it is, and where it stands."""
        (one, other), (here, there) = self.sides, self.shares
        return f"{self.mark} on {here:.0%} of the {one} prompts and {there:.0%} of the {other} ones"

    @property
    def design(self) -> str:
        """The prompts that would tell it from the property."""
        one, other = self.sides
        return f"{one} and {other} prompts, each with and without {self.mark}"


def markers(
    pairs: Sequence[Pair],
    token_lengths: Int64[np.ndarray, "pairs 2"],
    clusters: Int64[np.ndarray, " pairs"],
    sides: tuple[str, str],
) -> list[Marker]:
    """What tells the sides apart, the clearest first.

    A first word, a punctuation mark, a capital, any word, or a length: present on most prompts of
    one side and on few of the other, where a repeated prompt is no other one; or so much more often
    on one side that a component that hears it alone has a share as a specific one.
    """
    marks = {text: _marks(text) for pair in pairs for text in pair}
    found = [*_of_texts(pairs, marks), *_of_lengths(token_lengths)]
    most, least = THRESHOLDS.marker_present.value, THRESHOLDS.marker_absent.value
    enough = _enough_alone(
        [(marks[one], marks[other]) for one, other in pairs], token_lengths, clusters
    )
    telling = [
        Marker(mark, shares, sides)
        for mark, shares in found
        if (max(shares) >= most and min(shares) <= least) or mark in enough
    ]
    return sorted(telling, key=lambda one: (-abs(one.shares[0] - one.shares[1]), one.mark))


def _of_texts(pairs: Sequence[Pair], marks: Mapping[str, set[str]]) -> Iterator[tuple[str, Shares]]:
    """Every mark that stands on some prompt, and its shares of the prompts of either side."""
    texts = [list(dict.fromkeys(side)) for side in zip(*pairs, strict=True)]
    first, second = (Counter(mark for text in side for mark in marks[text]) for side in texts)
    for mark in dict.fromkeys([*first, *second]):
        yield mark, (first[mark] / len(texts[0]), second[mark] / len(texts[1]))


def _enough_alone(
    heard: Sequence[tuple[set[str], set[str]]],
    token_lengths: Int64[np.ndarray, "pairs 2"],
    clusters: Int64[np.ndarray, " pairs"],
) -> set[str]:
    """The marks of which a component that hears nothing else has the share of a specific one.

    `heard` are those on either prompt of each pair.
    """
    first, second = Counter[str](), Counter[str]()
    for one, other in heard:
        first.update(one - other)
        second.update(other - one)
    least = THRESHOLDS.property_share.value
    # The share is no larger than the difference is; clusters may count for more than their pairs.
    likely = [
        mark
        for mark in dict.fromkeys([*first, *second])
        if abs(first[mark] - second[mark]) > least / 2 * len(heard)
    ]
    if not likely:
        return set()
    differences = [
        np.array([[float(mark in one) - (mark in other)] for one, other in heard])
        for mark in likely
    ]
    _, low, _ = shares_of(differences, length_terms(token_lengths), clusters)
    return {mark for mark, end in zip(likely, low, strict=True) if end > least}


def _marks(text: str) -> set[str]:
    """What stands on a prompt: each of its words and signs, its first one, and capitals."""
    tokens = tokens_of(text)
    marks = {f"{token!r}" for token in tokens}
    if tokens:
        marks.add(f"{tokens[0]!r} in front")
    words = text.split()
    if words and words[0][0].isupper():
        marks.add("a capital in front")
    if any(word[0].isupper() for word in words[1:]):
        marks.add("a capital further on")
    if any(len(word) > 1 and word.isupper() for word in words):
        marks.add("a word in capitals")
    return marks


def _of_lengths(token_lengths: Int64[np.ndarray, "pairs 2"]) -> Iterator[tuple[str, Shares]]:
    """The length that tells the sides apart best."""
    lengths = np.unique(token_lengths)[:-1]
    if not len(lengths):
        return
    shares = (token_lengths[None] > lengths[:, None, None]).mean(axis=1)
    best = int(np.abs(shares[:, 0] - shares[:, 1]).argmax())
    one, other = shares[best].tolist()
    yield f"more than {lengths[best]} tokens", (one, other)
