"""Checks of circuits: counts, costs, members, and how two circuits compare."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationInfo, model_validator

from replication.circuits import comparison, intervals
from replication.circuits.components import Among, Component, ModelShape, names, parse, parsed
from replication.circuits.intervals import allowed, exact, fraction, printed
from replication.claims.asked import CannotJudge, circuit_of, decider, is_printed
from replication.claims.check import Check, Outcome, Part, conjunction, same
from replication.claims.keys import (
    Budget,
    ComponentNames,
    PartBound,
    PercentTolerance,
    PrintedCount,
    PrintedPart,
    ResultName,
    known,
    stated_percent,
)
from replication.evidence.evidence import Evidence
from replication.inputs.messages import quoted


class Count(Check):
    """How many components there are: in a result's circuit, or, without one, scored."""

    kind: Literal["count"]
    circuit: ResultName | None = None
    total: NonNegativeInt | None = None
    input: NonNegativeInt | None = None
    mlp: NonNegativeInt | None = None
    head: NonNegativeInt | None = None
    heads_in_layers: dict[str, NonNegativeInt] = Field(default_factory=dict)

    named_results: ClassVar = ("circuit",)
    states_structure: ClassVar = True

    @model_validator(mode="after")
    def _something(self, info: ValidationInfo) -> Count:
        if not self._expected():
            raise ValueError("expected one of total, input, mlp, head, heads_in_layers")
        for layers in self.heads_in_layers:
            is_range = re.fullmatch(r"[0-9]{1,6}(-[0-9]{1,6})?", layers) is not None
            if layers != "other" and not (is_range and _span(layers)):
                raise ValueError(
                    f"heads_in_layers: {quoted(layers)} is not like '11', '4-6' or 'other'"
                )
        self._held_against(known(info).shape)
        return self

    def _held_against(self, shape: ModelShape) -> None:
        """Refuse layers that the model lacks, and counts above what it has."""
        for layers in self.heads_in_layers:
            if layers != "other" and _span(layers)[-1] >= shape.n_layers:
                raise ValueError(
                    f"heads_in_layers: {layers!r}: the model has layers 0 to {shape.n_layers - 1}"
                )
        components = shape.components()
        most = {"input": 1, "total": len(components) + 1}
        most |= Counter(component.kind for component in components)
        most |= {
            f"heads in layers {layers}": count
            for layers, count in _heads_in_layers(components, self.heads_in_layers).items()
        }
        for name, count in self._expected().items():
            if count > most[name]:
                raise ValueError(f"{name} is {count}; the model has at most {most[name]}")

    def _expected(self) -> dict[str, int]:
        stated = self.model_dump(include={"total", "input", "mlp", "head"}, exclude_none=True)
        return stated | {f"heads in layers {key}": n for key, n in self.heads_in_layers.items()}

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        if self.circuit is None:
            components: Sequence[Component] = evidence.shape.components()
        else:
            components = circuit_of(evidence, self.circuit).nodes
        measured: dict[str, int] = {"total": len(components), "input": 0, "mlp": 0, "head": 0}
        measured |= Counter(component.kind for component in components)
        measured |= {
            f"heads in layers {key}": count
            for key, count in _heads_in_layers(components, self.heads_in_layers).items()
        }
        expected = self._expected()
        parts = [same(key, measured[key], value) for key, value in expected.items()]
        return conjunction(parts, {key: measured[key] for key in expected}, expected)


def _heads_in_layers(components: Sequence[Component], ranges: Iterable[str]) -> dict[str, int]:
    """The heads in each range of layers; `other` is the layers that no range names."""
    by_layer = Counter(component.layer for component in components if component.kind == "head")
    spans = {layers: _span(layers) for layers in ranges if layers != "other"}
    counts = {layers: sum(by_layer[layer] for layer in span) for layers, span in spans.items()}
    named = {layer for span in spans.values() for layer in span}
    return counts | {"other": sum(n for layer, n in by_layer.items() if layer not in named)}


def _span(layers: str) -> range:
    """The layers of a range such as `11` or `4-6`."""
    first, _, last = layers.partition("-")
    return range(int(first), int(last or first) + 1)


