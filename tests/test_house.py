"""The house: a folder for each part of the way, each importing only from those before it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.paths import ROOT

PACKAGE = ROOT / "replication"
HOUSE = [
    "inputs",
    "circuits",
    "arithmetic",
    "experiment",
    "engine",
    "evidence",
    "controls",
    "claims",
    "report",
    "commands",
    "session",
    "plugin",
    "test_claims",
    "cli",
    "__main__",
    "benchmarks",
]
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 60  # lines of a function: a screen, with its docstring


def name_of(path: Path) -> str:
    """A module's name; a package's is that of its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """The modules that one imports, at its top or anywhere in it."""
    known = {name_of(module) for module in MODULES}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else str(node.module)


def room(module: str) -> str:
    """The folder, or the module at the top, in which a module of the package stands."""
    return module.split(".")[1]


OWN = {
    name_of(path): {one for one in imported(path) if one.startswith("replication.")}
    for path in MODULES
    if path != PACKAGE / "__init__.py"
}


@pytest.mark.parametrize("module", OWN)
def test_a_module_imports_only_from_rooms_before_its_own(module: str) -> None:
    allowed = HOUSE[: HOUSE.index(room(module)) + 1]
    assert {room(other) for other in OWN[module]} <= set(allowed)


def test_no_module_leads_back_to_itself() -> None:
    assert len(list(TopologicalSorter(OWN).static_order())) >= len(OWN)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_engine_knows_the_libraries_that_run_models(path: Path) -> None:
    known = {module.split(".")[0] for module in imported(path)}
    if "replication/engine" not in path.as_posix():
        assert known.isdisjoint({"torch", "transformers", "transformer_lens"})


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"])
def test_a_package_face_is_its_docstring_alone(path: Path) -> None:
    (docstring,) = ast.parse(path.read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    functions = {
        node.name: (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: lines for name, lines in functions.items() if lines > LONGEST} == {}


def test_the_document_shows_the_house_as_it_is() -> None:
    text = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
    block = re.search("```text\n(.+?)```", text, re.S)
    assert block is not None
    rooms = re.findall(r"^(\w+)(?:/|\.py)", block[1], re.M)
    assert rooms == [name for name in HOUSE if not name.startswith("_")]
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert folders == {name for name in HOUSE if (PACKAGE / name).is_dir()}
