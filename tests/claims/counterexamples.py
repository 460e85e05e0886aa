"""Counterexamples: minimally changed evidence on which a check's verdict must turn.

A change moves one figure, norm or activation, leaves one member out of a listed set or adds one,
adds positions without a norm to one prompt, swaps or
replaces one node, alters one size of the model, one number of the selection rule, or one score of a
second run; or it moves one circuit's, set's or component's runs under interventions (see
`changed_runs`). What the controls say is computed anew from the changed evidence, and never changed
itself. Changes are tried from the
smallest on; where one is not enough (a count that is off by three), the change that brings the
check nearest to what it states is kept, and the next is sought from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from replication.arithmetic.bounds import Unbounded, value_at
from replication.arithmetic.conditions import counted
from replication.arithmetic.expressions import Binary, Comparison, In, names_in, walk
from replication.arithmetic.expressions import parse as parse_expression
from replication.arithmetic.figures import Figure, ListedSet
from replication.circuits.circuit import Circuit
from replication.circuits.components import Component, parse
from replication.circuits.scores import ScoreTable, best_first
from replication.claims.arithmetic_checks import Arithmetic, Joint, score_parts
from replication.claims.causal_checks import CausalCheck
from replication.claims.check import Check, Outcome, judge
from replication.claims.model_checks import Control, Determinism, Shape
from replication.claims.score_checks import Scores
from replication.controls.verify import Controls, causal_controls, verify
from replication.engine.activations import MeanActivations
from replication.engine.provenance import Provenance
from replication.engine.recording import Recording
from replication.evidence.evidence import Evidence, Measured, Result, RunProvenance, measure
from replication.evidence.interventions import NoInterventions
from replication.evidence.lengths import Lengths
from replication.evidence.published_figures import Named
from tests.claims.changed_runs import STEPS, changed_runs
from tests.make import measured_of

MOST_CHANGES = 5
NEAREST = 20  # of a kind: a change of one that lies further behind turns nothing sooner


@dataclass(frozen=True)
class Counterexample:
    """The changes that turned a verdict, and the evidence after them."""

    changes: tuple[str, ...]
    evidence: Evidence


def outcome(check: Check, evidence: Evidence) -> Outcome:
    """What a check finds on evidence, and on the controls on that very evidence."""
    return judge(check, evidence, _controls(check, evidence))


def _controls(check: Check, evidence: Evidence) -> Controls:
    """The controls that the check may look at, computed from the evidence."""
    if isinstance(check, Control):
        return verify(evidence)
    if isinstance(check, CausalCheck) and evidence.measured is not None:
        return Controls([], causal_controls(evidence.spec, evidence.measured))
    return Controls([])


def counterexample(check: Check, evidence: Evidence) -> Counterexample | None:
    """The smallest change found on which the check's verdict is another than on the evidence."""
    start = outcome(check, evidence)
    made: tuple[str, ...] = ()
    while len(made) < MOST_CHANGES:
        nearest = None
        for what, changed in single_changes(check, evidence):
            found = outcome(check, changed)
            if found.verdict != start.verdict:
                return Counterexample((*made, what), changed)
            gap = _distance_from_turning(start, found)
            if nearest is None or gap < nearest[0]:
                nearest = (gap, what, changed)
        if nearest is None:
            return None
        made, evidence = (*made, nearest[1]), nearest[2]
    return None


def _distance_from_turning(start: Outcome, outcome: Outcome) -> float:
    """A check that holds turns away from what was measured, another towards what is stated."""
    if start.verdict == "holds":
        return -_gap(outcome.measured, start.measured)
    return _gap(outcome.measured, outcome.expected)


