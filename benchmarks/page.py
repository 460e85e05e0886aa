"""The benchmark pages: ratios within one run, beside those of the last committed run.

`python -m benchmarks.page RESULTS.json FOLDER` reads pytest-benchmark's JSON and writes `page.md`,
`page-gpu.md`, `ratios.json`, and `history.json`: the committed runs (`benchmarks/history.json`) and
this one, to commit in its turn. A ratio is taken between the shortest rounds of two entries: on a
shared machine, what disturbs a round only lengthens it. Nothing here can fail a build.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from replication.inputs.files import read_json
from replication.inputs.writing import write_atomically, write_json

HISTORY = Path(__file__).parent / "history.json"

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Ratio:
    """What is divided by what, and what the project wants it to be.

    `over` and `under` are figures: an entry stands for its shortest round in seconds, and
    `entry: key` for what it measured beside that. `reason` says why a run can miss the target; its
    blanks are filled with this run's ratios in `because`. `needs` is a package that may be absent.
    """

    name: str
    over: str
    under: str
    target: str = ""
    reason: str = ""
    because: tuple[str, ...] = ()
    needs: str = ""


def entry_of(way: str, device: Device, n_pairs: int) -> str:
    """The name of the entry of a way on so many pairs on a device."""
    return f"test_{way}[{device}-{n_pairs}]"


def named(ratio: str, device: Device, n_pairs: int, of: str = "") -> str:
    """A ratio's name, with the model where it is another, the number of pairs, and the device."""
    return f"{ratio}{of}, {n_pairs} pairs{', GPU' if device == 'cuda' else ''}"


def beside_bare(
    device: Device, sizes: Sequence[int], targeted: Sequence[int], way: str, of: str = ""
) -> list[Ratio]:
    """Capture beside the bare forward pass, on one device and one model."""

    def name(ratio: str, n_pairs: int) -> str:
        return named(ratio, device, n_pairs, of)

    def bare(n_pairs: int, seconds: str = "seconds") -> str:
        return f"{entry_of(way, device, n_pairs)}: bare forward, {seconds}"

    ratios = []
    for n in sizes:
        ratios += [
            Ratio(
                name("capture / bare forward", n),
                entry_of(way, device, n),
                bare(n),
                "at most 1.10" if n in targeted else "",
                "capture also tokenizes the prompts, which takes {:.1%} of a bare forward pass, and"
                " takes, copies and checks the means; between median rounds the ratio is {:.2f}",
                (name("tokenizing / bare forward", n), name("the same between median rounds", n)),
            ),
            Ratio(
                name("the same between median rounds", n),
                f"{entry_of(way, device, n)}: median seconds",
                bare(n, "median seconds"),
            ),
            Ratio(
                name("tokenizing / bare forward", n),
                f"{entry_of(way, device, n)}: tokenizing, seconds",
                bare(n),
            ),
        ]
    return ratios


def capture_ratios(device: Device, sizes: Sequence[int]) -> list[Ratio]:
    """Capture beside the bare forward pass and the ways that it replaces, on one device."""

    def entry(way: str, n_pairs: int) -> str:
        return entry_of(way, device, n_pairs)

    def name(ratio: str, n_pairs: int) -> str:
        return named(ratio, device, n_pairs)

    ratios = [
        *beside_bare(device, sizes, (5, 1000), "capture"),
        *beside_bare(
            device,
            [n for n in sizes if n <= {"cpu": 100, "cuda": 1000}[device]],
            (5, 100),
            "capture_smollm2",
            " of SmolLM2-135M",
        ),
    ]
    for n in (5, 100, 1000):
        ratios += [
            Ratio(
                name("notebook / capture", n),
                entry("notebook", n),
                entry("capture", n),
                {5: "at least 10", 1000: "at least 4"}.get(n, ""),
                "capture cannot be faster than a bare forward pass over the same packs, and the"
                " notebook takes {:.2f} times as long as that",
                (name("notebook / bare forward", n),),
            ),
            Ratio(
                name("notebook / bare forward", n),
                entry("notebook", n),
                f"{entry('capture', n)}: bare forward, seconds",
            ),
        ]
    ratios += [
        Ratio(name(f"{peer} / capture", n), entry(way, n), entry("capture", n), needs=package)
        for peer, way, package, counts in (
            ("notebook's forward passes alone", "notebook_forwards", "", (5,)),
            ("Hugging Face hooks", "hugging_face_hooks", "", (5, 100)),
            ("nnsight", "nnsight", "nnsight", (5, 100)),
        )
        for n in counts
    ]
    ratios += [
        Ratio(
            name("share of capture's time in which the device works", n),
            f"{entry('busy', n)}: busy, seconds",
            entry("busy", n),
        )
        for n in {"cpu": (5,), "cuda": (5, 100, 1000)}[device]
    ]
    return ratios


