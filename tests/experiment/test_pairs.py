"""Pairs from CSV files, by named columns, and from datasets of the hub."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from replication import cli
from replication.commands.check import check_experiment
from replication.experiment.pair_files import file_source, source_of
from replication.experiment.pairs import Keys, Pair, PairsSpec, Row
from replication.inputs.files import InputError
from tests.gpt2 import make_experiment
from tests.hub import COMMIT, Hub, cache_by_hand
from tests.pair_rows import read_rows, rows_refusal

SIDES = ("hedged", "plain")
ROWS = [("Maybe it rains.", "It rains."), ('He said "perhaps", twice.', "He said so.")]


def pairs(path: Path, content: str | bytes, columns: tuple[str, str] | None = None) -> list[Pair]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(file_source(path, Keys(columns or SIDES, others=columns is not None)).stream())


def refusal(path: Path, content: str | bytes, columns: tuple[str, str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        pairs(path, content, columns)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pairs.csv"


@pytest.mark.parametrize(
    "content",
    [
        "hedged,plain\na,b\nc,d\n",
        "plain,hedged\nb,a\nd,c\n",
        "hedged,plain\r\na,b\r\n\r\nc,d",
        '"hedged","plain"\n"a","b"\n\n"c","d"\n',
        b"\xef\xbb\xbfhedged,plain\na,b\nc,d\n",
        b'\xef\xbb\xbf"hedged","plain"\na,b\nc,d\n',
    ],
)
def test_a_csv_file_gives_the_pairs_in_the_order_of_the_sides(
    path: Path, content: str | bytes
) -> None:
    assert pairs(path, content) == [Pair("a", "b"), Pair("c", "d")]


def test_a_mark_before_utf8_is_no_part_of_a_pair(path: Path) -> None:
    line = '\ufeff{"hedged": "a", "plain": "b"}\n'
    assert pairs(path.with_suffix(".jsonl"), line) == [Pair("a", "b")]


def test_a_prompt_is_kept_to_the_letter(path: Path) -> None:
    content = 'hedged,plain\n" a, ""b""\nc",→ “naïve” \n'
    assert pairs(path, content) == [Pair(' a, "b"\nc', "→ “naïve” ")]


def test_named_columns_are_taken_and_others_left_aside(path: Path) -> None:
    content = "id,soft,hard,soft?\n1,a,b,yes\n"
    assert pairs(path, content, ("soft", "hard")) == [Pair("a", "b")]
    lines = '{"id": 1, "soft": "a", "hard": "b"}\n'
    assert pairs(path.with_suffix(".jsonl"), lines, ("soft", "hard")) == [Pair("a", "b")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "there are no pairs in it"),
        ("\n\n", "there are no pairs in it"),
        ("hedged,plain\n", "there are no pairs in it"),
        ("hedged,plain\n\n\n", "there are no pairs in it"),
        ("hedged\na\n", "line 1: expected the columns 'hedged' and 'plain', found 'hedged'"),
        ("hedged;plain\na;b\n", "line 1: expected the columns 'hedged' and 'plain', found 'hedg"),
        ("hedged, plain\na,b\n", "line 1: expected the columns 'hedged' and 'plain', found"),
        (
            "hedged,id,plain,by\na,1,b,me\n",
            "line 1: expected the columns 'hedged' and 'plain', found also 'id', 'by';"
            " pairs.columns says which two to read",
        ),
        ("soft,hard\na,b\n", "'plain', found 'soft', 'hard'; pairs.columns says which two to read"),
        ("hedged,plain,plain\na,b,c\n", "line 1: the column 'plain' stands there more than once"),
        ("hedged,plain\na,b\nc\n", "line 3: expected 2 values, found 1"),
        ("hedged,plain\na,b,c\n", "line 2: expected 2 values, found 3"),
        ("hedged,plain\na,\n", "line 2: plain: the prompt is empty"),
        ('hedged,plain\n"a\n\nb",c\n\n" ",d\n', "line 6: hedged: the prompt is empty"),
        ('hedged,plain\n"a" b,c\n', "line 2: not CSV: ',' expected after '\"'"),
        ('hedged,plain\n"a,b\n', "line 2: not CSV: unexpected end of data"),
        ("hedged,plain\na\rb,c\n", "line 2: not CSV: new-line character seen"),
        ("hedged,plain\n" + "a" * 200_000 + ",b\n", "line 2: not CSV: field larger than"),
        (b"hedged,plain\na,b\n\xff,b\n", "cannot be read: 'utf-8' codec can't decode byte 0xff"),
        ("hedged,plain\na,b\n".encode("utf-16"), "cannot be read: 'utf-8' codec can't decode"),
    ],
)
def test_a_bad_csv_file_is_refused_by_line_and_reason(
    path: Path, content: str | bytes, reason: str
) -> None:
    assert reason in refusal(path, content)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", "id,soft\n1,a\n", "expected the columns 'soft' and 'hard', found 'id', 'soft'"),
        ("a.csv", "soft,hard\na,\n", "line 2: hard: the prompt is empty"),
        ("a.jsonl", '{"soft": "a"}', "expected an object with the keys 'soft' and 'hard'"),
        ("a.jsonl", '{"soft": "a", "hard": 1}', "line 1: hard: expected a text, found 1"),
    ],
)
def test_a_named_column_that_is_missing_or_no_prompt_is_refused(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    assert reason in refusal(tmp_path / name, content, ("soft", "hard"))


def test_keys_beside_the_sides_are_named_with_the_way_to_leave_them_aside(tmp_path: Path) -> None:
    reason = refusal(tmp_path / "a.jsonl", '{"hedged": "a", "label": 1, "plain": "b"}')
    assert reason == (
        "line 1: expected an object with the keys 'hedged' and 'plain', found also 'label';"
        " pairs.columns says which two to read"
    )


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("a,b\nc,d\na,b\n", "line 4: pair 3 repeats pair 1; give each pair once"),
        ("a,b\nc,d\nd,c\n", "line 4: pair 3 repeats pair 2, its sides exchanged; give each pair"),
        ("b,a\nc,d\nb,a\n", "line 4: pair 3 repeats pair 1; give"),
        ("d,c\n\nc,d\nd,c\n", "line 4: pair 2 repeats pair 1, its sides exchanged; give"),
        ("a,b\nc,c\n", "line 3: hedged and plain: the two prompts are the same text"),
    ],
)
def test_a_pair_that_repeats_another_or_itself_is_refused(
    path: Path, rows: str, reason: str
) -> None:
    assert refusal(path, f"hedged,plain\n{rows}").startswith(reason)


def test_pairs_that_share_a_prompt_or_all_their_letters_are_no_repeats(path: Path) -> None:
    rows = "a,b\na,c\nb,c\nab,c\na,bc\na ,b\nA,b\n"
    assert len(pairs(path, f"hedged,plain\n{rows}")) == 7


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(InputError, match=r"pairs\.csv: there is no such file"):
        file_source(path, Keys(SIDES)).count()


def test_a_source_is_read_as_often_as_wanted(path: Path) -> None:
    rows = [f"c,d{number}\n" for number in range(999)]
    path.write_text("".join(["hedged,plain\na,b\n", *rows]), encoding="utf-8")
    source = file_source(path, Keys(SIDES))
    assert source.count() == source.count() == 1000
    assert next(source.stream()) == Pair("a", "b")
    assert source.origin() == {"file": "pairs.csv"}


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({}, "expected either a file or a dataset on the hub, and not both"),
        ({"file": "a.csv", "dataset": "x/y", "split": "train"}, "and not both"),
        ({"dataset": "x/y"}, "dataset and split belong together"),
        ({"file": "a.csv", "split": "train"}, "dataset and split belong together"),
        ({"file": "a.csv", "revision": "main"}, "revision and config are a dataset's"),
        ({"file": ""}, "at least 1 character"),
        ({"file": "a.csv", "columns": ["a"]}, "columns.1"),
        ({"file": "a.csv", "column": ["a", "b"]}, "Extra inputs are not permitted"),
    ],
)
def test_a_table_that_does_not_say_where_the_pairs_come_from_is_refused(
    stated: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        PairsSpec.model_validate(stated)


WITH_ANSWERS = Keys(SIDES, None, False, ("right", "wrong"), ("other",))


def rows_of(path: Path, content: str, keys: Keys = WITH_ANSWERS) -> list[Row]:
    return read_rows(path, content, keys)


def row_refusal(path: Path, content: str, keys: Keys = WITH_ANSWERS) -> str:
    return rows_refusal(path, content, keys)


def test_answers_in_a_csv_file_stand_between_bars(path: Path) -> None:
    content = "hedged,plain,other,right,wrong\na,b,c, yes, no| never|No\nd,e,f,|,1\n"
    path.write_text(content, encoding="utf-8")
    source = file_source(path, WITH_ANSWERS)
    row = next(source.read())
    assert row == Row(
        Pair("a", "b"), 2, None, {"right": (" yes",), "wrong": (" no", " never", "No")}, ("c",)
    )
    assert row_refusal(path, content) == "line 3: right: an answer is empty, in '|'"


def test_answers_in_a_jsonl_file_are_one_or_a_list_or_stand_between_bars(path: Path) -> None:
    objects = [
        {"right": " yes", "wrong": [" no", " never"]},
        {"right": " yes| Yes", "wrong": ["|", "a|b"]},
    ]
    lines = [
        json.dumps({"hedged": "a", "plain": f"b{n}", "other": "c", **one}) + "\n"
        for n, one in enumerate(objects)
    ]
    found = rows_of(path.with_suffix(".jsonl"), "".join(lines))
    assert [dict(row.answers) for row in found] == [
        {"right": (" yes",), "wrong": (" no", " never")},
        {"right": (" yes", " Yes"), "wrong": ("|", "a|b")},
    ]
    assert [row.line for row in found] == [1, 2]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"right": ""}, "right: an answer is empty, in ''"),
        ({"right": " "}, "right: an answer is empty, in ' '"),
        ({"wrong": " no||"}, "wrong: an answer is empty, in ' no||'"),
        ({"wrong": [" no", ""]}, "wrong: an answer is empty, in [' no', '']"),
        ({"wrong": "no|no"}, "wrong: the answer 'no' stands there more than once"),
        ({"wrong": ["a", "b", "a"]}, "wrong: the answer 'a' stands there more than once"),
        ({"right": "\ud800"}, "right: half a surrogate pair, which is no text"),
        ({"right": ["a", "\udfff"]}, "right: 1: half a surrogate pair, which is no text"),
        *(
            (
                {"right": given},
                "right: expected an answer, or several in a list or with | between them, found"
                f" {given!r}",
            )
            for given in ([], 7, None, True, {"a": 1}, ["a", 7], [["a"]])
        ),
        ({"other": " "}, "other: the prompt is empty"),
        ({"other": 7}, "other: expected a text, found 7"),
        ({"other": "\ud800"}, "other: half a surrogate pair, which is no text"),
        ({"other": "a"}, "hedged and other: the two prompts are the same text"),
        ({"more": 1}, "'right' and 'wrong', found also 'more'; pairs.columns says which"),
    ],
)
def test_a_row_of_faulty_answers_or_counterparts_is_refused_by_its_line(
    path: Path, change: dict[str, Any], reason: str
) -> None:
    given = {"hedged": "a", "plain": "b", "other": "c", "right": "yes", "wrong": "no"}
    good, bad = (json.dumps(one) for one in (given | {"plain": "d"}, given | change))
    found = row_refusal(path.with_suffix(".jsonl"), f"{good}\n\n{bad}\n")
    assert found.startswith("line 3: ")
    assert reason in found


@pytest.mark.parametrize("missing", ["right", "wrong", "other"])
def test_a_column_of_answers_or_counterparts_that_is_missing_is_named(
    path: Path, missing: str
) -> None:
    names = ["hedged", "plain", "other", "right", "wrong"]
    header = [name for name in names if name != missing]
    expected = " and ".join(map(repr, ["hedged", "plain", "other", "right", "wrong"]))
    found = row_refusal(path, ",".join(header) + "\na,b,c,d\n")
    assert found.startswith(f"line 1: expected the columns {expected}, found 'hedged', 'plain'")


def test_a_column_may_be_read_for_several_purposes(path: Path) -> None:
    keys = Keys(("soft", "hard"), "right", True, ("right", "wrong", "right"), ("hard",))
    assert keys.wanted == ["soft", "hard", "right", "wrong"]
    content = "id,soft,hard,right,wrong\n1,a,b,x,y\n"
    assert rows_of(path, content, keys) == [
        Row(Pair("a", "b"), 2, "x", {"right": ("x",), "wrong": ("y",)}, ("b",))
    ]


def test_columns_that_were_not_asked_for_are_left_aside_where_others_may_be(path: Path) -> None:
    content = "hedged,plain,other,right,wrong\na,b,,,\n"
    assert rows_of(path, content, Keys(SIDES, others=True)) == [Row(Pair("a", "b"), 2)]
    assert "found also 'other', 'right', 'wrong'" in row_refusal(path, content, Keys(SIDES))


def test_pairs_of_the_same_prompts_repeat_each_other_whatever_their_answers(path: Path) -> None:
    content = "hedged,plain,other,right,wrong\na,b,c,x,y\na,b,d,y,x\n"
    assert row_refusal(path, content).startswith("line 3: pair 2 repeats pair 1")


def with_pairs(folder: Path, table: str) -> Path:
    """Let an experiment's spec name its pairs by a table, or a line, of its own."""
    spec = folder / "experiment.toml"
    old = 'pairs = "pairs.jsonl"\n'
    text = spec.read_text(encoding="utf-8")
    assert old in text
    if table.startswith("["):
        spec.write_text(text.replace(old, "") + "\n" + table, encoding="utf-8")
    else:
        spec.write_text(text.replace(old, table), encoding="utf-8")
    return folder


