"""The pairs of the indirect-object task: what they differ in, and that nothing else tells.

A prompt names two people and begins its second clause with one of them, the subject; the answer is
the other, the indirect object. The rows go in fours, one four of each template: two sets of names,
each in both orders of mention.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import pytest

from replication.experiment.clusters import clusters_of
from replication.experiment.pairs import Pair
from tests.paths import FIXTURES
from tests.smollm2 import smollm2_tokenizer

TEMPLATES = 24
ROWS_OF_A_TEMPLATE = 4


def words(prompt: str) -> list[str]:
    return re.findall(r"\w+|[^\s\w]", prompt)


WOMEN = set(
    words(
        """
        Abigail Alice Amanda Amy Angela Ann Anna Barbara Beth Betty Catherine Christine Claire Clara
        Deborah Diana Dorothy Elizabeth Ella Ellen Emily Emma Eva Hannah Helen Isabella Jane Janet
        Jennifer Jenny Jessica Jill Joan Judy Julia Julie Karen Kate Kathleen Katie Laura Linda Lisa
        Lucy Margaret Maria Marie Martha Mary Maya Melissa Michelle Molly Monica Nancy Nicole Nina
        Olivia Patricia Rachel Rebecca Ruth Sally Sandra Sarah Sharon Sophie Stephanie Susan Teresa
        Vera Wendy
        """
    )
)
MEN = set(
    words(
        """
        Adam Alan Albert Alexander Andrew Anthony Arthur Ben Benjamin Bob Brian Bruce Carl Charles
        Christopher Craig Dan Daniel David Dennis Edward Eric Fred Gary George Greg Harry Henry Hugh
        James Jason Jerry Jim Joe John Joseph Keith Kenneth Kevin Larry Louis Luke Martin Matthew
        Michael Mike Nathan Neil Nick Oliver Oscar Patrick Paul Peter Philip Ralph Richard Robert
        Roger Ronald Ryan Samuel Sean Simon Steve Steven Thomas Tim Todd Tom Walter William
        """
    )
)
NAMES = WOMEN | MEN


class Row(NamedTuple):
    clean: str
    third_name: str
    exchanged: str
    right: str
    wrong: str
    template: str

    @property
    def prompts(self) -> tuple[str, str, str]:
        return self.clean, self.third_name, self.exchanged

    @property
    def subject(self) -> str:
        return self.wrong.removeprefix(" ")

    @property
    def indirect_object(self) -> str:
        return self.right.removeprefix(" ")

    @property
    def again(self) -> int:
        """The place among the words at which the subject is named again."""
        return len(words(self.clean)) - 1 - words(self.clean)[::-1].index(self.subject)

    @property
    def third(self) -> str:
        return words(self.third_name)[self.again]

    @property
    def object_comes_first(self) -> bool:
        named = words(self.clean)
        return named.index(self.indirect_object) < named.index(self.subject)

    @property
    def roles(self) -> tuple[bool, bool, bool]:
        """Whether the subject, the indirect object and the third name are women's."""
        return self.subject in WOMEN, self.indirect_object in WOMEN, self.third in WOMEN


