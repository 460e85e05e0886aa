"""Calibration: how often the verifier's words are right, on models whose causes are planted.

`python -m calibration.rates FOLDER [MODELS]` writes `calibration.md` and `calibration.json`. With
OMP_NUM_THREADS=1 its processes do not wait for each other's threads.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from rich.progress import track
from scipy.special import betaincinv

from calibration.planted import (
    ROLES,
    SHAPE,
    Source,
    load_planted,
    pair_features,
    plant,
    true_scores,
)
from replication.circuits.components import Component
from replication.controls.length import Length
from replication.controls.null import Null
from replication.controls.stability import Stability
from replication.controls.verify import measured_controls
from replication.engine.activations import MeanActivations
from replication.engine.capture import capture
from replication.engine.provenance import versions
from replication.engine.recording import Recording
from replication.evidence.evidence import measure
from replication.experiment.spec import Spec
from replication.inputs.writing import write_atomically, write_json
from replication.report.markdown import table

MODELS = 200
PAIRS = (5, 10, 20, 40, 80)
POPULATION = 20_000  # pairs that a true score is the mean over
UNRELATED, LONGER, CONFOUNDED = "lengths unrelated", "second side longer", "filler confounded"
SOURCES = {
    UNRELATED: Source(),
    LONGER: Source(second_is_longer=True),
    CONFOUNDED: Source(filler_is_confounded=True),
}
# Where the filler goes along with the property by chance, the population is without that chance.
POPULATIONS = {**SOURCES, CONFOUNDED: SOURCES[UNRELATED]}

WORDS = ("specific", "artefact", "unstable", "not shown")
COVERED = "interval holds the truth"
CHANCE, CONTROLLED = "p at most 0.05", "p at most 0.05, lengths taken out"
ALL_ROLES = "all roles"


@dataclass(frozen=True)
class Seen:
    """What was said about one component: `said` are the words and the statements that apply."""

    seed: int
    source: str
    pairs: int
    role: str
    said: frozenset[str]


@dataclass(frozen=True)
class Row:
    """How often something is said where it is, with the ends of the rate's 95% interval."""

    pairs: int
    scenario: str
    word: str
    rate: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Target:
    """A rate that the verifier is to have, between two bounds, in a scenario."""

    name: str
    role: str
    source: str
    word: str
    low: float = 0.0
    high: float = 1.0

    def met_from(self, rows: Iterable[Row]) -> int | None:
        """The number of pairs from which on the rate lies between the bounds; None if it is not."""
        rates = {row.pairs: row.rate for row in rows if (row.scenario, row.word) == self.key}
        for pairs in PAIRS:
            if all(self.low <= rates[other] <= self.high for other in PAIRS if other >= pairs):
                return pairs
        return None

    @property
    def key(self) -> tuple[str, str]:
        """The scenario and the word of the rows that it is about."""
        return _scenario(self.role, self.source), self.word


def _scenario(role: str, source: str) -> str:
    return f"{role}, {source}"


TARGETS = [
    *(
        Target("planted causes are found", role, source, "specific", low=0.95)
        for role, source in (("property", UNRELATED), ("property", LONGER))
    ),
    *(
        Target("planted causes are not called artefacts", role, source, "artefact", high=0.05)
        for role, source in (("property", UNRELATED), ("property", LONGER))
    ),
    *(
        Target("length artefacts are called so", role, source, "artefact", low=0.95)
        for role in ("first", "position")
        for source in (UNRELATED, LONGER)
    ),
    *(
        Target("length artefacts are not called specific", role, source, "specific", high=0.05)
        for role in ("first", "position")
        for source in (UNRELATED, LONGER)
    ),
    *(
        Target("false alarms are rare", role, source, "specific", high=0.05)
        for role in ("noise", "filler")
        for source in (UNRELATED, LONGER)
    ),
    Target("false alarms are rare", "noise", CONFOUNDED, "specific", high=0.05),
    *(
        Target("intervals hold the truth", ALL_ROLES, source, COVERED, 0.93, 0.97)
        for source in (UNRELATED, LONGER)
    ),
]


