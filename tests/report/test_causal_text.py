"""What interventions found, in sentences and tables, from behaviours with planted effects."""

from __future__ import annotations

import pytest

from replication.report.causal_record import CausalRecord, CausalRecords, CellRecord
from replication.report.causal_text import between, causal_markdown, in_short, share
from replication.report.text import claims_markdown
from tests.make import evidence_of, make_spec, means
from tests.report.causal import SHAPE, claim, evidence_with, records, report_on


def lines(found: CausalRecords) -> list[str]:
    return causal_markdown(found)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "unknown"), (0.1234, "12.3%"), (-0.0001, "0.0%"), (1.02, "102%"), (-19.8, "-1,980%")],
)
def test_a_share_is_read_at_a_glance(value: float | None, text: str) -> None:
    assert share(value) == text


def test_an_interval_without_an_end_says_so() -> None:
    assert between(None) == "not computed"
    assert between((0.1, 0.25)) == "10.0% to 25.0%"
    assert between((None, 0.25)) == "at most 25.0%"
    assert between((0.1, None)) == "at least 10.0%"
    assert between((None, None)) == "without bounds"


def test_the_behaviour_the_judged_cell_and_the_circuits_are_told() -> None:
    found = lines(records(evidence_with()))
    assert found[0] == "### Does it do anything? (recorded evidence)"
    text = "\n".join(found)
    assert "- **Behaviour**: logit difference over 20 pairs: 4.03 (" in text
    assert "right on 20; on other" in text
    assert (
        "- **Judged in**: interchange, all but the circuit ablated, at all positions, ratio of"
        " means." in text
    )
    (mine,) = [line for line in found if line.startswith("| mine |")]
    assert mine.startswith("| mine | 4 | 99.")
    assert mine.count(" of 19 |") == 1
    assert "in 12 of 12 cells the behaviour is told from none, and mine keeps 49." in text


def test_the_components_of_each_word_are_named_but_those_of_none() -> None:
    text = "\n".join(lines(records(evidence_with())))
    assert (
        "- **Words**: of all components and the input: 1 against, 3 necessary, 1 redundant" in text
    )
    assert "- Of the 4 components of mine: 1 against, 2 necessary, 1 sufficient together." in text
    assert "- Against: a2.h2 (-19." in text
    assert "- Redundant: a1.h1 (" in text
    assert ", left out)." in text
    assert "- Not used" not in text


def test_what_differs_is_held_against_what_matters() -> None:
    text = "\n".join(lines(records(evidence_with())))
    assert "**What differs against what matters**: how much components differ" in text
    assert "The 10 that differ most and the 10 that matter most have 8 in common: " in text
    assert "m1 differs most, and " in text
    assert "- **Counterparts**: necessary by some and not by others: a0.h1." in text
    assert "- **Sets**: of 5 that were tried, a1.h0 (search, step 1) parts" in text


def test_a_behaviour_that_the_model_does_not_show_is_told_with_the_reason() -> None:
    found = lines(records(evidence_with()))
    start = found.index("**not**")
    assert found[start + 3] == (
        "- Nothing was run that would explain it, as the whole model's mean is not above its"
        " counterparts'."
    )
    assert found[start + 4] == ""


def test_claims_on_faithfulness_are_told_with_the_cells_in_which_they_turn() -> None:
    evidence = evidence_with()
    kept = claim("F1", evidence, kind="faithfulness", circuit="mine", at_least="80")
    low = claim("F2", evidence, kind="faithfulness", circuit="mine", at_least="1")
    found = lines(records(evidence, kept, low))
    assert "| F1 | holds | 2 of 12 cells | refuted in 2: zero (ablate) |" in found
    assert "| F2 | holds | 0 of 12 cells | nowhere |" in found


def cell(value: str, direction: str, positions: str, averaging: str) -> CellRecord:
    return CellRecord.model_validate(
        {"value": value, "direction": direction, "positions": positions, "averaging": averaging}
    )


def test_cells_are_told_in_short_by_what_they_have_in_common() -> None:
    every = [
        cell(value, direction, positions, averaging)
        for value, direction in (("zero", "ablate"), ("mean", "ablate"), ("mean", "restore"))
        for positions in ("all", "text")
        for averaging in ("ratio of means", "mean of ratios")
    ]
    assert in_short(every, every) == "zero and mean (ablate), mean (restore)"
    assert in_short(every[:2], every) == "zero (ablate, all)"
    assert in_short(every[:1], every) == "zero (ablate, all, ratio of means)"
    assert in_short([every[0], every[4]], every) == "zero and mean (ablate, all, ratio of means)"


def test_where_the_whole_is_not_told_from_none_no_share_is_told_of_one_component() -> None:
    (found,) = records(evidence_with(logits=-4.0)).shown
    assert not found.is_told
    text = told(found)
    assert "no share of it says anything" in text
    assert "differs most, and" not in text
    assert "**Sets**" not in text


def told(found: CausalRecord) -> str:
    ran = CausalRecords(evidence="live", clusters=20, resamples=10, behaviours=[found])
    return "\n".join(lines(ran))


def test_where_nothing_was_run_the_reason_is_told_if_a_behaviour_is_stated() -> None:
    evidence = evidence_of(make_spec(SHAPE), means(SHAPE, 4))
    found = records(evidence)
    assert lines(found)[2] == "Not run: the experiment states no behaviour."
    about = claim("B1", evidence_with(), kind="behaviour", at_least="0")
    report = report_on(evidence, about.model_copy(update={"check": []}))
    assert "### Does it do anything?" not in claims_markdown([report])


def test_the_section_stands_in_the_text_of_the_report() -> None:
    evidence = evidence_with()
    text = claims_markdown(
        [report_on(evidence, claim("B1", evidence, kind="behaviour", at_least="0"))]
    )
    assert text.count("### Does it do anything? (recorded evidence)") == 1
