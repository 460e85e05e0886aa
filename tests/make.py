"""What several test files make: specs, runs of no model, circuits, and changes of files."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from replication.circuits.circuit import Circuit, Metadata
from replication.circuits.components import ModelShape, parse
from replication.engine.activations import MeanActivations
from replication.engine.provenance import Provenance
from replication.engine.recording import Recording
from replication.engine.selfcheck import SelfCheck
from replication.engine.tokens import SeenTokens
from replication.evidence.evidence import Evidence, Measured, measure
from replication.experiment.pairs import Pair
from replication.experiment.spec import Spec, TokensSpec
from tests.paths import FIXTURES


def make_spec(shape: ModelShape, **changes: Any) -> Spec:
    """A spec on a model of this shape that selects everything."""
    everything = shape.d_model * (1 + shape.n_layers) + shape.d_head * shape.n_heads * (
        shape.n_layers
    )
    return Spec.model_validate(
        {
            "title": "A title",
            "task": "a_task",
            "sides": ["one", "other"],
            "pairs": "pairs.jsonl",
            "measures": "mine",
            "model": {"name": "a-model", "shape": shape},
            "scoring": {"mlp_out": "raw"},
            "selection": {"budget": everything, "mlp_threshold": 0.0, "input_counts": True},
            **changes,
        }
    )


def run_of(activations: MeanActivations) -> Recording:
    """These activations as a run of a model that there is not."""
    _, _, n_layers, d_model = activations.mlp_out.shape
    *_, n_heads, d_head = activations.z.shape
    shape = ModelShape(n_layers=n_layers, n_heads=n_heads, d_model=d_model, d_head=d_head)
    return Recording(activations, provenance_of(shape), seen_in(activations))


def provenance_of(shape: ModelShape, **changes: Any) -> Provenance:
    """The provenance of a run of a model that there is not."""
    stated: dict[str, Any] = {
        "model": "none",
        "weights_sha256": "0" * 64,
        "shape": shape,
        "key_heads": shape.n_heads,
        "mlp_at": "residual",
        "tokens": TokensSpec(),
        "tokenizer_sha256": "1" * 64,
        "self_check": SelfCheck(way="packed", means=0.0, earlier=0.0),
        "device": "cpu",
        "precision": "float32",
        "versions": {},
        "platform": "none",
    }
    return Provenance(**{**stated, **changes})


def seen_in(activations: MeanActivations) -> SeenTokens:
    """Tokens that a model may have seen where it gave these activations."""
    one, other = activations.token_lengths[0].tolist()
    inner = activations.inner or activations
    added = (activations.token_lengths - inner.token_lengths)[0].tolist()
    return SeenTokens(
        first_pair=(["a"] * one, ["b"] * other), added=tuple(added), ids_sha256="2" * 64
    )


def measured_of(
    spec: Spec,
    activations: MeanActivations,
    clusters: Sequence[int] | None = None,
    pairs: Sequence[Pair] | None = None,
) -> Measured:
    """What these activations measure, by default of pairs that have nothing in common."""
    n_pairs = len(activations.z)
    apart = [Pair(str(2 * number), str(2 * number + 1)) for number in range(n_pairs)]
    own = np.arange(n_pairs) if clusters is None else np.array(clusters)
    return measure(spec, run_of(activations), apart if pairs is None else pairs, own, {})


def evidence_of(spec: Spec, activations: MeanActivations) -> Evidence:
    """Recorded evidence of these activations alone."""
    results = {spec.measures: measured_of(spec, activations)}
    return Evidence("recorded", spec, spec.model.shape, results)


def means(shape: ModelShape, n_pairs: int = 2, seed: int = 0) -> MeanActivations:
    """Mean activations that are noise, of prompts of one length, without inner means."""
    random = np.random.default_rng(seed)
    sizes = (n_pairs, 2, shape.n_layers)
    return MeanActivations(
        random.standard_normal((*sizes, shape.d_model), dtype=np.float32),
        random.standard_normal((*sizes, shape.n_heads, shape.d_head), dtype=np.float32),
        np.full((n_pairs, 2), 9),
    )


def circuit(nodes: str, **metadata: Any) -> Circuit:
    """A circuit of the nodes that a text names."""
    return Circuit(tuple(map(parse, nodes.split())), Metadata(**metadata))


def copied(source: Path, destination: Path) -> Path:
    """A copy of a folder, to change even where the folder itself may not be changed."""
    shutil.copytree(source, destination)
    for path in (destination, *destination.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    return destination


def quick_experiments(folder: Path) -> Path:
    """A folder with copies of the experiments that are judged in no time."""
    for name in ("sarcasm-gpt2", "sarcasm-minilm"):
        copied(FIXTURES / name, folder / name)
    return folder


def edit(path: Path, old: str, new: str) -> int:
    """Replace a text that stands in a file, once; the line that it stands on."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, f"{old!r} is not in {path.name}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1