def intervention_ratios() -> list[Ratio]:
    """Interventions beside the bare forward pass, and beside the ways that people write them."""
    ratios = []
    for of, name in (("gpt2", ""), ("smollm2", " of SmolLM2-135M")):
        ratios += [
            Ratio(
                f"a circuit's run / bare forward{name}",
                f"test_circuit[{of}]",
                f"test_circuit[{of}]: bare forward, seconds",
                "at most 1.15",
                "in a circuit's run every activation that is changed is written once more",
            ),
            Ratio(
                f"exact effects / as many bare forwards{name}",
                f"test_effects[{of}]: effects, seconds",
                f"test_effects[{of}]: bare forwards, seconds",
                "at most 0.6",
                "what lies below a component is not computed again, which is half of the layers on"
                " average, and none of the head",
            ),
            Ratio(
                f"attribution / bare forward{name}",
                f"test_attribution[{of}]",
                f"test_attribution[{of}]: bare forward, seconds",
                "at most 4",
                "it runs both prompts forwards and one of them backwards, which alone is three",
            ),
            Ratio(
                f"TransformerLens' patching / exact effects{name}, 4 pairs",
                f"test_patching[{of}]",
                f"test_patching[{of}]: ours, seconds",
                "at least 3",
                "four pairs share one forward pass, of half of the layers on average, which is an"
                " eighth of the passes, but one of four prompts takes longer than one of one",
            ),
        ]
    ratios += [
        Ratio(
            f"{peer} / exact effects, 4 pairs",
            f"test_{peer}_patching",
            f"test_{peer}_patching: ours, seconds",
            needs=peer,
        )
        for peer in ("nnsight", "pyvene")
    ]
    for what, more in (("circuits", "50-50"), ("pairs", "5-500")):
        ratios.append(
            Ratio(
                f"memory of interventions, ten times the {what}",
                f"test_memory_of_interventions[{more}]: growth, KiB",
                "test_memory_of_interventions[5-50]: growth, KiB",
                "at most 1.10",
                "beyond one pack's activations only the answers are kept, and what the allocator"
                " does not give back",
            )
        )
    return ratios


def ray_ratios() -> list[Ratio]:
    """Ray beside one process, and what its driver holds."""
    return [
        Ratio(
            "one worker of Ray's / one process, 512 pairs of SmolLM2-135M",
            "test_one_worker",
            "test_one_worker: one process, seconds",
            "at most 1.10",
            "the parts go to another process and their scores come back",
        ),
        Ratio(
            "two workers of one core / one of two, 512 pairs of SmolLM2-135M",
            "test_two_workers",
            "test_two_workers: one worker, seconds",
        ),
        Ratio(
            "peak memory of Ray's driver, 10,000 / 100 pairs",
            "test_memory_of_the_driver[10000]: peak, KiB",
            "test_memory_of_the_driver[100]: peak, KiB",
            "at most 1.10",
            "of each pair a digest is kept, and nothing of a part once it is written",
        ),
    ]


