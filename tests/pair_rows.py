"""Rows of a file of pairs, as they are read, or why they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from replication.experiment.pair_files import file_source
from replication.experiment.pairs import Keys, Row
from replication.inputs.files import InputError


def read_rows(path: Path, content: str, keys: Keys) -> list[Row]:
    """The rows of a file with this content."""
    path.write_text(content, encoding="utf-8")
    return list(file_source(path, keys).read())


def rows_refusal(path: Path, content: str, keys: Keys) -> str:
    """What is said of a file with this content, in one line, behind its name."""
    with pytest.raises(InputError) as caught:
        read_rows(path, content, keys)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")
