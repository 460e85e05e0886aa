from __future__ import annotations

import csv
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from replication import cli
from replication.circuits.circuit import read_circuit
from replication.experiment.spec import read_experiment
from tests.closeness import apart, assert_close
from tests.make import copied, edit
from tests.paths import FIXTURES
from tests.runs import Run
from tests.signals import hearing_sigint

PUBLISHED = FIXTURES / "sarcasm-gpt2/published"
SCORES = PUBLISHED / "original.scores.json"
ORIGINAL = PUBLISHED / "original.circuit.json"
REPLICATION = PUBLISHED / "replication.circuit.json"
RULE = {"--budget": "11200", "--mlp-threshold": "7.0", "--d-model": "768", "--d-head": "64"}

# No test asks the hub.
OFFLINE = os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "100"}


def replication(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "replication.cli", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        env=OFFLINE,
        timeout=60,
        check=False,
    )


def select(scores: Path, **changed: str) -> list[object]:
    rule = RULE | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    return ["select", scores, *(f"{option}={value}" for option, value in rule.items())]


def refusal(*arguments: object) -> str:
    """The one line with which the command ends; it prints nothing else."""
    ended = Run(["replication", *map(str, arguments)], Path.cwd()).end()
    assert ended.status == 2
    assert re.fullmatch(r"replication: [^\n]+\n", ended.printed)
    return ended.printed.strip()


def written(folder: Path, content: object) -> Path:
    path = folder / "given.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_select_prints_the_published_circuit(tmp_path: Path) -> None:
    done = replication(*select(SCORES))
    assert (done.returncode, done.stderr) == (0, "")
    content = json.loads(done.stdout)
    published = json.loads(ORIGINAL.read_text(encoding="utf-8"))
    assert sorted(content["nodes"]) == sorted(published["nodes"])
    assert content["nodes"][:49] == published["nodes"][:49]
    shared = content["metadata"].keys() & published["metadata"].keys()
    assert len(shared) >= 6
    assert all(content["metadata"][key] == published["metadata"][key] for key in shared)
    assert len(read_circuit(written(tmp_path, done.stdout)).nodes) == 54


def test_compare_prints_what_differs() -> None:
    done = replication("compare", ORIGINAL, REPLICATION)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "nodes  51 of 54 (94.4%)"
    assert "only in original.circuit.json: a4.h3, a3.h6, a8.h2" in lines
    assert "only in replication.circuit.json: a2.h9, a11.h10, a3.h7" in lines
    assert "order: 2 of the 10 shared MLPs stand at another place: m5, m0" in lines


def test_compare_prints_json() -> None:
    done = replication("compare", "--json", REPLICATION, ORIGINAL)
    assert (done.returncode, done.stderr) == (0, "")
    compared = json.loads(done.stdout)
    assert compared["overlap"]["all"]["shared"] == 51
    assert compared["only_left"] == ["a2.h9", "a11.h10", "a3.h7"]
    assert compared["only_right"] == ["a4.h3", "a3.h6", "a8.h2"]
    assert compared["moved"]["mlp"] == ["m0", "m5"]


def test_help_names_every_command() -> None:
    script = shutil.which("replication", path=str(Path(sys.executable).parent))
    assert script is not None
    done = subprocess.run([script, "--help"], capture_output=True, encoding="utf-8", check=True)
    words = done.stdout.split()
    assert {"run", "record", "select", "compare"} <= set(words)
    assert done.stderr == ""


def test_the_package_is_the_command_too() -> None:
    script, module = (
        subprocess.run([*command, "--help"], capture_output=True, encoding="utf-8", check=True)
        for command in (
            [str(Path(sys.executable).parent / "replication")],
            [sys.executable, "-m", "replication"],
        )
    )
    assert module.stdout == script.stdout
    assert module.stdout.startswith("Usage: replication [OPTIONS] COMMAND")


