from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.circuits.circuit import (
    Circuit,
    Metadata,
    check_convention,
    circuit_file,
    read_circuit,
    selected_circuit,
)
from replication.circuits.components import (
    INPUT,
    Component,
    ModelShape,
    WriteCosts,
    head,
    mlp,
    parse,
)
from replication.inputs.files import InputError
from replication.inputs.writing import write_json
from tests.paths import PUBLISHED

GPT2 = ModelShape(n_layers=12, n_heads=12, d_model=768, d_head=64)
SMALL = ModelShape(n_layers=3, n_heads=4, d_model=8, d_head=2)

# input, two MLPs and one head cost 3 * 768 + 64 = 2368 dimensions, 1600 without the input.
NODES = ["input", "m2", "m0", "a1.h3"]
METADATA = {
    "total_components": 4,
    "write_budget_used": 2368,
    "write_budget_max": 2400,
    "budget_utilization": "98.7%",
    "num_mlps": 2,
    "num_attention_heads": 1,
    "model": "gpt2-small",
}


def write(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "circuit.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def circuit(nodes: list[str] = NODES, **metadata: object) -> dict[str, Any]:
    """A circuit file's content; a key that is None is left out."""
    stated = METADATA | metadata
    return {"nodes": nodes, "metadata": {k: v for k, v in stated.items() if v is not None}}


def refusal(path: Path, shape: ModelShape | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_circuit(path, shape)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "mlps"),
    [
        ("original", "m2 m11 m10 m9 m8 m7 m6 m1 m5 m0"),
        ("replication", "m2 m11 m10 m9 m8 m7 m6 m1 m0 m5"),
    ],
)
def test_the_published_circuits_are_read_as_published(name: str, mlps: str) -> None:
    path = PUBLISHED / f"{name}.circuit.json"
    found = read_circuit(path, GPT2)
    assert len(found.nodes) == 54
    assert found.nodes[0] == INPUT
    assert [str(node) for node in found.of_kind("mlp")] == mlps.split()
    assert len(found.of_kind("head")) == 43
    assert found.of_kind("head")[:2] == [head(11, 8), head(11, 0)]
    assert found.sizes() == (768, 64)
    check_convention(found, WriteCosts(768, 64, input_counts=True))
    assert circuit_file(found) == json.loads(path.read_text(encoding="utf-8"))


def test_a_small_circuit_is_read(tmp_path: Path) -> None:
    found = read_circuit(write(tmp_path, circuit()), GPT2)
    assert found.nodes == (INPUT, mlp(2), mlp(0), head(1, 3))
    assert found.metadata.write_budget_used == 2368


SELECTIONS = st.lists(st.sampled_from([INPUT, *SMALL.components()]), unique=True, min_size=1)


@given(SELECTIONS, st.booleans(), st.integers(0, 5000), st.sampled_from(["gpt2", "other", None]))
@settings(max_examples=50, deadline=None)
def test_a_written_circuit_is_read_back(
    nodes: list[Component], input_counts: bool, spare: int, model: str | None
) -> None:
    costs = WriteCosts(8, 2, input_counts)
    budget = max(1, costs.total(nodes) + spare)
    made = selected_circuit(nodes, costs, budget, model=model, note=["mine", {"a": 1}])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "circuit.json"
        write_json(path, circuit_file(made))
        read = read_circuit(path, SMALL)
    assert read == made
    check_convention(read, costs)


def test_a_selected_circuit_states_what_its_nodes_are() -> None:
    nodes = [INPUT, mlp(2), head(1, 3), head(0, 0)]
    made = selected_circuit(nodes, WriteCosts(8, 2), 60, task="a_task")
    assert circuit_file(made) == {
        "nodes": ["input", "m2", "a1.h3", "a0.h0"],
        "metadata": {
            "total_components": 4,
            "write_budget_used": 20,
            "write_budget_max": 60,
            "budget_utilization": "33.3%",
            "num_mlps": 1,
            "num_attention_heads": 2,
            "d_model": 8,
            "d_head": 2,
            "task": "a_task",
        },
    }


