"""What interventions found, in sentences and as tables, for a researcher to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import get_args

from replication.controls.causal_words import CausalWord
from replication.controls.thresholds import THRESHOLDS
from replication.inputs.messages import LIST, MESSAGE, fitting
from replication.report.causal_record import (
    AreaRecord,
    CausalComponentRecord,
    CausalRecord,
    CausalRecords,
    CellRecord,
    FaithfulnessRecord,
    NotShownRecord,
    Open,
    ShownRecord,
)
from replication.report.markdown import escaped, table

BEST = 10  # components that differ most, against those that matter most
UNNAMED: tuple[CausalWord, ...] = ("not used", "not shown")
CIRCUITS = (
    "circuit",
    "components:",
    "keeps:",
    f"{THRESHOLDS.confidence.value:.0%} interval:",
    "10%, 50%, 90% of the pairs:",
    "matched ones as near:",
    "p:",
    "nearest of them keeps:",
)
TURNING = "Claims on faithfulness in every cell; of a key that is not named, all values are meant"
BY_CELL = ("claim", "verdict", "comes out otherwise in", "where")


def share(value: float | None) -> str:
    """A share as a reader sees it."""
    if value is None:
        return "unknown"
    shown = f"{value:.1%}" if abs(value) < 1 else f"{value:,.0%}"
    return "0.0%" if shown == "-0.0%" else shown


def between(ends: Open | None) -> str:
    """An interval of shares as a reader sees it."""
    if ends is None:
        return "not computed"
    low, high = ends
    if low is None and high is None:
        return "without bounds"
    if low is None:
        return f"at most {share(high)}"
    return f"at least {share(low)}" if high is None else f"{share(low)} to {share(high)}"


def causal_markdown(ran: CausalRecords) -> list[str]:
    """The section of `claims.md` on what the circuits do, on one kind of evidence."""
    lines = [f"### Does it do anything? ({ran.evidence} evidence)", ""]
    if ran.not_computed is not None:
        return [*lines, f"Not run: {escaped(ran.not_computed)}.", ""]
    for found in ran.behaviours:
        lines += [f"**{escaped(found.behaviour)}**", ""]
        lines += [
            f"- **{heading}**: {escaped(line)}" if heading else f"- {escaped(line)}"
            for heading, line in causal_sentences(found, ran)
        ]
        lines.append("")
        if isinstance(found, CausalRecord):
            lines += table(CIRCUITS, [list(map(escaped, row)) for row in circuit_rows(found)])
    if ran.by_cell:
        lines += [f"{TURNING}:", ""]
        lines += table(BY_CELL, [list(map(escaped, row)) for row in cell_rows(ran)])
    return lines


def circuit_rows(found: CausalRecord) -> Iterator[list[str]]:
    """A line for each circuit: what it keeps in the judged cell, and against matched circuits."""
    for name, nodes in found.circuits.items():
        kept, matched = found.judged(name), found.against(name)
        yield [
            name,
            str(sum(node != "input" for node in nodes)),
            *(_kept_cells(kept) if kept else ["not run"] * 3),
            f"{matched.as_good} of {matched.drawn}",
            f"{matched.p_value:.2g}",
            share(matched.best),
        ]


def _kept_cells(kept: FaithfulnessRecord) -> list[str]:
    quantiles = ", ".join(map(share, kept.quantiles))
    return [share(kept.share), between(kept.interval), quantiles]


def cell_rows(ran: CausalRecords) -> Iterator[list[str]]:
    """A line for each claim on faithfulness: the cells in which its verdict would be another."""
    every = {one.cell for found in ran.shown for one in found.faithfulness}
    for one in ran.by_cell:
        verdicts = dict.fromkeys(there.verdict for there in one.otherwise)
        by_verdict = {
            verdict: [there.cell for there in one.otherwise if there.verdict == verdict]
            for verdict in verdicts
        }
        where = "; ".join(
            f"{verdict} in {len(cells)}: {in_short(cells, every)}"
            for verdict, cells in by_verdict.items()
        )
        yield [
            one.claim,
            one.verdict,
            f"{len(one.otherwise)} of {one.cells} cells",
            where or "nowhere",
        ]


def in_short(cells: Collection[CellRecord], every: Collection[CellRecord]) -> str:
    """Cells by the keys of `[ablation]`; a key of which it takes every value is left out."""
    positions = {cell.positions for cell in every}
    averagings = {cell.averaging for cell in every}
    places: dict[tuple[str, str, str], set[str]] = {}
    for cell in cells:
        places.setdefault((cell.value, cell.direction, cell.positions), set()).add(cell.averaging)
    runs: dict[tuple[str, str, str], set[str]] = {}
    for (value, direction, place), found in places.items():
        runs.setdefault((value, direction, _only(found, averagings)), set()).add(place)
    values: dict[str, list[str]] = {}
    for (value, direction, averaging), found in runs.items():
        named = [direction, _only(found, positions), averaging]
        values.setdefault(", ".join(filter(None, named)), []).append(value)
    return ", ".join(f"{' and '.join(those)} ({where})" for where, those in values.items())


def _only(found: Collection[str], every: Collection[str]) -> str:
    """What is found, unless it is everything that there is."""
    return "" if set(found) == set(every) else " and ".join(sorted(found))


def causal_sentences(
    found: CausalRecord | NotShownRecord, ran: CausalRecords
) -> Iterator[tuple[str, str]]:
    """What was found, sentence by sentence; the first of each part with the part's name."""
    yield "Behaviour", _behaviour(found, ran)
    if isinstance(found, NotShownRecord):
        yield "", f"Nothing was run that would explain it, as {found.reason}."
        return
    parts = {
        "Judged in": _judged,
        "Other cells": _cells,
        "Not selected": _unselected,
        "Curve": _curve,
        "Words": _words,
        "What differs against what matters": _differs,
        "Counterparts": _counterparts,
        "Sets": _sets,
    }
    for heading, part in parts.items():
        for number, line in enumerate(part(found)):
            yield ("" if number else heading), line


