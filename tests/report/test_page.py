"""The report page, in a real browser: opened from disk, offline, as its readers have it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from replication.evidence.evidence import Kind as EvidenceKind
from replication.inputs.visible import visible
from replication.report.made import Made
from replication.report.page import page as page_module
from replication.report.page.causal import doings, turning
from replication.report.page.gallery import views
from replication.report.page.own_measurements import benchmarks, calibration
from replication.report.page.page import page
from replication.report.pictures import theme
from replication.report.record import Figures, Handover, ResultFigures
from replication.report.text import claims_markdown
from tests.make import copied, quick_experiments
from tests.paths import ROOT
from tests.report.causal import claim, evidence_with, report_on
from tests.report.test_answers import record_of, report_of
from tests.report.test_pictures import figures

DRAWN = "document.documentElement.dataset.pictures === 'drawn'"
MUTED = {scheme: colours["muted"] for scheme, colours in theme.PALETTES.items()}
PROMPTS = [
    "<script>window.pwned = 1</script>",
    "</script><img src=x onerror='window.pwned = 1'>",
    "<!--<script> ' \" & {{ 7 * 7 }} {% raw %}",
    "one\u2028two\u2029three\n\x1b[31m\u202efour\u202c",
    "javascript:window.pwned=1 <svg onload=alert(1)>",
]
CALIBRATION = {
    "models": 200,
    "rows": [
        {
            "pairs": pairs,
            "scenario": scenario,
            "word": word,
            "rate": rate,
            "low": rate - 0.02,
            "high": rate + 0.02,
            "n": 200,
        }
        for scenario, right in (("property", "specific"), ("<b>length</b>", "artefact"))
        for pairs, share in ((5, 0.4), (20, 0.8), (80, 0.96))
        for word, rate in ((right, share), ("not shown", 1 - share))
    ],
    "targets": [{"name": "specific found", "target": "at least 0.95", "met_from_pairs": 80}],
}
RATIOS = {"capture / bare forward, 5 pairs": 1.4, "notebook / capture, 5 pairs": 5.05}
HISTORY = [
    {"date": "2026-11-20", "commit": "0123456789abcdef", "ratios": RATIOS},
    {"date": "2026-11-22", "commit": "fedcba9876543210", "ratios": {**RATIOS, "new": 2.0}},
]


def judge(reports: Path, experiments: Path, *arguments: str) -> None:
    """Write the reports on these experiments, as `pytest replication/` does."""
    command = [sys.executable, "-m", "pytest", "--pyargs", "replication.test_claims", "-q"]
    places = ["--replication-experiments", str(experiments), "--replication-reports", str(reports)]
    result = subprocess.run(
        [*command, *places, *arguments], cwd=reports.parent, capture_output=True, encoding="utf-8"
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports on the experiments as they stand, with all that may lie beside them."""
    folder = tmp_path_factory.mktemp("run") / "reports"
    (folder / "benchmarks").mkdir(parents=True)
    for name, content in (
        ("calibration.json", CALIBRATION),
        ("benchmarks/ratios.json", RATIOS),
        ("benchmarks/history.json", HISTORY),
    ):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    judge(folder, quick_experiments(folder.parent / "experiments"))
    return folder


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports on an experiment whose every text would run, if it were not shown as text."""
    folder = tmp_path_factory.mktemp("hostile")
    experiment = folder / "experiments" / "sarcasm-gpt2"
    copied(ROOT / "fixtures" / "sarcasm-gpt2", experiment)
    pairs = [{"sarcastic": prompt, "literal": prompt[::-1]} for prompt in PROMPTS]
    (experiment / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)), encoding="utf-8")
    for file, old in (
        ("claims.toml", "The ratio of m2 to m11 is 1.41."),
        ("claims.toml", "Report of the replication, 2025-11-13"),
        ("claims.toml", 'made_by = "replication"'),
        ("experiment.toml", "Sarcasm circuit in GPT-2 small, and its published replication"),
        ("experiment.toml", "The published sarcasm circuit in GPT-2 small, run of 2025-11-10"),
    ):
        text = (experiment / file).read_text(encoding="utf-8")
        assert old in text
        new = old.replace('"replication"', f"'''{PROMPTS[1]}'''")
        if new == old:
            new = PROMPTS[0]
        (experiment / file).write_text(text.replace(old, new), encoding="utf-8")
    (folder / "reports").mkdir()
    (folder / "reports" / "calibration.json").write_text(
        '{"models": "<img src=x onerror=pwn()>"}', encoding="utf-8"
    )
    judge(folder / "reports", experiment.parent)
    return folder / "reports"


@pytest.fixture(scope="session")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on an experiment of forty claims, with controls, and with two behaviours."""
    folder = tmp_path_factory.mktemp("forty")
    experiment = folder / "experiments" / "sarcasm-smollm2"
    copied(ROOT / "fixtures" / "sarcasm-smollm2", experiment)
    claims = experiment / "claims.toml"
    head, *blocks = re.split(r"(?m)^(?=\[\[claim\]\])", claims.read_text(encoding="utf-8"))
    again = (block.replace('id = "', f'id = "{letter}', 1) for letter in "ABCD" for block in blocks)
    claims.write_text("".join([head, *islice(again, 40)]), encoding="utf-8")
    judge(folder / "reports", experiment.parent)
    return folder / "reports" / "index.html"


