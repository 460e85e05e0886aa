"""The answer: does it add up, does it replicate, does it mean what it says?

Each question with a word, the counts behind it, and what was not run.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from replication.controls.verify import VERDICTS as VERDICT_OF_WORD
from replication.report.text import EVIDENCE, VERDICTS, ExperimentReport

Data = dict[str, Any]


def answers(report: ExperimentReport) -> list[Data]:
    """The three questions, each with its answer, the counts behind it, and what was not run."""
    return [_adds_up(report), _replicates(report), _means(report)]


def _tally(report: ExperimentReport, kind: str, controls: bool) -> Counter[str]:
    """The verdicts on one kind of evidence, of the claims about controls or of all others."""
    wanted = {
        claim.id
        for claim in report.claims
        if controls == any(check.kind == "control" for check in claim.check)
    }
    return Counter(
        r["verdict"] for r in report.records if r["evidence"] == kind and r["claim"] in wanted
    )


def _verdict_on(counts: Counter[str]) -> str:
    if counts["refuted"]:
        return "Not entirely" if counts["holds"] else "No"
    if counts["holds"]:
        return "As far as it was judged, yes" if counts["undecided"] else "Yes"
    return "Not decided" if counts["undecided"] else "Not run"


def _counted(label: str, counts: Counter[str]) -> Data:
    return {"label": label, "counts": [(v, counts[v]) for v in VERDICTS if counts[v]]}


def lacks(report: ExperimentReport, kind: str) -> list[str]:
    """Why there is no evidence of a kind."""
    found = [r for r in report.records if r["evidence"] == kind]
    if not found and kind == "live":
        return ["Live evidence: not run; --replication-live runs the model."]
    if not found and kind == "published" and not report.is_published:
        return ["The experiment has no published result."]
    if not found:
        return [f"{kind.capitalize()} evidence: not judged in this run."]
    reasons = dict.fromkeys(r["arithmetic"] for r in found if r["verdict"] == "missing")
    return [f"{kind.capitalize()} evidence: {reason}." for reason in reasons]


def _adds_up(report: ExperimentReport) -> Data:
    counts = _tally(report, "published", controls=False)
    return {
        "question": "Does it add up?",
        "asks": "the published statements, from the published figures",
        "answer": _verdict_on(counts) if report.is_published else "Nothing to add up",
        "tallies": [_counted("published", counts)] if counts else [],
        "lacks": lacks(report, "published"),
    }


def _replicates(report: ExperimentReport) -> Data:
    counts = {kind: _tally(report, kind, controls=False) for kind in ("live", "recorded")}
    settled = [found for found in counts.values() if set(found) - {"missing"}]
    return {
        "question": "Does it replicate?",
        "asks": "the same statements, from a run of the model",
        "answer": _verdict_on(settled[0]) if settled else "Not run",
        "tallies": [_counted(kind, found) for kind, found in counts.items() if found],
        "lacks": [line for kind in counts for line in lacks(report, kind)],
    }


def _means(report: ExperimentReport) -> Data:
    judged = _verified(report)
    named = [
        Counter(one["word"] for one in found["components"] if one["selected"]) for found in judged
    ]
    controls = [(kind, _tally(report, kind, controls=True)) for kind in reversed(EVIDENCE)]
    words = sum(named, Counter())
    stated = sum((counts for _, counts in controls), Counter())
    tallies = [
        {
            "label": f"selected by {found['result']} ({found['evidence']})",
            "words": [
                (word + "s" * (word == "artefact" and counts[word] > 1), counts[word])
                for word in VERDICT_OF_WORD
                if counts[word]
            ],
        }
        for found, counts in zip(judged, named, strict=True)
    ]
    tallies += [
        _counted(f"claims on meaning, {kind}", counts) for kind, counts in controls if counts
    ]
    lacking: dict[tuple[str, str], list[str]] = {}
    for one in report.verifications:
        for part, reason in one["not_computed"].items():
            lacking.setdefault((part, reason), []).append(f"{one['result']} ({one['evidence']})")
    return {
        "question": "Does it mean what it says?",
        "asks": "whether the scores are stable, specific, and no matter of prompt length",
        "answer": _meaning_on(stated, words),
        "tallies": tallies,
        "lacks": [
            f"{part.capitalize()}, not computed for {', '.join(results)}: {reason}."
            for (part, reason), results in lacking.items()
        ]
        + ([] if words else ["No verification was run."]),
    }


def _meaning_on(stated: Counter[str], words: Counter[str]) -> str:
    """What the statements on meaning came to; where there are none, the words do."""
    if stated["holds"] or stated["refuted"]:
        return _verdict_on(stated)
    if not words:
        return "Not run"
    if words["specific"]:
        return "Yes" if set(words) == {"specific"} else "Only in part"
    return "Not shown, and in part an artefact" if words["artefact"] else "Not shown"


def _verified(report: ExperimentReport) -> list[Data]:
    """The verifications on the best evidence that there are any of: live before recorded."""
    by_kind = ([v for v in report.verifications if v["evidence"] == k] for k in reversed(EVIDENCE))
    return next(filter(None, by_kind), [])
