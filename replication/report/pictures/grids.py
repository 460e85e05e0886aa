"""Grids: a circuit on the layers and heads of its model, and two or several on one grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replication.circuits.components import INPUT, ModelShape
from replication.report.pictures.marks import HOVER, Spec, is_scored, picture, row_values
from replication.report.rows import ComparedRow, Comparison, Row, placed_on_grid

# A disc, its left half, its right half, a small dot.
DISC, LEFT, RIGHT, DOT = (
    "circle",
    "M0,-1A1,1,0,0,0,0,1Z",
    "M0,-1A1,1,0,0,1,0,1Z",
    "M-.22,0A.22,.22,0,1,0,.22,0A.22,.22,0,1,0,-.22,0Z",
)


COMPARED = ("score", "rank", "distance")
OUTLINE: Spec = {"condition": {"test": "datum.selected", "value": 2.2}, "value": 0}


def grid(shape: ModelShape) -> Spec:
    """The axes of a grid: layers from the top, the MLP and then the heads from the left."""
    layers = ["input", *map(str, range(shape.n_layers))]
    heads = [str(head) for head in range(shape.n_heads)]
    plain = {"domain": False, "ticks": False, "labelAngle": 0, "grid": False}
    return {
        "y": {
            "field": "layer",
            "type": "ordinal",
            "scale": {"domain": layers, "paddingInner": 0.14},
            "axis": {**plain, "title": "layer"},
        },
        "x": {
            "field": "column",
            "type": "ordinal",
            "scale": {"domain": ["MLP", "", *heads], "paddingInner": 0.14},
            "axis": {**plain, "title": "attention head", "orient": "top"},
        },
    }


def height(shape: ModelShape) -> int:
    """How high a grid is, in pixels: cells of a deep model are lower, to be seen at once."""
    lines = shape.n_layers + 1
    return lines * max(13, min(26, 520 // lines))


def circuit(rows: Sequence[Row], shape: ModelShape) -> Spec:
    """The circuit on the grid of its model: colour for score, an outline for what is selected."""
    axes = grid(shape)
    kinds = [kind for kind in ("MLP", "head") if any(is_scored(row, kind) for row in rows)]
    lacks = any(row.score is None for row in rows if row.kind != "input")
    selected = [row for row in rows if row.selected]
    description = (
        f"A grid of {shape.n_layers} layers by {shape.n_heads} attention heads, with the MLPs"
        f" beside them. {_count(selected, 'MLP')} and {_count(selected, 'head')} are outlined:"
        " they are in the circuit. Darker on light paper, brighter on dark: a higher score."
    )
    used = ("kind", "layer", "column", "score", "selected")
    return picture(
        description,
        height(shape),
        [
            _source(axes),
            *(_scored(kind, axes) for kind in kinds),
            *([_unscored(axes)] if lacks else []),
        ],
        data={"values": [row_values(row, *used) for row in rows]},
        resolve={"scale": {"color": "independent"}},
    )


def _count(selected: Sequence[Row], kind: str) -> str:
    number = sum(row.kind == kind for row in selected)
    return f"{number} {kind}{'' if number == 1 else 's'}"


def _source(axes: Spec) -> Spec:
    """The input, as a bar over the whole width."""
    return {
        "transform": [{"filter": "datum.kind === 'input'"}],
        "mark": {"type": "rect", "style": ["plain", "square"], "cornerRadius": 1.5},
        "encoding": {
            "y": axes["y"],
            "x": {"value": 0},
            "x2": {"value": "width"},
            "strokeWidth": OUTLINE,
            **HOVER,
        },
    }


def _scored(kind: str, axes: Spec) -> Spec:
    """The components of a kind that have a score, on a scale of their own."""
    return {
        "transform": [{"filter": f"datum.kind === '{kind}' && datum.score !== null"}],
        "mark": {"type": "rect", "style": "square", "cornerRadius": 1.5},
        "encoding": {
            **axes,
            **HOVER,
            "strokeWidth": OUTLINE,
            "color": {
                "field": "score",
                "type": "quantitative",
                "scale": {"zero": True},
                "legend": {
                    "title": f"score of {kind}s",
                    "orient": "bottom",
                    "direction": "horizontal",
                    "gradientLength": 110,
                    "gradientThickness": 10,
                    "tickCount": 3,
                },
            },
        },
    }


def _unscored(axes: Spec) -> Spec:
    """The components whose scores were not published, as empty squares."""
    return {
        "transform": [{"filter": "datum.kind !== 'input' && datum.score === null"}],
        "mark": {"type": "rect", "style": "unknown", "cornerRadius": 1.5},
        "encoding": {**axes, **HOVER, "strokeWidth": {**OUTLINE, "value": 0.6}},
    }


def comparison(found: Comparison, shape: ModelShape) -> Spec:
    """Two circuits on one grid: a disc in both, half a disc in one, a small dot in neither."""
    axes = grid(shape)
    counts = [sum(row.state == state for row in found.rows) for state in found.states]
    tally = ", ".join(f"{count} {state}" for count, state in zip(counts, found.states, strict=True))
    tooltip = _compared_tooltip(found)
    hover = {"tooltip": tooltip, "description": {"field": "in words"}}
    symbol = {**_state_symbol(found.states), **hover}
    whole = {"y": axes["y"], "x": {"value": 0}, "x2": {"value": "width"}}
    middle = {"y": axes["y"], "x": {"value": {"expr": "width / 2"}}}
    is_input, is_other = "datum.kind === 'input'", "datum.kind !== 'input'"
    return picture(
        f"The grid of both circuits' model, with a mark for each component: {tally}.",
        height(shape),
        [
            _plate(is_input, whole),
            _plate(is_other, {**axes, "tooltip": tooltip}),
            _symbols(is_input, {**middle, **symbol}),
            _symbols(is_other, {**axes, **symbol}),
        ],
        data={"values": [_compared_values(row, found) for row in found.rows]},
    )


def _compared_tooltip(found: Comparison) -> list[Spec]:
    return [
        {"field": "component"},
        {"field": "state", "title": "stands"},
        *(
            {"field": f"{side} {what}", "title": f"{what}, {name}"}
            for side, name in (("left", found.left), ("right", found.right))
            for what in COMPARED
        ),
    ]


def _state_symbol(states: Sequence[str]) -> Spec:
    """What tells the states apart: a shape, and a colour."""
    scale = {"domain": list(states)}
    legend = {"title": None, "orient": "bottom", "columns": 2, "symbolSize": 130}
    return {
        "shape": {
            "field": "state",
            "type": "nominal",
            "scale": {**scale, "range": [DISC, LEFT, RIGHT, DOT]},
            "legend": legend,
        },
        "color": {"field": "state", "type": "nominal", "scale": scale, "legend": legend},
        "size": {"value": 170},
    }


def _plate(test: str, encoding: Spec) -> Spec:
    return {
        "transform": [{"filter": test}],
        "mark": {"type": "rect", "style": "plain", "aria": False},
        "encoding": encoding,
    }


def _symbols(test: str, encoding: Spec) -> Spec:
    return {
        "transform": [{"filter": test}],
        "mark": {"type": "point", "filled": True, "opacity": 1},
        "encoding": encoding,
    }


def _compared_values(row: ComparedRow, found: Comparison) -> Spec:
    """A component of two circuits as data."""
    left, right = row.left.words, row.right.words
    scores = f"; {found.left}: {left.score}, {found.right}: {right.score}"
    return {
        "component": row.left.component,
        "kind": row.left.kind,
        "layer": row.left.layer,
        "column": row.left.column,
        "state": row.state,
        **{f"left {what}": getattr(left, what) for what in COMPARED},
        **{f"right {what}": getattr(right, what) for what in COMPARED},
        "in words": f"{row.left.component}: {row.state}{scores if found.is_scored else ''}",
    }


MOST_NAMED = 8  # steps of a legend that are all named


def several(held: Mapping[str, int], number: int, shape: ModelShape) -> Spec:
    """Several circuits on one grid, marked by in how many of them each component stands.

    `held` has those that stand in any, of so many circuits.
    """
    axes = grid(shape)
    values = [
        {**placed_on_grid(one), "held": held.get(str(one), 0)}
        for one in [INPUT, *shape.components()]
    ]
    for value in values:
        value["in words"] = f"{value['component']}: in {value['held']} of {number}"
    in_all = sum(value == number for value in held.values())
    steps = range(1, number + 1) if number <= MOST_NAMED else (1, number // 2, number)
    scale = {"domain": [0, number], "zero": True}
    legend = {
        "title": f"in how many of the {number}",
        "type": "symbol",
        "symbolType": "square",
        "orient": "bottom",
        "direction": "horizontal",
        "values": list(steps),
        "format": "d",
    }
    marked = {
        "color": {"field": "held", "type": "quantitative", "scale": scale, "legend": legend},
        "description": {"field": "in words"},
        "tooltip": {"field": "in words"},
    }
    whole = {"y": axes["y"], "x": {"value": 0}, "x2": {"value": "width"}}
    is_input, is_other = "datum.kind === 'input'", "datum.kind !== 'input'"
    return picture(
        f"The grid of {number} circuits' model, each component marked by in how many of them it"
        f" stands: {len(held)} in any, {in_all} in all. Darker on light paper, brighter on dark:"
        " in more.",
        height(shape),
        [
            _plate(is_input, whole),
            _plate(is_other, axes),
            _held(f"{is_input} && datum.held > 0", {**whole, **marked}),
            _held(f"{is_other} && datum.held > 0", {**axes, **marked}),
        ],
        data={"values": values},
    )


def _held(test: str, encoding: Spec) -> Spec:
    return {
        "transform": [{"filter": test}],
        "mark": {"type": "rect", "style": "square", "cornerRadius": 1.5},
        "encoding": encoding,
    }
