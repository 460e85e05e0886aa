"""The pytest plugin: options, one test per claim and evidence, and what is written at the end.

It is at rest unless the run's arguments reach the claim tests of this package.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from replication.inputs.files import InputError

if TYPE_CHECKING:
    from replication.session import Session

PACKAGE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the `replication` group."""
    group = parser.getgroup("replication", "replication of circuit-discovery results")
    group.addoption(
        "--replication-experiments",
        metavar="DIR",
        help="the folder of experiments (default: fixtures/ in the root folder)",
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
    group.addoption(
        "--replication-model",
        metavar="NAME_OR_FOLDER",
        help="the model to run instead: that of the one --replication-experiment, or of those on"
        " the hub",
    )
    group.addoption(
        "--replication-device",
        choices=["auto", "cpu", "cuda", "mps"],
        help="where to run models (default: auto, the best there is)",
    )
    group.addoption(
        "--replication-reports",
        metavar="DIR",
        help="where to write reports (default: reports/ in the root folder)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read every experiment and claim, before anything is collected or any model is loaded."""
    if not _reaches_claims(config):
        return
    try:
        hooks = Hooks(config)
    except InputError as error:
        pytest.exit(f"replication: {error}", returncode=2)
    config.pluginmanager.register(hooks, "replication-hooks")


def _reaches_claims(config: pytest.Config) -> bool:
    """Whether the command line's arguments lead to this package's tests."""
    for argument in config.args:
        place = argument.split("::")[0]
        if config.option.pyargs and place.split(".")[0] == PACKAGE.name:
            return True
        path = (config.invocation_params.dir / place).resolve()
        if PACKAGE.is_relative_to(path) or path.is_relative_to(PACKAGE):
            return True
    return False


class Hooks:
    """What a run that judges claims does at pytest's hooks."""

    def __init__(self, config: pytest.Config) -> None:
        from replication.session import Options, Session

        option = config.option
        self.config = config
        self.reports = _folder(config, option.replication_reports, "reports")
        self.session = Session(
            Options(
                _folder(config, option.replication_experiments, "fixtures"),
                config.invocation_params.dir,
                option.replication_experiment or (),
                option.replication_live,
                option.replication_model,
                option.replication_device or "auto",
            ),
            self._terminal,
        )
        if not option.xmlpath:
            option.xmlpath = str(self.reports / "junit.xml")

    @contextmanager
    def _terminal(self) -> Iterator[None]:
        """Let a progress bar reach the terminal while pytest captures output."""
        capture = self.config.pluginmanager.getplugin("capturemanager")
        if capture is None:
            yield
        else:
            with capture.global_and_fixture_disabled():
                yield

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test of every case."""
        if "case" in metafunc.fixturenames and metafunc.module.__name__.endswith("test_claims"):
            cases = self.session.cases()
            metafunc.parametrize("case", cases, ids=[case.id for case in cases])

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Hand over what came out with the test's report, from whichever process it ran in."""
        outcome: Any = yield
        report = outcome.get_result()
        if report.when == "call" and (handover := item.stash.get(HANDOVER, None)):
            report.replication = handover

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect what was handed over."""
        if handover := getattr(report, "replication", None):
            self.session.collect(handover)

    def pytest_sessionfinish(self) -> None:
        """Write the reports; a worker process writes only what it measured."""
        from replication.report.page.page import write_page
        from replication.report.text import write_measured, write_reports

        session = self.session
        is_worker = hasattr(self.config, "workerinput")
        if not is_worker and not any(report.records for report in session.report.values()):
            return
        for experiment in session.experiments:
            measured = session.measured(experiment)
            folder = self.reports / experiment.name
            if not is_worker and not self.config.getoption("numprocesses", None):
                shutil.rmtree(folder, ignore_errors=True)
            if measured is not None:
                write_measured(folder, measured)
        if is_worker:
            return
        reports = session.reports()
        command = shlex.join(["pytest", *map(str, self.config.invocation_params.args)])
        markdown = write_reports(self.reports, reports, command)
        cache = getattr(self.config, "cache", None)
        write_page(self.reports, reports, command, cache and Path(cache.mkdir("replication")))
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(markdown)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say in a screenful what was found, what was not judged, and where the report is."""
        from replication.report.terminal import summary

        session = self.session
        if any(report.records for report in session.report.values()):
            terminalreporter.section("replication")
            reports = list(session.report.values())
            for line, markup in summary(reports, session.options.live, self.reports):
                terminalreporter.write_line(line, **markup)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            from replication.report.annotations import annotate

            for one in session.experiments:
                claims = one.folder / one.spec.claims
                for line in annotate(session.report[one.name], claims):
                    terminalreporter.write_line(line)


def _folder(config: pytest.Config, option: str | None, default: str) -> Path:
    if option is None:
        return config.rootpath / default
    return (config.invocation_params.dir / option).resolve()


HANDOVER = pytest.StashKey[dict[str, Any]]()


@pytest.fixture
def replication_session(pytestconfig: pytest.Config) -> Session:
    """The state of this run."""
    hooks = pytestconfig.pluginmanager.getplugin("replication-hooks")
    assert isinstance(hooks, Hooks)
    return hooks.session
