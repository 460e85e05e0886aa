"""A badge: what became of the statements, as the JSON that shields.io draws a badge from.

Source of the format: shields.io's documentation of its endpoint badge, schema version 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from replication.report.claims_file import ReadClaim, ReadExperiment
from replication.report.record import VERDICTS, WORDS, Outcome
from replication.report.standing import standing_of

LABEL = "replication"


def badge(experiments: Iterable[ReadExperiment], label: str, is_partial: bool) -> dict[str, Any]:
    """The content of a badge's file: each statement counts once, as it stands in the ledger.

    Readers' questions are no statements, and do not count.
    It is red where a verdict is not the expected one, and green only where all statements hold:
    that one is refuted as expected makes the run pass, but not the statement true.
    """
    claims = [claim for one in experiments for claim in one.claims]
    counts = Counter(_standing(claim) for claim in claims if not claim.is_question)
    said = [f"{counts[verdict]} {WORDS[verdict]}" for verdict in VERDICTS if counts[verdict]]
    unexpected = sum(_is_unexpected(claim) for claim in claims)
    if unexpected:
        said.append(f"{unexpected} not as expected")
    if is_partial:
        said.append("of a part")
    return {
        "schemaVersion": 1,
        "label": label,
        "message": ", ".join(said),
        "color": "red" if unexpected else _colour(counts),
    }


def _standing(claim: ReadClaim) -> Outcome:
    return standing_of({one.evidence: one.verdict for one in claim.judgements})


def _is_unexpected(claim: ReadClaim) -> bool:
    return any(one.as_expected is False for one in claim.judgements)


def _colour(counts: Counter[Outcome]) -> str:
    if counts["refuted"]:
        return "orange"
    if not counts["holds"]:
        return "lightgrey"
    return "yellow" if counts["undecided"] or counts["missing"] else "brightgreen"
