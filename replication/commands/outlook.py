"""Outlook: what a live run of an experiment needs, and which questions it can answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from replication.claims.claim import Claim, judged_on
from replication.engine.models import place_at_hand
from replication.engine.recording import recorded_path
from replication.engine.tokens import Tokenizer
from replication.evidence.evidence import Kind
from replication.evidence.published_figures import read_figures
from replication.evidence.recorded_interventions import interventions_path
from replication.experiment.spec import Experiment
from replication.inputs.files import InputError, is_there
from replication.inputs.hub import NotAtHand
from replication.inputs.messages import one_line, placed, shortened
from replication.report.prospects import AtHand, prospects
from replication.report.record import ExperimentReport


def needs(experiment: Experiment, tokenizer: Tokenizer) -> str:
    """What the prompts ask of the model that is at hand, and where it is."""
    longest = max(len(tokenizer.read(text).ids) for pair in experiment.pairs for text in pair)
    takes = "" if tokenizer.context is None else f", of the {tokenizer.context} that it takes"
    model = experiment.spec.model
    return one_line(
        f"{shortened(experiment.name)}: a live run gives {model.label} at most {longest} tokens a"
        f" prompt{takes}; it is in {placed(place_at_hand(model))}"
    )


def not_at_hand(experiment: Experiment) -> str | None:
    """Where a model of the hub was looked for, if it is not there; the summary has any other's."""
    if experiment.spec.model.name is not None:
        try:
            place_at_hand(experiment.spec.model)
        except NotAtHand as error:
            return one_line(f"{shortened(experiment.name)}: {error}")
    return None


def outlook(experiment: Experiment, claims: Sequence[Claim]) -> Iterator[str]:
    """Which of the four questions can be answered, on which evidence, and what the others lack."""
    spec = experiment.spec
    report = ExperimentReport(
        experiment.name,
        spec.title,
        claims,
        bool(spec.results or read_figures(experiment.folder / spec.claims)),
        [(claim.id, kind) for claim in claims for kind in judged_on(claim, spec)],
        behaviours=list(spec.behaviour),
    )
    for found in prospects(report, _at_hand(experiment)):
        yield one_line(f"{shortened(experiment.name)}: {found}")


def _at_hand(experiment: Experiment) -> AtHand:
    spec = experiment.spec
    lacking: dict[Kind, str] = {}
    if not is_there(recorded_path(experiment)):
        lacking["recorded"] = "no recording, which `replication record` makes"
    try:
        place_at_hand(spec.model)
    except InputError:
        lacking["live"] = "the model is not here"
    interventions: dict[Kind, str] = {}
    if not is_there(interventions_path(experiment)):
        interventions["recorded"] = (
            "no recording of interventions, which `replication record --interventions` makes"
        )
    if not spec.ablation.live:
        interventions["live"] = "a live run is not to ablate: ablation.live"
    has_lengths = any(one.lengths and one.scores for one in spec.results.values())
    lengths: dict[Kind, str] = (
        {} if has_lengths else {"published": "no published lengths beside scores"}
    )
    return AtHand(lacking, interventions, lengths, spec.measures in spec.results)
