from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from replication.circuits.components import ModelShape, head, mlp, parse
from replication.controls.not_computed import NotComputed
from replication.controls.thresholds import THRESHOLDS
from replication.controls.verify import measured_controls, verify
from replication.engine.activations import MeanActivations
from replication.evidence.evidence import (
    Evidence,
    Result,
    published_evidence,
    recorded_evidence,
)
from replication.evidence.lengths import Lengths
from replication.experiment.pairs import Pair
from replication.experiment.spec import Spec, read_experiment
from replication.report.controls_text import controls_markdown, sentences
from replication.report.handover import controls_records
from replication.report.record import ComponentRecord, ControlsRecord
from tests.make import evidence_of, make_spec, measured_of
from tests.paths import FIXTURES

pytestmark = pytest.mark.numeric
SHAPE = ModelShape(n_layers=2, n_heads=2, d_model=16, d_head=8)
N_PAIRS = 20


def spec(**changes: Any) -> Spec:
    return make_spec(SHAPE, **{"verification": {"resamples": 500}, **changes})


def activations(
    n_pairs: int = N_PAIRS, *, property_: float = 0.0, sink: float = 0.0, equal: bool = False
) -> MeanActivations:
    """Noise; MLP 0's means move with the side, and MLP 1's first position is `sink` high."""
    random = np.random.default_rng(0)
    lengths = np.full((n_pairs, 2), 9) if equal else random.integers(6, 20, (n_pairs, 2))
    mlp_out = random.standard_normal((n_pairs, 2, 2, 16))
    z = random.standard_normal((n_pairs, 2, 2, 2, 8))
    mlp_out[:, 0, 0, 3] += property_
    whole = mlp_out.copy()
    whole[:, :, 1, 5] += sink / lengths
    inner = MeanActivations(mlp_out.astype(np.float32), z.astype(np.float32), lengths - 1)
    return MeanActivations(whole.astype(np.float32), z.astype(np.float32), lengths, inner)


def found_on(
    spec: Spec, activations: MeanActivations
) -> tuple[ControlsRecord, dict[str, ComponentRecord]]:
    """The controls on these activations, and what they give of each component."""
    evidence = evidence_of(spec, activations)
    (found,) = controls_records(verify(evidence), evidence)
    return found, {one.component: one for one in found.components}


def words(components: dict[str, ComponentRecord]) -> dict[str, str]:
    return {name: one.word for name, one in components.items()}


def verdict_on(component: str, spec: Spec, activations: MeanActivations) -> str:
    found = verify(evidence_of(spec, activations)).finding(parse(component))
    assert found is not None
    return found.verdict


def test_a_component_that_moves_with_the_side_is_specific_and_the_others_are_not() -> None:
    _, components = found_on(spec(), activations(property_=8.0))
    assert words(components).pop("m0") == "specific"
    assert set(words(components).values()) == {"specific", "not shown"}
    assert list(words(components).values()).count("specific") == 1
    m0 = components["m0"]
    assert m0.q_value is not None
    assert m0.q_value <= THRESHOLDS.false_discovery_rate.value
    assert verdict_on("m0", spec(), activations(property_=8.0)) == "holds"
    assert verdict_on("m1", spec(), activations(property_=8.0)) == "undecided"


def test_a_component_whose_first_position_is_massive_is_an_artefact() -> None:
    _, components = found_on(spec(), activations(sink=4000.0))
    m1 = components["m1"]
    assert m1.word == "artefact"
    assert m1.length_share is not None
    assert m1.length_share[0] > 0.9
    assert m1.score_without_first is not None
    assert m1.score_without_first < m1.score / 5
    assert verdict_on("m1", spec(), activations(sink=4000.0)) == "refuted"


def test_a_sink_that_goes_along_with_the_side_is_no_less_an_artefact() -> None:
    means = activations(sink=4000.0)
    longer = np.sort(means.token_lengths, axis=1)
    inner = means.inner
    assert inner is not None
    mlp_out = inner.mlp_out.copy()
    mlp_out[:, :, 1, 5] += 4000 / longer
    _, components = found_on(spec(), replace(means, mlp_out=mlp_out, token_lengths=longer))
    m1 = components["m1"]
    assert m1.q_value is not None
    assert m1.q_value < 0.05
    assert m1.word == "artefact"


