"""Checks of the model and of its scores' meaning: shape, determinism, control."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from replication.circuits.components import parse
from replication.claims.asked import CannotJudge
from replication.claims.check import Check, Outcome, Part, conjunction, same
from replication.claims.keys import MeasuredName, ScoredName
from replication.controls.verify import Controls
from replication.evidence.evidence import Evidence, Measured


class Shape(Check):
    """The model's sizes. On published evidence the spec repeats them."""

    kind: Literal["shape"]
    n_layers: PositiveInt
    n_heads: PositiveInt
    d_model: PositiveInt
    d_head: PositiveInt

    states_structure: ClassVar = True

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        expected = self.model_dump(exclude={"kind"})
        measured = evidence.shape.model_dump()
        parts = [same(key, measured[key], value) for key, value in expected.items()]
        if evidence.measured is None:
            parts.append(
                Part(
                    "undecided",
                    "the experiment's spec repeats these sizes;"
                    " recorded or live evidence would decide it",
                )
            )
        return conjunction(parts, measured, expected)


class Determinism(Check):
    """Whether a second run on the same prompts gives the same scores to the bit."""

    kind: Literal["determinism"]
    result: MeasuredName
    identical: bool

    named_results: ClassVar = ("result",)

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        result = evidence.results.get(self.result)
        reproduced = result.reproduced if isinstance(result, Measured) else None
        if reproduced is None:
            raise CannotJudge("only running the model twice (live evidence) would decide it")
        found = "the same scores to the bit" if reproduced else "other scores"
        part = Part(
            "holds" if reproduced == self.identical else "refuted",
            f"a second run on the same prompts gives {found}",
        )
        return conjunction([part], reproduced, self.identical)


class Control(Check):
    """Whether a component's score reflects the property (see `replication.controls`)."""

    kind: Literal["control"]
    component: ScoredName

    def judge(self, evidence: Evidence, controls: Controls) -> Outcome:
        finding = controls.finding(parse(self.component))
        if finding is None:
            raise CannotJudge(
                f"nothing is known of the score of {self.component} on {evidence.kind} evidence"
            )
        return Outcome(finding.verdict, finding.verdict, "holds", finding.reason)
