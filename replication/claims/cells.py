"""Cells: in which of those that were run a claim on faithfulness has the verdict that it has.

What is put in a component's place, in which run, where, and how pairs are averaged is chosen, by
somebody, once; published faithfulness turns with it (Miller, Chughtai and Saunders 2024). Every
check of a circuit's faithfulness is judged again in each cell, whatever cell it states.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replication.circuits import intervals
from replication.circuits.intervals import Verdict
from replication.claims.causal_checks import Equivalence, Faithful
from replication.claims.check import Check, judge
from replication.claims.claim import Claim
from replication.controls.causal import Causal
from replication.controls.not_computed import NotComputed
from replication.controls.verify import Controls
from replication.evidence.evidence import Evidence
from replication.experiment.behaviours import Cell


@dataclass(frozen=True)
class ByCell:
    """A claim's verdict, and the cells, of so many, in which it has another."""

    claim: str
    verdict: Verdict
    cells: int
    otherwise: Sequence[tuple[Cell, Verdict]]


def by_cell(claims: Iterable[Claim], evidence: Evidence, controls: Controls) -> list[ByCell]:
    """Every claim on faithfulness in every cell; none where nothing was run under interventions."""
    found = []
    for claim in claims:
        cells = _cells(claim, controls)
        if cells:
            own = _verdict(claim.check, evidence, controls)
            there = [(cell, _verdict(_moved(claim, cell), evidence, controls)) for cell in cells]
            otherwise = [(cell, verdict) for cell, verdict in there if verdict != own]
            found.append(ByCell(claim.id, own, len(cells), otherwise))
    return found


def _cells(claim: Claim, controls: Controls) -> list[Cell]:
    """The cells in which what the claim looks at was run."""
    if isinstance(controls.causal, NotComputed):
        return []
    looked_at = [
        controls.causal[check.behaviour]
        for check in claim.check
        if isinstance(check, Faithful | Equivalence)
    ]
    shown = [one for one in looked_at if isinstance(one, Causal)]
    return list(dict.fromkeys(found.cell for one in shown for found in one.faithfulness))


def _moved(claim: Claim, cell: Cell) -> list[Check]:
    """The claim's checks, with those of faithfulness in this cell."""
    stated = {**cell.setting._asdict(), "averaging": cell.averaging}
    return [
        check.model_copy(update=stated) if isinstance(check, Faithful | Equivalence) else check
        for check in claim.check
    ]


def _verdict(checks: Sequence[Check], evidence: Evidence, controls: Controls) -> Verdict:
    return intervals.all_of(judge(check, evidence, controls).verdict for check in checks)
