"""The file of interventions: its round trip, every refusal, and what an interruption leaves."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from typer.testing import CliRunner

from replication import cli
from replication.commands.check import check_experiment
from replication.controls.verify import causal_controls
from replication.engine.recording import record, recorded_path
from replication.engine.tensor_files import canonical, read_tensors, tensors_digest
from replication.evidence.evidence import (
    EvidenceMissing,
    Measured,
    live_evidence,
    published_evidence,
    recorded_evidence,
)
from replication.evidence.interventions import (
    Behaved,
    Interventions,
    NoInterventions,
    Unshown,
)
from replication.evidence.recorded_interventions import (
    check_overwritten,
    interventions_path,
    read_interventions,
    record_interventions,
)
from replication.evidence.runs import Runs
from replication.experiment.spec import read_experiment
from replication.inputs.files import InputError
from tests.asking import rows_of, write_rows
from tests.make import copied, edit
from tests.runs_of import runs_of
from tests.signals import hearing_sigint

Tensors = dict[str, np.ndarray]
Metadata = dict[str, str]
PAPER = """
[results.paper]
about = "a paper"
circuit = "paper.json"
"""


@pytest.fixture(scope="module")
def runs(asking_experiment: Path, gpt2_folder: Path) -> Runs:
    return runs_of(read_experiment(asking_experiment), gpt2_folder, with_interventions=True)


@pytest.fixture(scope="module")
def recorded(asking_experiment: Path, runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment with both files, to be copied."""
    folder = copied(asking_experiment, tmp_path_factory.mktemp("recorded") / "mine")
    experiment = read_experiment(folder)
    record(runs.own[0], experiment.pairs, recorded_path(experiment))
    assert isinstance(runs.interventions, Interventions)
    record_interventions(experiment, runs.interventions)
    return folder


