"""Tokens: what the spec states is what the model sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from replication.circuits.components import ModelShape
from replication.engine.capture import capture
from replication.engine.models import load_model
from replication.engine.scores.differential import pair_scores
from replication.engine.tokens import Tokenizer, load_tokenizer
from replication.experiment.pairs import Pair
from replication.experiment.spec import ModelSpec, Special, TokensSpec
from replication.inputs.files import InputError
from tests.closeness import assert_close
from tests.families import make_model
from tests.gpt2 import END_OF_TEXT, PAIRS

START, STOP = "<s>", "</s>"
# What tokenizers of these kinds add by themselves.
STYLES = {
    "llama": f"{START} $A",
    "bert": f"{START} $A {STOP}",
    "with an end": f"$A {STOP}",
    "gpt2": "$A",
}
TEMPLATE = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}<s>assistant:"


def styled(folder: Path, style: str, **more: Any) -> Path:
    """A model of Llama's architecture whose tokenizer adds what those of a style add."""
    from tokenizers.processors import TemplateProcessing

    make_model(folder, "llama")
    own = AutoTokenizer.from_pretrained(folder)
    own.add_special_tokens({"additional_special_tokens": [START, STOP]})
    inner = own.backend_tokenizer
    inner.post_processor = TemplateProcessing(
        single=STYLES[style],
        special_tokens=[(token, inner.token_to_id(token)) for token in (START, STOP)],
    )
    changed = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=START, eos_token=STOP, unk_token=END_OF_TEXT, **more
    )
    changed.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=STYLES)
def style(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(style: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return styled(tmp_path_factory.mktemp("styled"), style)


def reading(folder: Path, special: Special = "tokenizer", **more: Any) -> Tokenizer:
    spec = TokensSpec(special=special, **more)
    return load_tokenizer(folder, AutoConfig.from_pretrained(folder), spec)


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=12))
def test_the_tokenizers_own_way_is_that_of_the_tokenizer(folder: Path, text: str) -> None:
    own = AutoTokenizer.from_pretrained(folder)
    tokens = reading(folder).read(text)
    assert tokens.ids == own(text).input_ids
    assert [tokens.ids[place] for place in tokens.text] == own.encode(
        text, add_special_tokens=False
    )


@pytest.mark.parametrize("prompt", [*PAIRS[0], f"{START}Oh great.", f"{START}{START}Wow."])
def test_a_beginning_is_put_in_front_once_and_never_twice(folder: Path, prompt: str) -> None:
    own = AutoTokenizer.from_pretrained(folder)
    text = own.encode(prompt, add_special_tokens=False)
    tokens = reading(folder, "bos").read(prompt)
    assert tokens.ids[0] == own.bos_token_id
    assert tokens.ids[-len(text) :] == text
    assert tokens.n_added == (0 if text[0] == own.bos_token_id else 1)


def test_nothing_may_be_added(folder: Path) -> None:
    own = AutoTokenizer.from_pretrained(folder)
    tokens = reading(folder, "none").read(PAIRS[0][0])
    assert tokens.ids == own.encode(PAIRS[0][0], add_special_tokens=False)
    assert tokens.text == range(len(tokens.ids))
    assert tokens.n_added == 0


def test_a_tokenizer_without_a_beginning_cannot_put_one_in_front(tmp_path: Path) -> None:
    own = AutoTokenizer.from_pretrained(styled(tmp_path, "gpt2"))
    PreTrainedTokenizerFast(tokenizer_object=own.backend_tokenizer).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="the tokenizer has no beginning-of-sequence token"):
        reading(tmp_path, "bos").read("Oh.")


@pytest.mark.parametrize("prompt", [*PAIRS[0], " Wow. ", "user"])
def test_a_chat_template_goes_around_the_prompt(tmp_path: Path, prompt: str) -> None:
    styled(tmp_path, "llama", chat_template=TEMPLATE)
    tokenizer = reading(tmp_path, chat_template=True)
    tokens = tokenizer.read(prompt)
    whole = tokenizer.own.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
    )
    assert tokens.ids == tokenizer.own.encode(whole, add_special_tokens=False)
    own = tokenizer.own.decode([tokens.ids[place] for place in tokens.text])
    assert prompt.strip() in own
    assert len(own) <= len(prompt) + 2
    assert tokens.text.start > 2
    assert tokens.n_added >= 5


def test_a_tokenizer_without_a_template_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="chat_template: the tokenizer cannot use it: "):
        reading(styled(tmp_path, "llama"), chat_template=True).read("Oh.")


def test_a_template_that_changes_the_prompt_is_refused(tmp_path: Path) -> None:
    shouting = TEMPLATE.replace("m.content", "m.content.upper()")
    tokenizer = reading(styled(tmp_path, "llama", chat_template=shouting), chat_template=True)
    with pytest.raises(InputError, match=r"the template changes the prompt 'Oh\.'"):
        tokenizer.read("Oh.")


def test_a_template_and_another_way_are_not_both_stated() -> None:
    with pytest.raises(ValueError, match="a chat template says itself which tokens are added"):
        TokensSpec(special="bos", chat_template=True)


