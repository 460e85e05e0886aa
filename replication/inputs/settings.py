"""Settings: what a repository's ini-file of pytest says, found from a folder in the repository."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from replication.inputs.files import InputError, read_text, read_toml

# By file, in pytest's own order, where its settings stand.
SECTIONS: dict[str, tuple[str, ...]] = {
    "pytest.toml": ("pytest",),
    ".pytest.toml": ("pytest",),
    "pytest.ini": ("pytest",),
    ".pytest.ini": ("pytest",),
    "pyproject.toml": ("tool", "pytest"),
    "tox.ini": ("pytest",),
    "setup.cfg": ("tool:pytest",),
}


def settings_around(folder: Path) -> tuple[Path, Mapping[str, Any]] | None:
    """The nearest ini-file in a folder or around it, with its settings.

    Raises:
        InputError: a file that may be it cannot be read.
    """
    for place in (folder, *folder.parents):
        for name, keys in SECTIONS.items():
            path = place / name
            if path.is_file() and (found := _settings(path, keys)) is not None:
                return path, found
    return None


def _settings(path: Path, keys: tuple[str, ...]) -> Mapping[str, Any] | None:
    content: Any = read_toml(path) if path.suffix == ".toml" else _read_ini(path)
    for key in keys:
        if not isinstance(content, Mapping) or key not in content:
            return None
        content = content[key]
    if isinstance(content, Mapping):
        content = content.get("ini_options", content)
    return content if isinstance(content, Mapping) else None


def _read_ini(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(read_text(path))
    except configparser.Error as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from None
    return parser
