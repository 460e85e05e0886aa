"""Every control on some evidence, and what they say of each component's score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from replication.circuits.circuit import Circuit
from replication.circuits.components import Component
from replication.circuits.intervals import Verdict
from replication.circuits.scores import ScoreTable
from replication.controls.causal import Causal, NotShown, causal, shown
from replication.controls.chance import Agreement, RankAgreement, agreements, rank_agreements
from replication.controls.faithfulness import Drawing
from replication.controls.halves import Halves, halved
from replication.controls.length import Length, length
from replication.controls.markers import Marker, markers
from replication.controls.not_computed import NotComputed
from replication.controls.null import Null, null
from replication.controls.null_circuit import FEWEST_CLUSTERS, NullOverlap, null_overlaps
from replication.controls.property import Property, property_of
from replication.controls.published_length import PublishedLength, published_length
from replication.controls.random_weights import OverRandom, over_random
from replication.controls.stability import Stability, stability
from replication.controls.thresholds import THRESHOLDS
from replication.controls.words import (
    VERDICTS,
    ComponentControl,
    measured_word,
    not_shown,
    published_word,
)
from replication.engine.activations import MeanActivations
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.evidence.evidence import Evidence, Measured
from replication.evidence.interventions import NoInterventions, Unshown
from replication.evidence.lengths import Lengths
from replication.experiment.attention import NOT_OF_ATTENTION
from replication.experiment.clusters import count_of
from replication.experiment.spec import Spec


@dataclass(frozen=True)
class Chance:
    """How far a circuit agrees with another, beside what chance gives."""

    left: str
    agreements: Sequence[Agreement]
    ranks: Sequence[RankAgreement]


@dataclass(frozen=True)
class MeasuredControls:
    """The controls on a measured result."""

    result: str
    measured: Measured
    stability: Stability | NotComputed
    halves: Halves | NotComputed
    null: Null | NotComputed
    null_circuit: Sequence[NullOverlap] | NotComputed
    property: Property | NotComputed
    length: Length | NotComputed
    random_weights: OverRandom | NotComputed
    markers: Sequence[Marker]
    chance: Sequence[Chance]
    words: Mapping[Component, ComponentControl]


@dataclass(frozen=True)
class PublishedControls:
    """The controls on a published result: what its figures allow.

    Of attention weights the `table` is empty: no control says what one of them means.
    """

    result: str
    table: ScoreTable
    circuit: Circuit | None
    stability: NotComputed
    null: NotComputed
    lengths: Lengths | NotComputed
    length: Mapping[Component, PublishedLength | NotComputed]
    chance: Sequence[Chance]
    words: Mapping[Component, ComponentControl]


@dataclass(frozen=True)
class Finding:
    """What the controls say of the statement that a component's score reflects the property."""

    verdict: Verdict
    reason: str


OF_ATTENTION = NotComputed(NOT_OF_ATTENTION)
NO_RUN = NotComputed("interventions need a run of the model: recorded or live evidence")


@dataclass(frozen=True)
class Controls:
    """The controls on every result that the evidence can say something about.

    `causal` is what interventions say, by behaviour, of the measured result.
    """

    results: Sequence[MeasuredControls | PublishedControls]
    causal: Mapping[str, Causal | NotShown] | NotComputed = NO_RUN

    def finding(self, component: Component) -> Finding | None:
        """What they say of a component; results that disagree leave it undecided."""
        found = [
            (one.result, one.words[component]) for one in self.results if component in one.words
        ]
        if not found:
            return None
        verdicts = {VERDICTS[meaning.word] for _, meaning in found}
        return Finding(
            verdicts.pop() if len(verdicts) == 1 else "undecided",
            "; ".join(f"{result}: {meaning.word}: {meaning.reason}" for result, meaning in found),
        )


def verify(evidence: Evidence) -> Controls:
    """The controls on the measured result or, on published evidence, on every published one."""
    if evidence.measured is not None:
        return Controls(
            [
                measured_controls(
                    evidence.spec, evidence.measured, list(_chance(evidence)), _circuits(evidence)
                )
            ],
            causal_controls(evidence.spec, evidence.measured),
        )
    return Controls(list(_published(evidence)))


def measured_controls(
    spec: Spec,
    measured: Measured,
    chance: Sequence[Chance] = (),
    others: Mapping[str, Circuit] = MappingProxyType({}),
) -> MeasuredControls:
    """The controls on a measured result, by the experiment's scoring and rule.

    `others` are the circuits of other results, by name.
    """
    shape, clusters, lengths = spec.model.shape, measured.clusters, measured.kept.token_lengths
    resamples, seed = spec.verification.resamples, spec.verification.seed
    stable: Stability | NotComputed
    halves: Halves | NotComputed
    unrelated: Null | NotComputed
    null_circuit: Sequence[NullOverlap] | NotComputed
    shown: Property | NotComputed
    other_kind = _not_differential(spec)
    explained = other_kind or length(spec, measured)
    if count_of(clusters) < THRESHOLDS.fewest_clusters.value:
        stable = halves = unrelated = null_circuit = shown = NotComputed(_one_cluster(measured))
    else:
        scores, tables = measured.pair_scores, measured.pair_tables
        stable = stability(scores, clusters, shape, spec.rule, resamples, seed, tables)
        halves = halved(scores, clusters, shape, spec.rule, seed, tables)
        unrelated = other_kind or _null(spec, measured)
        shown = explained if isinstance(explained, NotComputed) else _property(spec, measured)
        null_circuit = other_kind or _null_circuit(spec, measured, others)
    telling = markers(measured.pairs, lengths, clusters, spec.sides)
    selected = set(measured.circuit.nodes if measured.circuit else ())
    words = {
        component: measured_word(
            index, component in selected, measured, stable, unrelated, shown, explained, telling
        )
        for index, component in enumerate(shape.components())
        if component in measured.scores.scores
    }
    return MeasuredControls(
        spec.measures,
        measured,
        stable,
        halves,
        unrelated,
        null_circuit,
        shown,
        explained,
        other_kind or over_random(measured, shape.components()),
        telling,
        chance,
        words,
    )


