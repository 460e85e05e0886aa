"""The pictures: what they draw, that they can be drawn, and that the committed sample is theirs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from docs.draw_sample import SAMPLE, sample_pictures
from replication.circuits.components import ModelShape
from replication.evidence.evidence import published_evidence
from replication.experiment.spec import read_experiment
from replication.report.handover import result_figures
from replication.report.pictures.controls import length, length_shares, null
from replication.report.pictures.grids import circuit, comparison
from replication.report.pictures.marks import TOOLTIP, Spec, row_values
from replication.report.pictures.scores import head_scores, mlp_scores, probabilities
from replication.report.pictures.svg import svg, write_circuit_picture
from replication.report.pictures.theme import PALETTES
from replication.report.record import ComponentRecord, LengthRecord, ResultFigures
from replication.report.rows import compared, components
from tests.paths import FIXTURES

FIGURE = r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?"

SHAPE = ModelShape(n_layers=2, n_heads=3, d_model=8, d_head=2)
NODES = ["input", "m1", "a0.h2", "a1.h0"]


def figures(**changes: Any) -> ResultFigures:
    """A result with figures on some of its components."""
    known = {
        "shape": SHAPE,
        "mlp_threshold": 2.0,
        "budget": 30,
        "nodes": NODES,
        "cost": 20,
        "scores": {"m0": 1.0, "m1": [2.95, 3.05], "a0.h2": 0.9, "a1.h0": 0.7, "a1.h1": 0.5},
        "ranks": {"m1": 1, "m0": 2, "a0.h2": 1, "a1.h0": 2, "a1.h1": 3},
        "places": {"m1": 1, "m0": 2, "a0.h2": 1, "a1.h0": 2, "a1.h1": 3},
        "cut": {"last_in": "a1.h0", "first_out": "a1.h1", "score": 0.6},
    }
    return ResultFigures.model_validate(known | changes)


def controlled(component: str, **known: Any) -> ComponentRecord:
    """What the controls know of one component."""
    given = {
        "kind": "head" if component.startswith("a") else "mlp",
        "rank": 1,
        "listed_rank": 1,
        "score": 2.0,
    }
    said = {"selected": True, "word": "not shown", "reason": ""}
    return ComponentRecord.model_validate({"component": component, **given, **said, **known})


def labels(spec: Spec) -> list[str]:
    """What the marks of the drawn picture say to a screen reader."""
    return re.findall(r'aria-label="([^"]+)" role="graphics-symbol"', svg(spec))


def test_rows_say_what_is_known_of_each_component_and_what_is_not() -> None:
    rows = {row.component: row for row in components(figures())}
    assert list(rows) == ["input", "m0", "m1", *(f"a{x}.h{y}" for x in range(2) for y in range(3))]
    assert rows["m1"].score == pytest.approx(3.0)
    assert rows["a1.h1"].words.rank == "3 of 6 heads"
    assert rows["a1.h1"].words.distance == "-0.1"
    assert rows["a0.h0"].words.score == "not published"
    assert rows["a0.h0"].words.rank == "not known"
    assert [name for name, row in rows.items() if row.selected] == NODES

    verified = [controlled("m1", interval=[2.5, 3.5], selection_probability=0.9)]
    known = {row.component: row for row in components(figures(), verified)}
    assert known["m1"].words.interval == "2.5 to 3.5"
    assert known["m1"].probability == 0.9
    assert known["m0"].words.interval == "not computed"


def test_ranks_are_those_of_the_score_table_and_not_counted_again() -> None:
    counted = figures(ranks={"m0": 1, "m1": 2}, places={})
    rows = {row.component: row for row in components(counted)}
    assert rows["m0"].words.rank == "1 of 2 listed MLPs"
    assert rows["a1.h1"].rank is None


def test_a_row_as_data_has_what_the_picture_and_its_hovering_use() -> None:
    row = components(figures())[2]
    data = row_values(row, "score", "selected")
    assert {entry["field"] for entry in TOOLTIP} | {"score", "selected", "in words"} == set(data)
    assert data["in words"] == (
        "m1: score 2.95 to 3.05, rank 1 of 2 MLPs, interval not computed, distance +0.95 to +1.05,"
        " circuit in the circuit"
    )


def test_compared_circuits_have_a_state_for_each_component() -> None:
    here, there = components(figures()), components(figures(nodes=["input", "m0", "a0.h2"]))
    found = compared("here", here, "there", there)
    assert found.states == ["in both", "only in here", "only in there", "in neither"]
    stands = {row.left.component: row.state for row in found.rows}
    assert [stands[name] for name in ("a0.h2", "m1", "m0", "a1.h1")] == found.states
    assert [row.left.component for row in found.rows if row.differs] == ["m0", "m1", "a1.h0"]
    spec = comparison(found, SHAPE)
    assert "2 in both, 2 only in here, 1 only in there, 4 in neither" in spec["description"]
    assert "m1: only in here; here: 2.95 to 3.05, there: 2.95 to 3.05" in labels(spec)
    assert spec["data"]["values"][2]["left rank"] == "1 of 2 MLPs"


def test_the_circuit_is_drawn_with_a_cell_for_each_component_and_an_outline_for_its_nodes() -> None:
    spec = circuit(components(figures()), SHAPE)
    assert len(labels(spec)) == 1 + 2 + 6
    drawn = svg(spec)
    outlined = re.findall(r'aria-label="([^:"]+):[^>]*stroke-width="2.2"', drawn)
    assert sorted(outlined) == sorted(NODES)


def test_the_picture_beside_a_circuit_is_that_of_the_circuit(tmp_path: Path) -> None:
    write_circuit_picture(tmp_path / "circuit.svg", figures())
    said = re.findall(
        r'aria-label="([^"]+)"', (tmp_path / "circuit.svg").read_text(encoding="utf-8")
    )
    drawn = svg(circuit(components(figures()), SHAPE))
    assert said == re.findall(r'aria-label="([^"]+)"', drawn)


def test_a_circuit_without_scores_and_scores_without_a_circuit_are_drawn() -> None:
    bare = figures(scores=None, ranks={}, cut=None)
    assert len(labels(circuit(components(bare), SHAPE))) == 9
    loose = components(figures(nodes=None, cost=None, cut=None, mlp_threshold=None))
    for drawn, number in ((mlp_scores(loose), 2), (head_scores(loose, []), 3)):
        assert len(labels(drawn)) == number
        assert drawn["description"].endswith(". There is no circuit of them.")
        assert "selected" not in svg(drawn)
        assert "threshold" not in svg(drawn)


def test_a_published_table_without_a_circuit_is_no_selection() -> None:
    """The rule of the spec is what a run selects by; nobody has applied it to such a table."""
    evidence = published_evidence(read_experiment(FIXTURES / "sarcasm-gpt2"))
    with_circuit = evidence.results["replication"]
    table = replace(with_circuit, circuit=None)
    found = result_figures(evidence.spec, evidence.shape, table)
    assert (found.mlp_threshold, found.nodes) == (None, None)
    assert {row.words.circuit for row in components(found)} == {"not known"}
    shown = result_figures(evidence.spec, evidence.shape, with_circuit)
    assert shown.mlp_threshold == evidence.spec.selection.mlp_threshold


def test_bars_show_the_threshold_the_cut_off_and_what_lies_near_it() -> None:
    rows = components(figures())
    assert "threshold 2" in svg(mlp_scores(rows))
    assert "cut-off" not in svg(head_scores(rows, [])), "three of six heads are listed"
    others = {"a0.h0": 0.4, "a0.h1": 0.3, "a1.h2": 0.2}
    ranks = {name: rank for rank, name in enumerate(others, start=4)}
    whole = figures()
    known = {"scores": whole.scores | others, "places": whole.places | ranks}  # type: ignore[operator]
    rows = components(figures(**known))
    heads = svg(head_scores(rows, ["a1.h0", "a1.h1"]))
    assert "cut-off" in heads
    assert "0.6" in heads
    assert len(labels(head_scores(rows, ["a1.h0", "a1.h1"]))) == 6 + 2


def test_a_head_stands_on_its_own_rank_and_not_behind_the_last_listed_one() -> None:
    """The published table of ten best heads, and six others that only one circuit holds."""
    evidence = published_evidence(read_experiment(FIXTURES / "sarcasm-gpt2"))
    found = result_figures(evidence.spec, evidence.shape, evidence.results["replication"])
    rows = components(found)
    spec = head_scores(rows, [])
    ranks = {one["component"]: one["rank"] for one in spec["data"]["values"]}
    assert [ranks[name] for name in ("a11.h8", "a8.h10", "a2.h9")] == [1, 10, 36]
    x = spec["layer"][0]["encoding"]["x"]
    assert x["scale"]["domain"] == list(range(1, max(ranks.values()) + 1))
    assert "cut-off" not in spec["description"]
    assert not any(layer["mark"].get("style") == "limit" for layer in spec["layer"])
    by_name = {row.component: row for row in rows}
    assert (by_name["a8.h2"].place, "a8.h2" in ranks) == (None, False)
    shown = {name: row.words for name, row in by_name.items()}
    assert shown["a11.h8"].score == "3.00"
    assert shown["a4.h3"].score == "0.7940"
    assert shown["a0.h0"].score == "not published"
    assert (shown["m2"].distance, shown["m3"].distance) == ("+24.51", "not known")
    # The lowest known score in is 0.8319, the highest known one out 0.8009: half-way is 0.8164.
    assert (shown["a2.h9"].distance, shown["a3.h6"].distance) == ("+0.0537", "-0.0155")
    assert (shown["a2.h9"].rank, shown["a8.h2"].rank) == (
        "36 of 144 heads",
        "16 of 16 listed heads",
    )


def test_a_selection_is_unsure_between_the_bounds_of_a_stable_one() -> None:
    known = {"m0": 0.05, "m1": 0.95, "a0.h2": 0.051, "a1.h0": 0.949}
    verified = [controlled(name, selection_probability=part) for name, part in known.items()]
    spec = probabilities(components(figures(), verified))
    assert "each of 4 components" in spec["description"]
    assert "2 of them between 5% and 95% of the time" in spec["description"]
    assert [value["component"] for value in spec["data"]["values"]] == [
        "m1",
        "m0",
        "a0.h2",
        "a1.h0",
    ]


def test_the_line_of_the_length_picture_is_what_length_alone_predicts() -> None:
    one = controlled("m0", by_pair=[4.0, 2.0], length_norm=100.0)
    lengths = LengthRecord(
        token_lengths=[(5, 6), (5, 5)], inverse_differences=[0.02, 0.0], matched_pairs=[2]
    )
    spec = length(one, lengths)
    assert spec["layer"][0]["data"]["values"][-1] == {"difference": 0.02, "score": 2.0}
    assert labels(spec) == [
        "m0, pair 1: score 4 at a difference of 0.02",
        "m0, pair 2: score 2 at a difference of 0",
    ]


def test_length_shares_are_drawn_of_what_has_one_against_what_is_called_most() -> None:
    shares = {"m0": (0.6, 0.7), "m1": (0.4, 0.6), "a0.h0": None}
    spec = length_shares(
        [controlled(name, length_share=part) for name, part in shares.items()], 0.5
    )
    assert "2 components" in spec["description"]
    assert spec["description"].endswith("it is more than 50% for 1.")
    assert "m0: length alone explains 60% to 70%: not shown" in labels(spec)


def test_same_side_scores_are_shown_as_a_share_of_the_pairs() -> None:
    one = controlled("m0", score=2.0, same_side_quantiles=[0.5, 1.0, 1.5, 2.0, 4.0])
    (row,) = null([one])["data"]["values"]
    shares = [row[key] for key in ("least", "q25", "median", "q75", "most")]
    assert shares == [0.25, 0.5, 0.75, 1.0, 2.0]


def test_no_picture_names_a_colour_so_both_looks_hold_everywhere() -> None:
    for name, spec in sample_pictures().items():
        assert not re.search(r"#[0-9a-f]{3,6}\b", str(spec)), name
        light, dark = (svg(spec, look=look) for look in ("light", "dark"))
        assert PALETTES["light"]["paper"] in light
        assert PALETTES["light"]["muted"] not in dark


@pytest.mark.parametrize("look", PALETTES)
def test_the_committed_sample_is_what_the_experiments_give(look: str) -> None:
    for name, spec in sample_pictures().items():
        kept = (SAMPLE / f"{name}-{look}.svg").read_text(encoding="utf-8")
        assert_said_alike(svg(spec, look=look), kept)
        assert Path(SAMPLE / f"page-{look}.png").read_bytes().startswith(b"\x89PNG")


def assert_said_alike(drawn: str, kept: str) -> None:
    """The same words, and the same figures but for the last digit, which hangs on the processor.

    Rounded to six digits, two that are alike to eight may still differ by one unit of the sixth,
    which is at most 1e-5 of a figure.
    """
    texts, figures = zip(*map(_said, (drawn, kept)), strict=True)
    assert texts[0] == texts[1]
    assert figures[0] == pytest.approx(figures[1], rel=1.01e-5)


def _said(picture: str) -> tuple[list[str], list[float]]:
    """What a picture says of itself without its figures, and these."""
    said = "\n".join(re.findall(r'aria-label="([^"]+)"', picture))
    figures = list(map(float, re.findall(FIGURE, said)))
    return re.sub(FIGURE, "#", said).splitlines(), figures


def test_a_sample_whose_figures_are_others_is_found() -> None:
    kept = '<a aria-label="from 0.00284868206149 to 49.1"/>'
    assert_said_alike('<a aria-label="from 0.0028486820563 to 49.1"/>', kept)
    assert_said_alike('<a aria-label="0.097849"/>', '<a aria-label="0.0978489"/>')
    for other in ("from 0.00285 to 49.1", "to 0.00284868206149 to 49.1", "from 49.1"):
        with pytest.raises(AssertionError):
            assert_said_alike(f'<a aria-label="{other}"/>', kept)