def read_rows(experiment: str) -> list[Row]:
    with (FIXTURES / experiment / "pairs.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    assert tuple(header) == Row._fields
    return [Row(*row) for row in rows]


ROWS = read_rows("ioi-smollm2")
SHORT = read_rows("ioi-smollm2-short")
FOURS = [
    ROWS[start : start + ROWS_OF_A_TEMPLATE] for start in range(0, len(ROWS), ROWS_OF_A_TEMPLATE)
]


def tokens(prompt: str) -> list[str]:
    return list(smollm2_tokenizer().tokenize(prompt))


def sentence(prompt: str) -> tuple[str, ...]:
    """Its words, whoever is named."""
    return tuple("NAME" if word in NAMES else word for word in words(prompt))


def differing_places(one: Sequence[str], other: Sequence[str]) -> list[int]:
    return [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]


def test_each_template_has_four_rows_in_a_row() -> None:
    assert [len({row.template for row in four}) for four in FOURS] == [1] * TEMPLATES
    assert set(Counter(row.template for row in ROWS).values()) == {ROWS_OF_A_TEMPLATE}


def test_each_template_is_one_sentence_of_its_own() -> None:
    by_template = {(row.template, sentence(prompt)) for row in ROWS for prompt in row.prompts}
    assert len(by_template) == TEMPLATES
    assert len({text for _, text in by_template}) == TEMPLATES


def test_the_prompts_are_plain_text_that_an_answer_follows() -> None:
    """A tokenizer cuts curly quotes and stray spaces in its own way."""
    for row in ROWS:
        for prompt in row.prompts:
            assert re.fullmatch(r"[A-Z][a-z]*(,? [A-Za-z]+)+ (to|for)", prompt), prompt
        assert (row.right, row.wrong) == (f" {row.indirect_object}", f" {row.subject}")


def test_the_sentences_begin_in_many_ways_and_are_of_many_lengths() -> None:
    firsts = Counter(words(four[0].clean)[0] for four in FOURS)
    assert max(firsts.values()) <= TEMPLATES / 12
    lengths = Counter(len(tokens(four[0].clean)) for four in FOURS)
    assert len(lengths) >= 6
    assert min(lengths) >= 13
    assert max(lengths) <= 20
    assert max(lengths.values()) <= TEMPLATES / 3


def test_both_people_are_named_before_the_subject_is_named_again() -> None:
    for row in ROWS:
        named = [word for word in words(row.clean) if word in NAMES]
        assert sorted(named[:2]) == sorted([row.subject, row.indirect_object]), row
        assert named[2:] == [row.subject], row


def test_a_counterpart_differs_in_who_is_named_again_alone() -> None:
    for row in ROWS:
        for counterpart in (row.third_name, row.exchanged):
            assert differing_places(words(row.clean), words(counterpart)) == [row.again], row
        assert words(row.exchanged)[row.again] == row.indirect_object
        assert row.third in NAMES - {row.subject, row.indirect_object}


def test_both_sets_of_names_of_a_template_stand_in_both_orders() -> None:
    for four in FOURS:
        for one, other in (four[:2], four[2:]):
            assert (one.right, one.wrong, one.third) == (other.right, other.wrong, other.third)
            assert one.object_comes_first
            assert not other.object_comes_first


def test_no_name_stands_in_two_sets() -> None:
    held = Counter(
        name for row in ROWS[::2] for name in (row.subject, row.indirect_object, row.third)
    )
    assert set(held) == NAMES
    assert set(held.values()) == {1}


def test_women_and_men_are_in_every_role_with_one_another_equally_often() -> None:
    every = list(product([False, True], repeat=3))
    assert WOMEN.isdisjoint(MEN)
    assert Counter(row.roles for row in ROWS) == dict.fromkeys(every, len(ROWS) / len(every))


def test_a_template_has_a_woman_and_a_man_in_each_role() -> None:
    for four in FOURS:
        assert all(a != b for a, b in zip(four[0].roles, four[2].roles, strict=True)), four


def test_the_prompts_of_a_row_have_as_many_tokens() -> None:
    for row in ROWS:
        assert len({len(tokens(prompt)) for prompt in row.prompts}) == 1, row


def test_every_name_is_one_token() -> None:
    for row in ROWS:
        for prompt in row.prompts:
            whole = [token for token in tokens(prompt) if token.removeprefix("Ġ") in NAMES]
            assert whole == [f"Ġ{word}" for word in words(prompt) if word in NAMES], prompt


def test_either_answer_is_one_token_behind_every_prompt() -> None:
    for row in ROWS:
        for prompt in row.prompts:
            for name in (row.subject, row.indirect_object):
                assert tokens(f"{prompt} {name}") == [*tokens(prompt), f"Ġ{name}"], prompt


@pytest.mark.parametrize("counterpart", ["third_name", "exchanged"])
def test_the_templates_are_the_clusters(counterpart: str) -> None:
    pairs = [Pair(row.clean, getattr(row, counterpart)) for row in ROWS]
    expected = [number // ROWS_OF_A_TEMPLATE for number in range(len(ROWS))]
    assert clusters_of(pairs, [row.template for row in ROWS]).tolist() == expected


def test_no_prompt_appears_twice() -> None:
    """So no pair does either, whichever of its prompts comes first."""
    assert len({prompt for row in ROWS for prompt in row.prompts}) == 3 * len(ROWS)


def test_the_short_rows_are_one_of_each_of_the_first_templates() -> None:
    """Of eight templates the first set of names, then of eight the second one, in turned order."""
    chosen = [[0, 1], [2, 3]]
    expected = [four[chosen[number // 8][number % 2]] for number, four in enumerate(FOURS[:16])]
    assert expected == SHORT


def test_the_short_rows_are_balanced_too() -> None:
    assert Counter(row.object_comes_first for row in SHORT) == {True: 8, False: 8}
    assert set(Counter(row.roles for row in SHORT).values()) == {2}
    assert len({row.roles for row in SHORT}) == 8


# Common names, each of which is one token to GPT-2; its tokenizer is not at hand on every machine,
# and a run of the behaviour refuses one that is not.
OF_GPT2 = set(
    words(
        """
        Alexander Alice Amy Andrew Anna Anthony Benjamin Brandon Brian Charles Dan Daniel David
        Edward Elizabeth Emily Eric Frank Gary George Jack Jacob James Jason Jeff Jennifer Jessica
        John Jonathan Justin Kate Kelly Kevin Laura Lisa Mark Martin Mary Matthew Michael Michelle
        Patrick Paul Rachel Rebecca Richard Robert Ryan Samuel Sarah Scott Stephen Steven Thomas Tom
        William
        """
    )
)


def test_the_rows_for_gpt2_are_the_same_sentences_about_others() -> None:
    path = FIXTURES / "ioi-gpt2-agent" / "pairs.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["template"] for row in rows] == [row.template for row in ROWS[::2]]
    for row, known in zip(rows, ROWS[::2], strict=True):
        subject, indirect_object = row["metadata"]["subject"], row["metadata"]["indirect_object"]
        assert (row["choices"], row["answerKey"]) == ([f" {indirect_object}", f" {subject}"], 0)
        prompt, abc, flipped = (
            words(one["prompt"])
            for one in (row, row["abc_counterfactual"], row["s2_io_flip_counterfactual"])
        )
        named = [word for word in prompt if word in OF_GPT2]
        assert sorted(named) == sorted([subject, subject, indirect_object])
        assert named[2] == subject
        assert ["NAME" if word in OF_GPT2 else word for word in prompt] == list(
            sentence(known.clean)
        )
        others = [abc[place] for place in differing_places(prompt, abc)]
        assert len({subject, indirect_object, *others}) == 5
        assert set(others) <= OF_GPT2
        (place,) = differing_places(prompt, flipped)
        assert (prompt[place], flipped[place]) == (subject, indirect_object)
    assert len({row["prompt"] for row in rows}) == len(rows)


def test_both_experiments_on_gpt2_have_the_same_rows() -> None:
    one, other = (FIXTURES / name / "pairs.jsonl" for name in ("ioi-gpt2-agent", "ioi-wang-2022"))
    assert one.read_bytes() == other.read_bytes()
