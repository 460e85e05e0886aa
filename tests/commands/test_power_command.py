"""`replication power`: the table, and one line where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from replication import cli
from replication.controls.power import SHARES
from replication.inputs.files import InputError
from tests.make import copied, edit
from tests.paths import FIXTURES

MINILM = FIXTURES / "sarcasm-minilm"


def lines(*arguments: str | Path) -> list[str]:
    done = CliRunner().invoke(cli.app, ["power", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout.splitlines()


@pytest.mark.slow
def test_both_kinds_are_shown_at_every_share() -> None:
    printed = lines(FIXTURES / "sarcasm-matched-minilm")
    assert printed[1] == (
        "one of 78 alone takes 12 or more, whatever its effect: 1/2^11 <= 0.05/78;"
        " with a tenth of them 9"
    )
    named = [line for line in printed if "noise of 17 clusters" in line]
    assert [line.partition(":")[0] for line in named] == ["m5", "a5.h9"]
    for share in SHARES:
        assert sum(line.startswith(f"  {100 * share:g}% ") for line in printed) == 2
    assert [line.split()[:3] for line in printed if line.startswith("  80% ")] == [
        ["80%", "12", "12"]
    ] * 2
    measured = [line for line in printed if "(measured)" in line]
    assert [line.count("more than 128") for line in measured] == [4, 4]


def test_one_component_and_one_share_of_few_clusters() -> None:
    printed = lines(MINILM, "--component", "a4.h8", "--share", "0.5", "--chance", "0.5")
    assert printed[0].endswith("with a chance of 0.5 to be called so")
    assert printed[3].startswith("a4.h8: noise of 5 clusters (few to know it by);")
    assert len(printed) == 7
    assert printed[6].startswith("  50% ")
    assert lines(MINILM, "--component", "a4.h8", "--share", "0.5", "--chance", "0.5") == printed


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--component", "input"], "--component: the input has no score"),
        (["--component", "a9.h1"], "--component: the model has no component a9.h1"),
        (["--component", ""], "--component: '' is no component"),
        (["--share", "1"], "--share: expected a number between 0 and 1, found 1.0"),
        (["--share", "0"], "--share: expected a number between 0 and 1, found 0.0"),
        (["--chance", "nan"], "--chance: expected a number between 0 and 1, found nan"),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments: list[str], reason: str) -> None:
    with pytest.raises(InputError, match=f"^{reason.replace('.', r'[.]')}"):
        lines(MINILM, *arguments)


def test_what_was_not_recorded_is_said_with_how_to_record_it() -> None:
    with pytest.raises(
        InputError, match=r"recorded\.safetensors is missing; .* replication record"
    ):
        lines(FIXTURES / "sarcasm-gpt2")


def test_three_clusters_are_refused(tmp_path: Path) -> None:
    folder = copied(MINILM, tmp_path / "few")
    pairs = folder / "pairs.jsonl"
    rows = [json.loads(line) for line in pairs.read_text(encoding="utf-8").splitlines()]
    grouped = [{**row, "group": name} for row, name in zip(rows, "aaabc", strict=True)]
    pairs.write_text("".join(f"{json.dumps(row)}\n" for row in grouped), encoding="utf-8")
    edit(
        folder / "experiment.toml",
        'pairs = "pairs.jsonl"',
        'pairs = { file = "pairs.jsonl", group = "group" }',
    )
    with pytest.raises(InputError, match="few: 3 clusters of pairs are recorded; it takes 5"):
        lines(folder)


def test_a_component_without_noise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.commands.power.noise_of", lambda *_: None)
    with pytest.raises(InputError, match="m5: what is recorded of it has no noise"):
        lines(MINILM, "--component", "m5")


def test_of_many_components_none_can_be_found_alone() -> None:
    from replication.commands.power import _least

    assert _least(501).startswith("no number is enough for one of 501 alone: p is never as small")
    assert "takes 15 or more, whatever its effect: 1/10001 <= 0.05/450" in _least(450)
