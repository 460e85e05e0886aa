"""What tests of the fourth question are made of: behaviours with planted effects, and reports."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from replication.circuits.components import ModelShape
from replication.claims.claim import Claim, judge_claim
from replication.claims.keys import Known
from replication.controls.verify import verify
from replication.evidence.evidence import Evidence
from replication.report.causal_handover import causal_records
from replication.report.causal_record import CausalRecord, CausalRecords
from replication.report.handover import (
    controls_records,
    differences,
    judged_record,
    measured_files,
    result_figures,
)
from replication.report.record import ExperimentReport, Figures, Handover
from tests.behaved import behaved_evidence, behaved_of, unshown_of

SHAPE = ModelShape(n_layers=3, n_heads=3, d_model=16, d_head=4)
EFFECTS = {"m0": 0.4, "a0.h1": 0.2, "a1.h0 a1.h1": 0.4, "a2.h2": -0.2}
CIRCUITS = {"mine": ["input", "m0", "a0.h1", "a1.h0", "a2.h2"], "attribution": ["input", "m1"]}
ABLATION = {"counterparts": ["third"], "rivals": {"attribution": 0.0}}


def evidence_with(**changes: Any) -> Evidence:
    """Evidence of one behaviour that the model shows, and of one that it does not."""
    stated: dict[str, Any] = {"elsewhere": [{"m0": 0.9}], "out": ["a1.h0"], **changes}
    shown = behaved_of(SHAPE, 20, 0, EFFECTS, CIRCUITS, **stated)
    behaviours = {"prefers": shown, "not": unshown_of(len(shown.whole), counterparts=2)}
    scoring = {"mlp_out": "raw", "behaviour": "prefers"}
    return behaved_evidence(SHAPE, behaviours, ABLATION, scoring=scoring)


def claim(name: str, evidence: Evidence, **check: Any) -> Claim:
    """A claim of one check on the behaviour that is shown."""
    about = {"id": name, "made_by": "me", "source": "a paper", "statement": "It is so."}
    stated = {**about, "check": [{"behaviour": "prefers", **check}]}
    return TypeAdapter(Claim).validate_python(stated, context=Known.of(evidence.spec, 20))


def records(evidence: Evidence, *claims: Claim) -> CausalRecords:
    """The records on this evidence."""
    found = causal_records(claims, evidence, verify(evidence))
    assert found is not None
    return found


def shown(**changes: Any) -> CausalRecord:
    """The record of the behaviour that is shown."""
    (found,) = records(evidence_with(**changes)).shown
    return found


def report_on(evidence: Evidence, *claims: Claim) -> ExperimentReport:
    """The report of these claims on this evidence, as a session makes it."""
    controls = verify(evidence)
    report = ExperimentReport("x", "A title", claims, behaviours=list(evidence.spec.behaviour))
    measures = evidence.spec.measures
    pictured = Figures(
        evidence=evidence.kind,
        sides=evidence.spec.sides,
        pairs=[("a", "b")],
        results={measures: result_figures(evidence.spec, SHAPE, evidence.results[measures])},
    )
    for one in claims:
        report.take(
            Handover(
                judgement=judged_record("x", judge_claim(one, evidence, controls), evidence.spec),
                controls=list(controls_records(controls, evidence)),
                figures=pictured,
                differences=differences(evidence),
                files=measured_files(evidence),
                causal=causal_records(claims, evidence, controls),
            )
        )
    return report
