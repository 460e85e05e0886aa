"""Answers: what is asked of the model on a prompt, and by how much it prefers one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replication.engine.models import LoadedModel
from replication.engine.prompts import Prompt
from replication.experiment.behaviours import BehaviourSpec, Unit
from replication.experiment.pairs import Row
from replication.inputs.files import InputError
from replication.inputs.messages import quoted

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


@dataclass(frozen=True)
class Asked:
    """A prompt to be answered, and its answers' tokens."""

    prompt: Prompt
    right: tuple[int, ...]
    wrong: tuple[int, ...]


@dataclass(frozen=True)
class AskedPair:
    """A pair to be answered: its first prompt, and the counterpart, with the same answers."""

    first: Asked
    counterpart: Asked


def asked_pairs(
    model: LoadedModel, rows: Sequence[Row], behaviour: BehaviourSpec, counterpart: int = 0
) -> list[AskedPair]:
    """The pairs of a behaviour, with their second prompts, or a further counterpart from 1 on.

    Raises:
        InputError: naming the pair: an answer is not one token there, or is right and wrong.
    """
    pairs = []
    for number, row in enumerate(rows, start=1):
        texts = (row.pair.first, (row.pair.second, *row.counterparts)[counterpart])
        try:
            answers = behaviour.answers(row.answers)
            pairs.append(
                AskedPair(
                    *(
                        _asked(model, text + behaviour.suffix, *answers, behaviour.ids)
                        for text in texts
                    )
                )
            )
        except InputError as error:
            raise InputError(f"pair {number}: {error}") from None
    return pairs


def _asked(
    model: LoadedModel, text: str, right: Sequence[str], wrong: Sequence[str], are_ids: bool
) -> Asked:
    import torch

    own = model.tokenizer.read(text)
    read = model.tokenizer.answer_of_id if are_ids else model.tokenizer.answer
    tokens = [{read(text, one): one for one in given} for given in (right, wrong)]
    if shared := set(tokens[0]) & set(tokens[1]):
        one, other = (quoted(given[min(shared)]) for given in tokens)
        raise InputError(f"the right answer {one} and the wrong one {other} are the same token")
    prompt = Prompt(torch.tensor(own.ids, device=model.taps.device), own.text)
    return Asked(prompt, tuple(tokens[0]), tuple(tokens[1]))


def preferences(
    logits: Float[Tensor, "prompts vocabulary"], asked: Sequence[Asked], unit: Unit
) -> Float[Tensor, " prompts"]:
    """By how much the right answers are preferred on each prompt, in logits or in probability."""
    import torch

    if unit == "probability_difference":
        weighed = logits.softmax(-1)
        totals = [
            weighed[row, list(one.right)].sum() - weighed[row, list(one.wrong)].sum()
            for row, one in enumerate(asked)
        ]
    else:
        totals = [
            logits[row, list(one.right)].mean() - logits[row, list(one.wrong)].mean()
            for row, one in enumerate(asked)
        ]
    return torch.stack(totals)
