"""What the controls found, in sentences and as a table, for a researcher to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from replication.controls.not_computed import DOES_NOT_APPLY
from replication.controls.random_weights import POINT
from replication.controls.thresholds import THRESHOLDS
from replication.controls.words import percent
from replication.inputs.messages import LIST, MESSAGE, fitting
from replication.report.how_often import said
from replication.report.markdown import escaped, table
from replication.report.record import ComponentRecord, ControlsRecord, SpreadRecord
from replication.report.rows import interval, score_shown

SHOWN = 8  # components of a kind in the table
MARKERS = 5  # that are named
RATIOS = 3  # components of a kind whose ratio to random weights is named
_KINDS: Mapping[str, str] = {"mlp": "MLPs", "head": "heads"}


def controls_markdown(controls: Sequence[ControlsRecord]) -> list[str]:
    """The section of `claims.md` on what the scores mean."""
    lines = []
    for found in controls:
        name = escaped(found.result)
        lines += [
            f"### What the scores of {name} mean ({found.evidence} evidence)",
            "",
            *(
                f"- **{heading}**: {escaped(line)}" if heading else f"- {escaped(line)}"
                for heading, line in sentences(found)
            ),
            "",
            *_table(found),
            *_reasons(found),
        ]
    return lines


def thresholds_markdown() -> list[str]:
    """Every threshold that a word or a verdict rests on, with its reason."""
    rows = [
        [name.replace("_", " "), f"{bound.value:g}", bound.reason]
        for name, bound in THRESHOLDS._asdict().items()
    ]
    return ["## Thresholds", "", *table(["threshold", "value:", "reason"], rows)]


def _lack(reason: str) -> str:
    """Why there is no control, in a sentence."""
    return f"{reason}." if reason.startswith(DOES_NOT_APPLY) else f"not computed: {reason}."


def _stability(found: ControlsRecord) -> Iterator[str]:
    stable = found.stability
    if stable is None:
        yield _lack(found.not_computed["stability"])
        return
    yield (
        f"{_sample(found)} were drawn again {found.resamples:,} times (seed {found.seed})."
        f" {len(stable.near_cut)} of {len(found.components)} components are near the cut-off:"
        " prompts of the same kind put them in or out."
    )
    if stable.without_selection:
        yield (
            f"In {stable.without_selection:.1%} of the resamples the threshold or the budget"
            " could not be met, and nothing was selected."
        )
    one = min(stable.leave_one_out, key=lambda one: one.shared)
    yield (
        f"Leaving out {_pairs(one.pairs)} changes the circuit most: {one.shared} of the"
        f" {one.of} nodes stay."
    )
    yield from _halves(found)
    if found.clusters is not None and found.clusters < THRESHOLDS.few_clusters.value:
        yield (
            f"{_sample(found)} show a component that is far above the cut-off, and little"
            " else: the intervals are wide because nothing is known of other prompts."
        )


def _sample(found: ControlsRecord) -> str:
    """How many pairs there are, and how many count where some hang together."""
    if found.pairs == found.clusters:
        return f"{found.pairs} pairs"
    return f"{found.pairs} pairs in {found.clusters} clusters, which count as one each,"


def _pairs(numbers: Sequence[int]) -> str:
    shown = fitting([str(number) for number in numbers], LIST)
    return f"pair {shown}" if len(numbers) == 1 else f"pairs {shown}"


def _halves(found: ControlsRecord) -> Iterator[str]:
    halves = found.halves
    if halves is None:
        return
    if halves.overlap is not None:
        yield (
            f"Two halves of the pairs select circuits that share {_spread(halves.overlap)} of"
            " their nodes: what two runs on half as many pairs would."
        )
    if halves.again is not None:
        yield (
            f"Of what one half puts in or out in {THRESHOLDS.stable_probability.value:.0%} of its"
            f" own draws, {_spread(halves.again)} comes out so on the other half."
        )
    last = (
        "" if halves.last is None else f", and the last head that it selects {_spread(halves.last)}"
    )
    yield (
        f"The component that one half ranks first scores {_spread(halves.top)} of that on the other"
        f" half{last}."
    )


def _spread(spread: SpreadRecord) -> str:
    return f"{spread.mean:.0%} ({spread.low:.0%} to {spread.high:.0%})"


def _null(found: ControlsRecord) -> Iterator[str]:
    chance = found.null
    if chance is None:
        yield _lack(found.not_computed["null"])
        return
    best = [
        (one.score, one.same_side_score)
        for one in _best(found)
        if one.score and one.same_side_score is not None
    ]
    if not best:
        yield "every score is zero."
        return
    exceeding = sum(same_side >= score for score, same_side in best)
    ratio = sum(same_side for _, same_side in best) / sum(score for score, _ in best)
    yield (
        f"prompts of the same side, which do not differ in the property, score"
        f" {ratio:.2f} times what the pairs score, over the {len(best)} components below;"
        f" for {exceeding} of them as high or higher."
    )
    by_word = {
        word: [one for one in found.components if one.word == word]
        for word in ("specific", "differs")
    }
    if chance.smallest_p > THRESHOLDS.false_discovery_rate.value:
        yield (
            f"With {found.clusters} clusters of pairs there are {chance.exchanges} ways to exchange"
            f" their prompts, so no p-value is below {chance.smallest_p:.2g}: no component can be"
            " shown to be specific to the property, however high it ranks."
        )
    else:
        specific, differing = by_word.values()
        yield f"Specific to the property: {_with_shares(specific) or 'no component'}."
        if differing:
            yield f"The sides differ, but no more is shown, at {_with_shares(differing)}."


def _with_shares(components: Sequence[ComponentRecord]) -> str:
    """Components, each with the share of its squared score that the property makes."""
    return fitting([f"{one.component} ({_property(one)})" for one in components], MESSAGE)


def _property(one: ComponentRecord) -> str:
    """The property's share, with the ends of its interval where there is one."""
    if one.property_share is None:
        return ""
    share = percent(max(0.0, one.property_share))
    ends = one.property_interval and percent(*one.property_interval)
    return share if ends in (None, share) else f"{share}, {ends}"