EXPECTED = 'expected a circuit file, {"nodes": [names], ...}'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not JSON: "),
        ('{"nodes": ["m1"], "nodes": [], "metadata": {}}', "the key 'nodes' stands there"),
        ([], f"{EXPECTED}, found []"),
        (["input", "m0"], f"{EXPECTED}, found ['input', 'm0']"),
        (None, f"{EXPECTED}, found None"),
        ("m0", "not JSON: "),
        ({"metadata": {}}, f"{EXPECTED}, found {{'metadata': {{}}}}"),
        ({"nodes": [], "metadata": {}}, "nodes: there are none"),
        ({"nodes": "m1", "metadata": {}}, f"{EXPECTED}, found {{'nodes': 'm1', 'metadata': "),
        ({"nodes": ["m1", None]}, "nodes 2: Input should be a valid string, found None"),
        ({"nodes": ["m1", True]}, "nodes 2: Input should be a valid string, found True"),
        ({"nodes": ["m1"], "metadata": []}, "metadata: "),
        ({"nodes": ["m1", "a0.h1", "m1"], "metadata": {}}, "nodes: m1 stands there more than once"),
        ({"nodes": ["input", "input"], "metadata": {}}, "nodes: input stands there more than"),
        ({"nodes": ["b7"], "metadata": {}}, "nodes: 'b7' is no component"),
        ({"nodes": ["m02"], "metadata": {}}, "nodes: 'm02' is no component"),
        ({"nodes": [" m2"], "metadata": {}}, "nodes: ' m2' is no component"),
        ({"nodes": ["m12"], "metadata": {}}, "nodes: the model has no component m12"),
        ({"nodes": ["m1", "a3.h12"], "metadata": {}}, "nodes: the model has no component a3.h12"),
    ],
)
def test_a_bad_circuit_is_refused_with_its_reason(
    tmp_path: Path, content: object, reason: str
) -> None:
    message = refusal(write(tmp_path, content), GPT2)
    assert reason in message
    assert "_CircuitFile" not in message


@pytest.mark.parametrize(
    "more",
    [{}, {"metadata": {}}, {"component_rankings": {"m0": 1.5}}, {"edges": [], "metadata": {}}],
)
def test_of_a_published_circuit_only_the_nodes_must_be_there(
    tmp_path: Path, more: dict[str, object]
) -> None:
    path = write(tmp_path, "\ufeff" + json.dumps({"nodes": NODES} | more))
    assert read_circuit(path, GPT2) == Circuit(tuple(map(parse, NODES)), Metadata())


def test_without_a_shape_any_component_may_be_a_node(tmp_path: Path) -> None:
    path = write(tmp_path, {"nodes": ["m12", "a30.h99"], "metadata": {}})
    assert read_circuit(path).nodes == (mlp(12), head(30, 99))


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"total_components": 3}, "total_components is 3, the nodes give 4"),
        ({"total_components": 0}, "total_components is 0, the nodes give 4"),
        ({"num_mlps": 3}, "num_mlps is 3, the nodes give 2"),
        ({"num_attention_heads": 2}, "num_attention_heads is 2, the nodes give 1"),
        ({"write_budget_used": 2367}, "write_budget_used is 2367, the nodes cost 2368 with the"),
        ({"write_budget_used": 1600}, "budget_utilization is 98.7%, 1600 of 2400 is 66.6667%"),
        ({"write_budget_max": 2367}, "write_budget_used is 2368, over write_budget_max 2367"),
        ({"budget_utilization": "98.8%"}, "budget_utilization is 98.8%, 2368 of 2400 is 98.6667%"),
        ({"budget_utilization": "98.6%"}, "budget_utilization is 98.6%"),
        ({"budget_utilization": "98%"}, "budget_utilization is 98%"),
        ({"budget_utilization": "0.987"}, "budget_utilization is 0.987"),
        ({"budget_utilization": "all"}, "budget_utilization: 'all' is not a plain decimal number"),
        ({"budget_utilization": 98.7}, "budget_utilization: Input should be a valid string"),
        ({"total_components": 4.0}, "total_components: Input should be a valid integer"),
        ({"total_components": "4"}, "total_components: Input should be a valid integer"),
        ({"num_mlps": -2}, "num_mlps: "),
        ({"write_budget_max": 0}, "write_budget_max: "),
        ({"d_head": 0}, "d_head: "),
        ({"d_model": 100, "d_head": 64}, "the nodes cost 364 with the input counted and 264"),
        ({"model": "gpt2-medium"}, "the nodes cost 3136 with the input counted and 2112 without"),
    ],
)
def test_metadata_that_contradict_the_nodes_are_refused(
    tmp_path: Path, metadata: dict[str, object], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a long path leaves less of the message to the reasons
    message = refusal(write(Path(), circuit(**metadata)), GPT2)
    assert message.startswith("metadata: ")
    assert reason in message


@pytest.mark.parametrize(
    "metadata",
    [
        {"budget_utilization": "98.67"},
        {"budget_utilization": "99%"},
        {"write_budget_used": 1600, "budget_utilization": "66.7%"},
        {"model": "another", "write_budget_used": 2369},
        {"model": None, "write_budget_used": 2369},
        {"model": "another", "d_model": 768, "d_head": 64},
        {"write_budget_max": None, "budget_utilization": "50%"},
        {"total_components": None, "num_mlps": None, "num_attention_heads": None},
    ],
)
def test_metadata_that_the_nodes_do_not_contradict_are_taken(
    tmp_path: Path, metadata: dict[str, object]
) -> None:
    content = circuit(**metadata)
    assert circuit_file(read_circuit(write(tmp_path, content), GPT2)) == content


def test_every_contradiction_is_named(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, circuit(total_components=5, num_mlps=3)))
    assert "total_components is 5" in message
    assert "; metadata: num_mlps is 3" in message