def test_a_score_that_goes_with_length_at_every_position_is_an_artefact() -> None:
    means = activations()
    assert means.inner is not None
    growing = 4 * means.token_lengths
    mlp_out, inner = means.mlp_out.copy(), means.inner.mlp_out.copy()
    for array in (mlp_out, inner):
        array[:, :, 1, 5] += growing
    whole = replace(means, mlp_out=mlp_out, inner=replace(means.inner, mlp_out=inner))
    _, components = found_on(spec(), whole)
    m1 = components["m1"]
    assert m1.length_share is not None
    assert m1.length_share[0] < 0.5
    assert m1.word == "artefact"
    assert m1.reason.startswith("lengths predict 9")
    assert {word for name, word in words(components).items() if name != "m1"} == {"not shown"}


def test_a_cause_on_a_side_that_is_always_longer_is_no_artefact_but_not_shown() -> None:
    means = activations(property_=8.0)
    longer = np.stack([means.token_lengths.max(axis=1) + 5, np.full(N_PAIRS, 6)], axis=1)
    _, components = found_on(spec(), replace(means, token_lengths=longer))
    m0 = components["m0"]
    assert m0.length_fit is not None
    assert m0.length_fit > 0.5
    assert m0.word in ("not shown", "specific")


@pytest.mark.parametrize("n_pairs", [5, 6])
def test_a_cause_that_so_few_pairs_cannot_show_is_no_artefact(n_pairs: int) -> None:
    """Where no direction could have been found, that none was found says nothing."""
    means = activations(n_pairs, property_=30.0)
    longer = np.stack([means.token_lengths.max(axis=1) + 5, np.full(n_pairs, 6)], axis=1)
    _, components = found_on(spec(), replace(means, token_lengths=longer))
    m0 = components["m0"]
    assert m0.length_fit is not None
    assert m0.length_fit > 0.5
    assert m0.q_value is not None
    assert m0.q_value > 0.05
    assert m0.word == "not shown"


def test_with_five_pairs_nothing_is_specific_and_the_reason_says_so() -> None:
    _, components = found_on(spec(), activations(5, property_=50.0))
    m0 = components["m0"]
    assert m0.p_value == 1 / 16
    assert m0.word == "not shown"
    assert "5 clusters of pairs cannot show a difference" in m0.reason


def test_a_component_near_the_cut_is_unstable() -> None:
    rule = {"budget": 16 * 3 + 8 * 2, "mlp_threshold": 0.0, "input_counts": True}
    found, components = found_on(spec(selection=rule), activations())
    assert found.stability is not None
    near_cut = found.stability.near_cut
    assert near_cut
    assert all(words(components)[name] == "unstable" for name in near_cut)
    one = components[near_cut[0]]
    assert verdict_on(one.component, spec(selection=rule), activations()) == "undecided"
    assert f"selected in {one.selection_probability:.0%} of the resamples" in one.reason


def test_where_all_prompts_are_of_one_length_a_component_can_be_specific() -> None:
    found, components = found_on(spec(), activations(property_=8.0, equal=True))
    assert set(found.not_computed) == {"random weights"}
    m0 = components["m0"]
    assert (m0.word, m0.length_score) == ("specific", 0)
    assert m0.property_interval is not None
    assert m0.property_interval[0] > THRESHOLDS.property_share.value


def test_a_property_that_makes_little_of_a_score_differs_and_is_not_called_specific() -> None:
    """A small shift that many pairs show for certain."""
    _, components = found_on(spec(), activations(60, property_=2.0))
    m0 = components["m0"]
    assert (m0.q_value or 1) < 0.05
    assert (m0.controlled_q_value or 1) < 0.05
    assert m0.property_share is not None
    assert 0 < m0.property_share < 0.25
    assert m0.word == "differs"
    assert verdict_on("m0", spec(), activations(60, property_=2.0)) == "undecided"


