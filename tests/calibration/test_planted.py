from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from replication.circuits.components import Component
from replication.engine.capture import capture
from replication.engine.models import LoadedModel
from replication.engine.scores.differential import pair_scores
from replication.experiment.pairs import Pair
from tests.closeness import assert_close
from tests.planted import (
    ABOUT,
    CONTENT_WORDS,
    FILLER,
    IS_FILLER,
    N_POSITIONS,
    PLAIN,
    PROPERTY_WORDS,
    ROLES,
    SHAPE,
    STRENGTHS,
    Planted,
    Source,
    load_planted,
    pair_features,
    plant,
    true_scores,
)

EVERYTHING = set(SHAPE.components())
SOURCES = {
    "unrelated": Source(),
    "longer": Source(second_is_longer=True),
    "confounded": Source(filler_is_confounded=True),
}
# In the maps' unit, where a response to what a word is about is 1: layer norm shrinks features by
# less than a thousandth, and the last digits beside the anchors, of 4096, come to 1e-4. The words
# that are changed here change a mean by 0.07 at least.
UNCHANGED, CHANGED = 1e-3, 0.02


@dataclass(frozen=True)
class Model:
    """A planted model, loaded, and its truth."""

    truth: Planted
    loaded: LoadedModel

    def means(self, pairs: list[Pair]) -> dict[Component, np.ndarray]:
        """What the model gives: each component's mean activation, by pair and side."""
        found = capture(self.loaded, pairs)
        return {
            component: found.mlp_out[:, :, component.layer]
            if component.kind == "mlp"
            else found.z[:, :, component.layer, component.head]
            for component in SHAPE.components()
        }

    def changed(self, before: str, after: str) -> set[Component]:
        """The components that tell two prompts apart; all others give the same on both."""
        means = self.means([Pair(before, after)])
        change = {name: np.abs(mean[0, 0] - mean[0, 1]).max() for name, mean in means.items()}
        found = {name for name in change if change[name] > UNCHANGED}
        assert all(change[name] > CHANGED for name in found)
        return found


SEEDS = [pytest.param(seed, marks=pytest.mark.numeric) for seed in range(3)]


