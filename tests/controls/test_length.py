from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from replication.circuits.components import ModelShape, mlp, parse
from replication.circuits.intervals import Interval, exact, printed
from replication.circuits.scores import ScoreTable
from replication.controls.length import (
    Length,
    inverse_differences,
    length,
    length_fits,
    length_norms,
    length_shares,
    text_scores,
)
from replication.controls.not_computed import NotComputed
from replication.controls.property import length_terms
from replication.controls.published_length import (
    FirstPosition,
    NoPrediction,
    PublishedLength,
    Side,
    breakdown,
    first_position,
    published_length,
)
from replication.engine.activations import MeanActivations
from replication.engine.scores.differential import pair_scores
from replication.evidence.lengths import Lengths, read_lengths
from replication.inputs.files import InputError
from tests.closeness import assert_close
from tests.make import make_spec, measured_of
from tests.paths import PUBLISHED

pytestmark = pytest.mark.numeric

GPT2 = ModelShape(n_layers=12, n_heads=12, d_model=768, d_head=64)
SIDES = ("sarcastic", "literal")


def sink(
    lengths: list[list[int]], *, noise: float = 0.0, shift: float = 0.0, n_special: int = 1
) -> MeanActivations:
    """Means of two components, an MLP and a head, whose first position holds 100 times the others.

    `shift` moves the others with the side; with two special positions the last is one too.
    """
    random = np.random.default_rng(0)
    f, b = (scale * np.eye(4)[axis] for scale, axis in ((100.0, 0), (1.0, 1)))
    whole, inner = [], []
    for pair in lengths:
        for side, n_tokens in enumerate(pair):
            others = b + shift * side * np.eye(4)[2]
            others = others + noise * random.standard_normal((n_tokens - n_special, 4))
            positions = np.vstack([f, others, *([f] if n_special == 2 else [])])
            whole.append(positions.mean(0))
            inner.append(others.mean(0))

    def means(values: list[np.ndarray], lengths: Any, inside: Any = None) -> MeanActivations:
        array = np.array(values, np.float32).reshape(-1, 2, 1, 4)
        return MeanActivations(array, array[:, :, :, None], np.array(lengths), inside)

    inside = means(inner, np.array(lengths) - n_special)
    return means(whole, lengths, inside)


LENGTHS = [[10, 12], [11, 9], [13, 10], [9, 9], [12, 11]]


@pytest.mark.parametrize("n_special", [1, 2])
def test_where_only_the_first_position_differs_length_gives_the_whole_score(n_special: int) -> None:
    means = sink(LENGTHS, n_special=n_special)
    steps = np.abs(inverse_differences(means.token_lengths))
    norms = length_norms(means, "raw")
    step = n_special * (100 * np.eye(4)[0] - np.eye(4)[1])
    assert_close(norms, [np.linalg.norm(step)] * 2)
    # The difference of two means keeps their last digits.
    assert_close(np.outer(steps, norms), pair_scores(means, "raw"), size=np.abs(means.z).max())


def test_what_the_property_moves_is_not_lengths() -> None:
    means = sink(LENGTHS, shift=50.0)
    given = np.abs(inverse_differences(means.token_lengths)).mean() * length_norms(means, "raw")
    score = pair_scores(means, "raw").mean(0)
    assert (given / score < 0.1).all()


def test_centring_takes_a_constant_out_of_the_mlps_norm_only() -> None:
    raw, centred = (length_norms(sink(LENGTHS), how) for how in ("raw", "centred"))
    assert centred[0] < raw[0]
    assert centred[1] == raw[1]


def by_left_out_pairs(means: MeanActivations, tokens: np.ndarray) -> float:
    """The share that lengths predict, with a fit for every left-out pair, for the head."""
    difference = (means.z[:, 0] - means.z[:, 1]).reshape(len(tokens), -1).astype(float)
    terms = np.array([[1 / t - 1 / u, t - u] for t, u in tokens.tolist()])
    rest = 0.0
    for pair in range(len(tokens)):
        others = np.arange(len(tokens)) != pair
        slopes, *_ = np.linalg.lstsq(terms[others], difference[others], rcond=None)
        rest += float(((difference[pair] - terms[pair] @ slopes) ** 2).sum())
    return max(0.0, 1 - rest / float((difference**2).sum()))


@pytest.mark.parametrize(("noise", "shift"), [(0.0, 0.0), (20.0, 0.0), (20.0, 9.0)])
def test_the_share_that_lengths_predict_is_that_of_left_out_pairs(
    noise: float, shift: float
) -> None:
    tokens = np.random.default_rng(2).integers(6, 20, (12, 2))
    means = sink(tokens.tolist(), noise=noise, shift=shift)
    found = length_fits(means, np.arange(len(tokens)), "raw")
    # A share of the whole, which is 1.
    assert_close(found[1], by_left_out_pairs(means, tokens), size=1)