def _markers(found: ControlsRecord) -> Iterator[str]:
    if found.pairs is None or found.evidence == "published":
        return
    if not found.markers:
        yield "no word, sign or length tells the sides apart in these prompts."
        return
    sides = [
        f"{one.mark} ({one.shares[0]:.0%} against {one.shares[1]:.0%})"
        for one in found.markers[:MARKERS]
    ]
    more = len(found.markers) - len(sides)
    tell = "tells" if len(found.markers) == 1 else "tell"
    yield (
        f"{', '.join(sides)}{f' and {more} more' if more else ''} {tell} the sides apart, whatever"
        " the prompts mean, so no component can be called specific to the property. What would"
        f" tell them from it: {found.markers[0].design}."
    )


def _null_circuit(found: ControlsRecord) -> Iterator[str]:
    if reason := found.not_computed.get("null circuit"):
        yield _lack(reason)
    for number, one in enumerate(found.null_circuit):
        start, excess = "Of" if number else "of", one.excess
        yield (
            f"{start} {one.of} {_KINDS[one.among]}, {one.real:.1f} are shared with {one.against},"
            f" and {one.null:.1f} of a null circuit, selected in the same way from prompts of one"
            f" side: {excess.mean:.1f} beyond it ({excess.low:.1f} to {excess.high:.1f})."
        )


def _length(found: ControlsRecord) -> Iterator[str]:
    length = found.length
    if length is None:
        yield _lack(found.not_computed["length"])
        return
    tokens = [count for pair in length.token_lengths for count in pair]
    most = THRESHOLDS.artefact_share.value
    explained = [
        one
        for one in found.components
        if one.length_share
        and one.length_share[0] > most
        and (one.word == "artefact" or found.evidence == "published")
    ]
    named = ", ".join(f"{one.component} ({_share(one)}{_until(one)})" for one in explained)
    going_with = [
        one.component for one in found.components if one.word == "artefact" and one not in explained
    ]
    matched = length.matched_pairs
    if length.added == 0:
        alone = (
            "No token is added to their text, so what lengths alone give at the first position"
            " cannot be told from what the text gives there"
        )
    else:
        alone = f"Their lengths alone explain most of the score of {named or 'no component'}"
    yield (
        f"the prompts have {min(tokens)} to {max(tokens)} tokens. {alone}. Of the {found.pairs}"
        f" pairs {len(matched)} {'has' if len(matched) == 1 else 'have'} prompts of one length."
    )
    if going_with:
        yield (
            f"The scores of {', '.join(going_with)} go with length too, at other positions than the"
            " first: lengths predict most of what a left-out pair scores."
        )
    if found.evidence == "published":
        yield (
            "This takes the first position to be the same in all prompts, as in a decoder whose"
            " prompts begin with one token, and the norms at all other positions to be alike on"
            f" both sides. A share that falls to {THRESHOLDS.artefact_share.value:.0%} where these"
            f" differ by {THRESHOLDS.breakdown.value:.0%} or less makes no artefact."
        )
    if length.circuit_without_first:
        yield (
            f"With {_without(length.added)} left out of the means,"
            f" {length.shared} of the circuit's {length.of} nodes are selected,"
            f" among {len(length.circuit_without_first)}."
        )
    elif length.no_circuit:
        yield f"With {_without(length.added)} left out of the means, {length.no_circuit}."


def _without(added: int | None) -> str:
    tokens = "token that is" if added == 1 else f"{added} tokens that are"
    return f"the {tokens} added to a prompt"


