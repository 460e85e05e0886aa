"""Recordings of attention weights: whole, of these pairs, positions and words, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors

from replication.circuits.components import ModelShape
from replication.engine.attention import Attention
from replication.engine.recording import (
    Recording,
    asked_of,
    check_overwritten,
    record,
    recorded_path,
    replay,
)
from replication.engine.tokens import SeenTokens
from replication.experiment.spec import Experiment, TokensSpec, read_experiment
from replication.inputs.files import InputError
from tests.asking import write_rows
from tests.attending import N_HEADS, N_LAYERS, ROWS
from tests.gpt2 import make_experiment
from tests.make import edit, means, provenance_of, run_of

SHAPE = ModelShape(n_layers=N_LAYERS, n_heads=N_HEADS, d_model=32, d_head=8)


@pytest.fixture
def folder(attending_copy: Path) -> Path:
    return attending_copy


def recording() -> Recording:
    """Weights that a model may have given."""
    random = np.random.default_rng(0)
    n_pairs = len(ROWS)
    kept = Attention(
        random.random((2, n_pairs, N_LAYERS, N_HEADS), dtype=np.float32),
        np.tile([4, 8, 2, 11], (n_pairs, 1)),
        np.tile([12, 9], (n_pairs, 1)),
    )
    seen = SeenTokens(first_pair=(["a"] * 12, ["b"] * 9), added=(1, 1), ids_sha256="2" * 64)
    return Recording(kept, provenance_of(SHAPE, tokens=TokensSpec(special="bos")), seen)


def written(folder: Path, **changes: Any) -> Experiment:
    """The experiment, with these weights recorded."""
    experiment, run = read_experiment(folder), recording()
    assert isinstance(run.kept, Attention)
    run = replace(run, kept=replace(run.kept, **changes))
    record(run, experiment.pairs, recorded_path(experiment), asked_of(experiment))
    return experiment


def refused(experiment: Experiment) -> str:
    with pytest.raises(InputError) as caught:
        replay(experiment)
    file, _, reason = str(caught.value).partition(": ")
    assert file == str(recorded_path(experiment))
    assert "\n" not in reason
    return reason


def test_what_is_recorded_comes_back_to_the_bit(folder: Path) -> None:
    found, own = replay(written(folder)), recording()
    assert isinstance(found.kept, Attention)
    for name in ("weights", "positions", "token_lengths"):
        assert np.array_equal(getattr(found.kept, name), getattr(own.kept, name))
    assert (found.provenance, found.seen) == (own.provenance, own.seen)


def test_nothing_is_stored_but_what_the_tables_ask_for(folder: Path) -> None:
    path = recorded_path(written(folder))
    with safetensors.safe_open(path, framework="np") as file:
        layout = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    n_pairs = len(ROWS)
    assert layout == {
        "attention": [2, n_pairs, N_LAYERS, N_HEADS],
        "positions": [n_pairs, 4],
        "token_lengths": [n_pairs, 2],
    }
    assert metadata["format"] == "replication.attention.1"
    asked = json.loads(metadata["scoring"])
    assert [name for name, _ in asked["positions"]] == ["S1", "S2", "IO", "END"]
    assert asked["tables"][0] == ["duplicate", {"from": "S2", "to": "S1"}]
    assert asked["words"]["io"] == [[row["io"]] for row in ROWS]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('word = "s", occurrence = 2', 'word = "s", occurrence = "last"', "positions"),
        ("mover = {", "other = {", "tables"),
        ('to = "IO" }', 'to = "IO" }\nagain = { from = "END", to = "S1" }', None),
    ],
)
def test_other_positions_or_tables_are_refused(
    folder: Path, old: str, new: str, what: str | None
) -> None:
    written(folder)
    edit(folder / "experiment.toml", old, new)
    if "other = {" in new:
        edit(folder / "experiment.toml", '"duplicate", "mover"', '"duplicate", "other"')
    reason = refused(read_experiment(folder))
    if what is None:
        assert reason.startswith("attention: expected float32 of shape (3, 5, 3, 4)")
    else:
        assert reason.startswith(f"scoring: {what}: recorded with others than the experiment")


def test_other_words_are_refused(folder: Path) -> None:
    written(folder)
    write_rows(folder, [{**ROWS[0], "io": ROWS[0]["s"]}, *ROWS[1:]])
    assert refused(read_experiment(folder)).startswith("scoring: words: recorded with others")


def test_other_pairs_are_refused(folder: Path) -> None:
    written(folder)
    write_rows(folder, [{**ROWS[0], "second": "Someone else."}, *ROWS[1:]])
    assert refused(read_experiment(folder)).startswith("pairs: pair 1 was recorded as")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"weights": np.full((2, 5, 3, 4), 1.5, np.float32)}, "attention: expected shares from 0"),
        ({"weights": np.full((2, 5, 3, 4), -0.1, np.float32)}, "attention: expected shares"),
        ({"weights": np.full((2, 5, 3, 4), np.nan, np.float32)}, "attention: holds NaN"),
        ({"weights": np.zeros((1, 5, 3, 4), np.float32)}, "attention: expected float32 of shape"),
        ({"positions": np.full((5, 4), 12)}, "positions: pair 1: expected 0 to 11, found 12"),
        ({"positions": np.full((5, 4), -1)}, "positions: pair 1: expected 0 to 11, found -1"),
        ({"positions": np.zeros((5, 3), np.int64)}, "positions: expected int64 of shape (5, 4)"),
        ({"token_lengths": np.full((5, 2), 13)}, "tokens: the first pair's are not as many"),
        ({"token_lengths": np.full((5, 2), 0)}, "token_lengths: pair 1: expected 1 to 100000000"),
    ],
)
def test_what_no_run_gives_is_refused(folder: Path, changes: Any, reason: str) -> None:
    assert reason in refused(written(folder, **changes))


def test_a_changed_weight_is_refused(folder: Path) -> None:
    experiment = written(folder)
    path = recorded_path(experiment)
    content = bytearray(path.read_bytes())
    content[-5 * len(ROWS)] ^= 1
    path.write_bytes(content)
    assert refused(experiment)


def test_a_recording_of_the_other_kind_is_refused_and_may_be_replaced(
    folder: Path, tmp_path: Path
) -> None:
    other = read_experiment(make_experiment(tmp_path / "other"))
    record(run_of(with_inner()), other.pairs, recorded_path(other))
    path = recorded_path(written(folder))
    recorded_path(other).rename(path)
    expected = "format: expected replication.attention.1, found replication.mean-activations.4"
    assert refused(read_experiment(folder)).startswith(expected)
    check_overwritten(path)
    written(folder).folder.joinpath("recorded.safetensors").rename(recorded_path(other))
    assert refused(other).startswith("format: expected replication.mean-activations.4, found")
    check_overwritten(recorded_path(other))


def with_inner() -> Any:
    found = means(SHAPE, 4)
    return replace(found, inner=replace(found, token_lengths=found.token_lengths - 1))
