"""Notations: the ways in which files name components, and what could be read in two."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from replication import cli
from replication.circuits.circuit import circuit_file, read_circuit
from replication.circuits.components import INPUT, Component, ModelShape, head, mlp
from replication.circuits.notations import NOTATIONS, NotationName, notation_of
from replication.circuits.scores import read_scores
from replication.inputs.files import InputError

SMALL = ModelShape(n_layers=3, n_heads=4, d_model=8, d_head=2)
INDICES = st.integers(0, 999)

# Each notation's spellings of the head 6 of layer 9.
SPELLINGS = {
    "a9.h6": ["a9.h6"],
    "a9.6": ["a9.6", "A9.6"],
    "L9H6": ["L9H6", "l9h6", "L9.H6", "L9 H6", "layer9_head6", "layer_9_head_6", "Layer 9 Head 6"],
    "hook_z[6]": [
        "blocks.9.attn.hook_z[6]",
        "blocks.9.attn.hook_z[:, :, 6]",
        "blocks.9.attn.hook_result[6]",
    ],
    "layer.head": ["9.6", "9_6", "head_9_6", "Head 9.6"],
    "head.layer": ["6.9", "6_9", "head_6_9", "Head 6.9"],
}


def test_the_names_of_the_notations_are_those_that_a_spec_may_state() -> None:
    assert [one.name for one in NOTATIONS] == list(get_args(NotationName))
    assert [one.name for one in NOTATIONS] == list(SPELLINGS)


@pytest.mark.parametrize(
    ("stated", "name"), [(stated, name) for stated, names in SPELLINGS.items() for name in names]
)
def test_a_head_is_read_in_each_spelling_of_its_notation(stated: NotationName, name: str) -> None:
    assert notation_of([], stated).reads(name) == head(9, 6)


@given(INDICES, INDICES, st.sampled_from(NOTATIONS))
@settings(deadline=None)
def test_what_errors_expect_of_a_notation_is_read_by_it(layer: int, index: int, one: Any) -> None:
    name = one.expected.replace("<layer>", str(layer)).replace("<head>", str(index))
    assert one.component(name) == head(layer, index)


@pytest.mark.parametrize("one", NOTATIONS, ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("name", "component"),
    [
        *((name, mlp(3)) for name in ("m3", "MLP 3", "MLP3", "mlp_3", "mlp3", "L3.mlp", "L3MLP")),
        ("blocks.3.hook_mlp_out", mlp(3)),
        *((name, INPUT) for name in ("input", "embed", "Resid Start", "hook_embed")),
        ("blocks.0.hook_resid_pre", INPUT),
    ],
)
def test_an_mlp_and_the_input_are_read_in_every_notation(
    one: Any, name: str, component: Component
) -> None:
    assert one.reads(name) == component


@given(st.text(alphabet="aALlhHm.0123456789_ []bheadMLP\n", max_size=9), st.sampled_from(NOTATIONS))
@settings(deadline=None)
def test_a_name_that_is_read_names_what_it_means_to_the_digit(name: str, one: Any) -> None:
    component = one.reads(name)
    if component is not None and component != INPUT:
        numbers = re.findall("[0-9]+", name)
        assert sorted(numbers) == sorted(re.findall("[0-9]+", str(component)))


@pytest.mark.parametrize("one", NOTATIONS, ids=lambda one: one.name)
@pytest.mark.parametrize(
    "name", ["", "b7", "m03", "MLP", "mlp-3", "L09H6", "9.06", "a9.h", "9", " m3", "m3\n", "m٣"]
)
def test_what_is_no_name_is_refused_with_what_is_expected(one: Any, name: str) -> None:
    with pytest.raises(InputError) as caught:
        one.component(name)
    assert str(caught.value).endswith(f"expected input, m<layer> or {one.expected}")


def write(folder: Path, content: object) -> Path:
    path = folder / "file.json"
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def nodes(folder: Path, names: list[Any], stated: NotationName | None = None) -> list[str]:
    """The nodes that a circuit file gives, as they are written again."""
    read = read_circuit(write(folder, {"nodes": names}), notation=stated)
    found: list[str] = circuit_file(read)["nodes"]
    return found


def refusal(folder: Path, names: list[Any], stated: NotationName | None = None) -> str:
    with pytest.raises(InputError) as caught:
        nodes(folder, names, stated)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'file.json'}: ")
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'file.json'}: ")


HOOKS = ["blocks.9.attn.hook_z[6]", "blocks.10.attn.hook_z[10]"]


@pytest.mark.parametrize(
    "names",
    [
        ["input", "m2", "a9.h6", "a10.h10"],
        ["Resid Start", "MLP 2", "A9.6", "A10.10"],
        ["embed", "mlp_2", "L9H6", "L10H10"],
        ["hook_embed", "blocks.2.hook_mlp_out", *HOOKS],
    ],
)
def test_a_circuit_in_any_notation_is_written_in_the_projects_own(
    tmp_path: Path, names: list[str]
) -> None:
    assert nodes(tmp_path, names) == ["input", "m2", "a9.h6", "a10.h10"]


def test_names_that_two_notations_read_differently_are_refused_with_both_readings(
    tmp_path: Path,
) -> None:
    assert refusal(tmp_path, ["m0", "5.5", "9.6"]) == (
        "nodes: '9.6' can be read in two ways: as layer.head it is a9.h6, as head.layer a6.h9;"
        " results.NAME.notation in experiment.toml, or an option --notation, says which (line 2)"
    )


def test_a_stated_notation_says_which_is_meant(tmp_path: Path) -> None:
    names = ["m0", "9.6", "head_0_1"]
    assert nodes(tmp_path, names, "layer.head") == ["m0", "a9.h6", "a0.h1"]
    assert nodes(tmp_path, names, "head.layer") == ["m0", "a6.h9", "a1.h0"]


def test_names_that_both_notations_read_alike_are_read(tmp_path: Path) -> None:
    assert nodes(tmp_path, ["m0", "5.5"]) == ["m0", "a5.h5"]


def test_a_file_keeps_to_one_notation(tmp_path: Path) -> None:
    assert refusal(tmp_path, ["a0.h1", "a0.h2", "L9H6"]) == (
        "nodes: 'L9H6' is no component: expected input, m<layer> or a<layer>.h<head> (line 5)"
    )
    assert refusal(tmp_path, ["L0H1", "a0.h2", "L9H6"]).startswith(
        "nodes: 'a0.h2' is no component: expected input, m<layer> or L<layer>H<head>"
    )
    assert "'a9.h6' is no component" in refusal(tmp_path, ["a9.h6"], "L9H6")


def test_a_component_that_is_spelled_twice_stands_there_twice(tmp_path: Path) -> None:
    assert refusal(tmp_path, ["m2", "mlp_2"]).startswith("nodes: m2 stands there more than once")


@pytest.mark.parametrize("name", [9.1, 9, -1])
def test_a_number_is_no_name_because_it_loses_digits(tmp_path: Path, name: float) -> None:
    assert refusal(tmp_path, ["9.6", name]) == (
        f"nodes 2: expected a text, found {name}: a number loses its digits, 9.10 is 9.1 (line 4)"
    )


def test_the_model_must_have_what_a_name_of_any_notation_means(tmp_path: Path) -> None:
    path = write(tmp_path, {"nodes": ["L2H3", "L3H0"]})
    with pytest.raises(InputError, match=r"the model has no component a3\.h0: it has layers 0 to"):
        read_circuit(path, SMALL)


def scored(folder: Path, stated: NotationName | None = None, **by_pair: object) -> Any:
    components = {"MLP 0": "3.00", "2.1": "1.5"}
    content = {"components": components, "metadata": {"by_pair": {"1": by_pair}}}
    return read_scores(write(folder, content), SMALL, notation=stated)


def test_a_score_table_is_read_in_any_notation(tmp_path: Path) -> None:
    found = scored(tmp_path, "layer.head", **{"2.2": "7"})
    assert list(found.scores) == [mlp(0), head(2, 1)]
    assert list(found.by_pair[1]) == [head(2, 2)]
    assert list(scored(tmp_path, "head.layer").scores) == [mlp(0), head(1, 2)]
    with pytest.raises(InputError, match=r"components: '2\.1' can be read in two ways: as layer"):
        scored(tmp_path)
    with pytest.raises(InputError, match=r"'2\.1' is no component: expected input"):
        scored(tmp_path, "L9H6")


def test_a_component_has_one_score(tmp_path: Path) -> None:
    path = write(tmp_path, {"components": {"m0": 1, "mlp_0": 2}})
    with pytest.raises(InputError, match=r"m0 stands there more than once \(line 4\)"):
        read_scores(path)


def test_compare_and_select_take_the_notation_of_each_file(tmp_path: Path) -> None:
    left, right, scores = (tmp_path / name for name in ("left.json", "right.json", "scores.json"))
    left.write_text('{"nodes": ["input", "m0", "2.1"]}', encoding="utf-8")
    right.write_text('{"nodes": ["input", "m0", "1.2"]}', encoding="utf-8")
    scores.write_text('{"components": {"m0": 3, "2.1": 2, "0.1": 1}}', encoding="utf-8")
    stated = ["--notation", "layer.head", "--notation", "head.layer"]
    done = CliRunner().invoke(cli.app, ["compare", str(left), str(right), *stated])
    assert done.stdout.startswith("nodes  3 of 3 (100.0%)\n")
    done = CliRunner().invoke(cli.app, ["compare", str(left), str(right)])
    assert str(done.exception).startswith(f"{left}: nodes: '2.1' can be read in two ways")
    rule = ["--budget=18", "--mlp-threshold=1", "--d-model=8", "--d-head=2"]
    stated = ["--notation", "head.layer"]
    done = CliRunner().invoke(cli.app, ["select", str(scores), *rule, *stated])
    assert json.loads(done.stdout)["nodes"] == ["input", "m0", "a1.h2"]