RATIOS: dict[Device, list[Ratio]] = {
    "cpu": [
        *capture_ratios("cpu", (5, 100, 1000)),
        *intervention_ratios(),
        *ray_ratios(),
        Ratio(
            "notebook's loop / scoring, 5 pairs",
            "test_scoring_loop_of_a_notebook",
            "test_scoring",
            "at least 100",
            "with five pairs, most of scoring's time is the fixed cost of NumPy's calls",
        ),
        Ratio(
            "reading memory / scoring, 10,000 pairs",
            "test_reading_memory",
            "test_scoring_large",
            "at least 0.5",
            "scoring subtracts, centres, squares, adds and takes roots where reading only adds",
        ),
        Ratio(
            "pytest replication/ / importing torch and pytest",
            "test_gate_with_benchmarks",
            "test_importing_torch_and_pytest",
            "at most 1.5",
            "without the benchmarks in it the ratio is {:.2f}",
            ("the same without its benchmarks",),
        ),
        Ratio("the same without its benchmarks", "test_gate", "test_importing_torch_and_pytest"),
        Ratio(
            "added to an ordinary run of pytest / 50 ms",
            "test_ordinary_run: added, seconds",
            "test_ordinary_run: allowed, seconds",
            "at most 1",
            "it imports one small module and adds its options; a run of one test takes {:.2f} times"
            " as long as without it",
            ("ordinary run with / without the plugin",),
        ),
        Ratio(
            "ordinary run with / without the plugin",
            "test_ordinary_run",
            "test_ordinary_run: without the plugin, seconds",
        ),
        Ratio(
            "model ready / bridge boot",
            "test_model_ready",
            "test_model_ready: bridge boot, seconds",
            "at most 1.10",
            "the weights are hashed beside the loading, which hides it only where another core is"
            " free; alone it takes {:.1%} of the boot; a first run, which reads every weight, takes"
            " {:.1%} of it with the loading, and the self-check runs twice",
            ("hashing / bridge boot", "loaded and run once by transformers / bridge boot"),
        ),
        Ratio(
            "hashing / bridge boot",
            "test_model_ready: hashing, seconds",
            "test_model_ready: bridge boot, seconds",
        ),
        Ratio(
            "loaded and run once by transformers / bridge boot",
            "test_model_ready: loaded and run once by transformers, seconds",
            "test_model_ready: bridge boot, seconds",
        ),
        Ratio(
            "memory beyond the model, 10,000 / 100 pairs",
            "test_memory[10000]: growth, KiB",
            "test_memory[100]: growth, KiB",
            "at most 1.10",
            "from 100 pairs to 1,000 it is {:.2f}, and of the whole process' peak {:.2f}",
            ("memory beyond the model, 1,000 / 100 pairs", "peak memory, 10,000 / 100 pairs"),
        ),
        Ratio(
            "memory beyond the model, 1,000 / 100 pairs",
            "test_memory[1000]: growth, KiB",
            "test_memory[100]: growth, KiB",
        ),
        Ratio(
            "peak memory, 10,000 / 100 pairs",
            "test_memory[10000]: peak, KiB",
            "test_memory[100]: peak, KiB",
        ),
    ],
    "cuda": capture_ratios("cuda", (5, 100, 1000, 10_000)),
}


def figures(results: Mapping[str, Any]) -> dict[str, float]:
    """Every figure of a run by its name, as a ratio names it."""
    found = {}
    for entry in results["benchmarks"]:
        found[entry["name"]] = entry["stats"]["min"]
        found[f"{entry['name']}: median seconds"] = entry["stats"]["median"]
        for key, figure in entry["extra_info"].items():
            found[f"{entry['name']}: {key}"] = figure
    return found


def ratios(results: Mapping[str, Any]) -> dict[str, float]:
    """Every ratio whose two figures were measured, on either device."""
    found = figures(results)
    return {
        ratio.name: found[ratio.over] / found[ratio.under]
        for device in RATIOS
        for ratio in RATIOS[device]
        if ratio.over in found and ratio.under in found
    }


def is_met(target: str, ratio: float) -> bool:
    """Whether a ratio is what the project wants it to be."""
    relation, bound = target.rsplit(" ", 1)
    return ratio <= float(bound) if relation == "at most" else ratio >= float(bound)


