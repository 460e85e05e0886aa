"""Files of claims: read in order, or refused by file, claim and reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from replication.claims.claim import (
    read_claims,
)
from replication.claims.keys import Known
from replication.claims.score_checks import Ratio
from replication.experiment.spec import Experiment, read_experiment
from replication.inputs.files import FileError, InputError
from tests.claims.build import check, published, table, verdict
from tests.make import copied
from tests.paths import FIXTURES

GOOD = """\
[[claim]]
id = "X0"
made_by = "me"
source = "a paper"
statement = "156 components are scored."
check = [{ kind = "count", total = 156 }]

[[claim]]
id = "X1"
made_by = "me"
source = "a paper, page 2"
statement = "m2 scores 31.51."
check = [{ kind = "scores", result = "original", scores = { m2 = "31.51" } }]
"""


CHECK = '{ kind = "scores", result = "original", scores = { m2 = "31.51" } }'


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    folder = tmp_path / "sarcasm"
    copied(FIXTURES / "sarcasm-gpt2", folder)
    (folder / "claims.toml").write_text(GOOD, encoding="utf-8")
    return read_experiment(folder)


def refusal(experiment: Experiment, text: str) -> str:
    """Everything that is wrong; of a file with a long path, the message holds less of it."""
    path = experiment.folder / "claims.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileError) as caught:
        read_claims(experiment)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return "; ".join(map(str, caught.value.faults))


def test_good_claims_are_read_in_their_order(experiment: Experiment) -> None:
    claims = read_claims(experiment)
    assert [claim.id for claim in claims] == ["X0", "X1"]
    assert claims[1].check == [
        check(kind="scores", result="paper", scores={"m1": "31.51"}).model_copy(
            update={"result": "original", "scores": {"m2": "31.51"}}
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "reasons"),
    [
        ('id = "X1"', 'id = "X0"', ["two claims have the id X0"]),
        ('source = "a paper, page 2"\n', "", ["claim X1: source: missing"]),
        ('"a paper, page 2"', '" "', ["claim X1: source: "]),
        ('statement = "m2 scores 31.51."\n', "", ["claim X1: statement: missing"]),
        ('id = "X1"\n', "", ["claim 2: id: missing"]),
        ('id = "X1"', 'id = "X 1"', ["claim X 1: id: "]),
        ('id = "X1"', 'id = "X1"\nclass = "a"', ["claim X1: class: unknown key"]),
        ('id = "X1"', 'id = "X1"\nexpect = "refuted"', ["claim X1: ", "needs a reason"]),
        ('id = "X1"', 'id = "X1"\nexpect = "refuted"\nreason = " "', ["claim X1: reason: "]),
        ('id = "X1"', 'id = "X1"\nexpect = "undecided"', ["claim X1: expect: "]),
        (f"check = [{CHECK}]", "check = []", ["claim X1: check: ", "at least 1 item"]),
        (f"check = [{CHECK}]\n", "", ["claim X1: check: missing"]),
        (f"check = [{CHECK}]", f"check = {CHECK}", ["claim X1: check: "]),
    ],
)
def test_a_bad_claim_is_refused_by_file_id_and_reason(
    experiment: Experiment, old: str, new: str, reasons: list[str]
) -> None:
    assert GOOD.count(old) == 1
    message = refusal(experiment, GOOD.replace(old, new))
    assert [reason for reason in reasons if reason not in message] == []


@pytest.mark.parametrize(
    ("stated", "reasons"),
    [
        ('{ kind = "colour", result = "original" }', ["'colour'", "'scores'"]),
        ('{ result = "original" }', ["kind"]),
        ('{ kind = "scores", scores = { m2 = "31.51" } }', ["result: missing"]),
        ('{ kind = "scores", result = "original", scores = { m2 = 31.51 } }', ["m2", "found 31.5"]),
        ('{ kind = "scores", result = "original", scores = { m2 = "~31" } }', ["m2", "'~31'"]),
        ('{ kind = "scores", result = "original", scores = {} }', ["scores", "at least 1"]),
        ('{ kind = "scores", result = "original", scores = { m12 = "1" } }', ["component m12"]),
        ('{ kind = "scores", result = "original", scores = { b7 = "1" } }', ["'b7'"]),
        ('{ kind = "scores", result = "original", scores = { a1.h2 = "1" } }', ["a1"]),
        ('{ kind = "scores", result = "copy", scores = { m2 = "1" } }', ["no result 'copy'"]),
        ('{ kind = "scores", result = "original", pair = 0, scores = { m2 = "1" } }', ["pair"]),
        ('{ kind = "scores", result = "original", pair = "1", scores = { m2 = "1" } }', ["pair"]),
        ('{ kind = "count", total = "54" }', ["total", "found '54'"]),
        ('{ kind = "count", total = 54.0 }', ["total", "found 54.0"]),
        ('{ kind = "count", total = -1 }', ["total"]),
        ('{ kind = "count", all = 54 }', ["all: unknown key"]),
        ('{ kind = "count", circuit = "original" }', ["expected one of total"]),
        ('{ kind = "count", heads_in_layers = { 4to6 = 3 } }', ["'4to6'"]),
        ('{ kind = "shape", n_layers = 12 }', ["n_heads: missing"]),
        ('{ kind = "ranking", result = "original", among = "mlp" }', ["first or ranks"]),
        (
            '{ kind = "ranking", result = "original", among = "mlp", first = ["a1.h2"] }',
            ["a1.h2 is not among"],
        ),
        (
            '{ kind = "ranking", result = "original", among = "mlp", first = ["m1", "m1"] }',
            ["m1 stands there more than once"],
        ),
        (
            '{ kind = "ranking", result = "original", among = "mlp", ranks = { m1 = "1" } }',
            ["ranks: m1"],
        ),
        (
            '{ kind = "ranking", result = "original", among = "mlp", ranks = { m1 = 0 } }',
            ["ranks: m1"],
        ),
        (
            '{ kind = "ratio", result = "original", of = "m2", to = "m11", ratio = 1.41 }',
            ["ratio", "found 1.41"],
        ),
        (
            '{ kind = "ratio", result = "original", of = "m2", to = "last", ratio = "1.41" }',
            ["'last' is no component", "'next'"],
        ),
        (
            '{ kind = "deviation", result = "original", reference = "replication" }',
            ["expected one of percent"],
        ),
        (
            '{ kind = "deviation", result = "original", reference = "replication",'
            ' mean_percent = "2" }',
            ["components"],
        ),
        ('{ kind = "bound", result = "original", among = "mlp" }', ["below or at_least"]),
        ('{ kind = "bound", result = "original", below = "1" }', ["components or among"]),
        (
            '{ kind = "bound", result = "original", among = "mlp", outside = "copy", below = "1" }',
            ["outside", "no result 'copy'"],
        ),
        ('{ kind = "cost", circuit = "original" }', ["at least one stated cost"]),
        ('{ kind = "cost", circuit = "original", used = "11200" }', ["used", "found '11200'"]),
        ('{ kind = "membership", circuit = "original" }', ["includes or excludes"]),
        ('{ kind = "membership", circuit = "original", includes = ["a12.h0"] }', ["a12.h0"]),
        ('{ kind = "overlap", circuit = "original", reference = "replication" }', ["expected sh"]),
        (
            '{ kind = "overlap", circuit = "original", reference = "replication", percent = 94.4 }',
            ["percent", "found 94.4"],
        ),
        (
            '{ kind = "difference", circuit = "original", reference = "replication",'
            " only_circuit = [] }",
            ["only_reference: missing"],
        ),
        ('{ kind = "order", circuit = "original" }', ["first or moved"]),
        ('{ kind = "order", circuit = "original", moved = [] }', ["moved and reference"]),
        (
            '{ kind = "selection", circuit = "original", budget = 11200 }',
            ["mlp_threshold: missing"],
        ),
        (
            '{ kind = "selection", circuit = "original", budget = 11200, mlp_threshold = 7.0 }',
            ["mlp_threshold", "found 7.0"],
        ),
        ('{ kind = "determinism", result = "original", identical = "yes" }', ["identical"]),
        ('{ kind = "control", component = "m12" }', ["component", "m12"]),
    ],
)
def test_a_bad_check_is_refused_by_file_id_and_reason(
    experiment: Experiment, stated: str, reasons: list[str]
) -> None:
    message = refusal(experiment, GOOD.replace(f"[{CHECK}]", f"[{CHECK}, {stated}]"))
    assert "claim X1: check 2" in message
    assert "claim X0" not in message
    assert [reason for reason in reasons if reason not in message] == []


BOTH = 'circuit = "original", reference = "original"'
TWO = 'circuit = "replication", reference = "original"'
SENSELESS = [
    (
        'kind = "deviation", result = "original", reference = "original", percent = { m2 = "0" }',
        "result and reference are both 'original'",
    ),
    (f'kind = "overlap", {BOTH}, shared = 54', "circuit and reference are both 'original'"),
    (
        f'kind = "difference", {BOTH}, only_circuit = [], only_reference = []',
        "circuit and reference are both 'original'",
    ),
    (f'kind = "order", {BOTH}, moved = []', "circuit and reference are both 'original'"),
    (
        'kind = "ratio", result = "original", of = "m2", to = "m2", ratio = "1"',
        "of and to are both m2",
    ),
    (
        'kind = "bound", result = "original", components = ["m2"], but = ["m2"], below = "1"',
        "but leaves no component",
    ),
    (
        'kind = "bound", result = "original", among = "mlp", but = ["m2"], members = 12,'
        ' below = "1"',
        "members is 12, of at most 11 components",
    ),
    (
        'kind = "determinism", result = "original", identical = true',
        "result: no run measures 'original'; runs measure 'replication'",
    ),
    (
        'kind = "count", circuit = "original", heads_in_layers = { 11-12 = 0 }',
        "heads_in_layers: '11-12': the model has layers 0 to 11",
    ),
    ('kind = "count", circuit = "original", input = 2', "input is 2; the model has at most 1"),
    ('kind = "count", circuit = "original", mlp = 13', "mlp is 13; the model has at most 12"),
    ('kind = "count", circuit = "original", head = 145', "head is 145; the model has at most 144"),
    ('kind = "count", total = 158', "total is 158; the model has at most 157"),
    (
        'kind = "count", circuit = "original", heads_in_layers = { 4-6 = 37 }',
        "heads in layers 4-6 is 37; the model has at most 36",
    ),
    (
        'kind = "count", circuit = "original", heads_in_layers = { 0-11 = 43, other = 1 }',
        "heads in layers other is 1; the model has at most 0",
    ),
    (
        'kind = "membership", circuit = "original", includes = ["m2", "m2"]',
        "includes: m2 stands there more than once",
    ),
    (
        'kind = "membership", circuit = "original", excludes = ["m3", "m3"]',
        "excludes: m3 stands there more than once",
    ),
    (
        f'kind = "difference", {TWO}, only_circuit = ["m2", "m2"], only_reference = []',
        "only_circuit: m2 stands there more than once",
    ),
    (
        f'kind = "difference", {TWO}, only_circuit = ["m2"], only_reference = ["m2"]',
        "m2 is both in only_circuit and in only_reference",
    ),
    (
        f'kind = "order", {TWO}, moved = ["m0", "m0"]',
        "moved: m0 stands there more than once",
    ),
    (
        f'kind = "order", {TWO}, among = "head", moved = ["m0"]',
        "m0 is not among the components ordered, head",
    ),
    (
        'kind = "order", circuit = "original", among = "mlp", first = ["a1.h2"]',
        "a1.h2 is not among the components ordered, mlp",
    ),
    (f'kind = "overlap", {TWO}, of = 158', "of is 158, of at most 157 components"),
    (f'kind = "overlap", {TWO}, shared = 55, of = 54', "shared is 55, of at most 54 components"),
    (
        f'kind = "overlap", {TWO}, among = "mlp", shared = 13',
        "shared is 13, of at most 12 components",
    ),
    (f'kind = "overlap", {TWO}, percent = "-1"', "a percentage cannot be negative, found '-1'"),
    (f'kind = "overlap", {TWO}, at_least_percent = "101"', "expected at most 100 percent"),
    (
        f'kind = "overlap", {TWO}, at_least_percent = "0.0"',
        "no percentage is below 0: expected a bound above it, found '0.0'",
    ),
    (
        'kind = "bound", result = "original", among = "mlp", at_least = "0"',
        "at_least: no score is below 0: expected a bound above it, found '0'",
    ),
    ('kind = "bound", result = "original", components = ["m2"], below = "0.00"', "no score is"),
    (
        'kind = "deviation", result = "replication", reference = "original",'
        ' components = ["m2"], at_most_percent = "-5"',
        "at_most_percent: a percentage cannot be negative, found '-5'",
    ),
    (
        'kind = "deviation", result = "replication", reference = "original",'
        ' percent = { m2 = "-2.96" }',
        "a percentage cannot be negative, found '-2.96'",
    ),
    (
        'kind = "scores", result = "original", scores = { m2 = "-1.0" }',
        "a score cannot be negative, found '-1.0'",
    ),
    (
        'kind = "ratio", result = "original", of = "m2", to = "m1", ratio = "-1"',
        "a ratio cannot be negative, found '-1'",
    ),
    (
        'kind = "bound", result = "original", among = "mlp", below = "-1"',
        "a bound on scores cannot be negative, found '-1'",
    ),
    (
        'kind = "ranking", result = "original", among = "mlp", ranks = { m2 = 13 }',
        "ranks: m2 has rank 13, of 12 components ranked",
    ),
    (
        'kind = "scores", result = "replication", pair = 6, scores = { m2 = "1" }',
        "pair is 6; the experiment has 5 pairs",
    ),
    (
        'kind = "selection", circuit = "original", budget = 767, mlp_threshold = "7.0"',
        "budget: a budget of 767 does not hold the input, which costs 768",
    ),
    (
        'kind = "cost", circuit = "original", budget = 767',
        "budget: a budget of 767 does not hold the input, which costs 768",
    ),
    (
        'kind = "selection", circuit = "original", budget = 11200, mlp_threshold = "-7.0"',
        "a threshold cannot be negative, found '-7.0'",
    ),
    ('kind = "control", component = "input"', "component: the input is not scored"),
    (
        'kind = "scores", result = "original", scores = { input = "1" }',
        "the input is not scored",
    ),
    (
        'kind = "ratio", result = "original", of = "m2", to = "input", ratio = "1"',
        "to: the input is not scored",
    ),
    (
        'kind = "ranking", result = "original", among = "all", first = ["input"]',
        "first 1: the input is not scored",
    ),
]


@pytest.mark.parametrize("expect", ["", 'expect = "refuted"\nreason = "It is false."\n'])
@pytest.mark.parametrize(("stated", "reason"), SENSELESS)
def test_a_check_that_no_evidence_could_turn_is_refused_with_its_line(
    experiment: Experiment, stated: str, reason: str, expect: str
) -> None:
    text = GOOD.replace(f"check = [{CHECK}]", f"{expect}check = [\n{CHECK},\n{{ {stated} }},\n]")
    line = text[: text.index(f"{{ {stated} }}")].count("\n") + 1
    message = refusal(experiment, text)
    assert message.startswith("claim X1: check 2: ")
    assert reason in message
    assert message.endswith(f"(line {line})")


@pytest.mark.parametrize(
    "stated",
    [
        'kind = "count", circuit = "original", total = 157, input = 0, mlp = 12, head = 144',
        'kind = "count", circuit = "original", heads_in_layers = { 11 = 12, 4-6 = 36 }',
        'kind = "scores", result = "original", pair = 6, scores = { m2 = "1" }',
        'kind = "scores", result = "replication", pair = 5, scores = { m2 = "0" }',
        'kind = "ranking", result = "original", among = "mlp", ranks = { m2 = 12 }',
        'kind = "selection", circuit = "original", budget = 768, mlp_threshold = "0"',
        f'kind = "overlap", {TWO}, shared = 0, of = 157, percent = "100", at_least_percent = "1"',
        'kind = "determinism", result = "replication", identical = false',
    ],
)
def test_what_is_merely_false_is_read(experiment: Experiment, stated: str) -> None:
    path = experiment.folder / "claims.toml"
    path.write_text(GOOD.replace(CHECK, f"{{ {stated} }}"), encoding="utf-8")
    assert len(read_claims(experiment)) == 2


@pytest.mark.parametrize("text", ["", "claim = []", "[claim]\nid = 'X1'", "claims = []"])
def test_a_file_without_claims_is_refused(experiment: Experiment, text: str) -> None:
    assert refusal(experiment, text).startswith(("claim: ", "claim"))


def test_a_missing_claim_file_is_named(experiment: Experiment) -> None:
    (experiment.folder / "claims.toml").unlink()
    with pytest.raises(InputError, match=r"claims\.toml: there is no such file"):
        read_claims(experiment)


@pytest.mark.parametrize(
    ("stated", "key"),
    [
        (
            '{ kind = "scores", result = "copy", scores = { m2 = "1" } }',
            "check 1: result: ",
        ),
        (
            '{ kind = "ratio", result = "original", of = "m99", to = "m11", ratio = "1" }',
            "check 1: of: ",
        ),
        (
            '{ kind = "ratio", result = "original", of = "m2", to = "last", ratio = "1.41" }',
            "check 1: to: ",
        ),
    ],
)
def test_an_error_names_the_key_where_it_stands(
    experiment: Experiment, stated: str, key: str
) -> None:
    message = refusal(experiment, GOOD.replace(CHECK, stated))
    assert message.startswith(f"claim X1: {key}")


def test_a_circuit_whose_order_its_scores_contradict_gives_no_rank() -> None:
    claim = check(kind="ranking", result="paper", among="head", ranks={"a0.h0": 1})
    scores = table({"a0.h0": "1.0", "a0.h1": "2.0", "a1.h2": "3.0"}, head=3)
    assert verdict(claim, published(scores, paper_nodes="input a0.h0 a0.h1")) == "undecided"


def test_a_ratio_to_a_component_that_is_none_is_one_fault(gpt2_experiment: Path) -> None:
    known = Known(read_experiment(gpt2_experiment).spec.model.shape, ["mine"], "mine")
    data = {"kind": "ratio", "result": "mine", "of": "m0", "to": "m99", "ratio": "1.5"}
    with pytest.raises(ValidationError) as raised:
        Ratio.model_validate(data, context=known)
    (fault,) = raised.value.errors()
    assert "the model has no component m99" in fault["msg"]
