"""Intervening: every run that an experiment asks for of a behaviour, in the order that they need.

What single components do comes first, as scores may rest on it; then the circuits that scores
select, kept alone in every setting; then what the verdicts on them need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import get_args

import numpy as np
from jaxtyping import Float32

from replication.circuits.components import INPUT, Component, ModelShape
from replication.circuits.matched import Mask, mask_of, matched, members_of
from replication.engine.attribution import STEPS
from replication.engine.interventions import Masks
from replication.engine.subject import Layout, Subject
from replication.evidence.interventions import (
    Behaved,
    Curve,
    Effects,
    Given,
    InSetting,
    Rows,
    Single,
    Tried,
)
from replication.experiment.behaviours import (
    AblationSpec,
    Direction,
    Positions,
    Setting,
    Value,
)
from replication.experiment.spec import ScoreKind

SHARES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)  # of the components, in a curve
DRAWS_OF_A_SIZE = 5  # matched circuits at each size of a curve
AT_A_TIME = 20  # matched circuits that are run before it is seen whether the answer is settled
SETTLED = 10  # as good ones, after which more draws change little (Besag and Clifford 1991)
HIDDEN = 0.05  # of the behaviour: what backups hide at least of a component
ALL_OF_IT = 0.9  # of the behaviour: where as much goes with one component, nothing can stand in
MOST_HIDDEN = 12
GREEDY_STEPS, CANDIDATES = 3, 8


def single(subject: Subject) -> Single:
    """What single components do, exactly for every counterpart, and by gradients for the first."""
    effects = [_effects(subject, which) for which in range(len(subject.counterparts))]
    return Single(np.stack(effects), subject.attributed(1), subject.attributed(STEPS))


def effects_of(subject: Subject, kind: ScoreKind) -> Effects:
    """What scores of a kind are the size of, alone."""
    return subject.attributed(1) if kind == "attribution" else _effects(subject)


def _effects(subject: Subject, counterpart: int = 0) -> Effects:
    """What goes when each component alone is ablated, by a counterpart's values."""
    runs = subject.ablated(_each(subject), "single components", counterpart=counterpart)
    return np.asarray(subject.whole - runs)


def _each(subject: Subject) -> Masks:
    """A mask for every component alone, the input first."""
    return np.eye(1 + len(subject.shape.components()), dtype=bool)


def behaved(
    subject: Subject,
    found: Single,
    circuits: Mapping[str, Sequence[Component]],
    measures: str,
    ranking: Sequence[Component],
    ablation: AblationSpec,
    seed: int,
) -> Behaved:
    """Everything that is run of a behaviour, once it is known what single components do.

    `circuits` are by name, and `measures` names the one that the experiment measures; `ranking` are
    the components by its scores, the best first.
    """
    shape, judged = subject.shape, subject.judged
    masks = {name: mask_of(nodes, shape) for name, nodes in circuits.items()}
    settings = {
        setting: _in_setting(subject, setting, masks)
        for setting in _settings(subject.layout, judged)
    }
    own, within = masks[measures], settings[judged].circuits[measures]
    rng = np.random.default_rng(seed)
    drawn = {
        name: _matched(subject, mask, settings[judged].circuits[name], ablation, rng)
        for name, mask in masks.items()
    }
    restored = _restored(subject) if ablation.backups else None
    nodes = [node for node in circuits[measures] if node != INPUT]
    without = _each_out(own, [mask_of([node], shape) for node in nodes])
    inside = within - subject.kept(without, judged, "inside the circuit", context=own)
    ablated = settings[judged._replace(direction="ablate")]
    behaviour = float((ablated.full - ablated.empty).mean())
    hidden, alone = _contexts(found.effects[0], restored, behaviour, shape)
    given = [_given(subject, out) for out in (hidden, alone) if out]
    if backups := _backups(given, found.effects[0], behaviour, shape):
        given.append(_given(subject, backups))
    return Behaved(
        subject.behaviour.kind,
        judged,
        subject.layout.by_position,
        seed,
        subject.whole,
        subject.counterparts,
        circuits,
        settings,
        _curve(subject, ranking, ablation, rng),
        drawn,
        found,
        restored,
        given,
        inside,
        _tried(subject, nodes, own, hidden, rng),
    )


