"""Prospects: which questions an experiment can answer as it stands, and what the others lack.

The questions, and what each is answered by, are those of `answers`, which does it once it is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from replication.evidence.evidence import Kind
from replication.report.answers import (
    ADDS_UP,
    DOES,
    MEANS,
    NO_BEHAVIOUR,
    QUESTIONS,
    REPLICATES,
    RUNS,
    Question,
    asks,
)
from replication.report.record import ExperimentReport


@dataclass(frozen=True)
class AtHand:
    """What there is to answer with: of each kind of evidence that is not there, why.

    `interventions` and `lengths` are why a kind cannot tell what a circuit does, or what the scores
    mean, though it is there; `is_measured` is whether a run measures a published result.
    """

    lacking: Mapping[Kind, str]
    interventions: Mapping[Kind, str]
    lengths: Mapping[Kind, str]
    is_measured: bool

    def lacks(self, question: Question) -> Mapping[Kind, str]:
        """Why a question cannot be answered, on each kind of evidence on which it cannot."""
        further = {DOES: self.interventions, MEANS: self.lengths}
        return {**further.get(question, {}), **self.lacking}


class Prospect(NamedTuple):
    """A question, on which evidence it can be answered, and by how many statements.

    Or why it is `not_asked` of this experiment; or what it `lacks`.
    """

    question: Question
    on: Sequence[Kind] = ()
    statements: int = 0
    not_asked: str | None = None
    lacks: Sequence[str] = ()

    def __str__(self) -> str:
        asked = f"{self.question.text[0].lower()}{self.question.text[1:]}"
        if self.not_asked is not None:
            return f"{asked} not asked: {self.not_asked}"
        if not self.on:
            return f"{asked} not yet: {'; '.join(self.lacks)}"
        number = f", {self.statements} statement{'' if self.statements == 1 else 's'}"
        return f"{asked} on {' and '.join(self.on)} evidence{number if self.statements else ''}"


def prospects(report: ExperimentReport, at_hand: AtHand) -> Iterator[Prospect]:
    """Each question with the evidence that is there for it, or what is missing; nothing is run.

    The report's cases are all that a whole run judges.
    """
    for question in QUESTIONS:
        stated = {claim.id for claim in report.claims if asks(claim) in question.about}
        stated -= {claim.id for claim in report.claims if claim.is_question}
        if nothing := _not_asked(question, report, at_hand):
            yield Prospect(question, not_asked=nothing)
            continue
        lacks = at_hand.lacks(question)
        on = [kind for kind in question.on if kind not in lacks]
        judged = {claim for claim, kind in report.cases if claim in stated and kind in on}
        lacking = [] if on else [lacks[kind] for kind in question.on]
        yield Prospect(question, on, len(judged), lacks=lacking)


def _not_asked(question: Question, report: ExperimentReport, at_hand: AtHand) -> str | None:
    """Why a question is none of this experiment, whatever evidence there is."""
    if question == ADDS_UP and not report.is_published:
        return "nothing was published"
    if question == DOES and not report.behaviours:
        return NO_BEHAVIOUR[0].lower() + NO_BEHAVIOUR[1:].rstrip(".")
    if question == REPLICATES and not at_hand.is_measured:
        both = {claim for claim, kind in report.cases if kind == "published"} & {
            claim for claim, kind in report.cases if kind in RUNS
        }
        if not any(claim.id in both and asks(claim) == "figures" for claim in report.claims):
            return "nothing was published of what a run measures"
    return None