def single_changes(check: Check, evidence: Evidence) -> Iterator[tuple[str, Evidence]]:
    """Evidence with one thing changed that the check looks at, with what was changed."""
    if isinstance(check, CausalCheck):
        yield from _under_other_interventions(check, evidence)
        return
    if isinstance(check, Arithmetic | Joint):
        yield from _other_figures(check, evidence)
    elif isinstance(check, Shape) or not (check.results() or isinstance(check, Control)):
        for size, value in evidence.shape.model_dump().items():
            shape = evidence.shape.model_copy(update={size: value + 1})
            yield f"{size}: {value} -> {value + 1}", replace(evidence, shape=shape)
    for name in sorted(evidence.results if isinstance(check, Control) else check.results()):
        result = evidence.results[name]
        for what, changed_result in _changed_results(check, evidence, result):
            results = {**evidence.results, name: changed_result}
            yield f"{name}: {what}", replace(evidence, results=results)
    if check.kind in ("selection", "cost"):
        rule = evidence.spec.selection
        more = rule.model_copy(update={"budget": rule.budget + 1})
        spec = evidence.spec.model_copy(update={"selection": more})
        yield f"budget: {rule.budget} -> {rule.budget + 1}", replace(evidence, spec=spec)


def _other_figures(check: Arithmetic | Joint, evidence: Evidence) -> Iterator[tuple[str, Evidence]]:
    """Evidence with one printed figure moved, or one member of a set another.

    A count is moved by whole ones. A figure, or a score, is also moved to where two sides that are
    compared are equal; of several comparisons, a figure of each.
    """
    for name in sorted(check.figures() & set(evidence.figures)):
        for what, changed in _changed_figure(evidence.figures[name], check):
            figures = {**evidence.figures, name: changed}
            yield f"{name}: {what}", replace(evidence, figures=figures)
    equal: dict[int, tuple[str, Fraction]] = {}
    for place, name, value in _equalling(check, evidence):
        equal.setdefault(place, (name, value))
        what = f"{name}: {float(value):.6g}, so that two sides are equal"
        if name in evidence.figures:
            figures = {**evidence.figures, name: _moved_to(evidence.figures[name], value)}
            yield what, replace(evidence, figures=figures)
        elif value > 0:
            named, component = score_parts(name)
            result = evidence.results[named]
            assert result.scores is not None
            old = result.scores.scores[parse(component)]
            moved = {**result.scores.scores, parse(component): old.shifted(value - old.middle)}
            changed_result = replace(result, scores=replace(result.scores, scores=moved))
            yield what, replace(evidence, results={**evidence.results, named: changed_result})
    all_moved = dict(evidence.figures)
    for name, value in equal.values():
        if name in evidence.figures:
            all_moved[name] = _moved_to(evidence.figures[name], value)
    if len(equal) > 1:
        yield "figures moved so that all sides are equal", replace(evidence, figures=all_moved)


def _moved_to(figure: Named, value: Fraction) -> Figure:
    assert isinstance(figure, Figure)
    shown = f"{float(value):.6g}"
    return replace(
        figure, printed=shown, value=value, values=figure.values.shifted(value - figure.value)
    )


def _changed_figure(figure: Named, check: Arithmetic | Joint) -> Iterator[tuple[str, Named]]:
    if isinstance(figure, ListedSet):
        for place, member in enumerate(figure.members):
            rest = (*figure.members[:place], *figure.members[place + 1 :])
            yield f"{member} left out", ListedSet(rest)
        trees = [part for text in check.expressions() for part in walk(parse_expression(text))]
        asked = [part.member for part in trees if isinstance(part, In)]
        if len(some := set(asked) & set(figure.members)) > 1:
            rest = tuple(member for member in figure.members if member not in some)
            yield f"{', '.join(sorted(some))} left out", ListedSet(rest)
        for one in (*asked, "one more"):
            if one not in figure.members:
                yield f"{one} added", ListedSet((*figure.members, one))
        return
    steps = [step * (figure.value or figure.values.width) for step in STEPS]
    if figure.dimension == "count":
        steps = [Fraction(1), *(step for step in steps if step.denominator == 1)]
    for step in (sign * step for step in steps for sign in (1, -1)):
        moved = _moved_to(figure, figure.value + step)
        yield f"{figure.printed} -> {moved.printed}", moved


