"""What all kinds of check share: outcomes, conjunctions, and how a check reads the evidence.

A figure is an interval throughout (see `circuits.intervals`). Published evidence that merely
repeats a statement can contradict it, but never confirms it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from replication.circuits import intervals
from replication.circuits.intervals import Verdict
from replication.claims.asked import CannotJudge
from replication.claims.keys import known
from replication.controls.verify import Controls
from replication.evidence.evidence import Evidence
from replication.inputs.messages import listed, quoted


@dataclass(frozen=True)
class Outcome:
    """What one check found; `measured` and `expected` are plain data."""

    verdict: Verdict
    measured: Any
    expected: Any
    reason: str


class Check(BaseModel):
    """What all checks have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: str

    named_results: ClassVar[tuple[str, ...]] = ()
    states_figures: ClassVar[bool] = False
    states_structure: ClassVar[bool] = False
    tolerance_unit: ClassVar[str] = ""

    def results(self) -> set[str]:
        """The results that the check looks at."""
        return {getattr(self, key) for key in self.named_results if getattr(self, key)}

    def describe_tolerance(self) -> str:
        """How far a figure may lie from the stated one."""
        if tolerance := getattr(self, "tolerance", None):
            return f"± {tolerance}{self.tolerance_unit}"
        return "the printed digits" if self.states_figures else "none"

    def judge(self, evidence: Evidence, controls: Controls) -> Outcome:  # noqa: ARG002
        """The outcome on this evidence, and on what the controls give on it.

        Raises:
            CannotJudge: the evidence lacks what the check needs.
        """
        return self.judge_evidence(evidence)

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        """The outcome of a check that looks at no control; as `judge`."""
        raise NotImplementedError


class ScoreCheck(Check):
    """What checks of scores have in common: which of a result's tables they look at."""

    table: Annotated[
        str | None, Field(description="The table of scores that is meant, where there are several.")
    ] = None

    @model_validator(mode="after")
    def _one_table(self, info: ValidationInfo) -> Self:
        tables = known(info).tables
        several = {name: tables[name] for name in self.scored() if tables.get(name)}
        for result, names in several.items():
            if self.table not in names and (self.table is not None or len(names) > 1):
                found = "" if self.table is None else f", found {quoted(self.table)}"
                raise ValueError(
                    f"table: {quoted(result)} has several tables: expected one of"
                    f" {listed(names)}{found}"
                )
        if self.table is not None and not several:
            raise ValueError(f"table: {listed(map(quoted, self.scored()))} has one, without a name")
        return self

    def scored(self) -> list[str]:
        """The results whose scores it looks at."""
        return [getattr(self, key) for key in ("result", "reference") if getattr(self, key, None)]


def judge(check: Check, evidence: Evidence, controls: Controls) -> Outcome:
    """The outcome of a check; undecided, with what would decide it, where the evidence lacks it."""
    try:
        return check.judge(evidence, controls)
    except CannotJudge as lack:
        return Outcome("undecided", None, None, str(lack))


@dataclass(frozen=True)
class Part:
    """One part of a check: several make a conjunction."""

    verdict: Verdict
    text: str


def conjunction(parts: Sequence[Part], measured: Any, expected: Any) -> Outcome:
    """The conjunction of the parts; its reason names the parts that settle it."""
    verdict = intervals.all_of(part.verdict for part in parts)
    telling = [part.text for part in parts if part.verdict == verdict]
    shown = "; ".join(telling[:6])
    if len(telling) > 6:
        shown += f"; and {len(telling) - 6} more"
    return Outcome(verdict, measured, expected, shown)


def same(name: str, measured: Any, expected: Any) -> Part:
    """The part that holds if two exact things are equal."""
    if measured == expected:
        return Part("holds", f"{name}: {measured}")
    return Part("refuted", f"{name}: {measured}, stated {expected}")
