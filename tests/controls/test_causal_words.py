"""Causal words by hand: every word, what comes first where several apply, and every way to none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from replication.circuits.components import parse
from replication.controls.causal_words import CausalWord, Looked, Said, words_of
from replication.controls.effects import Effects
from replication.controls.faithfulness import Faithfulness
from replication.experiment.behaviours import Cell, Setting

# An effect in one letter: it serves, opposes, is none, or nothing is shown of it.
KINDS = {
    "s": (0.3, 0.2, 0.4, 0.22, 0.38, 0.01),
    "o": (-0.3, -0.4, -0.2, -0.38, -0.22, 0.01),
    "n": (0.0, -0.02, 0.02, -0.01, 0.01, 0.9),
    "u": (0.1, -0.1, 0.3, -0.08, 0.28, 0.4),
}
NAMES = ["input", "m0", "a0.h0"]
COMPONENTS = [parse(name) for name in NAMES]


def effects(kinds: str) -> Effects:
    """Effects of these kinds, one a letter."""
    share, low, high, lower, upper, q = np.array([KINDS[kind] for kind in kinds]).T
    return Effects(share, share, np.stack([low, high]), np.stack([lower, upper]), q, q)


def faithfulness(low: float = 0.85, *, is_told: bool = True) -> Faithfulness:
    cell = Cell(Setting("zero", "ablate", "all"), "ratio of means")
    return Faithfulness("mine", cell, 0.9, (low, 0.95), (low, 0.95), (0.8, 0.9, 1.0), is_told)


LOOKED = Looked(
    COMPONENTS,
    alone=effects("nnn"),
    restored=effects("nnn"),
    outs=[[parse("a0.h0")]],
    given=[effects("nnn")],
    nodes=[parse("m0")],
    inside=effects("n"),
    circuit=faithfulness(),
    is_told=True,
)


def said(name: str = "m0", **changes: Any) -> Said:
    found = words_of(replace(LOOKED, **changes))
    assert list(found) == COMPONENTS
    return found[parse(name)]


def mine(kind: str) -> Effects:
    """Of m0 this kind, and of the others none."""
    return effects(f"n{kind}n")


CASES: list[tuple[CausalWord, dict[str, Any]]] = [
    ("not used", {}),
    ("against", {"alone": mine("o")}),
    ("necessary", {"alone": mine("s")}),
    ("redundant", {"given": [mine("s")]}),
    ("sufficient together", {"inside": effects("s")}),
    ("not shown", {"alone": mine("u")}),
    ("not shown", {"restored": mine("u")}),
    ("not shown", {"restored": mine("s")}),
    ("not shown", {"restored": None}),
    ("not shown", {"given": [mine("u")]}),
    ("not shown", {"given": [mine("o")]}),
    ("not shown", {"inside": effects("u")}),
    ("not shown", {"inside": effects("o")}),
    # What comes first where several apply.
    ("not shown", {"alone": mine("s"), "is_told": False}),
    ("not shown", {"alone": mine("o"), "is_told": False}),
    ("against", {"alone": mine("o"), "given": [mine("s")], "inside": effects("s")}),
    ("necessary", {"alone": mine("s"), "given": [mine("s")], "inside": effects("s")}),
    ("redundant", {"alone": mine("u"), "given": [mine("s")], "inside": effects("s")}),
    ("redundant", {"given": [mine("s")], "restored": None}),
    ("sufficient together", {"alone": mine("u"), "inside": effects("s"), "restored": mine("u")}),
    ("sufficient together", {"inside": effects("s"), "restored": None}),
    # The circuit must suffice, clearly.
    ("not shown", {"inside": effects("s"), "circuit": faithfulness(0.8)}),
    ("sufficient together", {"inside": effects("s"), "circuit": faithfulness(0.801)}),
    ("not shown", {"inside": effects("s"), "circuit": faithfulness(is_told=False)}),
    # Not of the circuit: what is inside it says nothing of it.
    ("not used", {"inside": effects("s"), "nodes": [parse("a0.h0")], "circuit": faithfulness()}),
    # Nothing was out.
    ("not used", {"outs": [], "given": []}),
    ("redundant", {"outs": [[parse("a0.h0")], [parse("m0")]], "given": [mine("n"), mine("s")]}),
]


@pytest.mark.parametrize(("word", "changes"), CASES)
def test_a_component_has_the_first_word_that_applies(
    word: CausalWord, changes: dict[str, Any]
) -> None:
    found = said(**changes)
    assert found.word == word
    assert found.reason


def test_each_component_has_its_own_word() -> None:
    found = words_of(replace(LOOKED, alone=effects("son"), inside=effects("n")))
    assert {str(one): said.word for one, said in found.items()} == {
        "input": "necessary", "m0": "against", "a0.h0": "not used",
    }  # fmt: skip


def test_the_reason_says_how_much_and_of_what() -> None:
    share = "30.0% (20.0% to 40.0%, q = 0.01)"
    none = "0.0% (-2.0% to 2.0%, q = 0.9)"
    alone = f"alone {none} of the behaviour goes with it"
    assert said().reason == alone
    assert said(alone=mine("s")).reason == f"alone {share} of the behaviour goes with it"
    grows = "-30.0% (-40.0% to -20.0%, q = 0.01) of the behaviour goes with it: it grows"
    assert said(alone=mine("o")).reason == grows
    assert said(given=[mine("s")]).reason == f"{alone}, and {share} once a0.h0 is out"
    itself = said(outs=[[parse("m0"), parse("a0.h0")]], given=[mine("s")]).reason
    assert itself == f"{alone}, and {share} once a0.h0 is out"
    assert said(inside=effects("s")).reason == (
        f"{alone}, and {share} from the circuit, which keeps 90% alone"
    )
    assert said(restored=None).reason == f"{alone}; what may stand in for it was not looked for"
    unknown = "10.0% (-10.0% to 30.0%, q = 0.4) of the behaviour is its"
    for changes, where in (
        ({"alone": mine("u")}, "alone"),
        ({"restored": mine("u")}, "in the counterpart's run"),
        ({"given": [mine("u")]}, "once a0.h0 is out"),
        ({"inside": effects("u")}, "inside the circuit"),
    ):
        assert said(**changes).reason == f"{where} {unknown}"
    assert said(is_told=False).reason == (
        "what the whole model does is not clearly more than without any"
    )
