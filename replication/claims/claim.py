"""Claims: checkable statements about a result, each with its source, and the verdicts on them.

A claim makes one or more checks, of the kinds in `AnyCheck` and no others. `docs/claims.md` lists
what each asks, in which units, and which evidence can decide it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from replication.circuits import intervals
from replication.circuits.intervals import Verdict
from replication.claims.arithmetic_checks import Arithmetic, Joint
from replication.claims.causal_checks import (
    BeatsMatched,
    Behaviour,
    CausalCheck,
    Complete,
    Effect,
    Equivalence,
    Faithful,
    Matters,
    Minimal,
)
from replication.claims.check import Outcome, judge
from replication.claims.circuit_checks import Cost, Count, Difference, Membership, Order, Overlap
from replication.claims.keys import Known
from replication.claims.model_checks import Control, Determinism, Shape
from replication.claims.rank_checks import Ranking
from replication.claims.score_checks import Bound, Deviation, Ratio, Scores
from replication.claims.selection_check import Selection
from replication.controls.verify import Controls
from replication.evidence.evidence import Evidence
from replication.evidence.evidence import Kind as EvidenceKind
from replication.evidence.published_figures import FigureName, FigureSpec, Named, figures_in
from replication.experiment.spec import Experiment, Name, Spec, Text
from replication.inputs.files import FileError, faulty, read_toml, validate
from replication.inputs.messages import shortened
from replication.inputs.positions import Place
from replication.inputs.visible import visible

AnyCheck = Annotated[
    Shape
    | Count
    | Scores
    | Ranking
    | Ratio
    | Deviation
    | Bound
    | Cost
    | Membership
    | Overlap
    | Difference
    | Order
    | Selection
    | Determinism
    | Control
    | Arithmetic
    | Joint
    | Behaviour
    | Faithful
    | Equivalence
    | BeatsMatched
    | Effect
    | Minimal
    | Complete
    | Matters,
    Field(discriminator="kind"),
]


READER, QUESTION = "reader", "reader's question"


class Claim(BaseModel):
    """One statement: it holds if all of its checks hold, and is refuted if one of them is.

    A reader's question is judged in the same way, and is nobody's statement.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    id: Name
    """What tests and reports call the claim; no other has it."""
    made_by: Text
    """Who states it; reports count by it. `reader` for a question that a reader puts to figures."""
    source: Text
    """Where it stands; of a question, where its figures do."""
    statement: Text
    """What is stated, or asked."""
    expect: Literal["holds", "refuted"] = "holds"
    """`refuted` for a statement that is known to be false, or a question whose answer is no."""
    reason: Text | None = None
    """Why it is expected to be refuted."""
    check: Annotated[list[AnyCheck], Field(min_length=1)]
    """What is judged, and how."""

    @model_validator(mode="after")
    def _refuted_with_a_reason(self) -> Claim:
        if self.expect == "refuted" and self.reason is None:
            raise ValueError("a claim that is expected to be refuted needs a reason")
        return self

    @property
    def is_question(self) -> bool:
        """Whether it is a reader's question, and no statement of the figures' authors."""
        return self.made_by == READER

    @property
    def said(self) -> str:
        """What is stated, or, marked as that, what a reader asks."""
        return f"{QUESTION}: {self.statement}" if self.is_question else self.statement

    def kinds(self) -> str:
        """The kinds of its checks, for ids and tables."""
        return "+".join(dict.fromkeys(check.kind for check in self.check))


