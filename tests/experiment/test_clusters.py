from __future__ import annotations

import random
from difflib import SequenceMatcher
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.experiment.clusters import (
    NEARLY_THE_SAME,
    clusters_of,
    count_of,
    in_common,
    tokens_of,
)
from replication.experiment.pairs import Pair

LONG = "the quick brown fox jumps over the lazy dog near the old river bank"


def clusters(*pairs: tuple[str, str], groups: list[str | None] | None = None) -> list[int]:
    found: list[int] = clusters_of([Pair(*pair) for pair in pairs], groups).tolist()
    return found


def test_pairs_of_different_texts_are_clusters_of_their_own() -> None:
    assert clusters(("a b c d", "e f g h"), ("i j k l", "m n o p")) == [0, 1]


def test_pairs_that_share_a_prompt_on_either_side_hang_together() -> None:
    assert clusters(("a", "b"), ("c", "d"), ("e", "b"), ("c", "f"), ("b", "g")) == [0, 1, 0, 1, 0]


def test_prompts_crossed_with_each_other_are_one() -> None:
    first, second = (["a", "b", "c"], ["d", "e", "f"])
    assert set(clusters(*((one, other) for one in first for other in second))) == {0}


def test_pairs_of_a_stated_group_are_one_and_others_are_not() -> None:
    pairs = [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")]
    assert clusters(*pairs, groups=["x", "y", "x", None]) == [0, 1, 0, 2]


@pytest.mark.parametrize(("changed", "is_one"), [(0, True), (3, True), (4, False)])
def test_a_text_is_nearly_the_same_if_a_quarter_of_its_tokens_differs_at_most(
    changed: int, is_one: bool
) -> None:
    words = LONG.split()
    for place in range(changed):
        words[3 * place] = f"other{place}"
    found = clusters((LONG, "a b c d"), (" ".join(words), "e f g h"))
    assert (found == [0, 0]) is is_one


def test_words_in_another_order_are_another_text() -> None:
    backwards = " ".join(reversed(LONG.split()))
    assert clusters((LONG, "a b c d"), (backwards, "e f g h")) == [0, 1]


def test_case_and_space_make_no_other_text() -> None:
    assert tokens_of("Oh  GREAT, it's 7 o'clock!") == tokens_of("oh great , it's 7 o'clock !")
    assert tokens_of("また雨だ") == ["ま", "た", "雨", "だ"]


def test_templates_with_a_slot_are_one_cluster_each() -> None:
    words = [f"slot{number}" for number in range(40)]
    templates = [
        "i went to the {} with my whole family on the first of may",
        "nobody told her that {} would be so hard to find in that town",
    ]
    pairs = [
        (f"free{n} text{n} of{n} its{n} own{n}", templates[n % 2].format(words[n]))
        for n in range(40)
    ]
    assert clusters(*pairs) == [0, 1] * 20


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=9), min_size=2, max_size=8)
)
def test_what_is_found_is_what_every_two_texts_compared_would_give(texts: list[list[str]]) -> None:
    """Against plain loops over all pairs of texts, and a table of longest common sequences."""

    def longest(one: list[str], other: list[str]) -> int:
        table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
        for i, a in enumerate(one):
            for j, b in enumerate(other):
                table[i + 1][j + 1] = (
                    table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
                )
        return table[-1][-1]

    pairs = [(" ".join(text), f"own{n} own{n} text{n} text{n}") for n, text in enumerate(texts)]
    parent = list(range(len(texts)))
    for one, other in combinations(range(len(texts)), 2):
        common = longest(texts[one], texts[other])
        assert in_common(texts[one], texts[other]) == common
        if common >= NEARLY_THE_SAME * max(len(texts[one]), len(texts[other])):
            joined = {parent[one], parent[other]}
            parent = [min(joined) if root in joined else root for root in parent]
    numbers = {root: place for place, root in enumerate(dict.fromkeys(parent))}
    assert clusters(*pairs) == [numbers[root] for root in parent]


def test_thousands_of_texts_are_compared_in_no_time() -> None:
    draw = random.Random(0)
    words = [f"word{number}" for number in range(3000)]
    pairs = [
        Pair(" ".join(draw.choices(words, k=15)), " ".join(draw.choices(words, k=15)))
        for _ in range(2000)
    ]
    assert count_of(clusters_of(pairs)) == 2000
    one, other = pairs[0].first.split(), pairs[1].first.split()
    assert in_common(one, other) >= SequenceMatcher(a=one, b=other).find_longest_match().size
