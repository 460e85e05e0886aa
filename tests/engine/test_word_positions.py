"""Words: the token that a named position is, in whatever way the prompt is put to the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoTokenizer

from replication.engine.tokens import SeenTokens, Tokenizer, load_tokenizer
from replication.engine.words import from_to, in_words, position_problems, token_positions
from replication.experiment.attention import AttentionTable, PositionSpec
from replication.experiment.pairs import Pair, Row
from replication.experiment.spec import Special, TokensSpec
from replication.inputs.files import InputError
from tests.gpt2 import make_gpt2

TEXTS = ["When Mary and John met, John gave it to Mary", "Johnson saw John's cat, not John"] * 6
TEMPLATE = "{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}\n{% endfor %}John:"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gpt2(tmp_path_factory.mktemp("words"), texts=TEXTS)


def reading(folder: Path, special: Special = "bos", *, chat: bool = False) -> Tokenizer:
    spec = TokensSpec(chat_template=True) if chat else TokensSpec(special=special)
    found = load_tokenizer(folder, AutoConfig.from_pretrained(folder), spec)
    if chat:
        found.own.chat_template = TEMPLATE
    return found


def row(prompt: str, *words: str) -> Row:
    return Row(Pair(prompt, "another"), answers={"word": words})


def word(occurrence: int | str) -> PositionSpec:
    return PositionSpec.model_validate({"word": "word", "occurrence": occurrence})


def found_in(tokenizer: Tokenizer, prompt: str, text: str, occurrence: int | str) -> str:
    """The token that the word's position is, with as much of the prompt as stands before it."""
    place = token_positions(tokenizer, row(prompt, text), {"W": word(occurrence)})["W"]
    tokens = tokenizer.read(prompt)
    before = str(tokenizer.own.decode(tokens.ids[tokens.text.start : place]))
    return f"{before}|{tokenizer.shown([tokens.ids[place]])[0]}"


def refusal(tokenizer: Tokenizer, prompt: str, words: tuple[str, ...], which: int | str) -> str:
    with pytest.raises(InputError) as caught:
        token_positions(tokenizer, row(prompt, *words), {"W": word(which)})
    return str(caught.value)


@pytest.mark.parametrize(
    ("prompt", "text", "occurrence", "expected"),
    [
        (TEXTS[0], "John", 1, "When Mary and| John"),
        (TEXTS[0], " John", 2, "When Mary and John met,| John"),
        (TEXTS[0], "John", "last", "When Mary and John met,| John"),
        (TEXTS[0], "Mary", "last", "When Mary and John met, John gave it to| Mary"),
        (TEXTS[0], "When", 1, "|When"),
        (TEXTS[1], "John", 1, "Johnson saw| John"),
        (TEXTS[1], "John", "last", "Johnson saw John's cat, not| John"),
    ],
)
@pytest.mark.parametrize("special", ["bos", "none", "tokenizer"])
def test_a_word_is_found_by_its_whole_words(
    folder: Path, special: Special, prompt: str, text: str, occurrence: int | str, expected: str
) -> None:
    assert found_in(reading(folder, special), prompt, text, occurrence) == expected


@pytest.mark.parametrize("prompt", [TEXTS[0], f"  {TEXTS[0]} "])
def test_a_template_does_not_count_and_does_not_move_a_word(folder: Path, prompt: str) -> None:
    tokenizer = reading(folder, chat=True)
    for occurrence, before in ((1, "When Mary and"), ("last", "When Mary and John met,")):
        found = found_in(tokenizer, prompt, "John", occurrence)
        assert found.strip() == f"{before}| John"


