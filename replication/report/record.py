"""Records: what test processes hand over, and what a report is written from.

They are validated on arrival, so a report can be written from whatever tests ran, in whatever
order and process. The records of controls are what `verification.json` holds, key by key.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from replication.circuits.components import Among, Kind, ModelShape
from replication.circuits.intervals import Verdict
from replication.claims.claim import QUESTION, READER, Claim
from replication.controls.words import Word
from replication.evidence.evidence import Kind as EvidenceKind
from replication.evidence.evidence import RunProvenance
from replication.report.causal_record import CausalRecords
from replication.report.how_often import HowOften

_Handed = TypeVar("_Handed")

EVIDENCE: tuple[EvidenceKind, ...] = ("published", "recorded", "live")
Outcome = Verdict | Literal["missing"]
WORDS: dict[Outcome, str] = {
    "holds": "hold",
    "refuted": "refuted",
    "undecided": "undecided",
    "missing": "not judged",
}
VERDICTS = tuple(WORDS)

Ends = tuple[float, float]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CheckRecord(_Record):
    """What one check of a claim found."""

    kind: str
    verdict: Verdict
    expected: JsonValue
    measured: JsonValue
    tolerance: str
    reason: str


class JudgementRecord(_Record):
    """One claim on one kind of evidence; `missing` where there was none that could be used.

    `figures` are the printed ones that it looks at, by source. `is_given` says that the spec alone
    gives it, so that no score of a run can contradict it.
    """

    experiment: str
    claim: str
    evidence: EvidenceKind
    verdict: Outcome
    as_expected: bool | None
    arithmetic: str
    checks: list[CheckRecord]
    figures: dict[str, list[str]] = {}
    is_given: bool = False


class ComponentRecord(_Record):
    """What is known of one component's score; None where a control was not computed.

    `rank` is that among all of its kind in the model, None where the table lists too few to know
    it, and `listed_rank` that among those with a score. `printed` is the score as it was published,
    and `over_random` the score over the 95% point of random weights. The other figures are those of
    the same names in `controls.stability`, `controls.null`, `controls.property` and
    `controls.length`; `length_breakdown` is that of `controls.published_length`, and `how_often`
    is how often such a word is right.
    """

    component: str
    kind: Kind
    rank: int | None
    listed_rank: int
    score: float
    printed: str | None = None
    selected: bool
    by_pair: list[float] | None = None
    interval: Ends | None = None
    selection_probability: float | None = None
    left_out_selected: int | None = None
    same_side_score: float | None = None
    same_side_quantiles: list[float] | None = None
    shuffled_score: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    controlled_p_value: float | None = None
    controlled_q_value: float | None = None
    property_share: float | None = None
    property_interval: Ends | None = None
    score_without_first: float | None = None
    length_norm: float | None = None
    length_score: float | None = None
    length_share: Ends | None = None
    length_breakdown: float | None = None
    length_fit: float | None = None
    matched_score: float | None = None
    over_random: float | None = None
    arithmetic: str | None = None
    word: Word
    reason: str
    how_often: HowOften | None = None


class SpreadRecord(_Record):
    """A mean over random splits of the pairs, and the ends between which 95% of them lie."""

    mean: float
    low: float
    high: float


class LeftOutRecord(_Record):
    """The circuit without one cluster of pairs, against the one with all pairs."""

    pairs: list[int]
    shared: int
    of: int
    gained: list[str]
    lost: list[str]


class StabilityRecord(_Record):
    """How stable a circuit is."""

    without_selection: float
    near_cut: list[str]
    leave_one_out: list[LeftOutRecord]


class HalvesRecord(_Record):
    """What two halves of the pairs say of each other; the names are those of `controls.halves`."""

    overlap: SpreadRecord | None
    again: SpreadRecord | None
    top: SpreadRecord
    last: SpreadRecord | None


class NullOverlapRecord(_Record):
    """How many components a circuit shares with a replication, and the null circuit does."""

    against: str
    among: Kind
    of: int
    real: float
    null: float
    excess: SpreadRecord


class MarkerRecord(_Record):
    """A mark that tells the sides apart, on which shares of their prompts it stands."""

    mark: str
    shares: Ends
    design: str


class NullRecord(_Record):
    """Over how many exchanges p-values were taken."""

    exchanges: int
    exhaustive: bool
    smallest_p: float


class LengthRecord(_Record):
    """The prompts' lengths and, of a measured result, the circuit without the first position.

    `added` is how many tokens stand around a prompt's text.
    """

    token_lengths: list[tuple[int, int]]
    inverse_differences: list[float]
    matched_pairs: list[int]
    added: int | None = None
    circuit_without_first: list[str] = []
    no_circuit: str | None = None
    shared: int | None = None
    of: int | None = None

    @model_serializer(mode="wrap")
    def _as_set(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Of a published result nothing is known but the lengths, so nothing else is written."""
        return {
            key: value for key, value in serialize(self).items() if key in self.model_fields_set
        }


