"""The pytest plugin's entry point: its options, and where they lead to.

Every run of pytest where the harness is installed loads this module. So it stands outside the
package, whose name a repository's own folder may have, and imports nothing of it until a run asks.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import NoReturn

import pytest

DEVICES = ("auto", "cpu", "cuda", "mps")
LIVE = ("on", "require")
PACKAGE = Path(__file__).resolve().with_name("replication")


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the options of the `replication` group; each is None where it is not given."""
    group = parser.getgroup("replication", "replication of circuit-discovery results")
    group.addoption(
        "--replication-experiments",
        metavar="DIR",
        help="the folder of experiments, or of one (default: the ini-file's, or fixtures/)",
    )
    group.addoption(
        "--replication-experiment",
        metavar="NAME",
        action="append",
        help="only this experiment; may be given several times",
    )
    # Options of their own: one with an optional value would take the path that follows for it.
    group.addoption(
        "--replication-live",
        "--replication-live=on",
        action="store_const",
        const="on",
        dest="replication_live",
        help="also run the models that are at hand",
    )
    group.addoption(
        "--replication-live=require",
        action="store_const",
        const="require",
        dest="replication_live",
        help="the same, and where one is not, missing evidence fails",
    )
    for value in _unknown_ways_to_live(pluginmanager):
        group.addoption(
            f"--replication-live={value}",
            action="store_const",
            const=value,
            dest="replication_live",
            help="refused",
        )
    group.addoption(
        "--replication-model",
        metavar="NAME_OR_FOLDER",
        help="the model to run instead: that of the one --replication-experiment, or of those on"
        " the hub",
    )
    group.addoption(
        "--replication-device",
        metavar="|".join(DEVICES),
        help="where to run models (default: auto, the best there is)",
    )
    group.addoption(
        "--replication-ray",
        metavar="ADDRESS",
        help="run models on a Ray cluster: local starts one here, auto joins the environment's",
    )
    group.addoption(
        "--replication-reports",
        metavar="DIR",
        help="where to write reports (default: the ini-file's, or reports/)",
    )
    parser.addini("replication_experiments", "the folder of experiments, from the ini-file's own")
    parser.addini("replication_reports", "where to write reports, from the ini-file's own folder")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start what judges claims, in a run whose arguments reach them; else rest."""
    for name, known in (("device", DEVICES), ("live", LIVE)):
        value = getattr(config.option, f"replication_{name}")
        if value not in (None, *known):
            found = _shortened(repr(value), 70)
            _refuse(f"--replication-{name}: expected {'|'.join(known)}, found {found}")
    is_asked = _reaches_claims(config)
    if (is_asked or _has_options(config)) and (other := _what_hides_the_package()):
        _refuse(
            f"{_shortened(str(other), 140)} hides the package of pytest-circuit-replication, as"
            " Python finds it first; start from another folder"
        )
    if is_asked:
        from replication.plugin import start

        start(config)


def _unknown_ways_to_live(pluginmanager: pytest.PytestPluginManager) -> list[str]:
    """What `--replication-live=` was given and is none of its values.

    An option of its own for each lets it be refused as other options are, and not by argparse.
    """
    config = pluginmanager.get_plugin("pytestconfig")
    assert isinstance(config, pytest.Config)
    given = [str(argument).partition("=") for argument in config.invocation_params.args]
    values = [value for name, is_given, value in given if is_given and name == "--replication-live"]
    return [value for value in dict.fromkeys(values) if value not in LIVE]


def _refuse(reason: str) -> NoReturn:
    """End with status 2 and one line; `replication` itself may be another package here."""
    place = PACKAGE / "inputs" / "visible.py"
    spec = importlib.util.spec_from_file_location("_replication_visible", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pytest.exit(module.visible(f"replication: {reason}"), returncode=2)


def _shortened(text: str, most: int) -> str:
    half = most // 2
    return text if len(text) <= most else f"{text[: half - 3]}...{text[-half:]}"


def _reaches_claims(config: pytest.Config) -> bool:
    """Whether the command line's arguments lead to the package's tests.

    A folder around the package leads there only in the harness' own repository: elsewhere it is
    one that an environment happens to lie in.
    """
    is_own_repository = config.rootpath.resolve() == PACKAGE.parent
    for argument in config.args:
        place = argument.split("::")[0]
        if config.option.pyargs and place.split(".")[0] == PACKAGE.name:
            return True
        # Not `resolve`, which stops at a link that leads back to itself.
        path = Path(os.path.realpath(config.invocation_params.dir / place))
        if path.is_relative_to(PACKAGE) or (is_own_repository and PACKAGE.is_relative_to(path)):
            return True
    return False


def _has_options(config: pytest.Config) -> bool:
    names = ("experiments", "experiment", "live", "model", "device", "ray", "reports")
    return any(getattr(config.option, f"replication_{name}") is not None for name in names)


def _what_hides_the_package() -> Path | None:
    """The folder or file that Python takes for the package, if it is another."""
    spec = importlib.util.find_spec(PACKAGE.name)
    if spec is None:
        return None
    found = Path([*(spec.submodule_search_locations or ()), str(spec.origin)][0])
    return None if found.resolve() == PACKAGE else found
