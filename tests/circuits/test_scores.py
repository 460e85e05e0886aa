from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.circuits.components import ModelShape, head, mlp, parse
from replication.circuits.intervals import Interval, exact, printed
from replication.circuits.scores import (
    ScoreTable,
    best_first,
    highest,
    precedes,
    precedes_over,
    read_scores,
    scores_file,
    table_of,
)
from replication.inputs.files import InputError

ENDS = st.tuples(st.integers(0, 4), st.integers(0, 4))
INTERVALS = ENDS.map(lambda ends: Interval(Fraction(min(ends)), Fraction(max(ends))))


def table(**scores: str) -> ScoreTable:
    return ScoreTable(
        {parse(name.replace("_", ".")): printed(text) for name, text in scores.items()}
    )


def test_ranks_count_from_one_within_a_kind() -> None:
    found = table(m0="1.0", m1="3.0", m2="2.0", a0_h0="9.0", a1_h1="9.5", a0_h1="9.0").ranks
    assert {str(component): rank for component, rank in found.items()} == {
        "m1": 1, "m2": 2, "m0": 3, "a1.h1": 1, "a0.h0": 2, "a0.h1": 3,
    }  # fmt: skip


@pytest.mark.parametrize(("count", "most"), [(1, "3.05"), (2, "2.05"), (3, "1.05")])
def test_what_is_not_listed_scores_at_most_as_much_as_the_last_of_the_best(
    count: int, most: str
) -> None:
    listed = table(m0="1.0", m1="3.0", m2="2.0", a0_h0="9.0")
    known = ScoreTable(listed.scores, best_listed={"mlp": count})
    assert known.score(mlp(7)) == Interval(Fraction(0), Fraction(most))
    assert known.score(mlp(0)) == printed("1.0")
    assert known.score(head(3, 3)) is None
    assert listed.score(mlp(7)) is None


@settings(max_examples=300, deadline=None)
@given(INTERVALS, INTERVALS, st.booleans())
def test_one_precedes_another_as_every_possible_pair_of_scores_says(
    one: Interval, other: Interval, is_earlier: bool
) -> None:
    better, worse = (mlp(0), mlp(1)) if is_earlier else (mlp(1), mlp(0))
    scores = ScoreTable({better: one, worse: other})
    # Ends and whatever lies between them; ties fall by layer.
    values = [
        [Fraction(step, 2) for step in range(int(2 * figure.low), int(2 * figure.high) + 1)]
        for figure in (one, other)
    ]
    # What rounds to figures of as many digits that touch is not equal.
    is_rounded = one.width == other.width > 0 and {one.low, one.high} & {other.low, other.high}
    never_ties = bool(is_rounded) and one != other
    truths = {
        a > b or (a == b and is_earlier) for a, b in product(*values) if not (never_ties and a == b)
    }
    expected = "undecided" if len(truths) == 2 else "holds" if truths.pop() else "refuted"
    assert precedes(scores, better, worse) == expected


def test_no_component_precedes_itself() -> None:
    assert precedes(ScoreTable({mlp(0): exact(1)}), mlp(0), mlp(0)) == "refuted"


def test_of_what_is_not_known_no_order_is_known() -> None:
    assert precedes(table(m0="1.0"), mlp(0), mlp(1)) == "undecided"
    assert precedes(table(m0="1.0"), mlp(1), mlp(0)) == "undecided"


def write(folder: Path, components: str, metadata: str = "") -> Path:
    """A score file with the components on line 2 and each line of the metadata from line 4 on."""
    path = folder / "scores.json"
    path.write_text(
        f'{{\n"components": {{{components}}},\n"metadata": {{\n{metadata}\n}}}}\n', encoding="utf-8"
    )
    return path


@pytest.mark.parametrize("score", ["0", "0.0", "1e-50", "1e50"])
def test_a_score_may_be_zero_or_anything_from_the_smallest_to_the_largest(
    tmp_path: Path, score: str
) -> None:
    assert read_scores(write(tmp_path, f'"m0": {score}')).scores == {mlp(0): exact(score)}


def test_of_a_published_table_only_the_components_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text('\ufeff{"components": {"m0": 1}, "task": "ioi"}', encoding="utf-8")
    assert read_scores(path) == ScoreTable({mlp(0): exact("1")})


