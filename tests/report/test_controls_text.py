from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from replication.controls.thresholds import THRESHOLDS
from replication.controls.verify import verify
from replication.engine.activations import MeanActivations
from replication.evidence.evidence import published_evidence
from replication.experiment.spec import read_experiment
from replication.report.controls_text import controls_markdown, thresholds_markdown
from replication.report.handover import controls_records
from tests.controls.test_verify import activations, spec
from tests.make import evidence_of
from tests.paths import FIXTURES

pytestmark = pytest.mark.numeric


def section(means: MeanActivations, **changes: Any) -> str:
    evidence = evidence_of(spec(**changes), means)
    return "\n".join(controls_markdown(list(controls_records(verify(evidence), evidence))))


def test_a_specific_component_is_named_with_its_reason() -> None:
    text = section(activations(property_=8.0))
    assert "- Specific to the property: m0 (" in text
    assert "- m0: specific: " in text
    assert "cannot be shown" not in text


def test_an_artefact_is_named_with_the_share_that_length_explains() -> None:
    text = section(activations(sink=4000.0))
    assert "explain most of the score of m1 (" in text
    assert "- m1: artefact: lengths alone give " in text


def test_five_pairs_show_nothing_and_the_report_says_why() -> None:
    text = section(activations(5, property_=50.0))
    assert "no p-value is below 0.062: no component can be shown to be specific" in text
    assert "5 pairs show a component that is far above the cut-off, and little else" in text


def test_parts_that_were_not_computed_say_why() -> None:
    text = section(activations(1))
    assert "**Stability**: not computed: one pair has no other to be held against" in text
    assert "**Null**: not computed: one pair has no other to be held against" in text
    assert "**Null circuit**: not computed: one pair has no other to be held against" in text


def test_resamples_on_which_nothing_was_selected_are_reported() -> None:
    rule = {"budget": 1000, "mlp_threshold": 5.5, "input_counts": True}
    text = section(activations(4), selection=rule)
    assert "of the resamples the threshold or the budget could not be met" in text


def test_a_model_that_tells_no_prompts_apart_has_a_report_all_the_same() -> None:
    means = activations()
    dead = MeanActivations(
        np.zeros_like(means.mlp_out),
        np.zeros_like(means.z),
        means.token_lengths,
        MeanActivations(
            np.zeros_like(means.mlp_out), np.zeros_like(means.z), means.token_lengths - 1
        ),
    )
    text = section(dead)
    assert "- **Null**: every score is zero.\n" in text
    assert "| m0 | 0 | 0 to 0 |" in text


def test_every_threshold_stands_in_the_report_with_its_reason() -> None:
    text = "\n".join(thresholds_markdown())
    for threshold in THRESHOLDS:
        assert f"| {threshold.value:g} | {threshold.reason} |" in text


def test_a_published_score_keeps_its_digits() -> None:
    evidence = published_evidence(read_experiment(FIXTURES / "sarcasm-gpt2"))
    text = "\n".join(controls_markdown(list(controls_records(verify(evidence), evidence))))
    assert "| a11.h8 | 3.00 |" in text
    assert "| m2 | 32.4653 |" in text