def spec() -> Spec:
    """An experiment on planted models; all is selected, so that no word turns on the selection."""
    everything = (
        SHAPE.d_model * (1 + SHAPE.n_layers) + SHAPE.d_head * SHAPE.n_heads * SHAPE.n_layers
    )
    return Spec.model_validate(
        {
            "title": "Planted models",
            "task": "finding the planted property",
            "sides": ["with", "without"],
            "pairs": "pairs.jsonl",
            "measures": "planted",
            "model": {"name": "test/planted", "shape": SHAPE},
            "scoring": {"mlp_out": "centred"},
            "selection": {"budget": everything, "mlp_threshold": 0.0, "input_counts": True},
        }
    )


def observe(seed: int) -> list[Seen]:
    """What is said about every component of a planted model, on pairs from every source."""
    import torch

    torch.set_num_threads(1)
    planted = plant(seed)
    seen = []
    with tempfile.TemporaryDirectory() as folder:
        model = load_planted(Path(folder), planted)
    for source, draws in SOURCES.items():
        truth = true_scores(planted, _population(source))
        drawn = draws.pairs(max(PAIRS), seed)
        activations, tokens = capture(model, drawn), model.tokenizer.seen(drawn)
        for pairs in PAIRS:
            run = Recording(_first(activations, pairs), model.provenance, tokens)
            said = _said(run, truth)
            seen += [
                Seen(seed, source, pairs, role, said[component])
                for component, role in planted.roles.items()
            ]
    return seen


@cache
def _population(source: str) -> Float[np.ndarray, "pairs 2 features"]:
    return pair_features(POPULATIONS[source].pairs(POPULATION, seed=2**32))


def _first(activations: MeanActivations, pairs: int) -> MeanActivations:
    inner = activations.inner
    return MeanActivations(
        activations.mlp_out[:pairs],
        activations.z[:pairs],
        activations.token_lengths[:pairs],
        None if inner is None else _first(inner, pairs),
    )


def _said(run: Recording, truth: dict[Component, float]) -> dict[Component, frozenset[str]]:
    """The verifier's word on each component, and which statements about it apply."""
    experiment = spec()
    found = measured_controls(experiment, measure(experiment, run, {}))
    stable, unrelated, length = found.stability, found.null, found.length
    assert isinstance(stable, Stability)
    assert isinstance(unrelated, Null)
    assert isinstance(length, Length)
    said = {}
    for index, (component, true) in enumerate(truth.items()):
        low, high = stable.interval[:, index]
        statements = {
            COVERED: low <= true <= high,
            CHANCE: unrelated.p_value[index] <= 0.05,
            CONTROLLED: length.free_p_value[index] <= 0.05,
        }
        applying = {statement for statement, applies in statements.items() if applies}
        said[component] = frozenset({found.words[component].word, *applying})
    return said