@pytest.mark.parametrize("score", ["9e-51", "1.1e50"])
def test_a_score_that_what_follows_from_it_could_not_hold_is_refused(
    tmp_path: Path, score: str
) -> None:
    with pytest.raises(InputError, match=r"m0: expected 0, or 1e-50 to 1e\+50, found .*line 2"):
        read_scores(write(tmp_path, f'"m0": {score}'))


def test_of_the_components_listed_as_best_each_is_there(tmp_path: Path) -> None:
    listed = '"m0": 1, "m1": 2, "a0.h0": 3'
    table = read_scores(write(tmp_path, listed, '"best_listed": {"mlp": 2, "head": 1}'))
    assert table.best_listed == {"mlp": 2, "head": 1}
    with pytest.raises(InputError) as caught:
        read_scores(write(tmp_path, listed, '"best_listed": {\n"head": 1,\n"mlp": 3}'))
    assert str(caught.value).endswith(": metadata: best_listed: mlp: 3 stated, 2 listed (line 6)")


def test_components_that_cannot_be_read_are_not_missed_among_the_best(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_scores(write(tmp_path, '"m0": 1, "b7": 2', '"best_listed": {"mlp": 2}'))
    assert "'b7' is no component" in str(caught.value)
    assert "best_listed" not in str(caught.value)


@pytest.mark.parametrize("n_pairs", [None, 10, 11])
def test_the_pairs_of_a_table_are_those_of_the_experiment(
    tmp_path: Path, n_pairs: int | None
) -> None:
    path = write(tmp_path, '"m0": 1', '"by_pair": {"1": {"m0": 1}, "10": {"m0": 2}}')
    assert list(read_scores(path, n_pairs=n_pairs).by_pair) == [1, 10]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("10", "metadata: by_pair: '10': expected a pair from 1 to 9"),
        ("010", "metadata: by_pair: '010' is no pair's number"),
        ("1000000000", "metadata: by_pair: '1000000000' is no pair's number"),
    ],
)
def test_a_pair_that_the_experiment_does_not_have_is_refused_by_its_line(
    tmp_path: Path, number: str, reason: str
) -> None:
    metadata = f'"by_pair": {{\n"1": {{"m0": 1}},\n"{number}": {{"m0": 2}}}}'
    with pytest.raises(InputError) as caught:
        read_scores(write(tmp_path, '"m0": 1', metadata), n_pairs=9)
    assert str(caught.value).endswith(f": {reason} (line 6)")


def test_a_table_of_computed_scores_holds_each_pairs_own_from_one() -> None:
    shape = ModelShape(n_layers=1, n_heads=1, d_model=2, d_head=2)
    pairs = np.array([[1.0, 4.0], [3.0, 8.0]], np.float32)
    found = table_of(pairs.mean(axis=0, dtype=float), shape, pairs)
    assert found.scores == {mlp(0): exact(2), head(0, 0): exact(6)}
    assert found.by_pair == {
        1: {mlp(0): exact(1), head(0, 0): exact(4)},
        2: {mlp(0): exact(3), head(0, 0): exact(8)},
    }
    assert table_of(pairs[0].astype(float), shape).by_pair == {}
    assert scores_file(found, {"note": 1}) == {
        "components": {"a0.h0": 6.0, "m0": 2.0},
        "metadata": {"note": 1},
    }


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        # By its highest score, in whichever table that is.
        ({"a0.h0": "0.50"}, {"a0.h1": "0.40"}, "undecided"),
        ({"a0.h0": "0.50", "a0.h1": "0.10"}, {"a0.h1": "0.40"}, "holds"),
        ({"a0.h0": "0.30", "a0.h1": "0.10"}, {"a0.h1": "0.40"}, "undecided"),
        ({"a0.h0": "0.30", "a0.h1": "0.10"}, {"a0.h0": "0.20", "a0.h1": "0.40"}, "refuted"),
        ({"a0.h0": "0.50", "a0.h1": "0.60"}, {"a0.h0": "0.70", "a0.h1": "0.40"}, "holds"),
        # A tie falls by layer, then head; figures of as many digits that differ are no tie.
        ({"a0.h0": "0.50", "a0.h1": "0.50"}, {"a0.h0": "0.10", "a0.h1": "0.10"}, "undecided"),
        ({"a0.h0": "0.51", "a0.h1": "0.10"}, {"a0.h0": "0.10", "a0.h1": "0.50"}, "holds"),
    ],
)
def test_over_several_tables_the_highest_score_ranks(
    left: dict[str, str], right: dict[str, str], expected: str
) -> None:
    tables = [
        ScoreTable({parse(name): printed(score) for name, score in scores.items()})
        for scores in (left, right)
    ]
    assert precedes_over(tables, head(0, 0), head(0, 1)) == expected
    both: dict[str, str] = {"holds": "refuted", "refuted": "holds", "undecided": "undecided"}
    assert precedes_over(tables, head(0, 1), head(0, 0)) == both[expected]


