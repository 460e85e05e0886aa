"""Handing over what interventions say: the records that are made of the causal controls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
from jaxtyping import Float

from replication.circuits.components import INPUT, Component, names
from replication.claims.cells import by_cell
from replication.claims.claim import Claim
from replication.controls.causal import Causal, NotShown, Shown
from replication.controls.effects import Effects, SetOut
from replication.controls.faithfulness import AgainstMatched, Curve, Faithfulness
from replication.controls.not_computed import NotComputed
from replication.controls.verify import Controls
from replication.evidence.evidence import Evidence
from replication.evidence.interventions import Interventions
from replication.experiment.behaviours import Cell
from replication.experiment.clusters import count_of
from replication.report.causal_record import (
    AreaRecord,
    ByCellRecord,
    CausalComponentRecord,
    CausalRecord,
    CausalRecords,
    CellRecord,
    CurveRecord,
    FaithfulnessRecord,
    MatchedRecord,
    NotShownRecord,
    Open,
    OtherwiseRecord,
    RanksRecord,
    SetRecord,
    ShownRecord,
)


def causal_records(
    claims: Iterable[Claim], evidence: Evidence, controls: Controls
) -> CausalRecords | None:
    """The records of what interventions say; None on published evidence, which runs nothing."""
    measured = evidence.measured
    if measured is None:
        return None
    clusters, resamples = count_of(measured.clusters), evidence.spec.verification.resamples
    if isinstance(controls.causal, NotComputed):
        return CausalRecords(
            evidence=evidence.kind,
            clusters=clusters,
            resamples=resamples,
            not_computed=controls.causal.reason,
        )
    return CausalRecords(
        evidence=evidence.kind,
        clusters=clusters,
        resamples=resamples,
        behaviours=[
            _not_shown(name, found, evidence)
            if isinstance(found, NotShown)
            else _causal(found, evidence)
            for name, found in controls.causal.items()
        ],
        by_cell=[
            ByCellRecord(
                claim=one.claim,
                verdict=one.verdict,
                cells=one.cells,
                otherwise=[
                    OtherwiseRecord(cell=_cell(cell), verdict=verdict)
                    for cell, verdict in one.otherwise
                ],
            )
            for one in by_cell(claims, evidence, controls)
        ],
    )


def _not_shown(name: str, found: NotShown, evidence: Evidence) -> NotShownRecord:
    assert evidence.measured is not None
    run = evidence.measured.interventions
    assert isinstance(run, Interventions)
    return NotShownRecord(
        behaviour=name,
        unit=run.behaviours[name].unit,
        shown=_shown(found.shown),
        counterparts=_counterparts(found.counterparts, evidence),
        reason=found.reason,
    )


def _causal(found: Causal, evidence: Evidence) -> CausalRecord:
    behaved = found.behaved
    components = [_component(found, place, evidence) for place in range(len(found.components))]
    return CausalRecord(
        behaviour=found.behaviour,
        unit=behaved.unit,
        seed=behaved.seed,
        shown=_shown(found.shown),
        counterparts=_counterparts(found.counterparts, evidence),
        measures=next(iter(behaved.circuits)),
        circuits={name: names(nodes) for name, nodes in behaved.circuits.items()},
        unselected=dict(behaved.unselected),
        cell=_cell(found.cell),
        cell_in_words=str(found.cell),
        is_told=found.is_told,
        faithfulness=[_faithful(one) for one in found.faithfulness],
        matched=[_matched(one) for one in found.matched.values()],
        curve=_curve(found.curve),
        outs=[names(one.out) for one in behaved.given],
        components=sorted(components, key=lambda one: -abs(one.mean)),
        sets=list(_sets(found.sets)),
        agreements=[
            RanksRecord(of=one.of, against=one.with_, ranks=_known(one.ranks))
            for one in found.agreements
        ],
        only_by_one=names(found.only_by_one),
    )


def _counterparts(found: Sequence[Shown], evidence: Evidence) -> dict[str, ShownRecord]:
    return dict(zip(_named(evidence), map(_shown, found), strict=True))


def _named(evidence: Evidence) -> list[str]:
    """The counterparts' names."""
    return [evidence.spec.sides[1], *evidence.spec.ablation.counterparts]


