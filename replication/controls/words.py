"""Words: what a component's score can be taken to mean, in one word, with the reason.

The first of artefact, unstable, specific and differs that applies, else not shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from replication.circuits.intervals import Interval, Verdict
from replication.controls.length import Length
from replication.controls.markers import Marker
from replication.controls.not_computed import NotComputed
from replication.controls.null import Null
from replication.controls.property import Property
from replication.controls.published_length import PublishedLength
from replication.controls.stability import Stability
from replication.controls.thresholds import THRESHOLDS
from replication.evidence.evidence import Measured
from replication.experiment.clusters import count_of

Word = Literal["specific", "differs", "artefact", "unstable", "not shown"]
# What a word says of the statement that the score reflects the property.
VERDICTS: Mapping[Word, Verdict] = {
    "specific": "holds",
    "differs": "undecided",
    "artefact": "refuted",
    "unstable": "undecided",
    "not shown": "undecided",
}


Control = Stability | Null | Property | Length | PublishedLength


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
    shown: Property | NotComputed,
    length: Length | NotComputed,
    markers: Sequence[Marker],
) -> ComponentControl:
    """The word on the component at this index of a measured result."""
    if isinstance(length, NotComputed):
        return not_shown(stability=stability, null=null, property=shown, length=length)
    by_length = _length_says(index, float(measured.means[index]), length)
    if length.share[index] > THRESHOLDS.artefact_share.value:
        return ComponentControl("artefact", by_length)
    if (
        isinstance(stability, NotComputed)
        or isinstance(null, NotComputed)
        or isinstance(shown, NotComputed)
    ):
        lacking = not_shown(stability=stability, null=null, property=shown)
        return ComponentControl("not shown", _joined(by_length, lacking.reason))

    rate = THRESHOLDS.false_discovery_rate.value
    q_value, fit = float(null.q_value[index]), float(length.fit[index])
    could_be_found = null.smallest_p * len(null.p_value) <= rate
    if fit > THRESHOLDS.length_fit.value and q_value > rate and could_be_found:
        return ComponentControl(
            "artefact",
            f"lengths predict {fit:.0%} of left-out pairs' squared scores,"
            f" and the pairs have no direction in common (q = {q_value:.2g})",
        )
    probability = float(stability.probability[index])
    reversed_in = 1 - probability if is_selected else probability
    if reversed_in > 1 - THRESHOLDS.stable_probability.value:
        return ComponentControl("unstable", f"selected in {probability:.0%} of the resamples")

    return _shown(index, measured, null, shown, by_length, markers)


def _shown(
    index: int,
    measured: Measured,
    null: Null,
    shown: Property,
    by_length: str,
    markers: Sequence[Marker],
) -> ComponentControl:
    """What is shown of a component that is no artefact, and stably in the circuit or out of it."""
    rate, bound = THRESHOLDS.false_discovery_rate.value, THRESHOLDS.property_share.value
    q_value, free = float(null.q_value[index]), float(shown.q_value[index])
    tested = f"(q = {q_value:.2g}; {free:.2g} with length taken out)"
    said = _joined(f"{_made(index, shown)} {tested}", by_length)
    if q_value <= rate and free <= rate:
        if not shown.interval[0, index] > bound:
            return ComponentControl("differs", f"{said}; it may make less than {percent(bound)}")
        if markers:
            named = "; ".join(marker.described for marker in markers)
            return ComponentControl("differs", f"{said}; but {named}")
        return ComponentControl("specific", said)
    if null.smallest_p > rate:
        return ComponentControl(
            "not shown",
            f"{said}; {count_of(measured.clusters)} clusters of pairs cannot show a difference:"
            f" their smallest possible p is {null.smallest_p:.2g}",
        )
    return ComponentControl("not shown", said)


def _made(index: int, shown: Property) -> str:
    """How much of the squared score the property makes."""
    share, (low, high) = float(shown.share[index]), shown.interval[:, index]
    if np.isnan(share):
        return "lengths leave nothing of it to be told from them"
    ends = "" if np.isnan(low) else f" ({percent(low, high)})"
    return f"the property makes {percent(max(0, share))} of the squared score{ends}"


def _length_says(index: int, score: float, length: Length) -> str:
    """What length gives, and what is left without it; nothing where no token was added."""
    alone, without = float(length.alone[index]), float(length.without_first[index])
    if not length.added or not alone:
        return ""
    said = f"lengths alone give {alone:.4g} of {score:.4g}, and {without:.4g} is left without them"
    if without > score:
        return f"{said}: they work against the rest"
    return f"{said}: {percent(length.share[index])} of the squared score"


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


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


def percent(low: float | Fraction, high: float | Fraction | None = None) -> str:
    """A share in percent, both ends where it has two that differ."""
    high = low if high is None else high
    least, most = (f"{100 * float(end):.0f}" for end in (low, high))
    return f"{least}%" if least == most else f"{least} to {most}%"