@pytest.fixture(scope="module", params=SEEDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    truth = plant(request.param)
    return Model(truth, load_planted(tmp_path_factory.mktemp("planted"), truth))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices this small take longest where threads wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def replaced(prompt: str, new: Callable[[str], str]) -> str:
    return " ".join(new(word) for word in prompt.split())


def prompt_of(source: Source = SOURCES["confounded"]) -> str:
    """A prompt with every kind of word."""
    return source.pairs(1, seed=5)[0].first


def test_every_role_is_planted_in_mlps_and_in_heads() -> None:
    kinds = {role: set() for role in ROLES}
    for seed in range(30):
        roles = plant(seed).roles
        assert list(roles) == SHAPE.components()
        for role, count in ROLES.items():
            assert sum(other == role for other in roles.values()) == count
        for component, role in roles.items():
            kinds[role].add(component.kind)
    assert all(found == {"mlp", "head"} for found in kinds.values())


def test_a_seed_gives_the_same_truth_and_another_seed_another() -> None:
    first, again, other = plant(3), plant(3), plant(4)
    assert first.roles == again.roles
    assert all(np.array_equal(first.maps[name], again.maps[name]) for name in EVERYTHING)
    assert first.roles != other.roles


def test_strengths_lie_in_the_stated_ranges_and_fill_them() -> None:
    found = {feature: [] for feature in STRENGTHS}
    for seed in range(50):
        for reads in plant(seed).maps.values():
            norms = np.linalg.norm(reads, axis=1)
            assert norms[ABOUT] == pytest.approx(1)
            for number, feature in enumerate(STRENGTHS):
                if norms[number]:
                    found[feature].append(norms[number])
    for feature, (low, high) in STRENGTHS.items():
        width = high - low
        assert low <= min(found[feature]) < low + width / 5
        assert high - width / 5 < max(found[feature]) <= high


def test_the_property_is_heard_by_those_that_are_to_hear_it_and_by_no_other(model: Model) -> None:
    without = replaced(prompt_of(), lambda word: PLAIN if word in PROPERTY_WORDS else word)
    heard_by = model.truth.with_role("property", "mixed")
    assert model.changed(prompt_of(), without) == heard_by
    another = replaced(
        prompt_of(), lambda word: PROPERTY_WORDS[0] if word in PROPERTY_WORDS else word
    )
    assert another != prompt_of()
    assert model.changed(prompt_of(), another) == set()


def test_the_filler_is_heard_by_its_component_alone(model: Model) -> None:
    without = replaced(prompt_of(), lambda word: PLAIN if word == FILLER else word)
    assert model.changed(prompt_of(), without) == model.truth.with_role("filler")


def test_what_a_prompt_is_about_is_heard_by_every_component(model: Model) -> None:
    shift = {word: CONTENT_WORDS[number - 7] for number, word in enumerate(CONTENT_WORDS)}
    about_else = replaced(prompt_of(), lambda word: shift.get(word, word))
    assert model.changed(prompt_of(), about_else) == EVERYTHING


@pytest.mark.parametrize("short", [1, 5, 20])
def test_the_length_alone_is_heard_by_those_that_are_to_hear_it(model: Model, short: int) -> None:
    longer = " ".join([PLAIN] * 40)
    heard_by = model.truth.with_role("first", "position", "mixed")
    assert model.changed(" ".join([PLAIN] * short), longer) == heard_by


def test_a_component_that_only_hears_content_gives_nothing_on_plain_words(model: Model) -> None:
    plain = " ".join([PLAIN] * 12)
    means = model.means([Pair(plain, plain)])
    silent = {name for name, mean in means.items() if np.abs(mean).max() < UNCHANGED}
    assert silent == model.truth.with_role("property", "filler", "noise")


def test_only_those_for_the_position_give_anything_behind_the_first_position(model: Model) -> None:
    """One plain word behind the first position or forty: they add nothing to what it gives."""
    means = model.means([Pair(PLAIN, " ".join([PLAIN] * 40))])
    grown = {
        name
        for name, mean in means.items()
        if np.abs(2 * mean[0, 0] - 41 * mean[0, 1]).max() > 41 * UNCHANGED
    }
    assert grown == model.truth.with_role("position")


def test_the_first_position_outweighs_all_others_whatever_the_text(model: Model) -> None:
    pairs = Source().pairs(20, seed=0)
    lengths = np.array([[1 + len(prompt.split()) for prompt in pair] for pair in pairs])
    for name in model.truth.with_role("first"):
        summed = model.means(pairs)[name] * lengths[:, :, None]
        constant = summed.mean(axis=(0, 1))
        assert np.linalg.norm(constant) > 25
        assert np.linalg.norm(summed - constant, axis=-1).max() < 12


def test_the_order_of_the_words_is_heard_by_no_component(model: Model) -> None:
    words = prompt_of().split()
    random.Random(0).shuffle(words)
    assert words != prompt_of().split()
    assert model.changed(prompt_of(), " ".join(words)) == set()


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_the_model_does_what_is_planted_in_it_and_nothing_else(
    model: Model, source: Source
) -> None:
    pairs = source.pairs(20, seed=1)
    features = pair_features(pairs)
    for name, means in model.means(pairs).items():
        assert_close(means, features @ model.truth.maps[name], allowed=UNCHANGED)


def test_true_scores_are_those_that_scoring_gives(model: Model) -> None:
    pairs = Source().pairs(50, seed=2)
    expected = true_scores(model.truth, pair_features(pairs))
    scores = pair_scores(capture(model.loaded, pairs), "centred").mean(axis=0)
    found = dict(zip(SHAPE.components(), scores.tolist(), strict=True))
    assert_close(found, expected, allowed=UNCHANGED)


def test_by_score_alone_an_artefact_beats_every_planted_cause() -> None:
    """What the verifier is for: the highest score mostly marks no cause at all."""
    features = pair_features(Source().pairs(200, seed=0))
    tops = []
    for seed in range(50):
        truth = plant(seed)
        scores = true_scores(truth, features)
        tops.append(max(truth.with_role("property", "first"), key=scores.__getitem__))
        assert scores[tops[-1]] > max(scores[name] for name in truth.with_role("noise"))
    roles = [plant(seed).roles[top] for seed, top in enumerate(tops)]
    assert roles.count("first") > 45


@pytest.mark.parametrize(
    ("source", "one_sided"),
    [
        ("unrelated", {"property", "mixed"}),
        ("longer", {"property", "mixed", "first", "position"}),
        ("confounded", {"property", "mixed", "filler"}),
    ],
)
def test_a_side_is_favoured_by_causes_and_where_the_source_makes_it_so_by_others(
    source: str, one_sided: set[str]
) -> None:
    """Over the population, a component's mean difference is far from zero, or is none."""
    features = pair_features(SOURCES[source].pairs(10_000, seed=9))
    difference = features[:, 0] - features[:, 1]
    for seed in range(3):
        truth = plant(seed)
        for name, reads in truth.maps.items():
            mean = np.linalg.norm(difference.mean(axis=0) @ reads)
            share = mean / true_scores(truth, features)[name]
            assert share > 0.1 if truth.roles[name] in one_sided else share < 0.03


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_what_prompts_are_about_has_no_side(source: Source) -> None:
    features = pair_features(source.pairs(10_000, seed=4))[:, :, ABOUT]
    difference = features[:, 0] - features[:, 1]
    error = difference.std(axis=0) / len(difference) ** 0.5
    assert np.abs(difference.mean(axis=0) / error).max() < 4


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_pairs_are_what_the_source_says(source: Source) -> None:
    pairs = source.pairs(500, seed=0)
    has_filler = []
    for pair in pairs:
        first, second = (prompt.split() for prompt in pair)
        assert 1 <= sum(word in PROPERTY_WORDS for word in first) <= 3
        assert not set(second) & set(PROPERTY_WORDS)
        assert set(first) & set(second) & set(CONTENT_WORDS)
        assert 8 <= len(first) <= 24
        if source.second_is_longer:
            assert 4 <= len(second) - len(first) <= 12
        else:
            assert 8 <= len(second) <= 24
        assert max(len(first), len(second)) < N_POSITIONS
        has_filler.append((FILLER in first, FILLER in second))
    if source.filler_is_confounded:
        assert set(has_filler) == {(True, False)}
    else:
        assert set(has_filler) == {(a, b) for a in (True, False) for b in (True, False)}
    lengths = np.array([[len(prompt.split()) for prompt in pair] for pair in pairs])
    assert (abs(np.diff(lengths).mean()) < 1) == (not source.second_is_longer)


def test_pairs_are_the_seeds_and_fewer_are_the_first_of_more() -> None:
    source = Source()
    assert source.pairs(10, seed=1) == source.pairs(40, seed=1)[:10]
    assert source.pairs(10, seed=1) != source.pairs(10, seed=2)
    assert len(set(source.pairs(500, seed=1))) == 500


def test_the_filler_counts_for_as_much_on_either_side_unless_it_is_confounded() -> None:
    means = {
        name: pair_features(source.pairs(5000, seed=3))[:, :, IS_FILLER].mean(axis=0)
        for name, source in SOURCES.items()
    }
    for name in ("unrelated", "longer"):
        # Three standard errors of the share of fillers in 5000 prompts of some 16 words.
        assert means[name] == pytest.approx(0.05, rel=0.05)
    assert means["confounded"][0] > 0.05
    assert means["confounded"][1] == 0


def test_a_planted_model_is_the_same_written_twice(tmp_path: Path) -> None:
    one, other = (load_planted(tmp_path / name, plant(7)) for name in ("one", "other"))
    assert one.provenance.weights_sha256 == other.provenance.weights_sha256
    third = load_planted(tmp_path / "third", plant(8))
    assert third.provenance.weights_sha256 != one.provenance.weights_sha256
