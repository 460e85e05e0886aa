"""One figure everywhere: what a real report says of it in page, text, JSON, terminal and SVG."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from replication.report.made import Made
from replication.report.pictures.svg import svg
from replication.report.record import EVIDENCE, WORDS, ExperimentReport
from replication.report.rows import figure
from replication.report.terminal import summary
from replication.report.write import write_report
from replication.session import Options, Session
from tests.make import copied, edit
from tests.paths import FIXTURES

NAME = "sarcasm-smollm2"
Places = dict[str, str]


@dataclass(frozen=True)
class Report:
    """Everything that a run says, as it is read."""

    page: str
    markdown: str
    terminal: str
    svg: str
    claims: Any
    verified: Any


def judged(experiments: Path) -> ExperimentReport:
    """The report on the only experiment there is."""
    session = Session(Options(experiments, experiments))
    for case in session.cases():
        session.collect(session.judge(case).handover)
    (report,) = session.reports.values()
    return report


def publish(experiment: Path, report: ExperimentReport) -> None:
    """What the run measures, as if it had been printed: one score otherwise, and two nodes."""
    scores, circuit = (report.files[name] for name in ("scores.json", "circuit.json"))
    printed = {name: f"{score:.3f}" for name, score in scores["components"].items()}  # type: ignore[union-attr]
    printed["m28"] = "207.000"
    nodes = [{"m2": "m10", "a29.h3": "a0.h0"}.get(node, node) for node in circuit["nodes"]]  # type: ignore[union-attr, call-overload, arg-type]
    place = experiment / "published"
    place.mkdir()
    for name, content in (("scores", {"components": printed}), ("circuit", {"nodes": nodes})):
        (place / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    spec = experiment / "experiment.toml"
    files = 'circuit = "published/circuit.json"\nscores = "published/scores.json"'
    edit(spec, "[model]", f'[results.smollm2]\nabout = "As printed"\n{files}\n\n[model]')


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A real run with a published result, controls and interventions."""
    folder = tmp_path_factory.mktemp("one")
    experiment = copied(FIXTURES / NAME, folder / "experiments" / NAME)
    publish(experiment, judged(experiment.parent))
    found = judged(experiment.parent)
    out = write_report(folder / "reports", [found], Made("pytest", "2026-11-30"), "")
    text = {
        name: (out / name).read_text(encoding="utf-8")
        for name in ("index.html", "claims.md", "claims.json", f"{NAME}/verification.json")
    }
    drawn = re.search(r'id="drawn">(.*?)</script>', text["index.html"], re.DOTALL)
    assert drawn
    grids = [
        spec
        for spec in json.loads(drawn[1])["specs"]
        if spec["description"].startswith(("A grid of", "The grid of"))
    ]
    (claims,) = json.loads(text["claims.json"])["experiments"]
    return Report(
        page=text["index.html"],
        markdown=re.sub(r"</?span>|\\(?=\W)", "", text["claims.md"]),
        terminal="\n".join(line for line, _ in summary([found], None, None)),
        svg="\n".join(map(svg, grids)),
        claims=claims,
        verified=json.loads(text[f"{NAME}/verification.json"]),
    )


def plain(text: str) -> str:
    """What is seen of a piece of the page, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())


def page_table(report: Report, caption: str) -> list[dict[str, str]]:
    """A table of the page, line by line."""
    tables = re.findall(r"<caption>(.*?)</caption>(.*?)</table>", report.page, re.S)
    (found,) = (content for named, content in tables if html.unescape(named) == caption)
    head, *body = (
        [plain(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]
        for row in re.findall(r"<tr>(.*?)</tr>", found, re.S)
    )
    return [dict(zip(head, row, strict=True)) for row in body]


def text_table(report: Report, heading: str, first: str) -> list[dict[str, str]]:
    """A table of claims.md behind a heading, line by line."""
    section = report.markdown[report.markdown.index(heading) :]
    lines = section[section.index(f"| {first} |") :].split("\n\n")[0].splitlines()
    head, _, *body = ([cell.strip() for cell in line[1:-1].split(" | ")] for line in lines)
    return [dict(zip(head, row, strict=True)) for row in body]


def of_claims(report: Report) -> Iterator[Places]:
    """Each claim's verdict and arithmetic, on each evidence, and how many come out how."""
    texts = {
        row["claim"]: row
        for heading in re.findall(r"### Made by: .*", report.markdown)
        for row in text_table(report, heading, "claim")
    }
    for claim in report.claims["claims"]:
        name, text = claim["id"], texts[claim["id"]]
        inside = report.page.split(f'id="{NAME}-{name}">')[1].split("</details>")[0]
        summed = report.page.split(f'id="{NAME}-{name}">')[0].rsplit("<summary>", 1)[1]
        why = {one["arithmetic"] for one in claim["judgements"]}
        *_, told = text.values()
        yield {"claims.json": told if told in why else str(why), "claims.md": told}
        for one in claim["judgements"]:
            on = rf'data-verdict="(\w+)" data-evidence="{one["evidence"]}">(.*?)</'
            shown = inside.split(f"On {one['evidence']} evidence: ")[1]
            (said,) = re.findall(r"computed</span> (.*?)</p>", shown.split("<h4>")[0], re.S)
            yield {"claims.json": one["arithmetic"], "page": plain(said)}
            yield {
                "claims.json": one["verdict"],
                "claims.md": text[one["evidence"]].strip("*").replace(", unexpected", ""),
                "page": shown.split("</h4>")[0].replace("not judged", "missing"),
                "page, closed": re.findall(on, summed, re.S)[0][0],
            }


