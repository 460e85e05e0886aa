"""The plan of interventions: every array is what its runs give one by one, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float32

from replication.circuits.components import INPUT, Component, ModelShape, parse, parsed
from replication.circuits.matched import Mask, mask_of, matched, members_of
from replication.engine.attribution import STEPS
from replication.engine.interventions import Settings, answers_under, mean_values
from replication.engine.models import LoadedModel
from replication.engine.subject import Layout, Subject, subject_of
from replication.evidence import intervening
from replication.evidence.evidence import live_evidence, published_evidence
from replication.evidence.intervening import (
    AT_A_TIME,
    DRAWS_OF_A_SIZE,
    GREEDY_STEPS,
    SETTLED,
    behaved,
    effects_of,
    single,
)
from replication.evidence.interventions import Behaved, Interventions, NoInterventions, Unshown
from replication.evidence.recorded_interventions import read_interventions, record_interventions
from replication.experiment.behaviours import AblationSpec, BehaviourSpec, Setting
from replication.experiment.spec import Experiment, read_experiment
from replication.inputs.files import InputError
from tests.asking import loaded_for
from tests.runs_of import runs_of

Case = tuple[Subject, AblationSpec, Behaved]

CLOSE = 2e-5
SEED = 5
ABLATION = {"counterparts": ["third"], "matched": 22}
RANKED = "m0 a0.h1 m1 a1.h3 a2.h0 m2 a0.h0 a0.h2 a0.h3 a1.h0 a1.h1 a1.h2 a2.h1 a2.h2 a2.h3"
RANKING = [*map(parse, RANKED.split())]
CIRCUITS = {
    "mine": parsed(["input", "m0", "m1", "a0.h1", "a1.h3", "a2.h0"]),
    "other": parsed(["input", "m2", "a2.h1"]),
}
NAMES = BehaviourSpec(right="right", wrong="wrong")
SIDES = BehaviourSpec(right=["a", "c"], wrong=["b"], suffix="X", kind="probability_difference")
CASES = {
    "answers, interchange": (NAMES, {}),
    "sides, interchange": (SIDES, {}),
    "answers, mean restored at the text": (
        NAMES,
        {"value": "mean", "direction": "restore", "positions": "text"},
    ),
    "answers, shift": (NAMES, {"value": "shift", "by_layer": True}),
}


@pytest.fixture(scope="module")
def experiment(asking_experiment: Path) -> Experiment:
    return read_experiment(asking_experiment)


@pytest.fixture(scope="module")
def model(asking_experiment: Path, gpt2_folder: Path) -> LoadedModel:
    return loaded_for(asking_experiment, gpt2_folder)


def planned(subject: Subject, ablation: AblationSpec) -> Behaved:
    return behaved(subject, single(subject), CIRCUITS, "mine", RANKING, ablation, SEED)


@pytest.fixture(scope="module")
def planned_cases(experiment: Experiment, model: LoadedModel) -> Callable[[str], Case]:
    """Each case, planned once, in whatever order tests ask for it."""

    @cache
    def of(name: str) -> Case:
        behaviour, stated = CASES[name]
        ablation = AblationSpec.model_validate(ABLATION | stated)
        subject = subject_of(model, experiment.rows, "mine", behaviour, ablation)
        return subject, ablation, planned(subject, ablation)

    return of


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, planned_cases: Callable[[str], Case]) -> Case:
    return planned_cases(request.param)


class Naive:
    """One run at a time, with nothing of an earlier one kept."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.everything = [INPUT, *subject.shape.components()]

    def changed(
        self, nodes: Sequence[Component], setting: Setting | None = None, counterpart: int = 0
    ) -> Float32[np.ndarray, " pairs"]:
        """With these ablated; or with these restored in the counterpart's run."""
        subject, setting = self.subject, setting or self.ablating
        restores, pairs = setting.direction == "restore", self.subject.pairs[counterpart]
        means = None
        if setting.value == "mean":
            prompts = [(one.first if restores else one.counterpart).prompt for one in pairs]
            means = mean_values(subject.taps, prompts, setting.positions, False)
        told = Settings(setting.value, setting.positions, subject.behaviour.kind, means)
        mask = mask_of(nodes, subject.shape)[None]
        (found,) = answers_under(subject.taps, pairs, mask, told, restore=restores)
        return np.asarray(found - subject.offset)

    @property
    def ablating(self) -> Setting:
        return self.subject.judged._replace(direction="ablate")

    def kept(
        self, nodes: Sequence[Component], setting: Setting | None = None
    ) -> Float32[np.ndarray, " pairs"]:
        setting = setting or self.subject.judged
        if setting.direction == "restore":
            return self.changed([one for one in nodes if one != INPUT], setting)
        return self.changed([one for one in self.everything if one not in nodes], setting)


