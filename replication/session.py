"""A run: the experiments it judges, their evidence, made once, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from replication.claims.claim import (
    Claim,
    failure_message,
    judge_claim,
    judged_on,
    read_claims,
)
from replication.controls.verify import Controls, verify
from replication.engine.locate import is_at_hand, is_local, label
from replication.engine.models import Device
from replication.engine.spread import Spread
from replication.evidence.evidence import (
    Evidence,
    EvidenceMissing,
    Kind,
    circuits_of,
    live_evidence,
    published_evidence,
    recorded_evidence,
)
from replication.evidence.runs import load_for, run_model
from replication.experiment.spec import Experiment, find_experiments, read_experiment
from replication.inputs.files import InputError
from replication.inputs.hub import NotAtHand
from replication.inputs.messages import listed, one_line, placed, quoted, shortened
from replication.report.causal_handover import causal_records
from replication.report.handover import (
    against_published,
    controls_records,
    differences,
    figures,
    judged_record,
    measured_files,
    missing_record,
    operating_records,
    provenance_of,
)
from replication.report.record import ExperimentReport, Handover


@dataclass(frozen=True)
class Options:
    """What a run is asked for; `started_in` is the folder that a model's path is told from.

    `live` runs the models at hand; `require` also makes missing live evidence a failure. They are
    run on the cluster whose address `ray` is, or in this process.
    """

    experiments: Path
    started_in: Path
    names: Sequence[str] = ()
    live: Literal["on", "require"] | None = None
    model: str | None = None
    device: Device = "auto"
    ray: str | None = None


@dataclass(frozen=True)
class Case:
    """One claim on one kind of evidence: one test."""

    experiment: Experiment
    claim: Claim
    evidence: Kind

    @property
    def id(self) -> str:
        """What `pytest -k` selects by."""
        return f"{self.experiment.name}-{self.claim.id}-{self.claim.kinds()}-{self.evidence}"


@dataclass(frozen=True)
class Found:
    """What came out of a case: what is handed over, and what its test says.

    `failure` is why the test fails, `skipped` why it is skipped; neither is set where the verdict
    is the expected one.
    """

    handover: Handover
    failure: str | None = None
    skipped: str | None = None


class Grounds(NamedTuple):
    """What claims are judged on."""

    evidence: Evidence
    controls: Controls


class Session:
    """One run: every experiment and claim is read before anything is judged.

    `folders` are those of all experiments there are, `experiments` those that are asked for.

    Raises:
        InputError: a file or an option cannot be used.
    """

    def __init__(
        self,
        options: Options,
        show_progress: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.options = options
        self.folders = {path.name: path for path in find_experiments(options.experiments)}
        self.experiments = _read_experiments(options, self.folders)
        asked = {one.name for one in self.experiments}
        left_out = [name for name in self.folders if name not in asked]
        self.claims = {one.name: read_claims(one) for one in self.experiments}
        _check_ids(self.cases())
        self.published = {one.name: published_evidence(one) for one in self.experiments}
        self.reports = {
            one.name: ExperimentReport(
                one.name,
                one.spec.title,
                self.claims[one.name],
                bool(one.spec.results or self.published[one.name].figures),
                [(case.claim.id, case.evidence) for case in self._cases_of(one)],
                left_out,
                list(one.spec.behaviour),
            )
            for one in self.experiments
        }
        self._show_progress = show_progress
        self._grounds: dict[tuple[str, Kind], Grounds | Exception] = {}
        self._handed_over: set[tuple[str, Kind]] = set()
        self._check_model()

    def _check_model(self) -> None:
        """Refuse a model or a device that is not there, once, before anything runs."""
        if self.options.live is None:
            if self.options.model:
                raise InputError("--replication-model: models run only with --replication-live")
            if self.options.ray:
                raise InputError("--replication-ray: models run only with --replication-live")
            return
        from replication.engine.locate import locate
        from replication.engine.models import choose_device

        if self.options.device != "auto":
            choose_device(self.options.device)
        if self.options.model:
            replaced = [one for one in self.experiments if self._model_for(one)]
            if not replaced:
                raise InputError(
                    "--replication-model: no selected experiment takes its model from the hub;"
                    " --replication-experiment names the one whose model to replace"
                )
            locate(replaced[0].spec.model, self._model_for(replaced[0]))

    def _model_for(self, experiment: Experiment) -> str | None:
        """The model that replaces the experiment's own, if one does."""
        only_one = self.options.names and len(self.experiments) == 1
        if only_one or experiment.spec.model.name is not None:
            model = self.options.model
            if not model:
                return model
            place = self.options.started_in / model
            return str(place) if is_local(place) else model
        return None

    def cases(self) -> list[Case]:
        """Every claim on every kind of evidence that this run judges."""
        return [case for one in self.experiments for case in self._cases_of(one)]

    def _cases_of(self, experiment: Experiment) -> Iterator[Case]:
        for claim in self.claims[experiment.name]:
            for kind in judged_on(claim, experiment.spec):
                if kind != "live" or self.options.live:
                    yield Case(experiment, claim, kind)

    def models(self) -> dict[str, bool]:
        """The models of the experiments, by what provenance calls them: whether each is at hand.

        The hub is not asked. Where several are called the same, all of them have to be.
        """
        found: dict[str, bool] = {}
        for one in self.experiments:
            spec, override = one.spec.model, self._model_for(one)
            name = label(spec, override)
            found[name] = found.get(name, True) and is_at_hand(spec, override)
        return found

    def make_evidence(self, case: Case) -> None:
        """Make the evidence of a case, unless it is made; `judge` says why it cannot be."""
        with suppress(EvidenceMissing, InputError):
            self.grounds(case.experiment, case.evidence)

    def judge(self, case: Case) -> Found:
        """The case's verdict, or why there is none."""
        name, kind = case.experiment.name, case.evidence
        try:
            evidence, controls = self.grounds(case.experiment, kind)
        except (EvidenceMissing, InputError) as error:
            is_required = kind == "live" and self.options.live == "require"
            fails = isinstance(error, InputError) or is_required
            reason = one_line(error)
            handover = Handover(judgement=missing_record(name, case.claim, kind, reason, fails))
            if fails:
                return Found(handover, failure=f"{case.claim.id}: {reason}")
            return Found(handover, skipped=f"no {kind} evidence: {reason}")

        judgement = judge_claim(case.claim, evidence, controls)
        handover = Handover(
            judgement=judged_record(name, judgement, evidence.spec),
            provenance=provenance_of(evidence),
        )
        if (name, kind) not in self._handed_over:
            self._handed_over.add((name, kind))
            handover = handover.model_copy(
                update={
                    "controls": list(controls_records(controls, evidence)),
                    "figures": figures(case.experiment, evidence),
                    "differences": differences(evidence),
                    "files": measured_files(evidence),
                    "operating": operating_records(self.claims[name], evidence, controls),
                    "causal": causal_records(self.claims[name], evidence, controls),
                    "against": against_published(
                        self.published[name].results.get(evidence.spec.measures), evidence
                    ),
                }
            )
        if judgement.as_expected is None:
            return Found(handover, skipped=f"undecided on {kind} evidence: {judgement.arithmetic}")
        if not judgement.as_expected:
            return Found(handover, failure=failure_message(judgement))
        return Found(handover)

    def grounds(self, experiment: Experiment, kind: Kind) -> Grounds:
        """The experiment's evidence of a kind and the controls on it, made once.

        Raises:
            EvidenceMissing: there is none.
            InputError: what there is cannot be used.

        """
        key = (experiment.name, kind)
        if key not in self._grounds:
            try:
                evidence = self._make_evidence(experiment, kind)
                self._grounds[key] = Grounds(evidence, verify(evidence))
            except NotAtHand as error:
                self._grounds[key] = EvidenceMissing(str(error))
            except (EvidenceMissing, InputError) as error:
                self._grounds[key] = error
        found = self._grounds[key]
        if isinstance(found, Exception):
            raise found
        return found

    def _make_evidence(self, experiment: Experiment, kind: Kind) -> Evidence:
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
        model, spread = self._model_for(experiment), Spread(self.options.ray)
        with (
            self._show_progress(),
            load_for(experiment.spec, model, self.options.device, spread=spread) as loaded,
        ):
            runs = run_model(
                loaded,
                experiment,
                runs=2 if asks_twice else 1,
                with_random=experiment.spec.verification.random_weights,
                with_interventions=experiment.spec.ablation.live,
                published=circuits_of(published),
            )
        return live_evidence(experiment, published, runs)

    def collect(self, handover: Handover) -> None:
        """Take over what came out of a case, from whichever process it ran in."""
        self.reports[handover.judgement.experiment].take(handover)


def _read_experiments(options: Options, folders: Mapping[str, Path]) -> list[Experiment]:
    """The experiments that are asked for, one that a link leads to as well once."""
    wanted = options.names or list(folders)
    for name in wanted:
        if name not in folders:
            raise InputError(
                f"{placed(options.experiments)}: there is no experiment {quoted(name)};"
                f" it has {listed(folders)}"
            )
    read = (read_experiment(folders[name]) for name in wanted)
    return list({one.folder: one for one in read}.values())


def _check_ids(cases: Sequence[Case]) -> None:
    """Refuse claims of several experiments that would have one test's id."""
    seen: dict[str, Case] = {}
    for case in cases:
        first = seen.setdefault(case.id, case)
        if first is not case:
            raise InputError(
                f"{placed(case.experiment.folder / case.experiment.spec.claims)}:"
                f" claim {quoted(case.claim.id)} has the test id of {quoted(first.claim.id)} of"
                f" {quoted(first.experiment.name)}, {shortened(case.id)}; rename one"
            )
