"""Power: how many clusters of pairs the recorded components need to be called what they are."""

from __future__ import annotations

from collections.abc import Iterator

from replication.circuits.components import Component, Kind
from replication.controls.exchanges import EXCHANGES
from replication.controls.not_computed import NotComputed
from replication.controls.power import (
    CLUSTERS,
    FEWEST_FOR_NOISE,
    SHARES,
    Noise,
    Power,
    fewest_clusters,
    noise_of,
    p_bounds,
    powers,
)
from replication.controls.property import length_terms
from replication.controls.thresholds import THRESHOLDS
from replication.controls.verify import MeasuredControls, measured_controls
from replication.evidence.evidence import (
    EvidenceMissing,
    Measured,
    published_evidence,
    recorded_evidence,
)
from replication.experiment.attention import NOT_OF_ATTENTION
from replication.experiment.clusters import count_of
from replication.experiment.spec import Experiment, Spec
from replication.inputs.files import InputError
from replication.inputs.messages import shortened

KINDS: tuple[Kind, ...] = ("mlp", "head")


def check_share(option: str, value: float) -> None:
    """Refuse what is no share between nothing and everything.

    Raises:
        InputError: naming the option.
    """
    if not 0 < value < 1:
        raise InputError(f"{option}: expected a number between 0 and 1, found {value}")


def power(
    experiment: Experiment, component: Component | None, share: float | None, chance: float
) -> list[str]:
    """The numbers that these shares need, or one, by component, as lines to print.

    Without a component they are those of the highest-scoring one of each kind that is no artefact.

    Raises:
        InputError: nothing usable is recorded, or of too few clusters.
    """
    spec, measured = experiment.spec, _measured(experiment)
    if spec.scoring.kind == "attention":
        raise InputError(f"{shortened(experiment.name)}: power {NOT_OF_ATTENTION}")
    n_clusters = count_of(measured.clusters)
    if n_clusters < FEWEST_FOR_NOISE:
        raise InputError(
            f"{shortened(experiment.name)}: {n_clusters} clusters of pairs are recorded; it takes"
            f" {FEWEST_FOR_NOISE} to tell their noise from what they have in common"
        )
    controls = measured_controls(spec, measured)
    if isinstance(controls.property, NotComputed):
        raise InputError(f"{shortened(experiment.name)}: {controls.property.reason}")
    every = spec.model.shape.components()
    indices = [_highest(controls, every, kind) for kind in KINDS]
    chosen = [every.index(component)] if component else [one for one in indices if one is not None]
    if not chosen:
        raise InputError(f"{shortened(experiment.name)}: length explains every component's score")
    lines = [
        f"{shortened(experiment.name)}: the fewest clusters of pairs with a chance of"
        f" {chance:.4g} to be called so",
        _least(len(every)),
    ]
    for index in chosen:
        noise = _noise(spec, measured, index)
        if noise is None:
            raise InputError(f"{every[index]}: what is recorded of it has no noise")
        own = float(controls.property.share[index])
        shares = [share] if share else sorted({*SHARES, *([own] if 0 < own < 1 else [])})
        found = powers(noise, shares, len(every), chance, spec.verification.seed)
        lines += ["", _known(every[index], noise, own), *_table(found, len(every), own)]
    return lines


def _measured(experiment: Experiment) -> Measured:
    try:
        evidence = recorded_evidence(experiment, published_evidence(experiment))
    except EvidenceMissing as error:
        raise InputError(f"{shortened(experiment.name)}: {error}") from None
    assert evidence.measured is not None
    return evidence.measured


def _highest(controls: MeasuredControls, every: list[Component], kind: Kind) -> int | None:
    """The place of the highest-scoring component of a kind that is no artefact."""
    means = controls.measured.means
    places = [
        place
        for place, one in enumerate(every)
        if one.kind == kind and controls.words[one].word != "artefact"
    ]
    return max(places, key=lambda place: float(means[place]), default=None)


def _noise(spec: Spec, measured: Measured, index: int) -> Noise | None:
    activations = measured.activations
    assert activations.inner is not None
    for number, means in enumerate(activations.inner.by_component(spec.scoring.convention)):
        if number == index:
            terms = length_terms(activations.token_lengths)
            return noise_of(means[:, 0] - means[:, 1], terms, measured.clusters)
    return None


def _least(n_components: int) -> str:
    """What no effect, however large, can do without."""
    rate = f"{THRESHOLDS.false_discovery_rate.value:g}"
    alone, company = map(fewest_clusters, p_bounds(n_components))
    if alone is None:
        first = (
            f"no number is enough for one of {n_components} alone: p is never as small as"
            f" {rate}/{n_components}"
        )
    else:
        ways = 2 ** (alone - 1)
        smallest = f"1/2^{alone - 1}" if ways <= EXCHANGES else f"1/{EXCHANGES + 1}"
        first = (
            f"one of {n_components} alone takes {alone} or more, whatever its effect:"
            f" {smallest} <= {rate}/{n_components}"
        )
    return f"{first}; with a tenth of them {company}"


def _known(component: Component, noise: Noise, share: float) -> str:
    few = THRESHOLDS.few_clusters.value
    known = " (few to know it by)" if len(noise.noise) < few else ""
    return (
        f"{component}: noise of {len(noise.noise)} clusters{known};"
        f" the property makes {_percent(max(0, share))} of its squared score as measured"
    )


def _table(found: list[Power], n_components: int, measured: float) -> Iterator[str]:
    yield _row("", f"alone among {n_components}", "", "with a tenth of them", "")
    yield _row("share", "differs", "specific", "differs", "specific")
    for one in found:
        name = f"{_percent(one.share)}{' (measured)' if one.share == measured else ''}"
        yield _row(name, *map(_number, (*one.alone, *one.in_company)))


def _row(name: str, *cells: str) -> str:
    return f"  {name:19}{''.join(f'{cell:15}' for cell in cells)}".rstrip()


def _number(needed: int | None) -> str:
    return f"more than {CLUSTERS[-1]}" if needed is None else str(needed)


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
