"""The tests that `pytest replication/` runs: one per claim and kind of evidence."""

from __future__ import annotations

import pytest

from replication.inputs.visible import visible
from replication.plugin import HANDOVER
from replication.session import Case, Session


def test_claim(case: Case, replication_session: Session, request: pytest.FixtureRequest) -> None:
    """The claim comes out as expected on this evidence; undecided is skipped, and says why."""
    found = replication_session.judge(case)
    request.node.stash[HANDOVER] = found.handover
    if found.failure is not None:
        pytest.fail(found.failure, pytrace=False)
    if found.skipped is not None:
        pytest.skip(visible(found.skipped))
