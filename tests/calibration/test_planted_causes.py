"""Planted causes: what GPT-2s with hand-set weights do in the engine, beside what was planted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from calibration.cause_rates import ENGINE, OfEngine
from calibration.causes import (
    JUDGED,
    OPPOSED,
    STRENGTHS,
    Causes,
    Values,
    answers,
    plain,
    plant,
    planted_circuit,
    subject,
)
from calibration.planted_causes import SHAPE, load_causes, rows, values_of, word_values
from replication.circuits.components import ModelShape
from replication.circuits.matched import mask_of
from replication.engine.subject import Subject, check_interventions, subject_of
from replication.evidence.intervening import behaved, single
from replication.experiment.behaviours import AblationSpec, BehaviourSpec, Setting

# Beside anchors of 4096 the last digits come to 1e-5, and a steep gelu differs from a relu by less.
SAME = 2e-4
N_PAIRS = 12
DEEPER = ModelShape(n_layers=6, n_heads=8, d_model=64, d_head=8)


@dataclass(frozen=True)
class Model:
    """A model that the engine runs, and its causes on the same pairs by arithmetic."""

    causes: Causes
    values: Values
    engine: Subject
    arithmetic: Subject


@pytest.fixture(scope="module", params=ENGINE, ids=lambda one: one.name)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    of: OfEngine = request.param
    causes = of.plant(3)
    pairs = rows(causes, N_PAIRS, 5, of.group)
    loaded = load_causes(tmp_path_factory.mktemp("causes"), causes, of.activation)
    behaviour = BehaviourSpec(right="right", wrong="wrong")
    engine = subject_of(loaded, pairs, "planted", behaviour, AblationSpec())
    values = values_of(pairs)
    return Model(causes, values, engine, subject(causes, values))


def test_the_model_answers_as_planted(model: Model) -> None:
    check_interventions(model.engine)
    assert np.abs(model.engine.whole - model.arithmetic.whole).max() < SAME
    assert np.abs(model.engine.counterparts - model.arithmetic.counterparts).max() < SAME
    assert model.engine.whole.std() > 0.1


@pytest.mark.parametrize(
    "setting",
    [JUDGED, Setting("mean", "ablate", "all"), Setting("interchange", "restore", "all")],
    ids=str,
)
def test_changing_any_set_of_components_does_what_was_planted(
    model: Model, setting: Setting
) -> None:
    rng = np.random.default_rng(0)
    n_all = 1 + len(model.causes.parts)
    kept = np.concatenate([rng.random((40, n_all)) < 0.5, np.eye(n_all, dtype=bool)])
    found = model.engine.kept(kept, setting, "any")
    expected = model.arithmetic.kept(kept, setting, "any")
    assert np.abs(found - expected).max() < SAME
    assert expected.std(axis=0).min() > 10 * SAME


def test_components_do_alone_what_their_roles_say(model: Model) -> None:
    effects = single(model.engine).effects[0][1:]
    first, other = model.values.first, model.values.other
    for place, part in enumerate(model.causes.parts.values()):
        differs = first[part.slot] - other[part.slot]
        alone = part.weight * differs
        if part.role in ("ignored", "bystander"):
            assert np.abs(differs).max() > 0.5
        if part.role == "backup":
            alone = np.zeros(N_PAIRS)
        if part.role == "primary":
            alone = alone * (1 - model.causes.backed)
        if part.role in ("redundant", "combining"):
            continue
        assert np.abs(effects[place] - alone).max() < SAME, part


def changed(of: Subject, *masks: np.ndarray) -> np.ndarray:
    """What goes of the behaviour, on average, where each mask's components are ablated."""
    return np.asarray((of.whole - of.ablated(np.stack(masks), "sets")).mean(axis=1))


def test_one_of_the_redundant_suffices_and_a_backup_acts_without_its_primary(model: Model) -> None:
    causes, shape = model.causes, model.causes.shape
    one, other = (mask_of([each], shape) for each in causes.with_role("redundant"))
    combining = mask_of(causes.with_role("combining"), shape)
    alone, another, both, without = changed(model.engine, one, other, one | other, combining)
    assert both == pytest.approx(without, abs=SAME)
    assert max(alone, another) < 0.2 * both
    primary = mask_of(causes.with_role("primary"), shape)
    backup = mask_of(causes.with_role("backup"), shape)
    first, second, together = changed(model.engine, primary, backup, primary | backup)
    assert second == pytest.approx(0, abs=SAME)
    assert first == pytest.approx((1 - causes.backed) * together, abs=SAME)
    assert together > 0.2