def test_lengths_predict_what_grows_with_every_position_and_nothing_of_noise() -> None:
    random = np.random.default_rng(0)
    tokens = random.integers(6, 20, (10, 2))
    growing = (tokens[:, :, None, None] - 1) / 2 * np.ones((1, 1, 1, 4))
    noise = random.standard_normal((10, 2, 1, 1, 4))
    means = MeanActivations(growing.astype(np.float32), noise.astype(np.float32), tokens)
    mlp, head = length_fits(means, np.arange(len(tokens)), "raw")
    assert mlp > 0.99
    assert head < 0.3
    assert length_norms(replace(means, inner=means), "raw")[0] == 0


@pytest.mark.parametrize("one", [[9, 14], [10, 7], [31, 6]])
def test_where_one_pair_alone_has_two_lengths_lengths_predict_nothing(one: list[int]) -> None:
    means = sink([[9, 9], [9, 9], one], noise=1.0)
    with np.errstate(all="raise"):
        assert length_fits(means, np.arange(3), "raw").tolist() == [0, 0]


def test_lengths_predict_nothing_of_a_component_that_never_differs() -> None:
    means = sink(LENGTHS, noise=0.01)
    dead = replace(means, z=np.zeros_like(means.z))
    with np.errstate(all="raise"):
        mlp, head = length_fits(dead, np.arange(5), "raw")
    assert mlp > 0
    assert head == 0


def test_the_terms_are_differences_of_the_inverse_and_of_the_share_of_the_longest() -> None:
    terms = length_terms(np.array([[10, 20], [8, 5]]))
    assert terms == pytest.approx(np.array([[1 / 20, -1 / 2], [-3 / 40, 3 / 20]]))


def test_the_share_of_length_is_what_goes_without_it_and_none_of_a_dead_component() -> None:
    means = sink(LENGTHS, noise=0.02, shift=0.1)
    assert means.inner is not None
    dead = np.zeros_like(means.z)
    means = replace(means, z=dead, inner=replace(means.inner, z=dead))
    small = replace(means, mlp_out=means.mlp_out / 50)
    shape = ModelShape(n_layers=1, n_heads=1, d_model=4, d_head=4)
    for case in (means, small):
        spec = make_spec(shape)
        measured = measured_of(spec, case)
        found = length(spec, measured)
        assert isinstance(found, Length)
        assert case.inner is not None
        inverse = [abs(1 / t - 1 / u) for t, u in LENGTHS]
        assert found.steps == pytest.approx(inverse)
        assert found.alone[0] == pytest.approx(found.norms[0] * sum(inverse) / len(inverse))
        is_text = [(1 - 1 / t + 1 - 1 / u) / 2 for t, u in LENGTHS]
        without = (pair_scores(case.inner, "raw")[:, 0] * is_text).mean()
        gone = 1 - (without / measured.means[0]) ** 2
        given = (found.alone[0] / measured.means[0]) ** 2
        assert found.share[0] == pytest.approx(min(gone, given))
        assert (found.alone[1], found.share[1]) == (0, 0)
    # Scores below 1 have a share as well.
    assert 0 < measured.means[0] < 1


def test_without_the_first_position_prompts_of_one_length_score_as_with_it() -> None:
    means = sink([[9, 9], [12, 12], [30, 30]], noise=1.0, shift=2.0)
    assert means.inner is not None
    # The difference of two means keeps their last digits, beside those of a hundred over nine.
    assert_close(text_scores(means, means.inner, "raw"), pair_scores(means, "raw").mean(0), size=12)


def test_what_works_against_length_leaves_a_negative_share() -> None:
    scores, without = np.array([1.8, 2.0, 4.0, 0.0]), np.array([3.01, 2.0, 1.0, 0.0])
    found = length_shares(scores, np.array([1.7, 1.9, 4.0, 1.0]), without)
    assert found == pytest.approx([1 - (3.01 / 1.8) ** 2, 0, 15 / 16, 0])


def test_what_goes_with_a_first_position_that_sees_the_text_is_not_all_lengths() -> None:
    found = length_shares(np.array([4.0, 4.0]), np.array([0.0, 3.0]), np.array([1.0, 1.0]))
    assert found == pytest.approx([0, 9 / 16])


def test_a_cluster_is_predicted_from_the_others_alone() -> None:
    """Pairs written twice predict each other perfectly, unless they are left out together."""
    once = np.random.default_rng(3).integers(6, 20, (6, 2))
    means = sink(np.repeat(once, 2, axis=0).tolist(), noise=20.0)
    twice = replace(means, z=np.repeat(means.z[::2], 2, axis=0))
    found = length_fits(twice, np.repeat(np.arange(6), 2), "raw")[1]
    alone = length_fits(sliced(means, slice(None, None, 2)), np.arange(6), "raw")[1]
    assert_close(found, alone, size=1)