def test_it_tells_its_version() -> None:
    printed, error = in_process("--version")
    assert error is None
    assert printed == f"{importlib.metadata.version('pytest-circuit-replication')}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(shell: str) -> None:
    def ask(*arguments: str, **env: str) -> str:
        command = [sys.executable, "-m", "replication", *arguments]
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", env=OFFLINE | env, check=True
        ).stdout

    assert "_REPLICATION_COMPLETE" in ask(_REPLICATION_COMPLETE=f"source_{shell}")
    typed = {"COMP_WORDS": "replication com", "COMP_CWORD": "1"}
    asked = {"_TYPER_COMPLETE_ARGS": "replication com", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    completed = ask(_REPLICATION_COMPLETE=f"complete_{shell}", **typed, **asked)
    assert "compare" in completed
    assert "select" not in completed


def test_completion_is_installed_for_the_command(tmp_path: Path) -> None:
    program = """
import shellingham
from replication import cli

shellingham.detect_shell = lambda: ("bash", "/bin/bash")
cli.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "--install-completion"],
        capture_output=True,
        encoding="utf-8",
        env=OFFLINE | {"HOME": str(tmp_path)},
        check=True,
    )
    assert "bash completion installed" in done.stdout
    assert (tmp_path / ".bash_completions" / "replication.sh").is_file()


def test_select_and_compare_leave_the_model_libraries_alone() -> None:
    program = f"""
import sys
import time
from replication.cli import app
app({[str(part) for part in select(SCORES)]!r}, standalone_mode=False)
app(["compare", {str(ORIGINAL)!r}, {str(REPLICATION)!r}], standalone_mode=False)
heavy = {{"torch", "transformers", "transformer_lens", "huggingface_hub", "safetensors"}}
sys.exit(", ".join(sorted(heavy & set(sys.modules))))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False
    )
    assert done.stderr.strip() == ""
    assert "51 of 54" in done.stdout


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"budget": "-1"}, "--budget: expected a positive number of dimensions, found -1"),
        ({"budget": "767"}, "a budget of 767 does not hold the input, which costs 768"),
        ({"budget": "8447"}, "a budget of 8447 does not hold the 10 MLPs"),
        ({"mlp_threshold": "nan"}, "--mlp-threshold: expected a number from 0 on, found nan"),
        ({"mlp_threshold": "40"}, "no MLP reaches the threshold of 40"),
    ],
)
def test_select_by_a_rule_that_cannot_be_met(changed: dict[str, str], reason: str) -> None:
    message = refusal(*select(SCORES, **changed))
    assert reason in message
    assert reason.startswith("--") or str(SCORES) in message


def in_process(*arguments: object) -> tuple[str, Any]:
    """What the command prints, and what it raises, run in this process."""
    found = CliRunner().invoke(cli.app, [str(part) for part in arguments])
    return found.stdout, found.exception


@pytest.mark.parametrize(
    ("changed", "option"),
    [
        ({"budget": "0"}, "--budget"),
        ({"d_model": "0"}, "--d-model"),
        ({"d_head": "-64"}, "--d-head"),
        ({"mlp_threshold": "inf"}, "--mlp-threshold"),
        ({"mlp_threshold": "-0.1"}, "--mlp-threshold"),
    ],
)
def test_select_by_a_rule_that_means_nothing(changed: dict[str, str], option: str) -> None:
    printed, error = in_process(*select(SCORES, **changed))
    assert printed == ""
    assert str(error).startswith(f"{option}: expected a")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        ("{", "not JSON: "),
        ({"nodes": ["m1", "m1"], "metadata": {}}, "m1 stands there more than once"),
        ({"nodes": ["m1"], "metadata": {"num_mlps": 2}}, "num_mlps is 2, the nodes give 1"),
    ],
)
def test_compare_with_a_circuit_that_cannot_be_used(
    tmp_path: Path, content: object, reason: str
) -> None:
    path = tmp_path / "no.json" if content is None else written(tmp_path, content)
    message = refusal("compare", ORIGINAL, path)
    assert reason in message
    assert str(path) in message


