"""Counterexamples: minimally changed evidence on which a check's verdict must turn.

A change moves one figure, swaps or replaces one node, alters one size of the model, one number of
the selection rule, or the outcome of one repetition or control. Changes are tried from the smallest
on; where one is not enough (a count that is off by three), the change that brings the check nearest
to what it states is kept, and the next is sought from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

from replication.circuits.circuit import Circuit
from replication.circuits.components import Component
from replication.circuits.scores import ScoreTable
from replication.claims.check import Check, Outcome, judge
from replication.claims.model_checks import Control, Determinism, Shape
from replication.claims.score_checks import Scores
from replication.evidence.evidence import Evidence, Finding, Result

STEPS = [Fraction(1, 10**exponent) for exponent in range(5, 0, -1)] + [Fraction(1, 2), Fraction(2)]
MOST_CHANGES = 5


@dataclass(frozen=True)
class Counterexample:
    """The changes that turned a verdict, and the evidence after them."""

    changes: tuple[str, ...]
    evidence: Evidence


def counterexample(check: Check, evidence: Evidence) -> Counterexample | None:
    """The smallest change found on which the check's verdict is another than on the evidence."""
    start = judge(check, evidence)
    made: tuple[str, ...] = ()
    while len(made) < MOST_CHANGES:
        nearest = None
        for what, changed in single_changes(check, evidence):
            outcome = judge(check, changed)
            if outcome.verdict != start.verdict:
                return Counterexample((*made, what), changed)
            gap = _distance_from_turning(start, outcome)
            if nearest is None or gap < nearest[0]:
                nearest = (gap, what, changed)
        if nearest is None:
            return None
        made, evidence = (*made, nearest[1]), nearest[2]
    return None


def _distance_from_turning(start: Outcome, outcome: Outcome) -> float:
    """A check that holds turns away from what was measured, another towards what is stated."""
    if start.verdict == "holds":
        return -_gap(outcome.measured, start.measured)
    return _gap(outcome.measured, outcome.expected)


def single_changes(check: Check, evidence: Evidence) -> Iterator[tuple[str, Evidence]]:
    """Evidence with one thing changed that the check looks at, with what was changed."""
    if isinstance(check, Shape) or not check.results():
        for size, value in evidence.shape.model_dump().items():
            shape = evidence.shape.model_copy(update={size: value + 1})
            yield f"{size}: {value} -> {value + 1}", replace(evidence, shape=shape)
    if isinstance(check, Determinism):
        for reproduced in (True, False):
            changed = replace(evidence, measured=check.result, reproduced=reproduced)
            yield f"reproduced: {reproduced}", changed
    if isinstance(check, Control):
        for verdict in ("refuted", "holds"):
            yield (
                f"control: {verdict}",
                replace(evidence, controls={check.component: Finding(verdict, "a control")}),
            )
    for name in sorted(check.results()):
        result = evidence.results[name]
        for what, changed_result in _changed_results(check, result):
            results = {**evidence.results, name: changed_result}
            yield f"{name}: {what}", replace(evidence, results=results)
    if check.kind in ("selection", "cost"):
        rule = evidence.spec.selection
        more = rule.model_copy(update={"budget": rule.budget + 1})
        spec = evidence.spec.model_copy(update={"selection": more})
        yield f"budget: {rule.budget} -> {rule.budget + 1}", replace(evidence, spec=spec)


def _changed_results(check: Check, result: Result) -> Iterator[tuple[str, Result]]:
    looks_at_circuit = hasattr(check, "circuit")
    if result.circuit is not None and looks_at_circuit:
        for what, nodes in _changed_nodes(result.circuit):
            yield what, replace(result, circuit=replace(result.circuit, nodes=tuple(nodes)))
    if result.scores is not None and (not looks_at_circuit or check.kind == "selection"):
        pair = check.pair if isinstance(check, Scores) else None
        for what, scores in _changed_scores(result.scores, pair):
            yield what, replace(result, scores=scores)


def _changed_nodes(circuit: Circuit) -> Iterator[tuple[str, list[Component]]]:
    nodes = list(circuit.nodes)
    for place, (before, after) in enumerate(pairwise(nodes)):
        yield f"{before} and {after} exchanged", _exchanged(nodes, place, place + 1)
    for one, other in combinations(range(len(nodes)), 2):
        yield f"{nodes[one]} and {nodes[other]} exchanged", _exchanged(nodes, one, other)
    layers = range(max(node.layer for node in nodes) + 1)
    for place, node in enumerate(nodes):
        for layer in layers:
            stand_in = Component(layer, node.head, node.kind)
            if node.kind != "input" and stand_in not in nodes:
                yield f"{node} -> {stand_in}", [*nodes[:place], stand_in, *nodes[place + 1 :]]
        yield f"{node} left out", [*nodes[:place], *nodes[place + 1 :]]


def _exchanged(nodes: list[Component], one: int, other: int) -> list[Component]:
    changed = list(nodes)
    changed[one], changed[other] = changed[other], changed[one]
    return changed


def _changed_scores(table: ScoreTable, pair: int | None) -> Iterator[tuple[str, ScoreTable]]:
    figures = table.scores if pair is None else table.by_pair.get(pair, {})
    for step in STEPS:
        for component, figure in figures.items():
            for factor in (1 + step, 1 - step):
                if factor <= 0:
                    continue
                moved = figure.shifted((factor - 1) * figure.middle)
                changed = {**figures, component: moved}
                what = f"{component}: {float(figure.middle):.6g} -> {float(moved.middle):.6g}"
                if pair is None:
                    yield what, replace(table, scores=changed)
                else:
                    yield what, replace(table, by_pair={**table.by_pair, pair: changed})


def _gap(measured: Any, expected: Any) -> float:
    """How far plain data are from others: the sum over their numbers."""
    if isinstance(measured, Mapping) and isinstance(expected, Mapping):
        return sum(_gap(measured.get(key), value) for key, value in expected.items())
    if isinstance(measured, int | float) and isinstance(expected, int | float):
        return abs(measured - expected)
    return 0.0 if measured == expected else 1.0
