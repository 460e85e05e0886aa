"""What `tests/` and `replication/` share."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

COUNTEREXAMPLES = "test_a_minimal_change_of_the_evidence_turns_the_claim"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many claims were turned by a counterexample, of how many."""
    turned, survived = (
        sum(
            report.when == "call" and COUNTEREXAMPLES in report.nodeid
            for report in terminalreporter.stats.get(outcome, ())
        )
        for outcome in ("passed", "failed")
    )
    if turned or survived:
        terminalreporter.section("counterexamples")
        terminalreporter.write_line(f"turned {turned} of {turned + survived} claims")
