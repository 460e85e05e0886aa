"""Import: a score table in the project's own form from a printed one, and claims to begin with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from replication.circuits.components import INPUT, Component
from replication.circuits.intervals import Interval, equals, printed
from replication.circuits.notations import OUTPUTS, NotationName, notation_of
from replication.circuits.scores import ScoreTable, best_first, figure_of
from replication.commands.printed_tables import read_printed
from replication.experiment.spec import Name
from replication.inputs.files import Fault, FileError, InputError, is_there
from replication.inputs.folders import making_folder
from replication.inputs.messages import listed, placed, quoted
from replication.inputs.writing import as_json, write_atomically, writing_atomically

_KINDS = {"mlp": "MLPs", "head": "heads"}
_FIRST = 3  # components of a drafted ranking

_HEADER = """\
# Drafted from the table's own figures: put what the source states in each claim's statement, or
# take the claim out, and say where it is stated in its source, which is empty.
"""


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


def import_scores(path: Path, imported: Imported, result: str, out: Path) -> Iterator[str]:
    """Write the table and the drafted claims into a folder, both or neither; say what was written.

    Raises:
        InputError: one of them is there already, or no result can be called so.
    """
    try:
        TypeAdapter(Name).validate_python(result)
    except ValidationError:
        raise InputError(f"--result: {quoted(result)} cannot be a result's name") from None
    drafts = list(_drafts(imported.table, result))
    components = {str(part): text for part, text in imported.digits.items()}
    table = as_json({"components": components, "metadata": {"imported_from": path.name}})
    toml = "\n".join([_HEADER, *(_toml(n, one) for n, one in enumerate(drafts, start=1))])
    scores, claims = out / "scores.json", out / "claims.toml"
    for target in (scores, claims):
        # A kill between the two leaves the first, and the same import then ends what it began.
        begun = target == scores and not is_there(claims) and _holds(scores, table)
        if is_there(target) and not begun:
            raise InputError(
                f"{placed(target)}: is there already; take it away, or name another --out"
            )
    _write(out, {scores.name: table, claims.name: toml})
    counts = [_counted(imported.digits, kind) for kind in _KINDS]
    yield f"{placed(scores)}: {' and '.join(counts)}; results.{result}.scores is to name it"
    yield f"{placed(claims)}: {len(drafts)} claims drafted, whose source is to be filled in"
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


def _counted(parts: Iterable[Component], kind: str) -> str:
    count, words = sum(part.kind == kind for part in parts), _KINDS[kind]
    return f"{count} {words.removesuffix('s') if count == 1 else words}"


class _Draft(NamedTuple):
    """A statement that the table makes, and its check in TOML."""

    statement: str
    check: str


def _toml(number: int, draft: _Draft) -> str:
    return (
        f'[[claim]]\nid = "I{number}"\nmade_by = "paper"\nsource = ""\n'
        f"statement = {json.dumps(draft.statement)}\ncheck = [{draft.check}]\n"
    )


def _drafts(table: ScoreTable, result: str) -> Iterator[_Draft]:
    """The best of each kind, the first of each kind in order, one ratio, and how many there are."""
    middles = table.middles()
    for kind, words in _KINDS.items():
        ranked = [str(part) for part in best_first(middles) if part.kind == kind]
        about = f'{{ kind = "ranking", result = "{result}", among = "{kind}", first = '
        if len(ranked) > 1:
            yield _Draft(
                f"{ranked[0]} scores highest of the {words}.", f'{about}["{ranked[0]}"] }}'
            )
        if len(ranked) > 2:
            first = ranked[: min(_FIRST, len(ranked) - 1)]
            statement = f"The best {words} are, in order, {', '.join(first)}."
            yield _Draft(statement, f"{about}{json.dumps(first)} }}")
    best = best_first(middles)[:2]
    if len(best) == 2 and table.scores[best[1]].low > 0:
        yield _ratio(best[0], best[1], table.scores, result)
    if counts := _whole_model(list(middles)):
        mlps, heads = counts
        yield _Draft(
            f"{mlps} MLPs and {heads} heads are scored.",
            f'{{ kind = "count", total = {mlps + heads}, mlp = {mlps}, head = {heads} }}',
        )


def _ratio(
    of: Component, to: Component, scores: Mapping[Component, Interval], result: str
) -> _Draft:
    """The ratio of two scores, with as many digits, up to two, as theirs settle."""
    found = scores[of] / scores[to]
    texts = [f"{float(found.middle):.{digits}f}" for digits in (2, 1, 0)]
    text = next((one for one in texts if equals(found, printed(one)) == "holds"), texts[-1])
    return _Draft(
        f"{of} scores {text} times as high as {to}.",
        f'{{ kind = "ratio", result = "{result}", of = "{of}", to = "{to}", ratio = "{text}" }}',
    )


def _whole_model(parts: Sequence[Component]) -> tuple[int, int] | None:
    """How many MLPs and heads there are, if these are all of a model with as many in each layer."""
    heads = {(part.layer, part.head) for part in parts if part.kind == "head"}
    layers = {part.layer for part in parts if part.kind == "mlp"}
    n_layers = max(layers, default=-1) + 1
    n_heads = max((index for _, index in heads), default=-1) + 1
    all_heads = {(layer, index) for layer in range(n_layers) for index in range(n_heads)}
    if layers == set(range(n_layers)) and heads == all_heads and heads:
        return n_layers, len(heads)
    return None
