"""Pictures: Vega-Lite specs of a circuit, its scores, and what became of them under analysis.

Each function takes plain data and gives a spec as a plain dict. No spec names a colour: marks
have styles, and `theme` says what these look like on light and on dark paper. Whatever colour
says, a shape, an outline or a position says too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from replication.inputs.writing import write_atomically
from replication.report.figures import Figures
from replication.report.pictures.theme import theme
from replication.report.rows import COMPARED, WORDS, Data, Row, components, number

Spec = dict[str, Any]


# A disc, its left half, its right half, a small dot.
DISC, LEFT, RIGHT, DOT = (
    "circle",
    "M0,-1A1,1,0,0,0,0,1Z",
    "M0,-1A1,1,0,0,1,0,1Z",
    "M-.22,0A.22,.22,0,1,0,.22,0A.22,.22,0,1,0,-.22,0Z",
)


def svg(spec: Spec, width: int = 560, look: str = "light") -> str:
    """The picture as an SVG document, `width` pixels wide."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg({**spec, "width": width, "config": theme(look)})
    return drawn


def write_circuit_picture(path: Path, figures: Figures) -> None:
    """Write the picture of a circuit beside its file, as SVG."""
    write_atomically(path, svg(circuit(components(figures), figures["shape"])))


_NAMES: Spec = {
    "field": "component",
    "type": "nominal",
    "sort": None,
    "axis": {"title": None, "domain": False, "ticks": False},
}


