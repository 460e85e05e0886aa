from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.timing import busy_seconds, covered, seconds_of

BESIDE = """
from benchmarks.timing import timed_beside

done = []

def test_work(benchmark):
    assert timed_beside(
        benchmark, lambda: done.append("work") or 42, "baseline", lambda: done.append("base"), 3
    ) == 42
    assert done == ["base", "work"] * (1 + 3)
"""


def test_the_baseline_is_timed_before_each_round_of_the_work(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # its workers do not benchmark
    pytester.makepyfile(BESIDE)
    pytester.runpytest_inprocess("--benchmark-json=run.json").assert_outcomes(passed=1)
    (entry,) = json.loads((pytester.path / "run.json").read_text(encoding="utf-8"))["benchmarks"]
    assert entry["stats"]["rounds"] == 3
    shortest, median = (
        entry["extra_info"][f"baseline, {kind}"] for kind in ("seconds", "median seconds")
    )
    assert 0 < shortest <= median


def test_seconds_are_those_that_the_work_takes() -> None:
    assert seconds_of(lambda: time.sleep(0.05)) >= 0.05
    assert seconds_of(lambda: None) < 0.05


def test_the_device_is_busy_while_it_computes_and_not_while_it_waits() -> None:
    matrix = torch.ones(200, 200)

    def work() -> None:
        matrix @ matrix
        time.sleep(0.3)

    busy: list[float] = []
    whole = seconds_of(lambda: busy.append(busy_seconds("cpu", work)))
    assert 0 < busy[0] <= whole - 0.3


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], 0),
        ([(1, 3)], 2),
        ([(1, 3), (5, 6)], 3),
        ([(5, 6), (1, 3)], 3),
        ([(1, 10), (2, 3), (4, 11)], 10),
        ([(1, 3), (3, 4)], 3),
    ],
)
def test_spans_that_overlap_count_once(
    spans: Sequence[tuple[float, float]], expected: float
) -> None:
    assert covered(spans) == expected


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted).map(tuple)))
def test_spans_cover_each_moment_once(spans: list[tuple[int, int]]) -> None:
    assert covered(spans) == len({moment for start, end in spans for moment in range(start, end)})
