from __future__ import annotations

import json
from pathlib import Path

import pytest

from replication.circuits.components import ModelShape, WriteCosts
from replication.circuits.steps import by_threshold
from replication.experiment.pair_files import read_pairs
from replication.experiment.pairs import Pair
from replication.experiment.spec import find_experiments, read_experiment
from replication.inputs.files import InputError
from tests.paths import FIXTURES

SIDES = ("sarcastic", "literal")

SPEC = """\
title = "A title"
task = "a_task"
sides = ["sarcastic", "literal"]
pairs = "pairs.jsonl"
measures = "rerun"

[model]
name = "gpt2"
shape = { n_layers = 2, n_heads = 3, d_model = 8, d_head = 2 }

[scoring]
mlp_out = "centred"

[selection]
budget = 24
mlp_threshold = 1.5
input_counts = true

[results.paper]
about = "What the paper says"
circuit = "paper.circuit.json"
"""
PAIR = '{"sarcastic": "Oh great.", "literal": "I like it."}'


def make(folder: Path, spec: str = SPEC, pairs: str | None = PAIR) -> Path:
    """An experiment's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.toml").write_text(spec, encoding="utf-8")
    if pairs is not None:
        (folder / "pairs.jsonl").write_bytes(pairs.encode())
    return folder


def refusal(folder: Path, file: str) -> str:
    """The one line with which the experiment is refused, less the file that it names first."""
    with pytest.raises(InputError) as caught:
        read_experiment(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{folder / file}: ")
    return message.removeprefix(f"{folder / file}: ")


def test_an_experiment_is_its_folder_its_spec_and_its_pairs(tmp_path: Path) -> None:
    experiment = read_experiment(make(tmp_path / "mine"))
    assert experiment.name == "mine"
    assert experiment.pairs == [Pair("Oh great.", "I like it.")]
    assert experiment.spec.model.label == "gpt2"
    assert experiment.spec.model.shape == ModelShape(n_layers=2, n_heads=3, d_model=8, d_head=2)
    assert experiment.spec.costs == WriteCosts(8, 2, input_counts=True)
    assert experiment.spec.claims == "claims.toml"
    assert list(experiment.spec.results) == ["paper"]


def test_a_relative_folder_has_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make(tmp_path / "mine"))
    assert read_experiment(Path(".")).name == "mine"


def test_the_spec_states_whether_the_input_counts(tmp_path: Path) -> None:
    spec = SPEC.replace("input_counts = true", "input_counts = false")
    assert read_experiment(make(tmp_path, spec)).spec.costs == WriteCosts(8, 2, False)


def test_a_package_names_a_model_too(tmp_path: Path) -> None:
    spec = SPEC.replace('name = "gpt2"', 'package = "some_model"')
    assert read_experiment(make(tmp_path, spec)).spec.model.label == "some_model"


def test_a_folder_that_holds_the_model_is_told_from_the_spec(tmp_path: Path) -> None:
    spec = SPEC.replace('name = "gpt2"', 'folder = "../weights"')
    model = read_experiment(make(tmp_path / "mine", spec)).spec.model
    assert (model.folder, model.label) == (str(tmp_path / "weights"), "weights")


def test_pairs_may_be_named_by_a_table(tmp_path: Path) -> None:
    spec = SPEC.replace('pairs = "pairs.jsonl"\n', "")
    table = '[pairs]\nfile = "pairs.csv"\ncolumns = ["ironic", "plain"]\n'
    folder = make(tmp_path / "mine", spec + table, pairs=None)
    (folder / "pairs.csv").write_text("plain,ironic\nb,a\n", encoding="utf-8")
    assert read_experiment(folder).pairs == [Pair("a", "b")]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("title =", "titel =", "titel: unknown key"),
        ('title = "A title"\n', "", "title: missing"),
        ('title = "A title"', "title = 3", "title: Input should be a valid string, found 3"),
        ("d_head = 2 }", "d_head = 2, d_mlp = 9 }", "model: shape: d_mlp: unknown key"),
        ("n_layers = 2,", "n_layers = 0,", "model: shape: n_layers: "),
        ("n_heads = 3, ", "", "model: shape: n_heads: missing"),
        ("d_model = 8", 'd_model = "8"', "model: shape: d_model: "),
        ('name = "gpt2"\n', "", "model: expected either a name on the hub or a package"),
        ('name = "gpt2"', 'name = "gpt2"\npackage = "p"', "model: expected either a name on the"),
        ('name = "gpt2"', 'name = "gpt2"\nsha256 = "abc"', "model: sha256: "),
        ('name = "gpt2"', 'nmae = "gpt2"\nname = "gpt2"', "model: nmae: unknown key"),
        ("budget = 24", "budget = 0", "selection: budget: Input should be greater than 0, found 0"),
        ("budget = 24", "budget = -24", "selection: budget: Input should be greater than 0"),
        ("budget = 24", 'budget = "24"', "selection: budget: Input should be a valid integer"),
        ("budget = 24", "budget = 24.0", "selection: budget: Input should be a valid integer"),
        ("budget = 24", "budget = true", "selection: budget: Input should be a valid integer"),
        ("budget = 24\n", "", "selection: budget: missing"),
        ("_threshold = 1.5", "_threshold = -1.5", "selection: mlp_threshold: "),
        ("_threshold = 1.5", "_threshold = nan", "selection: mlp_threshold: "),
        ("_threshold = 1.5", '_threshold = "1.5"', "selection: mlp_threshold: "),
        ("input_counts = true", "input_counts = 1", "selection: input_counts: "),
        ("input_counts = true\n", "", "selection: input_counts: missing"),
        ('mlp_out = "centred"', 'mlp_out = "halved"', "scoring: mlp_out: "),
        ("[scoring]", "[scores]", "scoring: missing (line 1); scores: unknown key (line 11)"),
        ('about = "What the paper says"\n', "", "results: paper: about: missing"),
        ('about = "What', 'score = "a"\nabout = "What', "results: paper: score: unknown key"),
        ("[results.paper]", '[results."the paper"]', "results: the paper: "),
        ('"sarcastic", "literal"]', '"sarcastic"]', "sides: "),
        ('"sarcastic", "literal"]', '"sarcastic", "literal", "other"]', "sides: "),
        ('"sarcastic", "literal"]', '"sarcastic", 2]', "sides 2: "),
        ('"sarcastic", "literal"]', '"sarcastic", "so so"]', "sides 2: "),
        ('"sarcastic", "literal"]', '"literal", "literal"]', "sides: both are called 'literal'"),
        ('["sarcastic", "literal"]', '"sarcastic"', "sides: "),
        ('measures = "rerun"', 'measures = ""', "measures: "),
        ('measures = "rerun"', 'measures = "../up"', "measures: "),
    ],
)
def test_a_bad_spec_is_refused_by_file_key_and_reason(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    assert SPEC.count(old) == 1
    folder = make(tmp_path, SPEC.replace(old, new))
    assert reason in refusal(folder, "experiment.toml")


def test_every_fault_of_a_spec_is_named_on_one_line(tmp_path: Path) -> None:
    spec = SPEC.replace("budget = 24", "budget = -1").replace("d_head = 2", "d_head = -2")
    message = refusal(make(tmp_path, spec), "experiment.toml")
    assert "model: shape: d_head: " in message
    assert "; selection: budget: " in message


def test_an_infinite_threshold_is_refused(tmp_path: Path) -> None:
    folder = make(tmp_path, SPEC.replace("_threshold = 1.5", "_threshold = inf"))
    assert "selection: mlp_threshold: " in refusal(folder, "experiment.toml")


@pytest.mark.parametrize("key", ["name", "package"])
def test_an_empty_name_of_a_model_is_refused(tmp_path: Path, key: str) -> None:
    folder = make(tmp_path, SPEC.replace('name = "gpt2"', f'{key} = ""'))
    assert "model: " in refusal(folder, "experiment.toml")


def test_a_missing_spec_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no", "experiment.toml") == "there is no such file"


def test_a_spec_that_is_not_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    message = refusal(make(tmp_path, 'title = "A title"\ntask = \n'), "experiment.toml")
    assert message.startswith("not TOML: ")
    assert "line 2" in message


def test_missing_pairs_are_named(tmp_path: Path) -> None:
    assert refusal(make(tmp_path, pairs=None), "pairs.jsonl") == "there is no such file"


def pair(**prompts: object) -> str:
    return json.dumps({"sarcastic": "Oh great.", "literal": "I like it."} | prompts)


ONE_DOCUMENT = "expected JSONL, one object a line, or a .csv file, found one JSON document"


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ("", "there are no pairs in it"),
        ("\n \n\t\n", "there are no pairs in it"),
        (pair(literal=""), "line 1: literal: the prompt is empty"),
        (f"{PAIR}\n\n{pair(sarcastic=' ')}", "line 3: sarcastic: the prompt is empty"),
        (pair(literal="\n\u00a0"), "line 1: literal: the prompt is empty"),
        (pair(literal=None), "line 1: literal: expected a text, found None"),
        (f"{PAIR}\n{pair(sarcastic=3)}", "line 2: sarcastic: expected a text, found 3"),
        (pair(sarcastic=["Oh great."]), "line 1: sarcastic: expected a text, found ['Oh great.']"),
        (pair(other="x"), "line 1: expected an object with the keys 'sarcastic' and 'literal'"),
        ('{"literal": "I like it."}', "line 1: expected an object with the keys"),
        ("{}", "line 1: expected an object with the keys"),
        ('["Oh great.", "I like it."]', "line 1: expected an object with the keys"),
        (f"{PAIR}\nnull", "line 2: expected an object with the keys"),
        (f"{PAIR}\n{PAIR},", "line 2: not JSON: "),
        (f"{PAIR}\n[{PAIR}]", "line 2: expected an object with the keys"),
        (f"[{PAIR}]", ONE_DOCUMENT),
        (f"[{PAIR},\n{PAIR}]", ONE_DOCUMENT),
        (f"\n[\n{PAIR}\n]\n", ONE_DOCUMENT),
        (f'{{"prompts": [{PAIR}]}}\n', ONE_DOCUMENT),
        (json.dumps({"prompts": [json.loads(PAIR)], "n": 1}, indent=2), ONE_DOCUMENT),
        (json.dumps(json.loads(PAIR), indent=2), ONE_DOCUMENT),
        ('{"prompts": [\n], }', ONE_DOCUMENT),
        (f"{PAIR[:-1]}\n{PAIR}", "line 1: not JSON: "),
        (f"{PAIR}\n{PAIR[:-1]}", "line 2: not JSON: "),
        (f'{PAIR}\n{{"literal": "a", "literal": "b"}}', "line 2: the key 'literal' stands there"),
        (f"{PAIR} {PAIR}", "line 1: not JSON: "),
    ],
)
def test_bad_pairs_are_refused_by_file_line_and_reason(
    tmp_path: Path, pairs: str, reason: str
) -> None:
    assert reason in refusal(make(tmp_path, pairs=pairs), "pairs.jsonl")


def test_a_prompt_that_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = make(tmp_path, pairs=pair(literal="I like it \ud83d"))
    assert "line 1: literal: " in refusal(folder, "pairs.jsonl")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n\n", "\n   \n"])
def test_pairs_stand_in_their_order_whatever_ends_a_line(tmp_path: Path, end: str) -> None:
    lines = [pair(sarcastic=f"Oh {number}.") for number in range(3)]
    experiment = read_experiment(make(tmp_path, pairs=end.join([*lines, ""])))
    assert experiment.pairs == [Pair(f"Oh {number}.", "I like it.") for number in range(3)]


def test_a_prompt_is_kept_to_the_letter(tmp_path: Path) -> None:
    prompt = "  Oh\u2028great → “naïve” \u0085 "
    path = tmp_path / "pairs.jsonl"
    path.write_text(
        json.dumps({"literal": "b", "sarcastic": prompt}, ensure_ascii=False), encoding="utf-8"
    )
    assert read_pairs(path, SIDES) == [Pair(prompt, "b")]


def test_the_spec_gives_the_order_of_the_sides(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(PAIR, encoding="utf-8")
    assert read_pairs(path, SIDES) == [Pair("Oh great.", "I like it.")]
    assert read_pairs(path, SIDES[::-1]) == [Pair("I like it.", "Oh great.")]


def test_experiments_are_the_folders_with_a_spec_by_name(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        make(tmp_path / name)
    (tmp_path / "c" / "experiment.toml").rename(tmp_path / "c" / "other.toml")
    make(tmp_path / "d" / "deep")
    assert find_experiments(tmp_path) == [tmp_path / "a", tmp_path / "b"]


def test_an_experiments_own_folder_is_that_experiment(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "a" / "older")
    assert find_experiments(tmp_path / "a") == [tmp_path / "a"]


def test_a_folder_without_experiments_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder in it holds an experiment\.toml"):
        find_experiments(tmp_path)
    with pytest.raises(InputError, match="there is no such folder of experiments"):
        find_experiments(tmp_path / "no")


def test_the_published_experiment_is_the_published_one() -> None:
    experiment = read_experiment(FIXTURES / "sarcasm-gpt2")
    assert len(experiment.pairs) == 5
    assert experiment.pairs[0].first == "Oh great, another meeting at 7 AM."
    selection = experiment.spec.selection
    assert (selection.budget, selection.mlp_threshold) == (11200, 7.0)
    assert str(experiment.spec.model.shape) == "12 layers, 12 heads, d_model 768, d_head 64"


ATTENTION = SPEC.replace('mlp_out = "centred"', 'kind = "attention"').replace(
    "mlp_threshold = 1.5",
    """steps = [
  { take = "input" },
  { best = 1, of = "head", by = "moving" },
  { fixed = ["a1.h2"] },
  { rest = "head", by = ["moving", "copying"] },
]""",
)
ATTENTION += 'tables = { moving = "moving.json", copying = "copying.json" }\n'


def test_a_rule_may_go_by_steps_over_several_tables(tmp_path: Path) -> None:
    spec = read_experiment(make(tmp_path, ATTENTION)).spec
    assert spec.tables == ["moving", "copying"]
    assert spec.rule.steps == spec.selection.steps
    assert spec.rule.components == spec.model.shape.components()


def test_a_threshold_is_steps_too(tmp_path: Path) -> None:
    spec = read_experiment(make(tmp_path)).spec
    assert spec.selection.steps is None
    assert spec.rule.steps == by_threshold(1.5)


def test_without_the_input_a_budget_need_not_hold_it(tmp_path: Path) -> None:
    spec = SPEC.replace("budget = 24", "budget = 7")
    assert "does not hold the input" in refusal(make(tmp_path, spec), "experiment.toml")
    spec = spec.replace("mlp_threshold = 1.5", 'steps = [{ rest = "head" }]')
    assert read_experiment(make(tmp_path, spec)).spec.selection.budget == 7


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("steps = [", "mlp_threshold = 1.5\nsteps = [", "expected either mlp_threshold or steps"),
        ("{ best = 1,", "{", "selection: steps 2: expected a table with one of the keys"),
        ('of = "head", by = "m', 'by = "m', "selection: steps 2: of: missing (line 18)"),
        ('of = "head", by', 'of = "input", by', "selection: steps 2: of: "),
        ('"a1.h2"', '"a2.h2"', "selection: steps 3: fixed: the model has no component a2.h2"),
        ('best = 1, of = "head"', 'best = 1, of = "mlp"',
         "selection: steps 2: attention gives an MLP no score"),
        (', by = "moving" }', " }",
         "selection.steps: 2: by: there are several tables, 'moving', 'copying': say which"),
        ('by = "moving" }', 'by = "mving" }',
         "selection.steps: 2: by: there is no table 'mving'; there are 'moving', 'copying'"),
        ('kind = "attention"', 'kind = "attention"\nmlp_out = "raw"',
         "scoring: mlp_out: a score of kind 'attention' has none: leave it out"),
        ('kind = "attention"', 'kind = "differential"', "scoring: mlp_out: missing"),
        ('kind = "attention"', 'kind = "differential"\nmlp_out = "raw"',
         "results: several tables are of attention; a score of kind 'differential' is one table"),
        ("tables = {", 'scores = "a.json"\ntables = {', "expected either scores or tables"),
        ("tables = {", 'tables = { up = "../a.json", ', "tables: up: expected a path inside"),
        ("[scoring]", "[ablation]\nrivals = { differential = 1.0 }\n[scoring]",
         "ablation.rivals: rivals have a threshold each, and the rule has steps"),
    ],
)  # fmt: skip
def test_a_bad_rule_by_steps_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert ATTENTION.count(old) == 1
    message = refusal(make(tmp_path, ATTENTION.replace(old, new)), "experiment.toml")
    assert reason in message


def test_attention_has_no_threshold_for_mlps(tmp_path: Path) -> None:
    spec = SPEC.replace('mlp_out = "centred"', 'kind = "attention"')
    reason = "selection: mlp_threshold: attention gives an MLP no score: state steps"
    assert reason in refusal(make(tmp_path, spec), "experiment.toml")
    without = SPEC.replace("mlp_threshold = 1.5\n", "")
    assert "expected either mlp_threshold or steps" in refusal(
        make(tmp_path, without), "experiment.toml"
    )


def test_a_table_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = make(tmp_path / "mine", ATTENTION)
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    (folder / "moving.json").symlink_to(tmp_path / "other.json")
    with pytest.raises(InputError, match=r"moving\.json: leads out of the experiment's folder"):
        read_experiment(folder)
