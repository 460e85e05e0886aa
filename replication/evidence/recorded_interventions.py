"""Recorded interventions: the behaviour of every pair under everything that was run, as a file.

A `safetensors` file of plain arrays, a few hundred kilobytes, from which whoever has no model
judges causal claims, intervals and p-values included. Its metadata say what each row is, and what
the figures depend on.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from replication.circuits.circuit import Circuit
from replication.circuits.components import listing, names, parsed
from replication.engine.provenance import Provenance
from replication.engine.recording import Recording
from replication.engine.tensor_files import (
    Tensors,
    canonical,
    check_tensor,
    check_unchanged,
    digest_of,
    is_of_kind,
    part_of,
    read_tensors,
    write_tensors,
)
from replication.evidence.interventions import (
    NO_INTERVENTIONS,
    Behaved,
    Curve,
    Given,
    InSetting,
    Interventions,
    NoInterventions,
    Single,
    Tried,
    Unshown,
)
from replication.experiment.behaviours import AblationSpec, BehaviourSpec, Setting, Unit
from replication.experiment.spec import Experiment, ScoreKind, Spec
from replication.inputs.files import InputError, is_there, parse_json, validate
from replication.inputs.folders import check_replaceable, check_writable
from replication.inputs.messages import listed, quoted

FORMAT = "replication.interventions.1"
OPTION = "--interventions"
_Count = Annotated[int, Field(ge=1, le=100_000)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Rows(_Table):
    """What the rows of a behaviour's arrays are."""

    unit: Unit
    judged: Setting
    by_position: bool
    seed: int
    circuits: list[tuple[str, list[str]]]
    unselected: dict[str, str] = {}
    settings: list[Setting]
    sizes: list[_Count]
    draws: _Count
    matched: dict[str, _Count]
    backups: bool
    given: list[list[str]]
    labels: list[str]
    sets: list[list[str]]


class _Nothing(_Table):
    """Why nothing was run of a behaviour."""

    unit: Unit
    reason: str


def _kind_of(rows: object) -> str:
    return "nothing" if isinstance(rows, dict) and "reason" in rows else "rows"


class _RowsFile(_Table):
    rows: list[
        tuple[
            str,
            Annotated[
                Annotated[_Rows, Tag("rows")] | Annotated[_Nothing, Tag("nothing")],
                Discriminator(_kind_of),
            ],
        ]
    ]


class _About(_Table):
    """What all figures of the file depend on."""

    provenance: Provenance
    rows_sha256: str
    scoring: ScoreKind
    behaviours: dict[str, BehaviourSpec]
    ablation: AblationSpec


def interventions_path(experiment: Experiment) -> Path:
    """Where the experiment keeps its recorded interventions."""
    return experiment.folder / experiment.spec.interventions


def check_overwritten(path: Path) -> None:
    """Refuse to write such a file where anything else stands.

    Raises:
        InputError: something else stands there, or nothing may be written there.
    """
    check_writable(path)
    kind = FORMAT.rpartition(".")[0]
    check_replaceable(path, "recording of interventions", lambda there: is_of_kind(there, kind))


def record_interventions(experiment: Experiment, found: Interventions) -> Path:
    """Write what was run, all of it or nothing, and say where."""
    path = interventions_path(experiment)
    about = _About(
        provenance=found.provenance,
        rows_sha256=_rows_sha256(experiment),
        scoring=experiment.spec.scoring.kind,
        behaviours=dict(experiment.spec.behaviour),
        ablation=experiment.spec.ablation,
    )
    tensors: Tensors = {}
    for name, behaved in found.behaviours.items():
        tensors |= {f"{name}/{key}": one for key, one in _arrays(behaved).items()}
    rows = [(name, _rows(one).model_dump(mode="json")) for name, one in found.behaviours.items()]
    metadata = {
        "format": FORMAT,
        "about": canonical(about.model_dump(mode="json")),
        "rows": canonical(rows),
    }
    write_tensors(path, tensors, metadata)
    return path


