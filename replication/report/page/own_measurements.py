"""Own measurements on the page: how often the verifier is right, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from replication.report.own_measurements import BenchmarkRun, Calibration, Ratios, read_optional
from replication.report.page.gallery import Picture, Table
from replication.report.pictures import own_measurements as pictures
from replication.report.rows import number


@dataclass(frozen=True)
class Calibrated:
    """What is shown of a calibration, or why it is not shown; neither where there is none."""

    is_there: bool
    fault: str | None
    pictures: Sequence[Picture] = ()
    rates: Table | None = None
    targets: Table | None = None


@dataclass(frozen=True)
class Benchmarked:
    """What is shown of the benchmarks, and why a file is not shown."""

    faults: Sequence[str]
    pictures: Sequence[Picture]
    ratios: Table | None
    has_history: bool


def calibration(folder: Path) -> Calibrated:
    """What `calibration.json` in this folder holds, in pictures, or why it is not shown."""
    found, fault = read_optional(folder / "calibration.json", TypeAdapter(Calibration))
    if found is None:
        return Calibrated(is_there=False, fault=fault)
    return Calibrated(
        is_there=True,
        fault=None,
        pictures=[_calibration_picture(found)] if found.rows else [],
        rates=_rates(found) if found.rows else None,
        targets=_targets(found) if found.targets else None,
    )


def _calibration_picture(found: Calibration) -> Picture:
    scenarios = dict.fromkeys(rate.scenario for rate in found.rows)
    return Picture(
        "What the verifier says of planted components",
        f"How often, on {found.models} models, by number of pairs, with intervals. What it"
        " never says is left out of a picture:",
        [
            pictures.calibration(scenario, [r for r in found.rows if r.scenario == scenario])
            for scenario in scenarios
        ],
    )


def _rates(found: Calibration) -> Table:
    return Table(
        head=["components", "what is said", "pairs", "rate", "interval"],
        body=[
            [
                rate.scenario,
                rate.word,
                str(rate.pairs),
                f"{rate.rate:.1%}",
                f"{rate.low:.1%} to {rate.high:.1%}",
            ]
            for rate in found.rows
        ],
        caption="How often the verifier says what",
    )


def _targets(found: Calibration) -> Table:
    return Table(
        head=["target", "value", "met from"],
        body=[
            [
                one.name,
                str(one.target),
                f"{one.met_from_pairs} pairs" if one.met_from_pairs else "–",
            ]
            for one in found.targets
        ],
        caption="Targets of the calibration",
    )


def benchmarks(folder: Path) -> Benchmarked:
    """What the benchmarks under this folder gave, in pictures, or why they are not shown."""
    ratios, ratios_fault = read_optional(folder / "benchmarks" / "ratios.json", TypeAdapter(Ratios))
    runs, runs_fault = read_optional(
        folder / "benchmarks" / "history.json", TypeAdapter(list[BenchmarkRun])
    )
    return Benchmarked(
        faults=[fault for fault in (ratios_fault, runs_fault) if fault],
        pictures=list(_benchmark_pictures(ratios or {}, runs or [])),
        ratios=_ratios(ratios) if ratios else None,
        has_history=bool(runs),
    )


def _benchmark_pictures(ratios: Ratios, runs: Sequence[BenchmarkRun]) -> Iterator[Picture]:
    if ratios:
        yield Picture(
            "Ratios of the last run",
            "Time over time within one run, on a logarithmic axis; the name says what is"
            " divided by what. The dashed line: as costly as the other.",
            [pictures.ratios(ratios)],
        )
    names = dict.fromkeys(name for run in runs for name in run.ratios)
    if names:
        yield Picture(
            "Their history",
            f"{len(runs)} runs, the oldest first:",
            [pictures.history(name, runs) for name in names],
        )


def _ratios(ratios: Ratios) -> Table:
    return Table(
        head=["ratio", "measured"],
        body=[[name, number(ratio)] for name, ratio in ratios.items()],
        caption="Ratios of the last benchmark run",
    )
