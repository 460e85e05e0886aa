"""The `replication` command: run, record, select, compare."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from replication.files import InputError

app = typer.Typer(
    help="Replicate circuit-discovery results: run an experiment, record it, select, compare.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ExperimentFolder = Annotated[
    Path, typer.Argument(metavar="EXPERIMENT", help="the experiment's folder")
]
Model = Annotated[
    str | None,
    typer.Option(metavar="NAME_OR_FOLDER", help="run this model instead of the experiment's own"),
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="where to run the model")]


@app.command()
def run(
    experiment: ExperimentFolder,
    out: Annotated[Path, typer.Option(metavar="DIR", help="where to write the two files")],
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Capture, score and select; write scores.json and circuit.json."""
    from replication.evidence import live_evidence, published_evidence
    from replication.report import write_measured

    spec, recording = _capture(experiment, model, device)
    evidence = live_evidence(spec, published_evidence(spec), [recording])
    write_measured(out, evidence)
    result = evidence.results[spec.spec.measures]
    assert result.circuit is not None
    print(f"{spec.name}: {len(result.circuit.nodes)} nodes, written to {out}/")


@app.command()
def record(experiment: ExperimentFolder, model: Model = None, device: Device = "auto") -> None:
    """Capture, and store the mean activations as the experiment's recorded evidence."""
    from replication.activations import record as write_recording
    from replication.activations import recorded_path

    spec, recording = _capture(experiment, model, device)
    path = recorded_path(spec)
    write_recording(recording, spec.pairs, path)
    print(f"{spec.name}: {len(spec.pairs)} pairs recorded in {path}")


@app.command()
def select(
    scores: Annotated[Path, typer.Argument(metavar="SCORES.json")],
    budget: Annotated[int, typer.Option(help="the write budget, in dimensions")],
    mlp_threshold: Annotated[float, typer.Option(help="the score that an MLP must reach")],
    d_model: Annotated[int, typer.Option(help="what the input and an MLP write")],
    d_head: Annotated[int, typer.Option(help="what a head writes")],
) -> None:
    """Select a circuit from a score table and print it as JSON."""
    from replication.circuit import circuit_file, selected_circuit
    from replication.components import WriteCosts
    from replication.scoring import read_scores
    from replication.selection import select as select_components

    for option, value in (("--budget", budget), ("--d-model", d_model), ("--d-head", d_head)):
        if value <= 0:
            raise InputError(f"{option}: expected a positive number of dimensions, found {value}")
    if not 0 <= mlp_threshold < float("inf"):
        raise InputError(f"--mlp-threshold: expected a number from 0 on, found {mlp_threshold}")
    costs = WriteCosts(d_model, d_head)
    table = read_scores(scores)
    try:
        nodes = select_components(
            {component: score.middle for component, score in table.scores.items()},
            costs,
            budget,
            mlp_threshold,
        )
    except InputError as error:
        raise InputError(f"{scores}: {error}") from None
    about = {"method": "differential_activation_analysis"}
    print(json.dumps(circuit_file(selected_circuit(nodes, costs, budget, **about)), indent=2))


@app.command()
def compare(
    left: Annotated[Path, typer.Argument(metavar="LEFT.json")],
    right: Annotated[Path, typer.Argument(metavar="RIGHT.json")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Compare two circuits: overlap, differences, order, costs."""
    from replication.circuit import read_circuit
    from replication.comparison import compare_circuits, describe_comparison

    compared = compare_circuits(read_circuit(left), read_circuit(right))
    if as_json:
        print(json.dumps(compared, indent=2))
    else:
        print("\n".join(describe_comparison(compared, left.name, right.name)))


def _capture(folder: Path, model: str | None, device: str) -> tuple[Any, Any]:
    from typing import get_args

    from replication.claims import read_claims
    from replication.evidence import run_model
    from replication.experiment import read_experiment
    from replication.models import Device as DeviceName

    if device not in get_args(DeviceName):
        raise InputError(f"--device: expected {'|'.join(get_args(DeviceName))}, found {device!r}")
    experiment = read_experiment(folder)
    read_claims(experiment)
    (recording,) = run_model(experiment, model, device)  # type: ignore[arg-type]
    return experiment, recording


def main() -> None:
    """Run the command; unusable input ends it with status 2 and one line on standard error."""
    try:
        app()
    except InputError as error:
        print(f"replication: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
