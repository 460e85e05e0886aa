"""Random weights: what a seed decides, and what plays no part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from replication.circuits.components import ModelShape
from replication.engine.capture import capture
from replication.engine.models import LoadedModel, load_model
from replication.engine.random_weights import SEEDS, architecture_of, random_weights, randomised
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.experiment.spec import ModelSpec, TokensSpec, read_experiment
from tests.closeness import assert_close
from tests.families import HEADS, LAYERS, OF_A_HEAD, WIDTH, make_model
from tests.gpt2 import PAIRS
from tests.paths import MINILM

pytestmark = pytest.mark.numeric

SHAPE = ModelShape(n_layers=LAYERS, n_heads=HEADS, d_model=WIDTH, d_head=OF_A_HEAD)


def loaded(folder: Path, family: str, seed: int = 0, **changes: object) -> LoadedModel:
    make_model(folder, family, seed, **changes)
    spec = ModelSpec(folder=str(folder), shape=SHAPE)
    return load_model(spec, device="cpu", tokens=TokensSpec(special="bos"))


@pytest.fixture
def gpt2(tmp_path: Path) -> LoadedModel:
    return loaded(tmp_path / "gpt2", "gpt2")


def test_two_seeds_differ_and_one_repeats_itself(gpt2: LoadedModel) -> None:
    found = random_weights(gpt2, PAIRS, "centred", (3, 4, 3))
    assert found.seeds == (3, 4, 3)
    assert found.scores.shape == (3, len(SHAPE.components()))
    assert_close(found.scores[2], found.scores[0])
    assert np.abs(found.scores[1] - found.scores[0]).max() > 0.01 * found.scores[0].max()
    assert (found.scores > 0).all()


def test_the_trained_weights_play_no_part(gpt2: LoadedModel, tmp_path: Path) -> None:
    other = loaded(tmp_path / "other", "gpt2", seed=9)
    assert other.provenance.weights_sha256 != gpt2.provenance.weights_sha256
    assert architecture_of(other) == architecture_of(gpt2)
    one, another = (random_weights(model, PAIRS, "raw", (0,)) for model in (gpt2, other))
    assert_close(another.scores, one.scores)
    own = [mean_scores([pair_scores(capture(model, PAIRS), "raw")]) for model in (gpt2, other)]
    assert np.abs(own[1] - own[0]).max() > 0.01 * own[0].max()


def test_the_model_is_as_the_loading_class_makes_it_after_the_seed(gpt2: LoadedModel) -> None:
    config = AutoConfig.from_pretrained(str(gpt2.taps.transformer.config._name_or_path))
    torch.manual_seed(2)
    expected = AutoModel.from_config(config, dtype=torch.float32).state_dict()
    found = randomised(gpt2, 2).taps.transformer
    assert not found.training
    assert found.state_dict().keys() == expected.keys()
    for name, tensor in found.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, expected[name])


def test_neither_the_loaded_model_nor_the_random_state_is_touched(gpt2: LoadedModel) -> None:
    before = {name: one.clone() for name, one in gpt2.taps.transformer.state_dict().items()}
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    randomised(gpt2, 0)
    assert torch.equal(torch.rand(3), expected)
    for name, tensor in gpt2.taps.transformer.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_another_configuration_is_another_architecture(gpt2: LoadedModel, tmp_path: Path) -> None:
    other = loaded(tmp_path / "other", "gpt2", initializer_range=0.2)
    assert architecture_of(other).model_type == architecture_of(gpt2).model_type == "gpt2"
    assert architecture_of(other).initializer_range == 0.2
    assert architecture_of(gpt2).initializer_range == 0.02
    assert architecture_of(other).config_sha256 != architecture_of(gpt2).config_sha256
    wide, narrow = (random_weights(model, PAIRS, "raw", (0,)) for model in (other, gpt2))
    assert wide.scores.max() > 2 * narrow.scores.max()


@pytest.mark.parametrize("family", ["granite", "gpt_neo"])
def test_the_modules_are_those_that_were_tapped(tmp_path: Path, family: str) -> None:
    """Of an architecture with a row and a multiplier, and of one behind TransformerLens."""
    model = loaded(tmp_path, family)
    new = randomised(model, 0)
    assert new.taps.mlp_scale == model.taps.mlp_scale
    names, new_names = (
        {module: name for name, module in one.taps.transformer.named_modules()}
        for one in (model, new)
    )
    for key in ("mlp_out", "z"):
        assert [new_names[one] for one in getattr(new.taps, key)] == [
            names[one] for one in getattr(model.taps, key)
        ]
    assert (random_weights(model, PAIRS, "raw", (0,)).scores > 0).all()


def test_minilm_gives_with_random_weights_what_is_recorded_of_it() -> None:
    experiment = read_experiment(MINILM)
    from replication.evidence.random_weights import read_random_weights

    recorded = read_random_weights(experiment)
    assert recorded.seeds == SEEDS
    model = load_model(experiment.spec.model, device="cpu", tokens=experiment.spec.tokens)
    assert recorded.architecture == architecture_of(model)
    found = random_weights(model, experiment.pairs, experiment.spec.scoring.mlp_out, (1,))
    assert_close(found.scores[0], recorded.scores[1])