def _equalling(
    check: Arithmetic | Joint, evidence: Evidence
) -> Iterator[tuple[int, str, Fraction]]:
    """Where each figure would make two sides equal that are compared, by two steps of a secant.

    The number is that of the comparison.
    """
    figures = check.printed(evidence)
    start = {name: one.value for name, one in figures.items() if isinstance(one, Figure)}
    parts = [part for text in check.expressions() for part in walk(parse_expression(text))]
    for number, part in enumerate(parts):
        if not isinstance(part, Comparison):
            continue
        for left, right in pairwise(part.operands):
            names = {one.name for side in (left, right) for one in names_in(side)}
            for name in sorted(names & set(start)):
                apart = counted(Binary("-", left, right, 0), figures)
                with suppress(ZeroDivisionError, Unbounded):
                    near, far = start[name], start[name] * Fraction(101, 100) + Fraction(1, 1000)
                    for _ in range(3):
                        here = value_at(apart, {**start, name: near})
                        there = value_at(apart, {**start, name: far})
                        if here == there:
                            break
                        near, far = far - there * (far - near) / (there - here), near
                        near = near.limit_denominator(10**9)
                    whole = evidence.figures.get(name)
                    if isinstance(whole, Figure) and whole.dimension == "count":
                        near = Fraction(round(near))
                    if near != start[name]:
                        yield number, name, near


def _under_other_interventions(
    check: CausalCheck, evidence: Evidence
) -> Iterator[tuple[str, Evidence]]:
    """Evidence on which one thing of the behaviour's runs came out otherwise."""
    measured = evidence.measured
    if measured is None or isinstance(found := measured.interventions, NoInterventions):
        return
    for what, behaved in changed_runs(check, found.behaviours[check.behaviour], evidence.spec):
        behaviours = {**found.behaviours, check.behaviour: behaved}
        changed = replace(measured, interventions=replace(found, behaviours=behaviours))
        results = {**evidence.results, evidence.spec.measures: changed}
        yield f"{check.behaviour}: {what}", replace(evidence, results=results)


def _changed_results(
    check: Check, evidence: Evidence, result: Result
) -> Iterator[tuple[str, Result]]:
    if isinstance(check, Control):
        if isinstance(result, Measured):
            yield from _changed_activations(parse(check.component), evidence, result)
        elif result.lengths is not None:
            yield from _changed_norms(parse(check.component), result, result.lengths)
        return
    if isinstance(check, Determinism):
        yield from _changed_repetitions(evidence, result)
        return
    looks_at_circuit = hasattr(check, "circuit")
    if result.circuit is not None and looks_at_circuit:
        for what, nodes in _changed_nodes(result.circuit):
            yield what, replace(result, circuit=replace(result.circuit, nodes=tuple(nodes)))
    if result.circuit is None and looks_at_circuit:
        for name, other in evidence.results.items():
            if other.circuit is not None:
                yield f"published, and as that of {name}", replace(result, circuit=other.circuit)
    if looks_at_circuit and check.kind != "selection":
        return
    if result.scores is not None:
        pair = check.pair if isinstance(check, Scores) else None
        for what, scores in _changed_scores(check, result.scores, pair):
            yield what, replace(result, scores=scores)
    for name, table in result.tables.items():
        if getattr(check, "table", None) in (None, name):
            for what, scores in _changed_scores(check, table, None):
                yield (
                    f"{name}: {what}",
                    replace(result, tables={**result.tables, name: scores}),
                )


