"""The documents: what they show is run, and what they list is held against the code."""

from __future__ import annotations

import doctest
import functools
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from typer.main import get_command

from docs.site.pages import DOCS, evidence_by_kind, sections, tables
from replication.circuits.intervals import printed
from replication.claims.claim import AnyCheck, Claim, judge_claim, read_claim_file
from replication.claims.keys import Known
from replication.cli import app
from replication.controls.thresholds import THRESHOLDS
from replication.controls.verify import Controls, verify
from replication.controls.words import VERDICTS
from replication.evidence.evidence import Evidence, published_evidence, recorded_evidence
from replication.evidence.published_figures import FigureSpec, read_figures
from replication.experiment.spec import Spec, read_experiment
from tests.make import copied
from tests.paths import FIXTURES, ROOT

README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
DOCUMENTS = sorted(DOCS.glob("*.md"))
PAGES = [README, CONTRIBUTING, *DOCUMENTS]
LONGEST_README = 150  # lines: what somebody reads who has never seen the project
SARCASM = FIXTURES / "sarcasm-gpt2"
INDIRECT_OBJECT = FIXTURES / "ioi-smollm2-short"

BLOCK = re.compile(r"^(?P<before>[^\n]*)\n\n?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
FILE = re.compile(r"`(?P<path>[^`]+)`:$")
QUOTED = r"> \*\*(\w+)\*\* .*: “(.+)”\n> → \*\*(\w+)\*\*: (.+)\n"
TIMING = re.compile(r"in \d+\.\d+s")


@dataclass(frozen=True)
class Block:
    """A fenced block; `file` is the path that the line before it ends with."""

    language: str
    text: str
    line: int
    file: str | None


def name_of(document: Path) -> str:
    """A document's name from the repository's root, without its ending."""
    return document.relative_to(ROOT).with_suffix("").as_posix()


def blocks(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        file = FILE.search(match["before"])
        line = text.count("\n", 0, match.start("text"))
        found.append(Block(match["language"], match["text"], line, file and file["path"]))
    return found


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """The commands of a session, each with what it prints."""
    for session in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        command, _, output = re.sub(r"\\\n>? *", "", session).partition("\n")
        yield command, output


class Place:
    """A folder in which a document's steps are done in their order, as its reader does them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {}
        self.status = 0
        copied(ROOT / "fixtures", folder / "fixtures")
        kept = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
        self.environment = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "80",
            "HF_HUB_OFFLINE": "1",
            "GITHUB_ACTIONS": "",
            "GITHUB_STEP_SUMMARY": "",
        }

    def do(self, block: Block) -> None:
        if block.language == "diff":
            self._change(block)
        elif block.file is not None:
            (self.folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            for command, output in commands(block):
                self._run(command, output, block.line)
        elif block.language == "python":
            self._evaluate(block)

    def _change(self, block: Block) -> None:
        assert block.file is not None
        path = self.folder / block.file
        lines = block.text.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] != "+")
        new = "".join(line[1:] for line in lines if line[0] != "-")
        assert path.read_text(encoding="utf-8").count(old) == 1, (
            f"line {block.line}: not once in {block.file}"
        )
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    def _run(self, command: str, expected: str, line: int) -> None:
        done = subprocess.run(
            ["bash", "-c", f"(exit {self.status}); {command}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            env=self.environment,
            cwd=self.folder,
            check=False,
        )
        asked = command.startswith("echo $?")
        assert asked or self.status == 0, f"line {line}: exit status {self.status} is not shown"
        self.status = done.returncode
        assert is_as_shown(expected, done.stdout), f"line {line}: {command}\n{done.stdout}"

    def _evaluate(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(
            block.text, self.names, "document", None, block.line
        )
        assert test.examples, f"line {block.line}: nothing is evaluated"
        printed: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test, out=printed.append, clear_globs=False)
        self.names = test.globs
        assert runner.failures == 0, "".join(printed)


def is_as_shown(shown: str, printed: str) -> bool:
    """Whether an output is the one shown, in which `...` stands for anything, times aside.

    Before its version 9, pytest named the XML file that it wrote even where it was to be quiet.
    """
    if shown.strip() == "...":
        return False
    expected, found = (
        "".join(
            f"{TIMING.sub('in 0s', line.rstrip())}\n"
            for line in text.splitlines()
            if not re.match("-+ generated xml file: ", line)
        )
        for text in (shown, printed)
    )
    return doctest.OutputChecker().check_output(expected, found, doctest.ELLIPSIS)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)


def runs_a_model(block: Block) -> bool:
    return block.language == "console" and any(
        "-live" in command or command.startswith(("replication record", "replication run"))
        for command, _ in commands(block)
    )


@pytest.mark.parametrize("document", [README, *DOCUMENTS], ids=name_of)
def test_what_a_document_shows_is_what_happens(document: Path, place: Place) -> None:
    for block in takewhile(lambda block: not runs_a_model(block), blocks(document)):
        place.do(block)


@pytest.mark.slow
@pytest.mark.parametrize(
    "document",
    [path for path in DOCUMENTS if any(map(runs_a_model, blocks(path)))],
    ids=name_of,
)
def test_what_a_document_shows_of_models_is_what_happens(document: Path, place: Place) -> None:
    for block in blocks(document):
        place.do(block)


def models() -> dict[str, type[BaseModel]]:
    """What a table of keys in claims.md describes: a claim, a figure, and the checks by kind."""
    union = get_args(get_args(AnyCheck)[0])
    kinds = {get_args(check.model_fields["kind"].annotation)[0]: check for check in union}
    return {"claim": Claim, "figure": FigureSpec, **kinds}


def test_the_kinds_of_check_are_those_that_there_are() -> None:
    listed = ["claim", "figure", *evidence_by_kind()]
    assert sorted(listed) == sorted(models()) == sorted(sections("claims.md"))


@pytest.mark.parametrize("kind", models())
def test_a_kinds_keys_are_those_that_it_takes(kind: str) -> None:
    (rows, *_) = tables(sections("claims.md")[kind])
    described = {key.strip("`"): required == "required" for key, _, required in rows}
    fields = {key: field for key, field in models()[kind].model_fields.items() if key != "kind"}
    assert described == {key: field.is_required() for key, field in fields.items()}


def is_on_a_behaviour(block: Block) -> bool:
    return "behaviour = " in block.text


@functools.cache
def grounds(folder: Path) -> tuple[Evidence, Controls]:
    """Published evidence, or, of an experiment without any result, recorded; and its controls."""
    experiment = read_experiment(folder)
    published = published_evidence(experiment)
    evidence = published if published.results else recorded_evidence(experiment, published)
    return evidence, verify(evidence)


def read_check(block: Block, folder: Path) -> Claim:
    """The claim that an example is, or is the check of; on the experiment that it speaks of."""
    header = 'id = "D"\nmade_by = "d"\nsource = "d"\nstatement = "d"\n'
    whole = block.text if "[[claim]]" in block.text else f"[[claim]]\n{header}{block.text}"
    (folder / "claims.toml").write_text(whole, encoding="utf-8")
    spec = read_experiment(INDIRECT_OBJECT if is_on_a_behaviour(block) else SARCASM).spec
    (claim,) = read_claim_file(folder / "claims.toml", Known.of(spec, None))
    return claim


def test_the_verdict_that_is_quoted_is_the_one_that_reports_give() -> None:
    text = (DOCS / "findings.md").read_text(encoding="utf-8")
    ((name, statement, verdict, arithmetic),) = re.findall(QUOTED, text)
    evidence, controls = grounds(SARCASM)
    claims = read_claim_file(SARCASM / "claims.toml", Known.of(read_experiment(SARCASM).spec, None))
    (claim,) = (claim for claim in claims if claim.id == name)
    judgement = judge_claim(claim, evidence, controls)
    assert claim.statement == statement
    assert judgement.verdict == verdict
    assert arithmetic.removesuffix(".") in judgement.arithmetic


def test_the_statements_that_the_readme_counts_come_out_so() -> None:
    said = README.read_text(encoding="utf-8")
    counted = re.search(r"(\d+) hold, (\d+) are refuted .*?, and (\d+) are\s+undecided", said, re.S)
    assert counted is not None
    evidence, controls = grounds(SARCASM)
    claims = read_claim_file(SARCASM / "claims.toml", Known.of(read_experiment(SARCASM).spec, None))
    stated = (claim for claim in claims if not claim.is_question)
    found = Counter(judge_claim(claim, evidence, controls).verdict for claim in stated)
    assert found == dict(
        zip(("holds", "refuted", "undecided"), map(int, counted.groups()), strict=True)
    )


def examples() -> list[tuple[Block, Block]]:
    """The examples of checks, each with what it gives."""
    return [
        (check, outcome)
        for document in DOCUMENTS
        for check, outcome in pairwise(blocks(document))
        if (check.language, outcome.language) == ("toml", "text")
    ]


def test_every_kind_of_check_has_an_example(tmp_path: Path) -> None:
    shown = {read_check(check, tmp_path).kinds() for check, _ in examples()}
    assert shown == set(models()) - {"claim", "figure"}


@pytest.mark.parametrize(
    ("check", "outcome"), examples(), ids=[f"line-{check.line}" for check, _ in examples()]
)
def test_an_example_of_a_check_gives_what_is_shown(
    check: Block, outcome: Block, tmp_path: Path
) -> None:
    on = grounds(INDIRECT_OBJECT if is_on_a_behaviour(check) else SARCASM)
    claim = read_check(check, tmp_path)
    evidence = replace(on[0], figures=read_figures(tmp_path / "claims.toml"))
    judgement = judge_claim(claim, evidence, on[1])
    assert outcome.text == f"{judgement.verdict}: {judgement.arithmetic}\n"


def test_every_claim_that_is_shown_can_be_read(tmp_path: Path) -> None:
    """Those of claims.md and verdicts.md; the tutorial's are run."""
    shown = [
        block
        for name in ("claims", "verdicts")
        for block in blocks(DOCS / f"{name}.md")
        if block.language == "toml"
    ]
    assert len(shown) > 15
    for block in shown:
        read_check(block, tmp_path)


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """A spec's keys, those of its tables with a dot; a shape and the results count as one."""
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel) and key != "shape":
            yield from keys_of(kind, f"{key}.")
        else:
            yield prefix + key


def test_the_keys_of_a_spec_are_those_that_there_are() -> None:
    (rows, *_) = tables(sections("evidence.md")["experiment.toml"])
    assert [key.strip("`") for key, _ in rows] == list(keys_of(Spec))


def test_the_thresholds_and_words_are_the_projects_own() -> None:
    words, thresholds = tables(
        (DOCS / "controls.md").read_text(encoding="utf-8").split("## The word")[1].split("\n## ")[0]
    )
    assert {
        name.strip("`"): (float(value), reason) for name, value, reason in thresholds
    } == THRESHOLDS._asdict()
    assert {word: verdict for word, _, verdict in words} == VERDICTS
    named = [name for _, when, _ in words for name in re.findall(r"`(\w+)`", when)]
    assert set(named) <= set(THRESHOLDS._fields)


def test_the_options_of_pytest_that_are_named_are_those_that_there_are() -> None:
    option = re.compile(r"--replication-[a-z]+")
    options = set(
        option.findall((ROOT / "pytest_circuit_replication.py").read_text(encoding="utf-8"))
    )
    pages = (README, *DOCUMENTS, ROOT / "action.yml")
    assert (
        set(option.findall("".join(path.read_text(encoding="utf-8") for path in pages))) <= options
    )
    listed = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert set(option.findall(listed)) == options


def test_the_commands_that_are_listed_are_those_that_there_are() -> None:
    (rows, *_) = tables((DOCS / "commands.md").read_text(encoding="utf-8"))
    listed = [re.match("`replication ([a-z-]+)", command) for command, _ in rows]
    assert {found[1] for found in listed if found} == set(get_command(app).commands)


def anchors(document: Path) -> set[str]:
    """The names by which a document's headings can be linked to, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def links_of(document: Path) -> list[str]:
    """Where a page's links lead, and where its pictures stand."""
    text = document.read_text(encoding="utf-8")
    return re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'\bsrc(?:set)?="([^"]+)"', text)