@pytest.fixture
def mine(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to spoil, a short way from where the tests are."""
    monkeypatch.chdir(tmp_path)
    return copied(recorded, tmp_path / "mine").relative_to(tmp_path)


def measured(folder: Path) -> Measured:
    experiment = read_experiment(folder)
    found = recorded_evidence(experiment, published_evidence(experiment)).measured
    assert found is not None
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two things are the same throughout, arrays to the bit."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, of.name), getattr(other, of.name)) for of in fields(one)
        )
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def test_what_is_written_is_read_back_to_the_bit(mine: Path, runs: Runs) -> None:
    found = read_interventions(read_experiment(mine))
    assert isinstance(runs.interventions, Interventions)
    assert same(found.provenance, runs.interventions.provenance)
    assert list(found.behaviours) == ["names", "sides", "turned"]
    for name, ran in runs.interventions.behaviours.items():
        own = found.behaviours[name]
        assert (
            same(own, ran)
            or [
                of.name
                for of in fields(ran)
                if not same(getattr(own, of.name), getattr(ran, of.name))
            ]
            == []
        ), name
    names = found.behaviours["names"]
    assert isinstance(names, Behaved)
    assert [*names.circuits] == ["run"]
    assert names.single.effects.flags.c_contiguous


def test_the_same_runs_give_the_same_file_but_for_the_order_of_its_keys(
    mine: Path, runs: Runs
) -> None:
    path = mine / "interventions.safetensors"
    (tensors, metadata), size = read_tensors(path), path.stat().st_size
    assert isinstance(runs.interventions, Interventions)
    assert record_interventions(read_experiment(mine), runs.interventions).name == path.name
    assert same(read_tensors(path), (tensors, metadata))
    assert path.stat().st_size == size < 200_000


def test_without_backups_it_is_read_back_too(mine: Path, runs: Runs) -> None:
    edit(mine / "experiment.toml", "matched = 25", "matched = 25\nbackups = false")
    experiment = read_experiment(mine)
    assert isinstance(runs.interventions, Interventions)
    names = runs.interventions.behaviours["names"]
    assert isinstance(names, Behaved)
    bare = {**runs.interventions.behaviours, "names": replace(names, restored=None, given=[])}
    record_interventions(experiment, replace(runs.interventions, behaviours=bare))
    found = read_interventions(experiment).behaviours["names"]
    assert isinstance(found, Behaved)
    assert found.restored is None
    assert found.given == []
    assert np.array_equal(found.inside, names.inside)


def test_a_behaviour_that_is_not_shown_is_kept_as_that(mine: Path, runs: Runs) -> None:
    found = measured(mine).interventions
    assert isinstance(found, Interventions)
    assert isinstance(runs.interventions, Interventions)
    turned, ran = found.behaviours["turned"], runs.interventions.behaviours["turned"]
    assert isinstance(turned, Unshown)
    assert isinstance(ran, Unshown)
    assert turned.reason == ran.reason
    assert np.array_equal(turned.counterparts, ran.counterparts)


def test_recorded_and_live_evidence_say_the_same(mine: Path, runs: Runs) -> None:
    experiment = read_experiment(mine)
    published = published_evidence(experiment)
    said = []
    for evidence in (
        recorded_evidence(experiment, published),
        live_evidence(experiment, published, runs),
    ):
        assert evidence.measured is not None
        said.append(causal_controls(evidence.spec, evidence.measured))
    assert same(*said)


def test_without_the_file_it_is_said_what_writes_it(mine: Path) -> None:
    (mine / "interventions.safetensors").unlink()
    found = measured(mine).interventions
    assert found == NoInterventions(
        "interventions.safetensors is missing; whoever has test/gpt2 writes it with: replication"
        " record mine --interventions"
    )
    assert check_experiment(mine).problems == []


def test_scores_of_a_behaviour_are_read_from_it(mine: Path, runs: Runs) -> None:
    edit(mine / "experiment.toml", 'mlp_out = "centred"',
         'mlp_out = "centred"\nkind = "attribution"\nbehaviour = "names"')  # fmt: skip
    edit(mine / "experiment.toml", "mlp_threshold = 0.5", "mlp_threshold = 0.0")
    experiment = read_experiment(mine)
    with pytest.raises(InputError, match="kind: recorded with 'differential', expected 'attrib"):
        recorded_evidence(experiment, published_evidence(experiment))
    (mine / "interventions.safetensors").unlink()
    with pytest.raises(EvidenceMissing, match="its scores are of a behaviour: interventions"):
        recorded_evidence(experiment, published_evidence(experiment))
    assert isinstance(runs.interventions, Interventions)
    record_interventions(experiment, runs.interventions)
    with pytest.raises(InputError, match="circuits: run: ran another than the scores select"):
        recorded_evidence(experiment, published_evidence(experiment))


def refusal(folder: Path) -> str:
    """The one line with which recorded evidence is refused, and `replication check` too."""
    with pytest.raises(InputError) as caught:
        measured(folder)
    said = str(caught.value)
    assert "\n" not in said
    (problem,) = check_experiment(folder).problems
    assert said.startswith(problem.removesuffix("…"))
    return said.removeprefix(f"{folder.absolute()}/").removeprefix(f"{folder}/")


def rewritten(
    folder: Path, change: Callable[[Tensors, Metadata], object], *, is_sealed: bool = True
) -> None:
    """The file with a change, and the digest of what is then in it."""
    path = folder / "interventions.safetensors"
    with safe_open(path, framework="np") as file:
        tensors = {name: file.get_tensor(name).copy() for name in file.keys()}  # noqa: SIM118
        metadata = dict(file.metadata())
    change(tensors, metadata)
    if is_sealed:
        metadata["digest"] = tensors_digest(tensors, metadata)
    save_file(tensors, path, metadata)


def put(name: str, value: np.ndarray) -> Callable[[Tensors, Metadata], object]:
    return lambda tensors, _: tensors.update({name: value})


def set_in(name: str, number: float) -> Callable[[Tensors, Metadata], object]:
    def change(tensors: Tensors, _: Metadata) -> None:
        tensors[name].flat[-1] = number

    return change


def left_out(name: str) -> Callable[[Tensors, Metadata], object]:
    return lambda tensors, _: tensors.pop(name)


def metadata(key: str, value: str | None) -> Callable[[Tensors, Metadata], object]:
    return lambda _, about: about.pop(key) if value is None else about.update({key: value})


def rows(change: Callable[[dict[str, Any]], object]) -> Callable[[Tensors, Metadata], object]:
    """The rows of `names` changed."""

    def changed(_: Tensors, about: Metadata) -> None:
        found = json.loads(about["rows"])
        change(dict(found)["names"])
        about["rows"] = canonical(found)

    return changed


def about(*keys: str, value: Any) -> Callable[[Tensors, Metadata], object]:
    def changed(_: Tensors, metadata: Metadata) -> None:
        found = json.loads(metadata["about"])
        inner = found
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        metadata["about"] = canonical(found)

    return changed


OTHER = "ab" * 32
ZEROS = np.zeros((3, 12), np.float32)
REFUSALS: dict[str, tuple[Callable[[Tensors, Metadata], object], str]] = {
    "other format": (metadata("format", "replication.interventions.0"),
                     "format: expected replication.interventions.1, found replication.int"),
    "no format": (metadata("format", None), "format: expected replication.interventions.1, found"),
    "no about": (metadata("about", None), "about: "),
    "no JSON": (metadata("about", "{"), "about: "),
    "no rows": (metadata("rows", None), "rows: "),
    "unknown key": (about("by", value="me"), "by: unknown key"),
    "unknown scores": (about("scoring", value="random"), "scoring: "),
    "other scores": (about("scoring", value="effect"),
                     "scoring.kind: recorded with 'effect', expected 'differential'"),
    "other pairs": (about("rows_sha256", value=OTHER), "pairs: recorded with 'abababababab', exp"),
    "other model": (about("provenance", "weights_sha256", value=OTHER),
                    "weights_sha256: recorded with abababababab…, and recorded.safetensors with"),
    "other tokenizer": (about("provenance", "tokenizer_sha256", value=OTHER),
                        "tokenizer_sha256: recorded with abababababab…, and recorded.safetensors"),
    "other tokens": (about("provenance", "tokens", "special", value="none"),
                     "tokens.special: recorded with 'none', expected 'bos'"),
    "other place": (about("provenance", "mlp_at", value="module"),
                    "scoring.mlp_at: recorded with 'module', expected 'residual'"),
    "other shape": (about("provenance", "shape", "n_layers", value=4), "shape: recorded with '4 "),
    "other answers": (about("behaviours", "sides", "right", value=["d"]),
                      "behaviour.sides.right: recorded with ('d',), expected ('a', 'c')"),
    "other suffix": (about("behaviours", "sides", "suffix", value=""),
                     "behaviour.sides.suffix: recorded with '', expected 'X'"),
    "other cell": (about("ablation", "value", value="zero"),
                   "ablation.value: recorded with 'zero', expected 'interchange'"),
    "other draws": (about("ablation", "by_layer", value=True),
                    "ablation.by_layer: recorded with True, expected False"),
    "unknown tensor": (put("names/others", ZEROS), "names/others: unknown tensor"),
    "other behaviour": (put("faces/whole", ZEROS), "faces/whole: unknown tensor"),
    "missing tensor": (left_out("sides/inside"), "sides/inside: missing"),
    "missing of what is not shown": (left_out("turned/whole"), "turned/whole: missing"),
    "other type": (put("names/whole", np.zeros(12)),
                   "names/whole: expected float32 of shape (12,), found float64 of shape (12,)"),
    "other size": (put("names/whole", np.zeros(11, np.float32)),
                   "names/whole: expected float32 of shape (12,), found float32 of shape (11,)"),
    "other nodes": (put("names/inside", ZEROS), "names/inside: expected float32 of shape (5, 12)"),
    "NaN": (set_in("names/effects", np.nan), "names/effects: holds NaN or infinity"),
    "infinity": (set_in("turned/counterparts", np.inf), "turned/counterparts: holds NaN or inf"),
    "no such component": (rows(lambda one: one["circuits"][0][1].append("m3")),
                          "rows: names: the model has no component m3"),
    "no component": (rows(lambda one: one["sets"][0].append("x")), "rows: names: "),
    "other circuit": (rows(lambda one: one["circuits"][0].__setitem__(0, "ran")),
                      "rows: names: circuits: expected 'run' as the first"),
    "no circuit": (rows(lambda one: one.update(circuits=[])),
                   "rows: names: circuits: expected 'run' as the first"),
    "unselected others": (rows(lambda one: one.update(unselected={"random": "none"})),
                          "rows: names: unselected: expected names of ablation.rivals, found ran"),
    "matched of others": (rows(lambda one: one.update(matched={"ran": 25})),
                          "rows: names: matched: expected run, found ran"),
    "nothing matched": (rows(lambda one: one.update(matched={"run": 0})),
                        "rows 1 2: matched: run: Input should be greater than or equal to 1"),
    "judged elsewhere": (
        rows(lambda one: one.update(judged=["zero", "ablate", "all"])),
        "rows: names: settings: the judged one is not there (interchange, all but the circuit"),
    "not judged": (rows(lambda one: one.update(settings=one["settings"][:2])),
                   "rows: names: settings: the judged one is not there"),
    "no setting": (rows(lambda one: one["settings"][0].__setitem__(0, "noise")),
                   "rows 1 2: settings 1 1: Input should be \'zero\', \'mean\'"),
    "no sizes": (rows(lambda one: one.update(sizes=[])), "rows: names: sizes: expected one or"),
    "no labels": (rows(lambda one: one.update(labels=[])),
                  "rows: names: sets: expected as many as labels, 0, found 1"),
    "no sets": (rows(lambda one: one.update(labels=[], sets=[])),
                "rows: names: sets: expected as many as labels, 0, found 0"),
    "fewer settings": (rows(lambda one: one["settings"].pop()),
                       "names/settings: expected float32 of shape (11, 3, 12), found float32"),
    "more draws": (rows(lambda one: one.update(draws=6)),
                   "names/curve_matched: expected float32 of shape (7, 6, 12), found"),
    "nothing restored": (rows(lambda one: one.update(backups=False)),
                         "names/restored: unknown tensor"),
    "another digest": (metadata("digest", OTHER), "the recording was changed after it was made"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_what_does_not_fit_is_refused_by_file_and_key(mine: Path, what: str) -> None:
    change, reason = REFUSALS[what]
    rewritten(mine, change, is_sealed=what != "another digest")
    assert refusal(mine).startswith(f"interventions.safetensors: {reason}")


def test_rows_of_other_behaviours_are_refused(mine: Path) -> None:
    def change(_: Tensors, metadata: Metadata) -> None:
        metadata["rows"] = canonical(json.loads(metadata["rows"])[::-1])

    rewritten(mine, change)
    assert "rows: not of the behaviours that the experiment states" in refusal(mine)


def test_a_changed_byte_is_found_wherever_it_stands(mine: Path) -> None:
    """A key's byte is two problems: a key that is missing, and one that is not known."""
    path = mine / "interventions.safetensors"
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 60):
        content = bytearray(whole)
        content[place] ^= 1
        path.write_bytes(bytes(content))
        with pytest.raises(InputError, match=r"interventions\.safetensors: "):
            measured(mine)
        problems = check_experiment(mine).problems
        assert problems
        assert all("interventions.safetensors: " in problem for problem in problems)


