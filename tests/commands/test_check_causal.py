"""`replication check` on behaviours: what claims may speak of, and the file of interventions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from replication import cli
from replication.claims.claim import judge_claim, read_claims
from replication.commands.check import check_experiment
from replication.controls.verify import verify
from replication.evidence.evidence import published_evidence, recorded_evidence
from replication.experiment.spec import read_experiment
from replication.inputs.files import InputError
from tests.make import copied, edit

CLAIMS = """
[[claim]]
id = "B1"
made_by = "me"
source = "a paper"
statement = "It does it."

[[claim.check]]
kind = "behaviour"
behaviour = "names"
right = "100"

[[claim.check]]
kind = "behaviour"
behaviour = "names"
on = "third"
at_least = "-100"

[[claim]]
id = "F1"
made_by = "me"
source = "a paper"
statement = "The circuit keeps it."

[[claim.check]]
kind = "faithfulness"
behaviour = "names"
circuit = "run"
value = "zero"
at_least = "0"

[[claim.check]]
kind = "matters"
behaviour = "sides"
component = "m0"
word = "necessary"
"""
PAPER = """
[results.paper]
about = "a paper"
circuit = "paper.json"

[results.other]
about = "another paper"
"""


@pytest.fixture
def mine(asking_experiment: Path, tmp_path: Path) -> Path:
    """An experiment on behaviours with claims on them, and nothing recorded."""
    folder = copied(asking_experiment, tmp_path / "mine")
    (folder / "claims.toml").write_text(CLAIMS, encoding="utf-8")
    with (folder / "experiment.toml").open("a", encoding="utf-8") as spec:
        spec.write(PAPER)
    nodes = json.dumps({"nodes": ["input", "m0", "a1.h2"]})
    (folder / "paper.json").write_text(nodes, encoding="utf-8")
    return folder


def problems(folder: Path) -> list[str]:
    """The problems, by files relative to the folder."""
    return [problem.replace(f"{folder}/", "") for problem in check_experiment(folder).problems]


def test_sound_claims_on_behaviours_are_counted(mine: Path) -> None:
    done = CliRunner().invoke(cli.app, ["check", str(mine)])
    assert done.exit_code == 0, done.stdout
    assert "12 pairs; 2 claims (1 behaviour, 1 faithfulness, 1 matters)" in done.stdout


FAULTS: list[tuple[str, str, str]] = [
    ('behaviour = "names"\nright', 'behaviour = "faces"\nright',
     "B1: check 1: behaviour: the experiment has no behaviour 'faces'; it has names, sides, tu"),
    ('circuit = "run"', 'circuit = "walk"',
     "F1: check 1: circuit: the experiment has no circuit that is kept alone 'walk'; it has run, "
     "paper"),
    ('circuit = "run"', 'circuit = "other"', "no circuit that is kept alone 'other'; it has run, "),
    ('circuit = "run"', 'circuit = "effect"', "no circuit that is kept alone 'effect'; it has run"),
    ('on = "third"', 'on = "fourth"', "has no counterpart 'fourth'; it has second, third"),
    ('at_least = "-100"', "", "expected value, right or at_least"),
    ('component = "m0"', 'component = "m3"', "the model has no component m3"),
    ('word = "necessary"', 'word = "vital"', "F1: check 2: word: "),
    ('value = "zero"', 'value = "noise"', "F1: check 1: value: "),
    ('right = "100"', "right = 100", "B1: check 1: right: "),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "reason"), FAULTS, ids=[new for _, new, _ in FAULTS])
def test_a_fault_of_a_claim_is_named_with_its_line_by_check_and_by_a_run(
    mine: Path, old: str, new: str, reason: str
) -> None:
    edit(mine / "claims.toml", old, new)
    (problem,) = problems(mine)
    assert problem.startswith("claims.toml:")
    assert reason in problem
    with pytest.raises(InputError) as caught:
        read_claims(read_experiment(mine))
    assert reason in str(caught.value)


@pytest.mark.parametrize("name", ["paper", "run"])
def test_a_circuit_that_is_published_may_be_spoken_of(mine: Path, name: str) -> None:
    edit(mine / "claims.toml", 'circuit = "run"', f'circuit = "{name}"')
    assert problems(mine) == []
    assert len(read_claims(read_experiment(mine))) == 2


def test_a_fault_of_the_ablation_is_not_told_again_of_every_claim(mine: Path) -> None:
    edit(mine / "experiment.toml", "matched = 25", "matched = 0\nrivals = { effect = 0.1 }")
    edit(mine / "claims.toml", 'circuit = "run"', 'circuit = "effect"')
    (problem,) = problems(mine)
    assert problem.startswith("experiment.toml:")
    assert "ablation: matched: " in problem


SPECS: list[tuple[str, str, str]] = [
    ('kind = "probability_difference"', 'kind = "probability"', "behaviour: sides: kind: "),
    ('right = "right"\n', 'right = ["a"]\n', "expected two columns, or two lists of answers"),
    ('suffix = "X"', "suffix = 3", "behaviour: sides: suffix: "),
    ("matched = 25", "matched = 0", "ablation: matched: "),
    ("matched = 25", 'direction = "restore"\nvalue = "zero"', "zero restores nothing"),
    ("matched = 25", "rivals = { random = 1.0 }", "ablation: rivals: random: "),
    ("matched = 25", "rivals = { differential = 1.0 }", "ablation.rivals: 'differential' is what"),
    ("matched = 25", "rivals = { effect = 1.0 }", "scoring.behaviour: a score of kind 'effect'"),
    ('mlp_out = "centred"', 'mlp_out = "centred"\nbehaviour = "faces"',
     "scoring.behaviour: there is no behaviour 'faces'"),
    ('mlp_out = "centred"', 'mlp_out = "centred"\nkind = "effect"',
     "scoring.behaviour: a score of kind 'effect' is of one behaviour: say which"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "reason"), SPECS, ids=[new for _, new, _ in SPECS])
def test_a_fault_of_what_is_to_be_run_is_named_with_its_line(
    mine: Path, old: str, new: str, reason: str
) -> None:
    edit(mine / "experiment.toml", old, new)
    (problem,) = problems(mine)
    assert problem.startswith("experiment.toml:")
    assert reason in problem


@pytest.fixture
def recorded(mine: Path, gpt2_folder: Path) -> Path:
    arguments = ["record", str(mine), "--model", str(gpt2_folder), "--interventions"]
    done = CliRunner().invoke(cli.app, [*arguments, "--device", "cpu"])
    assert done.exception is None, done.exception
    return mine


def test_what_was_recorded_is_read_too_and_claims_are_judged_on_it(recorded: Path) -> None:
    assert problems(recorded) == []
    experiment = read_experiment(recorded)
    published = published_evidence(experiment)
    evidence = recorded_evidence(experiment, published)
    controls = verify(evidence)
    verdicts: dict[str, Any] = {
        claim.id: judge_claim(claim, evidence, controls).verdict
        for claim in read_claims(experiment)
    }
    assert verdicts["B1"] == "holds"
    on_published = [
        judge_claim(claim, published, verify(published)) for claim in read_claims(experiment)
    ]
    assert {one.verdict for one in on_published} == {"undecided"}
    assert "interventions need a run of the model" in on_published[0].outcomes[0].reason


def test_a_file_of_interventions_at_fault_is_a_problem(recorded: Path) -> None:
    path = recorded / "interventions.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    (problem,) = problems(recorded)
    assert problem.startswith("interventions.safetensors: not a whole safetensors file")


def test_it_is_read_without_the_recording_too(recorded: Path) -> None:
    (recorded / "recorded.safetensors").unlink()
    assert problems(recorded) == []
    edit(recorded / "experiment.toml", "matched = 25", "matched = 24")
    (problem,) = problems(recorded)
    assert problem.startswith("interventions.safetensors: ablation.matched: recorded with 25, exp")


def test_another_circuit_than_was_published_is_a_problem(recorded: Path) -> None:
    nodes = json.dumps({"nodes": ["input", "m0", "a1.h3"]})
    (recorded / "paper.json").write_text(nodes, encoding="utf-8")
    (problem,) = problems(recorded)
    assert "interventions.safetensors: circuits: paper: " in problem
    experiment = read_experiment(recorded)
    with pytest.raises(InputError, match=r"ran another than is published: .* a1\.h2, a1\.h3;"):
        recorded_evidence(experiment, published_evidence(experiment))
