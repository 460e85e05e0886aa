"""What a whole process costs: start-up, and memory as the number of pairs grows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.conftest import mixed_pairs
from tests.gpt2 import make_experiment, make_gpt2

ROOT = Path(__file__).parent.parent
PEAK = """
import resource, sys
from replication.cli import main
try:
    main()
except SystemExit as end:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak {peak}", file=sys.stderr)
    sys.exit(end.code)
"""


def in_a_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python once; anything but success is an error."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )


@pytest.mark.benchmark(group="start-up")
def test_gate(benchmark: Any, tmp_path: Path) -> None:
    """`pytest replication/` without --live, its benchmarks aside."""
    arguments = ["-m", "pytest", "replication/", "--reports", str(tmp_path), "--benchmark-skip"]
    benchmark.pedantic(in_a_process, arguments, rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="start-up")
def test_gate_with_benchmarks(benchmark: Any, tmp_path: Path) -> None:
    """`pytest replication/` without --live, as it is."""
    arguments = ["-m", "pytest", "replication/", "--reports", str(tmp_path)]
    benchmark.pedantic(in_a_process, arguments, rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="start-up")
def test_importing_torch_and_pytest(benchmark: Any, tmp_path: Path) -> None:
    """Import torch, and let pytest collect nothing."""
    (tmp_path / "test_nothing.py").touch()
    code = f"import torch, pytest; pytest.main(['-q', {str(tmp_path)!r}])"
    benchmark.pedantic(in_a_process, ["-c", code], rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="memory")
@pytest.mark.parametrize("n_pairs", [100, 1000, 10_000])
def test_memory(benchmark: Any, tmp_path: Path, n_pairs: int) -> None:
    """The peak memory of `replication run --pairs`, on a model small enough not to hide it."""
    experiment = make_experiment(tmp_path / "experiment")
    model = make_gpt2(tmp_path / "model")
    pairs = tmp_path / "pairs.jsonl"
    with pairs.open("w") as file:
        for first, second in mixed_pairs(n_pairs):
            file.write(json.dumps({"first": first[:40], "second": second[:40]}) + "\n")
    out = tmp_path / "out"
    arguments = ["run", experiment, "--pairs", pairs, "--model", model, "--out", out]

    def run() -> None:
        done = in_a_process("-c", PEAK, *map(str, arguments), "--device", "cpu")
        benchmark.extra_info["peak_kib"] = int(done.stderr.split("peak ")[1])

    benchmark.pedantic(run, rounds=1)
    assert len((out / "pair_scores.csv").read_text().splitlines()) == n_pairs + 1
