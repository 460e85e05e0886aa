"""Length, from published norms alone: what the first position gives, and its share of a score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from replication.circuits.components import Component
from replication.circuits.intervals import Interval, show
from replication.circuits.scores import ScoreTable
from replication.controls.not_computed import NotComputed
from replication.evidence.lengths import Lengths


class NoPrediction(Exception):
    """The published figures do not say what length alone gives; the message says why."""


@dataclass(frozen=True)
class FirstPosition:
    """The norms at the first position and at the others, from the mean norms on one pair."""

    pair: int
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
        first,
        others,
        f"mean norms of {float(one.middle):.7g} over {t} tokens and {float(other.middle):.7g}"
        f" over {u} (pair {pair}) give a norm of {float(first.middle):.4g} at the first position"
        f" and of {float(others.middle):.3g} at every other one",
    )


@dataclass(frozen=True)
class PublishedLength:
    """What published lengths and norms say of a component's score.

    `norm` times the mean of |1/T - 1/T'| gives `alone`, the score that length alone gives, and
    `share` is that over the score; `arithmetic` is all of this in words.
    """

    norm: Interval
    alone: Interval
    share: Interval
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
            arithmetic += f" (on pair {pair} {given} of {show(scores[component])})"
    return PublishedLength(position.step, alone, alone / score, arithmetic)