def _unselected(found: CausalRecord) -> Iterator[str]:
    for name, reason in found.unselected.items():
        yield f"{name} was not run: {reason}."


def _behaviour(found: CausalRecord | NotShownRecord, ran: CausalRecords) -> str:
    pairs = f"{found.shown.pairs} pairs"
    if ran.clusters != found.shown.pairs:
        pairs += f" in {ran.clusters} clusters, which count as one each"
    others = "".join(
        f"; on {name} {_mean(one)}"
        for name, one in found.counterparts.items()
        if one.mean or one.right  # what differs between sides is none within one
    )
    return f"{found.unit.replace('_', ' ')} over {pairs}: {_mean(found.shown)}{others}."


def _mean(found: ShownRecord) -> str:
    ends = ""
    if found.interval is not None and None not in found.interval:
        ends = " ({:.3g} to {:.3g})".format(*found.interval)
    return f"{found.mean:.3g}{ends}, right on {found.right}"


def _judged(found: CausalRecord) -> Iterator[str]:
    yield f"{found.cell_in_words}."
    if not found.is_told:
        yield (
            "What the whole model does is not clearly more than what it does without any component:"
            " no share of it says anything."
        )


def _cells(found: CausalRecord) -> Iterator[str]:
    own = [one for one in found.faithfulness if one.circuit == found.measures]
    told = sorted(
        ((one.share, one.cell) for one in own if one.is_told and one.share is not None),
        key=lambda one: one[0],
    )
    if len(told) > 1:
        (low, lowest), (high, highest) = told[0], told[-1]
        yield (
            f"in {len(told)} of {len(own)} cells the behaviour is told from none, and"
            f" {found.measures} keeps {_in_cell(low, lowest)} to {_in_cell(high, highest)}."
        )


def _in_cell(kept: float, cell: CellRecord) -> str:
    return f"{share(kept)} ({cell.in_words})"


