"""Pairs in the field's own files: whole JSON documents, deeper rows, and answers as token ids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from replication.commands.check import check_experiment
from replication.commands.new import new_experiment
from replication.experiment.behaviours import AblationSpec, BehaviourSpec, keys_of
from replication.experiment.pairs import Keys, Pair, PairsSpec, Row
from replication.experiment.spec import read_experiment
from replication.inputs.files import InputError
from tests.make import edit
from tests.pair_rows import read_rows, rows_refusal

SIDES = ("clean", "corrupt")
PROMPTS = [
    {"clean": "Ann met Bob, and Bob thanked", "corrupt": "Ann met Bob, and Eve thanked"},
    {"clean": "Kim met Lee, and Lee thanked", "corrupt": "Kim met Lee, and Sue thanked"},
    {"clean": "Max met Tom, and Tom thanked", "corrupt": "Max met Tom, and Jim thanked"},
]
PAIRS = [Pair(one["clean"], one["corrupt"]) for one in PROMPTS]
PLAIN = Keys(SIDES)
UNDER = Keys(SIDES, under="prompts")


def text_of(content: object) -> str:
    return content if isinstance(content, str) else json.dumps(content)


def rows_of(path: Path, content: object, keys: Keys = PLAIN) -> list[Row]:
    return read_rows(path, text_of(content), keys)


def refusal(path: Path, content: object, keys: Keys = PLAIN) -> str:
    return rows_refusal(path, text_of(content), keys)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # a long path leaves less of the message to the reasons
    return Path("pairs.json")


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_document_is_a_list_of_pairs_or_holds_it_under_a_key(
    path: Path, indent: int | None, mark: str
) -> None:
    for content, keys in ((PROMPTS, PLAIN), ({"seed": 1, "prompts": PROMPTS}, UNDER)):
        text = mark + json.dumps(content, indent=indent)
        assert [row.pair for row in rows_of(path, text, keys)] == PAIRS


def test_answers_of_a_document_stand_in_lists(path: Path) -> None:
    content = {"prompts": [{**PROMPTS[0], "answers": [" Ann"], "wrong_answers": [" Bob", " Eve"]}]}
    keys = UNDER._replace(others=True, answers=("answers", "wrong_answers"))
    (row,) = rows_of(path, content, keys)
    assert row.answers == {"answers": (" Ann",), "wrong_answers": (" Bob", " Eve")}


@pytest.mark.parametrize(
    ("content", "keys", "reason"),
    [
        ("", PLAIN, "not JSON: Expecting value"),
        ("[", PLAIN, "not JSON: Expecting value"),
        ([], PLAIN, "there are no pairs in it"),
        ({"prompts": []}, UNDER, "there are no pairs in it"),
        ("3", PLAIN, "expected a list of objects, found 3"),
        (PROMPTS[0], PLAIN, "expected a list of objects, found {'clean': "),
        (PROMPTS, UNDER, "expected an object with a list under 'prompts', found [{'clean': 'Ann"),
        ({"prompts": 3}, UNDER, "expected an object with a list under 'prompts', found {'prompts'"),
        ({"pairs": PROMPTS}, UNDER, "expected an object with a list under 'prompts', found {'pai"),
        (
            "\n".join(map(json.dumps, PROMPTS)),
            PLAIN,
            "expected one JSON document, found JSONL, one object a line; call it .jsonl",
        ),
        ([3], PLAIN, "row 1: expected an object with the keys 'clean' and 'corrupt', found 3"),
        (
            [{**PROMPTS[0], "label": 1}],
            PLAIN,
            "row 1: expected an object with the keys 'clean' and 'corrupt', found also 'label';"
            " pairs.columns says which two to read",
        ),
        ([*PROMPTS, PROMPTS[1]], PLAIN, "row 4: pair 4 repeats pair 2; give each pair once"),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_in_one_line(
    path: Path, content: object, keys: Keys, reason: str
) -> None:
    assert refusal(path, content, keys).startswith(reason)


def test_where_a_document_holds_lists_the_key_that_names_one_is_told(path: Path) -> None:
    found = refusal(path, {"seed": 1, "prompts": PROMPTS, "more": []})
    assert found.startswith("expected a list of objects, found {'seed': 1, 'prompts': [{")
    assert found.endswith("; pairs.list says under which key it stands: 'prompts', 'more'")


def test_of_many_faulty_rows_the_first_three_are_named_and_all_counted(path: Path) -> None:
    rows: list[dict[str, Any]] = [{"clean": f"a{n}", "corrupt": f"b{n}"} for n in range(22_056)]
    for n in range(4, 22_056, 2):
        rows[n]["corrupt"] = n
    assert refusal(path, rows) == (
        "row 5: corrupt: expected a text, found 4; 11026 rows are at fault in all, the next 7 and 9"
    )
    rows = [
        {"clean": "a", "corrupt": ""},
        {"clean": "a", "corrupt": "b"},
        {"clean": "", "corrupt": ""},
    ]
    assert refusal(path, rows) == (
        "row 1: corrupt: the prompt is empty; 2 rows are at fault in all, the next 3"
    )


DEEP = [
    {
        "prompt": one["clean"],
        "choices": [" Ann", " Bob", " Eve"],
        "answer": number % 3,
        "metadata": {"scene": f"s{number}"},
        "swapped": {"prompt": one["corrupt"], "choices": [" Bob", " Ann"], "answer": 1},
    }
    for number, one in enumerate(PROMPTS)
]
DEEP_KEYS = Keys(
    ("prompt", "swapped.prompt"),
    "metadata.scene",
    True,
    ("choices[answer]", "choices[!answer]", "swapped.choices[answer]"),
)


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@pytest.mark.parametrize("count", [1, 3])
def test_columns_may_be_places_inside_a_row(path: Path, suffix: str, count: int) -> None:
    given = DEEP[:count]
    lines = "\n".join(map(json.dumps, given))
    content = json.dumps(given) if suffix == ".json" else lines
    rows = rows_of(path.with_suffix(suffix), content, DEEP_KEYS)
    assert [row.pair for row in rows] == PAIRS[:count]
    assert [row.group for row in rows] == ["s0", "s1", "s2"][:count]
    assert rows[0].answers == {
        "choices[answer]": (" Ann",),
        "choices[!answer]": (" Bob", " Eve"),
        "swapped.choices[answer]": (" Ann",),
    }


def test_further_counterparts_may_be_places_too(path: Path) -> None:
    keys = Keys(("prompt", "swapped.prompt"), others=True, counterparts=("choices[2]",))
    assert [row.counterparts for row in rows_of(path, DEEP, keys)] == [(" Eve",)] * 3


def test_without_named_columns_the_keys_that_places_read_are_no_others(path: Path) -> None:
    content = [{**PROMPTS[0], "choices": [" Ann", " Bob"], "answer": 0}]
    keys = Keys(SIDES, answers=("choices[answer]", "choices[!answer]"))
    (row,) = rows_of(path, content, keys)
    assert row.answers == {"choices[answer]": (" Ann",), "choices[!answer]": (" Bob",)}
    content[0]["more"] = 1
    assert "found also 'more'; pairs.columns says" in refusal(path, content, keys)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"swapped": {}}, "row 2: swapped.prompt: there is no 'prompt' in swapped; there are "),
        ({"swapped": "text"}, "row 2: swapped.prompt: expected an object in swapped, found 'text'"),
        ({"answer": 3}, "row 2: choices[answer]: expected a place in choices, which has 3"),
        ({"answer": "B"}, "row 2: choices[answer]: expected a place in choices, which has 3"),
        ({"choices": "Ann"}, "row 2: choices[answer]: expected a list in choices, found 'Ann'"),
        ({"choices": [1, 2, 3]}, "row 2: choices[answer]: expected an answer, or several in"),
        ({"metadata": {"scene": None}}, "row 2: metadata.scene: expected the name or the number"),
        ({"swapped.prompt": "x"}, "row 2: swapped.prompt: can be read in two ways: the key of"),
    ],
)
def test_a_row_whose_places_lead_nowhere_is_named(
    path: Path, change: dict[str, Any], reason: str
) -> None:
    assert refusal(path, [DEEP[0], DEEP[1] | change], DEEP_KEYS).startswith(reason)


def test_a_missing_key_is_told_with_what_is_there(path: Path) -> None:
    bare = {"prompt": "a", "choices": [" Ann"]}
    reason = refusal(path, [bare], DEEP_KEYS)
    assert reason.startswith(
        "row 1: expected an object with the keys 'prompt' and 'swapped.prompt'"
    )
    assert reason.endswith("found 'prompt', 'choices'")


def test_columns_of_a_table_whose_names_look_like_places_are_read(tmp_path: Path) -> None:
    content = "a.b,c[0]\nx,y\n"
    (row,) = rows_of(tmp_path / "pairs.csv", content, Keys(("a.b", "c[0]")))
    assert row.pair == Pair("x", "y")


IDS = BehaviourSpec(right="correct_idx", wrong="incorrect_idx", ids=True)
ID_KEYS = keys_of(
    PairsSpec(file="a.csv", columns=("clean", "corrupt")), SIDES, [IDS], AblationSpec()
)


def test_a_table_gives_answers_as_token_ids(tmp_path: Path) -> None:
    content = "clean,corrupt,correct_idx,incorrect_idx\na,b,5335,1757\nc,d,7, 1|20 \n"
    found = rows_of(tmp_path / "pairs.csv", content, ID_KEYS)
    assert [IDS.answers(row.answers) for row in found] == [
        (("5335",), ("1757",)),
        (("7",), ("1", "20")),
    ]


def test_a_document_gives_answers_as_token_ids(path: Path) -> None:
    content = [{"clean": "a", "corrupt": "b", "correct_idx": 0, "incorrect_idx": [1, "20"]}]
    (row,) = rows_of(path, content, ID_KEYS)
    assert IDS.answers(row.answers) == (("0",), ("1", "20"))


@pytest.mark.parametrize(
    "given",
    [
        "", "x", "5335.0", "-1", "+1", "007", "1|", "1 2", 5335.0, -1, True, None, [], [[1]], {},
    ],
)  # fmt: skip
def test_what_is_no_token_id_is_refused(path: Path, given: object) -> None:
    content = [{"clean": "a", "corrupt": "b", "correct_idx": given, "incorrect_idx": 1}]
    assert refusal(path, content, ID_KEYS) == (
        "row 1: correct_idx: expected a token id, a whole number, or several in a list or with |"
        f" between them, found {given!r}"
    )


def test_a_token_id_is_given_once(path: Path) -> None:
    content = [{"clean": "a", "corrupt": "b", "correct_idx": [3, "3"], "incorrect_idx": 1}]
    assert "correct_idx: the id 3 stands there more than once" in refusal(path, content, ID_KEYS)


def test_ids_are_of_columns() -> None:
    with pytest.raises(ValueError, match="ids: expected two columns, found lists of answers"):
        BehaviourSpec(right=["1"], wrong=["2"], ids=True)


def test_a_column_holds_token_ids_for_all_behaviours_or_for_none(mine: Path) -> None:
    one = '[behaviour.one]\nright = "right"\nwrong = "wrong"\nids = true\n'
    other = one.replace("one", "other")
    spec = mine / "experiment.toml"
    text = spec.read_text(encoding="utf-8")
    write(mine, [{**row, "right": 3, "wrong": 4} for row in DEEP])
    spec.write_text(f"{text}\n{one}\n{other}", encoding="utf-8")
    assert read_experiment(mine).spec.keys.ids == ("right", "wrong", "right", "wrong")
    spec.write_text(f"{text}\n{one}\n{other.replace('true', 'false')}", encoding="utf-8")
    with pytest.raises(InputError, match="behaviour: 'right' holds token ids for one, and texts"):
        read_experiment(mine)


@pytest.mark.parametrize(
    "stated",
    [
        {"file": "a.jsonl", "list": "prompts"},
        {"file": "a.csv", "list": "prompts"},
        {"dataset": "x/y", "split": "train", "list": "prompts"},
    ],
)
def test_a_list_is_of_a_json_file(stated: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"list is of a \.json file"):
        PairsSpec.model_validate(stated)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """An experiment whose pairs are a document of deeper rows."""
    folder = tmp_path / "mine"
    new_experiment(folder)
    table = (
        '{ file = "pairs.json", list = "prompts", columns = ["prompt", "swapped.prompt"],'
        ' group = "metadata.scene" }'
    )
    edit(folder / "experiment.toml", 'pairs = "pairs.jsonl"', f"pairs = {table}")
    return folder


def write(folder: Path, rows: Sequence[object]) -> None:
    (folder / "pairs.json").write_text(json.dumps({"prompts": rows}), encoding="utf-8")


def test_an_experiment_reads_such_pairs(mine: Path) -> None:
    write(mine, DEEP)
    experiment = read_experiment(mine)
    assert experiment.pairs == PAIRS
    assert experiment.source.origin() == {"file": "pairs.json"}
    assert experiment.spec.keys.under == "prompts"
    assert check_experiment(mine).problems == []


def test_check_tells_all_faults_of_a_document_in_one_line(mine: Path) -> None:
    write(mine, [*DEEP, *[{"prompt": n, "swapped": {"prompt": ""}} for n in range(50)]])
    assert check_experiment(mine).problems == [
        f"{mine}/pairs.json: row 4: expected an object with the keys 'prompt' and 'swapped.prompt'"
        " and 'metadata.scene', found 'prompt', 'swapped'; 50 rows are at fault in all, the next 5"
        " and 6"
    ]


def test_check_reads_token_ids_where_the_spec_is_at_fault_elsewhere(mine: Path) -> None:
    write(mine, [{**row, "right": 3, "wrong": 4} for row in DEEP])
    behaviour = '[behaviour.name]\nright = "right"\nwrong = "wrong"\nids = true\n'
    spec = mine / "experiment.toml"
    text = spec.read_text(encoding="utf-8").replace("budget = 2528", "budget = -1")
    spec.write_text(f"{text}\n{behaviour}", encoding="utf-8")
    (problem,) = check_experiment(mine).problems
    assert "selection: budget" in problem
