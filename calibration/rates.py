"""Calibration: how often the controls are right, by generators that had no part in choosing them.

`python -m calibration.rates FOLDER [MODELS]` writes `calibration.md`, `calibration.json`, and
`how_often.json`, which stands in `replication/report/` for reports to quote. With OMP_NUM_THREADS=1
its processes do not wait for each other's threads.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import stdev
from typing import Any, NamedTuple

from rich.progress import track

from calibration import choosing, made_up_models, strangers
from calibration.drawn import Generator
from calibration.observed import (
    ANY_WORD,
    COMES_AGAIN,
    DIFFERS,
    EXCESS,
    FALSE_WORDS,
    LARGER_LENGTH,
    LARGER_PROPERTY,
    OVERSTATED,
    RIGHT_DIFFERS,
    RIGHT_SPECIFIC,
    SCORE_HELD,
    SHARE_HELD,
    SPECIFIC,
    Seen,
    observe,
)
from calibration.prompts import SPLIT, observe_split
from replication.controls.faithfulness import exact_share
from replication.controls.words import Word
from replication.engine.provenance import versions
from replication.inputs.writing import write_atomically, write_json
from replication.report.how_often import HowOften, Question
from replication.report.markdown import table
from replication.report.own_measurements import Rate

MODELS = 200
PAIRS = (5, 10, 20, 40)
CHOOSING, JUDGING = "choosing", "judging"
PARTS: dict[str, Sequence[Generator]] = {
    JUDGING: strangers.STRANGERS,
    CHOOSING: choosing.CHOOSING,
}
# What is looked at, and which questions it answers of which words.
QUESTIONS: dict[str, Sequence[tuple[Question, Word]]] = {
    RIGHT_SPECIFIC: [("right", "specific")],
    RIGHT_DIFFERS: [("right", "differs")],
    SPECIFIC: [("found", "not shown")],
    DIFFERS: [("found", "not shown")],
    LARGER_PROPERTY: [("mistaken", "artefact")],
}
SHAPES = {JUDGING: made_up_models.SHAPE, CHOOSING: choosing.SHAPE}


class Job(NamedTuple):
    """One model of one generator, on every number of pairs."""

    part: str
    number: int
    seed: int


def look(job: Job) -> list[Seen]:
    """What is seen of one model."""
    generator, shape = PARTS[job.part][job.number], SHAPES[job.part]
    return [seen for n_pairs in PAIRS for seen in observe(generator, shape, job.seed, n_pairs)]


def calibrate(models: int) -> list[Seen]:
    """What is seen of that many models of every generator, in as many processes as cores.

    The generators that methods were chosen on judge nothing, and get a fifth of the models.
    """
    jobs = [
        Job(part, number, seed)
        for part, generators in PARTS.items()
        for number in range(len(generators))
        for seed in range(models if part == JUDGING else max(1, models // 5))
    ]
    chunk = min(25, models)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        found = pool.map(look, jobs, chunksize=chunk)
        seen = [one for some in track(found, "Calibrating", total=len(jobs)) for one in some]
        splits = pool.map(observe_split, range(models), chunksize=chunk)
        seen += [one for some in splits for one in some]
    return seen


def rates_of(seen: Sequence[Seen]) -> list[Rate]:
    """How often each thing came out, by generator and number of pairs."""
    groups: dict[tuple[str, int, str], list[Seen]] = defaultdict(list)
    for one in seen:
        groups[one.generator, one.pairs, _worded(one)].append(one)
    return [
        Rate(scenario=scenario, pairs=pairs, word=word, **_rate(group)._asdict())
        for (scenario, pairs, word), group in groups.items()
    ]


def how_often(seen: Sequence[Seen]) -> list[HowOften]:
    """How often words are right, over all judging generators with a property: for reports."""
    judging = {one.name for one in strangers.STRANGERS if one.has_property}
    groups: dict[tuple[Question, Word, int, tuple[float, float] | None], list[Seen]] = defaultdict(
        list
    )
    for one in seen:
        if one.generator in judging:
            for question, word in QUESTIONS.get(one.what, ()):
                groups[question, word, one.pairs, one.of_share].append(one)
    return [
        HowOften(
            question=question,
            word=word,
            clusters=pairs,
            share=of_share,
            **_rate(_by_model(group))._asdict(),
        )
        for (question, word, pairs, of_share), group in groups.items()
    ]


def _by_model(group: Sequence[Seen]) -> list[Seen]:
    """One of each model of each generator, with all that was seen of it: its hits are summed."""
    models: dict[tuple[str, int], list[Seen]] = defaultdict(list)
    for one in group:
        models[one.generator, one.seed].append(one)
    return [
        own[0]._replace(
            hits=sum(one.hits for one in own),
            of=sum(one.of for one in own if one.what == own[0].what),
        )
        for own in models.values()
    ]


def _worded(seen: Seen) -> str:
    if seen.of_share is None:
        return seen.what
    low, high = seen.of_share
    return f"{seen.what}, share {100 * low:g}% to {100 * high:g}%"


class _Measured(NamedTuple):
    rate: float
    low: float
    high: float
    n: int


def _rate(group: Sequence[Seen]) -> _Measured:
    """The rate, the ends of its 95% interval, and over how many it is.

    Components of one model share their pairs and so are not independent: for the interval of
    Clopper and Pearson (1934) a model counts as one trial. Points are a mean, with twice its
    standard error to either side.
    """
    trials, of = len(group), sum(one.of for one in group)
    rate = sum(one.hits for one in group) / of
    if group[0].what == OVERSTATED:
        points = [one.hits for one in group]
        error = 2 * stdev(points) / trials**0.5 if trials > 1 else float("inf")
        return _Measured(rate / 100, (rate - error) / 100, (rate + error) / 100, of)
    return _Measured(rate, *exact_share(rate * trials, trials), of)


NO_EXCESS = "no property: no excess over the null circuit"
LENGTH_LARGER = "an artefact where length is larger"
# Why a target is missed where it is, as far as it is known.
MISSED = {
    NO_EXCESS: "there the sides do differ, in length or in a mark, and prompts of one side do not:"
    " the excess is that difference's. Where they differ in nothing, as in real prompts that are"
    " split at random, it covers 0.",
    LENGTH_LARGER: "there both may be small beside what prompts are about, so that neither makes"
    ' most of the squared score. Where length is large ("length above the property"), it is called'
    " so.",
    SHARE_HELD: "it is wider than it has to be, not narrower: where lengths go with the side,"
    " leaving out a cluster moves the fit to lengths, which counts as the share's own spread.",
}


@dataclass(frozen=True)
class Target:
    """What a rate is to be, between two bounds, from a number of pairs on."""

    name: str
    generator: str
    word: str
    low: float = 0.0
    high: float = 1.0
    fewest: int = min(PAIRS)

    def rates(self, rates: Iterable[Rate]) -> list[Rate]:
        """The rates that it is about."""
        return [
            rate
            for rate in rates
            if (rate.scenario, rate.word) == (self.generator, self.word)
            and rate.pairs >= self.fewest
        ]

    def is_met(self, rate: Rate) -> bool:
        """Whether the rate may lie between the bounds, by its interval."""
        return rate.low <= self.high and rate.high >= self.low


def targets() -> Iterator[Target]:
    """The targets, of the generators that judge."""
    for one in strangers.STRANGERS:
        if not one.has_property:
            if "mark" not in one.name:
                yield Target("no property: no word", one.name, ANY_WORD, high=0.05)
            yield Target(NO_EXCESS, one.name, EXCESS, 0.95)
        else:
            yield Target("few false discoveries", one.name, FALSE_WORDS, high=0.05)
        yield Target("no artefact where the property is larger", one.name, LARGER_PROPERTY, 0, 0.05)
        yield Target(LENGTH_LARGER, one.name, LARGER_LENGTH, 0.95)
        for what in (SCORE_HELD, SHARE_HELD):
            yield Target(what, one.name, what, 0.93, 0.97, fewest=10)
        yield Target(COMES_AGAIN, one.name, COMES_AGAIN, low=0.95)
        yield Target("overlap of two runs not overstated", one.name, OVERSTATED, -1.0, 0.0)
    for kind in ("mlps", "heads"):
        yield Target("random splits: no excess", SPLIT, f"{EXCESS}, {kind}", low=0.95)


def content(rates: Sequence[Rate], models: int) -> dict[str, Any]:
    """The content of `calibration.json`."""
    return {
        "models": models,
        "generators": [
            {"name": one.name, "about": one.about, "part": part}
            for part, generators in PARTS.items()
            for one in generators
        ],
        "rows": [rate.model_dump() for rate in rates],
        "targets": [
            {
                "name": f"{target.name}: {target.generator}",
                "target": bounds(target),
                "met_from_pairs": met_from(target, rates),
            }
            for target in targets()
            if target.rates(rates)
        ],
    }


def met_from(target: Target, rates: Iterable[Rate]) -> int | None:
    """The number of pairs from which on a target is met; None where it is not."""
    found = sorted(target.rates(rates), key=lambda rate: rate.pairs)
    met = [all(map(target.is_met, found[start:])) for start in range(len(found))]
    return next((rate.pairs for rate, is_met in zip(found, met, strict=True) if is_met), None)


def bounds(target: Target) -> str:
    """What a target asks for."""
    low, high = (f"{100 * end:g}%" for end in (target.low, target.high))
    if target.high == 1:
        return f"at least {low}"
    return f"{low} to {high}" if target.low > 0 else f"at most {high}"


def page(rates: Sequence[Rate], models: int) -> str:
    """The page: the targets, then every rate, those that judge first."""
    lines = ["# Calibration of the controls", "", *_METHOD.format(models=models).split("\n")]
    lines += ["## Targets", ""]
    judged = [(target, target.rates(rates)) for target in targets()]
    counts = list(dict.fromkeys(rate.pairs for _, found in judged for rate in found))
    columns = [f"{pairs} pairs" for pairs in sorted(counts)]
    lines += table(
        ["target", "generator", "wanted", *columns],
        [
            [target.name, target.generator, bounds(target), *cells(found, sorted(counts), target)]
            for target, found in judged
            if found
        ],
    )
    missed = {target.name for target, found in judged if not all(map(target.is_met, found))}
    lines += [f"- Missed: {name}: {MISSED.get(name, 'not known why.')}" for name in sorted(missed)]
    lines += [""] if missed else []
    for part, generators in PARTS.items():
        lines += [f"## Every rate, {part}", ""]
        for one in generators:
            own = [rate for rate in rates if rate.scenario == one.name]
            if own:
                lines += [f"### {one.name}", "", one.about, ""]
                lines += table(
                    ["what", *(f"{pairs} pairs" for pairs in PAIRS)],
                    [
                        [word, *cells([rate for rate in own if rate.word == word], PAIRS)]
                        for word in sorted({rate.word for rate in own})
                    ],
                )
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    return "\n".join([*lines, f"Measured with: {packages}.", ""])


def cells(found: Sequence[Rate], counts: Sequence[int], target: Target | None = None) -> list[str]:
    """The cells of a table's row: each rate, and whether it misses the target."""
    by_pairs = {rate.pairs: rate for rate in found}
    return [_cell(by_pairs.get(pairs), target) for pairs in counts]


