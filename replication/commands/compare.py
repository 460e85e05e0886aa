"""Compare: what two circuits share and how they differ, or what several share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from replication.circuits.circuit import Circuit, read_circuit
from replication.circuits.comparison import compare_circuits, describe_comparison
from replication.circuits.notations import NotationName
from replication.circuits.overlaps import describe_overlaps, overlaps
from replication.inputs.files import InputError, repeats
from replication.inputs.messages import placed


class Compared(NamedTuple):
    """A comparison in lines and as plain data."""

    lines: Sequence[str]
    data: Mapping[str, object]


def read_circuits(paths: Sequence[Path], notations: Sequence[NotationName]) -> list[Circuit]:
    """The circuits in files, all in one notation or each in its own, where any is stated.

    Raises:
        InputError: there are fewer than two, they are not as many as notations, or one cannot be
            read.
    """
    if len(paths) < 2:
        raise InputError(f"compare: expected two circuits or more, found {placed(paths[0])} alone")
    if len(notations) not in (0, 1, len(paths)):
        raise InputError(
            f"--notation: expected one for all or as many as there are circuits, {len(paths)},"
            f" found {len(notations)}"
        )
    stated = notations if len(notations) > 1 else [*notations, None][:1] * len(paths)
    return [read_circuit(path, notation=one) for path, one in zip(paths, stated, strict=True)]


def told_apart(paths: Sequence[Path]) -> list[str]:
    """What circuits are called: by their files' names, or by their paths where these are alike."""
    short = [path.name for path in paths]
    return [str(path) for path in paths] if repeats(short) else short


def compare(circuits: Sequence[Circuit], called: Sequence[str]) -> Compared:
    """Two circuits against each other, or what several share.

    Raises:
        InputError: of several, two are called alike.
    """
    others = _other_models(circuits, called)
    if len(circuits) == 2:
        data = compare_circuits(*circuits)
        return Compared([*describe_comparison(data, *called), *others], data)
    if repeated := repeats(called):
        raise InputError(f"compare: {placed(Path(repeated[0]))} stands there more than once")
    found = overlaps(dict(zip(called, circuits, strict=True)))
    return Compared([*describe_overlaps(found), *others], found.data())


def _other_models(circuits: Sequence[Circuit], called: Sequence[str]) -> list[str]:
    """That circuits are of different models, as far as they state their sizes."""
    sizes = {name: one.sizes() for name, one in zip(called, circuits, strict=True)}
    known = {name: one for name, one in sizes.items() if one is not None}
    if len(set(known.values())) < 2:
        return []
    stated = "; ".join(f"{name}: {model} and {head}" for name, (model, head) in known.items())
    return [f"note: the circuits are not of one model, by their d_model and d_head: {stated}"]
