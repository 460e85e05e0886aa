"""Scores that are attention weights: as they were published, and nothing that a run would give."""

from __future__ import annotations

from pathlib import Path

import pytest

from replication.commands.check import check_experiment
from replication.commands.record import record
from replication.engine.spread import Spread
from replication.evidence.evidence import EvidenceMissing, published_evidence, recorded_evidence
from replication.evidence.runs import load_for
from replication.experiment.spec import read_experiment
from replication.inputs.hub import NotAtHand
from replication.session import Options, Session
from tests.make import copied, edit
from tests.paths import FIXTURES

AGENT = FIXTURES / "ioi-gpt2-agent"
REASON = "scoring.tables does not say between which positions attention is measured"


def published_only(folder: Path) -> Path:
    """The experiment without a word on what is to be measured."""
    spec = copied(AGENT, folder) / "experiment.toml"
    text = spec.read_text(encoding="utf-8")
    start, end = text.index("[scoring.positions]"), text.index("# The rule")
    spec.write_text(text[:start] + text[end:], encoding="utf-8")
    return folder


def test_where_no_positions_are_named_no_run_measures_them(tmp_path: Path) -> None:
    experiment = read_experiment(published_only(tmp_path / "mine"))
    published = published_evidence(experiment)
    with pytest.raises(EvidenceMissing, match=REASON):
        recorded_evidence(experiment, published)
    with pytest.raises(NotAtHand, match=REASON):
        load_for(experiment.spec)
    with pytest.raises(NotAtHand, match=REASON):
        list(record(experiment, None, "cpu", Spread(), random=False, interventions=False))


@pytest.mark.parametrize("kind", ["recorded", "live"])
def test_a_claim_on_a_run_is_not_judged_and_says_why(tmp_path: Path, kind: str) -> None:
    session = Session(Options(published_only(tmp_path / "mine"), tmp_path, live="on"))
    cases = [case for case in session.cases() if (case.claim.id, case.evidence) == ("A11", kind)]
    found = session.judge(*cases)
    assert found.failure is None
    assert found.skipped == f"no {kind} evidence: {REASON}"


def test_the_tables_of_a_result_are_read_by_name() -> None:
    agent = published_evidence(read_experiment(AGENT)).results["agent"]
    assert agent.scores is None
    assert list(agent.tables) == ["duplicate_token", "s_inhibition", "name_mover"]
    assert {len(table.scores) for table in agent.tables.values()} == {10, 15}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"a3.h0": "0.7191"', '"a3.h0": "7.191"', "a3.h0: a mean attention weight is 0 to 1"),
        ('"a3.h0": "0.7191"', '"m3": "0.7191"', "m3: attention gives an MLP no score"),
        ('"a3.h0": "0.7191"', '"a3.h12": "0.7191"', "the model has no component a3.h12"),
    ],
)
def test_a_fault_of_a_table_is_told_by_its_line(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    folder = copied(AGENT, tmp_path / "mine")
    table = folder / "published" / "agent.duplicate_token.scores.json"
    line = edit(table, old, new)
    (problem,) = check_experiment(folder).problems
    assert problem.startswith(f"{table}:{line}: ")
    assert reason in problem


def test_a_check_of_the_experiment_names_its_tables() -> None:
    summary = check_experiment(AGENT).summary
    assert summary is not None
    assert "published evidence: agent (circuit, tables), wang-2022 (circuit)" in summary


def test_a_claim_without_its_table_is_told_by_its_line(tmp_path: Path) -> None:
    folder = copied(AGENT, tmp_path / "mine")
    claims = folder / "claims.toml"
    line = edit(claims, 'table = "duplicate_token", ', "")
    edit(folder / "experiment.toml", "budget = 11200", "budget = -1")  # read in spite of it
    _, problem = check_experiment(folder).problems
    assert f"claims.toml:{line}: claim A8: check 1: table: 'agent' has several tables" in problem