def _curve(found: CausalRecord) -> Iterator[str]:
    curve = found.curve
    yield (
        f"the best {curve.sizes[0]} to {curve.sizes[-1]} components of the ranking have an area of"
        f" {_area(curve.area)} under their curve, of 1, and {_area(curve.away)} between it and all"
        " of the behaviour."
    )


def _area(found: AreaRecord) -> str:
    if found.value is None:
        return "an unknown size"
    ends = found.interval
    known = ends is not None and None not in ends
    return f"{found.value:.2f}{' ({:.2f} to {:.2f})'.format(*ends) if known and ends else ''}"


def _words(found: CausalRecord) -> Iterator[str]:
    yield f"of all components and the input: {_counted(found.components)}."
    nodes = [one for one in found.components if one.selected and one.kind != "input"]
    yield f"Of the {len(nodes)} components of {found.measures}: {_counted(nodes)}."
    for word, named in by_word(found).items():
        shown = [
            f"{one.component} ({share(one.effect)}{'' if one.selected else ', left out'})"
            for one in named
        ]
        yield f"{word.capitalize()}: {fitting(shown, MESSAGE)}."


def by_word(found: CausalRecord) -> Mapping[CausalWord, Sequence[CausalComponentRecord]]:
    """The components with each word that says something, the largest effects first."""
    named = {
        word: [one for one in found.components if one.word == word]
        for word in get_args(CausalWord)
        if word not in UNNAMED
    }
    return {word: components for word, components in named.items() if components}


def _counted(components: Sequence[CausalComponentRecord]) -> str:
    counts = Counter(one.word for one in components)
    return ", ".join(f"{counts[word]} {word}" for word in get_args(CausalWord) if counts[word])


def _differs(found: CausalRecord) -> Iterator[str]:
    ranks = {one.of: one.ranks for one in found.agreements}
    yield (
        "how much components differ between the sides goes with the size of their effects at"
        f" {_rank(ranks.get('differential'))}, as ranks correlate; attribution goes with exact"
        f" effects at {_rank(ranks.get('attribution'))}, integrated gradients at"
        f" {_rank(ranks.get('integrated'))}."
    )
    differing, mattering = most(found)
    both = [one.component for one in differing if one in mattering]
    yield (
        f"The {len(differing)} that differ most and the {len(mattering)} that matter most have"
        f" {len(both)} in common{f': {fitting(both, LIST)}' if both else ''}."
    )
    if differing and found.is_told:
        first = differing[0]
        place = 1 + scored(found).index(first)
        yield (
            f"{first.component} differs most, and {share(first.effect)} of the behaviour goes with"
            f" it: it is number {place} of {len(scored(found))} by the size of its effect."
        )


def scored(found: CausalRecord) -> list[CausalComponentRecord]:
    """The components that have a score too, the largest effect first."""
    return [one for one in found.components if one.differential is not None]


def most(
    found: CausalRecord, number: int = BEST
) -> tuple[list[CausalComponentRecord], list[CausalComponentRecord]]:
    """The components that differ most, and those that matter most, either way."""
    mattering = scored(found)
    differing = sorted(mattering, key=lambda one: -(one.differential or 0.0))
    return differing[:number], mattering[:number]


def _rank(value: float | None) -> str:
    return "an unknown degree" if value is None else f"{value:.2f}"


def _counterparts(found: CausalRecord) -> Iterator[str]:
    if len(found.counterparts) > 1:
        if found.only_by_one:
            named = fitting(found.only_by_one, MESSAGE)
            yield f"necessary by some and not by others: {named}."
        else:
            yield "all of them find the same components necessary."


def _sets(found: CausalRecord) -> Iterator[str]:
    worst = max(found.sets, key=lambda one: abs(one.gap or 0.0), default=None)
    if worst is not None and worst.gap is not None and found.is_told:
        tried = sum(one.tried for one in found.sets)
        yield (
            f"of {tried} that were tried, {fitting(worst.components, LIST)} ({worst.label}) parts"
            f" circuit and model the most: without it the circuit keeps {share(abs(worst.gap))}"
            f" {'more' if worst.gap > 0 else 'less'} of the behaviour than the model does"
            f" ({between(worst.interval)})."
        )