def sliced(means: MeanActivations, pairs: slice) -> MeanActivations:
    """The means of these pairs, the inner ones left out."""
    return MeanActivations(means.mlp_out[pairs], means.z[pairs], means.token_lengths[pairs])


def published() -> Lengths:
    return read_lengths(PUBLISHED / "original.lengths.json", GPT2, SIDES)


def test_the_published_norms_of_mlp_2_give_its_first_position() -> None:
    position = first_position(published(), mlp(2))
    # 10 * 243.6318 = F + 9 O and 12 * 204.4037 = F + 11 O, in fractions; to the digits given here.
    o = (Fraction("2452.8444") - Fraction("2436.318")) / 2
    assert position.others.low < o < position.others.high
    assert position.first.low < Fraction("2436.318") - 9 * o < position.first.high
    assert float(position.first.middle) == pytest.approx(2361.95, abs=0.01)
    assert float(position.others.middle) == pytest.approx(8.263, abs=0.001)
    assert float(position.first.middle * published().mean_step) == pytest.approx(31.9, abs=0.01)
    replication = read_lengths(PUBLISHED / "replication.lengths.json", GPT2, SIDES)
    assert float(position.first.middle * replication.mean_step) == pytest.approx(30.2, abs=0.01)


def test_the_step_is_between_the_difference_and_the_sum_of_the_two_norms() -> None:
    position = first_position(published(), mlp(2))
    assert float(position.step.low) == pytest.approx(2361.95 - 8.26, abs=0.05)
    assert float(position.step.high) == pytest.approx(2361.95 + 8.26, abs=0.05)


def test_the_breakdown_of_mlp_2_is_where_its_norms_fit_half_of_its_score() -> None:
    m2 = mlp(2)
    lengths, table = published(), ScoreTable({m2: printed("32.4653")})
    found = published_length(m2, table, lengths, [lengths])
    assert isinstance(found, PublishedLength)
    assert found.breakdown is not None
    # With O' = O (1 - delta): O = (12 N' - 10 N) / (11 (1 - delta) - 9), and F - O is half a score.
    o = (2452.8444 - 2436.318) / (11 * (1 - float(found.breakdown)) - 9)
    share = (2436.318 - 9 * o - o) * float(lengths.mean_step) / 32.4653
    # The digits of the norms and of the score move it by less than this.
    assert share == pytest.approx(0.5, abs=0.02)
    assert float(found.breakdown) == pytest.approx(0.17, abs=0.005)


def fits(sides: Sequence[Side], step: float, difference: float) -> bool:
    """Whether norms F, O and O' that differ by no more fit the sums, the step being as small."""
    for larger, smaller in (sides, sides[::-1]):
        a, b = larger.after_first, smaller.after_first
        rows = [
            ([1, a, 0], larger.total.high), ([-1, -a, 0], -larger.total.low),
            ([1, 0, b], smaller.total.high), ([-1, 0, -b], -smaller.total.low),
            ([1, -1, 0], step), ([-1, 0, 1], step),
            ([0, -1, 1], 0), ([0, 1 - difference, -1], 0),
        ]  # fmt: skip
        left, right = zip(*rows, strict=True)
        if linprog([0, 0, 0], A_ub=left, b_ub=[float(end) for end in right]).status == 0:
            return True
    return False


@given(
    tokens=st.tuples(st.integers(2, 30), st.integers(2, 30)),
    norms=st.tuples(st.integers(0, 400), st.integers(0, 40), st.integers(0, 40)),
    width=st.integers(0, 20),
    step=st.integers(1, 200),
)
@settings(max_examples=150, deadline=None)
def test_the_breakdown_is_the_smallest_difference_that_fits(
    tokens: tuple[int, int], norms: tuple[int, int, int], width: int, step: int
) -> None:
    first, *others = norms
    margin = Fraction(width, 2)
    sides = [
        Side(Interval(total - margin, total + margin), count - 1)
        for count, norm in zip(tokens, others, strict=True)
        for total in [Fraction(first + (count - 1) * norm)]
    ]
    position = FirstPosition(1, (sides[0], sides[1]), exact(first), exact(others[0]), "")
    found = breakdown(position, Fraction(step))
    if found is None:
        assert not fits(sides, step, 1 - 1e-6)
    else:
        assert fits(sides, step, float(found) + 1e-6)
        assert found < 1e-6 or not fits(sides, step, float(found) - 1e-6)


