"""Text is read and written as UTF-8, whatever the locale.

Ruff has a rule for it, but sees only paths whose type it can infer: 10 of the first 140 places.
"""

from __future__ import annotations

import ast
import re

import pytest

ROOTS = ("replication", "calibration", "tests", "benchmarks", "docs")


def takes_the_locales_encoding(call: ast.Call) -> bool:
    keywords = {keyword.arg for keyword in call.keywords}
    name = ast.unparse(call.func).rpartition(".")[2]
    if "encoding" in keywords:
        return False
    if name in ("open", "fdopen"):
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        modes = [one.value for one in given if isinstance(one, ast.Constant)]
        return not any(re.fullmatch("[rwxa]b[+]?", str(mode)) for mode in modes)
    if name in ("read_text", "write_text"):
        return isinstance(call.func, ast.Attribute)
    return not keywords.isdisjoint({"text", "universal_newlines"})


def places(source: str) -> list[int]:
    """The lines of the calls that take text in the locale's encoding."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if takes_the_locales_encoding(call)]


def test_no_text_is_in_the_locales_encoding(pytestconfig: pytest.Config) -> None:
    files = [path for root in ROOTS for path in (pytestconfig.rootpath / root).rglob("*.py")]
    assert len(files) > 80
    found = {str(path): places(path.read_text(encoding="utf-8")) for path in files}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("call", "is_found"),
    [
        ("path.read_text()", True),
        ("Path('b').write_text(text)", True),
        ("path.read_text(encoding='utf-8')", False),
        ("read_text(path)", False),
        ("open('rb.txt')", True),
        ("path.open('a')", True),
        ("path.open(mode='w')", True),
        ("path.open('w', encoding='utf-8')", False),
        ("path.open('rb')", False),
        ("open(path, mode='wb')", False),
        ("os.fdopen(handle)", True),
        ("subprocess.run(command, text=True)", True),
        ("subprocess.run(command, encoding='utf-8')", False),
    ],
)
def test_a_call_is_seen(call: str, is_found: bool) -> None:
    assert bool(places(call)) == is_found
