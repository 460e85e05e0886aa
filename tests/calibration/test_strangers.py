"""Strangers: what their pairs look like, and that the truth they state is the truth."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from calibration import made_up_models, strangers
from calibration.language import MARK, Source
from calibration.made_up_models import Recipe
from calibration.strangers import RECIPES, SHAPE, STRANGERS, Drawn

COMPONENTS = 156
SEED = 3
BY_NAME = {recipe.name: recipe for recipe in RECIPES}
SHORT_PAIR = "one short pair"
BOUND = {
    "property opposed to length": -1,
    "property along length": 1,
    "property at right angles to length": 0,
}
# Some pairs hang together: their mean difference shrinks with fewer than there are.
TOGETHER = {
    "one prompt shared by many pairs": 20,
    "near repeats": 4,
    "stated groups": 4,
}
NO_MEAN_DIFFERENCE = [
    recipe
    for recipe in RECIPES
    if not (recipe.responding or recipe.longer or recipe.marking)
    and recipe.name not in ("templates", "few prompts crossed")
]


def drawn(name: str, n_pairs: int = 40, seed: int = SEED) -> Drawn:
    return strangers.draw(BY_NAME[name], seed, n_pairs)


def means(found: Drawn) -> list[np.ndarray]:
    return list(found.activations.by_component("raw"))


def differences(found: Drawn) -> list[np.ndarray]:
    return [side[:, 0] - side[:, 1] for side in means(found)]


def lengths(found: Drawn) -> np.ndarray:
    return np.array([[len(text.split()) for text in pair] for pair in found.pairs])


def parts() -> list[slice]:
    sizes = [SHAPE.d_model] * SHAPE.n_layers + [SHAPE.d_head] * (SHAPE.n_layers * SHAPE.n_heads)
    starts = np.cumsum([0, *sizes])
    return [slice(start, end) for start, end in pairwise(starts)]


@pytest.fixture(scope="module", autouse=True)
def _small_populations() -> Iterator[None]:
    """Truths as they are found otherwise, from fewer pairs than that: within 2 in 100."""
    caches = (made_up_models.population, made_up_models.model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_up_models, "POPULATION", 5000)
        for cached in caches:
            cached.cache_clear()
        yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture(scope="module", params=RECIPES, ids=lambda recipe: recipe.name)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return request.param


def test_draws_have_the_shapes_and_are_deterministic(recipe: Recipe) -> None:
    found = strangers.draw(recipe, SEED, 11)
    again = strangers.draw(recipe, SEED, 11)
    inner = found.activations.inner
    assert inner is not None
    assert found.pairs == again.pairs
    assert found.groups == again.groups
    for one, other in zip(
        (found.activations, inner), (again.activations, again.activations.inner), strict=True
    ):
        assert other is not None
        assert one.mlp_out.shape == (11, 2, 12, 192)
        assert one.z.shape == (11, 2, 12, 12, 16)
        assert one.mlp_out.dtype == one.z.dtype == np.float32
        assert one.token_lengths.dtype == np.int64
        assert np.array_equal(one.mlp_out, other.mlp_out)
        assert np.array_equal(one.z, other.z)
    assert np.array_equal(inner.token_lengths, lengths(found))
    assert np.array_equal(found.activations.token_lengths, lengths(found) + recipe.fronted)
    assert len(set(found.pairs)) == 11
    assert found.share.shape == found.length_ratio.shape == found.score.shape == (COMPONENTS,)
    assert (found.share > 0).sum() == recipe.responding
    assert np.isnan(found.score).all() == (not recipe.has_score)
    assert (found.groups is None) == ("stated groups" not in recipe.name)


def test_more_pairs_begin_with_fewer(recipe: Recipe) -> None:
    few, more = strangers.draw(recipe, SEED, 11), strangers.draw(recipe, SEED, 30)
    assert more.pairs[:11] == few.pairs
    assert np.allclose(more.activations.z[:11], few.activations.z, atol=1e-4)
    assert few.groups is None or few.groups == (more.groups or [])[:11]


def test_equal_texts_have_equal_activations(recipe: Recipe) -> None:
    found = strangers.draw(recipe, SEED, 45)
    if recipe.name == "front activations differ":
        return
    seen: dict[str, np.ndarray] = {}
    for texts, activations in zip(found.pairs, found.activations.z, strict=True):
        for text, made in zip(texts, activations, strict=True):
            assert np.allclose(seen.setdefault(text, made), made, atol=1e-4)


def test_whole_and_inner_means_leave_the_front_tokens_activation(recipe: Recipe) -> None:
    found = strangers.draw(recipe, SEED, 20)
    whole, inner = found.activations, found.activations.inner
    assert inner is not None
    if not recipe.fronted:
        assert np.array_equal(whole.z, inner.z)
        assert np.array_equal(whole.token_lengths, inner.token_lengths)
        return
    sums = [
        part.z.astype(np.float64) * part.token_lengths[:, :, None, None, None]
        for part in (whole, inner)
    ]
    front = sums[0] - sums[1]
    if recipe.name == "front activations differ":
        assert front[:, 0].std(axis=0).max() > 1
        front = front[:, 1:]
    assert np.ptp(front, axis=(0, 1)).max() < 1e-3


def test_lengths_differ_by_side_only_where_that_is_said(recipe: Recipe) -> None:
    found = recipe.write(Source(("fresh",)), recipe.language(SEED), 400).lengths
    longer = found[:, 1] - found[:, 0]
    if recipe.longer:
        assert longer.min() == 4
        assert longer.max() == 12
    elif recipe.name not in ("one prompt shared by many pairs", "templates", "few prompts crossed"):
        assert abs(longer.mean()) < 5 * longer.std() / np.sqrt(400 / TOGETHER.get(recipe.name, 1))
    assert recipe.longer == ("longer" in recipe.about)


@pytest.mark.parametrize("recipe", NO_MEAN_DIFFERENCE, ids=lambda recipe: recipe.name)
def test_without_a_property_mean_differences_shrink(recipe: Recipe) -> None:
    """The square of the mean difference is about the mean square over the number of pairs."""
    language = recipe.language(SEED)
    prompts = recipe.write(Source(("fresh", recipe.name)), language, 4000)
    whole, _ = made_up_models.features(recipe, language, prompts)
    varied = (whole[:, 0] - whole[:, 1])[:, : recipe.latents + 2]
    times = len(varied) * varied.mean(axis=0) ** 2 / (varied**2).mean(axis=0)
    assert times.mean() < 2.5 * TOGETHER.get(recipe.name, 1)
    assert times.max() < 16 * TOGETHER.get(recipe.name, 1)


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("property in 10 components", 0.05),
        ("property in 31 components, second prompts longer", 0.05),
        ("small effects in many dimensions", 0.05),
        ("lognormal strengths", 0.15),
        ("property in stated groups", 0.05),
    ],
)
def test_stated_share_is_that_of_other_pairs(name: str, within: float) -> None:
    """The effect comes from pairs with and without it; lengths are taken out by least squares."""
    recipe, n_pairs = BY_NAME[name], 8000
    language, made = recipe.language(SEED), made_up_models.model(recipe, SEED)
    prompts = recipe.write(Source(("fresh", name)), language, n_pairs)
    without = replace(prompts, strength=np.zeros(n_pairs))
    _, inner = made_up_models.features(recipe, language, prompts)
    _, bare = made_up_models.features(recipe, language, without)
    sizes = prompts.lengths.astype(np.float64)
    told = np.stack([sizes[:, 0] - sizes[:, 1], 1 / sizes[:, 0] - 1 / sizes[:, 1]], axis=1)
    for component in np.flatnonzero(made.share)[:4]:
        maps = made.maps[:, parts()[component]]
        found, plain = ((side[:, 0] - side[:, 1]) @ maps for side in (inner, bare))
        effect = (found - plain).mean(axis=0)
        rest = found - told @ np.linalg.lstsq(told, plain, rcond=None)[0]
        share = (effect @ effect) / (rest**2).sum(axis=1).mean()
        assert share == pytest.approx(made.share[component], rel=within)


def test_stated_shares_of_small_effects() -> None:
    found = drawn("small effects in many dimensions").share
    assert np.allclose(found[found > 0], 0.005)


def test_a_components_noise_is_not_of_few_dimensions_where_effects_are_small() -> None:
    found = differences(drawn("small effects in many dimensions", 200))[100]
    eigenvalues = np.linalg.eigvalsh(np.cov(found.T))
    assert eigenvalues.sum() ** 2 / (eigenvalues**2).sum() > 8


@pytest.mark.parametrize("name", [name for name in BY_NAME if BY_NAME[name].has_score])
def test_stated_score_is_that_of_other_pairs(name: str) -> None:
    found = drawn(name, 300)
    independent = 300 / TOGETHER.get(name, 4 if found.groups else 1)
    norms = np.array([np.linalg.norm(side, axis=1) for side in differences(found)])
    error = norms.std(axis=1) / np.sqrt(independent)
    assert (np.abs(norms.mean(axis=1) - found.score) / error).max() < 6


@pytest.mark.parametrize(("name", "cosine"), BOUND.items())
def test_length_acts_in_the_direction_stated(name: str, cosine: int) -> None:
    """The front token's own activation says which way: longer second prompts dilute it."""
    recipe = BY_NAME[name]
    made = made_up_models.model(recipe, SEED)
    found = drawn(name)
    assert (lengths(found)[:, 1] > lengths(found)[:, 0]).all()
    for component in np.flatnonzero(made.share):
        front, effect = (
            made.maps[row, parts()[component]]
            for row in (made_up_models.FRONT, made_up_models.PROPERTY)
        )
        actual = front @ effect / np.linalg.norm(front) / np.linalg.norm(effect)
        assert actual == pytest.approx(cosine, abs=1e-9)
    ratios = made.length_ratio[made.share > 0]
    assert ((ratios > 1 / 3 - 1e-9) & (ratios < 1 / 1.5 + 1e-9)).all()


