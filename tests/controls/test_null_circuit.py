from __future__ import annotations

import numpy as np
import pytest

from replication.circuits.components import ModelShape
from replication.controls.null_circuit import ANOTHER_HALF, NullOverlap, null_overlaps
from replication.engine.activations import MeanActivations
from replication.evidence.evidence import Measured
from tests.make import circuit, make_spec, measured_of

SHAPE = ModelShape(n_layers=4, n_heads=5, d_model=8, d_head=8)
HEADS, N_PAIRS = 6, 24


def measured(norms: np.ndarray, shift: np.ndarray, seed: int = 0) -> Measured:
    """Prompts whose heads are as far apart as their norms say, and shifted with the side."""
    random = np.random.default_rng(seed)
    z = random.standard_normal((N_PAIRS, 2, 20, 8)) * norms[:, None]
    z[:, 0, :, 0] += shift
    mlp_out = random.standard_normal((N_PAIRS, 2, 4, 8))
    activations = MeanActivations(
        mlp_out.astype(np.float32),
        z.reshape(N_PAIRS, 2, 4, 5, 8).astype(np.float32),
        np.full((N_PAIRS, 2), 9),
    )
    selection = {"budget": 8 * 5 + 8 * HEADS, "mlp_threshold": 0.0, "input_counts": True}
    return measured_of(make_spec(SHAPE, selection=selection), activations)


def heads_of(measured: Measured, **others: str) -> dict[str, NullOverlap]:
    """The overlaps of the heads; all MLPs are in, so that they are left out."""
    circuits = {name: circuit(nodes) for name, nodes in others.items()}
    found = null_overlaps(measured, SHAPE, "raw", circuits, 0)
    assert {one.among for one in found} == {"head"}
    return {one.against: one for one in found}


def test_heads_selected_for_their_norms_are_those_of_the_null_circuit() -> None:
    norms = np.repeat([1.0, 5.0], [14, 6])
    found = heads_of(measured(norms, np.zeros(20)))[ANOTHER_HALF]
    assert (found.of, found.real, found.null) == (6, 6.0, 6.0)
    assert (found.excess.mean, found.excess.low, found.excess.high) == (0, 0, 0)


def test_heads_that_respond_to_the_property_are_beyond_the_null_circuit() -> None:
    shift = np.repeat([0.0, 9.0], [14, 6])
    found = heads_of(measured(np.ones(20), shift))[ANOTHER_HALF]
    assert found.real == 6
    assert found.null < 3
    assert found.excess.low > 0


def test_another_results_circuit_is_held_against_both() -> None:
    norms = np.repeat([1.0, 5.0], [14, 6])
    run = measured(norms, np.zeros(20))
    (own,) = [heads_of(run, same=" ".join(map(str, run.circuit.nodes)))["same"]]
    assert (own.of, own.real, own.null, own.excess.mean) == (6, 6.0, 6.0, 0.0)
    other = heads_of(run, other="input a0.h0 a0.h1 a0.h2")["other"]
    assert (other.real, other.null) == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_random_sides_leave_no_excess(seed: int) -> None:
    norms = np.linspace(1, 3, 20)
    found = heads_of(measured(norms, np.zeros(20), seed))[ANOTHER_HALF]
    assert found.excess.low <= 0 <= found.excess.high