class RandomWeightsRecord(_Record):
    """The scores below which 95% of those of random weights lie, by kind of component.

    `recorded_in` is the file that they were read from; None where they were run. The configuration
    states `initializer_range`, the standard deviation of random weights, or it does not.
    """

    seeds: list[int]
    recorded_in: str | None
    initializer_range: float | None
    points: dict[Kind, float]


class AgreementRecord(_Record):
    """How many components two circuits share, beside what chance gives."""

    left: str
    right: str
    among: Among
    candidates: int
    left_size: int
    right_size: int
    shared: int
    expected: float
    p_value: float
    agreement: float | None


class RankAgreementRecord(_Record):
    """How far the orders of the components that two circuits share agree."""

    left: str
    right: str
    among: Among
    shared: int
    tau: float
    interval: Ends | None


class ControlsRecord(_Record):
    """The controls on one result's scores, on one kind of evidence; the highest score first.

    `clusters` of pairs count as one each. `not_computed` says why a control is missing:
    `stability`, `null`, `null circuit`, `property`, `length` or `random weights`.
    """

    evidence: EvidenceKind
    result: str
    components: list[ComponentRecord]
    pairs: int | None = None
    clusters: int | None = None
    resamples: int | None = None
    seed: int | None = None
    stability: StabilityRecord | None = None
    halves: HalvesRecord | None = None
    null: NullRecord | None = None
    null_circuit: list[NullOverlapRecord] = []
    markers: list[MarkerRecord] = []
    length: LengthRecord | None = None
    random_weights: RandomWeightsRecord | None = None
    chance: list[AgreementRecord] = []
    rank_agreement: list[RankAgreementRecord] = []
    not_computed: dict[str, str] = {}


class CutRecord(_Record):
    """Where a circuit's heads end in its scores; `score` is half-way between the two."""

    last_in: str
    first_out: str
    score: float


class ResultFigures(_Record):
    """What the pictures of one result are drawn from.

    A score is a number, or the two ends of what its digits allow, which `printed` has. `ranks` are
    those among the listed components of a kind, and `places` those among all of it, as far as they
    are known. What is not known is None, or missing from a table. A rule by steps has no threshold;
    where there are several `tables`, a score is the highest in any.
    """

    shape: ModelShape
    mlp_threshold: float | None
    budget: int | None
    nodes: list[str] | None
    cost: int | None
    scores: dict[str, float | Ends] | None
    printed: dict[str, str] = {}
    tables: list[str] = []
    ranks: dict[str, int]
    places: dict[str, int] = {}
    cut: CutRecord | None


class Figures(_Record):
    """What the pictures of one kind of evidence are drawn from."""

    evidence: EvidenceKind
    sides: tuple[str, str]
    pairs: list[tuple[str, str]]
    results: dict[str, ResultFigures]


class TurnRecord(_Record):
    """A point at which a claim has another verdict; None where nothing can be selected.

    There is no threshold where the rule goes by steps.
    """

    budget: int
    mlp_threshold: float | None
    verdict: Verdict | None
    reason: str


