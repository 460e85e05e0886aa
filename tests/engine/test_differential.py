from __future__ import annotations

import json
import math
import tempfile
import threading
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from replication.circuits.components import Component, ModelShape, head, mlp, parse
from replication.circuits.intervals import Interval, exact, printed
from replication.circuits.scores import ScoreTable, read_scores, scores_file, table_of
from replication.engine.activations import MeanActivations
from replication.engine.scores.differential import mean_scores, pair_scores
from replication.inputs.files import InputError, read_json
from replication.inputs.writing import write_json
from tests.closeness import assert_close
from tests.paths import FIXTURES

pytestmark = pytest.mark.numeric
GPT2 = ModelShape(n_layers=12, n_heads=12, d_model=768, d_head=64)
SMALL = ModelShape(n_layers=2, n_heads=3, d_model=4, d_head=2)

quick = settings(max_examples=60, deadline=None)


def computed(scores: np.ndarray, shape: ModelShape) -> ScoreTable:
    return table_of(mean_scores([scores]), shape, scores)


def activations(mlp_out: np.ndarray, z: np.ndarray) -> MeanActivations:
    lengths = np.ones((len(mlp_out), 2), dtype=np.int64)
    return MeanActivations(mlp_out.astype(np.float32), z.astype(np.float32), lengths)


@st.composite
def any_activations(draw: st.DrawFn) -> MeanActivations:
    pairs, layers, heads = draw(st.tuples(*[st.integers(1, 3)] * 3))
    d_model, d_head = draw(st.tuples(*[st.integers(1, 5)] * 2))
    # In thousandths: the squares of differences far below that vanish in float32.
    values = st.integers(-10_000, 10_000).map(lambda value: float(np.float32(value / 1000)))
    return activations(
        draw(arrays(np.float32, (pairs, 2, layers, d_model), elements=values)),
        draw(arrays(np.float32, (pairs, 2, layers, heads, d_head), elements=values)),
    )


def largest(found: MeanActivations) -> float:
    """What the last digits of a score come from, however little the two sides differ."""
    return float(max(np.abs(found.mlp_out).max(), np.abs(found.z).max()))


def expected_scores(found: MeanActivations, centred: bool) -> list[list[float]]:
    """The scores by a plain loop, as the method is described in words."""
    rows = []
    for mlp_out, z in zip(found.mlp_out.tolist(), found.z.tolist(), strict=True):
        row = []
        for one, other in zip(*mlp_out, strict=True):
            difference = [a - b for a, b in zip(one, other, strict=True)]
            middle = sum(difference) / len(difference) if centred else 0.0
            row.append(math.sqrt(sum((value - middle) ** 2 for value in difference)))
        for heads_one, heads_other in zip(*z, strict=True):
            for one, other in zip(heads_one, heads_other, strict=True):
                row.append(math.sqrt(sum((a - b) ** 2 for a, b in zip(one, other, strict=True))))
        rows.append(row)
    return rows


@given(any_activations())
@quick
def test_scores_are_what_a_plain_loop_gives(found: MeanActivations) -> None:
    for mlp_out in ("raw", "centred"):
        scores = pair_scores(found, mlp_out)
        expected = np.array(expected_scores(found, mlp_out == "centred"))
        assert scores.shape == expected.shape
        assert_close(scores, expected, size=largest(found))


@given(any_activations())
@quick
def test_centring_what_is_centred_changes_nothing(found: MeanActivations) -> None:
    mlp_out = found.mlp_out.astype(np.float64)
    centred = activations(mlp_out - mlp_out.mean(axis=-1, keepdims=True), found.z)
    once = pair_scores(centred, "raw")
    assert_close(pair_scores(centred, "centred"), once, size=largest(found))
    assert_close(pair_scores(found, "centred"), once, size=largest(found))


@given(any_activations())
@quick
def test_the_two_sides_of_a_pair_weigh_the_same(found: MeanActivations) -> None:
    turned = activations(found.mlp_out[:, ::-1], found.z[:, ::-1])
    np.testing.assert_array_equal(pair_scores(turned, "raw"), pair_scores(found, "raw"))


