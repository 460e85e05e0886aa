"""Own measurements: how often the verifier is right and what it costs, as files hold it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, PositiveFloat, TypeAdapter, ValidationError

from replication.inputs.files import InputError, read_json

Ratios = dict[str, PositiveFloat]
Content = TypeVar("Content")


class Rate(BaseModel):
    """How often something is said of the components of a scenario, with the rate's interval."""

    pairs: int
    scenario: str
    word: str
    rate: float
    low: float
    high: float
    n: int


class Target(BaseModel):
    """A rate that the verifier is to have, and the number of pairs from which on it has it."""

    name: str
    target: str | float | int
    met_from_pairs: int | None = None


class Calibration(BaseModel):
    """The content of `calibration.json`: how often the verifier is right on planted circuits."""

    models: int
    rows: list[Rate]
    targets: list[Target] = Field(default_factory=list)


class BenchmarkRun(BaseModel):
    """One entry of `history.json`: the ratios of a past run."""

    date: str
    commit: str
    ratios: Ratios


def read_optional(path: Path, model: TypeAdapter[Content]) -> tuple[Content | None, str | None]:
    """What an optional file holds, or why it cannot be shown; None and None where it is absent."""
    if not path.exists():
        return None, None
    try:
        return model.validate_python(read_json(path)), None
    except InputError as error:
        return None, str(error)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ": ".join(map(str, fault["loc"]))
        return None, f"{path}: {place}: {fault['msg']}"
