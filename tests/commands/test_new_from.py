"""`replication new NAME --from PATH`: an experiment drafted from what was published."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from replication import cli
from replication.circuits.circuit import read_circuit
from replication.circuits.components import head, mlp
from replication.circuits.intervals import printed
from replication.circuits.scores import read_scores
from replication.commands.check import check_experiment
from replication.commands.new import new_experiment
from replication.commands.new_from import drafted
from replication.commands.sources import read_source
from replication.evidence.evidence import published_evidence
from replication.experiment.spec import read_experiment
from tests.paths import PUBLISHED

TABLE = "{'L0H3': 3.00, 'MLP 2': 9.30, 'MLP 0': 10.51, 'L4H10': 4.25, 'MLP 5': 7.51, 'embed': 1}"
COLUMNS = ("component", "score")


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def new(name: Path, *options: object) -> tuple[str, Any]:
    """What the command prints, and what it raises."""
    done = CliRunner().invoke(cli.app, ["new", str(name), *map(str, options)])
    return done.stdout, done.exception


def judged(pytester: pytest.Pytester, folder: Path) -> dict[str, str]:
    """The verdicts on the drafted claims, on what was published; nothing fails."""
    where = ["--replication-experiments", str(folder)]
    done = pytester.runpytest_subprocess("--pyargs", "replication.test_claims", *where)
    assert done.ret == 0, done.stdout.str()
    report = json.loads((pytester.path / "reports" / "claims.json").read_text(encoding="utf-8"))
    return {
        claim["statement"]: claim["judgements"][0]["verdict"]
        for claim in report["experiments"][0]["claims"]
    }


def test_a_printed_table_becomes_an_experiment_that_runs_as_it_stands(
    tmp_path: Path, pytester: pytest.Pytester
) -> None:
    mine = tmp_path / "mine"
    lines = new(mine, "--from", write(tmp_path / "table.txt", TABLE))[0].splitlines()
    assert lines[1].endswith(f"--replication-experiments {tmp_path} --replication-experiment mine")
    assert lines[2:] == [
        "published/paper.scores.json: 3 MLPs and 2 heads",
        "claims.toml: 4 claims drafted, whose source is to be filled in",
        "experiment.toml: what the files do not tell is marked there, to be filled in",
        "note: left aside: what has no score here: embed",
    ]
    assert check_experiment(mine).problems == []
    assert read_scores(mine / "published/paper.scores.json").scores[mlp(0)] == printed("10.51")
    verdicts = judged(pytester, mine)
    assert verdicts["m0 scores 1.13 times as high as m2."] == "holds"
    assert set(verdicts.values()) == {"holds", "undecided"}


def test_a_table_of_one_component_makes_a_claim_on_its_score(
    tmp_path: Path, pytester: pytest.Pytester
) -> None:
    write(tmp_path / "one.csv", "component,score\nm4,3.10\n")
    said, refused = new(tmp_path / "mine", "--from", tmp_path / "one.csv")
    assert refused is None
    assert "claims.toml: 1 claim drafted, whose source" in said
    assert judged(pytester, tmp_path / "mine") == {"m4 scores 3.10.": "undecided"}


def test_published_files_are_copied_as_they_are(tmp_path: Path, pytester: pytest.Pytester) -> None:
    circuit, scores = (PUBLISHED / f"original.{kind}.json" for kind in ("circuit", "scores"))
    for path in (circuit, scores):
        mine = tmp_path / path.name.split(".")[1]
        assert new(mine, "--from", path, "--result", "original")[1] is None
        assert (mine / "published" / path.name).read_bytes() == path.read_bytes()
        assert set(judged(pytester, mine).values()) == {"holds"}
    spec = read_experiment(tmp_path / "circuit").spec
    assert (spec.model.name, spec.model.shape.d_model, spec.model.shape.d_head) == ("gpt2", 768, 64)
    assert spec.selection.budget == read_circuit(circuit).metadata.write_budget_max


def test_a_folder_of_a_run_brings_its_scores_its_circuit_and_its_models_sizes(
    tmp_path: Path, pytester: pytest.Pytester
) -> None:
    shape = {"n_layers": 6, "n_heads": 12, "d_model": 384, "d_head": 32}
    run = {"provenance": {"model": "some_encoder", "shape": shape}}
    scores = {"components": {"m0": 2.5, "m1": 1.25, "a1.h2": 0.5}, "metadata": run}
    circuit = {"nodes": ["input", "m0", "a1.h2"], "metadata": {"d_model": 384, "d_head": 32} | run}
    write(tmp_path / "out" / "scores.json", scores)
    write(tmp_path / "out" / "circuit.json", circuit)
    assert new(tmp_path / "mine", "--from", tmp_path / "out", "--result", "run")[1] is None
    experiment = read_experiment(tmp_path / "mine")
    assert experiment.spec.model.shape.model_dump() == shape
    assert experiment.spec.selection.budget == 384 + 384 + 32
    found = published_evidence(experiment).results["run"]
    assert found.scores is not None
    assert found.circuit is not None
    text = (tmp_path / "mine" / "experiment.toml").read_text(encoding="utf-8")
    assert "To be filled in: where the model comes from. Its files call it some_encoder." in text
    assert "stand in for them" not in text
    assert judged(pytester, tmp_path / "mine")["The circuit holds 1 MLP and 1 head."] == "holds"


def test_what_no_file_tells_is_marked_to_be_filled_in(tmp_path: Path) -> None:
    new(tmp_path / "mine", "--from", write(tmp_path / "table.txt", TABLE))
    text = (tmp_path / "mine" / "experiment.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["model"]["shape"] == {
        "n_layers": 6,
        "n_heads": 11,
        "d_model": 704,
        "d_head": 64,
    }
    for lacking in ("where the model comes from", "more layers and heads", "d_model and d_head;"):
        assert lacking in text
    whole = {f"m{layer}": 5 - layer for layer in range(2)}
    whole |= {f"a{layer}.h{index}": 1 for layer in range(2) for index in range(3)}
    new(tmp_path / "whole", "--from", write(tmp_path / "whole.txt", repr(whole)))
    text = (tmp_path / "whole" / "experiment.toml").read_text(encoding="utf-8")
    assert "more layers and heads" not in text


@pytest.mark.parametrize("model", ["a\n\n[model]\nname = 'b'", "{shape} # \x7f", ["a"], 3, ""])
def test_what_files_call_their_model_is_no_more_than_a_comment(
    tmp_path: Path, model: object
) -> None:
    scores = {"components": {"m0": 1}, "metadata": {"provenance": {"model": model}}}
    new(tmp_path / "mine", "--from", write(tmp_path / "scores.json", scores))
    assert read_experiment(tmp_path / "mine").spec.model.label == "model"


def test_a_graph_with_its_sizes_and_a_stated_notation_are_taken_over(tmp_path: Path) -> None:
    graph = {
        "cfg": {"n_layers": 12, "n_heads": 12, "d_model": 768, "d_head": 64},
        "nodes": {"input": True, "m0": True, "a9.h6": True, "m3": False, "logits": True},
        "edges": {"input->m0": True},
    }
    new(tmp_path / "graph", "--from", write(tmp_path / "graph.json", graph))
    assert read_experiment(tmp_path / "graph").spec.model.shape.n_layers == 12
    path = write(tmp_path / "c.json", {"nodes": ["m0", "9.6"]})
    new(tmp_path / "mine", "--from", path, "--notation", "head.layer")
    circuit = published_evidence(read_experiment(tmp_path / "mine")).results["paper"].circuit
    assert circuit is not None
    assert circuit.nodes == (mlp(0), head(6, 9))


NODES = st.sets(
    st.sampled_from(["input", *(f"m{n}" for n in range(4)), "a0.h1", "a3.h2"]), min_size=1
)


@given(NODES, st.booleans())
@settings(max_examples=20, deadline=None)
def test_whatever_circuit_it_is_its_experiment_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, nodes: set[str], is_costed: bool
) -> None:
    folder = tmp_path_factory.mktemp("circuit")
    cost = sum(64 if name.startswith("a") else 768 for name in nodes)
    stated = {"d_model": 768, "d_head": 64, "write_budget_used": cost} if is_costed else {}
    path = write(folder / "c.json", {"nodes": sorted(nodes), "metadata": stated})
    new_experiment(folder / "mine", drafted(read_source(path, COLUMNS), "paper"))
    assert check_experiment(folder / "mine").problems == []


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        ({"nodes": ["m0", "9.6"]}, [], "'9.6' can be read in two ways"),
        ({"nodes": ["m0"], "metadata": {"write_budget_used": 768}}, [], "state d_model and d_head"),
        (
            {"nodes": ["m7"], "cfg": {"n_layers": 2, "n_heads": 2}},
            [],
            "the model has no component m7",
        ),
        ({"a": 1}, [], "'a' is no component"),
        ("no table", [], "expected a dict such as"),
        (TABLE, ["--kind", "decoder"], "--kind: is of an example"),
        (TABLE, ["--result", "a/b"], "--result: 'a/b' cannot be a result's name"),
        (TABLE, ["--notation", "x"], "--notation: expected a9.h6|"),
    ],
)
def test_what_no_experiment_can_be_drafted_from_is_refused_and_nothing_written(
    tmp_path: Path, content: object, options: list[str], reason: str
) -> None:
    path = write(tmp_path / "given.json", content)
    printed_lines, error = new(tmp_path / "mine", "--from", path, *options)
    assert printed_lines == ""
    assert reason in str(error)
    assert len(str(error)) <= 300
    assert not (tmp_path / "mine").exists()


def test_a_folder_without_any_of_it_and_one_of_two_models_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    expected = f"{folder}: expected scores.json or circuit.json in the folder, found neither"
    assert str(new(tmp_path / "mine", "--from", folder)[1]) == expected
    shape = {"n_layers": 6, "n_heads": 12, "d_model": 384, "d_head": 32}
    run = {"provenance": {"shape": shape}}
    write(folder / "scores.json", {"components": {"m0": 1}, "metadata": run})
    write(folder / "circuit.json", {"nodes": ["m0"], "metadata": {"d_model": 768, "d_head": 64}})
    assert "not of one model: d_model 384 in scores.json and 768 in circuit.json" in str(
        new(tmp_path / "mine", "--from", folder)[1]
    )
    assert "there is no such file" in str(new(tmp_path / "mine", "--from", tmp_path / "no")[1])
    assert str(new(folder, "--from", tmp_path / "no")[1]) == f"{folder}: is there already"