def test_a_run_reads_a_csv_file_and_says_so_in_the_provenance(
    tmp_path: Path, gpt2_folder: Path
) -> None:
    folder = make_experiment(tmp_path / "mine")
    objects = [
        json.loads(line)
        for line in (folder / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    rows = "".join('"{first}","{second}",x\n'.format(**one) for one in objects)
    (folder / "pairs.csv").write_text("first,second,id\n" + rows, encoding="utf-8")
    scores = []
    named = '[pairs]\nfile = "pairs.csv"\ncolumns = ["first", "second"]\n'
    arguments = ["run", str(folder), "--model", str(gpt2_folder), "--out", str(tmp_path / "out")]
    for table in ('pairs = "pairs.jsonl"\n', named):
        with_pairs(folder, table)
        assert CliRunner().invoke(cli.app, arguments).exit_code == 0
        scores.append(json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8")))
    assert scores[0]["components"] == scores[1]["components"]
    origins = [found["metadata"]["provenance"]["pairs_from"] for found in scores]
    assert origins == [{"file": "pairs.jsonl"}, {"file": "pairs.csv"}]


def test_a_bad_row_of_another_csv_file_stops_a_run_before_the_model_is_loaded(
    tmp_path: Path,
) -> None:
    folder, other = make_experiment(tmp_path / "mine"), tmp_path / "other.csv"
    rows = [f"a,b{n}\n" for n in range(3000)]
    other.write_text("".join(["first,second\n", *rows, "c\n"]), encoding="utf-8")
    done = replication("run", folder, "--pairs", other, "--model", "/no", "--out", tmp_path / "no")
    assert done.returncode == 2
    assert done.stderr == f"replication: {other}: line 3002: expected 2 values, found 1\n"


def replication(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    offline = {"HF_HUB_OFFLINE": "1"} if "HF_ENDPOINT" not in variables else {}
    return subprocess.run(
        [sys.executable, "-m", "replication.cli", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        env=clean | offline | variables,
        check=False,
    )


DATASET = '[pairs]\ndataset = "test/pairs"\nsplit = "train"\ncolumns = ["soft", "hard"]\n'


def make_dataset(folder: Path, rows: Sequence[tuple[str, Any]] = ROWS) -> Path:
    """A dataset's files: one split of JSON lines, with a column that no pair needs."""
    folder.mkdir()
    lines = [json.dumps({"id": n, "soft": a, "hard": b}) for n, (a, b) in enumerate(rows)]
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def home_of(folder: Path) -> dict[str, str]:
    return {"HF_HOME": str(folder), "HF_HUB_CACHE": str(folder / "hub")}


def test_a_dataset_of_the_hub_is_fetched_once_and_then_served_from_the_cache(
    tmp_path: Path, gpt2_folder: Path
) -> None:
    data = make_dataset(tmp_path / "data")
    folder = with_pairs(make_experiment(tmp_path / "mine"), DATASET)
    home, out = home_of(tmp_path / "home"), tmp_path / "out"
    arguments = ["run", folder, "--model", gpt2_folder, "--out", out]
    with Hub("dataset", "test/pairs", data) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        done = replication(*arguments, HF_ENDPOINT=hub.address, **home)
        hub.shutdown()
    assert done.returncode == 0, done.stderr
    assert "mine: 2 pairs, " in done.stdout
    fetched = (out / "scores.json").read_bytes()
    assert json.loads(fetched)["metadata"]["provenance"]["pairs_from"] == {
        "dataset": "test/pairs",
        "split": "train",
        "revision": COMMIT,
    }
    done = replication(*arguments, **home)
    assert (done.returncode, done.stderr) == (0, "")
    assert (out / "scores.json").read_bytes() == fetched


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that holds an empty cache of the hub, and is used instead of the real one."""
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "prepared")
    return tmp_path


def test_a_dataset_is_read_at_the_revision_that_the_spec_names(cache: Path) -> None:
    older, newer = make_dataset(cache / "a", ROWS[:1]), make_dataset(cache / "b")
    cache_by_hand(cache, "dataset", "test/versions", older, "a" * 40, "v1")
    cache_by_hand(cache, "dataset", "test/versions", newer, "b" * 40, "main")
    for revision, commit, rows in (
        (None, "b", 2),
        ("main", "b", 2),
        ("v1", "a", 1),
        ("a" * 40, "a", 1),
    ):
        spec = PairsSpec(
            dataset="test/versions", split="train", revision=revision, columns=("soft", "hard")
        )
        source = source_of(spec, cache, spec.keys(SIDES))
        assert list(source.stream()) == [Pair(*row) for row in ROWS[:rows]]
        assert source.origin()["revision"] == commit * 40


def test_columns_of_a_dataset_may_be_places_inside_its_rows(cache: Path) -> None:
    rows = [{"id": n, "soft": a, "hard": {"text": b, "n": n}} for n, (a, b) in enumerate(ROWS)]
    (cache / "deep").mkdir()
    lines = "\n".join(map(json.dumps, rows))
    (cache / "deep" / "train.jsonl").write_text(lines, encoding="utf-8")
    cache_by_hand(cache, "dataset", "test/deep", cache / "deep")
    spec = PairsSpec(dataset="test/deep", split="train", columns=("soft", "hard.text"))
    source = source_of(spec, cache, spec.keys(SIDES))
    assert list(source.stream()) == [Pair(*row) for row in ROWS]


@pytest.mark.parametrize(
    ("rows", "table", "reason"),
    [
        ([("a", "b"), ("c", " ")], DATASET, "row 2: hard: the prompt is empty"),
        (
            [("a", "b"), ("c", "d"), ("b", "a")],
            DATASET,
            "pair 3 repeats pair 1, its sides exchanged",
        ),
        ([("a", 1)], DATASET, "row 1: hard: expected a text, found 1"),
        ([("a", None), ("a", "b")], DATASET, "row 1: hard: expected a text, found None"),
        (ROWS, DATASET.replace("hard", "firm"), "expected the columns 'soft' and 'firm', found "),
        (ROWS, DATASET.partition("columns")[0], "'hard'; pairs.columns says which two to read"),
        (ROWS, DATASET.replace("train", "test"), "datasets cannot read it: Unknown split"),
    ],
)
def test_a_dataset_without_the_pairs_is_refused_by_row_and_reason(
    cache: Path, rows: list[tuple[str, Any]], table: str, reason: str
) -> None:
    name = f"test/{cache.name}"
    cache_by_hand(cache, "dataset", name, make_dataset(cache / "data", rows))
    folder = with_pairs(make_experiment(cache / "mine"), table.replace("test/pairs", name))
    (problem,) = check_experiment(folder).problems
    assert problem.startswith(name)
    assert reason in problem


def test_a_dataset_that_is_not_at_hand_leaves_its_evidence_missing(
    tmp_path: Path, pytester: pytest.Pytester, gpt2_folder: Path
) -> None:
    folder = make_experiment(tmp_path / "experiments" / "mine")
    assert replication("record", folder, "--model", gpt2_folder).returncode == 0
    table = DATASET.replace("test/pairs", "test/nowhere")
    with_pairs(folder, table)
    where = "test/nowhere is not in the hub's cache, and HF_HUB_OFFLINE forbids asking the hub"
    done = replication("run", folder, "--out", tmp_path / "out", **home_of(tmp_path))
    assert (done.returncode, done.stderr) == (2, f"replication: {where}\n")
    summary = check_experiment(folder).summary
    assert summary is not None
    assert summary.startswith(f"mine: pairs: missing: {where}; 2 claims (")
    model = ["--replication-live", "--replication-model", str(gpt2_folder)]
    options = ["--replication-experiments", str(folder.parent), *model]
    result = pytester.runpytest_subprocess("--pyargs", "replication.test_claims", *options)
    assert result.ret == 0
    lines = result.stdout.str().splitlines()
    assert f"  no recorded evidence: {where}" in lines
    assert f"  no live evidence: {where}" in lines


def test_a_hub_without_the_dataset_is_named_in_one_line(tmp_path: Path) -> None:
    folder = with_pairs(make_experiment(tmp_path / "mine"), DATASET)
    with Hub("dataset", "test/other", make_dataset(tmp_path / "data")) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        done = replication(
            "run", folder, "--out", tmp_path / "out", HF_ENDPOINT=hub.address, **home_of(tmp_path)
        )
        hub.shutdown()
    assert done.returncode == 2
    assert done.stderr == (
        "replication: test/pairs is not in the hub's cache, and the hub answered with status 404\n"
    )


def test_without_the_library_a_dataset_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    spec = PairsSpec(dataset="test/none", split="train")
    source = source_of(spec, tmp_path, spec.keys(SIDES))
    with pytest.raises(InputError) as caught:
        source.count()
    assert str(caught.value) == (
        "the dataset test/none is read with the package datasets, which is not installed;"
        " `pip install 'pytest-circuit-replication[hub]'` brings it"
    )


def test_a_bad_row_of_a_csv_file_is_a_problem_on_its_line(tmp_path: Path) -> None:
    folder = with_pairs(make_experiment(tmp_path / "mine"), 'pairs = "pairs.csv"\n')
    (folder / "pairs.csv").write_text("first,second\na,b\nc,\nd\ne,f\n", encoding="utf-8")
    assert check_experiment(folder).problems == [
        f"{folder}/pairs.csv:3: second: the prompt is empty",
        f"{folder}/pairs.csv:4: expected 2 values, found 1",
    ]


GROUPED = PairsSpec(file="a.jsonl", group="scene")


def read_groups(path: Path, content: str, spec: PairsSpec = GROUPED) -> list[str | None]:
    path.write_text(content, encoding="utf-8")
    return [row.group for row in file_source(path, spec.keys(SIDES)).read()]


def test_a_group_is_read_by_name_or_number(tmp_path: Path) -> None:
    rows = [
        {"soft": "a", "hard": "b", "scene": "x"},
        {"soft": "c", "hard": "d", "scene": 7},
    ]
    content = "\n".join(map(json.dumps, rows)).replace("soft", SIDES[0]).replace("hard", SIDES[1])
    assert read_groups(tmp_path / "a.jsonl", content) == ["x", "7"]
    table = f"{SIDES[0]},scene,{SIDES[1]}\na,x,b\nc,x,d\n"
    assert read_groups(tmp_path / "a.csv", table) == ["x", "x"]


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        ("null", "scene: expected the name or the number of a group, found None"),
        ("true", "scene: expected the name or the number of a group, found True"),
        ('" "', "scene: expected the name or the number of a group, found ' '"),
        ("[1]", "scene: expected the name or the number of a group, found [1]"),
    ],
)
def test_a_group_that_is_no_name_is_refused(tmp_path: Path, group: str, reason: str) -> None:
    content = f'{{"{SIDES[0]}": "a", "{SIDES[1]}": "b", "scene": {group}}}\n'
    with pytest.raises(InputError, match=re.escape(f"line 1: {reason}")):
        read_groups(tmp_path / "a.jsonl", content)


def test_a_pair_without_its_group_is_refused(tmp_path: Path) -> None:
    content = f'{{"{SIDES[0]}": "a", "{SIDES[1]}": "b"}}\n'
    with pytest.raises(InputError, match="and 'scene', found"):
        read_groups(tmp_path / "a.jsonl", content)
