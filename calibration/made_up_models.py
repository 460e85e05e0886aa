"""Made-up models: what their components respond to, and the truth of what they write.

What a component writes is linear in a few features of a prompt: what its words mean, the first
position's share of the mean, its length, the strength of the property, and a mark at its end. The
truth of every component is hence known: what the property does to it, and what length does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from calibration.language import Language, Prompts, Source, language, meaning
from replication.circuits.components import ModelShape

SHAPE = ModelShape(n_layers=12, n_heads=12, d_model=192, d_head=16)
POPULATION = 40_000  # pairs
_SAMPLE = 5000  # of them, for what only sets sizes
_LANGUAGES = 4  # a model's seed picks one
N_MLPS = SHAPE.n_layers
_SIZES = np.repeat([SHAPE.d_model, SHAPE.d_head], [N_MLPS, SHAPE.n_layers * SHAPE.n_heads])
STARTS = np.concatenate([[0], np.cumsum(_SIZES)])
_N_COMPONENTS = len(_SIZES)
_TOTAL = int(_SIZES.sum())

# The features behind the latents, in this order.
FRONT, GROWTH, PROPERTY, MARK, CONSTANT = range(-5, 0)
_SPAN = 16  # positions over which a growing component grows by its growth

Writer = Callable[[Source, Language, int], Prompts]
LengthDirection = Literal["opposed", "along", "orthogonal", "random"]


@dataclass(frozen=True)
class Recipe:
    """How a stranger makes its pairs, and what components of its models respond to.

    `effects` are the bounds of |c|, c being the mean difference that the property makes on the text
    alone, in standard deviations of the norm of the difference that the text alone makes without
    it (for 10 dimensions of equal noise, about 0.22 of the root mean square of that norm). A
    `share` takes their place. `length_ratios` and `length_direction` bind length's effect on the
    components that respond to the property; without them it is as on any other component.
    """

    name: str
    about: str
    write: Writer
    responding: int = 0
    effects: tuple[float, float] = (0.5, 6.0)
    share: float | None = None
    strength_square: float = 1 + 0.8**2 / 12  # mean square of the pairs' strengths, of mean 1
    longer: bool = False
    length_ratios: tuple[float, float] | None = None
    length_direction: LengthDirection = "random"
    fronted: bool = True
    marking: int = 0  # components that respond to the mark
    has_score: bool = True
    latents: int = 40
    decay: float = 0.92
    mood: float = 0.35

    def language(self, seed: int) -> Language:
        """The language that the model of this seed reads."""
        return language(seed % _LANGUAGES, self.latents, self.decay, self.mood)


@dataclass(frozen=True)
class Population:
    """Differences of the features over many pairs: of the whole means, and of the text alone."""

    whole: Float32[np.ndarray, "pairs features"]
    inner: Float32[np.ndarray, "some latents"]  # of some of the pairs
    mean: Float[np.ndarray, " features"]  # of `whole`
    spread: Float[np.ndarray, " features"]  # mean size of `whole`
    second_moment: Float[np.ndarray, "latents latents"]  # of `inner`, over all pairs


@dataclass(frozen=True)
class Model:
    """What each feature makes all components write, side by side, and the truth of it."""

    maps: Float[np.ndarray, "features total"]
    share: Float[np.ndarray, " components"]
    length_ratio: Float[np.ndarray, " components"]
    score: Float[np.ndarray, " components"]


def features(
    recipe: Recipe, language: Language, prompts: Prompts
) -> tuple[Float[np.ndarray, "pairs 2 features"], Float[np.ndarray, "pairs 2 features"]]:
    """What components see in a prompt, averaged over all its positions and over its text's own."""
    lengths = prompts.lengths.astype(np.float64)
    strength = np.stack([prompts.strength, np.zeros_like(prompts.strength)], axis=1)
    front = np.zeros_like(lengths) if recipe.fronted else prompts.front / lengths
    latents = meaning(language, prompts)
    others = [
        front,
        (lengths + 1) / _SPAN,
        strength,
        prompts.marked / lengths,
        np.ones_like(lengths),
    ]
    inner = np.concatenate([latents, np.stack(others, axis=-1)], axis=-1)
    if not recipe.fronted:
        return inner, inner
    whole = inner * (lengths / (lengths + 1))[..., None]
    whole[..., FRONT] = prompts.front / (lengths + 1)
    whole[..., CONSTANT] = 1
    return whole, inner