def calibrate(models: int) -> list[Row]:
    """The rates over that many models, in as many processes as there are cores."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        found = list(track(pool.map(observe, range(models)), "Calibrating", total=models))
    return rows_of(list(chain.from_iterable(found)))


def rows_of(seen: Sequence[Seen]) -> list[Row]:
    """How often each thing is said, by role, source and number of pairs."""
    groups: dict[tuple[str, str, int], list[Seen]] = {}
    for one in seen:
        roles = (
            [one.role]
            if one.role == "filler" and one.source == CONFOUNDED
            else [one.role, ALL_ROLES]
        )
        for role in roles:
            groups.setdefault((role, one.source, one.pairs), []).append(one)
    return [
        Row(
            pairs, _scenario(role, source), word, *_rate([word in one.said for one in group], group)
        )
        for (role, source, pairs), group in groups.items()
        for word in (*WORDS, COVERED, CHANCE, CONTROLLED)
    ]


def _rate(flags: Sequence[bool], group: Sequence[Seen]) -> tuple[float, float, float, int]:
    """The rate, the ends of its 95% interval (Clopper and Pearson 1934), and what it is over.

    Components of one model share their pairs and so are not independent: for the interval, a model
    counts as one trial.
    """
    rate = sum(flags) / len(flags)
    trials = len({one.seed for one in group})
    hits = rate * trials
    low = float(betaincinv(hits, trials - hits + 1, 0.025)) if rate > 0 else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 0.975)) if rate < 1 else 1.0
    return rate, low, high, len(flags)


def content(rows: Sequence[Row], models: int) -> dict[str, Any]:
    """The content of `calibration.json`."""
    return {
        "models": models,
        "rows": [asdict(row) for row in rows],
        "targets": [
            {
                "name": f"{target.name}: {_scenario(target.role, target.source)}",
                "target": _bounds(target),
                "met_from_pairs": target.met_from(rows),
            }
            for target in TARGETS
        ],
    }


def _bounds(target: Target) -> str:
    low, high = (f"{100 * end:g}%" for end in (target.low, target.high))
    if target.high == 1:
        return f"at least {low}"
    return f"{low} to {high}" if target.low else f"at most {high}"


def page(rows: Sequence[Row], models: int) -> str:
    """The page: the targets, then every rate."""
    rates = {(row.scenario, row.word, row.pairs): row for row in rows}

    def cells(scenario: str, word: str) -> list[str]:
        found = (rates[scenario, word, pairs] for pairs in PAIRS)
        return [f"{_percent(row.rate)} ({_percent(row.low)}–{_percent(row.high)})" for row in found]

    numbers = [f"{pairs} pairs:" for pairs in PAIRS]
    aims = []
    for target in TARGETS:
        start = target.met_from(rows)
        met = "not met" if start is None else f"{start} pairs on"
        aims.append([target.name, target.role, target.source, _bounds(target), met])
        aims[-1] += [_percent(rates[*target.key, pairs].rate) for pairs in PAIRS]
    lines = [
        "# Calibration of the verifier",
        "",
        *_METHOD.format(models=models, population=POPULATION, total=sum(ROLES.values())).split(
            "\n"
        ),
        "## Targets",
        "",
        *table(["target", "role", "pairs from", "wanted", "met from", *numbers], aims),
    ]
    for source in SOURCES:
        lines += [f"## Words: {source}", ""]
        lines += table(
            ["role", "word", *numbers],
            [
                [role, word, *cells(_scenario(role, source), word)]
                for role in ROLES
                for word in WORDS
                if any(rates[_scenario(role, source), word, pairs].rate for pairs in PAIRS)
            ],
        )
    for title, word, roles in (
        ("Intervals that hold the truth (nominal: 95%)", COVERED, [*ROLES, ALL_ROLES]),
        ("p at most 0.05, uncorrected (nominal where there is no cause: 5%)", CHANCE, ROLES),
        (f"{CONTROLLED}, uncorrected (nominal where there is no cause: 5%)", CONTROLLED, ROLES),
    ):
        lines += [f"## {title}", ""]
        lines += table(
            ["role", "pairs from", *numbers],
            [
                [role, source, *cells(_scenario(role, source), word)]
                for role in roles
                for source in SOURCES
            ],
        )
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    return "\n".join([*lines, f"Measured with: {packages}.", ""])


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f}%"


_METHOD = """\
{models} GPT-2-shaped models of {total} components each, whose weights are set so that each
component is known to respond to the property, to the first position, to every position, to a filler
word, to a mix of the property and the first position, or to nothing but what prompts are about
(`tests/planted.py`; how strongly, is drawn from the ranges stated there). For each model, pairs of
prompts are drawn from each source; those for fewer pairs are the first of those for more. The truth
of a score is its mean over {population:,} pairs of the population. Every component is selected, so
that no word turns on the selection.

Where the filler is confounded, it is on the first side in every given pair and on either side alike
in the population. Nothing in the given pairs tells it from a cause, so whatever finds causes finds
it: a verifier cannot see what the pairs do not vary. Its score in the population is another, and
its interval does not count among those of all roles.

A component of mixed role gets one word, though two are right: where it is called an artefact, what
shows that it responds to the property as well is its p-value with lengths taken out.

Words with the property and fillers are about nothing, and a mean over a longer prompt varies less:
so a component that hears nothing but what prompts are about has no side that it is higher on, but
may vary more on one side than on the other. The p-value is small for that too; the one with lengths
taken out is not, and a component is called specific only if both are.

A target is met from the number of pairs from which on the measured rate lies where it is wanted. In
brackets, the ends of a 95% interval of the rate (Clopper and Pearson), in which a model counts
as one trial, because its components share their pairs.
"""


def main(folder: Path, models: int) -> None:
    """Calibrate, and write the page and its figures."""
    rows = calibrate(models)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "calibration.json", content(rows, models))
    write_atomically(folder / "calibration.md", page(rows, models))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else MODELS)
