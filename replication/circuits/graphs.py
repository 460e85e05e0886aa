"""Graphs: the `graph.json` of edge attribution patching, as EAP-IG and the MIB benchmark write it.

Its nodes and edges each say whether they are in the graph. The circuit is the nodes; edges are
counted, and not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from replication.circuits.components import ModelShape
from replication.inputs.files import faulty
from replication.inputs.messages import listed, quoted, shortened
from replication.inputs.positions import Place

_SIZES = ("n_layers", "n_heads", "d_model", "d_head")


class Graph(NamedTuple):
    """The names of a graph's nodes, the sizes that it states, and what was left aside, in words."""

    nodes: list[str]
    sizes: Mapping[str, int]
    aside: tuple[str, ...]


def read_graph(path: Path, data: Mapping[str, Any], shape: ModelShape | None) -> Graph:
    """The graph in a file's content, whose nodes are an object; of the model, if there is one.

    Raises:
        InputError: naming the file, what was found and what was expected.
    """
    nodes, edges = data["nodes"], data.get("edges", {})
    stated = data.get("cfg", {})
    faults = [*_flag_faults(nodes, "nodes"), *_size_faults(stated, shape)]
    if isinstance(edges, dict):
        faults += _flag_faults(edges, "edges")
    else:
        faults.append((("edges",), f"edges: expected an object, found {quoted(edges)}"))
    if faults:
        raise faulty(path, faults)
    inside = [name for name, value in nodes.items() if _flag(value)]
    if not inside:
        raise faulty(path, [(("nodes",), "nodes: none of them is in the graph")])
    sizes = {key: stated[key] for key in _SIZES if key in stated}
    return Graph(inside, sizes, tuple(_aside(nodes, edges)))


def _flag(value: object) -> object:
    """Whether a node or an edge is in the graph: older files say just that, newer ones more."""
    return value.get("in_graph") if isinstance(value, dict) else value


def _flag_faults(parts: Mapping[str, Any], key: str) -> list[tuple[Place, str]]:
    missing = [name for name, value in parts.items() if not isinstance(_flag(value), bool)]
    if not missing:
        return []
    first = missing[0]
    reason = (
        f"{key}: {shortened(first)}: expected true, false or an object with in_graph, found"
        f" {quoted(parts[first])}"
    )
    if len(missing) > 1:
        reason += f"; {len(missing)} of {len(parts)} do not say whether they are in the graph"
    if key == "nodes":
        reason += "; which nodes are is not guessed from the edges"
    return [((key, first), reason)]


def _size_faults(stated: object, shape: ModelShape | None) -> Iterator[tuple[Place, str]]:
    if not isinstance(stated, dict):
        yield ("cfg",), f"cfg: expected an object, found {quoted(stated)}"
        return
    for key in _SIZES:
        size = stated.get(key, 1)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            yield ("cfg", key), f"cfg: {key}: expected a positive number, found {quoted(size)}"
        elif shape and key in stated and size != getattr(shape, key):
            expected = getattr(shape, key)
            yield ("cfg", key), f"cfg: {key} is {size}; the experiment's model has {expected}"


def _aside(nodes: Mapping[str, Any], edges: Mapping[str, Any]) -> Iterator[str]:
    """What is not used of a graph."""
    inside = sum(_flag(value) is True for value in edges.values())
    yield f"edges are not judged: {inside} of {len(edges)} are in the graph"
    of_nodes = dict.fromkeys(
        key for value in nodes.values() if isinstance(value, dict) for key in value
    )
    if more := [key for key in of_nodes if key != "in_graph"]:
        yield f"not used of its nodes: {listed(more)}"
    yield "its nodes stand in the file's order, which is none of selection"
