"""A real cluster of two nodes gives what one process gives, whatever happens to its workers."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import ray
import torch

import replication.engine.chunks
from replication.engine.chunks import Chunk
from replication.engine.models import Advance, LoadedModel, load_model
from replication.engine.ray_workers import (
    _check_answers,
    _Job,
    _own_sigterm,
    _Refused,
    _run,
    ray_workers,
)
from replication.engine.recording import Recording
from replication.engine.spread import Spread
from replication.engine.tensor_files import Tensors
from replication.evidence.interventions import Interventions
from replication.evidence.runs import Runs
from replication.experiment.pairs import Pair
from replication.experiment.spec import ModelSpec, read_experiment
from replication.inputs.files import InputError
from replication.inputs.messages import shortened
from tests.gpt2 import PAIRS, make_experiment, make_gpt2
from tests.runs_of import runs_of
from tests.stopped_runs import ended, n_kept, started, wait_until_kept
from tests.two_nodes import TwoNodes, two_nodes

pytestmark = pytest.mark.ray

N_PAIRS = 1536  # 24 parts


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    with two_nodes() as found:
        yield found
        ray.shutdown()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that takes some time, an experiment on it, and many pairs."""
    folder = tmp_path_factory.mktemp("ray")
    make_gpt2(folder / "model", n_layer=4, n_head=4, n_embd=128)
    make_experiment(folder / "experiment", n_layer=4, n_head=4, n_embd=128)
    rng = random.Random(0)
    words = " ".join(text for pair in PAIRS for text in pair).split()
    rows = (
        {
            side: " ".join(rng.choices(words, k=rng.randint(2, 9))) + f" {number}{end}"
            for side, end in (("first", "!"), ("second", "."))
        }
        for number in range(N_PAIRS)
    )
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    (folder / "many.jsonl").write_text(lines, encoding="utf-8")
    return folder


def start(place: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """A run of many pairs."""
    model, pairs = ("--model", place / "model"), ("--pairs", place / "many.jsonl")
    return started("run", place / "experiment", *model, *pairs, "--out", out, *options)


def contents(out: Path) -> dict[str, bytes]:
    """Everything that a run has written."""
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def expected(place: Path) -> dict[str, bytes]:
    """What one process writes."""
    out = place / "expected"
    assert ended(start(place, out)) == (0, "")
    return contents(out)


def test_a_cluster_writes_what_one_process_writes(
    nodes: TwoNodes, place: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    assert ended(start(place, tmp_path / "out", "--ray", nodes.address)) == (0, "")
    assert contents(tmp_path / "out") == expected


RUNS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))]


@pytest.mark.parametrize("seed", RUNS)
def test_workers_that_are_killed_cost_their_parts(
    nodes: TwoNodes, place: Path, tmp_path: Path, expected: dict[str, bytes], seed: int
) -> None:
    """Two a run, at moments that the seed says: a part is run three times at most.

    When eight parts are kept some have not been handed out yet, so that there is one to kill.
    """
    rng, out = random.Random(seed), tmp_path / "out"
    run = start(place, out, "--ray", nodes.address)
    for after in sorted(rng.sample(range(9), 2)):
        wait_until_kept(out, after)
        os.kill(nodes.one_running(rng), signal.SIGKILL)
    assert ended(run) == (0, "")
    assert contents(out) == expected


@pytest.mark.parametrize("after", [1, pytest.param(9, marks=pytest.mark.slow)])
def test_a_node_that_is_removed_costs_its_parts(
    nodes: TwoNodes, place: Path, tmp_path: Path, expected: dict[str, bytes], after: int
) -> None:
    out = tmp_path / "out"
    run = start(place, out, "--ray", nodes.address)
    wait_until_kept(out, after)
    nodes.remove_node()
    try:
        assert ended(run) == (0, "")
    finally:
        nodes.add_node()
    assert contents(out) == expected


@pytest.mark.parametrize(
    "on_ray",
    [
        (True, False),
        (False, True),
        pytest.param((True, True), marks=pytest.mark.slow),
        pytest.param((False, False), marks=pytest.mark.slow),
    ],
)
def test_a_run_that_was_killed_goes_on(
    nodes: TwoNodes,
    place: Path,
    tmp_path: Path,
    expected: dict[str, bytes],
    on_ray: tuple[bool, bool],
) -> None:
    first, then = (["--ray", nodes.address] if one else [] for one in on_ray)
    out = tmp_path / "out"
    run = start(place, out, *first)
    wait_until_kept(out, 3)
    run.kill()
    run.wait()
    kept = n_kept(out)
    status, said = ended(start(place, out, *then))
    assert (status, said) == (
        2,
        f"replication: {shortened(str(out / 'parts'))}: holds {kept} finished parts of a run that"
        " was stopped; --resume goes on from there, or remove the folder\n",
    )
    assert ended(start(place, out, *then, "--resume")) == (0, "")
    assert contents(out) == expected


