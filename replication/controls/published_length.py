"""Length, from published norms alone: what the first position gives, and its share of a score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from replication.circuits.components import Component
from replication.circuits.intervals import Interval, equals, show
from replication.circuits.scores import ScoreTable
from replication.controls.not_computed import NotComputed
from replication.controls.thresholds import THRESHOLDS
from replication.evidence.lengths import Lengths


class NoPrediction(Exception):
    """The published figures do not say what length alone gives; the message says why."""


@dataclass(frozen=True)
class Side:
    """One prompt's norms: their sum over the positions, and how many follow the first."""

    total: Interval
    after_first: int


@dataclass(frozen=True)
class FirstPosition:
    """The norms at the first position and at the others, from the mean norms on one pair."""

    pair: int
    sides: tuple[Side, Side]
    first: Interval
    others: Interval
    arithmetic: str

    @property
    def step(self) -> Interval:
        """The norm of the difference of the two: between |first - others| and their sum."""
        return Interval(
            abs(self.first + self.others.scaled(-1)).low, (self.first + self.others).high
        )


def first_position(lengths: Lengths, component: Component) -> FirstPosition:
    """The norm at the first position that a pair's published mean norms give.

    If the first position has norm F on both prompts and every other one O, then the mean norms are
    N = (F + (T - 1) O) / T and N' = (F + (T' - 1) O) / T', two equations in F and O.

    Raises:
        NoPrediction: there are no such norms, of one side only, or of prompts of one length; or no
            such F and O exist.
    """
    pair = next((pair for pair, norms in lengths.mean_norms.items() if component in norms), None)
    if pair is None:
        raise NoPrediction(f"no mean norm of {component} was published")
    one, other = lengths.mean_norms[pair][component]
    if one is None or other is None:
        raise NoPrediction(
            f"the mean norm of {component} on pair {pair} was published for one side only"
        )
    t, u = lengths.token_lengths[pair - 1]
    if t == u:
        raise NoPrediction(
            f"both prompts of pair {pair} have {t} tokens: its norms cannot tell the first position"
        )
    others = (one.scaled(t) + other.scaled(-u)).scaled(Fraction(1, t - u))
    first = one.scaled(t) + others.scaled(1 - t)
    if others.low < 0 or first.low < 0:
        raise NoPrediction(
            f"the mean norms of {component} on pair {pair} fit no norm of a first position that is"
            " alike on both prompts, with all others alike"
        )
    return FirstPosition(
        pair,
        (Side(one.scaled(t), t - 1), Side(other.scaled(u), u - 1)),
        first,
        others,
        f"mean norms of {float(one.middle):.7g} over {t} tokens and {float(other.middle):.7g}"
        f" over {u} (pair {pair}) give a norm of {float(first.middle):.4g} at the first position"
        f" and of {float(others.middle):.3g} at every other one",
    )


def breakdown(position: FirstPosition, step: Fraction) -> Fraction | None:
    """How much the other positions may differ between the sides before the step is this small.

    With the norm O at the other positions of one prompt and O' at those of the other, the mean
    norms say N T = F + (T - 1) O and N' T' = F + (T' - 1) O', three unknowns in two equations. The
    norm of the difference between the first position and another is then as low as F - max(O, O')
    or min(O, O') - F, or zero in between. This is the smallest |O - O'| / max(O, O') at which that
    is `step` or less, over all values that the norms' digits allow, exactly: at a given F the
    nearest O and O' are linear in it piece by piece, so the extremes lie where two pieces meet.
    None where no difference below 100% does it, as for a prompt of one position, which is F.
    """
    one, other = position.sides
    found = [*_differences(one, other, step), *_differences(other, one, step)]
    return min((difference for difference in found if difference < 1), default=None)