@contextmanager
def opening(browser: Browser, path: Path, fragment: str = "", **settings: Any) -> Iterator[Page]:
    """A page opened from disk; a request, console message, error or dialog fails the test."""
    faults: list[str] = []
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
    found = context.new_page()
    found.on("console", lambda message: faults.append(f"console: {message.text}"))
    found.on("pageerror", lambda error: faults.append(f"error: {error}"))
    found.on("dialog", lambda dialog: (faults.append("a dialog"), dialog.dismiss()))
    allowed = (path.as_uri(), "data:", "blob:")
    found.on(
        "request",
        lambda request: request.url.startswith(allowed) or faults.append(f"asks {request.url}"),
    )
    found.goto(path.as_uri() + fragment)
    found.wait_for_function(DRAWN, timeout=60_000)
    yield found
    context.close()
    assert faults == []


@pytest.fixture(scope="module")
def opened(browser: Browser, reports: Path) -> Iterator[Page]:
    """The page on the experiments as they stand."""
    with opening(browser, reports / "index.html") as found:
        yield found


@pytest.fixture
def shown(opened: Page) -> Page:
    """The page as it is when it opens: nothing filtered, everything closed."""
    opened.evaluate(
        "document.querySelectorAll('form').forEach(form => {"
        " form.reset(); form.dispatchEvent(new Event('change')) });"
        "document.querySelectorAll('details').forEach(one => { one.open = false })"
    )
    return opened


@pytest.fixture(scope="module")
def hostile_page(browser: Browser, hostile: Path) -> Iterator[Page]:
    """The page on the experiment that is made of markup."""
    with opening(browser, hostile / "index.html") as found:
        yield found


def open_all(found: Page) -> None:
    """Open everything that can be opened but the menus of the pictures."""
    found.evaluate(
        "document.querySelectorAll('details').forEach("
        "one => { one.open = !one.closest('.drawing') })"
    )


def test_the_page_is_one_file_that_asks_for_nothing(reports: Path) -> None:
    text = (reports / "index.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 6_000_000
    html = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"(src|href)=(?!\"(#|(ledger\.html|claims\.json)\"))", html)
    assert "@import" not in html
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_it_opens_with_the_answer_and_the_counts_behind_it(shown: Page) -> None:
    overview = shown.locator("#answer tbody tr").all_inner_texts()
    assert [row.split("\t")[0] for row in overview] == ["sarcasm-gpt2", "sarcasm-minilm"]
    answers = shown.locator(".experiment")
    assert answers.count() == 2
    lines = answers.nth(0).locator(".line")
    questions = [
        "Does it add up?",
        "Does it replicate?",
        "Does it mean what it says?",
        "Does it do anything?",
    ]
    assert [q in lines.nth(i).inner_text() for i, q in enumerate(questions)] == [True] * 4
    said = ["Not entirely.", "Not run.", "Not shown.", "Not asked."]
    assert lines.locator(".said").all_inner_texts() == said
    assert "The experiment states no behaviour." in lines.nth(3).inner_text()
    assert "21 hold" in lines.nth(0).inner_text()
    assert "4 refuted" in lines.nth(0).inner_text()
    assert "Live evidence: not run; --replication-live runs the model." in lines.nth(1).inner_text()
    assert "recorded.safetensors is missing" in lines.nth(1).inner_text()
    assert "1 undecided" in lines.nth(2).inner_text()
    minilm = answers.nth(1).locator(".line")
    assert minilm.locator(".said").all_inner_texts() == [
        "Nothing to add up.",
        "Nothing published to compare with.",
        "Not shown.",
        "Not asked.",
    ]
    assert "14 hold" in minilm.nth(1).inner_text()


