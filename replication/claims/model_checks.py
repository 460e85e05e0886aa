"""Checks of the model and of its scores' meaning: shape, determinism, control."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from replication.claims.asked import CannotJudge, is_printed
from replication.claims.check import Check, Outcome, Part, conjunction, same
from replication.claims.keys import ComponentName, ResultName
from replication.evidence.evidence import Evidence


class Shape(Check):
    """The model's sizes. On published evidence the spec repeats them."""

    kind: Literal["shape"]
    n_layers: PositiveInt
    n_heads: PositiveInt
    d_model: PositiveInt
    d_head: PositiveInt

    states_structure: ClassVar = True

    def judge(self, evidence: Evidence) -> Outcome:
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
    result: ResultName
    identical: bool

    named_results: ClassVar = ("result",)

    def judge(self, evidence: Evidence) -> Outcome:
        if evidence.reproduced is None or is_printed(evidence, self.result):
            raise CannotJudge("only running the model twice (live evidence) would decide it")
        found = "the same scores to the bit" if evidence.reproduced else "other scores"
        part = Part(
            "holds" if evidence.reproduced == self.identical else "refuted",
            f"a second run on the same prompts gives {found}",
        )
        return conjunction([part], evidence.reproduced, self.identical)


class Control(Check):
    """Whether a component's score reflects the property (see `replication.controls`)."""

    kind: Literal["control"]
    component: ComponentName

    def judge(self, evidence: Evidence) -> Outcome:
        finding = evidence.controls.get(self.component)
        if finding is None:
            raise CannotJudge(
                f"nothing is known of the score of {self.component} on {evidence.kind} evidence"
            )
        return Outcome(finding.verdict, finding.verdict, "holds", finding.reason)
