"""Visible text: what a file, a name or another program says, as a reader may be shown it."""

from __future__ import annotations

import re

# Controls, what Unicode ends a line or turns the reading direction with, and what no encoding has:
# the bytes of a file's name that are no text.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""The text in one line, where what acts instead of being seen stands as an escape: `\x1b`.

    So does the `[` of `##[`, the older form of GitHub's workflow commands, which a runner obeys
    anywhere in a line. All other text stays as it is.
    """
    escaped = _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return escaped.replace("##[", r"##\x5b")
