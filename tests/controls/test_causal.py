"""What interventions say as a whole: of circuits, of components, and of several counterparts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from replication.circuits.components import parse
from replication.controls.causal import Causal, NotShown, causal, shown
from replication.controls.effects import effects_of
from replication.controls.not_computed import NotComputed
from replication.controls.verify import causal_controls, verify
from replication.evidence.interventions import Behaved, NoInterventions
from replication.experiment.behaviours import Cell
from tests.claims.behaved_evidence import (
    ABLATED,
    DRAWING,
    EVERYTHING,
    N_PAIRS,
    RESTORED,
    SHAPE,
    ZEROED,
    Says,
    behaved_of,
    behaving,
    behaving_spec,
    place,
    with_interventions,
)

CELL = Cell(ABLATED, "ratio of means")
SCORES = np.arange(8.0)


def found_of(says: Says | None = None, behaved: Behaved | None = None, cell: Cell = CELL) -> Causal:
    own = behaved or behaved_of(says or Says())
    return causal("names", own, cell, SHAPE, DRAWING, SCORES)


def words(found: Causal) -> dict[str, str]:
    return {str(one): said.word for one, said in found.words.items()}


def test_every_word_is_said_of_whom_it_is_true() -> None:
    says = Says(
        effects={"input": 1.0, "m0": 0.5, "a1.h0": -0.3},
        restored={"m0": 0.5, "a0.h1": 0.0},
        given={"m0": {"a0.h2": 0.4}, "a0.h2": {"m0": 0.6}},
    )
    assert words(found_of(says)) == {
        "input": "necessary",
        "m0": "necessary",
        "m1": "not used",
        "a0.h0": "sufficient together",
        "a0.h1": "not used",
        "a0.h2": "redundant",
        "a1.h0": "against",
        "a1.h1": "sufficient together",
        "a1.h2": "not used",
    }


def test_of_a_circuit_that_does_not_suffice_none_is_sufficient() -> None:
    found = words(found_of(Says(kept={"mine": 0.7, "other": 0.99})))
    assert found["a1.h1"] == "not shown"
    assert "sufficient together" not in found.values()


def test_without_backups_nothing_is_unused() -> None:
    found = found_of(Says(restored=None))
    assert found.restored is None
    assert words(found)["m1"] == "not shown"
    assert words(found)["m0"] == "necessary"


def test_the_behaviour_is_told_by_every_component_ablated() -> None:
    assert found_of().is_told
    assert not found_of(Says(whole=0.4)).is_told
    assert set(words(found_of(Says(whole=0.4))).values()) == {"not shown"}
    behaved = behaved_of(Says(), setting=RESTORED)
    empty = behaved.settings[RESTORED]
    there = {**behaved.settings, RESTORED: replace(empty, full=empty.empty)}
    restored = replace(behaved, settings=there)
    cell = Cell(RESTORED, "ratio of means")
    with np.errstate(all="ignore"):
        found = found_of(behaved=restored, cell=cell)
    assert found.is_told
    own = found.judged("mine")
    assert own is not None
    assert not own.is_told


def test_circuits_are_found_by_name_and_cell() -> None:
    found = found_of(Says(noise=0.0))
    assert len(found.faithfulness) == 2 * 2 * 2
    judged = found.judged("mine")
    assert judged is not None
    assert judged.cell == CELL
    assert judged.value == pytest.approx(0.95)
    zeroed = found.judged("other", Cell(ZEROED, "mean of ratios"))
    assert zeroed is not None
    assert zeroed.value == pytest.approx(0.1)
    assert found.judged("paper") is None
    assert found.judged("mine", Cell(RESTORED, "ratio of means")) is None
    assert set(found.matched) == {"mine", "other"}
    assert found.matched["mine"].as_good == 0
    assert found.matched["other"].as_good == 9  # of 0, 0.01 and so on to 0.38 those beyond 0.29


def test_effects_are_shares_of_what_each_counterpart_leaves() -> None:
    behaved = behaved_of(Says(noise=0.0, further={"m0": 0.5}))
    counterparts = behaved.counterparts.copy()
    counterparts[1] = behaved.whole - 0.5 * (behaved.whole - counterparts[0])
    found = found_of(behaved=replace(behaved, counterparts=counterparts))
    first, second = found.effects
    assert first.share[place("m0")] == pytest.approx(0.5, abs=1e-5)
    assert second.share[place("m0")] == pytest.approx(1.0, abs=1e-5)


def test_what_only_some_counterparts_find_necessary_is_named() -> None:
    says = Says(effects={"m0": 0.5, "a0.h0": 0.3}, further={"m0": 0.5, "a1.h2": 0.4, "m1": -0.5})
    assert list(map(str, found_of(says).only_by_one)) == ["a0.h0", "a1.h2"]
    assert found_of().only_by_one == []
    behaved = behaved_of(Says())
    effects = behaved.single.effects[:1]
    one = replace(
        behaved,
        counterparts=behaved.counterparts[:1],
        single=replace(behaved.single, effects=effects),
    )
    assert found_of(behaved=one).only_by_one == []


def test_false_discoveries_are_among_every_set_that_was_out() -> None:
    says = Says(given={"m0": {"m1": 0.3}, "m1": {"m0": 0.3}})
    behaved = behaved_of(says)
    ran = behaved.settings[ABLATED]
    whole = ran.full - ran.empty
    found = found_of(behaved=behaved)
    once = effects_of(behaved.given[0].effects, whole, DRAWING)
    assert found.given[0].q_value == pytest.approx(np.minimum(1, 2 * once.q_value))
    assert found.effects[0].q_value == pytest.approx(
        effects_of(behaved.single.effects[0], whole, DRAWING).q_value
    )


def test_agreements_are_of_ranks() -> None:
    behaved = behaved_of(Says(noise=0.2))
    found = {(one.of, one.with_): one.ranks for one in found_of(behaved=behaved).agreements}
    single = behaved.single
    effects = single.effects[0].mean(axis=1)
    assert found == {
        ("attribution", "effect"): pytest.approx(
            spearmanr(single.attribution.mean(axis=1), effects).statistic
        ),
        ("integrated", "effect"): pytest.approx(
            spearmanr(single.integrated.mean(axis=1), effects).statistic
        ),
        ("differential", "size of the effect"): pytest.approx(
            spearmanr(SCORES, np.abs(effects[1:])).statistic
        ),
    }
    assert found["attribution", "effect"] == pytest.approx(1.0)


def test_what_is_right_is_counted() -> None:
    values = np.array([0.5, 0.0, -1.0, 2.0, 3.0] + [1.0] * 7, dtype=np.float32)
    found = shown(values, DRAWING)
    assert (found.right, found.pairs) == (10, 12)
    assert found.mean == pytest.approx(values.mean())
    assert found.interval[0] < found.mean < found.interval[1]


def test_controls_are_of_every_behaviour() -> None:
    evidence = behaving()
    assert evidence.measured is not None
    said = causal_controls(evidence.spec, evidence.measured)
    assert not isinstance(said, NotComputed)
    names, never = said["names"], said["never"]
    assert isinstance(names, Causal)
    assert isinstance(never, NotShown)
    assert names.cell == evidence.spec.ablation.cell
    assert names.components == EVERYTHING
    assert never.shown.right == 0
    assert [one.right for one in never.counterparts] == [0, 0]
    assert never.reason.startswith("the model does not show it")
    assert verify(evidence).causal.keys() == said.keys()  # type: ignore[union-attr]


def test_clusters_count_and_pairs_do_not() -> None:
    evidence = behaving(Says(noise=0.3))
    assert evidence.measured is not None

    def interval(clusters: Any) -> float:
        own = replace(evidence.measured, clusters=np.array(clusters))  # type: ignore[type-var]
        said = causal_controls(evidence.spec, own)
        assert not isinstance(said, NotComputed)
        names = said["names"]
        assert isinstance(names, Causal)
        low, high = names.shown.interval
        return high - low

    assert interval(np.arange(N_PAIRS) // 3) > 1.2 * interval(np.arange(N_PAIRS))


def test_without_interventions_there_are_no_controls_and_why() -> None:
    evidence = with_interventions(behaving_spec(), NoInterventions("none were run"))
    assert evidence.measured is not None
    assert causal_controls(evidence.spec, evidence.measured) == NotComputed("none were run")


def test_components_are_in_the_models_order() -> None:
    says = Says(effects={str(one): 0.1 * number for number, one in enumerate(EVERYTHING)})
    shares = found_of(replace(says, noise=0.0)).effects[0].share
    assert shares == pytest.approx([0.1 * number for number in range(9)], abs=1e-5)
    assert EVERYTHING[place("a1.h2")] == parse("a1.h2")
