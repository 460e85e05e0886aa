"""Draw the sample that the README shows, from the experiments as they stand: `make sample`.

Pictures as SVG, and the opening of the report page as a browser shows it, on light and dark paper.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from replication.controls.verify import THRESHOLDS, verification_json, verify
from replication.evidence.evidence import published_evidence, recorded_evidence
from replication.experiment.spec import read_experiment
from replication.report.figures import figures
from replication.report.pictures import pictures
from replication.report.pictures.theme import PALETTES
from replication.report.rows import compared, components

ROOT = Path(__file__).parent.parent
SAMPLE = Path(__file__).parent / "sample"


def sample_pictures() -> dict[str, pictures.Spec]:
    """The pictures of the sample, by name."""
    gpt2 = read_experiment(ROOT / "fixtures" / "sarcasm-gpt2")
    printed = published_evidence(gpt2)
    results = figures(gpt2, printed)["results"]
    original, replication = (components(results[name]) for name in ("original", "replication"))
    shape = results["original"]["shape"]
    words, rows = compared(("original", original), ("replication", replication))
    shares = next(v for v in verification_json(verify(printed)) if v["result"] == "replication")

    minilm = read_experiment(ROOT / "fixtures" / "sarcasm-minilm")
    recorded = recorded_evidence(minilm, published_evidence(minilm))
    verified = verification_json(verify(recorded))[0]
    measured = components(figures(minilm, recorded)["results"]["minilm"], verified["components"])
    return {
        "circuit": pictures.circuit(original, shape),
        "comparison": pictures.comparison(words, rows, shape, "original", "replication"),
        "length": pictures.length_shares(
            [one for one in shares["components"] if one["length_share"] and one["selected"]],
            THRESHOLDS["artefact_share"].value,
        ),
        "heads": pictures.head_scores(measured, verified["stability"]["near_cut"]),
    }


def main(page: Path) -> None:
    """Write the sample; `page` is the report page of a run."""
    for name, spec in sample_pictures().items():
        for look in PALETTES:
            (SAMPLE / f"{name}-{look}.svg").write_text(
                pictures.svg(spec, look=look), encoding="utf-8"
            )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for look in ("light", "dark"):
            tab = browser.new_page(viewport={"width": 1180, "height": 880}, color_scheme=look)
            tab.goto(page.resolve().as_uri())
            tab.screenshot(path=SAMPLE / f"page-{look}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
