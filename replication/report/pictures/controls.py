"""Controls: pictures of unrelated prompts' scores, and of what the prompts' lengths explain."""

from __future__ import annotations

from collections.abc import Sequence

from replication.report.pictures.marks import NAMES, Spec, limit_across, picture
from replication.report.record import ComponentRecord, Ends, LengthRecord
from replication.report.rows import figure, number, score_shown


def null(components: Sequence[ComponentRecord]) -> Spec:
    """Scores of prompts of the same side, over the score of the pairs, component by component."""
    values = [
        _null_values(one, one.same_side_quantiles) for one in components if one.same_side_quantiles
    ]
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
    y = NAMES
    reach = sum(value["most"] >= 1 for value in values)
    return picture(
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
            *limit_across(1.0, "the pairs' score"),
        ],
        data={"values": values},
    )


def _null_values(one: ComponentRecord, quantiles: Sequence[float]) -> Spec:
    least, q25, median, q75, most = (quantile / one.score for quantile in quantiles)
    return {
        "component": one.component,
        "least": least,
        "q25": q25,
        "median": median,
        "q75": q75,
        "most": most,
        "in words": f"{one.component}: prompts of the same side score"
        f" {number(quantiles[0])} to {number(quantiles[4])}, the pairs {score_shown(one)}",
    }


def length_shares(components: Sequence[ComponentRecord], most: float) -> Spec:
    """The part of each score that length alone explains, and the part that is called most of it."""
    shares = [(one, one.length_share) for one in components if one.length_share]
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
    y = NAMES
    above = sum(low > most for _, (low, _) in shares)
    return picture(
        f"For each of {len(shares)} components, the part of its score that length alone explains;"
        f" it is more than {most:.0%} for {above}.",
        17 * len(shares),
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
            *limit_across(most, f"most of it: {most:.0%}"),
        ],
        data={"values": [_share_values(one, share) for one, share in shares]},
    )


def _share_values(one: ComponentRecord, share: Ends) -> Spec:
    low, high = share
    return {
        "component": one.component,
        "low": low,
        "high": high,
        "in words": f"{one.component}: length alone explains {low:.0%} to {high:.0%}: {one.word}",
        "word": one.word,
    }


_STEP: Spec = {
    "field": "difference",
    "type": "quantitative",
    "title": "|1/T − 1/T′|",
    "axis": {"tickCount": 3},
    "scale": {"zero": True},
}


_PAIR_SCORE: Spec = {
    "field": "score",
    "type": "quantitative",
    "title": "score",
    "axis": {"tickCount": 4},
    "scale": {"zero": True},
}


_PAIR_LOOK: Spec = {
    "shape": {"condition": {"test": "datum.matched", "value": "diamond"}, "value": "circle"},
    "size": {"value": 55},
    "tooltip": [
        {"field": "pair"},
        {"field": "score", "format": ".6~g"},
        {"field": "difference", "title": "|1/T − 1/T′|", "format": ".4g"},
    ],
    "description": {"field": "in words"},
}


def length(one: ComponentRecord, lengths: LengthRecord) -> Spec:
    """Each pair's score of a component, over how far its two prompts differ in 1 / length.

    The line is what the first position alone predicts: `length_norm` times |1/T − 1/T′|. The
    component must have both.
    """
    assert one.by_pair is not None
    assert one.length_norm is not None
    furthest = max(lengths.inverse_differences)
    predicted = one.length_norm * furthest
    encoding = {"x": _STEP, "y": _PAIR_SCORE}
    return picture(
        f"{one.component}: the score of each of {len(one.by_pair)} pairs over |1/T − 1/T′| of its"
        f" prompts, and a line from 0 to {number(predicted)}, which length alone predicts.",
        130,
        [
            {
                "data": {
                    "values": [
                        {"difference": 0.0, "score": 0.0},
                        {"difference": furthest, "score": predicted},
                    ]
                },
                "mark": {"type": "line", "style": "limit", "aria": False},
                "encoding": encoding,
            },
            {
                "mark": {"type": "point", "style": "dot", "filled": True, "opacity": 0.9},
                "encoding": {**encoding, **_PAIR_LOOK},
            },
        ],
        title=one.component,
        data={"values": _pair_values(one.component, one.by_pair, lengths)},
    )


def _pair_values(component: str, scores: Sequence[float], lengths: LengthRecord) -> list[Spec]:
    return [
        {
            "pair": pair,
            "difference": difference,
            "score": score,
            "matched": pair in lengths.matched_pairs,
            "in words": f"{component}, pair {pair}: score {figure(score)}"
            f" at a difference of {number(difference)}",
        }
        for pair, (difference, score) in enumerate(
            zip(lengths.inverse_differences, scores, strict=True), 1
        )
    ]
