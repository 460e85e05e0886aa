"""`replication new`: a template that runs as it stands, and whose examples are valid."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from replication.claims.claim import AnyCheck, read_claims
from replication.commands.check import check_experiment
from replication.commands.new import TEMPLATE, Kind, example, new_experiment
from replication.evidence.evidence import published_evidence
from replication.experiment.spec import Spec, read_experiment


def replication(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        # As UTF-8, which a locale may not be able to write.
        [sys.executable, "-m", "replication.cli", *(str(one).encode() for one in arguments)],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"COLUMNS": "100"},
        cwd=cwd,
        check=False,
    )


def examples(text: str) -> list[str]:
    """The blocks of a template that are commented out, without their signs."""
    blocks = re.findall(r"(?m)(?:^#[^ :\n].*\n)+", text)
    return [re.sub(r"(?m)^#", "", block) for block in blocks]


def use_every_claim(folder: Path, *, on_behaviours: bool = False) -> None:
    """Uncomment every example of a claim; those on behaviours with the behaviour they are on."""
    path = folder / "claims.toml"
    text = path.read_text(encoding="utf-8")
    used = [one for one in examples(text) if on_behaviours or "behaviour = " not in one]
    path.write_text(text + "\n" + "\n".join(used), encoding="utf-8")
    if on_behaviours:
        spec = folder / "experiment.toml"
        text = spec.read_text(encoding="utf-8")
        (behaviour,) = (one for one in examples(text) if one.startswith("[behaviour"))
        spec.write_text(f"{text}\n{behaviour}", encoding="utf-8")


def test_a_new_experiment_runs_as_it_stands_with_the_command_that_is_printed(
    tmp_path: Path,
) -> None:
    done = replication("new", "some/my-result", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    command = done.stdout.splitlines()[-1].strip()
    assert command == (
        "pytest --pyargs replication --replication-experiments some"
        " --replication-experiment my-result --replication-live"
    )
    elsewhere = ["--replication-reports", "reports"]
    result = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), *elsewhere],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    counts = json.loads((tmp_path / "reports" / "claims.json").read_text(encoding="utf-8"))[
        "counts"
    ]
    assert counts["published"] == {"holds": 2, "refuted": 1, "undecided": 4, "missing": 0}
    assert counts["live"] == {"holds": 4, "refuted": 0, "undecided": 0, "missing": 0}
    (hint,) = (line for line in result.stdout.splitlines() if "no recorded evidence" in line)
    assert hint.endswith(" with: replication record some/my-result")


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_has_nothing_wrong_and_the_same_explanations(kind: Kind, tmp_path: Path) -> None:
    new_experiment(tmp_path / "mine", example(kind))
    assert check_experiment(tmp_path / "mine").problems == []
    whole, own = (example(one)["experiment.toml"].splitlines() for one in ("encoder", kind))
    explained = [line for line in whole if line.startswith("# ")]
    assert [line for line in own if line in explained] == explained


def counts(folder: Path, *options: str) -> dict[str, dict[str, int]]:
    """What becomes of an experiment's claims, by kind of evidence; nothing fails."""
    where = ["--replication-experiments", folder.name, "--replication-reports", "reports"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--pyargs", "replication.test_claims", *where, *options],
        capture_output=True,
        encoding="utf-8",
        cwd=folder.parent,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    report = (folder.parent / "reports" / "claims.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, int]] = json.loads(report)["counts"]
    return found


def test_what_was_only_published_is_judged_without_a_model(tmp_path: Path) -> None:
    done = replication("new", "mine", "--kind", "published", cwd=tmp_path)
    command = done.stdout.splitlines()[-1].strip()
    assert command == (
        "pytest --pyargs replication --replication-experiments . --replication-experiment mine"
    )
    found = counts(tmp_path / "mine")
    assert found["published"] == {"holds": 2, "refuted": 1, "undecided": 0, "missing": 0}


@pytest.mark.slow
def test_a_decoders_example_runs_as_it_stands(tmp_path: Path) -> None:
    assert replication("new", "mine", "--kind", "decoder", cwd=tmp_path).returncode == 0
    found = counts(tmp_path / "mine", "--replication-live=require")
    assert found["live"] == {"holds": 4, "refuted": 0, "undecided": 1, "missing": 0}


def test_an_unknown_kind_is_refused_and_nothing_written(tmp_path: Path) -> None:
    done = replication("new", "mine", "--kind", "vision", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--kind: expected encoder|decoder|published, found 'vision'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_template_shows_every_kind_of_check(tmp_path: Path) -> None:
    new_experiment(tmp_path / "mine")
    use_every_claim(tmp_path / "mine", on_behaviours=True)
    claims = read_claims(read_experiment(tmp_path / "mine"))
    shown = {check.kind for claim in claims for check in claim.check}
    (union, *_) = get_args(AnyCheck)
    assert shown == {get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(union)}


def test_every_example_of_a_claim_comes_out_as_expected(
    tmp_path: Path, pytester: pytest.Pytester
) -> None:
    new_experiment(tmp_path / "mine")
    use_every_claim(tmp_path / "mine")
    where = ["--replication-experiments", str(tmp_path), "--replication-live"]
    result = pytester.runpytest_subprocess(
        "--pyargs", "replication.test_claims", "-p", "no:cacheprovider", *where
    )
    assert result.ret == 0
    claims = json.loads((pytester.path / "reports/claims.json").read_text(encoding="utf-8"))
    verdicts = {
        claim["id"]: {one["verdict"] for one in claim["judgements"] if one["checks"]}
        for claim in claims["experiments"][0]["claims"]
    }
    assert all(found & {"holds", "refuted"} for found in verdicts.values())
    assert verdicts["X10"] == {"undecided", "refuted"}


def test_every_example_of_a_table_is_a_valid_one() -> None:
    text = (TEMPLATE / "experiment.toml").read_text(encoding="utf-8")
    content = tomllib.loads(text)
    blocks = examples(text)
    assert len(blocks) >= 5
    for block in blocks:
        Spec.model_validate(content | tomllib.loads(block))


def test_the_published_examples_belong_to_the_experiment(tmp_path: Path) -> None:
    new_experiment(tmp_path / "mine")
    results = published_evidence(read_experiment(tmp_path / "mine")).results
    assert results["paper"].circuit is not None
    assert results["paper"].scores is not None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "mine/..", "-x", "my result", "a:b", "naïve", "a\nb"]
)
def test_a_name_that_cannot_be_an_experiments_is_refused(tmp_path: Path, name: str) -> None:
    done = replication("new", "--", name, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "cannot be an experiment's name: expected letters, digits" in line
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder"):
        done = replication("new", name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"replication: {name}: is there already\n"
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
    assert list((tmp_path / "folder").iterdir()) == []
    done = replication("new", "file/mine", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