def read_interventions(experiment: Experiment) -> Interventions:
    """What was recorded, after checking that it is whole and of this experiment.

    Raises:
        InputError: the file is missing, damaged, of another format, of other pairs, answers or
            settings, of another model, or holds a value that is not finite.
    """
    path = interventions_path(experiment)
    tensors, metadata = read_tensors(path)
    again = f"`{recording_command(experiment)}` writes it anew"
    if metadata.get("format") != FORMAT:
        raise InputError(
            f"{path}: format: expected {FORMAT}, found {metadata.get('format')}; {again}"
        )
    about = part_of(path, metadata, "about", _About)
    for key, there, here in _misfits(about, experiment):
        raise InputError(f"{path}: {key}: recorded with {there}, expected {here}; {again}")
    rows = _read_rows(path, metadata.get("rows", ""), experiment)
    found, known = {}, set()
    for name, of in rows.items():
        layout = _layout(of, experiment)
        for key, size in layout.items():
            known.add(f"{name}/{key}")
            check_tensor(path, f"{name}/{key}", tensors.get(f"{name}/{key}"), (np.float32, size))
        found[name] = _behaved(of, {key: tensors[f"{name}/{key}"] for key in layout})
    if unknown := sorted(set(tensors) - known):
        raise InputError(f"{path}: {unknown[0]}: unknown tensor")
    check_unchanged(path, tensors, metadata)
    return Interventions(about.provenance, found)


def _read_rows(path: Path, text: str, experiment: Experiment) -> dict[str, _Rows | _Nothing]:
    """What the rows are, of every behaviour; components that the model has.

    Raises:
        InputError: naming the file and what is wrong with it.
    """
    file = validate(_RowsFile, {"rows": parse_json(text, f"{path}: rows")}, path)
    spec = experiment.spec
    if [name for name, _ in file.rows] != list(spec.behaviour):
        raise InputError(f"{path}: rows: not of the behaviours that the experiment states")
    for name, rows in file.rows:
        if isinstance(rows, _Nothing):
            if name == spec.scored_behaviour and spec.scoring.is_of_behaviour:
                raise InputError(f"{path}: rows: {name}: {rows.reason}, and scores are of it")
            continue
        for reason in _row_faults(rows, spec):
            raise InputError(f"{path}: rows: {name}: {reason}")
    return dict(file.rows)


def _row_faults(rows: _Rows, spec: Spec) -> Iterator[str]:
    """What is wrong with the rows of a behaviour."""
    circuits, judged = dict(rows.circuits), spec.ablation.cell.setting
    if next(iter(circuits), None) != spec.measures:
        yield f"circuits: expected {quoted(spec.measures)} as the first"
    if list(rows.matched) != sorted(circuits):
        yield f"matched: expected {listed(sorted(circuits))}, found {listed(rows.matched)}"
    if strange := [name for name in rows.unselected if name not in spec.ablation.rivals]:
        yield f"unselected: expected names of ablation.rivals, found {listed(strange)}"
    if rows.judged != judged or not {judged, judged._replace(direction="ablate")} <= {
        *rows.settings
    }:
        yield f"settings: the judged one is not there ({judged})"
    if not rows.sizes:
        yield "sizes: expected one or more"
    if not 0 < len(rows.labels) == len(rows.sets):
        yield f"sets: expected as many as labels, {len(rows.labels)}, found {len(rows.sets)}"
    for named in (*circuits.values(), *rows.given, *rows.sets):
        for component in named:
            try:
                spec.model.shape.component(component)
            except InputError as error:
                yield str(error)


def recorded_interventions(
    experiment: Experiment, run: Recording
) -> Interventions | NoInterventions:
    """What was recorded of interventions beside a recording, which must be of the same model.

    Raises:
        InputError: there is a file, and it cannot be used.
    """
    spec = experiment.spec
    if not spec.behaviour:
        return NO_INTERVENTIONS
    if not is_there(interventions_path(experiment)):
        return NoInterventions(
            f"{spec.interventions} is missing; whoever has {spec.model.label} writes it with:"
            f" {recording_command(experiment)}"
        )
    found = read_interventions(experiment)
    for key in ("weights_sha256", "tokenizer_sha256"):
        there, here = (str(getattr(one.provenance, key)) for one in (found, run))
        if there != here:
            raise InputError(
                f"{interventions_path(experiment)}: {key}: recorded with {there[:12]}…, and"
                f" {spec.recorded} with {here[:12]}…; `{recording_command(experiment)}` writes"
                " both anew"
            )
    return found


