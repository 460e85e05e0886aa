"""The `replication` command: what can be done without pytest, one function a command."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import shlex
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, get_args

import typer

from replication.engine.models import Device, Precision
from replication.inputs.files import INTEGERS, InputError, is_folder
from replication.inputs.messages import one_line, placed, quoted, shortened
from replication.inputs.visible import visible

if TYPE_CHECKING:
    from replication.circuits.components import Component
    from replication.circuits.notations import NotationName
    from replication.experiment.spec import Experiment

_UsageError: Any = typer.BadParameter.__base__  # typer brings it without a name of its own
app = typer.Typer(
    help="Replicate circuit-discovery results: write an experiment, check it, run it, record it,"
    " select, compare, and say how many pairs it takes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# Typer may find a path unreadable: what reads it says why it cannot be read.
ExperimentFolder = Annotated[
    Path, typer.Argument(metavar="EXPERIMENT", readable=False, help="the experiment's folder")
]
ModelOption = Annotated[
    str | None,
    typer.Option(metavar="NAME_OR_FOLDER", help="run this model instead of the experiment's own"),
]
DeviceOption = Annotated[
    str, typer.Option(metavar="auto|cpu|cuda|mps", help="where to run the model")
]
RayOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="run on a Ray cluster: local starts one here, auto joins the environment's",
    ),
]
PartsOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR_OR_URL",
        help="where finished parts are kept until the run is done (default: parts/ beside what it"
        " writes)",
    ),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="go on from the parts of a run that was stopped")
]
NOTATION = "NOTATION"
NOTATION_HELP = "how it names heads, where it can be read in two ways: layer.head or head.layer"
NotationOption = Annotated[
    str | None, typer.Option("--notation", metavar=NOTATION, help=NOTATION_HELP)
]
ComponentColumn = Annotated[
    str, typer.Option("--component", metavar="COLUMN", help="the CSV file's column of components")
]
ScoreColumn = Annotated[
    str, typer.Option("--score", metavar="COLUMN", help="the CSV file's column of scores")
]
ResultOption = Annotated[
    str, typer.Option("--result", metavar="NAME", help="what the claims call the result")
]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(importlib.metadata.version("pytest-circuit-replication"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and exit."
        ),
    ] = False,
) -> None:
    """Take the options that need no command."""


@app.command()
def new(
    name: Annotated[
        Path, typer.Argument(metavar="NAME", readable=False, help="the new folder, or its path")
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="encoder|decoder|published",
            help="of what: an encoder's pairs of sentences (if not given), what a decoder does, or"
            " figures as they were printed, for which no model is run",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            readable=False,
            help="draft it from a printed table, a scores.json, a circuit, or a folder of a run",
        ),
    ] = None,
    component: ComponentColumn = "component",
    score: ScoreColumn = "score",
    notation: NotationOption = None,
    result: ResultOption = "paper",
) -> None:
    """Write a commented experiment folder that runs as it stands."""
    from replication.commands import new as making

    making.check_name(name)
    told: list[str] = []
    if source is None:
        which = _one_of("--kind", kind or "encoder", making.Kind)
        files = making.example(which)
    elif kind is not None:
        raise InputError("--kind: is of an example, and --from drafts none: leave one of them out")
    else:
        from replication.commands import new_from
        from replication.commands.sources import read_source

        which = "published"
        found = read_source(source, (component, score), _notation("--notation", notation))
        files, told = new_from.drafted(found, result), list(new_from.told(found, result))
    making.new_experiment(name, files)
    given = {"--replication-experiments": str(name.parent), "--replication-experiment": name.name}
    where = shlex.join(itertools.chain.from_iterable(given.items()))
    runs = "" if which == "published" else " --replication-live"
    _print(
        f"{name}: written; it runs as it stands, with",
        f"  pytest --pyargs replication {where}{runs}",
        *map(one_line, told),
    )


@app.command()
def check(
    experiments: Annotated[
        list[Path],
        typer.Argument(metavar="EXPERIMENT", readable=False, help="the experiments' folders"),
    ],
) -> None:
    """Read all of an experiment's files, run no model, and name every problem by file and line."""
    from replication.commands.check import check_experiment

    has_problems = False
    for experiment in experiments:
        findings = check_experiment(experiment)
        said = [line for line in (findings.summary, findings.tokens, findings.needs) if line]
        said += findings.outlook
        said += [f"note: {note}" for note in findings.notes]
        said += [f"warning: {warning}" for warning in findings.warnings]
        _print(*(findings.problems or said))
        has_problems |= bool(findings.problems)
    if has_problems:
        raise typer.Exit(2)


