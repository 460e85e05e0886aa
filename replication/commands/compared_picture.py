"""The picture of compared circuits, on one grid, as a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from replication.circuits.circuit import Circuit
from replication.circuits.components import ModelShape, names
from replication.circuits.overlaps import overlaps
from replication.inputs.files import InputError
from replication.inputs.folders import check_replaceable, check_writable
from replication.inputs.writing import write_atomically
from replication.report.pictures.grids import comparison, several
from replication.report.pictures.marks import Spec
from replication.report.pictures.svg import svg
from replication.report.pictures.theme import Look
from replication.report.record import ResultFigures
from replication.report.rows import Row, compared, components

DRAWN = "<!-- drawn by replication compare -->\n"  # what a picture that may be replaced begins with


def write_picture(
    path: Path, circuits: Sequence[Circuit], called: Sequence[str], look: Look
) -> None:
    """Write the circuits on one grid as SVG, over nothing but such a picture.

    Raises:
        InputError: something else stands there, or the grid would be too large.
    """
    check_writable(path)
    check_replaceable(path, "picture of compared circuits", _is_drawn)
    write_atomically(path, DRAWN + svg(_picture(circuits, called), look=look))


def _is_drawn(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(DRAWN)) == DRAWN.encode()


def _picture(circuits: Sequence[Circuit], called: Sequence[str]) -> Spec:
    shape = _grid_of(circuits)
    if len(circuits) == 2:
        (left, right), (here, there) = called, (_rows(one, shape) for one in circuits)
        return comparison(compared(left, here, right, there), shape)
    held = overlaps(dict(zip(called, circuits, strict=True))).held
    return several(held, len(circuits), shape)


def _grid_of(circuits: Sequence[Circuit]) -> ModelShape:
    """The smallest grid that holds all circuits: their files need not say how large it is."""
    nodes = [node for circuit in circuits for node in circuit.nodes]
    n_layers = max(node.layer for node in nodes) + 1
    n_heads = max(node.head for node in nodes) + 1
    try:
        return ModelShape(n_layers=max(n_layers, 1), n_heads=max(n_heads, 1), d_model=1, d_head=1)
    except ValidationError:
        raise InputError(
            f"--svg: {n_layers} layers of {n_heads} heads are too many for a picture"
        ) from None


def _rows(circuit: Circuit, shape: ModelShape) -> list[Row]:
    nothing_else = {
        "mlp_threshold": None,
        "budget": None,
        "cost": None,
        "scores": None,
        "cut": None,
    }
    return components(
        ResultFigures(shape=shape, nodes=names(circuit.nodes), ranks={}, **nothing_else)
    )