def test_the_claims_are_filtered_by_keyboard_and_the_counts_follow(shown: Page) -> None:
    form = shown.locator("#sarcasm-gpt2 .filters")
    claims = shown.locator("#sarcasm-gpt2 .claim:visible")
    assert claims.count() == 38
    assert form.get_by_role("status").inner_text() == "All 38 claims"

    refuted = form.get_by_role("checkbox", name=re.compile("refuted"))
    refuted.focus()
    shown.keyboard.press("Space")
    assert form.get_by_role("status").inner_text() == "4 of 38 claims"
    assert claims.locator(".id").all_inner_texts() == ["R22", "O5", "D1", "D2"]
    assert form.get_by_role("checkbox", name="comparison report 2").count() == 1
    assert form.get_by_role("checkbox", name=re.compile(r"hold\s*21")).count() == 1

    form.get_by_role("checkbox", name=re.compile("comparison")).press("Space")
    assert claims.locator(".id").all_inner_texts() == ["D1", "D2"]
    refuted.press("Space")
    form.get_by_role("checkbox", name=re.compile("^recorded")).press("Space")
    assert form.get_by_role("status").inner_text() == "5 of 38 claims"
    assert set(claims.locator(".judged:visible .on").all_inner_texts()) == {"recorded"}


def test_a_claim_opens_by_keyboard_with_expected_measured_tolerance_and_source(shown: Page) -> None:
    claim = shown.locator("#sarcasm-gpt2 .claim", has_text="The ratio of m2 to m11 is 1.41.")
    claim.locator("summary").focus()
    shown.keyboard.press("Enter")
    inside = claim.locator(".inside").inner_text()
    assert "Source: Report of the replication, 2025-11-13." in inside
    row = claim.locator("tbody tr").first.locator("th, td").all_inner_texts()
    assert row[0:2] == ["ratio", "1.41"]
    assert row[2].startswith("1.41")
    assert row[3] == "the printed digits"
    assert "holds" in row[4]
    assert "The published replication of that circuit, run of 2025-11-13" in inside


def cells(found: Page, title: str, place: int = 0) -> list[str]:
    """What the marks of a picture say to a screen reader."""
    figure = found.locator("figure").filter(has=found.locator("h4", has_text=title)).nth(place)
    return figure.evaluate(
        "f => [...f.querySelectorAll('[role=graphics-symbol][aria-label]')]"
        ".map(mark => mark.getAttribute('aria-label'))"
        ".filter(text => /^(input|[am]\\d)/.test(text))"
    )


def test_the_circuit_has_a_cell_for_each_component_and_says_what_it_knows(shown: Page) -> None:
    original = cells(shown, "The circuit", 0)
    assert len(original) == 1 + 12 + 144
    assert sum(text.endswith("circuit in the circuit") for text in original) == 54
    assert (
        "m2: score 32.4653, rank 1 of 12 MLPs, interval not computed,"
        " distance +25.4653, circuit in the circuit" in original
    )
    minilm = cells(shown, "The circuit", 2)
    assert len(minilm) == 1 + 6 + 72
    best = next(text for text in minilm if text.startswith("m5:"))
    assert re.search(r"interval 2\.\d+ to 4\.\d+, distance \+1\.17495", best)


