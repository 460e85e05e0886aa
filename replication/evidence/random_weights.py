"""Random weights, recorded: the scores that models of an architecture give that learned nothing.

A small JSON file beside the recording. It states what the scores depend on, so that a file of other
pairs, tokens or conventions, or of another architecture, is refused before a figure rests on it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, StringConstraints

from replication.circuits.components import ModelShape
from replication.circuits.scores import LARGEST
from replication.engine.random_weights import SEEDS, Architecture, RandomWeights
from replication.engine.recording import Recording
from replication.engine.tensor_files import digest_of
from replication.experiment.attention import NOT_OF_ATTENTION
from replication.experiment.spec import Experiment, MlpAt, MlpOut, TokensSpec
from replication.inputs.files import InputError, faulty, is_there, read_json, validate
from replication.inputs.folders import check_replaceable, check_writable
from replication.inputs.messages import quoted, shortened
from replication.inputs.positions import Place
from replication.inputs.writing import write_atomically

FORMAT = "replication.random-weights.1"
DIGITS = 6  # significant ones of a score
OPTION = "--random-weights"

_DIGEST = r"^[0-9a-f]{64}$"
_Digest = Annotated[str, StringConstraints(pattern=_DIGEST)]
_Score = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]


@dataclass(frozen=True)
class NoRandomWeights:
    """There are no scores of random weights, and why."""

    reason: str


class _File(BaseModel):
    """What the file holds; `scores` has a component's on every seed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: str
    model: str
    model_type: str
    config_sha256: _Digest
    initializer_range: Annotated[float, Field(allow_inf_nan=False)] | None
    shape: ModelShape
    key_heads: PositiveInt
    mlp_out: MlpOut
    mlp_at: MlpAt
    tokens: TokensSpec
    tokens_sha256: _Digest
    pairs: PositiveInt
    pairs_sha256: _Digest
    versions: dict[str, str]
    platform: str
    seeds: list[int]
    scores: dict[str, list[_Score]]


def random_weights_path(experiment: Experiment) -> Path:
    """Where the experiment keeps the scores of random weights."""
    return experiment.folder / experiment.spec.random_weights


def check_overwritten(path: Path) -> None:
    """Refuse to write such a file where anything else stands.

    Raises:
        InputError: something else stands there, or nothing may be written there.
    """
    check_writable(path)
    check_replaceable(path, "table of scores of random weights", _is_such_table)


def _is_such_table(path: Path) -> bool:
    try:
        found = read_json(path)
    except InputError:
        return False
    stated = found.get("format") if isinstance(found, dict) else None
    return str(stated).startswith(FORMAT.rpartition(".")[0])


def record_random_weights(experiment: Experiment, random: RandomWeights, run: Recording) -> Path:
    """Write the scores of random weights, and say where; `run` is one of the model itself."""
    spec, components = experiment.spec, experiment.spec.model.shape.components()
    content = _File(
        format=FORMAT,
        model=run.provenance.model,
        model_type=random.architecture.model_type,
        config_sha256=random.architecture.config_sha256,
        initializer_range=random.architecture.initializer_range,
        shape=run.provenance.shape,
        key_heads=run.provenance.key_heads,
        mlp_out=spec.scoring.convention,
        mlp_at=spec.scoring.mlp_at,
        tokens=spec.tokens,
        tokens_sha256=run.seen.ids_sha256,
        pairs=len(experiment.pairs),
        pairs_sha256=digest_of(experiment.pairs),
        versions=run.provenance.versions,
        platform=run.provenance.platform,
        seeds=list(random.seeds),
        scores={
            str(component): [float(f"{score:.{DIGITS}g}") for score in scores]
            for component, scores in zip(components, random.scores.T.tolist(), strict=True)
        },
    )
    path = random_weights_path(experiment)
    write_atomically(path, _text(content.model_dump(mode="json")))
    return path


def _text(content: dict[str, Any]) -> str:
    """The file's text: a line for each key, and for each component."""
    *stated, (_, scores) = content.items()
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in stated]
    by_component = [
        f"    {json.dumps(name)}: {json.dumps(found)}" for name, found in scores.items()
    ]
    body = ",\n".join(by_component)
    return "\n".join(["{", *lines, '  "scores": {', body, "  }", "}"]) + "\n"


