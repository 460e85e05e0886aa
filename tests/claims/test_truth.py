"""What published figures settle is what the true scores behind them say."""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from replication.circuits.components import parse
from replication.circuits.intervals import Interval, exact, printed
from replication.circuits.scores import ScoreTable, times_the_next
from replication.circuits.selection import select
from replication.claims.check import Check
from replication.inputs.files import InputError
from tests.claims.build import (
    COMPONENTS,
    SHAPE,
    check,
    judge,
    measured,
    published,
    rule,
    table,
)

NAMES = st.sampled_from(COMPONENTS)


TRUE_SCORES = st.fixed_dictionaries(dict.fromkeys(COMPONENTS, st.integers(1, 400)))


STATED = st.integers(0, 500).map(lambda number: f"{number / 100:.2f}") | st.integers(0, 5).map(str)


@st.composite
def true_and_published(draw: st.DrawFn) -> tuple[dict[str, Decimal], ScoreTable]:
    """Every component's true score, and a table that prints some of them, rounded.

    The table lists the best few of each kind, says so or not, and perhaps others; some of its
    figures are numbers, which are exact.
    """
    true = {name: Decimal(score) / 100 for name, score in draw(TRUE_SCORES).items()}
    listed, best_listed = set(draw(st.sets(NAMES))), {}
    for kind in ("mlp", "head"):
        ranked = sorted(
            (part for part in SHAPE.components() if part.kind == kind),
            key=lambda part: (-true[str(part)], part),
        )
        count = draw(st.integers(0, len(ranked)))
        listed |= {str(part) for part in ranked[:count]}
        if count and draw(st.booleans()):
            best_listed[kind] = count
    places = {name: draw(st.sampled_from([0, 1, 2, 3, None])) for name in sorted(listed)}
    figures = {
        name: float(true[name])
        if place is None
        else f"{true[name].quantize(Decimal(1).scaleb(-place)):f}"
        for name, place in places.items()
    }
    return true, table(figures, **best_listed)