@pytest.mark.parametrize("size", [0, 7, 500, -1])
def test_a_file_that_was_cut_off_is_refused(mine: Path, size: int) -> None:
    path = mine / "interventions.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert refusal(mine).startswith("interventions.safetensors: not a whole safetensors file")


SPECS = {
    'kind = "probability_difference"': ('kind = "logit_difference"', "behaviour.sides.kind"),
    'suffix = "X"': ('suffix = "Y"', "behaviour.sides.suffix"),
    '[behaviour.turned]\nright = "wrong"\nwrong = "right"': ("", "behaviour.turned.kind"),
    "matched = 25": ("matched = 24", "ablation.matched"),
    "[ablation]": ('[ablation]\nvalue = "mean"', "ablation.value"),
    'mlp_out = "centred"': ('mlp_out = "centred"\nmlp_at = "module"', "mlp_at"),
}


@pytest.mark.parametrize("old", SPECS)
def test_what_the_spec_states_otherwise_is_named(mine: Path, old: str) -> None:
    new, key = SPECS[old]
    edit(mine / "experiment.toml", old, new)
    assert key in refusal(mine)


@pytest.mark.parametrize("key", ["right", "third"])
def test_other_answers_and_other_counterparts_are_found_by_their_digest(
    mine: Path, key: str
) -> None:
    given = rows_of(mine)
    given[5][key] = {"right": "v", "third": "BCDEFG"}[key]
    write_rows(mine, given)
    assert refusal(mine).startswith("interventions.safetensors: pairs: recorded with ")


