"""The pinned versions: that they can be installed wherever the project says that it runs."""

from __future__ import annotations

import importlib.metadata
import tomllib
from collections.abc import Iterator

from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name

from tests.paths import ROOT


def pinned() -> dict[str, str]:
    """The version of every package that is pinned."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


def installed_as_pinned() -> Iterator[importlib.metadata.Distribution]:
    """What is here of it: what only the benchmarks' peers take is not."""
    pins = pinned()
    for found in importlib.metadata.distributions():
        name = canonicalize_name(found.metadata["Name"])
        if found.version.partition("+")[0] == pins.get(name):
            yield found


def test_every_pinned_version_runs_on_the_lowest_python() -> None:
    """A system's own Python is seldom its minor version's last release."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (lowest,) = (Specifier(one).version for one in project["requires-python"].split(","))
    needs = {
        found.metadata["Name"]: found.metadata["Requires-Python"] or ""
        for found in installed_as_pinned()
    }
    assert needs
    refusing = {
        name: python
        for name, python in needs.items()
        if not SpecifierSet(python).contains(f"{lowest}.0")
    }
    assert not refusing
