"""What a whole process costs: start-up, and memory as the number of pairs grows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.conftest import mixed_pairs
from benchmarks.timing import timed_beside
from tests.gpt2 import make_experiment, make_gpt2
from tests.paths import ROOT

# Runs the command, and measures from when the model is loaded and what loading freed is given back.
MEASURED = """
import ctypes, gc, sys
from pathlib import Path
from replication import cli
from replication.engine import models

def kib(key):
    return int(Path("/proc/self/status").read_text().split(f"{key}:")[1].split()[0])

def load_and_measure(*arguments, **options):
    loaded = load_model(*arguments, **options)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    print(f"loaded {kib('VmRSS')}", file=sys.stderr)
    return loaded

load_model, models.load_model = models.load_model, load_and_measure
try:
    cli.main()
finally:
    print(f"peak {kib('VmHWM')}", file=sys.stderr)
"""


def in_a_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python once; anything but success is an error."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )


@pytest.mark.benchmark(group="start-up")
def test_gate(benchmark: Any, tmp_path: Path) -> None:
    """`pytest replication/` without --replication-live, its benchmarks aside."""
    arguments = ["-m", "pytest", "replication/", "--replication-reports", str(tmp_path)]
    benchmark.pedantic(in_a_process, [*arguments, "--benchmark-skip"], rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="start-up")
def test_gate_with_benchmarks(benchmark: Any, tmp_path: Path) -> None:
    """`pytest replication/` without --replication-live, as it is."""
    arguments = ["-m", "pytest", "replication/", "--replication-reports", str(tmp_path)]
    benchmark.pedantic(in_a_process, arguments, rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="start-up")
def test_importing_torch_and_pytest(benchmark: Any, tmp_path: Path) -> None:
    """Import torch, and let pytest collect nothing."""
    (tmp_path / "test_nothing.py").touch()
    code = f"import torch, pytest; pytest.main(['-q', {str(tmp_path)!r}])"
    benchmark.pedantic(in_a_process, ["-c", code], rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="start-up")
def test_ordinary_run(benchmark: Any, tmp_path: Path) -> None:
    """An ordinary run of one test of somebody else's, where the plugin rests."""
    (tmp_path / "test_one.py").write_text("def test_one():\n    pass\n", encoding="utf-8")
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    timed_beside(
        benchmark,
        lambda: in_a_process(*arguments),
        "without the plugin",
        lambda: in_a_process(*arguments, "-p", "no:replication"),
        rounds=20,
    )
    found = benchmark.extra_info
    found["added, seconds"] = benchmark.stats.stats.min - found["without the plugin, seconds"]
    found["allowed, seconds"] = 0.05


@pytest.mark.benchmark(group="memory")
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("n_pairs", [100, 1000, 10_000])
def test_memory(benchmark: Any, tmp_path: Path, n_pairs: int) -> None:
    """What `replication run --pairs` needs, on a model small enough not to hide it."""
    measure_run(benchmark, tmp_path, n_pairs)


@pytest.mark.benchmark(group="memory")
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("n_pairs", [100, 10_000])
def test_memory_of_the_driver(benchmark: Any, tmp_path: Path, n_pairs: int) -> None:
    """What the process needs that hands the parts to Ray."""
    measure_run(benchmark, tmp_path, n_pairs, "--ray", "local")


def measure_run(benchmark: Any, folder: Path, n_pairs: int, *options: str) -> None:
    """Measure the memory of a run on so many pairs."""
    experiment = make_experiment(folder / "experiment")
    model = make_gpt2(folder / "model")
    pairs = folder / "pairs.jsonl"
    with pairs.open("w", encoding="utf-8") as file:
        for first, second in mixed_pairs(n_pairs):
            file.write(json.dumps({"first": first[:40], "second": second[:40]}) + "\n")
    out = folder / "out"
    arguments = ["run", experiment, "--pairs", pairs, "--model", model, "--out", out, *options]

    def run() -> None:
        done = in_a_process("-c", MEASURED, *map(str, arguments), "--device", "cpu")
        words = done.stderr.split()
        loaded, peak = (int(words[words.index(key) + 1]) for key in ("loaded", "peak"))
        figures = {"loaded": loaded, "peak": peak, "growth": peak - loaded}
        benchmark.extra_info |= {f"{name}, KiB": figure for name, figure in figures.items()}

    benchmark.pedantic(run, rounds=1)
    assert len((out / "pair_scores.csv").read_text(encoding="utf-8").splitlines()) == n_pairs + 1
