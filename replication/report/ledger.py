"""The ledger: what became of every statement of every experiment, for whoever comes for one paper.

A statement has one standing, whatever the evidence: it is refuted if it is on any, holds if it does
on some and is refuted on none, and is undecided or not judged otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from replication.claims.claim import Claim
from replication.evidence.evidence import Kind as EvidenceKind
from replication.inputs.messages import listed
from replication.report.answers import Answer, answers, lacks, said
from replication.report.markdown import escaped, table
from replication.report.record import (
    EVIDENCE,
    VERDICTS,
    WORDS,
    ExperimentReport,
    Outcome,
    named_maker,
)
from replication.report.standing import standing_in
from replication.report.text import partial

HEADINGS: Mapping[Outcome, str] = {
    "refuted": "Refuted",
    "undecided": "Undecided, and what would decide it",
    "missing": "Not judged, and what it would take",
}
QUESTIONS = "Questions that a reader puts to the figures, and nobody's statements"
ANSWERS: Mapping[Outcome, str] = {
    "refuted": "No",
    "holds": "Yes",
    "undecided": "Open",
    "missing": "Not judged",
}
ABOUT = (
    "What became of every statement, by experiment. A statement is refuted if it is refuted on any"
    " evidence, and holds if it does on some and is refuted on none. Here are those that do not"
    " hold, with their arithmetic; that of the others is in the report."
)
CORRECTION = (
    "Is a figure copied wrongly, a statement misread, a check unfair, or one missing? Each"
    " statement stands in its experiment's claims.toml with its source, and each figure as it was"
    " printed: change it there, or add to it, and run `pytest replication/"
    " --replication-experiment NAME`. Send the change with the page or line of the source that it"
    " rests on. Whoever has the model sends what `replication record` writes, which decides much"
    " of what is open here."
)


@dataclass(frozen=True)
class Statement:
    """A claim, how it stands, on which evidence it came to that, and the arithmetic."""

    claim: Claim
    standing: Outcome
    on: Sequence[EvidenceKind]
    why: str
    is_unexpected: bool

    @property
    def answer(self) -> str:
        """What became of it, if it is a question."""
        return ANSWERS[self.standing]


@dataclass(frozen=True)
class Entry:
    """An experiment in the ledger; `id` is what links within the page lead to."""

    name: str
    id: str
    title: str
    is_published: bool
    results: Mapping[str, str]
    answers: Sequence[Answer]
    lacks: Sequence[str]
    statements: Sequence[Statement]
    questions: Sequence[Statement]

    @cached_property
    def counts(self) -> Counter[Outcome]:
        """How many statements stand how."""
        return Counter(one.standing for one in self.statements)

    def standing(self, outcome: Outcome) -> list[Statement]:
        """The statements that stand so."""
        return [one for one in self.statements if one.standing == outcome]


def entries(reports: Iterable[ExperimentReport]) -> list[Entry]:
    """What the ledger says of experiments: of published results first."""
    return sorted(map(_entry, reports), key=lambda one: not one.is_published)


def _entry(report: ExperimentReport) -> Entry:
    about = report.provenance.get("published")
    found = [_statement(report, claim) for claim in report.claims]
    return Entry(
        report.name,
        report.id,
        report.title,
        report.is_published,
        about if isinstance(about, dict) else {},
        answers(report),
        [line for kind in EVIDENCE if kind != "published" for line in lacks(report, kind)],
        [one for one in found if not one.claim.is_question],
        [one for one in found if one.claim.is_question],
    )


def _statement(report: ExperimentReport, claim: Claim) -> Statement:
    standing = standing_in(report, claim.id)
    found = (report.record(claim.id, kind) for kind in EVIDENCE)
    telling = [one for one in found if one is not None and one.verdict == standing]
    return Statement(
        claim,
        standing,
        on=[one.evidence for one in telling],
        # What a run measured says more than what follows from what was printed.
        why=telling[-1].arithmetic if telling else "not judged in this run",
        is_unexpected=any(one.as_expected is False for one in telling),
    )


def ledger_markdown(reports: Sequence[ExperimentReport]) -> str:
    """The content of `ledger.md`."""
    partly = partial(reports)
    shown = entries(reports)
    lines = ["# Ledger", "", *([f"**{escaped(partly)}**", ""] if partly else []), ABOUT, ""]
    lines += table(
        ["experiment", *(answer.question for answer in shown[0].answers), *_counted_columns()],
        (
            [
                f"[{escaped(one.name)}](#{one.name.lower()})",
                *(escaped(answer.answer) for answer in one.answers),
                *(str(one.counts[verdict]) for verdict in VERDICTS),
            ]
            for one in shown
        ),
    )
    for one in shown:
        lines += _entry_markdown(one)
    return "\n".join([*lines, "## Corrections", "", CORRECTION]) + "\n"


def _counted_columns() -> list[str]:
    return [f"{WORDS[verdict]}:" for verdict in VERDICTS]


def _entry_markdown(one: Entry) -> list[str]:
    lines = [f"## {escaped(one.name)}", "", f"**{escaped(one.title)}**", ""]
    lines += [f"- {escaped(name)}: {escaped(about)}." for name, about in one.results.items()]
    lines += [""] if one.results else []
    for answer in one.answers:
        lines.append(f"- *{answer.question}* {escaped(' '.join(said(answer)))}")
    lines += [*(f"- {escaped(lack)}" for lack in one.lacks), ""]
    for standing, heading in HEADINGS.items():
        if found := one.standing(standing):
            lines += [f"### {heading} ({len(found)})", ""]
            lines += [_statement_markdown(statement) for statement in found]
            lines.append("")
    if one.questions:
        lines += [f"### {QUESTIONS} ({len(one.questions)})", ""]
        lines += [
            _statement_markdown(question, f"{question.answer}: ") for question in one.questions
        ]
        lines.append("")
    return lines


def _statement_markdown(one: Statement, answer: str = "") -> str:
    made_by = named_maker(one.claim.made_by)
    where = f"{made_by}; {listed(one.on)} evidence" if one.on else made_by
    stated = f"**{escaped(one.claim.id)}** ({escaped(where)}): {escaped(one.claim.statement)}"
    unexpected = " **Unexpected.**" if one.is_unexpected else ""
    return f"- {stated}{unexpected}<br>{answer}{escaped(one.why)}"
