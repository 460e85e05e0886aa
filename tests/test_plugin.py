"""The pytest plugin as users meet it: real runs of `pytest --pyargs replication`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.make import quick_experiments
from tests.paths import FIXTURES, ROOT

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def experiments(tmp_path: Path) -> Path:
    """Copies of two experiments, to change."""
    return quick_experiments(tmp_path / "experiments")


@pytest.fixture
def run(pytester: pytest.Pytester, experiments: Path) -> Run:
    """Run the claim tests on the copied experiments."""

    def run_claims(*arguments: str, in_process: bool = True) -> pytest.RunResult:
        start = pytester.runpytest_inprocess if in_process else pytester.runpytest_subprocess
        return start(
            "--pyargs",
            "replication.test_claims",
            "--replication-experiments",
            str(experiments),
            "--replication-reports",
            str(pytester.path / "reports"),
            "-p",
            "no:cacheprovider",
            *arguments,
        )

    return run_claims


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, f"{old!r} is not in {path.name}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_one_test_per_claim_and_evidence_with_an_id_to_select_by(run: Run) -> None:
    result = run("--collect-only", "-q", "-k", "R7 and published")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*test_claim[[]sarcasm-gpt2-R7-ratio-published[]]"])

    listed = run("--collect-only", "-q").stdout.str()
    ids = re.findall(r"test_claim\[(.+)\]", listed)
    assert len(ids) == len(set(ids))
    assert "sarcasm-minilm-M2-scores+ranking-recorded" in ids
    assert not any(name.endswith("-live") for name in ids)
    assert "sarcasm-gpt2-O5-bound-recorded" not in ids


def test_the_experiments_as_they_stand_come_out_as_expected(
    run: Run, pytester: pytest.Pytester
) -> None:
    result = run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "sarcasm-gpt2: adds up: not entirely; replicates: not run;"
            " means what it says: not shown; does anything: not asked",
            "  Everything that was decided came out as expected",
            "  4 of 38 statements are refuted: R22, O5, D1, D2",
            "  m2: * of its score may be prompt length (original, published)",
            "  no recorded evidence: *with: replication record *sarcasm-gpt2",
            "  no live evidence: not run; --replication-live runs the model",
            "sarcasm-minilm: adds up: nothing to add up;"
            " replicates: nothing published to compare with;"
            " means what it says: not shown; does anything: not asked",
            "  17 of 23 selected are unstable (minilm, recorded): m0, a5.h9, a5.h1, * and 9 more",
            "report: *index.html, and as text *claims.md",
        ]
    )
    reports = pytester.path / "reports"
    assert {path.name for path in reports.iterdir()} == {
        "claims.json",
        "claims.md",
        "index.html",
        "junit.xml",
        "ledger.html",
        "ledger.md",
        "manifest.json",
        "sarcasm-gpt2",
        "sarcasm-minilm",
    }
    assert not list(reports.rglob(".*"))


def test_the_reports_say_what_the_scores_mean(run: Run, pytester: pytest.Pytester) -> None:
    assert run(in_process=False).ret == 0
    reports = pytester.path / "reports"
    gpt2, minilm = (
        json.loads((reports / name / "verification.json").read_text(encoding="utf-8"))
        for name in ("sarcasm-gpt2", "sarcasm-minilm")
    )
    assert gpt2["format"] == "replication.verification.4"
    assert gpt2["thresholds"]["artefact_share"]["value"] == 0.5
    assert sorted(one["result"] for one in gpt2["verifications"]) == ["original", "replication"]
    assert gpt2["verifications"][0]["components"][0]["component"] == "m2"
    assert gpt2["verifications"][0]["components"][0]["word"] == "not shown"
    breakdown = gpt2["verifications"][0]["components"][0]["length_breakdown"]
    assert breakdown == pytest.approx(0.1696, abs=1e-4)
    (found,) = minilm["verifications"]
    assert (found["evidence"], found["pairs"], found["resamples"]) == ("recorded", 5, 10_000)
    assert found["null"] == {"exchanges": 16, "exhaustive": True, "smallest_p": 0.0625}

    page = (reports / "claims.md").read_text(encoding="utf-8")
    section = page.split("### What the scores of minilm mean (recorded evidence)")[1]
    assert (
        "prompts of the same side, which do not differ in the property, score 1.10 times" in section
    )
    assert re.search(
        r"\| m5 \| 3\.67495 \| 2\.7\d* to 4\.9\d* \| 100% \| 4\.829 \| 7%, 0 to 100% \|", section
    )
    assert "**Markers**: ',' (100% against 0%), 'i' in front (0% against 80%)" in section
    assert re.search(r"Of 18 heads, 13\.\d are shared .*, and 13\.\d of a null circuit", section)
    assert re.search(
        r"- m2: not shown: mean norms of 243\.6318 .* of 32\.4653 .*: 98 to 99%, if .* by 17%", page
    )
    assert page.count("## Thresholds") == 1
    assert "share 40 heads of 43 and 43; random circuits of their make-up share 12.8" in page


def test_a_component_that_the_norms_no_longer_explain_is_no_longer_refuted(
    run: Run, experiments: Path
) -> None:
    path = experiments / "sarcasm-gpt2" / "published" / "original.lengths.json"
    edit(path, '"243.6318"', '"205.6318"')
    result = run("-rs", "-k", "O9 and published")
    result.stdout.fnmatch_lines(["*undecided on published evidence: original: not shown*"])


def test_a_skip_says_which_evidence_was_missing_and_how_to_get_it(run: Run) -> None:
    result = run("-rs", "-k", "R3")
    output = result.stdout.str()
    assert "the statement itself; recorded or live evidence would decide it" in output
    assert re.search(r"no recorded evidence: .* with: replication record .*sarcasm-gpt2", output)


CHANGES = [
    ("sarcasm-gpt2/claims.toml", 'ratio = "1.41"', 'ratio = "1.42"', "R7"),
    ("sarcasm-gpt2/claims.toml", 'percent = "94.4"', 'percent = "94.5"', "R13"),
    ("sarcasm-gpt2/claims.toml", "room_for_heads = 43", "room_for_heads = 44", "R9"),
    ("sarcasm-gpt2/claims.toml", 'm10 = "17.47"', 'm10 = "17.48"', "R4"),
    ("sarcasm-gpt2/claims.toml", "0-3 = 9", "0-3 = 8", "O7"),
    ("sarcasm-gpt2/published/replication.scores.json", '"31.51"', '"31.61"', "R4"),
    ("sarcasm-gpt2/published/replication.scores.json", '"6.9997"', '"6.9998"', "R3"),
    ("sarcasm-gpt2/published/replication.scores.json", '"1.24"', '"1.25"', "R5"),
    ("sarcasm-gpt2/published/original.scores.json", '"22.2967"', '"22.3967"', "O1"),
    ("sarcasm-gpt2/published/original.scores.json", '"6.6772"', '"6.4772"', "O5"),
    ("sarcasm-gpt2/published/original.circuit.json", '"a2.h3"', '"a2.h9"', "R15"),
    ("sarcasm-gpt2/published/original.circuit.json", '"m5"', '"m4"', "R16"),
    ("sarcasm-gpt2/experiment.toml", "mlp_threshold = 7.0", "mlp_threshold = 7.1", "S1"),
    ("sarcasm-gpt2/experiment.toml", "n_heads = 12", "n_heads = 13", "R2"),
    ("sarcasm-minilm/claims.toml", 'm5 = "3.67495"', 'm5 = "3.67515"', "M2"),
    ("sarcasm-minilm/claims.toml", "total = 24", "total = 25", "M12"),
    ("sarcasm-minilm/experiment.toml", "budget = 2880", "budget = 2912", "M12"),
    ("sarcasm-minilm/pairs.jsonl", "7 AM", "8 AM", "M2"),
]


@pytest.mark.parametrize(("file", "old", "new", "claim"), CHANGES)
def test_a_changed_number_fails_the_claim_that_depends_on_it(
    run: Run, experiments: Path, file: str, old: str, new: str, claim: str
) -> None:
    edit(experiments / file, old, new)
    name = file.split("/")[0]
    result = run("-q", "-k", f"{name}-{claim}-")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"FAILED *[[]{name}-{claim}-*"])


def test_a_changed_byte_of_the_recording_fails_its_claims(run: Run, experiments: Path) -> None:
    path = experiments / "sarcasm-minilm" / "recorded.safetensors"
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    result = run("-q", "-k", "minilm")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["M2: *recorded.safetensors: the recording was changed after it was made"]
    )


def test_a_failure_shows_expected_measured_tolerance_source_and_difference(
    run: Run, experiments: Path
) -> None:
    claims = experiments / "sarcasm-gpt2" / "claims.toml"
    edit(claims, 'only_circuit = ["a11.h10",', 'only_circuit = ["a11.h9",')
    edit(claims, 'ratio = "1.45", tolerance = "0.01"', 'ratio = "1.40", tolerance = "0.01"')
    result = run("-q", "-k", "R15 or O2")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "R15: Only in the original: *",
            "  expected: holds; on published evidence: refuted",
            "  source: Report of the replication, 2025-11-13",
            "    expected:  *a11.h9*",
            "    measured:  *a11.h10*",
            "    tolerance: none",
            "    difference:",
            "*only_circuit*a11.h10*",
            "O2: m2 is about 45% stronger*",
            "  ratio: refuted: 32.4653 / 22.2967 = 1.45605 to 1.45606, stated 1.40 ± 0.01",
            "    tolerance: ± 0.01",
        ]
    )


def test_a_statement_expected_to_be_false_fails_when_it_starts_to_hold(
    run: Run, experiments: Path
) -> None:
    scores = experiments / "sarcasm-gpt2" / "published" / "original.scores.json"
    edit(scores, '"6.6772"', '"6.4772"')
    result = run("-q", "-k", "O5")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["  expected: refuted; on published evidence: holds"])


FIRST = (FIXTURES / "sarcasm-gpt2" / "pairs.jsonl").read_text(encoding="utf-8").split("\n")[
    0
] + "\n"
BAD_INPUT = [
    ("sarcasm-gpt2/experiment.toml", "budget = 11200", "budget = -1", "selection: budget"),
    ("sarcasm-gpt2/experiment.toml", "budget = 11200", "bugdet = 11200", "selection: bugdet"),
    ("sarcasm-gpt2/claims.toml", 'kind = "ratio"', 'kind = "ration"', "claim R7"),
    ("sarcasm-gpt2/claims.toml", 'of = "m2"', 'of = "m12"', "the model has no component m12"),
    ("sarcasm-gpt2/claims.toml", 'id = "R2"', 'id = "R1"', "two claims have the id R1"),
    ("sarcasm-gpt2/pairs.jsonl", "Oh great", 'Oh "great', "line 1"),
    ("sarcasm-gpt2/pairs.jsonl", FIRST, 2 * FIRST, "line 2: pair 2 repeats pair 1; give each pair"),
    ("sarcasm-gpt2/published/original.circuit.json", '"m11"', '"m2"', "m2 stands there more"),
    ("sarcasm-gpt2/published/original.scores.json", '"m11"', '"b7"', "'b7' is no component"),
]


@pytest.mark.parametrize(("file", "old", "new", "reason"), BAD_INPUT)
def test_bad_input_ends_with_status_2_and_one_line(
    run: Run,
    pytester: pytest.Pytester,
    experiments: Path,
    file: str,
    old: str,
    new: str,
    reason: str,
) -> None:
    edit(experiments / file, old, new)
    result = run(in_process=False)
    assert result.ret == 2
    (line,) = result.errlines
    assert Path(file).name in line
    assert reason in line
    assert not (pytester.path / "reports").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ["--replication-experiment", "sarcasm"],
            "there is no experiment 'sarcasm'; it has sarcasm-gpt2, ",
        ),
        (
            ["--replication-model", "/nowhere"],
            "--replication-model: models run only with --replication-live",
        ),
        (["--replication-live", "--replication-device", "mps"], "the device mps is not there"),
        (
            ["--replication-live", "--replication-model", "/nowhere"],
            "'/nowhere' is neither a folder here nor a possible",
        ),
    ],
)
def test_an_option_that_cannot_be_met_ends_with_status_2(
    run: Run, arguments: list[str], reason: str
) -> None:
    result = run(*arguments, in_process=False)
    assert result.ret == 2
    (line,) = result.errlines
    assert reason in line


def test_an_option_whose_name_begins_as_anothers_does_is_not_taken_for_it(
    pytester: pytest.Pytester, experiments: Path
) -> None:
    only = ["--replication-experiment", "sarcasm-minilm", "--collect-only", "-q"]
    where = ["--replication-experiments", str(experiments)]
    for arguments in ([*only, *where], [*where, *only]):
        result = pytester.runpytest_inprocess("--pyargs", "replication.test_claims", *arguments)
        listed = re.findall(r"test_claim\[(sarcasm-\w+)-", result.stdout.str())
        assert set(listed) == {"sarcasm-minilm"}


def test_a_path_may_follow_the_option_to_run_models(run: Run) -> None:
    path = str(ROOT / "replication" / "test_claims.py")
    for option in ("--replication-live", "--replication-live=on", "--replication-live=require"):
        result = run("--collect-only", "-q", "-k", "R3", option, path)
        assert result.ret == 0
        result.stdout.fnmatch_lines(["*test_claim[[]sarcasm-gpt2-R3-scores-live[]]"])


@pytest.mark.parametrize(
    "option", ["--live", "--experiments=.", "--model=x", "--replication-exp=x"]
)
def test_other_spellings_of_an_option_are_not_known(run: Run, option: str) -> None:
    result = run(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*error: unrecognized arguments: {option}"])


@pytest.fixture
def quick(pytester: pytest.Pytester) -> list[str]:
    """A repository with experiments, and one quick test of theirs."""
    quick_experiments(pytester.path / "fixtures")
    pytester.makepyfile("")
    pytester.mkdir("sub")
    return ["--pyargs", "replication.test_claims", "-q", "-k", "R7 and published"]


def reports_in(folder: Path) -> list[str]:
    """The folders of reports in which a run of some of the claims wrote one."""
    return [
        str(path.parents[1].relative_to(folder)) for path in folder.rglob("partial/claims.json")
    ]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"experiments": "../fixtures"}, "sub/reports"),
        ({"experiments": "../fixtures", "reports": "sub"}, "sub/sub"),
        ({"experiments": "../fixtures", "reports": "../out"}, "out"),
    ],
)
@pytest.mark.parametrize("spelling", ["--{}={}", "--{} {}"], ids=["one word", "two words"])
def test_a_folder_is_told_from_where_the_command_was_started(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    quick: list[str],
    spelling: str,
    given: dict[str, str],
    place: str,
) -> None:
    monkeypatch.chdir(pytester.path / "sub")
    options = [spelling.format(f"replication-{name}", value) for name, value in given.items()]
    result = pytester.runpytest_inprocess(*quick, *" ".join(options).split(" "))
    assert result.ret == 0
    assert reports_in(pytester.path) == [place]


@pytest.mark.parametrize("start", [".", "sub"])
def test_a_repository_writes_its_folders_down_once(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, quick: list[str], start: str
) -> None:
    pytester.makeini(
        "[pytest]\nreplication_experiments = my claims\nreplication_reports = build/out\n"
    )
    (pytester.path / "fixtures").rename(pytester.path / "my claims")
    monkeypatch.chdir(pytester.path / start)
    assert pytester.runpytest_inprocess(*quick).ret == 0
    assert reports_in(pytester.path) == ["build/out"]
    shutil.rmtree(pytester.path / "build")
    assert pytester.runpytest_inprocess(*quick, "--replication-reports=here").ret == 0
    assert reports_in(pytester.path) == [str(Path(start, "here"))]


@pytest.mark.parametrize("spelling", ["{}={}", "{} {}"], ids=["one word", "two words"])
@pytest.mark.parametrize("is_there_another", [True, False])
def test_the_ini_file_is_the_repositorys_own_whatever_an_options_value_is(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    quick: list[str],
    spelling: str,
    is_there_another: bool,
) -> None:
    """pytest takes an option's value that is a word of its own for an argument that leads to it."""
    own, other = pytester.mkdir("own"), pytester.mkdir("other")
    (own / "tox.ini").write_text("[pytest]\nreplication_reports = out\n", encoding="utf-8")
    (own / "sub").mkdir()
    (pytester.path / "fixtures").rename(other / "fixtures")
    if is_there_another:
        (other / "pytest.ini").write_text("[pytest]\nreplication_reports = out\n", encoding="utf-8")
    monkeypatch.chdir(own / "sub")
    option = spelling.format("--replication-experiments", "../../other/fixtures").split()
    assert pytester.runpytest_inprocess(*quick, *option).ret == 0
    assert reports_in(pytester.path) == ["own/out"]