def test_a_prompt_of_one_position_is_its_first_and_nothing_breaks_that_down() -> None:
    found = first_position(lengths_of("500.0", "60.0", (1, 10)), mlp(0))
    assert breakdown(found, Fraction(1)) is None


@pytest.mark.parametrize("score", ["0", "0.0", "0.00"])
def test_a_score_that_may_be_zero_has_no_breakdown_and_no_share(score: str) -> None:
    lengths = lengths_of("50.0", "45.0")
    found = published_length(mlp(0), ScoreTable({mlp(0): printed(score)}), lengths, [lengths])
    assert isinstance(found, NotComputed)
    assert "may be zero" in found.reason


def lengths_of(one: str | None, other: str | None, tokens: tuple[int, int] = (10, 12)) -> Lengths:
    norms = tuple(text and printed(text) for text in (one, other))
    return Lengths([tokens], {1: {mlp(0): norms}})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("lengths", "reason"),
    [
        (lengths_of("20.0", None), "pair 1 was published for one side only"),
        (lengths_of(None, "20.0"), "pair 1 was published for one side only"),
        (lengths_of("20.0", "21.0", (9, 9)), "both prompts of pair 1 have 9 tokens"),
        (lengths_of("90.0", "20.0"), "fit no norm of a first position"),
        (lengths_of("20.0", "90.0"), "fit no norm of a first position"),
        (Lengths([(10, 12)], {}), "no mean norm of m0 was published"),
    ],
)
def test_norms_that_tell_nothing_say_why(lengths: Lengths, reason: str) -> None:
    with pytest.raises(NoPrediction, match=reason):
        first_position(lengths, mlp(0))


@pytest.mark.parametrize("tokens", [(10, 12), (12, 10), (5, 60)])
@pytest.mark.parametrize(
    ("first", "others"), [("500", "7"), ("0", "7"), ("500", "0"), ("0.5", "0.5")]
)
def test_a_first_position_is_found_again_whichever_prompt_is_longer(
    tokens: tuple[int, int], first: str, others: str
) -> None:
    f, o = Fraction(first), Fraction(others)
    one, other = (exact((f + (n_tokens - 1) * o) / n_tokens) for n_tokens in tokens)
    found = first_position(Lengths([tokens], {1: {mlp(0): (one, other)}}), mlp(0))
    assert found.first == exact(f)
    assert found.others == exact(o)


def test_steps_of_pairs_and_their_mean() -> None:
    lengths = Lengths([(10, 12), (9, 9)], {})
    assert lengths.step(1) == Fraction(1, 60)
    assert lengths.mean_step == Fraction(1, 120)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"token_lengths": []}, "token_lengths: List should have at least 1 item"),
        ({"token_lengths": [[10]]}, "token_lengths 1: List should have at least 2 items"),
        (
            {"token_lengths": [[10, 0]]},
            "token_lengths 1 2: Input should be greater than 0, found 0",
        ),
        ({"token_lengths": [[3, 4]], "norms": 1}, "norms: unknown key"),
        ({"token_lengths": [[3, 4]], "mean_norms": {"2": {}}}, "mean_norms: '2': expected a pair"),
        (
            {"token_lengths": [[3, 4]], "mean_norms": {"1": {"m12": {}}}},
            "mean_norms: 1: m12: the model has no component m12",
        ),
        (
            {"token_lengths": [[3, 4]], "mean_norms": {"1": {"m1": {"ironic": "3"}}}},
            "mean_norms: 1: m1: unknown side 'ironic'",
        ),
        (
            {"token_lengths": [[3, 4]], "mean_norms": {"1": {"m1": {"literal": "3e2"}}}},
            "mean_norms: 1: m1: '3e2' is not a plain decimal number",
        ),
    ],
)
def test_a_faulty_file_of_lengths_is_refused_in_one_line(
    tmp_path: Path, content: Any, reason: str
) -> None:
    path = tmp_path / "lengths.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError) as raised:
        read_lengths(path, GPT2, SIDES)
    assert str(raised.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(raised.value)


def test_a_norm_of_one_side_alone_can_be_read() -> None:
    assert parse("m2") in published().mean_norms[1]


def test_scores_by_pair_stand_beside_what_lengths_give_as_far_as_there_are_lengths() -> None:
    m2 = mlp(2)
    lengths = Lengths([(10, 12), (8, 9)], {1: {m2: (printed("243.6318"), printed("204.4037"))}})
    by_pair = {pair: {m2: printed("31.5")} for pair in (1, 2, 3)}
    table = ScoreTable({m2: printed("31.51")}, by_pair=by_pair)
    found = published_length(m2, table, lengths, [lengths])
    assert isinstance(found, PublishedLength)
    assert re.findall(r"\(on pair (\d) ", found.arithmetic) == ["1", "2"]
