"""What a spec says of behaviours and of ablation: what is taken, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from replication.experiment.behaviours import (
    AblationSpec,
    Averaging,
    BehaviourSpec,
    Cell,
    Direction,
    Positions,
    Setting,
    Value,
    keys_of,
)
from replication.experiment.pairs import Keys, PairsSpec
from replication.experiment.table import Table


def refusal(table: type[Table], stated: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        table.model_validate(stated)
    (error, *_) = caught.value.errors()
    return ".".join(map(str, error["loc"])) + ": " + error["msg"]


def test_a_behaviour_of_columns_has_each_pairs_own_answers() -> None:
    found = BehaviourSpec.model_validate({"right": "name", "wrong": "others"})
    assert (found.kind, found.suffix) == ("logit_difference", "")
    assert found.columns == ("name", "others")
    assert not found.is_of_sides
    answers = {"others": ("b", "c"), "name": ("a",), "more": ("d",)}
    assert found.answers(answers) == (("a",), ("b", "c"))


def test_a_behaviour_of_sides_has_the_same_answers_everywhere() -> None:
    found = BehaviourSpec.model_validate({"right": [" yes"], "wrong": [" no", " No"]})
    assert found.columns == ()
    assert found.is_of_sides
    assert found.answers({}) == ((" yes",), (" no", " No"))
    assert found == BehaviourSpec(right=(" yes",), wrong=(" no", " No"))
    assert hash(found)


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({}, "right: Field required"),
        ({"right": "a"}, "wrong: Field required"),
        ({"right": "a", "wrong": ["b"]}, "expected two columns, or two lists of answers"),
        ({"right": ["a"], "wrong": "b"}, "expected two columns, or two lists of answers"),
        ({"right": "", "wrong": "b"}, "right"),
        ({"right": [], "wrong": ["b"]}, "right"),
        ({"right": ["a", ""], "wrong": ["b"]}, "right"),
        ({"right": ["a", 7], "wrong": ["b"]}, "right"),
        ({"right": 7, "wrong": "b"}, "right"),
        ({"right": "a", "wrong": "b", "kind": "accuracy"}, "kind: Input should be"),
        ({"right": "a", "wrong": "b", "suffix": None}, "suffix: Input should be"),
        ({"right": "a", "wrong": "b", "prefix": "c"}, "prefix: Extra inputs are not permitted"),
    ],
)
def test_a_behaviour_that_cannot_be_measured_is_refused(
    stated: dict[str, Any], reason: str
) -> None:
    assert reason in refusal(BehaviourSpec, stated)


def test_what_is_not_said_of_ablation_is_as_documented() -> None:
    found = AblationSpec()
    assert found.cell == Cell(Setting("interchange", "ablate", "all"), "ratio of means")
    assert (found.matched, found.by_layer, found.live) == (99, False, True)
    assert found.counterparts == ()
    assert found.rivals == {}


CELLS = list(itertools.product(*map(get_args, (Value, Direction, Positions, Averaging))))


@pytest.mark.parametrize(("value", "direction", "positions", "averaging"), CELLS)
def test_every_cell_is_taken_but_where_nothing_is_restored(
    value: Value, direction: Direction, positions: Positions, averaging: Averaging
) -> None:
    stated = {
        "value": value, "direction": direction, "positions": positions, "averaging": averaging,
    }  # fmt: skip
    if direction == "restore" and value in ("zero", "shift"):
        expected = f"direction: {value} restores nothing; expected ablate"
        assert expected in refusal(AblationSpec, stated)
    else:
        assert AblationSpec.model_validate(stated).cell == (
            (value, direction, positions),
            averaging,
        )


def test_every_cell_is_told_from_every_other_in_words() -> None:
    words = [str(Cell(Setting(*setting), averaging)) for *setting, averaging in CELLS]
    assert len(set(words)) == len(words) == 32
    assert str(AblationSpec().cell) == (
        "interchange, all but the circuit ablated, at all positions, ratio of means"
    )


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"value": "resample"}, "value: Input should be 'zero', 'mean', 'interchange' or 'shift'"),
        ({"direction": "both"}, "direction: Input should be 'ablate' or 'restore'"),
        ({"positions": "last"}, "positions: Input should be 'all' or 'text'"),
        ({"averaging": "median"}, "averaging: Input should be"),
        ({"counterparts": "a"}, "counterparts: Input should be a valid tuple"),
        ({"counterparts": [""]}, "counterparts.0: String should have at least 1 character"),
        ({"rivals": {"random": 1.0}}, "rivals.random"),
        ({"rivals": {"effect": -1.0}}, "rivals.effect: Input should be greater than or equal to 0"),
        ({"rivals": {"effect": True}}, "rivals.effect"),
        ({"matched": 0}, "matched: Input should be greater than 0"),
        ({"matched": 10_000}, "matched: Input should be less than or equal to 9999"),
        ({"matched": 9.5}, "matched: Input should be a valid integer"),
        ({"by_layer": 1}, "by_layer: Input should be a valid boolean"),
        ({"live": "no"}, "live: Input should be a valid boolean"),
        ({"seed": 1}, "seed: Extra inputs are not permitted"),
    ],
)
def test_what_ablation_does_not_know_is_refused(stated: dict[str, Any], reason: str) -> None:
    assert reason in refusal(AblationSpec, stated)


def test_counterparts_and_rivals_are_taken_as_toml_gives_them() -> None:
    found = AblationSpec.model_validate(
        {"counterparts": ["a", "b"], "rivals": {"effect": 0, "attribution": 0.5}}
    )
    assert found.counterparts == ("a", "b")
    assert found.rivals == {"effect": 0.0, "attribution": 0.5}


def test_the_columns_of_all_behaviours_are_read_each_once() -> None:
    behaviours = [
        BehaviourSpec(right="right", wrong="wrong"),
        BehaviourSpec(right=["a"], wrong=["b"]),
        BehaviourSpec(right="wrong", wrong="worse"),
    ]
    ablation = AblationSpec(counterparts=("third",))
    keys = keys_of(PairsSpec(file="a.csv"), ("first", "second"), behaviours, ablation)
    assert keys.wanted == ["first", "second", "third", "right", "wrong", "worse"]
    assert keys.fit(keys.wanted)
    assert not keys.fit([*keys.wanted, "id"])
    named = PairsSpec(file="a.csv", columns=("one", "two"), group="text")
    keys = keys_of(named, ("first", "second"), behaviours[:1], AblationSpec())
    assert keys == Keys(("one", "two"), "text", True, ("right", "wrong"))
    assert keys.fit([*keys.wanted, "id"])