def test_the_folder_of_one_experiment_is_that_experiment(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, quick: list[str]
) -> None:
    monkeypatch.chdir(pytester.path / "fixtures" / "sarcasm-gpt2")
    for place in (".", "../sarcasm-gpt2"):
        reports = pytester.path / "reports"
        only = ["--replication-experiments", place, "--replication-reports", str(reports)]
        assert pytester.runpytest_inprocess(*quick, *only).ret == 0
        content = json.loads((reports / "partial" / "claims.json").read_text(encoding="utf-8"))
        assert [one["name"] for one in content["experiments"]] == ["sarcasm-gpt2"]


def test_the_reports_hold_every_claim_with_its_evidence(
    run: Run, pytester: pytest.Pytester
) -> None:
    run()
    reports = pytester.path / "reports"
    content = json.loads((reports / "claims.json").read_text(encoding="utf-8"))
    gpt2, minilm = content["experiments"]
    assert [claim["id"] for claim in gpt2["claims"]][:3] == ["R1", "R2", "R3"]
    assert gpt2["counts"]["published"] == {
        "holds": 21,
        "refuted": 4,
        "undecided": 13,
        "missing": 0,
    }
    ratio = next(claim for claim in gpt2["claims"] if claim["id"] == "R7")
    judgement = ratio["judgements"][0]
    assert judgement["evidence"] == "published"
    assert judgement["checks"][0]["expected"] == "1.41"
    low, high = judgement["checks"][0]["measured"]
    assert low < 31.51 / 22.32 < high
    assert minilm["provenance"]["recorded"]["weights_sha256"].startswith("53aa5117")
    assert minilm["provenance"]["recorded"]["device"] == "cpu"

    circuit = json.loads((reports / "sarcasm-minilm" / "circuit.json").read_text(encoding="utf-8"))
    assert circuit["metadata"]["write_budget_used"] == 2880
    scores = json.loads((reports / "sarcasm-minilm" / "scores.json").read_text(encoding="utf-8"))
    assert len(scores["components"]) == 78

    page = (reports / "claims.md").read_text(encoding="utf-8")
    assert "| O5 | The excluded MLPs, m3 and m4, score below 6.5. | published | m4 (6.6772)" in page
    cases = ET.parse(reports / "junit.xml").getroot().iter("testcase")
    assert "test_claim[sarcasm-gpt2-R7-ratio-published]" in {case.get("name") for case in cases}


