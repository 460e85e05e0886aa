"""SVG: pictures as files of their own."""

from __future__ import annotations

from pathlib import Path

from replication.inputs.writing import write_atomically
from replication.report.pictures.grids import circuit
from replication.report.pictures.marks import Spec
from replication.report.pictures.theme import Look, theme
from replication.report.record import ResultFigures
from replication.report.rows import components


def svg(spec: Spec, width: int = 560, look: Look = "light") -> str:
    """The picture as an SVG document, `width` pixels wide."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg({**spec, "width": width, "config": theme(look)})
    return drawn


def write_circuit_picture(path: Path, figures: ResultFigures) -> None:
    """Write the picture of a circuit beside its file, as SVG."""
    write_atomically(path, svg(circuit(components(figures), figures.shape)))
