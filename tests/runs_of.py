"""What is run of a model on an experiment's pairs, as tests ask for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from replication.engine.spread import Spread
from replication.evidence.runs import Runs, load_for, run_model
from replication.experiment.spec import Experiment


def runs_of(experiment: Experiment, model: Path, spread: Spread = Spread(), **asked: Any) -> Runs:  # noqa: B008
    """What is run of the model in a folder, on the CPU."""
    with load_for(experiment.spec, str(model), "cpu", spread=spread) as loaded:
        return run_model(loaded, experiment, **asked)