def test_the_table_goes_to_the_step_summary(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    run("-q")
    assert summary.read_text(encoding="utf-8").startswith("before\n# Claims and verdicts")


def test_what_a_report_holds_from_a_file_shows_as_text(
    run: Run, pytester: pytest.Pytester, experiments: Path
) -> None:
    edit(
        experiments / "sarcasm-gpt2" / "claims.toml",
        'statement = "The ratio of m2 to m11 is 1.41."',
        'statement = "<b>a|b</b> `c`"',
    )
    run("-q")
    page = (pytester.path / "reports" / "claims.md").read_text(encoding="utf-8")
    assert r"\<b\>a\|b\</b\> \`c\`" in page


def test_worker_processes_report_as_one(run: Run, pytester: pytest.Pytester) -> None:
    result = run("-n", "2")
    assert result.ret == 0
    content = json.loads((pytester.path / "reports" / "claims.json").read_text(encoding="utf-8"))
    assert content["experiments"][0]["counts"]["published"]["holds"] == 21
    assert content["experiments"][1]["counts"]["recorded"]["holds"] == 14
    assert (pytester.path / "reports" / "sarcasm-minilm" / "scores.json").exists()


@pytest.mark.parametrize(
    ("reports", "reason"),
    [
        (".", "it is, holds or lies in "),
        ("..", "it is, holds or lies in "),
        ("sarcasm-gpt2", "it is, holds or lies in "),
        ("sarcasm-gpt2/out", "it is, holds or lies in "),
        ("out", "it is, holds or lies in "),
        ("link", "it is, holds or lies in "),
        ("../notes", "notes: holds mine.txt, which no earlier run is known to have written"),
        ("../file", "file: expected a folder to write to, found a file"),
    ],
)
def test_reports_are_written_over_nothing_of_the_users(
    run: Run, experiments: Path, reports: str, reason: str
) -> None:
    (experiments / "link").symlink_to(experiments / "sarcasm-gpt2")
    (experiments.parent / "notes").mkdir()
    (experiments.parent / "notes" / "mine.txt").write_text("mine", encoding="utf-8")
    (experiments.parent / "file").write_text("mine", encoding="utf-8")
    before = {path: path.read_bytes() for path in experiments.parent.rglob("*") if path.is_file()}
    place = str(experiments / reports)
    result = run("--replication-reports", place, in_process=False)
    assert result.ret == 2
    (line,) = result.errlines
    assert reason in line
    after = {path: path.read_bytes() for path in experiments.parent.rglob("*") if path.is_file()}
    assert after == before


def test_an_experiment_called_as_a_file_of_reports_is_refused(run: Run, experiments: Path) -> None:
    (experiments / "sarcasm-gpt2").rename(experiments / "claims.json")
    result = run(in_process=False)
    assert result.ret == 2
    (line,) = result.errlines
    assert "the experiment claims.json is called as a file of reports is" in line


@pytest.mark.parametrize(
    "part", [["-k", "R7"], ["--replication-experiment", "sarcasm-minilm"], ["--maxfail=1"]]
)
def test_a_run_of_some_claims_leaves_a_whole_report_as_it_is(
    run: Run, pytester: pytest.Pytester, experiments: Path, part: list[str]
) -> None:
    run("-q")
    reports = pytester.path / "reports"
    whole = {path: path.read_bytes() for path in reports.rglob("*") if path.is_file()}
    assert b"Partial" not in (reports / "claims.md").read_bytes()
    if part == ["--maxfail=1"]:
        edit(experiments / "sarcasm-gpt2" / "claims.toml", 'ratio = "1.41"', 'ratio = "1.42"')
    result = run("-q", *part)
    result.stdout.fnmatch_lines(["Partial: *", "report: *partial/index.html, *"])
    assert {path: path.read_bytes() for path in whole} == whole
    partial = reports / "partial"
    said = "Partial: of the judgements that a whole run makes, this one made "
    assert said in (partial / "claims.md").read_text(encoding="utf-8")
    assert said in (partial / "index.html").read_text(encoding="utf-8")
    content = json.loads((partial / "claims.json").read_text(encoding="utf-8"))
    assert content["partial"]["judged"] < content["partial"]["of"] or "experiment" in part[0]
    for name in ("circuit.json", "scores.json"):
        for path in reports.rglob(name):
            metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
            assert ("partial" in metadata) == (partial in path.parents)
    run("-q")
    assert (reports / "partial" / "claims.md").exists()


def test_what_did_not_run_is_said_truly(run: Run, pytester: pytest.Pytester) -> None:
    run("-q", "-k", "minilm")
    page = (pytester.path / "reports" / "partial" / "claims.md").read_text(encoding="utf-8")
    assert "- Published evidence: the experiment has none." in page
    run("-q", "-k", "R3 and recorded")
    page = (pytester.path / "reports" / "partial" / "claims.md").read_text(encoding="utf-8")
    assert "- Published evidence: not judged in this run." in page


def test_worker_processes_write_the_same_report(run: Run, pytester: pytest.Pytester) -> None:
    reports = pytester.path / "reports"
    found = []
    for workers in ([], ["-n", "2"]):
        assert run("-q", *workers, in_process=False).ret == 0
        found.append(
            {
                path.relative_to(reports): re.sub(
                    r"pytest --basetemp[^\"<]+", "", path.read_text(encoding="utf-8")
                )
                for path in sorted(reports.rglob("*"))
                if path.is_file() and path.name not in ("junit.xml", "manifest.json")
            }
        )
    assert found[0] == found[1]


def test_a_report_that_cannot_be_written_is_no_false_claim(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "nowhere" / "summary.md"))
    result = run("-q")
    assert result.ret == 2
    result.stdout.fnmatch_lines(
        [
            "sarcasm-gpt2: adds up: *",
            "replication: the report could not be written: * No such file or directory: *",
        ]
    )