def _settings(layout: Layout, judged: Setting) -> Iterator[Setting]:
    """Every setting that these prompts allow; what is at all positions first.

    The text's own positions are others than all where tokens were added, or where it was said so.
    """
    is_apart = layout.adds_tokens or judged.positions == "text"
    every = product(get_args(Positions), get_args(Direction), get_args(Value))
    for positions, direction, value in every:
        restores_nothing = direction == "restore" and value in ("zero", "shift")
        cannot_swap = value == "interchange" and not layout.by_pair
        is_another = positions == "all" or is_apart
        if is_another and not restores_nothing and not cannot_swap:
            yield Setting(value, direction, positions)


def _in_setting(subject: Subject, setting: Setting, masks: Mapping[str, Mask]) -> InSetting:
    nothing = np.zeros(1 + len(subject.shape.components()), dtype=bool)
    kept = np.stack([nothing, ~nothing, *masks.values()])
    empty, full, *runs = subject.kept(kept, setting, f"circuits ({setting})")
    return InSetting(empty, full, dict(zip(masks, runs, strict=True)))


def _matched(
    subject: Subject,
    circuit: Mask,
    own: Float32[np.ndarray, " pairs"],
    ablation: AblationSpec,
    rng: np.random.Generator,
) -> Rows:
    """Matched circuits, drawn one after the other until enough are as near to the whole model.

    At most as many as the experiment states; in the order in which they were drawn.
    """
    draws = islice(
        matched(circuit, subject.shape, rng, by_layer=ablation.by_layer), ablation.matched
    )
    away = abs(float((subject.whole - own).mean()))
    found = np.empty((0, len(own)), dtype=np.float32)
    while masks := list(islice(draws, AT_A_TIME)):
        runs = subject.kept(np.stack(masks), subject.judged, "matched circuits")
        found = np.concatenate([found, runs])
        as_good = np.cumsum(np.abs((subject.whole - found).mean(axis=1)) <= away)
        if as_good[-1] >= SETTLED:
            return found[: int(np.argmax(as_good >= SETTLED)) + 1]
    return found


def _curve(
    subject: Subject, ranking: Sequence[Component], ablation: AblationSpec, rng: np.random.Generator
) -> Curve:
    """The best of the ranking at every size, and matched circuits of the same make-up."""
    shape = subject.shape
    sizes = sorted({max(1, round(share * len(ranking))) for share in SHARES})
    best = [mask_of([INPUT, *ranking[:size]], shape) for size in sizes]
    runs = subject.kept(np.stack(best), subject.judged, "curve")
    draws = [
        mask
        for one in best
        for mask in islice(matched(one, shape, rng, by_layer=ablation.by_layer), DRAWS_OF_A_SIZE)
    ]
    random = subject.kept(np.stack(draws), subject.judged, "matched circuits of every size")
    return Curve(sizes, runs, random.reshape(len(sizes), DRAWS_OF_A_SIZE, -1))


def _restored(subject: Subject) -> Effects:
    """What comes back when each component alone is restored in the counterpart's run.

    By the counterpart's own value; by means, where prompts differ in length or a mean is judged.
    """
    value: Value = "interchange" if subject.judged.value == "interchange" else "mean"
    setting = Setting(value, "restore", subject.judged.positions)
    found = subject.kept(_each(subject), setting, "single components restored")
    return np.asarray(found - subject.counterparts[0])


def _contexts(
    effects: Effects, restored: Effects | None, behaviour: float, shape: ModelShape
) -> tuple[list[Component], list[Component]]:
    """What is taken out to see what stands in for it; nothing where nothing was restored.

    The components that bring more of the behaviour back than they take away, as those do that
    backups hide, wholly or in part: the most that are looked at together, which bring most of it
    back. And the one that takes most of it by itself, short of all of it.
    """
    if restored is None:
        return [], []
    everything = [INPUT, *shape.components()]
    gone, back = (one.mean(axis=1) / behaviour for one in (effects, restored))
    by_back, by_gone = (np.argsort(-one, kind="stable") for one in (back, gone))
    hidden = [one for one in by_back if one and back[one] - gone[one] >= HIDDEN][:MOST_HIDDEN]
    alone = [one for one in by_gone if one and HIDDEN <= gone[one] < ALL_OF_IT][:1]
    return [everything[one] for one in sorted(hidden)], [everything[one] for one in alone]


