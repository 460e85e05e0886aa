"""Verification: what a component's score can be taken to mean, in one word and with the figures.

Every threshold that a word or a verdict rests on stands in `THRESHOLDS`, with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float64

from replication.circuits.circuit import Circuit
from replication.circuits.components import Component
from replication.circuits.intervals import Verdict
from replication.circuits.scores import mean_table
from replication.circuits.selection import selections
from replication.controls.chance import agreements, rank_agreements
from replication.controls.exchanges import false_discovery_rates
from replication.controls.length import (
    inverse_differences,
    length_fits,
    length_free_p_values,
    length_norms,
)
from replication.controls.null import Null, null
from replication.controls.published_length import NoPrediction, first_position
from replication.controls.stability import CONFIDENCE, Stability, stability
from replication.engine.activations import MeanActivations
from replication.engine.scores.differential import pair_scores
from replication.evidence.evidence import Evidence, Finding, Kind, Result, select_circuit
from replication.experiment.spec import Spec
from replication.inputs.files import InputError

Word = Literal["specific", "artefact", "unstable", "not shown"]


VERDICTS: Mapping[Word, Verdict] = {
    "specific": "holds",
    "artefact": "refuted",
    "unstable": "undecided",
    "not shown": "undecided",
}


class Threshold(NamedTuple):
    """A bound that verdicts rest on, and why it is this one."""

    value: float
    reason: str


THRESHOLDS = {
    "artefact_share": Threshold(
        0.5, "length explains most of a score if it alone gives more than half of it"
    ),
    "length_fit": Threshold(
        0.5, "a score goes with length if lengths predict most of a left-out pair's squared score"
    ),
    "false_discovery_rate": Threshold(
        0.05, "of the components found to exceed their null, at most one in twenty by chance"
    ),
    "stable_probability": Threshold(
        0.95, "a selection is stable if at most one resample in twenty reverses it"
    ),
    "confidence": Threshold(
        CONFIDENCE, "intervals are to contain the true mean in 19 of 20 replications"
    ),
    "fewest_pairs": Threshold(2, "one pair has no other to be held against"),
}


@dataclass(frozen=True)
class Meaning:
    """What was found about one component's score; None where something could not be computed.

    `rank` is that among its kind. `length_norm` times |1/T - 1/T'| is the score of a pair that
    length alone gives; `length_score` its mean, `length_share` the lowest and the highest share of
    the score that it can be. `length_fit` is the share of a left-out pair's squared score that
    lengths predict, at whichever positions they act. `controlled_q_value` is that of the means
    without the first position (and an encoder's separator), with what goes with length taken out.
    """

    component: str
    kind: str
    rank: int
    score: float
    selected: bool
    by_pair: list[float] | None = None
    interval: list[float] | None = None
    selection_probability: float | None = None
    left_out_selected: int | None = None
    same_side_score: float | None = None
    same_side_quantiles: list[float] | None = None
    shuffled_score: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    controlled_q_value: float | None = None
    score_without_first: float | None = None
    length_norm: float | None = None
    length_score: float | None = None
    length_share: list[float] | None = None
    length_fit: float | None = None
    matched_score: float | None = None
    arithmetic: str | None = None
    word: Word = "not shown"
    reason: str = ""


@dataclass(frozen=True)
class Verification:
    """The controls on one result's scores, on one kind of evidence.

    `not_computed` says why a part is missing: `stability`, `null` or `length`.
    """

    evidence: Kind
    result: str
    components: Sequence[Meaning]
    pairs: int | None = None
    resamples: int | None = None
    seed: int | None = None
    stability: dict[str, Any] | None = None
    null: dict[str, Any] | None = None
    length: dict[str, Any] | None = None
    chance: Sequence[dict[str, Any]] = ()
    rank_agreement: Sequence[dict[str, Any]] = ()
    not_computed: Mapping[str, str] = field(default_factory=dict)

    def meaning(self, component: str) -> Meaning | None:
        """What was found about a component, if its score is known."""
        return next((one for one in self.components if one.component == component), None)


def verify(evidence: Evidence) -> list[Verification]:
    """The controls on every result that the evidence can say something about.

    On measured evidence that is the measured result; on published evidence every published one.
    """
    if evidence.activations is None:
        found = [
            _published(evidence, name, result)
            for name, result in evidence.results.items()
            if result.scores is not None
        ]
    else:
        found = [verify_measured(evidence.spec, evidence.activations, evidence.kind)]
    return [
        _against_others(one, evidence) if one.result == evidence.spec.measures else one
        for one in found
    ]


def findings(verifications: Sequence[Verification]) -> dict[str, Finding]:
    """What the controls say of every component; results that disagree leave it undecided."""
    by_component: dict[str, list[tuple[str, Meaning]]] = {}
    for verification in verifications:
        for meaning in verification.components:
            by_component.setdefault(meaning.component, []).append((verification.result, meaning))
    return {
        component: Finding(
            _agreed({VERDICTS[meaning.word] for _, meaning in found}),
            "; ".join(f"{result}: {meaning.word}: {meaning.reason}" for result, meaning in found),
        )
        for component, found in by_component.items()
    }


def _agreed(verdicts: set[Verdict]) -> Verdict:
    return verdicts.pop() if len(verdicts) == 1 else "undecided"


def verify_measured(
    spec: Spec, activations: MeanActivations, kind: Kind = "recorded"
) -> Verification:
    """The controls on scores computed from activations, by the experiment's scoring and rule."""
    scores = pair_scores(activations, spec.scoring.mlp_out).astype(np.float64)
    means = scores.mean(axis=0)
    components = spec.model.shape.components()
    selected = selections(spec, means[None])[0]
    ranks = _ranks(means, components)
    meanings = [
        Meaning(
            str(component),
            component.kind,
            ranks[index],
            float(means[index]),
            bool(selected[index]),
            by_pair=scores[:, index].tolist(),
        )
        for index, component in enumerate(components)
    ]
    found = Verification(
        kind,
        spec.measures,
        meanings,
        len(scores),
        spec.verification.resamples,
        spec.verification.seed,
    )
    if len(scores) < THRESHOLDS["fewest_pairs"].value:
        reason = "one pair has no other to be held against: give two or more"
        found = replace(found, not_computed={"stability": reason, "null": reason})
    else:
        found = _with_stability(found, stability(spec, scores))
        chance = null(activations, spec.scoring.mlp_out, spec.verification.seed)
        found = _with_null(found, chance)
    found = _with_length(found, spec, activations, scores)
    return replace(found, components=[_judged(one, found) for one in found.components])


def _ranks(means: Float64[np.ndarray, " components"], components: Sequence[Component]) -> list[int]:
    ranks = []
    for component, score in zip(components, means, strict=True):
        kind = [i for i, other in enumerate(components) if other.kind == component.kind]
        ranks.append(1 + int((means[kind] > score).sum()))
    return ranks


def _with_stability(found: Verification, stable: Stability) -> Verification:
    low, high = stable.interval.tolist()
    probable = THRESHOLDS["stable_probability"].value
    near_cut = [
        meaning.component
        for meaning, probability in zip(found.components, stable.probability, strict=True)
        if 1 - probable < probability < probable
    ]
    mean, lowest, highest = stable.overlap
    return replace(
        found,
        stability={
            "without_selection": stable.without_selection,
            "expected_overlap": {"mean": mean, "low": lowest, "high": highest},
            "near_cut": near_cut,
            "leave_one_out": [asdict(one) for one in stable.left_out],
        },
        components=[
            replace(
                meaning,
                interval=[low[index], high[index]],
                selection_probability=float(stable.probability[index]),
                left_out_selected=int(stable.left_out_selected[index]),
            )
            for index, meaning in enumerate(found.components)
        ],
    )


def _with_null(found: Verification, chance: Null) -> Verification:
    rates = false_discovery_rates(chance.p_value)
    return replace(
        found,
        null={
            "exchanges": chance.exchanges,
            "exhaustive": chance.is_exhaustive,
            "smallest_p": chance.smallest_p,
        },
        components=[
            replace(
                meaning,
                same_side_score=float(chance.same_side[index]),
                same_side_quantiles=chance.same_side_quantiles[index].tolist(),
                shuffled_score=float(chance.shuffled[index]),
                p_value=float(chance.p_value[index]),
                q_value=float(rates[index]),
            )
            for index, meaning in enumerate(found.components)
        ],
    )


def _with_length(
    found: Verification,
    spec: Spec,
    activations: MeanActivations,
    scores: Float64[np.ndarray, "pairs components"],
) -> Verification:
    """The length control; where it has nothing to see, it says so."""
    lengths, inner = activations.token_lengths, activations.inner
    if inner is None or not inner.token_lengths.all():
        reason = "a prompt has no position but the first (and a separator)"
        return replace(found, not_computed={**found.not_computed, "length": reason})
    if len(np.unique(lengths)) == 1:
        reason = f"it has nothing to see: every prompt has {lengths[0, 0]} tokens"
        return replace(found, not_computed={**found.not_computed, "length": reason})

    mlp_out = spec.scoring.mlp_out
    steps = np.abs(inverse_differences(lengths))
    norms = length_norms(activations, mlp_out)
    fits = length_fits(activations, lengths, mlp_out)
    without_first = pair_scores(inner, mlp_out).mean(axis=0, dtype=np.float64)
    matched = np.flatnonzero(steps == 0)
    table = mean_table(without_first, spec.model.shape)
    circuit, why = [], None
    try:
        circuit = [str(node) for node in select_circuit(spec, table).nodes]
    except InputError as error:
        why = str(error)
    whole = {"input", *(one.component for one in found.components if one.selected)}
    controlled = np.full(len(norms), np.nan)
    if found.null is not None:
        free = length_free_p_values(inner, lengths, mlp_out, spec.verification.seed)
        controlled = false_discovery_rates(free)
    return replace(
        found,
        length={
            "token_lengths": lengths.tolist(),
            "inverse_differences": steps.tolist(),
            "matched_pairs": (matched + 1).tolist(),
            "circuit_without_first": circuit,
            "no_circuit": why,
            "shared": len(whole & set(circuit)),
            "of": len(whole),
        },
        components=[
            replace(
                meaning,
                score_without_first=float(without_first[index]),
                length_norm=float(norms[index]),
                length_score=(alone := float(norms[index] * steps.mean())),
                length_share=[share := _share(alone, meaning.score), share],
                length_fit=float(fits[index]),
                controlled_q_value=_known(controlled[index]),
                matched_score=_known(scores[matched, index].mean() if len(matched) else np.nan),
            )
            for index, meaning in enumerate(found.components)
        ],
    )


def _share(part: float, whole: float) -> float:
    """The part over the whole; nothing of a score of zero is explained."""
    return part / whole if whole else 0.0


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _judged(meaning: Meaning, found: Verification) -> Meaning:
    word, reason = _word(meaning, found)
    return replace(meaning, word=word, reason=reason)


def _word(meaning: Meaning, found: Verification) -> tuple[Word, str]:
    """The first word of artefact, unstable and specific that applies, and why."""
    rate = THRESHOLDS["false_discovery_rate"].value
    share = meaning.length_share
    if share is not None and share[0] > THRESHOLDS["artefact_share"].value:
        explained = meaning.arithmetic or (
            f"the prompts' lengths alone give {meaning.length_score:.4g} of {meaning.score:.4g}"
        )
        return "artefact", f"{explained}: {_percent(share)}"
    if found.not_computed:
        lacking = [f"no {part} control: {why}" for part, why in found.not_computed.items()]
        if share is not None:
            lacking.insert(0, f"lengths alone give {_percent(share)} of it")
        return "not shown", "; ".join(lacking)

    q_value, controlled, fit = meaning.q_value, meaning.controlled_q_value, meaning.length_fit
    probability = meaning.selection_probability
    assert found.null is not None
    assert share is not None
    assert fit is not None
    assert q_value is not None
    assert controlled is not None
    assert probability is not None
    smallest_p = found.null["smallest_p"]
    could_be_found = smallest_p * len(found.components) <= rate
    if fit > THRESHOLDS["length_fit"].value and q_value > rate and could_be_found:
        return "artefact", (
            f"lengths predict {fit:.0%} of a left-out pair's squared score,"
            f" and the pairs have no direction in common (q = {q_value:.2g})"
        )
    reversed_in = 1 - probability if meaning.selected else probability
    if reversed_in > 1 - THRESHOLDS["stable_probability"].value:
        return "unstable", f"selected in {probability:.0%} of the resamples"
    compared = (
        f"{meaning.shuffled_score:.4g} between the sides, {meaning.same_side_score:.4g} within them"
    )
    with_length_out = f"q = {q_value:.2g}; {controlled:.2g} with length taken out"
    if q_value <= rate and controlled <= rate:
        explains = f"which explains {_percent(share)}"
        return "specific", f"{compared} ({with_length_out}, {explains})"
    if smallest_p > rate:
        return "not shown", (
            f"{compared}; {found.pairs} pairs cannot show a difference: their smallest possible p"
            f" is {smallest_p:.2g}"
        )
    return "not shown", f"{compared} ({with_length_out})"


def _percent(share: Sequence[float]) -> str:
    low, high = (f"{100 * end:.0f}" for end in share)
    return f"{low}%" if low == high else f"{low} to {high}%"


def _published(evidence: Evidence, name: str, result: Result) -> Verification:
    """What published figures allow: the share that length explains, where norms were published."""
    assert result.scores is not None
    scores = result.scores.scores
    nodes = set(result.circuit.nodes) if result.circuit else set()
    found = Verification(
        evidence.kind,
        name,
        [],
        not_computed={
            "stability": "the pairs' own scores were not published",
            "null": "the activations were not published",
        },
    )
    if result.lengths is None:
        reason = "the prompts' token lengths were not published"
        found = replace(found, not_computed={**found.not_computed, "length": reason})
    meanings = []
    for component, score in scores.items():
        better = [
            other
            for other, figure in scores.items()
            if other.kind == component.kind and figure.middle > score.middle
        ]
        meaning = Meaning(
            str(component),
            component.kind,
            1 + len(better),
            float(score.middle),
            component in nodes,
        )
        if result.lengths is not None:
            meaning = _with_published_length(meaning, component, result, evidence)
        meanings.append(_judged(meaning, found) if not meaning.reason else meaning)
    if result.lengths is not None:
        steps = [abs(1 / one - 1 / other) for one, other in result.lengths.token_lengths]
        found = replace(
            found,
            pairs=len(steps),
            length={
                "token_lengths": [list(pair) for pair in result.lengths.token_lengths],
                "inverse_differences": steps,
                "matched_pairs": [n for n, step in enumerate(steps, start=1) if not step],
            },
        )
    return replace(found, components=meanings)


def _with_published_length(
    meaning: Meaning, component: Component, result: Result, evidence: Evidence
) -> Meaning:
    """The share that length explains, from the norms of whichever result published them.

    A decoder's first position is the same token in every prompt, and sees no other: its activation
    is the model's own, whatever the prompts. Where a pair's own score was published too, the
    arithmetic shows what lengths alone give on that pair beside it.
    """
    lengths, table = result.lengths, result.scores
    assert lengths is not None
    assert table is not None
    if not lengths.mean_step:
        return replace(
            meaning,
            reason="no length control: it has nothing to see: each pair's lengths are equal",
        )
    sources = [lengths, *(other.lengths for other in evidence.results.values() if other.lengths)]
    source = next(
        (one for one in sources if any(component in norms for norms in one.mean_norms.values())),
        lengths,
    )
    try:
        position = first_position(source, component)
    except NoPrediction as lack:
        return replace(meaning, reason=f"no length control: {lack}")
    alone = position.step.scaled(lengths.mean_step)
    share = alone / table.scores[component]
    arithmetic = (
        f"{position.arithmetic}; times the mean of |1/T - 1/T'|, {float(lengths.mean_step):.5f},"
        f" lengths alone give {alone} of {meaning.score:.6g}"
    )
    for pair, scores in table.by_pair.items():
        if component in scores and pair <= len(lengths.token_lengths):
            given = position.step.scaled(lengths.step(pair))
            arithmetic += f" (on pair {pair} {given} of {float(scores[component].middle):.6g})"
    return replace(
        meaning,
        length_norm=float(position.step.middle),
        length_score=float(alone.middle),
        length_share=[float(share.low), float(share.high)],
        arithmetic=arithmetic,
    )


def _against_others(found: Verification, evidence: Evidence) -> Verification:
    """The verification with the agreement between this result's circuit and every other one's."""
    own = evidence.results[found.result].circuit
    others: dict[str, Circuit] = {
        name: result.circuit
        for name, result in evidence.results.items()
        if name != found.result and result.circuit is not None
    }
    if own is None:
        return found
    return replace(
        found,
        chance=[
            {"left": name, "right": found.result, **asdict(agreement)}
            for name, circuit in others.items()
            for agreement in agreements(circuit, own, evidence.shape)
        ],
        rank_agreement=[
            {"left": name, "right": found.result, **asdict(agreement)}
            for name, circuit in others.items()
            for agreement in rank_agreements(circuit, own)
        ],
    )


def verification_json(verifications: Sequence[Verification]) -> list[dict[str, Any]]:
    """The verifications as plain data, the components with the highest scores first."""
    return [
        asdict(replace(one, components=sorted(one.components, key=lambda meaning: -meaning.score)))
        for one in verifications
    ]
