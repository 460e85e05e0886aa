"""Run the numeric tests, and the experiments, on every kind of processor that this one can be.

    python -m tests.portable

Which instructions and how many threads are used is set from outside. Under each setting the tests
that are marked as numeric must pass, and the experiments must come out as under the first one: the
same verdicts, words and circuits. The first one is that under which `make test` runs the tests. A
setting that the processor lacks is named and left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from replication.experiment.spec import find_experiments, read_experiment
from tests.paths import FIXTURES, ROOT

CAPABILITY = "import torch; print(torch.backends.cpu.get_cpu_capability())"
LEVELS = ("DEFAULT", "AVX2", "AVX512")  # as torch names what a processor can do, the least first
TESTS = ("-m", "numeric and not slow")
# Scores of a behaviour are left out: they take minutes under some settings, and gradients' last
# digits put near ties in another order.
EXPERIMENTS = (
    *("--pyargs", "replication.test_claims", "--replication-live"),
    *("--replication-experiments", str(FIXTURES)),
    *chain.from_iterable(
        ("--replication-experiment", folder.name)
        for folder in find_experiments(FIXTURES)
        if read_experiment(folder).spec.scoring.kind == "differential"
    ),
)
AT_ONCE = 2  # settings; most of the time one keeps one core busy

# A thread that waits for another one leaves the core to the other settings.
ALWAYS = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}

Outcome = dict[str, str]  # what was said of each claim, component and circuit


@dataclass(frozen=True)
class Setting:
    """Environment variables to run under, and what a processor must be able to do for them.

    Under that of `make test` the tests need not be run again.
    """

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    needs: str = LEVELS[0]
    is_that_of_the_tests: bool = False


# One setting, not each with each, for every kind of instructions and number of threads. The
# libraries below torch and numpy choose their instructions themselves; oneDNN is kept to what torch
# is, as torch's kernel of attention in bfloat16 asks it whether there is AVX-512 and then fails.
SETTINGS = (
    Setting("as found, 1 thread", {"OMP_NUM_THREADS": "1"}, is_that_of_the_tests=True),
    Setting("as found, 2 threads", {"OMP_NUM_THREADS": "2"}),
    Setting(
        "AVX2, 2 threads",
        {"ATEN_CPU_CAPABILITY": "avx2", "DNNL_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "2"},
        "AVX2",
    ),
    Setting(
        "no AVX, 1 thread",
        {
            "ATEN_CPU_CAPABILITY": "default",
            "DNNL_MAX_CPU_ISA": "SSE41",
            "OMP_NUM_THREADS": "1",
        },
    ),
    Setting(
        "no AVX in any library",
        {
            "ATEN_CPU_CAPABILITY": "default",
            "DNNL_MAX_CPU_ISA": "SSE41",
            "MKL_CBWR": "COMPATIBLE",
            "OPENBLAS_CORETYPE": "Nehalem",
        },
        "AVX2",
    ),
)


def main() -> int:
    """Run under every setting and say how it went; the exit status."""
    found = python({}, "-c", CAPABILITY).stdout.strip()
    possible, lacking = by_capability(found)
    for setting in lacking:
        print(f"{setting.name}: skipped: the processor has no {setting.needs}", flush=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(run, possible))
    if None in outcomes:
        return 1
    names = [setting.name for setting in possible]
    problems = differences(dict(zip(names, filter(None, outcomes), strict=True)))
    print("\n".join(problems) or "the same verdicts, words and circuits under every setting")
    return int(bool(problems))


def by_capability(found: str) -> tuple[list[Setting], list[Setting]]:
    """The settings that a processor of this capability has, and those that it lacks."""
    level = LEVELS.index(found) if found in LEVELS else 0
    possible = [one for one in SETTINGS if LEVELS.index(one.needs) <= level]
    return possible, [one for one in SETTINGS if one not in possible]


def python(variables: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python from the project's folder, under these variables alone of all the settings'."""
    set_somewhere = set(chain.from_iterable(one.variables for one in SETTINGS))
    others = {name: value for name, value in os.environ.items() if name not in set_somewhere}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        encoding="utf-8",
        env=others | ALWAYS | dict(variables),
        cwd=ROOT,
        check=False,
    )


def run(setting: Setting) -> Outcome | None:
    """What the experiments come to under a setting; nothing where a test or a claim fails."""
    started = time.monotonic()
    # To collect all files takes longer than to run these tests.
    files = [
        str(path)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if "pytest.mark.numeric" in path.read_text(encoding="utf-8")
    ]
    with tempfile.TemporaryDirectory() as reports:
        tests = [] if setting.is_that_of_the_tests else [[*files, *TESTS]]
        for arguments in (*tests, [*EXPERIMENTS, "--replication-reports", reports]):
            pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
            done = python(setting.variables, *pytest)
            if done.returncode != 0:
                print(f"{setting.name}: failed\n{done.stdout}{done.stderr}", flush=True)
                return None
        outcome = outcome_of(Path(reports) / "partial")
    print(f"{setting.name}: passed in {time.monotonic() - started:.0f} s", flush=True)
    return outcome


def outcome_of(reports: Path) -> Outcome:
    """The verdict on every claim, the word on every component, and the circuits."""
    found = {}
    for experiment in read(reports / "claims.json")["experiments"]:
        for claim in experiment["claims"]:
            for judged in claim["judgements"]:
                place = f"{experiment['name']}, {claim['id']}, {judged['evidence']}"
                found[place] = judged["verdict"]
    for path in sorted(reports.glob("*/verification.json")):
        for verified in read(path)["verifications"]:
            for one in verified["components"]:
                place = f"{path.parent.name}, {verified['result']}, {verified['evidence']}"
                chosen = "selected" if one["selected"] else "not selected"
                found[f"{place}, {one['component']}"] = f"{one['word']}, {chosen}"
    for path in sorted(reports.glob("*/circuit.json")):
        found[f"{path.parent.name}, circuit"] = " ".join(read(path)["nodes"])
    return found


def read(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_bytes())


def differences(outcomes: Mapping[str, Outcome]) -> list[str]:
    """What first differs from the first setting, by setting."""
    problems = []
    (first, expected), *others = outcomes.items()
    for name, outcome in others:
        for place in expected | outcome:
            one, other = expected.get(place, "nothing"), outcome.get(place, "nothing")
            if one != other:
                problems.append(f"{place}: {one} ({first}), but {other} ({name})")
                break
    return problems


if __name__ == "__main__":
    sys.exit(main())