@app.command()
def schema(
    of: Annotated[str, typer.Argument(metavar="spec|claims", help="the file that it describes")],
) -> None:
    """Print the JSON Schema of experiment.toml or claims.toml, which editors complete by."""
    from replication.commands.schema import Schema
    from replication.commands.schema import schema as schema_of

    print(json.dumps(schema_of(_one_of("schema", of, Schema)), indent=2, ensure_ascii=False))


@app.command()
def run(
    experiment: ExperimentFolder,
    out: Annotated[
        Path, typer.Option(metavar="DIR", readable=False, help="where to write the files")
    ],
    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="other pairs, any number of them, as JSONL, JSON or CSV",
        ),
    ] = None,
    model: ModelOption = None,
    device: DeviceOption = "auto",
    precision: Annotated[
        str,
        typer.Option(
            metavar="float32|bfloat16|float16",
            help="of weights and activations; bfloat16 keeps about 3 digits of a score,"
            " float16 about 4, and overflows beyond 65504",
        ),
    ] = "float32",
    ray: RayOption = None,
    parts: PartsOption = None,
    resume: ResumeOption = False,
) -> None:
    """Capture, score and select; write scores.json, pair_scores.csv and circuit.json, .svg."""
    from replication.commands.run import PARTS, first_tokens
    from replication.commands.run import run as run_experiment
    from replication.engine.spread import Spread
    from replication.evidence.runs import load_for
    from replication.experiment.pair_files import file_source
    from replication.inputs.folders import check_ours, check_writable

    spec = _experiment(experiment)
    if not is_folder(out) and (out.exists() or out.is_symlink()):
        raise InputError(f"--out: {placed(out)} is not a folder")
    check_writable(out)
    check_ours(out, [PARTS])
    source = file_source(pairs, spec.spec.keys) if pairs else spec.source
    n_pairs = source.count()
    target = _one_of("--device", device, Device), _one_of("--precision", precision, Precision)
    spread = Spread(ray, parts or str(out / PARTS), resume)
    with load_for(spec.spec, model, *target, spread) as loaded:
        ran = run_experiment(spec.spec, loaded, source, n_pairs, out)
    name, counts = shortened(spec.name), f"{n_pairs} pairs, {len(ran.circuit.nodes)} nodes"
    _print(f"{name}: {counts}, written to {placed(out)}/")
    _print(*map(one_line, ran.compared))
    _print(one_line(f"{name}: {first_tokens(loaded, source).described()}"))
    if ran.positions is not None:
        _print(one_line(f"{name}: {ran.positions}"))
    _print(*(one_line(f"{name}: {line}") for line in loaded.provenance_of_runs.mixed()))


@app.command()
def record(
    experiment: ExperimentFolder,
    model: ModelOption = None,
    device: DeviceOption = "auto",
    random_weights: Annotated[
        bool,
        typer.Option(
            "--random-weights",
            help="also run the architecture with random weights, five times over, and store what"
            " they score",
        ),
    ] = False,
    interventions: Annotated[
        bool,
        typer.Option(
            "--interventions",
            help="also ablate components and circuits, and store what the model then does; it is"
            " done by itself where scores are of a behaviour",
        ),
    ] = False,
    ray: RayOption = None,
    parts: PartsOption = None,
    resume: ResumeOption = False,
) -> None:
    """Capture, and store what scores are computed from as the experiment's recorded evidence."""
    from replication.commands.record import record as record_experiment
    from replication.commands.run import PARTS
    from replication.engine.spread import Spread

    read = _experiment(experiment)
    target = _one_of("--device", device, Device)
    spread = Spread(ray, parts or str(read.folder / PARTS), resume)
    lines = record_experiment(
        read, model, target, spread, random=random_weights, interventions=interventions
    )
    for line in lines:
        _print(line)


