"""Import: a score table in the project's own form from a printed one, and claims to begin with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from replication.circuits.components import INPUT, Component
from replication.circuits.notations import OUTPUTS, NotationName, notation_of
from replication.circuits.scores import ScoreTable, figure_of
from replication.commands.drafts import claims_text, counted, number_of, of_table
from replication.commands.printed_tables import read_printed
from replication.experiment.spec import Name
from replication.inputs.files import Fault, FileError, InputError, is_there
from replication.inputs.folders import making_folder
from replication.inputs.messages import listed, placed, quoted
from replication.inputs.writing import as_json, write_atomically, writing_atomically


class Imported(NamedTuple):
    """The scores of a table, by component, as printed; and the names that have none here."""

    digits: Mapping[Component, str]
    aside: Sequence[str]

    @property
    def table(self) -> ScoreTable:
        """The scores as figures."""
        return ScoreTable({part: figure_of(str(part), text) for part, text in self.digits.items()})


def read_imported(
    path: Path, columns: tuple[str, str], notation: NotationName | None = None
) -> Imported:
    """The scores of a printed table, in any notation.

    Raises:
        InputError: naming the file, the line and the reason.
    """
    rows = read_printed(path, columns)
    scored = [row for row in rows if row.name not in OUTPUTS]
    try:
        named = notation_of([row.name for row in scored], notation)
    except InputError as error:
        raise FileError(path, [Fault(str(error))]) from None
    digits: dict[Component, str] = {}
    aside = [row.name for row in rows if row.name in OUTPUTS]
    faults: list[Fault] = []
    for row in scored:
        try:
            component = named.component(row.name)
            if component == INPUT:
                aside.append(row.name)
                continue
            if component in digits:
                raise InputError(f"{component} stands there more than once")
            _ = figure_of(row.name, row.digits)
            digits[component] = row.digits
        except InputError as error:
            faults.append(Fault(str(error), row.line))
    if not digits and not faults:
        faults.append(Fault("no component in it has a score"))
    if faults:
        raise FileError(path, faults)
    return Imported(digits, aside)


def table_text(imported: Imported, path: Path) -> str:
    """The `scores.json` of a table that was imported from a file."""
    components = {str(part): text for part, text in imported.digits.items()}
    return as_json({"components": components, "metadata": {"imported_from": path.name}})


def check_result(name: str) -> None:
    """Refuse what no result can be called.

    Raises:
        InputError: saying so of the option that names it.
    """
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise InputError(f"--result: {quoted(name)} cannot be a result's name") from None


def import_scores(path: Path, imported: Imported, result: str, out: Path) -> Iterator[str]:
    """Write the table and the drafted claims into a folder, both or neither; say what was written.

    Raises:
        InputError: one of them is there already, or no result can be called so.
    """
    check_result(result)
    drafts = list(of_table(imported.table, result))
    table, toml = table_text(imported, path), claims_text(drafts)
    scores, claims = out / "scores.json", out / "claims.toml"
    for target in (scores, claims):
        # A kill between the two leaves the first, and the same import then ends what it began.
        begun = target == scores and not is_there(claims) and _holds(scores, table)
        if is_there(target) and not begun:
            raise InputError(
                f"{placed(target)}: is there already; take it away, or name another --out"
            )
    _write(out, {scores.name: table, claims.name: toml})
    yield f"{placed(scores)}: {counted(imported.digits)}; results.{result}.scores is to name it"
    drafted = number_of(len(drafts), "claims")
    yield f"{placed(claims)}: {drafted} drafted, whose source is to be filled in"
    if imported.aside:
        yield f"note: left aside, for they have no score here: {listed(imported.aside)}"


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _write(out: Path, files: Mapping[str, str]) -> None:
    """Write files that are not there, all or none: a new folder comes with all of them in it."""
    if not out.exists():
        with making_folder(out) as new:
            for name, text in files.items():
                write_atomically(new / name, text)
        return
    try:
        with ExitStack() as stack:
            # What was opened last is put in its place first.
            for name, text in reversed(list(files.items())):
                stack.enter_context(writing_atomically(out / name)).write(text.encode())
    except BaseException:
        for name in files:
            (out / name).unlink(missing_ok=True)
        raise