def of_counts(report: Report) -> Iterator[Places]:
    """How many claims come out how on each evidence."""
    of_all = {
        row["evidence"]: row
        for row in text_table(report, "## ", "evidence")
        if row["made by"] == "all together"
    }
    tallied: Counter[tuple[str, str]] = Counter()
    for tally in re.findall(r'<div class="tally">(.*?)</div>', report.page, re.S):
        label = plain(tally.split("</span>")[0])
        for one in re.findall(r'<details class="counted">(.*?)</details>', tally, re.S):
            number, word = re.findall(r"(\d+) (\w+)", plain(one))[0]
            yield {"count": number, "claims that it leads to": str(one.count("<a href"))}
            tallied[label.rpartition(" ")[2], word] += int(number)
    for kind in EVIDENCE:
        for verdict, number in report.claims["counts"][kind].items():
            if kind in of_all and verdict != "missing":
                word = WORDS[verdict]
                yield {
                    "claims.json": str(number),
                    "claims.md": of_all[kind][word],
                    "page": str(tallied[kind, word.split()[0]]),
                }


def of_answers(report: Report) -> Iterator[Places]:
    """The answers, what they rest on, and the findings."""
    answers = [plain(one) for one in re.findall(r'<p class="said">(.*?)</p>', report.page, re.S)]
    in_text = re.findall(r"^- \*[^*]+\?\* ([^.]+\.)", report.markdown, re.M)
    first = report.terminal.splitlines()[0].split(": ", 1)[1]
    in_terminal = [one.split(": ")[1] for one in first.split("; ")]
    for page, text, terminal in zip(answers, in_text, in_terminal, strict=True):
        yield {"page": page, "claims.md": text, "terminal": f"{terminal.capitalize()}."}
    yield {"claims.json": f"{report.claims['replication']['answer']}.", "page": answers[1]}
    listed = report.page.split('<ul class="findings">')[1].split("</ul>")[0]
    rests = re.findall(r'<p class="found-out">(.*?)</p>', report.page, re.S)
    for one in [*re.findall(r"<li[^>]*>(.*?)</li>", listed, re.S), *rests]:
        said = plain(one).removesuffix(".")
        yield {
            "page": said,
            "claims.md": said if said in report.markdown else "is not there",
            "terminal": said if f"  {said}\n" in f"{report.terminal}\n" else "is not there",
        }


def of_overlap(report: Report) -> Iterator[Places]:
    """How much of what was published the run gives again."""
    against = report.claims["replication"]["against"]
    shared = f"{against['nodes'] - len(against['only_published'])} of the published circuit's"
    met = f"{against['scores'] - len(against['outside'])} of {against['scores']} published scores"
    for said in (shared, met):
        yield {"claims.json": said} | {
            name: said if said in text else "is not there"
            for name, text in (
                ("page", html.unescape(report.page)),
                ("claims.md", report.markdown),
                ("terminal", report.terminal),
            )
        }
    stands = dict(re.findall(r'"([^":]+): ((?:in|only in) [^;"]+); smollm2: ', report.svg))
    counts = Counter(stands.values())
    both, left, right = (
        str(counts[state]) for state in ("in both", "only in smollm2", "only in smollm2 (recorded)")
    )
    differing = page_table(report, "The components that only one of the two has")
    yield {"claims.json": shared.split()[0], "SVG": both}
    yield {"claims.json": str(len(against["only_published"])), "SVG": left}
    yield {"claims.json": str(len(against["only_measured"])), "SVG": right}
    yield {"page": str(len(differing)), "SVG": str(int(left) + int(right))}


