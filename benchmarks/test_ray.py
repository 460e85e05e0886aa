"""What Ray costs: parts on its workers beside the same parts in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import ray
import torch

from benchmarks.conftest import mixed_pairs
from benchmarks.timing import seconds_of, timed_beside
from replication.engine.models import LoadedModel, load_model
from replication.engine.ray_workers import ray_workers
from replication.engine.scores.streamed import score_stream
from replication.experiment.pairs import Pair
from replication.experiment.spec import ModelSpec

PAIRS = mixed_pairs(512)
FEW = PAIRS[:128]  # two parts: enough for two workers to load the model
CORES = 2

Load = Callable[[], LoadedModel]


@pytest.fixture(scope="module")
def load(smollm2: ModelSpec) -> Iterator[Load]:
    """How the decoder is loaded, with a cluster of two cores to load it on."""
    ray.init("local", num_cpus=CORES, log_to_driver=False)
    threads = torch.get_num_threads()
    yield partial(load_model, smollm2, None, "cpu")
    torch.set_num_threads(threads)
    ray.shutdown()


def on_ray(load: Load, model: LoadedModel, threads: int) -> LoadedModel:
    """The model on workers of so many threads, once each has loaded it."""
    torch.set_num_threads(threads)
    spread = replace(model, workers=ray_workers("local", load, model, "cpu"))
    scored(spread, FEW)
    return spread


def scored(model: LoadedModel, pairs: list[Pair] = PAIRS) -> None:
    """Score the pairs, and keep nothing."""
    for _ in score_stream(model, pairs, "raw", len(pairs)):
        pass


@pytest.mark.benchmark(group="ray")
def test_one_worker(benchmark: Any, load: Load) -> None:
    """One worker of two cores, and before it the same parts in this process."""
    torch.set_num_threads(CORES)
    model = load()
    spread = on_ray(load, model, CORES)
    own = partial(scored, model)
    timed_beside(benchmark, partial(scored, spread), "one process", own, rounds=2)


@pytest.mark.benchmark(group="ray")
def test_two_workers(benchmark: Any, load: Load) -> None:
    """Two workers of one core each, and before them one of two cores.

    Not in turns: a worker that is handed another run loads its model anew.
    """
    model = load()
    wide = on_ray(load, model, CORES)
    seconds = [seconds_of(partial(scored, wide)) for _ in range(2)]
    narrow = on_ray(load, model, CORES // 2)
    benchmark.pedantic(scored, [narrow], rounds=2)
    benchmark.extra_info["one worker, seconds"] = min(seconds)
