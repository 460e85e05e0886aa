from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from replication.circuits.components import (
    INPUT,
    Component,
    ModelShape,
    WriteCosts,
    head,
    mlp,
    parse,
)
from replication.inputs.files import InputError

GPT2 = ModelShape(n_layers=12, n_heads=12, d_model=768, d_head=64)

INDICES = st.integers(0, 999)
COMPONENTS = st.just(INPUT) | st.builds(mlp, INDICES) | st.builds(head, INDICES, INDICES)
SHAPES = st.builds(
    ModelShape,
    n_layers=st.integers(1, 8),
    n_heads=st.integers(1, 8),
    d_model=st.integers(1, 64),
    d_head=st.integers(1, 64),
)


@given(COMPONENTS)
@settings(deadline=None)
def test_a_component_is_what_its_name_means(component: Component) -> None:
    assert parse(str(component)) == component


@given(COMPONENTS, COMPONENTS)
@example(mlp(11), head(1, 1))
@settings(deadline=None)
def test_two_components_have_two_names(one: Component, other: Component) -> None:
    assert (str(one) == str(other)) == (one == other)


@given(
    st.text(alphabet="ahimnptu.0123456789 -\n", max_size=8)
    | st.from_regex(r"\A(input|m[0-9]{1,3}|a[0-9]{1,3}\.h[0-9]{1,3})\Z")
)
@example("m00")
@example("m\n")
@example("m2\n")
@settings(deadline=None)
def test_a_text_is_refused_or_is_the_name_of_what_it_means(text: str) -> None:
    try:
        component = parse(text)
    except InputError:
        return
    assert str(component) == text


@pytest.mark.parametrize(
    "name",
    [
        "", "b7", "m", "m01", "m-1", "m+1", "m1.0", "m1_0", " m2", "m2 ", "m2\n", "M2", "mlp2", "2",
        "a1", "a1.", "a1.h", "a.h1", "a01.h1", "a1.h01", "a1.h-1", "a1h1", "a1.H1", "a1.h1.h2",
        "inputs", "Input", "embed", "m٣", "a٣.h1", "m²", "m２",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is no component: expected input, m<layer> or a<layer>"):
        parse(name)


@pytest.mark.parametrize("name", ["m1١", "a1١.h1", "a1.h1１"])
def test_digits_of_another_script_are_no_digits(name: str) -> None:
    with pytest.raises(InputError):
        parse(name)


def test_a_name_with_too_many_digits_is_refused() -> None:
    with pytest.raises(InputError):
        parse("m" + "1" * 4301)


@pytest.mark.parametrize("name", ["m12", "m100", "a12.h0", "a3.h12", "a12.h12"])
def test_a_component_that_the_model_lacks_is_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        GPT2.component(name)
    assert f"no component {name}: it has layers 0 to 11 and heads 0 to 11" in str(caught.value)


@pytest.mark.parametrize("name", ["input", "m0", "m11", "a0.h0", "a11.h11"])
def test_a_component_that_the_model_has_is_found(name: str) -> None:
    assert str(GPT2.component(name)) == name


@given(SHAPES)
@settings(deadline=None)
def test_the_scored_components_are_the_mlps_and_then_the_heads(shape: ModelShape) -> None:
    layers, heads = range(shape.n_layers), range(shape.n_heads)
    assert [str(component) for component in shape.components()] == [
        *(f"m{layer}" for layer in layers),
        *(f"a{layer}.h{index}" for layer in layers for index in heads),
    ]
    assert all(shape.component(str(part)) == part for part in shape.components())


def test_components_sort_by_layer_then_the_mlp_then_the_heads() -> None:
    ordered = ["input"]
    for layer in range(12):
        ordered += [f"m{layer}", *(f"a{layer}.h{index}" for index in range(12))]
    components = [parse(name) for name in ordered]
    shuffled = random.Random(0).sample(components, len(components))
    assert shuffled != components
    assert sorted(shuffled) == components


@pytest.mark.parametrize("size", [0, -1, 1.0, "1", True, None])
@pytest.mark.parametrize("key", ["n_layers", "n_heads", "d_model", "d_head"])
def test_a_shape_has_four_positive_whole_numbers(key: str, size: object) -> None:
    sizes = {"n_layers": 1, "n_heads": 1, "d_model": 1, "d_head": 1}
    ModelShape.model_validate(sizes)
    with pytest.raises(ValidationError, match=key):
        ModelShape.model_validate(sizes | {key: size})


def test_a_shape_names_its_sizes() -> None:
    assert str(GPT2) == "12 layers, 12 heads, d_model 768, d_head 64"


@pytest.mark.parametrize(
    ("name", "counted", "left_out"), [("input", 768, 0), ("m3", 768, 768), ("a3.h1", 64, 64)]
)
def test_a_component_costs_what_it_writes(name: str, counted: int, left_out: int) -> None:
    assert WriteCosts(768, 64).of(parse(name)) == counted
    assert WriteCosts(768, 64, input_counts=False).of(parse(name)) == left_out


@given(st.lists(COMPONENTS, unique=True), st.integers(1, 64), st.integers(1, 64))
@settings(deadline=None)
def test_the_conventions_differ_by_the_input_alone(
    components: list[Component], d_model: int, d_head: int
) -> None:
    counted = WriteCosts(d_model, d_head, input_counts=True).total(components)
    left_out = WriteCosts(d_model, d_head, input_counts=False).total(components)
    assert counted - left_out == (d_model if INPUT in components else 0)
    assert left_out == sum(
        {"input": 0, "mlp": d_model, "head": d_head}[part.kind] for part in components
    )
