"""Faithfulness: pictures of what circuits keep, by their size and by the cell that is looked at."""

from __future__ import annotations

from collections.abc import Sequence

from replication.experiment.behaviours import Averaging
from replication.report.causal_record import CausalRecord, FaithfulnessRecord, Open
from replication.report.causal_text import between, share
from replication.report.pictures.marks import Spec, clipped, limit_across, limit_up, picture

# The axes of shares end here, whatever runs away.
ENDS = (-1.0, 2.0)
ROOM = (-1.08, 2.08)  # for what stands at the ends
SHAPES = ("circle", "square", "diamond", "cross", "triangle-up")


def _axis(field: str, title: str, ends: tuple[float, float], ticks: int) -> Spec:
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "axis": {"format": ".0%", "tickCount": ticks},
        "scale": {"domain": list(ends), "nice": False, "zero": False},
    }


def curve(found: CausalRecord) -> Spec:
    """What the best of the ranking keep, by size, beside matched circuits and the measured one."""
    values = _sizes(found)
    matched = [
        {"size": size, "share": clipped(kept, ENDS)}
        for size, draws in zip(found.curve.sizes, found.curve.matched, strict=True)
        for kept in draws
        if kept is not None
    ]
    reached = [one["share"] for one in [*values, *matched]] + [
        end for one in values for end in (one["low"], one["high"])
    ]
    ends = (min(-0.1, *reached), max(1.1, *reached))
    y = _axis("share", "kept of the behaviour", ends, 5)
    bare: Spec = {**y, "title": None}
    x: Spec = {
        "field": "size",
        "type": "quantitative",
        "title": "components kept, the best first",
        "axis": {"grid": False, "tickCount": 6, "format": "d"},
        "scale": {"type": "log", "nice": False},
    }
    hover = {
        "tooltip": [
            {"field": "size", "title": "components"},
            {"field": "kept", "title": "keep"},
            {"field": "interval"},
        ],
        "description": {"field": "in words"},
    }
    return picture(
        f"A line: what the best {found.curve.sizes[0]} to {found.curve.sizes[-1]} components of the"
        f" ranking keep of {found.behaviour}, with its interval. Dots: {len(matched)} matched"
        f" circuits of those sizes.{_diamond_words(found)} The axis ends at {share(ENDS[0])} and"
        f" {share(ENDS[1])}.",
        220,
        [
            {
                "mark": {"type": "area", "style": "band", "aria": False},
                "encoding": {"x": x, "y": {**bare, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "data": {"values": matched},
                "mark": {"type": "point", "style": "random", "size": 14, "aria": False},
                "encoding": {"x": x, "y": bare},
            },
            *limit_up(1.0, "all of it"),
            {
                "mark": {"type": "line", "style": "interval", "aria": False},
                "encoding": {"x": x, "y": y},
            },
            {
                "mark": {"type": "point", "style": "interval", "filled": True, "size": 40},
                "encoding": {"x": x, "y": bare, **hover},
            },
            *_diamond(found, x, bare, hover),
        ],
        data={"values": values},
    )


def _sizes(found: CausalRecord) -> list[Spec]:
    figures = zip(found.curve.sizes, found.curve.shares, found.curve.intervals, strict=True)
    return [
        _kept_values(f"the best {size}", size, kept, interval)
        for size, kept, interval in figures
        if kept is not None
    ]


def _kept_values(name: str, size: int, kept: float, interval: Open | None) -> Spec:
    low, high = _clipped_ends(kept, interval)
    return {
        "size": size,
        "share": clipped(kept, ENDS),
        "low": low,
        "high": high,
        "kept": share(kept),
        "interval": between(interval),
        "in words": f"{name} keep {share(kept)}, interval {between(interval)}",
    }


def _clipped_ends(kept: float, interval: Open | None) -> tuple[float, float]:
    """The ends of an interval on the axis; without one, the figure itself."""
    low, high = interval or (kept, kept)
    return (
        clipped(ENDS[0] if low is None else low, ENDS),
        clipped(ENDS[1] if high is None else high, ENDS),
    )


def _own(found: CausalRecord) -> Spec | None:
    """The measured circuit, as a point of the curve's picture."""
    kept = found.judged(found.measures)
    size = sum(node != "input" for node in found.circuits[found.measures])
    if kept is None or kept.share is None or not size:
        return None
    return _kept_values(f"{found.measures}, of {size} components,", size, kept.share, kept.interval)


def _diamond_words(found: CausalRecord) -> str:
    own = _own(found)
    return "" if own is None else f" A diamond: {found.measures}, which keeps {own['kept']}."


def _diamond(found: CausalRecord, x: Spec, y: Spec, hover: Spec) -> list[Spec]:
    own = _own(found)
    if own is None:
        return []
    return [
        {
            "data": {"values": [own]},
            "mark": {"type": "rule", "style": "near", "strokeWidth": 1.5, "aria": False},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "data": {"values": [own]},
            "mark": {
                "type": "point",
                "style": "near",
                "shape": "diamond",
                "filled": True,
                "size": 110,
                "opacity": 1,
            },
            "encoding": {"x": x, "y": y, **hover},
        },
    ]


def cells(found: CausalRecord, averaging: Averaging) -> list[Spec]:
    """What every circuit keeps in every cell of an averaging: a picture for each run and place."""
    shown = [one for one in found.faithfulness if one.cell.averaging == averaging]
    runs = dict.fromkeys(one.cell.run for one in shown)
    return [_cells(found, run, [one for one in shown if one.cell.run == run]) for run in runs]


def shapes(found: CausalRecord) -> dict[str, str]:
    """Each circuit's shape."""
    return {name: SHAPES[place % len(SHAPES)] for place, name in enumerate(found.circuits)}


def _cells(found: CausalRecord, run: str, shown: Sequence[FaithfulnessRecord]) -> Spec:
    known = [(one, one.share) for one in shown if one.share is not None]
    beyond = sum(clipped(kept, ENDS) != kept for _, kept in known)
    values = list(dict.fromkeys(one.cell.value for one in shown))
    y: Spec = {
        "field": "value",
        "type": "nominal",
        "scale": {"domain": values, "paddingInner": 0.2},
        "axis": {"title": None, "domain": False, "ticks": False},
    }
    offset = {"yOffset": {"field": "circuit", "sort": list(found.circuits)}}
    x = _axis("share", "kept", ROOM, 4)
    colour = {
        "color": {
            "field": "circuit",
            "type": "nominal",
            "scale": {"domain": list(found.circuits)},
            "legend": None,
        }
    }
    return picture(
        f"{shown[0].cell.around}: what {len(found.circuits)} circuits keep, by what is put in the"
        f" place of the rest, with intervals. {beyond} lie beyond the axis, and stand as triangles"
        " at its end.",
        len(values) * max(24, 13 * len(found.circuits)),
        [
            *(_judged_plate(found, y) if any(one.cell == found.cell for one in shown) else ()),
            {
                "mark": {"type": "rule", "strokeWidth": 1.5, "aria": False},
                "encoding": {
                    "y": y,
                    **offset,
                    "x": {**x, "field": "low"},
                    "x2": {"field": "high"},
                    **colour,
                },
            },
            _points(y, offset, x, colour),
            *limit_across(1.0, ""),
        ],
        title=run,
        data={"values": [_cell_values(found, one, kept) for one, kept in known]},
    )


def _points(y: Spec, offset: Spec, x: Spec, colour: Spec) -> Spec:
    told = {"condition": {"test": "datum.told", "value": 1}, "value": 0}
    return {
        "mark": {"type": "point", "size": 55, "opacity": 1, "strokeWidth": 1.5},
        "encoding": {
            "y": y,
            **offset,
            "x": x,
            **colour,
            "fill": {**colour["color"]},
            "fillOpacity": told,
            "shape": {"field": "shape", "type": "nominal", "scale": None},
            "tooltip": [
                {"field": "circuit"},
                {"field": "cell"},
                {"field": "kept", "title": "keeps"},
                {"field": "interval"},
                {"field": "is told", "title": "told from none"},
            ],
            "description": {"field": "in words"},
        },
    }


def _judged_plate(found: CausalRecord, y: Spec) -> list[Spec]:
    """What marks the judged cell: a plate behind it, and its name."""
    data = {"values": [{"value": found.cell.value, "name": "judged"}]}
    text = {"type": "text", "style": "limit name", "align": "right", "dx": -3, "aria": False}
    return [
        {
            "data": data,
            "mark": {"type": "rect", "style": "plain", "aria": False},
            "encoding": {"y": y, "x": {"value": 0}, "x2": {"value": "width"}},
        },
        {
            "data": data,
            "mark": text,
            "encoding": {"y": y, "x": {"value": "width"}, "text": {"field": "name"}},
        },
    ]


def _cell_values(found: CausalRecord, one: FaithfulnessRecord, kept: float) -> Spec:
    low, high = _clipped_ends(kept, one.interval)
    shape = shapes(found)[one.circuit]
    if not ENDS[0] <= kept <= ENDS[1]:
        shape = "triangle-left" if kept < ENDS[0] else "triangle-right"
    return {
        "circuit": one.circuit,
        "value": one.cell.value,
        "cell": one.cell.in_words,
        "share": clipped(kept, ENDS),
        "low": low,
        "high": high,
        "kept": share(kept),
        "interval": between(one.interval),
        "told": one.is_told,
        "is told": "yes" if one.is_told else "no: the share says nothing",
        "shape": shape,
        "in words": f"{one.circuit} keeps {share(kept)}, interval {between(one.interval)}:"
        f" {one.cell.in_words}{'' if one.is_told else '; not told from none'}",
    }
