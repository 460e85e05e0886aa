"""Sources: what a path holds of a published result, as an experiment is drafted from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replication.circuits.circuit import Circuit, read_circuit
from replication.circuits.components import Component, ModelShape
from replication.circuits.notations import NotationName
from replication.circuits.scores import ScoreTable, read_scores
from replication.commands.import_scores import read_imported, table_text
from replication.inputs.files import (
    InputError,
    NotJSON,
    is_folder,
    is_there,
    load_json,
    read_text,
    repeats,
)
from replication.inputs.messages import listed, placed, shortened
from replication.inputs.visible import visible

OF_A_FOLDER = ("scores.json", "circuit.json")  # as `replication run --out` writes them


@dataclass(frozen=True)
class Source:
    """A score table, a circuit, or both, each with the content of its file.

    `sizes` are the model's and `model` is its name, as far as files state them; `notation` is that
    of the files, where it was stated. `aside` is what was left aside, in words.
    """

    name: str
    table: ScoreTable | None = None
    circuit: Circuit | None = None
    contents: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    model: str | None = None
    notation: NotationName | None = None
    aside: tuple[str, ...] = ()

    @property
    def parts(self) -> list[Component]:
        """Every component that has a score or stands in the circuit."""
        scored = self.table.scores if self.table else ()
        return list(dict.fromkeys([*scored, *(self.circuit.nodes if self.circuit else ())]))


def read_source(
    path: Path, columns: tuple[str, str], notation: NotationName | None = None
) -> Source:
    """What a path holds: a printed table, a `scores.json`, a circuit, or a folder of both.

    Raises:
        InputError: there is none of them, one cannot be read, or they are of two models.
    """
    if not is_folder(path):
        return _read_file(path, columns, notation)
    found = [path / name for name in OF_A_FOLDER if is_there(path / name)]
    if not found:
        expected = " or ".join(OF_A_FOLDER)
        raise InputError(f"{placed(path)}: expected {expected} in the folder, found neither")
    sources = [_read_file(one, columns, notation) for one in found]
    if repeated := repeats(kind for one in sources for kind in one.contents):
        both = " and ".join(OF_A_FOLDER)
        raise InputError(
            f"{placed(path)}: expected scores and a circuit, found {repeated[0]} in {both}"
        )
    return Source(
        _name(path.resolve()),
        next((one.table for one in sources if one.table), None),
        next((one.circuit for one in sources if one.circuit), None),
        {kind: text for one in sources for kind, text in one.contents.items()},
        _of_one_model(path, sources),
        next((one.model for one in sources if one.model), None),
        notation,
        tuple(reason for one in sources for reason in one.aside),
    )


def _of_one_model(path: Path, sources: list[Source]) -> dict[str, int]:
    """The sizes that the files of a folder state."""
    sizes: dict[str, int] = {}
    for one in sources:
        for key, size in one.sizes.items():
            if sizes.setdefault(key, size) != size:
                both = f"{key} {sizes[key]} in {sources[0].name} and {size} in {one.name}"
                raise InputError(f"{placed(path)}: its files are not of one model: {both}")
    return sizes


def _read_file(path: Path, columns: tuple[str, str], notation: NotationName | None) -> Source:
    text = read_text(path)
    data = _parsed(text)
    run = _provenance(data)
    name, model = _name(path), run["model"] if isinstance(run.get("model"), str) else None
    stated = _sizes(data.get("cfg")) | _sizes(run.get("shape"))
    if "nodes" in data:
        circuit = read_circuit(path, notation=notation)
        if known := circuit.sizes():
            stated = {"d_model": known[0], "d_head": known[1]} | stated
        contents, model = {"circuit": text}, circuit.metadata.model or model
        return Source(name, None, circuit, contents, stated, model, notation, circuit.aside)
    if isinstance(data.get("components"), dict):
        table = read_scores(path, notation=notation)
        return Source(name, table, None, {"scores": text}, stated, model, notation)
    imported = read_imported(path, columns, notation)
    aside = (f"what has no score here: {listed(imported.aside)}",) if imported.aside else ()
    return Source(name, imported.table, None, {"scores": table_text(imported, path)}, aside=aside)


def _parsed(text: str) -> Mapping[str, Any]:
    """The content of a JSON object; of anything else, nothing."""
    try:
        data = load_json(text)
    except NotJSON:
        return {}
    return data if isinstance(data, dict) else {}


def _provenance(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a run says of itself in a file that it wrote."""
    metadata = data.get("metadata")
    found = metadata.get("provenance") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def _sizes(stated: object) -> dict[str, int]:
    """The sizes among what a file says of its model."""
    sizes = stated if isinstance(stated, dict) else {}
    return {key: sizes[key] for key in ModelShape.model_fields if isinstance(sizes.get(key), int)}


def _name(path: Path) -> str:
    return shortened(visible(path.name))