def _shown(found: Shown) -> ShownRecord:
    return ShownRecord(
        mean=found.mean, interval=_ends(found.interval), right=found.right, pairs=found.pairs
    )


def _cell(cell: Cell) -> CellRecord:
    return CellRecord.model_validate({**cell.setting._asdict(), "averaging": cell.averaging})


def _faithful(found: Faithfulness) -> FaithfulnessRecord:
    low, middle, high = map(_known, found.quantiles)
    return FaithfulnessRecord(
        circuit=found.circuit,
        cell=_cell(found.cell),
        share=_known(found.value),
        interval=_ends(found.interval),
        two_tests=_ends(found.two_tests),
        quantiles=(low, middle, high),
        is_told=found.is_told,
    )


def _matched(found: AgainstMatched) -> MatchedRecord:
    return MatchedRecord(
        circuit=found.circuit,
        drawn=found.drawn,
        as_good=found.as_good,
        p_value=found.p_value,
        as_good_share=found.share,
        best=_known(found.best),
    )


def _curve(found: Curve) -> CurveRecord:
    return CurveRecord(
        sizes=list(found.sizes),
        shares=list(map(_known, found.value)),
        intervals=[_ends((low, high)) for low, high in found.interval.T.tolist()],
        matched=[list(map(_known, draws)) for draws in found.matched.tolist()],
        area=_area(found.area),
        away=_area(found.away),
    )


def _area(found: tuple[float, float, float]) -> AreaRecord:
    value, low, high = found
    return AreaRecord(value=_known(value), interval=_ends((low, high)))


def _component(found: Causal, place: int, evidence: Evidence) -> CausalComponentRecord:
    component, effects = found.components[place], found.effects[0]
    single, said = found.behaved.single, found.words[component]
    nodes = next(iter(found.behaved.circuits.values()))
    within = [node for node in nodes if node != INPUT]
    by_counterpart = zip(_named(evidence), found.effects, strict=True)
    return CausalComponentRecord(
        component=str(component),
        kind=component.kind,
        selected=component in nodes,
        effect=_share(effects, place),
        interval=_ends(effects.interval[:, place]),
        p_value=float(effects.p_value[place]),
        q_value=float(effects.q_value[place]),
        mean=float(effects.mean[place]),
        by_counterpart={name: _share(one, place) for name, one in by_counterpart},
        restored=None if found.restored is None else _share(found.restored, place),
        given=[_share(one, place) for one in found.given],
        inside=_inside(found.inside, within, component),
        attribution=float(single.attribution[place].mean()),
        differential=None
        if component == INPUT or found.differential is None
        else _known(found.differential[place - 1]),
        word=said.word,
        reason=said.reason,
    )


def _share(effects: Effects, place: int) -> float | None:
    return _known(effects.share[place])


def _inside(inside: Effects, nodes: Sequence[Component], component: Component) -> float | None:
    return _share(inside, nodes.index(component)) if component in nodes else None


def _sets(found: Sequence[SetOut]) -> Iterator[SetRecord]:
    """Of the sets of each label, the one with the largest gap."""
    for label, tried in groupby(found, key=lambda one: one.label):
        sets = list(tried)
        worst = max(sets, key=lambda one: abs(one.gap))
        yield SetRecord(
            label=label,
            tried=len(sets),
            components=names(worst.components),
            gap=_known(worst.gap),
            interval=_ends(worst.gap_interval),
            effect=_known(worst.effect),
            summed=_known(worst.summed),
        )


def _known(value: float | np.floating) -> float | None:
    """A figure; None where there is none."""
    return float(value) if np.isfinite(value) else None


def _ends(ends: Sequence[float] | Float[np.ndarray, " 2"]) -> Open | None:
    """Both ends of an interval; None where it was not computed, and for an end at infinity."""
    low, high = ends
    return None if np.isnan(low) or np.isnan(high) else (_known(low), _known(high))
