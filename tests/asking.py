"""An experiment on behaviours of a small random GPT-2: what it prefers is what it is asked for."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase

import numpy as np
from jaxtyping import Float32

from replication.engine.answers import Asked
from replication.engine.interventions import preferred
from replication.engine.models import LoadedModel, load_model
from replication.engine.prompts import Prompt
from replication.experiment.behaviours import Unit
from replication.experiment.spec import read_experiment
from tests.gpt2 import make_experiment
from tests.make import edit

N_PAIRS = 12
SUFFIX = "X"
LETTERS = "BCDEFGHJKQRSUVXYZ"  # that the texts lack which the tokenizer learned from
BEHAVIOURS = f"""
[behaviour.names]
right = "right"
wrong = "wrong"

[behaviour.sides]
right = ["a", "c"]
wrong = ["b"]
suffix = "{SUFFIX}"
kind = "probability_difference"

[behaviour.turned]
right = "wrong"
wrong = "right"
"""
ABLATION = """
[ablation]
counterparts = ["third"]
matched = 25

[verification]
resamples = 200
seed = 3
"""


def make_asking(
    folder: Path, model: Path, *, ablation: str = ABLATION, behaviours: str = BEHAVIOURS
) -> Path:
    """Write the experiment: `names` and `sides` are shown by this model, and `turned` never is.

    Prompts are of single letters, which no merge of the tokenizer joins: as many tokens as letters.
    """
    make_experiment(folder)
    loaded = loaded_for(folder, model)
    rows = [_answered(loaded, texts) for texts in _texts(loaded)]
    write_rows(folder, rows)
    with (folder / "experiment.toml").open("a", encoding="utf-8") as spec:
        spec.write(behaviours + ablation)
    edit(folder / "experiment.toml", "mlp_threshold = 0.0", "mlp_threshold = 0.5")
    return folder


def loaded_for(folder: Path, model: Path) -> LoadedModel:
    """The model in a folder, as the experiment in another one asks for it."""
    spec = read_experiment(folder).spec
    return load_model(spec.model, str(model), "cpu", tokens=spec.tokens, mlp_at=spec.scoring.mlp_at)


def write_rows(folder: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write the pairs."""
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "pairs.jsonl").write_text(lines, encoding="utf-8")


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The pairs as they stand in the file."""
    lines = (folder / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _texts(model: LoadedModel) -> list[tuple[str, str, str]]:
    """Prompts of one length in each pair; the first is the one on which `sides` is larger."""
    chance = random.Random(1)
    found = []
    for number in range(N_PAIRS):
        texts = ["".join(chance.choices(LETTERS, k=5 + number % 4)) for _ in range(3)]
        one, other = (_preferences(model, text + SUFFIX, ["ac"], "b")[0] for text in texts[:2])
        found.append((*(texts[:2] if one > other else texts[1::-1]), texts[2]))
    return found


def _answered(model: LoadedModel, texts: tuple[str, str, str]) -> dict[str, str]:
    """A pair with answers that it prefers on the first prompt, and less so on the second."""
    first, second, third = texts
    letters = ascii_lowercase[:-1]
    one, other = (_preferences(model, text, letters, "z") for text in (first, second))
    order = np.argsort(2 * one - other)
    right, wrong = letters[order[-1]], letters[order[0]]
    return {"first": first, "second": second, "third": third, "right": right, "wrong": wrong}


def _preferences(
    model: LoadedModel, text: str, rights: Sequence[str], wrong: str
) -> Float32[np.ndarray, " rights"]:
    import torch

    own = model.tokenizer.read(text)
    prompt = Prompt(torch.tensor(own.ids), own.text)
    rights, wrongs = (
        [tuple(model.tokenizer.answer(text, letter) for letter in one) for one in given]
        for given in (rights, [wrong])
    )
    unit: Unit = "probability_difference" if len(rights[0]) > 1 else "logit_difference"
    return preferred(model.taps, [Asked(prompt, right, wrongs[0]) for right in rights], unit)
