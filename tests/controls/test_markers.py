from __future__ import annotations

import numpy as np
import pytest

from replication.controls.markers import Marker, markers
from replication.experiment.clusters import clusters_of
from replication.experiment.pairs import Pair

SIDES = ("ironic", "plain")
ALIKE = np.full((5, 2), 9)


def found(pairs: list[Pair], lengths: np.ndarray | None = None) -> dict[str, Marker]:
    tokens = np.full((len(pairs), 2), 9) if lengths is None else lengths
    return {one.mark: one for one in markers(pairs, tokens, clusters_of(pairs), SIDES)}


def pairs_with(first: list[str], second: list[str]) -> list[Pair]:
    return [Pair(one, other) for one, other in zip(first, second, strict=True)]


PLAIN = ["it rains", "we wait", "he left", "they came", "she slept"]


def test_prompts_that_share_nothing_have_no_marker() -> None:
    assert found(pairs_with(["a b", "c d", "e f", "g h", "i j"], PLAIN)) == {}


@pytest.mark.parametrize(
    ("mark", "written"),
    [
        ("'oh'", "x{}, oh y"),
        ("'oh' in front", "Oh, z{}"),
        ("','", "x{}, y"),
        ("'!'", "so x{}!"),
        ("a capital in front", "X{} so"),
        ("a capital further on", "so X{}"),
        ("a word in capitals", "so MUCH{}"),
    ],
)
def test_a_mark_on_four_of_five_prompts_of_one_side_tells_them_apart(
    mark: str, written: str
) -> None:
    with_mark = [written.format(number) for number in range(4)]
    pairs = pairs_with([*with_mark, "nothing here"], PLAIN)
    assert mark in found(pairs)
    assert found(pairs)[mark].shares == (0.8, 0.0)
    exchanged = [Pair(other, one) for one, other in pairs]
    assert found(exchanged)[mark].shares == (0.0, 0.8)
    assert mark not in found(pairs_with([*with_mark[:3], "nothing", "here"], PLAIN))


@pytest.mark.parametrize(("on_the_other", "is_told"), [(1, True), (2, False)])
def test_it_may_stand_on_one_of_five_of_the_other_side(on_the_other: int, is_told: bool) -> None:
    first = [f"oh x{number}" for number in range(5)]
    second = [f"oh y{n}" if n < on_the_other else f"y{n}" for n in range(5)]
    assert ("'oh'" in found(pairs_with(first, second))) is is_told


@pytest.mark.parametrize(
    ("n_first", "n_second", "n_pairs", "is_told"),
    [
        (26, 0, 40, True),
        (30, 2, 40, True),
        (20, 0, 40, True),
        (12, 0, 40, False),
        (20, 20, 40, False),
        (14, 6, 40, False),
        (3, 0, 5, False),
    ],
)
def test_a_mark_that_alone_would_give_the_share_of_a_specific_component_is_told(
    n_first: int, n_second: int, n_pairs: int, is_told: bool
) -> None:
    """On less than four of five prompts of a side; on other pairs of the second one."""
    first = [f"x{n}, y" if n < n_first else f"x{n} y" for n in range(n_pairs)]
    second = [f"z{n}, w" if n >= n_pairs - n_second else f"z{n} w" for n in range(n_pairs)]
    assert ("','" in found(pairs_with(first, second))) is is_told


def test_pairs_that_belong_together_count_as_one_for_what_a_mark_gives_alone() -> None:
    first = [f"x{n}, y" if n < 30 else f"x{n} y" for n in range(40)]
    pairs = pairs_with(first, [f"z{n} y" for n in range(40)])
    lengths, clusters = np.full((40, 2), 9), np.maximum(np.arange(40) - 29, 0)
    assert [one.mark for one in markers(pairs, lengths, np.arange(40), SIDES)] == ["','"]
    assert markers(pairs, lengths, clusters, SIDES) == []


def test_a_length_that_tells_the_sides_apart_is_named() -> None:
    pairs = pairs_with(["a b", "c d", "e f", "g h", "i j"], PLAIN)
    lengths = np.array([[9, 14], [8, 15], [9, 13], [12, 12], [7, 16]])
    assert found(pairs, lengths)["more than 9 tokens"].shares == (0.2, 1.0)
    apart = np.array([[9, 9], [8, 8], [14, 14], [12, 12], [7, 7]])
    assert found(pairs, apart) == {}


def test_a_prompt_that_stands_there_again_counts_once() -> None:
    first = ["oh a", "b", "c", "d", "e"]
    pairs = pairs_with(first + ["oh a"] * 20, [*PLAIN, *(f"p{n}" for n in range(20))])
    assert "'oh'" not in found(pairs)


def test_a_marker_says_where_it_stands_and_what_would_tell_it_from_the_property() -> None:
    one = Marker("'oh'", (1.0, 0.2), SIDES)
    assert one.described == "'oh' on 100% of the ironic prompts and 20% of the plain ones"
    assert one.design == "ironic and plain prompts, each with and without 'oh'"


def test_the_clearest_marker_comes_first() -> None:
    first = [f"oh x{number}, so" if number else "oh x0 so" for number in range(5)]
    # The order of equally clear ones is that of their names.
    assert list(found(pairs_with(first, PLAIN)))[:3] == ["'oh'", "'oh' in front", "'so'"]
    assert list(found(pairs_with(first, PLAIN)))[-1] == "','"