def test_two_circuits_stand_on_one_grid(shown: Page) -> None:
    states = [text.split(": ")[1].split(";")[0] for text in cells(shown, "Both circuits")]
    assert {state: states.count(state) for state in states} == {
        "in both": 51,
        "only in original": 3,
        "only in replication": 3,
        "in neither": 100,
    }
    shapes = shown.locator("figure").filter(has_text="Both circuits on one grid")
    paths = shapes.evaluate(
        "f => [...f.querySelectorAll('[aria-label]')]"
        ".map(m => [m.getAttribute('aria-label').match(/: (in|only in) \\w+/)?.[0],"
        " m.getAttribute('d')]).filter(([state, d]) => state && d)"
    )
    assert len({d for _, d in paths}) == 4, "each state has a shape of its own"


def test_hovering_shows_score_rank_interval_and_distance(shown: Page) -> None:
    shown.locator("#sarcasm-minilm [aria-label^='a3.h11:']").first.hover()
    text = shown.locator("#vg-tooltip-element").inner_text()
    for word in ("score", "rank", "18 of 72 heads", "interval", "distance", "the circuit"):
        assert word in text


@pytest.mark.parametrize(("kind", "start"), [("SVG", b"<svg"), ("PNG", b"\x89PNG")])
def test_a_picture_can_be_saved(shown: Page, kind: str, start: bytes) -> None:
    figure = shown.locator("figure").filter(has_text="Both circuits on one grid")
    figure.locator("summary").press("Enter")
    with shown.expect_download() as download:
        figure.get_by_role("link", name=f"Save as {kind}").click()
    saved = download.value
    name = f"Both-circuits-on-one-grid-original-against-replication.{kind.lower()}"
    assert saved.suggested_filename == name
    assert Path(saved.path()).read_bytes().startswith(start)


def test_what_was_run_elsewhere_is_shown(shown: Page) -> None:
    calibration = shown.locator("#calibration")
    calibration.locator("summary").first.press("Enter")
    assert "on 200 models" in calibration.inner_text()
    assert "<b>length</b>" in calibration.locator("svg").nth(1).text_content()
    assert "80 pairs" in calibration.inner_text()
    benchmarks = shown.locator("#benchmarks")
    assert benchmarks.locator("figure").count() == 2
    assert benchmarks.locator(".drawing svg").count() == 1 + 3
    assert "make bench" not in benchmarks.inner_text()


def test_what_was_not_run_is_said_with_its_command(hostile_page: Page) -> None:
    found = hostile_page
    benchmarks = found.locator("#benchmarks").inner_text()
    assert benchmarks.count("not run here: make bench") == 2
    assert "Not shown:" in found.locator("#calibration").inner_text()
    assert "<img src=x onerror=pwn()>" not in found.locator("#calibration").inner_html()


def test_what_comes_from_a_file_shows_as_text_and_runs_nothing(hostile_page: Page) -> None:
    found = hostile_page
    open_all(found)
    assert found.evaluate("window.pwned") is None
    prompts = found.locator("table.prompts tbody td:nth-of-type(odd)").all_text_contents()
    sides = (side for prompt in PROMPTS for side in (prompt, prompt[::-1]))
    assert prompts == [visible(side) for side in sides]
    assert found.locator("#sarcasm-gpt2 h2").text_content().strip().endswith(PROMPTS[0])
    assert found.locator(".statement", has_text=PROMPTS[0]).count() == 1
    assert found.locator("img, iframe, object, embed").count() == 0
    assert found.locator("script").count() == 3
    found.get_by_role("checkbox", name=PROMPTS[1]).press("Space")
    assert found.get_by_role("status").inner_text() == "23 of 38 claims"


@pytest.mark.parametrize("width", [1400, 390])
def test_forty_claims_are_read_in_ten_screens(forty: Path, browser: Browser, width: int) -> None:
    screen = {"width": width, "height": 900}
    with opening(browser, forty, viewport=screen) as found:
        assert found.locator(".claim").count() == 40
        assert found.locator(".line > .picture svg").count() == 3
        height = found.evaluate("document.documentElement.scrollHeight")
    assert height <= 10 * screen["height"]


