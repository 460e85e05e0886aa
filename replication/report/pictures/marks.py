"""Marks: what the pictures have in common, and how a row becomes what they are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from replication.report.rows import Row

Spec = dict[str, Any]
NAMES: Spec = {
    "field": "component",
    "type": "nominal",
    "sort": None,
    "axis": {"title": None, "domain": False, "ticks": False},
}


TOOLTIP = [
    {"field": "component"},
    *(
        {"field": f"{key} in words", "title": title}
        for key, title in (
            ("score", "score"),
            ("rank", "rank"),
            ("interval", "interval"),
            ("distance", "distance to the cut-off"),
            ("circuit", "circuit"),
        )
    ),
]


HOVER: Spec = {"tooltip": TOOLTIP, "description": {"field": "in words"}}


def picture(description: str, height: int, layers: Sequence[Spec], **more: Any) -> Spec:
    """A picture as wide as its place, of layers, with what it says to a screen reader."""
    return {
        "description": description,
        "width": "container",
        "height": height,
        "layer": list(layers),
        **more,
    }


def row_values(row: Row, *columns: str) -> Spec:
    """A row as data, with the columns that the picture uses and those that hovering does."""
    used = {"component", *columns}
    return {
        **{key: value for key, value in asdict(row).items() if key in used},
        **{f"{key} in words": text for key, text in row.words._asdict().items()},
        "in words": row.in_words,
    }


def is_scored(row: Row, kind: str) -> bool:
    """Whether the row is of this kind and has a score."""
    return row.kind == kind and row.score is not None


def limit_across(value: float | None, name: str) -> list[Spec]:
    """A dashed line up at a limit, named above the picture."""
    if value is None:
        return []
    place: Spec = {"x": {"field": "limit", "type": "quantitative"}}
    data = {"values": [{"limit": value, "name": name}]}
    text = {"type": "text", "style": "limit name", "align": "left", "dx": 4, "dy": -6}
    words = {"y": {"value": 0}, "text": {"field": "name"}}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "style": "limit", "aria": False},
            "encoding": place,
        },
        {"data": data, "mark": {**text, "aria": False}, "encoding": {**place, **words}},
    ]


def limit_up(value: float, name: str) -> list[Spec]:
    """A dashed line across at a limit, named above its left end."""
    place: Spec = {"y": {"field": "limit", "type": "quantitative"}}
    data = {"values": [{"limit": value, "name": name}]}
    text = {"type": "text", "style": "limit name", "align": "left", "dx": 4, "dy": -6}
    words = {"x": {"value": 0}, "text": {"field": "name"}}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "style": "limit", "aria": False},
            "encoding": place,
        },
        {"data": data, "mark": {**text, "aria": False}, "encoding": {**place, **words}},
    ]


def clipped(value: float, ends: tuple[float, float]) -> float:
    """The value, or the end of the axis that it lies beyond."""
    return min(max(value, ends[0]), ends[1])


def bars(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """How the bars of what is selected, left out, or neither, are told apart, if there are any.

    A test of `datum`, and a style.
    """
    looks = {
        True: ("datum.selected", "selected"),
        False: ("datum.selected === false", "left out"),
        None: ("datum.selected === null", "scored"),
    }
    return [look for state, look in looks.items() if any(row.selected is state for row in rows)]


def told_apart(rows: Sequence[Row]) -> str:
    """The same in words."""
    if any(row.selected is None for row in rows):
        return "There is no circuit of them."
    return "Filled: in the circuit. Hollow: left out."
