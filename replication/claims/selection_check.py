"""The check of a selection: that the stated rule gives the circuit."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import combinations
from typing import ClassVar, Literal

from replication.circuits import intervals
from replication.circuits.circuit import Circuit
from replication.circuits.components import INPUT, Component, listing, names
from replication.circuits.intervals import Verdict, fraction
from replication.circuits.scores import precedes
from replication.circuits.selection import select
from replication.claims.asked import CannotJudge, circuit_of, decider, is_printed, ranked, scores_of
from replication.claims.check import Check, Outcome, Part, conjunction, same
from replication.claims.keys import Budget, ResultName, Threshold
from replication.evidence.evidence import Evidence
from replication.inputs.files import InputError


class Selection(Check):
    """The circuit is what the stated rule selects on the scores, with this budget and threshold.

    On printed scores the set must be settled by the digits, and the order must agree as far as
    they settle it. A measured circuit was selected by the experiment's rule itself.
    """

    kind: Literal["selection"]
    circuit: ResultName
    budget: Budget
    mlp_threshold: Threshold

    named_results: ClassVar = ("circuit",)
    states_structure: ClassVar = True

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        rule = evidence.spec.selection
        circuit = circuit_of(evidence, self.circuit)
        parts = [
            same("the experiment's budget", rule.budget, self.budget),
            same(
                "the experiment's MLP threshold",
                rule.mlp_threshold,
                float(fraction(self.mlp_threshold)),
            ),
        ]
        if not is_printed(evidence, self.circuit):
            parts.append(Part("holds", "the circuit was selected by this rule"))
            return conjunction(parts, names(circuit.nodes), names(circuit.nodes))
        try:
            parts += self._settled(evidence, circuit)
            selected = self._selected(evidence)
        except CannotJudge as lack:
            parts.append(Part("undecided", str(lack)))
            selected = None
        return conjunction(parts, selected, names(circuit.nodes))

    def _selected(self, evidence: Evidence) -> list[str] | str:
        """What the rule selects on the figures as they are printed, or why it selects nothing."""
        try:
            nodes = select(scores_of(evidence, self.circuit).middles(), evidence.spec.rule)
        except InputError as error:
            return str(error)
        return names(nodes)

    def _settled(self, evidence: Evidence, circuit: Circuit) -> list[Part]:
        """Whether the digits settle that the rule selects these nodes, and in this order."""
        mlps, heads = circuit.of_kind("mlp"), circuit.of_kind("head")
        room = evidence.spec.rule.heads_that_fit(len(mlps))
        parts = [
            same("heads", len(heads), min(room, len(ranked(evidence, "head")))),
            self._mlps_settled(evidence, set(mlps)),
            self._heads_settled(evidence, set(heads)),
        ]
        if list(circuit.nodes) != [INPUT, *mlps, *heads]:
            parts.append(Part("refuted", "the nodes are not the input, then MLPs, then heads"))
        if not mlps:
            parts.append(
                Part("refuted", "where no MLP reaches the threshold the rule selects nothing")
            )
        table = scores_of(evidence, self.circuit)
        for kind in (mlps, heads):
            parts += [
                Part("refuted", f"{before} stands before {after}, which scores higher")
                for before, after in combinations(kind, 2)
                if precedes(table, before, after) == "refuted"
            ]
        return parts

    def _mlps_settled(self, evidence: Evidence, selected: set[Component]) -> Part:
        """Every selected MLP reaches the threshold, and no other does."""
        table = scores_of(evidence, self.circuit)
        threshold = Fraction(str(evidence.spec.selection.mlp_threshold))
        verdicts: dict[Component, Verdict] = {}
        for mlp in ranked(evidence, "mlp"):
            score = table.score(mlp)
            is_out = "undecided" if score is None else intervals.below(score, threshold)
            verdicts[mlp] = intervals.negated(is_out) if mlp in selected else is_out
        return self._settled_part(evidence, verdicts, f"{len(selected)} MLPs by the threshold")

    def _heads_settled(self, evidence: Evidence, selected: set[Component]) -> Part:
        """Every selected head ranks before every other.

        A head that the table does not list ranks behind the best that it is known to list, so it
        is out if these fill the circuit, whatever the circuit holds.
        """
        table = scores_of(evidence, self.circuit)
        fills = table.best_listed.get("head", 0) >= len(selected)
        verdicts: dict[Component, Verdict] = {}
        for head in ranked(evidence, "head"):
            if head in selected and head not in table.scores:
                verdicts[head] = "refuted" if fills else "undecided"
            elif head in selected:
                verdicts[head] = "holds"
            elif head in table.scores:
                verdicts[head] = intervals.all_of(precedes(table, one, head) for one in selected)
            else:
                verdicts[head] = "holds" if fills else "undecided"
        return self._settled_part(evidence, verdicts, f"{len(selected)} heads by their rank")

    def _settled_part(
        self, evidence: Evidence, verdicts: Mapping[Component, Verdict], selected: str
    ) -> Part:
        verdict = intervals.all_of(verdicts.values())
        telling = [component for component, found in verdicts.items() if found == verdict]
        named = listing(telling)
        match verdict:
            case "holds":
                return Part(verdict, f"the rule selects these {selected}")
            case "refuted":
                return Part(verdict, f"the rule does not select these {selected}: {named}")
            case "undecided":
                needed = decider(evidence, self.circuit)
                return Part(verdict, f"the figures do not settle whether {named} is in; {needed}")
