"""What a run that judges claims does: one test per claim and evidence, and reports at the end.

The entry point, `pytest_circuit_replication`, has the options, and starts this where a run's
arguments reach the claim tests of this package.
"""

from __future__ import annotations

import functools
import os
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pytest_circuit_replication as entry_point
from pytest_circuit_replication import PACKAGE

if TYPE_CHECKING:
    from replication.report.made import Made
    from replication.report.record import Handover
    from replication.session import Session

HANDOVER: pytest.StashKey[Handover] = pytest.StashKey()


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Stand for the entry point, where this module is named instead: `-p replication.plugin`."""
    if not pluginmanager.is_registered(entry_point):
        name = "replication"
        is_taken = pluginmanager.has_plugin(name) or pluginmanager.is_blocked(name)
        pluginmanager.register(entry_point, None if is_taken else name)


def start(config: pytest.Config) -> None:
    """Read every experiment and claim, before anything is collected or any model is loaded."""
    from replication.inputs.files import InputError
    from replication.inputs.messages import one_line
    from replication.report.record import EVIDENCE

    _end_on_sigterm(config)
    for kind in EVIDENCE:
        config.addinivalue_line("markers", f"{kind}: a claim that is judged on {kind} evidence")
    try:
        hooks = Hooks(config)
    except (InputError, OSError) as error:
        pytest.exit(one_line(f"replication: {error}"), returncode=2)
    config.pluginmanager.register(hooks, "replication-hooks")


def _end_on_sigterm(config: pytest.Config) -> None:
    """End a run on SIGTERM as on Ctrl-C, unless somebody else listens to it."""
    is_free = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if is_free and threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)

        def restore() -> None:
            signal.signal(signal.SIGTERM, before)

        config.add_cleanup(restore)


class Hooks:
    """What a run that judges claims does at pytest's hooks."""

    def __init__(self, config: pytest.Config) -> None:
        from replication.inputs.files import InputError
        from replication.inputs.folders import check_writable
        from replication.inputs.visible import visible
        from replication.report.write import check_place
        from replication.session import Options, Session

        option = config.option
        self.config = config
        self.reports = _folder(config, "replication_reports", "reports")
        self.written: Path | None = None
        self.made: Made | None = None
        self.problem: str | None = None
        if visible(str(self.reports)) != str(self.reports):
            raise InputError(
                f"{self.reports}: expected a folder for reports whose path has no control"
                " characters, as pytest prints it"
            )
        self.session = Session(
            Options(
                _folder(config, "replication_experiments", "fixtures"),
                config.invocation_params.dir,
                option.replication_experiment or (),
                option.replication_live,
                option.replication_model,
                option.replication_device or "auto",
                option.replication_ray,
            ),
            self._terminal,
        )
        if self.is_worker:
            return
        if not option.collectonly:
            check_writable(self.reports)
        check_place(self.reports, self.session.folders, list(self._not_for_reports()))
        if not getattr(option, "xmlpath", None):
            option.xmlpath = os.devnull  # the report has a copy of its own

    def _not_for_reports(self) -> Iterator[Path]:
        """Folders that reports do not belong into: the package, and the experiments' own.

        But a run that is started among the experiments has its reports there.
        """
        yield PACKAGE
        experiments = self.session.options.experiments.resolve()
        if not self.config.invocation_params.dir.resolve().is_relative_to(experiments):
            yield experiments

    @property
    def is_worker(self) -> bool:
        """Whether this is a process of pytest-xdist, which hands over what it finds."""
        return hasattr(self.config, "workerinput")

    @pytest.fixture
    def replication_session(self) -> Session:
        """The state of this run."""
        return self.session

    @contextmanager
    def _terminal(self) -> Iterator[None]:
        """Let a progress bar reach the terminal while pytest captures output."""
        capture = self.config.pluginmanager.getplugin("capturemanager")
        if capture is None:
            yield
        else:
            with capture.global_and_fixture_disabled():
                yield

    def pytest_report_header(self) -> list[str]:
        """Name the experiments and their models, before anything runs."""
        from replication.inputs.visible import visible
        from replication.report.terminal import header

        counts = {name: len(claims) for name, claims in self.session.claims.items()}
        return list(map(visible, header(counts, self.session.models())))

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test of every case."""
        if "case" in metafunc.fixturenames and metafunc.module.__name__.endswith("test_claims"):
            from replication.inputs.visible import visible

            cases = [
                pytest.param(case, id=visible(case.id), marks=getattr(pytest.mark, case.evidence))
                for case in self.session.cases()
            ]
            metafunc.parametrize("case", cases)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Let `--collect-only -v` show the statement, where pytest shows a test's docstring."""
        from replication.inputs.visible import visible
        from replication.session import Case

        if self.config.option.collectonly and isinstance(item, pytest.Function):
            case = item.callspec.params.get("case") if hasattr(item, "callspec") else None
            if isinstance(case, Case):
                item.obj = functools.partial(item.obj)
                item.obj.__doc__ = visible(f"{case.claim.id}: {case.claim.said}")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Hand over what came out with the test's report, from whichever process it ran in."""
        outcome: Any = yield
        report = outcome.get_result()
        if report.when == "call" and (handover := item.stash.get(HANDOVER, None)):
            report.replication = handover.model_dump(mode="json")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect what was handed over."""
        from replication.report.record import Handover

        if handover := getattr(report, "replication", None):
            self.session.collect(Handover.model_validate(handover))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """Write the report, when pytest has written its own; it is not the workers' to write."""
        from replication.inputs.files import InputError

        try:
            yield
        except OSError as error:
            self.problem = f"replication: pytest could not write: {error}"
        if not self.is_worker:
            try:
                self._write()
            except (InputError, OSError) as error:
                self.problem = f"replication: the report could not be written: {error}"
        if self.problem is not None:
            session.exitstatus = 2

    def _write(self) -> None:
        from replication.inputs.cache import cache_folder
        from replication.inputs.visible import visible
        from replication.report.github import append_outputs, append_summary
        from replication.report.made import made_by
        from replication.report.page.page import drawing_library
        from replication.report.write import write_report

        reports = list(self.session.reports.values())
        if not any(report.found for report in reports):
            return
        command = visible(shlex.join(["pytest", *map(str, self.config.invocation_params.args)]))
        library = drawing_library(cache_folder("page"))
        self.made = made_by(command, self.session.options.experiments)
        self.written = write_report(self.reports, reports, self.made, library, self._write_junit)
        for plugin in self._junit():
            plugin.logfile = str(self.written / "junit.xml")  # where pytest says that it is
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            markdown = (self.written / "claims.md").read_text(encoding="utf-8")
            append_summary(Path(summary), markdown, reports)
        if outputs := os.environ.get("GITHUB_OUTPUT"):
            append_outputs(Path(outputs), reports, self.written)

    def _junit(self) -> list[Any]:
        """What writes the tests as XML, if nobody else asked for them."""
        plugins = self.config.pluginmanager.get_plugins()
        return [one for one in plugins if getattr(one, "logfile", None) == os.devnull]

    def _write_junit(self, path: Path) -> None:
        for plugin in self._junit():
            plugin.logfile = str(path)
            try:
                plugin.pytest_sessionfinish()
            finally:
                plugin.logfile = os.devnull

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say in a screenful what was found, what was not judged, and where the report is."""
        from replication.inputs.messages import one_line
        from replication.inputs.visible import visible
        from replication.report.terminal import summary

        session = self.session
        reports = list(session.reports.values())
        if any(report.found for report in reports):
            terminalreporter.section("replication")
            for line, markup in summary(reports, session.options.live, self.written, self.made):
                terminalreporter.write_line(visible(line), **markup)
        elif session.options.live is None and not self.config.option.collectonly:
            terminalreporter.section("replication")
            terminalreporter.write_line(
                "nothing was judged; with --replication-live claims are judged live"
            )
        if self.problem is not None:
            terminalreporter.write_line(one_line(self.problem), red=True)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            from replication.report.annotations import annotate

            for one in session.experiments:
                claims = one.folder / one.spec.claims
                for line in annotate(session.reports[one.name], claims):
                    terminalreporter.write_line(line)


def _folder(config: pytest.Config, name: str, default: str) -> Path:
    """A folder: as the option says, or the ini-file, or by default where the command was started.

    Not in pytest's root folder, which depends on whether an option's value is a word of its own.
    """
    from replication.inputs.files import followed

    started_in = config.invocation_params.dir
    option: str | None = getattr(config.option, name)
    if option is not None:
        return followed(started_in / option)
    ini_file, setting = _setting(config, name)
    if setting:
        return followed(ini_file.parent / setting)
    return started_in / default


def _setting(config: pytest.Config, name: str) -> tuple[Path, str]:
    """A setting, and the ini-file that it stands in.

    That is the one that pytest found, unless it found it, or none, by the value of an option.
    """
    from replication.inputs.files import followed
    from replication.inputs.settings import settings_around

    started_in = config.invocation_params.dir
    found = config.inipath
    if found is not None:
        places = [started_in, *(started_in / argument.split("::")[0] for argument in config.args)]
        is_around = any(followed(place).is_relative_to(followed(found.parent)) for place in places)
        if is_around or config.option.inifilename:
            return found, str(config.getini(name))
    path, settings = settings_around(started_in) or (started_in, {})
    return path, str(settings.get(name, ""))
