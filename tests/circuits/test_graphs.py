"""Graphs: circuits from the files of edge attribution patching."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from replication import cli
from replication.circuits.circuit import read_circuit
from replication.circuits.components import INPUT, ModelShape, head, mlp
from replication.commands.check import check_experiment
from replication.commands.new import new_experiment
from replication.inputs.files import InputError
from tests.make import edit

SMALL = ModelShape(n_layers=3, n_heads=4, d_model=8, d_head=2)
CFG = {"n_layers": 3, "n_heads": 4, "parallel_attn_mlp": False, "d_model": 8}
FLAGS = {"input": True, "a0.h0": False, "a0.h3": True, "m0": True, "a2.h1": False, "logits": True}
EDGES = {
    "input->a0.h3<q>": {"score": 0.25, "in_graph": True},
    "input->m0": {"score": -0.5, "in_graph": True},
    "m0->logits": {"score": 0.0, "in_graph": True},
    "a2.h1->logits": {"score": None, "in_graph": False},
}
ASIDE = (
    "logits is no component, and left aside",
    "edges are not judged: 3 of 4 are in the graph",
    "its nodes stand in the file's order, which is none of selection",
)


def graph(**changes: Any) -> dict[str, Any]:
    return {"cfg": CFG, "nodes": FLAGS, "edges": EDGES} | changes


def write(folder: Path, content: object) -> Path:
    path = folder / "graph.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def refusal(folder: Path, content: object, shape: ModelShape | None = SMALL) -> str:
    with pytest.raises(InputError) as caught:
        read_circuit(write(folder, content), shape)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'graph.json'}: ")


def test_the_nodes_that_are_in_an_older_graph_are_the_circuit(tmp_path: Path) -> None:
    found = read_circuit(write(tmp_path, graph()), SMALL)
    assert found.nodes == (INPUT, head(0, 3), mlp(0))
    assert found.aside == ASIDE
    assert (found.metadata.d_model, found.metadata.d_head) == (8, None)


def test_the_nodes_of_a_newer_graph_say_more_which_is_not_used(tmp_path: Path) -> None:
    nodes = {
        name: {"in_graph": flag, "score": 0.5, "neurons": [True, flag]}
        for name, flag in FLAGS.items()
    }
    found = read_circuit(write(tmp_path, graph(nodes=nodes)), SMALL)
    assert found.nodes == (INPUT, head(0, 3), mlp(0))
    assert found.aside == (
        *ASIDE[:2],
        "not used of its nodes: score, neurons",
        ASIDE[2],
    )


def test_a_graph_may_lack_sizes_and_edges_and_state_the_heads_own_size(tmp_path: Path) -> None:
    found = read_circuit(write(tmp_path, {"nodes": FLAGS}), SMALL)
    assert found.aside[1] == "edges are not judged: 0 of 0 are in the graph"
    assert found.sizes() is None
    sized = read_circuit(write(tmp_path, graph(cfg=CFG | {"d_head": 2})), SMALL)
    assert sized.sizes() == (8, 2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cfg": CFG | {"n_layers": 12}}, "cfg: n_layers is 12; the experiment's model has 3"),
        ({"cfg": CFG | {"n_heads": 3}}, "cfg: n_heads is 3; the experiment's model has 4"),
        ({"cfg": CFG | {"d_model": 9}}, "cfg: d_model is 9; the experiment's model has 8"),
        ({"cfg": CFG | {"d_head": 3}}, "cfg: d_head is 3; the experiment's model has 2"),
        ({"cfg": CFG | {"d_model": "8"}}, "cfg: d_model: expected a positive number, found '8'"),
        ({"cfg": CFG | {"d_model": True}}, "cfg: d_model: expected a positive number, found True"),
        ({"cfg": CFG | {"d_model": 0}}, "cfg: d_model: expected a positive number, found 0"),
        ({"cfg": [3, 4]}, "cfg: expected an object, found [3, 4]"),
        ({"edges": [1]}, "edges: expected an object, found [1]"),
        (
            {"edges": EDGES | {"m0->a2.h1<v>": {"score": 1.0}}},
            "edges: m0->a2.h1<v>: expected true, false or an object with in_graph, found {'score'",
        ),
        ({"nodes": {}}, "nodes: none of them is in the graph"),
        ({"nodes": dict.fromkeys(FLAGS, False)}, "nodes: none of them is in the graph"),
        ({"nodes": {"logits": True}}, "nodes: there are none"),
        ({"nodes": {"m0": True, "b7": True}}, "nodes: 'b7' is no component"),
        ({"nodes": {"m3": True}}, "nodes: the model has no component m3"),
        (
            {"nodes": {name: {"score": 1.0} for name in FLAGS}},
            "nodes: input: expected true, false or an object with in_graph, found {'score': 1.0}; 6"
            " of 6 do not say whether they are in the graph; which nodes are is not guessed from"
            " the edges",
        ),
        (
            {"nodes": FLAGS | {"m0": 1}},
            "nodes: m0: expected true, false or an object with in_graph, found 1; which nodes are",
        ),
        ({"nodes": None}, 'expected a circuit file, {"nodes": [names], ...}, found '),
    ],
)
def test_a_bad_graph_is_refused_with_its_reason(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    assert refusal(tmp_path, graph(**changes)).startswith(reason)


def test_without_a_model_of_its_own_a_graph_states_its_sizes(tmp_path: Path) -> None:
    path = write(tmp_path, graph(cfg=CFG | {"n_layers": 12}))
    assert read_circuit(path).nodes == (INPUT, head(0, 3), mlp(0))


def test_compare_says_what_was_left_aside(tmp_path: Path) -> None:
    left, right = write(tmp_path, graph()), tmp_path / "own.json"
    right.write_text('{"nodes": ["input", "m0"]}', encoding="utf-8")
    done = CliRunner().invoke(cli.app, ["compare", str(left), str(right)])
    assert done.exit_code == 0
    assert done.stdout.startswith("nodes  2 of 3 (66.7%); own.json has 2\n")
    assert done.stdout.splitlines()[-3:] == [f"note: graph.json: {reason}" for reason in ASIDE]
    done = CliRunner().invoke(cli.app, ["compare", str(right), str(left), "--json"])
    assert json.loads(done.stdout)["aside"] == {"left": [], "right": list(ASIDE)}


def test_check_says_what_was_left_aside_and_has_no_problem_with_it(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    new_experiment(mine)
    path = mine / "published" / "paper.circuit.json"
    names = json.loads(path.read_text(encoding="utf-8"))["nodes"]
    nodes = {name: {"in_graph": True} for name in [*names, "logits"]}
    path.write_text(json.dumps(graph(nodes=nodes, cfg={"n_layers": 6})), encoding="utf-8")
    findings = check_experiment(mine)
    assert findings.problems == []
    assert findings.notes == tuple(f"{path}: {reason}" for reason in ASIDE)
    printed = CliRunner().invoke(cli.app, ["check", str(mine)]).stdout
    assert f"note: {path}: {ASIDE[1]}\n" in printed


def test_a_spec_states_the_notation_of_a_results_files(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    new_experiment(mine)
    folder = mine / "published"
    for name in ("paper.circuit.json", "paper.scores.json"):
        text = (folder / name).read_text(encoding="utf-8")
        text = text.replace('"a', '"').replace(".h", ".")
        (folder / name).write_text(text, encoding="utf-8")
    problems = check_experiment(mine).problems
    assert len(problems) == 2
    assert all("can be read in two ways: as layer.head" in problem for problem in problems)
    line = 'scores = "published/paper.scores.json"'
    edit(mine / "experiment.toml", line, f'{line}\nnotation = "layer.head"')
    assert check_experiment(mine).problems == []