def test_what_is_folded_away_is_drawn_as_wide_as_its_place(forty: Path, browser: Browser) -> None:
    with opening(browser, forty) as found:
        fold = found.locator(".fold", has_text="Scores of the heads").first
        fold.locator("> summary").press("Enter")
        picture = fold.locator("figure", has_text="Scores of the heads")
        place, drawn = (
            picture.locator(thing).first.evaluate("one => one.getBoundingClientRect().width")
            for thing in (".drawing", ".drawing svg")
        )
        assert place > 300
        assert abs(place - drawn) < 2


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no script"])
def test_the_address_of_a_claim_opens_it(
    reports: Path, browser: Browser, *, has_script: bool
) -> None:
    context = browser.new_context(java_script_enabled=has_script)
    found = context.new_page()
    found.goto((reports / "index.html").as_uri() + "#sarcasm-gpt2-O5")
    claim = found.locator(".claim", has=found.locator("#sarcasm-gpt2-O5"))
    expect(claim.locator(".inside")).to_be_in_viewport()
    expect(claim.locator(".statement")).to_be_in_viewport()
    context.close()


def test_filters_stand_in_the_address_and_come_back_with_it(
    reports: Path, browser: Browser
) -> None:
    with opening(browser, reports / "index.html") as found:
        gpt2 = found.locator("#sarcasm-gpt2")
        gpt2.get_by_role("checkbox", name=re.compile("refuted")).press("Space")
        gpt2.get_by_role("checkbox", name=re.compile("comparison")).press("Space")
        address = found.url
        assert address.endswith("#in=sarcasm-gpt2&verdict=refuted&made+by=comparison+report")
        assert gpt2.get_by_role("status").inner_text() == "2 of 38 claims"
        found.go_back()
        assert gpt2.get_by_role("status").inner_text() == "4 of 38 claims"
        found.locator("a[href='#sarcasm-gpt2-R2']").first.evaluate("one => one.click()")
        assert gpt2.get_by_role("status").inner_text() == "All 38 claims"
        assert gpt2.locator("#sarcasm-gpt2-R2").is_visible()
        found.go_back()
        assert gpt2.get_by_role("status").inner_text() == "4 of 38 claims"
    with opening(browser, reports / "index.html", "#" + address.split("#")[1]) as shared:
        shown = shared.locator("#sarcasm-gpt2")
        assert shown.get_by_role("status").inner_text() == "2 of 38 claims"
        assert shared.locator("#sarcasm-minilm [role=status]").inner_text() == "All 16 claims"
        assert shown.locator(".claim:visible .id").all_inner_texts() == ["D1", "D2"]
        expect(shown.locator(".filters")).to_be_in_viewport()
    with opening(browser, reports / "index.html", "#verdict=refuted") as every:
        assert every.locator("#sarcasm-gpt2 [role=status]").inner_text() == "4 of 38 claims"


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no script"])
def test_on_paper_everything_is_open(reports: Path, browser: Browser, *, has_script: bool) -> None:
    context = browser.new_context(java_script_enabled=has_script)
    found = context.new_page()
    found.goto((reports / "index.html").as_uri())
    folded = found.locator("#sarcasm-gpt2-O5, .provenance .facts, .fold .notes p")
    assert not any(one.is_visible() for one in folded.all())
    found.emulate_media(media="print")
    if has_script:
        found.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert all(one.is_visible() for one in folded.all())
    if has_script:
        found.evaluate("dispatchEvent(new Event('afterprint'))")
        found.emulate_media(media="screen")
        assert not any(one.is_visible() for one in folded.all())
    context.close()


PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_it_fits_the_screen_and_follows_the_colour_scheme(
    reports: Path, browser: Browser, scheme: Any, device: dict[str, Any]
) -> None:
    with opening(browser, reports / "index.html", color_scheme=scheme, **device) as found:
        open_all(found)
        width, screen = found.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width <= screen
        ends = found.locator(".drawing svg").evaluate_all(
            "all => all.map(svg => svg.getBoundingClientRect().right)"
        )
        assert max(ends) <= screen
        paper = {"light": "rgb(252, 251, 247)", "dark": "rgb(25, 24, 22)"}[scheme]
        assert found.evaluate("getComputedStyle(document.body).backgroundColor") == paper
        assert found.locator(f"svg text[fill='{MUTED[scheme]}']").count() > 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_in_it_shuts_a_reader_out(shown: Page, scheme: Any) -> None:
    """Contrast, names, roles, order, as axe-core checks them, where one of each thing is open."""
    shown.emulate_media(color_scheme=scheme)
    shown.wait_for_function(
        f"{DRAWN} && document.querySelector(\"svg text[fill='{MUTED[scheme]}']\")", timeout=60_000
    )
    for form in shown.locator(".filters").all():
        form.get_by_role("checkbox", name=re.compile("undecided")).press("Space")
    for thing in (".claim:not([hidden]) details", ".provenance", ".provenance details"):
        shown.locator(thing).first.evaluate("one => { one.open = true }")
    assert violations(shown) == []


