"""New from: an experiment drafted from a printed table, a file of scores, a circuit, or a folder.

What was found becomes published evidence with the digits that it has; the spec says of the model
what the source tells, and of everything else that it is to be filled in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import ValidationError

from replication.circuits.circuit import KNOWN_SIZES, cost_totals
from replication.circuits.components import INPUT, ModelShape, WriteCosts
from replication.commands.drafts import (
    Draft,
    claims_text,
    counted,
    number_of,
    of_circuit,
    of_table,
    whole_model,
)
from replication.commands.import_scores import check_result
from replication.commands.new import TEMPLATE, claims_of, example
from replication.commands.overlay import overlaid
from replication.commands.sources import Source
from replication.inputs.files import InputError
from replication.inputs.messages import shortened
from replication.inputs.visible import visible

TO_FILL = "To be filled in"
D_HEAD = 64  # stands in where no file states it: that of GPT-2, and of most models since
SHARED = ("schemas/experiment.json", "schemas/claims.json", "pairs.jsonl", "published/README.md")

SPEC = """\
title = {drafted}

# To be filled in.
task = "not_named"

# To be filled in: what was published is judged without them. These pairs are an example's.
sides = ["prompt", "counterpart"]
pairs = "pairs.jsonl"

measures = {measures}

{model}

# To be filled in.
[tokens]
special = "tokenizer"

# To be filled in.
[scoring]
mlp_out = "raw"

# To be filled in, but for what a circuit's file states of its budget.
[selection]
budget = {budget}
mlp_threshold = 0.0
input_counts = {input_counts}

[results.{result}]
about = {drafted}
{files}
"""


def drafted(source: Source, result: str) -> dict[str, str]:
    """The files of an experiment on a source, by their place in its folder.

    Raises:
        InputError: no result can be called so, or no model can be of the sizes that are stated.
    """
    check_result(result)
    others = example("published")
    template = (TEMPLATE / "experiment.toml").read_text(encoding="utf-8")
    claims = claims_text(drafts_of(source, result), _drafted_from(source))
    return {
        **{name: others[name] for name in SHARED},
        **{_file(result, kind): text for kind, text in source.contents.items()},
        "experiment.toml": overlaid(template, _spec(source, result)),
        "claims.toml": claims_of(claims),
    }


def drafts_of(source: Source, result: str) -> list[Draft]:
    """The claims that a source makes by itself."""
    found = list(of_table(source.table, result)) if source.table else []
    return found + (list(of_circuit(source.circuit, result)) if source.circuit else [])


def told(source: Source, result: str) -> Iterator[str]:
    """What was drafted from a source, and what of it was left aside, in lines."""
    if source.table:
        yield f"{_file(result, 'scores')}: {counted(source.table.scores)}"
    if source.circuit:
        yield f"{_file(result, 'circuit')}: {counted(source.circuit.nodes)}"
    drafts = number_of(len(drafts_of(source, result)), "claims")
    yield f"claims.toml: {drafts} drafted, whose source is to be filled in"
    yield "experiment.toml: what the files do not tell is marked there, to be filled in"
    yield from (f"note: left aside: {reason}" for reason in source.aside)


def _drafted_from(source: Source) -> str:
    return f"{TO_FILL}: drafted from {source.name}"


def _file(result: str, kind: str) -> str:
    return f"published/{result}.{kind}.json"


def _spec(source: Source, result: str) -> str:
    shape = _shape(source)
    budget, input_counts = _rule(source, shape)
    files = [f"{kind} = {_toml(_file(result, kind))}" for kind in source.contents]
    if source.notation is not None:
        files.append(f"notation = {_toml(source.notation)}")
    return SPEC.format(
        drafted=_toml(_drafted_from(source)),
        measures=_toml("rerun" if result != "rerun" else "another_run"),
        model="\n".join(_model(source, shape)),
        budget=budget,
        input_counts=_toml(input_counts),
        result=result if "." not in result else _toml(result),
        files="\n".join(files),
    )


def _toml(value: object) -> str:
    """A text or a truth value in TOML."""
    return json.dumps(value, ensure_ascii=False)


def _model(source: Source, shape: ModelShape) -> Iterator[str]:
    """The model's table, with what the source does not tell of it."""
    is_known = source.model in KNOWN_SIZES
    if not is_known:
        called = f" Its files call it {shortened(visible(source.model))}." if source.model else ""
        yield f"# {TO_FILL}: where the model comes from.{called}"
    told_of = set(source.sizes)
    if whole_model([part for part in source.parts if part != INPUT]):
        told_of |= {"n_layers", "n_heads"}
    if not {"n_layers", "n_heads"} <= told_of:
        yield f"# {TO_FILL}: there may be more layers and heads than are listed here."
    if not {"d_model", "d_head"} <= told_of:
        yield f"# {TO_FILL}: no file states d_model and d_head; these stand in for them."
    hub = "gpt2" if source.model == "gpt2-small" else source.model
    sizes = ", ".join(f"{key} = {size}" for key, size in shape.model_dump().items())
    yield "[model]"
    yield f"name = {_toml(hub)}" if is_known else 'folder = "model"'
    yield f"shape = {{ {sizes} }}"


def _shape(source: Source) -> ModelShape:
    """The sizes that are stated; of others the smallest that hold every component, or stand-ins."""
    sizes = dict(source.sizes)
    sizes.setdefault("n_layers", max([0, *(part.layer for part in source.parts)]) + 1)
    sizes.setdefault("n_heads", max([0, *(part.head for part in source.parts)]) + 1)
    sizes.setdefault("d_head", D_HEAD)
    sizes.setdefault("d_model", sizes["n_heads"] * sizes["d_head"])
    try:
        shape = ModelShape(**sizes)
        for part in source.parts:
            shape.holding(part)
    except ValidationError:
        stated = ", ".join(f"{key} {size}" for key, size in sizes.items())
        raise InputError(f"{source.name}: no model has the sizes that it takes: {stated}") from None
    except InputError as error:
        raise InputError(f"{source.name}: {error}") from None
    return shape


def _rule(source: Source, shape: ModelShape) -> tuple[int, bool]:
    """The budget, and whether the input counts: as a circuit states them, or room for everything.

    Raises:
        InputError: a circuit states a cost, and not the sizes that it is told by.
    """
    if source.circuit is None:
        costs = WriteCosts(shape.d_model, shape.d_head)
        return costs.total([INPUT, *shape.components()]), True
    stated = source.circuit.metadata
    used = stated.write_budget_used
    if used is not None and source.circuit.sizes() is None:
        raise InputError(
            f"{source.name}: metadata: write_budget_used is {used}, of a model whose sizes are not"
            " known: state d_model and d_head beside it"
        )
    totals = cost_totals(source.circuit, shape.d_model, shape.d_head)
    counts = INPUT in source.circuit.nodes and used in (None, totals[True])
    return stated.write_budget_max or max(totals[counts], 1), counts
