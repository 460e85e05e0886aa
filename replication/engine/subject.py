"""The subject of interventions: a behaviour of a model on pairs, asked, checked, and run.

What is cheap and can refuse the rest comes first: the answers' tokens, the prompts' lengths,
whether the model shows the behaviour at all, and whether interventions do what they are said to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, comb, log2
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from replication.circuits.components import ModelShape
from replication.circuits.matched import Mask
from replication.engine.answers import AskedPair, asked_pairs
from replication.engine.behaviour_parts import Answers, Attributions, Means, Preferences, Side
from replication.engine.chunks import in_chunks
from replication.engine.interventions import Masks, check_lengths
from replication.engine.models import LoadedModel
from replication.engine.progress import progress
from replication.engine.taps import Taps
from replication.engine.tensor_files import Tensors
from replication.experiment.behaviours import AblationSpec, BehaviourSpec, Setting
from replication.experiment.pairs import Row
from replication.inputs.files import InputError

CHANCE = 0.05  # how often so many pairs come out right by chance, for a behaviour to be shown
MOST_SETS = 128  # of a part of a run, as each part runs both prompts of its pairs once more
SAME = 1e-4  # of the largest figure: more than another order of the same additions changes

Rows = Float32[np.ndarray, "sets pairs"]


class Layout(NamedTuple):
    """What the prompts allow: whether a pair's have one length, or all; whether tokens were added.

    A mean is taken at every position where all have one length, and else over positions.
    """

    by_pair: bool
    by_position: bool
    adds_tokens: bool


@dataclass(frozen=True)
class Subject:
    """A behaviour of a model on pairs, with every counterpart, in the behaviour's own unit.

    `whole` is the model's own, and `counterparts` what it does on each counterpart, by the same
    answers. A behaviour that tells two sides apart is counted from the `offset`: what the second
    side gives.
    """

    name: str
    model: LoadedModel
    shape: ModelShape
    behaviour: BehaviourSpec
    judged: Setting
    rows: Sequence[Row]
    pairs: Sequence[Sequence[AskedPair]]
    layout: Layout
    offset: Float32[np.ndarray, " pairs"]
    whole: Float32[np.ndarray, " pairs"]
    counterparts: Float32[np.ndarray, "counterparts pairs"]

    @property
    def taps(self) -> Taps:
        """The model's own modules."""
        return self.model.taps

    def kept(
        self, masks: Masks, setting: Setting, what: str, *, context: Mask | None = None
    ) -> Rows:
        """The behaviour where the components of each mask are kept, in a setting.

        Where components are restored, the input never is: all else would follow from it. Lower
        layers that are as in the run with a context kept are not computed again.
        """
        base = np.zeros(masks.shape[1], dtype=bool) if context is None else context
        if setting.direction == "restore":
            is_component = np.arange(masks.shape[1]) > 0
            return self._changed(masks & is_component, setting, what, base & is_component)
        return self._changed(~masks, setting, what, None if context is None else ~context)

    def ablated(
        self, masks: Masks, what: str, *, counterpart: int = 0, context: Mask | None = None
    ) -> Rows:
        """The behaviour where each mask's components are ablated, by a counterpart's values."""
        setting = self.judged._replace(direction="ablate")
        return self._changed(masks, setting, what, context, counterpart)

    def _changed(
        self,
        masks: Masks,
        setting: Setting,
        what: str,
        context: Mask | None,
        counterpart: int = 0,
    ) -> Rows:
        means = self._means(setting, counterpart)
        parts = [
            Answers(*chunk, self.behaviour, counterpart, setting, means, some, context)
            for chunk in in_chunks(self.rows)
            for some in np.array_split(masks, max(1, -(-len(masks) // MOST_SETS)))
        ]
        found = np.empty((len(masks), len(self.rows)), dtype=np.float32)
        with progress(f"{self.name}: {what}", found.size) as advance:
            column = row = 0
            for part, done in zip(parts, self.model.run(parts, advance), strict=True):
                n_sets, n_pairs = len(part.masks), len(part.pairs)
                found[row : row + n_sets, column : column + n_pairs] = done["answers"]
                row += n_sets
                if row == len(masks):
                    row, column = 0, column + n_pairs
        return np.asarray(found - self.offset)

    def _means(self, setting: Setting, counterpart: int = 0) -> Tensors | None:
        """What a setting puts in components' places, where it is a mean over all pairs."""
        if setting.value != "mean":
            return None
        side: Side = "first" if setting.direction == "restore" else "counterpart"
        by_position = self.layout.by_position
        parts = [
            Means(*chunk, self.behaviour, counterpart, side, setting.positions, by_position)
            for chunk in in_chunks(self.rows)
        ]
        with progress(f"{self.name}: means", len(self.rows)) as advance:
            by_part = list(self.model.run(parts, advance))
        shares = [np.float32(part.size / len(self.rows)) for part in parts]
        return {
            name: np.sum([share * one[name] for share, one in zip(shares, by_part, strict=True)], 0)
            for name in by_part[0]
        }

    def attributed(self, steps: int) -> Float32[np.ndarray, "all pairs"]:
        """What gradients say of the effect of every component, the input first."""
        setting = self.judged._replace(direction="ablate")
        means = self._means(setting)
        parts = [
            Attributions(*chunk, self.behaviour, 0, setting, means, steps)
            for chunk in in_chunks(self.rows)
        ]
        with progress(f"{self.name}: attribution", len(self.rows)) as advance:
            by_part = [one["attributions"] for one in self.model.run(parts, advance)]
        return np.concatenate(by_part, axis=1)


def subject_of(
    model: LoadedModel,
    rows: Sequence[Row],
    name: str,
    behaviour: BehaviourSpec,
    ablation: AblationSpec,
) -> Subject:
    """A behaviour of a model on pairs.

    Raises:
        InputError: an answer is not one token, or prompts differ in length where something is to be
            interchanged, each naming the pair; or the model is an encoder, which answers nothing.
    """
    if model.taps.with_head is None:
        raise InputError(
            f"behaviour {name}: an encoder predicts no next token, and answers nothing"
        )
    try:
        pairs = [
            asked_pairs(model, rows, behaviour, counterpart)
            for counterpart in range(1 + len(ablation.counterparts))
        ]
        if ablation.value == "interchange":
            for these in pairs:
                check_lengths(these)
    except InputError as error:
        raise InputError(f"behaviour {name}: {error}") from None
    by_counterpart = [
        _preferred(model, rows, behaviour, counterpart, "counterpart")
        for counterpart in range(len(pairs))
    ]
    # A behaviour that tells two sides apart is 0 where both prefer the same answers as much.
    offset = by_counterpart[0] if behaviour.is_of_sides else np.zeros_like(by_counterpart[0])
    return Subject(
        name,
        model,
        model.shape,
        behaviour,
        ablation.cell.setting,
        rows,
        pairs,
        _layout(pairs),
        offset,
        _preferred(model, rows, behaviour, 0, "first") - offset,
        np.stack(by_counterpart) - offset,
    )


def _preferred(
    model: LoadedModel, rows: Sequence[Row], behaviour: BehaviourSpec, counterpart: int, side: Side
) -> Float32[np.ndarray, " pairs"]:
    """What the model prefers on one side of every pair."""
    parts = [Preferences(*chunk, behaviour, counterpart, side) for chunk in in_chunks(rows)]
    with progress("Asking", len(rows)) as advance:
        return np.concatenate([one["preferred"] for one in model.run(parts, advance)])


def _layout(by_counterpart: Sequence[Sequence[AskedPair]]) -> Layout:
    """What the prompts allow; a mean, which is taken of every counterpart, needs all of them."""
    pairs = by_counterpart[0]
    prompts = [
        prompt
        for these in by_counterpart
        for pair in these
        for prompt in (pair.first.prompt, pair.counterpart.prompt)
    ]
    return Layout(
        all(pair.first.prompt.length == pair.counterpart.prompt.length for pair in pairs),
        len({prompt.length for prompt in prompts}) == 1,
        any(len(prompt.inner) < prompt.length for prompt in prompts),
    )


def not_shown(subject: Subject) -> str | None:
    """Why there is nothing to explain: the model does not show the behaviour; None if it does.

    It does where more pairs come out right than by chance, by a one-sided sign test of 5%.
    """
    n_right, n_pairs = int((subject.whole > 0).sum()), len(subject.whole)
    by_chance = sum(comb(n_pairs, right) for right in range(n_right, n_pairs + 1)) / 2**n_pairs
    if by_chance <= CHANCE:
        return None
    return too_few(n_pairs) or (
        f"the model does not show it: {n_right} of {n_pairs} pairs come out right, which chance"
        f" gives in {by_chance:.1%}"
    )


def too_few(n_pairs: int) -> str | None:
    """Why so many pairs can show no behaviour, were they all right; None if they can."""
    if 0.5**n_pairs <= CHANCE:
        return None
    return (
        f"{n_pairs} pairs cannot show it: chance makes all of them right in {0.5**n_pairs:.1%};"
        f" {ceil(-log2(CHANCE))} can"
    )


def check_interventions(subject: Subject) -> None:
    """Hold the whole model as circuit, and the empty circuit, to what they must give.

    Raises:
        InputError: the whole model as circuit gives another behaviour than the model; the empty
            circuit, under interchange or where components are restored, another one than the
            counterpart; or ablating every component changes nothing, or only by the input: where
            that is interchanged, all else follows, whatever becomes of it.
    """
    empty = np.zeros(1 + len(subject.shape.components()), dtype=bool)
    only_input = np.arange(len(empty)) == 0
    setting, name = subject.judged, subject.name
    full, none, lowest = subject.kept(
        np.stack([~empty, empty, only_input]), setting, "checks", context=empty
    )
    largest = float(np.abs(np.stack([subject.whole, *subject.counterparts])).max())
    must = []
    if setting.direction == "ablate":
        must.append(("the whole model as circuit", full, subject.whole))
    if setting.direction == "restore" or setting.value == "interchange":
        must.append(("the empty circuit", none, subject.counterparts[0]))
    for what, found, expected in must:
        apart = float(np.abs(found - expected).max())
        if not apart <= SAME * largest:
            raise InputError(
                f"behaviour {name}: {what} gives another behaviour than it must, by {apart:.2g}"
                f" where the largest is {largest:.3g}"
            )
    if np.array_equal(full, none) or np.array_equal(full, lowest):
        raise InputError(f"behaviour {name}: ablating every component changes nothing ({setting})")
