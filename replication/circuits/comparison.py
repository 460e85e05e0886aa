"""Comparison: what two circuits share, where they differ, and how far from the cut."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypedDict

from replication.circuits.circuit import Circuit, circuit_file, cost_totals, describe_totals
from replication.circuits.components import Component, Kind
from replication.circuits.intervals import show
from replication.circuits.scores import ScoreTable, best_first

# What overlaps are counted of, and in words.
AMONG: Mapping[Kind | Literal["all"], str] = {"all": "nodes", "mlp": "MLPs", "head": "heads"}


@dataclass(frozen=True)
class Overlap:
    """How many components of the left selection the right one holds too."""

    shared: int
    left: int
    right: int

    @property
    def percent(self) -> Fraction:
        """The shared part of the left selection, in percent."""
        return Fraction(100 * self.shared, self.left)

    def __str__(self) -> str:
        return f"{self.shared} of {self.left} ({float(self.percent):.1f}%)"


def overlap(left: Sequence[Component], right: Sequence[Component]) -> Overlap:
    """The overlap of two selections of components.

    Raises:
        ZeroDivisionError: when its percentage is asked for and the left selection is empty.
    """
    return Overlap(len(set(left) & set(right)), len(left), len(right))


def only_in(left: Sequence[Component], right: Sequence[Component]) -> list[Component]:
    """The components of the left selection that the right one lacks, in the left one's order."""
    others = set(right)
    return [component for component in left if component not in others]


def moved(left: Sequence[Component], right: Sequence[Component]) -> list[Component]:
    """The shared components that do not stand at the same place in both, in the left one's order.

    Places are counted among the shared components, so a component that only one side has moves
    no other.
    """
    shared = set(left) & set(right)
    shared_left = [component for component in left if component in shared]
    shared_right = [component for component in right if component in shared]
    return [a for a, b in zip(shared_left, shared_right, strict=True) if a != b]


def compare_circuits(left: Circuit, right: Circuit) -> dict[str, Any]:
    """Everything that two circuits share and differ in, as plain data."""
    kinds: tuple[Kind, ...] = ("mlp", "head")
    return {
        "overlap": {
            among: _overlap_data(left.of_kind(among), right.of_kind(among)) for among in AMONG
        },
        "only_left": [str(node) for node in only_in(left.nodes, right.nodes)],
        "only_right": [str(node) for node in only_in(right.nodes, left.nodes)],
        "moved": {
            among: [str(node) for node in moved(left.of_kind(among), right.of_kind(among))]
            for among in kinds
            if _are_ordered(left, right)
        },
        "cost": {"left": cost_of(left), "right": cost_of(right)},
        "aside": {"left": list(left.aside), "right": list(right.aside)},
        "structure": _structure(left, right),
    }


def _are_ordered(left: Circuit, right: Circuit) -> bool:
    """Whether both list their nodes in the order of their selection."""
    return left.metadata.ordered and right.metadata.ordered


def _overlap_data(left: Sequence[Component], right: Sequence[Component]) -> dict[str, Any]:
    found = overlap(left, right)
    return {
        "shared": found.shared,
        "left": found.left,
        "right": found.right,
        "percent_of_left": round(float(found.percent), 4) if found.left else None,
    }


class Cost(TypedDict):
    """The stated cost, and what the nodes cost under either convention, if the sizes are known."""

    stated: int | None
    budget: int | None
    input_counted: int | None
    input_left_out: int | None


def cost_of(circuit: Circuit) -> Cost:
    """The cost that a circuit states, and what its nodes cost."""
    sizes = circuit.sizes()
    totals = cost_totals(circuit, *sizes) if sizes else None
    return {
        "stated": circuit.metadata.write_budget_used,
        "budget": circuit.metadata.write_budget_max,
        "input_counted": totals[True] if totals else None,
        "input_left_out": totals[False] if totals else None,
    }


def _structure(left: Circuit, right: Circuit) -> dict[str, Any]:
    """What deepdiff says of the two files' contents."""
    from deepdiff import DeepDiff

    difference = DeepDiff(circuit_file(left), circuit_file(right), verbose_level=2)
    data: dict[str, Any] = json.loads(difference.to_json())
    return data


def describe_comparison(compared: dict[str, Any], left: str, right: str) -> list[str]:
    """A comparison in words."""
    lines = []
    for among, found in compared["overlap"].items():
        percent = "" if found["percent_of_left"] is None else f" ({found['percent_of_left']:.1f}%)"
        lines.append(
            f"{AMONG[among]:<6} {found['shared']} of {found['left']}{percent}"
            + ("" if found["left"] == found["right"] else f"; {right} has {found['right']}")
        )
    lines.append(f"only in {left}: {', '.join(compared['only_left']) or 'none'}")
    lines.append(f"only in {right}: {', '.join(compared['only_right']) or 'none'}")
    for among, names in compared["moved"].items():
        shared = compared["overlap"][among]["shared"]
        lines.append(
            f"order: {len(names)} of the {shared} shared {AMONG[among]} stand at another place"
            + (f": {', '.join(names)}" if 0 < len(names) <= 10 else "")
        )
    for side, name in (("left", left), ("right", right)):
        lines.append(f"cost of {name}: {describe_cost(compared['cost'][side])}")
    for side, name in (("left", left), ("right", right)):
        lines += [f"note: {name}: {reason}" for reason in compared["aside"][side]]
    return lines


