"""`replication import`: a printed table in the project's own form, and claims to begin with."""

from __future__ import annotations

import json
import os
import shutil
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from replication import cli
from replication.circuits.components import ModelShape, head, mlp
from replication.circuits.intervals import printed
from replication.circuits.scores import read_scores
from replication.commands.check import check_experiment
from replication.commands.import_scores import read_imported
from replication.commands.new import new_experiment
from replication.commands.printed_tables import COLUMNS, read_printed
from replication.inputs.files import InputError
from tests.make import edit
from tests.paths import FIXTURES
from tests.runs import contents

SHAPE = ModelShape(n_layers=6, n_heads=12, d_model=384, d_head=32)


def write(folder: Path, text: str, name: str = "table.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def digits(path: Path, columns: tuple[str, str] = COLUMNS) -> dict[str, str]:
    return {one.name: one.digits for one in read_printed(path, columns)}


def refusal(path: Path, columns: tuple[str, str] = COLUMNS) -> str:
    with pytest.raises(InputError) as caught:
        read_imported(path, columns)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    "text",
    [
        "{'m2': 31.51, 'a3.h8': 3.00, 'm0': 5}",
        '{"m2": 31.51, "a3.h8": 3.00, "m0": 5}',
        '\ufeff\n\n  {"m2": "31.51",\r\n  "a3.h8": "3.00",\r\n  "m0": "5"}\n',
        "{'m2': np.float32(31.51), 'a3.h8': numpy.float64(3.00), 'm0': float16(5)}",
        "{'m2': tensor(31.51, device='cuda:0'), 'a3.h8': tensor(3.00), 'm0': torch.tensor(5)}",
        "[('m2', 31.51), ('a3.h8', 3.00), ('m0', 5)]",
        "[['m2', 31.51], ['a3.h8', 3.00], ['m0', 5]]",
        "(('m2', 31.51), ('a3.h8', 3.00), ('m0', 5))",
    ],
)
def test_a_dict_is_read_with_the_digits_that_it_prints(tmp_path: Path, text: str) -> None:
    assert digits(write(tmp_path, text)) == {"m2": "31.51", "a3.h8": "3.00", "m0": "5"}


def test_digits_behind_other_letters_are_found(tmp_path: Path) -> None:
    assert digits(write(tmp_path, "{'é': 1.50, 'ü€': 2.50}")) == {"é": "1.50", "ü€": "2.50"}


@pytest.mark.parametrize(
    ("given", "plain"), [("3.1e-05", "0.000031"), ("3e-2", "0.03"), ("1.50e-1", "0.150")]
)
def test_a_small_number_loses_its_exponent_and_no_digit(
    tmp_path: Path, given: str, plain: str
) -> None:
    assert digits(write(tmp_path, f"{{'m0': {given}}}")) == {"m0": plain}


