"""Length: how much of a score the prompts' lengths alone explain.

Where the first position carries the same large activation whatever the text (an attention sink), a
mean over T positions moves with 1/T: if f is what stands at the first position, with an encoder's
separator, and b the mean over the others, the mean is (f + (T - 1) b) / T, and prompts of T and T'
tokens score |1/T - 1/T'| |f - b| before a word of them counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float64, Int64
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from replication.capture import MeanActivations
from replication.components import Component, ModelShape
from replication.files import InputError, faulty, read_json, validate
from replication.intervals import Interval, printed
from replication.null import component_means, exchanges, share_as_large
from replication.positions import Place


def inverse_differences(
    token_lengths: Int64[np.ndarray, "pairs 2"],
) -> Float64[np.ndarray, " pairs"]:
    """1/T - 1/T' of every pair."""
    inverse = 1 / token_lengths
    return np.asarray(inverse[:, 0] - inverse[:, 1])


def length_norms(
    activations: MeanActivations, mlp_out: Literal["centred", "raw"]
) -> Float64[np.ndarray, " components"]:
    """Each component's |f - b|, over all prompts: what |1/T - 1/T'| is multiplied by.

    The activations must hold inner means, over at least one position each. With k positions left
    out of the inner means, it is the norm of their sum less k times the inner mean.
    """
    inner = activations.inner
    assert inner is not None
    lengths = activations.token_lengths[:, :, None]
    n_inner = inner.token_lengths[:, :, None]
    norms = []
    both = (component_means(part, mlp_out) for part in (activations, inner))
    for whole, inside in zip(*both, strict=True):
        special = lengths * whole - n_inner * inside
        step = (special - (lengths - n_inner) * inside).mean(axis=(0, 1))
        norms.append(float(np.linalg.norm(step)))
    return np.array(norms)


def length_terms(token_lengths: Int64[np.ndarray, "pairs 2"]) -> Float64[np.ndarray, "pairs 2"]:
    """What a score can go with linearly: every pair's differences of 1/T and of T, in that order.

    T is taken in units of the longest prompt.
    """
    terms = np.stack([1 / token_lengths, token_lengths / token_lengths.max()], axis=-1)
    return np.asarray(terms[:, 0] - terms[:, 1])


def length_fits(
    means: MeanActivations,
    token_lengths: Int64[np.ndarray, "pairs 2"],
    mlp_out: Literal["centred", "raw"],
) -> Float64[np.ndarray, " components"]:
    """How much of the squared difference of a pair the lengths predict from all other pairs.

    The prediction is linear in the differences of 1/T and of T, by least squares through the
    origin; a pair's residual without itself is its residual over 1 - h, with h its leverage. The
    share is 1 where lengths say everything, and 0 where they say nothing, or where one pair alone
    decides what they say.
    """
    terms = length_terms(token_lengths)
    onto = terms @ np.linalg.pinv(terms)
    free = 1 - onto.diagonal()[:, None]
    fits = []
    for component in component_means(means, mlp_out):
        difference = component[:, 0] - component[:, 1]
        total = np.vdot(difference, difference)
        if not total or (free < 1e-9).any():
            fits.append(0.0)
            continue
        rest = (difference - onto @ difference) / free
        fits.append(max(0.0, 1 - np.vdot(rest, rest) / total))
    return np.array(fits)


def length_free_p_values(
    means: MeanActivations,
    token_lengths: Int64[np.ndarray, "pairs 2"],
    mlp_out: Literal["centred", "raw"],
    seed: int,
) -> Float64[np.ndarray, " components"]:
    """Each component's p-value of a common direction that lengths do not give.

    From the pairs' differences is taken out what goes linearly with 1/T and with T, by least
    squares through the origin: with H the projection onto what is left, r = H d. The statistic is
    |sum r|² over its expectation if all pairs' differences are noise, which 1'H1 is in proportion
    to; exchanging the prompts of pairs turns the signs e, and gives |sum e r|² over e'He. Where H
    leaves nothing of a common direction, the lengths cannot be told from the property: p is 1.
    """
    differences = length_terms(token_lengths)
    left = np.eye(len(differences)) - differences @ np.linalg.pinv(differences)
    signs, is_exhaustive = exchanges(len(differences), seed)
    scales = np.vecdot(signs @ left, signs)
    observed_scale = left.sum()
    if observed_scale < 1e-9:
        return np.ones(len(list(component_means(means, mlp_out))))
    is_seen = scales > 1e-9
    p_values = []
    for component in component_means(means, mlp_out):
        rest = left @ (component[:, 0] - component[:, 1])
        products = rest @ rest.T
        totals = np.vecdot(signs[is_seen] @ products, signs[is_seen]) / scales[is_seen]
        observed = float(products.sum() / observed_scale)
        p_values.append(share_as_large(totals, observed, is_exhaustive))
    return np.array(p_values)


Norms = tuple[Interval | None, Interval | None]


class _LengthsFile(BaseModel):
    """What was published of the prompts' lengths, and mean norms over positions by pair."""

    model_config = ConfigDict(extra="forbid", strict=True)

    note: str | None = None
    token_lengths: Annotated[
        list[Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]], Field(min_length=1)
    ]
    mean_norms: dict[str, dict[str, dict[str, str]]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Lengths:
    """Published token lengths, and each component's mean norm over positions on a pair's sides."""

    token_lengths: Sequence[tuple[int, int]]
    mean_norms: Mapping[int, Mapping[Component, Norms]]

    @property
    def mean_step(self) -> Fraction:
        """The mean of |1/T - 1/T'| over the pairs."""
        steps = [self.step(pair) for pair in range(1, len(self.token_lengths) + 1)]
        return sum(steps, Fraction(0)) / len(steps)

    def step(self, pair: int) -> Fraction:
        """|1/T - 1/T'| of a pair, numbered from 1."""
        one, other = self.token_lengths[pair - 1]
        return abs(Fraction(1, one) - Fraction(1, other))


def read_lengths(path: Path, shape: ModelShape, sides: tuple[str, str]) -> Lengths:
    """The published lengths and norms in a file.

    Raises:
        InputError: naming the file, the key and the reason.
    """
    file = validate(_LengthsFile, read_json(path), path)
    lengths = [(one, other) for one, other in file.token_lengths]
    faults: list[tuple[Place, str]] = []
    norms: dict[int, dict[Component, Norms]] = {}
    for number, found in file.mean_norms.items():
        place = ("mean_norms", number)
        if number not in map(str, range(1, len(lengths) + 1)):
            reason = f"mean_norms: {number!r}: expected a pair from 1 to {len(lengths)}"
            faults.append((place, reason))
            continue
        norms[int(number)] = {}
        for name, by_side in found.items():
            try:
                norms[int(number)][shape.component(name)] = _norms(by_side, sides)
            except InputError as error:
                faults.append(((*place, name), f"mean_norms: {number}: {name}: {error}"))
    if faults:
        raise faulty(path, faults)
    return Lengths(lengths, norms)


def _norms(by_side: Mapping[str, str], sides: tuple[str, str]) -> Norms:
    """The norms of both sides, None where one is not given."""
    if unknown := sorted(set(by_side) - set(sides)):
        raise InputError(f"unknown side {unknown[0]!r}; expected {sides[0]!r} and {sides[1]!r}")
    one, other = (printed(by_side[side]) if side in by_side else None for side in sides)
    return one, other


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
