"""Rows: what is known of every component of a model, as plain data and in words.

A figure that is not known is None, and its words say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from replication.circuits.components import INPUT, ModelShape, parse
from replication.report.figures import Figures

Row = dict[str, Any]


Data = Mapping[str, Any]


WORDS = {"input": "input", "mlp": "MLP", "head": "head"}


COMPARED = ("score", "rank", "distance")


def components(figures: Figures, verified: Sequence[Data] = ()) -> list[Row]:
    """One row for the input and every component of the model, with what is known of it.

    `verified` are the components of a verification; they bring intervals and probabilities.
    """
    known = {data["component"]: data for data in verified}
    scores, nodes = figures["scores"] or {}, figures["nodes"]
    shape = ModelShape(**figures["shape"])
    listed = {kind: [n for n in scores if parse(n).kind == kind] for kind in WORDS}
    ranks = {
        name: rank
        for kind in listed.values()
        for rank, name in enumerate(sorted(kind, key=lambda n: (-_middle(scores[n]), parse(n))), 1)
    }
    cut = (figures["cut"] or {}).get("score")
    limits = {"mlp": figures["mlp_threshold"], "head": cut}
    rows = []
    for part in [INPUT, *shape.components()]:
        name, data = str(part), known.get(str(part), {})
        score = _middle(scores[name]) if name in scores else None
        low, high = data.get("interval") or (None, None)
        limit = limits.get(part.kind)
        row = {
            "component": name,
            "kind": WORDS[part.kind],
            "layer": "input" if part == INPUT else str(part.layer),
            "column": "MLP" if part.kind == "mlp" else str(part.head),
            "score": score,
            "low": low,
            "high": high,
            "selected": None if nodes is None else name in nodes,
            "rank": ranks.get(name),
            "listed": len(listed[part.kind]),
            "limit": limit,
            "distance": None if score is None or limit is None else score - limit,
            "probability": data.get("selection_probability"),
        }
        rows.append({**row, **_in_words(row)})
    return rows


def _middle(score: Any) -> float:
    return (score[0] + score[1]) / 2 if isinstance(score, list) else float(score)


def number(value: float | None, lack: str = "not known") -> str:
    """A figure as a reader sees it: four digits."""
    return lack if value is None else f"{value:.4g}"


def interval(low: float | None, high: float | None) -> str:
    """An interval as a reader sees it."""
    return "not computed" if low is None else f"{number(low)} to {number(high)}"


def _in_words(row: Row) -> Row:
    """What hovering shows, and what a screen reader says of the mark."""
    if row["kind"] == "input":
        words = dict.fromkeys(("score", "rank", "interval", "distance"), "none")
    else:
        rank = f"{row['rank']} of {row['listed']} listed {row['kind']}s"
        distance = "not known" if row["distance"] is None else f"{row['distance']:+.3g}"
        words = {
            "score": number(row["score"], "not published"),
            "rank": rank if row["rank"] else "not known",
            "interval": interval(row["low"], row["high"]),
            "distance": distance,
        }
    words["circuit"] = {True: "in the circuit", False: "left out", None: "not known"}[
        row["selected"]
    ]
    sentence = ", ".join(f"{key} {text}" for key, text in words.items())
    return {
        **{f"{key} in words": text for key, text in words.items()},
        "in words": f"{row['component']}: {sentence}",
    }


def states(left: str, right: str) -> list[str]:
    """Where a component may stand when two circuits are laid on one grid."""
    return ["in both", f"only in {left}", f"only in {right}", "in neither"]


def compared(
    left: tuple[str, Sequence[Row]], right: tuple[str, Sequence[Row]]
) -> tuple[list[str], list[Row]]:
    """The states, and one row for each component with its state and both scores."""
    (left_name, left_rows), (right_name, right_rows) = left, right
    words = states(left_name, right_name)
    rows = []
    for here, there in zip(left_rows, right_rows, strict=True):
        state = {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}[
            bool(here["selected"]), bool(there["selected"])
        ]
        rows.append(
            {
                **{key: here[key] for key in ("component", "kind", "layer", "column")},
                "state": words[state],
                **{f"left {what}": here[f"{what} in words"] for what in COMPARED},
                **{f"right {what}": there[f"{what} in words"] for what in COMPARED},
                "in words": f"{here['component']}: {words[state]};"
                f" {left_name}: {here['score in words']}, {right_name}: {there['score in words']}",
            }
        )
    return words, rows
