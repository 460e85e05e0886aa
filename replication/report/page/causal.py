"""What the page shows of the fourth question: does it do anything?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from replication.circuits.components import ModelShape
from replication.controls.thresholds import THRESHOLDS
from replication.experiment.behaviours import Averaging
from replication.report.answers import best_causal
from replication.report.causal_record import (
    CausalComponentRecord,
    CausalRecord,
    NotShownRecord,
)
from replication.report.causal_text import (
    BY_CELL,
    CIRCUITS,
    TURNING,
    between,
    causal_sentences,
    cell_rows,
    circuit_rows,
    share,
)
from replication.report.page.gallery import Picture, Table, View
from replication.report.pictures.causal import ENDS, cells, curve, shapes
from replication.report.pictures.effects import DEEPEST, NAMED, differs_and_matters, effects
from replication.report.record import ExperimentReport
from replication.report.rows import figure, number


def doings(report: ExperimentReport) -> Iterator[View]:
    """One for each behaviour, on the best evidence on which interventions were run."""
    ran = best_causal(report)
    for found in ran.behaviours if ran else ():
        assert ran is not None
        title = f"{found.behaviour}, {ran.evidence}"
        sentences = list(causal_sentences(found, ran))
        if isinstance(found, NotShownRecord):
            yield View("does", title, [], sentences)
        else:
            figures = report.figures[ran.evidence].results[found.measures]
            yield View(
                "does",
                title,
                list(_pictures(found, figures.shape)),
                sentences,
                [_circuits(found)],
                list(_folded(found)),
            )


def turning(report: ExperimentReport) -> Table | None:
    """The claims on faithfulness, and the cells in which they would come out otherwise."""
    ran = best_causal(report)
    if ran is None or not ran.by_cell:
        return None
    return Table(BY_CELL, list(cell_rows(ran)), f"{TURNING}, {ran.evidence}")


def _pictures(found: CausalRecord, shape: ModelShape) -> Iterator[Picture]:
    count = THRESHOLDS.effect_share.value
    untold = (
        "" if found.is_told else " The behaviour is not told from none: no share says anything."
    )
    yield Picture(
        "What differs, and what matters",
        "Across: how much a component differs between the sides. Up: how much of the behaviour goes"
        f" with it, either way. Squares: MLPs; circles: heads; filled: in {found.measures}. Named:"
        f" the {NAMED} that differ most, and the {NAMED} that matter most.{untold}",
        [differs_and_matters(found)],
    )
    yield Picture(
        "What is kept, by size",
        "Line and band: what the best of the ranking keep alone, with"
        f" {THRESHOLDS.confidence.value:.0%} intervals. Rings: random circuits of as many MLPs and"
        f" heads. Diamond: {found.measures}. {_bounded()}{untold}",
        [curve(found)],
    )
    yield Picture(
        "What goes with each component",
        f"Ablated alone. Colour: what goes of the behaviour, full from {DEEPEST:.0%} on."
        f" +: necessary, clearly more than {count:.0%}. −: against, the behaviour grows without it."
        f" Outlined: in {found.measures}.{untold}",
        [effects(found, shape)],
    )
    yield from _cell_pictures(found)


def _cell_pictures(found: CausalRecord) -> Iterator[Picture]:
    """Every cell, those of the judged way to average first."""
    marks = ", ".join(f"{shape}: {name}" for name, shape in shapes(found).items())
    beyond = sum(
        one.share is not None and not ENDS[0] <= one.share <= ENDS[1] for one in found.faithfulness
    )
    caption = (
        "What circuits keep alone, by what is put in the place of the rest, with intervals. ablate:"
        " all but the circuit is changed; restore: the circuit is put into the counterpart's run."
        " all: at all positions; text: at the text's own."
        f" {marks.capitalize()}. Hollow: the behaviour is not told from none there, and the share"
        f" says nothing. {_bounded()} Triangles: {beyond} of all that do."
    )
    judged = found.cell.averaging
    for averaging in sorted(get_args(Averaging), key=lambda one: one != judged):
        specs = cells(found, averaging)
        yield Picture(f"Every cell, {averaging}", caption, specs)
        caption = "The same, where pairs are averaged in the other way."


def _bounded() -> str:
    return f"What lies beyond {ENDS[0]:.0%} or {ENDS[1]:.0%} stands at the end of the axis."


def _circuits(found: CausalRecord) -> Table:
    caption = f"What circuits keep of {found.behaviour}: {found.cell_in_words}"
    return Table([name.removesuffix(":") for name in CIRCUITS], list(circuit_rows(found)), caption)


def _folded(found: CausalRecord) -> Iterator[tuple[str, Table]]:
    yield "Every component", _components(found)
    yield "Every cell", _cells(found)
    yield "Sets that were taken out", _sets(found)


def _components(found: CausalRecord) -> Table:
    others = list(found.counterparts)[1:]
    return Table(
        [
            "component",
            "circuit",
            "goes with it",
            "interval",
            "q",
            *(f"by {name}" for name in others),
            *(["comes back"] if found.components[0].restored is not None else []),
            *(f"goes while {len(out)} are out" for out in found.outs),
            "goes from the circuit",
            "effect",
            "attribution",
            "differential score",
            "word",
            "reason",
        ],
        [_component(one, others) for one in found.components],
        f"What every component does to {found.behaviour}",
    )


def _component(one: CausalComponentRecord, others: Sequence[str]) -> list[str]:
    return [
        one.component,
        "in the circuit" if one.selected else "left out",
        share(one.effect),
        between(one.interval),
        f"{one.q_value:.2g}",
        *(share(one.by_counterpart[name]) for name in others),
        *([share(one.restored)] if one.restored is not None else []),
        *map(share, one.given),
        "–" if one.inside is None else share(one.inside),
        number(one.mean),
        number(one.attribution),
        figure(one.differential, "–"),
        one.word,
        one.reason,
    ]


def _cells(found: CausalRecord) -> Table:
    return Table(
        ["circuit", "cell", "keeps", "interval", "10%, 50%, 90% of the pairs", "told from none"],
        [
            [
                one.circuit,
                one.cell.in_words,
                share(one.share),
                between(one.interval),
                ", ".join(map(share, one.quantiles)),
                "yes" if one.is_told else "no",
            ]
            for one in found.faithfulness
        ],
        f"What circuits keep of {found.behaviour}, in every cell",
    )


def _sets(found: CausalRecord) -> Table:
    return Table(
        [
            "sets",
            "tried",
            "parts the two most",
            "the circuit keeps more by",
            "interval",
            "the model lacks",
            "its members' own effects",
        ],
        [
            [
                one.label,
                str(one.tried),
                ", ".join(one.components),
                share(one.gap),
                between(one.interval),
                share(one.effect),
                share(one.summed),
            ]
            for one in found.sets
        ],
        f"Sets taken out of the model and of {found.measures}, for {found.behaviour}",
    )
