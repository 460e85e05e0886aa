from __future__ import annotations

import numpy as np
import pytest

from tests.closeness import SAME, apart, assert_close, assert_same_means, by_component
from tests.controls.test_null import activations

LARGE = np.array([[17.0, 0.01], [-3.0, 0.0]])


def test_a_small_element_may_carry_the_last_digits_of_a_large_one_of_its_array_only() -> None:
    moved = LARGE + np.array([[0, 1e-4], [0, 0]])
    assert_close(moved, LARGE)
    with pytest.raises(AssertionError):
        assert_close({"a": moved[0, 1]}, {"a": LARGE[0, 1]})


def test_what_is_close_is_close_at_every_size() -> None:
    for size in (1e-20, 1.0, 1e20):
        assert apart(LARGE * size * (1 + SAME / 2), LARGE * size) == pytest.approx(SAME / 2)
        assert_close(LARGE * size * (1 + SAME / 2), LARGE * size)
        with pytest.raises(AssertionError):
            assert_close(LARGE * size * (1 + SAME * 2), LARGE * size)


@pytest.mark.parametrize("found", [np.nan, np.inf, 1.0, -1e-30])
def test_nothing_but_zero_is_close_to_zero_and_no_nan_to_anything(found: float) -> None:
    assert_close([0.0, 0.0], [0.0, 0.0])
    with pytest.raises(AssertionError):
        assert_close([0.0, found], [0.0, 0.0])
    with pytest.raises(AssertionError):
        assert_close([1.0, np.nan, found], [1.0, 1.0, found])


def test_other_shapes_and_names_are_refused() -> None:
    for found, expected in (([1.0], 1.0), ([[1.0]], [1.0]), ({"a": 1.0}, {"b": 1.0})):
        with pytest.raises(AssertionError):
            assert_close(found, expected)


def test_a_failure_says_what_was_obtained_and_expected_where_and_how_far_apart() -> None:
    moved = LARGE + np.array([[0, 0], [0.034, 0]])
    with pytest.raises(AssertionError) as raised:
        assert_close({"m0": LARGE, "m1": moved}, {"m0": LARGE, "m1": LARGE})
    assert str(raised.value).splitlines()[0] == (
        "m1 at [1, 0]: obtained -2.966, expected -3, a difference of 0.034, 0.002 of 17,"
        " allowed are 1e-05"
    )


def test_every_component_is_held_against_its_own_size() -> None:
    means, other = activations(3), activations(3)
    means.mlp_out[:] *= 1000
    other.mlp_out[:] *= 1000
    other.z[2, 1, 0, 1, 3] += 1e-3
    assert list(by_component(means)) == ["m0", "a0.h0", "a0.h1"]
    assert_same_means(activations(3), activations(3))
    with pytest.raises(AssertionError, match=r"a0\.h1 at \[2, 1, 3\]: obtained"):
        assert_same_means(other, means)
