"""Attribution: the gradient by hand, and the exact effect where a model is linear."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.engine import packed, padded
from replication.engine.answers import AskedPair
from replication.engine.attribution import attributions
from replication.engine.interventions import (
    Settings,
    activations_of,
    answers_under,
    preferred,
)
from replication.engine.taps import Taps
from replication.engine.together import together
from replication.experiment.behaviours import Positions, Unit, Value
from tests.closeness import assert_close
from tests.engine.asked import (
    ALL,
    hooks_and_replacements,
    one_at_a_time,
    random_pairs,
    settings_of,
    taps_of,
)
from tests.engine.test_interventions import (
    CAUSAL,
    VALUES,
    Stopped,
    linear_gpt2,
    padded_taps,
    refusal,
    stopping,
)
from tests.families import HEADS, LAYERS, OF_A_HEAD, make_model
from tests.gpt2 import make_gpt2

PAIRS = random_pairs()


@pytest.fixture(scope="module", params=[taps_of, padded_taps], ids=["packed", "padded"])
def taps(request: pytest.FixtureRequest, gpt2_folder: Path) -> Taps:
    found: Taps = request.param(gpt2_folder)
    return found


@pytest.fixture(scope="module", params=[taps_of, padded_taps], ids=["packed", "padded"])
def linear(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Taps:
    return linear_gpt2(tmp_path_factory.mktemp("linear"), request.param)


@settings(deadline=None, max_examples=20)
@given(
    st.sampled_from(VALUES),
    st.sampled_from(["all", "text"]),
    st.sampled_from([1, 2, 5]),
    st.integers(0, 99),
)
def test_where_all_is_linear_it_is_the_exact_effect(
    linear: Taps, value: Value, positions: Positions, steps: int, seed: int
) -> None:
    pairs = random_pairs(seed=seed)
    stated = settings_of(linear, pairs, value, positions)
    whole = preferred(linear, [pair.first for pair in pairs], stated.unit)
    effects = whole - answers_under(linear, pairs, one_at_a_time(), stated)
    # The whole behaviour may be small beside the terms that cancel in it.
    size = max(1.0, float(np.abs(effects).max()))
    assert_close(attributions(linear, pairs, stated, steps), effects, size=size)


def by_hand(model: Any, pair: AskedPair, unit: Unit = "logit_difference") -> np.ndarray:
    """Gradient times difference on Hugging Face's model itself, one prompt by itself."""
    shown: list[torch.Tensor] = []

    def keep(activation: torch.Tensor) -> None:
        shown.append(activation)
        activation.retain_grad()

    hooks = [model.transformer.wte.register_forward_hook(lambda _, __, output: keep(output))]
    for block in model.transformer.h:
        hooks.append(block.mlp.register_forward_hook(lambda _, __, output: keep(output)))
    for block in model.transformer.h:
        hooks.append(block.attn.c_proj.register_forward_pre_hook(lambda _, inputs: keep(inputs[0])))
    own_order = [0, *(2 + 2 * layer for layer in range(LAYERS))]
    own_order += [1 + 2 * layer for layer in range(LAYERS)]  # heads run before their MLP
    activations, gradients = [], []
    for one in (pair.counterpart, pair.first):
        shown.clear()
        logits = model(one.prompt.tokens[None]).logits[0, -1]
        given = logits.softmax(-1) if unit == "probability_difference" else logits
        reduce = torch.sum if unit == "probability_difference" else torch.mean
        preference = reduce(given[list(one.right)]) - reduce(given[list(one.wrong)])
        preference.backward()
        activations.append([shown[place].detach()[0] for place in own_order])
        gradients = [shown[place].grad[0] for place in own_order]
    for hook in hooks:
        hook.remove()
    products = [
        gradient * (own - other)
        for gradient, other, own in zip(gradients, *activations, strict=True)
    ]
    heads = [one.reshape(-1, HEADS, OF_A_HEAD).sum((0, 2)) for one in products[1 + LAYERS :]]
    return torch.cat([*(one.sum()[None] for one in products[: 1 + LAYERS]), *heads]).numpy()


@pytest.mark.numeric
@pytest.mark.parametrize("unit", ["logit_difference", "probability_difference"])
def test_it_is_gradient_times_difference_by_hand(gpt2_folder: Path, taps: Taps, unit: Unit) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(gpt2_folder)
    found = attributions(taps, PAIRS, settings_of(taps, PAIRS, "interchange", unit=unit))
    assert found.shape == (ALL, len(PAIRS))
    for column, pair in zip(found.T, PAIRS, strict=True):
        expected = by_hand(model, pair, unit)
        assert np.abs(expected).min() > 1e-6 * np.abs(expected).max()
        assert_close(column, expected)


def test_the_inputs_share_comes_closer_to_the_whole_change_with_more_steps(taps: Taps) -> None:
    """Completeness: along the way from one input to the other, the gradient adds up."""
    stated = settings_of(taps, PAIRS, "interchange")
    first, other = (
        preferred(taps, [getattr(pair, side) for pair in PAIRS], stated.unit)
        for side in ("first", "counterpart")
    )
    away = [
        np.abs(attributions(taps, PAIRS, stated, steps)[0] - (first - other)).max()
        for steps in (1, 5, 25, 125)
    ]
    assert away[0] > 0.05
    assert away[1] < away[0]
    assert away[2] < away[1] / 2
    assert away[3] < 1e-3