def test_whether_a_live_run_runs_it_changes_nothing(mine: Path) -> None:
    edit(mine / "experiment.toml", "[ablation]", "[ablation]\nlive = false")
    assert isinstance(measured(mine).interventions, Interventions)


def test_another_circuit_than_the_scores_select_is_refused(mine: Path) -> None:
    edit(mine / "experiment.toml", "mlp_threshold = 0.5", "mlp_threshold = 0.8")
    said = refusal(mine)
    assert said.startswith(
        "interventions.safetensors: circuits: run: ran another than the scores select: they differ"
    )
    assert said.endswith("`replication record mine --interventions` writes it anew")


def test_another_circuit_than_the_published_one_is_refused(mine: Path, gpt2_folder: Path) -> None:
    with (mine / "experiment.toml").open("a", encoding="utf-8") as spec:
        spec.write(PAPER)
    nodes = ["input", "m0", "a1.h2"]
    (mine / "paper.json").write_text(json.dumps({"nodes": nodes}), encoding="utf-8")
    done = replication_record(mine, "--model", gpt2_folder, "--interventions")
    assert "interventions on names, sides, turned recorded in " in done
    found = measured(mine).interventions
    assert isinstance(found, Interventions)
    names = found.behaviours["names"]
    assert isinstance(names, Behaved)
    assert list(map(str, names.circuits["paper"])) == nodes
    (mine / "paper.json").write_text(json.dumps({"nodes": nodes[:-1]}), encoding="utf-8")
    assert "circuits: paper: ran another than is published: they differ in a1.h2" in refusal(mine)


