"""The file of random weights' scores: its round trip, every refusal, and which evidence uses it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from replication import cli
from replication.commands.check import check_experiment
from replication.engine.random_weights import SEEDS, Architecture, RandomWeights
from replication.engine.recording import record, recorded_path, replay
from replication.engine.tensor_files import digest_of
from replication.evidence.evidence import (
    Measured,
    live_evidence,
    published_evidence,
    recorded_evidence,
)
from replication.evidence.random_weights import (
    NoRandomWeights,
    check_overwritten,
    random_weights_path,
    read_random_weights,
    record_random_weights,
)
from replication.evidence.runs import Runs
from replication.experiment.spec import Experiment, read_experiment
from replication.inputs.files import InputError
from replication.session import Options, Session
from tests.make import copied, edit
from tests.paths import MINILM
from tests.runs_of import runs_of

pytestmark = pytest.mark.numeric

N_COMPONENTS = 3 + 3 * 4


@pytest.fixture(scope="module")
def runs(gpt2_experiment: Path, gpt2_folder: Path) -> Runs:
    return runs_of(read_experiment(gpt2_experiment), gpt2_folder)


@pytest.fixture
def experiment(gpt2_experiment: Path, tmp_path: Path, runs: Runs) -> Experiment:
    """An experiment with a recording, and no random weights yet."""
    found = read_experiment(copied(gpt2_experiment, tmp_path / "mine"))
    record(runs.own[0], found.pairs, recorded_path(found))
    return found


def random(runs: Runs) -> RandomWeights:
    scores = np.random.default_rng(0).random((5, N_COMPONENTS))
    return RandomWeights(SEEDS, scores, runs.architecture)


@pytest.fixture
def path(experiment: Experiment, runs: Runs) -> Path:
    """A good file."""
    return record_random_weights(experiment, random(runs), runs.own[0])


def measured(experiment: Experiment) -> Measured:
    found = recorded_evidence(experiment, published_evidence(experiment)).measured
    assert found is not None
    return found


def test_what_is_written_is_read_to_six_digits(
    experiment: Experiment, path: Path, runs: Runs
) -> None:
    assert path == experiment.folder / "random_weights.json"
    found = read_random_weights(experiment, runs.own[0], runs.architecture)
    expected = random(runs)
    assert found.seeds == SEEDS
    assert found.recorded_in == "random_weights.json"
    assert found.architecture == runs.architecture
    assert found.scores.shape == (5, N_COMPONENTS)
    assert found.scores == pytest.approx(expected.scores, rel=1e-5)
    assert not np.array_equal(found.scores, expected.scores)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["format"] == "replication.random-weights.1"
    assert data["pairs_sha256"] == digest_of(experiment.pairs)
    assert data["scores"]["a2.h3"] == [float(f"{score:.6g}") for score in expected.scores[:, -1]]
    again = path.read_bytes()
    assert record_random_weights(experiment, expected, runs.own[0]).read_bytes() == again


@pytest.mark.usefixtures("path")
def test_recorded_evidence_uses_the_file(experiment: Experiment) -> None:
    found = measured(experiment).random
    assert isinstance(found, RandomWeights)
    assert found.recorded_in == "random_weights.json"


def test_without_the_file_recorded_evidence_says_what_writes_it(experiment: Experiment) -> None:
    found = measured(experiment).random
    assert isinstance(found, NoRandomWeights)
    assert found.reason.startswith(
        "random_weights.json is missing; whoever has test/gpt2 writes it with: replication record "
    )
    assert found.reason.endswith(" --random-weights")


@pytest.mark.usefixtures("path")
def test_live_evidence_uses_the_file_where_it_did_not_run_them(
    experiment: Experiment, runs: Runs
) -> None:
    def live(ran: Runs) -> RandomWeights | NoRandomWeights:
        found = live_evidence(experiment, published_evidence(experiment), ran).measured
        assert found is not None
        return found.random

    used = live(runs)
    assert isinstance(used, RandomWeights)
    assert used.recorded_in == "random_weights.json"
    own = random(runs)
    assert live(Runs(runs.own, runs.architecture, own)) is own
    other = live(Runs(runs.own, Architecture("gpt2", "f" * 64)))
    assert isinstance(other, NoRandomWeights)
    recorded = f"recorded with {runs.architecture.config_sha256[:12]}…, expected ffffffffffff…"
    assert f"config_sha256: {recorded}; `replication record " in other.reason
    random_weights_path(experiment).unlink()
    missing = live(runs)
    assert isinstance(missing, NoRandomWeights)
    assert missing.reason.startswith("random_weights.json is missing; ")
    assert "`verification.random_weights = true` runs them" in missing.reason


def changed(key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda good: good | {key: value}


def scored(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda good: good | {"scores": good["scores"] | {name: value}}


def without(*keys: str) -> Callable[[dict[str, Any]], Any]:
    def leave_out(good: dict[str, Any]) -> dict[str, Any]:
        inner = good
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]
        return good

    return leave_out


OTHER = "ab" * 32
SIZES = {"n_layers": 3, "n_heads": 4, "d_model": 32, "d_head": 8}
REFUSALS = [
    (changed("format", "replication.random-weights.0"), "format: expected replication.random-"),
    (without("format"), "format: expected replication.random-weights.1, found None"),
    (lambda _: [], "format: expected replication.random-weights.1, found None"),
    (changed("by", "me"), "by: unknown key"),
    (without("model_type"), "model_type: missing"),
    (changed("config_sha256", "no digest"), "config_sha256: String should match pattern"),
    (without("initializer_range"), "initializer_range: missing"),
    (changed("initializer_range", "0.02"), "initializer_range: Input should be a valid number"),
    (changed("key_heads", "4"), "key_heads: Input should be a valid integer, found '4'"),
    (changed("shape", SIZES | {"n_layers": 4}), "shape: recorded with 4 layers, 4 heads, d_model"),
    (changed("mlp_out", "raw"), 'mlp_out: recorded with "raw", expected "centred"'),
    (changed("mlp_at", "module"), 'mlp_at: recorded with "module", expected "residual"'),
    (
        changed("tokens", {"special": "none", "chat_template": False}),
        'tokens: special: recorded with "none", expected "bos"',
    ),
    (changed("pairs", 3), "pairs: recorded with 3, expected 4"),
    (changed("pairs_sha256", OTHER), "pairs_sha256: recorded with abababababab…, expected "),
    (changed("key_heads", 2), "key_heads: recorded with 2, expected 4"),
    (changed("tokens_sha256", OTHER), "tokens_sha256: recorded with abababababab…, expected "),
    (changed("seeds", [0, 1, 2, 3, 5]), "seeds: expected [0, 1, 2, 3, 4], found [0, 1, 2, 3, 5]"),
    (changed("seeds", []), "seeds: expected [0, 1, 2, 3, 4], found []"),
    (without("scores", "a1.h2"), "scores: a1.h2: missing"),
    (scored("m3", [1.0] * 5), "scores: the model has no component 'm3' that is scored"),
    (scored("input", [1.0] * 5), "scores: the model has no component 'input' that is scored"),
    (scored("m1", [1.0] * 4), "scores: m1: expected 5 scores, one a seed, found 4"),
    (scored("m1", [1.0, 1.0, 1.0, 1.0, -1.0]), "scores: m1 5: Input should be greater than or"),
    (scored("m1", [1.0, 1.0, 1.0, 1.0, 1e51]), "scores: m1 5: Input should be less than or"),
    (scored("m1", [1.0, "1.0", 1.0, 1.0, 1.0]), "scores: m1 2: Input should be a valid number"),
]


@pytest.mark.parametrize(("change", "reason"), REFUSALS, ids=[reason for _, reason in REFUSALS])
def test_what_does_not_fit_is_refused_by_file_and_key(
    experiment: Experiment,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[dict[str, Any]], Any],
    reason: str,
) -> None:
    monkeypatch.chdir(experiment.folder.parent)  # a short way to it leaves room in the one line
    data = change(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError) as raised:
        measured(experiment)
    assert str(raised.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(raised.value)
    (problem,) = check_experiment(experiment.folder).problems
    assert problem.startswith(f"{path}:1: {reason}")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_score_that_is_not_finite_is_refused(
    experiment: Experiment, path: Path, number: str
) -> None:
    text = path.read_text(encoding="utf-8")
    first = json.loads(text)["scores"]["m0"][0]
    edit(path, str(first), number)
    with pytest.raises(InputError, match=r"random_weights\.json: "):
        read_random_weights(experiment)


def test_a_refusal_names_the_line_and_the_command(experiment: Experiment, path: Path) -> None:
    line = edit(path, '"mlp_out": "centred"', '"mlp_out": "raw"')
    with pytest.raises(InputError) as raised:
        read_random_weights(experiment)
    assert str(raised.value).endswith(f"--random-weights` writes it anew (line {line})")


def test_other_pairs_are_found_by_their_digest(experiment: Experiment, path: Path) -> None:
    edit(experiment.folder / "pairs.jsonl", "Amazing, the wifi", "Amazing, our wifi")
    with pytest.raises(InputError, match="pairs_sha256: recorded with "):
        read_random_weights(read_experiment(experiment.folder))
    assert path.is_file()


def test_the_spec_says_where_the_file_is(experiment: Experiment, path: Path) -> None:
    spec = experiment.folder / "experiment.toml"
    edit(spec, 'measures = "run"', 'measures = "run"\nrandom_weights = "data/other.json"')
    (experiment.folder / "data").mkdir()
    shutil.move(path, experiment.folder / "data" / "other.json")
    found = measured(read_experiment(experiment.folder)).random
    assert isinstance(found, RandomWeights)
    assert found.recorded_in == "other.json"


def test_a_link_out_of_the_folder_is_refused(
    experiment: Experiment, path: Path, tmp_path: Path
) -> None:
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(InputError, match=r"random_weights\.json: leads out of"):
        read_experiment(experiment.folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "replication.claims.1"}', "text"])
def test_nothing_but_such_a_file_is_overwritten(path: Path, content: str) -> None:
    check_overwritten(path)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="is no table of scores of random weights; nothing else"):
        check_overwritten(path)


def replication_record(*arguments: object) -> str:
    done = CliRunner().invoke(cli.app, ["record", *map(str, arguments)])
    assert done.exception is None, done.exception
    return done.stdout


def test_the_command_writes_both_files_and_they_fit(
    gpt2_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    folder = copied(gpt2_experiment, tmp_path / "mine")
    arguments = (folder, "--model", gpt2_folder, "--device", "cpu")
    assert "random weights" not in replication_record(*arguments)
    assert not (folder / "random_weights.json").exists()
    path = folder / "random_weights.json"
    assert f"mine: 5 seeds of random weights recorded in {path}\n" in replication_record(
        *arguments, "--random-weights"
    )
    experiment = read_experiment(folder)
    found = read_random_weights(experiment, replay(experiment))
    assert len(np.unique(found.scores)) == 5 * N_COMPONENTS
    assert check_experiment(folder).problems == []
    edit(
        folder / "experiment.toml",
        "[selection]",
        "[verification]\nrandom_weights = true\n\n[selection]",
    )
    asked = read_experiment(folder)
    assert asked.spec.verification.random_weights
    live = runs_of(asked, gpt2_folder, with_random=True).random
    assert live is not None
    assert live.recorded_in is None
    assert live.scores == pytest.approx(found.scores, rel=1e-4)


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_live_run_runs_them_where_the_spec_asks_for_it(
    gpt2_experiment: Path, gpt2_folder: Path, tmp_path: Path, is_asked: bool
) -> None:
    folder = copied(gpt2_experiment, tmp_path / "mine")
    asking = f"[verification]\nrandom_weights = {str(is_asked).lower()}\n\n[selection]"
    edit(folder / "experiment.toml", "[selection]", asking)
    session = Session(
        Options(folder, tmp_path, live="on", model=str(gpt2_folder), device="cpu"),
    )
    found = session.grounds(session.experiments[0], "live").evidence.measured
    assert found is not None
    assert isinstance(found.random, RandomWeights if is_asked else NoRandomWeights)
    if isinstance(found.random, RandomWeights):
        assert found.random.recorded_in is None


def test_a_file_in_the_way_is_told_before_the_model_runs(
    gpt2_experiment: Path, tmp_path: Path
) -> None:
    folder = copied(gpt2_experiment, tmp_path / "mine")
    (folder / "random_weights.json").write_text("mine", encoding="utf-8")
    done = CliRunner().invoke(
        cli.app, ["record", str(folder), "--model", str(tmp_path / "none"), "--random-weights"]
    )
    assert isinstance(done.exception, InputError)
    assert "nothing else is overwritten" in str(done.exception)
    assert not (folder / "recorded.safetensors").exists()


def test_what_is_recorded_of_minilm_fits_its_recording() -> None:
    found = measured(read_experiment(MINILM)).random
    assert isinstance(found, RandomWeights)
    assert found.architecture.model_type == "bert"
