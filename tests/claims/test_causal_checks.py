"""Causal checks: each kind holds, is refuted, is undecided, and cannot be judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from replication.claims.check import Check, Outcome
from replication.claims.check import judge as judge_on
from replication.claims.claim import Claim, judged_on
from replication.claims.keys import Known
from replication.controls.verify import Controls, causal_controls
from replication.evidence.evidence import Evidence
from replication.evidence.interventions import Interventions, NoInterventions
from replication.experiment.behaviours import Setting
from tests.claims.behaved_evidence import (
    N_PAIRS,
    RESTORED,
    Says,
    behaved_in,
    behaved_of,
    behaving,
    behaving_spec,
    with_interventions,
)
from tests.claims.build import ANY_CHECK

SPEC = behaving_spec()
KNOWN = Known.of(SPEC, N_PAIRS)


def stated(kind: str, **keys: Any) -> Check:
    return ANY_CHECK.validate_python({"kind": kind, "behaviour": "names"} | keys, context=KNOWN)


def judged(check: Check, evidence: Evidence) -> Outcome:
    assert evidence.measured is not None
    controls = Controls([], causal_controls(evidence.spec, evidence.measured))
    found = judge_on(check, evidence, controls)
    assert found.reason
    return found


PLAIN = Says()
NOISY = Says(noise=3.0, seed=3)
EXACT = Says(noise=0.0)
SAME = Says(effects={"m0": 0.5}, gaps={"m0": 0.3, "a0.h0": 0.0})


CASES: list[tuple[str, str, dict[str, Any], Says]] = [
    ("behaviour", "holds", {"at_least": "1.5"}, PLAIN),
    ("behaviour", "refuted", {"at_least": "2.5"}, PLAIN),
    ("behaviour", "undecided", {"at_least": "2.0"}, PLAIN),
    ("behaviour", "holds", {"right": "100"}, PLAIN),
    ("behaviour", "refuted", {"right": "99"}, PLAIN),
    ("behaviour", "holds", {"value": "2", "tolerance": "0.3"}, PLAIN),
    ("behaviour", "refuted", {"value": "2.50"}, PLAIN),
    ("behaviour", "holds", {"at_least": "0.3", "on": "other"}, PLAIN),
    ("behaviour", "refuted", {"at_least": "0.5", "on": "third"}, PLAIN),
    ("behaviour", "holds", {"right": "0", "behaviour": "never"}, PLAIN),
    ("behaviour", "refuted", {"at_least": "0", "behaviour": "never"}, PLAIN),
    ("faithfulness", "holds", {"circuit": "mine", "at_least": "90"}, PLAIN),
    ("faithfulness", "refuted", {"circuit": "mine", "at_least": "99"}, PLAIN),
    ("faithfulness", "undecided", {"circuit": "mine", "at_least": "95"}, PLAIN),
    ("faithfulness", "holds", {"circuit": "other", "at_most": "40"}, PLAIN),
    ("faithfulness", "refuted", {"circuit": "other", "at_most": "20"}, PLAIN),
    ("faithfulness", "undecided", {"circuit": "other", "at_most": "30"}, PLAIN),
    ("faithfulness", "holds", {"circuit": "mine", "percent": "95"}, EXACT),
    ("faithfulness", "refuted", {"circuit": "mine", "percent": "94"}, EXACT),
    ("faithfulness", "holds", {"circuit": "mine", "percent": "94", "tolerance": "2"}, EXACT),
    ("faithfulness", "holds", {"circuit": "mine", "percent": "60", "value": "zero"}, EXACT),
    ("faithfulness", "holds", {"circuit": "other", "percent": "30", "averaging": "mean of ratios"},
     EXACT),
    ("faithfulness", "refuted", {"circuit": "mine", "percent": "95", "at_most": "90"}, EXACT),
    ("equivalence", "holds", {"circuit": "mine", "within": "10"}, PLAIN),
    ("equivalence", "refuted", {"circuit": "mine", "within": "2"}, PLAIN),
    ("equivalence", "undecided", {"circuit": "mine", "within": "5"}, PLAIN),
    ("equivalence", "refuted", {"circuit": "other", "within": "50"}, PLAIN),
    ("beats_matched", "holds", {"circuit": "mine"}, PLAIN),
    ("beats_matched", "undecided", {"circuit": "mine", "level": "0.01"}, PLAIN),
    ("beats_matched", "refuted", {"circuit": "other"}, Says(matched=[0.9] * 10)),
    ("effect", "holds", {"component": "m0", "sign": "serves"}, PLAIN),
    ("effect", "refuted", {"component": "m0", "sign": "against"}, PLAIN),
    ("effect", "holds", {"component": "a1.h0", "sign": "against", "rank": 1}, PLAIN),
    ("effect", "refuted", {"component": "a1.h0", "sign": "serves"}, PLAIN),
    ("effect", "refuted", {"component": "m1", "sign": "serves"}, PLAIN),
    ("effect", "undecided", {"component": "m1", "sign": "serves"}, NOISY),
    ("effect", "holds", {"component": "m0", "sign": "serves", "percent": "50"}, EXACT),
    ("effect", "refuted", {"component": "m0", "sign": "serves", "percent": "48"}, EXACT),
    ("effect", "holds", {"component": "a0.h0", "sign": "serves", "rank": 2}, PLAIN),
    ("effect", "refuted", {"component": "a0.h0", "sign": "serves", "rank": 1}, PLAIN),
    ("effect", "holds", {"component": "a0.h0", "sign": "serves", "rank": 1, "among": "head"},
     PLAIN),
    ("minimal", "holds", {}, PLAIN),
    ("minimal", "refuted", {}, Says(inside={"a1.h1": 0.0})),
    ("minimal", "refuted", {}, Says(inside={"a1.h1": -0.3})),
    ("minimal", "holds", {"at_most": 1}, Says(inside={"a1.h1": 0.0})),
    ("minimal", "undecided", {}, Says(inside={"a1.h1": 0.05})),
    ("complete", "holds", {"within": "10"}, PLAIN),
    ("complete", "refuted", {"within": "10"}, SAME),
    ("complete", "refuted", {"within": "10"}, Says(gaps={"m0": -0.3})),
    ("complete", "undecided", {"within": "2"}, PLAIN),
    ("matters", "holds", {"component": "m0", "word": "necessary"}, PLAIN),
    ("matters", "holds", {"component": "a1.h0", "word": "against"}, PLAIN),
    ("matters", "holds", {"component": "a0.h2", "word": "not used"}, PLAIN),
    ("matters", "refuted", {"component": "m0", "word": "redundant"}, PLAIN),
    ("matters", "holds", {"component": "a1.h1", "word": "sufficient together"}, PLAIN),
    ("matters", "undecided", {"component": "m1", "word": "necessary"}, NOISY),
    ("matters", "holds", {"component": "m1", "word": "not shown"}, NOISY),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "verdict", "keys", "says"), CASES, ids=[f"{one[0]}-{one[1]}-{one[2]}" for one in CASES]
)
def test_a_check_is_decided_by_the_measured_figures_and_their_intervals(
    kind: str, verdict: str, keys: dict[str, Any], says: Says
) -> None:
    found = judged(stated(kind, **keys), behaving(says))
    assert found.verdict == verdict, found.reason


LACKING = {
    "behaviour": {"at_least": "1.5"},
    "faithfulness": {"circuit": "mine", "at_least": "90"},
    "equivalence": {"circuit": "mine", "within": "10"},
    "beats_matched": {"circuit": "mine"},
    "effect": {"component": "m0", "sign": "serves"},
    "minimal": {},
    "complete": {"within": "10"},
    "matters": {"component": "m0", "word": "necessary"},
}


@pytest.mark.parametrize(("kind", "keys"), LACKING.items())
def test_without_interventions_nothing_is_judged(kind: str, keys: dict[str, Any]) -> None:
    evidence = with_interventions(SPEC, NoInterventions("the file is missing"))
    found = judged(stated(kind, **keys), evidence)
    assert (found.verdict, found.reason) == ("undecided", "the file is missing")
    found = judge_on(stated(kind, **keys), evidence, Controls([]))
    assert found.reason == "interventions need a run of the model: recorded or live evidence"


@pytest.mark.parametrize(("kind", "keys"), LACKING.items())
def test_of_a_behaviour_that_is_not_shown_only_itself_is_judged(
    kind: str, keys: dict[str, Any]
) -> None:
    found = judged(stated(kind, **keys | {"behaviour": "never"}), behaving())
    if kind == "behaviour":
        assert found.verdict == "refuted"
    else:
        assert found.verdict == "undecided"
        assert found.reason == "never: the model does not show it: 0"


def test_no_more_may_go_than_there_are() -> None:
    most = len(SPEC.model.shape.components())
    stated("minimal", at_most=most - 1)
    with pytest.raises(ValidationError, match=f"at_most is {most}; the model has {most} comp"):
        stated("minimal", at_most=most)


@pytest.mark.parametrize("kind", ["faithfulness", "equivalence", "effect", "minimal", "complete"])
@pytest.mark.parametrize("whole", [0.4, 0.1])
def test_no_share_of_what_is_not_told_from_nothing_is_judged(kind: str, whole: float) -> None:
    found = judged(stated(kind, **LACKING[kind]), behaving(Says(whole=whole)))
    assert found.verdict == "undecided"
    assert "m(M) - m(0) is not clearly off zero" in found.reason
    assert judged(stated(kind, **LACKING[kind]), behaving()).verdict == "holds"


def test_a_word_is_not_shown_of_what_is_not_told_from_nothing() -> None:
    found = judged(stated("matters", **LACKING["matters"]), behaving(Says(whole=0.4)))
    assert found.verdict == "undecided"
    assert "is not clearly more than without any" in found.reason


@pytest.mark.parametrize("kind", ["faithfulness", "equivalence", "beats_matched"])
def test_of_a_rival_that_selects_nothing_only_its_own_comparison_is_not_judged(kind: str) -> None:
    evidence = behaving()
    ran = behaved_in(evidence)
    circuits = {name: nodes for name, nodes in ran.circuits.items() if name != "effect"}
    lacking = replace(ran, circuits=circuits, unselected={"effect": "no MLP reaches it"})
    assert evidence.measured is not None
    names = {"names": lacking}
    without = with_interventions(SPEC, Interventions(evidence.measured.provenance, names))
    of_rival = judged(stated(kind, **LACKING[kind] | {"circuit": "effect"}), without)
    assert (of_rival.verdict, of_rival.reason) == (
        "undecided",
        "effect was not run: no MLP reaches it",
    )
    assert judged(stated(kind, **LACKING[kind]), without).verdict == "holds"


@pytest.mark.parametrize("kind", ["faithfulness", "equivalence"])
@pytest.mark.parametrize(
    "cell", [{"value": "mean"}, {"direction": "restore"}, {"positions": "text"}]
)
def test_a_cell_that_was_not_run_is_not_judged(kind: str, cell: dict[str, Any]) -> None:
    check = stated(kind, **LACKING[kind], **cell)
    found = judged(check, behaving())
    setting = Setting("interchange", "ablate", "all")._replace(**cell)
    assert found.verdict == "undecided"
    assert found.reason == f"mine was not run in this cell: {setting}, ratio of means"


def test_the_stated_cell_is_the_experiments_where_not_said() -> None:
    check = stated("faithfulness", circuit="mine", percent="95")
    assert judged(check, behaving(EXACT, RESTORED)).verdict == "holds"
    there = stated("faithfulness", circuit="mine", percent="60", value="zero")
    assert judged(there, behaving(EXACT)).verdict == "holds"
    assert "zero" in judged(there, behaving(EXACT)).reason


@pytest.mark.parametrize("kind", ["faithfulness", "beats_matched"])
def test_a_rival_that_was_not_run_is_not_judged(kind: str) -> None:
    keys = LACKING[kind] | {"circuit": "effect"}
    found = judged(stated(kind, **keys), behaving())
    assert found.verdict == "undecided"
    assert found.reason.startswith("effect was not run ")


def test_a_mean_of_ratios_to_nothing_is_not_judged() -> None:
    behaved = behaved_of(PLAIN)
    ran = behaved.settings[behaved.judged]
    full = ran.full.copy()
    full[3] = ran.empty[3]
    settings = {**behaved.settings, behaved.judged: replace(ran, full=full)}
    evidence = behaving(behaved=replace(behaved, settings=settings))
    check = stated("faithfulness", circuit="mine", percent="95", averaging="mean of ratios")
    found = judged(check, evidence)
    assert found.verdict == "undecided"
    assert "of a pair is 0" in found.reason
    assert (
        judged(stated("faithfulness", circuit="mine", at_least="80"), evidence).verdict == "holds"
    )


def test_two_clusters_decide_no_bound() -> None:
    evidence = behaving()
    assert evidence.measured is not None
    two = replace(evidence.measured, clusters=np.arange(N_PAIRS) % 2)
    evidence = replace(evidence, results={"mine": two})
    assert judged(stated("behaviour", at_least="1.5"), evidence).verdict == "undecided"
    assert judged(stated("behaviour", right="100"), evidence).verdict == "holds"


def test_the_rank_is_of_the_sign_and_without_the_input() -> None:
    says = Says(effects={"input": 0.9, "m0": 0.5, "m1": 0.6, "a1.h0": -0.3}, noise=0.0)
    for component, rank in (("m1", 1), ("m0", 2)):
        check = stated("effect", component=component, sign="serves", rank=rank)
        assert judged(check, behaving(says)).verdict == "holds"


def test_what_parts_model_and_circuit_most_is_named() -> None:
    found = judged(stated("complete", within="10"), behaving(Says(gaps={"m0": 0.1, "m1": -0.4})))
    assert "of 2 sets that were tried, m1 (set 1) parts the two most" in found.reason
    assert found.measured == pytest.approx(-40, abs=3)


def test_more_than_can_be_named_could_go() -> None:
    found = judged(stated("minimal"), behaving(Says(inside={"a1.h1": 0.0, "m0": 0.0})))
    assert "of 3 components 2 could go (m0, a1.h1)" in found.reason
    assert found.measured == 2


def test_evidence_that_can_decide_is_a_run() -> None:
    claim = Claim.model_validate(
        {
            "id": "X1", "made_by": "me", "source": "a paper", "statement": "It is so.",
            "check": [{"kind": "minimal", "behaviour": "names"}],
        },
        context=KNOWN,
    )  # fmt: skip
    assert judged_on(claim, SPEC) == ["published", "recorded", "live"]
    assert judged_on(claim, SPEC.model_copy(update={"results": {}})) == ["recorded", "live"]


def test_measured_figures_are_plain_data() -> None:
    for kind, keys in LACKING.items():
        found = judged(stated(kind, **keys), behaving())
        measured = found.measured if isinstance(found.measured, dict) else {"it": found.measured}
        assert all(isinstance(one, int | float | str) for one in measured.values()), kind
        assert not any(isinstance(one, np.generic) for one in measured.values()), kind


def refusal(kind: str, **keys: Any) -> str:
    with pytest.raises((ValidationError, ValueError)) as caught:
        stated(kind, **keys)
    return str(caught.value)


REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("minimal", {"behaviour": "faces"},
     "the experiment has no behaviour 'faces'; it has names, never"),
    ("faithfulness", {"circuit": "yours", "at_least": "1"},
     "no circuit that is kept alone 'yours'; it has mine, effect, other"),
    ("beats_matched", {"circuit": "attribution"}, "that is kept alone 'attribution'"),
    ("behaviour", {"on": "fourth", "at_least": "1"},
     "the experiment has no counterpart 'fourth'; it has other, third"),
    ("behaviour", {"on": "one", "at_least": "1"}, "no counterpart 'one'"),
    ("effect", {"component": "m2", "sign": "serves"}, "m2"),
    ("effect", {"component": "input", "sign": "serves"}, "the input is not scored"),
    ("effect", {"component": "m0", "sign": "helps"}, "Input should be 'serves' or 'against'"),
    ("effect", {"component": "m0", "sign": "serves", "among": "head"},
     "m0 is not among the components ranked, head"),
    ("effect", {"component": "m0", "sign": "serves", "rank": 0}, "greater than 0"),
    ("effect", {"component": "m0"}, "sign"),
    ("matters", {"component": "a0.h3", "word": "necessary"}, "a0.h3"),
    ("matters", {"component": "m0", "word": "vital"}, "Input should be 'against', 'necessary'"),
    ("behaviour", {}, "expected value, right or at_least"),
    ("behaviour", {"tolerance": "1"}, "expected value, right or at_least"),
    ("behaviour", {"right": "101"}, "expected at most 100 percent"),
    ("behaviour", {"value": "two"}, "is not a plain decimal number"),
    ("faithfulness", {"circuit": "mine"}, "expected percent, at_least or at_most"),
    ("faithfulness", {"circuit": "mine", "percent": "90", "tolerance": "-1"}, "tolerance cannot"),
    ("faithfulness", {"circuit": "mine", "percent": "90", "value": "noise"}, "value"),
    ("faithfulness", {"circuit": "mine", "percent": "90", "averaging": "median"}, "averaging"),
    ("equivalence", {"circuit": "mine"}, "within"),
    ("equivalence", {"circuit": "mine", "within": "-1"}, "a percentage cannot be negative"),
    ("beats_matched", {"circuit": "mine", "level": "0"}, "expected a level between 0 and 1"),
    ("beats_matched", {"circuit": "mine", "level": "1"}, "expected a level between 0 and 1"),
    ("beats_matched", {"circuit": "mine", "level": "1.5"}, "expected a level between 0 and 1"),
    ("minimal", {"at_most": -1}, "greater than or equal to 0"),
    ("minimal", {"at_most": "1"}, "valid integer"),
    ("complete", {}, "within"),
    ("complete", {"within": "10", "by": "me"}, "Extra inputs are not permitted"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "keys", "reason"), REFUSALS, ids=[f"{one[0]}-{one[2]}" for one in REFUSALS]
)
def test_what_no_check_states_is_refused(kind: str, keys: dict[str, Any], reason: str) -> None:
    assert reason in refusal(kind, **keys)


def test_a_percentage_may_be_beyond_what_there_is() -> None:
    """Published faithfulness is at times below 0 or above 100%."""
    for percent in ("-4", "130"):
        assert stated("faithfulness", circuit="mine", percent=percent)
    assert stated("matters", component="input", word="necessary")


def test_tolerances_are_told_in_their_units() -> None:
    assert stated("behaviour", value="2", tolerance="0.3").describe_tolerance() == "± 0.3"
    faithful = stated("faithfulness", circuit="mine", percent="94", tolerance="2")
    assert faithful.describe_tolerance() == "± 2%"
    assert stated("minimal").describe_tolerance() == "none"
    assert behaved_in(behaving()).judged == SPEC.ablation.cell.setting
