"""Every check can fail: minimally changed evidence turns the verdict on every claim."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replication.circuits.components import names
from replication.claims.asked import CannotJudge
from replication.claims.causal_checks import CausalCheck
from replication.claims.check import Check, Outcome
from replication.claims.claim import Claim, judge_claim, read_claims
from replication.claims.model_checks import Control
from replication.controls.verify import Controls, verify
from replication.evidence.evidence import (
    Evidence,
    EvidenceMissing,
    circuits_of,
    published_evidence,
    recorded_evidence,
)
from replication.experiment.spec import Experiment, find_experiments, read_experiment
from tests.behaved import CIRCUITS, behaved_evidence, behaved_of
from tests.claims.counterexamples import counterexample, single_changes
from tests.paths import FIXTURES


def _evidence(experiment: Experiment) -> tuple[Evidence, Evidence]:
    """The published evidence, or, where nothing was published, the recorded; and for causal claims.

    These need a run: what interventions give was recorded, where there are any, or is made up.
    """
    published = published_evidence(experiment)
    if published.results and not experiment.spec.behaviour:
        return published, published
    try:
        recorded = recorded_evidence(experiment, published)
    except EvidenceMissing:
        return published, _made_up(experiment, published)
    return published if published.results else recorded, recorded


def _made_up(experiment: Experiment, published: Evidence) -> Evidence:
    """The experiment's behaviours as a run of its pairs may give them; nobody recorded one."""
    shape, n_pairs = experiment.spec.model.shape, len(experiment.pairs)
    circuits = {name: names(one.nodes) for name, one in circuits_of(published).items()}
    behaved = behaved_of(shape, n_pairs, circuits={**CIRCUITS, **circuits})
    evidence = behaved_evidence(shape, dict.fromkeys(experiment.spec.behaviour, behaved))
    return replace(evidence, figures=published.figures)


QUICK_PAIRS = 10  # every change of the evidence is verified anew, which takes seconds with more


def _is_quick(experiment: Experiment, claim: Claim) -> bool:
    """Whether it is turned in no time; every kind of causal check is, on a small experiment."""
    is_causal = any(isinstance(check, CausalCheck) for check in claim.check)
    is_run = EVIDENCE[experiment.name][0].measured is not None
    return not is_causal and not (is_run and len(experiment.pairs) > QUICK_PAIRS)


EVIDENCE = {
    experiment.name: _evidence(experiment)
    for experiment in map(read_experiment, find_experiments(FIXTURES))
}
CLAIMS = [
    pytest.param(
        claim,
        EVIDENCE[experiment.name][any(isinstance(check, CausalCheck) for check in claim.check)],
        id=f"{experiment.name}-{claim.id}",
        marks=[] if _is_quick(experiment, claim) else [pytest.mark.slow],
    )
    for experiment in map(read_experiment, find_experiments(FIXTURES))
    for claim in read_claims(experiment)
]


@pytest.mark.parametrize(("claim", "evidence"), CLAIMS)
def test_a_minimal_change_of_the_evidence_turns_the_claim(claim: Claim, evidence: Evidence) -> None:
    verdict = judge_claim(claim, evidence, verify(evidence)).verdict
    found = [counterexample(check, evidence) for check in claim.check]
    survivors = [
        check.kind for check, example in zip(claim.check, found, strict=True) if example is None
    ]
    assert not survivors, f"no change turns these checks of {claim.id}: {survivors}"
    turned = [
        judge_claim(claim, example.evidence, verify(example.evidence)).verdict
        for example in found
        if example
    ]
    assert any(other != verdict for other in turned)


def test_a_check_that_cannot_fail_is_found_out() -> None:
    claim, evidence = CLAIMS[0].values

    class Tautology(Check):
        kind: str = "tautology"

        def judge_evidence(self, evidence: Evidence) -> Outcome:
            return Outcome("holds", evidence.kind, evidence.kind, "always")

    assert counterexample(Tautology(), evidence) is None
    assert counterexample(claim.check[0], evidence) is not None


def test_a_check_that_only_a_made_up_control_could_turn_is_found_out() -> None:
    """What the controls say follows from the evidence: there is no other way to change it."""

    class Fixed(Control):
        def judge(self, evidence: Evidence, controls: Controls) -> Outcome:
            if not controls.results:
                raise CannotJudge("the controls were taken away")
            return Outcome("holds", "holds", "holds", f"whatever the {evidence.kind} norms")

    evidence, _ = EVIDENCE["sarcasm-gpt2"]
    fixed = Fixed.model_construct(kind="control", component="m2")
    assert fixed.judge(evidence, verify(evidence)).verdict == "holds"
    assert counterexample(fixed, evidence) is None


@pytest.mark.parametrize(("claim", "evidence"), CLAIMS)
def test_a_change_is_one_of_evidence_and_of_nothing_else(claim: Claim, evidence: Evidence) -> None:
    """Of the spec, only the budget may be another one; results keep their names and their kind."""
    for check in claim.check:
        _, changed = next(single_changes(check, evidence))
        budget = {"selection": evidence.spec.selection}
        assert changed.spec.model_copy(update=budget) == evidence.spec
        assert changed.kind == evidence.kind
        assert list(changed.results) == list(evidence.results)