def test_length_ratio_is_that_of_mean_differences() -> None:
    recipe, n_pairs = BY_NAME["length above the property"], 12_000
    language, made = recipe.language(SEED), made_up_models.model(recipe, SEED)
    prompts = recipe.write(Source(("fresh", recipe.name)), language, n_pairs)
    bare = replace(prompts, strength=np.zeros(n_pairs))
    with_it, without = (
        (side[:, 0] - side[:, 1]).mean(axis=0)
        for side in (
            made_up_models.features(recipe, language, which)[0] for which in (prompts, bare)
        )
    )
    for component in np.flatnonzero(made.share):
        maps = made.maps[:, parts()[component]]
        effect, length = (with_it - without) @ maps, without @ maps
        ratio = np.linalg.norm(length) / np.linalg.norm(effect)
        assert ratio == pytest.approx(made.length_ratio[component], rel=0.05)
    assert (made.length_ratio[made.share > 0] >= 4).all()


def test_others_are_artefacts_of_length_without_a_property() -> None:
    found = drawn("property in 10 components, second prompts longer")
    others = found.length_ratio[found.share == 0]
    assert set(others) == {0, np.inf}
    assert 20 < np.isinf(others).sum() < 100


def test_one_pair_is_short() -> None:
    found = lengths(drawn(SHORT_PAIR))
    assert found[0].tolist() == [3, 3]
    assert found[1:].min() >= 18
    assert (found[1:, 0] != found[1:, 1]).all()
    norms = np.array([np.linalg.norm(side, axis=1) for side in differences(drawn(SHORT_PAIR))])
    assert np.median(norms[:, 0] / norms[:, 1:].mean(axis=1)) > 1.5


