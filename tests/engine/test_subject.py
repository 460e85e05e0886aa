"""The subject of interventions: what is asked, what is refused, and what the hooks are held to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from scipy.stats import binomtest

import replication.engine.chunks
import replication.engine.subject
from replication.engine import behaviour_parts
from replication.engine.interventions import Settings, answers_under, mean_values, preferred
from replication.engine.models import LoadedModel
from replication.engine.subject import (
    Subject,
    check_interventions,
    not_shown,
    subject_of,
)
from replication.experiment.behaviours import (
    AblationSpec,
    BehaviourSpec,
    Direction,
    Positions,
    Setting,
    Value,
)
from replication.experiment.pairs import Pair, Row
from replication.experiment.spec import Experiment, read_experiment
from replication.inputs.files import InputError
from tests.asking import loaded_for
from tests.closeness import assert_close

pytestmark = pytest.mark.numeric

NAMES = BehaviourSpec(right="right", wrong="wrong")
SIDES = BehaviourSpec(right=["a", "c"], wrong=["b"], suffix="X", kind="probability_difference")
THIRD = {"counterparts": ["third"]}
CELLS = [
    Setting(value, direction, positions)
    for value in get_args(Value)
    for direction in get_args(Direction)
    for positions in get_args(Positions)
    if direction == "ablate" or value in ("mean", "interchange")
]


@pytest.fixture(scope="module")
def experiment(asking_experiment: Path) -> Experiment:
    return read_experiment(asking_experiment)


@pytest.fixture(scope="module")
def model(asking_experiment: Path, gpt2_folder: Path) -> LoadedModel:
    return loaded_for(asking_experiment, gpt2_folder)


@pytest.fixture(scope="module")
def names(experiment: Experiment, model: LoadedModel) -> Subject:
    return asked(experiment, model)


def asked(
    experiment: Experiment,
    model: LoadedModel,
    behaviour: BehaviourSpec = NAMES,
    name: str = "names",
    **ablation: Any,
) -> Subject:
    spec = AblationSpec.model_validate(THIRD | ablation)
    return subject_of(model, experiment.rows, name, behaviour, spec)


def n_all(subject: Subject) -> int:
    return 1 + len(subject.shape.components())


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def test_a_behaviour_of_answers_is_what_the_model_prefers_on_every_prompt(
    names: Subject, experiment: Experiment, model: LoadedModel
) -> None:
    assert not names.offset.any()
    assert names.judged == Setting("interchange", "ablate", "all")
    for found, texts in (
        (names.whole, [row.pair.first for row in experiment.rows]),
        (names.counterparts[0], [row.pair.second for row in experiment.rows]),
        (names.counterparts[1], [row.counterparts[0] for row in experiment.rows]),
    ):
        rows = [
            row._replace(pair=Pair(text, text))
            for row, text in zip(experiment.rows, texts, strict=True)
        ]
        alone = subject_of(model, rows, "names", NAMES, AblationSpec())
        assert found == pytest.approx(alone.whole, abs=1e-5)
    assert not np.array_equal(names.counterparts[0], names.counterparts[1])


def test_a_behaviour_of_sides_is_counted_from_what_the_second_side_gives(
    experiment: Experiment, model: LoadedModel
) -> None:
    sides = asked(experiment, model, SIDES, "sides")
    unit = "probability_difference"
    first, second, third = (
        preferred(model.taps, these, unit)
        for these in (
            [pair.first for pair in sides.pairs[0]],
            [pair.counterpart for pair in sides.pairs[0]],
            [pair.counterpart for pair in sides.pairs[1]],
        )
    )
    assert sides.offset.any()
    assert np.array_equal(sides.offset, second)
    assert np.array_equal(sides.whole, first - second)
    assert not sides.counterparts[0].any()
    assert np.array_equal(sides.counterparts[1], third - second)
    texts = [pair.first for pair in sides.pairs[0]]
    assert all(len(asked.right) == 2 and len(asked.wrong) == 1 for asked in texts)
    nothing = np.zeros((1, n_all(sides)), dtype=bool)
    assert sides.ablated(nothing, "nothing") == pytest.approx(first[None] - second, abs=1e-6)
    assert sides.kept(nothing, sides.judged, "nothing") == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("n_pairs", [1, 4, 5, 8, 12, 41])
def test_a_behaviour_is_shown_where_a_sign_test_says_so(names: Subject, n_pairs: int) -> None:
    for n_right in range(n_pairs + 1):
        whole = np.where(np.arange(n_pairs) < n_right, 0.5, -3.0).astype(np.float32)
        reason = not_shown(replace(names, whole=whole))
        chance = binomtest(n_right, n_pairs, alternative="greater").pvalue
        assert (reason is None) == (chance <= 0.05)
        if n_pairs < 5:
            assert reason == (
                f"{n_pairs} pairs cannot show it: chance makes all of them right in"
                f" {0.5**n_pairs:.1%}; 5 can"
            )
        elif reason is not None:
            assert reason == (
                f"the model does not show it: {n_right} of {n_pairs} pairs come out right, which"
                f" chance gives in {chance:.1%}"
            )


def test_a_behaviour_of_nothing_is_not_right(names: Subject) -> None:
    reason = not_shown(replace(names, whole=np.zeros(12, dtype=np.float32)))
    assert reason is not None
    assert "0 of 12 pairs come out right" in reason


def test_an_encoder_answers_nothing(experiment: Experiment, model: LoadedModel) -> None:
    encoder = replace(model, taps=replace(model.taps, with_head=None))
    reason = refusal(lambda: asked(experiment, encoder, name="mine"))
    assert reason == "behaviour mine: an encoder predicts no next token, and answers nothing"


LONGER = Pair("BCD", "BCDE")


@pytest.mark.parametrize("value", ["interchange", "mean", "zero", "shift"])
def test_pairs_of_two_lengths_are_named_where_they_are_interchanged(
    experiment: Experiment, model: LoadedModel, value: Value
) -> None:
    rows = [*experiment.rows[:2], experiment.rows[2]._replace(pair=LONGER)]
    spec = AblationSpec(value=value)
    if value == "interchange":
        reason = refusal(lambda: subject_of(model, rows, "mine", NAMES, spec))
        assert reason.startswith("behaviour mine: pair 3: interchange needs prompts of one length")
    else:
        found = subject_of(model, rows, "mine", NAMES, spec)
        assert not found.layout.by_pair
        assert not found.layout.by_position


def test_a_further_counterpart_of_another_length_is_named_too(
    experiment: Experiment, model: LoadedModel
) -> None:
    rows = [experiment.rows[0], experiment.rows[1]._replace(counterparts=("BCD",))]
    spec = AblationSpec.model_validate(THIRD)
    assert "pair 2: interchange" in refusal(lambda: subject_of(model, rows, "a", NAMES, spec))


def test_an_answer_that_is_no_token_is_named(experiment: Experiment, model: LoadedModel) -> None:
    rows = [*experiment.rows]
    rows[1] = Row(rows[1].pair, answers={"right": ("two letters",), "wrong": ("b",)})
    reason = refusal(lambda: subject_of(model, rows, "mine", NAMES, AblationSpec()))
    assert reason.startswith("behaviour mine: pair 2: the answer 'two letters' is not one token")


def test_what_prompts_allow_is_told_by_their_lengths(
    experiment: Experiment, model: LoadedModel
) -> None:
    by_length = [row for row in experiment.rows if len(row.pair.first) == 5]
    assert asked(experiment, model).layout == (True, False, True)
    spec = AblationSpec.model_validate(THIRD | {"value": "mean"})
    assert subject_of(model, by_length, "a", NAMES, spec).layout == (True, True, True)
    other = [by_length[0], by_length[1]._replace(counterparts=("BCDEFGH",))]
    found = subject_of(model, other, "a", NAMES, spec)
    assert found.layout == (True, False, True)
    each = np.eye(n_all(found), dtype=bool)
    assert np.isfinite(found.ablated(each, "each", counterpart=1)).all()


@pytest.mark.parametrize("setting", CELLS, ids=str)
def test_kept_is_everything_else_changed_or_it_alone_restored(
    names: Subject, setting: Setting
) -> None:
    masks = np.random.default_rng(0).random((4, n_all(names))) < 0.5
    restores = setting.direction == "restore"
    means = None
    if setting.value == "mean":
        pairs = names.pairs[0]
        prompts = [(one.first if restores else one.counterpart).prompt for one in pairs]
        means = mean_values(names.taps, prompts, setting.positions, False)
    settings = Settings(setting.value, setting.positions, "logit_difference", means)
    changed = masks.copy() if restores else ~masks
    if restores:
        changed[:, 0] = False
    expected = answers_under(names.taps, names.pairs[0], changed, settings, restore=restores)
    assert np.array_equal(names.kept(masks, setting, "some"), expected)
    for context in (masks[2], np.ones_like(masks[0])):
        found = names.kept(masks, setting, "some", context=context)
        assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("value", ["mean", "interchange"])
def test_the_input_is_never_restored(names: Subject, value: Value) -> None:
    setting = Setting(value, "restore", "all")
    without = np.random.default_rng(1).random((3, n_all(names))) < 0.5
    without[:, 0] = False
    with_input = without.copy()
    with_input[:, 0] = True
    for context in (None, with_input[0], without[0]):
        found = names.kept(with_input, setting, "some", context=context)
        assert np.array_equal(found, names.kept(without, setting, "some", context=context))
    everything = np.ones((1, n_all(names)), dtype=bool)
    kept = names.kept(everything, setting, "all")[0]
    assert float(np.abs(kept - names.whole).max()) > 1e-3


def test_a_counterparts_values_are_its_own(names: Subject) -> None:
    every = np.ones((1, n_all(names)), dtype=bool)
    for which in (0, 1):
        found = names.ablated(every, "all", counterpart=which)[0]
        assert found == pytest.approx(names.counterparts[which], abs=1e-4)


@pytest.mark.parametrize("setting", CELLS, ids=str)
@pytest.mark.parametrize("behaviour", [NAMES, SIDES], ids=["answers", "sides"])
def test_right_interventions_pass(
    experiment: Experiment, model: LoadedModel, behaviour: BehaviourSpec, setting: Setting
) -> None:
    check_interventions(asked(experiment, model, behaviour, **setting._asdict()))


def does_nothing(*arguments: Any, **keywords: Any) -> Any:
    arguments = (*arguments[:2], np.zeros_like(arguments[2]), *arguments[3:])
    return answers_under(*arguments, **(keywords | {"context": None}))


def changes_everything(*arguments: Any, **keywords: Any) -> Any:
    arguments = (*arguments[:2], np.ones_like(arguments[2]), *arguments[3:])
    return answers_under(*arguments, **(keywords | {"context": None}))


@pytest.mark.parametrize("setting", CELLS, ids=str)
@pytest.mark.parametrize("broken", [does_nothing, changes_everything])
def test_an_intervention_that_is_none_is_refused(
    names: Subject,
    monkeypatch: pytest.MonkeyPatch,
    setting: Setting,
    broken: Callable[..., Any],
) -> None:
    monkeypatch.setattr(behaviour_parts, "answers_under", broken)
    judged = replace(names, judged=setting)
    assert refusal(lambda: check_interventions(judged)).startswith("behaviour names: ")


@pytest.mark.parametrize("setting", CELLS, ids=str)
def test_an_intervention_on_the_input_alone_is_refused(
    names: Subject, monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    """Where the input is interchanged all else follows, even if its hooks do nothing."""

    def forgets(*arguments: Any, **keywords: Any) -> Any:
        masks = arguments[2] & (np.arange(arguments[2].shape[1]) == 0)
        return answers_under(
            *arguments[:2], masks, *arguments[3:], **(keywords | {"context": None})
        )

    monkeypatch.setattr(behaviour_parts, "answers_under", forgets)
    reason = refusal(lambda: check_interventions(replace(names, judged=setting)))
    assert "ablating every component changes nothing" in reason


@pytest.mark.parametrize("value", ["mean", "interchange"])
def test_a_component_that_is_restored_unasked_is_refused(
    names: Subject, monkeypatch: pytest.MonkeyPatch, value: Value
) -> None:
    def adds(*arguments: Any, **keywords: Any) -> Any:
        masks = arguments[2] | (np.arange(arguments[2].shape[1]) == 1)
        return answers_under(
            *arguments[:2], masks, *arguments[3:], **(keywords | {"context": None})
        )

    monkeypatch.setattr(behaviour_parts, "answers_under", adds)
    judged = replace(names, judged=Setting(value, "restore", "all"))
    reason = refusal(lambda: check_interventions(judged))
    assert "the empty circuit gives another behaviour than it must, by " in reason


def test_what_is_refused_is_said(names: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = replace(names, judged=Setting("zero", "ablate", "all"))
    monkeypatch.setattr(behaviour_parts, "answers_under", does_nothing)
    assert refusal(lambda: check_interventions(judged)) == (
        "behaviour names: ablating every component changes nothing (zero, all but the circuit"
        " ablated, at all positions)"
    )
    monkeypatch.setattr(behaviour_parts, "answers_under", changes_everything)
    reason = refusal(lambda: check_interventions(judged))
    assert reason.startswith("behaviour names: the whole model as circuit gives another behaviour")


def test_gradients_are_of_every_component(names: Subject) -> None:
    found = names.attributed(1)
    assert found.shape == (n_all(names), len(names.whole))
    each = np.eye(n_all(names), dtype=bool)
    exact = names.whole - names.ablated(each, "each")
    assert np.corrcoef(found[1:].mean(axis=1), exact[1:].mean(axis=1))[0, 1] > 0.9


@pytest.mark.parametrize("most", [1, 3, 16])
@pytest.mark.parametrize("setting", CELLS, ids=str)
def test_sets_give_the_same_however_many_share_a_part(
    names: Subject, monkeypatch: pytest.MonkeyPatch, setting: Setting, most: int
) -> None:
    masks = np.eye(n_all(names), dtype=bool)[:7]
    expected = names.kept(masks, setting, "some")
    monkeypatch.setattr(replication.engine.subject, "MOST_SETS", most)
    assert np.array_equal(names.kept(masks, setting, "some"), expected)


@pytest.mark.parametrize("setting", CELLS, ids=str)
def test_pairs_give_the_same_but_for_last_digits_however_many_share_a_part(
    names: Subject, monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    masks = np.eye(n_all(names), dtype=bool)[:7]
    expected, by_gradients = names.kept(masks, setting, "some"), names.attributed(2)
    monkeypatch.setattr(replication.engine.chunks, "CHUNK_PAIRS", 5)
    assert_close(names.kept(masks, setting, "some"), expected)
    assert_close(names.attributed(2), by_gradients)
