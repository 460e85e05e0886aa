"""Clusters: which pairs hang together, so that they count as one observation and not as many.

Prompts are nodes and pairs are edges between them; prompts that are nearly the same text are
linked as well, and so are the pairs of one group that their author states. A cluster is what hangs
together by that: the pairs of a connected component.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int64

from replication.experiment.pairs import Pair

# The same text but for a few tokens: at least this share of the longer text's tokens stands in the
# other one too, in this order. Of four words one may differ, of twelve three: what a template with
# a slot or two gives, where sentences by hand seldom share half.
NEARLY_THE_SAME = 0.75
# Words, or single characters of scripts that put no space between words; and every other sign.
_SPACELESS = "\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f"
_TOKEN = re.compile(rf"[{_SPACELESS}]|[^\W{_SPACELESS}]+|[^\w\s]")


def tokens_of(text: str) -> list[str]:
    """The words and the other signs of a text, in lower case."""
    return _TOKEN.findall(text.lower())


def clusters_of(
    pairs: Sequence[Pair], groups: Sequence[str | None] | None = None
) -> Int64[np.ndarray, " pairs"]:
    """Each pair's cluster, numbered from 0 in the order in which they begin.

    `groups` are the names that the author gave to pairs that belong together; None for none.
    """
    links = _Links(2 * len(pairs))
    for number in range(len(pairs)):
        links.join(2 * number, 2 * number + 1)
    first_of: dict[str, int] = {}
    for number, group in enumerate(groups or ()):
        if group is not None:
            links.join(2 * first_of.setdefault(group, number), 2 * number)
    _join_alike([tokens_of(prompt) for pair in pairs for prompt in pair], links)
    numbers: dict[int, int] = {}
    roots = (links.root(2 * number) for number in range(len(pairs)))
    return np.array([numbers.setdefault(root, len(numbers)) for root in roots], dtype=np.int64)


def count_of(clusters: Int64[np.ndarray, " pairs"]) -> int:
    """How many clusters there are."""
    return int(clusters.max()) + 1


class _Links:
    """What is joined with what (Tarjan 1975, with path halving)."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def root(self, node: int) -> int:
        while self._parents[node] != node:
            self._parents[node] = node = self._parents[self._parents[node]]
        return node

    def join(self, one: int, other: int) -> None:
        one, other = sorted((self.root(one), self.root(other)))
        self._parents[other] = one


def _join_alike(texts: Sequence[Sequence[str]], links: _Links) -> None:
    """Join the texts that are nearly the same."""
    for number, earlier in _candidates(texts):
        if links.root(number) == links.root(earlier):
            continue
        longer = max(len(texts[number]), len(texts[earlier]))
        if in_common(texts[number], texts[earlier]) >= NEARLY_THE_SAME * longer:
            links.join(number, earlier)


def _candidates(texts: Sequence[Sequence[str]]) -> Iterator[tuple[int, int]]:
    """Every text with each earlier one that may be nearly the same.

    Two texts that share so many tokens share one of the rarest few of each (the prefix filter of
    Chaudhuri, Ganti and Kaushik 2006), so that only those are looked at.
    """
    numbered = [_numbered(text) for text in texts]
    counts = Counter(token for text in numbered for token in text)
    seen: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number, text in enumerate(numbered):
        rarest = sorted(text, key=lambda token: (counts[token], token))
        few = rarest[: len(text) - math.ceil(NEARLY_THE_SAME * len(text)) + 1]
        for earlier in sorted({other for token in few for other in seen[token]}):
            yield number, earlier
        for token in few:
            seen[token].append(number)


def _numbered(text: Sequence[str]) -> list[tuple[str, int]]:
    """A text's tokens, each with how often it stood there before."""
    seen = Counter[str]()
    numbered = []
    for token in text:
        numbered.append((token, seen[token]))
        seen[token] += 1
    return numbered


def in_common(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest sequence that stands in both, in order (Hyyrö 2004)."""
    places: dict[str, int] = defaultdict(int)
    for place, token in enumerate(one):
        places[token] |= 1 << place
    free = whole = (1 << len(one)) - 1
    for token in other:
        matched = free & places[token]
        free = (free + matched | free - matched) & whole
    return len(one) - free.bit_count()