def _backups(
    given: Sequence[Given], effects: Effects, behaviour: float, shape: ModelShape
) -> list[Component]:
    """What takes more once others are out than alone; what it makes up for shows without it."""
    everything = [INPUT, *shape.components()]
    more = [(one.effects - effects).mean(axis=1) / behaviour for one in given]
    most = np.max([np.zeros(len(everything)), *more], axis=0)
    out = {component for one in given for component in one.out} | {INPUT}
    by_most = np.argsort(-most, kind="stable")
    found = [one for one in by_most if most[one] >= HIDDEN and everything[one] not in out]
    return [everything[one] for one in sorted(found[:MOST_HIDDEN])]


def _given(subject: Subject, out: Sequence[Component]) -> Given:
    """What each component's ablation takes while a set is out; of the set, while the rest is."""
    context = mask_of(out, subject.shape)
    masks = np.concatenate([context[None], context ^ _each(subject)])
    base, *others = subject.ablated(masks, "given others", context=context)
    runs = np.stack(others)
    # For one of the set the run has it back, and its effect is what that run has more.
    return Given(out, np.where(context[:, None], runs - base, base - runs))


def _each_out(mask: Mask, parts: Sequence[Mask]) -> np.ndarray:
    """The mask without each of the parts."""
    return np.array([mask & ~part for part in parts], dtype=bool).reshape(-1, len(mask))


def _tried(
    subject: Subject,
    nodes: Sequence[Component],
    circuit: Mask,
    hidden: Sequence[Component],
    rng: np.random.Generator,
) -> Tried:
    """Sets out of the model and of the circuit: classes, what backups hide, and a greedy search.

    A circuit is complete if the model lacks as much without a set as it does itself (Wang et al.
    2022). The search adds to a set the one of a few drawn components that parts the two most.
    """
    shape = subject.shape
    classes = _classes(nodes, shape) | ({"those that backups hide": hidden} if hidden else {})
    labels, masks = list(classes), [mask_of(one, shape) for one in classes.values()]
    of_model, of_circuit = _both(subject, circuit, masks)
    chosen = np.zeros_like(circuit)
    for step in range(GREEDY_STEPS):
        left = np.flatnonzero(circuit & ~chosen)[1:]
        if not len(left):
            break
        drawn = rng.choice(left, min(CANDIDATES, len(left)), replace=False)
        tried = [chosen | (np.arange(len(circuit)) == one) for one in sorted(drawn)]
        model, within = _both(subject, circuit, tried)
        apart = np.abs((model - within).mean(axis=1))
        chosen = tried[int(apart.argmax())]
        labels += [f"search, step {step + 1}"] * len(tried)
        masks += tried
        of_model = np.concatenate([of_model, model])
        of_circuit = np.concatenate([of_circuit, within])
    return Tried(labels, [members_of(mask, shape) for mask in masks], of_model, of_circuit)


def _both(subject: Subject, circuit: Mask, masks: Sequence[Mask]) -> tuple[Rows, Rows]:
    """The behaviour with sets out of the model, and out of the circuit."""
    out = np.stack(masks)
    everything = np.ones_like(circuit)
    return (
        subject.kept(~out, subject.judged, "sets out of the model", context=everything),
        subject.kept(circuit & ~out, subject.judged, "sets out of the circuit", context=circuit),
    )


def _classes(nodes: Sequence[Component], shape: ModelShape) -> dict[str, list[Component]]:
    """The circuit's components by class: all of them, MLPs, and heads by thirds of the layers."""
    thirds = ("lower", "middle", "upper")
    classes: dict[str, list[Component]] = {"the whole circuit": list(nodes)}
    for node in nodes:
        third = thirds[3 * node.layer // shape.n_layers]
        name = "MLPs" if node.kind == "mlp" else f"heads of the {third} layers"
        classes.setdefault(name, []).append(node)
    return classes