def _changed_activations(
    component: Component, evidence: Evidence, measured: Measured
) -> Iterator[tuple[str, Measured]]:
    """A run whose first position says less of a component, or more, or that tells the sides apart.

    What the first position adds to the mean is in the whole mean and not in the inner one.
    """
    whole, inner = measured.activations, measured.activations.inner
    if inner is None:
        return
    score = float(measured.scores.scores[component].middle)
    for step in STEPS:
        moved, inside = (_moved(part, component, float(step) * score) for part in (whole, inner))
        run = Recording(
            replace(moved, inner=inside),
            _of_the_run(measured.provenance),
            measured.provenance.seen,
        )
        what = f"{component}: on one side, {float(step):g} of its score along one direction more"
        yield what, _measured_again(evidence, measured, run)
    for step in (*STEPS[:-1], Fraction(1), Fraction(-8), Fraction(-64)):
        changed = replace(
            whole,
            mlp_out=_towards(whole.mlp_out, inner.mlp_out, component, step)
            if component.kind == "mlp"
            else whole.mlp_out,
            z=_towards(whole.z, inner.z, component, step) if component.kind == "head" else whole.z,
        )
        run = Recording(changed, _of_the_run(measured.provenance), measured.provenance.seen)
        what = f"{component}: the first position adds {float(1 - step):g} of what it did"
        yield what, _measured_again(evidence, measured, run)


def _measured_again(evidence: Evidence, measured: Measured, run: Recording) -> Measured:
    """What another run on the same pairs measures."""
    pairs_from = measured.provenance.pairs_from
    return measure(evidence.spec, run, measured.pairs, measured.clusters, pairs_from)


def _moved(means: MeanActivations, component: Component, size: float) -> MeanActivations:
    """The means with one component's moved along one direction, on all first sides."""
    if component.kind == "mlp":
        mlp_out = means.mlp_out.copy()
        mlp_out[:, 0, component.layer, 0] += np.float32(size)
        return replace(means, mlp_out=mlp_out)
    z = means.z.copy()
    z[:, 0, component.layer, component.head, 0] += np.float32(size)
    return replace(means, z=z)


def _towards(whole: Any, inner: Any, component: Component, step: Fraction) -> Any:
    """The means with one component's moved from the whole mean towards the inner one."""
    place = (slice(None), slice(None), component.layer)
    if component.kind == "head":
        place = (*place, component.head)  # type: ignore[assignment]
    changed = whole.copy()
    changed[place] += np.float32(step) * (inner[place] - whole[place])
    return changed


def _of_the_run(provenance: RunProvenance) -> Provenance:
    return Provenance(**provenance.model_dump(include=set(Provenance.model_fields)))


def _changed_norms(
    component: Component, result: Result, lengths: Lengths
) -> Iterator[tuple[str, Result]]:
    """One published mean norm of the component moved, or one prompt longer at the same sum of them.

    What norms say breaks down the sooner the more alike in length the prompts are, so that no norm
    of prompts of nearly one length makes an artefact.
    """
    for pair, norms in lengths.mean_norms.items():
        for side, norm in enumerate(norms.get(component, ())):
            if norm is not None:
                yield _longer(component, result, lengths, pair, side)
        for side, norm in enumerate(norms.get(component, ())):
            for step in STEPS:
                for factor in (1 + step, 1 - step):
                    if norm is None or factor <= 0:
                        continue
                    moved = norm.shifted((factor - 1) * norm.middle)
                    both = list(norms[component])
                    both[side] = moved
                    changed = {**norms, component: (both[0], both[1])}
                    what = (
                        f"{component} on pair {pair}:"
                        f" {float(norm.middle):.6g} -> {float(moved.middle):.6g}"
                    )
                    mean_norms = {**lengths.mean_norms, pair: changed}
                    yield what, replace(result, lengths=replace(lengths, mean_norms=mean_norms))


def _longer(
    component: Component, result: Result, lengths: Lengths, pair: int, side: int
) -> tuple[str, Result]:
    norms, tokens = list(lengths.mean_norms[pair][component]), list(lengths.token_lengths[pair - 1])
    norm = norms[side]
    assert norm is not None
    tokens[side], norms[side] = 2 * tokens[side], norm.scaled(Fraction(1, 2))
    token_lengths = list(lengths.token_lengths)
    token_lengths[pair - 1] = (tokens[0], tokens[1])
    by_pair = {**lengths.mean_norms[pair], component: (norms[0], norms[1])}
    changed = Lengths(token_lengths, {**lengths.mean_norms, pair: by_pair})
    return f"pair {pair}: {tokens[side]} tokens, half of them 0", replace(result, lengths=changed)


