"""Tokens: what the model sees of a prompt, as the experiment's spec states it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from replication.engine.configuration import context_of
from replication.experiment.pairs import Pair
from replication.experiment.spec import TokensSpec
from replication.inputs.files import InputError
from replication.inputs.messages import (
    QUOTE,
    fitting,
    library_reason,
    one_line,
    placed,
    quoted,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken")
_FILES = (
    *_VOCABULARIES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.*",
    "merges.txt",
)


MARK = "\ue000"  # of no meaning in Unicode: stands for a prompt in a template


class Tokens(NamedTuple):
    """A prompt's tokens, and which of them stand for its text; the others were added."""

    ids: list[int]
    text: range

    @property
    def n_added(self) -> int:
        """How many tokens were added."""
        return len(self.ids) - len(self.text)


class _TemplatedText(NamedTuple):
    """A prompt in a template: all tokens, which are its text's, and the characters of these."""

    ids: list[int]
    text: range
    spans: list[range]


class SeenTokens(BaseModel):
    """Which tokens the model saw: of the first pair as text, of all prompts as a SHA-256."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_pair: tuple[list[str], list[str]]
    added: tuple[int, int]
    ids_sha256: str

    def described(self) -> str:
        """In words, what the model saw of the first pair."""
        one, other = (
            f"{fitting([repr(token) for token in tokens], QUOTE, ' ')} ({len(tokens)} tokens,"
            f" {added} of them added)"
            for tokens, added in zip(self.first_pair, self.added, strict=True)
        )
        return one_line(f"of pair 1 the model sees {one} and {other}")


@dataclass(frozen=True)
class Tokenizer:
    """A model's tokenizer, used as the spec states; `sha256` is that of its files.

    A prompt holds at most `context` tokens, and the model knows those below `vocabulary`.
    """

    own: PreTrainedTokenizerBase
    spec: TokensSpec
    sha256: str
    context: int | None
    vocabulary: int

    def read(self, prompt: str) -> Tokens:
        """The tokens of a prompt.

        Raises:
            InputError: it has none of its own, or more than the context holds, or one that the
                model does not know; or the tokenizer lacks what the spec asks for.
        """
        text = self._ids(prompt)
        if not text:
            raise InputError(f"the prompt {quoted(prompt)} has no tokens")
        tokens = self._with_added(prompt, text)
        if self.context is not None and len(tokens.ids) > self.context:
            raise InputError(
                f"the prompt {quoted(prompt)} has {len(tokens.ids)} tokens;"
                f" the model's context holds {self.context}"
            )
        if max(tokens.ids) >= self.vocabulary:
            raise InputError(
                f"the prompt {quoted(prompt)} has the token {max(tokens.ids)}; the model knows"
                f" {self.vocabulary}, counted from 0: is the tokenizer another model's?"
            )
        return tokens

    def answer(self, prompt: str, answer: str) -> int:
        """The one token that an answer is behind a prompt.

        Raises:
            InputError: it is not one token there, or another one than the prompt's own end; or
                the tokenizer adds tokens behind the prompt, so that nothing follows on its text.
        """
        tokens = self._answered(prompt)
        if self.spec.chat_template:
            ids = tokens.ids
            found = self._ids(self._templated(prompt) + answer)
        else:
            ids = tokens.ids[tokens.text.start :]
            found = self._ids(prompt + answer)
        if found[:-1] == ids:
            if found[-1] >= self.vocabulary:
                raise InputError(
                    f"the answer {quoted(answer)} is the token {found[-1]}; the model knows"
                    f" {self.vocabulary}, counted from 0: is the tokenizer another model's?"
                )
            return found[-1]
        last = min(len(ids), len(found)) - 1
        differs = (place for place in range(last) if ids[place] != found[place])
        end = self.shown(found[next(differs, last) :])
        shown = fitting([repr(token) for token in end], QUOTE, " ")
        raise InputError(
            f"the answer {quoted(answer)} is not one token behind the prompt {quoted(prompt)}: with"
            f" it the prompt ends in {shown}"
        )

    def answer_of_id(self, prompt: str, digits: str) -> int:
        """The token behind a prompt that an id means.

        Raises:
            InputError: the model does not know it, or the tokenizer adds tokens behind the prompt.
        """
        self._answered(prompt)
        if int(digits) >= self.vocabulary:
            raise InputError(
                f"the answer {digits} is no token's id: the model knows {self.vocabulary}, counted"
                " from 0; is it another tokenizer's?"
            )
        return int(digits)

    def _answered(self, prompt: str) -> Tokens:
        """The tokens of a prompt, on whose text or template an answer follows."""
        tokens = self.read(prompt)
        if not self.spec.chat_template and tokens.text.stop < len(tokens.ids):
            raise InputError(
                f"the tokenizer adds tokens behind the prompt {quoted(prompt)}, which nothing"
                " answers"
            )
        return tokens

    def spans(self, prompt: str) -> list[range]:
        """Which of a prompt's characters each token of its text stands for.

        Raises:
            InputError: as `read` does; or the tokenizer does not know.
        """
        if self.spec.chat_template:
            return self._templated_text(prompt).spans
        return self._spans(prompt)[1]

    def seen(self, pairs: Iterable[Pair]) -> SeenTokens:
        """Which tokens the model sees of these pairs.

        Raises:
            InputError: as `read` does.
        """
        digest = hashlib.sha256()
        first: list[Tokens] = []
        for pair in pairs:
            for prompt in pair:
                tokens = self.read(prompt)
                digest.update(f"{tokens.ids}\n".encode())
                first = [*first, tokens][:2]
        one, other = first
        return SeenTokens(
            first_pair=(self.shown(one.ids), self.shown(other.ids)),
            added=(one.n_added, other.n_added),
            ids_sha256=digest.hexdigest(),
        )

    def problems(self, pairs: Iterable[Pair]) -> Iterator[str]:
        """What is wrong with the pairs' tokens, pair by pair."""
        for number, pair in enumerate(pairs, start=1):
            for prompt in pair:
                try:
                    is_doubled = self._begins_with_added(prompt)
                except InputError as error:
                    yield f"pair {number}: {error}"
                else:
                    if is_doubled:
                        yield (
                            f"pair {number}: the prompt {quoted(prompt)} itself begins with the"
                            " token that is added in front of it"
                        )

    def shown(self, ids: Sequence[int]) -> list[str]:
        """Each token as text."""
        return [str(self.own.decode([token])) for token in ids]

    def _begins_with_added(self, prompt: str) -> bool:
        tokens = self.read(prompt)
        first = tokens.ids[tokens.text.start]
        if self.spec.special == "bos":
            return first == self._beginning()
        return tokens.text.start > 0 and first == tokens.ids[0]

    def ordinary(self, most: int) -> list[int]:
        """Some tokens from all over the vocabulary, none of them special, as far as it has any."""
        special = {int(token) for token in self.own.all_special_ids}
        known = min(self.vocabulary, len(self.own))
        spread = range(known - 1, 0, -max(known // (4 * most), 1))
        found = [token for token in spread if token not in special] or [0]
        return found[:: max(len(found) // most, 1)][:most]

    def _with_added(self, prompt: str, text: list[int]) -> Tokens:
        if self.spec.chat_template:
            return self._in_template(prompt)
        if self.spec.special == "none":
            return Tokens(text, range(len(text)))
        if self.spec.special == "bos":
            bos = self._beginning()
            ids = text if text[0] == bos else [bos, *text]
            return Tokens(ids, range(len(ids) - len(text), len(ids)))
        ids = self._ids(prompt, add_special_tokens=True)
        for start in range(len(ids) - len(text) + 1):
            if ids[start : start + len(text)] == text:
                return Tokens(ids, range(start, start + len(text)))
        raise InputError(
            f"the tokenizer reads the prompt {quoted(prompt)} in another way when it adds special"
            ' tokens; state tokens.special = "bos" or "none"'
        )

    def _ids(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        read = self.own(text, add_special_tokens=add_special_tokens)
        return [int(token) for token in read["input_ids"]]

    def _beginning(self) -> int:
        bos = self.own.bos_token_id
        if bos is None:
            raise InputError(
                'tokens.special = "bos": the tokenizer has no beginning-of-sequence token'
            )
        return int(bos)

    def _in_template(self, prompt: str) -> Tokens:
        """The prompt as a user's message."""
        found = self._templated_text(prompt)
        return Tokens(found.ids, found.text)

    def _templated_text(self, prompt: str) -> _TemplatedText:
        """The prompt as a user's message; its text is found again by its characters."""
        front, _, back = self._templated(MARK).partition(MARK)
        whole = self._templated(prompt)
        text = whole[len(front) : len(whole) - len(back)]
        if whole != front + text + back or text.strip() != prompt.strip():
            raise InputError(
                f"tokens.chat_template: the template changes the prompt {quoted(prompt)}"
            )
        ids, spans = self._spans(whole)
        start, stop = len(front), len(front) + len(text)
        own = [
            position
            for position, span in enumerate(spans)
            if span.start < stop and span.stop > start
        ]
        positions = range(own[0], own[-1] + 1)
        # The template may leave out space around the prompt.
        moved = start + _space_before(text) - _space_before(prompt)
        shifted = [range(one.start - moved, one.stop - moved) for one in spans]
        return _TemplatedText(ids, positions, [shifted[position] for position in positions])

    def _spans(self, text: str) -> tuple[list[int], list[range]]:
        """A text's tokens, and which of its characters each stands for."""
        try:
            read = self.own(text, add_special_tokens=False, return_offsets_mapping=True)
        except NotImplementedError:
            raise InputError(
                "the tokenizer does not say which characters a token stands for: it is none of the"
                " fast ones"
            ) from None
        ids = [int(token) for token in read["input_ids"]]
        return ids, [range(*span) for span in read["offset_mapping"]]

    def _templated(self, prompt: str) -> str:
        message = [{"role": "user", "content": prompt}]
        try:
            return str(
                self.own.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
            )
        except Exception as error:  # a template is a program of its own, and may raise anything
            reason = library_reason(error)
            raise InputError(
                f"tokens.chat_template: the tokenizer cannot use it: {reason}"
            ) from None


def _space_before(text: str) -> int:
    return len(text) - len(text.lstrip())


def load_tokenizer(folder: Path, config: Any, spec: TokensSpec) -> Tokenizer:
    """The tokenizer in a model's folder.

    Raises:
        InputError: there is none, or it cannot be loaded.
    """
    if not any(next(folder.glob(name), None) for name in _VOCABULARIES):
        raise InputError(f"{folder}: no tokenizer in it: expected {' or '.join(_VOCABULARIES)}")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers import AutoTokenizer

    try:
        own = AutoTokenizer.from_pretrained(str(folder), config=config, trust_remote_code=False)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # whatever a folder of files can make the libraries raise
        reason = library_reason(error)
        raise InputError(f"{placed(folder)}: its tokenizer cannot be loaded: {reason}") from None
    vocabulary = config.get_text_config().vocab_size
    return Tokenizer(own, spec, _tokenizer_sha256(folder), context_of(config), vocabulary)


def _tokenizer_sha256(folder: Path) -> str:
    """The SHA-256 of the names and digests of the tokenizer's files, by name."""
    files = {path.name: path for pattern in _FILES for path in folder.glob(pattern)}
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode() + hashlib.sha256(files[name].read_bytes()).digest())
    return digest.hexdigest()