def test_without_behaviours_the_file_is_not_looked_at(mine: Path) -> None:
    text = (mine / "experiment.toml").read_text(encoding="utf-8")
    (mine / "experiment.toml").write_text(text.split("[behaviour.names]")[0], encoding="utf-8")
    write_rows(mine, [{key: row[key] for key in ("first", "second")} for row in rows_of(mine)])
    found = measured(mine).interventions
    assert found == NoInterventions("the experiment states no behaviour")


def test_the_spec_says_where_the_file_is(mine: Path) -> None:
    edit(mine / "experiment.toml", 'measures = "run"',
         'measures = "run"\ninterventions = "data/other.safetensors"')  # fmt: skip
    (mine / "data").mkdir()
    shutil.move(mine / "interventions.safetensors", mine / "data" / "other.safetensors")
    assert interventions_path(read_experiment(mine)).name == "other.safetensors"
    assert isinstance(measured(mine).interventions, Interventions)
    edit(mine / "experiment.toml", "data/other", "../other")
    with pytest.raises(InputError):
        read_experiment(mine)


@pytest.mark.parametrize("content", ["", "text", "a recording"])
def test_nothing_but_such_a_file_is_overwritten(mine: Path, content: str) -> None:
    path = mine / "interventions.safetensors"
    check_overwritten(path)
    if content == "a recording":
        shutil.copy(mine / "recorded.safetensors", path)
    else:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="is no recording of interventions; nothing else is over"):
        check_overwritten(path)


def replication_record(*arguments: object) -> str:
    done = CliRunner().invoke(cli.app, ["record", *map(str, arguments), "--device", "cpu"])
    assert done.exception is None, done.exception
    return done.stdout