def test_a_run_that_is_interrupted_says_what_it_keeps(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = start(place, out)
    wait_until_kept(out, 3)
    run.send_signal(signal.SIGINT)
    assert_stopped(run, out, signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_waits_for_its_workers_can_be_stopped(
    nodes: TwoNodes, place: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Workers that stand still leave the run nothing to do but wait, inside Ray."""
    out = tmp_path / "out"
    run = start(place, out, "--ray", nodes.address)
    wait_until_kept(out, 3)
    with nodes.standing_still():
        time.sleep(2)
        run.send_signal(number)
        assert_stopped(run, out, number)


def assert_stopped(run: subprocess.Popen[str], out: Path, number: signal.Signals) -> None:
    """The run ends with the signal's status, a line of what it keeps, and nothing else."""
    status, said = ended(run)
    assert (status, said.count("\n")) == (128 + number, 1)
    assert said.startswith("replication: interrupted; ")
    kept = shortened(str(out / "parts"))
    assert said.endswith(f" of it kept in {kept}, and --resume goes on from there\n")
    assert [path.name for path in out.iterdir()] == ["parts"]


def test_a_damaged_part_ends_the_run_in_a_line(
    nodes: TwoNodes, place: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    run = start(place, out, "--ray", nodes.address)
    wait_until_kept(out, 3)
    run.kill()
    run.wait()
    path = sorted((out / "parts").glob("*.safetensors"))[0]
    *content, last = path.read_bytes()
    path.write_bytes(bytes([*content, last ^ 1]))
    status, said = ended(start(place, out, "--ray", nodes.address, "--resume"))
    assert status == 2
    assert said.count("\n") == 1
    assert f"{path.name}: damaged after it was written; remove it, and it is run again" in said
    path.unlink()
    assert ended(start(place, out, "--ray", nodes.address, "--resume")) == (0, "")
    assert contents(out) == expected


@pytest.fixture
def few_pairs_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replication.engine.chunks, "CHUNK_PAIRS", 5)


def both_ways(nodes: TwoNodes, experiment: Path, model: Path, **asked: bool) -> list[Runs]:
    """What is run in this process, and on the cluster."""
    read, places = read_experiment(experiment), (Spread(), Spread(nodes.address))
    return [runs_of(read, model, where, **asked) for where in places]


@pytest.mark.usefixtures("few_pairs_a_part")
def test_interventions_on_a_cluster_are_those_of_one_process(
    nodes: TwoNodes, asking_experiment: Path, gpt2_folder: Path
) -> None:
    own, spread = both_ways(nodes, asking_experiment, gpt2_folder, with_interventions=True)
    assert_same_recordings(own.own, spread.own)
    assert isinstance(own.interventions, Interventions)
    assert repr(own.interventions) == repr(spread.interventions)


def test_random_weights_on_a_cluster_are_those_of_one_process(
    nodes: TwoNodes, gpt2_experiment: Path, gpt2_folder: Path
) -> None:
    own, spread = both_ways(nodes, gpt2_experiment, gpt2_folder, with_random=True)
    assert own.random is not None
    assert spread.random is not None
    assert np.array_equal(own.random.scores, spread.random.scores)


@pytest.mark.usefixtures("few_pairs_a_part")
def test_attention_on_a_cluster_is_that_of_one_process(
    nodes: TwoNodes, attending_experiment: Path
) -> None:
    model = attending_experiment.parent / "model"
    own, spread = both_ways(nodes, attending_experiment, model)
    assert_same_recordings(own.own, spread.own)


def assert_same_recordings(one: list[Recording], other: list[Recording]) -> None:
    for a, b in zip(one, other, strict=True):
        assert a.provenance == b.provenance
        found, expected = a.kept.tensors(), b.kept.tensors()
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[name], expected[name]) for name in found)


@dataclass(frozen=True)
class Failing(Chunk[Pair]):
    """A part that ends its process, or raises something."""

    raises: str | None

    def run(self, model: LoadedModel, advance: Advance) -> Tensors:  # noqa: ARG002
        if self.raises is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError(self.raises)


@pytest.fixture
def loading(gpt2_experiment: Path, gpt2_folder: Path) -> Callable[[], LoadedModel]:
    spec = read_experiment(gpt2_experiment).spec
    return partial(load_model, spec.model, str(gpt2_folder), "cpu", tokens=spec.tokens)


@pytest.mark.parametrize(
    ("raises", "said"), [(None, ""), ("no memory left\nfor this", "no memory left")]
)
def test_a_part_that_fails_three_times_is_named_by_its_pairs(
    nodes: TwoNodes, loading: Callable[[], LoadedModel], raises: str | None, said: str
) -> None:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    model = loading()
    workers = ray_workers(nodes.address, loading, model, "cpu")
    part = Failing(PAIRS, 65, raises)
    with pytest.raises(InputError, match=r"^pairs 65 to 68: failed 3 times: \w+") as caught:
        list(workers.done([part], lambda _: None))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_part_refuses_ends_the_run_in_its_own_words(
    nodes: TwoNodes, gpt2_folder: Path, tmp_path: Path
) -> None:
    long = [Pair("Wow. " * 100, "Wow.")]
    make_experiment(tmp_path / "long", pairs=long)
    reasons = []
    for spread in (Spread(), Spread(nodes.address)):
        with pytest.raises(InputError) as caught:
            runs_of(read_experiment(tmp_path / "long"), gpt2_folder, spread)
        reasons.append(str(caught.value))
    assert reasons[0] == reasons[1]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"weights_sha256": "0" * 64}, "has weights of SHA-256 "),
        ({"configuration_sha256": "2" * 64}, "has a configuration of SHA-256 "),
        ({"tokenizer_sha256": "1" * 64}, "has a tokenizer of SHA-256 "),
        ({"versions": {"pytest-circuit-replication": "0.0"}}, "has pytest-circuit-replication "),
    ],
)
def test_a_worker_that_differs_is_refused_by_name(
    loading: Callable[[], LoadedModel], changed: dict[str, object], said: str
) -> None:
    asked = loading().provenance.model_copy(update=changed)
    job = _Job(f"another {said}", loading, asked, torch.get_num_threads())
    found = _run(job, Failing(PAIRS, 1, "never run"))
    assert isinstance(found, _Refused)
    assert f"the worker on {os.uname().nodename} {said}" in found.reason


