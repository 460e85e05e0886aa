"""What the controls found, in sentences and as a table, for a researcher to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from replication.controls.thresholds import THRESHOLDS
from replication.controls.words import percent
from replication.report.markdown import escaped, table
from replication.report.record import ComponentRecord, ControlsRecord

SHOWN = 8  # components of a kind in the table


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


def _stability(found: ControlsRecord) -> Iterator[str]:
    stable = found.stability
    if stable is None:
        yield f"not computed: {found.not_computed['stability']}."
        return
    overlap = stable.expected_overlap
    yield (
        f"the pairs were drawn again {found.resamples:,} times (seed"
        f" {found.seed}). Two runs on other prompts of this kind would share"
        f" {overlap.mean:.0%} of their nodes (95% of them {overlap.low:.0%} to"
        f" {overlap.high:.0%}). {len(stable.near_cut)} of {len(found.components)}"
        " components are near the cut-off: prompts of the same kind put them in or out."
    )
    if stable.without_selection:
        yield (
            f"In {stable.without_selection:.1%} of the resamples the threshold or the budget"
            " could not be met, and nothing was selected."
        )
    one = min(stable.leave_one_out, key=lambda one: one.shared)
    yield (
        f"Leaving out pair {one.pair} changes the circuit most: {one.shared} of the"
        f" {one.of} nodes stay."
    )
    if found.pairs is not None and found.pairs < THRESHOLDS.few_pairs.value:
        yield (
            f"{found.pairs} pairs show a component that is far above the cut-off, and little"
            " else: the intervals are wide because nothing is known of other prompts."
        )


def _null(found: ControlsRecord) -> Iterator[str]:
    chance = found.null
    if chance is None:
        yield f"not computed: {found.not_computed['null']}."
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
    specific = [one.component for one in found.components if one.word == "specific"]
    if chance.smallest_p > THRESHOLDS.false_discovery_rate.value:
        yield (
            f"With {found.pairs} pairs there are {chance.exchanges} ways to exchange their"
            f" prompts, so no p-value is below {chance.smallest_p:.2g}: no component can be"
            " shown to be specific to the property, however high it ranks."
        )
    else:
        yield f"Specific to the property: {', '.join(specific) or 'no component'}."


def _length(found: ControlsRecord) -> Iterator[str]:
    length = found.length
    if length is None:
        yield f"not computed: {found.not_computed['length']}."
        return
    tokens = [count for pair in length.token_lengths for count in pair]
    explained = [
        one
        for one in found.components
        if one.length_share and one.length_share[0] > THRESHOLDS.artefact_share.value
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


def _chance(found: ControlsRecord) -> Iterator[str]:
    words = {"mlp": "MLPs", "head": "heads", "all": "components but the input"}
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


PARTS = {"Stability": _stability, "Null": _null, "Length": _length, "Chance": _chance}


def sentences(found: ControlsRecord) -> Iterator[tuple[str, str]]:
    """What was found, sentence by sentence; the first of each part with the part's name."""
    for heading, part in PARTS.items():
        for number, line in enumerate(part(found)):
            yield ("" if number else heading), line


def _best(found: ControlsRecord) -> list[ComponentRecord]:
    """The components of the table: the best of each kind."""
    return [one for one in found.components if one.rank <= SHOWN]


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
        "score:": lambda one: f"{one.score:.4g}",
        "95% interval:": lambda one: one.interval and "{:.3g} to {:.3g}".format(*one.interval),
        "selected in:": lambda one: _figure(one.selection_probability, ".0%"),
        "within the sides:": lambda one: _figure(one.same_side_score, ".4g"),
        "q:": lambda one: _figure(one.q_value, ".2g"),
        "q, length out:": lambda one: _figure(one.controlled_q_value, ".2g"),
        "without the first position:": lambda one: _figure(one.score_without_first, ".4g"),
        "pairs of one length:": lambda one: _figure(one.matched_score, ".4g"),
        "explained by length:": _share,
        "goes with length:": lambda one: _figure(one.length_fit, ".0%"),
        "": lambda one: f"**{one.word}**",
    }
    rows = [[column(one) or "" for column in columns.values()] for one in _best(found)]
    shown = [any(cells) for cells in zip(*rows, strict=True)]
    return table(
        [name for name, is_shown in zip(columns, shown, strict=True) if is_shown],
        [[cell for cell, is_shown in zip(row, shown, strict=True) if is_shown] for row in rows],
    )


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _reasons(found: ControlsRecord) -> list[str]:
    """Why a component is specific or an artefact, or would be one but for what norms assume.

    The figures in the table say the rest.
    """
    lines = [
        f"- {one.component}: {one.word}: {escaped(one.reason)}"
        for one in _best(found)
        if one.word in ("specific", "artefact") or one.length_breakdown
    ]
    return [*lines, ""] if lines else []