@app.command("import")
def import_(
    table: Annotated[Path, typer.Argument(metavar="TABLE", readable=False)],
    out: Annotated[
        Path, typer.Option(metavar="DIR", readable=False, help="where to write the files")
    ],
    component: ComponentColumn = "component",
    score: ScoreColumn = "score",
    notation: NotationOption = None,
    result: ResultOption = "paper",
) -> None:
    """Make scores.json and drafted claims from a printed table: CSV, or a dict of a notebook."""
    from replication.commands.import_scores import import_scores, read_imported

    imported = read_imported(table, (component, score), _notation("--notation", notation))
    _print(*import_scores(table, imported, result, out))


@app.command()
def select(
    scores: Annotated[Path, typer.Argument(metavar="SCORES.json", readable=False)],
    budget: Annotated[int, typer.Option(help="the write budget, in dimensions")],
    mlp_threshold: Annotated[float, typer.Option(help="the score that an MLP must reach")],
    d_model: Annotated[int, typer.Option(help="what the input and an MLP write")],
    d_head: Annotated[int, typer.Option(help="what a head writes")],
    notation: NotationOption = None,
) -> None:
    """Select a circuit from a score table and print it as JSON."""
    from replication.circuits.circuit import circuit_file, selected_circuit
    from replication.circuits.components import WriteCosts
    from replication.circuits.scores import read_scores
    from replication.circuits.selection import Rule
    from replication.circuits.selection import select as select_components
    from replication.circuits.steps import by_threshold

    for option, value in (("--budget", budget), ("--d-model", d_model), ("--d-head", d_head)):
        if value <= 0 or value not in INTEGERS:
            raise InputError(
                f"{option}: expected a positive number of dimensions, found {quoted(value)}"
            )
    if not 0 <= mlp_threshold < float("inf"):
        raise InputError(f"--mlp-threshold: expected a number from 0 on, found {mlp_threshold}")
    costs = WriteCosts(d_model, d_head)
    table = read_scores(scores, notation=_notation("--notation", notation))
    try:
        nodes = select_components(table.middles(), Rule(costs, budget, by_threshold(mlp_threshold)))
    except InputError as error:
        raise InputError(f"{scores}: {error}") from None
    about = {"method": "differential_activation_analysis"}
    print(json.dumps(circuit_file(selected_circuit(nodes, costs, budget, **about)), indent=2))


@app.command()
def compare(
    circuits: Annotated[
        list[Path],
        typer.Argument(metavar="CIRCUIT.json", readable=False, help="two circuits, or more"),
    ],
    notation: Annotated[
        list[str] | None,
        typer.Option(
            metavar=NOTATION,
            help=f"once for all, or once for each circuit in their order: {NOTATION_HELP}",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    svg: Annotated[
        Path | None,
        typer.Option(metavar="FILE", readable=False, help="draw them on one grid, as SVG"),
    ] = None,
    look: Annotated[
        str, typer.Option(metavar="light|dark", help="the paper that the picture is for")
    ] = "light",
) -> None:
    """Compare two circuits: overlap, differences, order, costs; of more, what they share."""
    from replication.circuits.notations import NotationName
    from replication.commands import compare as comparing
    from replication.report.pictures.theme import Look

    stated = [_one_of("--notation", one, NotationName) for one in notation or ()]
    paper = _one_of("--look", look, Look)
    read = comparing.read_circuits(circuits, stated)
    called = comparing.told_apart(circuits)
    compared = comparing.compare(read, called)
    if svg is not None:
        from replication.commands.compared_picture import write_picture

        write_picture(svg, read, called, paper)
    if as_json:
        print(json.dumps(compared.data, indent=2))
    else:
        _print(*compared.lines)


@app.command()
def badge(
    reports: Annotated[
        Path,
        typer.Argument(metavar="REPORTS", readable=False, help="reports, or a claims.json"),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FILE", readable=False, help="where to write the badge's JSON")
    ],
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="of this experiment alone")
    ] = None,
) -> None:
    """Write what became of the statements as the JSON of a badge, as shields.io draws one."""
    from replication.commands.reports import badge as write_badge

    _print(write_badge(reports, experiment, out))


