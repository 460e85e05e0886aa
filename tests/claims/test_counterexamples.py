"""Every check can fail: minimally changed evidence turns the verdict on every claim."""

from __future__ import annotations

import pytest

from replication.claims.check import Check, Outcome
from replication.claims.claim import Claim, judge_claim, read_claims
from replication.evidence.evidence import Evidence, published_evidence, recorded_evidence
from replication.experiment.spec import Experiment, find_experiments, read_experiment
from tests.claims.counterexamples import counterexample
from tests.paths import FIXTURES


def _evidence(experiment: Experiment) -> Evidence:
    """The published evidence, or, where nothing was published, the recorded."""
    published = published_evidence(experiment)
    return published if published.results else recorded_evidence(experiment, published)


CLAIMS = [
    pytest.param(claim, _evidence(experiment), id=f"{experiment.name}-{claim.id}")
    for experiment in map(read_experiment, find_experiments(FIXTURES))
    for claim in read_claims(experiment)
]


@pytest.mark.parametrize(("claim", "evidence"), CLAIMS)
def test_a_minimal_change_of_the_evidence_turns_the_claim(claim: Claim, evidence: Evidence) -> None:
    verdict = judge_claim(claim, evidence).verdict
    found = [counterexample(check, evidence) for check in claim.check]
    survivors = [
        check.kind for check, example in zip(claim.check, found, strict=True) if example is None
    ]
    assert not survivors, f"no change turns these checks of {claim.id}: {survivors}"
    turned = [judge_claim(claim, example.evidence).verdict for example in found if example]
    assert any(other != verdict for other in turned)


def test_a_check_that_cannot_fail_is_found_out() -> None:
    claim, evidence = CLAIMS[0].values

    class Tautology(Check):
        kind: str = "tautology"

        def judge(self, evidence: Evidence) -> Outcome:
            return Outcome("holds", evidence.kind, evidence.kind, "always")

    assert counterexample(Tautology(), evidence) is None
    assert counterexample(claim.check[0], evidence) is not None