class OperatingRecord(_Record):
    """At how many operating points a claim keeps its verdict, as `claims.operating` has it."""

    claim: str
    verdict: Verdict
    kept: int
    points: int
    unselected: int
    turn: TurnRecord | None


class OutsideRecord(_Record):
    """A measured score, on all pairs or on one, that is not the published one.

    It is outside the digits or, where those are not known of a number, beyond rounding.
    """

    component: str
    table: str | None = None
    pair: int | None = None
    measured: float
    printed: str
    is_number: bool = False


class AgainstRecord(_Record):
    """A run's scores and circuit against those that were published of the same result.

    `scores` is how many published scores were measured again, `pair_scores` how many of single
    pairs, and `rounding` as what share of itself one that is a number may be missed; None where all
    were printed. `nodes` is how many the published circuit has; None where none was published, or
    where the rule selects it whatever the scores are. The run's own circuit has all of these but
    `only_published`, and `only_measured` besides; `no_circuit` says why it has none.
    """

    result: str
    scores: int
    pair_scores: int = 0
    rounding: float | None = None
    outside: list[OutsideRecord] = []
    nodes: int | None = None
    only_published: list[str] = []
    only_measured: list[str] = []
    no_circuit: str | None = None


class ChangedRecord(_Record):
    """A statement that comes out otherwise on a run than on the published figures."""

    claim: str
    published: Outcome
    measured: Outcome


class ReplicationRecord(_Record):
    """Whether a run gives what was published: scores, circuit, and verdicts on the statements.

    `evidence` is the run that was compared; None where there was none. A statement is among the
    `same` if the run gives it the published figures' verdict or, where these leave it open, bears
    it out, unless the spec alone gives it; it is `open` where the run does not settle it.
    """

    answer: str
    evidence: EvidenceKind | None = None
    against: AgainstRecord | None = None
    same: list[str] = []
    changed: list[ChangedRecord] = []
    open: list[str] = []


class Handover(_Record):
    """What a test hands over.

    The first one on some evidence brings its controls, its figures, how its circuits differ, the
    files of what was measured, by name, at which operating points claims keep their verdicts, what
    interventions say, where the model was run, and how the run lies to what was published.

    `provenance` is that of the run or, of published evidence, what each result is.
    """

    judgement: JudgementRecord
    provenance: RunProvenance | dict[str, str] | None = None
    controls: list[ControlsRecord] = []
    figures: Figures | None = None
    differences: dict[str, list[str]] = {}
    files: dict[str, dict[str, JsonValue]] = {}
    operating: list[OperatingRecord] = []
    causal: CausalRecords | None = None
    against: AgainstRecord | None = None


Case = tuple[str, EvidenceKind]


def named_maker(made_by: str) -> str:
    """Who states a claim, in reports: a reader asks."""
    return QUESTION if made_by == READER else made_by