def _differences(larger: Side, smaller: Side, step: Fraction) -> Iterable[Fraction]:
    """1 - O' / O at every F where two bounds meet, with the larger norm O on the `larger` side."""
    if not larger.after_first or not smaller.after_first:
        return
    zero, near, far = (Fraction(0), Fraction(0)), (Fraction(1), -step), (Fraction(1), step)
    least, most = (_line(larger, end) for end in ("low", "high"))
    other_least, other_most = (_line(smaller, end) for end in ("low", "high"))
    bounds = [zero, near, far, least, most, other_least, other_most]
    meetings = {
        (other_start - start) / (slope - other_slope)
        for (slope, start), (other_slope, other_start) in combinations(bounds, 2)
        if slope != other_slope
    }
    for first in {Fraction(0), *meetings}:
        low, high = max(_at(one, first) for one in (zero, near, least)), _at(most, first)
        other_low = max(_at(one, first) for one in (zero, other_least))
        other_high = min(_at(one, first) for one in (far, other_most))
        if first < 0 or low > high or other_low > other_high:
            continue
        if other_high < low:
            yield 1 - other_high / low
        elif other_low <= high:
            yield Fraction(0)


def _line(side: Side, end: str) -> tuple[Fraction, Fraction]:
    """The norm at the other positions, as slope and start over F: (total - F) / (T - 1)."""
    total: Fraction = getattr(side.total, end)
    return Fraction(-1, side.after_first), total / side.after_first


def _at(line: tuple[Fraction, Fraction], first: Fraction) -> Fraction:
    return line[0] * first + line[1]


@dataclass(frozen=True)
class PublishedLength:
    """What published lengths and norms say of a component's score.

    `norm` times the mean of |1/T - 1/T'| gives `alone`, the score that length alone gives, and
    `share` is that over the score; `arithmetic` is all of this in words. All of it takes the norms
    at the other positions to be alike on both sides of a pair. `breakdown` is how far these may
    differ, relative to the larger, before the lowest share falls to `artefact_share`: 0 where it is
    no higher to begin with, None where no difference below 100% does it.
    """

    norm: Interval
    alone: Interval
    share: Interval
    breakdown: Fraction | None
    arithmetic: str


def published_length(
    component: Component, table: ScoreTable, lengths: Lengths, sources: Iterable[Lengths]
) -> PublishedLength | NotComputed:
    """The share of a score that length explains, by the first source that gives the norms.

    A decoder's first position is the same token in every prompt, and sees no other: its activation
    is the model's own, whatever the prompts. Where a pair's own score was published too, the
    arithmetic shows what lengths alone give on that pair beside it. A score that may be zero has
    no share that length could explain.
    """
    if not lengths.mean_step:
        return NotComputed("it has nothing to see: each pair's lengths are equal")
    source = next(
        (one for one in sources if any(component in norms for norms in one.mean_norms.values())),
        lengths,
    )
    try:
        position = first_position(source, component)
    except NoPrediction as lack:
        return NotComputed(str(lack))
    score = table.scores[component]
    if score.low <= 0 <= score.high:
        return NotComputed(
            f"the score of {component} may be zero ({score}): length has no share of that"
        )
    alone = position.step.scaled(lengths.mean_step)
    arithmetic = (
        f"{position.arithmetic}; times the mean of |1/T - 1/T'|, {float(lengths.mean_step):.5f},"
        f" lengths alone give {alone} of {show(score)}"
    )
    for pair, scores in table.by_pair.items():
        if component in scores and pair <= len(lengths.token_lengths):
            given = position.step.scaled(lengths.step(pair))
            missed = "which misses" if equals(scores[component], given) == "refuted" else "beside"
            arithmetic += f" (on pair {pair} {given}, {missed} the published"
            arithmetic += f" {show(scores[component])})"
    share = alone / score
    return PublishedLength(
        position.step,
        alone,
        share,
        _breakdown(position, score, share, lengths.mean_step),
        arithmetic,
    )


def _breakdown(
    position: FirstPosition, score: Interval, share: Interval, mean_step: Fraction
) -> Fraction | None:
    bound = Fraction(str(THRESHOLDS.artefact_share.value))
    if share.low <= bound:
        return Fraction(0)
    return breakdown(position, bound * score.high / mean_step)
