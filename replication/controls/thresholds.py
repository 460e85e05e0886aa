"""Thresholds: every bound that a word, a verdict or a sentence of the controls rests on."""

from __future__ import annotations

from typing import NamedTuple


class Threshold(NamedTuple):
    """A bound, and why it is this one."""

    value: float
    reason: str


class Thresholds(NamedTuple):
    """The bounds by name; the report lists them in this order."""

    artefact_share: Threshold
    length_fit: Threshold
    false_discovery_rate: Threshold
    property_share: Threshold
    marker_present: Threshold
    marker_absent: Threshold
    stable_probability: Threshold
    confidence: Threshold
    fewest_clusters: Threshold
    few_clusters: Threshold
    breakdown: Threshold
    effect_share: Threshold
    sufficient_share: Threshold


THRESHOLDS = Thresholds(
    artefact_share=Threshold(
        0.5, "length explains most of a score if more than half of its square goes with it"
    ),
    length_fit=Threshold(
        0.5, "a score goes with length if lengths predict most of left-out pairs' squared scores"
    ),
    false_discovery_rate=Threshold(
        0.05, "of the components found to exceed their null, at most one in twenty by chance"
    ),
    property_share=Threshold(
        0.25, "a property that makes a quarter of the squared score makes half of the score"
    ),
    marker_present=Threshold(
        0.8, "a mark tells the sides apart if it stands on four of five prompts of one side"
    ),
    marker_absent=Threshold(0.2, "and on one of five of the other side at most"),
    stable_probability=Threshold(
        0.95, "a selection is stable if at most one resample in twenty reverses it"
    ),
    confidence=Threshold(0.95, "intervals are to contain the true mean in 19 of 20 replications"),
    fewest_clusters=Threshold(2, "one cluster of pairs has no other to be held against"),
    few_clusters=Threshold(
        20, "with fewer the report warns that intervals are wide and little can be shown"
    ),
    breakdown=Threshold(
        0.25,
        "that two texts' norms behind the first position are alike to within a quarter is more than"
        " their mean norms say",
    ),
    effect_share=Threshold(
        0.05,
        "a component counts if a twentieth of the behaviour goes with it; less is as good as none",
    ),
    sufficient_share=Threshold(
        0.8, "a circuit suffices if alone it keeps four fifths of the behaviour"
    ),
)
