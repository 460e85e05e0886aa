"""Writing files: a whole file or nothing."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def writing_atomically(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to that takes its place when it is whole: a reader never sees half of it.

    What a killed run left beside it is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(path)
    handle, name = _new_beside(path)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _new_beside(path: Path) -> tuple[int, str]:
    """A new file, open and named; its lock says, for as long as it is open, that it is used."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix_beside(path))
        with suppress(OSError):  # no file system must have locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.exists(name):
            return handle, name
        os.close(handle)  # before it was locked, another run took it for a leftover


def _clear_leftovers(path: Path) -> None:
    for left in path.parent.glob(f"{glob.escape(prefix_beside(path))}*"):
        with suppress(OSError):
            left.rmdir()  # where it was tried whether anything can be made there
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def prefix_beside(path: Path) -> str:
    """How the names begin of what is written beside a file or folder, to take its place."""
    return f".{path.name}.replication-"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing."""
    with writing_atomically(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically."""
    write_atomically(path, as_json(content))


def as_json(content: Any) -> str:
    """JSON, indented, with a final newline; NaN and infinity are refused."""
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
