"""Calibration of the causal words: how often they, and intervals of faithfulness, are right.

`python -m calibration.cause_rates FOLDER [MODELS]` writes `causes.md` and `causes.json`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
from jaxtyping import Int64
from rich.progress import track

from calibration.cause_generators import (
    CHOOSING,
    CIRCUITS,
    POPULATION,
    STRANGERS,
    Generator,
    true_faithfulness,
)
from calibration.causes import JUDGED, Causes, Part, answers, plant, subject
from calibration.observed import Seen
from calibration.planted_causes import SHAPE, Activation, load_causes, rows, values_of
from calibration.rates import Target, bounds, cells, met_from, rates_of
from replication.circuits.components import Component, ModelShape
from replication.circuits.matched import mask_of, matched, members_of
from replication.controls.causal import Causal, causal
from replication.controls.causal_words import CausalWord
from replication.controls.effects import effects_of
from replication.controls.faithfulness import Drawing, against_matched, faithfulness_in
from replication.controls.thresholds import THRESHOLDS
from replication.engine.provenance import versions
from replication.engine.subject import Subject, check_interventions, subject_of
from replication.evidence.intervening import behaved, single
from replication.evidence.interventions import Behaved, InSetting
from replication.experiment.behaviours import AblationSpec, BehaviourSpec, Cell
from replication.inputs.writing import write_atomically, write_json
from replication.report.markdown import table
from replication.report.own_measurements import Rate

MODELS = 150
CLUSTERS = (10, 20, 40)
FAITHFULNESS_DRAWS = 10  # to each model whose words are looked at
ENGINE_EVERY = 10  # to how many of those a model comes that an engine runs
RESAMPLES, SEED = 2000, 0
MATCHED, MATCHED_BY_ENGINE = 999, 19
LEVEL = 0.05
UNRELATED = 50  # components without any effect, where false discoveries are looked at

CELL = Cell(JUDGED, "ratio of means")
BOTH_REDUNDANT = "every redundant component is called redundant"
COUNTS_UNUSED = "some component that counts is called not used"
HELD = "F's interval holds it"
EQUIVALENT = "called equivalent where F lies on the bound"
BEATS = "a random circuit beats its matched ones, p at most 5%"
FOUND = "without any effect, some component is found"
CALLED = "without any effect, some component is called necessary or against"
DEEPER = ModelShape(n_layers=4, n_heads=4, d_model=64, d_head=16)
COUNTS = ("redundant", "combining", "primary", "backup")


@dataclass(frozen=True)
class OfEngine:
    """GPT-2s with planted causes that the engine runs."""

    name: str
    about: str
    n_layers: int
    activation: Activation
    group: int
    plant: partial[Causes]


ENGINE: Sequence[OfEngine] = [
    OfEngine(
        "GPT-2, relu",
        "15 components; signals are the values of 64 words, as an exponential's.",
        3,
        "relu",
        1,
        partial(plant, SHAPE),
    ),
    OfEngine(
        "GPT-2, gelu",
        "20 components; the MLP behind the redundant heads saturates, the backup makes up for half,"
        " and pairs come in groups of two that share half of their words.",
        4,
        "gelu_new",
        2,
        partial(plant, DEEPER, combining="saturating", backed=0.5),
    ),
]


def label_of(causes: Causes, part: Part) -> str:
    """A component's role, with the strength of what is used and of what makes up for it."""
    if part.role == "used":
        return f"used, {part.weight:.0%}"
    return f"primary, {causes.backed:.0%} backed" if part.role == "primary" else part.role


def ran(
    of: Subject, causes: Causes, circuits: Mapping[str, Sequence[Component]], draws: int
) -> Behaved:
    """Everything that is run of a behaviour; of its settings, the judged one."""
    found = single(of)
    components = causes.shape.components()
    order = np.argsort(-np.abs(found.effects[0].mean(axis=1))[1:], kind="stable")
    ranking = [components[place] for place in order]
    ablation = AblationSpec(matched=draws)
    ran = behaved(of, found, circuits, "planted", ranking, ablation, SEED)
    return replace(ran, settings={JUDGED: ran.settings[JUDGED]})