def violations(shown: Page) -> list[tuple[str, list[str]]]:
    """What axe-core finds at fault."""
    axe = resources.files("axe_playwright_python") / "axe.min.js"
    shown.evaluate(axe.read_text(encoding="utf-8"))  # the package reads it as the locale says
    found = shown.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


def test_landmarks_captions_and_descriptions_are_there(shown: Page) -> None:
    for role in ("banner", "navigation", "main"):
        assert shown.get_by_role(role).count() == 1
    drawn = shown.locator("[role=graphics-document]")
    assert drawn.count() == shown.locator("[data-picture]").count()
    assert min(drawn.evaluate_all("all => all.map(one => one.ariaLabel.length)")) > 20
    assert shown.locator("main table:not(:has(caption))").count() == 0


def test_the_pictures_are_drawn_anew_when_the_colour_scheme_changes(
    reports: Path, browser: Browser
) -> None:
    light, dark = MUTED["light"], MUTED["dark"]
    with opening(browser, reports / "index.html", color_scheme="light") as found:
        assert found.locator(f"svg text[fill='{light}']").count() > 100
        found.emulate_media(color_scheme="dark")
        found.wait_for_function(
            f"{DRAWN} && !document.querySelector(\"svg text[fill='{light}']\")", timeout=60_000
        )
        assert found.locator(f"svg text[fill='{dark}']").count() > 100


def test_worker_processes_give_the_same_pictures(reports: Path, tmp_path: Path) -> None:
    judge(tmp_path / "reports", quick_experiments(tmp_path / "experiments"), "-n", "2")

    def specs(folder: Path) -> Any:
        text = (folder / "index.html").read_text(encoding="utf-8")
        data = re.search(r'<script type="application/json" id="drawn">(.*?)</script>', text)
        assert data
        return [spec["description"] for spec in json.loads(data[1])["specs"]]

    elsewhere = 2 + 1 + 3  # the calibration's and the benchmarks' pictures
    assert specs(tmp_path / "reports") == specs(reports)[:-elsewhere]


def test_the_drawing_library_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(page_module, "_bundle", lambda: made.append(1) or "(() => {})();")
    first, second = (page_module.drawing_library(tmp_path / "cache") for _ in range(2))
    assert first == second == "(() => {})();"
    assert made == [1]
    (tmp_path / "file").touch()
    assert page_module.drawing_library(tmp_path / "file") == first
    assert len(made) > 1


def test_a_verdict_that_was_not_expected_stands_at_the_top(tmp_path: Path) -> None:
    report = report_of("live", ("holds", "refuted"))
    unexpected = report.records[1].model_copy(update={"as_expected": False})
    report.take(Handover(judgement=unexpected))
    text = page([report], "pytest", tmp_path, "")
    said = '1 of 38 claims does not come out as expected: <a href="#gpt2-R2">R2</a>'
    assert said in text
    listed = re.findall('<div class="inside" id="([^"]+)"', text)
    assert (listed[0], len(listed)) == ("gpt2-R2", 38)


LABELS = """() => [...document.querySelectorAll(".claim .judged > *")].map(one => {
    const { left, right, top, bottom } = one.getBoundingClientRect();
    return [left, Math.max(right, left + one.scrollWidth), top, bottom];
})"""