def _cell(rate: Rate | None, target: Target | None) -> str:
    if rate is None:
        return ""
    shown = f"{100 * rate.rate:.1f}% ({100 * rate.low:.1f}–{100 * rate.high:.1f}%)"
    return f"**{shown} missed**" if target and not target.is_met(rate) else shown


_METHOD = """\
{models} made-up models of 12 MLPs and 144 heads for every generator and number of pairs. It is
known what each component responds to, and by how much; the words on it, the intervals and the
selection are those that the controls give on the pairs' texts and mean activations.

The generators that judge had no part in choosing: they were written from a list of what prompts
and models may be like, without knowledge of the controls, and the bounds and methods were fixed
before they were run. What was chosen was chosen on the other set, and in the tests of intervals.

The null circuit and the selection, which takes another run, are looked at on every fourth model;
the other set has a fifth of the models.

In brackets, the ends of a 95% interval of a rate (Clopper and Pearson), in which a model counts as
one trial, because its components share their pairs. A target is met where that interval reaches
what is wanted. Where no component has the property, every *specific* and *differs* is false, so
that the rate of experiments with such a word is the false-discovery rate. A share is that of the
property in the squared score; "25% to 50%" means above the one and up to the other.
"""


def main(folder: Path, models: int) -> None:
    """Calibrate, and write the page and its figures."""
    seen = calibrate(models)
    rates = rates_of(seen)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "how_often.json", [one.model_dump() for one in how_often(seen)])
    write_json(folder / "calibration.json", content(rates, models))
    write_atomically(folder / "calibration.md", page(rates, models))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else MODELS)
