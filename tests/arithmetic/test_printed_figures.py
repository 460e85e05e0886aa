"""Printed figures: every form that is read, what it stands for, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.arithmetic.conditions import box_of, condition_of
from replication.arithmetic.expressions import parse
from replication.arithmetic.figures import Digits, read_figure
from replication.arithmetic.search import decide
from replication.circuits.intervals import printed
from replication.inputs.files import InputError


@pytest.mark.parametrize(
    ("text", "low", "high", "dimension"),
    [
        ("3.56", "3.555", "3.565", "number"),
        ("-0.3", "-0.35", "-0.25", "number"),
        ("−0.3", "-0.35", "-0.25", "number"),
        ("8.6e-3", "0.00855", "0.00865", "number"),
        ("1.2E3", "1150", "1250", "number"),
        ("87%", "0.865", "0.875", "percentage"),
        ("12.5 %", "0.1245", "0.1255", "percentage"),
        ("-5%", "-0.055", "-0.045", "percentage"),
        ("94/100", "0.94", "0.94", "share"),
        ("94 of 100", "0.94", "0.94", "share"),
        ("1,000 / 2,000", "0.5", "0.5", "share"),
        ("12", "12", "12", "count"),
        ("1,984", "1984", "1984", "count"),
        ("-5", "-5.5", "-4.5", "number"),
        ("about 45%", "0.44", "0.46", "percentage"),
        ("about 0.3", "0.2", "0.4", "number"),
        ("about 1,000", "999", "1001", "number"),
        ("  about   45% ", "0.44", "0.46", "percentage"),
    ],
)
def test_a_figure_stands_for_what_its_digits_allow(
    text: str, low: str, high: str, dimension: str
) -> None:
    figure = read_figure(text)
    assert (figure.values.low, figure.values.high) == (Fraction(low), Fraction(high))
    assert figure.dimension == dimension
    assert figure.values.low <= figure.value <= figure.values.high


@pytest.mark.parametrize(
    ("text", "said", "low", "high", "dimension"),
    [
        ("12", {"what": "measure"}, "11.5", "12.5", "number"),
        ("1,984", {"what": "measure"}, "1983.5", "1984.5", "number"),
        ("0.87", {"what": "share"}, "0.865", "0.875", "share"),
        ("0.87", {"what": "measure"}, "0.865", "0.875", "number"),
        ("0.87", {"digits": "truncated"}, "0.87", "0.88", "number"),
        ("-0.3", {"digits": "truncated"}, "-0.4", "-0.3", "number"),
        ("0.0", {"digits": "truncated"}, "-0.1", "0.1", "number"),
        ("87%", {"digits": "truncated"}, "0.87", "0.88", "percentage"),
        ("87%", {"digits": "rounded"}, "0.865", "0.875", "percentage"),
        ("45%", {"digits": "about"}, "0.44", "0.46", "percentage"),
        ("45%", {"digits": "about", "spread": "5"}, "0.40", "0.50", "percentage"),
        ("about 1,000", {"spread": "100"}, "900", "1100", "number"),
        ("12", {"what": "measure", "digits": "truncated"}, "12", "13", "number"),
        ("3", {"what": "share"}, "2.5", "3.5", "share"),
        ("94/100", {"what": "share"}, "0.94", "0.94", "share"),
    ],
)
def test_what_is_said_of_a_figure_counts(
    text: str, said: dict[str, Any], low: str, high: str, dimension: str
) -> None:
    figure = read_figure(text, **said)
    assert (figure.values.low, figure.values.high) == (Fraction(low), Fraction(high))
    assert figure.dimension == dimension


@pytest.mark.parametrize(
    ("text", "said", "reason"),
    [
        ("NaN", {}, "'NaN' is no figure such as '3.56'"),
        ("inf", {}, "is no figure"),
        ("", {}, "is no figure"),
        ("3.", {}, "is no figure"),
        ("1,98", {}, "is no figure"),
        ("~45%", {}, "is no figure"),
        ("4 5", {}, "is no figure"),
        ("1e999", {}, "is no figure"),
        ("9" * 51, {}, "is no figure"),
        ("100/94", {}, "expected a part of at least 1"),
        ("0/0", {}, "expected a part of at least 1"),
        ("3.5/7", {}, "is no figure"),
        ("94/100", {"digits": "truncated"}, "is a share, of two counts, and exact"),
        ("94/100", {"what": "measure"}, "is a share, of two counts, and exact"),
        ("12", {"digits": "truncated"}, "is a count, and exact"),
        ("12", {"digits": "rounded"}, "is a count, and exact"),
        ("12.5", {"what": "count"}, "cannot be a count"),
        ("-3", {"what": "count"}, "cannot be a count"),
        ("about 12", {"what": "count"}, "cannot be a count"),
        ("87%", {"what": "measure"}, "is a percentage, and cannot be a measure"),
        ("about 45%", {"digits": "rounded"}, "says about, digits says rounded"),
        ("45%", {"spread": "5"}, "belongs to it alone"),
        ("about 45%", {"spread": "0"}, "expected a spread above 0"),
        ("about 45%", {"spread": "-1"}, "expected a spread above 0"),
        ("about 45%", {"spread": "x"}, "'x' is not a plain decimal number"),
    ],
)
def test_what_is_no_figure_is_refused(text: str, said: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as raised:
        read_figure(text, **said)
    assert reason in str(raised.value)


@given(st.from_regex(r"\A-?[0-9]{1,5}\.[0-9]{1,5}\Z"))
def test_a_decimal_stands_for_what_it_does_in_every_check(text: str) -> None:
    assert read_figure(text).values == printed(text)


@pytest.mark.parametrize(
    ("share", "digits", "verdict"),
    [
        ("12.9%", "computed", "holds"),
        ("12.9%", "rounded", "undecided"),
        ("12.8%", "computed", "refuted"),
        ("12.8%", "rounded", "undecided"),
        ("13.2%", "computed", "refuted"),
        ("13.2%", "rounded", "refuted"),
    ],
)
def test_a_figure_that_was_computed_states_what_printed_values_give(
    share: str, digits: Digits, verdict: str
) -> None:
    known = {
        "gap": read_figure("0.46"),
        "whole": read_figure("3.56"),
        "share": read_figure(share, digits=digits),
    }
    for text in ("gap / whole == share", "share == gap / whole", "not (gap / whole != share)"):
        condition = condition_of(parse(text), known)
        assert decide(condition, box_of(known)).verdict == verdict


def test_elsewhere_a_computed_figure_has_rounded_digits() -> None:
    computed, rounded = (read_figure("12.9%", digits=one) for one in ("computed", "rounded"))
    assert computed.values == rounded.values
    for digits in ("computed", "rounded"):
        known = {"share": read_figure("12.9%", digits=digits), "whole": read_figure("3.56")}
        condition = condition_of(parse("share * whole < 0.46"), known)
        assert decide(condition, box_of(known)).verdict == "undecided"


@given(st.integers(1, 999), st.integers(1, 999), st.integers(0, 2))
def test_what_is_computed_from_printed_values_holds_as_it_is_rounded(
    part: int, whole: int, decimals: int
) -> None:
    exactly = Fraction(part, whole)
    unit = Fraction(1, 10**decimals)
    rounded = round(exactly / unit) * unit
    known = {
        "part": read_figure(f"{part / 100:.2f}"),
        "whole": read_figure(f"{whole / 100:.2f}"),
        "ratio": read_figure(f"{float(rounded):.{decimals}f}", "measure", "computed"),
        "other": read_figure(f"{float(rounded + 2 * unit):.{decimals}f}", "measure", "computed"),
    }
    for name, verdict in (("ratio", "holds"), ("other", "refuted")):
        condition = condition_of(parse(f"part / whole == {name}"), known)
        assert decide(condition, box_of(known)).verdict == verdict
