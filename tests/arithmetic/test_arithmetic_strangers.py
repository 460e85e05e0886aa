"""Verdicts against brute force over statements that were written to get a wrong one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from unittest import mock

import pytest

from replication.arithmetic import search
from replication.arithmetic.conditions import Known, box_of, condition_of, counted
from replication.arithmetic.expressions import parse
from replication.arithmetic.figures import ListedSet, read_figure
from replication.arithmetic.search import decide, zero_divisor
from replication.arithmetic.together import judge_together
from replication.inputs.files import InputError
from tests.arithmetic.strangers import Author, Paper, points, truths


def known_of(paper: Paper) -> Known:
    figures = {
        name: read_figure(one.text, digits=one.digits, spread=one.spread)  # type: ignore[arg-type]
        for name, one in paper.figures.items()
    }
    for name, one in paper.figures.items():
        values = figures[name].values
        assert (values.low, figures[name].value, values.high) == (one.low, one.value, one.high)
    sets = {name: ListedSet(tuple(members)) for name, members in paper.sets.items()}
    return {**figures, **sets}


def refused(texts: Sequence[str], known: Known) -> bool:
    """Whether a check of these is refused: too long a product, or a divisor that may be zero."""
    try:
        trees = [counted(parse(text), known) for text in texts]
    except InputError:
        return True
    return any(zero_divisor(tree, box_of(known)) is not None for tree in trees)


def judged(seed: int) -> str | None:
    """The verdict on a statement, held against points; None if it is refused."""
    author = Author(seed)
    text, known = author.statement(), known_of(author.paper)
    if refused([text], known):
        return None
    (truth,) = truths([text], author.paper)
    verdict = decide(condition_of(parse(text), known), box_of(known)).verdict
    seen = {truth(point) for point in points(author.paper, author.chance)}
    wrong = {"holds": False, "refuted": True}
    assert wrong.get(verdict) not in seen, (seed, text, author.paper, verdict)
    return verdict


def judged_together(seed: int) -> str | None:
    """The verdict on statements of one object, held against points; None if they are refused."""
    author = Author(seed)
    (texts, there), known = author.together(), known_of(author.paper)
    if refused(texts, known):
        return None
    said = truths(texts, author.paper)
    found = judge_together([parse(text) for text in texts], known)
    told = (seed, texts, author.paper, found)
    if found.witness is not None:
        point = {**there, **found.witness}
        figures = author.paper.figures
        assert all(figures[name].low <= point[name] <= figures[name].high for name in point), told
        assert all(truth(point) for truth in said), told
    if found.verdict == "refuted":
        tried = [there, *points(author.paper, author.chance)]
        assert not any(all(truth(point) for truth in said) for point in tried), told
    return found.verdict


@pytest.fixture(autouse=True)
def small_effort() -> Iterator[None]:
    """Fewer boxes: what is undecided is never wrong, only slow."""
    with mock.patch.multiple(search, MOST_BOXES=60, BOXES_FOR_SHARES=16, FEWEST_BOXES=8):
        yield


@pytest.mark.parametrize(
    ("judge", "number"), [(judged, 300), (judged_together, 150)], ids=["alone", "together"]
)
def test_no_verdict_on_what_strangers_state_is_wrong(
    judge: Callable[[int], str | None], number: int
) -> None:
    found = Counter(map(judge, range(number)))
    # Verdicts of every kind, and often: all undecided, or all refused, would prove nothing.
    assert all(found[verdict] > number / 40 for verdict in ("holds", "refuted", "undecided"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("judge", "number"), [(judged, 20_000), (judged_together, 8000)], ids=["alone", "together"]
)
def test_no_verdict_of_many_on_what_strangers_state_is_wrong(
    judge: Callable[[int], str | None], number: int
) -> None:
    assert Counter(map(judge, range(1000, 1000 + number)))["holds"] > number / 12
