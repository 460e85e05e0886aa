"""New: an experiment's folder to start from, which runs as it stands."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from replication.experiment.spec import Name
from replication.inputs.files import InputError
from replication.inputs.messages import placed, quoted
from replication.inputs.writing import write_atomically

TEMPLATE = Path(__file__).parent / "scaffold"


def new_experiment(folder: Path) -> None:
    """Write the commented template into a new folder, which is the new experiment.

    Raises:
        InputError: its name cannot be an experiment's, or there is such a folder already.
    """
    try:
        TypeAdapter(Name).validate_python(folder.name)
    except ValidationError:
        raise InputError(
            f"{placed(folder)}: {quoted(folder.name)} cannot be an experiment's name: expected"
            " letters, digits, '_', '.' and '-', a letter or a digit first, at most 100"
        ) from None
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise InputError(f"{folder}: is there already") from None
    for path in sorted(TEMPLATE.rglob("*")):
        if path.is_file():
            write_atomically(folder / path.relative_to(TEMPLATE), path.read_bytes())