def read_random_weights(
    experiment: Experiment,
    run: Recording | None = None,
    architecture: Architecture | None = None,
) -> RandomWeights:
    """The scores of random weights that were recorded, after checking that they fit.

    `run` is one of the model on the pairs, and `architecture` the model's, as far as they are at
    hand: what they say is held against the file too.

    Raises:
        NotAtHand: the pairs are a dataset's that cannot be had here.
        InputError: naming the file, the key, what was recorded and what is expected.
    """
    path = random_weights_path(experiment)
    data = read_json(path)
    stated = data.get("format") if isinstance(data, dict) else None
    again = f"`{_command(experiment)}` writes it anew"
    if stated != FORMAT:
        reason = f"format: expected {FORMAT}, found {quoted(stated)}; {again}"
        raise faulty(path, [(("format",), reason)])
    file = validate(_File, data, path)
    if faults := list(_misfits(file, experiment, run, architecture)):
        raise faulty(path, [(place, f"{reason}; {again}") for place, reason in faults])
    if faults := list(_faults_of_scores(file)):
        raise faulty(path, faults)
    names = map(str, file.shape.components())
    return RandomWeights(
        tuple(file.seeds),
        np.array([file.scores[name] for name in names]).T,
        Architecture(file.model_type, file.config_sha256, file.initializer_range),
        path.name,
    )


def _misfits(
    file: _File, experiment: Experiment, run: Recording | None, architecture: Architecture | None
) -> Iterator[tuple[Place, str]]:
    """What was recorded of something else than is expected now."""
    spec, pairs = experiment.spec, experiment.pairs
    expected: dict[Place, object] = {
        ("shape",): spec.model.shape,
        ("mlp_out",): spec.scoring.mlp_out,
        ("mlp_at",): spec.scoring.mlp_at,
        ("tokens", "special"): spec.tokens.special,
        ("tokens", "chat_template"): spec.tokens.chat_template,
        ("pairs",): len(pairs),
        ("pairs_sha256",): digest_of(pairs),
    }
    if run is not None:
        expected |= {
            ("key_heads",): run.provenance.key_heads,
            ("tokens_sha256",): run.seen.ids_sha256,
        }
    if architecture is not None:
        expected |= {
            ("model_type",): architecture.model_type,
            ("config_sha256",): architecture.config_sha256,
            ("initializer_range",): architecture.initializer_range,
        }
    for place, wanted in expected.items():
        found: object = file
        for key in place:
            found = getattr(found, str(key))
        if found != wanted:
            name = ": ".join(map(str, place))
            yield place, f"{name}: recorded with {_shown(found)}, expected {_shown(wanted)}"


def _shown(value: object) -> str:
    """A value in few characters: of a digest, the beginning."""
    if isinstance(value, ModelShape):
        return str(value)
    text = json.dumps(value)
    return f"{str(value)[:12]}…" if re.fullmatch(_DIGEST, str(value)) else text


def _faults_of_scores(file: _File) -> Iterator[tuple[Place, str]]:
    """Seeds that are not the usual ones, and components that lack scores or that no model has."""
    if file.seeds != list(SEEDS):
        yield ("seeds",), f"seeds: expected {list(SEEDS)}, found {shortened(str(file.seeds))}"
        return
    known = list(map(str, file.shape.components()))
    for name in set(file.scores) - set(known):
        yield ("scores", name), f"scores: the model has no component {quoted(name)} that is scored"
    for name in known:
        if name not in file.scores:
            yield ("scores",), f"scores: {name}: missing"
        elif len(file.scores[name]) != len(file.seeds):
            counts = (
                f"expected {len(file.seeds)} scores, one a seed, found {len(file.scores[name])}"
            )
            yield ("scores", name), f"scores: {name}: {counts}"


def recorded_random(experiment: Experiment, run: Recording) -> RandomWeights | NoRandomWeights:
    """What was recorded of random weights beside a recording.

    Raises:
        InputError: there is a file, and it cannot be used.
    """
    if experiment.spec.scoring.kind == "attention":
        return NoRandomWeights(NOT_OF_ATTENTION)
    if not is_there(random_weights_path(experiment)):
        return NoRandomWeights(_missing(experiment))
    return read_random_weights(experiment, run)


def fitting_random(
    experiment: Experiment, run: Recording, architecture: Architecture
) -> RandomWeights | NoRandomWeights:
    """What was recorded of random weights, where it fits a run of the model now.

    It does not rest on the trained weights, so any run of this architecture may use it.
    """
    if experiment.spec.scoring.kind == "attention":
        return NoRandomWeights(NOT_OF_ATTENTION)
    asking = "`verification.random_weights = true` runs them with the model"
    try:
        if is_there(random_weights_path(experiment)):
            return read_random_weights(experiment, run, architecture)
    except InputError as error:
        return NoRandomWeights(f"{error}; {asking}")
    return NoRandomWeights(f"{_missing(experiment)}; {asking}")


def _missing(experiment: Experiment) -> str:
    return (
        f"{experiment.spec.random_weights} is missing; whoever has {experiment.spec.model.label}"
        f" writes it with: {_command(experiment)}"
    )


def _command(experiment: Experiment) -> str:
    return f"replication record {shlex.quote(os.path.relpath(experiment.folder))} {OPTION}"
