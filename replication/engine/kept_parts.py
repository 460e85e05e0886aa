"""Kept parts: what came out of the parts of a run, for a run that goes on where one was stopped.

A part's file is called by a digest of all that it hangs on: the model, what was asked of which
pairs, and the versions of what computed it. So a part of another run is never taken for it. The
place is a folder, or a URL of any file system that fsspec knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import tee
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from pydantic import BaseModel

from replication.engine.models import Advance, Done, Part, Workers
from replication.engine.provenance import Provenance
from replication.engine.tensor_files import (
    check_unchanged,
    digest_of,
    tensors_in,
    whole_file,
)
from replication.inputs.files import InputError
from replication.inputs.messages import library_reason, shortened

FORMAT = "replication.part.1"
SUFFIX = ".part.safetensors"
OF_A_PROCESSOR = {"device", "platform", "processors", "self_check"}  # of what provenance says


class _Damaged(InputError):
    """A part's file is not what was written, and the place where parts stay is named already."""


class _Marked(NamedTuple):
    """A part, its file's name, and whether that was there when it was looked for."""

    part: Part
    name: str
    is_kept: bool


@dataclass
class KeptParts:
    """Workers whose parts are kept in a place, and are not run again where they are there.

    `names` are those of the parts of this run, whoever wrote them.
    """

    place: str
    system: AbstractFileSystem
    root: str
    provenance: Provenance
    workers: Workers
    names: set[str] = field(default_factory=set)

    def done(self, parts: Iterable[Part], advance: Advance) -> Iterator[Done]:
        """What comes out of every part, in their order, once it is kept.

        Raises:
            InputError: a file was damaged since it was written, or none can be written.
        """
        ours, theirs = tee(map(self._marked, parts))
        missing = (marked.part for marked in theirs if not marked.is_kept)
        made = self.workers.done(missing, advance)
        for part, name, is_kept in ours:
            if is_kept:
                done = self._read(name)
                advance(part.size)
            else:
                done = next(made)
                self._write(name, done)
            self.names.add(name)
            yield done

    def _marked(self, part: Part) -> _Marked:
        name = f"{self._digest(part)}{SUFFIX}"
        with _reading(self.place):
            is_kept = name in self.names or self.system.exists(self._path(name))
        return _Marked(part, name, is_kept)

    def _digest(self, part: Part) -> str:
        """The digest of all that a part hangs on, but for the kind of processor."""
        own = self.provenance.model_dump(mode="json", exclude=OF_A_PROCESSOR)
        return digest_of([FORMAT, own, type(part).__name__, _stated(part)])[:32]

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _new(self, name: str) -> str:
        """Where a part's file is written, before it takes its place."""
        return self._path(f".{name}.new")

    def _read(self, name: str) -> Done:
        path = f"{self.place}/{name}"
        with _reading(self.place):
            content = self.system.cat_file(self._path(name))
        try:
            tensors, metadata = tensors_in(content, path)
            check_unchanged(Path(path), tensors, metadata)
            if metadata["part"] != name:
                raise InputError("of another part")
        except (InputError, KeyError):
            raise _Damaged(
                f"{path}: damaged after it was written; remove it, and it is run again"
            ) from None
        return Done(tensors, metadata["processor"])

    def _write(self, name: str, done: Done) -> None:
        """Write a part's file; nobody sees half of it."""
        about = {"format": FORMAT, "part": name, "processor": done.processor}
        content = whole_file(done.tensors, about)
        new = self._new(name)
        try:
            with _reading(self.place):
                self.system.makedirs(self.root, exist_ok=True)
                self.system.pipe_file(new, content)
                self.system.mv(new, self._path(name))
        except BaseException:
            with suppress(OSError):
                self.system.rm_file(new)
            raise

    def remove(self) -> None:
        """Remove the parts of this run, and their folder if nothing else is in it.

        What another run or the user has removed is gone already, and a folder that cannot be
        removed, as a mount or a link, stays.
        """
        for name in self.names:
            for path in (self._path(name), self._new(name)):  # the latter of a run that was killed
                with suppress(FileNotFoundError):
                    self.system.rm_file(path)
        with suppress(OSError):
            if not self.system.ls(self.root, detail=False):
                self.system.rmdir(self.root)


def check_parts(place: str, *, resume: bool) -> None:
    """Refuse a place where parts are that are not to be gone on from.

    Raises:
        InputError: parts of a run that was stopped are there, and it is not gone on with; or there
            is no such place.
    """
    system, root = _at(place)
    with _reading(place):
        found = system.ls(root, detail=False) if system.isdir(root) else []
    n_parts = sum(str(one).endswith(SUFFIX) for one in found)
    if n_parts and not resume:
        raise InputError(
            f"{shortened(place)}: holds {_count(n_parts)} of a run that was stopped; --resume goes"
            " on from there, or remove the folder"
        )


@contextmanager
def keeping(place: str, workers: Workers, provenance: Provenance) -> Iterator[KeptParts]:
    """Keep parts in a place until the run is done with; where it is stopped, they stay.

    Raises:
        InputError: nothing can be kept there.
    """
    kept = KeptParts(place, *_at(place), provenance, workers)
    try:
        yield kept
    except BaseException as error:
        if kept.names and not isinstance(error, _Damaged):
            error.add_note(
                f"{_count(len(kept.names))} of it kept in {shortened(place)}, and --resume goes on"
                " from there"
            )
        raise
    with _reading(place):
        kept.remove()


def _at(place: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a place, and its path there; what others write is to be seen at once.

    Raises:
        InputError: there is no such place.
    """
    with _reading(place):
        # What a path begins with in `~` is meant as it stands: a shell has replaced it before.
        literal = f"./{place}" if place.startswith("~") else place
        system, root = url_to_fs(literal, use_listings_cache=False)
    return system, root.rstrip("/")


def _count(parts: int) -> str:
    return "1 finished part" if parts == 1 else f"{parts} finished parts"


@contextmanager
def _reading(place: str) -> Iterator[None]:
    """Say in one line where a file system refuses something, whichever it is.

    Raises:
        InputError: naming the place.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # whatever a file system's own library raises
        reason = library_reason(error)
        raise InputError(f"{shortened(place)}: parts cannot be kept there: {reason}") from None


def _stated(value: Any) -> Any:
    """What a part carries, as data that JSON can say; of an array its type, shape and digest."""
    match value:
        case np.ndarray():
            content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            return [str(value.dtype), list(value.shape), content]
        case BaseModel():
            return value.model_dump(mode="json")
        case Mapping():
            return {str(key): _stated(one) for key, one in value.items()}
        case list() | tuple():
            return [_stated(one) for one in value]
        case _ if is_dataclass(value):
            return {one.name: _stated(getattr(value, one.name)) for one in fields(value)}
    return value