def close(found: Any, expected: Any) -> None:
    assert np.asarray(found) == pytest.approx(np.asarray(expected), abs=CLOSE)


def test_effects_are_what_goes_with_each_component_by_every_counterpart(case: Case) -> None:
    subject, _, found = case
    naive = Naive(subject)
    assert np.array_equal(found.whole, subject.whole)
    assert np.array_equal(found.counterparts, subject.counterparts)
    assert found.single.effects.shape == (2, 16, 12)
    for which in (0, 1):
        for place, one in enumerate(naive.everything):
            expected = subject.whole - naive.changed([one], counterpart=which)
            close(found.single.effects[which, place], expected)


def test_gradients_are_of_one_step_and_of_several(case: Case) -> None:
    subject, _, found = case
    close(found.single.attribution, subject.attributed(1))
    close(found.single.integrated, subject.attributed(STEPS))
    assert not np.array_equal(found.single.attribution, found.single.integrated)
    close(effects_of(subject, "effect"), found.single.effects[0])
    close(effects_of(subject, "attribution"), found.single.attribution)


def test_circuits_are_kept_in_every_setting_that_there_is(case: Case) -> None:
    subject, _, found = case
    naive = Naive(subject)
    assert len(found.settings) == 12
    assert found.judged in found.settings
    for setting, ran in found.settings.items():
        close(ran.empty, naive.kept([], setting))
        close(ran.full, naive.kept(naive.everything, setting))
        assert list(ran.circuits) == ["mine", "other"]
        for name, nodes in CIRCUITS.items():
            close(ran.circuits[name], naive.kept(nodes, setting))


def test_what_is_restored_is_what_comes_back_in_the_counterparts_run(case: Case) -> None:
    subject, _, found = case
    naive = Naive(subject)
    value = "interchange" if subject.judged.value == "interchange" else "mean"
    setting = Setting(value, "restore", subject.judged.positions)
    assert found.restored is not None
    for place, one in enumerate(naive.everything):
        back = naive.changed([] if one == INPUT else [one], setting) - subject.counterparts[0]
        close(found.restored[place], back)
    close(found.restored[0], np.zeros(12))


def test_what_goes_while_others_are_out_is_against_their_own_run(case: Case) -> None:
    subject, _, found = case
    naive = Naive(subject)
    for given_ in found.given:
        base = naive.changed(given_.out)
        for place, one in enumerate(naive.everything):
            if one in given_.out:
                rest = [other for other in given_.out if other != one]
                close(given_.effects[place], naive.changed(rest) - base)
            else:
                close(given_.effects[place], base - naive.changed([*given_.out, one]))


def test_inside_the_circuit_each_component_goes_alone(case: Case) -> None:
    subject, _, found = case
    naive = Naive(subject)
    nodes = CIRCUITS["mine"]
    assert found.inside.shape == (5, 12)
    for place, one in enumerate(nodes[1:]):
        rest = [other for other in nodes if other != one]
        close(found.inside[place], naive.kept(nodes) - naive.kept(rest))


