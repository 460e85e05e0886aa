"""New: an experiment's folder to start from, which runs as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from replication.commands.overlay import overlaid
from replication.experiment.spec import Name
from replication.inputs.files import InputError
from replication.inputs.messages import placed, quoted
from replication.inputs.writing import write_atomically

Kind = Literal["encoder", "decoder", "published"]
TEMPLATE = Path(__file__).parent / "scaffold"  # which is the encoder's
KINDS = Path(__file__).parent / "kinds"  # what is another in the others


def example(kind: Kind = "encoder") -> dict[str, str]:
    """The files of a kind's example, by their place in its folder."""
    files = _texts(TEMPLATE)
    if kind == "encoder":
        return files
    shared = {
        name: text
        for name, text in files.items()
        if name.startswith("schemas/") or name == "published/README.md"
    }
    own = _texts(KINDS / kind)
    return {
        **shared,
        **own,
        "experiment.toml": overlaid(files["experiment.toml"], own["experiment.toml"]),
        "claims.toml": claims_of(own["claims.toml"]),
    }


def claims_of(own: str) -> str:
    """A file of claims that begins with what the template says of claims."""
    schema, what, how = _texts(TEMPLATE)["claims.toml"].split("\n\n")[:3]
    return "\n\n".join([schema, what, how, own])


def _texts(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def check_name(folder: Path) -> None:
    """Refuse a folder that can be no new experiment, before anything is read for it.

    Raises:
        InputError: its name cannot be an experiment's, or something is there already.
    """
    try:
        TypeAdapter(Name).validate_python(folder.name)
    except ValidationError:
        raise InputError(
            f"{placed(folder)}: {quoted(folder.name)} cannot be an experiment's name: expected"
            " letters, digits, '_', '.' and '-', a letter or a digit first, at most 100"
        ) from None
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{placed(folder)}: is there already")


def new_experiment(folder: Path, files: Mapping[str, str | bytes] | None = None) -> None:
    """Write an experiment's files into a new folder: the encoder's example, if no others are given.

    Raises:
        InputError: its name cannot be an experiment's, or there is such a folder already.
    """
    check_name(folder)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise InputError(f"{placed(folder)}: is there already") from None
    for name, content in (example() if files is None else files).items():
        write_atomically(folder / name, content)
