"""Operating points: at which budgets and thresholds a claim has the verdict that it has.

A budget and a threshold are chosen, by somebody, once. Each is taken from four fifths to six fifths
of the experiment's own, the circuit is selected again on the same scores, and what looks at the
circuit or the rule is judged again; of a rule by steps the budget alone is moved. What looks at
neither keeps its verdict by construction, and is left out. A claim that states the budget or the
threshold itself is held to what it states, so that its verdict turns wherever that is another.

The controls are kept as they are: of them only `unstable` turns on the rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product

from replication.circuits import intervals
from replication.circuits.intervals import Verdict
from replication.claims.check import Check, Outcome, judge
from replication.claims.circuit_checks import Cost, Count, Difference, Membership, Order, Overlap
from replication.claims.claim import Claim, judged_on
from replication.claims.score_checks import Bound
from replication.claims.selection_check import Selection
from replication.controls.verify import Controls
from replication.evidence.circuits import select_circuit
from replication.evidence.evidence import Evidence
from replication.inputs.files import InputError

FACTORS = tuple(Fraction(tenths, 10) for tenths in (8, 9, 10, 11, 12))
OWN = Fraction(1)


@dataclass(frozen=True)
class Turn:
    """A point at which a claim has another verdict: None where nothing can be selected.

    `budget` is in dimensions of the residual stream, `mlp_threshold` in the scores' own unit; a
    rule by steps has none.
    """

    budget: int
    mlp_threshold: float | None
    verdict: Verdict | None
    reason: str


@dataclass(frozen=True)
class Operating:
    """At how many of the `points` a claim keeps its verdict, and the nearest at which it turns.

    `verdict` is that at the experiment's own budget and threshold.
    At `unselected` of those at which it does not, nothing can be selected.
    """

    claim: str
    verdict: Verdict
    kept: int
    points: int
    unselected: int
    turn: Turn | None


@dataclass(frozen=True)
class _Point:
    """What is measured at a point; where nothing can be selected, `lacks` says why.

    `away` orders the points: by how far both factors lie from 1 together, then by the threshold's.
    """

    away: tuple[Fraction, Fraction, Fraction, Fraction]
    evidence: Evidence
    lacks: str | None


def operating_points(
    claims: Iterable[Claim], evidence: Evidence, controls: Controls
) -> list[Operating]:
    """Every claim that looks at the measured circuit or the rule, at all points.

    There are none on published evidence, or of a run on whose scores the rule selects nothing.
    """
    if evidence.measured is None or evidence.measured.circuit is None:
        return []
    measures = evidence.spec.measures
    judged = [
        claim
        for claim in claims
        if evidence.kind in judged_on(claim, evidence.spec)
        and any(looks_at_rule(check) or looks_at_circuit(check, measures) for check in claim.check)
    ]
    points = sorted(_points(evidence), key=lambda point: point.away) if judged else []
    return [_operating(claim, points, controls) for claim in judged]


def looks_at_circuit(check: Check, measures: str) -> bool:
    """Whether an outcome depends on the nodes of the measured circuit."""
    if isinstance(check, Bound):
        return check.outside == measures
    of_circuits = Count | Cost | Membership | Overlap | Difference | Order | Selection
    return isinstance(check, of_circuits) and measures in check.results()


def looks_at_rule(check: Check) -> bool:
    """Whether an outcome depends on the experiment's budget or threshold, whatever the circuit."""
    return isinstance(check, Cost | Selection)


def _points(evidence: Evidence) -> Iterable[_Point]:
    """All points, with the circuit that is selected there; the experiment's own is one of them."""
    measured, spec = evidence.measured, evidence.spec
    assert measured is not None
    stated = spec.selection
    for more, higher in product(FACTORS, FACTORS if stated.steps is None else (OWN,)):
        changed: dict[str, float] = {"budget": round(stated.budget * more)}
        if stated.mlp_threshold is not None:
            changed["mlp_threshold"] = float(Fraction(str(stated.mlp_threshold)) * higher)
        there = spec.model_copy(update={"selection": stated.model_copy(update=changed)})
        results, lacks = dict(evidence.results), None
        try:
            circuit = select_circuit(there, measured.selected_on)
            results[spec.measures] = replace(measured, circuit=circuit)
        except InputError as error:
            lacks = str(error)
        away = (abs(more - OWN) + abs(higher - OWN), abs(higher - OWN), more, higher)
        yield _Point(away, replace(evidence, spec=there, results=results), lacks)


def _operating(claim: Claim, points: Sequence[_Point], controls: Controls) -> Operating:
    """A claim at all points, its own the first."""
    own = points[0].evidence
    measures = own.spec.measures
    kept: Mapping[int, Outcome] = {
        number: judge(check, own, controls)
        for number, check in enumerate(claim.check)
        if not (looks_at_rule(check) or looks_at_circuit(check, measures))
    }
    reads = any(looks_at_circuit(check, measures) for check in claim.check)

    def found(point: _Point) -> tuple[Verdict, str]:
        outcomes = [
            kept.get(number) or judge(check, point.evidence, controls)
            for number, check in enumerate(claim.check)
        ]
        verdict = intervals.all_of(outcome.verdict for outcome in outcomes)
        return verdict, "; ".join(one.reason for one in outcomes if one.verdict == verdict)

    verdict, _ = found(points[0])
    turns = []
    for point in points[1:]:
        lacks = point.lacks if reads else None
        there, reason = found(point) if lacks is None else (None, lacks)
        if there != verdict:
            rule = point.evidence.spec.selection
            turns.append(Turn(rule.budget, rule.mlp_threshold, there, reason))
    return Operating(
        claim.id,
        verdict,
        len(points) - len(turns),
        len(points),
        sum(turn.verdict is None for turn in turns),
        next(iter(turns), None),
    )
