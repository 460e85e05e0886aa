"""Published behaviours: what a source prints of a circuit's behaviour, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path

from pydantic import BaseModel, ConfigDict, RootModel

from replication.circuits.intervals import Interval, printed
from replication.inputs.files import InputError, faulty, read_json, validate
from replication.inputs.messages import quoted


class _Printed(BaseModel):
    """The behaviour's means, as they were printed: of the model, of nothing, of the circuit."""

    model_config = ConfigDict(extra="forbid", strict=True)

    whole: str
    empty: str
    circuit: str


class _BehavioursFile(RootModel[dict[str, _Printed]]):
    """What was published of each behaviour, by its name."""


@dataclass(frozen=True)
class PublishedBehaviour:
    """A behaviour's means as figures: m(M), m(0) and m(C)."""

    whole: Interval
    empty: Interval
    circuit: Interval

    @property
    def faithfulness(self) -> Interval | None:
        """F(C), for every value that the digits allow; None where m(M) - m(0) may be 0 or less.

        It rises or falls with each of the three alone, so that its ends are at theirs.
        """
        if self.whole.low <= self.empty.high:
            return None
        ends = [
            Fraction(circuit - empty) / (whole - empty)
            for whole, empty, circuit in product(
                *((one.low, one.high) for one in (self.whole, self.empty, self.circuit))
            )
        ]
        return Interval(min(ends), max(ends))


def read_behaviours(path: Path, known: Mapping[str, object]) -> dict[str, PublishedBehaviour]:
    """What a file says of the behaviours that the experiment states.

    Raises:
        InputError: naming the file, the key and the reason.
    """
    file = validate(_BehavioursFile, read_json(path), path).root
    for name in file:
        if name not in known:
            raise faulty(path, [((name,), f"the experiment states no behaviour {quoted(name)}")])
    try:
        return {
            name: PublishedBehaviour(printed(one.whole), printed(one.empty), printed(one.circuit))
            for name, one in file.items()
        }
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