@pytest.mark.parametrize("n_pairs", [1, 31, 32, 33, 64, 97, 130])
@pytest.mark.parametrize("n_cores", [None, 1, 2, 3, 64])
def test_every_pair_is_scored_by_however_many_threads(
    monkeypatch: pytest.MonkeyPatch, n_pairs: int, n_cores: int | None
) -> None:
    random = np.random.default_rng(n_pairs)
    found = activations(
        random.standard_normal((n_pairs, 2, 2, 4)), random.standard_normal((n_pairs, 2, 2, 3, 2))
    )
    monkeypatch.setattr("os.cpu_count", lambda: n_cores)
    # Memory holds anything before it is written to.
    monkeypatch.setattr(np, "empty", lambda shape, dtype: np.full(shape, np.nan, dtype))
    scores = pair_scores(found, "centred")
    assert_close(scores, np.array(expected_scores(found, True)), size=largest(found))


@pytest.mark.parametrize("n_cores", [None, 1])
def test_where_only_one_core_is_known_of_no_thread_is_started(
    monkeypatch: pytest.MonkeyPatch, n_cores: int | None
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise AssertionError("a thread is started")

    monkeypatch.setattr("os.cpu_count", lambda: n_cores)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    scores = pair_scores(activations(np.ones((97, 2, 2, 4)), np.ones((97, 2, 2, 3, 2))), "raw")
    assert scores.shape == (97, 8)


def test_a_mean_is_taken_over_the_pairs_of_all_chunks_in_doubles() -> None:
    chunks = [np.full((3, 2), 1e8, np.float32), np.array([[1.0, 4.0]], np.float32)]
    assert mean_scores(chunks).tolist() == [(3e8 + 1) / 4, (3e8 + 4) / 4]
    with pytest.raises(ZeroDivisionError, match="no pairs"):
        mean_scores([])


def test_only_an_mlps_mean_over_its_dimensions_is_taken_away() -> None:
    mlp_out, z = np.zeros((1, 2, 1, 4)), np.zeros((1, 2, 1, 1, 4))
    mlp_out[0, 0] = z[0, 0] = 3.0
    assert pair_scores(activations(mlp_out, z), "raw").tolist() == [[6.0, 6.0]]
    assert pair_scores(activations(mlp_out, z), "centred").tolist() == [[0.0, 6.0]]


@pytest.mark.parametrize("component", SMALL.components(), ids=str)
def test_a_score_stands_at_its_components_place(component: object) -> None:
    mlp_out, z = np.zeros((2, 2, 2, 4)), np.zeros((2, 2, 2, 3, 2))
    part = parse(str(component))
    if part.kind == "mlp":
        mlp_out[1, 0, part.layer, 1] = 2.0
    else:
        z[1, 0, part.layer, part.head, 1] = 2.0
    table = computed(pair_scores(activations(mlp_out, z), "raw"), SMALL)
    assert {other for other, score in table.scores.items() if score != exact(0)} == {part}
    assert table.scores[part] == exact(1)
    assert table.by_pair[1][part] == exact(0)
    assert table.by_pair[2][part] == exact(2)


def test_a_score_is_the_mean_of_the_pairs_norms_and_not_the_norm_of_their_mean() -> None:
    mlp_out, z = np.zeros((2, 2, 1, 2)), np.zeros((2, 2, 1, 1, 2))
    mlp_out[0, 0, 0] = [3, 4]
    mlp_out[1, 1, 0] = [3, 4]
    shape = ModelShape(n_layers=1, n_heads=1, d_model=2, d_head=2)
    assert computed(pair_scores(activations(mlp_out, z), "raw"), shape).scores == {
        mlp(0): exact(5),
        head(0, 0): exact(0),
    }


def test_scores_for_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        computed(np.zeros((1, 7), dtype=np.float32), SMALL)


def as_doubles(scores: Mapping[Component, Interval]) -> dict[Component, float]:
    assert all(score.low == score.high for score in scores.values())
    return {component: float(score.middle) for component, score in scores.items()}


@given(arrays(np.float32, (3, 8), elements=st.floats(0, 100, width=32)))
@quick
def test_a_written_table_is_read_back_to_the_bit(scores: np.ndarray) -> None:
    table = computed(scores, SMALL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.json"
        write_json(path, scores_file(table, {"note": "mine"}))
        read = read_scores(path, SMALL)
        values = list(read_json(path)["components"].values())
    assert values == sorted(values, reverse=True)
    assert as_doubles(read.scores) == as_doubles(table.scores)


def test_tied_scores_are_written_by_layer_then_head() -> None:
    table = computed(np.ones((1, 8), dtype=np.float32), SMALL)
    names = list(scores_file(table, {})["components"])
    assert names == ["m0", "a0.h0", "a0.h1", "a0.h2", "m1", "a1.h0", "a1.h1", "a1.h2"]


def write(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "scores.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_score_as_a_text_keeps_its_digits_and_one_as_a_number_is_exact(tmp_path: Path) -> None:
    path = write(tmp_path, {"components": {"m1": "31.50", "m0": 31.5, "a0.h1": 3, "a1.h0": "3"}})
    assert read_scores(path, SMALL).scores == {
        mlp(1): Interval(Fraction("31.495"), Fraction("31.505")),
        mlp(0): exact("31.5"),
        head(0, 1): exact(3),
        head(1, 0): Interval(Fraction("2.5"), Fraction("3.5")),
    }


def test_scores_by_pair_are_read_beside_the_means(tmp_path: Path) -> None:
    content = {
        "components": {"m0": 2},
        "metadata": {"by_pair": {"1": {"m0": "1.0"}, "12": {"m0": 3}}, "anything": [1]},
    }
    table = read_scores(write(tmp_path, content))
    assert table.by_pair == {1: {mlp(0): printed("1.0")}, 12: {mlp(0): exact(3)}}


@pytest.mark.parametrize(
    ("content", "reasons"),
    [
        ("", ["not JSON: "]),
        ("{'components': {}}", ["not JSON: "]),
        ('{"components": {"m0": 1, "m0": 2}}', ["the key 'm0' stands there more than once"]),
        ('{"components": {"m0": NaN}}', ["NaN is not a number"]),
        ('{"components": {"m0": 1e999}}', ["1e999 is too large a number"]),
        ([], ["the whole file: "]),
        ({}, ["components: missing"]),
        ({"components": {}}, ["components: there are no scores in it"]),
        ({"components": [["m0", 1]]}, ["components: "]),
        ({"components": {"m0": -1}}, ["components: m0: ", "greater than or equal to 0, found -1"]),
        ({"components": {"m0": "-1.0"}}, ["m0: ", "cannot be negative, found '-1.0'"]),
        ({"components": {"m0": "-0.0"}}, ["m0: ", "cannot be negative"]),
        ({"components": {"m0": None}}, ["components: m0: ", "found None"]),
        ({"components": {"m0": True}}, ["components: m0: ", "found True"]),
        ({"components": {"m0": [1]}}, ["components: m0: "]),
        ({"components": {"m0": "NaN"}}, ["'NaN' is not a plain decimal number"]),
        ({"components": {"m0": "1e3"}}, ["'1e3' is not a plain decimal number"]),
        ({"components": {"input": 1}}, ["the input is not scored"]),
        ({"components": {"m2": 1}}, ["the model has no component m2"]),
        ({"components": {"a0.h3": 1}}, ["the model has no component a0.h3"]),
        ({"components": {"b7": 1}}, ["'b7' is no component"]),
        ({"components": {"m01": 1}}, ["'m01' is no component"]),
        ({"components": {"m0": 1}, "metadata": []}, ["metadata: "]),
        (
            {"components": {"m0": 1}, "metadata": {"best_listed": {"mlp": 2}}},
            ["metadata: best_listed: mlp: 2 stated, 1 listed"],
        ),
        (
            {"components": {"m0": 1}, "metadata": {"best_listed": {"head": 1}}},
            ["metadata: best_listed: head: 1 stated, 0 listed"],
        ),
        (
            {"components": {"m0": 1}, "metadata": {"best_listed": {"mlp": 0}}},
            ["metadata: best_listed: mlp: "],
        ),
        (
            {"components": {"m0": 1}, "metadata": {"best_listed": {"neuron": 1}}},
            ["metadata: best_listed: neuron: "],
        ),
        (
            {"components": {"m0": 1}, "metadata": {"by_pair": {"one": {"m0": 1}}}},
            ["metadata: by_pair: 'one' is no pair's number"],
        ),
        (
            {"components": {"m0": 1}, "metadata": {"by_pair": {"1": {"m7": 1}}}},
            ["the model has no component m7"],
        ),
        (
            {"components": {"m0": 1}, "metadata": {"by_pair": {"1": {"m0": -1}}}},
            ["metadata: by_pair: 1: m0: "],
        ),
    ],
)
def test_a_bad_table_is_refused_by_file_component_and_reason(
    tmp_path: Path, content: object, reasons: list[str]
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_scores(path, SMALL)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert [reason for reason in reasons if reason not in message] == []


def test_without_a_shape_any_component_may_be_scored(tmp_path: Path) -> None:
    path = write(tmp_path, {"components": {"m99": 1, "a7.h50": 2}})
    assert set(read_scores(path).scores) == {mlp(99), head(7, 50)}


def test_a_score_that_is_no_number_is_refused_by_its_component(tmp_path: Path) -> None:
    path = write(tmp_path, {"components": {"m0": "1.0", "m1": "1,0"}})
    with pytest.raises(InputError, match="m1"):
        read_scores(path, SMALL)


def test_a_component_has_one_score(tmp_path: Path) -> None:
    path = write(tmp_path, {"components": {"m11": 22.3, "m1١": 99.9}})
    with pytest.raises(InputError):
        read_scores(path, GPT2)


def test_a_pair_has_one_number(tmp_path: Path) -> None:
    by_pair = {"1": {"m0": 1}, "01": {"m0": 2}}
    path = write(tmp_path, {"components": {"m0": 1}, "metadata": {"by_pair": by_pair}})
    with pytest.raises(InputError, match="by_pair"):
        read_scores(path, SMALL)


def test_there_is_no_pair_0(tmp_path: Path) -> None:
    content = {"components": {"m0": 1}, "metadata": {"by_pair": {"0": {"m0": 1}}}}
    with pytest.raises(InputError, match="by_pair"):
        read_scores(write(tmp_path, content), SMALL)


def test_a_number_is_the_decimal_that_the_file_says(tmp_path: Path) -> None:
    path = write(tmp_path, {"components": {"m0": 0.83}})
    assert read_scores(path).scores[mlp(0)].low == Fraction("0.83")


def test_what_a_table_does_not_list_scores_no_more_than_its_last_best() -> None:
    listed = {head(0, 0): "3.0", head(0, 1): "1.0", head(1, 2): "0.2", mlp(0): "9.0"}
    scores = {component: printed(text) for component, text in listed.items()}
    table = ScoreTable(scores, best_listed={"head": 2})
    assert table.score(head(0, 1)) == printed("1.0")
    assert table.score(head(1, 2)) == printed("0.2")
    assert table.score(head(1, 1)) == Interval(Fraction(0), Fraction("1.05"))
    assert table.score(mlp(1)) is None


def test_of_figures_with_different_digits_the_highest_possible_values_bound_the_rest() -> None:
    scores = {head(0, 0): printed("2"), head(0, 1): printed("2.1"), head(0, 2): printed("2.2")}
    table = ScoreTable(scores, best_listed={"head": 2})
    assert table.score(head(1, 0)) == Interval(Fraction(0), Fraction("2.25"))


@given(st.permutations(range(6)), st.integers(1, 6), st.integers(0, 6), st.data())
@quick
def test_no_score_outside_the_best_listed_exceeds_the_bound(
    values: list[int], count: int, more: int, data: st.DataObject
) -> None:
    """Whatever else is listed, and however coarsely: the true table's rest stays in the bound."""
    best_first = sorted(range(6), key=lambda place: -values[place])
    listed = {*best_first[:count], *best_first[6 - more :]}
    widths = {place: Fraction(data.draw(st.integers(0, 4))) for place in listed}
    scores = {
        head(0, place): Interval(values[place] - widths[place], values[place] + widths[place])
        for place in listed
    }
    table = ScoreTable(scores, best_listed={"head": count})
    for place in set(range(6)) - listed:
        bound = table.score(head(0, place))
        assert bound is not None
        assert bound.low <= values[place] <= bound.high


def test_the_published_tables_hold_the_published_figures() -> None:
    original = read_scores(FIXTURES / "sarcasm-gpt2/published/original.scores.json", GPT2)
    assert original.scores[mlp(2)] == printed("32.4653")
    assert original.by_pair[1][mlp(2)] == printed("38.4770")
    assert len(original.scores) == 55
    unlisted = original.score(head(0, 0))
    assert unlisted == Interval(Fraction(0), Fraction("0.835"))
    replication = read_scores(FIXTURES / "sarcasm-gpt2/published/replication.scores.json", GPT2)
    assert replication.score(mlp(4)) == Interval(Fraction(0), Fraction("7.595"))
    assert replication.score(head(0, 0)) == Interval(Fraction(0), Fraction("1.225"))