def _changed_repetitions(evidence: Evidence, result: Result) -> Iterator[tuple[str, Measured]]:
    """A run made twice, whose second scores are the first ones, or are not in one figure."""
    if isinstance(result, Measured):
        measured = result
    else:
        shape = evidence.shape
        pairs = len(result.lengths.token_lengths) if result.lengths else 1
        activations = MeanActivations(
            np.ones((pairs, 2, shape.n_layers, shape.d_model), np.float32),
            np.ones((pairs, 2, shape.n_layers, shape.n_heads, shape.d_head), np.float32),
            np.full((pairs, 2), 9),
        )
        activations.mlp_out[:, 0] *= 2 + np.arange(shape.d_model, dtype=np.float32)
        measured = measured_of(evidence.spec, activations)
    yield "run twice", replace(measured, repeated=measured.pair_scores)
    other = measured.pair_scores.copy()
    other[0, 0] = np.nextafter(other[0, 0], np.float32(np.inf))
    yield "run twice, one last digit another", replace(measured, repeated=other)


def _changed_nodes(circuit: Circuit) -> Iterator[tuple[str, list[Component]]]:
    nodes = list(circuit.nodes)
    if circuit.metadata.ordered:
        for place, (before, after) in enumerate(pairwise(nodes)):
            yield f"{before} and {after} exchanged", _exchanged(nodes, place, place + 1)
        for one, other in combinations(range(len(nodes)), 2):
            yield f"{nodes[one]} and {nodes[other]} exchanged", _exchanged(nodes, one, other)
    layers = range(max(node.layer for node in nodes) + 1)
    for place, node in enumerate(nodes):
        for layer in layers:
            stand_in = Component(layer, node.head, node.kind)
            if node.kind != "input" and stand_in not in nodes:
                yield f"{node} -> {stand_in}", [*nodes[:place], stand_in, *nodes[place + 1 :]]
        yield f"{node} left out", [*nodes[:place], *nodes[place + 1 :]]


def _exchanged(nodes: list[Component], one: int, other: int) -> list[Component]:
    changed = list(nodes)
    changed[one], changed[other] = changed[other], changed[one]
    return changed


def _changed_scores(
    check: Check, table: ScoreTable, pair: int | None
) -> Iterator[tuple[str, ScoreTable]]:
    """Scores with one moved, of a component that the check names or of one of the best."""
    figures = table.scores if pair is None else table.by_pair.get(pair, {})
    stated = check.model_dump_json()
    middles = {component: figure.middle for component, figure in figures.items()}
    best = {*best_first(middles, "mlp")[:NEAREST], *best_first(middles, "head")[:NEAREST]}
    looked_at = [one for one in figures if one in best or f'"{one}"' in stated]
    for step in STEPS:
        for component in looked_at:
            figure = figures[component]
            for factor in (1 + step, 1 - step):
                if factor <= 0:
                    continue
                moved = figure.shifted((factor - 1) * figure.middle)
                changed = {**figures, component: moved}
                what = f"{component}: {float(figure.middle):.6g} -> {float(moved.middle):.6g}"
                if pair is None:
                    yield what, replace(table, scores=changed)
                else:
                    yield what, replace(table, by_pair={**table.by_pair, pair: changed})


def _number(text: str) -> float | str:
    """A figure that is stated as a text."""
    try:
        return float(text)
    except ValueError:
        return text


def _gap(measured: Any, expected: Any) -> float:
    """How far plain data are from others: the sum over their numbers."""
    if isinstance(measured, Mapping) and isinstance(expected, Mapping):
        return sum(_gap(measured.get(key), value) for key, value in expected.items())
    if isinstance(expected, str) and isinstance(measured, int | float):
        expected = _number(expected)
    if isinstance(measured, int | float) and isinstance(expected, int | float):
        return abs(measured - expected)
    return 0.0 if measured == expected else 1.0
