"""Strangers: pairs of prompts and mean activations from generators that know of no control.

Each scenario says how its pairs are written and what a made-up model's components respond to; what
the sides differ in, the property aside, its `about` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from calibration.drawn import Drawn, Generator
from calibration.language import Language, Prompts, Source, reworded, texts, written
from calibration.made_up_models import N_MLPS, SHAPE, STARTS, Recipe, features, model
from replication.engine.activations import MeanActivations

Lengths = Callable[[Source, int], Int[np.ndarray, "pairs 2"]]


def draw(recipe: Recipe, seed: int, n_pairs: int) -> Drawn:
    """Pairs of a recipe, and what the model of a seed makes of them."""
    language = recipe.language(seed)
    prompts = recipe.write(Source(("pairs", recipe.name, seed)), language, n_pairs)
    made = model(recipe, seed)
    whole, inner = features(recipe, language, prompts)
    inner_means = _activations(inner @ made.maps, prompts.lengths)
    means = _activations(whole @ made.maps, prompts.lengths + recipe.fronted)
    return Drawn(
        texts(language, prompts),
        prompts.groups,
        replace(means, inner=inner_means),
        made.share,
        made.length_ratio,
        made.score,
    )


def _activations(
    made: Float[np.ndarray, "pairs 2 total"], lengths: Int[np.ndarray, "pairs 2"]
) -> MeanActivations:
    n_pairs, start = len(made), int(STARTS[N_MLPS])
    mlp_out = made[..., :start].reshape(n_pairs, 2, SHAPE.n_layers, SHAPE.d_model)
    z = made[..., start:].reshape(n_pairs, 2, SHAPE.n_layers, SHAPE.n_heads, SHAPE.d_head)
    return MeanActivations(
        mlp_out.astype(np.float32), z.astype(np.float32), lengths.astype(np.int64)
    )


def _unrelated(source: Source, n_pairs: int) -> Int[np.ndarray, "pairs 2"]:
    shared = source("length").integers(8, 19, (n_pairs, 1))
    return shared + source("own length").integers(0, 7, (n_pairs, 2))


def _second_longer(source: Source, n_pairs: int) -> Int[np.ndarray, "pairs 2"]:
    first = source("length").integers(8, 19, n_pairs)
    return np.stack([first, first + source("longer").integers(4, 13, n_pairs)], axis=1)


def _plain(
    source: Source, language: Language, n_pairs: int, lengths: Lengths = _unrelated
) -> Prompts:
    return written(source, language, lengths(source, n_pairs))


def _side(prompts: Prompts, side: int, of: Prompts, at: Int[np.ndarray, " pairs"]) -> Prompts:
    """The prompts with those of another draw on one of the sides."""

    def put(values: np.ndarray, others: np.ndarray) -> np.ndarray:
        both = values.copy()
        both[:, side] = others[at, side]
        return both

    return replace(
        prompts,
        words=put(prompts.words, of.words),
        lengths=put(prompts.lengths, of.lengths),
        mood=put(prompts.mood, of.mood),
    )


def _shared_prompt(source: Source, language: Language, n_pairs: int) -> Prompts:
    prompts = _plain(source, language, n_pairs)
    return _side(prompts, 1, prompts, np.arange(n_pairs) // 20 * 20)


def _ten_to_fourteen(source: Source, n_pairs: int) -> Int[np.ndarray, "pairs 2"]:
    return source("length").integers(10, 15, (n_pairs, 2))


def _templates(source: Source, language: Language, n_pairs: int) -> Prompts:
    prompts = _plain(source, language, n_pairs, _ten_to_fourteen)
    templates = _plain(source.under("templates"), language, 8, _ten_to_fourteen)
    prompts = _side(prompts, 1, templates, source("template").integers(8, size=n_pairs))
    return replace(prompts, words=reworded(source.under("rewording"), language, prompts))


def _near_repeats(source: Source, language: Language, n_pairs: int) -> Prompts:
    prompts = _plain(source, language, n_pairs)
    times = source("times").integers(1, 5, n_pairs)
    base = np.repeat(np.arange(n_pairs), times)[:n_pairs]
    for side in (0, 1):
        prompts = _side(prompts, side, prompts, base)
    is_repeat = np.concatenate([[False], base[1:] == base[:-1]])[:, None, None]
    words = reworded(source.under("rewording"), language, prompts)
    return replace(prompts, words=np.where(is_repeat, words, prompts.words))


def _crossed(source: Source, language: Language, n_pairs: int) -> Prompts:
    """A square of prompts, each new row and column behind the ones before."""
    n_side = int(np.ceil(np.sqrt(n_pairs)))
    rows, columns = np.divmod(np.arange(n_side**2), n_side)
    order = np.lexsort([columns, rows, np.maximum(rows, columns)])[:n_pairs]
    prompts = _plain(source, language, n_pairs)
    for side, at in enumerate((rows[order], columns[order])):
        pool = _plain(source.under(f"side {side}"), language, n_side)
        prompts = _side(prompts, side, pool, at)
    return prompts


def _grouped(
    source: Source, language: Language, n_pairs: int, lengths: Lengths = _unrelated
) -> Prompts:
    prompts, group = _plain(source, language, n_pairs, lengths), np.arange(n_pairs) // 4
    sign = source("sign").choice([-1.0, 1.0], n_pairs)[group, None]
    own = source("group").standard_normal((n_pairs, language.latents))[group]
    shift = prompts.shift.copy()
    shift[:, 0] = 0.25 * language.spectrum * (sign * _bent(language) + 0.5 * own)
    return replace(prompts, shift=shift, groups=[f"group {number}" for number in group])


def _bent(language: Language) -> Float[np.ndarray, " latents"]:
    """A direction that a language leans to."""
    return np.asarray(np.sign(language.vectors[0]))


def _uneven_lengths(source: Source, n_pairs: int) -> Int[np.ndarray, "pairs 2"]:
    short = source("length").integers(18, 23, n_pairs)
    lengths = np.stack([short, short + source("longer").integers(1, 11, n_pairs)], axis=1)
    swapped = source("swapped").random(n_pairs) < 0.5
    lengths[swapped] = lengths[swapped, ::-1]
    return lengths


def _leverage(source: Source, language: Language, n_pairs: int) -> Prompts:
    prompts = _plain(source, language, n_pairs, _uneven_lengths)
    lengths = prompts.lengths.copy()
    lengths[0] = 3
    return replace(prompts, lengths=lengths)


def _unequal_noise(source: Source, language: Language, n_pairs: int) -> Prompts:
    prompts = _plain(source, language, n_pairs)
    heavy = source("heavy").standard_t(3, prompts.shift.shape)
    spread = np.repeat(source("spread").lognormal(0, 1, (n_pairs, 1)), 2, axis=1)
    return replace(prompts, shift=0.2 * language.spectrum * heavy, spread=spread)


def _skewed(source: Source, language: Language, n_pairs: int) -> Prompts:
    prompts = _plain(source, language, n_pairs)
    amounts = source("skewed").lognormal(0, 1, (n_pairs, 2)) - np.exp(0.5)
    shift = 0.2 * amounts[..., None] * language.spectrum * _bent(language)
    shift[:, 1] *= -1
    return replace(prompts, shift=shift)


def _wider(source: Source, language: Language, n_pairs: int) -> Prompts:
    prompts = _plain(source, language, n_pairs)
    return replace(prompts, spread=prompts.spread * [2, 1])


def _fronts_differ(source: Source, language: Language, n_pairs: int) -> Prompts:
    prompts = _plain(source, language, n_pairs)
    front = prompts.front.copy()
    front[:, 0] += 0.5 * source("front").standard_normal(n_pairs)
    return replace(prompts, front=front)


def _no_front(
    source: Source, language: Language, n_pairs: int, lengths: Lengths = _unrelated
) -> Prompts:
    """The first word's activation is the same for any word, up to a tenth."""
    prompts = _plain(source, language, n_pairs, lengths)
    return replace(prompts, front=1 + 0.1 * np.tanh(language.vectors[prompts.words[..., 0], 0]))


