from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file

from replication.circuits.components import ModelShape
from replication.engine.capture import capture
from replication.engine.locate import ModelNotFound, is_at_hand, locate
from replication.engine.models import Device, LoadedModel, choose_device, load_model
from replication.engine.weights import weights_sha256
from replication.experiment.spec import ModelSpec
from replication.inputs.files import InputError
from replication.inputs.messages import quoted
from tests.closeness import SAME, apart, assert_close
from tests.gpt2 import PAIRS
from tests.hub import COMMIT, Hub, cache_by_hand

SHAPE = ModelShape(n_layers=3, n_heads=4, d_model=32, d_head=8)
SPEC = ModelSpec(name="test/gpt2", shape=SHAPE)
QUICK = 10  # seconds; the hub's own client repeats a failed request for longer

PROGRAM = """
import json, sys, time
from replication.circuits.components import ModelShape
from replication.engine import locate, models
from replication.experiment.spec import ModelSpec
from replication.inputs import hub

hub.HUB_TIMEOUT_SECONDS = 1
answers = []
for step in sys.argv[1:]:
    action, _, name = step.partition(" ")
    spec = ModelSpec(name=name, shape=ModelShape(n_layers=3, n_heads=4, d_model=32, d_head=8))
    started = time.monotonic()
    try:
        if action == "load":
            answer = models.load_model(spec, device="cpu").provenance.model_dump()
        else:
            answer = {"folder": str(locate.locate(spec))}
    except locate.ModelNotFound as error:
        answer = {"not_found": str(error)}
    answers.append({**answer, "seconds": time.monotonic() - started})
print(json.dumps(answers))
"""


def ask(home: Path, *steps: str, **variables: str) -> list[dict[str, Any]]:
    """What a fresh process answers to each step, which is `load NAME` or `locate NAME`."""
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("HF_") and not key.lower().endswith("_proxy")
    }
    hub = {"HF_HOME": str(home), "HF_HUB_CACHE": str(home / "hub")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *steps],
        env=clean | hub | variables,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def own_gpt2(gpt2_folder: Path, tmp_path: Path) -> Path:
    """A copy of the small GPT-2 to break."""
    return shutil.copytree(gpt2_folder, tmp_path / "gpt2")


