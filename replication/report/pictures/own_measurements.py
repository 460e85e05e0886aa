"""Own measurements: pictures of how often the verifier is right, and of what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replication.report.own_measurements import BenchmarkRun, Rate
from replication.report.pictures.marks import Spec, limit_across, picture
from replication.report.rows import number


def calibration(scenario: str, rates: Sequence[Rate]) -> Spec:
    """How often planted components of one scenario get each word, over the number of pairs."""
    words = list(dict.fromkeys(rate.word for rate in rates if rate.rate > 0))
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
    hover = {
        "tooltip": [{"field": "in words", "title": scenario}],
        "description": {"field": "in words"},
    }
    return picture(
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
                "encoding": {"x": x, "y": y, **look, **hover},
            },
        ],
        title=scenario,
        data={"values": [_rate_values(rate) for rate in rates if rate.word in words]},
    )


def _rate_values(rate: Rate) -> Spec:
    return {
        **rate.model_dump(),
        "in words": f"{rate.word} at {rate.pairs} pairs: {rate.rate:.0%},"
        f" {rate.low:.0%} to {rate.high:.0%}, of {rate.n}",
    }


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
    return picture(
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
            *limit_across(1.0, "as costly"),
        ],
        data={"values": values},
    )


def history(name: str, runs: Sequence[BenchmarkRun]) -> Spec:
    """One ratio over past runs, the oldest first."""
    measured = [run for run in runs if name in run.ratios]
    line: Spec = {
        "mark": {
            "type": "line",
            "style": "span",
            "point": {"style": "dot", "filled": True, "size": 40},
        },
        "encoding": {
            "x": {"field": "run", "type": "ordinal", "title": "run", "axis": {"labelAngle": 0}},
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
    }
    return picture(
        f"{name} over {len(measured)} runs, the last {number(measured[-1].ratios[name])}.",
        90,
        [line],
        title=name,
        data={
            "values": [
                _run_values(place, name, run)
                for place, run in enumerate(runs, 1)
                if name in run.ratios
            ]
        },
    )


def _run_values(place: int, name: str, run: BenchmarkRun) -> Spec:
    about = f"{run.date}, {run.commit[:10]}"
    return {
        "run": place,
        "ratio": run.ratios[name],
        "about": about,
        "in words": f"{about}: {number(run.ratios[name])}",
    }