def test_metadata_may_be_empty_and_may_say_more(tmp_path: Path) -> None:
    bare = read_circuit(write(tmp_path, {"nodes": NODES, "metadata": {}}), GPT2)
    assert bare.sizes() is None
    assert circuit_file(bare) == {"nodes": NODES, "metadata": {}}
    content = circuit(faithfulness=[0.5, {"a": "b"}], write_budget_used=None)
    assert circuit_file(read_circuit(write(tmp_path, content))) == content


@pytest.mark.parametrize(
    ("metadata", "sizes"),
    [
        ({"model": "gpt2"}, (768, 64)),
        ({"model": "gpt2-small"}, (768, 64)),
        ({"model": "gpt2-medium"}, (1024, 64)),
        ({"model": "gpt2-large"}, (1280, 64)),
        ({"model": "gpt2-xl"}, (1600, 64)),
        ({"model": "gpt2", "d_model": 10, "d_head": 5}, (10, 5)),
        ({"model": "gpt2", "d_model": 10}, (768, 64)),
        ({"model": "GPT2"}, None),
        ({}, None),
    ],
)
def test_the_sizes_are_the_stated_ones_or_those_of_a_known_model(
    metadata: dict[str, Any], sizes: tuple[int, int] | None
) -> None:
    assert Circuit((INPUT,), Metadata(**metadata)).sizes() == sizes


def test_a_cost_that_leaves_the_input_out_reads_but_meets_only_that_convention(
    tmp_path: Path,
) -> None:
    content = circuit(write_budget_used=1600, budget_utilization="66.7%")
    found = read_circuit(write(tmp_path, content), GPT2)
    check_convention(found, WriteCosts(768, 64, input_counts=False))
    with pytest.raises(InputError) as caught:
        check_convention(found, WriteCosts(768, 64, input_counts=True))
    message = str(caught.value)
    assert "write_budget_used is 1600" in message
    assert "2368 with the input counted and 1600 without" in message
    assert "the experiment counts the input" in message


def test_a_cost_that_counts_the_input_is_refused_where_it_does_not_count(tmp_path: Path) -> None:
    found = read_circuit(write(tmp_path, circuit()), GPT2)
    with pytest.raises(InputError, match="the experiment leaves the input out"):
        check_convention(found, WriteCosts(768, 64, input_counts=False))


def test_a_circuit_without_a_stated_cost_meets_either_convention(tmp_path: Path) -> None:
    found = read_circuit(write(tmp_path, circuit(write_budget_used=None)), GPT2)
    for input_counts in (True, False):
        check_convention(found, WriteCosts(768, 64, input_counts))


def test_without_the_input_both_conventions_agree(tmp_path: Path) -> None:
    content = circuit(["m2"], total_components=1, num_mlps=1, num_attention_heads=0)
    content["metadata"] |= {"write_budget_used": 768, "budget_utilization": "32.0%"}
    found = read_circuit(write(tmp_path, content), GPT2)
    for input_counts in (True, False):
        check_convention(found, WriteCosts(768, 64, input_counts))
    content["metadata"]["write_budget_used"] = 767
    assert "write_budget_used is 767, the nodes cost 768" in refusal(write(tmp_path, content))


def test_a_node_spelled_in_two_ways_stands_there_twice(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_circuit(write(tmp_path, {"nodes": ["m11", "m1١"], "metadata": {}}), GPT2)


def test_nodes_that_cost_more_than_the_stated_budget_contradict_it(tmp_path: Path) -> None:
    content = circuit(write_budget_used=None, budget_utilization=None, write_budget_max=1599)
    assert "write_budget_max" in refusal(write(tmp_path, content), GPT2)


def test_sizes_that_are_not_the_models_are_refused() -> None:
    made = selected_circuit([INPUT, mlp(2)], WriteCosts(8, 2), 60)
    with pytest.raises(InputError, match="d_model is 8; the experiment's model has 16"):
        check_convention(made, WriteCosts(16, 2))
