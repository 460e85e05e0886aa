"""What several circuits share: two by two, all of them, and in how many each component stands."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from replication.circuits.circuit import Circuit, Metadata
from replication.circuits.components import INPUT, Component, ModelShape
from replication.circuits.overlaps import describe_overlaps, overlaps
from tests.make import circuit

SMALL = ModelShape(n_layers=2, n_heads=3, d_model=8, d_head=2)
CIRCUITS = st.dictionaries(
    st.sampled_from("ABCDE"),
    st.sets(st.sampled_from([INPUT, *SMALL.components()]), min_size=1),
    min_size=2,
)
THREE = {
    "A": circuit("input m0 m1 a0.h1"),
    "B": circuit("a0.h1 m0 input"),
    "C": circuit("input m0 a1.h2"),
}


@given(CIRCUITS)
@settings(max_examples=100, deadline=None)
def test_overlaps_are_those_of_sets(nodes: Mapping[str, set[Component]]) -> None:
    made = {name: Circuit(tuple(one), Metadata()) for name, one in nodes.items()}
    found = overlaps(made)
    assert set(found.in_all) == set(map(str, set.intersection(*nodes.values())))
    assert found.held == {
        str(part): sum(part in one for one in nodes.values())
        for part in sorted(set.union(*nodes.values()))
    }
    for member in found.circuits:
        others = set().union(*(one for name, one in nodes.items() if name != member.name))
        assert set(member.only_here) == set(map(str, nodes[member.name] - others))
    assert len(found.overlaps) == len(nodes) * (len(nodes) - 1) // 2
    for two in found.overlaps:
        left, right = (nodes[name] for name in two.circuits)
        assert (two.shared["all"].shared, two.shared["all"].either) == (
            len(left & right),
            len(left | right),
        )


def test_overlaps_are_told_in_words() -> None:
    lines = list(describe_overlaps(overlaps(THREE)))
    assert lines[:8] == [
        "shared, of all that stand in either  nodes           MLPs             heads",
        "A and B                              3 of 4 (75.0%)  1 of 2 (50.0%)   1 of 1 (100.0%)",
        "A and C                              2 of 5 (40.0%)  1 of 2 (50.0%)   0 of 2 (0.0%)",
        "B and C                              2 of 4 (50.0%)  1 of 1 (100.0%)  0 of 2 (0.0%)",
        "in all 3: 2 of 5 nodes: input, m0",
        "only in A: m1",
        "only in B: none",
        "only in C: a1.h2",
    ]


def test_a_kind_that_no_circuit_holds_has_no_percentage() -> None:
    found = overlaps({"A": circuit("m0"), "B": circuit("m0"), "C": circuit("m1")})
    assert str(found.overlaps[0].shared["head"]) == "0 of 0"
    assert found.data()["overlaps"][0]["shared"]["head"]["percent"] is None