_TOOLTIP = [
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


_HOVER: Spec = {"tooltip": _TOOLTIP, "description": {"field": "in words"}}


def _picture(description: str, height: int, layers: Sequence[Spec], **more: Any) -> Spec:
    return {
        "description": description,
        "width": "container",
        "height": height,
        "layer": list(layers),
        **more,
    }


def _rows(rows: Sequence[Row], *columns: str) -> Spec:
    """Rows as data, with the columns that the picture and its hovering use."""
    used = {*columns, *(entry["field"] for entry in _TOOLTIP), "in words"}
    return {"values": [{key: row[key] for key in row if key in used} for row in rows]}


def _grid(shape: Mapping[str, int]) -> Spec:
    """The axes of a grid: layers from the top, the MLP and then the heads from the left."""
    layers = ["input", *map(str, range(shape["n_layers"]))]
    heads = [str(head) for head in range(shape["n_heads"])]
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


def _count(selected: Sequence[Row], kind: str) -> str:
    number = sum(row["kind"] == kind for row in selected)
    return f"{number} {kind}{'' if number == 1 else 's'}"


def circuit(rows: Sequence[Row], shape: Mapping[str, int]) -> Spec:
    """The circuit on the grid of its model: colour for score, an outline for what is selected."""
    selected = [row for row in rows if row["selected"]]
    axes = _grid(shape)
    outline = {"condition": {"test": "datum.selected", "value": 2.2}, "value": 0}

    def scored(kind: str) -> Spec:
        return {
            "transform": [{"filter": f"datum.kind === '{kind}' && datum.score !== null"}],
            "mark": {"type": "rect", "style": "square", "cornerRadius": 1.5},
            "encoding": {
                **axes,
                **_HOVER,
                "strokeWidth": outline,
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

    unscored = {
        "transform": [{"filter": "datum.kind !== 'input' && datum.score === null"}],
        "mark": {"type": "rect", "style": "unknown", "cornerRadius": 1.5},
        "encoding": {
            **axes,
            **_HOVER,
            "strokeWidth": {**outline, "value": 0.6},
        },
    }
    source = {
        "transform": [{"filter": "datum.kind === 'input'"}],
        "mark": {"type": "rect", "style": ["plain", "square"], "cornerRadius": 1.5},
        "encoding": {
            "y": axes["y"],
            "x": {"value": 0},
            "x2": {"value": "width"},
            "strokeWidth": outline,
            **_HOVER,
        },
    }
    kinds = [kind for kind in ("MLP", "head") if any(_is_scored(row, kind) for row in rows)]
    lacks = any(row["score"] is None for row in rows if row["kind"] != "input")
    description = (
        f"A grid of {shape['n_layers']} layers by {shape['n_heads']} attention heads, with the MLPs"
        f" beside them. {_count(selected, 'MLP')} and {_count(selected, 'head')} are outlined:"
        " they are in the circuit. Darker on light paper, brighter on dark: a higher score."
    )
    return _picture(
        description,
        26 * (shape["n_layers"] + 1),
        [source, *map(scored, kinds), *([unscored] if lacks else [])],
        data=_rows(rows, "kind", "layer", "column", "score", "selected"),
        resolve={"scale": {"color": "independent"}},
    )


def _is_scored(row: Row, kind: str) -> bool:
    return row["kind"] == kind and row["score"] is not None


def comparison(
    words: Sequence[str], rows: Sequence[Row], shape: Mapping[str, int], left: str, right: str
) -> Spec:
    """Two circuits on one grid: a disc in both, half a disc in one, a small dot in neither."""
    axes = _grid(shape)
    tooltip = [
        {"field": "component"},
        {"field": "state", "title": "stands"},
        *(
            {"field": f"{side} {what}", "title": f"{what}, {name}"}
            for side, name in (("left", left), ("right", right))
            for what in COMPARED
        ),
    ]
    hover = {"tooltip": tooltip, "description": {"field": "in words"}}
    scale = {"domain": list(words)}
    counts = [sum(row["state"] == word for row in rows) for word in words]
    tally = ", ".join(f"{count} {word}" for count, word in zip(counts, words, strict=True))
    whole = {"y": axes["y"], "x": {"value": 0}, "x2": {"value": "width"}}
    legend = {"title": None, "orient": "bottom", "columns": 2, "symbolSize": 130}
    symbol = {
        "shape": {
            "field": "state",
            "type": "nominal",
            "scale": {**scale, "range": [DISC, LEFT, RIGHT, DOT]},
            "legend": legend,
        },
        "color": {"field": "state", "type": "nominal", "scale": scale, "legend": legend},
        "size": {"value": 170},
        **hover,
    }
    return _picture(
        f"The grid of both circuits' model, with a mark for each component: {tally}.",
        26 * (shape["n_layers"] + 1),
        [
            {
                "transform": [{"filter": "datum.kind === 'input'"}],
                "mark": {"type": "rect", "style": "plain", "aria": False},
                "encoding": whole,
            },
            {
                "transform": [{"filter": "datum.kind !== 'input'"}],
                "mark": {"type": "rect", "style": "plain", "aria": False},
                "encoding": {**axes, "tooltip": tooltip},
            },
            {
                "transform": [{"filter": "datum.kind === 'input'"}],
                "mark": {"type": "point", "filled": True, "opacity": 1},
                "encoding": {"y": axes["y"], "x": {"value": {"expr": "width / 2"}}, **symbol},
            },
            {
                "transform": [{"filter": "datum.kind !== 'input'"}],
                "mark": {"type": "point", "filled": True, "opacity": 1},
                "encoding": {**axes, **symbol},
            },
        ],
        data={"values": list(rows)},
    )


def _limit_across(value: float | None, name: str) -> list[Spec]:
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


def _if(layer: Spec, rows: Sequence[Row], column: str) -> list[Spec]:
    """The layer, if any row has something in the column for it to show."""
    return [layer] if any(row[column] not in (None, False) for row in rows) else []


def _bars(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """How the bars of what is selected, and of what is left out, are told apart, if there are any.

    A negation before `datum.selected`, and a style.
    """
    looks = {True: ("", "selected"), False: ("!", "left out")}
    return [looks[is_in] for is_in in looks if any(bool(row["selected"]) is is_in for row in rows)]


def mlp_scores(rows: Sequence[Row]) -> Spec:
    """The MLPs' scores, best first, with the threshold that selects them."""
    shown = sorted((row for row in rows if _is_scored(row, "MLP")), key=lambda row: row["rank"])
    y = {**_NAMES, "sort": [row["component"] for row in shown]}
    x: Spec = {"field": "score", "type": "quantitative", "title": "score", "axis": {"tickCount": 5}}
    bars: list[Spec] = [
        {
            "transform": [{"filter": f"{test}datum.selected"}],
            "mark": {"type": "bar", "style": style, "height": {"band": 0.68}},
            "encoding": {"y": y, "x": x, **_HOVER},
        }
        for test, style in _bars(shown)
    ]
    spans: Spec = {
        "transform": [{"filter": "datum.low !== null"}],
        "mark": {"type": "rule", "style": "interval", "strokeWidth": 1.5, "aria": False},
        "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
    }
    threshold = shown[0]["limit"] if shown else None
    return _picture(
        f"Bars: the scores of {len(shown)} MLPs, best first, and the threshold of"
        f" {number(threshold)}. Filled bars are selected, hollow ones left out.",
        18 * len(shown),
        [
            *bars,
            *_if(spans, shown, "low"),
            *_limit_across(threshold, f"threshold {number(threshold)}"),
        ],
        data=_rows(shown, "score", "low", "high", "selected"),
    )


def head_scores(rows: Sequence[Row], near: Sequence[str]) -> Spec:
    """The heads' scores by rank, the cut-off where the budget was spent, and who lies near it."""
    shown = [{**row, "near": row["component"] in near} for row in rows if _is_scored(row, "head")]
    last = max((row["rank"] for row in shown), default=1)
    ticks = [1, *range(10, last + 1, 10)]
    x: Spec = {
        "field": "rank",
        "type": "ordinal",
        "scale": {"paddingInner": 0.25},
        "axis": {"title": "rank", "values": ticks, "labelAngle": 0, "ticks": False},
    }
    y: Spec = {"field": "score", "type": "quantitative", "title": "score", "axis": {"tickCount": 5}}
    bare: Spec = {**y, "axis": None}
    bars: list[Spec] = [
        {
            "transform": [{"filter": f"{test}datum.selected"}],
            "mark": {"type": "bar", "style": style, "strokeWidth": 0.8},
            "encoding": {"x": x, "y": bare if place else y, **_HOVER},
        }
        for place, (test, style) in enumerate(_bars(shown))
    ]
    spans: Spec = {
        "transform": [{"filter": "datum.low !== null"}],
        "mark": {"type": "rule", "style": "interval", "strokeWidth": 1, "aria": False},
        "encoding": {"x": x, "y": {**bare, "field": "low"}, "y2": {"field": "high"}},
    }
    marks = {
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
        "encoding": {"x": x, "y": {**bare, "field": "top"}, **_HOVER},
    }
    cut = shown[0]["limit"] if shown else None
    named = {
        "title": None,
        "orient": "right",
        "values": [cut],
        "labelExpr": "['cut-off', format(datum.value, '.4')]",
        "labelColor": {"expr": "limit"},
        "grid": False,
        "ticks": False,
        "domain": False,
    }
    line = {
        "data": {"values": [{"score": cut}]},
        "mark": {"type": "rule", "style": "limit", "aria": False},
        "encoding": {"y": {**y, "axis": named}},
    }
    return _picture(
        f"Bars: the scores of {len(shown)} heads by rank, and the cut-off at {number(cut)}, where"
        f" the budget was spent. Filled bars are selected, hollow ones left out;"
        f" triangles mark the {sum(row['near'] for row in shown)} heads nearest to the cut-off.",
        190,
        [*bars, *_if(spans, shown, "low"), *_if(marks, shown, "near"), *_if(line, shown, "limit")],
        data=_rows(shown, "score", "low", "high", "selected", "rank", "near"),
        resolve={"axis": {"y": "independent"}},
    )


def probabilities(rows: Sequence[Row]) -> Spec:
    """How often each component is selected when the pairs are drawn anew, in order of score."""
    kinds = list(WORDS.values())
    ordered = sorted(
        (row for row in rows if row["probability"] is not None),
        key=lambda row: (kinds.index(row["kind"]), row["rank"] or 0),
    )
    values = [
        {
            "place": place,
            "component": row["component"],
            "probability": row["probability"],
            "circuit": row["circuit in words"],
            "in words": f"{row['component']}: selected in {row['probability']:.1%} of the draws,"
            f" {row['circuit in words']}",
            "selected": row["selected"],
        }
        for place, row in enumerate(ordered, 1)
    ]
    mlps = sum(row["kind"] == "MLP" for row in ordered)
    encoding = {
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
    unsure = sum(0.05 < row["probability"] < 0.95 for row in ordered)
    return _picture(
        f"Bars: how often each of {len(ordered)} components is selected when the pairs are drawn"
        f" anew; {unsure} of them between 5% and 95% of the time.",
        150,
        [
            {
                "transform": [{"filter": f"{test}datum.selected"}],
                "mark": {"type": "bar", "style": style, "strokeWidth": 0.8},
                "encoding": encoding,
            }
            for test, style in _bars(ordered)
        ],
        data={"values": values},
    )


def null(verified: Sequence[Data]) -> Spec:
    """Scores of prompts of the same side, over the score of the pairs, component by component."""
    values = []
    for data in verified:
        least, q25, median, q75, most = (
            quantile / data["score"] for quantile in data["same_side_quantiles"]
        )
        about = (
            f"{data['component']}: prompts of the same side score"
            f" {number(data['same_side_quantiles'][0])} to"
            f" {number(data['same_side_quantiles'][4])}, the pairs {number(data['score'])}"
        )
        values.append(
            {
                "component": data["component"],
                "least": least,
                "q25": q25,
                "median": median,
                "q75": q75,
                "most": most,
                "in words": about,
            }
        )
    y = _NAMES
    x: Spec = {
        "type": "quantitative",
        "title": "score among prompts of one side / score of the pairs",
        "axis": {"tickCount": 6},
        "scale": {"zero": True},
    }
    hover = {
        "tooltip": [
            {"field": "component"},
            {"field": "in words", "title": "scores"},
        ],
        "description": {"field": "in words"},
    }
    reach = sum(value["most"] >= 1 for value in values)
    return _picture(
        f"For each of {len(values)} components, the range and the middle half of the scores between"
        " prompts of the same side, as a share of the pairs' score;"
        f" {reach} of the ranges reach the pairs' score.",
        17 * len(values),
        [
            {
                "mark": {"type": "rule", "style": "span", "strokeWidth": 1.5, "aria": False},
                "encoding": {"y": y, "x": {**x, "field": "least"}, "x2": {"field": "most"}},
            },
            {
                "mark": {"type": "bar", "style": "half", "height": {"band": 0.55}},
                "encoding": {"y": y, "x": {**x, "field": "q25"}, "x2": {"field": "q75"}, **hover},
            },
            {
                "mark": {"type": "tick", "style": "interval", "thickness": 2, "aria": False},
                "encoding": {"y": y, "x": {**x, "field": "median"}},
            },
            *_limit_across(1.0, "the pairs' score"),
        ],
        data={"values": values},
    )


def length_shares(verified: Sequence[Data], most: float) -> Spec:
    """The part of each score that length alone explains, and the part that is called most of it."""
    values = [
        {
            "component": one["component"],
            "low": one["length_share"][0],
            "high": one["length_share"][1],
            "in words": f"{one['component']}: length alone explains"
            f" {one['length_share'][0]:.0%} to {one['length_share'][1]:.0%}: {one['word']}",
            "word": one["word"],
        }
        for one in verified
    ]
    y = _NAMES
    x: Spec = {
        "type": "quantitative",
        "title": "explained by length alone",
        "axis": {"format": ".0%", "tickCount": 5},
        "scale": {"zero": True},
    }
    hover = {
        "tooltip": [
            {"field": "component"},
            {"field": "low", "title": "at least", "format": ".1%"},
            {"field": "high", "title": "at most", "format": ".1%"},
            {"field": "word"},
        ],
        "description": {"field": "in words"},
    }
    above = sum(one["length_share"][0] > most for one in verified)
    return _picture(
        f"For each of {len(values)} components, the part of its score that length alone explains;"
        f" it is more than {most:.0%} for {above}.",
        17 * len(values),
        [
            {
                "mark": {"type": "rule", "style": "span", "strokeWidth": 1, "aria": False},
                "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"datum": 0}},
            },
            {
                "mark": {"type": "bar", "style": "near", "height": {"band": 0.5}, "minBandSize": 4},
                "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, **hover},
            },
            {
                "mark": {"type": "tick", "style": "near", "thickness": 3, "aria": False},
                "encoding": {"y": y, "x": {**x, "field": "high"}, **hover},
            },
            *_limit_across(most, f"most of it: {most:.0%}"),
        ],
        data={"values": values},
    )


def length(data: Data, lengths: Data) -> Spec:
    """Each pair's score of a component, over how far its two prompts differ in 1 / length.

    The line is what the first position alone predicts: `length_norm` times |1/T − 1/T′|.
    """
    name, slope = data["component"], data["length_norm"]
    differences = lengths["inverse_differences"]
    points = [
        {
            "pair": pair,
            "difference": difference,
            "score": score,
            "matched": pair in lengths["matched_pairs"],
            "in words": f"{name}, pair {pair}: score {number(score)}"
            f" at a difference of {number(difference)}",
        }
        for pair, (difference, score) in enumerate(
            zip(differences, data["by_pair"], strict=True), 1
        )
    ]
    furthest = max(differences)
    x = {
        "field": "difference",
        "type": "quantitative",
        "title": "|1/T − 1/T′|",
        "axis": {"tickCount": 3},
        "scale": {"zero": True},
    }
    y: Spec = {
        "field": "score",
        "type": "quantitative",
        "title": "score",
        "axis": {"tickCount": 4},
        "scale": {"zero": True},
    }
    line = [(0.0, 0.0), (furthest, slope * furthest)]
    return _picture(
        f"{name}: the score of each of {len(points)} pairs over |1/T − 1/T′| of its prompts, and"
        f" a line from 0 to {number(slope * furthest)}, which length alone predicts.",
        130,
        [
            {
                "data": {"values": [{"difference": a, "score": b} for a, b in line]},
                "mark": {"type": "line", "style": "limit", "aria": False},
                "encoding": {"x": x, "y": y},
            },
            {
                "mark": {"type": "point", "style": "dot", "filled": True, "opacity": 0.9},
                "encoding": {
                    "x": x,
                    "y": y,
                    "shape": {
                        "condition": {"test": "datum.matched", "value": "diamond"},
                        "value": "circle",
                    },
                    "size": {"value": 55},
                    "tooltip": [
                        {"field": "pair"},
                        {"field": "score", "format": ".4g"},
                        {"field": "difference", "title": "|1/T − 1/T′|", "format": ".4g"},
                    ],
                    "description": {"field": "in words"},
                },
            },
        ],
        title=name,
        data={"values": points},
    )


def calibration(scenario: str, rows: Sequence[Data]) -> Spec:
    """How often planted components of one scenario get each word, over the number of pairs."""
    words = list(dict.fromkeys(row["word"] for row in rows if row["rate"] > 0))
    x = {"field": "pairs", "type": "ordinal", "title": "pairs", "axis": {"labelAngle": 0}}
    y: Spec = {
        "field": "rate",
        "type": "quantitative",
        "title": "rate",
        "scale": {"domain": [0, 1]},
        "axis": {"format": ".0%", "tickCount": 5},
    }
    legend = {"title": None, "orient": "bottom", "columns": 1}
    look: Spec = {
        "color": {"field": "word", "scale": {"domain": words}, "legend": legend},
        "shape": {"field": "word", "scale": {"domain": words}, "legend": legend},
    }
    values = [
        {
            **row,
            "in words": f"{row['word']} at {row['pairs']} pairs: {row['rate']:.0%},"
            f" {row['low']:.0%} to {row['high']:.0%}, of {row['n']}",
        }
        for row in rows
        if row["word"] in words
    ]
    return _picture(
        f"{scenario}: how often the verifier says each of {', '.join(words)}, by number of pairs.",
        170,
        [
            {
                "mark": {"type": "line", "strokeWidth": 1.2, "aria": False},
                "encoding": {"x": x, "y": y, "color": look["color"]},
            },
            {
                "mark": {"type": "rule", "aria": False},
                "encoding": {
                    "x": x,
                    "y": {**y, "field": "low"},
                    "y2": {"field": "high"},
                    "color": look["color"],
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    **look,
                    "tooltip": [{"field": "in words", "title": scenario}],
                    "description": {"field": "in words"},
                },
            },
        ],
        title=scenario,
        data={"values": values},
    )


def ratios(measured: Mapping[str, float]) -> Spec:
    """Each ratio of a benchmark run on a logarithmic axis, from 1: as costly as the other."""
    values = [
        {"name": name, "ratio": ratio, "in words": f"{name}: {number(ratio)}"}
        for name, ratio in measured.items()
    ]
    y: Spec = {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "axis": {
            "title": None,
            "domain": False,
            "ticks": False,
            "labelLimit": 240,
            "labelExpr": "split(replace(datum.label, ' / ', ' /|'), '|')",
        },
    }
    x = {
        "field": "ratio",
        "type": "quantitative",
        "title": "ratio",
        "scale": {"type": "log", "nice": False, "padding": 12},
        "axis": {"values": [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500], "format": "~g"},
    }
    return _picture(
        f"{len(values)} ratios on a logarithmic axis, with a line at 1.",
        30 * len(values),
        [
            {
                "mark": {"type": "rule", "style": "span", "aria": False},
                "encoding": {"y": y, "x": x, "x2": {"datum": 1}},
            },
            {
                "mark": {"type": "point", "style": "dot", "filled": True, "size": 60},
                "encoding": {
                    "y": y,
                    "x": x,
                    "tooltip": [{"field": "name"}, {"field": "ratio", "format": ".3g"}],
                    "description": {"field": "in words"},
                },
            },
            *_limit_across(1.0, "as costly"),
        ],
        data={"values": values},
    )


def history(name: str, runs: Sequence[Data]) -> Spec:
    """One ratio over past runs, the oldest first."""
    values = [
        {
            "run": place,
            "ratio": run["ratios"][name],
            "about": f"{run['date']}, {run['commit'][:10]}",
            "in words": f"{run['date']}, {run['commit'][:10]}: {number(run['ratios'][name])}",
        }
        for place, run in enumerate(runs, 1)
        if name in run["ratios"]
    ]
    return _picture(
        f"{name} over {len(values)} runs, the last {number(values[-1]['ratio'])}.",
        90,
        [
            {
                "mark": {
                    "type": "line",
                    "style": "span",
                    "point": {"style": "dot", "filled": True, "size": 40},
                },
                "encoding": {
                    "x": {
                        "field": "run",
                        "type": "ordinal",
                        "title": "run",
                        "axis": {"labelAngle": 0},
                    },
                    "y": {
                        "field": "ratio",
                        "type": "quantitative",
                        "title": None,
                        "axis": {"tickCount": 4},
                        "scale": {"zero": True},
                    },
                    "tooltip": [
                        {"field": "about", "title": "run"},
                        {"field": "ratio", "format": ".3g"},
                    ],
                    "description": {"field": "in words"},
                },
            },
        ],
        title=name,
        data={"values": values},
    )