def marked(n_pairs: int) -> list[Pair]:
    """Pairs of texts that have nothing in common but what stands in front of the first ones."""
    return [Pair(f"oh {2 * number}", str(2 * number + 1)) for number in range(n_pairs)]


def test_a_mark_that_tells_the_sides_apart_takes_the_word_specific_from_all() -> None:
    measured = measured_of(spec(), activations(property_=8.0), pairs=marked(N_PAIRS))
    found = measured_controls(spec(), measured)
    assert found.words[parse("m0")].word == "differs"
    assert "but 'oh' on 100% of the one prompts and 0% of the other ones" in (
        found.words[parse("m0")].reason
    )
    assert {one.mark for one in found.markers} == {"'oh'", "'oh' in front"}


def test_pairs_written_several_times_show_no_more_than_once() -> None:
    """Five pairs, each four times: with them as twenty, most would be called specific."""
    once = activations(5, property_=8.0)
    again = repeated(once, 4)
    clusters = [number for number in range(5) for _ in range(4)]
    found = measured_controls(spec(), measured_of(spec(), again, clusters))
    assert {one.word for one in found.words.values()} <= {"not shown", "unstable"}
    taken_for_more = measured_controls(spec(), measured_of(spec(), again))
    assert "specific" in {one.word for one in taken_for_more.words.values()}


def repeated(means: MeanActivations, times: int) -> MeanActivations:
    """Every pair so many times, one behind the other."""
    return MeanActivations(
        np.repeat(means.mlp_out, times, axis=0),
        np.repeat(means.z, times, axis=0),
        np.repeat(means.token_lengths, times, axis=0),
        means.inner and repeated(means.inner, times),
    )


def test_pairs_that_all_hang_together_show_nothing() -> None:
    measured = measured_of(spec(), activations(property_=8.0), [0] * N_PAIRS)
    found = measured_controls(spec(), measured)
    assert isinstance(found.null, NotComputed)
    assert f"the {N_PAIRS} pairs hang together" in found.null.reason
    assert {one.word for one in found.words.values()} == {"not shown"}


def test_length_that_works_against_a_larger_property_makes_no_artefact() -> None:
    """A property two and a half times the length effect, in the opposite direction."""
    random, n_pairs = np.random.default_rng(3), 24
    short = random.integers(8, 20, n_pairs)
    lengths = np.stack([short, short + random.integers(4, 12, n_pairs)], axis=1)
    means = activations(n_pairs)
    assert means.inner is not None
    step = (1 / lengths[:, 0] - 1 / lengths[:, 1]).mean()
    inner = means.inner.mlp_out.copy()
    inner[:, 0, 1, 5] += 50
    whole = inner.copy()
    whole[:, :, 1, 5] -= 20 / step / lengths
    run = MeanActivations(whole, means.z, lengths, MeanActivations(inner, means.z, lengths - 1))
    _, components = found_on(spec(), run)
    m1 = components["m1"]
    assert m1.length_share is not None
    assert m1.length_score is not None
    assert m1.length_score > m1.score / 2
    assert m1.length_share[0] < 0
    assert m1.word != "artefact"
    assert "they work against the rest" in m1.reason


def test_one_pair_is_too_few_for_anything_but_the_length_control() -> None:
    found, components = found_on(spec(), activations(1, sink=4000.0))
    assert (found.stability, found.null) == (None, None)
    lacking = {"stability", "null", "null circuit", "property", "random weights"}
    assert set(found.not_computed) == lacking
    m0, m1 = components["m0"], components["m1"]
    assert (m0.interval, m0.p_value, m0.word) == (None, None, "not shown")
    assert "give two or more" in m0.reason
    assert m1.word == "artefact"


def test_two_pairs_are_held_against_each_other() -> None:
    found, components = found_on(spec(), activations(2))
    assert set(found.not_computed) == {"null circuit", "random weights"}
    assert components["m0"].p_value is not None
    # Two lengths that differ in two ways leave nothing of two pairs.
    assert components["m0"].property_share is None
    assert components["m0"].interval is None


