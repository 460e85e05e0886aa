"""What the tests of checks are made of: two results of a small model, and evidence on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from replication.circuits.components import ModelShape, parse
from replication.circuits.intervals import exact, printed
from replication.circuits.scores import ScoreTable
from replication.claims.check import Check, Outcome
from replication.claims.check import judge as judge_on
from replication.claims.claim import (
    AnyCheck,
    Claim,
)
from replication.claims.keys import Known
from replication.controls.verify import Controls
from replication.evidence.evidence import Evidence, Result
from replication.experiment.spec import Spec
from tests.make import circuit, make_spec, means, measured_of

SIZES = {"n_layers": 2, "n_heads": 3, "d_model": 8, "d_head": 2}
SHAPE = ModelShape(**SIZES)


# The paper's result is as it was published; the rerun's can be measured again.
KNOWN = Known(SHAPE, ["paper", "rerun"], "rerun")


SPEC = Spec.model_validate(
    {
        "title": "A title",
        "task": "a_task",
        "sides": ("one", "other"),
        "pairs": "pairs.jsonl",
        "measures": "rerun",
        "model": {"name": "a-model", "shape": SHAPE},
        "scoring": {"mlp_out": "raw"},
        "selection": {"budget": 20, "mlp_threshold": 5.0, "input_counts": True},
        "results": {"paper": {"about": "the paper"}, "rerun": {"about": "the rerun"}},
    }
)


ANY_CHECK: TypeAdapter[Check] = TypeAdapter(AnyCheck)


Figures = Mapping[str, str | float]


def check(**stated: Any) -> Check:
    return ANY_CHECK.validate_python(stated, context=KNOWN)


def figures(named: Figures) -> dict[Any, Any]:
    """A text is a printed figure, a number an exact one."""
    return {
        parse(name): printed(figure) if isinstance(figure, str) else exact(str(figure))
        for name, figure in named.items()
    }


def table(named: Figures, pair_1: Figures | None = None, **best_listed: int) -> ScoreTable:
    by_pair = {} if pair_1 is None else {1: figures(pair_1)}
    return ScoreTable(figures(named), by_pair, best_listed)  # type: ignore[arg-type]


def published(
    paper: ScoreTable | None = None,
    rerun: ScoreTable | None = None,
    paper_nodes: str = "",
    rerun_nodes: str = "",
    spec: Spec = SPEC,
) -> Evidence:
    results = {
        "paper": Result(paper, circuit(paper_nodes) if paper_nodes else None),
        "rerun": Result(rerun, circuit(rerun_nodes) if rerun_nodes else None),
    }
    return Evidence("published", spec, SHAPE, results)


MEASURED = measured_of(make_spec(SHAPE), means(SHAPE))


def measured(
    rerun: ScoreTable | None = None,
    paper: ScoreTable | None = None,
    rerun_nodes: str = "",
    paper_nodes: str = "",
    **more: Any,
) -> Evidence:
    before = published(paper, None, paper_nodes)
    scores = rerun or ScoreTable({})
    run = replace(
        MEASURED,
        scores=scores,
        tables={"differential": scores},
        circuit=circuit(rerun_nodes),
        **more,
    )
    return Evidence("live", SPEC, SHAPE, {**before.results, "rerun": run})


def rule(budget: int = 20, mlp_threshold: float = 5.0) -> Spec:
    changed = {"budget": budget, "mlp_threshold": mlp_threshold}
    return SPEC.model_copy(update={"selection": SPEC.selection.model_copy(update=changed)})


def judge(stated: Check, evidence: Evidence) -> Outcome:
    """What a check finds on evidence on which there are no controls."""
    return judge_on(stated, evidence, Controls([]))


def outcome(stated: Check, evidence: Evidence) -> Outcome:
    found = judge(stated, evidence)
    assert found.reason
    return found


def verdict(stated: Check, evidence: Evidence) -> str:
    return outcome(stated, evidence).verdict


def claim_of(*checks: dict[str, Any], **more: Any) -> Claim:
    stated = {
        "id": "X1", "made_by": "me", "source": "a paper", "statement": "It is so.",
        "check": list(checks),
    }  # fmt: skip
    return Claim.model_validate(stated | more, context=KNOWN)


COMPONENTS = [str(component) for component in SHAPE.components()]
