"""Scores: bars of the MLPs' and heads' scores, and of how often each component is selected."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from replication.controls.thresholds import THRESHOLDS
from replication.report.pictures.marks import (
    HOVER,
    NAMES,
    Spec,
    bars,
    is_scored,
    limit_across,
    picture,
    row_values,
    told_apart,
)
from replication.report.rows import KINDS, Row, figure

_SCORE: Spec = {
    "field": "score",
    "type": "quantitative",
    "title": "score",
    "axis": {"tickCount": 5},
}
# Layers beside the first share its axis.
_BARE: Spec = {**_SCORE, "axis": None}


def mlp_scores(rows: Sequence[Row]) -> Spec:
    """The MLPs' scores, best first, with the threshold that selects them."""
    shown = sorted((row for row in rows if is_scored(row, "MLP")), key=lambda row: row.rank or 0)
    y = {**NAMES, "sort": [row.component for row in shown]}
    scores: list[Spec] = [
        {
            "transform": [{"filter": test}],
            "mark": {"type": "bar", "style": style, "height": {"band": 0.68}},
            "encoding": {"y": y, "x": _SCORE, **HOVER},
        }
        for test, style in bars(shown)
    ]
    spans: Spec = {
        "transform": [{"filter": "datum.low !== null"}],
        "mark": {"type": "rule", "style": "interval", "strokeWidth": 1.5, "aria": False},
        "encoding": {"y": y, "x": {**_SCORE, "field": "low"}, "x2": {"field": "high"}},
    }
    threshold = shown[0].limit if shown else None
    limit = "" if threshold is None else f", and the threshold of {figure(threshold)}"
    return picture(
        f"Bars: the scores of {len(shown)} MLPs, best first{limit}. {told_apart(shown)}",
        18 * len(shown),
        [
            *scores,
            *([spans] if _has_intervals(shown) else []),
            *limit_across(threshold, f"threshold {figure(threshold)}"),
        ],
        data={"values": [row_values(row, "score", "low", "high", "selected") for row in shown]},
    )


def _has_intervals(rows: Sequence[Row]) -> bool:
    return any(row.low is not None for row in rows)


def head_scores(rows: Sequence[Row], near: Collection[str]) -> Spec:
    """The heads' scores by rank, the cut-off where the budget was spent, and who lies near it."""
    shown = [row for row in rows if is_scored(row, "head") and row.place is not None]
    x = _ranks(shown)
    spans: Spec = {
        "transform": [{"filter": "datum.low !== null"}],
        "mark": {"type": "rule", "style": "interval", "strokeWidth": 1, "aria": False},
        "encoding": {"x": x, "y": {**_BARE, "field": "low"}, "y2": {"field": "high"}},
    }
    lists_all = bool(shown) and shown[0].listed == shown[0].of
    cut = shown[0].limit if lists_all else None
    used = ("score", "low", "high", "selected")
    marked = sum(row.component in near for row in shown)
    ends = "" if cut is None else f", and the cut-off at {figure(cut)}, where the budget was spent"
    near_it = f"; triangles mark the {marked} heads nearest to the cut-off" if marked else ""
    return picture(
        f"Bars: the scores of {len(shown)} heads by rank{ends}{near_it}. {told_apart(shown)}",
        190,
        [
            *_head_bars(shown, x),
            *([spans] if _has_intervals(shown) else []),
            *([_triangles(x)] if marked else []),
            *([] if cut is None else [_cut_off(cut)]),
        ],
        data={
            "values": [
                {
                    **row_values(row, *used),
                    "rank": row.place,
                    "near": row.component in near,
                }
                for row in shown
            ]
        },
        resolve={"axis": {"y": "independent"}},
    )


