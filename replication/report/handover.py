"""Handing over: the records that are made of judgements, controls and evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float64
from pydantic import JsonValue

from replication.arithmetic.figures import Figure
from replication.circuits.comparison import cut, explain, only_in
from replication.circuits.components import Component, Kind, ModelShape, names
from replication.circuits.intervals import Interval, equals, plain, show
from replication.circuits.result_files import result_files
from replication.circuits.scores import ScoreTable, highest
from replication.claims.claim import Claim, Judgement
from replication.claims.given import is_given
from replication.claims.operating import operating_points
from replication.controls.halves import Halves
from replication.controls.length import Length
from replication.controls.not_computed import NotComputed
from replication.controls.null import Null
from replication.controls.null_circuit import NullOverlap
from replication.controls.property import Property
from replication.controls.random_weights import OverRandom
from replication.controls.stability import Stability
from replication.controls.verify import Chance, Controls, MeasuredControls, PublishedControls
from replication.engine.selfcheck import ALLOWED
from replication.evidence.evidence import Evidence, Measured, Result, RunProvenance
from replication.evidence.evidence import Kind as EvidenceKind
from replication.evidence.published_figures import Named
from replication.experiment.clusters import count_of
from replication.experiment.spec import Experiment, Spec
from replication.report.how_often import how_often
from replication.report.record import (
    AgainstRecord,
    AgreementRecord,
    CheckRecord,
    ComponentRecord,
    ControlsRecord,
    CutRecord,
    Figures,
    HalvesRecord,
    JudgementRecord,
    LeftOutRecord,
    LengthRecord,
    MarkerRecord,
    NullOverlapRecord,
    NullRecord,
    OperatingRecord,
    OutsideRecord,
    RandomWeightsRecord,
    RankAgreementRecord,
    ResultFigures,
    StabilityRecord,
)


def judged_record(experiment: str, judgement: Judgement, spec: Spec) -> JudgementRecord:
    """The record of a judgement."""
    return JudgementRecord(
        experiment=experiment,
        claim=judgement.claim.id,
        evidence=judgement.evidence,
        verdict=judgement.verdict,
        as_expected=judgement.as_expected,
        arithmetic=judgement.arithmetic,
        checks=[
            CheckRecord(
                kind=check.kind,
                verdict=outcome.verdict,
                expected=outcome.expected,
                measured=outcome.measured,
                tolerance=check.describe_tolerance(),
                reason=outcome.reason,
            )
            for check, outcome in zip(judgement.claim.check, judgement.outcomes, strict=True)
        ],
        figures=_by_source(judgement.figures),
        is_given=is_given(judgement.claim, spec),
    )


def _by_source(figures: Mapping[str, Named]) -> dict[str, list[str]]:
    """Printed figures and listed sets, by where they are printed."""
    found: dict[str, list[str]] = {}
    for name, figure in figures.items():
        shown = figure.printed if isinstance(figure, Figure) else ", ".join(figure.members)
        found.setdefault(figure.source, []).append(f"{name}: {shown}")
    return found


def missing_record(
    experiment: str, claim: Claim, evidence: EvidenceKind, reason: str, failed: bool
) -> JudgementRecord:
    """The record of a claim for which there was no evidence, or none that could be used."""
    return JudgementRecord(
        experiment=experiment,
        claim=claim.id,
        evidence=evidence,
        verdict="missing",
        as_expected=False if failed else None,
        arithmetic=reason,
        checks=[],
    )


def provenance_of(evidence: Evidence) -> RunProvenance | dict[str, str]:
    """Where a measured result comes from or, of published evidence, what each result is."""
    if evidence.measured is not None:
        return evidence.measured.provenance
    return {name: result.about for name, result in evidence.spec.results.items()}


def controls_records(controls: Controls, evidence: Evidence) -> Iterator[ControlsRecord]:
    """The records of the controls on this evidence, one for each result."""
    for found in controls.results:
        if isinstance(found, MeasuredControls):
            yield _measured_record(found, evidence)
        else:
            yield _published_record(found, evidence)


def _measured_record(found: MeasuredControls, evidence: Evidence) -> ControlsRecord:
    components = evidence.spec.model.shape.components()
    places = _places(evidence.spec, evidence.shape, found.measured, found.measured.scores)
    records = [
        _measured_component(found, index, component, places)
        for index, component in enumerate(components)
        if component in found.words
    ]
    return ControlsRecord(
        evidence=evidence.kind,
        result=found.result,
        components=sorted(records, key=lambda one: -one.score),
        pairs=len(found.measured.pair_scores),
        clusters=count_of(found.measured.clusters),
        resamples=evidence.spec.verification.resamples,
        seed=evidence.spec.verification.seed,
        stability=_stability(found.stability, components),
        halves=_halves(found.halves),
        null=_null(found.null),
        null_circuit=_null_circuit(found.null_circuit),
        markers=[
            MarkerRecord(mark=one.mark, shares=one.shares, design=one.design)
            for one in found.markers
        ],
        length=_length(found),
        random_weights=_random_weights(found.random_weights),
        chance=list(_agreements(found.chance, found.result)),
        rank_agreement=list(_rank_agreements(found.chance, found.result)),
        not_computed=_not_computed(found),
    )


def _measured_component(
    found: MeasuredControls, index: int, component: Component, places: Mapping[Component, int]
) -> ComponentRecord:
    measured = found.measured
    figures: dict[str, JsonValue] = {}
    if isinstance(found.stability, Stability):
        stable = found.stability
        figures |= {
            "interval": _known_ends(stable.interval[:, index]),
            "selection_probability": float(stable.probability[index]),
            "left_out_selected": int(stable.left_out_selected[index]),
        }
    if isinstance(found.null, Null):
        null = found.null
        figures |= {
            "same_side_score": float(null.same_side[index]),
            "same_side_quantiles": null.same_side_quantiles[index].tolist(),
            "shuffled_score": float(null.shuffled[index]),
            "p_value": float(null.p_value[index]),
            "q_value": float(null.q_value[index]),
        }
    if isinstance(found.property, Property):
        shown = found.property
        figures |= {
            "controlled_p_value": float(shown.p_value[index]),
            "controlled_q_value": float(shown.q_value[index]),
            "property_share": _known(shown.share[index]),
            "property_interval": _known_ends(shown.interval[:, index]),
        }
    if isinstance(found.length, Length):
        figures |= _length_figures(found.length, index)
    if isinstance(found.random_weights, OverRandom):
        figures["over_random"] = _known(found.random_weights.ratio[index])
    return ComponentRecord.model_validate(
        {
            "component": str(component),
            "kind": component.kind,
            "rank": places.get(component),
            "listed_rank": measured.scores.ranks[component],
            "score": float(measured.means[index]),
            "selected": measured.circuit is not None and component in measured.circuit.nodes,
            "by_pair": measured.pair_scores[:, index].tolist(),
            **figures,
            **asdict(found.words[component]),
            "how_often": how_often(
                found.words[component].word,
                count_of(measured.clusters),
                None
                if isinstance(found.property, NotComputed)
                else float(found.property.share[index]),
            ),
        }
    )


def _length_figures(length: Length, index: int) -> dict[str, JsonValue]:
    """What length gives of a component; of the first position where a token was added."""
    share, matched = float(length.share[index]), length.matched
    figures: dict[str, JsonValue] = {
        "length_fit": float(length.fit[index]),
        "matched_score": None if matched is None else float(matched[index]),
    }
    if length.added:
        figures |= {
            "score_without_first": float(length.without_first[index]),
            "length_norm": float(length.norms[index]),
            "length_score": float(length.alone[index]),
            "length_share": [share, share],
        }
    return figures


def _known(value: float) -> float | None:
    """A figure; None where it is nan."""
    return None if np.isnan(value) else float(value)


def _known_ends(ends: Float64[np.ndarray, " 2"]) -> list[JsonValue] | None:
    """Both ends of an interval; None where they are nan."""
    return None if np.isnan(ends).any() else ends.tolist()


def _published_record(found: PublishedControls, evidence: Evidence) -> ControlsRecord:
    result = evidence.results[found.result]
    places = _places(evidence.spec, evidence.shape, result, found.table)
    records = [_published_component(found, component, places) for component in found.table.scores]
    lengths = found.lengths
    return ControlsRecord(
        evidence=evidence.kind,
        result=found.result,
        components=sorted(records, key=lambda one: -one.score),
        pairs=None if isinstance(lengths, NotComputed) else len(lengths.token_lengths),
        length=None
        if isinstance(lengths, NotComputed)
        else LengthRecord(
            token_lengths=list(lengths.token_lengths),
            inverse_differences=[float(step) for step in lengths.steps],
            matched_pairs=[pair for pair, step in enumerate(lengths.steps, start=1) if not step],
        ),
        chance=list(_agreements(found.chance, found.result)),
        rank_agreement=list(_rank_agreements(found.chance, found.result)),
        not_computed=_not_computed(found),
    )


def _published_component(
    found: PublishedControls, component: Component, places: Mapping[Component, int]
) -> ComponentRecord:
    length = found.length.get(component)
    figures: dict[str, JsonValue] = {}
    if length is not None and not isinstance(length, NotComputed):
        figures = {
            "length_norm": float(length.norm.middle),
            "length_score": float(length.alone.middle),
            "length_share": [float(length.share.low), float(length.share.high)],
            "length_breakdown": None if length.breakdown is None else float(length.breakdown),
            "arithmetic": length.arithmetic,
        }
    nodes = found.circuit.nodes if found.circuit else ()
    return ComponentRecord.model_validate(
        {
            "component": str(component),
            "kind": component.kind,
            "rank": places.get(component),
            "listed_rank": found.table.ranks[component],
            "score": float(found.table.scores[component].middle),
            "printed": found.table.scores[component].as_printed,
            "selected": component in nodes,
            **figures,
            **asdict(found.words[component]),
        }
    )


def _not_computed(found: MeasuredControls | PublishedControls) -> dict[str, str]:
    by_name: dict[str, object] = {
        "stability": found.stability,
        "null": found.null,
        "length": found.length if isinstance(found, MeasuredControls) else found.lengths,
    }
    if isinstance(found, MeasuredControls):
        by_name |= {
            "null circuit": found.null_circuit,
            "property": found.property,
            "random weights": found.random_weights,
        }
    return {name: one.reason for name, one in by_name.items() if isinstance(one, NotComputed)}


def _stability(
    found: Stability | NotComputed, components: Sequence[Component]
) -> StabilityRecord | None:
    if isinstance(found, NotComputed):
        return None
    near_cut = zip(components, found.is_near_cut, strict=True)
    return StabilityRecord(
        without_selection=found.without_selection,
        near_cut=[str(component) for component, is_near in near_cut if is_near],
        leave_one_out=[LeftOutRecord.model_validate(asdict(one)) for one in found.left_out],
    )


def _halves(found: Halves | NotComputed) -> HalvesRecord | None:
    return None if isinstance(found, NotComputed) else HalvesRecord.model_validate(asdict(found))


def _null_circuit(found: Sequence[NullOverlap] | NotComputed) -> list[NullOverlapRecord]:
    if isinstance(found, NotComputed):
        return []
    return [NullOverlapRecord.model_validate(asdict(one)) for one in found]


def _null(found: Null | NotComputed) -> NullRecord | None:
    if isinstance(found, NotComputed):
        return None
    return NullRecord(
        exchanges=found.exchanges, exhaustive=found.is_exhaustive, smallest_p=found.smallest_p
    )


def _length(found: MeasuredControls) -> LengthRecord | None:
    length, circuit = found.length, found.measured.circuit
    nodes = circuit.nodes if circuit else ()
    if isinstance(length, NotComputed):
        return None
    return LengthRecord(
        token_lengths=length.token_lengths.tolist(),
        inverse_differences=length.steps.tolist(),
        matched_pairs=list(length.matched_pairs),
        added=length.added,
        circuit_without_first=names(length.nodes_without_first) if length.added else [],
        no_circuit=length.no_circuit,
        shared=len({*nodes} & {*length.nodes_without_first}),
        of=len(nodes),
    )


def _random_weights(found: OverRandom | NotComputed) -> RandomWeightsRecord | None:
    if isinstance(found, NotComputed):
        return None
    return RandomWeightsRecord(
        seeds=list(found.seeds),
        recorded_in=found.recorded_in,
        initializer_range=found.initializer_range,
        points=dict(found.points),
    )


def _agreements(chance: Iterable[Chance], right: str) -> Iterator[AgreementRecord]:
    for one in chance:
        for found in one.agreements:
            yield AgreementRecord(left=one.left, right=right, **asdict(found))


def _rank_agreements(chance: Iterable[Chance], right: str) -> Iterator[RankAgreementRecord]:
    for one in chance:
        for found in one.ranks:
            yield RankAgreementRecord(left=one.left, right=right, **asdict(found))


def figures(experiment: Experiment, evidence: Evidence) -> Figures:
    """The figures of one kind of evidence: of the measured result, or of every published one."""
    spec = experiment.spec
    shown = [spec.measures] if evidence.measured else list(evidence.results)
    return Figures(
        evidence=evidence.kind,
        sides=spec.sides,
        pairs=[tuple(pair) for pair in experiment.pairs],
        results={
            name: result_figures(spec, evidence.shape, evidence.results[name]) for name in shown
        },
    )


def result_figures(spec: Spec, shape: ModelShape, result: Result) -> ResultFigures:
    """One result: its scores, its nodes, and where its heads were cut off.

    Of several tables, a component's score is its highest.
    """
    several, circuit = result.tables, result.circuit
    table = highest(list(several.values())) if several else result.scores
    edge = cut(circuit, table) if circuit and table else None
    places = _places(spec, shape, result, table) if table else {}
    is_selected = circuit is not None or isinstance(result, Measured)
    return ResultFigures(
        shape=shape,
        mlp_threshold=spec.selection.mlp_threshold if is_selected else None,
        budget=spec.selection.budget,
        nodes=names(circuit.nodes) if circuit else None,
        cost=spec.costs.total(circuit.nodes) if circuit else None,
        scores={str(part): plain(score) for part, score in table.scores.items()} if table else None,
        printed={str(part): one.as_printed for part, one in table.scores.items() if one.as_printed}
        if table
        else {},
        tables=list(several),
        ranks={str(part): rank for part, rank in table.ranks.items()} if table else {},
        places={str(part): place for part, place in places.items()},
        cut=edge
        and CutRecord(
            last_in=str(edge.last_in), first_out=str(edge.first_out), score=float(edge.middle)
        ),
    )


def _places(
    spec: Spec, shape: ModelShape, result: Result, table: ScoreTable
) -> dict[Component, int]:
    """The ranks that are known among all components of a kind.

    They are those of the table as far as it lists the best of the kind. A published circuit that
    was selected by rank gives those of its own nodes.
    """
    circuit = result.circuit
    found: dict[Component, int] = {}
    kinds: tuple[Kind, ...] = ("mlp", "head")
    for kind in kinds:
        own = [one for one in shape.components() if one.kind == kind]
        is_whole = all(one in table.scores for one in own)
        best = len(own) if is_whole else table.best_listed.get(kind, 0)
        listed = [one for one in table.scores if one.kind == kind]
        found |= {one: table.ranks[one] for one in listed if table.ranks[one] <= best}
        if circuit and circuit.metadata.ordered and spec.selection.steps is None and not is_whole:
            places = {one: place for place, one in enumerate(circuit.of_kind(kind), start=1)}
            found |= {one: places[one] for one in listed if one in places and one not in found}
    return found


def differences(evidence: Evidence) -> dict[str, list[str]]:
    """How the circuit of the measured result differs from each other circuit, in words.

    On published evidence `measures` stands for the measured result.
    """
    name = evidence.spec.measures
    own = evidence.results.get(name)
    if own is None or own.circuit is None:
        return {}
    return {
        f"How {name} ({evidence.kind}) differs from {other}": explain(
            (other, result.circuit), (name, own.circuit), own.scores
        )
        for other, result in evidence.results.items()
        if other != name and result.circuit is not None
    }


def against_published(published: Result | None, evidence: Evidence) -> AgainstRecord | None:
    """How a run lies to what was published of the result that it measures; None without either."""
    measured = evidence.measured
    if measured is None or published is None:
        return None
    there, here = _tables(published), _tables(measured)
    compared = [
        (name, pair, component, own[component], score)
        for name, table in there.items()
        if name in here
        for pair, scores, own in _on_pairs(table, here[name])
        for component, score in scores.items()
        if component in own
    ]
    of_pairs = sum(pair is not None for _, pair, *_ in compared)
    rounding = ALLOWED[measured.provenance.precision]
    circuit = published.circuit if evidence.spec.rule.looks_at_scores else None
    nodes = measured.circuit.nodes if measured.circuit else ()
    return AgainstRecord(
        result=evidence.spec.measures,
        scores=len(compared) - of_pairs,
        pair_scores=of_pairs,
        rounding=None if all(score.as_printed for *_, score in compared) else rounding,
        outside=[
            OutsideRecord(
                component=str(component),
                table=name or None,
                pair=pair,
                measured=float(found.middle),
                printed=show(score),
                is_number=score.as_printed is None,
            )
            for name, pair, component, found, score in compared
            if equals(found, _met_by(score, rounding)) != "holds"
        ],
        nodes=len(circuit.nodes) if circuit else None,
        only_published=names(only_in(circuit.nodes, nodes)) if circuit else [],
        only_measured=names(only_in(nodes, circuit.nodes)) if circuit else [],
        no_circuit=measured.no_circuit,
    )


def _met_by(score: Interval, rounding: float) -> Interval:
    """What meets a published score: its digits or, of a number, what is the same but for rounding.

    A number is what another run computed, and no two processors round alike.
    """
    if score.as_printed is not None:
        return score
    margin = score.high * Fraction(str(rounding))
    return Interval(score.low - margin, score.high + margin)


Scores = Mapping[Component, Interval]


def _on_pairs(there: ScoreTable, here: ScoreTable) -> Iterator[tuple[int | None, Scores, Scores]]:
    """Both tables' scores on all pairs, and on each pair of which both have some."""
    yield None, there.scores, here.scores
    for pair, scores in there.by_pair.items():
        if pair in here.by_pair:
            yield pair, scores, here.by_pair[pair]


def _tables(result: Result) -> Mapping[str, ScoreTable]:
    """A result's tables by name; the one that has none is under an empty one."""
    if result.tables or result.scores is None:
        return result.tables
    return {"": result.scores}


def operating_records(
    claims: Iterable[Claim], evidence: Evidence, controls: Controls
) -> list[OperatingRecord]:
    """The records of the claims at all operating points; none on published evidence."""
    return [
        OperatingRecord.model_validate(asdict(found))
        for found in operating_points(claims, evidence, controls)
    ]


def measured_files(evidence: Evidence) -> dict[str, dict[str, Any]]:
    """The files of the measured result, by name; none on published evidence."""
    measured = evidence.measured
    if measured is None:
        return {}
    provenance = {
        "evidence": evidence.kind,
        **measured.provenance.model_dump(mode="json"),
        **evidence.spec.scoring.asked,
    }
    return result_files(measured.selected_on, measured.circuit, provenance)
