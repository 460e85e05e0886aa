"""The benchmark page: ratios within one run, beside those of the last committed run.

`python -m benchmarks.page RESULTS.json PAGE.md` reads pytest-benchmark's JSON. A ratio is taken
between the shortest rounds of two entries: on a shared machine, what disturbs a round only
lengthens it. Nothing here can fail a build.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replication.files import read_json, write_atomically, write_json

LAST = Path(__file__).parent / "last.json"


@dataclass(frozen=True)
class Ratio:
    """What is divided by what, and what the project wants it to be."""

    name: str
    over: str
    under: str
    target: str = ""
    figure: str = "seconds"


RATIOS = [
    *(
        Ratio(
            f"capture / bare forward, {n} pairs", f"test_capture[{n}]", f"test_bare_forward[{n}]", t
        )
        for n, t in ((5, "at most 1.10"), (100, ""), (1000, "at most 1.10"))
    ),
    *(
        Ratio(f"notebook / capture, {n} pairs", f"test_notebook[{n}]", f"test_capture[{n}]", t)
        for n, t in ((5, "at least 10"), (100, ""), (1000, "at least 4"))
    ),
    *(
        Ratio(f"{peer} / capture, {n} pairs", f"test_{entry}[{n}]", f"test_capture[{n}]")
        for peer, entry in (("Hugging Face hooks", "hugging_face_hooks"), ("nnsight", "nnsight"))
        for n in (5, 100)
    ),
    Ratio(
        "notebook's loop / scoring, 5 pairs",
        "test_scoring_loop_of_a_notebook",
        "test_scoring",
        "at least 100",
    ),
    Ratio(
        "reading memory / scoring, 10,000 pairs",
        "test_reading_memory",
        "test_scoring_large",
        "at least 0.5",
    ),
    Ratio(
        "pytest replication/ / importing torch and pytest",
        "test_gate_with_benchmarks",
        "test_importing_torch_and_pytest",
        "at most 1.5",
    ),
    Ratio("the same without its benchmarks", "test_gate", "test_importing_torch_and_pytest"),
    Ratio("model ready / bridge boot", "test_model_ready", "test_bridge_boot", "at most 1.10"),
    Ratio(
        "peak memory, 10,000 / 100 pairs",
        "test_memory[10000]",
        "test_memory[100]",
        "at most 1.10",
        "peak_kib",
    ),
]


def ratios(results: dict[str, Any]) -> dict[str, float]:
    """Every ratio whose two entries were run."""
    figures = {
        entry["name"]: {"seconds": entry["stats"]["min"], **entry["extra_info"]}
        for entry in results["benchmarks"]
    }
    return {
        ratio.name: figures[ratio.over][ratio.figure] / figures[ratio.under][ratio.figure]
        for ratio in RATIOS
        if ratio.over in figures and ratio.under in figures
    }


def is_met(target: str, ratio: float) -> bool:
    """Whether a ratio is what the project wants it to be."""
    relation, bound = target.rsplit(" ", 1)
    return ratio <= float(bound) if relation == "at most" else ratio >= float(bound)


def page(results: dict[str, Any], last: dict[str, float]) -> str:
    """The page in Markdown."""
    machine, commit = results["machine_info"], results["commit_info"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        "# Benchmarks",
        "",
        f"{machine['cpu'].get('brand_raw', platform.machine())}, {os.cpu_count()} cores,"
        f" {platform.system()}; {versions};"
        f" commit {commit['id'][:10]}{', with changes' if commit['dirty'] else ''};"
        f" {results['datetime'][:10]}. Model: GPT-2 small's shape with random weights, float32.",
        "",
        "| ratio | measured | target | met | last committed run |",
        "| --- | ---: | --- | --- | ---: |",
    ]
    measured = ratios(results)
    for ratio in RATIOS:
        if ratio.name not in measured:
            lines.append(f"| {ratio.name} | not run | {ratio.target} | | |")
            continue
        value = measured[ratio.name]
        met = ("yes" if is_met(ratio.target, value) else "no") if ratio.target else ""
        before = f"{last[ratio.name]:.2f}" if ratio.name in last else ""
        lines.append(f"| {ratio.name} | {value:.2f} | {ratio.target} | {met} | {before} |")
    lines += ["", "| entry | shortest round, seconds | rounds |", "| --- | ---: | ---: |"]
    for entry in results["benchmarks"]:
        stats = entry["stats"]
        lines.append(f"| {entry['name']} | {stats['min']:.4g} | {stats['rounds']} |")
    return "\n".join(lines) + "\n"


def main(source: Path, target: Path) -> None:
    """Write the page, print it, and keep this run's ratios to commit."""
    from replication.models import versions

    results = read_json(source) | {"versions": versions()}
    last = read_json(LAST) if LAST.exists() else {}
    text = page(results, last)
    write_atomically(target, text)
    write_json(
        target.with_name("ratios.json"), {k: round(v, 4) for k, v in ratios(results).items()}
    )
    print(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