@pytest.mark.parametrize("document", PAGES, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    links = links_of(document)
    assert links
    for link in links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.is_relative_to(ROOT), link
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README


def test_the_index_leads_to_every_document() -> None:
    linked = re.findall(
        r"^- \[[^\]]+\]\((\w+\.md)\)", (DOCS / "README.md").read_text(encoding="utf-8"), re.M
    )
    assert sorted(["README.md", *linked]) == [path.name for path in DOCUMENTS]


def test_the_files_that_contributors_are_sent_to_are_there() -> None:
    text = CONTRIBUTING.read_text(encoding="utf-8")
    named = re.findall(r"`((?:docs|replication|tests|calibration)/[\w./-]*)`", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_a_citation_names_this_version() -> None:
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = (about["title"], about["version"], about["license"])
    assert found == (project["name"], project["version"], project["license"])


ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def test_the_inputs_and_outputs_of_the_action_are_those_that_there_are() -> None:
    inputs, outputs = tables((DOCS / "action.md").read_text(encoding="utf-8"))
    assert {name.strip("`"): default.strip("`") for name, default, _ in inputs} == {
        name: one["default"] for name, one in ACTION["inputs"].items()
    }
    assert [name.strip("`") for name, _ in outputs] == list(ACTION["outputs"])


def test_the_workflows_that_show_the_action_give_it_inputs_that_there_are() -> None:
    shown = [block for block in blocks(DOCS / "action.md") if block.language == "yaml"]
    assert len(shown) == 3
    for block in shown:
        workflow = yaml.safe_load(block.text)
        (job,) = workflow["jobs"].values()
        (gate,) = (one for one in job["steps"] if "OWNER/" in one.get("uses", ""))
        assert set(gate["with"]) <= set(ACTION["inputs"])
        assert set(re.findall(r"\.outputs\.(\w+)", block.text)) <= set(ACTION["outputs"])
        assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", ["tutorial", "private"])
def test_the_action_that_is_shown_takes_these_inputs(name: str) -> None:
    (block,) = (block for block in blocks(DOCS / f"{name}.md") if block.language == "yaml")
    (job,) = yaml.safe_load(block.text)["jobs"].values()
    given = job["steps"][-1]["with"]
    assert set(given) <= set(ACTION["inputs"])
    assert {"experiments", "live"} <= set(given)


def numbers(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.])\d+\.\d+(?![\w.])", text))


def prose(document: Path) -> str:
    """A document's text without its blocks, pieces of code and quoted verdicts."""
    text = re.sub(QUOTED, "", document.read_text(encoding="utf-8"))
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`]*`", "", text)


def figures(texts: Iterable[str]) -> Iterator[Fraction]:
    """The decimals in texts, and the ends of what their digits allow."""
    for number in numbers(" ".join(texts)):
        figure = printed(number)
        yield from (figure.low, figure.middle, figure.high)


# The ledger is generated, and held to what it is generated from; costs are held to a committed run,
# but for those of interventions, of which none is committed.
WRITTEN = [path for path in DOCUMENTS if path.name not in ("ledger.md", "costs.md")]
MEASURED = {"calibration": [DOCS / "sample" / name for name in ("calibration.md", "causes.md")]}
HELD_ROWS = ("calibration",)  # whose tables tests/calibration holds cell by cell


@pytest.mark.parametrize("document", WRITTEN, ids=name_of)
def test_a_decimal_in_the_prose_is_one_that_is_computed_or_published(document: Path) -> None:
    """One that stands in a fixture or a committed page of what was measured.

    Or in one of the document's blocks, there with more digits.
    """
    fixtures = (path for path in FIXTURES.rglob("*.*") if path.suffix in (".toml", ".json"))
    files = [*fixtures, *MEASURED.get(document.stem, [])]
    published = [path.read_text(encoding="utf-8") for path in files]
    shown = [block.text for block in blocks(document)]
    exact = set(figures([*published, *shown]))
    exact |= {Fraction(str(threshold.value)) for threshold in THRESHOLDS}
    text = prose(document)
    if document.stem in HELD_ROWS:
        text = re.sub(r"^\|.*\n", "", text, flags=re.M)
    for quoted in numbers(text):
        digits = len(quoted.partition(".")[2])
        rounded = {f"{float(one):.{digits}f}" for one in numbers(" ".join(shown))}
        assert Fraction(quoted) in exact or quoted in rounded, quoted


def test_a_decimal_of_the_readme_is_one_of_the_documents() -> None:
    shown = {number for path in DOCUMENTS for number in numbers(path.read_text(encoding="utf-8"))}
    assert numbers(prose(README)) <= shown
