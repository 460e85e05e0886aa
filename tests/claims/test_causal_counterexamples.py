"""Every causal check can fail: minimally changed runs turn each of them, from either verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from replication.claims.causal_checks import CausalCheck
from replication.claims.check import Check, Outcome
from replication.claims.claim import AnyCheck
from replication.claims.keys import Known
from replication.controls import verify as verifying
from replication.controls.verify import Controls
from replication.evidence.evidence import Evidence
from replication.evidence.interventions import Interventions
from tests.claims import counterexamples
from tests.claims.behaved_evidence import N_PAIRS, RESTORED, Says, behaving, behaving_spec
from tests.claims.build import ANY_CHECK
from tests.claims.counterexamples import counterexample, outcome, single_changes

KNOWN = Known.of(behaving_spec(), N_PAIRS)
STATED: list[tuple[str, str, dict[str, Any], Says]] = [
    ("behaviour", "holds", {"at_least": "1.5"}, Says()),
    ("behaviour", "refuted", {"at_least": "2.5"}, Says()),
    ("behaviour", "holds", {"right": "100"}, Says()),
    ("behaviour", "refuted", {"right": "42"}, Says()),
    ("behaviour", "refuted", {"right": "50", "behaviour": "never"}, Says()),
    ("behaviour", "holds", {"at_least": "0.3", "on": "third"}, Says()),
    ("faithfulness", "holds", {"circuit": "mine", "at_least": "90"}, Says()),
    ("faithfulness", "refuted", {"circuit": "mine", "at_least": "99"}, Says()),
    ("faithfulness", "holds", {"circuit": "other", "at_most": "40", "value": "zero"}, Says()),
    ("faithfulness", "refuted", {"circuit": "mine", "percent": "90", "tolerance": "1"}, Says()),
    ("equivalence", "holds", {"circuit": "mine", "within": "10"}, Says()),
    ("equivalence", "refuted", {"circuit": "other", "within": "10"}, Says()),
    ("beats_matched", "holds", {"circuit": "mine"}, Says()),
    ("beats_matched", "refuted", {"circuit": "other"}, Says(matched=[0.9] * 19)),
    ("effect", "holds", {"component": "m0", "sign": "serves", "rank": 1}, Says()),
    ("effect", "refuted", {"component": "a1.h0", "sign": "serves"}, Says()),
    ("effect", "refuted", {"component": "a0.h0", "sign": "serves", "rank": 3}, Says()),
    ("minimal", "holds", {}, Says()),
    ("minimal", "holds", {"at_most": 1}, Says()),
    ("minimal", "refuted", {}, Says(inside={"a1.h1": 0.0})),
    ("complete", "holds", {"within": "10"}, Says()),
    ("complete", "refuted", {"within": "10"}, Says(gaps={"m0": 0.3, "m1": -0.4})),
    ("matters", "holds", {"component": "m0", "word": "necessary"}, Says()),
    ("matters", "holds", {"component": "a0.h2", "word": "not used"}, Says()),
    ("matters", "holds", {"component": "a1.h1", "word": "sufficient together"}, Says()),
    ("matters", "refuted", {"component": "m1", "word": "necessary"}, Says()),
    ("matters", "holds", {"component": "m1", "word": "redundant"},
     Says(given={"m0": {"m1": 0.4}})),
]  # fmt: skip
CASES = pytest.mark.parametrize(
    ("kind", "verdict", "keys", "says"),
    STATED,
    ids=[f"{one[0]}-{one[1]}-{one[2]}" for one in STATED],
)


def stated(kind: str, **keys: Any) -> Check:
    return ANY_CHECK.validate_python({"kind": kind, "behaviour": "names"} | keys, context=KNOWN)


@CASES
def test_a_minimal_change_of_the_runs_turns_the_check(
    kind: str, verdict: str, keys: dict[str, Any], says: Says
) -> None:
    check, evidence = stated(kind, **keys), behaving(says)
    assert outcome(check, evidence).verdict == verdict
    found = counterexample(check, evidence)
    assert found is not None
    assert outcome(check, found.evidence).verdict != verdict


@pytest.mark.parametrize("kind", ["faithfulness", "effect", "complete"])
def test_where_components_are_restored_too(kind: str) -> None:
    keys = next(keys for name, verdict, keys, _ in STATED if (name, verdict) == (kind, "holds"))
    check, evidence = stated(kind, **keys), behaving(setting=RESTORED)
    assert outcome(check, evidence).verdict == "holds"
    assert counterexample(check, evidence) is not None


def arrays(found: Any) -> list[np.ndarray]:
    """Every array in what was measured of a behaviour."""
    if isinstance(found, np.ndarray):
        return [found]
    if isinstance(found, dict):
        return [one for value in found.values() for one in arrays(value)]
    if isinstance(found, list):
        return [one for value in found for one in arrays(value)]
    return [one for value in vars(found).values() for one in arrays(value)] if hasattr(
        found, "__dataclass_fields__"
    ) else []  # fmt: skip


@CASES
def test_a_change_is_one_of_the_runs_and_of_nothing_else(
    kind: str, verdict: str, keys: dict[str, Any], says: Says
) -> None:
    check, evidence = stated(kind, **keys), behaving(says)
    before = arrays_of(evidence)
    changes = list(single_changes(check, evidence))
    assert len({what for what, _ in changes}) == len(changes) > 3, verdict
    for what, changed in changes:
        assert changed.spec is evidence.spec
        assert [*changed.results] == [*evidence.results]
        after = arrays_of(changed)
        assert [*after] == [*before]
        differ = [name for name in before if not same(before[name], after[name])]
        assert differ in ([str(check.behaviour)], []), what  # type: ignore[attr-defined]
        own, other = changed.measured, evidence.measured
        assert own is not None
        assert other is not None
        assert own.activations is other.activations
        assert own.pair_scores is other.pair_scores
        assert own.circuit is other.circuit


def arrays_of(evidence: Evidence) -> dict[str, list[np.ndarray]]:
    measured = evidence.measured
    assert measured is not None
    assert isinstance(measured.interventions, Interventions)
    return {name: arrays(one) for name, one in measured.interventions.behaviours.items()}


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def test_the_evidence_itself_is_left_as_it_is() -> None:
    evidence, again = behaving(), behaving()
    for kind, _, keys, _ in STATED:
        for _ in single_changes(stated(kind, **keys), evidence):
            pass
    assert all(
        same(one, other)
        for one, other in zip(arrays_of(evidence).values(), arrays_of(again).values(), strict=True)
    )


def test_only_what_a_causal_check_looks_at_is_computed_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(evidence: Evidence) -> Controls:
        raise AssertionError(f"the whole verification of {evidence.kind} evidence")

    monkeypatch.setattr(counterexamples, "verify", refuse)
    assert outcome(stated("minimal"), behaving()).verdict == "holds"
    said: list[str] = []
    own = verifying.causal
    monkeypatch.setattr(
        verifying, "causal", lambda name, *given: (said.append(name), own(name, *given))[1]
    )
    outcome(stated("minimal"), behaving())
    assert said == ["names"]


def test_a_causal_check_that_only_a_made_up_finding_could_turn_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Fixed(CausalCheck):
        kind: str = "minimal"

        def judge_causal(self, controls: Controls) -> Outcome:
            return Outcome("holds", 0, 0, f"whatever was found of {len(controls.causal)}")

    class Deaf(stated("minimal").__class__):  # type: ignore[misc]
        def judge_causal(self, controls: Controls) -> Outcome:
            return Outcome("holds", 0, 0, f"whatever was found of {len(controls.causal)}")

    monkeypatch.setattr(counterexamples, "MOST_CHANGES", 1)
    deaf = Deaf.model_construct(kind="minimal", behaviour="names", at_most=0)
    assert outcome(deaf, behaving()).verdict == "holds"
    assert counterexample(deaf, behaving()) is None
    with pytest.raises(NotImplementedError, match="no change of what minimal looks at"):
        counterexample(Fixed.model_construct(kind="minimal", behaviour="names"), behaving())


def test_every_kind_of_causal_check_is_turned_from_both_verdicts() -> None:
    kinds = {
        one.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
        for one in AnyCheck.__origin__.__args__  # type: ignore[attr-defined]
        if issubclass(one, CausalCheck)
    }
    assert {(kind, verdict) for kind, verdict, _, _ in STATED} == {
        (kind, verdict) for kind in kinds for verdict in ("holds", "refuted")
    }
