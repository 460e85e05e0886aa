"""A runner of GitHub's: the steps of an action or a job, run by bash; other actions do nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.paths import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
# It makes environments, and installs nothing: what pip is given goes into a file.
STAND_IN = f"""#!/bin/sh
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") shift 2; echo "$@" >> "$PIP_WAS_GIVEN" ;;
  *) exec "{sys.executable}" "$@" ;;
esac
"""

Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Used:
    """What came of using the action: the steps that bash ran, by name, and the outputs."""

    steps: dict[str, Done]
    outputs: dict[str, str]

    @property
    def last(self) -> Done:
        """The step that failed, or the last one."""
        return list(self.steps.values())[-1]


@dataclass
class Runner:
    """A workspace, a folder for what is temporary beside it, and a Python that can be found."""

    workspace: Path
    summaries: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.temp = self.workspace.parent / "temp"
        self.temp.mkdir()
        self.python = self.workspace.parent / "python"
        self.python.write_text(STAND_IN, encoding="utf-8")
        self.python.chmod(0o755)
        self.pip_was_given = self.temp / "pip.txt"

    def use(self, inputs: Mapping[str, str] | None = None, source: Path = ROOT, **env: str) -> Used:
        """Use the action with these inputs, until a step fails."""
        defaults = {key: value["default"] for key, value in ACTION["inputs"].items()}
        given = {f"inputs.{key}": value for key, value in (defaults | (inputs or {})).items()}
        context = given | {
            "github.action_path": str(source),
            "strategy.job-index": "0",
            "steps.python.outputs.python-path": str(self.python),
            **{f"env.{name}": value for name, value in env.items()},
        }
        steps = {}
        for step in ACTION["runs"]["steps"]:
            if "run" in step:
                steps[step["name"]] = done = self.run(step, context, env)
                if done.returncode:
                    break
        outputs = ACTION["outputs"].items()
        return Used(steps, {name: evaluated(one["value"], context) for name, one in outputs})

    def run(self, step: Mapping[str, Any], context: dict[str, str], env: Mapping[str, str]) -> Done:
        """Run a step's script, with its outputs into the context."""
        written, summary = (
            self.temp / f"{kind}-{len(self.summaries)}" for kind in ("output", "summary")
        )
        self.summaries.append(summary)
        runner = {
            "PYTHONPATH": str(ROOT),
            "GITHUB_ACTIONS": "true",
            "GITHUB_JOB": "replicate",
            "GITHUB_OUTPUT": str(written),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_OS": "Linux",
            "RUNNER_TEMP": str(self.temp),
            "PIP_WAS_GIVEN": str(self.pip_was_given),
        }
        own = {key: evaluated(value, context) for key, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            capture_output=True,
            encoding="utf-8",
            env=os.environ | runner | env | own,
            cwd=self.workspace,
            check=False,
        )
        if "id" in step and written.exists():
            lines = written.read_text(encoding="utf-8").splitlines()
            context |= {
                f"steps.{step['id']}.outputs.{name}": value
                for name, _, value in (line.partition("=") for line in lines)
            }
        return done


def evaluated(text: str, context: Mapping[str, str]) -> str:
    """A text with its expressions evaluated: names and texts, of several the first that is any."""

    def value(found: re.Match[str]) -> str:
        return next(filter(None, (_value(one, context) for one in found[1].split(" || "))), "")

    return EXPRESSION.sub(value, text)


def _value(operand: str, context: Mapping[str, str]) -> str:
    return operand.strip("'") if operand.startswith("'") else context.get(operand, "")


def commands(output: str) -> list[str]:
    """The lines that a runner takes for workflow commands."""
    return [line for line in output.splitlines() if line.lstrip().startswith("::")]


def used_actions(texts: Iterable[str]) -> list[tuple[str, str, str]]:
    """The actions that are used: each with what it is pinned to, and the comment behind."""
    use = re.compile(r"uses: ([^@\s]+)(?:@(\S+))?(?: # (\S+))?$", re.M)
    return [found for text in texts for found in use.findall(text)]