def test_sigterm_ends_a_run_as_sigint_does(pytester: pytest.Pytester, experiments: Path) -> None:
    pytester.makepyfile(
        ends="""
        import os, signal
        def pytest_runtest_logreport(report):
            if "R9" in report.nodeid:
                os.kill(os.getpid(), signal.SIGTERM)
        """
    )
    pytester.syspathinsert()
    where = ["--replication-experiments", str(experiments)]
    result = pytester.runpytest_subprocess(
        "--pyargs", "replication.test_claims", "-q", "-p", "ends", *where
    )
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    assert (pytester.path / "reports" / "partial" / "claims.md").exists()


def test_figures_of_an_earlier_run_do_not_outlive_it(
    run: Run, pytester: pytest.Pytester, experiments: Path
) -> None:
    run("-q")
    assert (pytester.path / "reports" / "sarcasm-minilm" / "scores.json").exists()
    (experiments / "sarcasm-minilm" / "recorded.safetensors").unlink()
    run("-q")
    assert not (pytester.path / "reports" / "sarcasm-minilm").exists()


def test_the_plugin_rests_in_other_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*replication: *")
    assert not (pytester.path / "reports").exists()


@pytest.mark.parametrize(
    "arguments",
    [["-p", "replication.plugin"], ["-p", "no:replication", "-p", "replication.plugin"]],
    ids=["beside the entry point", "in its place"],
)
def test_the_plugin_can_be_named_by_its_module(run: Run, arguments: list[str]) -> None:
    assert run(*arguments, "-k", "R7 and published", in_process=False).ret == 0


