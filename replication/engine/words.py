"""Words: which tokens of a prompt an experiment's named positions are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from replication.engine.tokens import SeenTokens, Tokenizer, Tokens
from replication.experiment.attention import AttentionTable, PositionSpec
from replication.experiment.pairs import Row
from replication.inputs.files import InputError
from replication.inputs.messages import LIST, MESSAGE, QUOTE, fitting, quoted


def token_positions(
    tokenizer: Tokenizer, row: Row, positions: Mapping[str, PositionSpec]
) -> dict[str, int]:
    """The positions of a pair's first prompt, by name, counted from 0 as the model sees it.

    Raises:
        InputError: a word is not there, or not one token, or the pair states several.
    """
    prompt = row.pair.first
    tokens = tokenizer.read(prompt)
    found = {}
    for name, position in positions.items():
        try:
            found[name] = _position(tokenizer, prompt, tokens, position, row)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
    return found


def _position(
    tokenizer: Tokenizer, prompt: str, tokens: Tokens, position: PositionSpec, row: Row
) -> int:
    if position.word is None:
        return len(tokens.ids) - 1
    words = row.answers[position.word]
    if len(words) != 1:
        raise InputError(f"{position.word}: expected one word, found {len(words)}")
    characters = _occurrence(prompt, words[0].strip(), position.occurrence)
    own = [
        place
        for place, span in zip(tokens.text, tokenizer.spans(prompt), strict=True)
        if span.start < characters.stop and span.stop > characters.start
    ]
    if len(own) != 1:
        shown = [repr(token) for token in tokenizer.shown([tokens.ids[place] for place in own])]
        raise InputError(
            f"the word {quoted(words[0].strip())} is {len(own)} tokens in the prompt"
            f" {quoted(prompt)}, and a position is one: {fitting(shown, QUOTE, ' ')}"
        )
    return own[0]


def _occurrence(prompt: str, word: str, which: int | str | None) -> range:
    """Where a word stands in a prompt, by its characters; inside another it is no word.

    A word ends where no letter, digit or underscore follows.
    """
    found = [match.span() for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", prompt)]
    number = len(found) if which == "last" else int(which or 0)
    if not 0 < number <= len(found):
        asked = "the last one" if which == "last" else f"number {which}"
        raise InputError(
            f"the word {quoted(word)} stands {len(found)} times in the prompt {quoted(prompt)};"
            f" {asked} is asked for"
        )
    return range(*found[number - 1])


def position_problems(
    tokenizer: Tokenizer, rows: Iterable[Row], positions: Mapping[str, PositionSpec]
) -> Iterator[str]:
    """What is wrong with the pairs' positions, pair by pair."""
    for number, row in enumerate(rows, start=1):
        try:
            token_positions(tokenizer, row, positions)
        except InputError as error:
            yield f"pair {number}: {error}"


def from_to(
    found: Mapping[str, int], tables: Mapping[str, AttentionTable], is_causal: bool
) -> Sequence[tuple[int, int]]:
    """From which position to which each table is.

    Raises:
        InputError: both are one token, or in a decoder, which looks back only, the position that is
            attended to stands behind the other.
    """
    both = []
    for name, table in tables.items():
        start, end = found[table.from_], found[table.to]
        if start == end:
            raise InputError(f"{name}: {table.from_} and {table.to} are the same token, {start}")
        if is_causal and end > start:
            raise InputError(
                f"{name}: a decoder attends to earlier tokens only, and {table.to}, token {end},"
                f" stands behind {table.from_}, token {start}"
            )
        both.append((start, end))
    return both


def in_words(found: Mapping[str, int], seen: SeenTokens) -> str:
    """Which tokens of the first pair the positions are."""
    tokens, _ = seen.first_pair
    said = [f"{name} is {tokens[place]!r} (position {place})" for name, place in found.items()]
    return f"of pair 1 {fitting(said, MESSAGE - LIST)}"
