"""Circuits: the selected components in the order of their selection, and circuit files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from replication.circuits.components import Component, Kind, ModelShape, WriteCosts
from replication.circuits.graphs import read_graph
from replication.circuits.intervals import equals, exact, printed
from replication.circuits.notations import OUTPUTS, NotationName, notation_of
from replication.inputs.files import InputError, faulty, read_json, validate
from replication.inputs.messages import quoted
from replication.inputs.positions import Place

# d_model and d_head of the models that published circuits name without their sizes. Source: n_embd
# and n_embd / n_head of the models' own configurations (d_model: Radford et al. 2019, table 2).
KNOWN_SIZES = {
    "gpt2": (768, 64),
    "gpt2-small": (768, 64),
    "gpt2-medium": (1024, 64),
    "gpt2-large": (1280, 64),
    "gpt2-xl": (1600, 64),
}


# Why a name may not be a number.
_LOST = "a number loses its digits, 9.10 is 9.1"


class Metadata(BaseModel):
    """What a circuit file says about its nodes; keys that no check uses are carried along."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    total_components: NonNegativeInt | None = None
    write_budget_used: NonNegativeInt | None = None
    write_budget_max: PositiveInt | None = None
    budget_utilization: str | None = None
    num_mlps: NonNegativeInt | None = None
    num_attention_heads: NonNegativeInt | None = None
    model: str | None = None
    d_model: PositiveInt | None = None
    d_head: PositiveInt | None = None
    ordered: bool = True
    """Whether the nodes stand in the order of their selection."""


class _CircuitFile(BaseModel):
    """What is read of a circuit file; published ones hold other keys besides."""

    model_config = ConfigDict(extra="ignore", strict=True)

    nodes: list[str]
    metadata: Metadata = Metadata()


@dataclass(frozen=True)
class Circuit:
    """A circuit, what its file says about it, and what of the file was left aside, in words."""

    nodes: tuple[Component, ...]
    metadata: Metadata
    aside: tuple[str, ...] = ()

    def of_kind(self, kind: Kind | Literal["all"]) -> list[Component]:
        """The components of a kind, or all of them, in the order of their selection."""
        return [node for node in self.nodes if kind in (node.kind, "all")]

    def sizes(self) -> tuple[int, int] | None:
        """d_model and d_head, if the metadata give them or name a model whose sizes are known."""
        if self.metadata.d_model and self.metadata.d_head:
            return self.metadata.d_model, self.metadata.d_head
        return KNOWN_SIZES.get(self.metadata.model or "")


def selected_circuit(
    nodes: Sequence[Component], costs: WriteCosts, budget: int, **about: Any
) -> Circuit:
    """A selected circuit, with metadata computed from its nodes; `about` is added to them."""
    used = costs.total(nodes)
    kinds = Counter(node.kind for node in nodes)
    return Circuit(
        tuple(nodes),
        Metadata(
            total_components=len(nodes),
            write_budget_used=used,
            write_budget_max=budget,
            budget_utilization=f"{100 * used / budget:.1f}%",
            num_mlps=kinds["mlp"],
            num_attention_heads=kinds["head"],
            d_model=costs.d_model,
            d_head=costs.d_head,
            **about,
        ),
    )


def circuit_file(circuit: Circuit) -> dict[str, Any]:
    """The content of a circuit file."""
    return {
        "nodes": [str(node) for node in circuit.nodes],
        "metadata": circuit.metadata.model_dump(exclude_none=True, exclude_defaults=True),
    }


def read_circuit(
    path: Path, shape: ModelShape | None = None, notation: NotationName | None = None
) -> Circuit:
    """The circuit in a file, after checking its metadata, as far as stated, against its nodes.

    With a shape, every node must be a component of the model; with a notation, its heads must be
    named so.

    Raises:
        InputError: naming the file, what was found and what was expected.
    """
    file, places, aside = _read_file(path, shape)
    named = [one for one in zip(places, file.nodes, strict=True) if one[1] not in OUTPUTS]
    if outputs := [name for name in file.nodes if name in OUTPUTS]:
        aside = (f"{outputs[0]} is no component, and left aside", *aside)
    circuit = Circuit(_read_nodes(path, named, shape, notation), file.metadata, aside)
    if contradictions := _contradictions(circuit):
        raise faulty(
            path, [(("metadata", key), f"metadata: {reason}") for key, reason in contradictions]
        )
    return circuit