def test_steps_are_in_the_middle_of_their_parts(taps: Taps) -> None:
    """Two steps: the mean of the gradients at a quarter and at three quarters of the way."""
    stated = settings_of(taps, PAIRS, "zero")
    found = attributions(taps, PAIRS, stated, 2)[0]
    embedding = taps.transformer.get_input_embeddings()
    expected = np.zeros(len(PAIRS))
    for share in (0.25, 0.75):
        with embedding.register_forward_hook(lambda _, __, output, share=share: share * output):
            expected += attributions(taps, PAIRS, stated)[0] / share / 2
    assert_close(found, expected)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("size", [1, 25, 1000])
def test_how_prompts_are_put_together_changes_nothing(
    taps: Taps, steps: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = [settings_of(taps, PAIRS, value, "text") for value in VALUES]
    expected = [attributions(taps, PAIRS, one, steps) for one in stated]
    monkeypatch.setattr(padded, "BATCH_SIZE", size)
    monkeypatch.setattr(packed, "PACK_TOKENS", size)
    for one, shares in zip(stated, expected, strict=True):
        assert_close(attributions(taps, PAIRS, one, steps), shares)


@pytest.mark.parametrize("family", CAUSAL)
def test_for_a_small_difference_it_is_the_exact_effect_in_every_architecture(
    tmp_path: Path, family: str
) -> None:
    """Towards values close to the prompt's own, effects are as good as linear."""
    make_model(tmp_path, family)
    taps, pairs = taps_of(tmp_path), random_pairs([11])
    random = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        own = activations_of(taps, together(taps, [pairs[0].first.prompt]))

    def near(activation: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(activation[0].shape, generator=random)
        return activation[0] + 0.001 * activation.std() * noise

    stated = Settings("mean", "all", "logit_difference", own.map(near))
    whole = preferred(taps, [pair.first for pair in pairs], stated.unit)
    effects = whole - answers_under(taps, pairs, one_at_a_time(), stated)
    for steps in (1, 3):
        assert_close(attributions(taps, pairs, stated, steps), effects, allowed=0.03)


def test_parameters_need_gradients_as_before_and_have_none(taps: Taps) -> None:
    parameters = list(taps.with_head.parameters())
    try:
        for number, parameter in enumerate(parameters):
            parameter.requires_grad_(number % 3 == 0)
        before = [parameter.requires_grad for parameter in parameters]
        hooks = hooks_and_replacements(taps.with_head)
        attributions(taps, PAIRS, settings_of(taps, PAIRS, "zero"), 2)
        for call in range(3):
            with stopping(taps.mlp_out[1], call), pytest.raises(Stopped):
                attributions(taps, PAIRS, settings_of(taps, PAIRS, "zero"), 2)
        assert [parameter.requires_grad for parameter in parameters] == before
        assert all(parameter.grad is None for parameter in parameters)
        assert hooks_and_replacements(taps.with_head) == hooks
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def test_it_needs_no_gradients_to_be_switched_on(taps: Taps) -> None:
    stated = settings_of(taps, PAIRS, "interchange")
    expected = attributions(taps, PAIRS, stated, 2)
    with torch.no_grad():
        assert np.array_equal(attributions(taps, PAIRS, stated, 2), expected)


def test_every_group_is_told_of(taps: Taps) -> None:
    told: list[int] = []
    attributions(taps, PAIRS, settings_of(taps, PAIRS, "zero"), advance=told.append)
    assert sum(told) == len(PAIRS)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_layer_that_is_left_out_is_refused(tmp_path: Path, steps: int) -> None:
    taps = taps_of(make_gpt2(tmp_path))
    stated = settings_of(taps, PAIRS, "mean")
    taps.layers[1].forward = lambda hidden, *_, **__: hidden
    assert refusal(lambda: attributions(taps, PAIRS, stated, steps)) == (
        "a forward pass runs 1 embeddings, 2 MLPs and the heads of 2 layers, where the model has"
        " one, and 3 layers with both"
    )


@pytest.mark.parametrize("steps", [1, 2])
def test_gradients_that_are_not_finite_are_refused(tmp_path: Path, steps: int) -> None:
    taps = taps_of(make_gpt2(tmp_path))
    stated = settings_of(taps, PAIRS, "interchange")
    with torch.no_grad():
        taps.transformer.get_parameter("ln_f.weight").fill_(float("nan"))
    reason = "the behaviour's gradients are not finite"
    assert refusal(lambda: attributions(taps, PAIRS, stated, steps)) == reason


def test_packed_and_padded_prompts_give_the_same(gpt2_folder: Path) -> None:
    for value in VALUES:
        one, other = (
            attributions(taps, PAIRS, settings_of(taps, PAIRS, value, "text"), 3)
            for taps in (taps_of(gpt2_folder), padded_taps(gpt2_folder))
        )
        assert_close(one, other)


def test_positions_that_are_no_text_have_no_share(taps: Taps) -> None:
    """Where one position alone is text, all of a pair's shares are of that one."""

    def only(pair: AskedPair, place: int) -> AskedPair:
        first, counterpart = (
            replace(one, prompt=replace(one.prompt, inner=range(place, place + 1)))
            for one in (pair.first, pair.counterpart)
        )
        return AskedPair(first, counterpart)

    stated = settings_of(taps, PAIRS, "interchange", "text")
    (length,) = {PAIRS[1].first.prompt.length}
    by_position = attributions(taps, [only(PAIRS[1], place) for place in range(length)], stated)
    everywhere = attributions(taps, PAIRS[1:2], settings_of(taps, PAIRS, "interchange"))
    assert_close(by_position.sum(1), everywhere[:, 0])
    assert np.abs(by_position[:, 0]).max() > 0
