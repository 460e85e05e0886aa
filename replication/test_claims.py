"""The tests that `pytest replication/` runs: one per claim and kind of evidence."""

from __future__ import annotations

import pytest

from replication.claims.claim import failure_message, judge_claim
from replication.evidence.evidence import EvidenceMissing
from replication.inputs.files import InputError
from replication.plugin import RECORD, Case, ClaimSession
from replication.report.text import judged_record, missing_record


def test_claim(case: Case, claim_session: ClaimSession, request: pytest.FixtureRequest) -> None:
    """The claim comes out as expected on this evidence; undecided is skipped, and says why."""
    name = case.experiment.name
    try:
        evidence = claim_session.evidence(case.experiment, case.evidence)
    except (EvidenceMissing, InputError) as error:
        is_required = case.evidence == "live" and claim_session.live == "require"
        fails = isinstance(error, InputError) or is_required
        record = missing_record(name, case.claim, case.evidence, str(error), fails)
        request.node.stash[RECORD] = {
            "experiment": name,
            "record": record,
            "provenance": None,
            "verification": [],
        }
        if fails:
            pytest.fail(f"{case.claim.id}: {error}", pytrace=False)
        pytest.skip(f"no {case.evidence} evidence: {error}")

    judgement = judge_claim(case.claim, evidence)
    request.node.stash[RECORD] = {
        "experiment": name,
        "record": judged_record(name, judgement),
        "provenance": dict(evidence.provenance),
        "verification": claim_session.verification(case.experiment, case.evidence),
        "figures": claim_session.figures_to_hand_over(case.experiment, evidence),
    }
    if judgement.as_expected is None:
        pytest.skip(f"undecided on {case.evidence} evidence: {judgement.arithmetic}")
    if not judgement.as_expected:
        pytest.fail(failure_message(judgement), pytrace=False)
