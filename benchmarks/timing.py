"""How the benchmarks time: work beside its baseline, and how much of it keeps the device busy."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile


def seconds_of(work: Callable[[], object]) -> float:
    """How long the work takes once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def timed_beside(
    benchmark: Any, work: Callable[[], Any], name: str, baseline: Callable[[], object], rounds: int
) -> Any:
    """Time the work, and before each of its rounds the baseline: what disturbs one disturbs both.

    The baseline's shortest and median round are kept under its name.
    """
    seconds: list[float] = []

    def time_baseline() -> None:
        gc.collect()
        seconds.append(seconds_of(baseline))
        gc.collect()

    warm_up = 1 if rounds > 1 else 0
    result = benchmark.pedantic(work, setup=time_baseline, rounds=rounds, warmup_rounds=warm_up)
    benchmark.extra_info[f"{name}, seconds"] = min(seconds)
    benchmark.extra_info[f"{name}, median seconds"] = statistics.median(seconds)
    return result


def synchronize(device: str) -> None:
    """Wait until the device has done what it was given; a CPU has."""
    if device == "cuda":
        torch.cuda.synchronize()


def busy_seconds(device: str, work: Callable[[], object]) -> float:
    """How long torch's profiler sees the device run operations or copies while the work is done."""
    activity, kind = {
        "cpu": (ProfilerActivity.CPU, DeviceType.CPU),
        "cuda": (ProfilerActivity.CUDA, DeviceType.CUDA),
    }[device]
    with profile(activities=[activity]) as profiler:
        work()
        synchronize(device)
    spans = (event.time_range for event in profiler.events() if event.device_type == kind)
    return covered((span.start, span.end) for span in spans) / 1e6


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of what spans cover together: of those that overlap, each part once."""
    total, reached = 0.0, -math.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
