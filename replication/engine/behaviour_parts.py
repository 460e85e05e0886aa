"""Parts of what is run of a behaviour: some pairs each, and of interventions some sets of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from replication.circuits.matched import Mask
from replication.engine.answers import AskedPair, asked_pairs
from replication.engine.attribution import attributions
from replication.engine.chunks import Chunk
from replication.engine.interventions import (
    Activations,
    Masks,
    Settings,
    answers_under,
    mean_values,
    preferred,
)
from replication.engine.models import Advance, LoadedModel
from replication.engine.tensor_files import Tensors
from replication.experiment.behaviours import BehaviourSpec, Positions, Setting
from replication.experiment.pairs import Row

Side = Literal["first", "counterpart"]


@dataclass(frozen=True)
class Asking(Chunk[Row]):
    """Some pairs of a behaviour, with their second prompts or, from 1 on, a further counterpart."""

    behaviour: BehaviourSpec
    counterpart: int

    def asked(self, model: LoadedModel) -> list[AskedPair]:
        """The pairs, to be answered by the model."""
        return asked_pairs(model, self.pairs, self.behaviour, self.counterpart)


@dataclass(frozen=True)
class Preferences(Asking):
    """What the model prefers on one side of the pairs, nothing changed."""

    side: Side

    def run(self, model: LoadedModel, advance: Advance) -> Tensors:
        """By how much the right answers are preferred, by pair."""
        asked = [getattr(pair, self.side) for pair in self.asked(model)]
        found = preferred(model.taps, asked, self.behaviour.kind)
        advance(self.size)
        return {"preferred": found}


@dataclass(frozen=True)
class Means(Asking):
    """The mean activations over one side of the pairs: at each position, or over positions."""

    side: Side
    positions: Positions
    by_position: bool

    def run(self, model: LoadedModel, advance: Advance) -> Tensors:
        """Each activation's mean, by its name."""
        prompts = [getattr(pair, self.side).prompt for pair in self.asked(model)]
        found = mean_values(model.taps, prompts, self.positions, self.by_position)
        advance(self.size)
        return found.tensors()


@dataclass(frozen=True)
class UnderSetting(Asking):
    """Some pairs in a setting, with the means that it puts in components' places, if it does."""

    setting: Setting
    means: Tensors | None

    def settings(self, model: LoadedModel) -> Settings:
        """What is put in components' place, on the model's own device."""
        means = None if self.means is None else Activations.of(self.means, model.taps.device)
        return Settings(self.setting.value, self.setting.positions, self.behaviour.kind, means)


@dataclass(frozen=True)
class Answers(UnderSetting):
    """What the model prefers where the components of each mask are changed, beside a context."""

    masks: Masks
    context: Mask | None

    @property
    def size(self) -> int:
        """How many runs of a pair there are, one for every mask."""
        return len(self.masks) * len(self.pairs)

    def run(self, model: LoadedModel, advance: Advance) -> Tensors:
        """By how much the right answers are preferred, by mask and pair."""
        found = answers_under(
            model.taps,
            self.asked(model),
            self.masks,
            self.settings(model),
            restore=self.setting.direction == "restore",
            context=self.context,
            advance=advance,
        )
        return {"answers": found}


@dataclass(frozen=True)
class Attributions(UnderSetting):
    """What gradients say of every component's effect, over some steps."""

    steps: int

    def run(self, model: LoadedModel, advance: Advance) -> Tensors:
        """The attributions by component, the input first, and pair."""
        own = self.settings(model)
        return {
            "attributions": attributions(model.taps, self.asked(model), own, self.steps, advance)
        }