def _read_file(
    path: Path, shape: ModelShape | None
) -> tuple[_CircuitFile, list[Place], tuple[str, ...]]:
    """What a circuit file holds, where each of its nodes stands, and what of it is left aside."""
    data = read_json(path)
    nodes = data.get("nodes") if isinstance(data, dict) else None
    if isinstance(nodes, dict):
        graph = read_graph(path, data, shape)
        sizes = {key: size for key, size in graph.sizes.items() if key in Metadata.model_fields}
        file = validate(_CircuitFile, {"nodes": graph.nodes, "metadata": sizes}, path)
        return file, [("nodes", name) for name in graph.nodes], graph.aside
    if not isinstance(nodes, list):
        expected = 'expected a circuit file, {"nodes": [names], ...}'
        also = "; a graph, whose nodes each say in_graph, is one too"
        raise faulty(path, [(("nodes",), f"{expected}, found {quoted(data)}{also}")])
    numbers = [
        (("nodes", place), f"nodes {place + 1}: expected a text, found {name}: {_LOST}")
        for place, name in enumerate(nodes)
        if isinstance(name, int | float) and not isinstance(name, bool)
    ]
    if numbers:
        raise faulty(path, numbers)
    return validate(_CircuitFile, data, path), [("nodes", place) for place in range(len(nodes))], ()


def _read_nodes(
    path: Path,
    named: list[tuple[Place, str]],
    shape: ModelShape | None,
    stated: NotationName | None,
) -> tuple[Component, ...]:
    """The components that names mean, each of which stands there once."""
    if not named:
        raise faulty(path, [(("nodes",), "nodes: there are none")])
    try:
        notation = notation_of([name for _, name in named], stated)
    except InputError as error:
        raise faulty(path, [(("nodes",), f"nodes: {error}")]) from None
    faults: list[tuple[Place, str]] = []
    nodes: dict[Component, None] = {}
    for place, name in named:
        try:
            component = notation.component(name, shape)
        except InputError as error:
            faults.append((place, f"nodes: {error}"))
            continue
        if component in nodes:
            faults.append((place, f"nodes: {component} stands there more than once"))
        nodes[component] = None
    if faults:
        raise faulty(path, faults)
    return tuple(nodes)


def _contradictions(circuit: Circuit) -> list[tuple[str, str]]:
    """The metadata that the nodes contradict under any convention, each with how."""
    stated = circuit.metadata
    kinds = Counter(node.kind for node in circuit.nodes)
    counts = {
        "total_components": len(circuit.nodes),
        "num_mlps": kinds["mlp"],
        "num_attention_heads": kinds["head"],
    }
    found = [
        (key, f"{key} is {getattr(stated, key)}, the nodes give {count}")
        for key, count in counts.items()
        if getattr(stated, key) not in (None, count)
    ]
    used, budget = stated.write_budget_used, stated.write_budget_max
    if used is not None and budget is not None:
        if used > budget:
            reason = f"write_budget_used is {used}, over write_budget_max {budget}"
            found.append(("write_budget_used", reason))
        if stated.budget_utilization is not None:
            reasons = _utilization_fault(stated.budget_utilization, used, budget)
            found += [("budget_utilization", reason) for reason in reasons]
    if sizes := circuit.sizes():
        totals = cost_totals(circuit, *sizes)
        cost = f"the nodes cost {describe_totals(totals)}"
        if used is not None and used not in totals.values():
            found.append(("write_budget_used", f"write_budget_used is {used}, {cost}"))
        if budget is not None and min(totals.values()) > budget:
            found.append(("write_budget_max", f"write_budget_max is {budget}, {cost}"))
    return found


def _utilization_fault(text: str, used: int, budget: int) -> list[str]:
    try:
        stated = printed(text.removesuffix("%"))
    except InputError as error:
        return [f"budget_utilization: {error}"]
    actual = exact(used).scaled(100) / exact(budget)
    if equals(actual, stated) == "holds":
        return []
    return [f"budget_utilization is {quoted(text)[1:-1]}, {used} of {budget} is {actual}%"]


def cost_totals(circuit: Circuit, d_model: int, d_head: int) -> dict[bool, int]:
    """The circuit's write cost, with the input's dimensions counted (True) and left out (False)."""
    return {
        input_counts: WriteCosts(d_model, d_head, input_counts).total(circuit.nodes)
        for input_counts in (True, False)
    }


def describe_totals(totals: dict[bool, int]) -> str:
    """Both totals, in words."""
    if totals[True] == totals[False]:
        return str(totals[True])
    return f"{totals[True]} with the input counted and {totals[False]} without"


def check_convention(circuit: Circuit, costs: WriteCosts) -> None:
    """Hold a circuit's stated sizes and cost against the spec's model and cost convention.

    Raises:
        InputError: the metadata disagree; it names both totals.
    """
    stated = circuit.metadata
    for size, found, expected in (
        ("d_model", stated.d_model, costs.d_model),
        ("d_head", stated.d_head, costs.d_head),
    ):
        if found not in (None, expected):
            raise InputError(f"metadata: {size} is {found}; the experiment's model has {expected}")
    used = stated.write_budget_used
    if used is not None and used != costs.total(circuit.nodes):
        convention = "counts the input" if costs.input_counts else "leaves the input out"
        totals = cost_totals(circuit, costs.d_model, costs.d_head)
        raise InputError(
            f"metadata: write_budget_used is {used}; the nodes cost {describe_totals(totals)},"
            f" and the experiment {convention}"
        )
