"""Differential scores of any number of pairs, of which no activation is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from replication.engine.capture import means_of_pairs
from replication.engine.chunks import Chunk, in_chunks
from replication.engine.models import Advance, LoadedModel
from replication.engine.progress import progress
from replication.engine.scores.differential import pair_scores
from replication.engine.tensor_files import Tensors
from replication.experiment.pairs import Pair
from replication.experiment.spec import MlpOut

Scored = tuple[Int64[np.ndarray, "pairs 2"], Float32[np.ndarray, "pairs components"]]


@dataclass(frozen=True)
class ScoresOfPairs(Chunk[Pair]):
    """The part of a run that scores some pairs."""

    mlp_out: MlpOut

    def run(self, model: LoadedModel, advance: Advance) -> Tensors:
        """The prompts' lengths, and each component's score on each pair."""
        found = means_of_pairs(model, self.pairs, self.first)
        advance(self.size)
        return {
            "token_lengths": found.token_lengths,
            "scores": pair_scores(found, self.mlp_out),
        }


def score_stream(
    model: LoadedModel, pairs: Iterable[Pair], mlp_out: MlpOut, n_pairs: int
) -> Iterator[Scored]:
    """The prompts' lengths and the scores of a few pairs at a time, in order.

    A progress bar with the time to go shows on a terminal; `n_pairs` is where it ends.

    Raises:
        InputError: as `capture` does, when it comes to the pair at fault.
    """
    with progress("Capturing", n_pairs) as advance:
        parts = (ScoresOfPairs(*chunk, mlp_out) for chunk in in_chunks(pairs))
        for done in model.run(parts, advance):
            yield done["token_lengths"], done["scores"]