@pytest.fixture
def package(
    gpt2_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ModelSpec]:
    """An importable package that holds the model in a folder, and a spec that names it."""
    shutil.copytree(gpt2_folder, tmp_path / "a_packaged_gpt2" / "weights")
    (tmp_path / "a_packaged_gpt2" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def spec(**changes: Any) -> ModelSpec:
        defaults = {"package": "a_packaged_gpt2", "folder": "weights", "shape": SHAPE}
        return ModelSpec(**(defaults | changes))

    return spec


def one_line(raised: pytest.ExceptionInfo[InputError]) -> str:
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.fixture(scope="module")
def loaded(gpt2_folder: Path) -> LoadedModel:
    return load_model(SPEC, str(gpt2_folder), "cpu")


def test_a_local_folder_loads_with_its_provenance(loaded: LoadedModel, gpt2_folder: Path) -> None:
    provenance = loaded.provenance
    assert provenance.model == gpt2_folder.name
    assert provenance.weights_sha256 == sha256(gpt2_folder / "model.safetensors")
    assert loaded.shape == provenance.shape == SHAPE
    assert (provenance.device, provenance.precision) == ("cpu", "float32")
    assert set(provenance.versions) == {
        "python",
        "torch",
        "transformers",
        "transformer_lens",
        "numpy",
        "pytest-circuit-replication",
    }
    assert provenance.versions["numpy"] == np.__version__


def test_weights_are_loaded_as_they_are(loaded: LoadedModel, gpt2_folder: Path) -> None:
    stored = load_file(gpt2_folder / "model.safetensors")
    written = loaded.taps.transformer.get_parameter("h.1.mlp.c_proj.weight").detach().numpy()
    assert np.array_equal(written, stored["transformer.h.1.mlp.c_proj.weight"])


@pytest.mark.numeric
def test_a_half_precision_model_runs_in_float32(own_gpt2: Path, loaded: LoadedModel) -> None:
    weights = load_file(own_gpt2 / "model.safetensors")
    save_file(
        {name: tensor.astype(np.float16) for name, tensor in weights.items()},
        own_gpt2 / "model.safetensors",
        {"format": "pt"},
    )
    config = json.loads((own_gpt2 / "config.json").read_text(encoding="utf-8"))
    (own_gpt2 / "config.json").write_text(
        json.dumps(config | {"dtype": "float16"}), encoding="utf-8"
    )
    half = load_model(SPEC, str(own_gpt2), "cpu")
    assert half.provenance.precision == "float32"
    types = {str(parameter.dtype) for parameter in half.taps.transformer.parameters()}
    assert types == {"torch.float32"}
    found, expected = (capture(model, PAIRS[:1]).mlp_out for model in (half, loaded))
    # The weights are rounded to steps of 2^-11, 5e-4 of each.
    assert_close(found, expected, allowed=2e-3)
    assert apart(found, expected) > SAME


def test_the_folder_one_stands_in_has_a_name_in_the_provenance(
    gpt2_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(gpt2_folder)
    assert load_model(SPEC, ".", "cpu").provenance.model == "gpt2"


def test_a_home_relative_folder_is_found(
    gpt2_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(gpt2_folder.parent))
    assert locate(SPEC, f"~/{gpt2_folder.name}") == gpt2_folder


def test_a_packaged_model_loads(package: Callable[..., ModelSpec], tmp_path: Path) -> None:
    weights = tmp_path / "a_packaged_gpt2" / "weights"
    spec = package(sha256=sha256(weights / "model.safetensors"))
    assert locate(spec) == weights
    provenance = load_model(spec, device="cpu").provenance
    assert provenance.model == "a_packaged_gpt2"
    assert provenance.weights_sha256 == spec.sha256


def test_a_revision_of_a_model_on_the_hub_is_the_one_that_is_taken(
    gpt2_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    old = cache_by_hand(tmp_path, "model", "test/versions", gpt2_folder, "a" * 40, "v1")
    new = cache_by_hand(tmp_path, "model", "test/versions", gpt2_folder, "b" * 40, "main")
    spec = ModelSpec(name="test/versions", shape=SHAPE)
    assert locate(spec) == new
    for revision in ("v1", "a" * 40):
        assert locate(spec.model_copy(update={"revision": revision})) == old
    provenance = load_model(spec.model_copy(update={"revision": "v1"}), device="cpu").provenance
    assert (provenance.model, provenance.revision) == ("test/versions", "a" * 40)
    with pytest.raises(ModelNotFound, match=r"^test/versions at revision v2 is not in the hub's"):
        locate(spec.model_copy(update={"revision": "v2"}))


def test_what_is_at_hand_is_told_without_asking_the_hub(
    gpt2_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("replication.engine.locate.hub_folder", None)
    cache_by_hand(tmp_path, "model", "test/cached", gpt2_folder, ref="v1")
    named = ModelSpec(name="test/cached", revision="v1", shape=SHAPE)
    folder = ModelSpec(folder=str(gpt2_folder), shape=SHAPE)
    assert is_at_hand(named)
    assert not is_at_hand(named.model_copy(update={"revision": "v2"}))
    assert is_at_hand(named.model_copy(update={"name": "test/absent"}), str(gpt2_folder))
    assert is_at_hand(folder)
    assert not is_at_hand(folder, "test/absent")
    assert not is_at_hand(ModelSpec(folder=str(tmp_path / "none"), shape=SHAPE))
    assert not is_at_hand(ModelSpec(package="not_installed", shape=SHAPE))
    assert not is_at_hand(ModelSpec(package="numpy", folder="no_model", shape=SHAPE))


def test_a_model_may_lie_in_a_folder_told_from_the_spec(gpt2_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(gpt2_folder, tmp_path / "weights")
    spec = ModelSpec(folder="../weights", shape=SHAPE).told_from(tmp_path / "mine")
    assert locate(spec) == tmp_path / "weights"
    provenance = load_model(spec, device="cpu").provenance
    assert (provenance.model, provenance.revision) == ("weights", None)
    with pytest.raises(ModelNotFound, match="elsewhere: there is no such folder, where the model"):
        locate(ModelSpec(folder="elsewhere", shape=SHAPE).told_from(tmp_path))


@pytest.mark.parametrize(
    "stated",
    [
        {"folder": "a", "revision": "main"},
        {"package": "a", "revision": "main"},
        {"name": "a", "folder": "b"},
        {"name": "a", "revision": ""},
        {"folder": ""},
    ],
)
def test_a_model_that_is_stated_in_two_ways_is_refused(stated: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ModelSpec(**stated, shape=SHAPE)


def test_another_model_replaces_a_packaged_one(
    package: Callable[..., ModelSpec], gpt2_folder: Path
) -> None:
    assert locate(package(), str(gpt2_folder)) == gpt2_folder


@pytest.mark.parametrize("name", ["no_such_package_here", "this"])
def test_a_packaged_model_that_is_not_installed_is_not_found(name: str) -> None:
    spec = ModelSpec(package=name, install="such-a-package==1.0", shape=SHAPE)
    with pytest.raises(ModelNotFound) as raised:
        locate(spec)
    assert one_line(raised) == (
        f"the package {name} is not installed; `pip install such-a-package==1.0` brings the model"
    )


@pytest.mark.parametrize("name", ["no_such_package_here.models", ".models"])
def test_a_packaged_model_with_a_dotted_name_is_not_found(name: str) -> None:
    with pytest.raises(ModelNotFound, match="is not installed"):
        locate(ModelSpec(package=name, shape=SHAPE))


def test_weights_with_another_hash_than_the_pinned_one_are_refused(
    package: Callable[..., ModelSpec], gpt2_folder: Path
) -> None:
    with pytest.raises(InputError) as raised:
        load_model(package(sha256="0" * 64), device="cpu")
    message = one_line(raised)
    assert sha256(gpt2_folder / "model.safetensors") in message
    assert f"the experiment pins {'0' * 64}" in message


def test_a_model_given_instead_needs_no_pinned_hash(
    package: Callable[..., ModelSpec], gpt2_folder: Path
) -> None:
    given = load_model(package(sha256="0" * 64), str(gpt2_folder), "cpu")
    assert given.provenance.weights_sha256 == sha256(gpt2_folder / "model.safetensors")


@pytest.mark.parametrize(
    "changed", [{"n_layers": 2}, {"n_heads": 2, "d_head": 16}, {"d_model": 64, "d_head": 16}]
)
def test_a_model_of_another_shape_is_refused(gpt2_folder: Path, changed: dict[str, int]) -> None:
    expected = SHAPE.model_copy(update=changed)
    with pytest.raises(InputError) as raised:
        load_model(ModelSpec(name="test/gpt2", shape=expected), str(gpt2_folder), "cpu")
    assert one_line(raised) == (
        f"{gpt2_folder}: the model has {SHAPE}; the experiment expects {expected}"
    )


def test_a_folder_without_weights_is_refused(own_gpt2: Path) -> None:
    (own_gpt2 / "model.safetensors").unlink()
    with pytest.raises(InputError) as raised:
        load_model(SPEC, str(own_gpt2), "cpu")
    assert one_line(raised).startswith(f"{own_gpt2}: no weights in it")


def test_an_empty_weight_file_is_refused(own_gpt2: Path) -> None:
    (own_gpt2 / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError) as raised:
        load_model(SPEC, str(own_gpt2), "cpu")
    found = f"{own_gpt2 / 'model.safetensors'}: expected weights, found an empty file"
    assert one_line(raised) == found


def test_a_package_without_its_folder_of_weights_is_refused(
    package: Callable[..., ModelSpec],
) -> None:
    with pytest.raises(InputError, match="no weights in it"):
        load_model(package(folder="elsewhere"), device="cpu")


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_the_hash_of_several_weight_files_is_that_of_their_digests_by_name(
    tmp_path: Path, suffix: str
) -> None:
    names = [f"pytorch_model-0000{number}-of-00003{suffix}" for number in (1, 2, 3)]
    for name in reversed(names):
        (tmp_path / name).write_bytes(name.encode())
    digests = b"".join(hashlib.sha256(name.encode()).digest() for name in names)
    assert weights_sha256(tmp_path) == hashlib.sha256(digests).hexdigest()


def test_safetensors_go_before_pickled_weights(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")
    assert weights_sha256(tmp_path) == hashlib.sha256(b"pickled").hexdigest()
    (tmp_path / "model.safetensors").write_bytes(b"safe")
    assert weights_sha256(tmp_path) == hashlib.sha256(b"safe").hexdigest()


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as raised:
        capture(load_model(SPEC, str(folder), "cpu"), PAIRS)
    message = one_line(raised)
    assert str(folder) in message
    return message


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("model.safetensors", "not a whole safetensors file: "),
        ("config.json", "config.json: not JSON: "),
        ("tokenizer.json", "its tokenizer cannot be loaded: "),
    ],
)
def test_a_truncated_file_of_the_model_is_refused(own_gpt2: Path, file: str, reason: str) -> None:
    whole = (own_gpt2 / file).read_bytes()
    (own_gpt2 / file).write_bytes(whole[: len(whole) // 2])
    assert reason in refused(own_gpt2)


def test_a_configuration_that_is_no_configuration_is_refused(own_gpt2: Path) -> None:
    config = json.loads((own_gpt2 / "config.json").read_text(encoding="utf-8"))
    (own_gpt2 / "config.json").write_text(json.dumps(config | {"n_embd": "wide"}), encoding="utf-8")
    found = "config.json: d_model: Input should be a valid integer, found 'wide'"
    assert found in refused(own_gpt2)


def test_a_folder_without_a_configuration_is_refused(own_gpt2: Path) -> None:
    (own_gpt2 / "config.json").unlink()
    assert "config.json: there is no such file" in refused(own_gpt2)


def test_a_folder_without_a_tokenizer_is_refused(own_gpt2: Path) -> None:
    (own_gpt2 / "tokenizer.json").unlink()
    (own_gpt2 / "tokenizer_config.json").unlink()
    assert "tokenizer" in refused(own_gpt2)


def test_weights_that_lack_a_tensor_are_refused(own_gpt2: Path) -> None:
    weights = load_file(own_gpt2 / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, own_gpt2 / "model.safetensors", {"format": "pt"})
    assert "h.1.mlp.c_fc.weight" in refused(own_gpt2)


def test_the_older_names_of_layer_norms_are_known(own_gpt2: Path) -> None:
    from transformers import BertConfig, BertForMaskedLM

    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
    BertForMaskedLM(BertConfig(vocab_size=400, **sizes)).save_pretrained(own_gpt2)
    weights = load_file(own_gpt2 / "model.safetensors")
    older = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in weights.items()
    }
    assert older.keys() != weights.keys()
    save_file(older, own_gpt2 / "model.safetensors", {"format": "pt"})
    assert load_model(SPEC, str(own_gpt2), "cpu").shape == SHAPE


@pytest.mark.parametrize(
    "name",
    ["a//b", "a/b/c", "a--b", "a b", "x" * 200, "/no/such/folder", "./no-such", "~/no-such"],
)
@pytest.mark.parametrize("given", [True, False])
def test_an_impossible_name_is_not_found(name: str, given: bool) -> None:
    spec = SPEC if given else ModelSpec(name=name, shape=SHAPE)
    with pytest.raises(ModelNotFound) as raised:
        locate(spec, name if given else None)
    expected = f"{quoted(name)} is neither a folder here nor a possible name on the hub"
    assert one_line(raised) == expected


def set_devices(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_cuda_then_mps_then_the_cpu(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
) -> None:
    set_devices(monkeypatch, cuda=cuda, mps=mps)
    assert choose_device("auto") == expected


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_a_device_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch, device: Device) -> None:
    set_devices(monkeypatch, cuda=True, mps=True)
    assert choose_device(device) == device


@pytest.mark.parametrize(
    ("device", "there"),
    [("cuda", "mps, cpu"), ("mps", "cuda, cpu")],
)
def test_a_device_that_is_not_there_is_refused_before_the_model_loads(
    monkeypatch: pytest.MonkeyPatch, own_gpt2: Path, device: Device, there: str
) -> None:
    set_devices(monkeypatch, cuda=device != "cuda", mps=device != "mps")
    (own_gpt2 / "model.safetensors").write_bytes(b"these weights do not load")
    with pytest.raises(InputError) as raised:
        load_model(SPEC, str(own_gpt2), device)
    assert one_line(raised) == f"the device {device} is not there; this machine has {there}"


def test_the_hubs_cache_serves_offline_and_nothing_else_does(
    gpt2_folder: Path, tmp_path: Path
) -> None:
    snapshot = cache_by_hand(tmp_path, "model", "test/gpt2", gpt2_folder)
    half = cache_by_hand(tmp_path, "model", "test/half-fetched", gpt2_folder)
    (half / "model.safetensors").unlink()
    located, loaded, absent, half_fetched = ask(
        tmp_path,
        "locate test/gpt2",
        "load test/gpt2",
        "locate test/absent",
        "locate test/half-fetched",
        HF_HUB_OFFLINE="1",
    )
    assert located["folder"] == str(snapshot)
    assert loaded["model"] == "test/gpt2"
    assert loaded["revision"] == COMMIT
    assert loaded["weights_sha256"] == sha256(gpt2_folder / "model.safetensors")
    for name, answer in (("test/absent", absent), ("test/half-fetched", half_fetched)):
        assert answer["not_found"] == (
            f"{name} is not in the hub's cache, and HF_HUB_OFFLINE forbids asking the hub;"
            " --model, or pytest's --replication-model, takes a local folder"
        )
        assert answer["seconds"] < QUICK


@pytest.fixture
def hub(gpt2_folder: Path) -> Iterator[Hub]:
    with Hub("model", "test/gpt2", gpt2_folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_the_hub_gives_a_model_once_and_is_asked_once_for_one_it_lacks(
    hub: Hub, gpt2_folder: Path, tmp_path: Path
) -> None:
    first, second, absent, absent_again, broken, gated = ask(
        tmp_path,
        "locate test/gpt2",
        "locate test/gpt2",
        "locate test/absent",
        "locate test/absent",
        "locate test/broken",
        "locate test/gated",
        HF_ENDPOINT=hub.address,
        HF_TOKEN="hf_of_the_tests",
    )
    assert sha256(Path(first["folder"]) / "model.safetensors") == sha256(
        gpt2_folder / "model.safetensors"
    )
    assert second["folder"] == first["folder"]
    weights = f"/test/gpt2/resolve/{COMMIT}/model.safetensors"
    assert hub.questions(weights) in ([weights], [weights] * 2)

    for answer in (absent, absent_again):
        assert answer["not_found"] == (
            "test/absent is not in the hub's cache, and the hub answered with status 404;"
            " --model, or pytest's --replication-model, takes a local folder"
        )
    assert "test/broken" in broken["not_found"]
    assert "the hub answered with status 500" in broken["not_found"]
    assert hub.questions("test/absent") == ["/api/models/test/absent"]
    assert hub.questions("test/broken") == ["/api/models/test/broken"]
    assert gated["not_found"].startswith("test/gated could not be fetched from the hub: ")
    assert (
        max(answer["seconds"] for answer in (second, absent, absent_again, broken, gated)) < QUICK
    )
    assert ("/api/models/test/absent", "Bearer hf_of_the_tests") in hub.asked


def test_a_hub_that_is_not_there_or_does_not_answer_costs_seconds_and_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        first, again = ask(
            tmp_path, "locate gpt2", "locate gpt2", HF_ENDPOINT=f"http://127.0.0.1:{port}"
        )
    nobody, _ = ask(tmp_path, "locate gpt2", "locate gpt2", HF_ENDPOINT=f"http://127.0.0.1:{port}")
    for answer, error in ((first, "ReadTimeout"), (again, "ReadTimeout"), (nobody, "ConnectError")):
        assert answer["not_found"] == (
            f"gpt2 is not in the hub's cache, and the hub did not answer ({error});"
            " --model, or pytest's --replication-model, takes a local folder"
        )
    assert first["seconds"] < QUICK
    assert nobody["seconds"] < QUICK
    assert again["seconds"] < 0.9