def check_circuits(
    experiment: Experiment, found: Interventions, circuits: Mapping[str, Circuit]
) -> None:
    """Refuse interventions on other circuits than those of the results, of which one is measured.

    Raises:
        InputError: naming the file, the circuit, and what the two differ in.
    """
    spec = experiment.spec
    for behaved in found.behaviours.values():
        if isinstance(behaved, Unshown):
            continue
        for name in circuits.keys() & behaved.circuits.keys():
            if differs := set(behaved.circuits[name]) ^ set(circuits[name].nodes):
                what = "the scores select" if name == spec.measures else "is published"
                raise InputError(
                    f"{interventions_path(experiment)}: circuits: {name}: ran another than {what}:"
                    f" they differ in {listing(sorted(differs))};"
                    f" `{recording_command(experiment)}` writes it anew"
                )


def recording_command(experiment: Experiment) -> str:
    """What writes the file."""
    return f"replication record {shlex.quote(os.path.relpath(experiment.folder))} {OPTION}"


def _rows_sha256(experiment: Experiment) -> str:
    """The digest of the pairs with their answers and counterparts."""
    return digest_of([[row.pair, dict(row.answers), row.counterparts] for row in experiment.rows])


def _misfits(about: _About, experiment: Experiment) -> Iterator[tuple[str, str, str]]:
    """What was recorded of something else than is stated now."""
    spec, provenance = experiment.spec, about.provenance
    if spec.model.sha256 not in (None, provenance.weights_sha256):
        yield "weights", f"SHA-256 {provenance.weights_sha256}", f"{spec.model.sha256}"
    recorded = _flat(
        {
            "shape": str(provenance.shape),
            "tokens": provenance.tokens.model_dump(),
            "scoring": {"mlp_at": provenance.mlp_at, "kind": about.scoring},
            "pairs": about.rows_sha256[:12],
            "behaviour": {name: one.model_dump() for name, one in about.behaviours.items()},
            "ablation": about.ablation.model_dump(exclude={"live"}),
        }
    )
    expected = _flat(
        {
            "shape": str(spec.model.shape),
            "tokens": spec.tokens.model_dump(),
            "scoring": {"mlp_at": spec.scoring.mlp_at, "kind": spec.scoring.kind},
            "pairs": _rows_sha256(experiment)[:12],
            "behaviour": {name: one.model_dump() for name, one in spec.behaviour.items()},
            "ablation": spec.ablation.model_dump(exclude={"live"}),
        }
    )
    for key in dict.fromkeys([*recorded, *expected]):
        there, here = recorded.get(key, "nothing"), expected.get(key, "nothing")
        if there != here:
            yield key, quoted(there), quoted(here)


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A table's values by their whole keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        whole = f"{prefix}{key}"
        flat |= _flat(value, f"{whole}.") if isinstance(value, dict) else {whole: value}
    return flat


def _rows(behaved: Behaved | Unshown) -> _Rows | _Nothing:
    if isinstance(behaved, Unshown):
        return _Nothing(unit=behaved.unit, reason=behaved.reason)
    return _Rows(
        unit=behaved.unit,
        judged=behaved.judged,
        by_position=behaved.by_position,
        seed=behaved.seed,
        circuits=[(name, names(nodes)) for name, nodes in behaved.circuits.items()],
        unselected=dict(behaved.unselected),
        settings=list(behaved.settings),
        sizes=list(behaved.curve.sizes),
        draws=behaved.curve.matched.shape[1],
        matched={name: len(runs) for name, runs in behaved.matched.items()},
        backups=behaved.restored is not None,
        given=[names(one.out) for one in behaved.given],
        labels=list(behaved.tried.labels),
        sets=[names(one) for one in behaved.tried.sets],
    )