def _random_weights(found: ControlsRecord) -> Iterator[str]:
    random = found.random_weights
    if random is None:
        if reason := found.not_computed.get("random weights"):
            yield _lack(reason)
        return
    points = " and ".join(
        f"{POINT:.0%} of the {_KINDS[kind]} score at most {point:.4g}"
        for kind, point in random.points.items()
    )
    source = random.recorded_in or "run with this model"
    if random.initializer_range is not None:
        source += f"; weights begin with a standard deviation of {random.initializer_range:.4g}"
    yield (
        f"in {len(random.seeds)} models of this architecture that learned nothing ({source})"
        f" {points}."
    )
    selected = [one for one in found.components if one.selected and one.over_random is not None]
    best = [one for one in selected if one.listed_rank <= RATIOS]
    if best:
        named = ", ".join(f"{one.component} {_times(one)}" for one in best)
        yield f"The circuit's best score so many times that point of their kind: {named}."
    low = [
        one.component for one in selected if one.over_random is not None and one.over_random <= 1
    ]
    if low:
        yield (
            f"Of the {len(selected)} components selected {len(low)} score no higher than that, and"
            f" a model that learned nothing scores as high: {fitting(low, LIST)}."
        )


def _chance(found: ControlsRecord) -> Iterator[str]:
    words = {**_KINDS, "all": "components but the input"}
    for one in found.chance:
        beyond = one.agreement
        agreement = "" if beyond is None else f"; their agreement beyond chance is {beyond:.2f}"
        yield (
            f"{one.left} and {one.right} share {one.shared}"
            f" {words[one.among]} of {one.left_size} and {one.right_size}; random circuits"
            f" of their make-up share {one.expected:.1f}, and as many with a probability of"
            f" {one.p_value:.2g}{agreement}."
        )
    for ranks in found.rank_agreement:
        ends = "" if ranks.interval is None else " ({:.2f} to {:.2f})".format(*ranks.interval)
        yield (
            f"The {ranks.shared} shared {words[ranks.among]} stand in orders that agree with a"
            f" Kendall's tau of {ranks.tau:.2f}{ends}."
        )


PARTS = {
    "Stability": _stability,
    "Null": _null,
    "Null circuit": _null_circuit,
    "Markers": _markers,
    "Length": _length,
    "Random weights": _random_weights,
    "Chance": _chance,
}


def sentences(found: ControlsRecord) -> Iterator[tuple[str, str]]:
    """What was found, sentence by sentence; the first of each part with the part's name."""
    for heading, part in PARTS.items():
        for number, line in enumerate(part(found)):
            yield ("" if number else heading), line


def _best(found: ControlsRecord) -> list[ComponentRecord]:
    """The components of the table: the best of each kind."""
    return [one for one in found.components if one.listed_rank <= SHOWN]


def _share(one: ComponentRecord) -> str:
    return "" if one.length_share is None else percent(*one.length_share)


def _until(one: ComponentRecord) -> str:
    """How far the assumption behind a share from published norms may fail."""
    if one.length_breakdown is None:
        return ""
    half = f"{THRESHOLDS.artefact_share.value:.0%}"
    return f"; {half} where the other positions' norms differ by {one.length_breakdown:.0%}"


def _table(found: ControlsRecord) -> list[str]:
    columns: dict[str, Callable[[ComponentRecord], str | None]] = {
        "component": lambda one: str(one.component),
        "score:": score_shown,
        "95% interval:": lambda one: one.interval and interval(*one.interval),
        **{f"{name}:": column for name, column in FIGURES.items()},
        "": lambda one: f"**{one.word}**",
        "how often": lambda one: said(one.how_often),
    }
    rows = [[column(one) or "" for column in columns.values()] for one in _best(found)]
    if not rows:
        return []
    shown = [any(cells) for cells in zip(*rows, strict=True)]
    return table(
        [name for name, is_shown in zip(columns, shown, strict=True) if is_shown],
        [[cell for cell, is_shown in zip(row, shown, strict=True) if is_shown] for row in rows],
    )


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _times(one: ComponentRecord) -> str:
    """The score over the 95% point of random weights."""
    return _figure(one.over_random, ".3g")


# What the controls give of a component, as every table has it; empty where it was not computed.
FIGURES: Mapping[str, Callable[[ComponentRecord], str]] = {
    "selected in": lambda one: _figure(one.selection_probability, ".0%"),
    "within the sides": lambda one: _figure(one.same_side_score, ".4g"),
    "property makes": _property,
    "q": lambda one: _figure(one.q_value, ".2g"),
    "q, length out": lambda one: _figure(one.controlled_q_value, ".2g"),
    "without the first position": lambda one: _figure(one.score_without_first, ".4g"),
    "pairs of one length": lambda one: _figure(one.matched_score, ".4g"),
    "explained by length": _share,
    "goes with length": lambda one: _figure(one.length_fit, ".0%"),
    "over random weights": _times,
}


def _reasons(found: ControlsRecord) -> list[str]:
    """Why a component has the word that it has, unless the figures in the table say so.

    And why one would be an artefact but for what norms assume.
    """
    lines = [
        f"- {one.component}: {one.word}: {escaped(one.reason)}"
        for one in _best(found)
        if one.word in ("specific", "differs", "artefact") or one.length_breakdown
    ]
    return [*lines, ""] if lines else []