class ClaimFile(BaseModel):
    """The content of a `claims.toml`."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    figures: dict[FigureName, FigureSpec] = Field(default_factory=dict)
    """Figures and listed sets as sources print them, by name, for claims on their arithmetic."""
    claim: Annotated[list[Claim], Field(min_length=1)]


def read_claims(experiment: Experiment) -> list[Claim]:
    """The experiment's claims.

    Raises:
        InputError: naming the file, the claim, the key and the reason.
    """
    spec = experiment.spec
    known = Known.of(spec, experiment.n_pairs)
    return read_claim_file(experiment.folder / spec.claims, known)


def read_claim_file(path: Path, known: Known) -> list[Claim]:
    """The claims in a file, which may speak of what is known.

    Raises:
        InputError: naming the file, the claim, the key and the reason.
    """
    data = read_toml(path)
    known = replace(known, figures=figures_in(data))
    repeated = faulty(path, _repeated_ids(data)).faults
    try:
        claims = validate(ClaimFile, data, path, context=known).claim
    except FileError as error:
        raise FileError(path, [*error.faults, *repeated]) from None
    if repeated:
        raise FileError(path, repeated)
    return claims


def _repeated_ids(data: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """The ids that an earlier claim has, in whatever stands in the file."""
    seen: set[str] = set()
    claims = data.get("claim")
    for number, claim in enumerate(claims if isinstance(claims, list) else ()):
        name = claim.get("id") if isinstance(claim, dict) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            yield ("claim", number, "id"), f"claim: two claims have the id {shortened(name)}"
        seen.add(name)


def judged_on(claim: Claim, spec: Spec) -> list[EvidenceKind]:
    """The kinds of evidence that can say something about a claim.

    Measured evidence can where a check looks at the measured result or at the model itself;
    published evidence can where the experiment has a published result, or the claim looks at
    published figures.
    """
    looks_at_model = any(
        isinstance(check, Shape | Determinism | Control | CausalCheck)
        or (isinstance(check, Count) and check.circuit is None)
        for check in claim.check
    )
    looks_at_measured = any(spec.measures in check.results() for check in claim.check)
    looks_at_figures = any(
        isinstance(check, Arithmetic | Joint) and check.figures() for check in claim.check
    )
    kinds: list[EvidenceKind] = ["published"] if spec.results or looks_at_figures else []
    return kinds + (["recorded", "live"] if looks_at_model or looks_at_measured else [])


@dataclass(frozen=True)
class Judgement:
    """A claim, the evidence and the named figures it was judged on, and what came out."""

    claim: Claim
    evidence: EvidenceKind
    verdict: Verdict
    outcomes: Sequence[Outcome]
    figures: Mapping[str, Named]

    @property
    def as_expected(self) -> bool | None:
        """Whether the verdict is the expected one; None where the evidence could not settle it."""
        return None if self.verdict == "undecided" else self.verdict == self.claim.expect

    @property
    def arithmetic(self) -> str:
        """The reasons of the outcomes that settle the verdict."""
        return "; ".join(
            outcome.reason for outcome in self.outcomes if outcome.verdict == self.verdict
        )


def judge_claim(claim: Claim, evidence: Evidence, controls: Controls) -> Judgement:
    """The judgement of a claim on this evidence, and on what the controls give on it."""
    outcomes = [judge(check, evidence, controls) for check in claim.check]
    verdict = intervals.all_of(outcome.verdict for outcome in outcomes)
    arithmetic = [check for check in claim.check if isinstance(check, Arithmetic | Joint)]
    named = {name for check in arithmetic for name in check.figures()}
    figures = {name: one for name, one in evidence.figures.items() if name in named}
    return Judgement(claim, evidence.kind, verdict, outcomes, figures)


def failure_message(judgement: Judgement) -> str:
    """Why a judgement is not the expected one: expected, measured, tolerance, source."""
    claim = judgement.claim
    lines = [
        f"{claim.id}: {claim.said}",
        f"  expected: {claim.expect}; on {judgement.evidence} evidence: {judgement.verdict}",
        f"  source: {claim.source}",
    ]
    if claim.reason:
        lines.append(f"  reason: {claim.reason}")
    for check, outcome in zip(claim.check, judgement.outcomes, strict=True):
        lines += [
            f"  {check.kind}: {outcome.verdict}: {outcome.reason}",
            f"    expected:  {outcome.expected}",
            f"    measured:  {outcome.measured}",
            f"    tolerance: {check.describe_tolerance()}",
        ]
        if check.states_structure and outcome.verdict == "refuted":
            lines += ["    difference:", *(f"      {line}" for line in _difference(outcome))]
    return "\n".join(map(visible, lines))


def _difference(outcome: Outcome) -> list[str]:
    """The structural difference from the expected to the measured."""
    from deepdiff import DeepDiff

    difference: Any = DeepDiff(outcome.expected, outcome.measured, verbose_level=2)
    lines: list[str] = difference.pretty().splitlines()
    return lines
