from __future__ import annotations

from typing import Any

import pytest

import replication.report.how_often as module
from replication.report.how_often import HowOften, how_often, said


def rate(question: str, word: str, clusters: int, share: Any, value: float = 0.9) -> HowOften:
    return HowOften.model_validate(
        {
            "question": question,
            "word": word,
            "clusters": clusters,
            "share": share,
            "rate": value,
            "low": value - 0.1,
            "high": value + 0.05,
            "n": 100,
        }
    )


RATES = [
    rate("right", "specific", 10, (0.25, 0.5)),
    rate("right", "specific", 20, (0.25, 0.5), 0.8),
    rate("right", "specific", 20, (0.5, 1.0), 0.95),
    rate("found", "not shown", 20, (0.0, 0.1), 0.2),
    rate("mistaken", "artefact", 10, None, 0.1),
]


@pytest.fixture(autouse=True)
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_rates", lambda: RATES)


@pytest.mark.parametrize(
    ("word", "clusters", "share", "found"),
    [
        ("specific", 20, 0.3, 1),
        ("specific", 39, 0.3, 1),
        ("specific", 20, 0.5, 1),
        ("specific", 20, 0.51, 2),
        ("specific", 19, 0.3, 0),
        # So few clusters, or such a share at this number, nothing is known of.
        ("specific", 9, 0.3, None),
        ("specific", 10, 0.7, None),
        ("specific", None, 0.3, None),
        ("specific", 20, None, None),
        ("not shown", 20, -0.3, 3),
        ("not shown", 20, 0.0, 3),
        ("artefact", 12, 0.3, 4),
        ("artefact", 12, None, 4),
        ("unstable", 20, 0.3, None),
    ],
)
def test_the_rate_is_that_of_as_many_clusters_and_this_share(
    word: Any, clusters: int | None, share: float | None, found: int | None
) -> None:
    assert how_often(word, clusters, share) == (None if found is None else RATES[found])


def test_each_question_has_its_words() -> None:
    assert [said(one) for one in (RATES[0], RATES[3], RATES[4], None)] == [
        "right in 90.0% (80.0% to 95.0%)",
        "such a property is found in 20.0% (10.0% to 25.0%)",
        "said of a larger property in 10.0% (0.0% to 15.0%)",
        None,
    ]
