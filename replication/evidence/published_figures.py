"""Published figures: what sources print, by name, for claims on their arithmetic.

They stand in the file of claims, under `[figures]`, so that each is written down once, with where
it stands in its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from replication.arithmetic.expressions import WORDS
from replication.arithmetic.figures import Digits, Figure, ListedSet, What, read_figure
from replication.experiment.spec import Text
from replication.experiment.table import Table
from replication.inputs.files import InputError, is_there, read_toml, repeats, validate
from replication.inputs.messages import quoted

Named = Figure | ListedSet


def _no_word(name: str) -> str:
    if name in WORDS:
        raise InputError(f"{name} is a word of the expressions, and no figure's name")
    return name


FigureName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100),
    AfterValidator(_no_word),
]


class FigureSpec(Table):
    """A figure, or a listed set, as its source prints it."""

    source: Text
    """Where it is printed."""
    printed: Text | None = None
    """The figure as it is printed: its digits are what is known of it."""
    listed: Annotated[list[Text], Field(min_length=1)] | None = None
    """The members of a set that is listed in full."""
    what: What | None = None
    """`count`, which is exact, `measure`, or `share`: a whole number is a count if nothing is said,
    and any other a measure. A percentage says itself that it is one."""
    digits: Digits | None = None
    """How the last digit came about: `rounded` if nothing is said, `truncated`, `about`; or
    `computed`: rounded from what the source's other figures give as they are printed."""
    spread: str | None = None
    """With `about`: how far the value may lie to either side, in units of the figure, in place of
    one unit of its last digit."""

    @model_validator(mode="after")
    def _one_of_both(self) -> FigureSpec:
        if (self.printed is None) == (self.listed is None):
            raise ValueError("expected either printed or listed")
        if self.listed is not None:
            if self.what or self.digits or self.spread:
                raise ValueError("what, digits and spread belong to printed")
            if again := repeats(self.listed):
                raise ValueError(f"listed: {quoted(again[0])} stands there more than once")
        self.named()
        return self

    def named(self) -> Named:
        """What the name stands for.

        Raises:
            InputError: what is printed cannot be read.
        """
        if self.listed is not None:
            return ListedSet(tuple(self.listed), self.source)
        figure = read_figure(str(self.printed), self.what, self.digits, self.spread)
        return replace(figure, source=self.source)


class FigureTable(BaseModel):
    """The figures of a file of claims, whatever else stands in it."""

    model_config = ConfigDict(extra="ignore", strict=True)

    figures: dict[FigureName, FigureSpec] = Field(default_factory=dict)


def read_figures(path: Path) -> dict[str, Named]:
    """The figures that a file of claims names; none where there is no such file.

    Raises:
        InputError: naming the file, the figure and the reason.
    """
    if not is_there(path):
        return {}
    table = validate(FigureTable, read_toml(path), path)
    return {name: figure.named() for name, figure in table.figures.items()}


def figures_in(data: Mapping[str, Any]) -> dict[str, Named | None]:
    """The figures in the content of a file of claims; None for each that is at fault."""
    table = data.get("figures")
    found: dict[str, Named | None] = {}
    for name, stated in table.items() if isinstance(table, dict) else ():
        try:
            found[name] = FigureSpec.model_validate(stated).named()
        except ValidationError:
            found[name] = None
    return found
