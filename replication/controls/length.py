"""Length: how much of a score the prompts' lengths alone explain.

Where the first position carries the same large activation whatever the text (an attention sink), a
mean over T positions moves with 1/T: if f is what stands at the first position, with an encoder's
separator, and b the mean over the others, the mean is (f + (T - 1) b) / T, and prompts of T and T'
tokens score |1/T - 1/T'| |f - b| before a word of them counts. The tokens that are the same in
every prompt are those that were added to its text; where none was, f cannot be told from the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from replication.circuits.components import Component
from replication.circuits.scores import table_of
from replication.circuits.selection import select
from replication.controls.exchanges import (
    exchanged_totals,
    exchanges,
    false_discovery_rates,
    share_as_large,
)
from replication.controls.not_computed import NotComputed
from replication.engine.activations import MeanActivations
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.evidence.evidence import Measured
from replication.experiment.spec import MlpOut, Spec
from replication.inputs.files import InputError


@dataclass(frozen=True)
class Length:
    """What the prompts' lengths explain, by component.

    `added` tokens stand around a prompt's text, most often one in front of it. `norms` times
    |1/T - 1/T'|, which `steps` holds by pair, is the score of a pair that length alone gives;
    `alone` its mean over the pairs, `share` that over the score: all 0 where no token was added.
    `fit` is the share of a left-out pair's squared score that lengths predict, at whichever
    positions they act. `free_p_value` is that of the means over the text alone, with what goes with
    length taken out, `free_q_value` its false-discovery rate. `without_first` are the scores, and
    `nodes_without_first` the circuit, of the text alone; where it cannot be selected, `no_circuit`
    says why. `matched` are the scores over the pairs of equal length, whose numbers are
    `matched_pairs`; None where there are none.
    """

    token_lengths: Int64[np.ndarray, "pairs 2"]
    added: int
    steps: Float64[np.ndarray, " pairs"]
    norms: Float64[np.ndarray, " components"]
    alone: Float64[np.ndarray, " components"]
    share: Float64[np.ndarray, " components"]
    fit: Float64[np.ndarray, " components"]
    free_p_value: Float64[np.ndarray, " components"]
    free_q_value: Float64[np.ndarray, " components"]
    without_first: Float64[np.ndarray, " components"]
    nodes_without_first: Sequence[Component]
    no_circuit: str | None
    matched_pairs: Sequence[int]
    matched: Float64[np.ndarray, " components"] | None


def length(spec: Spec, measured: Measured) -> Length | NotComputed:
    """The length control; where it has nothing to see, it says so."""
    activations = measured.activations
    lengths, inner = activations.token_lengths, activations.inner
    if inner is None or not inner.token_lengths.all():
        return NotComputed("a prompt has no position of its own text")
    if len(np.unique(lengths)) == 1:
        return NotComputed(f"it has nothing to see: every prompt has {lengths[0, 0]} tokens")

    mlp_out = spec.scoring.mlp_out
    steps = np.abs(inverse_differences(lengths))
    norms = length_norms(activations, mlp_out)
    alone = norms * steps.mean()
    free = length_free_p_values(inner, lengths, mlp_out, spec.verification.seed)
    without_first = mean_scores([pair_scores(inner, mlp_out)])
    nodes, no_circuit = _selected(spec, without_first)
    matched = np.flatnonzero(steps == 0)
    return Length(
        token_lengths=lengths,
        added=int((lengths - inner.token_lengths).max()),
        steps=steps,
        norms=norms,
        alone=alone,
        share=np.divide(alone, measured.means, out=np.zeros_like(alone), where=measured.means > 0),
        fit=length_fits(activations, lengths, mlp_out),
        free_p_value=free,
        free_q_value=false_discovery_rates(free),
        without_first=without_first,
        nodes_without_first=nodes,
        no_circuit=no_circuit,
        matched_pairs=[int(pair) + 1 for pair in matched],
        matched=mean_scores([measured.pair_scores[matched]]) if len(matched) else None,
    )


def _selected(
    spec: Spec, means: Float64[np.ndarray, " components"]
) -> tuple[list[Component], str | None]:
    """The circuit of these scores, or why there is none."""
    try:
        return select(table_of(means, spec.model.shape).middles(), spec.rule), None
    except InputError as error:
        return [], str(error)


def inverse_differences(
    token_lengths: Int64[np.ndarray, "pairs 2"],
) -> Float64[np.ndarray, " pairs"]:
    """1/T - 1/T' of every pair."""
    inverse = 1 / token_lengths
    return np.asarray(inverse[:, 0] - inverse[:, 1])