def _ranks(shown: Sequence[Row]) -> Spec:
    last = max((row.place or 0 for row in shown), default=1)
    step = 10 * math.ceil(last / 150)  # as many as stand beside one another
    ticks = [1, *range(step, last + 1, step)]
    # A rank between two others keeps its place, where the table does not list who has it.
    gaps = {} if len(shown) == last else {"domain": list(range(1, last + 1))}
    return {
        "field": "rank",
        "type": "ordinal",
        "scale": {"paddingInner": 0.25, **gaps},
        "axis": {"title": "rank", "values": ticks, "labelAngle": 0, "ticks": False},
    }


def _head_bars(shown: Sequence[Row], x: Spec) -> list[Spec]:
    return [
        {
            "transform": [{"filter": test}],
            "mark": {"type": "bar", "style": style, "strokeWidth": 0.8},
            "encoding": {"x": x, "y": _BARE if place else _SCORE, **HOVER},
        }
        for place, (test, style) in enumerate(bars(shown))
    ]


def _triangles(x: Spec) -> Spec:
    """A triangle above each head near the cut-off."""
    return {
        "transform": [
            {"filter": "datum.near"},
            {"calculate": "max(datum.score, datum.high)", "as": "top"},
        ],
        "mark": {
            "type": "point",
            "style": "near",
            "shape": "triangle-down",
            "filled": True,
            "size": 36,
            "yOffset": -7,
            "opacity": 1,
        },
        "encoding": {"x": x, "y": {**_BARE, "field": "top"}, **HOVER},
    }


def _cut_off(cut: float) -> Spec:
    """A dashed line at the cut-off, named at its right."""
    named = {
        "title": None,
        "orient": "right",
        "values": [cut],
        "labelExpr": f"['cut-off', '{figure(cut)}']",
        "labelColor": {"expr": "limit"},
        "grid": False,
        "ticks": False,
        "domain": False,
    }
    return {
        "data": {"values": [{"score": cut}]},
        "mark": {"type": "rule", "style": "limit", "aria": False},
        "encoding": {"y": {**_SCORE, "axis": named}},
    }


def probabilities(rows: Sequence[Row]) -> Spec:
    """How often each component is selected when the pairs are drawn anew, in order of score."""
    kinds = list(KINDS.values())
    ordered = sorted(
        ((row, row.probability) for row in rows if row.probability is not None),
        key=lambda entry: (kinds.index(entry[0].kind), entry[0].rank or 0),
    )
    shown = [row for row, _ in ordered]
    stable = THRESHOLDS.stable_probability.value
    unsure = sum(1 - stable < probability < stable for _, probability in ordered)
    encoding = _probability_encoding(sum(row.kind == "MLP" for row in shown))
    return picture(
        f"Bars: how often each of {len(shown)} components is selected when the pairs are drawn"
        f" anew; {unsure} of them between {1 - stable:.0%} and {stable:.0%} of the time.",
        150,
        [
            {
                "transform": [{"filter": test}],
                "mark": {"type": "bar", "style": style, "strokeWidth": 0.8},
                "encoding": encoding,
            }
            for test, style in bars(shown)
        ],
        data={
            "values": [
                {
                    "place": place,
                    "component": row.component,
                    "probability": probability,
                    "circuit": row.words.circuit,
                    "in words": f"{row.component}: selected in {probability:.1%} of the draws,"
                    f" {row.words.circuit}",
                    "selected": row.selected,
                }
                for place, (row, probability) in enumerate(ordered, 1)
            ]
        },
    )


def _probability_encoding(mlps: int) -> Spec:
    return {
        "x": {
            "field": "place",
            "type": "ordinal",
            "scale": {"paddingInner": 0.25},
            "axis": {
                "title": f"the {mlps} MLPs, then the heads, each by rank",
                "labels": False,
                "ticks": False,
            },
        },
        "y": {
            "field": "probability",
            "type": "quantitative",
            "title": "selected in",
            "scale": {"domain": [0, 1]},
            "axis": {"format": ".0%", "tickCount": 5},
        },
        "tooltip": [
            {"field": "component"},
            {"field": "probability", "title": "selected in", "format": ".1%"},
            {"field": "circuit", "title": "circuit"},
        ],
        "description": {"field": "in words"},
    }