def test_what_is_drawn_is_from_the_seed_in_this_order(case: Case) -> None:
    subject, ablation, found = case
    naive, shape, rng = Naive(subject), subject.shape, np.random.default_rng(SEED)
    assert found.seed == SEED

    def drawn(mask: Mask) -> Iterator[Mask]:
        return matched(mask, shape, rng, by_layer=ablation.by_layer)

    for name, nodes in CIRCUITS.items():
        runs = found.matched[name]
        masks = list(islice(drawn(mask_of(nodes, shape)), min(22, -(-len(runs) // 20) * 20)))
        for run, mask in zip(runs[:3], masks, strict=False):
            close(run, naive.kept(members_of(mask, shape)))
    assert found.curve.sizes == [1, 2, 3, 4, 8, 10, 15]
    for row, size in enumerate(found.curve.sizes):
        best = [INPUT, *RANKING[:size]]
        close(found.curve.runs[row], naive.kept(best))
        masks = list(islice(drawn(mask_of(best, shape)), DRAWS_OF_A_SIZE))
        for run, mask in zip(found.curve.matched[row, :2], masks, strict=False):
            close(run, naive.kept(members_of(mask, shape)))


def test_sets_are_taken_out_of_the_model_and_of_the_circuit(case: Case) -> None:
    subject, _, found = case
    naive, tried, nodes = Naive(subject), found.tried, CIRCUITS["mine"]
    classes = {
        "the whole circuit": nodes[1:],
        "MLPs": parsed(["m0", "m1"]),
        "heads of the lower layers": parsed(["a0.h1"]),
        "heads of the middle layers": parsed(["a1.h3"]),
        "heads of the upper layers": parsed(["a2.h0"]),
    }
    hidden = {"those that backups hide"} & {*tried.labels}
    assert list(tried.labels[: 5 + len(hidden)]) == [*classes, *hidden]
    for label, own in zip(tried.labels, tried.sets, strict=True):
        assert label not in classes or list(own) == sorted(
            classes[label], key=naive.everything.index
        )
    for row, own in enumerate(tried.sets):
        rest = [one for one in naive.everything if one not in own]
        close(tried.of_model[row], naive.kept(rest))
        close(tried.of_circuit[row], naive.kept([one for one in nodes if one not in own]))


def test_the_search_adds_to_the_set_that_parts_the_two_most(case: Case) -> None:
    _, _, found = case
    tried, chosen = found.tried, set[Component]()
    for step in range(1, GREEDY_STEPS + 1):
        rows = [row for row, label in enumerate(tried.labels) if label == f"search, step {step}"]
        assert len(rows) == 6 - step
        for row in rows:
            assert chosen < set(tried.sets[row]) <= set(CIRCUITS["mine"]) - {INPUT}
            assert len(tried.sets[row]) == step
        apart = np.abs((tried.of_model - tried.of_circuit).mean(axis=1))
        chosen = set(tried.sets[max(rows, key=apart.__getitem__)])


def test_without_backups_nothing_is_restored_or_given(
    experiment: Experiment, model: LoadedModel
) -> None:
    ablation = AblationSpec.model_validate(ABLATION | {"backups": False})
    subject = subject_of(model, experiment.rows, "mine", NAMES, ablation)
    found = planned(subject, ablation)
    assert found.restored is None
    assert found.given == []
    assert "those that backups hide" not in found.tried.labels


def test_a_circuit_of_the_input_alone_has_nothing_inside(
    experiment: Experiment, model: LoadedModel
) -> None:
    ablation = AblationSpec.model_validate(ABLATION)
    subject = subject_of(model, experiment.rows, "mine", NAMES, ablation)
    alone = {"mine": [INPUT]}
    found = behaved(subject, single(subject), alone, "mine", RANKING, ablation, SEED)
    assert found.inside.shape == (0, 12)
    assert [*found.tried.labels] == ["the whole circuit"]


def test_the_text_is_judged_where_no_token_was_added(
    experiment: Experiment, model: LoadedModel
) -> None:
    none = experiment.spec.tokens.model_copy(update={"special": "none"})
    bare = replace(model, tokenizer=replace(model.tokenizer, spec=none))
    ablation = AblationSpec.model_validate(ABLATION | {"positions": "text"})
    subject = subject_of(bare, experiment.rows, "mine", NAMES, ablation)
    assert not subject.layout.adds_tokens
    found = planned(subject, ablation)
    alike = found.judged._replace(positions="all")
    close(found.settings[found.judged].circuits["mine"], found.settings[alike].circuits["mine"])


LAYOUTS = {
    Layout(by_pair=True, by_position=False, adds_tokens=True): 12,
    Layout(by_pair=True, by_position=True, adds_tokens=False): 6,
    Layout(by_pair=False, by_position=False, adds_tokens=True): 8,
    Layout(by_pair=False, by_position=False, adds_tokens=False): 4,
}


@pytest.mark.parametrize(("layout", "number"), LAYOUTS.items())
def test_settings_are_those_that_the_prompts_allow(layout: Layout, number: int) -> None:
    judged = Setting("mean", "ablate", "all")
    found = list(intervening._settings(layout, judged))
    assert len({*found}) == len(found) == number
    assert judged in found
    assert {one.positions for one in found[: number if number < 8 else number // 2]} == {"all"}
    assert ("interchange" in {one.value for one in found}) == layout.by_pair
    assert {one.value for one in found if one.direction == "restore"} <= {"mean", "interchange"}
    at_text = list(intervening._settings(layout, judged._replace(positions="text")))
    assert judged._replace(positions="text") in at_text
    assert len(at_text) == (number if layout.adds_tokens else 2 * number)


SHAPE = ModelShape(n_layers=2, n_heads=3, d_model=6, d_head=2)


class Fake:
    """A subject whose matched circuits lie so far from the whole model, one after the other."""

    def __init__(self, away: Sequence[float]) -> None:
        self.shape, self.judged = SHAPE, Setting("zero", "ablate", "all")
        self.whole = np.zeros(3, dtype=np.float32)
        self.away, self.asked = iter(away), list[int]()

    def kept(self, masks: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
        self.asked.append(len(masks))
        rows = [next(self.away) for _ in masks]
        return np.repeat(np.array(rows, dtype=np.float32)[:, None], 3, axis=1)


@given(st.lists(st.sampled_from([-2.0, -1.0, 0.5, 1.0, 3.0]), min_size=1, max_size=70))
@settings(max_examples=60, deadline=None)
def test_matched_circuits_are_drawn_until_enough_are_as_good(away: list[float]) -> None:
    fake, ablation = Fake(away), AblationSpec(matched=len(away))
    circuit = mask_of(map(parse, ["input", "m1", "a0.h0"]), SHAPE)
    own = np.full(3, 1.0, dtype=np.float32)
    rng = np.random.default_rng(0)
    found = intervening._matched(fake, circuit, own, ablation, rng)  # type: ignore[arg-type]
    as_good = [number for number, one in enumerate(away) if abs(one) <= 1]
    stop = as_good[SETTLED - 1] + 1 if len(as_good) >= SETTLED else len(away)
    assert found[:, 0].tolist() == away[:stop]
    assert sum(fake.asked) <= -(-stop // AT_A_TIME) * AT_A_TIME


NAMED = [INPUT, *SHAPE.components()]


def contexts(gone: dict[str, float], back: dict[str, float] | None) -> tuple[list[str], list[str]]:
    """What is taken out where these shares of a behaviour of 4 go and come back."""

    def shares(of: dict[str, float]) -> np.ndarray:
        return np.array([[4 * of.get(str(one), 0.0)] * 3 for one in NAMED], dtype=np.float32)

    restored = None if back is None else shares(back)
    hidden, alone = intervening._contexts(shares(gone), restored, 4.0, SHAPE)
    return list(map(str, hidden)), list(map(str, alone))


def test_what_stands_in_is_looked_for_where_it_may_be() -> None:
    back = {"input": 0.9, "m1": 0.24, "a0.h0": 0.5, "a0.h1": 0.04, "a1.h1": 0.3, "a1.h2": 0.06}
    gone = {"input": 1.0, "m0": 0.95, "m1": 0.2, "a0.h0": 0.04, "a1.h0": 0.89, "a1.h1": 0.2}
    # m1 shows alone, and a1.h1 in part; a0.h1 does not bring enough back; the input is none.
    assert contexts(gone, back) == (["a0.h0", "a1.h1", "a1.h2"], ["a1.h0"])
    assert contexts(gone, None) == ([], [])
    assert contexts({}, {}) == ([], [])
    assert contexts({"m0": 0.95, "m1": 0.04}, {}) == ([], [])
    assert contexts({"m0": 0.06, "m1": 0.05}, {"a0.h0": -0.5}) == ([], ["m0"])


def test_backups_are_what_takes_more_once_others_are_out() -> None:
    def shares(**of: float) -> np.ndarray:
        return np.array([[4 * of.get(str(one), 0.0)] * 3 for one in NAMED], dtype=np.float32)

    alone = shares(m0=0.3, m1=0.1, input=0.2)
    first = intervening.Given([parse("a0.h0")], shares(m0=0.3, m1=0.16, input=0.9))
    second = intervening.Given([parse("m0")], shares(m0=0.9, m1=0.12))
    found = intervening._backups([first, second], alone, 4.0, SHAPE)
    # m0 was out itself, and the input is no component.
    assert list(map(str, found)) == ["m1"]
    assert intervening._backups([second], alone, 4.0, SHAPE) == []
    assert intervening._backups([], alone, 4.0, SHAPE) == []


def test_of_what_is_hidden_the_most_that_bring_most_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervening, "MOST_HIDDEN", 2)
    back = {"m0": 0.1, "a0.h0": 0.3, "a1.h1": 0.2}
    assert contexts({}, back) == (["a0.h0", "a1.h1"], [])


def changed(experiment: Experiment, **parts: Any) -> Experiment:
    """The experiment with other parts of its spec, tables changed by key."""
    data = experiment.spec.model_dump()
    for name, part in parts.items():
        data[name] = part if name == "behaviour" else data[name] | part
    spec = type(experiment.spec).model_validate(data)
    return Experiment(experiment.folder, spec, experiment.source)


def test_a_run_explains_what_is_shown_and_says_what_is_not(
    experiment: Experiment, gpt2_folder: Path
) -> None:
    runs = runs_of(experiment, gpt2_folder, with_interventions=True)
    assert isinstance(runs.interventions, Interventions)
    assert runs.effects is None
    names, sides, turned = runs.interventions.behaviours.values()
    assert isinstance(names, Behaved)
    assert isinstance(sides, Behaved)
    assert isinstance(turned, Unshown)
    assert "0 of 12 pairs come out right" in turned.reason
    assert np.array_equal(turned.whole, -names.whole)
    assert turned.counterparts.shape == (2, 12)
    assert names.seed == 3
    assert runs.interventions.provenance == runs.own[0].provenance
    assert list(names.circuits) == ["run"]
    assert names.curve.runs[-1] == pytest.approx(names.whole, abs=CLOSE)


def test_rivals_select_under_the_same_budget(experiment: Experiment, gpt2_folder: Path) -> None:
    asked = changed(
        experiment,
        scoring={"kind": "effect", "behaviour": "names"},
        selection={"mlp_threshold": 0.0},
        ablation={"rivals": {"differential": 0.5, "attribution": 0.1}},
    )
    published = {"paper": SimpleNamespace(nodes=CIRCUITS["other"]), "run": None}
    runs = runs_of(asked, gpt2_folder, with_interventions=True, published=published)
    assert isinstance(runs.interventions, Interventions)
    names = runs.interventions.behaviours["names"]
    assert isinstance(names, Behaved)
    assert list(names.circuits) == ["run", "differential", "attribution", "paper"]
    assert names.circuits["paper"] == CIRCUITS["other"]
    effects = runs.effects
    assert effects is not None
    assert np.array_equal(effects, names.single.effects[0])
    sizes = np.abs(effects).mean(axis=1)
    components = [INPUT, *asked.spec.model.shape.components()]
    heads = sorted(range(4, 16), key=lambda place: -sizes[place])
    chosen = set(names.circuits["run"])
    assert {components[place] for place in heads[:2]} == {o for o in chosen if o.kind == "head"}
    assert len([one for one in names.circuits["differential"] if one.kind == "mlp"]) == 3


def test_a_rival_that_selects_nothing_leaves_itself_out_and_says_why(
    experiment: Experiment, gpt2_folder: Path, tmp_path: Path
) -> None:
    asked = changed(
        experiment,
        scoring={"kind": "effect", "behaviour": "names"},
        selection={"mlp_threshold": 0.0},
        ablation={"rivals": {"differential": 1e9, "attribution": 0.1}},
    )
    asked = Experiment(tmp_path, asked.spec, asked.source)
    runs = runs_of(asked, gpt2_folder, with_interventions=True)
    assert isinstance(runs.interventions, Interventions)
    record_interventions(asked, runs.interventions)
    for found in (runs.interventions, read_interventions(asked)):
        names = found.behaviours["names"]
        assert isinstance(names, Behaved)
        assert list(names.circuits) == ["run", "attribution"]
        (reason,) = names.unselected.values()
        assert list(names.unselected) == ["differential"]
        assert reason.startswith("ablation.rivals: differential: no MLP reaches the threshold of 1")


@pytest.mark.parametrize("kind", ["effect", "attribution"])
@pytest.mark.parametrize("intervenes", [False, True])
def test_scores_of_a_behaviour_are_measured_twice_where_that_is_asked(
    experiment: Experiment, gpt2_folder: Path, kind: str, intervenes: bool
) -> None:
    asked = changed(experiment, scoring={"kind": kind, "behaviour": "names"})
    runs = runs_of(asked, gpt2_folder, runs=2, with_interventions=intervenes)
    published = published_evidence(asked)
    measured = live_evidence(asked, published, runs).measured
    assert measured is not None
    assert measured.reproduced is True
    assert runs.effects_again is not None
    other = replace(runs, effects_again=np.nextafter(runs.effects_again, 1, dtype=np.float32))
    changed_run = live_evidence(asked, published, other).measured
    assert changed_run is not None
    assert changed_run.reproduced is False
    once = runs_of(asked, gpt2_folder, with_interventions=intervenes)
    assert once.effects_again is None
    only = live_evidence(asked, published, once).measured
    assert only is not None
    assert only.reproduced is None


def test_scores_of_a_behaviour_need_one_that_is_shown(
    experiment: Experiment, gpt2_folder: Path
) -> None:
    asked = changed(experiment, scoring={"kind": "effect", "behaviour": "turned"})
    with pytest.raises(InputError, match="behaviour turned: the model does not show it: 0 of 12"):
        runs_of(asked, gpt2_folder)
    shown = changed(experiment, scoring={"kind": "attribution", "behaviour": "names"})
    runs = runs_of(shown, gpt2_folder)
    assert runs.effects is not None
    assert runs.interventions == NoInterventions(
        "interventions were not run: ablation.live is false"
    )
