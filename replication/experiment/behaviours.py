"""Behaviours, and the cell they are judged in: what a spec says of causal verification.

A behaviour is what the model does on a prompt, as one number a pair. A cell is one choice of what
is put in a component's place, of where, and of how pairs are averaged; published faithfulness
swings with it from below 0 to above 100% (Miller, Chughtai and Saunders 2024), so it is stated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveInt,
    model_validator,
)

from replication.experiment.pairs import Answers, Keys, PairsSpec, Sides, Word
from replication.experiment.table import Table

Value = Literal["zero", "mean", "interchange", "shift"]
Direction = Literal["ablate", "restore"]
Positions = Literal["all", "text"]
Averaging = Literal["ratio of means", "mean of ratios"]
RivalKind = Literal["differential", "attribution", "effect"]
Unit = Literal["logit_difference", "probability_difference"]


def _tuple(given: object) -> object:
    return tuple(given) if isinstance(given, list) else given


# A column of the pairs, which holds each pair's own; or the answers themselves.
Given = Annotated[
    Word | Annotated[tuple[Word, ...], Field(min_length=1)],
    BeforeValidator(_tuple, json_schema_input_type=str | list[str]),
]


class BehaviourSpec(Table):
    """What the model does on a pair: by how much it prefers some answers to others."""

    kind: Unit = "logit_difference"
    """The mean of the first answers' logits less that of the others, or the sums of their
    probabilities, at the last position."""
    right: Given
    """The column of the pairs that holds each pair's right answers; or, for a property that has no
    answer of its own, a list of answers: those that go with the first side."""
    wrong: Given
    """The column of the wrong answers; or those that go with the second side."""
    suffix: str = ""
    """What is put behind both prompts, to be answered."""
    ids: bool = False
    """Whether the columns hold token ids of the model's tokenizer, in place of texts."""

    @model_validator(mode="after")
    def _one_form(self) -> BehaviourSpec:
        if isinstance(self.right, str) != isinstance(self.wrong, str):
            raise ValueError("right and wrong: expected two columns, or two lists of answers")
        if self.ids and not self.columns:
            raise ValueError("ids: expected two columns, found lists of answers")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of answers."""
        return tuple(given for given in (self.right, self.wrong) if isinstance(given, str))

    @property
    def is_of_sides(self) -> bool:
        """Whether it is by how much more the first answers are preferred on the first side."""
        return not self.columns

    def answers(self, answers: Answers) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The right and the wrong answers of a pair with these."""
        right, wrong = (
            answers[one] if isinstance(one, str) else one for one in (self.right, self.wrong)
        )
        return right, wrong


class Setting(NamedTuple):
    """What is put in components' place, in which run, and at which positions."""

    value: Value
    direction: Direction
    positions: Positions

    def __str__(self) -> str:
        how = {
            "ablate": "all but the circuit ablated",
            "restore": "the circuit restored in the counterpart's run",
        }
        where = {"all": "at all positions", "text": "at the text's own positions"}
        return f"{self.value}, {how[self.direction]}, {where[self.positions]}"


class Cell(NamedTuple):
    """A setting, and how several pairs are averaged in it."""

    setting: Setting
    averaging: Averaging

    def __str__(self) -> str:
        return f"{self.setting}, {self.averaging}"


class AblationSpec(Table):
    """The cell that claims are judged in, and what else is run."""

    value: Value = "interchange"
    """What is put in a component's place: `zero`; the `mean` over the counterparts; `interchange`,
    the counterpart's own at the same position; `shift`, its own and the difference of the two mean
    activations."""
    direction: Direction = "ablate"
    """`ablate` all but the circuit in the first prompt's run, or `restore` the circuit in the
    counterpart's."""
    positions: Positions = "all"
    """At `all` positions, or at those of the prompt's own `text`, not of tokens that were added."""
    averaging: Averaging = "ratio of means"
    """The faithfulness of several pairs: the `ratio of means`, or the `mean of ratios`."""
    counterparts: Annotated[tuple[Word, ...], Field(strict=False)] = ()
    """Further columns of counterparts, beside the pair's second prompt."""
    rivals: dict[RivalKind, NonNegativeFloat] = Field(default_factory=dict)
    """Other scores that select a circuit under the same budget, each with its MLPs' threshold."""
    matched: Annotated[PositiveInt, Field(le=9999)] = 99
    """How many matched circuits are drawn at most; the smallest p is 1 / (1 + this)."""
    by_layer: bool = False
    """Whether matched circuits have as many MLPs and heads in every layer."""
    backups: bool = True
    """Whether components are looked for that only count once others are out: each is restored in
    the counterpart's run, and ablated while those that may hide it are out."""
    live: bool = True
    """Whether a live run runs all this too, which takes about as many runs as there are
    components."""

    @model_validator(mode="after")
    def _something_to_restore(self) -> AblationSpec:
        if self.direction == "restore" and self.value in ("zero", "shift"):
            raise ValueError(f"direction: {self.value} restores nothing; expected ablate")
        return self

    @property
    def cell(self) -> Cell:
        """The cell that claims are judged in."""
        return Cell(Setting(self.value, self.direction, self.positions), self.averaging)


def keys_of(
    pairs: PairsSpec,
    sides: Sides,
    behaviours: Iterable[BehaviourSpec],
    ablation: AblationSpec,
    words: Sequence[str] = (),
) -> Keys:
    """The keys or columns of the pairs that are read, with those of words."""
    columns = [(column, one.ids) for one in behaviours for column in one.columns]
    answers, ids = [name for name, _ in columns], [name for name, is_ids in columns if is_ids]
    return pairs.keys(sides, [*answers, *words], ablation.counterparts, ids)
