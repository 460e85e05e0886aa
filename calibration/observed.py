"""What is seen of the controls on one draw: how often each thing was said, and how rightly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from calibration.drawn import Drawn, Generator
from replication.circuits.components import ModelShape
from replication.circuits.selection import selections
from replication.controls.halves import halved
from replication.controls.not_computed import NotComputed
from replication.controls.null_circuit import ANOTHER_HALF, NullOverlap, null_overlaps
from replication.controls.property import Property
from replication.controls.stability import Stability, stability
from replication.controls.thresholds import THRESHOLDS
from replication.controls.verify import MeasuredControls, measured_controls
from replication.engine.provenance import Provenance
from replication.engine.recording import Recording
from replication.engine.selfcheck import SelfCheck
from replication.engine.tokens import SeenTokens
from replication.evidence.evidence import Measured, measure
from replication.experiment.clusters import clusters_of
from replication.experiment.spec import Spec, TokensSpec

ANY_WORD = "some component without the property is called specific or differs"
FALSE_WORDS = "false discoveries: of what is called specific or differs, what has no property"
SPECIFIC, DIFFERS, ARTEFACT = "called specific", "called differs", "called artefact"
SCORE_HELD, SHARE_HELD = "the score's interval holds it", "the share's interval holds it"
COMES_AGAIN = "what is called stable comes out again in another run"
EXCESS = "the null circuit's excess covers 0"
LARGER_PROPERTY = "called artefact, property 1.5 times length or more"
LARGER_LENGTH = "called artefact, property a quarter of length or less"
RIGHT_SPECIFIC, RIGHT_DIFFERS = "specific, rightly", "differs, rightly"
OVERSTATED = "the overlap of two runs, as stated less as seen, in points"
SHARES = ((0.0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 1.0))  # above the one, up to the other
SELECTION_EVERY = 4  # models of which the selection is looked at, which takes as long again
HEADS = 30  # that the circuit holds where the selection is looked at


class Seen(NamedTuple):
    """How often something came out in one model, of how many times that it could.

    `of_share` are the bounds of the property's share that it is about; of what was measured where a
    word is looked at, and of the true one elsewhere.
    """

    generator: str
    pairs: int
    seed: int
    what: str
    hits: float
    of: int
    of_share: tuple[float, float] | None = None


@dataclass(frozen=True)
class Look:
    """One draw, and what the controls said of it."""

    generator: Generator
    seed: int
    drawn: Drawn
    controls: MeasuredControls

    @property
    def words(self) -> np.ndarray:
        """The word on each component."""
        return np.array([one.word for one in self.controls.words.values()])

    def seen(
        self,
        what: str,
        flags: Bool[np.ndarray, " some"],
        of_share: tuple[float, float] | None = None,
    ) -> Iterator[Seen]:
        """How many of these flags are set; nothing where there are none."""
        if len(flags):
            pairs = len(self.drawn.pairs)
            yield Seen(
                self.generator.name, pairs, self.seed, what, flags.sum(), len(flags), of_share
            )


def spec_of(shape: ModelShape, n_heads: int | None = None) -> Spec:
    """An experiment on made-up models: everything is selected, or all MLPs and so many heads."""
    heads = shape.n_heads * shape.n_layers if n_heads is None else n_heads
    return Spec.model_validate(
        {
            "title": "Made-up models",
            "task": "finding the planted property",
            "sides": ["with", "without"],
            "pairs": "pairs.jsonl",
            "measures": "planted",
            "model": {"name": "test/planted", "shape": shape},
            "scoring": {"mlp_out": "centred"},
            "selection": {
                "budget": shape.d_model * (1 + shape.n_layers) + shape.d_head * heads,
                "mlp_threshold": 0.0,
                "input_counts": True,
            },
            "verification": {"resamples": 2000},
        }
    )


def observe(generator: Generator, shape: ModelShape, seed: int, n_pairs: int) -> Iterator[Seen]:
    """Everything that is looked at, on so many pairs of a model."""
    drawn = generator.draw(seed, n_pairs)
    look = Look(generator, seed, drawn, measured_controls(spec_of(shape), measured(drawn, shape)))
    yield from _words(look)
    yield from _intervals(look)
    if seed % SELECTION_EVERY:
        return
    if not np.isnan(drawn.score).any():
        yield from _selection(look, shape)
    if not generator.has_property and not isinstance(look.controls.null_circuit, NotComputed):
        yield from _excess(look, shape)


def measured(drawn: Drawn, shape: ModelShape, n_heads: int | None = None) -> Measured:
    """What a draw measures, with the clusters that its texts and groups make."""
    lengths = drawn.activations.token_lengths
    provenance = Provenance(
        model="made up",
        weights_sha256="0" * 64,
        shape=shape,
        key_heads=shape.n_heads,
        mlp_at="residual",
        tokens=TokensSpec(),
        tokenizer_sha256="0" * 64,
        self_check=SelfCheck(way="packed", means=0.0, earlier=None),
        device="none",
        precision="float32",
        versions={},
        platform="none",
    )
    seen = SeenTokens(
        first_pair=(["a"] * int(lengths[0, 0]), ["a"] * int(lengths[0, 1])),
        added=(0, 0),
        ids_sha256="0" * 64,
    )
    clusters = clusters_of(drawn.pairs, drawn.groups)
    run = Recording(drawn.activations, provenance, seen)
    return measure(spec_of(shape, n_heads), run, drawn.pairs, clusters, {})


def _words(look: Look) -> Iterator[Seen]:
    """Which words were said, of components with the property and without it."""
    words, share, ratio = look.words, look.drawn.share, look.drawn.length_ratio
    is_said = np.isin(words, ["specific", "differs"])
    false = is_said & (share == 0)
    yield from look.seen(ANY_WORD, np.array([false.any()]))
    if look.generator.has_property:
        rate = false.sum() / max(1, is_said.sum())
        yield Seen(look.generator.name, len(look.drawn.pairs), look.seed, FALSE_WORDS, rate, 1)
    for low, high in SHARES:
        within = (low < share) & (share <= high)
        for what, word in ((SPECIFIC, "specific"), (DIFFERS, "differs"), (ARTEFACT, "artefact")):
            yield from look.seen(what, words[within] == word, (low, high))
    has_both = (share > 0) & (ratio > 0) & np.isfinite(ratio)
    for what, by_size in (
        (LARGER_PROPERTY, ratio <= 1 / 1.5),
        (LARGER_LENGTH, ratio >= 4),
    ):
        yield from look.seen(what, words[has_both & by_size] == "artefact")
    shown = look.controls.property
    if isinstance(shown, Property):
        for low, high in SHARES:
            within = (low < shown.share) & (shown.share <= high)
            specific, differs = (
                share[within & (words == word)] for word in ("specific", "differs")
            )
            is_large = specific > THRESHOLDS.property_share.value
            yield from look.seen(RIGHT_SPECIFIC, is_large, (low, high))
            yield from look.seen(RIGHT_DIFFERS, differs > 0, (low, high))


def _intervals(look: Look) -> Iterator[Seen]:
    """Which intervals hold what they are to hold."""
    stable, shown, drawn = look.controls.stability, look.controls.property, look.drawn
    if isinstance(stable, Stability) and not np.isnan(drawn.score).any():
        low, high = stable.interval
        known = ~np.isnan(low)
        yield from look.seen(SCORE_HELD, ((low <= drawn.score) & (drawn.score <= high))[known])
    if isinstance(shown, Property):
        low, high = shown.interval
        known = (drawn.share > 0) & ~np.isnan(low)
        yield from look.seen(SHARE_HELD, ((low <= drawn.share) & (drawn.share <= high))[known])


def _selection(look: Look, shape: ModelShape) -> Iterator[Seen]:
    """What is said of the selection, against another run of as many pairs."""
    n_pairs, spec = len(look.drawn.pairs), spec_of(shape, HEADS)
    both = measured(look.generator.draw(look.seed, 2 * n_pairs), shape, HEADS)
    one, other = both.pair_scores[:n_pairs], both.pair_scores[n_pairs:]
    clusters = look.controls.measured.clusters
    if clusters.max() == 0:
        return
    here, there = (
        selections(scores.mean(axis=0, keepdims=True, dtype=np.float64), shape, spec.rule)[0]
        for scores in (one, other)
    )
    stable = stability(one, clusters, shape, spec.rule, spec.verification.resamples, look.seed)
    bound = THRESHOLDS.stable_probability.value
    is_stable = np.where(here, stable.probability >= bound, stable.probability <= 1 - bound)
    heads = slice(shape.n_layers, None)
    yield from look.seen(COMES_AGAIN, (here == there)[heads][is_stable[heads]])
    stated = halved(one, clusters, shape, spec.rule, look.seed).overlap
    if stated is not None:
        seen = (1 + (here & there).sum()) / (1 + here.sum())
        points = 100 * (stated.mean - seen)
        yield Seen(look.generator.name, n_pairs, look.seed, OVERSTATED, points, 1)


def _excess(look: Look, shape: ModelShape) -> Iterator[Seen]:
    """Whether what is shared beyond the null circuit may be nothing, where it is nothing."""
    found = null_overlaps(measured(look.drawn, shape, HEADS), shape, "centred", {}, look.seed)
    yield from look.seen(EXCESS, np.array([covers(one) for one in found]))


def covers(overlap: NullOverlap) -> bool:
    """Whether the excess may be nothing."""
    return overlap.against == ANOTHER_HALF and overlap.excess.low <= 0 <= overlap.excess.high