def test_prompts_of_a_single_position_leave_the_length_control_nothing() -> None:
    means = activations()
    assert means.inner is not None
    lengths = means.inner.token_lengths.copy()
    lengths[0, 0] = 0
    inner = replace(means.inner, token_lengths=lengths)
    found, _ = found_on(spec(), replace(means, inner=inner))
    reason = "a prompt has no position of its own text"
    del found.not_computed["random weights"]
    assert found.not_computed == {"length": reason, "property": reason}


def test_the_score_on_matched_pairs_is_that_of_the_pairs_of_one_length() -> None:
    means = activations()
    lengths = means.token_lengths.copy()
    lengths[[2, 7], 0] = lengths[[2, 7], 1]
    found, _ = found_on(spec(), replace(means, token_lengths=lengths))
    assert found.length is not None
    assert found.length.matched_pairs == [3, 8, 15]
    for one in found.components:
        assert one.by_pair is not None
        matched = [one.by_pair[pair - 1] for pair in found.length.matched_pairs]
        assert one.matched_score == pytest.approx(np.mean(matched))


def test_a_selection_that_cannot_be_met_without_the_first_position_says_so() -> None:
    rule = {"budget": 1000, "mlp_threshold": 100.0, "input_counts": True}
    found, _ = found_on(spec(selection=rule), activations(sink=9000.0))
    assert found.length is not None
    assert found.length.circuit_without_first == []
    assert found.length.no_circuit.startswith("no MLP reaches the threshold of 100")


def test_the_same_seed_gives_the_same_controls_and_another_others() -> None:
    rule = {"budget": 16 * 3 + 8 * 2, "mlp_threshold": 0.0, "input_counts": True}
    (first, _), (again, _) = (found_on(spec(selection=rule), activations()) for _ in range(2))
    assert first == again
    other = spec(selection=rule, verification={"resamples": 500, "seed": 1})
    assert found_on(other, activations())[0].halves != first.halves


def published() -> Evidence:
    return published_evidence(read_experiment(FIXTURES / "sarcasm-gpt2"))


def on_published(evidence: Evidence) -> dict[str, ControlsRecord]:
    return {one.result: one for one in controls_records(verify(evidence), evidence)}


def test_published_norms_leave_open_whether_mlp_2_reflects_sarcasm() -> None:
    evidence = published()
    shares = {
        (result, one.component): one.length_share
        for result, found in on_published(evidence).items()
        for one in found.components
    }
    # Fractions of the published figures, to three digits.
    assert shares["original", "m2"] == pytest.approx([0.979, 0.986], abs=0.001)
    assert shares["replication", "m2"] == pytest.approx([0.955, 0.962], abs=0.001)
    high = shares["original", "m11"]
    assert high is not None
    assert high[1] < 1 / 3
    finding = verify(evidence).finding(mlp(2))
    assert finding is not None
    assert finding.verdict == "undecided"
    for figure in (
        "243.6318 over 10 tokens",
        "204.4037 over 12",
        "2362",
        "0.01350",
        "32.4653",
        "98 to 99%, if the other positions' norms are alike on both sides",
        "where they differ by 17%, it may be as little as 50%",
        "on pair 1 39.228 to 39.5036, which misses the published 38.477",
    ):
        assert figure in finding.reason


def test_the_text_on_published_norms_says_how_far_their_assumption_may_fail() -> None:
    evidence = published()
    text = "\n".join(controls_markdown(list(controls_records(verify(evidence), evidence))))
    assert "m2 (98 to 99%; 50% where the other positions' norms differ by 17%), m1 (81 to" in text
    assert "- m2: not shown: mean norms of 243.6318" in text


def changed(evidence: Evidence, **lengths: Lengths | None) -> Evidence:
    """The evidence with other published lengths."""
    results = {
        name: replace(result, lengths=lengths.get(name, result.lengths))
        for name, result in evidence.results.items()
    }
    return replace(evidence, results=results)


