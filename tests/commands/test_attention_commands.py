"""Attention scores end to end, on a small random GPT-2: check, run, record, and judged again."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from typer.testing import CliRunner

from replication import cli
from replication.controls.not_computed import NotComputed
from replication.controls.verify import verify
from replication.engine.attention import attention
from replication.engine.models import LoadedModel, load_model
from replication.engine.subject import subject_of
from replication.evidence.evidence import published_evidence, recorded_evidence
from replication.experiment.behaviours import AblationSpec, BehaviourSpec
from replication.experiment.spec import read_experiment
from replication.inputs.files import InputError
from replication.report.causal_handover import causal_records
from tests.asking import write_rows
from tests.attending import N_HEADS, N_LAYERS, ROWS, make_attending
from tests.make import copied, edit

pytestmark = pytest.mark.numeric


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_attending(tmp_path_factory.mktemp("attending"))


@pytest.fixture(scope="module")
def model(made: tuple[Path, Path]) -> LoadedModel:
    spec = read_experiment(made[0]).spec
    return load_model(spec.model, str(made[1]), "cpu", tokens=spec.tokens, gives_attention=True)


@pytest.fixture
def folder(made: tuple[Path, Path], tmp_path: Path) -> Path:
    return copied(made[0], tmp_path / "mine")


def printed(*arguments: str | Path) -> list[str]:
    done = CliRunner().invoke(cli.app, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout.splitlines()


def test_a_run_writes_every_table_and_every_pairs_shares(
    folder: Path, made: tuple[Path, Path], model: LoadedModel, tmp_path: Path
) -> None:
    said = printed("run", folder, "--model", made[1], "--out", tmp_path / "out")
    assert said[0] == f"mine: {len(ROWS)} pairs, 13 nodes, written to {tmp_path}/out/"
    assert said[-1] == (
        "mine: of pair 1 S1 is ' John' (position 4), S2 is ' John' (position 8),"
        " IO is ' Mary' (position 2), END is ' to' (position 11)"
    )
    experiment = read_experiment(folder)
    found = attention(model, experiment.rows, experiment.spec.scoring)
    for table, name in enumerate(("duplicate", "mover")):
        path = tmp_path / "out" / f"scores_{name}.json"
        scores = json.loads(path.read_text(encoding="utf-8"))["components"]
        assert len(scores) == N_LAYERS * N_HEADS
        means = found.weights[table].mean(axis=0, dtype=np.float64)
        for component, score in scores.items():
            layer, head = component[1:].split(".h")
            assert score == pytest.approx(means[int(layer), int(head)], abs=1e-6)
    with (tmp_path / "out" / "pair_scores.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:4] == ["pair", "first_tokens", "second_tokens", "duplicate:a0.h0"]
    assert header[-1] == f"mover:a{N_LAYERS - 1}.h{N_HEADS - 1}"
    assert [int(row[0]) for row in rows] == list(range(1, len(ROWS) + 1))
    for pair, row in enumerate(rows):
        own = found.weights[:, pair].ravel()
        assert np.allclose([float(figure) for figure in row[3:]], own, rtol=0, atol=1e-6)


def test_a_recording_is_judged_without_torch(folder: Path, made: tuple[Path, Path]) -> None:
    said = printed("record", folder, "--model", made[1])
    assert said[0].startswith(f"mine: {len(ROWS)} pairs recorded in ")
    assert said[2].startswith("mine: of pair 1 S1 is ' John' (position 4)")
    judge = (
        "import sys\n"
        "from pathlib import Path\n"
        "from replication.evidence.evidence import published_evidence, recorded_evidence\n"
        "from replication.experiment.spec import read_experiment\n"
        "found = read_experiment(Path(sys.argv[1]))\n"
        "evidence = recorded_evidence(found, published_evidence(found))\n"
        "print(*evidence.measured.tables, *evidence.measured.circuit.nodes)\n"
        "print({'torch', 'transformers'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", judge, folder], capture_output=True, encoding="utf-8", check=True
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("duplicate mover input a")
    assert second == "set()"


def test_check_says_what_is_wrong_with_a_word(folder: Path, made: tuple[Path, Path]) -> None:
    edit(folder / "experiment.toml", 'name = "test/gpt2"', f'folder = "{made[1]}"')
    assert printed("check", folder)[0].startswith("mine: 5 pairs")
    write_rows(folder, [*ROWS[:3], {**ROWS[3], "io": "Peter"}, {**ROWS[4], "s": "Xyz"}])
    done = CliRunner().invoke(cli.app, ["check", str(folder)])
    assert done.exit_code != 0
    first, second = (done.stdout + done.stderr).splitlines()
    assert "pairs.jsonl: pair 4: IO: the word 'Peter' stands 0 times" in first
    assert "pairs.jsonl: pair 5: S1: the word 'Xyz' stands 0 times" in second


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["record", "--random-weights"], "--random-weights: does not apply: attention weights"),
        (["record", "--interventions"], "--interventions: .* states no behaviour"),
        (["power"], "recorded.safetensors is missing"),
    ],
)
def test_what_attention_has_not_is_refused(folder: Path, arguments: list[str], reason: str) -> None:
    command, *options = arguments
    with pytest.raises(InputError, match=reason):
        printed(command, folder, *options)


def test_power_is_of_activations(folder: Path, made: tuple[Path, Path]) -> None:
    printed("record", folder, "--model", made[1])
    with pytest.raises(InputError, match="mine: power does not apply: attention weights"):
        printed("power", folder)


@pytest.mark.parametrize("value", ["mean", "interchange"])
def test_what_heads_attend_to_selects_a_circuit_that_is_intervened_on(
    folder: Path, made: tuple[Path, Path], model: LoadedModel, value: Literal["mean", "interchange"]
) -> None:
    rows = [{**row, "right": f" {row['io']}", "wrong": f" {row['s']}"} for row in ROWS]
    if value == "interchange":  # of prompts of one length
        rows[1]["second"] = rows[1]["first"].replace("Mary gave", "John gave")
    write_rows(folder, rows)
    with (folder / "experiment.toml").open("a", encoding="utf-8") as spec:
        spec.write('\n[behaviour.name]\nright = "right"\nwrong = "wrong"\n')
        spec.write(f'\n[ablation]\nvalue = "{value}"\nmatched = 5\n')
        spec.write("\n[verification]\nresamples = 50\n")
    experiment = read_experiment(folder)
    own = subject_of(
        model,
        experiment.rows,
        "name",
        BehaviourSpec(right="right", wrong="wrong"),
        AblationSpec(value=value),
    )
    for row, preference in zip(rows, own.whole, strict=True):
        if preference < 0:  # what this model prefers is what it is asked for
            row["right"], row["wrong"] = row["wrong"], row["right"]
    write_rows(folder, rows)
    printed("record", folder, "--model", made[1], "--interventions")
    experiment = read_experiment(folder)
    evidence = recorded_evidence(experiment, published_evidence(experiment))
    controls = verify(evidence)
    assert not isinstance(controls.causal, NotComputed)
    found = causal_records([], evidence, controls)
    assert found is not None
    (behaved,) = found.behaviours
    assert {one.differential for one in behaved.components} == {None}
    assert [one.of for one in behaved.agreements] == ["attribution", "integrated"]
    assert "NaN" not in found.model_dump_json()
    assert len(behaved.components) == 1 + N_LAYERS + N_LAYERS * N_HEADS