def _null(spec: Spec, measured: Measured) -> Null:
    mlp_out, seed = spec.scoring.convention, spec.verification.seed
    return null(measured.activations, measured.clusters, mlp_out, seed)


def _property(spec: Spec, measured: Measured) -> Property:
    inner, lengths = measured.activations.inner, measured.activations.token_lengths
    assert inner is not None
    mlp_out, seed = spec.scoring.convention, spec.verification.seed
    return property_of(inner, lengths, measured.clusters, mlp_out, seed)


def _null_circuit(
    spec: Spec, measured: Measured, others: Mapping[str, Circuit]
) -> Sequence[NullOverlap] | NotComputed:
    n_clusters = count_of(measured.clusters)
    if n_clusters < FEWEST_CLUSTERS:
        return NotComputed(f"half of {n_clusters} clusters of pairs has no two prompts of one side")
    shape, mlp_out = spec.model.shape, spec.scoring.convention
    return null_overlaps(measured, shape, mlp_out, others, spec.verification.seed)


def _not_differential(spec: Spec) -> NotComputed | None:
    """Why what is asked of a difference of mean activations cannot be asked of other scores."""
    if spec.scoring.kind == "differential":
        return None
    if spec.scoring.kind == "attention":
        return OF_ATTENTION
    return NotComputed(
        f"the score is of kind {spec.scoring.kind}, of a behaviour, and no difference of mean"
        " activations"
    )


def causal_controls(
    spec: Spec, measured: Measured
) -> Mapping[str, Causal | NotShown] | NotComputed:
    """What the interventions say of every behaviour."""
    found = measured.interventions
    if isinstance(found, NoInterventions):
        return NotComputed(found.reason)
    verification = spec.verification
    drawing = Drawing(measured.clusters, verification.resamples, verification.seed)
    differential = None
    if isinstance(measured.kept, MeanActivations):
        differential = mean_scores([pair_scores(measured.kept, spec.scoring.convention)])
    said: dict[str, Causal | NotShown] = {}
    for name, behaved in found.behaviours.items():
        if isinstance(behaved, Unshown):
            counterparts = [shown(one, drawing) for one in behaved.counterparts]
            said[name] = NotShown(shown(behaved.whole, drawing), counterparts, behaved.reason)
        else:
            cell, shape = spec.ablation.cell, spec.model.shape
            said[name] = causal(name, behaved, cell, shape, drawing, differential)
    return said


def _one_cluster(measured: Measured) -> str:
    """Why nothing can be held against anything else."""
    if len(measured.clusters) == 1:
        return "one pair has no other to be held against: give two or more"
    return (
        f"the {len(measured.clusters)} pairs hang together, by texts that they share or by their"
        " stated group: they count as one, which has no other to be held against"
    )


def _published(evidence: Evidence) -> Iterator[PublishedControls]:
    """What published figures allow: the share that length explains, where norms were published."""
    stable = NotComputed("the pairs' own scores were not published")
    unrelated = NotComputed("the activations were not published")
    if evidence.spec.scoring.kind == "attention":
        yield from _published_attention(evidence, stable)
        return
    known = [result.lengths for result in evidence.results.values() if result.lengths]
    for name, result in evidence.results.items():
        table, own = result.scores, result.lengths
        if table is None:
            continue
        lengths = own or NotComputed("the prompts' token lengths were not published")
        explained: dict[Component, PublishedLength | NotComputed] = {}
        if isinstance(lengths, NotComputed):
            lacking = not_shown(stability=stable, null=unrelated, length=lengths)
            words = dict.fromkeys(table.scores, lacking)
        else:
            explained = {
                component: published_length(component, table, lengths, [lengths, *known])
                for component in table.scores
            }
            words = {
                component: published_word(found, stable, unrelated)
                for component, found in explained.items()
            }
        chance = list(_chance(evidence)) if name == evidence.spec.measures else []
        yield PublishedControls(
            name,
            table,
            result.circuit,
            stable,
            unrelated,
            lengths,
            explained,
            chance,
            words,
        )


def _published_attention(evidence: Evidence, stable: NotComputed) -> Iterator[PublishedControls]:
    """Results whose scores are attention weights: neither norms nor lengths say what one means."""
    lack, nothing = OF_ATTENTION, ScoreTable({})
    for name, result in evidence.results.items():
        if result.scores is not None or result.tables:
            chance = list(_chance(evidence)) if name == evidence.spec.measures else []
            yield PublishedControls(
                name, nothing, result.circuit, stable, lack, lack, {}, chance, {}
            )


def _chance(evidence: Evidence) -> Iterator[Chance]:
    """The agreement of what the experiment measures with every other circuit."""
    own = evidence.results[evidence.spec.measures].circuit
    if own is None:
        return
    for name, circuit in _circuits(evidence).items():
        yield Chance(name, agreements(circuit, own, evidence.shape), rank_agreements(circuit, own))


def _circuits(evidence: Evidence) -> dict[str, Circuit]:
    """The circuits of the results that the experiment does not measure, by name."""
    return {
        name: result.circuit
        for name, result in evidence.results.items()
        if result.circuit is not None and name != evidence.spec.measures
    }