def test_the_engine_and_arithmetic_make_the_same_runs(model: Model) -> None:
    circuits = {"planted": planted_circuit(model.causes)}
    components = model.causes.shape.components()
    engine, arithmetic = (
        behaved(of, single(of), circuits, "planted", components, AblationSpec(matched=3), 0)
        for of in (model.engine, model.arithmetic)
    )
    assert [one.out for one in engine.given] == [one.out for one in arithmetic.given]
    assert engine.restored is not None
    assert arithmetic.restored is not None
    for one, same in [
        (engine.restored, arithmetic.restored),
        (engine.matched["planted"], arithmetic.matched["planted"]),
        (engine.inside, arithmetic.inside),
        *((a.effects, b.effects) for a, b in zip(engine.given, arithmetic.given, strict=True)),
    ]:
        assert np.abs(one - same).max() < 2 * SAME


@pytest.mark.parametrize(
    "causes",
    [
        plant(SHAPE, 1),
        plant(SHAPE, 2, backed=0.5),
        plant(DEEPER, 1, redundant=3, noises=8, combining="saturating"),
    ],
)
def test_roles_are_as_planted(causes: Causes) -> None:
    assert list(causes.parts) == causes.shape.components()
    used = [one.weight for one in causes.parts.values() if one.role == "used"]
    assert sorted(used) == sorted([*STRENGTHS, 0.1])
    assert len(causes.with_role("combining", "primary", "backup", "against")) == 4
    (combining,) = causes.with_role("combining")
    assert all(head.layer <= combining.layer for head in causes.with_role("redundant"))
    (against,) = causes.with_role("against")
    assert causes.parts[against].weight == OPPOSED


def test_all_shares_make_up_the_behaviour() -> None:
    causes = plant(SHAPE, 1)
    first = np.ones((len(causes.slots), 1)) * (np.array(causes.slots) != "noise")[:, None]
    values = Values(first, np.zeros_like(first), np.zeros(1, dtype=np.int64))
    nothing = np.zeros((1, 1 + len(causes.parts)), dtype=bool)
    assert answers(causes, values, nothing)[0, 0] == pytest.approx(1)
    assert answers(causes, values, ~nothing)[0, 0] == 0


def test_a_bystander_goes_with_the_strongest_used_one_in_activation_alone() -> None:
    causes = plant(SHAPE, 4)
    rng = np.random.default_rng(0)
    values = rng.random((len(causes.slots), 5))
    found = plain(causes, values)
    (bystander,) = causes.places("bystander")
    used = max(causes.places("used"), key=lambda one: list(causes.parts.values())[one].weight)
    assert np.array_equal(found[bystander], found[used])
    assert list(causes.parts.values())[bystander].weight == 0


def test_another_seed_puts_roles_elsewhere() -> None:
    assert plant(SHAPE, 1).parts == plant(SHAPE, 1).parts
    assert plant(SHAPE, 1).parts != plant(SHAPE, 2).parts


def test_pairs_of_a_group_share_words_and_are_one_cluster() -> None:
    causes = plant(SHAPE, 1)
    pairs = rows(causes, 6, seed=2, group=2)
    assert values_of(pairs).clusters.tolist() == [0, 0, 1, 1, 2, 2]
    texts = [set(row.pair.first.split()) for row in pairs]
    assert all(len(texts[one] & texts[one + 1]) >= 2 for one in (0, 2, 4))
    assert values_of(rows(causes, 6, seed=2)).clusters.tolist() == [*range(6)]
    signals = [value for word, value in word_values().items() if word.startswith("signal")]
    assert np.mean(signals) == pytest.approx(1)
    assert np.std(signals) == pytest.approx(1, abs=0.1)


def test_a_model_with_another_weight_is_told_apart() -> None:
    """What the comparison with the engine can see: a tenth more of one component."""
    causes = plant(SHAPE, 1)
    component = causes.with_role("against")[0]
    part = causes.parts[component]
    other = replace(
        causes, parts={**causes.parts, component: replace(part, weight=1.1 * part.weight)}
    )
    pairs = rows(causes, N_PAIRS, 5)
    values = values_of(pairs)
    assert np.abs(subject(causes, values).whole - subject(other, values).whole).max() > 10 * SAME
