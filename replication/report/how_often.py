"""How often a word is right, at this number of clusters and this size of effect.

The figures are the calibration's, on made-up models whose causes are known: those of the generators
that had no part in choosing bounds and methods. They come with the package, as `how_often.json`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from replication.controls.words import Word

Question = Literal["right", "found", "mistaken"]


class HowOften(BaseModel):
    """One rate: of which question on which word, for how many clusters and which share.

    `right` is how many of the components with this word and measured share deserve it: the property
    makes more than the bound of *specific*, or, for *differs*, anything at all. `found` is how many
    of those whose property truly has this share are called specific or differs. `mistaken` is how
    many are called artefacts though the property makes 1.5 times as much as length, or more.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: Question
    word: Word
    clusters: int
    share: tuple[float, float] | None
    rate: float
    low: float
    high: float
    n: int


@cache
def _rates() -> list[HowOften]:
    text = files("replication.report").joinpath("how_often.json").read_text(encoding="utf-8")
    return TypeAdapter(list[HowOften]).validate_json(text)


def how_often(word: Word, clusters: int | None, share: float | None) -> HowOften | None:
    """The rate for a word on a component, by the nearest number of clusters that is no larger.

    None where nothing is known: of so few clusters, of a share that none such had, or of a word
    that is neither right nor wrong.
    """
    counts = [one.clusters for one in _rates() if clusters and one.clusters <= clusters]
    if not counts:
        return None
    for one in _rates():
        is_of_share = one.share is None or (
            share is not None and one.share[0] < max(share, SMALLEST) <= one.share[1]
        )
        if (one.word, one.clusters) == (word, max(counts)) and is_of_share:
            return one
    return None


SMALLEST = 1e-9  # a share by an estimate below 0 is as good as none


def said(found: HowOften | None) -> str | None:
    """The rate in words, if there is one."""
    if found is None:
        return None
    rate = f"{found.rate:.1%} ({found.low:.1%} to {found.high:.1%})"
    match found.question:
        case "right":
            return f"right in {rate}"
        case "found":
            return f"such a property is found in {rate}"
        case "mistaken":
            return f"said of a larger property in {rate}"
