"""Problems: everything that is wrong in an experiment's files, found without running anything."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from replication.circuits.circuit import read_circuit
from replication.circuits.components import INPUT, ModelShape, WriteCosts
from replication.circuits.scores import read_scores, taken_as_exact
from replication.claims.arithmetic_checks import Arithmetic, Joint
from replication.claims.claim import Claim, read_claim_file
from replication.claims.keys import Known
from replication.commands.outlook import needs, not_at_hand, outlook
from replication.engine.locate import locate
from replication.engine.models import tokenizer_at_hand
from replication.engine.recording import Recording, recorded_path, replay
from replication.engine.subject import too_few
from replication.engine.words import position_problems
from replication.evidence.evidence import (
    published_circuit,
    published_evidence,
    recorded_evidence,
)
from replication.evidence.lengths import read_lengths
from replication.evidence.published_figures import read_figures
from replication.evidence.random_weights import random_weights_path, read_random_weights
from replication.evidence.recorded_interventions import interventions_path, read_interventions
from replication.experiment.clusters import clusters_of, count_of
from replication.experiment.pair_files import source_of
from replication.experiment.pairs import AnyPairs, Row
from replication.experiment.spec import Experiment, Name, ResultSpec, Spec, experiment_of
from replication.inputs.files import Fault, FileError, InputError, is_there, read_toml, validate
from replication.inputs.hub import NotAtHand
from replication.inputs.messages import (
    LIST,
    MESSAGE,
    QUOTE,
    fitting,
    listed,
    one_line,
    placed,
    shortened,
)

Part = TypeVar("Part")
FIGURES = ("circuit", "scores", "tables", "lengths")
MOST_OF_A_KIND = 10  # problems of a file that are told one by one


@dataclass(frozen=True)
class Findings:
    """What is wrong, one line each, as `file:line: reason`; and what is there, if nothing is.

    `tokens` are those that the model sees of the first pair, where its tokenizer is at hand, and
    `needs` is what a live run takes, or where the model is not. `outlook` says of each question
    whether it can be answered.
    `notes` are of what was left aside in files that can be used, and `warnings` of what may not be
    what was meant.
    """

    problems: list[str]
    summary: str | None = None
    tokens: str | None = None
    needs: str | None = None
    outlook: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Reader:
    """Reads on after a problem, and keeps every one, but of many of a kind some and how many."""

    def __init__(self) -> None:
        self._told: list[str | tuple[Path, str]] = []
        self._counts = Counter[tuple[Path, str]]()

    @property
    def problems(self) -> list[str]:
        return [
            one_line(f"{placed(one[0])}: {self._counts[one] - MOST_OF_A_KIND} more such: {one[1]}")
            if isinstance(one, tuple)
            else one
            for one in self._told
        ]

    def note(self, path: Path, faults: Iterable[Fault]) -> None:
        for fault in sorted(faults, key=lambda fault: fault.line or 0):
            kind = (path, _kind(fault.reason))
            self._counts[kind] += 1
            if self._counts[kind] <= MOST_OF_A_KIND:
                shown = placed(path)
                where = shown if fault.line is None else f"{shown}:{fault.line}"
                self._told.append(one_line(f"{where}: {fault.reason}"))
            elif self._counts[kind] == MOST_OF_A_KIND + 1:
                self._told.append(kind)

    @contextmanager
    def noting(self) -> Iterator[None]:
        try:
            yield
        except FileError as error:
            self.note(error.path, error.faults)
        except InputError as error:
            self._told.append(one_line(error))


def _kind(reason: str) -> str:
    """What is wrong, without where it is and what was found there."""
    return re.sub(r"'.*'|\".*\"|\d+", "...", re.sub(", found .*", "", reason)).rpartition(": ")[2]


def check_experiment(folder: Path) -> Findings:
    """Read the spec, the pairs, the claims, what was published, and what was recorded.

    Where the spec is at fault, the other files are read with those of its parts that are not.
    """
    reader = _Reader()
    path = folder / "experiment.toml"
    data: dict[str, Any] = {}
    spec: Spec | None = None
    with reader.noting():
        data = read_toml(path)
        spec = validate(Spec, data, path)
    if not os.path.isfile(path):
        return Findings(reader.problems)
    pairs, n_pairs = _read_pairs(reader, folder, data)
    claims = _read_claims(reader, folder, data, n_pairs)
    notes = tuple(_read_published(reader, folder, data, spec, n_pairs))
    if spec is None or reader.problems:
        return Findings(reader.problems)
    with reader.noting(), suppress(NotAtHand):
        experiment = experiment_of(folder, spec)
        run = replay(experiment) if is_there(recorded_path(experiment)) else None
        if is_there(random_weights_path(experiment)):
            read_random_weights(experiment, run)
        _read_interventions(experiment, run)
    if reader.problems:
        return Findings(reader.problems)
    tokens, needed = _read_tokens(reader, experiment)
    if reader.problems:
        return Findings(reader.problems)
    start = f"{shortened(experiment.name)}: {pairs}; "
    summary = one_line(start + _summary(experiment, claims, MESSAGE - len(start)))
    return Findings(
        [],
        summary,
        tokens,
        needed or not_at_hand(experiment),
        tuple(outlook(experiment, claims)),
        tuple(_warnings(folder, spec, claims, n_pairs)),
        notes,
    )


def _part(kind: type[Part], data: Any, *keys: str) -> Part | None:
    """A part of a spec, by itself; None where it is missing or at fault."""
    try:
        for key in keys:
            data = data[key]
        return TypeAdapter(kind).validate_python(data)
    except (KeyError, TypeError, ValidationError):
        return None


def _read_pairs(
    reader: _Reader, folder: Path, data: dict[str, Any]
) -> tuple[str | None, int | None]:
    """How many pairs there are, in words, or why they cannot be had here; and the number."""
    sides = _part(tuple[Name, Name], data, "sides")
    spec = _part(AnyPairs, data, "pairs")
    if sides is None or spec is None:
        return None, None
    keys = spec.keys(sides, _answers(data), _counterparts(data), _ids(data))
    source = source_of(spec, folder, keys)
    faults, read = list[Fault](), list[Row]()
    with reader.noting():
        try:
            for row in source.rows():
                if isinstance(row, Fault):
                    reader.note(Path(source.name), [row])
                    faults.append(row)
                else:
                    read.append(row)
        except NotAtHand as error:
            return f"pairs: missing: {error}", None
    number = len(faults) + len(read)
    is_known = bool(read) and all(fault.line is not None for fault in faults)
    return _counted(number, read), number if is_known else None


def _counted(number: int, read: list[Row]) -> str:
    """How many pairs there are, and how many count where some hang together."""
    if not read:
        return f"{number} pairs"
    clusters = clusters_of([row.pair for row in read], [row.group for row in read])
    if count_of(clusters) == len(read):
        return f"{number} pairs"
    largest = (np.flatnonzero(clusters == np.bincount(clusters).argmax()) + 1).tolist()
    together = fitting([str(pair) for pair in largest], LIST)
    return f"{number} pairs in {count_of(clusters)} clusters (the largest: {together})"


def _read_claims(
    reader: _Reader, folder: Path, data: dict[str, Any], n_pairs: int | None
) -> list[Claim]:
    """The claims; with a part of the spec that they speak of missing, only their syntax."""
    path = folder / (_part(str, data, "claims") or "claims.toml")
    shape = _part(ModelShape, data, "model", "shape")
    measures = _part(str, data, "measures")
    results = _part(dict[str, Any], data, "results") if "results" in data else {}
    with reader.noting():
        if shape is None or measures is None or results is None:
            read_toml(path)
        else:
            names = list(dict.fromkeys([*results, measures]))
            counts = _part(bool, data, "selection", "input_counts")
            cost = WriteCosts(shape.d_model, shape.d_head, bool(counts)).of(INPUT)
            sides = _part(tuple[Name, Name], data, "sides") or ("", "")
            return read_claim_file(
                path,
                Known(
                    shape,
                    names,
                    measures,
                    n_pairs,
                    cost,
                    list(_part(dict[str, Any], data, "behaviour") or ()),
                    _kept(data, measures),
                    [sides[1], *_counterparts(data)],
                    tables=_tables(data),
                    by_steps=_part(list[Any], data, "selection", "steps") is not None,
                    of_attention=_part(str, data, "scoring", "kind") == "attention",
                ),
            )
    return []


def _answers(data: dict[str, Any]) -> list[str]:
    """The columns of answers and words, as far as the spec can be read."""
    stated = [
        _part(str, data, "behaviour", name, key)
        for name in _part(dict[str, Any], data, "behaviour") or {}
        for key in ("right", "wrong")
    ]
    stated += [
        _part(str, data, "scoring", "positions", name, "word")
        for name in _part(dict[str, Any], data, "scoring", "positions") or {}
    ]
    return [column for column in stated if column is not None]


def _tables(data: dict[str, Any]) -> dict[str, list[str]]:
    """The tables of results that have any, as far as the spec can be read."""
    results = _part(dict[str, Any], data, "results") or {}
    found = {
        name: list(_part(dict[str, Any], one, "tables") or ()) for name, one in results.items()
    }
    measures = _part(str, data, "measures")
    measured = _part(dict[str, Any], data, "scoring", "tables")
    return found | ({measures: list(measured)} if measures and measured else {})


def _ids(data: dict[str, Any]) -> list[str]:
    """Those columns of answers that hold token ids, as far as the spec can be read."""
    stated = _part(dict[str, Any], data, "behaviour") or {}
    of_ids = [name for name in stated if _part(bool, data, "behaviour", name, "ids")]
    return _answers({"behaviour": {name: stated[name] for name in of_ids}})


def _counterparts(data: dict[str, Any]) -> list[str]:
    """The columns of further counterparts, as far as the spec can be read."""
    return _part(list[str], data, "ablation", "counterparts") or []


def _kept(data: dict[str, Any], measures: str) -> list[str]:
    """The circuits that are kept alone, as far as the spec can be read."""
    rivals = _part(dict[str, Any], data, "ablation", "rivals") or {}
    results = _part(dict[str, Any], data, "results") or {}
    published = [name for name in results if _part(str, data, "results", name, "circuit")]
    return list(dict.fromkeys([measures, *rivals, *published]))


def _read_interventions(experiment: Experiment, run: Recording | None) -> None:
    """What was recorded of interventions, beside the run that it belongs to.

    Raises:
        InputError: there is a file, and it cannot be used.
    """
    if not experiment.spec.behaviour or not is_there(interventions_path(experiment)):
        return
    if run is None:
        read_interventions(experiment)
    else:
        recorded_evidence(experiment, published_evidence(experiment))


def _read_published(
    reader: _Reader, folder: Path, data: dict[str, Any], spec: Spec | None, n_pairs: int | None
) -> Iterator[str]:
    """Read what was published, and say what of it was left aside."""
    shape = _part(ModelShape, data, "model", "shape")
    for name in _part(dict[str, Any], data, "results") or {}:
        result = _part(ResultSpec, data, "results", name)
        own_pairs = n_pairs if name == _part(str, data, "measures") else None
        if result is not None and result.circuit is not None:
            path = folder / result.circuit
            with reader.noting():
                circuit = (
                    read_circuit(path, shape, result.notation)
                    if spec is None
                    else published_circuit(path, spec, result.notation)
                )
                yield from (one_line(f"{placed(path)}: {reason}") for reason in circuit.aside)
        of_attention = _part(str, data, "scoring", "kind") == "attention"
        notation = None if result is None else result.notation
        for file in _score_files(result) if result is not None else ():
            with reader.noting():
                read_scores(folder / file, shape, own_pairs, notation, of_attention=of_attention)
        if result is not None and result.lengths is not None and spec is not None:
            with reader.noting():
                read_lengths(folder / result.lengths, spec.model.shape, spec.sides, own_pairs)


def _score_files(result: ResultSpec) -> list[str]:
    return [file for file in (result.scores, *result.tables.values()) if file is not None]


def _warnings(folder: Path, spec: Spec, claims: list[Claim], n_pairs: int | None) -> Iterator[str]:
    """Figures that no claim uses, scores whose digits are not known, and pairs that are too few."""
    if spec.behaviour and n_pairs is not None and (reason := too_few(n_pairs)):
        yield one_line(f"{placed(folder)}: behaviour {listed(spec.behaviour)}: {reason}")
    checks = [check for claim in claims for check in claim.check]
    used = {name for one in checks if isinstance(one, Arithmetic | Joint) for name in one.figures()}
    unused = [name for name in read_figures(folder / spec.claims) if name not in used]
    if unused:
        yield one_line(f"{placed(folder / spec.claims)}: figures: no claim uses {listed(unused)}")
    files = dict.fromkeys(chain.from_iterable(map(_score_files, spec.results.values())))
    for path in (folder / file for file in files):
        if numbers := taken_as_exact(path):
            are = "score is a number" if len(numbers) == 1 else "scores are numbers"
            yield one_line(
                f"{placed(path)}: {len(numbers)} {are}, taken as exact, such as {numbers[0]}:"
                " a string keeps the printed digits"
            )


def _read_tokens(reader: _Reader, experiment: Experiment) -> tuple[str | None, str | None]:
    """Which tokens the model sees of the first pair, and what a live run takes, in words.

    None where its tokenizer is not at hand.
    """
    spec = experiment.spec
    with reader.noting(), suppress(NotAtHand):
        tokenizer = tokenizer_at_hand(spec.model, spec.tokens)
        found = list(tokenizer.problems(experiment.pairs))
        found = found or list(position_problems(tokenizer, experiment.rows, spec.scoring.positions))
        reader.note(Path(experiment.source.name), [Fault(problem) for problem in found])
        if not found:
            seen = tokenizer.seen(experiment.pairs[:1])
            said = one_line(f"{shortened(experiment.name)}: {seen.described()}")
            return said, needs(experiment, tokenizer)
    return None, None


def _summary(experiment: Experiment, claims: list[Claim], most: int) -> str:
    """How many claims there are, and what evidence is there and what is missing."""
    spec = experiment.spec
    kinds = Counter(kind for claim in claims for kind in claim.kinds().split("+"))
    counts = [f"{count} {kind}" for kind, count in kinds.most_common()]
    published = [
        f"{name} ({', '.join(key for key in FIGURES if getattr(result, key))})"
        for name, result in spec.results.items()
        if any(getattr(result, key) for key in FIGURES)
    ]
    is_recorded = is_there(recorded_path(experiment))
    stated = f"{len(claims)} claims "
    evidence = (
        f"; published evidence: {fitting(published, QUOTE + LIST) or 'none'}"
        f"; recorded evidence: {spec.recorded if is_recorded else 'missing'}"
        f"; live evidence: {_live(spec)}"
    )
    room = max(LIST, most - len(f"{stated}(){evidence}"))
    return f"{stated}({fitting(counts, room)}){evidence}"


def _live(spec: Spec) -> str:
    if spec.model.name is not None:
        return f"from the hub's {spec.model.label}, which was not asked for"
    try:
        locate(spec.model)
    except InputError as error:
        return f"missing: {error}"
    return f"from {spec.model.label}, which is here"
