"""Published token lengths, and mean norms over positions: the file format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from replication.circuits.components import Component, ModelShape
from replication.circuits.intervals import Interval, printed
from replication.engine.activations import MOST_TOKENS
from replication.inputs.files import InputError, faulty, read_json, validate
from replication.inputs.messages import quoted
from replication.inputs.positions import Place

Norms = tuple[Interval | None, Interval | None]
TokenLength = Annotated[int, Field(gt=0, le=MOST_TOKENS)]


class _LengthsFile(BaseModel):
    """What was published of the prompts' lengths, and mean norms over positions by pair."""

    model_config = ConfigDict(extra="forbid", strict=True)

    note: str | None = None
    token_lengths: Annotated[
        list[Annotated[list[TokenLength], Field(min_length=2, max_length=2)]], Field(min_length=1)
    ]
    mean_norms: dict[str, dict[str, dict[str, str]]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Lengths:
    """Published token lengths, and each component's mean norm over positions on a pair's sides."""

    token_lengths: Sequence[tuple[int, int]]
    mean_norms: Mapping[int, Mapping[Component, Norms]]

    @property
    def steps(self) -> list[Fraction]:
        """|1/T - 1/T'| of every pair."""
        return [self.step(pair) for pair in range(1, len(self.token_lengths) + 1)]

    @property
    def mean_step(self) -> Fraction:
        """The mean of |1/T - 1/T'| over the pairs."""
        return sum(self.steps, Fraction(0)) / len(self.steps)

    def step(self, pair: int) -> Fraction:
        """|1/T - 1/T'| of a pair, numbered from 1."""
        one, other = self.token_lengths[pair - 1]
        return abs(Fraction(1, one) - Fraction(1, other))


def read_lengths(
    path: Path, shape: ModelShape, sides: tuple[str, str], n_pairs: int | None = None
) -> Lengths:
    """The published lengths and norms in a file; with a number of pairs, of as many.

    Raises:
        InputError: naming the file, the key and the reason.
    """
    file = validate(_LengthsFile, read_json(path), path)
    lengths = [(one, other) for one, other in file.token_lengths]
    faults: list[tuple[Place, str]] = []
    norms: dict[int, dict[Component, Norms]] = {}
    if n_pairs not in (None, len(lengths)):
        reason = f"token_lengths: of {len(lengths)} pairs, where the experiment has {n_pairs}"
        faults.append((("token_lengths",), reason))
    known = set(map(str, range(1, len(lengths) + 1)))
    for number, found in file.mean_norms.items():
        place = ("mean_norms", number)
        if number not in known:
            reason = f"mean_norms: {quoted(number)}: expected a pair from 1 to {len(lengths)}"
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
        raise InputError(
            f"unknown side {quoted(unknown[0])}; expected {sides[0]!r} and {sides[1]!r}"
        )
    one, other = (_norm(by_side[side]) if side in by_side else None for side in sides)
    return one, other


def _norm(text: str) -> Interval:
    if text.startswith("-"):
        raise InputError(f"a norm cannot be negative, found {text!r}")
    return printed(text)