@pytest.mark.parametrize("width", [1400, 390])
def test_no_label_of_a_verdict_covers_another(browser: Browser, tmp_path: Path, width: int) -> None:
    report = report_of("published", ("refuted", "holds"))
    report.found |= report_of("recorded", ("refuted", "missing")).found
    for case, handed in report.found.items():
        unexpected = handed.judgement.model_copy(update={"as_expected": False})
        report.found[case] = handed.model_copy(update={"judgement": unexpected})
    path = tmp_path / "index.html"
    path.write_text(page([report], "pytest", tmp_path, ""), encoding="utf-8")
    with opening(browser, path, viewport={"width": width, "height": 900}) as found:
        labels = found.evaluate(LABELS)
    assert len(labels) >= 8
    for (left, right, top, bottom), other in combinations(labels, 2):
        apart = right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top
        assert apart, (left, right, top, bottom, other)


def test_refuted_statements_stand_first_and_each_count_leads_to_its_claims(tmp_path: Path) -> None:
    report = report_of("published", ("holds", "undecided", "refuted", "holds"))
    names = [claim.id for claim in report.claims]
    text = page([report], "pytest", tmp_path, "")
    assert f'1 of 38 statements is refuted: <a href="#gpt2-{names[2]}">' in text
    listed = re.findall('<div class="inside" id="([^"]+)"', text)
    assert listed[:3] == [f"gpt2-{names[place]}" for place in (2, 0, 1)]
    counts = re.findall('<details class="counted">(.*?)</details>', text, re.DOTALL)
    (holding,) = (one for one in counts if "2 hold" in one)
    linked = [names[place] for place in (0, 3)]
    assert re.findall('href="#gpt2-([^"]+)"', holding) == linked


def test_the_page_says_when_and_from_what_it_was_made(tmp_path: Path) -> None:
    report = report_of("published", ("holds",))
    made = Made("pytest `x`", "2026-11-30", "0123abcd")
    text = page([report], made.command, tmp_path, "", made)
    assert "Made on 2026-11-30 from commit 0123abcd of the experiments" in text
    assert '<a href="claims.json">' in text
    text = claims_markdown([report], made)
    assert "Made on 2026-11-30 from commit 0123abcd of the experiments" in text
    assert r"by pytest \`x\`; for programs: [claims.json](claims.json)." in text
    assert "commit" not in claims_markdown([report], Made("pytest", "2026-11-30"))


def test_what_stands_at_the_top_is_read_at_a_glance_whatever_the_names(tmp_path: Path) -> None:
    report = report_of("live", ("refuted",) * 40)
    report.name, report.cases = "x" * 255, [("R1", "recorded")]
    report.left_out = [f"{letter * 200}" for letter in "abcdef"]
    for record in report.records:
        report.take(Handover(judgement=record.model_copy(update={"as_expected": False})))
    text = page([report], "pytest", tmp_path, "")
    (partial,) = re.findall('role="note"><strong>([^<]+)<', text)
    (unexpected,) = re.findall('<li class="unexpected">(.+)</li>', text)
    unexpected = re.sub("<[^>]+>", "", unexpected)
    assert partial.startswith("Partial: of the judgements ")
    assert partial.endswith(" more.")
    assert unexpected.startswith("37 of 38 claims do not come out as expected: R1, ")
    assert unexpected.endswith(" and 29 more")
    assert max(map(len, (partial, unexpected))) <= 300


def test_a_page_without_any_record_says_so(tmp_path: Path) -> None:
    assert "Not run here" in page([], "pytest", tmp_path, "")


def test_published_circuits_are_compared_before_measured_ones_and_only_on_one_grid() -> None:
    report = report_of()
    larger = figures(shape={"n_layers": 3, "n_heads": 3, "d_model": 8, "d_head": 2})
    known: dict[EvidenceKind, dict[str, ResultFigures]] = {
        "published": {"first": figures(), "second": figures(), "larger": larger},
        "recorded": {"measured": figures()},
    }
    for kind, results in known.items():
        drawn = Figures(evidence=kind, sides=("a", "b"), pairs=[], results=results)
        report.take(Handover(judgement=record_of("R1", kind, "holds"), figures=drawn))
    assert [view.title for view in views(report)] == [
        "first against measured (recorded)",
        "second against measured (recorded)",
        "first against second",
        "measured, recorded",
        "first, published",
        "second, published",
        "larger, published",
    ]