def said(found: Behaved, causes: Causes, clusters: Int64[np.ndarray, " pairs"]) -> Causal:
    """What the controls say of it."""
    places = np.arange(len(causes.parts), dtype=np.float64)
    drawing = Drawing(clusters, RESAMPLES, SEED)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        return causal("planted", found, CELL, causes.shape, drawing, places)


def words_seen(
    generator: str, n_clusters: int, seed: int, causes: Causes, found: Causal
) -> Iterator[Seen]:
    """The words on components, by their part."""
    see = partial(Seen, generator, n_clusters, seed)
    by_label: dict[str, list[CausalWord]] = {}
    unused = False
    for component, part in causes.parts.items():
        label, word = label_of(causes, part), found.words[component].word
        by_label.setdefault(label, []).append(word)
        counts = part.role in COUNTS or (
            part.role == "used" and part.weight > THRESHOLDS.effect_share.value
        )
        unused |= counts and word == "not used"
    for label, words in by_label.items():
        for word in get_args(CausalWord):
            yield see(f"{label}: {word}", words.count(word), len(words))
    yield see(BOTH_REDUNDANT, set(by_label["redundant"]) == {"redundant"}, 1)
    yield see(COUNTS_UNUSED, unused, 1)


def look(generator: Generator, seed: int, n_clusters: int) -> Iterator[Seen]:
    """What is seen of one model of a generator: words, and a random circuit's rank."""
    causes = generator.plant(seed)
    rng = generator.random(seed, n_clusters, 1)
    values = generator.draw(causes, n_clusters, rng)
    circuits = {name: circuit(causes) for name, circuit in CIRCUITS.items()}
    like = mask_of(circuits["partial"], causes.shape)
    (drawn,) = islice(matched(like, causes.shape, rng, by_layer=False), 1)
    circuits["random"] = members_of(drawn, causes.shape)
    found = ran(subject(causes, values), causes, circuits, MATCHED)
    yield from words_seen(
        generator.name, n_clusters, seed, causes, said(found, causes, values.clusters)
    )
    p_value = against_matched(found, "random").p_value
    yield Seen(generator.name, n_clusters, seed, BEATS, p_value <= LEVEL, 1)


def look_at_faithfulness(
    generator: Generator, truth: Mapping[str, float], seed: int, n_clusters: int
) -> Iterator[Seen]:
    """Whether intervals hold the true faithfulness, and what lies on the bound is equivalent."""
    causes = generator.plant(seed)
    values = generator.draw(causes, n_clusters, generator.random(seed, n_clusters, 2))
    nothing = np.zeros(1 + len(causes.parts), dtype=bool)
    kept = [mask_of(circuit(causes), causes.shape) for circuit in CIRCUITS.values()]
    empty, full, *runs = answers(
        causes, values, np.stack([~nothing, nothing, *(~one for one in kept)])
    )
    setting = InSetting(empty, full, dict(zip(CIRCUITS, runs, strict=True)))
    drawing = Drawing(values.clusters, RESAMPLES, SEED)
    for name, true in truth.items():
        found = faithfulness_in(setting, name, CELL, drawing)
        see = partial(Seen, generator.name, n_clusters, seed)
        low, high = found.interval
        yield see(f"{HELD}, {name} circuit", low <= true <= high, 1)
        low, high = (end - 1 for end in found.two_tests)
        bound = abs(true - 1)
        yield see(f"{EQUIVALENT}, {name} circuit", -bound < low and high < bound, 1)


def look_at_nothing(generator: Generator, seed: int, n_clusters: int) -> Iterator[Seen]:
    """Whether anything is found among components that all have no effect on average."""
    causes, rng = generator.plant(seed), generator.random(seed, n_clusters, 3)
    belongs = np.repeat(np.arange(n_clusters), generator.sizes(rng, n_clusters))
    factor = rng.lognormal(-(generator.common**2) / 2, generator.common, len(belongs))
    noises = generator.of_noise(rng, belongs, factor, UNRELATED)
    signal = generator.signal(rng, (len(causes.slots), len(belongs))).mean(axis=0) * factor
    found = effects_of(noises, signal, Drawing(belongs, RESAMPLES, SEED))
    is_found = bool((found.q_value <= THRESHOLDS.false_discovery_rate.value).any())
    yield Seen(generator.name, n_clusters, seed, FOUND, is_found, 1)
    is_called = bool((found.serves | found.opposes).any())
    yield Seen(generator.name, n_clusters, seed, CALLED, is_called, 1)


