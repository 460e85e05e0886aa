"""The reference: every kind of check and every key of an experiment, with types and defaults.

Types, defaults and what a thing is come from the schemas that editors complete by; what a key of a
check means, which evidence can decide it, and its example, with the verdict, from `docs/claims.md`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from docs.site.pages import evidence_by_kind, sections, tables
from replication.commands.schema import schema
from replication.report.markdown import table

Definition = dict[str, Any]
Tables = Iterator[tuple[str, Definition]]  # each with its place in the file
ABOUT = """\
# Reference

Every kind of check, and every key of an experiment, as the code has them: for looking up.
[Claims](claims.md) and [Evidence](evidence.md) say the same with formulas, units and reasons;
`replication schema claims` and `replication schema spec` print it for editors.
"""
EXAMPLE = re.compile(r"^```toml\n.*?^```\n\n```text\n.*?^```$", re.M | re.S)
HEADINGS = ("key", "if not given", "value", "what it is")
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "object": "table",
}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most"}


def reference() -> str:
    """The page."""
    claims, spec = schema("claims"), schema("spec")
    lines = [ABOUT, "## Kinds of check", ""]
    for kind, evidence in evidence_by_kind().items():
        lines += check(kind, of_kind(kind, claims), evidence)
    lines += ["## Keys of claims.toml", "", *keys_of_file(claims)]
    lines += ["## Keys of experiment.toml", "", *keys_of_file(spec)]
    return "\n".join(lines)


def of_kind(kind: str, claims: Definition) -> Definition:
    """What the schema of claims says of a kind of check."""
    checks = claims["$defs"]["Claim"]["properties"]["check"]["items"]
    return named(checks["discriminator"]["mapping"][kind], claims)


def named(reference: str, whole: Definition) -> Definition:
    """The definition that a reference in a schema leads to."""
    found: Definition = whole["$defs"][reference.removeprefix("#/$defs/")]
    return found


def check(kind: str, definition: Definition, evidence: str) -> Iterator[str]:
    """A kind of check: what it asks, its keys, and an example with its verdict."""
    described = sections("claims.md")[kind]
    (rows, *_) = tables(described)
    meaning = {key.strip("`"): words for key, words, _ in rows}
    example = EXAMPLE.search(described)
    assert example is not None
    yield from (f"### {kind}", "", prose(definition), "")
    yield from (f"Evidence that can decide it: {evidence}. [More](claims.md#{kind})", "")
    yield from table(
        HEADINGS,
        (
            [f"`{key}`", default(key, definition), told(value), meaning[key]]
            for key, value in definition["properties"].items()
            if key != "kind"
        ),
    )
    yield from (example[0], "")


def keys_of_file(whole: Definition) -> Iterator[str]:
    """The tables of keys of a file: its own, and those of each table in it."""
    for path, definition in nested("", whole, whole):
        if path:
            yield from (f"### `{path}`", "", prose(definition), "")
        yield from table(
            HEADINGS,
            (
                [f"`{key}`", default(key, definition), type_of(value), prose(value)]
                for key, value in definition["properties"].items()
            ),
        )


def nested(path: str, definition: Definition, whole: Definition) -> Tables:
    """A table and every table in it, but for the checks of a claim."""
    yield path, definition
    for key, value in definition["properties"].items():
        for place, inner in tables_in(f"{path}.{key}".strip("."), value, whole):
            yield from nested(place, inner, whole)


def tables_in(path: str, value: Definition, whole: Definition) -> Tables:
    """The tables that a value is made of; the place of a step has its first key too."""
    match value:
        case {"$ref": reference}:
            yield path, named(reference, whole)
        case {"anyOf": several}:
            for one in several:
                yield from tables_in(path, one, whole)
        case {"patternProperties": by_name}:
            for one in by_name.values():
                yield from tables_in(f"{path}.NAME", one, whole)
        case {"items": {"discriminator": _}}:
            return
        case {"items": {"oneOf": steps}}:
            for step in steps:
                found = named(step["$ref"], whole)
                yield f"{path}[].{next(iter(found['properties']))}", found
        case {"items": one}:
            yield from tables_in(f"{path}[]", one, whole)


def type_of(value: Definition) -> str:
    """What may stand in a value's place."""
    match value:
        case {"const": one}:
            return f"`{json.dumps(one)}`"
        case {"enum": several}:
            return ", ".join(f"`{json.dumps(one)}`" for one in several)
        case {"anyOf": several}:
            return " or ".join(map(type_of, several))
        case {"prefixItems": several}:
            return f"list of {len(several)}: {type_of(several[0])}"
        case {"items": inner}:
            return f"list of: {type_of(inner)}"
        case {"additionalProperties": dict(inner)}:
            return f"table of: {type_of(inner)}"
        case {"patternProperties": inner}:
            return f"table of, by name: {' or '.join(map(type_of, inner.values()))}"
    limits = [f", {words} {value[bound]}" for bound, words in BOUNDS.items() if bound in value]
    return TYPES[value.get("type", "object")] + "".join(limits)


def told(value: Definition) -> str:
    """What may stand in the place of a check's key, and how it is read."""
    return "<br>".join(filter(None, (type_of(value), prose(value))))


def default(key: str, definition: Definition) -> str:
    """What a key is if it is not given."""
    if key in definition.get("required", ()):
        return "required"
    found = definition["properties"][key].get("default")
    return "" if found is None or isinstance(found, Mapping) else f"`{json.dumps(found)}`"


def prose(definition: Definition) -> str:
    """A description in one line, as Markdown."""
    return " ".join(definition.get("description", "").split()).replace("<", r"\<")