def distinct(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


@st.composite
def any_score_check(draw: st.DrawFn) -> Check:
    """A check of the rerun's scores, of any kind and with any figures."""
    stated: dict[str, Any] = {"result": "rerun"}
    kind = draw(st.sampled_from(["scores", "first", "ranks", "ratio", "deviation", "bound"]))
    some = distinct(draw(st.lists(NAMES, min_size=1, max_size=3)))
    if kind == "scores":
        tolerance = draw(st.sampled_from([None, "0.1", "0.5"]))
        figures = {name: draw(STATED) for name in some}
        return check(kind="scores", **stated, scores=figures, tolerance=tolerance)
    if kind in ("first", "ranks"):
        among = draw(st.sampled_from(["mlp", "head", "all"]))
        parts = [part for part in SHAPE.components() if among in (part.kind, "all")]
        chosen = distinct(draw(st.lists(st.sampled_from([str(part) for part in parts]), min_size=1,
                                        max_size=3)))  # fmt: skip
        if kind == "first":
            return check(kind="ranking", **stated, among=among, first=chosen)
        ranks = {name: draw(st.integers(1, len(parts))) for name in chosen}
        return check(kind="ranking", **stated, among=among, ranks=ranks)
    if kind == "ratio":
        to = draw(NAMES.filter(lambda name: name != some[0]) | st.just("next"))
        return check(kind="ratio", **stated, of=some[0], to=to, ratio=draw(STATED))
    if kind == "deviation":
        percent = draw(st.integers(0, 200).map(str))
        form: dict[str, Any] = draw(
            st.sampled_from(
                [
                    {"percent": dict.fromkeys(some, percent)},
                    {"components": some, "mean_percent": percent},
                    {"components": some, "at_most_percent": percent},
                ]
            )
        )
        return check(kind="deviation", **stated, reference="paper", **form)
    members = draw(
        st.sampled_from([{"components": some}, {"among": "mlp"}, {"among": "head", "but": some}])
    )
    side = draw(st.sampled_from(["below", "at_least"]))
    bound = draw(STATED.filter(lambda text: float(text) > 0))
    return check(kind="bound", **stated, **members, **{side: bound})


def exactly(true: Mapping[str, Decimal]) -> ScoreTable:
    return ScoreTable({parse(name): exact(str(score)) for name, score in true.items()})


@given(true_and_published(), true_and_published(), any_score_check())
@settings(max_examples=150, deadline=None)
def test_what_published_figures_settle_is_what_the_true_scores_say(
    rerun: tuple[dict[str, Decimal], ScoreTable],
    paper: tuple[dict[str, Decimal], ScoreTable],
    stated: Check,
) -> None:
    on_published = judge(stated, published(paper[1], rerun[1])).verdict
    on_true = judge(stated, measured(exactly(rerun[0]), exactly(paper[0]))).verdict
    # Only behind the last there is none that comes next.
    assert on_true != "undecided" or getattr(stated, "to", None) == "next"
    assert on_published in ("undecided", on_true)


@given(true_and_published(), NAMES, STATED)
@settings(max_examples=300, deadline=None)
def test_a_ratio_to_the_next_is_that_of_the_true_ranking(
    scores: tuple[dict[str, Decimal], ScoreTable], of: str, stated: str
) -> None:
    true, printed_table = scores
    ranking = sorted(SHAPE.components(), key=lambda part: (-true[str(part)], part))
    place = ranking.index(parse(of)) + 1
    claim = check(kind="ratio", result="rerun", of=of, to="next", ratio=stated)
    on_true = judge(claim, measured(exactly(true))).verdict
    on_published = judge(claim, published(rerun=printed_table)).verdict
    assert on_published in ("undecided", on_true)
    if place == len(ranking):
        assert on_true == "undecided"
        return
    ratio = Fraction(true[of]) / Fraction(true[str(ranking[place])])
    expected = printed(stated)
    assert on_true == ("holds" if expected.low <= ratio <= expected.high else "refuted")


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4)), min_size=2, max_size=4), st.data())
@settings(max_examples=200, deadline=None)
def test_the_ratio_to_the_next_is_no_wider_than_the_figures_allow(
    figures: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Every table on a fine grid of what the figures allow; the ends are reached or nearly so."""
    parts = SHAPE.components()[: len(figures)]
    scores = {
        part: Interval(Fraction(low), Fraction(low + width))
        for part, (low, width) in zip(parts, figures, strict=True)
    }
    of = data.draw(st.sampled_from(parts))
    steps = 8
    grids = [
        {low + Fraction(width * step, steps) for step in range(steps + 1)} for low, width in figures
    ]
    found = []
    is_last = False
    for values in product(*grids):
        # What rounds to figures that touch is not equal.
        if any(
            values[i] == values[j] and 0 < figures[i][1] == figures[j][1] == abs(step)
            for i, j in combinations(range(len(parts)), 2)
            for step in [figures[i][0] - figures[j][0]]
        ):
            continue
        ranking = sorted(range(len(parts)), key=lambda at: (-values[at], parts[at]))
        place = ranking.index(parts.index(of)) + 1
        if place == len(parts):
            is_last = True
        else:
            found.append(values[ranking[place - 1]] / values[ranking[place]])
    ratio = times_the_next(ScoreTable(scores), of, [part for part in parts if part != of])
    assert (ratio is None) == is_last
    if ratio is not None:
        assert ratio.low <= min(found) <= max(found) <= ratio.high
        # A step of the grid is at most 0.5 of a score of at least 1.
        assert min(found) <= ratio.low * Fraction(3, 2)
        assert max(found) * 2 >= ratio.high


@given(true_and_published(), st.integers(8, 36), st.integers(0, 3), st.randoms(), st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_what_published_figures_settle_of_a_selection_is_what_the_true_scores_select(
    scores: tuple[dict[str, Decimal], ScoreTable],
    budget: int,
    threshold: int,
    chance: random.Random,
    swaps: int,
) -> None:
    true, printed_table = scores
    spec = rule(budget, float(threshold))
    values = {parse(name): Fraction(score) for name, score in true.items()}
    try:
        selected = select(values, spec.rule)
    except InputError:
        return
    nodes = [str(node) for node in selected]
    for _ in range(swaps):
        nodes[chance.randrange(1, len(nodes) + 1) - 1] = chance.choice(COMPONENTS)
    nodes = distinct(nodes)
    claim = check(kind="selection", circuit="rerun", budget=budget, mlp_threshold=str(threshold))
    evidence = published(rerun=printed_table, rerun_nodes=" ".join(nodes), spec=spec)
    found = judge(claim, evidence).verdict
    if found == "holds":
        assert set(nodes) == {str(node) for node in selected}
    if found == "refuted":
        assert nodes != [str(node) for node in selected]


@given(true_and_published(), st.sampled_from(["mlp", "head"]), st.integers(1, 6), st.data())
@settings(max_examples=60, deadline=None)
def test_the_ranks_that_a_published_circuit_gives_are_the_true_ones(
    scores: tuple[dict[str, Decimal], ScoreTable], kind: str, count: int, data: st.DataObject
) -> None:
    true, printed_table = scores
    ranked = sorted(
        (part for part in SHAPE.components() if part.kind == kind),
        key=lambda part: (-true[str(part)], part),
    )
    name = str(data.draw(st.sampled_from(ranked)))
    stated = data.draw(st.integers(1, len(ranked)))
    claim = check(kind="ranking", result="rerun", among=kind, ranks={name: stated})
    nodes = " ".join(["input", *map(str, ranked[:count])])
    found = judge(claim, published(rerun=printed_table, rerun_nodes=nodes)).verdict
    is_true = [str(part) for part in ranked].index(name) + 1 == stated
    assert found in ("undecided", "holds" if is_true else "refuted")
    assert found != "undecided" or name not in nodes.split()
