"""Length: how much of a score the prompts' lengths alone explain.

Where the first position carries the same large activation whatever the text (an attention sink), a
mean over T positions moves with 1/T: if f is what stands at the first position, with an encoder's
separator, and b the mean over the others, the mean is (f + (T - 1) b) / T, and prompts of T and T'
tokens score |1/T - 1/T'| |f - b| before a word of them counts. The tokens that are the same in
every prompt are those that were added to its text; where none was, f cannot be told from the text.

That score alone is no share of the measured one, because the rest may point the other way. So it
counts only as far as it goes when the first position is left out: 1 - (score without it / score)².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from replication.circuits.components import Component
from replication.circuits.scores import table_of
from replication.circuits.selection import select
from replication.controls.not_computed import NotComputed
from replication.controls.property import length_terms, without_cluster
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
    `alone` its mean over the pairs. `share` is what that makes of the squared score, as far as it
    goes when the first position is left out: below 0 where the score rises without it, for length
    works against the rest. All are 0 where no token was added. `fit` is the share of a left-out
    cluster's squared scores that lengths predict, at whichever positions they act. `without_first`
    are the scores of the text alone, weighed as in the whole means, and `nodes_without_first` their
    circuit; where it cannot be selected, `no_circuit` says why. `matched` are the scores over the
    pairs of equal length, whose numbers are `matched_pairs`; None where there are none.
    """

    token_lengths: Int64[np.ndarray, "pairs 2"]
    added: int
    steps: Float64[np.ndarray, " pairs"]
    norms: Float64[np.ndarray, " components"]
    alone: Float64[np.ndarray, " components"]
    share: Float64[np.ndarray, " components"]
    fit: Float64[np.ndarray, " components"]
    without_first: Float64[np.ndarray, " components"]
    nodes_without_first: Sequence[Component]
    no_circuit: str | None
    matched_pairs: Sequence[int]
    matched: Float64[np.ndarray, " components"] | None


def length(spec: Spec, measured: Measured) -> Length | NotComputed:
    """The length control; where a prompt has no text of its own, it says so."""
    activations = measured.activations
    lengths, inner = activations.token_lengths, activations.inner
    if inner is None or not inner.token_lengths.all():
        return NotComputed("a prompt has no position of its own text")

    mlp_out = spec.scoring.convention
    steps = np.abs(inverse_differences(lengths))
    norms = length_norms(activations, mlp_out)
    alone = norms * steps.mean()
    without_first = text_scores(activations, inner, mlp_out)
    nodes, no_circuit = _selected(spec, without_first)
    matched = np.flatnonzero(steps == 0)
    return Length(
        token_lengths=lengths,
        added=int((lengths - inner.token_lengths).max()),
        steps=steps,
        norms=norms,
        alone=alone,
        share=length_shares(measured.means, alone, without_first),
        fit=length_fits(activations, measured.clusters, mlp_out),
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


def text_scores(
    activations: MeanActivations, inner: MeanActivations, mlp_out: MlpOut
) -> Float64[np.ndarray, " components"]:
    """The scores of the text alone, weighed as in the whole means.

    A mean over the text alone is one over fewer positions, and so moves more for the same words. So
    a pair's score counts by the share of its positions that are text: on prompts of one length,
    where the first position gives nothing, the scores are just those with it.
    """
    is_text = (inner.token_lengths / activations.token_lengths).mean(axis=1)
    return np.asarray((pair_scores(inner, mlp_out) * is_text[:, None]).mean(axis=0))


def length_shares(
    scores: Float64[np.ndarray, " components"],
    alone: Float64[np.ndarray, " components"],
    without: Float64[np.ndarray, " components"],
) -> Float64[np.ndarray, " components"]:
    """What lengths make of the squared scores: what they give, as far as it goes without them.

    A first position that sees the text, as an encoder's does, gives more than lengths do, and where
    the rest works against it, less goes without it than lengths give. Of a score of 0 it is 0.
    """
    given, left = (
        np.divide(one, scores, out=np.full_like(scores, lack), where=scores > 0) ** 2
        for one, lack in ((alone, 0.0), (without, 1.0))
    )
    return np.asarray(np.minimum(given, 1 - left))


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


def length_fits(
    means: MeanActivations, clusters: Int64[np.ndarray, " pairs"], mlp_out: MlpOut
) -> Float64[np.ndarray, " components"]:
    """How much of the squared differences of a cluster the lengths predict from all others.

    The prediction is linear in the differences of 1/T and of T, by least squares through the
    origin. The share is 1 where lengths say everything, and 0 where they say nothing, or where one
    cluster alone decides what they say.
    """
    terms = length_terms(means.token_lengths)
    corrected = without_cluster(terms @ np.linalg.pinv(terms), clusters)
    fits = []
    for component in means.by_component(mlp_out):
        difference = component[:, 0] - component[:, 1]
        total = np.vdot(difference, difference)
        if not total or corrected is None:
            fits.append(0.0)
            continue
        rest = corrected @ difference
        fits.append(max(0.0, 1 - np.vdot(rest, rest) / total))
    return np.array(fits)
