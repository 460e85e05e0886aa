"""Figures that a claim names are shown with where they are printed."""

from __future__ import annotations

from html import unescape

from replication.report.data import claims_json
from replication.report.page.page import page
from replication.session import Options, Session
from tests.paths import FIXTURES, ROOT

PAPER = "Wang et al. 2022 (arXiv 2211.00593)"


def test_named_figures_are_shown_by_where_they_are_printed() -> None:
    session = Session(Options(FIXTURES, ROOT, names=["ioi-wang-2022"]))
    (case,) = (one for one in session.cases() if one.claim.id == "W5")
    session.collect(session.judge(case).handover)
    report = session.reports["ioi-wang-2022"]
    claims = claims_json([report], "pytest")["experiments"][0]["claims"]
    (judged,) = (one for claim in claims if claim["id"] == "W5" for one in claim["judgements"])
    assert judged["figures"] == {
        PAPER: ["F_M: 3.56", "gap: 0.46"],
        f"{PAPER}, appendix K": ["before_a9_h9: 2.62"],
    }
    text = unescape(page([report], "pytest", ROOT, ""))
    assert f"Figures: F_M: 3.56; gap: 0.46 ({PAPER}); before_a9_h9: 2.62 ({PAPER}, " in text