@pytest.mark.parametrize("case", ["no norms", "one side", "no lengths", "equal lengths"])
def test_what_was_not_published_decides_nothing(case: str) -> None:
    evidence = published()
    original = evidence.results["original"].lengths
    assert original is not None
    half = {
        pair: {component: (one, None) for component, (one, _) in norms.items()}
        for pair, norms in original.mean_norms.items()
    }
    reason, lengths = {
        "no norms": ("no mean norm of m2 was published", replace(original, mean_norms={})),
        "one side": ("for one side only", replace(original, mean_norms=half)),
        "no lengths": ("token lengths were not published", None),
        "equal lengths": ("has nothing to see", replace(original, token_lengths=[(9, 9)])),
    }[case]
    other = None if lengths is None else replace(lengths, mean_norms={})
    without = changed(evidence, original=lengths, replication=other)
    finding = verify(without).finding(mlp(2))
    assert finding is not None
    assert finding.verdict == "undecided"
    assert reason in finding.reason
    assert "m2" in {one.component for one in on_published(without)["original"].components}


def test_results_that_disagree_decide_nothing() -> None:
    evidence = published()
    lengths = evidence.results["replication"].lengths
    assert lengths is not None
    matched = replace(lengths, token_lengths=[(9, 9), (9, 9), (30, 31)])
    finding = verify(changed(evidence, replication=matched)).finding(mlp(2))
    assert finding is not None
    assert finding.verdict == "undecided"
    assert finding.reason.startswith("original: not shown: mean norms of ")
    assert "; replication: not shown: " in finding.reason


def test_nothing_is_known_of_a_component_that_no_result_lists() -> None:
    assert verify(published()).finding(mlp(2)) is not None
    assert verify(published()).finding(head(0, 11)) is None


def test_minilm_has_every_control_on_recorded_evidence() -> None:
    experiment = read_experiment(FIXTURES / "sarcasm-minilm")
    evidence = recorded_evidence(experiment, published_evidence(experiment))
    (found,) = controls_records(verify(evidence), evidence)
    assert found.not_computed == {}
    assert (found.pairs, found.clusters) == (5, 5)
    assert len(found.components) == 78
    for one in found.components:
        assert one.interval is not None
        assert one.interval[0] <= one.score <= one.interval[1]
        assert one.p_value is not None
        assert one.p_value >= 1 / 16
    measured = evidence.measured
    assert measured is not None
    assert {one.component: one.score for one in found.components} == {
        str(component): float(score.middle) for component, score in measured.scores.scores.items()
    }
    assert {one.component for one in found.components if one.selected} == set(
        map(str, measured.circuit.nodes[1:])
    )
    said = " ".join(line for _, line in sentences(found))
    assert "With the 2 tokens that are added to a prompt left out of the means, " in said


def test_the_agreement_is_with_every_other_circuit() -> None:
    evidence = published()
    found = on_published(evidence)
    assert not found["original"].chance
    assert [(one.left, one.among) for one in found["replication"].chance] == [
        ("original", "mlp"),
        ("original", "head"),
        ("original", "all"),
    ]
    alone = replace(evidence, results={"replication": evidence.results["replication"]})
    assert not on_published(alone)["replication"].chance
    assert not verify(replace(evidence, results={"original": Result()})).results


def test_without_a_token_in_front_no_share_is_told_from_the_text() -> None:
    means = activations(sink=4000.0)
    bare = replace(means, inner=replace(means, inner=None))
    record, components = found_on(spec(), bare)
    m1 = components["m1"]
    assert record.length is not None
    assert record.length.added == 0
    assert record.length.circuit_without_first == []
    assert (m1.length_share, m1.length_score, m1.score_without_first) == (None, None, None)
    # What lengths predict of a left-out pair is seen all the same.
    assert m1.word == "artefact"
    (said,) = [line for heading, line in sentences(record) if heading == "Length"]
    assert "No token is added to their text, so what lengths alone give at the first" in said
    assert "explain most" not in said
