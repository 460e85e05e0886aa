"""What of a claim its experiment's spec alone gives, so that no score of a run can contradict it.

It says nothing for a replication that a run bears such a claim out: the rule that selects a run's
circuit has selected it, and the model has as many components as it has.
"""

from __future__ import annotations

from replication.circuits.components import parsed
from replication.claims.causal_checks import CausalCheck
from replication.claims.check import Check
from replication.claims.circuit_checks import Cost, Count, Difference, Membership, Order, Overlap
from replication.claims.claim import Claim
from replication.claims.model_checks import Control, Determinism, Shape
from replication.claims.selection_check import Selection
from replication.experiment.spec import Spec


def is_given(claim: Claim, spec: Spec) -> bool:
    """Whether a run's scores have no part in the claim, if they let the rule select a circuit."""
    return all(_is_given(check, spec) for check in claim.check)


def _is_given(check: Check, spec: Spec) -> bool:
    match check:
        case Shape() | Selection() | Count(circuit=None):
            return True
        case Determinism() | Control() | CausalCheck():
            return False
        case _ if spec.measures not in check.results():
            return True
        case Cost() if check.states_budget_alone:
            return True
        case Membership(excludes=[]) if spec.rule.always.issuperset(parsed(check.includes)):
            return True
        case Count() | Cost() | Membership() | Overlap() | Difference() | Order():
            return not spec.rule.looks_at_scores
        case _:
            return False