@lru_cache(maxsize=32)
def population(recipe: Recipe, number: int) -> Population:
    """The pairs of a recipe at large, in one of the languages."""
    language = recipe.language(number)
    prompts = recipe.write(Source(("population", recipe.name, number)), language, POPULATION)
    whole, inner = (side[:, 0] - side[:, 1] for side in features(recipe, language, prompts))
    meant = inner[:, : recipe.latents]
    return Population(
        whole.astype(np.float32),
        meant[:_SAMPLE].astype(np.float32),
        whole.mean(axis=0),
        np.abs(whole).mean(axis=0),
        meant.T @ meant / POPULATION,
    )


@lru_cache(maxsize=32)
def model(recipe: Recipe, seed: int) -> Model:
    """The model of a seed.

    A fifth of all components respond to the first position, 0.5 to 5 times as strongly as to what
    the text means, and a seventh grow with the position, half to twice as strongly.
    """
    source, at_large = Source(("model", recipe.name, seed)), population(recipe, seed % _LANGUAGES)
    rng = source("components")
    maps = np.zeros((recipe.latents - FRONT, _TOTAL))
    maps[: recipe.latents] = _latent_maps(rng, recipe.latents)
    maps[CONSTANT] = _directions(rng, maps) * np.repeat(rng.uniform(1, 3, _N_COMPONENTS), _SIZES)
    noise = np.sqrt(_per_component(_explained(maps[: recipe.latents], at_large.second_moment)))
    roles = rng.random((2, _N_COMPONENTS))
    front = (roles[0] < 1 / 5) * np.exp(rng.uniform(np.log(0.5), np.log(5), _N_COMPONENTS))
    growth = (roles[1] < 1 / 7) * rng.uniform(0.5, 2, _N_COMPONENTS)
    for feature, size in ((FRONT, front), (GROWTH, growth)):
        size = size * noise / at_large.spread[feature]
        maps[feature] = _directions(rng, maps) * np.repeat(size, _SIZES)
    order = rng.permutation(_N_COMPONENTS)
    marking = np.isin(np.arange(_N_COMPONENTS), order[: recipe.marking])
    size = marking * 3 * noise / max(at_large.spread[MARK], 1e-9)
    maps[MARK] = _directions(rng, maps) * np.repeat(size, _SIZES)
    share = np.zeros(_N_COMPONENTS)
    for component in order[: recipe.responding]:
        part = slice(STARTS[component], STARTS[component + 1])
        square = noise[component] ** 2
        effect = _effect(rng, recipe, at_large.inner @ maps[: recipe.latents, part], square)
        share[component] = effect**2 / (effect**2 * recipe.strength_square + square)
        maps[PROPERTY, part] = effect * _unit(_directions(rng, maps)[part])
        if recipe.length_ratios is not None:
            direction = _length_direction(rng, recipe.length_direction, maps[PROPERTY, part])
            times = rng.uniform(*np.log(recipe.length_ratios))
            size = effect * np.exp(times) * at_large.mean[PROPERTY] / at_large.mean[FRONT]
            maps[FRONT, part], maps[GROWTH, part] = direction * size, 0
    score = _score(at_large, maps) if recipe.has_score else np.full(_N_COMPONENTS, np.nan)
    return Model(maps, share, _length_ratio(recipe, at_large, maps), score)


def _latent_maps(rng: np.random.Generator, latents: int) -> Float[np.ndarray, "latents total"]:
    """Random maps; each component has its loudness, rising with the layer, and its likings."""
    layers = np.concatenate([np.arange(N_MLPS), np.repeat(range(N_MLPS), SHAPE.n_heads)])
    loudness = np.exp(0.1 * layers + 0.4 * rng.standard_normal(_N_COMPONENTS))
    likings = np.exp(0.5 * rng.standard_normal((latents, _N_COMPONENTS)))
    maps = _mlps_centred(rng.standard_normal((latents, _TOTAL)) / np.sqrt(latents))
    return np.asarray(maps * np.repeat(loudness * likings / np.sqrt(_SIZES), _SIZES, axis=1))


