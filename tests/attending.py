"""An experiment on the attention of a small random GPT-2 to names in a sentence."""

from __future__ import annotations

from pathlib import Path

from tests.asking import write_rows
from tests.gpt2 import make_experiment, make_gpt2
from tests.make import edit

N_LAYERS, N_HEADS = 3, 4
ROWS = [
    {
        "first": f"When {one} and {two} {went}, {two} gave it to",
        "second": other,
        "s": two,
        "io": one,
    }
    for one, two, went, other in (
        ("Mary", "John", "sat down", "When Mary and John sat down, Mary gave it to"),
        ("John", "Mary", "met at last", "Nobody gave it to"),
        ("Anna", "John", "sat down", "When Anna and John sat down, Anna gave it to"),
        ("Mary", "Anna", "met", "When Mary and Anna met, Mary gave it to"),
        ("Anna", "Mary", "sat there", "When Anna and Mary sat there, Anna gave it to"),
    )
]
SCORING = """
[scoring]
kind = "attention"

[scoring.positions]
S1 = { word = "s", occurrence = 1 }
S2 = { word = "s", occurrence = 2 }
IO = { word = "io", occurrence = "last" }
END = { last = true }

[scoring.tables]
duplicate = { from = "S2", to = "S1" }
mover = { from = "END", to = "IO" }
"""
STEPS = '[{ take = "input" }, { rest = "head", by = ["duplicate", "mover"] }]'


def make_attending(folder: Path) -> tuple[Path, Path]:
    """Write the experiment and its model, whose tokenizer has a token for each name."""
    texts = [row[side] for row in ROWS for side in ("first", "second")]
    model = make_gpt2(folder / "model", texts=texts * 4, n_layer=N_LAYERS, n_head=N_HEADS)
    experiment = make_experiment(folder / "attending", n_layer=N_LAYERS, n_head=N_HEADS)
    spec = experiment / "experiment.toml"
    edit(spec, 'pairs = "pairs.jsonl"\n', "")
    edit(spec, '[scoring]\nmlp_out = "centred"\n', SCORING)
    edit(spec, "mlp_threshold = 0.0", f"steps = {STEPS}")
    edit(
        spec, "[tokens]", '[pairs]\nfile = "pairs.jsonl"\ncolumns = ["first", "second"]\n\n[tokens]'
    )
    write_rows(experiment, ROWS)
    return experiment, model
