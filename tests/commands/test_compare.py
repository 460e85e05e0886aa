"""`replication compare`: of several circuits what they share, as lines, as data, as a picture."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from replication import cli
from replication.commands.compared_picture import DRAWN
from replication.report.pictures.theme import PALETTES
from tests.paths import PUBLISHED

ORIGINAL, REPLICATION = (PUBLISHED / f"{name}.circuit.json" for name in ("original", "replication"))


def run(*arguments: object) -> tuple[str, Any]:
    """What the command prints, and what it raises."""
    done = CliRunner().invoke(cli.app, ["compare", *map(str, arguments)])
    return done.stdout, done.exception


def write(folder: Path, name: str, *nodes: str, **metadata: int) -> Path:
    path = folder / name
    content = {"nodes": nodes, "metadata": metadata}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def third(tmp_path: Path) -> Path:
    """A circuit that shares m2 with both published ones, and a4.h3 with one of them."""
    return write(tmp_path, "third.json", "m2", "a4.h3", "a0.h0")


def test_of_three_circuits_a_table_what_all_hold_and_what_one_holds(third: Path) -> None:
    lines = run(ORIGINAL, REPLICATION, third)[0].splitlines()
    assert [" ".join(line.split()) for line in lines[1:4]] == [
        "original.circuit.json and replication.circuit.json"
        " 51 of 57 (89.5%) 10 of 10 (100.0%) 40 of 46 (87.0%)",
        "original.circuit.json and third.json 2 of 55 (3.6%) 1 of 10 (10.0%) 1 of 44 (2.3%)",
        "replication.circuit.json and third.json 1 of 56 (1.8%) 1 of 10 (10.0%) 0 of 45 (0.0%)",
    ]
    assert lines[4:8] == [
        "in all 3: 1 of 58 nodes: m2",
        "only in original.circuit.json: a3.h6, a8.h2",
        "only in replication.circuit.json: a2.h9, a11.h10, a3.h7",
        "only in third.json: a0.h0",
    ]


def test_all_of_it_is_data_too(third: Path) -> None:
    found = json.loads(run(ORIGINAL, REPLICATION, third, "--json")[0])
    assert [one["name"] for one in found["circuits"]][2] == "third.json"
    assert found["circuits"][2]["only_here"] == ["a0.h0"]
    assert found["overlaps"][1]["shared"]["all"] == {"shared": 2, "either": 55, "percent": 3.6364}
    assert found["in_all"] == ["m2"]
    assert (found["held"]["m2"], found["held"]["a4.h3"], found["held"]["a8.h2"]) == (3, 2, 1)


def test_circuits_of_several_models_are_told_as_such(tmp_path: Path, third: Path) -> None:
    small = write(tmp_path, "small.json", "m2", d_model=384, d_head=32)
    last = run(ORIGINAL, small, third)[0].splitlines()[-1]
    assert last == (
        "note: the circuits are not of one model, by their d_model and d_head:"
        " original.circuit.json: 768 and 64; small.json: 384 and 32"
    )
    assert "not of one model" in run(ORIGINAL, small)[0]
    assert "not of one model" not in run(ORIGINAL, third)[0]


def test_a_notation_is_stated_once_for_all_or_for_each_circuit(tmp_path: Path) -> None:
    names = {"a.json": "2.1", "b.json": "1.2", "c.json": "a2.h1", "d.json": "0.5"}
    a, b, c, d = (write(tmp_path, file, "m0", name) for file, name in names.items())
    assert "in all 3: 1 of 4 nodes: m0" in run(a, b, d, "--notation", "layer.head")[0]
    each = [f"--notation={one}" for one in ("layer.head", "head.layer", "a9.h6")]
    assert "in all 3: 2 of 2 nodes: m0, a2.h1" in run(a, b, c, *each)[0]
    assert str(run(a, b, c, *each[:2])[1]) == (
        "--notation: expected one for all or as many as there are circuits, 3, found 2"
    )


@pytest.mark.parametrize("look", PALETTES)
def test_several_circuits_are_drawn_with_in_how_many_each_component_stands(
    tmp_path: Path, third: Path, look: str
) -> None:
    path = tmp_path / "overlap.svg"
    run(ORIGINAL, REPLICATION, third, "--svg", path, "--look", look)
    drawn = path.read_text(encoding="utf-8")
    said = set(re.findall(r'aria-label="([^"]+: in \d of 3)"', drawn))
    assert len(said) == 58
    assert {"m2: in 3 of 3", "a4.h3: in 2 of 3", "a8.h2: in 1 of 3"} <= said
    assert PALETTES[look]["paper"] in drawn  # type: ignore[index]


def test_two_circuits_are_drawn_as_a_report_draws_them(tmp_path: Path) -> None:
    path = tmp_path / "two.svg"
    run(ORIGINAL, REPLICATION, "--svg", path)
    drawn = path.read_text(encoding="utf-8")
    assert "a4.h3: only in original.circuit.json" in drawn
    assert "m2: in both" in drawn
    assert "not published" not in drawn


def test_a_picture_is_drawn_over_nothing_but_one(tmp_path: Path, third: Path) -> None:
    path = tmp_path / "mine.svg"
    path.write_text("<svg>mine</svg>", encoding="utf-8")
    refused = "is there and is no picture of compared circuits; nothing else is overwritten"
    assert str(run(ORIGINAL, third, "--svg", path)[1]) == f"{path}: {refused}"
    assert path.read_text(encoding="utf-8") == "<svg>mine</svg>"
    path.write_text(f"{DRAWN}<svg>old</svg>", encoding="utf-8")
    assert run(ORIGINAL, third, "--svg", path)[1] is None
    assert "old" not in path.read_text(encoding="utf-8")


def test_what_cannot_be_compared_is_refused(tmp_path: Path, third: Path) -> None:
    assert str(run(third)[1]) == f"compare: expected two circuits or more, found {third} alone"
    assert str(run(third, ORIGINAL, third)[1]) == f"compare: {third} stands there more than once"
    assert "there is no such file" in str(run(third, ORIGINAL, tmp_path / "no.json")[1])
    large = write(tmp_path, "large.json", "m99999")
    reason = "--svg: 100000 layers of 4 heads are too many for a picture"
    assert str(run(third, large, "--svg", tmp_path / "x.svg")[1]) == reason
    assert not (tmp_path / "x.svg").exists()
