"""What counts as the same figure, where another order or other instructions computed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from replication.engine.activations import MeanActivations
from replication.engine.scores.differential import pair_scores
from replication.experiment.spec import MlpOut

# How far apart figures may lie, relative to the largest of what they belong to. A step of float32
# is 6e-8. Sums over a model's dimensions and positions differ by a few steps of their largest term
# when they are taken in another order, as by other instructions, numbers of threads or prompts at
# a time; a small element carries the steps of the large ones, and every layer adds its own. Under
# all settings of `tests.portable` that is 2.1e-6 of a component's largest element at most, and
# 1.4e-6 of a score. Each fault that `tests.faults` plants in a capture moves some component by 0.2.
SAME = 1e-5


def apart(found: Any, expected: Any, size: float | None = None) -> float:
    """The largest difference, relative to the largest magnitude that is expected, or to `size`."""
    return _compared(found, expected, size)[0]


def assert_close(
    found: Any, expected: Any, allowed: float = SAME, size: float | None = None
) -> None:
    """Both are the same but for their last digits.

    An array is held against its largest magnitude, or `size`; in a mapping each figure, or array,
    is held against its own.
    """
    if isinstance(expected, Mapping):
        assert found.keys() == expected.keys()
        compared = {name: _compared(found[name], expected[name], size) for name in expected}
    else:
        compared = {"": _compared(found, expected, size)}
    worst = max(compared, key=lambda name: _as_bad(compared[name][0]))
    share, account = compared[worst]
    assert share <= allowed, f"{worst} {account}, allowed are {allowed:g}".strip()


def by_component(means: MeanActivations) -> dict[str, np.ndarray]:
    """The means of every component by its name, and the inner ones."""
    found = {}
    for kind, of_kind in (("", means), ("inner ", means.inner)):
        if of_kind is not None:
            for layer in range(means.z.shape[2]):
                found[f"{kind}m{layer}"] = of_kind.mlp_out[:, :, layer]
                for head in range(means.z.shape[3]):
                    found[f"{kind}a{layer}.h{head}"] = of_kind.z[:, :, layer, head]
    return found


def assert_same_means(found: MeanActivations, expected: MeanActivations) -> None:
    """Every component's means are the same but for their last digits, over as many positions."""
    assert np.array_equal(found.token_lengths, expected.token_lengths)
    assert_close(by_component(found), by_component(expected))


def assert_same_pairs(
    found: MeanActivations, expected: MeanActivations, pairs: Sequence[int], mlp_out: MlpOut
) -> None:
    """What was found on some of the pairs, in whatever order, is what was found on all of them.

    Every score of a pair is held against itself, not against the largest.
    """
    assert_same_means(found, at(expected, pairs))
    scores = pair_scores(expected, mlp_out)[list(pairs)]
    assert_close(pair_scores(found, mlp_out) / scores, np.ones_like(scores), size=1)


def means_apart(found: MeanActivations, expected: MeanActivations) -> float:
    """How far the worst component's means lie apart."""
    others = by_component(found)
    return max(apart(others[name], means) for name, means in by_component(expected).items())


def at(means: MeanActivations, pairs: Sequence[int]) -> MeanActivations:
    """The means of some of the pairs."""
    rows = list(pairs)
    return MeanActivations(
        means.mlp_out[rows],
        means.z[rows],
        means.token_lengths[rows],
        means.inner and at(means.inner, rows),
    )


def _compared(found: Any, expected: Any, size: float | None) -> tuple[float, str]:
    """How far apart, and the account of it."""
    one, other = (np.asarray(values, dtype=np.float64) for values in (found, expected))
    assert one.shape == other.shape
    with np.errstate(invalid="ignore"):
        difference = np.abs(one - other)
    place = np.unravel_index(np.argmax(difference), difference.shape)  # a NaN goes first
    size = float(np.abs(other).max()) if size is None else size
    largest = float(difference[place])
    with np.errstate(divide="ignore"):
        share = float(np.float64(largest) / size) if largest else 0.0
    return share, (
        f"at {[int(index) for index in place]}: obtained {one[place]:.9g}, expected"
        f" {other[place]:.9g}, a difference of {largest:.2g}, {share:.2g} of {size:.6g}"
    )


def _as_bad(share: float) -> float:
    return np.inf if np.isnan(share) else share