def test_the_mark_is_on_first_prompts() -> None:
    marked = np.array(
        [[text.endswith(MARK) for text in pair] for pair in drawn("a mark on one side", 400).pairs]
    )
    assert 0.85 < marked[:, 0].mean() < 0.97
    assert 0.01 < marked[:, 1].mean() < 0.1
    assert not any(MARK in text for pair in drawn("independent pairs", 400).pairs for text in pair)


def test_components_respond_to_the_mark() -> None:
    found = [
        np.linalg.norm(side.mean(axis=0)) / np.linalg.norm(side, axis=1).mean()
        for side in differences(drawn("a mark on one side", 200))
    ]
    assert (np.array(found) > 0.4).sum() == 31


def test_a_prompt_is_shared_by_twenty_pairs() -> None:
    found = drawn("one prompt shared by many pairs", 45).pairs
    assert list(Counter(pair.second for pair in found).values()) == [20, 20, 5]
    assert len({pair.first for pair in found}) == 45


def differing(one: str, other: str) -> int:
    found, wanted = (text.replace(",", "").rstrip(".?").split() for text in (one, other))
    assert len(found) == len(wanted)
    return sum(left != right for left, right in zip(found, wanted, strict=True))


def test_templates_vary_in_one_or_two_words() -> None:
    found = drawn("templates", 200).pairs
    seconds = [pair.second for pair in found]
    assert all(10 <= len(text.split()) <= 14 for text in seconds)
    for text in seconds[:20]:
        alike = [
            other
            for other in seconds
            if len(other.split()) == len(text.split()) and differing(text, other) <= 4
        ]
        assert 8 < len(alike) < 60
    assert len({pair.first for pair in found}) == 200


