"""Writing a report: all of its files as one, over nothing but an earlier report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from replication.inputs.files import InputError
from replication.inputs.folders import check_ours, writing_folder
from replication.inputs.writing import write_atomically, write_json
from replication.report.data import claims_json, controls_json, results_json
from replication.report.ledger import ledger_markdown
from replication.report.made import Made
from replication.report.page.page import ledger_page, page
from replication.report.record import ExperimentReport
from replication.report.text import claims_markdown

# A run of some of the claims has a folder of its own in the reports' folder.
PARTIAL = "partial"
# What other commands of this project write there, and the page shows.
OTHERS = ("benchmarks", "calibration.json", "calibration.md")
FILES = (
    *("claims.json", "claims.md", "index.html", "junit.xml"),
    *("ledger.html", "ledger.md", "manifest.json"),
)


def check_place(folder: Path, experiments: Mapping[str, Path], around: Collection[Path]) -> None:
    """Refuse a folder for reports in which something else stands; `around` are others' folders.

    Raises:
        InputError: the folder is, holds or lies in one of the experiments or of these folders,
            holds what no run wrote, or has a name in it that an experiment has too.
    """
    place = folder.resolve()
    for other in (*experiments.values(), *around):
        there = other.resolve()
        if place.is_relative_to(there) or there.is_relative_to(place):
            raise InputError(
                f"{folder}: reports cannot be written there, as it is, holds or lies in {other};"
                " name another folder"
            )
    for name in experiments:
        if name.casefold() in (*FILES, *OTHERS, PARTIAL):
            raise InputError(f"{folder}: the experiment {name} is called as a file of reports is")
    check_ours(folder, (*OTHERS, PARTIAL))
    check_ours(folder / PARTIAL)


def write_report(
    folder: Path,
    reports: Sequence[ExperimentReport],
    made: Made,
    library: str,
    write_junit: Callable[[Path], None] = lambda _: None,
) -> Path:
    """Write a report, and say where: of some of the claims, into a folder of its own.

    `made` is how it is made, `library` is the page's drawing library, and `write_junit` writes the
    tests as XML.

    Raises:
        InputError: something stands there that no run wrote.
        OSError: it cannot be written; what stood there is still there.
    """
    is_partial = any(report.is_partial for report in reports)
    place, others = (folder / PARTIAL, ()) if is_partial else (folder, (*OTHERS, PARTIAL))
    with writing_folder(place, others) as new:
        write_json(new / "claims.json", claims_json(reports, made.command))
        write_atomically(new / "claims.md", claims_markdown(reports, made))
        for report in reports:
            for name, content in results_json(report).items():
                write_json(new / report.name / name, content)
            if report.controls:
                write_json(new / report.name / "verification.json", controls_json(report))
        write_atomically(new / "index.html", page(reports, made.command, folder, library, made))
        write_atomically(new / "ledger.md", ledger_markdown(reports))
        write_atomically(new / "ledger.html", ledger_page(reports))
        write_junit(new / "junit.xml")
    return place
