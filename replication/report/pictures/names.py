"""Names: where the names of points stand, so that none stands on another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Literal, NamedTuple

Align = Literal["left", "center", "right"]
LETTER, LINE, MARK = 6.5, 12.0, 4.0  # in pixels: a letter's width, a line's height, half a mark


class Point(NamedTuple):
    """A point with its name, in pixels from the left and from the top."""

    name: str
    x: float
    y: float


class Place(NamedTuple):
    """Where a name stands, from its point."""

    name: str
    align: Align
    dx: float
    dy: float


class _Box(NamedTuple):
    left: float
    right: float
    top: float
    bottom: float

    def overlap(self, other: _Box) -> float:
        """The area that both cover."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, across) * max(0.0, down)


_SIDES: tuple[tuple[Align, float], ...] = (("left", 7), ("right", -7), ("center", 0))
_PLACES = [
    (align, dx, dy) for dy, (align, dx) in product((0, -11, 12, -22, 23), _SIDES) if dx or dy
]


def placed(points: Sequence[Point], marks: Sequence[Point], width: float) -> list[Place]:
    """A place for every name: the first at which it covers the least of names and marks."""
    taken = [_Box(one.x - MARK, one.x + MARK, one.y - MARK, one.y + MARK) for one in marks]
    found = []
    for point in points:
        boxes = [_box(point, align, dx, dy) for align, dx, dy in _PLACES]
        covered = [
            sum(box.overlap(other) for other in taken)
            + LINE * (max(0.0, -box.left) + max(0.0, box.right - width))
            for box in boxes
        ]
        best = covered.index(min(covered))
        taken.append(boxes[best])
        found.append(Place(point.name, *_PLACES[best]))
    return found


def _box(point: Point, align: Align, dx: float, dy: float) -> _Box:
    long = LETTER * len(point.name)
    left = point.x + dx - {"left": 0.0, "center": long / 2, "right": long}[align]
    middle = point.y + dy
    return _Box(left, left + long, middle - LINE / 2, middle + LINE / 2)