class Cost(Check):
    """A circuit's write cost, and how the budget is spent; dimensions of the residual stream."""

    kind: Literal["cost"]
    circuit: ResultName
    used: PositiveInt | None = None
    budget: Budget | None = None
    before_heads: NonNegativeInt | None = None
    left_for_heads: NonNegativeInt | None = None
    room_for_heads: NonNegativeInt | None = None

    named_results: ClassVar = ("circuit",)
    states_structure: ClassVar = True

    @model_validator(mode="after")
    def _something(self) -> Cost:
        if not self._expected():
            raise ValueError("expected at least one stated cost")
        return self

    def _expected(self) -> dict[str, int]:
        return self.model_dump(exclude={"kind", "circuit"}, exclude_none=True)

    @property
    def states_budget_alone(self) -> bool:
        """Whether it states the budget, and nothing of what is spent."""
        return set(self._expected()) == {"budget"}

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        circuit = circuit_of(evidence, self.circuit)
        costs, budget = evidence.spec.costs, evidence.spec.selection.budget
        before_heads = costs.total(node for node in circuit.nodes if node.kind != "head")
        measured = {
            "used": costs.total(circuit.nodes),
            "budget": budget,
            "before_heads": before_heads,
            "left_for_heads": budget - before_heads,
            "room_for_heads": (budget - before_heads) // costs.d_head,
        }
        expected = self._expected()
        parts = [same(key, measured[key], value) for key, value in expected.items()]
        stated_budget = circuit.metadata.write_budget_max
        if self.budget is not None and stated_budget is not None:
            parts.append(same("the circuit file's budget", stated_budget, self.budget))
        return conjunction(parts, {key: measured[key] for key in expected}, expected)


class Membership(Check):
    """Components that a circuit holds, and components that it does not hold."""

    kind: Literal["membership"]
    circuit: ResultName
    includes: ComponentNames = Field(default_factory=list)
    excludes: ComponentNames = Field(default_factory=list)

    named_results: ClassVar = ("circuit",)
    states_structure: ClassVar = True

    @model_validator(mode="after")
    def _something(self) -> Membership:
        if not self.includes and not self.excludes:
            raise ValueError("expected includes or excludes")
        if both := set(self.includes) & set(self.excludes):
            raise ValueError(f"{min(both)} is both among includes and excludes")
        return self

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        nodes = set(names(circuit_of(evidence, self.circuit).nodes))
        is_run = not is_printed(evidence, self.circuit)
        which = "what the run selects for" if is_run else "the circuit of"
        stated = dict.fromkeys(self.includes, True) | dict.fromkeys(self.excludes, False)
        parts = [
            Part(
                "holds" if (name in nodes) == expected else "refuted",
                f"{name} is {'in' if name in nodes else 'not in'} {which} {self.circuit}",
            )
            for name, expected in stated.items()
        ]
        return conjunction(parts, {name: name in nodes for name in stated}, stated)


def _refuse_one(circuit: str, reference: str) -> None:
    """Refuse to hold a circuit against itself."""
    if circuit == reference:
        raise ValueError(f"circuit and reference are both {circuit!r}")


class Overlap(Check):
    """How many components of a reference circuit another circuit holds too.

    Counted over all nodes or one kind, or over the best few of that kind in each circuit.
    """

    kind: Literal["overlap"]
    circuit: ResultName
    reference: ResultName
    among: Among = "all"
    first: PositiveInt | None = None
    shared: NonNegativeInt | None = None
    of: PositiveInt | None = None
    percent: PrintedPart | None = None
    at_least_percent: PartBound | None = None
    tolerance: PercentTolerance | None = None
    by_chance: PrintedCount | None = None

    named_results: ClassVar = ("circuit", "reference")
    states_figures: ClassVar = True
    tolerance_unit: ClassVar = " percentage points"

    @model_validator(mode="after")
    def _something(self, info: ValidationInfo) -> Overlap:
        if not self._expected():
            raise ValueError("expected shared, of, percent, at_least_percent or by_chance")
        if self.by_chance is not None and (self.among == "all" or self.first is not None):
            raise ValueError(
                "by_chance is of all MLPs, or of all heads: expected among, and no first"
            )
        if self.percent is None and self.tolerance is not None:
            raise ValueError("tolerance belongs to percent: a count and a bound are exact")
        _refuse_one(self.circuit, self.reference)
        candidates = len(known(info).candidates(self.among)) + (self.among == "all")
        most = candidates if self.of is None else min(self.of, candidates)
        for name, count, bound in (("of", self.of, candidates), ("shared", self.shared, most)):
            if count is not None and count > bound:
                raise ValueError(f"{name} is {count}, of at most {bound} components")
        return self

    def _expected(self) -> dict[str, Any]:
        stated = {"shared", "of", "percent", "at_least_percent", "by_chance"}
        return self.model_dump(include=stated, exclude_none=True)

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        found = comparison.overlap(
            self._nodes(evidence, self.reference), self._nodes(evidence, self.circuit)
        )
        if found.left == 0:
            raise CannotJudge(f"the circuit of {self.reference} holds no such component")
        parts = []
        if self.shared is not None:
            parts.append(same("shared", found.shared, self.shared))
        if self.of is not None:
            parts.append(same(f"in {self.reference}", found.left, self.of))
        if self.percent is not None:
            expected = allowed(self.percent, self.tolerance)
            verdict = intervals.equals(exact(found.percent), expected)
            stated = stated_percent(self.percent, self.tolerance)
            parts.append(Part(verdict, f"{found}, stated {stated}"))
        if self.at_least_percent is not None:
            bound = fraction(self.at_least_percent)
            verdict = intervals.negated(intervals.below(exact(found.percent), bound))
            parts.append(Part(verdict, f"{found}, stated at least {self.at_least_percent}%"))
        measured = {"shared": found.shared, "of": found.left, "percent": float(found.percent)}
        if self.by_chance is not None:
            chance = self._by_chance(evidence)
            verdict = intervals.equals(exact(chance), printed(self.by_chance))
            parts.append(Part(verdict, f"by chance: {float(chance):.6g}, stated {self.by_chance}"))
            measured["by_chance"] = float(chance)
        return conjunction(parts, measured, self._expected())

    def _by_chance(self, evidence: Evidence) -> Fraction:
        """How many components random circuits of as many share, exactly: a half may be at stake."""
        sizes = [
            len(circuit_of(evidence, name).of_kind(self.among))
            for name in (self.circuit, self.reference)
        ]
        candidates = [part for part in evidence.shape.components() if part.kind == self.among]
        return Fraction(math.prod(sizes), len(candidates))

    def _nodes(self, evidence: Evidence, result: str) -> list[Component]:
        if self.first is not None:
            return _in_order(evidence, result, self.among)[: self.first]
        return circuit_of(evidence, result).of_kind(self.among)


