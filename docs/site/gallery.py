"""The gallery: what was found in each experiment, in words and pictures.

It is made of the records that the ledger and the report page are made of, on published and
recorded evidence: no model runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from docs.site.pages import ROOT
from replication.report.findings import findings
from replication.report.ledger import Entry, entries
from replication.report.markdown import escaped, table
from replication.report.page.causal import doings
from replication.report.page.gallery import Picture, views
from replication.report.pictures.svg import svg
from replication.report.pictures.theme import PALETTES
from replication.report.record import ExperimentReport
from replication.session import Options, Session

ABOUT = """\
# Gallery

What was found in each experiment that comes with the project, judged on published and recorded
evidence when this page was made. The [ledger](ledger.md) has every statement, and the report that
`make replicate` writes has every picture.
"""
# The pictures that tell most, one for a question, by their titles; each with the heading under
# which the report says in words what it shows.
TELLING = {
    "Both circuits on one grid": None,
    "How much length alone explains": "Length",
    "What differs, and what matters": "What differs against what matters",
}
CIRCUIT = "The circuit"  # where there is none of these

Sentences = Sequence[tuple[str, str]]  # the first of each part with the part's heading


def gallery() -> tuple[str, dict[str, str]]:
    """The page, and its pictures as SVG, by their places from `docs/`."""
    reports = {one.name: one for one in judged(ROOT / "fixtures")}
    lines, drawn = [ABOUT], dict[str, str]()
    for entry in entries(reports.values()):
        report = reports[entry.name]
        lines += words(entry, report)
        for number, (picture, says) in enumerate(telling(report), start=1):
            place = f"gallery/{entry.name}-{number}"
            (spec,) = picture.specs
            drawn |= {f"{place}-{look}.svg": svg(spec, look=look) for look in PALETTES}
            lines += shown(picture, says, place)
    return "\n".join(lines), drawn


def judged(experiments: Path) -> list[ExperimentReport]:
    """What came out of every claim of every experiment in a folder, without a model.

    Raises:
        InputError: an experiment or its evidence cannot be read.
    """
    session = Session(Options(experiments, started_in=experiments))
    for case in session.cases():
        session.collect(session.judge(case).handover)
    return list(session.reports.values())


def words(entry: Entry, report: ExperimentReport) -> Iterator[str]:
    """The answers, what is refuted, and the scores that do not mean what they seem to."""
    yield from (f"## {escaped(entry.name)}", "", f"**{escaped(entry.title)}**", "")
    yield from table(
        [one.question for one in entry.answers], [[escaped(one.answer) for one in entry.answers]]
    )
    for one in entry.standing("refuted"):
        yield f"- Refuted: “{escaped(one.claim.statement)}”<br>{escaped(one.why)}"
    yield from (f"- {escaped(one.text)}." for one in findings(report) if one.is_doubt)
    every = len(entry.statements) + len(entry.questions)
    yield from (f"- [All {every} statements and questions](ledger.md#{entry.name.lower()})", "")


def telling(report: ExperimentReport) -> list[tuple[Picture, str]]:
    """The pictures that belong to what was found, each with what it shows in words."""
    of_views = [(view.pictures, view.sentences) for view in views(report)]
    of_views += [(view.pictures, view.sentences) for view in doings(report)]
    found: dict[str, tuple[Picture, str]] = {}
    for pictures, sentences in of_views:
        for one in pictures:
            found.setdefault(one.title, (one, what_it_shows(one, sentences)))
    return [found[title] for title in TELLING if title in found] or [found[CIRCUIT]]


def what_it_shows(picture: Picture, sentences: Sentences) -> str:
    """What a picture shows: what the report says of it, or else what a screen reader says."""
    heading = TELLING.get(picture.title)
    if heading is None:
        described: str = picture.specs[0]["description"]
        return described
    said = " ".join(under(heading, sentences))
    return said[:1].upper() + said[1:]


def under(heading: str, sentences: Sentences) -> list[str]:
    """The sentences under a heading."""
    found, current = [], ""
    for name, text in sentences:
        current = name or current
        if current == heading:
            found.append(text)
    return found


def shown(picture: Picture, says: str, place: str) -> Iterator[str]:
    """A picture in both looks, as GitHub takes it, with what it shows and how to read it."""
    title = escaped(picture.title)
    yield from (
        *(f"### {title}", "", escaped(says), ""),
        "<picture>",
        f'  <source media="(prefers-color-scheme: dark)" srcset="{place}-dark.svg">',
        f'  <img alt="{title}" src="{place}-light.svg">',
        "</picture>",
        *("", f"*{escaped(picture.caption)}*", ""),
    )
