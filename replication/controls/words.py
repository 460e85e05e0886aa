"""Words: what a component's score can be taken to mean, in one word, with the reason.

The first of artefact, unstable and specific that applies, else not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from replication.circuits.intervals import Interval, Verdict, exact
from replication.controls.length import Length
from replication.controls.not_computed import NotComputed
from replication.controls.null import Null
from replication.controls.published_length import PublishedLength
from replication.controls.stability import Stability
from replication.controls.thresholds import THRESHOLDS
from replication.evidence.evidence import Measured

Word = Literal["specific", "artefact", "unstable", "not shown"]
# What a word says of the statement that the score reflects the property.
VERDICTS: Mapping[Word, Verdict] = {
    "specific": "holds",
    "artefact": "refuted",
    "unstable": "undecided",
    "not shown": "undecided",
}


Control = Stability | Null | Length | PublishedLength


@dataclass(frozen=True)
class ComponentControl:
    """The word on a component's score, and why."""

    word: Word
    reason: str


def measured_word(
    index: int,
    is_selected: bool,
    measured: Measured,
    stability: Stability | NotComputed,
    null: Null | NotComputed,
    length: Length | NotComputed,
) -> ComponentControl:
    """The word on the component at this index of a measured result."""
    score = float(measured.means[index])
    if isinstance(length, NotComputed):
        return not_shown(stability=stability, null=null, length=length)
    share = exact(float(length.share[index])) if length.added else None
    if share is not None and _is_artefact(share):
        alone = f"the prompts' lengths alone give {length.alone[index]:.4g} of {score:.4g}"
        return ComponentControl("artefact", f"{alone}: {percent(share.low, share.high)}")
    if isinstance(stability, NotComputed) or isinstance(null, NotComputed):
        return not_shown(share, stability=stability, null=null)

    rate = THRESHOLDS.false_discovery_rate.value
    q_value, fit = float(null.q_value[index]), float(length.fit[index])
    could_be_found = null.smallest_p * len(null.p_value) <= rate
    if fit > THRESHOLDS.length_fit.value and q_value > rate and could_be_found:
        return ComponentControl(
            "artefact",
            f"lengths predict {fit:.0%} of a left-out pair's squared score,"
            f" and the pairs have no direction in common (q = {q_value:.2g})",
        )
    probability = float(stability.probability[index])
    reversed_in = 1 - probability if is_selected else probability
    if reversed_in > 1 - THRESHOLDS.stable_probability.value:
        return ComponentControl("unstable", f"selected in {probability:.0%} of the resamples")

    free = float(length.free_q_value[index])
    compared = (
        f"{null.shuffled[index]:.4g} between the sides, {null.same_side[index]:.4g} within them"
    )
    with_length_out = f"q = {q_value:.2g}; {free:.2g} with length taken out"
    if q_value <= rate and free <= rate:
        explains = f", which explains {percent(share.low, share.high)}" if share else ""
        return ComponentControl("specific", f"{compared} ({with_length_out}{explains})")
    if null.smallest_p > rate:
        return ComponentControl(
            "not shown",
            f"{compared}; {len(measured.pair_scores)} pairs cannot show a difference:"
            f" their smallest possible p is {null.smallest_p:.2g}",
        )
    return ComponentControl("not shown", f"{compared} ({with_length_out})")


def published_word(
    length: PublishedLength | NotComputed, stability: NotComputed, null: NotComputed
) -> ComponentControl:
    """The word on a component of a published result with lengths.

    Mean norms give a share only if the other positions' norms are alike on both sides of a pair,
    so an artefact is one that stays so while they differ by as much as the threshold `breakdown`.
    """
    if isinstance(length, NotComputed):
        return not_shown(length=length)
    if not _is_artefact(length.share):
        return not_shown(length.share, stability=stability, null=null)
    share = f"{length.arithmetic}: {percent(length.share.low, length.share.high)}"
    found = length.breakdown
    if found is None:
        return ComponentControl(
            "artefact", f"{share}, however much the other positions' norms differ between the sides"
        )
    if found > THRESHOLDS.breakdown.value:
        return ComponentControl(
            "artefact",
            f"{share}, unless the other positions' norms differ by more than {float(found):.0%}"
            " between the sides",
        )
    return ComponentControl(
        "not shown",
        f"{share}, if the other positions' norms are alike on both sides; where they differ by"
        f" {float(found):.0%}, it may be as little as {THRESHOLDS.artefact_share.value:.0%}",
    )


def _is_artefact(share: Interval) -> bool:
    return share.low > THRESHOLDS.artefact_share.value


def not_shown(share: Interval | None = None, **controls: Control | NotComputed) -> ComponentControl:
    """What is not shown, for some of these controls are not computed."""
    reasons = [
        f"no {name} control: {control.reason}"
        for name, control in controls.items()
        if isinstance(control, NotComputed)
    ]
    if share is not None:
        reasons.insert(0, f"lengths alone give {percent(share.low, share.high)} of it")
    return ComponentControl("not shown", "; ".join(reasons))


def percent(low: float | Fraction, high: float | Fraction) -> str:
    """A share in percent, both ends where they differ."""
    least, most = (f"{100 * float(end):.0f}" for end in (low, high))
    return f"{least}%" if least == most else f"{least} to {most}%"