def test_the_plugin_can_be_disabled(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("-p", "no:replication", "--replication-live")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*error: unrecognized arguments: --replication-live"])


OFFLINE_RUN = """
import socket, sys
import pytest

def refuse(*arguments, **keywords):
    raise AssertionError("the network was asked for")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
status = pytest.main(sys.argv[1:])
print("imported:", sorted({"torch", "transformers", "transformer_lens"} & set(sys.modules)))
sys.exit(status)
"""


def test_the_benchmarks_run_where_they_are_named_by_a_folder(run: Run) -> None:
    """As in `pytest replication/`, and not by the package's name."""
    named = run("--pyargs", "replication", "--collect-only", "-q")
    assert "test_benchmarks" not in named.stdout.str()
    folder = subprocess.run(
        [sys.executable, "-m", "pytest", "replication/", "--collect-only", "-q"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert "replication/benchmarks/test_benchmarks.py::test_scoring\n" in folder.stdout
    assert "replication/test_claims.py::test_claim[sarcasm-gpt2-R1-" in folder.stdout


def test_a_run_without_live_imports_no_model_library_and_asks_no_network(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", OFFLINE_RUN, "--pyargs", "replication"]
    reports = ["--replication-reports", str(tmp_path / "reports")]
    places = ["--replication-experiments", str(FIXTURES), *reports]
    result = subprocess.run(
        [*command, *places, "-p", "no:cacheprovider"],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert "imported: []" in result.stdout


def test_a_live_run_judges_the_model_in_a_local_folder(
    run: Run, pytester: pytest.Pytester, gpt2_experiment: Path, gpt2_folder: Path
) -> None:
    where = ["--replication-experiments", str(gpt2_experiment.parent)]
    live = ["--replication-live", "--replication-model", str(gpt2_folder)]
    result = run(*where, *live, "--replication-device", "cpu", in_process=False)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "* replicates: nothing published to compare with; *",
            "  no recorded evidence: *",
        ]
    )
    reports = pytester.path / "reports"
    (experiment,) = json.loads((reports / "claims.json").read_text(encoding="utf-8"))["experiments"]
    provenance = experiment["provenance"]["live"]
    assert provenance["model"] == "gpt2"
    assert provenance["token_lengths"][1][1] > provenance["token_lengths"][1][0]
    scores = json.loads((reports / "random-gpt2" / "scores.json").read_text(encoding="utf-8"))
    assert scores["metadata"]["provenance"]["evidence"] == "live"


def test_missing_live_evidence_is_named_and_fails_where_it_is_required(run: Run) -> None:
    only = ["--replication-experiment", "sarcasm-gpt2", "-q"]
    missing = "no live evidence: gpt2 is not in the hub's cache, and HF_HUB_OFFLINE forbids*"
    at_hand = run("--replication-live", *only)
    assert at_hand.ret == 0
    at_hand.stdout.fnmatch_lines(["* replicates: not run; *", f"  {missing}"])
    required = run("--replication-live=require", *only)
    assert required.ret == 1
    required.stdout.fnmatch_lines(
        ["R3: gpt2 is not in the hub's cache*", "FAILED *R3-scores-live*"]
    )


def test_the_weights_of_another_model_fail_the_live_tests(run: Run, experiments: Path) -> None:
    edit(experiments / "sarcasm-minilm" / "experiment.toml", 'sha256 = "53aa', 'sha256 = "63aa')
    (experiments / "sarcasm-minilm" / "recorded.safetensors").unlink()
    only = ["--replication-experiment", "sarcasm-minilm", "-q", "-k", "M15"]
    result = run("--replication-live", *only, in_process=False)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["M15: *the weights' SHA-256 is 53aa*, and the experiment pins 63aa*"]
    )