def test_a_prompt_of_no_tokens_is_refused(folder: Path) -> None:
    for special in ("tokenizer", "bos", "none"):
        with pytest.raises(InputError, match="the prompt '' has no tokens"):
            reading(folder, special).read("")


def test_a_prompt_beyond_the_context_is_refused(folder: Path) -> None:
    fitting = 64 - reading(folder).read("7").n_added
    assert len(reading(folder).read("7" * fitting).ids) == 64
    with pytest.raises(InputError, match=r"has 65 tokens; the model's context holds 64"):
        reading(folder).read("7" * (fitting + 1))


def test_tokens_that_the_model_does_not_know_are_refused(folder: Path) -> None:
    own = reading(folder)
    few = Tokenizer(own.own, own.spec, own.sha256, own.context, vocabulary=3)
    with pytest.raises(InputError, match=r"has the token \d+; the model knows 3, counted from 0"):
        few.read("Oh great")


def test_the_first_pairs_tokens_are_seen_and_all_prompts_count(folder: Path, style: str) -> None:
    tokenizer = reading(folder)
    seen = tokenizer.seen(PAIRS)
    added = STYLES[style].count("<")
    assert seen.added == (added, added)
    for prompt, tokens in zip(PAIRS[0], seen.first_pair, strict=True):
        assert "".join(tokens).removeprefix(START).removesuffix(STOP) == prompt
    assert f"({len(seen.first_pair[0])} tokens, {added} of them added)" in seen.described()
    assert len(seen.described()) <= 300
    assert tokenizer.seen(PAIRS[:3]).ids_sha256 != seen.ids_sha256
    assert tokenizer.seen([*PAIRS[:-1], Pair(*PAIRS[-1][::-1])]).ids_sha256 != seen.ids_sha256


def test_problems_name_their_pair(tmp_path: Path) -> None:
    tokenizer = reading(styled(tmp_path, "llama"))
    pairs = [PAIRS[0], Pair("", "Wow."), Pair(f"{START}Oh.", "7" * 70)]
    assert list(tokenizer.problems(pairs)) == [
        "pair 2: the prompt '' has no tokens",
        "pair 3: the prompt '<s>Oh.' itself begins with the token that is added in front of it",
        f"pair 3: the prompt {'7' * 70!r} has 71 tokens; the model's context holds 64".replace(
            repr("7" * 70), repr("7" * 70)[:33] + "..." + repr("7" * 70)[-34:]
        ),
    ]
    assert list(reading(tmp_path, "none").problems(PAIRS)) == []
    assert len(list(reading(tmp_path, "bos").problems([Pair(f"{START}Oh.", "Wow.")]))) == 1


def test_another_tokenizer_has_another_hash(tmp_path: Path) -> None:
    one, other = (styled(tmp_path / style, style) for style in ("llama", "gpt2"))
    assert reading(one).sha256 == reading(one, "none").sha256 != reading(other).sha256


def test_ordinary_tokens_are_from_all_over_the_vocabulary_and_not_special(folder: Path) -> None:
    tokenizer = reading(folder)
    found = tokenizer.ordinary(8)
    assert len(set(found)) == 8
    assert not set(found) & set(tokenizer.own.all_special_ids)
    assert max(found) - min(found) > 200


@pytest.mark.numeric
@torch.inference_mode()
def test_a_table_made_with_the_tokenizer_and_plain_hooks_is_reproduced(tmp_path: Path) -> None:
    """By hand: `tokenizer(text)`, one prompt at a time, hooks on the Hugging Face model."""
    styled(tmp_path, "llama")
    own = AutoTokenizer.from_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    shown: dict[str, np.ndarray] = {}
    for number, layer in enumerate(model.model.layers):
        layer.mlp.register_forward_hook(
            lambda _, __, output, name=f"m{number}": shown.update(
                {name: output[0].double().numpy().mean(0)}
            )
        )
        layer.self_attn.o_proj.register_forward_pre_hook(
            lambda _, inputs, name=f"a{number}": shown.update(
                {name: inputs[0][0].double().numpy().mean(0)}
            )
        )
    expected: dict[str, float] = {}
    for pair in PAIRS:
        means = []
        for prompt in pair:
            model(**own(prompt, return_tensors="pt"))
            heads = {
                f"{layer}.h{head}": mean
                for layer in ("a0", "a1", "a2")
                for head, mean in enumerate(np.split(shown[layer], 4))
            }
            means.append({**{name: shown[name] for name in ("m0", "m1", "m2")}, **heads})
        for name in means[0]:
            score = float(np.linalg.norm(means[0][name] - means[1][name]))
            expected[name] = expected.get(name, 0.0) + score / len(PAIRS)
    shape = ModelShape(n_layers=3, n_heads=4, d_model=32, d_head=12)
    spec = ModelSpec(name="a", shape=shape)

    def table(special: Special) -> dict[str, float]:
        loaded = load_model(spec, str(tmp_path), "cpu", tokens=TokensSpec(special=special))
        scores = pair_scores(capture(loaded, PAIRS), "raw").mean(0, dtype=np.float64)
        return dict(zip(map(str, shape.components()), scores.tolist(), strict=True))

    assert_close(table("tokenizer"), expected, allowed=1e-6)
    with pytest.raises(AssertionError):
        assert_close(table("none"), expected, allowed=0.01)