def test_near_repeats_differ_in_one_or_two_words() -> None:
    found = drawn("near repeats", 100).pairs
    runs, base = [1], found[0]
    for pair in found[1:]:
        same = [
            len(left.split()) == len(right.split()) for left, right in zip(pair, base, strict=True)
        ]
        if all(same) and differing(pair.first, base.first) <= 2:
            assert differing(pair.first, base.first) > 0
            assert 1 <= differing(pair.second, base.second) <= 2
            runs[-1] += 1
        else:
            runs.append(1)
            base = pair
    assert max(runs) == 4
    assert set(runs) == {1, 2, 3, 4}


def test_crossed_prompts_meet_every_one_of_the_other_side() -> None:
    found = drawn("few prompts crossed", 36).pairs
    assert len({pair.first for pair in found}) == len({pair.second for pair in found}) == 6
    assert len(set(found)) == 36


def test_groups_are_of_four_and_shift_together() -> None:
    for name in ("stated groups", "property in stated groups"):
        found = drawn(name, 80)
        assert found.groups is not None
        assert set(Counter(found.groups).values()) == {4}
        alike = []
        for side in differences(found):
            centred = side - side.mean(axis=0)
            unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
            groups = unit.reshape(20, 4, -1)
            alike.append(((groups.sum(axis=1) ** 2).sum(axis=1).mean() - 4) / 12)
        assert np.median(alike) > 0.1


def test_noise_is_unequal_skewed_or_wider_as_stated() -> None:
    def latents(name: str) -> np.ndarray:
        recipe = BY_NAME[name]
        prompts = recipe.write(Source(("fresh", name)), recipe.language(SEED), 2000)
        _, inner = made_up_models.features(recipe, recipe.language(SEED), prompts)
        return inner[..., : recipe.latents]

    plain, unequal = (
        np.linalg.norm(side[:, 0] - side[:, 1], axis=1)
        for side in map(latents, ("independent pairs", "unequal noise"))
    )
    assert unequal.std() / unequal.mean() > 3 * plain.std() / plain.mean()
    wide = latents("one side varies more").std(axis=0)
    assert np.allclose(wide[0] / wide[1], 2, atol=0.25)
    skewed = latents("skewed differences")
    along = (skewed[:, 0] - skewed[:, 1]) @ np.sign(
        BY_NAME["skewed differences"].language(SEED).vectors[0]
    )
    assert (((along - along.mean()) / along.std()) ** 3).mean() > 1


def test_centring_changes_nothing() -> None:
    found = drawn("property along length").activations.mlp_out
    assert np.abs(found.mean(axis=-1)).max() < 1e-5 * np.abs(found).max()


def test_strangers_are_what_recipes_make() -> None:
    names = [stranger.name for stranger in STRANGERS]
    assert len(set(names)) == len(names) == 28
    assert all(name == name.lower() for name in names)
    assert sum(stranger.has_property for stranger in STRANGERS) == 13
    assert STRANGERS[0].draw(SEED, 5).pairs == drawn(names[0], 5).pairs
    assert STRANGERS[0].draw(SEED + 4, 5).pairs != drawn(names[0], 5).pairs