@given(st.decimals(0, 1000, places=4), st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_every_printed_number_keeps_its_interval(
    tmp_path_factory: pytest.TempPathFactory, value: object, places: int
) -> None:
    text = f"{value:.{places}f}"
    path = write(tmp_path_factory.mktemp("table"), f"{{'m0': np.float64({text})}}")
    imported = read_imported(path, COLUMNS)
    assert imported.table.scores == {mlp(0): printed(text)}


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("component,score\nm2,31.51\na3.h8,3.00\n", COLUMNS),
        ("\ufeffscore,component\r\n31.51,m2\r\n\r\n3.00,a3.h8\r\n", COLUMNS),
        ("component, score\nm2, 31.51\na3.h8, 3.00\n", COLUMNS),
        ("id,node,norm\n1,m2,31.51\n2,a3.h8,3.00\n", ("node", "norm")),
        ('"component","score"\n"m2","31.51"\n"a3.h8","3.00"\n', COLUMNS),
    ],
)
def test_a_table_is_read_by_its_columns(
    tmp_path: Path, text: str, columns: tuple[str, str]
) -> None:
    path = write(tmp_path, text, "table.csv")
    assert digits(path, columns) == {"m2": "31.51", "a3.h8": "3.00"}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.csv", "", "expected the columns 'component' and 'score', found none; --component and"),
        (
            "a.csv",
            "component;score\nm0;1\n",
            "expected the columns 'component' and 'score', found 'component;score'; columns are"
            " separated by commas (line 1)",
        ),
        (
            "a.csv",
            "node,norm\nm2,1\n",
            "expected the columns 'component' and 'score', found 'node', 'norm'; --component and"
            " --score say which two to read (line 1)",
        ),
        ("a.csv", "component,score,score\n", "the column 'score' stands there more than once"),
        ("a.csv", "component,score\nm2\n", "expected 2 values, found 1 (line 2)"),
        ("a.csv", 'component,score\n"m2\n', "not CSV: unexpected end of data (line 2)"),
        ("a.csv", "component,score\n", "there are no scores in it"),
        ("a.csv", "component,score\nm2,x\n", "components: m2: 'x' is not a plain decimal number"),
        ("a.csv", "component,score\nm2,-1\n", "components: m2: a norm cannot be negative, found"),
        ("a.csv", "component,score\nm2,3e5\n", "components: m2: '3e5' is not a plain decimal num"),
        ("a.csv", "component,score\nb7,1\n", "'b7' is no component: expected input, m<layer> or"),
        ("a.csv", "component,score\nm2,1\nmlp_2,2\n", "m2 stands there more than once (line 3)"),
        ("a.csv", "component,score\n9.6,1\n", "'9.6' can be read in two ways: as layer.head it is"),
        ("a.csv", "component,score\nlogits,1\n", "no component in it has a score"),
        ("a.txt", "", "expected a dict such as {'m2': 31.51}, a list of such pairs, or a .csv"),
        ("a.txt", "{}", "there are no scores in it"),
        ("a.txt", "\n{'m2': 1,\n 'm3' 2}", "expected a dict such as {'m2': 31.51}, a list of such"),
        ("a.txt", "scores", "expected a dict such as {'m2': 31.51}, a list of such pairs, or a"),
        ("a.txt", "[1, 2]", "expected a dict such as {'m2': 31.51}, a list of such pairs, or a"),
        ("a.txt", "{**more}", "expected a dict such as {'m2': 31.51}, a list of such pairs, or"),
        ("a.txt", "{(9, 6): 1}", "expected a dict such as {'m2': 31.51}, a list of such pairs"),
        ("a.txt", "{9.10: 1}", "expected a component's name, found the number 9.1: a number loses"),
        ("a.txt", "{'m2': None}", "expected a score, found 'None' (line 1)"),
        ("a.txt", "{'m2': True}", "expected a score, found 'True' (line 1)"),
        ("a.txt", "{'m2':\n nan}", "expected a score, found 'nan' (line 1)"),
        ("a.txt", "{'m2': 1 + 1}", "expected a score, found '1 + 1' (line 1)"),
        ("a.txt", "{'m2': exit(1)}", "expected a score, found 'exit(1)' (line 1)"),
        ("a.txt", "{'m2': float32(1, 2)}", "expected a score, found 'float32(1, 2)' (line 1)"),
        ("a.txt", "{'m2': -1.5}", "components: m2: a norm cannot be negative, found '-1.5' (line"),
        ("a.txt", "{'m2': 1_0}", "components: m2: '1_0' is not a plain decimal number"),
        ("a.txt", "{'m2': 0x10}", "components: m2: '0x10' is not a plain decimal number"),
        ("a.txt", "{'m2': 1, 'm2': 2}", "m2 stands there more than once (line 1)"),
        ("a.txt", "(" * 9000, "expected a dict such as {'m2': 31.51}, a list of such pairs, or a"),
        ("a.txt", "{'m2': 1}\0", "expected a dict such as {'m2': 31.51}, a list of such pairs, or"),
    ],
)
def test_what_is_no_printed_table_is_refused_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a long path leaves less of the message to the reasons
    assert refusal(write(Path(), text, name)).startswith(reason)