@pytest.mark.parametrize("chat", [False, True])
def test_the_last_position_is_the_last_token_that_the_model_sees(folder: Path, chat: bool) -> None:
    tokenizer = reading(folder, chat=chat)
    found = token_positions(tokenizer, row(TEXTS[0], "John"), {"END": PositionSpec(last=True)})
    assert found == {"END": len(tokenizer.read(TEXTS[0]).ids) - 1}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["John", "Mary", "met", "Johnson", "to", "é"]), min_size=1), st.data()
)
def test_every_occurrence_is_a_token_of_the_word_in_the_texts_order(
    folder: Path, words: list[str], data: Any
) -> None:
    which = data.draw(st.integers(1, max(1, words.count("John"))))
    tokenizer, prompt = reading(folder), "and " + " ".join(words)
    if "John" not in words:
        assert "stands 0 times" in refusal(tokenizer, prompt, ("John",), which)
        return
    before, _, token = found_in(tokenizer, prompt, "John", which).partition("|")
    places = [place for place, one in enumerate(words) if one == "John"]
    assert before == " ".join(["and", *words[: places[which - 1]]])
    assert token == " John"


def test_a_word_that_is_not_there_is_refused_with_how_often_it_is(folder: Path) -> None:
    tokenizer = reading(folder)
    message = refusal(tokenizer, TEXTS[0], ("John",), 3)
    assert message.startswith("W: the word 'John' stands 2 times in the prompt 'When Mary")
    assert message.endswith("number 3 is asked for")
    assert "stands 0 times" in refusal(tokenizer, TEXTS[0], ("Joh",), "last")


def test_a_word_of_several_tokens_is_refused_with_them(folder: Path) -> None:
    message = refusal(reading(folder), "and Xyz met John", ("Xyz",), 1)
    assert message == (
        "W: the word 'Xyz' is 3 tokens in the prompt 'and Xyz met John', and a position is one:"
        " 'X' 'y' 'z'"
    )


def test_several_words_are_refused(folder: Path) -> None:
    message = refusal(reading(folder), TEXTS[0], ("John", "Mary"), 1)
    assert message == "W: word: expected one word, found 2"


class SlowTokenizer:
    """A tokenizer that refuses to say which characters a token stands for, as slow ones do."""

    def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
        if options.get("return_offsets_mapping"):
            raise NotImplementedError
        return {"input_ids": [len(word) for word in text.split()]}


def test_a_tokenizer_that_does_not_know_characters_is_refused() -> None:
    own: Any = SlowTokenizer()
    tokenizer = Tokenizer(own, TokensSpec(special="none"), "0", None, 100)
    assert "which characters a token stands for" in refusal(tokenizer, "john met", ("john",), 1)


TABLES = {"mover": AttentionTable.model_validate({"from": "END", "to": "IO"})}


def test_a_decoder_looks_back_and_an_encoder_wherever_it_wants() -> None:
    assert from_to({"END": 9, "IO": 2}, TABLES, is_causal=True) == [(9, 2)]
    assert from_to({"END": 2, "IO": 9}, TABLES, is_causal=False) == [(2, 9)]
    with pytest.raises(InputError, match=r"mover: .* IO, token 9, stands behind END, token 2"):
        from_to({"END": 2, "IO": 9}, TABLES, is_causal=True)
    with pytest.raises(InputError, match="mover: END and IO are the same token, 4"):
        from_to({"END": 4, "IO": 4}, TABLES, is_causal=False)


def test_problems_name_their_pair(folder: Path) -> None:
    rows = [row(TEXTS[0], "John"), row("No one", "John"), row(TEXTS[0], "Xy")]
    found = list(position_problems(reading(folder), rows, {"W": word(2)}))
    assert [one.partition(": the word")[0] for one in found] == ["pair 2: W", "pair 3: W"]


def test_positions_are_said_with_their_tokens() -> None:
    seen = SeenTokens(first_pair=(["<s>", " a", " b"], ["x"]), added=(1, 0), ids_sha256="0" * 64)
    said = in_words({"S": 2, "END": 1}, seen)
    assert said == "of pair 1 S is ' b' (position 2), END is ' a' (position 1)"


def test_offsets_are_those_of_the_text_that_the_tokenizer_reads(folder: Path) -> None:
    own = AutoTokenizer.from_pretrained(folder)
    spans = reading(folder).spans(TEXTS[0])
    read = own(TEXTS[0], return_offsets_mapping=True)["offset_mapping"]
    assert [(span.start, span.stop) for span in spans] == [tuple(pair) for pair in read]