def _marker(source: Source, language: Language, n_pairs: int) -> Prompts:
    prompts = _plain(source, language, n_pairs)
    return replace(prompts, marked=source("marked").random((n_pairs, 2)) < [0.92, 0.04])


def _lognormal_strength(source: Source, language: Language, n_pairs: int) -> Prompts:
    prompts = _plain(source, language, n_pairs)
    return replace(prompts, strength=source("lognormal").lognormal(-0.5, 1, n_pairs))


_longer = partial(_plain, lengths=_second_longer)

_WITHOUT = (
    Recipe(
        "independent pairs",
        "Independent pairs whose prompts share a topic; lengths have nothing to do with the side.",
        _plain,
    ),
    Recipe(
        "second prompts longer",
        "Independent pairs; the second prompt is 4 to 12 words longer than the first.",
        _longer,
        longer=True,
    ),
    Recipe(
        "one prompt shared by many pairs",
        "The second prompt is the very same text in 20 pairs after each other; the sides differ by"
        " the chance of which texts are shared.",
        _shared_prompt,
        has_score=False,
    ),
    Recipe(
        "templates",
        "Second prompts come from 8 templates of 10 to 14 words of which one or two vary, first"
        " prompts are free and as long; the sides differ by the chance of which 8 they are.",
        _templates,
        has_score=False,
    ),
    Recipe(
        "near repeats",
        "Each pair is there up to 4 times, with one or two words changed on each side.",
        _near_repeats,
    ),
    Recipe(
        "few prompts crossed",
        "Few prompts, each at random on one side or the other and paired with every one of the"
        " other side; the sides differ by that chance alone.",
        _crossed,
        has_score=False,
    ),
    Recipe(
        "stated groups",
        "Groups of 4 pairs, which their author states, share a shift of what first prompts mean,"
        " one way or the opposite at random and 0 on average; texts look unrelated.",
        _grouped,
    ),
    Recipe(
        "one short pair",
        "One pair of prompts of 3 words among pairs of prompts of 18 to 32 words, of unequal"
        " lengths, whose means vary far less.",
        _leverage,
        has_score=False,
        mood=0.05,
    ),
    Recipe(
        "unequal noise",
        "Pairs differ by noise of a scale of their own (lognormal, sigma 1) and with heavy tails"
        " (t with 3 degrees of freedom).",
        _unequal_noise,
    ),
    Recipe(
        "skewed differences",
        "First prompts are shifted by a strongly skewed amount of mean 0, second ones by such an"
        " amount the opposite way.",
        _skewed,
    ),
    Recipe(
        "one side varies more",
        "First prompts vary twice as much as second ones, around the same mean.",
        _wider,
    ),
    Recipe(
        "front activations differ",
        "The added front token's big activation is another in each first prompt, by a normal"
        " amount of half its size; on average it is the same on both sides.",
        _fronts_differ,
    ),
    Recipe(
        "no front token",
        "No token is added in front: the first word carries the big activation, whatever word it"
        " is.",
        _no_front,
        fronted=False,
    ),
    Recipe(
        "no front token, second prompts longer",
        "No token is added in front: the first word carries the big activation; the second prompt"
        " is 4 to 12 words longer.",
        partial(_no_front, lengths=_second_longer),
        fronted=False,
        longer=True,
    ),
    Recipe(
        "a mark on one side",
        "92% of first and 4% of second prompts end in an exclamation mark, to which 31 components"
        " respond strongly: the sides do differ in it, and a control may rightly say so.",
        _marker,
        marking=31,
    ),
)

