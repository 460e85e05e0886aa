"""What two kinds of check can both say has one verdict: arithmetic, against the other kinds.

Printed tables, circuits, budgets and what is stated of them are drawn at random, near the truth so
that every verdict occurs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from replication.arithmetic.figures import ListedSet, read_figure
from replication.circuits.components import ModelShape
from replication.circuits.intervals import printed
from replication.claims.keys import Known
from replication.evidence.evidence import Evidence, Result
from replication.evidence.published_behaviours import PublishedBehaviour
from replication.evidence.published_figures import Named
from tests.claims.build import ANY_CHECK, SPEC, outcome, table
from tests.make import circuit

# Twenty heads: what two circuits share by chance has then so few digits that it may end in a 5.
SHAPE = ModelShape(n_layers=5, n_heads=4, d_model=8, d_head=2)
COMPONENTS = [str(component) for component in SHAPE.components()]
MLPS = [name for name in COMPONENTS if name.startswith("m")]
HEADS = [name for name in COMPONENTS if name.startswith("a")]
KNOWN = Known(SHAPE, ["paper", "rerun"], "rerun", behaviours=["name"], circuits=["paper"])
SOME = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(SOME, max_examples=20)  # of what takes longest


def spec_of(budget: int = 20, *, input_counts: bool = True) -> Any:
    rule = SPEC.selection.model_copy(update={"budget": budget, "input_counts": input_counts})
    model = SPEC.model.model_copy(update={"shape": SHAPE})
    return SPEC.model_copy(update={"selection": rule, "model": model})


def evidence_of(spec: Any = None, **results: Result) -> Evidence:
    return Evidence("published", spec or spec_of(), SHAPE, results)


def verdicts(
    stated: Mapping[str, Any], that: str, figures: Mapping[str, Named], evidence: Evidence
) -> tuple[str, str]:
    """The verdict of a kind, and that of arithmetic; what either refuses is of no interest."""
    known = replace(KNOWN, figures=figures)
    try:
        kind = ANY_CHECK.validate_python(stated, context=known)
        arithmetic = ANY_CHECK.validate_python({"kind": "arithmetic", "that": that}, context=known)
    except ValidationError:
        assume(False)
    found = replace(evidence, figures=figures)
    return outcome(kind, found).verdict, outcome(arithmetic, found).verdict


def agree(
    stated: Mapping[str, Any], that: str, figures: Mapping[str, Named], evidence: Evidence
) -> None:
    kind, arithmetic = verdicts(stated, that, figures, evidence)
    assert kind == arithmetic, (stated, that, figures)


def sized(**sets: Sequence[str]) -> tuple[dict[str, Named], dict[str, str]]:
    """Sets by name, and how many each has in an expression; an empty one is a count of 0."""
    figures: dict[str, Named] = {
        name: ListedSet(tuple(members)) if members else read_figure("0")
        for name, members in sets.items()
    }
    return figures, {name: f"count({name})" if sets[name] else name for name in sets}


def near(truth: int, least: int = 0) -> st.SearchStrategy[int]:
    """A count: more often than not the true one."""
    away = st.sampled_from([0, 0, 0, 0, 1, -1, 5])
    return away.map(lambda step: max(least, truth + step))


circuits = st.lists(st.sampled_from(["input", *COMPONENTS]), min_size=1, unique=True)


@SOME
@given(st.data(), circuits, st.integers(8, 60), st.booleans())
def test_costs(data: st.DataObject, nodes: list[str], budget: int, input_counts: bool) -> None:
    spec = spec_of(budget, input_counts=input_counts)
    mlps, heads = ([one for one in nodes if one[0] == letter] for letter in "ma")
    figures, count = sized(mlps=mlps, heads=heads)
    paid = SHAPE.d_model if input_counts and "input" in nodes else 0
    before = SHAPE.d_model * len(mlps) + paid
    truth = {
        "used": before + SHAPE.d_head * len(heads),
        "budget": budget,
        "before_heads": before,
        "left_for_heads": budget - before,
        "room_for_heads": (budget - before) // SHAPE.d_head,
    }
    said = {
        "used": f"{count['mlps']} * d_model + {count['heads']} * d_head + paid == used",
        "budget": "given == budget",
        "before_heads": f"{count['mlps']} * d_model + paid == before_heads",
        "left_for_heads": f"given - paid - {count['mlps']} * d_model == left_for_heads",
        "room_for_heads": (
            f"floor((given - paid - {count['mlps']} * d_model) / d_head) == room_for_heads"
        ),
    }
    names = data.draw(st.lists(st.sampled_from(sorted(truth)), min_size=1, unique=True))
    stated = {name: data.draw(near(truth[name], int(name == "used"))) for name in names}
    counts = {"given": budget, "paid": paid, "d_model": SHAPE.d_model, "d_head": SHAPE.d_head}
    figures |= {name: read_figure(str(number)) for name, number in (counts | stated).items()}
    evidence = evidence_of(spec, paper=Result(None, circuit(" ".join(nodes))))
    that = " and ".join(said[name] for name in names)
    agree({"kind": "cost", "circuit": "paper", **stated}, that, figures, evidence)


@SOME
@given(st.data(), st.one_of(st.none(), circuits))
def test_counts(data: st.DataObject, nodes: list[str] | None) -> None:
    found = COMPONENTS if nodes is None else nodes
    by_layer = [[one for one in found if one.startswith(f"a{layer}.")] for layer in range(5)]
    figures, count = sized(
        total=found,
        input=[one for one in found if one == "input"],
        mlp=[one for one in found if one[0] == "m"],
        head=[one for one in found if one[0] == "a"],
        **{f"layer{layer}": heads for layer, heads in enumerate(by_layer)},
    )
    spans = {"0": [0], "2-3": [2, 3], "1-2": [1, 2], "other": []}
    ranges = data.draw(st.lists(st.sampled_from(sorted(spans)), unique=True))
    named = {layer for one in ranges for layer in spans[one]}
    spans["other"] = [layer for layer in range(5) if layer not in named]
    kinds = data.draw(st.lists(st.sampled_from(["total", "input", "mlp", "head"]), unique=True))
    sums = {kind: count[kind] for kind in kinds}
    truth = {kind: len([one for one in found if _is_of(one, kind)]) for kind in kinds}
    for one in ranges:
        sums[one] = " + ".join([*(count[f"layer{layer}"] for layer in spans[one]), "zero"])
        truth[one] = sum(len(by_layer[layer]) for layer in spans[one])
    stated = {name: data.draw(near(truth[name])) for name in sums}
    assume(stated)
    figures["zero"] = read_figure("0")
    figures |= {f"n{at}": read_figure(str(stated[name])) for at, name in enumerate(sums)}
    that = " and ".join(f"{text} + zero == n{at}" for at, text in enumerate(sums.values()))
    check: dict[str, Any] = {"kind": "count", **{kind: stated[kind] for kind in kinds}}
    check["heads_in_layers"] = {one: stated[one] for one in ranges}
    if nodes is not None:
        check["circuit"] = "paper"
    agree(check, that, figures, evidence_of(paper=Result(None, circuit(" ".join(found)))))


def _is_of(name: str, kind: str) -> bool:
    return (
        kind == "total"
        or name == kind
        or (name != "input" and name[0] == kind[0].replace("h", "a"))
    )


@SOME
@given(circuits, circuits, st.data())
def test_membership_and_difference(one: list[str], other: list[str], data: st.DataObject) -> None:
    evidence = evidence_of(
        paper=Result(None, circuit(" ".join(one))), rerun=Result(None, circuit(" ".join(other)))
    )
    inside, outside = data.draw(st.sampled_from(COMPONENTS)), data.draw(st.sampled_from(COMPONENTS))
    stated = {"kind": "membership", "circuit": "paper", "includes": [inside], "excludes": [outside]}
    that = f"'{inside}' in nodes and not '{outside}' in nodes"
    agree(stated, that, {"nodes": ListedSet(tuple(one))}, evidence)
    mine, yours = ([n for n in a if n not in b] for a, b in ((one, other), (other, one)))
    assume(mine and yours)
    said = {
        key: data.draw(st.sampled_from([only, only[:1]]))
        for key, only in (("a", mine), ("b", yours))
    }
    sets = {"mine": mine, "yours": yours, "a": said["a"], "b": said["b"]}
    difference = {"only_circuit": said["a"], "only_reference": said["b"]}
    agree(
        {"kind": "difference", "circuit": "paper", "reference": "rerun", **difference},
        "mine == a and yours == b",
        {name: ListedSet(tuple(members)) for name, members in sets.items()},
        evidence,
    )


@SOME
@given(st.data(), circuits, circuits, st.sampled_from(["mlp", "head", "all"]))
def test_overlaps(data: st.DataObject, one: list[str], other: list[str], among: str) -> None:
    left, right = (
        [name for name in nodes if among == "all" or _is_of(name, among)] for nodes in (one, other)
    )
    assume(right)
    common = [name for name in left if name in right]
    figures, count = sized(left=left, right=right, common=common)
    share = 100 * len(common) / len(right)
    size = {"mlp": len(MLPS), "head": len(HEADS)}.get(among, 0)
    form = data.draw(st.sampled_from(["shared", "percent", "tolerance", "bound", "chance"]))
    digits = data.draw(st.integers(0, 2))
    away = data.draw(st.sampled_from([0, 0, 0.5, -0.25, 0.05, 3]))
    text = f"{max(0, min(100, share + away)):.{digits}f}"
    stated: dict[str, Any] = {}
    match form:
        case "shared":
            stated = {"shared": data.draw(near(len(common))), "of": data.draw(near(len(right), 1))}
            that = f"{count['common']} + zero == shared and {count['right']} + zero == of"
            figures |= {name: read_figure(str(number)) for name, number in stated.items()}
        case "percent":
            stated, that = {"percent": text}, f"{count['common']} / {count['right']} == percent"
            figures["percent"] = read_figure(f"{text}%")
        case "tolerance":
            stated = {"percent": text, "tolerance": "0.5"}
            that = f"abs({count['common']} / {count['right']} - {text}%) <= 0.5%"
        case "bound":
            assume(float(text) > 0)
            stated, that = (
                {"at_least_percent": text},
                f"{count['common']} / {count['right']} >= {text}%",
            )
        case _:
            assume(among != "all")
            chance = len(left) * len(right) / size
            stated = {
                "by_chance": f"{chance + data.draw(st.sampled_from([0, 0, 0.1, 0.05])):.{digits}f}"
            }
            that = f"{count['left']} * {count['right']} / {size} == chance"
            figures["chance"] = read_figure(stated["by_chance"], what="measure")
    figures["zero"] = read_figure("0")
    evidence = evidence_of(
        paper=Result(None, circuit(" ".join(one))), rerun=Result(None, circuit(" ".join(other)))
    )
    about = {"kind": "overlap", "circuit": "paper", "reference": "rerun", "among": among}
    agree(about | stated, that, figures, evidence)


def test_what_is_shared_by_chance_is_exact_at_a_half() -> None:
    # 7 of 20 heads and 1 share 0.35 on average, which is both 0.3 and 0.4; as a float it is less.
    heads = HEADS[:7]
    evidence = evidence_of(
        paper=Result(None, circuit(" ".join(heads))), rerun=Result(None, circuit(HEADS[0]))
    )
    figures, _ = sized(left=heads, right=HEADS[:1])
    about = {"kind": "overlap", "circuit": "paper", "reference": "rerun", "among": "head"}
    for text in ("0.3", "0.4"):
        that = f"count(left) * count(right) / 20 == {text}"
        assert verdicts(about | {"by_chance": text}, that, figures, evidence) == ("holds", "holds")


figure = st.builds(
    lambda whole, rest: f"{whole}.{rest}" if rest else f"{whole}",
    st.integers(1, 9),
    st.sampled_from(["", "0", "1", "2", "3", "5", "15", "20", "25", "35"]),
)


def tables(*names: str) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries(dict.fromkeys(names, figure))


@SOME
@given(tables("m0", "m1"), st.integers(0, 2), st.sampled_from([0, 0, 0.1, -0.04, 1]))
def test_ratios(paper: dict[str, str], digits: int, away: float) -> None:
    evidence = evidence_of(paper=Result(table(paper)))
    text = f"{max(0, float(paper['m0']) / float(paper['m1']) + away):.{digits}f}"
    ratio = {"kind": "ratio", "result": "paper", "of": "m0", "to": "m1", "ratio": text}
    stated = {"stated": read_figure(text, what="measure")}
    agree(ratio, "paper.m0 / paper.m1 == stated", stated, evidence)
    that = f"abs(paper.m0 / paper.m1 - {text}) <= 0.1"
    agree(ratio | {"tolerance": "0.1"}, that, {}, evidence)


@FEW
@given(
    st.lists(figure, min_size=24, max_size=24), st.integers(0, 2), st.sampled_from([0, 0, 0.1, 1])
)
def test_ratios_of_the_best_to_the_next(drawn: list[str], digits: int, away: float) -> None:
    best, *others = sorted(drawn, key=float, reverse=True)
    paper = dict(zip(COMPONENTS, [f"{float(best) + 1:.1f}", *others, best], strict=True))
    evidence = evidence_of(paper=Result(table(paper)))
    of, *rest = COMPONENTS
    text = f"{float(paper[of]) / max(float(paper[name]) for name in rest) + away:.{digits}f}"
    ratio = {"kind": "ratio", "result": "paper", "of": of, "to": "next", "ratio": text}
    that = f"paper.{of} / max({', '.join(f'paper.{name}' for name in rest)}) == stated"
    agree(ratio, that, {"stated": read_figure(text, what="measure")}, evidence)


@SOME
@given(tables("m0", "m1"), st.integers(0, 2), st.sampled_from([0, 0, 0.1, -0.04, 1]))
def test_scores_and_bounds(paper: dict[str, str], digits: int, away: float) -> None:
    evidence = evidence_of(paper=Result(table(paper)))
    text = f"{max(0, float(paper['m0']) + away):.{digits}f}"
    bound = {"kind": "bound", "result": "paper", "components": ["m0", "m1"]}
    agree(bound | {"below": text}, f"paper.m0 < {text} and paper.m1 < {text}", {}, evidence)
    agree(bound | {"at_least": text}, f"min(paper.m0, paper.m1) >= {text}", {}, evidence)
    assume(text != paper["m0"])  # that a table prints what is stated is no test of it
    scores = {"kind": "scores", "result": "paper", "scores": {"m0": text}}
    stated = {"stated": read_figure(text, what="measure")}
    # By itself a score may be the coarser of the two, and would state the other.
    as_many = printed(text).width == printed(paper["m0"]).width
    agree(scores, f"paper.m0 {'' if as_many else '+ 0'} == stated", stated, evidence)
    that = f"abs(paper.m0 - {text}) <= 0.25"
    agree(scores | {"tolerance": "0.25"}, that, {}, evidence)


@FEW
@given(tables("m0", "m1"), tables("m0", "m1"), st.integers(0, 300), st.integers(0, 1))
def test_deviations(
    paper: dict[str, str], rerun: dict[str, str], percent: int, digits: int
) -> None:
    evidence = evidence_of(paper=Result(table(paper)), rerun=Result(table(rerun)))
    text = f"{percent / 10**digits:.{digits}f}"
    about = {"kind": "deviation", "result": "rerun", "reference": "paper"}
    one, other = (f"abs(rerun.{name} / paper.{name} - 1)" for name in ("m0", "m1"))
    agree(about | {"percent": {"m0": text}}, f"{one} == {text}%", {}, evidence)
    both = about | {"components": ["m0", "m1"]}
    agree(both | {"mean_percent": text}, f"mean({one}, {other}) == {text}%", {}, evidence)
    that = f"max({one}, {other}) <= {text}%"
    agree(both | {"at_most_percent": text}, that, {}, evidence)
    within = about | {"percent": {"m0": text}, "tolerance": "1.5"}
    agree(within, f"abs({one} - {text}%) <= 1.5%", {}, evidence)


@FEW
@given(st.permutations(MLPS), st.data())
def test_rankings(order: list[str], data: st.DataObject) -> None:
    # Near each other, so that figures meet, overlap and tie.
    close = st.sampled_from(["1.1", "1.2", "1.3", "1.25", "1.15", "1", "2", "1.4", "1.450"])
    drawn = sorted((data.draw(close) for _ in order), key=float, reverse=True)
    paper = dict(zip(order, drawn, strict=True))
    evidence = evidence_of(paper=Result(table(paper)))
    if data.draw(st.booleans()):
        order[:2] = reversed(order[:2])
    first = order[: data.draw(st.integers(1, 3))]
    rest = [(first[-1], one) for one in order if one not in first]
    steps = [*pairwise(first), *rest]
    # Of a tie the one of the earlier layer is first.
    said = [f"paper.{a} {'>=' if int(a[1:]) < int(b[1:]) else '>'} paper.{b}" for a, b in steps]
    assume(said)
    ranking = {"kind": "ranking", "result": "paper", "among": "mlp", "first": first}
    agree(ranking, " and ".join(said), {}, evidence)


@SOME
@given(figure, figure, figure, figure, st.sampled_from(["percent", "at_least", "at_most"]))
def test_published_faithfulness(whole: str, empty: str, kept: str, stated: str, form: str) -> None:
    means = [printed(text) for text in (whole, empty, kept)]
    assume(means[0].low > means[1].high)
    behaviour = PublishedBehaviour(*means)
    evidence = evidence_of(paper=Result(None, None, behaviours={"name": behaviour}))
    texts = {"whole": whole, "empty": empty, "kept": kept}
    figures: dict[str, Named] = {
        name: read_figure(text, what="measure") for name, text in texts.items()
    }
    text = f"{10 * float(stated):.1f}"
    sign = {"percent": "==", "at_least": ">=", "at_most": "<="}[form]
    that = f"(kept - empty) / (whole - empty) {sign} {text}%"
    check = {"kind": "faithfulness", "behaviour": "name", "circuit": "paper", form: text}
    agree(check, that, figures, evidence)
