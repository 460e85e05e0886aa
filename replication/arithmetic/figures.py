"""Figures as they are printed: which values their digits allow, and what they are figures of.

| printed | is | the values that it stands for |
| --- | --- | --- |
| 3.56, -0.3, 8.6e-3 | a number | half a unit of the last digit to either side |
| 26, 1,984 | a count | that one; as a measure, half a unit of the last digit to either side |
| 87%, 12.5% | a percentage | half a unit of the last digit to either side |
| 94/100, 94 of 100 | a share | that one: a count of a count |
| about 45% | as without the word | a whole unit of the last digit, or a stated spread, either way |

A percentage is held as a share: 87% as 0.87. Truncated digits allow what begins with them, so one
whole unit further away from zero. Computed digits were rounded too, of what the source computed
from its other figures as they are printed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from replication.circuits.intervals import Interval, exact
from replication.circuits.intervals import printed as plain_decimal
from replication.inputs.files import InputError
from replication.inputs.messages import quoted

Dimension = Literal["count", "percentage", "share", "number"]
Digits = Literal["rounded", "truncated", "about", "computed"]
What = Literal["count", "measure", "share"]

PERCENT = Fraction(1, 100)
_WHOLE = r"[0-9]{1,3}(?:,[0-9]{3}){1,16}|[0-9]{1,50}"
_DECIMAL = re.compile(
    rf"(?P<about>about )?(?P<sign>-?)(?P<whole>{_WHOLE})(?:\.(?P<decimals>[0-9]{{1,50}}))?"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,2}))?(?P<percent> ?%)?"
)
_OF = re.compile(rf"(?P<part>{_WHOLE})(?: ?/ ?| of )(?P<all>{_WHOLE})")
FORMS = "'3.56', '-0.3', '8.6e-3', '87%', '1,984', '94/100', '94 of 100' or 'about 45%'"


@dataclass(frozen=True)
class Figure:
    """One figure: as it was printed, the value there, those that it stands for, and what it is.

    One that is `computed` is what its source computed from other figures as they are printed; one
    that is `about` says of its ends no more than of what is between them; one that `is_bound` was
    not printed at all, and its value is no more than half-way between what bounds it. `source` says
    where that is, if it was printed.
    """

    printed: str
    value: Fraction
    values: Interval
    dimension: Dimension
    computed: bool = False
    about: bool = False
    is_bound: bool = False
    source: str = field(default="", compare=False)


@dataclass(frozen=True)
class ListedSet:
    """A set that a source lists in full, each member once."""

    members: tuple[str, ...]
    source: str = field(default="", compare=False)


def read_figure(
    text: str, what: What | None = None, digits: Digits | None = None, spread: str | None = None
) -> Figure:
    """The figure that a text prints.

    `what` says what a plain number is: a whole one is a count unless it is said to be a measure,
    any other a number unless it is said to be a share. `digits` says how its last digit came about:
    by rounding, if nothing is said. `spread` is how far about reaches, in units of the figure.

    Raises:
        InputError: the text is no such figure, or what is said of it does not fit.
    """
    clean = " ".join(text.replace("−", "-").split())
    if match := _OF.fullmatch(clean):
        return _share(text, match, what, digits, spread)
    match = _DECIMAL.fullmatch(clean)
    if match is None:
        raise InputError(f"{quoted(text)} is no figure such as {FORMS}")
    if match["about"]:
        if digits not in (None, "about"):
            raise InputError(f"{quoted(text)} says about, digits says {digits}")
        digits = "about"
    dimension = _dimension(match, what, digits)
    unit = PERCENT if dimension == "percentage" else Fraction(1)
    value = Fraction(_number(match, "e" + (match["exponent"] or "0"))) * unit
    if dimension == "count":
        if digits is not None:
            raise InputError(
                f"{quoted(text)} is a count, and exact: digits says nothing of it; of a measure it"
                " does"
            )
        values = exact(value)
    else:
        step = unit * Fraction(10) ** (int(match["exponent"] or 0) - len(match["decimals"] or ""))
        about = step if spread is None else _spread(spread) * unit
        values = _values(value, match["sign"] == "-", digits or "rounded", step, about)
    if spread is not None and digits != "about":
        raise InputError("spread is how far about reaches, and belongs to it alone")
    return Figure(text, value, values, dimension, digits == "computed", digits == "about")


def _share(
    text: str, match: re.Match[str], what: What | None, digits: Digits | None, spread: str | None
) -> Figure:
    part, whole = (int(match[name].replace(",", "")) for name in ("part", "all"))
    if not 0 < whole >= part:
        raise InputError(f"{quoted(text)}: expected a part of at least 1")
    if what in ("count", "measure") or digits is not None or spread is not None:
        raise InputError(f"{quoted(text)} is a share, of two counts, and exact")
    share = Fraction(part, whole)
    return Figure(text, share, exact(share), "share")


def _number(match: re.Match[str], exponent: str = "") -> str:
    decimals = f".{match['decimals']}" if match["decimals"] else ""
    return f"{match['sign']}{match['whole'].replace(',', '')}{decimals}{exponent}"


def _dimension(match: re.Match[str], what: What | None, digits: Digits | None) -> Dimension:
    """What a printed decimal is a figure of."""
    is_whole = match["decimals"] is None and match["exponent"] is None
    if match["percent"]:
        if what is not None:
            raise InputError(f"{quoted(match[0])} is a percentage, and cannot be a {what}")
        return "percentage"
    if what == "count" and (not is_whole or match["sign"] or digits == "about"):
        raise InputError(f"{quoted(match[0])} cannot be a count: a count is a whole number, exact")
    if what == "share":
        return "share"
    if what == "measure" or not is_whole or match["sign"] or digits == "about":
        return "number"
    return "count"


def _spread(text: str) -> Fraction:
    spread = plain_decimal(text).middle
    if spread <= 0:
        raise InputError(f"expected a spread above 0, found {quoted(text)}")
    return spread


def _values(
    value: Fraction, is_negative: bool, digits: Digits, step: Fraction, about: Fraction
) -> Interval:
    """The values that digits allow of which the last counts `step`."""
    match digits:
        case "rounded" | "computed":
            return Interval(value - step / 2, value + step / 2)
        case "about":
            return Interval(value - about, value + about)
        case "truncated":
            low = value - step if is_negative or value == 0 else value
            return Interval(low, value if is_negative and value != 0 else value + step)
