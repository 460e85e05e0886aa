"""Attention scores in a spec: positions and tables that fit each other, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from replication.experiment.spec import read_experiment
from replication.inputs.files import InputError
from tests.asking import write_rows
from tests.attending import ROWS, SCORING, STEPS
from tests.make import edit


@pytest.fixture
def folder(attending_copy: Path) -> Path:
    return attending_copy


def refusal(folder: Path, old: str, new: str) -> str:
    edit(folder / "experiment.toml", old, new)
    with pytest.raises(InputError) as caught:
        read_experiment(folder)
    return str(caught.value)


def test_words_are_read_with_the_pairs(folder: Path) -> None:
    experiment = read_experiment(folder)
    scoring = experiment.spec.scoring
    assert [row.answers for row in experiment.rows] == [
        {"s": (row["s"],), "io": (row["io"],)} for row in ROWS
    ]
    assert scoring.table_names == ["duplicate", "mover"]
    assert [str(table) for table in scoring.tables.values()] == [
        "from S2 to S1",
        "from END to IO",
    ]
    assert not scoring.is_of_behaviour
    assert scoring.asked["positions"]["S2"] == {"word": "s", "occurrence": 2}
    assert list(scoring.asked["tables"]) == ["duplicate", "mover"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('to = "S1"', 'to = "S3"', "tables: duplicate: to: no position 'S3'; there are 'S1', 'S2'"),
        ('from = "S2"', 'from = "S3"', "tables: duplicate: from: no position 'S3'"),
        ('to = "S1"', 'to = "S2"', "tables: duplicate: from and to are both 'S2'"),
        ('mover = { from = "END", to = "IO" }', "", "positions: no table uses 'IO', 'END'"),
        (SCORING[SCORING.index("[scoring.tables]") :], "", "positions: no table uses 'S1', 'S2'"),
        ('to = "S1"', 'two = "S1"', "scoring: tables: duplicate: to: missing"),
        ("last = true", "last = false", "scoring: positions: END: last: "),
        ("{ last = true }", '{ last = true, word = "s" }', "either a word or last = true"),
        ("{ last = true }", "{ }", "expected either a word or last = true, and not both"),
        (', occurrence = "last"', "", "word and occurrence belong together"),
        ("occurrence = 2", "occurrence = 0", "scoring: positions: S2: occurrence: "),
        ("{ last = true }", "{ last = true, occurrence = 1 }", "belong together"),
        ('kind = "attention"', 'kind = "attention"\nmlp_out = "raw"', "mlp_out: a score of kind"),
        (
            'kind = "attention"',
            'kind = "attention"\nmlp_at = "residual"',
            "mlp_at: a score of kind 'attention' has none: leave it out",
        ),
        ('kind = "attention"', "", "scoring: mlp_out: missing: expected 'centred' or 'raw'"),
        (
            'kind = "attention"',
            'mlp_out = "raw"',
            "scoring: positions and tables are of a score of kind 'attention'",
        ),
        (f"steps = {STEPS}", "mlp_threshold = 0.5", "attention gives an MLP no score: state steps"),
        (
            "[selection]",
            "[verification]\nrandom_weights = true\n[selection]",
            "verification.random_weights: does not apply: attention weights",
        ),
        (
            "[selection]",
            "[ablation]\nrivals = { differential = 0.0 }\n[selection]",
            "ablation.rivals: rivals have a threshold each, and the rule has steps",
        ),
        ('word = "io"', 'word = "object"', "expected an object with the keys"),
    ],
)
def test_what_does_not_fit_is_refused(folder: Path, old: str, new: str, reason: str) -> None:
    message = refusal(folder, old, new)
    assert "\n" not in message
    assert reason in message


def test_a_word_that_is_no_text_is_refused(folder: Path) -> None:
    write_rows(folder, [{**ROWS[0], "s": 3}, *ROWS[1:]])
    with pytest.raises(InputError, match=r"line 1: s: expected an answer"):
        read_experiment(folder)
