"""The pytest plugin: options, one test per claim and evidence, and what is written at the end.

It is at rest unless the run's arguments reach the claim tests of this package.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from replication.inputs.files import InputError

if TYPE_CHECKING:
    from replication.claims.claim import Claim
    from replication.controls.verify import Verification
    from replication.evidence.evidence import Evidence
    from replication.evidence.evidence import Kind as EvidenceKind
    from replication.experiment.spec import Experiment

PACKAGE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the `replication` group."""
    group = parser.getgroup("replication", "replication of circuit-discovery results")
    group.addoption(
        "--experiments",
        metavar="DIR",
        help="the folder of experiments (default: fixtures/ in the root folder)",
    )
    group.addoption(
        "--experiment",
        metavar="NAME",
        action="append",
        help="only this experiment; may be given several times",
    )
    group.addoption(
        "--live",
        nargs="?",
        const="on",
        choices=["on", "require"],
        help="also run the models that are at hand; with `require`, missing evidence fails",
    )
    group.addoption(
        "--model",
        metavar="NAME_OR_FOLDER",
        help="the model to run instead: of the one --experiment, or of those on the hub",
    )
    group.addoption(
        "--device",
        choices=["auto", "cpu", "cuda", "mps"],
        default="auto",
        help="where to run models (default: auto, the best there is)",
    )
    group.addoption(
        "--reports",
        metavar="DIR",
        help="where to write reports (default: reports/ in the root folder)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read every experiment and claim, before anything is collected or any model is loaded."""
    if not _reaches_claims(config):
        return
    try:
        session = ClaimSession(config)
    except InputError as error:
        pytest.exit(f"replication: {error}", returncode=2)
    config.pluginmanager.register(session, "replication-session")


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


@dataclass(frozen=True)
class Case:
    """One claim on one kind of evidence: one test."""

    experiment: Experiment
    claim: Claim
    evidence: EvidenceKind

    @property
    def id(self) -> str:
        """What `pytest -k` selects by."""
        return f"{self.experiment.name}-{self.claim.id}-{self.claim.kinds()}-{self.evidence}"


class ClaimSession:
    """The state of one run: what was read, the evidence at hand, and what was judged."""

    def __init__(self, config: pytest.Config) -> None:
        from replication.claims.claim import read_claims
        from replication.evidence.evidence import published_evidence
        from replication.report.text import ExperimentReport

        self.config = config
        self.live: str | None = config.option.live
        self.reports = self._folder(config.option.reports, "reports")
        self.experiments = self._read_experiments()
        self.claims = {one.name: read_claims(one) for one in self.experiments}
        self.published = {one.name: published_evidence(one) for one in self.experiments}
        self.report = {
            one.name: ExperimentReport(
                one.name, one.spec.title, self.claims[one.name], bool(one.spec.results)
            )
            for one in self.experiments
        }
        self._evidence: dict[tuple[str, EvidenceKind], Evidence | Exception] = {}
        self._verifications: dict[tuple[str, EvidenceKind], list[Verification]] = {}
        self._handed_over: set[tuple[str, EvidenceKind]] = set()
        self._check_options()
        if not config.option.xmlpath:
            config.option.xmlpath = str(self.reports / "junit.xml")

    def _folder(self, option: str | None, default: str) -> Path:
        if option is None:
            return self.config.rootpath / default
        return (self.config.invocation_params.dir / option).resolve()

    def _read_experiments(self) -> list[Experiment]:
        from replication.experiment.spec import find_experiments, read_experiment

        folder = self._folder(self.config.option.experiments, "fixtures")
        found = {path.name: path for path in find_experiments(folder)}
        wanted = self.config.option.experiment or list(found)
        for name in wanted:
            if name not in found:
                raise InputError(
                    f"{folder}: there is no experiment {name!r}; it has {', '.join(found)}"
                )
        return [read_experiment(found[name]) for name in dict.fromkeys(wanted)]

    def _check_options(self) -> None:
        """Refuse a model or a device that is not there, once, before anything runs."""
        if self.live is None:
            if self.config.option.model:
                raise InputError("--model: models run only with --live")
            return
        from replication.engine.locate import locate
        from replication.engine.models import choose_device

        if self.config.option.device != "auto":
            choose_device(self.config.option.device)
        if self.config.option.model:
            replaced = [one for one in self.experiments if self._model_for(one)]
            if not replaced:
                raise InputError(
                    "--model: no selected experiment takes its model from the hub;"
                    " --experiment names the one whose model to replace"
                )
            locate(replaced[0].spec.model, self._model_for(replaced[0]))

    def _model_for(self, experiment: Experiment) -> str | None:
        """The model that replaces the experiment's own, if one does."""
        only_one = self.config.option.experiment and len(self.experiments) == 1
        if only_one or experiment.spec.model.name is not None:
            model: str | None = self.config.option.model
            if model and (self.config.invocation_params.dir / model).is_dir():
                return str(self.config.invocation_params.dir / model)
            return model
        return None

    def cases(self) -> list[Case]:
        """Every claim on every kind of evidence that this run judges."""
        from replication.claims.claim import judged_on

        return [
            Case(experiment, claim, kind)
            for experiment in self.experiments
            for claim in self.claims[experiment.name]
            for kind in judged_on(claim, experiment.spec)
            if kind != "live" or self.live
        ]

    def evidence(self, experiment: Experiment, kind: EvidenceKind) -> Evidence:
        """The experiment's evidence of a kind, with what the controls find on it; made once.

        Raises:
            EvidenceMissing: there is none.
            InputError: what there is cannot be used.

        """
        from replication.evidence.evidence import EvidenceMissing
        from replication.inputs.hub import NotAtHand

        key = (experiment.name, kind)
        if key not in self._evidence:
            try:
                self._evidence[key] = self._verified(key, self._make_evidence(experiment, kind))
            except NotAtHand as error:
                self._evidence[key] = EvidenceMissing(str(error))
            except (EvidenceMissing, InputError) as error:
                self._evidence[key] = error
        found = self._evidence[key]
        if isinstance(found, Exception):
            raise found
        return found

    def _verified(self, key: tuple[str, EvidenceKind], evidence: Evidence) -> Evidence:
        from replication.controls.verify import findings, verify

        self._verifications[key] = verify(evidence)
        return replace(evidence, controls=findings(self._verifications[key]))

    def verification(self, experiment: Experiment, kind: EvidenceKind) -> list[dict[str, Any]]:
        """What the controls found on this evidence, as plain data; handed over once."""
        from replication.controls.verify import verification_json

        return verification_json(self._verifications.pop((experiment.name, kind), []))

    def _make_evidence(self, experiment: Experiment, kind: EvidenceKind) -> Evidence:
        from replication.evidence.evidence import live_evidence, recorded_evidence, run_model

        published = self.published[experiment.name]
        if kind == "published":
            return published
        if kind == "recorded":
            return recorded_evidence(experiment, published)
        asks_twice = any(
            check.kind == "determinism"
            for claim in self.claims[experiment.name]
            for check in claim.check
        )
        with self._terminal():
            runs = run_model(
                experiment,
                self._model_for(experiment),
                self.config.option.device,
                runs=2 if asks_twice else 1,
            )
        return live_evidence(experiment, published, runs)

    def figures_to_hand_over(
        self, experiment: Experiment, evidence: Evidence
    ) -> dict[str, Any] | None:
        """What the pictures of this evidence need: once for each process, with a first record."""
        from replication.report.figures import figures

        key = (experiment.name, evidence.kind)
        if key in self._handed_over:
            return None
        self._handed_over.add(key)
        return figures(experiment, evidence)

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
            cases = self.cases()
            metafunc.parametrize("case", cases, ids=[case.id for case in cases])

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Hand a test's record over with its report, from whichever process it ran in."""
        outcome: Any = yield
        report = outcome.get_result()
        if report.when == "call" and (record := item.stash.get(RECORD, None)):
            report.replication = record

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the records."""
        if record := getattr(report, "replication", None):
            found = self.report[record["experiment"]]
            found.records.append(record["record"])
            found.provenance[record["record"]["evidence"]] = record["provenance"]
            found.add_verifications(record["verification"])
            if record.get("figures"):
                found.figures[record["record"]["evidence"]] = record["figures"]

    def pytest_sessionfinish(self) -> None:
        """Write the reports; a worker process writes only what it measured."""
        from replication.report.page.page import write_page
        from replication.report.text import write_measured, write_reports

        is_worker = hasattr(self.config, "workerinput")
        if not is_worker and not any(report.records for report in self.report.values()):
            return
        for experiment in self.experiments:
            measured = self._measured(experiment)
            folder = self.reports / experiment.name
            if not is_worker and not self.config.getoption("numprocesses", None):
                shutil.rmtree(folder, ignore_errors=True)
            if measured is not None:
                write_measured(folder, measured)
        if is_worker:
            return
        self._explain_differences()
        reports = list(self.report.values())
        markdown = write_reports(self.reports, reports, self._command())
        cache = getattr(self.config, "cache", None)
        write_page(
            self.reports, reports, self._command(), cache and Path(cache.mkdir("replication"))
        )
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(markdown)

    def _measured(self, experiment: Experiment) -> Evidence | None:
        """The best measured evidence of this run: live before recorded."""
        for kind in ("live", "recorded"):
            found = self._evidence.get((experiment.name, kind))
            if found is not None and not isinstance(found, Exception):
                return found
        return None

    def _explain_differences(self) -> None:
        from replication.report.text import differences

        for experiment in self.experiments:
            evidence = self._measured(experiment) or self.published[experiment.name]
            self.report[experiment.name].differences = {
                f"How {experiment.spec.measures} ({evidence.kind}) differs from {other}": lines
                for other, lines in differences(evidence).items()
            }

    def _command(self) -> str:
        return shlex.join(["pytest", *map(str, self.config.invocation_params.args)])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say in a screenful what was found, what was not judged, and where the report is."""
        from replication.report.terminal import summary

        if any(report.records for report in self.report.values()):
            terminalreporter.section("replication")
            for line, markup in summary(list(self.report.values()), self.live, self.reports):
                terminalreporter.write_line(line, **markup)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            from replication.report.annotations import annotate

            for one in self.experiments:
                claims = one.folder / one.spec.claims
                for line in annotate(self.report[one.name], claims):
                    terminalreporter.write_line(line)


RECORD = pytest.StashKey[dict[str, Any]]()


@pytest.fixture
def claim_session(pytestconfig: pytest.Config) -> ClaimSession:
    """The state of this run."""
    session = pytestconfig.pluginmanager.getplugin("replication-session")
    assert isinstance(session, ClaimSession)
    return session
