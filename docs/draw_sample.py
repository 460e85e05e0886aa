"""Draw the sample that the README shows, from the experiments as they stand: `make sample`.

Pictures as SVG, the run that the README shows, and the opening of the report page as a browser
shows it, on light and dark paper.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from docs.draw_run import drawn, run
from replication.controls.thresholds import THRESHOLDS
from replication.controls.verify import verify
from replication.evidence.evidence import published_evidence, recorded_evidence
from replication.experiment.spec import read_experiment
from replication.report.causal_handover import causal_records
from replication.report.causal_record import CausalRecord
from replication.report.handover import controls_records, figures
from replication.report.pictures.controls import length_shares
from replication.report.pictures.effects import differs_and_matters
from replication.report.pictures.grids import circuit, comparison
from replication.report.pictures.marks import Spec
from replication.report.pictures.scores import head_scores
from replication.report.pictures.svg import svg
from replication.report.pictures.theme import PALETTES
from replication.report.rows import compared, components

ROOT = Path(__file__).parent.parent
SAMPLE = Path(__file__).parent / "sample"


def sample_pictures() -> dict[str, Spec]:
    """The pictures of the sample, by name."""
    gpt2 = read_experiment(ROOT / "fixtures" / "sarcasm-gpt2")
    printed = published_evidence(gpt2)
    results = figures(gpt2, printed).results
    original, replication = (components(results[name]) for name in ("original", "replication"))
    shape = results["original"].shape
    of_printed = controls_records(verify(printed), printed)
    explained = next(one for one in of_printed if one.result == "replication")

    minilm = read_experiment(ROOT / "fixtures" / "sarcasm-minilm")
    recorded = recorded_evidence(minilm, published_evidence(minilm))
    (controls,) = controls_records(verify(recorded), recorded)
    measured = components(figures(minilm, recorded).results["minilm"], controls.components)
    return {
        "matters": _matters(ROOT / "fixtures" / "ioi-smollm2"),
        "circuit": circuit(original, shape),
        "comparison": comparison(compared("original", original, "replication", replication), shape),
        "length": length_shares(
            [one for one in explained.components if one.selected],
            THRESHOLDS.artefact_share.value,
        ),
        "heads": head_scores(measured, controls.stability.near_cut if controls.stability else []),
    }


def _matters(folder: Path) -> Spec:
    """What differs against what matters, in an experiment of one behaviour."""
    experiment = read_experiment(folder)
    recorded = recorded_evidence(experiment, published_evidence(experiment))
    records = causal_records([], recorded, verify(recorded))
    assert records is not None
    (found,) = records.behaviours
    assert isinstance(found, CausalRecord)
    return differs_and_matters(found)


def main(page: Path) -> None:
    """Write the sample; `page` is the report page of a run."""
    for name, spec in sample_pictures().items():
        for look in PALETTES:
            (SAMPLE / f"{name}-{look}.svg").write_text(svg(spec, look=look), encoding="utf-8")
    lines = run()
    for look in PALETTES:
        (SAMPLE / f"run-{look}.svg").write_text(drawn(lines, look), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for look in ("light", "dark"):
            tab = browser.new_page(viewport={"width": 1180, "height": 1350}, color_scheme=look)
            tab.goto(page.resolve().as_uri())
            tab.wait_for_function("document.documentElement.dataset.pictures === 'drawn'")
            tab.screenshot(path=SAMPLE / f"page-{look}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