def test_select_from_a_table_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "no.json"
    done = replication(*select(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"replication: {path}: there is no such file\n"


def test_a_refusal_is_one_line_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = tmp_path / "a\nb.json"
    assert "b.json: there is no such file" in refusal("compare", path, ORIGINAL)


def test_compare_tells_two_files_of_one_name_apart(tmp_path: Path) -> None:
    paths = [tmp_path / side / "circuit.json" for side in ("one", "other")]
    for path, source in zip(paths, (ORIGINAL, REPLICATION), strict=True):
        path.parent.mkdir()
        shutil.copy(source, path)
    lines = in_process("compare", *paths)[0].splitlines()
    names = [line.partition(": ")[0] for line in lines if line.startswith("only in ")]
    assert len(set(names)) == 2


def unknown_key(folder: Path) -> None:
    spec = folder / "experiment.toml"
    spec.write_text(
        spec.read_text(encoding="utf-8").replace("budget =", "bugdet ="), encoding="utf-8"
    )


def missing_pairs(folder: Path) -> None:
    (folder / "pairs.jsonl").unlink()


def repeated_pair(folder: Path) -> None:
    pairs = folder / "pairs.jsonl"
    pairs.write_text(2 * pairs.read_text(encoding="utf-8"), encoding="utf-8")


def empty_prompt(folder: Path) -> None:
    with (folder / "pairs.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"sarcastic": "Oh great.", "literal": ""}\n')


def bad_claim(folder: Path) -> None:
    claims = folder / "claims.toml"
    claims.write_text(
        claims.read_text(encoding="utf-8").replace(
            "shared = 51, of = 54", 'shared = "51", of = 54'
        ),
        encoding="utf-8",
    )


def nothing(_: Path) -> None:
    """Leave the experiment as it is."""


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("command", "spoil", "options", "reasons"),
    [
        ("run", unknown_key, [], ["experiment.toml: selection: ", "bugdet: unknown key"]),
        ("record", missing_pairs, [], ["pairs.jsonl: there is no such file"]),
        ("run", repeated_pair, [], ["pairs.jsonl: line 6: pair 6 repeats pair 1; give each pair"]),
        ("record", repeated_pair, [], ["pairs.jsonl: line 6: pair 6 repeats pair 1"]),
        ("run", empty_prompt, [], ["pairs.jsonl: line 6: literal: the prompt is empty"]),
        ("record", bad_claim, [], ["claims.toml: claim R13: check 1: ", "shared"]),
        ("run", nothing, ["--device", "tpu"], ["--device: ", "auto|cpu|cuda|mps", "'tpu'"]),
        ("record", nothing, ["--model", "{weightless}"], ["{weightless}: no weights in it"]),
        ("run", shutil.rmtree, [], ["experiment.toml: there is no such file"]),
    ],
)
def test_an_experiment_that_cannot_be_run_ends_before_anything_is_written(
    tmp_path: Path,
    command: str,
    spoil: Callable[[Path], None],
    options: list[str],
    reasons: list[str],
) -> None:
    folder, out, weightless = (tmp_path / name for name in ("mine", "out", "weightless"))
    copied(FIXTURES / "sarcasm-gpt2", folder)
    weightless.mkdir()
    (weightless / "config.json").write_text("{}", encoding="utf-8")
    spoil(folder)
    before = tree(tmp_path)
    where = ["--out", out] if command == "run" else []
    given = [option.format(weightless=weightless) for option in options]
    message = refusal(command, folder, *where, *given)
    assert [part for part in reasons if part.format(weightless=weightless) not in message] == []
    assert tree(tmp_path) == before
    assert not out.exists()


def test_select_on_the_scores_of_a_run_gives_its_circuit(
    gpt2_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    arguments = ["run", gpt2_experiment, "--model", gpt2_folder, "--out", out]
    printed, error = in_process(*arguments)
    assert error is None
    assert "4 pairs, 6 nodes" in printed
    assert sorted(path.name for path in out.iterdir()) == [
        "circuit.json",
        "circuit.svg",
        "manifest.json",
        "pair_scores.csv",
        "scores.json",
    ]
    circuit = read_circuit(out / "circuit.json", read_experiment(gpt2_experiment).spec.model.shape)
    assert circuit.metadata.write_budget_used == 144
    again, error = in_process(
        *select(out / "scores.json", budget="144", mlp_threshold="0", d_model="32", d_head="8")
    )
    assert error is None
    assert json.loads(again)["nodes"] == [str(node) for node in circuit.nodes]


def test_a_run_whose_circuit_cannot_be_selected_leaves_but_its_parts(
    gpt2_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(gpt2_experiment, tmp_path / "mine"))
    spec = folder / "experiment.toml"
    spec.write_text(
        re.sub(r"mlp_threshold = .*", "mlp_threshold = 1e6", spec.read_text(encoding="utf-8")),
        encoding="utf-8",
    )
    message = refusal("run", folder, "--model", gpt2_folder, "--out", tmp_path / "out")
    assert "no MLP reaches the threshold" in message
    assert "; 1 finished part of it kept in " in message
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["parts"]


def test_a_run_that_cannot_write_ends_before_the_model_is_loaded(
    gpt2_experiment: Path, tmp_path: Path
) -> None:
    out = written(tmp_path, "a file, where the folder is to be")
    message = refusal("run", gpt2_experiment, "--out", out)
    assert f"--out: {out} is not a folder" in message


@pytest.mark.numeric
def test_pairs_may_come_from_another_file_and_their_scores_stream_out(
    gpt2_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    pairs, out = tmp_path / "mine.jsonl", tmp_path / "out"
    lines = (gpt2_experiment / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    more = [json.dumps({"first": f"Wow, {n}.", "second": "It is saved."}) for n in range(156)]
    pairs.write_text("\n".join([*lines, *more]), encoding="utf-8")
    arguments = ["run", gpt2_experiment, "--model", gpt2_folder, "--out", out]
    assert in_process(*arguments)[1] is None
    few = pair_scores(out)
    assert in_process(*arguments, "--pairs", pairs)[1] is None
    found = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    assert found["metadata"]["provenance"]["pairs"] == 160
    many = pair_scores(out)
    for row, again in zip(few, many[:4], strict=True):
        assert_close(again, row)
    assert list(many[0])[:4] == ["pair", "first_tokens", "second_tokens", "m0"]
    assert [row["pair"] for row in many] == list(range(1, 161))
    for name, score in found["components"].items():
        # A row gives each score with the digits of a float32.
        assert sum(row[name] for row in many) / 160 == pytest.approx(score, rel=1e-6)


def pair_scores(out: Path) -> list[dict[str, float]]:
    with (out / "pair_scores.csv").open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def test_a_bad_line_stops_the_run_before_the_model_is_loaded(
    gpt2_experiment: Path, tmp_path: Path
) -> None:
    pairs = tmp_path / "mine.jsonl"
    lines = [f'{{"first": "a", "second": "b{n}"}}\n' for n in range(3000)]
    pairs.write_text("".join(lines) + '{"first": "a"}\n', encoding="utf-8")
    arguments = ["--pairs", pairs, "--model", "/nowhere", "--out", tmp_path / "out"]
    message = refusal("run", gpt2_experiment, *arguments)
    assert f"{pairs}: line 3001: expected an object with the keys 'first' and 'second'" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.numeric
def test_a_precision_is_recorded_and_changes_the_scores_a_little(
    gpt2_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    arguments = ["run", gpt2_experiment, "--model", gpt2_folder, "--out", tmp_path]
    assert in_process(*arguments)[1] is None
    exact = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))["components"]
    assert in_process(*arguments, "--precision", "bfloat16")[1] is None
    coarse = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert coarse["metadata"]["provenance"]["precision"] == "bfloat16"
    changes = {name: apart(coarse["components"][name], exact[name]) for name in exact}
    # A step of bfloat16 is 2e-3 of a figure, and a score is a small difference of two.
    assert 2e-3 < max(changes.values()) < 0.1
    _, error = in_process(*arguments, "--precision", "int8")
    assert "--precision: expected float32|bfloat16|float16, found 'int8'" in str(error)


@contextmanager
def interruptible(*command: object) -> Iterator[subprocess.Popen[str]]:
    """A process that hears SIGINT, and that ends with the block at the latest."""
    with hearing_sigint():
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=OFFLINE,
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_an_interrupted_run_leaves_but_its_parts_behind(
    gpt2_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    pairs, out = tmp_path / "mine.jsonl", tmp_path / "out"
    lines = [f'{{"first": "Perfect, it crashed.", "second": "{n}"}}\n' for n in range(16_000)]
    pairs.write_text("".join(lines), encoding="utf-8")
    arguments = ["run", gpt2_experiment, "--pairs", pairs, "--model", gpt2_folder, "--out", out]
    with interruptible(sys.executable, "-m", "replication.cli", *arguments) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not any(
            path.stat().st_size for path in tmp_path.glob(".out.*/pair_scores.csv")
        ):
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        printed, error = process.communicate(timeout=30)
    assert re.fullmatch(
        r"replication: interrupted; \d+ finished parts? of it kept in .*/out/parts, and --resume"
        r" goes on from there",
        error.strip(),
    )
    assert (process.returncode, printed) == (130, "")
    assert sorted(tmp_path.iterdir()) == [pairs, out]
    assert [path.name for path in out.iterdir()] == ["parts"]


def test_a_run_writes_over_nothing_but_an_earlier_run(
    gpt2_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(gpt2_experiment, tmp_path / "mine"))
    before = tree(folder)
    arguments = ["run", folder, "--model", gpt2_folder, "--out"]
    message = refusal(*arguments, folder)
    assert f"{folder}: holds claims.toml, which no earlier run is known to have written" in message
    assert tree(folder) == before
    assert in_process(*arguments, tmp_path / "out")[1] is None
    assert in_process(*arguments, tmp_path / "out")[1] is None


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [
        ("../victim.txt", "expected a path inside the experiment's folder, found '../victim.txt'"),
        ("/victim.txt", "expected a path inside the experiment's folder, found '/victim.txt'"),
        ("claims.toml", "claims.toml: is there and is no recording; nothing else is overwritten"),
        ("link", "link: leads out of the experiment's folder, to "),
        ("sub/link/victim.txt", "victim.txt: leads out of the experiment's folder, to "),
    ],
)
def test_a_recording_overwrites_nothing_but_a_recording(
    gpt2_experiment: Path, gpt2_folder: Path, tmp_path: Path, recorded: str, reason: str
) -> None:
    folder = Path(shutil.copytree(gpt2_experiment, tmp_path / "mine"))
    written(tmp_path, "mine").rename(tmp_path / "victim.txt")
    (folder / "link").symlink_to(tmp_path / "victim.txt")
    (folder / "sub").mkdir()
    (folder / "sub" / "link").symlink_to(tmp_path)
    edit(
        folder / "experiment.toml", 'measures = "run"', f'measures = "run"\nrecorded = "{recorded}"'
    )
    before = tree(tmp_path)
    message = refusal("record", folder, "--model", gpt2_folder)
    assert reason in message
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["run"], "Missing argument 'EXPERIMENT'"),
        (["select", "x.json"], "Missing option '--budget'"),
        (["compare", "x.json", "y.json", "--yaml"], "No such option"),
        (["verify"], "No such command"),
    ],
)
def test_a_command_that_is_used_wrongly_says_how_to_use_it(
    arguments: list[str], reason: str
) -> None:
    done = replication(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