_WITH = (
    Recipe(
        "property in 3 components",
        "3 of 156 components respond to the property; lengths have nothing to do with the side.",
        _plain,
        responding=3,
    ),
    Recipe(
        "property in 10 components",
        "10 of 156 components respond to the property; lengths have nothing to do with the side.",
        _plain,
        responding=10,
    ),
    Recipe(
        "property in 31 components",
        "31 of 156 components respond to the property; lengths have nothing to do with the side.",
        _plain,
        responding=31,
    ),
    Recipe(
        "property in 3 components, second prompts longer",
        "3 of 156 components respond to the property; the second prompt is 4 to 12 words longer.",
        _longer,
        responding=3,
        longer=True,
    ),
    Recipe(
        "property in 10 components, second prompts longer",
        "10 of 156 components respond to the property; the second prompt is 4 to 12 words longer.",
        _longer,
        responding=10,
        longer=True,
    ),
    Recipe(
        "property in 31 components, second prompts longer",
        "31 of 156 components respond to the property; the second prompt is 4 to 12 words longer.",
        _longer,
        responding=31,
        longer=True,
    ),
    Recipe(
        "small effects in many dimensions",
        "The property is half a percent of what differs in 31 components, all of whose dimensions"
        " vary about equally.",
        _plain,
        responding=31,
        share=0.005,
        latents=48,
        decay=0.995,
    ),
    Recipe(
        "property opposed to length",
        "In 10 components the property is 1.5 to 3 times what length does and exactly opposed to"
        " it; the second prompt is 4 to 12 words longer.",
        _longer,
        responding=10,
        longer=True,
        length_ratios=(1 / 3, 1 / 1.5),
        length_direction="opposed",
    ),
    Recipe(
        "property along length",
        "In 10 components the property is 1.5 to 3 times what length does, in the same direction;"
        " the second prompt is 4 to 12 words longer.",
        _longer,
        responding=10,
        longer=True,
        length_ratios=(1 / 3, 1 / 1.5),
        length_direction="along",
    ),
    Recipe(
        "property at right angles to length",
        "In 10 components the property is 1.5 to 3 times what length does, at right angles to it;"
        " the second prompt is 4 to 12 words longer.",
        _longer,
        responding=10,
        longer=True,
        length_ratios=(1 / 3, 1 / 1.5),
        length_direction="orthogonal",
    ),
    Recipe(
        "length above the property",
        "In 10 components length does 4 to 20 times what the property does, in a random direction;"
        " the second prompt is 4 to 12 words longer.",
        _longer,
        responding=10,
        longer=True,
        length_ratios=(4, 20),
    ),
    Recipe(
        "lognormal strengths",
        "10 components respond to the property, which is far stronger in some pairs than in others"
        " (lognormal, sigma 1).",
        _lognormal_strength,
        responding=10,
        effects=(2, 6),
        strength_square=float(np.e),
    ),
    Recipe(
        "property in stated groups",
        "10 components respond to the property; groups of 4 pairs, which their author states, share"
        " a shift of what first prompts mean, 0 on average.",
        _grouped,
        responding=10,
    ),
)

RECIPES = (*_WITHOUT, *_WITH)

STRANGERS: Sequence[Generator] = [
    Generator(recipe.name, recipe.about, recipe.responding > 0, partial(draw, recipe))
    for recipe in RECIPES
]