def _in_order(evidence: Evidence, result: str, among: Among) -> list[Component]:
    """A circuit's nodes of a kind, in the order of their selection.

    Raises:
        CannotJudge: there is none, or it lists them in another order.
    """
    circuit = circuit_of(evidence, result)
    if not circuit.metadata.ordered:
        raise CannotJudge(
            f"the circuit of {result} is not listed in the order of its selection;"
            f" {decider(evidence, result)}"
        )
    return circuit.of_kind(among)


class Difference(Check):
    """Exactly these components are only in one circuit, exactly those only in the reference."""

    kind: Literal["difference"]
    circuit: ResultName
    reference: ResultName
    only_circuit: ComponentNames
    only_reference: ComponentNames

    named_results: ClassVar = ("circuit", "reference")
    states_structure: ClassVar = True

    @model_validator(mode="after")
    def _of_two(self) -> Difference:
        _refuse_one(self.circuit, self.reference)
        if both := set(self.only_circuit) & set(self.only_reference):
            raise ValueError(f"{min(both)} is both in only_circuit and in only_reference")
        return self

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        nodes = circuit_of(evidence, self.circuit).nodes
        reference = circuit_of(evidence, self.reference).nodes
        measured = {
            "only_circuit": names(sorted(comparison.only_in(nodes, reference))),
            "only_reference": names(sorted(comparison.only_in(reference, nodes))),
        }
        expected = {
            "only_circuit": names(sorted(parsed(self.only_circuit))),
            "only_reference": names(sorted(parsed(self.only_reference))),
        }
        parts = [
            same(name, ", ".join(measured[key]) or "none", ", ".join(expected[key]) or "none")
            for key, name in (
                ("only_circuit", f"only in {self.circuit}"),
                ("only_reference", f"only in {self.reference}"),
            )
        ]
        return conjunction(parts, measured, expected)


class Order(Check):
    """A circuit's first nodes in order, or which components stand elsewhere than in a reference."""

    kind: Literal["order"]
    circuit: ResultName
    first: Annotated[ComponentNames, Field(min_length=1)] | None = None
    reference: ResultName | None = None
    among: Among = "all"
    moved: ComponentNames | None = None

    named_results: ClassVar = ("circuit", "reference")
    states_structure: ClassVar = True

    @model_validator(mode="after")
    def _one_form(self) -> Order:
        if (self.first is None) == (self.moved is None):
            raise ValueError("expected either first or moved")
        if (self.moved is None) != (self.reference is None):
            raise ValueError("moved and reference belong together")
        if self.reference is not None:
            _refuse_one(self.circuit, self.reference)
        for name in [*(self.first or ()), *(self.moved or ())]:
            if self.among not in (parse(name).kind, "all"):
                raise ValueError(f"{name} is not among the components ordered, {self.among}")
        return self

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        nodes = _in_order(evidence, self.circuit, self.among)
        if self.reference is not None:
            reference = _in_order(evidence, self.reference, self.among)
            return self._judge_moved(nodes, reference)
        expected = list(self.first or ())
        measured = names(nodes[: len(expected)])
        if measured == expected and is_printed(evidence, self.circuit):
            text = "the published list of nodes is the statement itself; " + decider(
                evidence, self.circuit
            )
            return Outcome("undecided", measured, expected, text)
        places = [
            same(f"place {place}", found, stated)
            for place, (found, stated) in enumerate(zip(measured, expected, strict=False), start=1)
        ]
        length = same("places", len(measured), len(expected))
        return conjunction([*places, length], measured, expected)

    def _judge_moved(self, nodes: list[Component], reference: list[Component]) -> Outcome:
        measured = names(sorted(comparison.moved(nodes, reference)))
        expected = names(sorted(parsed(self.moved or ())))
        stated = ", ".join(expected) or "none"
        part = same("standing elsewhere", ", ".join(measured) or "none", stated)
        return conjunction([part], measured, expected)
