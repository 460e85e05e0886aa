"""Reading `claims.json` again: the verdicts of a run, for a badge, or for the next run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from replication.evidence.evidence import Kind as EvidenceKind
from replication.inputs.files import InputError, faulty, is_folder, read_json, validate
from replication.inputs.messages import listed, placed, quoted
from replication.report.data import FORMAT
from replication.report.record import EVIDENCE, Outcome


class _Read(BaseModel):
    """What is read of a file that holds more."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class ReadJudgement(_Read):
    """A claim's verdict on one kind of evidence."""

    evidence: EvidenceKind
    verdict: Outcome
    as_expected: bool | None
    arithmetic: str


class ReadClaim(_Read):
    """A claim with its judgements."""

    id: str
    statement: str
    expect: Literal["holds", "refuted"]
    is_question: bool
    judgements: list[ReadJudgement]


class ReadExperiment(_Read):
    """An experiment with its claims."""

    name: str
    claims: list[ReadClaim]

    @property
    def judged_on(self) -> list[EvidenceKind]:
        """The kinds of evidence that the run judged claims on, or tried to."""
        found = {one.evidence for claim in self.claims for one in claim.judgements}
        return [kind for kind in EVIDENCE if kind in found]


class PartOf(_Read):
    """Of a run of some of the claims: how many judgements it made, of how many."""

    judged: int = Field(ge=0)
    of: int = Field(ge=0)


class ReadReport(_Read):
    """The content of a `claims.json`."""

    experiments: list[ReadExperiment] = Field(min_length=1)
    partial: PartOf | None = None

    def experiment(self, name: str) -> ReadExperiment | None:
        """The experiment of this name, if it is in the report."""
        return next((one for one in self.experiments if one.name == name), None)


def read_report(path: Path) -> ReadReport:
    """The verdicts in a `claims.json`, or in the one in a folder of reports.

    Raises:
        InputError: it is no such file, or one of another format.
    """
    file = path / "claims.json" if is_folder(path) else path
    data = read_json(file)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else data
        reason = f"expected the claims.json of a run, of format {FORMAT!r}, found {quoted(found)}"
        raise faulty(file, [(("format",), reason)])
    return validate(ReadReport, data, file)


def experiment_in(report: ReadReport, name: str, path: Path) -> ReadExperiment:
    """The experiment of a name.

    Raises:
        InputError: there is none in the report; it names those that are.
    """
    found = report.experiment(name)
    if found is None:
        there = listed(quoted(one.name) for one in report.experiments)
        raise InputError(f"{placed(path)}: there is no experiment {quoted(name)}; it has {there}")
    return found