def of_components(report: Report) -> Iterator[Places]:
    """Each component's figures on each evidence, and each behaviour's circuits."""
    marks = re.findall(r'aria-label="(\w[\w.]*: score [^"]+)"', report.svg)
    for found in report.verified["verifications"]:
        title = f"{found['result']}, {found['evidence']}"
        of_page = {one["component"]: one for one in page_table(report, f"{title}: every component")}
        heading = f"### What the scores of {found['result']} mean ({found['evidence']} evidence)"
        of_text = {one["component"]: one for one in text_table(report, heading, "component")}
        for one in found["components"]:
            name = one["component"]
            page, text = of_page[name], of_text.get(name, {})
            label = ", ".join(f"{key} {page[key]}" for key in ("score", "rank", "interval"))
            hover = [mark for mark in marks if mark.startswith(f"{name}: {label}, distance")]
            yield {
                "page": f"{label}, distance {page['distance']}, circuit {page['circuit']}",
                "SVG": hover[0].split(": ", 1)[1] if hover else "is not there",
            }
            yield {
                "verification.json": one["printed"] or figure(one["score"]),
                "page": page["score"],
            }
            yield {"verification.json": str(one["rank"]), "page": page["rank"].split()[0]}
            yield {"verification.json": one["word"], "page": page["word"]}
            yield {"page": page["score"], "claims.md": text.get("score", page["score"])}
            for key in (page.keys() & text.keys()) - {"component", ""}:
                yield {"page": page[key].replace("–", ""), "claims.md": text[key]}
            if "95% interval" in text:
                yield {"page": page["interval"], "claims.md": text["95% interval"]}
    for ran in report.verified["causal"]:
        for found in ran["behaviours"]:
            caption = f"What circuits keep of {found['behaviour']}: {found['cell_in_words']}"
            page = page_table(report, caption)
            text = text_table(report, f"**{found['behaviour']}**", "circuit")
            for here, there in zip(page, text, strict=True):
                yield {"page": str(list(here.values())), "claims.md": str(list(there.values()))}
            for row in page:
                size = len(found["circuits"][row["circuit"]]) - 1  # the input is not counted
                yield {"verification.json": str(size), "page": row["components"]}


FACTS = (of_claims, of_counts, of_answers, of_overlap, of_components)


@pytest.mark.numeric
@pytest.mark.parametrize("facts", FACTS, ids=lambda one: one.__name__)
def test_a_figure_is_the_same_wherever_it_stands(report: Report, facts: Any) -> None:
    found = list(facts(report))
    assert len(found) >= 5
    assert [one for one in found if len(set(one.values())) > 1] == []


@pytest.mark.numeric
@pytest.mark.parametrize(
    ("place", "facts", "says", "instead"),
    [
        ("page", of_components, r">338\.331<", ">338.3<"),
        ("markdown", of_components, r"\| 338\.331 \|", "| 338.3 |"),
        ("svg", of_components, r"m11: score 338\.331", "m11: score 338.3"),
        ("page", of_components, r">143\.7 to 796\.7<", ">144 to 797<"),
        ("terminal", of_overlap, r"299 of 300 published", "299.0 of 300 published"),
        ("page", of_overlap, r"published circuit(&#39;|')s", "published"),
        ("svg", of_overlap, r"m11: in both;", "m11: in neither;"),
        (
            "markdown",
            of_counts,
            r"\| recorded \| all together \| 8 ",
            "| recorded | all together | 9 ",
        ),
        ("terminal", of_answers, r"m11: 99% of", "m11: 99.0% of"),
        ("markdown", of_claims, r"\| refuted \|(?= smollm2: artefact)", "| undecided |"),
        ("page", of_claims, r"p = \(1 \+ 10\)", "p = (1 + 9)"),
    ],
)
def test_a_place_that_rounds_or_counts_otherwise_is_found(
    report: Report, place: str, facts: Any, says: str, instead: str
) -> None:
    changed, times = re.subn(says, instead, getattr(report, place), count=1)
    assert times == 1
    found = facts(replace(report, **{place: changed}))
    assert [one for one in found if len(set(one.values())) > 1]