def _mlps_centred(maps: Float[np.ndarray, "rows total"]) -> Float[np.ndarray, "rows total"]:
    """The maps with a mean of 0 over an MLP's dimensions, that centring may change nothing."""
    mlps = maps[:, : STARTS[N_MLPS]].reshape(len(maps), N_MLPS, SHAPE.d_model)
    mlps -= mlps.mean(axis=-1, keepdims=True)
    return maps


def _directions(
    rng: np.random.Generator, maps: Float[np.ndarray, "features total"]
) -> Float[np.ndarray, " total"]:
    """A unit vector per component: in part where its latents write, in part anywhere."""
    latents = len(maps) + FRONT
    within = rng.standard_normal((1, latents)) @ maps[:latents]
    anywhere = _mlps_centred(rng.standard_normal((1, _TOTAL)))
    vectors = [
        row[0] / np.repeat(np.sqrt(_per_component(row[0] ** 2)), _SIZES)
        for row in (within, anywhere)
    ]
    both = 0.8 * vectors[0] + 0.6 * vectors[1]
    return np.asarray(both / np.repeat(np.sqrt(_per_component(both**2)), _SIZES))


def _effect(
    rng: np.random.Generator,
    recipe: Recipe,
    differences: Float[np.ndarray, "pairs size"],
    square: float,
) -> float:
    """The norm of the property's effect, given what the text makes differ without it."""
    if recipe.share is not None:
        return float(np.sqrt(recipe.share * square / (1 - recipe.share * recipe.strength_square)))
    spread = np.linalg.norm(differences, axis=1).std()
    return float(rng.uniform(*recipe.effects) * spread)


def _length_direction(
    rng: np.random.Generator, direction: LengthDirection, effect: Float[np.ndarray, " size"]
) -> Float[np.ndarray, " size"]:
    along, other = _unit(effect), rng.standard_normal(len(effect))
    if len(effect) == SHAPE.d_model:
        other -= other.mean()
    match direction:
        case "along":
            return along
        case "opposed":
            return -along
        case "orthogonal":
            return _unit(other - (other @ along) * along)
        case "random":
            return _unit(other)


def _unit(vector: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
    return np.asarray(vector / np.linalg.norm(vector))


def _per_component(values: Float[np.ndarray, "*rows total"]) -> Float[np.ndarray, "*rows parts"]:
    return np.asarray(np.add.reduceat(values, STARTS[:-1], axis=-1))


def _explained(
    maps: Float[np.ndarray, "latents total"], moment: Float[np.ndarray, "latents latents"]
) -> Float[np.ndarray, " total"]:
    return np.asarray((maps * (moment @ maps)).sum(axis=0))


def _length_ratio(
    recipe: Recipe, at_large: Population, maps: Float[np.ndarray, "features total"]
) -> Float[np.ndarray, " components"]:
    if not recipe.longer:
        return np.zeros(_N_COMPONENTS)
    both = [FRONT, GROWTH]
    length = np.sqrt(_per_component((at_large.mean[both] @ maps[both]) ** 2))
    effect = np.sqrt(_per_component((at_large.mean[PROPERTY] * maps[PROPERTY]) ** 2))
    without = np.where(length > 0, np.inf, 0.0)
    return np.asarray(np.divide(length, effect, out=without, where=effect > 0))


def _score(
    at_large: Population, maps: Float[np.ndarray, "features total"]
) -> Float[np.ndarray, " components"]:
    """The mean norm over the population; an MLP's is taken where its maps span, which is exact."""
    n_features, start = len(maps), int(STARTS[N_MLPS])
    mlps = maps[:, :start].reshape(n_features, N_MLPS, SHAPE.d_model).transpose(1, 2, 0)
    spanned = np.asarray(np.linalg.qr(mlps, mode="r"))
    narrow = [spanned.reshape(-1, n_features).T, maps[:, start:]]
    scores = []
    for part, size in zip(narrow, (spanned.shape[1], SHAPE.d_head), strict=True):
        single = part.astype(np.float32)
        total = np.zeros(part.shape[1] // size)
        for differences in np.array_split(at_large.whole, POPULATION // 1000):
            made = (differences @ single).reshape(len(differences), -1, size)
            total += np.sqrt(np.einsum("pcs,pcs->pc", made, made)).sum(axis=0, dtype=np.float64)
        scores.append(total / POPULATION)
    return np.concatenate(scores)
