"""Drafts: claims to begin with, which a score table or a circuit makes by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from replication.circuits.circuit import Circuit
from replication.circuits.components import Component, Kind
from replication.circuits.intervals import Interval, equals, printed, show
from replication.circuits.scores import ScoreTable, best_first

KINDS: Mapping[Kind, str] = {"mlp": "MLPs", "head": "heads"}
_FIRST = 3  # components of a drafted ranking

HEADER = """\
# Drafted from the source's own figures: put what it states in each claim's statement, or take the
# claim out, and say where it is stated in its source{gap}.
"""


class Draft(NamedTuple):
    """A statement that figures make, and its check in TOML."""

    statement: str
    check: str


def claims_text(drafts: Sequence[Draft], source: str = "") -> str:
    """Drafted claims in TOML, whose source is still to be filled in."""
    header = HEADER.format(gap="" if source else ", which is empty")
    return "\n".join([header, *(_toml(n, one, source) for n, one in enumerate(drafts, start=1))])


def _toml(number: int, draft: Draft, source: str) -> str:
    return (
        f'[[claim]]\nid = "I{number}"\nmade_by = "paper"\n'
        f"source = {json.dumps(source, ensure_ascii=False)}\n"
        f"statement = {json.dumps(draft.statement)}\ncheck = [{draft.check}]\n"
    )


def counted(parts: Iterable[Component]) -> str:
    """How many MLPs and heads there are among components, in words."""
    kinds = [part.kind for part in parts]
    return " and ".join(number_of(kinds.count(kind), words) for kind, words in KINDS.items())


def number_of(count: int, words: str) -> str:
    """So many of what the words name in the plural."""
    return f"{count} {words.removesuffix('s') if count == 1 else words}"


def of_table(table: ScoreTable, result: str) -> Iterator[Draft]:
    """The best of each kind, the first of each kind in order, one ratio, and how many there are.

    Where the table makes none of these, as of one component, the score itself.
    """
    yield from list(_of_several(table, result)) or [_of_one(table, result)]


def _of_one(table: ScoreTable, result: str) -> Draft:
    best = best_first(table.middles())[0]
    figure = show(table.scores[best])
    return Draft(
        f"{best} scores {figure}.",
        f'{{ kind = "scores", result = "{result}", scores = {{ "{best}" = "{figure}" }} }}',
    )


def _of_several(table: ScoreTable, result: str) -> Iterator[Draft]:
    middles = table.middles()
    for kind, words in KINDS.items():
        ranked = [str(part) for part in best_first(middles) if part.kind == kind]
        about = f'{{ kind = "ranking", result = "{result}", among = "{kind}", first = '
        if len(ranked) > 1:
            yield Draft(f"{ranked[0]} scores highest of the {words}.", f'{about}["{ranked[0]}"] }}')
        if len(ranked) > 2:
            first = ranked[: min(_FIRST, len(ranked) - 1)]
            statement = f"The best {words} are, in order, {', '.join(first)}."
            yield Draft(statement, f"{about}{json.dumps(first)} }}")
    best = best_first(middles)[:2]
    if len(best) == 2 and table.scores[best[1]].low > 0:
        yield _ratio(best[0], best[1], table.scores, result)
    if counts := whole_model(list(middles)):
        mlps, heads = counts
        yield Draft(
            f"{mlps} MLPs and {heads} heads are scored.",
            f'{{ kind = "count", total = {mlps + heads}, mlp = {mlps}, head = {heads} }}',
        )


def _ratio(
    of: Component, to: Component, scores: Mapping[Component, Interval], result: str
) -> Draft:
    """The ratio of two scores, with as many digits, up to two, as theirs settle."""
    found = scores[of] / scores[to]
    texts = [f"{float(found.middle):.{digits}f}" for digits in (2, 1, 0)]
    text = next((one for one in texts if equals(found, printed(one)) == "holds"), texts[-1])
    return Draft(
        f"{of} scores {text} times as high as {to}.",
        f'{{ kind = "ratio", result = "{result}", of = "{of}", to = "{to}", ratio = "{text}" }}',
    )


def whole_model(parts: Sequence[Component]) -> tuple[int, int] | None:
    """How many MLPs and heads there are, if these are all of a model with as many in each layer."""
    heads = {(part.layer, part.head) for part in parts if part.kind == "head"}
    layers = {part.layer for part in parts if part.kind == "mlp"}
    n_layers = max(layers, default=-1) + 1
    n_heads = max((index for _, index in heads), default=-1) + 1
    all_heads = {(layer, index) for layer in range(n_layers) for index in range(n_heads)}
    if layers == set(range(n_layers)) and heads == all_heads and heads:
        return n_layers, len(heads)
    return None


def of_circuit(circuit: Circuit, result: str) -> Iterator[Draft]:
    """How many components of each kind a circuit holds, and what it costs, if it says so."""
    sizes = {kind: len(circuit.of_kind(kind)) for kind in KINDS}
    numbers = ", ".join(f"{kind} = {size}" for kind, size in sizes.items())
    yield Draft(
        f"The circuit holds {counted(circuit.nodes)}.",
        f'{{ kind = "count", circuit = "{result}", {numbers} }}',
    )
    stated = circuit.metadata
    used, budget = stated.write_budget_used, stated.write_budget_max
    if used is not None and budget is not None and circuit.sizes() is not None:
        yield Draft(
            f"The circuit uses {used} of {budget} dimensions.",
            f'{{ kind = "cost", circuit = "{result}", used = {used}, budget = {budget} }}',
        )