def _arrays(behaved: Behaved | Unshown) -> Tensors:
    """The arrays by name, of which `_layout` says the shapes."""
    if isinstance(behaved, Unshown):
        return {"whole": behaved.whole, "counterparts": np.ascontiguousarray(behaved.counterparts)}
    arrays = {
        "whole": behaved.whole,
        "counterparts": behaved.counterparts,
        "settings": np.stack(
            [
                np.stack([one.empty, one.full, *one.circuits.values()])
                for one in behaved.settings.values()
            ]
        ),
        "curve": behaved.curve.runs,
        "curve_matched": behaved.curve.matched,
        **{f"matched/{name}": runs for name, runs in behaved.matched.items()},
        "effects": behaved.single.effects,
        "attribution": behaved.single.attribution,
        "integrated": behaved.single.integrated,
        **({} if behaved.restored is None else {"restored": behaved.restored}),
        **{f"given/{number}": one.effects for number, one in enumerate(behaved.given)},
        "inside": behaved.inside,
        "of_model": behaved.tried.of_model,
        "of_circuit": behaved.tried.of_circuit,
    }
    return {name: np.ascontiguousarray(one, dtype=np.float32) for name, one in arrays.items()}


def _layout(rows: _Rows | _Nothing, experiment: Experiment) -> dict[str, tuple[int, ...]]:
    """The shape of each array; the last axis is the pairs."""
    spec = experiment.spec
    n_counterparts, n_pairs = 1 + len(spec.ablation.counterparts), len(experiment.pairs)
    n_all = 1 + len(spec.model.shape.components())
    own: dict[str, tuple[int, ...]] = {
        "whole": (n_pairs,),
        "counterparts": (n_counterparts, n_pairs),
    }
    if isinstance(rows, _Nothing):
        return own
    return own | {
        "effects": (n_counterparts, n_all, n_pairs),
        "settings": (len(rows.settings), 2 + len(rows.circuits), n_pairs),
        "curve": (len(rows.sizes), n_pairs),
        "curve_matched": (len(rows.sizes), rows.draws, n_pairs),
        **{f"matched/{name}": (count, n_pairs) for name, count in rows.matched.items()},
        "attribution": (n_all, n_pairs),
        "integrated": (n_all, n_pairs),
        **({"restored": (n_all, n_pairs)} if rows.backups else {}),
        **{f"given/{number}": (n_all, n_pairs) for number in range(len(rows.given))},
        "inside": (len(set(dict(rows.circuits)[spec.measures]) - {"input"}), n_pairs),
        "of_model": (len(rows.sets), n_pairs),
        "of_circuit": (len(rows.sets), n_pairs),
    }


def _behaved(rows: _Rows | _Nothing, tensors: Tensors) -> Behaved | Unshown:
    if isinstance(rows, _Nothing):
        return Unshown(rows.unit, tensors["whole"], tensors["counterparts"], rows.reason)
    settings = {
        setting: InSetting(empty, full, dict(zip(dict(rows.circuits), runs, strict=True)))
        for setting, (empty, full, *runs) in zip(rows.settings, tensors["settings"], strict=True)
    }
    return Behaved(
        unit=rows.unit,
        judged=rows.judged,
        by_position=rows.by_position,
        seed=rows.seed,
        whole=tensors["whole"],
        counterparts=tensors["counterparts"],
        circuits={name: parsed(nodes) for name, nodes in rows.circuits},
        settings=settings,
        curve=Curve(rows.sizes, tensors["curve"], tensors["curve_matched"]),
        matched={name: tensors[f"matched/{name}"] for name in rows.matched},
        single=Single(tensors["effects"], tensors["attribution"], tensors["integrated"]),
        restored=tensors.get("restored"),
        given=[
            Given(parsed(out), tensors[f"given/{number}"]) for number, out in enumerate(rows.given)
        ],
        inside=tensors["inside"],
        tried=Tried(
            rows.labels,
            [parsed(one) for one in rows.sets],
            tensors["of_model"],
            tensors["of_circuit"],
        ),
        unselected=rows.unselected,
    )