def test_a_worker_without_the_model_says_so(loading: Callable[[], LoadedModel]) -> None:
    model = loading()
    lost = partial(load_model, ModelSpec(name="test/lost", shape=model.shape))
    job = _Job("lost", lost, model.provenance, torch.get_num_threads())
    found = _run(job, Failing(PAIRS, 1, "never run"))
    assert isinstance(found, _Refused)
    assert found.reason.startswith(f"the worker on {os.uname().nodename}: ")


def test_a_worker_with_more_threads_than_any_node_has_is_refused(
    nodes: TwoNodes, loading: Callable[[], LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loading()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    with pytest.raises(InputError) as caught:
        ray_workers(nodes.address, loading, model, "cpu")
    assert str(caught.value) == (
        f"--ray '{nodes.address}': a worker takes 7 cores, as many as this process has threads, and"
        " no node has more than 1; set OMP_NUM_THREADS to fewer"
    )


def test_ray_is_not_loaded_unasked(place: Path, tmp_path: Path) -> None:
    (tmp_path / "few.jsonl").write_text(
        "\n".join((place / "many.jsonl").read_text(encoding="utf-8").splitlines()[:2]),
        encoding="utf-8",
    )
    code = "import sys; from replication.cli import app; app(standalone_mode=False)"
    command = [sys.executable, "-c", f"{code}; print('ray' in sys.modules)", "run"]
    options = {
        "--model": place / "model",
        "--pairs": tmp_path / "few.jsonl",
        "--out": tmp_path / "out",
    }
    done = subprocess.run(
        [*command, place / "experiment", *chain.from_iterable(options.items())],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("address", ["nonsense", "", "127.0.0.1:1"])
def test_an_address_that_is_none_is_refused(place: Path, tmp_path: Path, address: str) -> None:
    """At once, where Ray would wait a quarter of an hour for it."""
    status, said = ended(start(place, tmp_path / "out", "--ray", address))
    assert status == 2
    assert said.startswith(f"replication: --ray '{address}': ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("stated", ["127.0.0.1:1", "[::1]:1", "127.0.0.1:999999"])
def test_a_cluster_of_the_environment_that_does_not_answer_is_refused(
    monkeypatch: pytest.MonkeyPatch, stated: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", stated)
    with pytest.raises(ConnectionError) as caught:
        _check_answers("auto")
    assert str(caught.value).startswith(f"nothing answers at {stated}: ")
    _check_answers("local")


def test_a_signal_while_ray_starts_ends_the_run_as_at_any_time() -> None:
    """Ray ends this process with the signal's own number then."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended_by:
        _stopped_while_ray_starts()
    assert ended_by.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def _stopped_while_ray_starts() -> None:
    with _own_sigterm():
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        signal.raise_signal(signal.SIGTERM)


def test_claims_are_judged_on_a_cluster_as_in_one_process(
    nodes: TwoNodes, gpt2_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--pyargs", "replication.test_claims", "--replication-live=require"]
    command += ["--replication-experiments", str(gpt2_experiment)]
    command += ["--replication-model", str(gpt2_folder)]
    judged = []
    for name, options in (("own", []), ("ray", ["--replication-ray", nodes.address])):
        reports = tmp_path / name
        done = subprocess.run(
            [*command, "--replication-reports", str(reports), *options],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout
        (written,) = json.loads((reports / "claims.json").read_bytes())["experiments"]
        judged.append(written)
    assert judged[0] == judged[1]
