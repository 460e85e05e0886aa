"""The JSON Schemas: what editors complete by is what the code takes."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from replication import cli
from replication.commands.new import TEMPLATE
from replication.commands.schema import Schema, schema
from tests.paths import ROOT

FOLDERS = [TEMPLATE, *sorted((ROOT / "fixtures").iterdir())]
FILES: dict[Schema, str] = {"spec": "experiment", "claims": "claims"}


def faults(of: Schema, content: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema(of)).iter_errors(content)]


def content(name: str, folder: Path = TEMPLATE) -> dict[str, Any]:
    return tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("of", "name"), FILES.items())
def test_the_committed_schema_is_the_codes(of: Schema, name: str) -> None:
    printed = CliRunner().invoke(cli.app, ["schema", of])
    assert printed.exit_code == 0
    committed = TEMPLATE / "schemas" / f"{name}.json"
    again = f"replication schema {of} > {committed.relative_to(ROOT)}"
    assert committed.read_text(encoding="utf-8") == printed.stdout, f"write it anew with: {again}"
    Draft202012Validator.check_schema(json.loads(printed.stdout))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize(("of", "name"), FILES.items())
def test_every_file_names_its_schema_and_follows_it(of: Schema, name: str, folder: Path) -> None:
    first = (folder / f"{name}.toml").read_text(encoding="utf-8").splitlines()[0]
    named = (folder / first.removeprefix("#:schema ")).resolve()
    assert named == (TEMPLATE / "schemas" / f"{name}.json").resolve()
    assert faults(of, content(name, folder)) == []


def test_every_example_of_the_template_follows_the_schema() -> None:
    for of, name in FILES.items():
        text = (TEMPLATE / f"{name}.toml").read_text(encoding="utf-8")
        blocks = re.findall(r"(?m)(?:^#[^ :\n].*\n)+", text)
        assert blocks
        for block in blocks:
            example = tomllib.loads(re.sub(r"(?m)^#", "", block))
            assert faults(of, content(name) | example) == []


@pytest.mark.parametrize(
    "change",
    [
        {"titel": "a"},
        {"title": 3},
        {"pairs": 3},
        {"pairs": {"files": "a"}},
        {"sides": ["one"]},
        {"selection": {"budget": 0, "mlp_threshold": 1.0, "input_counts": True}},
        {"scoring": {"mlp_out": "halved"}},
        {"measures": "../up"},
    ],
)
def test_a_fault_of_a_spec_is_seen_by_an_editor(change: dict[str, Any]) -> None:
    assert faults("spec", content("experiment") | change)


@pytest.mark.parametrize(
    "check",
    [
        {"kind": "ration"},
        {"kind": "ratio", "result": "paper", "of": "m0", "to": "m1"},
        {"kind": "ratio", "result": "paper", "of": "m0", "to": "m1", "ratio": 1.41},
        {"kind": "cost", "circuit": "paper", "usd": 1},
    ],
)
def test_a_fault_of_a_check_is_seen_by_an_editor(check: dict[str, Any]) -> None:
    claims = content("claims")
    claims["claim"][0]["check"] = [check]
    assert faults("claims", claims)


def keys(found: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every key of every table that a schema knows."""
    for table, about in found["$defs"].items():
        for key, field in about["properties"].items():
            yield table, key, field


def test_editors_show_what_the_code_says_of_a_key() -> None:
    spec = {(table, key): field for table, key, field in keys(schema("spec"))}
    assert spec["SelectionSpec", "mlp_threshold"]["description"] == (
        "The score that an MLP must reach."
    )
    tables = {"ModelSpec", "PairsSpec", "ScoringSpec", "SelectionSpec", "ResultSpec"}
    lacking = [key for key, field in spec.items() if key[0] in tables and len(field) < 2]
    assert [key for key in lacking if "$ref" not in spec[key]] == []
    claims = schema("claims")["$defs"]
    assert claims["Claim"]["properties"]["made_by"]["description"]
    assert all(about["description"] for about in claims.values())


def test_no_schema_speaks_of_null_which_toml_does_not_know() -> None:
    for of in FILES:
        assert "null" not in json.dumps(schema(of))


def test_a_schema_of_something_else_is_refused() -> None:
    found = CliRunner().invoke(cli.app, ["schema", "pairs"])
    assert str(found.exception) == "schema: expected spec|claims, found 'pairs'"