@app.command()
def compare_reports(
    old: Annotated[
        Path, typer.Argument(metavar="OLD", readable=False, help="reports, or a claims.json")
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW", readable=False, help="of a later run")],
) -> None:
    """Name the verdicts that changed from one run to another; status 1 if one got worse."""
    from replication.commands.reports import compare_reports as compare

    found = compare(old, new)
    _print(*found.lines)
    if found.worse:
        raise typer.Exit(1)


@app.command()
def power(
    experiment: ExperimentFolder,
    component: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="this component, not the highest of each kind that is no artefact"
        ),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(metavar="R", help="this share of the squared score, not several"),
    ] = None,
    chance: Annotated[
        float, typer.Option(metavar="P", help="the chance that a number of clusters must give")
    ] = 0.8,
) -> None:
    """Say how many clusters of pairs a component needs for its word, by what is recorded."""
    from replication.commands.power import check_share
    from replication.commands.power import power as power_of

    check_share("--chance", chance)
    if share is not None:
        check_share("--share", share)
    read = _experiment(experiment)
    _print(*power_of(read, None if component is None else _scored(read, component), share, chance))


def _scored(experiment: Experiment, name: str) -> Component:
    """The component of the model that an option names."""
    from replication.circuits.components import INPUT

    try:
        component = experiment.spec.model.shape.component(name)
    except InputError as error:
        raise InputError(f"--component: {error}") from None
    if component == INPUT:
        raise InputError("--component: the input has no score")
    return component


def _experiment(folder: Path) -> Experiment:
    """The experiment, with its claims and published figures checked before a model is loaded."""
    from replication.claims.claim import read_claims
    from replication.evidence.evidence import published_evidence
    from replication.experiment.spec import read_experiment

    experiment = read_experiment(folder)
    read_claims(experiment)
    published_evidence(experiment)
    return experiment


def _notation(option: str, name: str | None) -> NotationName | None:
    from replication.circuits.notations import NotationName

    return None if name is None else _one_of(option, name, NotationName)


def _one_of(option: str, value: str, names: Any) -> Any:
    if value not in get_args(names):
        raise InputError(f"{option}: expected {'|'.join(get_args(names))}, found {quoted(value)}")
    return value


# What shells expect after each of the signals.
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


def main() -> None:
    """Run the command; unusable input ends it with status 2 and one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # whatever the locale cannot encode
    heard: list[int] = []

    def end_run(number: int, _: FrameType | None) -> NoReturn:
        heard.append(number)
        sys.exit(128 + number)

    if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, end_run)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_run)
    status: Any
    kept: list[str] = []
    try:
        # The name is what completion is installed for, however the command was started.
        status = app(prog_name="replication", standalone_mode=False)
    except (InputError, OSError) as error:
        _end("; ".join([str(error), *_notes(error)]), 2)
    except _UsageError as error:
        if len(sys.argv) == 1:
            error.show()  # the help
            sys.exit(2)
        used = error.ctx.command_path if error.ctx else "replication"
        _end(f"{error.format_message().rstrip('.')}; `{used} --help` says how it is used", 2)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except SystemExit as end:
        # Ray, where it waits, ends with a status of its own, whatever it is told to end with.
        status, kept = 128 + heard[0] if heard else end.code, _notes(end)
    if status in (INTERRUPTED, TERMINATED):
        _end("; ".join(["interrupted", *(kept or ["what was being written is gone"])]), status)
    sys.exit(status or 0)


def _notes(error: BaseException) -> list[str]:
    """What was said of an error on its way, as what is kept of a run that it ends."""
    return getattr(error, "__notes__", [])


def _print(*lines: str) -> None:
    for line in lines:
        print(visible(line))


def _end(reason: object, status: int) -> NoReturn:
    encoding = sys.stderr.encoding
    line = one_line(f"replication: {reason}").encode(encoding, "backslashreplace").decode(encoding)
    print(one_line(line), file=sys.stderr)  # what the encoding lacks made it longer
    sys.exit(status)


if __name__ == "__main__":
    main()