def length_norms(
    activations: MeanActivations, mlp_out: MlpOut
) -> Float64[np.ndarray, " components"]:
    """Each component's |f - b|, over all prompts: what |1/T - 1/T'| is multiplied by.

    The activations must hold inner means, over at least one position each. With k positions left
    out of the inner means, it is the norm of their sum less k times the inner mean.
    """
    inner = activations.inner
    assert inner is not None
    lengths = activations.token_lengths[:, :, None]
    n_inner = inner.token_lengths[:, :, None]
    norms = []
    both = (part.by_component(mlp_out) for part in (activations, inner))
    for whole, inside in zip(*both, strict=True):
        special = lengths * whole - n_inner * inside
        step = (special - (lengths - n_inner) * inside).mean(axis=(0, 1))
        norms.append(float(np.linalg.norm(step)))
    return np.array(norms)


def length_terms(token_lengths: Int64[np.ndarray, "pairs 2"]) -> Float64[np.ndarray, "pairs 2"]:
    """What a score can go with linearly: every pair's differences of 1/T and of T, in that order.

    T is taken in units of the longest prompt.
    """
    terms = np.stack([1 / token_lengths, token_lengths / token_lengths.max()], axis=-1)
    return np.asarray(terms[:, 0] - terms[:, 1])


def length_fits(
    means: MeanActivations,
    token_lengths: Int64[np.ndarray, "pairs 2"],
    mlp_out: MlpOut,
) -> Float64[np.ndarray, " components"]:
    """How much of the squared difference of a pair the lengths predict from all other pairs.

    The prediction is linear in the differences of 1/T and of T, by least squares through the
    origin; a pair's residual without itself is its residual over 1 - h, with h its leverage. The
    share is 1 where lengths say everything, and 0 where they say nothing, or where one pair alone
    decides what they say.
    """
    terms = length_terms(token_lengths)
    onto = terms @ np.linalg.pinv(terms)
    free = 1 - onto.diagonal()[:, None]
    fits = []
    for component in means.by_component(mlp_out):
        difference = component[:, 0] - component[:, 1]
        total = np.vdot(difference, difference)
        if not total or (free < 1e-9).any():
            fits.append(0.0)
            continue
        rest = (difference - onto @ difference) / free
        fits.append(max(0.0, 1 - np.vdot(rest, rest) / total))
    return np.array(fits)


def length_free_p_values(
    means: MeanActivations,
    token_lengths: Int64[np.ndarray, "pairs 2"],
    mlp_out: MlpOut,
    seed: int,
) -> Float64[np.ndarray, " components"]:
    """Each component's p-value of a common direction that lengths do not give.

    From the pairs' differences is taken out what goes linearly with 1/T and with T, by least
    squares through the origin: with H the projection onto what is left, r = H d. The statistic is
    |sum r|² over its expectation if all pairs' differences are noise, which 1'H1 is in proportion
    to; exchanging the prompts of pairs turns the signs e, and gives |sum e r|² over e'He. Where H
    leaves nothing of a common direction, the lengths cannot be told from the property: p is 1.
    """
    differences = length_terms(token_lengths)
    left = np.eye(len(differences)) - differences @ np.linalg.pinv(differences)
    signs, is_exhaustive = exchanges(len(differences), seed)
    scales = np.vecdot(signs @ left, signs)
    observed_scale = left.sum()
    if observed_scale < 1e-9:
        return np.ones(len(list(means.by_component(mlp_out))))
    is_seen = scales > 1e-9
    rests = (left @ (one[:, 0] - one[:, 1]) for one in means.by_component(mlp_out))
    products = np.stack([rest @ rest.T for rest in rests])
    totals = exchanged_totals(products, signs[is_seen]) / scales[is_seen]
    observed = products.sum(axis=(1, 2)) / observed_scale
    return np.array(
        [
            share_as_large(of_one, float(own), is_exhaustive)
            for of_one, own in zip(totals, observed, strict=True)
        ]
    )