def record_refusal(*arguments: object) -> str:
    done = CliRunner().invoke(cli.app, ["record", *map(str, arguments), "--device", "cpu"])
    assert isinstance(done.exception, InputError)
    assert done.stdout == ""
    return str(done.exception)


def test_the_command_writes_both_files_and_they_fit(
    asking_experiment: Path, gpt2_folder: Path, tmp_path: Path, recorded: Path
) -> None:
    folder = copied(asking_experiment, tmp_path / "own")
    assert "interventions" not in replication_record(folder, "--model", gpt2_folder)
    assert not (folder / "interventions.safetensors").exists()
    said = replication_record(folder, "--model", gpt2_folder, "--interventions")
    path = folder / "interventions.safetensors"
    assert said.endswith(f"own: interventions on names, sides, turned recorded in {path}\n")
    assert check_experiment(folder).problems == []
    own, other = (
        read_interventions(read_experiment(where)).behaviours for where in (folder, recorded)
    )
    assert same(own, other)


def test_scores_of_a_behaviour_are_recorded_without_asking(
    asking_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    folder = copied(asking_experiment, tmp_path / "own")
    edit(folder / "experiment.toml", 'mlp_out = "centred"',
         'mlp_out = "centred"\nkind = "effect"\nbehaviour = "names"')  # fmt: skip
    edit(folder / "experiment.toml", "mlp_threshold = 0.5", "mlp_threshold = 0.0")
    replication_record(folder, "--model", gpt2_folder)
    found = measured(folder)
    assert isinstance(found.interventions, Interventions)
    names = found.interventions.behaviours["names"]
    assert isinstance(names, Behaved)
    effects = np.abs(names.single.effects[0, 1:]).T
    assert np.array_equal(found.pair_scores, effects)
    assert found.circuit.nodes == tuple(names.circuits["run"])


def test_interventions_need_a_behaviour(gpt2_experiment: Path, tmp_path: Path) -> None:
    folder = copied(gpt2_experiment, tmp_path / "own")
    said = record_refusal(folder, "--model", tmp_path / "none", "--interventions")
    assert said == f"--interventions: {folder} states no behaviour"


def test_a_file_in_the_way_is_told_before_the_model_runs(
    asking_experiment: Path, tmp_path: Path
) -> None:
    folder = copied(asking_experiment, tmp_path / "own")
    (folder / "interventions.safetensors").write_text("mine", encoding="utf-8")
    said = record_refusal(folder, "--model", tmp_path / "none", "--interventions")
    assert "is no recording of interventions; nothing else is overwritten" in said
    assert not (folder / "recorded.safetensors").exists()


INTERRUPTED = """
import os, signal, sys
import {module} as module

own, calls = module.{name}, []

def interrupted(*arguments, **keywords):
    calls.append(1)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGINT)
    return own(*arguments, **keywords)

module.{name} = interrupted
from replication.__main__ import main
sys.argv = ["replication", *{arguments!r}]
main()
"""


@pytest.mark.parametrize(
    ("module", "name", "call", "written"),
    [
        ("replication.evidence.intervening", "_tried", 2, set()),
        (
            "replication.evidence.recorded_interventions",
            "write_tensors",
            1,
            {"recorded.safetensors"},
        ),
    ],
)
def test_an_interruption_leaves_nothing_half_written(
    asking_experiment: Path,
    gpt2_folder: Path,
    tmp_path: Path,
    module: str,
    name: str,
    call: int,
    written: set[str],
) -> None:
    folder = copied(asking_experiment, tmp_path / "own")
    before = {path.name for path in folder.iterdir()}
    arguments = ["record", str(folder), "--model", str(gpt2_folder), "--interventions"]
    program = INTERRUPTED.format(module=module, name=name, call=call, arguments=arguments)
    with hearing_sigint():
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert done.stderr.startswith("replication: interrupted; ")
    assert {path.name for path in folder.iterdir()} == before | written | {"parts"}
    assert check_experiment(folder).problems == []
