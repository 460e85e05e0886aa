"""Random weights: models of one architecture that learned nothing, and the scores that they give.

A model is made from the configuration of a loaded one, as its architecture's own initialisation
draws weights; nothing of the loaded weights goes into it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from replication.engine.capture import means_of_pairs
from replication.engine.chunks import in_chunks
from replication.engine.models import Advance, LoadedModel
from replication.engine.progress import progress
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.engine.selfcheck import self_check
from replication.engine.taps import Taps
from replication.engine.tensor_files import Tensors, digest_of
from replication.experiment.pairs import Pair
from replication.experiment.spec import MlpOut
from replication.inputs.files import InputError
from replication.inputs.messages import library_reason

SEEDS = (0, 1, 2, 3, 4)
# What a configuration says of a file, of its reading or of a run, and not of the architecture.
_OF_NO_WEIGHT = frozenset(
    {
        "_attn_implementation",
        "_name_or_path",
        "architectures",
        "attn_implementation",
        "dtype",
        "output_attentions",
        "output_hidden_states",
        "return_dict",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)


@dataclass(frozen=True)
class Architecture:
    """What the scores of random weights depend on, of a model: its configuration.

    `initializer_range` is the standard deviation that it states for random weights, if it does.
    """

    model_type: str
    config_sha256: str
    initializer_range: float | None = None


@dataclass(frozen=True)
class RandomWeights:
    """The scores that random weights of an architecture give: each seed's means over the pairs.

    Components stand in the order of `ModelShape.components`. `recorded_in` is the file that they
    were read from; None where they were run now.
    """

    seeds: Sequence[int]
    scores: Float64[np.ndarray, "seeds components"]
    architecture: Architecture
    recorded_in: str | None = None


def architecture_of(model: LoadedModel) -> Architecture:
    """The architecture of a loaded model: its type, and its configuration, as a digest.

    The digest is the SHA-256 of what differs from the type's defaults, as JSON with sorted keys and
    no spaces, without what says nothing of the weights.
    """
    config: Any = model.taps.transformer.config
    stated = {
        key: value for key, value in config.to_diff_dict().items() if key not in _OF_NO_WEIGHT
    }
    spread = getattr(config, "initializer_range", None)
    return Architecture(
        str(config.model_type), digest_of(stated), None if spread is None else float(spread)
    )


def random_weights(
    model: LoadedModel, pairs: Sequence[Pair], mlp_out: MlpOut, seeds: Sequence[int] = SEEDS
) -> RandomWeights:
    """The scores on these pairs of models as this one with random weights, one a seed.

    The tokens, the way through the model and the scoring are those of the loaded one.

    Raises:
        InputError: such a model cannot be made, fails the self-check, or gives activations that
            are not finite.
    """
    parts = [ScoresOfSeed(pairs, mlp_out, seed) for seed in seeds]
    with progress("Random weights", sum(part.size for part in parts)) as advance:
        scores = [one["scores"] for one in model.run(parts, advance)]
    return RandomWeights(tuple(seeds), np.stack(scores), architecture_of(model))


@dataclass(frozen=True)
class ScoresOfSeed:
    """The part of a run that scores one model with random weights, on all pairs."""

    pairs: Sequence[Pair]
    mlp_out: MlpOut
    seed: int

    @property
    def about(self) -> str:
        """Which model it is."""
        return f"random weights of seed {self.seed}"

    @property
    def size(self) -> int:
        """How many pairs are run."""
        return len(self.pairs)

    def run(self, model: LoadedModel, advance: Advance) -> Tensors:
        """Each component's mean score over the pairs."""
        random = randomised(model, self.seed)

        def by_chunk() -> Iterator[Float32[np.ndarray, "pairs components"]]:
            for chunk, first in in_chunks(self.pairs):
                yield pair_scores(means_of_pairs(random, chunk, first), self.mlp_out)
                advance(len(chunk))

        return {"scores": mean_scores(by_chunk())}


def randomised(model: LoadedModel, seed: int) -> LoadedModel:
    """A model of the same configuration with random weights, float32, which a seed decides.

    Raises:
        InputError: it cannot be made, or fails the self-check.
    """
    label = f"{model.provenance.model} with random weights"
    try:
        taps = _randomised(model.taps, seed)
        self_check(taps, model.tokenizer.ordinary(8), "float32")
    except InputError as error:
        raise InputError(f"{label}: {error}") from None
    except Exception as error:  # whatever an architecture's own code raises
        raise InputError(f"{label}: cannot be made: {library_reason(error)}") from None
    named = model.provenance.model_copy(update={"model": label, "precision": "float32"})
    return replace(model, taps=taps, provenance=named)


def _randomised(taps: Taps, seed: int) -> Taps:
    """The same modules, by name, of a new transformer of this one's class and configuration."""
    import torch

    own: Any = taps.transformer
    names = {module: name for name, module in own.named_modules()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        new = type(own)._from_config(copy.deepcopy(own.config), dtype=torch.float32)
    new = new.eval().to(taps.device)
    return replace(
        taps,
        transformer=new,
        with_head=None,
        layers=[new.get_submodule(names[module]) for module in taps.layers],
        mlp_out=[new.get_submodule(names[module]) for module in taps.mlp_out],
        z=[new.get_submodule(names[module]) for module in taps.z],
    )
