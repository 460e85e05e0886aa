"""Where what takes long to make is kept between runs: in the user's cache directory."""

from __future__ import annotations

from pathlib import Path

OURS = "pytest-circuit-replication"


def cache_folder(name: str) -> Path:
    """The folder for one kind of what is kept; whatever lies in it can be made again."""
    from platformdirs import user_cache_path

    return user_cache_path(OURS) / name
