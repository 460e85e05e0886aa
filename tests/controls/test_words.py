from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from replication.circuits.intervals import Interval, exact
from replication.controls.length import Length
from replication.controls.markers import Marker
from replication.controls.not_computed import NotComputed
from replication.controls.null import Null
from replication.controls.property import Property
from replication.controls.published_length import PublishedLength
from replication.controls.stability import Stability
from replication.controls.words import (
    ComponentControl,
    measured_word,
    not_shown,
    percent,
    published_word,
)
from replication.evidence.evidence import Measured

# One component of ten pairs, and a score of 2, that every control speaks for.
SPECIFIC: dict[str, Any] = {
    "probability": 1.0, "q_value": 0.01, "exchanges": 512, "is_exhaustive": True,
    "alone": 1.5, "share": 0.25, "fit": 0.1, "without_first": 1.7, "added": 1,
    "free_q_value": 0.02, "property": 0.6, "low": 0.3, "high": 0.8,
}  # fmt: skip
MARKER = Marker("'oh'", (1.0, 0.2), ("ironic", "plain"))


def word_on(
    is_selected: bool = True,
    n_components: int = 1,
    lacking: str = "",
    markers: Sequence[Marker] = (),
    **changes: Any,
) -> ComponentControl:
    """The word on a component, the second of two where there are more than one."""
    not_computed = NotComputed("it was not")
    value = SPECIFIC | changes

    def column(name: str) -> np.ndarray:
        return np.array([-1.0] * (n_components - 1) + [value[name]])

    null = Null(
        same_side=np.full(n_components, 1.5),
        same_side_quantiles=np.zeros((n_components, 5)),
        shuffled=np.full(n_components, 3.25),
        p_value=np.zeros(n_components),
        q_value=column("q_value"),
        exchanges=value["exchanges"],
        is_exhaustive=value["is_exhaustive"],
    )
    names = ("alone", "share", "fit", "without_first")
    length = SimpleNamespace(added=value["added"], **{name: column(name) for name in names})
    shown = Property(
        p_value=np.zeros(n_components),
        q_value=column("free_q_value"),
        share=column("property"),
        interval=np.stack([column("low"), column("high")]),
    )
    measured = SimpleNamespace(means=np.full(n_components, 2.0), clusters=np.arange(10))
    return measured_word(
        n_components - 1,
        is_selected,
        cast(Measured, measured),
        not_computed
        if lacking == "stability"
        else cast(Stability, SimpleNamespace(probability=column("probability"))),
        not_computed if lacking == "null" else null,
        not_computed if lacking == "property" else shown,
        not_computed if lacking == "length" else cast(Length, length),
        markers,
    )


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "specific"),
        ({"share": 0.501}, "artefact"),
        ({"share": 0.5}, "specific"),
        # Length works against a larger property: what it gives alone says nothing.
        ({"share": -1.8, "alone": 1.9, "without_first": 3.34}, "specific"),
        # Without a token in front, nothing is known of a share.
        ({"share": 0.0, "alone": 0.0, "added": 0}, "specific"),
        # Lengths predict it, and it has no direction of its own, which could have been found.
        ({"fit": 0.501, "q_value": 0.051}, "artefact"),
        ({"fit": 0.5, "q_value": 0.051}, "not shown"),
        ({"fit": 0.501, "q_value": 0.05}, "specific"),
        ({"fit": 0.501, "q_value": 0.051, "exchanges": 20}, "artefact"),
        ({"fit": 0.501, "q_value": 0.051, "exchanges": 19}, "not shown"),
        ({"fit": 0.501, "q_value": 0.051, "exchanges": 39, "n_components": 2}, "not shown"),
        ({"fit": 0.501, "q_value": 0.051, "exchanges": 40, "n_components": 2}, "artefact"),
        # Drawn exchanges have one more: the order as it is.
        ({"fit": 0.501, "q_value": 0.051, "exchanges": 19, "is_exhaustive": False}, "artefact"),
        ({"probability": 0.95}, "specific"),
        ({"probability": 0.94}, "unstable"),
        ({"probability": 0.06, "is_selected": False}, "unstable"),
        ({"probability": 0.04, "is_selected": False}, "specific"),
        ({"q_value": 0.05}, "specific"),
        ({"q_value": 0.051}, "not shown"),
        ({"free_q_value": 0.05}, "specific"),
        ({"free_q_value": 0.051}, "not shown"),
        # What is real may be small, or a mark's.
        ({"low": 0.251}, "specific"),
        ({"low": 0.25}, "differs"),
        ({"low": np.nan, "high": np.nan}, "differs"),
        ({"markers": [MARKER]}, "differs"),
        ({"markers": [MARKER], "q_value": 0.051}, "not shown"),
        # What comes first is said.
        ({"share": 0.6, "probability": 0.5}, "artefact"),
        ({"fit": 0.6, "q_value": 0.2, "probability": 0.5}, "artefact"),
        ({"q_value": 0.2, "probability": 0.5}, "unstable"),
    ],
)
def test_the_word_is_the_first_that_applies(changes: dict[str, Any], word: str) -> None:
    assert word_on(**changes).word == word