def test_what_no_table_lists_is_behind_where_all_list_the_best() -> None:
    def of(score: str, count: int) -> ScoreTable:
        return ScoreTable({head(0, 0): printed(score)}, {}, {"head": count} if count else {})

    assert precedes_over([of("0.5", 1), of("0.3", 1)], head(0, 0), head(0, 1)) == "holds"
    assert precedes_over([of("0.5", 1), of("0.3", 0)], head(0, 0), head(0, 1)) == "undecided"
    other = ScoreTable({head(1, 0): printed("0.9")}, {}, {"head": 1})
    # In the other table it may score up to 0.95.
    assert precedes_over([of("0.5", 1), other], head(0, 0), head(0, 1)) == "undecided"
    assert precedes_over([of("0.5", 1), other], head(1, 0), head(0, 1)) == "holds"


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_of_known_scores_the_order_over_several_tables_is_that_of_the_highest(
    data: st.DataObject,
) -> None:
    parts = [head(0, 0), head(0, 1), head(1, 0)]
    scores = st.dictionaries(st.sampled_from(parts), st.integers(0, 3), min_size=3)
    tables = [
        ScoreTable({part: exact(score) for part, score in found.items()})
        for found in data.draw(st.lists(scores, min_size=1, max_size=3))
    ]
    found = highest(tables).middles()
    order = best_first(found)
    for better, worse in combinations(order, 2):
        assert precedes_over(tables, better, worse) == "holds"
        assert precedes_over(tables, worse, better) == "refuted"


@pytest.mark.parametrize(
    ("components", "reason"),
    [
        ('"m0": "0.5"', "components: m0: attention gives an MLP no score"),
        ('"a0.h0": "1.2"', "components: a0.h0: a mean attention weight is 0 to 1, found '1.2'"),
        ('"a0.h0": 1.5', "components: a0.h0: a mean attention weight is 0 to 1, found 1.5"),
    ],
)
def test_an_attention_weight_is_a_heads_and_at_most_one(
    tmp_path: Path, components: str, reason: str
) -> None:
    path = write(tmp_path, components)
    assert len(read_scores(path).scores) == 1
    with pytest.raises(InputError) as caught:
        read_scores(path, of_attention=True)
    assert reason in str(caught.value)
    whole = write(tmp_path, '"a0.h0": "1.00", "a0.h1": 0')
    assert len(read_scores(whole, of_attention=True).scores) == 2


def test_a_component_without_a_score_is_not_listed() -> None:
    shape = ModelShape(n_layers=1, n_heads=2, d_model=4, d_head=2)
    pairs = np.array([[np.nan, 1, 2], [np.nan, 3, 4]], dtype=np.float32)
    found = table_of(pairs.mean(axis=0, dtype=float), shape, pairs)
    assert found.scores == {head(0, 0): exact(2), head(0, 1): exact(3)}
    assert found.by_pair[2] == {head(0, 0): exact(3), head(0, 1): exact(4)}


def test_of_several_tables_each_component_has_its_highest_scores() -> None:
    shape = ModelShape(n_layers=1, n_heads=2, d_model=4, d_head=2)
    one, other = (
        table_of(pairs.mean(axis=0, dtype=float), shape, pairs)
        for pairs in (
            np.array([[np.nan, 5, 1], [np.nan, 1, 3]], dtype=np.float32),
            np.array([[np.nan, 2, 2], [np.nan, 2, 2]], dtype=np.float32),
        )
    )
    assert highest([one]) is one
    found = highest([one, other])
    assert found.scores == {head(0, 0): exact(3), head(0, 1): exact(2)}
    # A tie goes to the first table.
    assert found.by_pair[1] == {head(0, 0): exact(5), head(0, 1): exact(1)}
    turned = highest([other, one])
    assert turned.by_pair[1] == {head(0, 0): exact(5), head(0, 1): exact(2)}
