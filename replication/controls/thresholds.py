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
    stable_probability: Threshold
    confidence: Threshold
    fewest_pairs: Threshold
    few_pairs: Threshold
    breakdown: Threshold


THRESHOLDS = Thresholds(
    artefact_share=Threshold(
        0.5, "length explains most of a score if it alone gives more than half of it"
    ),
    length_fit=Threshold(
        0.5, "a score goes with length if lengths predict most of a left-out pair's squared score"
    ),
    false_discovery_rate=Threshold(
        0.05, "of the components found to exceed their null, at most one in twenty by chance"
    ),
    stable_probability=Threshold(
        0.95, "a selection is stable if at most one resample in twenty reverses it"
    ),
    confidence=Threshold(0.95, "intervals are to contain the true mean in 19 of 20 replications"),
    fewest_pairs=Threshold(2, "one pair has no other to be held against"),
    few_pairs=Threshold(
        20, "with fewer pairs the report warns that intervals are wide and little can be shown"
    ),
    breakdown=Threshold(
        0.25,
        "that two texts' norms behind the first position are alike to within a quarter is more than"
        " their mean norms say",
    ),
)