def test_the_table_of_a_result_has_a_column_for_each_control_that_was_computed() -> None:
    report = report_of(words=("specific",))
    (controls,) = report.controls
    (one, *others) = controls.components
    known = {
        "components": [one.model_copy(update={"length_share": (0.1, 0.25)}), *others],
        "not_computed": dict.fromkeys(("stability", "null", "length"), "it is a test"),
    }
    results = {"replication": figures()}
    report.take(
        Handover(
            judgement=record_of("O9", "live", "undecided"),
            controls=[controls.model_copy(update=known)],
            figures=Figures(evidence="live", sides=("a", "b"), pairs=[], results=results),
        )
    )
    scores, _ = views(report)
    ((_, rows),) = scores.folded
    assert rows.head[6:] == ["explained by length", "word", "reason"]
    cells = {line[0]: line[6:] for line in rows.body}
    assert cells["m0"][:2] == ["10 to 25%", "specific"]
    assert cells["a0.h0"] == ["–", "–", "–"]


@pytest.mark.numeric
def test_a_behaviour_has_pictures_sentences_and_tables(tmp_path: Path) -> None:
    evidence = evidence_with()
    kept = claim("F1", evidence, kind="faithfulness", circuit="mine", at_least="80")
    report = report_on(evidence, kept)
    shown, unshown = doings(report)
    assert (shown.about, shown.title) == ("does", "prefers, recorded")
    assert [picture.title for picture in shown.pictures] == [
        "What differs, and what matters",
        "What is kept, by size",
        "What goes with each component",
        "Every cell, ratio of means",
        "Every cell, mean of ratios",
    ]
    assert [row[0] for row in shown.tables[0].body] == ["mine", "attribution"]
    every, cells, sets = (content for _, content in shown.folded)
    assert [len(content.body) for content in (every, cells, sets)] == [13, 24, 2]
    for content in (every, cells, sets):
        assert {len(row) for row in content.body} == {len(content.head)}
    assert (unshown.pictures, unshown.tables) == ([], ())
    turns = turning(report)
    assert turns is not None
    assert turns.body[0][:3] == ["F1", "holds", "2 of 12 cells"]
    text = page([report], "pytest", tmp_path, "")
    assert text.count("<h4>What differs, and what matters: prefers, recorded</h4>") == 1


def test_what_a_behaviour_shows_is_drawn_and_shuts_no_reader_out(
    browser: Browser, tmp_path: Path
) -> None:
    evidence = evidence_with()
    kept = claim("F1", evidence, kind="faithfulness", circuit="mine", at_least="80")
    text = page(
        [report_on(evidence, kept)],
        "pytest",
        tmp_path,
        page_module.drawing_library(tmp_path / "cache"),
    )
    (tmp_path / "index.html").write_text(text, encoding="utf-8")
    with opening(browser, tmp_path / "index.html") as found:
        line = found.locator(".line").filter(has_text="Does it do anything?")
        assert line.locator(".drawing svg").count() == 3 + 2 + 2
        open_all(found)
        assert violations(found) == []


def test_a_calibration_is_shown_or_why_not(tmp_path: Path) -> None:
    absent = calibration(tmp_path)
    assert (absent.is_there, absent.fault) == (False, None)
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(CALIBRATION), encoding="utf-8")
    (picture,) = calibration(tmp_path).pictures
    assert [spec["title"] for spec in picture.specs] == ["property", "<b>length</b>"]
    path.write_text('{"models": "many", "rows": []}', encoding="utf-8")
    faulty = calibration(tmp_path)
    assert not faulty.is_there
    assert faulty.fault
    assert faulty.fault.startswith(f"{path}: models: ")


def test_benchmarks_are_shown_as_far_as_their_files_can_be_read(tmp_path: Path) -> None:
    absent = benchmarks(tmp_path)
    assert (absent.faults, absent.pictures, absent.ratios, absent.has_history) == (
        [],
        [],
        None,
        False,
    )
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "ratios.json").write_text('{"a / b": -1}', encoding="utf-8")
    (tmp_path / "benchmarks" / "history.json").write_text(json.dumps(HISTORY), encoding="utf-8")
    found = benchmarks(tmp_path)
    assert [picture.title for picture in found.pictures] == ["Their history"]
    assert [spec["title"] for spec in found.pictures[0].specs] == [*RATIOS, "new"]
    assert len(found.faults) == 1
    assert "a / b" in found.faults[0]
