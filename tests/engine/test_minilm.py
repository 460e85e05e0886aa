from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import replication.engine.packed
from replication.circuits.scores import ScoreTable, table_of
from replication.engine.activations import MeanActivations
from replication.engine.capture import capture
from replication.engine.locate import locate
from replication.engine.models import LoadedModel, load_model
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.engine.taps import hook_points
from replication.evidence.evidence import published_evidence, recorded_evidence
from replication.experiment.spec import Experiment, read_experiment
from tests.paths import MINILM


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
    assert scores == pytest.approx(expected, abs=1e-4)


def test_scores_are_those_of_a_notebook_without_compatibility_mode(
    experiment: Experiment, scores: dict[str, float], notebook_scores: Any
) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(str(locate(experiment.spec.model)), device="cpu")
    expected = notebook_scores(bridge, experiment.pairs)
    assert len(expected) == 78
    assert min(expected.values()) > 0.05
    assert scores == pytest.approx(expected, abs=1e-4)


def test_two_runs_are_the_same_to_the_bit(
    experiment: Experiment, model: LoadedModel, activations: MeanActivations
) -> None:
    again = capture(model, experiment.pairs)
    assert np.array_equal(again.mlp_out, activations.mlp_out)
    assert np.array_equal(again.z, activations.z)
    assert np.array_equal(again.token_lengths, activations.token_lengths)


def test_no_position_attends_to_padding(
    experiment: Experiment, model: LoadedModel, activations: MeanActivations
) -> None:
    assert len(set(activations.token_lengths.flat)) > 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replication.engine.packed, "PACK_TOKENS", 1)
        alone = capture(model, experiment.pairs)
    assert activations.mlp_out == pytest.approx(alone.mlp_out, abs=1e-5)
    assert activations.z == pytest.approx(alone.z, abs=1e-5)


def test_token_lengths_count_an_encoders_first_and_separator_tokens(
    experiment: Experiment, model: LoadedModel, activations: MeanActivations
) -> None:
    tokenizer = model.bridge.tokenizer
    for pair, lengths in zip(experiment.pairs, activations.token_lengths, strict=True):
        for prompt, length in zip(pair, lengths, strict=True):
            tokens = model.bridge.to_tokens(prompt)[0].tolist()
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
            assert inner.mlp_out[1, side, layer] == pytest.approx(mlp_out, abs=1e-4)
            assert inner.z[1, side, layer] == pytest.approx(z, abs=1e-4)