def describe_cost(cost: Cost) -> str:
    """A circuit's cost in words: what is stated, and what its nodes say of that."""
    stated, counted, left_out = cost["stated"], cost["input_counted"], cost["input_left_out"]
    text = "not stated" if stated is None else str(stated)
    if cost["budget"] is not None:
        text += f" of {cost['budget']}"
    if counted is None or left_out is None:
        return f"{text}; its metadata give no d_model and d_head to check this with"
    totals = describe_totals({True: counted, False: left_out})
    if stated is None:
        return f"{text}; the nodes cost {totals}"
    if stated == counted:
        return f"{text}, as its nodes cost"
    return f"{text}; the nodes cost {totals}, so this file leaves the input out"


@dataclass(frozen=True)
class Cut:
    """Where the selection of heads ended: the lowest known score in, the highest known one out."""

    last_in: Component
    last_score: Fraction
    first_out: Component
    first_score: Fraction

    @property
    def middle(self) -> Fraction:
        """Half-way between the two."""
        return (self.last_score + self.first_score) / 2


def cut(circuit: Circuit, scores: ScoreTable) -> Cut | None:
    """Where the circuit's heads end in its scores; None where the scores do not show both sides."""
    heads = {
        component: score.middle
        for component, score in scores.scores.items()
        if component.kind == "head"
    }
    inside = [component for component in circuit.of_kind("head") if component in heads]
    outside = [component for component in heads if component not in set(circuit.nodes)]
    if not inside or not outside:
        return None
    last = best_first({component: heads[component] for component in inside})[-1]
    first = best_first({component: heads[component] for component in outside})[0]
    return Cut(last, heads[last], first, heads[first])


def explain(
    left: tuple[str, Circuit], right: tuple[str, Circuit], scores: ScoreTable | None
) -> list[str]:
    """In words, how the right circuit differs from the left one; `scores` are the right one's.

    Each differing head comes with its rank and its distance from the cut where the scores tell.
    """
    (left_name, left_circuit), (right_name, right_circuit) = left, right
    lines = []
    for name, here, there in (
        (left_name, left_circuit, right_circuit),
        (right_name, right_circuit, left_circuit),
    ):
        if differing := only_in(here.nodes, there.nodes):
            lines.append(f"Only in {name}: {', '.join(map(str, differing))}.")
    is_known = _are_ordered(left_circuit, right_circuit)
    kinds: tuple[tuple[Kind, str], ...] = (("mlp", "MLPs"), ("head", "heads"))
    for kind, words in kinds:
        left_kind, right_kind = left_circuit.of_kind(kind), right_circuit.of_kind(kind)
        if is_known and (changed := moved(left_kind, right_kind)):
            total = overlap(left_kind, right_kind).shared
            named = f": {', '.join(map(str, changed))}" if len(changed) <= 10 else ""
            lines.append(
                f"{len(changed)} of the {total} shared {words} stand at another place{named}."
            )
    if scores is not None:
        lines += _distances(left_circuit, right_circuit, right_name, scores)
    if is_known and not lines and left_circuit.nodes != right_circuit.nodes:
        return ["The same components stand in another order of kinds."]
    return lines or ["The two circuits are the same."]


def _distances(left: Circuit, right: Circuit, right_name: str, scores: ScoreTable) -> list[str]:
    edge = cut(right, scores)
    differing = [
        component
        for component in only_in(left.nodes, right.nodes) + only_in(right.nodes, left.nodes)
        if component.kind == "head" and component in scores.scores
    ]
    if edge is None or not differing:
        return []
    distances = {
        component: abs(scores.scores[component].middle - edge.middle) for component in differing
    }
    lines = [
        f"In {right_name} the heads end between {edge.last_in} (the lowest known score in,"
        f" {show(scores.scores[edge.last_in])}) and {edge.first_out} (the highest known one out,"
        f" {show(scores.scores[edge.first_out])})."
    ]
    widest = max(distances.values())
    share = f", {float(100 * widest / edge.middle):.2g}% of its score" if edge.middle else ""
    lines.append(
        f"The {len(differing)} differing heads lie within {float(widest):.6g} of that cut{share}: "
        + ", ".join(f"{component} {show(scores.scores[component])}" for component in differing)
        + "."
    )
    return lines