def look_by_engine(of: OfEngine, seed: int, n_clusters: int) -> Iterator[Seen]:
    """What is seen of one GPT-2 that the engine runs."""
    causes = of.plant(seed)
    pairs = rows(causes, n_clusters * of.group, seed, of.group)
    circuits = {name: circuit(causes) for name, circuit in CIRCUITS.items()}
    with TemporaryDirectory() as folder:
        model = load_causes(Path(folder), causes, of.activation)
        behaviour = BehaviourSpec(right="right", wrong="wrong")
        asked = subject_of(model, pairs, "planted", behaviour, AblationSpec())
        check_interventions(asked)
        found = ran(asked, causes, circuits, MATCHED_BY_ENGINE)
    clusters = values_of(pairs).clusters
    return words_seen(of.name, n_clusters, seed, causes, said(found, causes, clusters))


def calibrate(models: int) -> list[Seen]:
    """What is seen of that many models of every generator, a fifth of them where it was chosen."""
    seen: list[Seen] = []
    jobs = [
        (generators is STRANGERS, number, generator, n_clusters)
        for generators in (CHOOSING, STRANGERS)
        for number, generator in enumerate(generators)
        for n_clusters in CLUSTERS
    ]
    for is_judging, number, generator, n_clusters in track(jobs, "Calibrating"):
        count = models if is_judging else max(1, models // 5)
        truth = true_faithfulness(number, is_judging)
        for seed in range(count):
            seen += look(generator, seed, n_clusters)
            seen += look_at_nothing(generator, seed, n_clusters)
        for seed in range(FAITHFULNESS_DRAWS * count):
            seen += look_at_faithfulness(generator, truth, seed, n_clusters)
    by_engine = [
        (one, seed, n_clusters)
        for one in ENGINE
        for seed in range(max(1, models // ENGINE_EVERY))
        for n_clusters in CLUSTERS
    ]
    for one, seed, n_clusters in track(by_engine, "Running GPT-2s"):
        seen += look_by_engine(one, seed, n_clusters)
    return seen


def targets() -> Iterator[Target]:
    """The targets: of the generators that judge, and of the GPT-2s that an engine runs."""
    for name in [*(one.name for one in STRANGERS), *(one.name for one in ENGINE)]:
        for label in ("used, 20%", "used, 30%"):
            what = f"{label}: necessary"
            yield Target(f"{label} of the behaviour: necessary", name, what, low=0.95, fewest=20)
        yield Target("works against it: against", name, "against: against", low=0.95, fewest=20)
        for label in ("noise", "ignored", "bystander", "used, 5%"):
            what = f"{label}: necessary"
            yield Target(f"{label}, as good as none: not necessary", name, what, high=0.05)
        what = "used, 5%: not used"
        yield Target("used, 5%, on the bound: not called not used", name, what, high=0.05)
        yield Target(BOTH_REDUNDANT, name, BOTH_REDUNDANT, low=0.9, fewest=20)
        yield Target("backup: redundant", name, "backup: redundant", low=0.9, fewest=20)
        yield Target("what counts is not called not used", name, COUNTS_UNUSED, high=0.05)
        for circuit in CIRCUITS:
            what = f"{HELD}, {circuit} circuit"
            yield Target(what, name, what, 0.93, 0.97, fewest=20)
            what = f"{EQUIVALENT}, {circuit} circuit"
            yield Target(what, name, what, high=0.05)
        yield Target(BEATS, name, BEATS, high=0.05)
        for what in (FOUND, CALLED):
            yield Target(what, name, what, high=0.05)


PARTS: Mapping[str, Sequence[Generator | OfEngine]] = {
    "judging": STRANGERS,
    "GPT-2s that an engine runs": ENGINE,
    "choosing": CHOOSING,
}
# Why a target is missed where it is, as far as it is known.
_GOES_ALONG = (
    "there noise, which is none of the circuit's, is large in those few pairs in which the"
    " behaviour is, so that both sums hang on them; from 40 clusters the interval holds as often as"
    " is wanted."
)
_SKEWED = (
    "there noise is lognormal, with a few pairs far out on one side: of 50 components that are"
    " nothing else some look as if they had an effect, to the signs of clusters and to a t without"
    " its skewness alike. An effect that hangs on one or two clusters is to be looked at by eye."
)
MISSED: dict[str, str] = {
    f"{HELD}, planted circuit": _GOES_ALONG,
    f"{HELD}, partial circuit": _GOES_ALONG,
    f"{EQUIVALENT}, planted circuit": "by two points, at 20 clusters alone, where signals are"
    " lognormal; probably, as the interval is too short on the side of a large pair that was not"
    " drawn.",
    f"{EQUIVALENT}, partial circuit": "there noise, which is none of the circuit's, is large in"
    " those few pairs in which the behaviour is; the interval is too short on the side of 1, the"
    " less so the more clusters there are.",
    FOUND: _SKEWED,
    CALLED: _SKEWED,
}


def worth_keeping(rates: Sequence[Rate]) -> list[Rate]:
    """The rates without those of words that were never said and that no target is about."""
    said = {(one.scenario, one.word) for one in rates if one.rate or ": " not in one.word}
    said |= {(one.generator, one.word) for one in targets()}
    return [one for one in rates if (one.scenario, one.word) in said]


def content(rates: Sequence[Rate], models: int) -> dict[str, Any]:
    """The content of `causes.json`."""
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


def page(rates: Sequence[Rate], models: int) -> str:
    """The page: the targets, then every rate, those that judge first."""
    columns = [f"{clusters} clusters" for clusters in CLUSTERS]
    method = _METHOD.format(
        models=models,
        engine=max(1, models // ENGINE_EVERY),
        matched=MATCHED,
        population=f"{POPULATION:,}",
    )
    lines = ["# Calibration of the causal words", "", *method.split("\n"), "## Targets", ""]
    judged = [(target, target.rates(rates)) for target in targets()]
    lines += table(
        ["target", "generator", "wanted", "reached", *columns],
        [
            [
                target.name,
                target.generator,
                bounds(target),
                _reached(target, rates),
                *cells(found, CLUSTERS, target),
            ]
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
            lines += [f"### {one.name}", "", one.about, ""]
            lines += table(["what", *columns], _rows(one.name, rates))
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    return "\n".join([*lines, f"Measured with: {packages}.", ""])


def _reached(target: Target, rates: Sequence[Rate]) -> str:
    fewest = met_from(target, rates)
    return "missed" if fewest is None else f"from {fewest} clusters"


def _rows(generator: str, rates: Sequence[Rate]) -> Iterator[list[str]]:
    """All that was ever seen of a generator's models, number by number."""
    own = [rate for rate in rates if rate.scenario == generator]
    for what in sorted({rate.word for rate in own}):
        found = [rate for rate in own if rate.word == what]
        if ": " not in what or any(rate.rate for rate in found):
            yield [what, *cells(found, CLUSTERS)]


_METHOD = """\
It is planted what each component of these models does to the answer: which ones write towards it,
and which share of it; which work against it; which write what nothing reads; which are one of
several of which one suffices, or make up for what another one does not write. The words are those
that the controls give on every run that an experiment makes. A random circuit is drawn as matched
circuits are, so that it beats them by chance; at most {matched} are drawn beside it, one after the
other, until it is settled.

Where figures come from: of {models} models a generator and number of clusters (a fifth where
methods were chosen) the answers are computed by arithmetic from what is planted, without a model;
what a GPT-2 with hand-set weights answers in the engine is the same to 2e-4, which tests hold it
to. Of {engine} such GPT-2s of each kind all figures are the engine's. Faithfulness is looked at on
ten times as many models, its true value being that of {population} clusters.

The generators that judge had no part in choosing, and bounds stayed as they were. A pair is a
cluster of its own where its generator says nothing else. In brackets, the ends of a 95% interval of
a rate (Clopper and Pearson), in which a model counts as one trial. A target is met where that
interval reaches what is wanted; where it is stated from 20 clusters, 10 are not asked for.
"""


def main(folder: Path, models: int) -> None:
    """Calibrate, and write the page and its figures."""
    rates = worth_keeping(rates_of(calibrate(models)))
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "causes.json", content(rates, models))
    write_atomically(folder / "causes.md", page(rates, models))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else MODELS)
