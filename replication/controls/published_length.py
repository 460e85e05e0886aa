"""Length, from published norms alone: what the first position gives."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from replication.circuits.components import Component
from replication.circuits.intervals import Interval
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
