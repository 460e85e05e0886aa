"""The wheel in an environment of its own: what is in it, and how it behaves among other tests."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.paths import ROOT

(PYTEST,) = importlib.metadata.entry_points(group="console_scripts", name="pytest")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the files that it is made of."""
    folder = tmp_path_factory.mktemp("wheel")
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "replication", folder / "source" / "replication", ignore=leave)
    for path in (*ROOT.glob("*.*"), ROOT / "LICENSE"):
        if path.is_file():
            shutil.copy(path, folder / "source")
    command = ["pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, "-q"]
    subprocess.run(
        [sys.executable, "-m", *map(str, command), str(folder / "source")],
        check=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it requires, in a repository's folder."""
    folder = tmp_path_factory.mktemp("repository") / ".venv"
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    shared = Path(sysconfig.get_path("purelib"))
    for name in required_files(wheel):
        if not (packages / name).exists():
            (packages / name).symlink_to(shared / name)
    python, program = (folder / "bin" / name for name in ("python", "pytest"))
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "-q"]
    subprocess.run([*install, "--no-index", wheel], env=bare(), check=True)
    program.write_text(
        f"#!{python}\nimport sys\nfrom {PYTEST.module} import {PYTEST.attr}\n"
        f"sys.exit({PYTEST.attr}())\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return folder


def required_files(wheel: Path) -> set[str]:
    """What the wheel's requirements, and those of these, have in this environment's packages."""
    about = next(iter(importlib.metadata.distributions(path=[str(wheel)])))
    found: dict[str, importlib.metadata.Distribution] = {}
    asked = list(about.requires or ())
    while asked:
        requirement = Requirement(asked.pop())
        if requirement.name not in found and applies(requirement):
            found[requirement.name] = importlib.metadata.distribution(requirement.name)
            asked += found[requirement.name].requires or ()
    names = {file.parts[0] for one in found.values() for file in one.files or ()}
    return names - {"..", "__pycache__"}


def applies(requirement: Requirement) -> bool:
    """Whether it is required here, without extras."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def bare(**env: str) -> dict[str, str]:
    """What a process finds in its environment, without the way to this checkout."""
    ours = ("PYTHONPATH", "PYTEST_", "GITHUB_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"} | env


@pytest.fixture
def repository(environment: Path) -> Path:
    """Somebody's repository, which the environment lies in, and which has a `--device` too."""
    folder = environment.parent
    for path in folder.iterdir():
        if path.name != ".venv":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "conftest.py").write_text(
        "def pytest_addoption(parser):\n"
        "    for name in ('live', 'experiments', 'experiment', 'model', 'device', 'reports'):\n"
        "        parser.addoption(f'--{name}')\n",
        encoding="utf-8",
    )
    (folder / "test_own.py").write_text(
        "def test_own(pytestconfig):\n    assert pytestconfig.option.device == 'tpu'\n",
        encoding="utf-8",
    )
    return folder


def run(
    repository: Path, *command: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    program, *arguments = command
    return subprocess.run(
        [repository / ".venv" / "bin" / program, *arguments],
        cwd=repository,
        env=bare(**(env or {})),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if ".venv" not in path.relative_to(folder).parts
    }


PROGRAM = ["pytest"]
MODULE = ["python", "-m", "pytest"]  # which looks for modules in the current folder first


def test_every_file_of_the_package_is_in_the_wheel_and_no_other(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    files = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "replication").rglob("*")
        if path.is_file() and not {"__pycache__", "benchmarks"} & set(path.parts)
    }
    assert {"replication/py.typed", "replication/report/page/templates/index.html"} <= files
    about = {name for name in packed if ".dist-info/" in name}
    assert packed - about == files | {"pytest_circuit_replication.py"}


OWN = {
    "package": ["replication/__init__.py", "replication/own.py"],
    "folder": ["replication/own.py"],
    "module": ["replication.py"],
}


def make_own(repository: Path, kind: str) -> Path:
    """Put a package, a folder without __init__.py, or a module of its own there, and a test."""
    for name in OWN[kind]:
        path = repository / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("FIGURE = 3\n", encoding="utf-8")
    source = "replication" if kind == "module" else "replication.own"
    if kind != "folder":  # the installed package comes before such a folder, wherever that stands
        (repository / "test_import.py").write_text(
            f"from {source} import FIGURE\n\ndef test_figure():\n    assert FIGURE == 3\n",
            encoding="utf-8",
        )
    return repository / OWN[kind][0].split("/")[0]


@pytest.mark.parametrize(
    ("kind", "start"),
    [("package", PROGRAM), ("package", MODULE), ("folder", MODULE), ("module", MODULE)],
)
def test_a_repository_with_such_names_of_its_own_runs_untouched(
    repository: Path, kind: str, start: list[str]
) -> None:
    make_own(repository, kind)
    before = files(repository)
    done = run(repository, *start, "--device", "tpu", "-q", "-p", "no:cacheprovider")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert f"{1 if kind == 'folder' else 2} passed" in done.stdout
    assert files(repository) == before


@pytest.mark.parametrize(
    ("kind", "start", "asked"),
    [
        ("package", MODULE, ["--pyargs", "replication"]),
        ("package", PROGRAM, ["--pyargs", "replication.test_claims"]),
        ("module", MODULE, ["--replication-live"]),
    ],
)
def test_who_asks_for_a_hidden_package_is_told_what_hides_it(
    repository: Path, kind: str, start: list[str], asked: list[str]
) -> None:
    own = make_own(repository, kind)
    done = run(repository, *start, *asked)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert f"replication: {own} hides the package of pytest-circuit-replication" in line


def test_a_folder_that_hides_nothing_is_no_obstacle(repository: Path) -> None:
    make_own(repository, "folder")
    done = run(repository, "python", "-m", "pytest", "--pyargs", "replication", "--collect-only")
    assert f"replication: {repository}/fixtures: there is no such folder" in done.stderr


RECORD = """
import json, os, sys

def pytest_unconfigure():
    with open(os.environ["MODULES"], "w") as file:
        json.dump(sorted(sys.modules), file)
"""


def test_an_ordinary_run_imports_one_module_more_and_says_and_writes_nothing(
    repository: Path, tmp_path: Path
) -> None:
    with (repository / "conftest.py").open("a", encoding="utf-8") as file:
        file.write(RECORD)
    before = files(repository)
    found = {}
    quiet = ["-q", "--device=tpu", "-p", "no:cacheprovider"]
    for name, options in {"with": [], "without": ["-p", "no:replication"]}.items():
        env = {"MODULES": str(tmp_path / name)}
        done = run(repository, "pytest", *quiet, *options, env=env)
        assert (done.returncode, done.stderr) == (0, "")
        dots, total = done.stdout.splitlines()
        assert (dots.split(), total.split(" in ")[0]) == ([".", "[100%]"], "1 passed")
        found[name] = set(json.loads((tmp_path / name).read_text(encoding="utf-8")))
    assert found["with"] - found["without"] == {"pytest_circuit_replication"}
    # The plugin of jaxtyping, which is required, imports numpy.
    assert found["with"].isdisjoint({"torch", "transformers", "pydantic", "replication"})
    assert files(repository) == before


def test_the_wheel_judges_an_experiment_of_a_repository(repository: Path) -> None:
    assert run(repository, "replication", "new", "claims/mine").returncode == 0
    checked = run(repository, "python", "-m", "replication", "check", "claims/mine")
    assert (checked.returncode, checked.stderr) == (0, "")
    done = run(repository, "pytest", "--pyargs", "replication", "--replication-experiments=claims")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_claims.py" in done.stdout
    assert "test_benchmarks" not in done.stdout
    reports = repository / "reports"
    counts = json.loads((reports / "claims.json").read_text(encoding="utf-8"))["counts"]
    assert counts["published"] == {"holds": 2, "refuted": 1, "undecided": 4, "missing": 0}
    assert (reports / "index.html").is_file()
