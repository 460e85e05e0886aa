"""What is asked of the evidence: a result's scores, its circuit, and what would decide a check."""

from __future__ import annotations

from replication.circuits.circuit import Circuit
from replication.circuits.components import Among, Component
from replication.circuits.intervals import Interval
from replication.circuits.scores import ScoreTable
from replication.evidence.evidence import Evidence, Measured, Result


class CannotJudge(Exception):
    """The evidence lacks what the check needs; the message says what would decide it."""


def is_printed(evidence: Evidence, result: str) -> bool:
    """Whether the result stands as it was published, and was not measured again."""
    return not isinstance(evidence.results.get(result), Measured)


def decider(evidence: Evidence, result: str) -> str:
    """What would decide a check that lacks a figure of this result."""
    if result == evidence.spec.measures:
        return "recorded or live evidence would decide it"
    return f"only further figures of the result {result!r} would decide it"


def scores_of(evidence: Evidence, result: str, name: str | None = None) -> ScoreTable:
    """A result's scores: its only table, or the one of that name.

    Raises:
        CannotJudge: the evidence has none.
    """
    found = evidence.results.get(result, Result())
    only = next(iter(found.tables)) if len(found.tables) == 1 else None
    table = found.tables.get(str(name or only)) if found.tables else found.scores
    if table is None:
        named = f" by {name}" if name else ""
        raise CannotJudge(
            f"there are no {evidence.kind} scores of {result}{named}; {decider(evidence, result)}"
        )
    return table


def circuit_of(evidence: Evidence, result: str) -> Circuit:
    """A result's circuit.

    Raises:
        CannotJudge: the evidence has none.
    """
    found = evidence.results.get(result, Result())
    circuit = found.circuit
    if isinstance(found, Measured) and found.no_circuit:
        raise CannotJudge(f"the rule selects no circuit: {found.no_circuit}")
    if circuit is None:
        raise CannotJudge(
            f"there is no {evidence.kind} circuit of {result}; {decider(evidence, result)}"
        )
    return circuit


def score_of(
    evidence: Evidence, result: str, component: Component, name: str | None = None
) -> Interval:
    """What is known of one component's score; in the table of that name, where there are several.

    Raises:
        CannotJudge: nothing is.
    """
    score = scores_of(evidence, result, name).score(component)
    if score is None:
        raise CannotJudge(
            f"{component} of {result} has no published score; {decider(evidence, result)}"
        )
    return score


def ranked(evidence: Evidence, among: Among) -> list[Component]:
    """The model's components of a kind: those that have a rank among each other.

    Attention gives an MLP no score, and so no rank among heads.
    """
    kinds = {"head"} if evidence.spec.scoring.kind == "attention" else {"mlp", "head"}
    found = [part for part in evidence.shape.components() if part.kind in kinds]
    return [part for part in found if among in (part.kind, "all")]
