"""Messages: what errors say of the input, in one line that is read at a glance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from replication.inputs.visible import visible

# In characters: a whole message, what it quotes of the input, lists, and a path in it, so that
# one of each leaves room for the reason.
MESSAGE, QUOTE, LIST, PATH = 300, 70, 40, 140
# What libraries advise for files that they hold to be unsafe or unfit: to switch their checks off.
_ADVICE = re.compile(
    r"trust_remote_code|weights_only|allow_pickle|ignore_mismatched_sizes|=\s?True"
)


def shortened(text: str, most: int = QUOTE) -> str:
    """The text, its middle left out where it has more characters than that."""
    if len(text) <= most:
        return text
    start = (most - 3) // 2
    return f"{text[:start]}...{text[len(text) - (most - 3 - start) :]}"


def quoted(value: object) -> str:
    """What was found, as messages quote it."""
    return shortened(repr(value))


def fitting(parts: Sequence[str], most: int, separator: str = ", ") -> str:
    """As many of the parts as so many characters hold, but at least one, and how many more."""
    more = f"{separator}and {len(parts)} more"
    shown = list(parts[:1])
    for part in parts[1:]:
        if len(separator.join([*shown, part])) + len(more) > most:
            return separator.join([*shown, f"and {len(parts) - len(shown)} more"])
        shown.append(part)
    return separator.join(shown)


def listed(names: Iterable[object]) -> str:
    """Several names, as messages list them."""
    return shortened(visible(", ".join(map(str, names))), LIST)


def placed(path: Path) -> str:
    """A path, as messages name it."""
    return shortened(visible(str(path)), PATH)


def one_line(message: object) -> str:
    """A message as one line in which everything is seen, no longer than a message may be."""
    return shortened(visible(str(message)), MESSAGE)


def system_reason(error: OSError | ValueError) -> str:
    """Why a path cannot be used, without the path, which the message names."""
    if isinstance(error, UnicodeError):
        return "the path cannot be encoded for this system"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def library_reason(error: BaseException) -> str:
    """A library's reason in its own words: its first line, without advice to switch checks off."""
    first = next(iter(str(error).strip().splitlines()), "")
    sentences = re.split(r"(?<=[.!?;])\s+", first)
    kept = " ".join(sentence for sentence in sentences if not _ADVICE.search(sentence))
    return shortened(kept, QUOTE + PATH) or type(error).__name__
