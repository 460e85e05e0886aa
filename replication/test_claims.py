"""The tests that `pytest replication/` runs: one per claim and kind of evidence."""

from __future__ import annotations

import pytest

from replication.inputs.visible import visible
from replication.plugin import HANDOVER
from replication.session import Case, Session


@pytest.fixture
def case() -> Case:
    """The claim and its evidence, of which the plugin makes one test each."""
    pytest.fail("the plugin `replication`, which makes the tests, is turned off", pytrace=False)


@pytest.fixture(autouse=True)
def evidence_of_case(case: Case, replication_session: Session) -> None:
    """Make the evidence, in the set-up of the first claim that needs it: durations show it so."""
    replication_session.make_evidence(case)


def test_claim(case: Case, replication_session: Session, request: pytest.FixtureRequest) -> None:
    """The claim comes out as expected on this evidence; undecided is skipped, and says why."""
    found = replication_session.judge(case)
    request.node.stash[HANDOVER] = found.handover
    if found.failure is not None:
        pytest.fail(found.failure, pytrace=False)
    if found.skipped is not None:
        pytest.skip(visible(found.skipped))
