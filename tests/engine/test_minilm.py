from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import replication.engine.packed
from replication.circuits.scores import ScoreTable, table_of
from replication.claims.claim import read_claims
from replication.engine.activations import MeanActivations
from replication.engine.capture import capture
from replication.engine.locate import locate
from replication.engine.models import LoadedModel, load_model
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.engine.taps import hook_points
from replication.evidence.evidence import published_evidence, recorded_evidence
from replication.experiment.spec import Experiment, read_experiment
from tests.closeness import (
    SAME,
    apart,
    assert_close,
    assert_same_means,
    assert_same_pairs,
    means_apart,
)
from tests.faults import FAULTS, Fault
from tests.paths import MINILM

pytestmark = pytest.mark.numeric


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return read_experiment(MINILM)


@pytest.fixture(scope="module")
def model(experiment: Experiment) -> LoadedModel:
    return load_model(experiment.spec.model, device="cpu")


@pytest.fixture(scope="module")
def activations(experiment: Experiment, model: LoadedModel) -> MeanActivations:
    return capture(model, experiment.pairs)


def by_name(table: ScoreTable) -> dict[str, float]:
    return {str(component): float(score.middle) for component, score in table.scores.items()}


@pytest.fixture(scope="module")
def scores(activations: MeanActivations, model: LoadedModel) -> dict[str, float]:
    return by_name(table_of(mean_scores([pair_scores(activations, "raw")]), model.shape))


def test_all_78_scores_of_a_run_are_those_recorded(
    experiment: Experiment, scores: dict[str, float]
) -> None:
    recorded = recorded_evidence(experiment, published_evidence(experiment)).results["minilm"]
    assert recorded.scores is not None
    expected = by_name(recorded.scores)
    assert len(expected) == 78
    assert_close(scores, expected)


def test_the_tolerance_of_recorded_scores_is_relative_to_the_largest_of_their_check(
    experiment: Experiment,
) -> None:
    checks = [one for claim in read_claims(experiment) for one in claim.check]
    checks = [one for one in checks if one.kind == "scores"]
    assert len(checks) == 7
    for check in checks:
        assert {len(figure.partition(".")[2]) for figure in check.scores.values()} == {5}
        least = 5e-6 + SAME * max(map(float, check.scores.values()))
        assert check.tolerance == f"{math.ceil(least * 1e5) / 1e5:.5f}"


def test_scores_are_those_of_a_notebook_without_compatibility_mode(
    experiment: Experiment, scores: dict[str, float], notebook_scores: Any
) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(str(locate(experiment.spec.model)), device="cpu")
    expected = notebook_scores(bridge, experiment.pairs)
    assert len(expected) == 78
    assert min(expected.values()) > 0.05
    assert_close(scores, expected)


def test_two_runs_are_the_same_to_the_bit(
    experiment: Experiment, model: LoadedModel, activations: MeanActivations
) -> None:
    again = capture(model, experiment.pairs)
    assert np.array_equal(again.mlp_out, activations.mlp_out)
    assert np.array_equal(again.z, activations.z)
    assert np.array_equal(again.token_lengths, activations.token_lengths)


@example([4, 3, 2, 1, 0])
@example([2])
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_neither_the_order_nor_the_number_of_the_pairs_changes_a_pair(
    experiment: Experiment, model: LoadedModel, activations: MeanActivations, pairs: list[int]
) -> None:
    found = capture(model, [experiment.pairs[number] for number in pairs])
    assert_same_pairs(found, activations, pairs, "raw")


def test_no_position_attends_to_padding(
    experiment: Experiment, model: LoadedModel, activations: MeanActivations
) -> None:
    assert len(set(activations.token_lengths.flat)) > 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replication.engine.packed, "PACK_TOKENS", 1)
        alone = capture(model, experiment.pairs)
    assert_same_means(alone, activations)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bound_on_means_catches_a_fault(
    experiment: Experiment,
    model: LoadedModel,
    activations: MeanActivations,
    scores: dict[str, float],
    fault: Fault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault(monkeypatch, model)
    found = capture(model, experiment.pairs)
    assert means_apart(found, activations) > 1000 * SAME
    moved = by_name(table_of(mean_scores([pair_scores(found, "raw")]), model.shape))
    assert max(apart(moved[name], score) for name, score in scores.items()) > 1000 * SAME


def test_token_lengths_count_an_encoders_first_and_separator_tokens(
    experiment: Experiment, model: LoadedModel, activations: MeanActivations
) -> None:
    tokenizer = model.tokenizer.own
    for pair, lengths in zip(experiment.pairs, activations.token_lengths, strict=True):
        for prompt, length in zip(pair, lengths, strict=True):
            tokens = model.tokenizer.read(prompt).ids
            assert (tokens[0], tokens[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
            assert length == 1 + len(tokenizer.tokenize(prompt)) + 1


def test_the_inner_means_leave_out_the_first_position_and_the_separator(
    experiment: Experiment, activations: MeanActivations
) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    inner = activations.inner
    assert inner is not None
    assert np.array_equal(inner.token_lengths, activations.token_lengths - 2)
    bridge = TransformerBridge.boot_transformers(str(locate(experiment.spec.model)), device="cpu")
    for side, prompt in enumerate(experiment.pairs[1]):
        _, cache = bridge.run_with_cache(prompt)
        for layer in range(experiment.spec.model.shape.n_layers):
            mlp_out, z = (cache[name][0, 1:-1].mean(0).numpy() for name in hook_points(layer))
            assert_close(inner.mlp_out[1, side, layer], mlp_out)
            assert_close(inner.z[1, side, layer], z)
