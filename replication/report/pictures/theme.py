"""The theme: what the styles of the pictures and the page look like, on light and on dark paper."""

from __future__ import annotations

from typing import Any, Literal

Look = Literal["light", "dark"]
PALETTES: dict[Look, dict[str, Any]] = {
    "light": {
        "paper": "#fcfbf7",
        "panel": "#f4f2ea",
        "ink": "#23211d",
        "muted": "#625e55",
        "line": "#dcd8cc",
        "first": "#9a4b16",
        "second": "#1c5f8a",
        "mark": "#4d93a0",
        "holds": "#2d6a3f",
        "refuted": "#a3282a",
        "undecided": "#7a5a00",
        "ramp": ["#edf0ea", "#a9cbc9", "#4d93a0", "#155365", "#082d3a"],
        "diverging": ["#8a3a0a", "#d9a27c", "#f1efe8", "#86b8c2", "#124a5c"],
    },
    "dark": {
        "paper": "#191816",
        "panel": "#23211e",
        "ink": "#ece8df",
        "muted": "#aaa498",
        "line": "#3c3934",
        "first": "#f0a36b",
        "second": "#84bfe8",
        "mark": "#3f8796",
        "holds": "#8ccb9b",
        "refuted": "#f08e86",
        "undecided": "#dcb95a",
        "ramp": ["#26292a", "#2b5560", "#3f8796", "#7fc0c6", "#d5eeea"],
        "diverging": ["#f7c39c", "#9c6038", "#26251f", "#34707f", "#bfe6ec"],
    },
}


FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"


def theme(name: Look) -> dict[str, Any]:
    """The config that gives every style its look."""
    colours = PALETTES[name]
    ink, muted, line = colours["ink"], colours["muted"], colours["line"]
    words = {"labelColor": muted, "titleColor": muted, "titleFontWeight": "normal"}
    return {
        "background": colours["paper"],
        "params": [{"name": "limit", "value": colours["first"]}],
        "font": FONT,
        "padding": 4,
        "view": {"stroke": None},
        "axis": {**words, "gridColor": line, "domainColor": line, "tickColor": line},
        "legend": {**words, "symbolStrokeWidth": 1.5},
        "title": {"color": ink, "anchor": "start", "fontSize": 13, "fontWeight": 600},
        "range": {
            "heatmap": colours["ramp"],
            "ordinal": colours["ramp"],
            "diverging": colours["diverging"],
            "category": [ink, colours["first"], colours["second"], muted],
        },
        "style": {
            "square": {"stroke": ink},
            "unknown": {"color": colours["paper"], "stroke": muted, "strokeDash": [2, 2]},
            "plain": {"color": colours["panel"]},
            "selected": {"color": colours["mark"], "stroke": colours["mark"]},
            "left out": {"color": colours["paper"], "stroke": muted},
            "scored": {"color": colours["panel"], "stroke": muted},
            "interval": {"color": ink},
            "limit": {"color": colours["first"], "strokeDash": [5, 3]},
            "limit name": {"color": colours["first"], "fontSize": 11},
            "near": {"color": colours["first"]},
            "span": {"color": muted},
            "half": {"color": colours["line"], "stroke": muted},
            "dot": {"color": colours["second"]},
            "band": {"color": colours["mark"], "opacity": 0.3},
            "random": {"color": muted},
            "name": {"color": ink, "fontSize": 11},
            "on pale": {"color": ink},
            "on deep": {"color": colours["paper"]},
        },
    }
