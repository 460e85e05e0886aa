"""Records of what interventions on behaviours say: what `verification.json` has under `causal`.

A share is one of the behaviour, m(M) - m(0). A figure that is None is not known, and an end of an
interval that is None is none: too few pairs bound it.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from replication.circuits.components import Kind
from replication.circuits.intervals import Verdict
from replication.controls.causal_words import CausalWord
from replication.evidence.evidence import Kind as EvidenceKind
from replication.experiment.behaviours import (
    Averaging,
    Cell,
    Direction,
    Positions,
    Setting,
    Unit,
    Value,
)

Open = tuple[float | None, float | None]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShownRecord(_Record):
    """A behaviour's mean over the pairs, in its own unit, and how many of them come out right."""

    mean: float
    interval: Open | None
    right: int
    pairs: int


class CellRecord(_Record):
    """A cell: what is put in components' place, in which run and where, and how pairs are averaged.

    The keys are those of `[ablation]`.
    """

    value: Value
    direction: Direction
    positions: Positions
    averaging: Averaging

    @property
    def in_words(self) -> str:
        """The cell in a sentence."""
        return str(Cell(Setting(self.value, self.direction, self.positions), self.averaging))

    @property
    def run(self) -> str:
        """In short, which run is changed, and where."""
        return f"{self.direction}, {self.positions}"

    @property
    def around(self) -> str:
        """In short, all of it but what is put in components' place."""
        return f"{self.run}, {self.averaging}"


class FaithfulnessRecord(_Record):
    """How much of a behaviour a circuit keeps alone, in a cell; as `controls.faithfulness`."""

    circuit: str
    cell: CellRecord
    share: float | None
    interval: Open | None
    two_tests: Open | None
    quantiles: tuple[float | None, float | None, float | None]
    is_told: bool


class MatchedRecord(_Record):
    """A circuit against matched ones: how many of those drawn come as near to the whole model.

    `as_good_share` are the ends of the interval of the share of all that do, and `best` is what the
    nearest keeps.
    """

    circuit: str
    drawn: int
    as_good: int
    p_value: float
    as_good_share: tuple[float, float]
    best: float | None


class AreaRecord(_Record):
    """An area under or beside a curve, with its interval."""

    value: float | None
    interval: Open | None


class CurveRecord(_Record):
    """What the best of a ranking keep, at several sizes, and matched circuits of each size.

    `area` is the area under the curve, and `away` that between it and all of the behaviour.
    """

    sizes: list[int]
    shares: list[float | None]
    intervals: list[Open | None]
    matched: list[list[float | None]]
    area: AreaRecord
    away: AreaRecord


class CausalComponentRecord(_Record):
    """What a component does, in shares of the behaviour, and its causal word.

    `effect` goes when it alone is ablated, with `q_value` among all components; `by_counterpart`
    names what each counterpart says of it. `restored` comes back with it in the counterpart's run,
    `given` goes while each of the record's `outs` is out, and `inside` goes from the circuit.
    `attribution` is what gradients give, in the behaviour's unit as `mean` is, and `differential`
    the score by activations.
    """

    component: str
    kind: Kind
    selected: bool
    effect: float | None
    interval: Open | None
    p_value: float
    q_value: float
    mean: float
    by_counterpart: dict[str, float | None]
    restored: float | None
    given: list[float | None]
    inside: float | None
    attribution: float
    differential: float | None
    word: CausalWord
    reason: str


class SetRecord(_Record):
    """Of the `tried` sets of a label, the one that parts the circuit most from the model.

    `gap` is what the circuit keeps without it less what the model keeps; `effect` what the model
    lacks without it, and `summed` what its members' own effects come to.
    """

    label: str
    tried: int
    components: list[str]
    gap: float | None
    interval: Open | None
    effect: float | None
    summed: float | None


class RanksRecord(_Record):
    """How far two figures of every component go together: the correlation of their ranks."""

    of: str
    against: str
    ranks: float | None


class CausalRecord(_Record):
    """Everything that is said of one behaviour that the model shows; the largest effect first.

    `circuits` are those that were kept, by name, and `measures` is the one that the experiment
    measures; `unselected` says of rivals that select none why. `cell` is the judged one.
    """

    behaviour: str
    unit: Unit
    seed: int
    shown: ShownRecord
    counterparts: dict[str, ShownRecord]
    measures: str
    circuits: dict[str, list[str]]
    unselected: dict[str, str] = {}
    cell: CellRecord
    cell_in_words: str
    is_told: bool
    faithfulness: list[FaithfulnessRecord]
    matched: list[MatchedRecord]
    curve: CurveRecord
    outs: list[list[str]]
    components: list[CausalComponentRecord]
    sets: list[SetRecord]
    agreements: list[RanksRecord]
    only_by_one: list[str]

    def judged(self, circuit: str, cell: CellRecord | None = None) -> FaithfulnessRecord | None:
        """A circuit's faithfulness in a cell, by default the judged one."""
        wanted = (circuit, cell or self.cell)
        return next((one for one in self.faithfulness if (one.circuit, one.cell) == wanted), None)

    def against(self, circuit: str) -> MatchedRecord:
        """A circuit against matched ones."""
        return next(one for one in self.matched if one.circuit == circuit)


class NotShownRecord(_Record):
    """A behaviour that the model does not show, and why nothing explains it."""

    behaviour: str
    unit: Unit
    shown: ShownRecord
    counterparts: dict[str, ShownRecord]
    reason: str


class OtherwiseRecord(_Record):
    """A cell in which a claim has another verdict."""

    cell: CellRecord
    verdict: Verdict


class ByCellRecord(_Record):
    """A claim on faithfulness in every cell that was run: in which it comes out otherwise."""

    claim: str
    verdict: Verdict
    cells: int
    otherwise: list[OtherwiseRecord]


class CausalRecords(_Record):
    """What interventions say on one kind of evidence, by behaviour.

    `not_computed` says why nothing was run.
    """

    evidence: EvidenceKind
    clusters: int
    resamples: int
    not_computed: str | None = None
    behaviours: list[CausalRecord | NotShownRecord] = []
    by_cell: list[ByCellRecord] = []

    @property
    def shown(self) -> list[CausalRecord]:
        """The behaviours that the model shows."""
        return [one for one in self.behaviours if isinstance(one, CausalRecord)]