LENGTH_GIVES = "lengths alone give 1.5 of 2, and"
BY_LENGTH = f"{LENGTH_GIVES} 1.7 is left without them: 25% of the squared score"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {},
            "the property makes 60% of the squared score (30 to 80%) (q = 0.01; 0.02 with length"
            f" taken out); {BY_LENGTH}",
        ),
        (
            {"added": 0, "alone": 0.0},
            "the property makes 60% of the squared score (30 to 80%) (q = 0.01; 0.02 with length"
            " taken out)",
        ),
        (
            {"share": 0.75, "without_first": 1.0},
            f"{LENGTH_GIVES} 1 is left without them: 75% of the squared score",
        ),
        (
            {"share": -1.25, "without_first": 3.0},
            "the property makes 60% of the squared score (30 to 80%) (q = 0.01; 0.02 with length"
            " taken out); lengths alone give 1.5 of 2, and 3 is left without them: they work"
            " against the rest",
        ),
        (
            {"fit": 0.75, "q_value": 0.25},
            "lengths predict 75% of left-out pairs' squared scores, and the pairs have no"
            " direction in common (q = 0.25)",
        ),
        ({"probability": 0.5}, "selected in 50% of the resamples"),
        (
            {"low": 0.1, "added": 0},
            "the property makes 60% of the squared score (10 to 80%) (q = 0.01; 0.02 with length"
            " taken out); it may make less than 25%",
        ),
        (
            {"markers": [MARKER], "added": 0},
            "the property makes 60% of the squared score (30 to 80%) (q = 0.01; 0.02 with length"
            " taken out); but 'oh' on 100% of the ironic prompts and 20% of the plain ones",
        ),
        (
            {"q_value": 0.25, "exchanges": 16, "added": 0, "property": -0.1, "low": 0.0},
            "the property makes 0% of the squared score (0 to 80%) (q = 0.25; 0.02 with length"
            " taken out); 10 clusters of pairs cannot show a difference: their smallest possible p"
            " is 0.062",
        ),
        (
            {"free_q_value": 1.0, "added": 0, "property": np.nan, "low": np.nan},
            "lengths leave nothing of it to be told from them (q = 0.01; 1 with length taken out)",
        ),
    ],
)
def test_the_reason_is_in_figures(changes: dict[str, Any], reason: str) -> None:
    assert word_on(**changes).reason == reason


@pytest.mark.parametrize(
    ("lacking", "before"),
    [
        ("stability", f"{BY_LENGTH}; "),
        ("null", f"{BY_LENGTH}; "),
        ("property", f"{BY_LENGTH}; "),
        ("length", ""),
    ],
)
def test_where_one_control_is_lacking_nothing_is_shown(lacking: str, before: str) -> None:
    assert word_on(lacking=lacking) == ComponentControl(
        "not shown", f"{before}no {lacking} control: it was not"
    )


PUBLISHED = PublishedLength(exact(1), exact(1), exact("0.25"), Fraction(0), "sums")
LACKING = [NotComputed("why one"), NotComputed("why two")]


@pytest.mark.parametrize(
    ("share", "breakdown", "expected"),
    [
        (
            exact("0.75"),
            None,
            ComponentControl(
                "artefact",
                "sums: 75%, however much the other positions' norms differ between the sides",
            ),
        ),
        (
            exact("0.75"),
            Fraction("0.26"),
            ComponentControl(
                "artefact",
                "sums: 75%, unless the other positions' norms differ by more than 26% between the"
                " sides",
            ),
        ),
        (
            exact("0.75"),
            Fraction("0.25"),
            ComponentControl(
                "not shown",
                "sums: 75%, if the other positions' norms are alike on both sides; where they"
                " differ by 25%, it may be as little as 50%",
            ),
        ),
        (
            exact("0.5"),
            Fraction(0),
            ComponentControl(
                "not shown",
                "lengths alone give 50% of it; no stability control: why one;"
                " no null control: why two",
            ),
        ),
        (
            Interval(Fraction("0.501"), Fraction("0.9")),
            Fraction("0.5"),
            ComponentControl(
                "artefact",
                "sums: 50 to 90%, unless the other positions' norms differ by more than 50% between"
                " the sides",
            ),
        ),
    ],
)
def test_published_lengths_make_an_artefact_or_show_nothing(
    share: Interval, breakdown: Fraction | None, expected: ComponentControl
) -> None:
    found = replace(PUBLISHED, share=share, breakdown=breakdown)
    assert published_word(found, *LACKING) == expected


def test_each_control_that_is_lacking_says_why() -> None:
    stable, unrelated = LACKING
    found = not_shown(stability=stable, null=unrelated, length=PUBLISHED)
    assert found == ComponentControl(
        "not shown", "no stability control: why one; no null control: why two"
    )
    assert published_word(stable, stable, unrelated).reason == "no length control: why one"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.25, 0.254, "25%"), (0.25, 0.5, "25 to 50%"), (0.0, 1.0, "0 to 100%")],
)
def test_a_share_has_both_ends_where_they_differ(low: float, high: float, text: str) -> None:
    assert percent(low, high) == text
