"""Folders that are written as one, over nothing but what an earlier run wrote.

A folder's `manifest.json` names its files with their SHA-256. A new folder is written beside the
old one and takes its place in one step, so a reader sees the old files or the new ones, never some
of each. What stands in a folder and not in its manifest is not ours, and is never removed.
"""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from replication.inputs.files import InputError, followed, is_there, read_json, sha256_of, validate
from replication.inputs.messages import placed, system_reason
from replication.inputs.writing import prefix_beside, write_json

MANIFEST = "manifest.json"
FORMAT = "replication.manifest.1"
LOCK = ".lock"
EXCHANGE = 2  # RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS
AT_FDCWD = -100


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: str
    files: dict[str, str]


def check_ours(folder: Path, others: Collection[str] = ()) -> None:
    """Refuse a folder that holds what no earlier run wrote; `others` may stand in it besides.

    Raises:
        InputError: naming the first such file, or saying that the folder is none.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder to write to, found a file")
    known = _manifest(folder)
    for path in _files(folder, others):
        name = path.relative_to(folder).as_posix()
        if name not in known:
            raise InputError(
                f"{folder}: holds {name}, which no earlier run is known to have written; name"
                " another folder to write to"
            )
        if known[name] != _sha256(path):
            raise InputError(
                f"{folder}: {name} was changed after a run wrote it; move it away, or name another"
                " folder to write to"
            )


def is_whole(folder: Path) -> bool:
    """Whether a folder holds all that its manifest names, as it was written, and nothing else."""
    try:
        return (folder / MANIFEST).is_file() and _hashes(folder, ()) == _manifest(folder)
    except InputError:
        return False


def check_writable(path: Path) -> None:
    """Refuse a file or folder that could not be put in its place, before there is one to put there.

    What only trying shows, such as a folder of the system's own, is tried beside its place.

    Raises:
        InputError: naming the folder that no file may be made in.
    """
    place = followed(path)
    for wanted in (place, place.parent):
        folder = next(one for one in (wanted, *wanted.parents) if os.path.isdir(one))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(
                f"{placed(path)}: cannot be written: no permission to write in {placed(folder)}"
            )
    try:
        tried = tempfile.mkdtemp(prefix=prefix_beside(place), dir=folder)
    except OSError as error:
        reason = f"nothing can be made in {placed(folder)}: {system_reason(error)}"
        raise InputError(f"{placed(path)}: cannot be written: {reason}") from None
    with suppress(FileNotFoundError):  # another run may take it for a leftover
        os.rmdir(tried)


def check_replaceable(path: Path, what: str, is_such: Callable[[Path], bool]) -> None:
    """Refuse to write a file where anything but such a file stands.

    Raises:
        InputError: something else stands there.
    """
    if is_there(path) and not is_such(path):
        raise InputError(f"{placed(path)}: is there and is no {what}; nothing else is overwritten")


@contextmanager
def writing_folder(folder: Path, others: Collection[str] = ()) -> Iterator[Path]:
    """A new folder to write to, which takes the place of `folder` when it is whole.

    `others` are the names of what stays where it stands. Where anything fails, all is as before.

    Raises:
        InputError: the folder holds what no earlier run wrote.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(folder, others)
    check_ours(folder, others)
    new = folder.parent / f"{prefix_beside(folder)}{uuid4().hex}"
    with _owning(new):
        new.mkdir()
        try:
            for name in others:
                _link(folder / name, new / name)
            yield new
            write_json(new / MANIFEST, {"format": FORMAT, "files": _hashes(new, others)})
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        _put_in_place(new, folder)
        _remove_ours(new, folder, others)


@contextmanager
def making_folder(folder: Path) -> Iterator[Path]:
    """A new folder to write to, which comes to where none is as one, when it is whole."""
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(folder)
    new = folder.parent / f"{prefix_beside(folder)}{uuid4().hex}"
    with _owning(new):
        try:
            new.mkdir()
            yield new
            new.rename(folder)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise


def clear_leftovers(folder: Path, others: Collection[str] = ()) -> None:
    """Remove what a killed run left beside a folder; a folder that it took away is put back."""
    beside = folder.parent.glob(f"{glob.escape(prefix_beside(folder))}*")
    for left in sorted({path.with_name(path.name.removesuffix(LOCK)) for path in beside}):
        with suppress(Timeout), _owning(left):
            if left.is_symlink():  # no run's
                continue
            if not (left / MANIFEST).is_file():  # it was not whole yet
                shutil.rmtree(left, ignore_errors=True)
            elif folder.exists():
                _remove_ours(left, folder, others)
            else:
                left.rename(folder)


@contextmanager
def _owning(left: Path) -> Iterator[None]:
    """Hold the lock of a folder beside another one; it ends with the process that holds it.

    Raises:
        Timeout: another process holds it.
    """
    lock = left.with_name(f"{left.name}{LOCK}")
    with FileLock(lock, blocking=False):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _files(folder: Path, others: Collection[str]) -> Iterator[Path]:
    """Everything in a folder but folders, its manifest, and what stands under other names.

    One by one: whoever stops at the first has not waited for a whole disk to be listed.

    Raises:
        InputError: a folder may not be read, so that nobody knows what is in it.
    """
    for path in _directly_in(folder):
        if path.name not in (*others, MANIFEST):
            yield from _files_at(path)


def _files_at(path: Path) -> Iterator[Path]:
    if path.is_symlink() or not os.path.isdir(path):
        yield path
    else:
        for inner in _directly_in(path):
            yield from _files_at(inner)


def _directly_in(folder: Path) -> list[Path]:
    """What stands in a folder, by name; nothing where there is no such folder."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        reason = f"cannot be read: {system_reason(error)}"
        raise InputError(f"{placed(folder)}: {reason}") from None


def _hashes(folder: Path, others: Collection[str]) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in _files(folder, others)}


def _manifest(folder: Path) -> dict[str, str]:
    path = folder / MANIFEST
    return validate(_Manifest, read_json(path), path).files if path.is_file() else {}


def _sha256(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    return sha256_of(path).hex()


def _link(old: Path, new: Path) -> None:
    """Let a file, a link, or all of a folder, stand at a second place too, as near the root."""
    if old.is_symlink():
        new.symlink_to(os.readlink(old))
    elif old.is_dir():
        shutil.copytree(old, new, copy_function=_link_file)
    elif old.exists():
        _link_file(old, new)


def _link_file(old: str | Path, new: str | Path) -> None:
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)


def _put_in_place(new: Path, folder: Path) -> None:
    """Exchange both folders in one step or, where the system has none, in two."""
    if _exchanged(new, folder):
        return
    if not folder.exists():
        with suppress(OSError):
            new.rename(folder)
            return
        if _exchanged(new, folder):  # another run was first
            return
    old = folder.with_name(f"{new.name}-old")
    folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    old.rename(new)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether the system could exchange two folders in one step."""
    library = ctypes.CDLL(None)
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):
        return bool(library.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], EXCHANGE) == 0)
    if hasattr(library, "renamex_np"):
        return bool(library.renamex_np(*names, EXCHANGE) == 0)
    return False


def _remove_ours(old: Path, folder: Path, others: Collection[str]) -> None:
    """Remove a folder whose place is taken; what in it is not ours goes to where it stood."""
    if not old.exists():  # there was none whose place could be taken
        return
    known = _manifest(old)
    is_empty = True
    for path in _files(old, ()):
        name = path.relative_to(old)
        there = folder / name
        is_other = name.parts[0] in others
        if known.get(name.as_posix()) == _sha256(path) or (is_other and _is_same(path, there)):
            path.unlink(missing_ok=True)
        elif is_other or not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            path.replace(there)
        else:
            is_empty = False
    if is_empty:
        shutil.rmtree(old, ignore_errors=True)


def _is_same(one: Path, other: Path) -> bool:
    return other.exists() and (one.samefile(other) or _sha256(one) == _sha256(other))