def answer_refusal(tokenizer: Tokenizer, prompt: str, answer: str) -> str:
    with pytest.raises(InputError) as raised:
        tokenizer.answer(prompt, answer)
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) <= 400
    return message


@pytest.mark.parametrize("special", ["tokenizer", "bos", "none"])
@pytest.mark.parametrize(
    ("prompt", "answer"), [("Oh great, another meeting at 7", " AM"), (" Wow", "."), ("\n", "7")]
)
def test_an_answer_is_the_token_that_follows_on_the_prompt(
    tmp_path: Path, special: Special, prompt: str, answer: str
) -> None:
    tokenizer = reading(styled(tmp_path, "llama"), special)
    found = tokenizer.answer(prompt, answer)
    own = AutoTokenizer.from_pretrained(tmp_path)
    assert [*own.encode(prompt, add_special_tokens=False), found] == own.encode(
        prompt + answer, add_special_tokens=False
    )
    assert tokenizer.shown([found]) == [answer]


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=4))
def test_an_answer_is_one_token_behind_the_prompts_own_or_refused(
    plain: Tokenizer, prompt: str, answer: str
) -> None:
    whole = plain.own.encode(prompt + answer, add_special_tokens=False)
    if whole[:-1] == plain.read(prompt).ids:
        assert plain.answer(prompt, answer) == whole[-1]
    else:
        assert answer_refusal(plain, prompt, answer).startswith("the answer ")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return reading(styled(tmp_path_factory.mktemp("plain"), "gpt2"))


@pytest.mark.parametrize(
    ("prompt", "answer", "end"),
    [
        ("Oh great, another", " meeting at", "' another' ' meeting' ' at'"),
        ("Oh great, another", "7 AM", "' another' '7' ' AM'"),
        ("Oh great, another meeting a", "t", "' at'"),  # with it, the end is another token
        ("Oh great, another meet", "ing at 7", "' meeting' ' at' ' 7'"),
    ],
)
def test_an_answer_of_other_than_one_token_is_refused(
    plain: Tokenizer, prompt: str, answer: str, end: str
) -> None:
    assert answer_refusal(plain, prompt, answer) == (
        f"the answer {answer!r} is not one token behind the prompt {prompt!r}: with it the prompt"
        f" ends in {end}"
    )


def test_a_long_answer_is_refused_in_a_short_line(plain: Tokenizer) -> None:
    assert "' another' ' meeting' '7'" in answer_refusal(
        plain, "Oh great, another", " meeting" + "7\n" * 20
    )


@pytest.mark.parametrize("style", ["bert", "with an end"])
def test_nothing_follows_on_a_prompt_that_tokens_are_added_behind(
    tmp_path: Path, style: str
) -> None:
    folder = styled(tmp_path, style)
    assert answer_refusal(reading(folder), "Oh great, another", " meeting") == (
        "the tokenizer adds tokens behind the prompt 'Oh great, another', which nothing answers"
    )
    for special in ("bos", "none"):
        tokenizer = reading(folder, special)
        assert tokenizer.shown([tokenizer.answer("Oh great, another", " meeting")]) == [" meeting"]


def test_in_a_chat_template_the_answer_follows_on_the_template(tmp_path: Path) -> None:
    styled(tmp_path, "llama", chat_template=TEMPLATE)
    tokenizer = reading(tmp_path, chat_template=True)
    found = tokenizer.answer("Oh great, another", " meeting")
    assert tokenizer.shown([found]) == [" meeting"]
    whole = tokenizer.own.apply_chat_template(
        [{"role": "user", "content": "Oh great, another"}],
        tokenize=False,
        add_generation_prompt=True,
    )
    ids = tokenizer.own.encode(f"{whole} meeting", add_special_tokens=False)
    assert ids == [*tokenizer.read("Oh great, another").ids, found]
    assert "with it the prompt ends in ':' ' meeting' ' at'" in answer_refusal(
        tokenizer, "Oh great, another", " meeting at"
    )


def test_an_answer_that_the_model_does_not_know_is_refused(plain: Tokenizer) -> None:
    answer = plain.answer("7", " meeting")
    few = Tokenizer(plain.own, plain.spec, plain.sha256, plain.context, vocabulary=answer)
    assert max(few.read("7").ids) < answer
    assert answer_refusal(few, "7", " meeting") == (
        f"the answer ' meeting' is the token {answer}; the model knows {answer}, counted from 0: is"
        " the tokenizer another model's?"
    )


def test_an_answer_behind_a_prompt_that_cannot_be_read_is_refused_as_the_prompt(
    plain: Tokenizer,
) -> None:
    assert answer_refusal(plain, "", "7") == "the prompt '' has no tokens"
