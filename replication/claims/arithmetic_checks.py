"""Checks of arithmetic: what follows from printed figures, and whether they can be of one object.

They are expressions over the figures that the file of claims names, and over scores of results, as
`original.m2`; see `replication.arithmetic` for what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from replication.arithmetic.bounds import Unbounded, enclosure
from replication.arithmetic.conditions import (
    box_of,
    condition_of,
    counted,
    stating_in,
    status,
)
from replication.arithmetic.dimensions import KindOf, check_computes, check_condition
from replication.arithmetic.expressions import (
    Comparison,
    In,
    Name,
    Tree,
    at,
    names_in,
    parse,
)
from replication.arithmetic.figures import Dimension, Figure, ListedSet
from replication.arithmetic.search import decide, zero_divisor
from replication.arithmetic.together import judge_together
from replication.circuits.intervals import Interval, exact, show
from replication.claims.arithmetic_words import (
    comparisons,
    measured_in,
    number,
    plainly,
    range_of,
    shares,
)
from replication.claims.asked import CannotJudge, score_of
from replication.claims.check import Check, Outcome, Part, conjunction
from replication.claims.keys import Known, known
from replication.evidence.evidence import Evidence
from replication.evidence.published_figures import Named
from replication.inputs.files import InputError
from replication.inputs.messages import listed

_SCORE = re.compile(r"(?P<result>.+?)\.(?P<component>[^.]*\.h[^.]*|[^.]+)")


class _AtFault(Exception):
    """A figure that is at fault itself, which is told where it stands."""


def score_parts(name: str) -> tuple[str, str]:
    """The result and the component of a score's name; a result's name may have dots too."""
    match = _SCORE.fullmatch(name)
    return (match["result"], match["component"]) if match else ("", name)


def _check_score(name: str, of: Known) -> None:
    """Refuse the name of a score that no result has.

    Raises:
        InputError: there is no such result, or no such component.
    """
    result, component = score_parts(name)
    if result not in of.results:
        raise InputError(f"the experiment has no result {result!r}; it has {listed(of.results)}")
    if len(several := of.tables.get(result, [])) > 1:
        raise InputError(
            f"{result} has several tables of scores, {listed(several)}, and no one score of"
            f" {component}"
        )
    if of.shape.component(component).kind == "input":
        raise InputError("the input is not scored")


def _kinds(of: Known) -> KindOf:
    def kind(name: Name) -> Dimension | Literal["set"]:
        if "." in name.name:
            try:
                _check_score(name.name, of)
            except InputError as error:
                raise at(str(error), name.at) from None
            return "number"
        if name.name not in of.figures:
            raise at(_no_figure(name.name, list(of.figures)), name.at)
        figure = of.figures[name.name]
        if figure is None:
            raise _AtFault
        return "set" if isinstance(figure, ListedSet) else figure.dimension

    return kind


def _no_figure(name: str, names: Sequence[str]) -> str:
    by_letters = {one.lower(): one for one in names}
    near = [by_letters[one] for one in get_close_matches(name.lower(), by_letters, n=3)]
    hint = f"did you mean {listed(near)}?" if near else f"there are {listed(names) or 'none'}"
    return f"there is no figure {name}; {hint}"


def _expression(text: str, info: ValidationInfo) -> str:
    tree, of = parse(text), known(info)
    try:
        check_condition(tree, _kinds(of))
    except _AtFault:
        return text
    if not names_in(tree):
        raise InputError("names no figure, so that no evidence could turn it")
    check_computes(tree)
    printed = {name: figure for name, figure in of.figures.items() if figure is not None}
    if (zero := zero_divisor(counted(tree, printed), box_of(printed))) is not None:
        raise InputError(_may_be_zero(zero, printed))
    return text


def _may_be_zero(divisor: Tree, figures: Mapping[str, Named]) -> str:
    names = listed(dict.fromkeys(one.name for one in names_in(divisor)))
    try:
        values = f"{range_of(enclosure(divisor, box_of(figures)))}"
    except Unbounded:
        values = "unbounded itself"
    of = f" of {names}" if names else ""
    return f"may divide by zero, by a value{of} that is {values}, at character {divisor.at}"


Expression = Annotated[
    str,
    AfterValidator(_expression),
    Field(description="A comparison of figures and scores, such as abs(F - G) / F == share."),
]


class _OfFigures(Check):
    """What checks of arithmetic have in common."""

    states_figures: ClassVar = True

    def expressions(self) -> list[str]:
        """The expressions, as they are written."""
        raise NotImplementedError

    def names(self) -> list[str]:
        """The names in the expressions, each once."""
        trees = map(parse, self.expressions())
        return list(dict.fromkeys(one.name for tree in trees for one in names_in(tree)))

    def figures(self) -> set[str]:
        """The named figures that the check looks at."""
        return {name for name in self.names() if "." not in name}

    def results(self) -> set[str]:
        """The results whose scores the check looks at."""
        return {score_parts(name)[0] for name in self.names() if "." in name}

    def printed(self, evidence: Evidence) -> dict[str, Named]:
        """The figures and scores in the expressions.

        Raises:
            CannotJudge: the evidence lacks one.
        """
        found: dict[str, Named] = {}
        for name in self.names():
            if "." in name:
                result, component = score_parts(name)
                score = score_of(evidence, result, evidence.shape.component(component))
                printed, value = show(score), score.middle
                found[name] = Figure(printed, value, score, "number", is_bound=score.is_bound)
            elif name in evidence.figures:
                found[name] = evidence.figures[name]
            else:
                raise CannotJudge(f"there is no published figure {name}")
        return found


class Arithmetic(_OfFigures):
    """A comparison holds for all values that the digits of the figures in it allow."""

    kind: Literal["arithmetic"]
    that: Expression

    def expressions(self) -> list[str]:
        return [self.that]

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        figures, tree = self.printed(evidence), parse(self.that)
        _check_zeros([tree], figures)
        condition = condition_of(tree, figures)
        decision = decide(condition, box_of(figures))
        verdict = decision.verdict
        told = list(comparisons(self.that, tree, figures, stating_in([tree])))
        if len(told) == 1 and isinstance(tree, Comparison | In):
            parts = [Part(verdict, told[0].text(verdict))]
        else:
            parts = [one.part(figures) for one in told]
        telling = [part for part in parts if part.verdict == verdict] or parts
        found = conjunction(telling, measured_in(told), self.that)
        reason = found.reason
        if verdict == "undecided":
            reason += f"; {shares(decision)}"
            if status(condition, _as_printed(figures)) == "holds":
                reason += ", and the figures as printed give it"
        return Outcome(verdict, found.measured, self.that, reason)


class Joint(_OfFigures):
    """Figures can be of one object: some values that their digits allow make all of it true."""

    kind: Literal["joint"]
    that: Annotated[list[Expression], Field(min_length=1, max_length=20)]

    def expressions(self) -> list[str]:
        return self.that

    def judge_evidence(self, evidence: Evidence) -> Outcome:
        figures, trees = self.printed(evidence), list(map(parse, self.that))
        _check_zeros(trees, figures)
        found = judge_together(trees, figures)
        if found.witness is not None:
            values = [f"{name} = {number(one)}" for name, one in found.witness.items()]
            reason = f"all of it is true with {', '.join(values)}"
            measured = {name: plainly(exact(one)) for name, one in found.witness.items()}
            return Outcome("holds", measured, self.that, reason)
        if found.verdict == "undecided":
            reason = (
                f"in {found.boxes} parts of what the digits allow neither values were found that"
                " make all of it true, nor was it shown that there are none"
            )
            return Outcome("undecided", None, self.that, reason)
        told = [
            one
            for text, tree in zip(self.that, trees, strict=True)
            for one in comparisons(text, tree, figures, stating_in(trees))
        ]
        parts = [one.part(figures) for one in told]
        alone = [part for part in parts if part.verdict == "refuted"]
        shown = conjunction(alone or parts, measured_in(told), self.that)
        excluded = "what excludes it" if alone else "each may be true alone"
        reason = f"no values that the digits allow make all of it true; {excluded}: {shown.reason}"
        return Outcome("refuted", shown.measured, self.that, reason)


def _as_printed(figures: Mapping[str, Named]) -> dict[str, Interval]:
    """Every figure as the value that is printed, if one is."""
    return {
        name: figure.values if figure.is_bound else exact(figure.value)
        for name, figure in figures.items()
        if isinstance(figure, Figure)
    }


def _check_zeros(trees: Sequence[Tree], figures: Mapping[str, Named]) -> None:
    """Refuse a divisor that may be zero.

    Raises:
        CannotJudge: there is one, of scores; one of named figures was refused when it was read.
    """
    for tree in trees:
        if (zero := zero_divisor(counted(tree, figures), box_of(figures))) is not None:
            raise CannotJudge(_may_be_zero(zero, figures))
