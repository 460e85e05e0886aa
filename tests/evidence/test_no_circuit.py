"""A run on whose scores the rule selects nothing, or one kind only: what else it shows stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from replication import cli
from replication.inputs.files import InputError
from replication.report.data import results_json
from replication.report.ledger import ledger_markdown
from replication.report.page.page import page
from replication.report.record import ExperimentReport
from replication.report.terminal import summary
from replication.report.text import claims_markdown
from replication.session import Options, Session
from tests.make import copied, edit
from tests.paths import FIXTURES

OF_CIRCUIT = {"M12", "M14"}
OF_RULE = {"M13"}


def judged(folder: Path, name: str, *changes: tuple[str, str, str]) -> ExperimentReport:
    """The report on a copy of an experiment, in which files are changed."""
    experiment = copied(FIXTURES / name, folder / "experiments" / name)
    for file, old, new in changes:
        edit(experiment / file, old, new)
    return report_of(Options(folder / "experiments", folder))


def report_of(options: Options) -> ExperimentReport:
    """The report on the only experiment there is."""
    session = Session(options)
    for case in session.cases():
        session.collect(session.judge(case).handover)
    (report,) = session.reports.values()
    return report


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            [
                ("experiment.toml", "mlp_threshold = 2.5", "mlp_threshold = 40.0"),
                ("claims.toml", 'mlp_threshold = "2.5"', 'mlp_threshold = "40.0"'),
            ],
            "no MLP reaches the threshold of 40: the highest score is 3.67495 (m5)",
        ),
        (
            [
                ("experiment.toml", "budget = 2880", "budget = 800"),
                ("claims.toml", "budget = 2880, mlp", "budget = 800, mlp"),
            ],
            "a budget of 800 does not hold the 5 MLPs at or above the threshold of 2.5, which cost"
            " 2304 with the input",
        ),
    ],
)
def test_what_the_rule_cannot_select_refutes_the_selection_alone(
    tmp_path: Path, changes: list[tuple[str, str, str]], reason: str
) -> None:
    report = judged(tmp_path, "sarcasm-minilm", *changes)
    verdicts = {one.claim: one.verdict for one in report.records}
    assert {name for name, found in verdicts.items() if found == "refuted"} == OF_RULE
    assert "missing" not in verdicts.values()
    held = {f"M{number}" for number in range(1, 12)}
    assert {name for name, found in verdicts.items() if found == "holds"} == held
    for name in OF_RULE | OF_CIRCUIT:
        record = report.record(name, "recorded")
        assert record is not None
        assert f"the rule selects no circuit: {reason}" in record.arithmetic
    assert set(results_json(report)) == {"scores.json"}
    assert not any(one.selected for found in report.controls for one in found.components)
    texts = claims_markdown([report]), ledger_markdown([report]), page([report], "", tmp_path, "")
    assert all(re.sub(r"\\", "", text).count(reason) for text in texts)
    assert any("UNEXPECTED M13" in line for line, _ in summary([report], None, None))


def test_recorded_interventions_are_left_aside_without_a_circuit(tmp_path: Path) -> None:
    name = "ioi-smollm2-short"
    spec = (FIXTURES / name / "experiment.toml").read_text(encoding="utf-8")
    (threshold,) = re.findall(r"^mlp_threshold = .*$", spec, re.M)
    report = judged(tmp_path, name, ("experiment.toml", threshold, "mlp_threshold = 1e9"))
    assert "missing" not in {one.verdict for one in report.records}
    not_computed = report.causal["recorded"].not_computed
    assert not_computed is not None
    assert not_computed.startswith("the rule selects no circuit: no MLP reaches the threshold")


def test_a_run_now_is_judged_without_a_circuit_too(
    asking_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    experiment = copied(asking_experiment, tmp_path / "experiments" / "asking")
    edit(experiment / "experiment.toml", "mlp_threshold = 0.5", "mlp_threshold = 1e9")
    options = Options(experiment.parent, tmp_path, live="on", model=str(gpt2_folder), device="cpu")
    report = report_of(options)
    live = [one for one in report.records if one.evidence == "live"]
    assert live
    assert "missing" not in {one.verdict for one in live}
    assert "the rule selects no circuit" in str(report.causal["live"].not_computed)


def test_interventions_are_not_recorded_without_a_circuit(
    asking_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    experiment = copied(asking_experiment, tmp_path / "asking")
    edit(experiment / "experiment.toml", "mlp_threshold = 0.5", "mlp_threshold = 1e9")
    before = sorted(experiment.iterdir())
    arguments = [str(experiment), "--model", str(gpt2_folder), "--interventions", "--device", "cpu"]
    done = CliRunner().invoke(cli.app, ["record", *arguments])
    assert isinstance(done.exception, InputError)
    assert "the rule selects no circuit: no MLP reaches the threshold" in str(done.exception)
    after = sorted(path for path in experiment.iterdir() if path.name != "parts")
    assert after == before


def test_a_run_is_written_where_a_rival_selects_nothing(
    asking_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    experiment = copied(asking_experiment, tmp_path / "asking")
    spec = experiment / "experiment.toml"
    edit(spec, "[ablation]", "[ablation]\nrivals = { attribution = 1e9 }")
    edit(spec, "[scoring]", '[scoring]\nbehaviour = "names"')
    out = tmp_path / "out"
    arguments = [str(experiment), "--model", str(gpt2_folder), "--out", str(out), "--device", "cpu"]
    done = CliRunner().invoke(cli.app, ["run", *arguments])
    assert done.exit_code == 0, done.output
    assert "no circuit by attribution: ablation.rivals: attribution: no MLP" in done.output
    assert (out / "circuit.json").is_file()
    assert not (out / "circuit_attribution.json").exists()


@pytest.mark.parametrize(
    ("rest", "kinds"),
    [('{ rest = "head" }', {"input", "head"}), ('{ rest = "mlp" }', {"input", "mlp"})],
)
def test_a_circuit_may_be_of_one_kind_only(tmp_path: Path, rest: str, kinds: set[str]) -> None:
    report = judged(
        tmp_path,
        "sarcasm-minilm",
        ("experiment.toml", "mlp_threshold = 2.5", f'steps = [{{ take = "input" }}, {rest}]'),
        ("claims.toml", ', mlp_threshold = "2.5" }', " }"),
    )
    nodes = results_json(report)["circuit.json"]["nodes"]
    letters = {"i": "input", "m": "mlp", "a": "head"}
    assert {letters[node[0]] for node in nodes} == kinds
    record = report.record("M12", "recorded")
    assert record is not None
    assert record.verdict == "refuted"
    assert claims_markdown([report])
    assert ledger_markdown([report])
    assert page([report], "", tmp_path, "")
