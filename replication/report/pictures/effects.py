"""Effects: pictures of what goes with each component, on the grid and against what differs."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from replication.circuits.components import INPUT, ModelShape, parse
from replication.controls.thresholds import THRESHOLDS
from replication.report.causal_record import CausalComponentRecord, CausalRecord
from replication.report.causal_text import between, most, scored, share
from replication.report.pictures.grids import OUTLINE, grid, height
from replication.report.pictures.marks import Spec, clipped, limit_up, picture
from replication.report.pictures.names import Point, placed
from replication.report.rows import figure

DEEPEST = 0.4  # of the behaviour: from there on the colour is full
NAMED = 5  # components that differ most, and as many that matter most
REACH = 1e4  # of the highest score: lower ones stand at the end of the axis
HIGHEST = 1.5  # of the behaviour: where the axis of effects ends at most
WIDTH, HEIGHT = 420, 300  # of the picture of both, as names are placed
_SIGNS = {"necessary": "+", "against": "−"}
_HOVER: Spec = {
    "tooltip": [
        {"field": "component"},
        {"field": "goes", "title": "goes with it"},
        {"field": "interval"},
        {"field": "word"},
        {"field": "differs", "title": "differential score"},
        {"field": "circuit"},
    ],
    "description": {"field": "in words"},
}


def effects(found: CausalRecord, shape: ModelShape) -> Spec:
    """What goes with each component, on the grid of its model: colour and signs, nodes outlined."""
    axes = grid(shape)
    whole = {"y": axes["y"], "x": {"value": 0}, "x2": {"value": "width"}}
    middle = {"y": axes["y"], "x": {"value": {"expr": "width / 2"}}}
    is_input, is_other = "datum.component === 'input'", "datum.component !== 'input'"
    signs = {word: sum(one.word == word for one in found.components) for word in _SIGNS}
    return picture(
        f"A grid of {shape.n_layers} layers by {shape.n_heads} attention heads, with the MLPs"
        f" beside them: what of {found.behaviour} goes when each alone is ablated. A plus marks"
        f" {signs['necessary']} that are necessary, a minus {signs['against']} that work against"
        f" it. The components of {found.measures} are outlined.",
        height(shape),
        [
            _squares(is_input, whole),
            _squares(is_other, axes),
            *(_signed(test, place) for test, place in ((is_input, middle), (is_other, axes))),
        ],
        data={"values": [_values(one, found) for one in found.components]},
    )


def _squares(test: str, place: Spec) -> Spec:
    return {
        "transform": [{"filter": test}],
        "mark": {"type": "rect", "style": "square", "cornerRadius": 1.5},
        "encoding": {
            **place,
            **_HOVER,
            "strokeWidth": OUTLINE,
            "color": {
                "field": "depth",
                "type": "quantitative",
                "scale": {"domain": [-DEEPEST, DEEPEST], "domainMid": 0, "range": "diverging"},
                "legend": {
                    "title": "against … serves",
                    "orient": "bottom",
                    "direction": "horizontal",
                    "gradientLength": 180,
                    "gradientThickness": 10,
                    "format": ".0%",
                    "values": [-DEEPEST, 0, DEEPEST],
                },
            },
        },
    }


def _signed(test: str, place: Spec) -> Spec:
    """The signs of what is necessary, or against."""
    return {
        "layer": [
            {
                "transform": [{"filter": f"{test} && datum.sign !== '' && {depth}"}],
                "mark": {"type": "text", "style": style, "fontSize": 13, "aria": False},
                "encoding": {**place, "text": {"field": "sign"}},
            }
            for style, depth in (
                ("on pale", f"abs(datum.depth) < {DEEPEST / 2}"),
                ("on deep", f"abs(datum.depth) >= {DEEPEST / 2}"),
            )
        ]
    }


def _values(one: CausalComponentRecord, found: CausalRecord) -> Spec:
    component = parse(one.component)
    effect = one.effect or 0.0
    circuit = f"in {found.measures}" if one.selected else f"not in {found.measures}"
    return {
        "component": one.component,
        "kind": one.kind,
        "layer": "input" if component == INPUT else str(component.layer),
        "column": "MLP" if one.kind == "mlp" else str(component.head),
        "depth": clipped(effect, (-DEEPEST, DEEPEST)),
        "size": clipped(abs(effect), (0.0, HIGHEST)),
        "score": one.differential,
        "sign": _SIGNS.get(one.word, ""),
        "selected": one.selected,
        "goes": share(one.effect),
        "interval": between(one.interval),
        "differs": figure(one.differential, "none"),
        "word": one.word,
        "circuit": circuit,
        "in words": f"{one.component}: {share(one.effect)} of the behaviour goes with it, interval"
        f" {between(one.interval)}: {one.word}; differential score"
        f" {figure(one.differential, 'none')}, {circuit}",
    }


def differs_and_matters(found: CausalRecord) -> Spec:
    """How much each component differs between the sides, against the size of its effect."""
    differing, mattering = most(found, NAMED)
    shown = [one for one in scored(found) if one.differential]
    axes = _Axes.of(shown)
    encoding = _scatter(axes)
    count = THRESHOLDS.effect_share.value
    idle = sum(abs(one.effect or 0) < count for one in differing)
    named = {one.component for one in (*differing, *mattering)}
    return picture(
        f"Each of {len(shown)} components: its differential score across, the size of its effect"
        f" up. Of the {len(differing)} that differ most, {idle} have an effect below {count:.0%}."
        f" Squares are MLPs, circles heads; filled ones are in {found.measures}.",
        HEIGHT,
        [
            *limit_up(count, f"counts from {count:.0%}"),
            _dots("!", "random", encoding, filled=False),
            _dots("", "dot", encoding, filled=True),
            *_names(encoding, named, list(map(axes.point, shown))),
        ],
        data={
            "values": [
                {**_values(one, found), "score": clipped(one.differential or 0.0, axes.scores)}
                for one in shown
            ]
        },
    )


def _dots(test: str, style: str, encoding: Spec, *, filled: bool) -> Spec:
    """The components that are in the circuit, or with a negation those that are not."""
    return {
        "transform": [{"filter": f"{test}datum.selected"}],
        "mark": {"type": "point", "style": style, "size": 42, "filled": filled, "opacity": 0.85},
        "encoding": {**encoding, **_HOVER},
    }


class _Axes(NamedTuple):
    """The ends of both axes: across logarithmic, up by the square root."""

    scores: tuple[float, float]
    highest: float

    @classmethod
    def of(cls, shown: Sequence[CausalComponentRecord]) -> _Axes:
        """The axes that hold these components; what scores next to nothing stands at an end."""
        scores = [one.differential for one in shown if one.differential] or [1.0]
        ends = (max(min(scores), max(scores) / REACH), max(scores))
        effects = [abs(one.effect or 0.0) for one in shown]
        return cls(ends, min(HIGHEST, max(0.1, 1.15 * max(effects, default=0.0))))

    @property
    def across(self) -> tuple[float, float]:
        """The ends of the axis, with room for marks."""
        low, high = self.scores
        return low / 1.15, high * 1.5

    def point(self, one: CausalComponentRecord) -> Point:
        """Where a component stands, in pixels of a picture of the usual width."""
        low, high = self.across
        across = math.log(clipped(one.differential or 0.0, self.scores) / low) / math.log(
            high / low
        )
        up = math.sqrt(clipped(abs(one.effect or 0.0), (0.0, self.highest)) / self.highest)
        return Point(one.component, WIDTH * across, HEIGHT * (1 - up))


def _scatter(axes: _Axes) -> Spec:
    return {
        "x": {
            "field": "score",
            "type": "quantitative",
            "title": "differential score",
            "axis": {"grid": False, "tickCount": 5, "format": "~g"},
            "scale": {"type": "log", "domain": list(axes.across), "nice": False},
        },
        "y": {
            "field": "size",
            "type": "quantitative",
            "title": "size of the effect",
            "axis": {"format": ".0%", "values": [0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.5]},
            "scale": {"type": "sqrt", "domain": [0, axes.highest], "nice": False},
        },
        "shape": {
            "condition": {"test": "datum.kind === 'mlp'", "value": "square"},
            "value": "circle",
        },
    }


def _names(encoding: Spec, names: Collection[str], marks: Sequence[Point]) -> list[Spec]:
    """The names of some of the marks, each in a place of its own."""
    points = [one for one in marks if one.name in names]
    place = {axis: encoding[axis] for axis in ("x", "y")}
    return [
        {
            "transform": [{"filter": {"field": "component", "equal": one.name}}],
            "mark": {
                "type": "text",
                "style": "name",
                "aria": False,
                "align": one.align,
                "dx": one.dx,
                "dy": one.dy,
            },
            "encoding": {**place, "text": {"field": "component"}},
        }
        for one in placed(points, marks, WIDTH)
    ]