@dataclass
class ExperimentReport:
    """What one experiment's tests found.

    `cases` are the claims and kinds of evidence that a whole run with these options judges,
    `left_out` the other experiments of its folder, which were not asked for, and `behaviours` those
    that it states.
    """

    name: str
    title: str
    claims: Sequence[Claim]
    is_published: bool = False
    cases: Sequence[Case] = ()
    left_out: Sequence[str] = ()
    behaviours: Sequence[str] = ()
    found: dict[Case, Handover] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What links within a page lead to."""
        return re.sub(r"[^\w.-]", "-", self.name)

    def take(self, handed: Handover) -> None:
        """Take over what a test found, from whichever process it ran in."""
        judged = handed.judgement
        self.found[judged.claim, judged.evidence] = handed

    @property
    def is_partial(self) -> bool:
        """Whether something of what the experiments' folder states was not judged."""
        return bool(self.left_out) or not set(self.cases) <= set(self.found)

    @property
    def records(self) -> list[JudgementRecord]:
        """What was judged, in the order of the claims, whatever order the tests ran in."""
        return [handed.judgement for handed in self._in_order()]

    @property
    def provenance(self) -> dict[EvidenceKind, RunProvenance | dict[str, str] | None]:
        """Where each kind of evidence comes from; None where there was none."""
        return {
            kind: handed.provenance
            for kind in EVIDENCE
            for handed in self._in_order()
            if handed.judgement.evidence == kind
        }

    @property
    def controls(self) -> list[ControlsRecord]:
        """The controls on every result; two processes made the same ones."""
        controls = {
            (one.evidence, one.result): one
            for kind in EVIDENCE
            for handed in self._in_order()
            for one in handed.controls
            if one.evidence == kind
        }
        return list(controls.values())

    def _by_kind(self, of: Callable[[Handover], _Handed | None]) -> dict[EvidenceKind, _Handed]:
        """What was handed over of each kind of evidence, as far as anything was."""
        return {
            kind: found
            for kind in EVIDENCE
            for handed in self._in_order()
            if handed.judgement.evidence == kind and (found := of(handed)) is not None
        }

    @property
    def figures(self) -> dict[EvidenceKind, Figures]:
        """What the pictures of each kind of evidence are drawn from."""
        return self._by_kind(lambda handed: handed.figures)

    @property
    def operating(self) -> dict[EvidenceKind, list[OperatingRecord]]:
        """At how many operating points claims keep their verdicts, by kind of evidence."""
        return self._by_kind(lambda handed: handed.operating or None)

    @property
    def causal(self) -> dict[EvidenceKind, CausalRecords]:
        """What interventions say, by kind of evidence."""
        return self._by_kind(lambda handed: handed.causal)

    @property
    def against(self) -> dict[EvidenceKind, AgainstRecord]:
        """How each run lies to what was published of the same result."""
        return self._by_kind(lambda handed: handed.against)

    def shown_differences(self) -> dict[str, list[str]]:
        """How the circuits differ, on the best evidence: live before recorded before published."""
        return next((one.differences for one in self._best_first()), {})

    @property
    def files(self) -> dict[str, dict[str, JsonValue]]:
        """The files of what was measured, on the best evidence, by name."""
        return next((one.files for one in self._best_first() if one.files), {})

    def _in_order(self) -> Iterator[Handover]:
        order = {claim.id: place for place, claim in enumerate(self.claims)}
        for case in sorted(self.found, key=lambda case: (order[case[0]], EVIDENCE.index(case[1]))):
            yield self.found[case]

    def _best_first(self) -> list[Handover]:
        """The handovers that bring figures, on the best evidence first."""
        bringing = [one for one in self._in_order() if one.figures is not None]
        return sorted(bringing, key=lambda one: -EVIDENCE.index(one.judgement.evidence))

    def circuit_size(self, found: ControlsRecord) -> int | None:
        """How many components but the input the circuit has that controls were computed of."""
        figures = self.figures.get(found.evidence)
        result = figures and figures.results.get(found.result)
        return len({*result.nodes} - {"input"}) if result and result.nodes is not None else None

    def record(self, claim_id: str, evidence: EvidenceKind) -> JudgementRecord | None:
        """The record of a claim on a kind of evidence, if its test ran."""
        handed = self.found.get((claim_id, evidence))
        return None if handed is None else handed.judgement

    def counts(self, evidence: EvidenceKind, made_by: str | None = None) -> Counter[Outcome]:
        """How many claims came out how on this evidence."""
        wanted = {claim.id for claim in self.claims if made_by in (None, claim.made_by)}
        return Counter(
            r.verdict for r in self.records if r.evidence == evidence and r.claim in wanted
        )

    def makers(self) -> list[str]:
        """Who made the statements, in the order of the claims."""
        return list(dict.fromkeys(claim.made_by for claim in self.claims))

    def unexpected(self) -> list[JudgementRecord]:
        """The records whose verdict is not the expected one."""
        return [r for r in self.records if r.as_expected is False]