def page(results: Mapping[str, Any], last: Mapping[str, float], device: Device) -> str:
    """The page of one device in Markdown: its ratios, why targets are missed, its entries."""
    title = {"cpu": "# Benchmarks", "cuda": "# Benchmarks on a GPU"}[device]
    if device == "cuda" and results["machine_info"]["gpu"] is None:
        return f"{title}\n\nNot run: no GPU.\n"
    measured = ratios(results)
    missed = [
        f"- {ratio.name}: {measured[ratio.name]:.2f}, not {ratio.target}: {why(ratio, measured)}."
        for ratio in RATIOS[device]
        if ratio.name in measured
        and ratio.target
        and not is_met(ratio.target, measured[ratio.name])
    ]
    lines = [
        title,
        "",
        _conditions(results, device),
        "",
        "| ratio | measured | target | met | last committed run |",
        "| --- | ---: | --- | --- | ---: |",
        *(_row(ratio, measured, last, results) for ratio in RATIOS[device]),
        *(["", "Where a target is missed:", "", *missed] if missed else []),
        "",
        "| entry | shortest round, seconds | rounds | beside it |",
        "| --- | ---: | ---: | --- |",
    ]
    for entry in results["benchmarks"]:
        if ("[cuda-" in entry["name"]) == (device == "cuda"):
            stats = entry["stats"]
            beside = "; ".join(f"{key} {figure:.6g}" for key, figure in entry["extra_info"].items())
            lines.append(f"| {entry['name']} | {stats['min']:.4g} | {stats['rounds']} | {beside} |")
    return "\n".join(lines) + "\n"


def _conditions(results: Mapping[str, Any], device: Device) -> str:
    """What was run on what, and when."""
    machine, commit = results["machine_info"], results["commit_info"]
    cpu = machine["cpu"]
    processor = f"{cpu.get('brand_raw', machine['machine'])}, {cpu['count']} cores"
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['gpu'] + '; ' if device == 'cuda' else ''}{processor}, {machine['system']};"
        f" {versions}; commit {commit['id'][:10]}{', with changes' if commit['dirty'] else ''};"
        f" {results['datetime'][:10]}. Model: GPT-2 small's shape with random weights, or"
        " SmolLM2-135M where that is named; float32."
    )


def _row(
    ratio: Ratio,
    measured: Mapping[str, float],
    last: Mapping[str, float],
    results: Mapping[str, Any],
) -> str:
    if ratio.name not in measured:
        is_absent = ratio.needs and ratio.needs not in results["machine_info"]["versions"]
        reason = f": {ratio.needs} is not installed" if is_absent else ""
        return f"| {ratio.name} | not run{reason} | {ratio.target} | | |"
    value = measured[ratio.name]
    met = ("yes" if is_met(ratio.target, value) else "no") if ratio.target else ""
    before = f"{last[ratio.name]:.2f}" if ratio.name in last else ""
    return f"| {ratio.name} | {value:.2f} | {ratio.target} | {met} | {before} |"


def why(ratio: Ratio, measured: Mapping[str, float]) -> str:
    """Why a ratio can miss its target, with the ratios of this run that show it."""
    for name in ratio.because:
        if name not in measured:
            return f"not known, as this was not run: {name}"
    return ratio.reason.format(*(measured[name] for name in ratio.because))


def main(source: Path, folder: Path) -> None:
    """Write and print the pages, and keep this run's ratios to commit."""
    results = read_json(source)
    committed = read_json(HISTORY) if HISTORY.exists() else []
    last = committed[-1]["ratios"] if committed else {}
    pages: dict[Device, str] = {"cpu": "page.md", "cuda": "page-gpu.md"}
    for device, name in pages.items():
        text = page(results, last, device)
        write_atomically(folder / name, text)
        print(text)
    rounded = {name: round(ratio, 4) for name, ratio in ratios(results).items()}
    run = {
        "date": results["datetime"][:10],
        "commit": results["commit_info"]["id"],
        "ratios": rounded,
    }
    write_json(folder / "ratios.json", rounded)
    write_json(folder / "history.json", [*committed, run])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