def test_a_fault_is_on_its_own_line_of_the_file(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, "\n\n{'m2': 1,\n 'b7': 2}")).endswith("(line 4)")
    assert refusal(write(tmp_path, "\n\n{'m2': 1,\n 'm3' 2}")).endswith("(line 4)")


def test_what_has_no_score_here_is_left_aside(tmp_path: Path) -> None:
    imported = read_imported(write(tmp_path, "{'input': 1, 'm0': 2, 'logits': 3}"), COLUMNS)
    assert imported.digits == {mlp(0): "2"}
    assert sorted(imported.aside) == ["input", "logits"]


def test_a_notation_may_be_stated(tmp_path: Path) -> None:
    path = write(tmp_path, "{'5.6': 1.0, 'MLP 0': 2.0}")
    assert list(read_imported(path, COLUMNS, "head.layer").digits) == [head(6, 5), mlp(0)]


def run(*arguments: object) -> tuple[str, int]:
    done = CliRunner().invoke(cli.app, ["import", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.stdout, done.exit_code


TABLE = "{'L0H3': 3.00, 'MLP 2': 9.30, 'MLP 0': 10.51, 'L4H10': 4.25, 'MLP 5': 7.51, 'embed': 1}"


def test_a_table_and_claims_are_written_in_the_projects_own_form(tmp_path: Path) -> None:
    table, out = write(tmp_path, TABLE), tmp_path / "new" / "out"
    printed_lines, status = run(table, "--out", out)
    assert status == 0
    assert printed_lines.splitlines() == [
        f"{out}/scores.json: 3 MLPs and 2 heads; results.paper.scores is to name it",
        f"{out}/claims.toml: 4 claims drafted, whose source is to be filled in",
        "note: left aside, for they have no score here: embed",
    ]
    scores = {"a0.h3": "3.00", "m2": "9.30", "m0": "10.51", "a4.h10": "4.25", "m5": "7.51"}
    content = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    assert content == {"components": scores, "metadata": {"imported_from": "table.txt"}}
    assert list(content["components"]) == list(scores)
    assert read_scores(out / "scores.json", SHAPE).scores[mlp(0)] == printed("10.51")


@pytest.mark.parametrize("name", ["scores.json", "claims.toml"])
def test_nothing_is_written_over(tmp_path: Path, name: str) -> None:
    table = write(tmp_path, TABLE)
    (tmp_path / "out").mkdir()
    there = write(tmp_path / "out", "mine", name)
    done = CliRunner().invoke(cli.app, ["import", str(table), "--out", str(tmp_path / "out")])
    assert str(done.exception) == f"{there}: is there already; take it away, or name another --out"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    assert there.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("number", [1, 2])
def test_both_files_are_written_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new: bool, number: int
) -> None:
    out, calls, replace = tmp_path / "out", count(1), os.replace

    def fail(source: str, target: Path) -> None:
        if next(calls) == number:
            raise OSError(28, "no space", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    if not is_new:
        out.mkdir()
    table = write(tmp_path, TABLE)
    done = CliRunner().invoke(cli.app, ["import", str(table), "--out", str(out)])
    assert isinstance(done.exception, OSError)
    assert not any(out.iterdir()) if out.exists() else is_new
    assert {path.name for path in tmp_path.iterdir()} <= {"table.txt", "out"}


def test_what_a_kill_left_of_an_import_is_ended_by_the_same_one(tmp_path: Path) -> None:
    table, out = write(tmp_path, TABLE), tmp_path / "out"
    run(table, "--out", out)
    whole = contents(out)
    (out / "claims.toml").unlink()
    assert run(table, "--out", out)[1] == 0
    assert contents(out) == whole
    (out / "claims.toml").unlink()
    (out / "scores.json").write_bytes(whole["scores.json"] + b"\n")
    done = CliRunner().invoke(cli.app, ["import", str(table), "--out", str(out)])
    assert "scores.json: is there already" in str(done.exception)
    assert list(contents(out)) == ["scores.json"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--result", "a b"], "--result: 'a b' cannot be a result's name"),
        (["--notation", "x"], "--notation: expected a9.h6|a9.6|L9H6|hook_z[6]|layer.head|head.la"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    tmp_path: Path, options: list[str], reason: str
) -> None:
    table, out = write(tmp_path, TABLE), tmp_path / "out"
    done = CliRunner().invoke(cli.app, ["import", str(table), "--out", str(out), *options])
    assert str(done.exception).startswith(reason)
    assert not out.exists()


def test_of_what_is_imported_into_an_experiment_only_the_sources_are_left_to_fill(
    tmp_path: Path,
) -> None:
    mine, out = tmp_path / "mine", tmp_path / "out"
    new_experiment(mine)
    run(write(tmp_path, TABLE), "--out", out)
    shutil.copy(out / "scores.json", mine / "published" / "paper.scores.json")
    shutil.copy(out / "claims.toml", mine / "claims.toml")
    lines = (mine / "claims.toml").read_text(encoding="utf-8").splitlines()
    empty = [number for number, line in enumerate(lines, start=1) if line == 'source = ""']
    assert len(empty) == 4
    assert check_experiment(mine).problems == [
        f"{mine}/claims.toml:{line}: claim I{number}: source: String should have at least 1"
        " character, found ''"
        for number, line in enumerate(empty, start=1)
    ]
    text = "\n".join(lines).replace('source = ""', 'source = "table 1"')
    (mine / "claims.toml").write_text(text, encoding="utf-8")
    findings = check_experiment(mine)
    assert findings.problems == []
    assert findings.summary is not None
    assert "4 claims (3 ranking, 1 ratio)" in findings.summary


def test_a_whole_models_components_are_counted_and_its_drafted_claims_hold(
    tmp_path: Path, pytester: pytest.Pytester
) -> None:
    whole = {str(part): f"{90 - n}.50" for n, part in enumerate(SHAPE.components())}
    mine, out = tmp_path / "experiments" / "mine", tmp_path / "out"
    mine.parent.mkdir()
    new_experiment(mine)
    output, _ = run(write(tmp_path, json.dumps(whole)), "--out", out)
    assert "6 MLPs and 72 heads" in output
    text = (out / "claims.toml").read_text(encoding="utf-8")
    assert "6 MLPs and 72 heads are scored." in text
    assert '"ratio", result = "paper", of = "m0", to = "m1", ratio = "1.01" }' in text
    shutil.copy(out / "scores.json", mine / "published" / "paper.scores.json")
    (mine / "claims.toml").write_text(text.replace('source = ""', 'source = "t"'), encoding="utf-8")
    edit(mine / "experiment.toml", 'circuit = "published/paper.circuit.json"\n', "")
    options = ["--replication-experiments", str(mine.parent), "-q"]
    result = pytester.runpytest_subprocess("--pyargs", "replication.test_claims", *options)
    assert result.ret == 0
    said = result.stdout.str()
    assert "adds up: yes" in said
    assert "Everything that was decided came out as expected" in said
    assert "6 passed, 1 skipped" in said


def test_the_published_table_of_the_example_is_imported_as_it_is(tmp_path: Path) -> None:
    path = FIXTURES / "sarcasm-gpt2" / "published" / "replication.scores.json"
    components = json.loads(path.read_text(encoding="utf-8"))["components"]
    imported = read_imported(write(tmp_path, repr(components)), COLUMNS)
    assert imported.table.scores == read_scores(path).scores
