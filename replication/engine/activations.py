"""Mean activations: what a run of the model keeps of every prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from replication.engine.tensor_files import Tensors
from replication.experiment.spec import MlpOut

_NAMES = "mlp_out", "z", "token_lengths"
MOST_TOKENS = 100_000_000  # in a prompt: more than any model's context holds


def centred(
    values: Float[np.ndarray, "*batch size"], out: Float[np.ndarray, "*batch size"] | None = None
) -> Float[np.ndarray, "*batch size"]:
    """Values less their mean over the last axis, written into `out` where it is given.

    On raw weights it gives what a library that centres the writing weights reports: centring is
    linear, and a constant bias cancels in a difference of means.
    """
    return np.asarray(np.subtract(values, values.mean(axis=-1, keepdims=True), out=out))


@dataclass(frozen=True)
class MeanActivations:
    """Each component's activation averaged over the positions of one prompt.

    `mlp_out` is `blocks.{layer}.hook_mlp_out` and `z` is `blocks.{layer}.attn.hook_z`, both on
    raw weights; tokens that were added to a prompt are among the positions, which `token_lengths`
    counts. `inner` are the means over the positions of the prompt's own text alone.
    """

    mlp_out: Float32[np.ndarray, "pairs 2 layers d_model"]
    z: Float32[np.ndarray, "pairs 2 layers heads d_head"]
    token_lengths: Int64[np.ndarray, "pairs 2"]
    inner: MeanActivations | None = None

    def by_component(self, mlp_out: MlpOut) -> Iterator[Float64[np.ndarray, "pairs 2 size"]]:
        """Each component's means, in the order of `ModelShape.components`."""
        _, _, n_layers, n_heads, _ = self.z.shape
        for layer in range(n_layers):
            means = self.mlp_out[:, :, layer].astype(np.float64)
            yield centred(means) if mlp_out == "centred" else means
        for layer in range(n_layers):
            for head in range(n_heads):
                yield self.z[:, :, layer, head].astype(np.float64)

    def tensors(self) -> Tensors:
        """Both means by name, each tensor in one piece."""
        assert self.inner is not None
        return {
            f"{which}{name}": np.ascontiguousarray(getattr(means, name))
            for which, means in (("", self), ("inner.", self.inner))
            for name in _NAMES
        }

    @classmethod
    def of(cls, tensors: Tensors) -> MeanActivations:
        """The means that these tensors are."""

        def means(which: str) -> MeanActivations:
            mlp_out, z, token_lengths = (tensors[f"{which}{name}"] for name in _NAMES)
            return cls(mlp_out, z, token_lengths)

        return replace(means(""), inner=means("inner."))


def joined(chunks: Sequence[MeanActivations]) -> MeanActivations:
    """The chunks' whole means, one behind the other; their inner means are left out."""
    return MeanActivations(
        np.concatenate([chunk.mlp_out for chunk in chunks]),
        np.concatenate([chunk.z for chunk in chunks]),
        np.concatenate([chunk.token_lengths for chunk in chunks]),
    )
