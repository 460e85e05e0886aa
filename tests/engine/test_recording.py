from __future__ import annotations

import hashlib
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from safetensors.numpy import load_file, save_file

from replication.circuits.components import ModelShape
from replication.engine.activations import MeanActivations
from replication.engine.recording import Recording, record, recorded_path, replay
from replication.engine.tensor_files import tensors_digest
from replication.experiment.pairs import Pair
from replication.experiment.spec import Experiment, TokensSpec, read_experiment
from replication.inputs.files import InputError
from tests.gpt2 import make_experiment
from tests.make import edit, provenance_of, seen_in

pytestmark = pytest.mark.numeric

SHAPE = ModelShape(n_layers=2, n_heads=3, d_model=12, d_head=4)
PAIRS = [Pair("Oh great.", "Great."), Pair("“Naïve”\n", "ok"), Pair("Wow", "I see.")]
WEIGHTS = "5e" * 32


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return read_experiment(
        make_experiment(tmp_path / "small", n_layer=2, n_head=3, n_embd=12, pairs=PAIRS)
    )


@pytest.fixture
def recording() -> Recording:
    random = np.random.default_rng(0)
    token_lengths = random.integers(3, 30, (3, 2))
    activations = MeanActivations(
        random.standard_normal((3, 2, 2, 12), np.float32),
        random.standard_normal((3, 2, 2, 3, 4), np.float32),
        token_lengths,
        MeanActivations(
            random.standard_normal((3, 2, 2, 12), np.float32),
            random.standard_normal((3, 2, 2, 3, 4), np.float32),
            token_lengths - random.integers(1, 3, (3, 2)),
        ),
    )
    provenance = provenance_of(
        SHAPE,
        model="test/gpt2",
        weights_sha256=WEIGHTS,
        tokens=TokensSpec(special="bos"),
        versions={"python": "3.11", "torch": "2.13.0+cpu"},
    )
    return Recording(activations, provenance, seen_in(activations))


@pytest.fixture
def path(experiment: Experiment, recording: Recording) -> Path:
    """A good recording."""
    record(recording, experiment.pairs, recorded_path(experiment))
    return recorded_path(experiment)


def refused(experiment: Experiment) -> str:
    """The reason for which the recording is refused, in one line that names the file."""
    with pytest.raises(InputError) as raised:
        replay(experiment)
    file, _, reason = str(raised.value).partition(": ")
    assert file == str(recorded_path(experiment))
    assert "\n" not in reason
    return reason


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    with safetensors.safe_open(path, framework="np") as file:
        return load_file(path), file.metadata()


def test_a_recording_replays_to_the_bit(
    experiment: Experiment, recording: Recording, path: Path
) -> None:
    assert path == experiment.folder / "recorded.safetensors"
    replayed = replay(experiment)
    assert replayed.provenance == recording.provenance
    for name in ("mlp_out", "z", "token_lengths", "inner.mlp_out", "inner.z"):
        there, here = (attrgetter(name)(one.activations) for one in (replayed, recording))
        assert there.dtype == here.dtype
        assert there.shape == here.shape
        assert there.tobytes() == here.tobytes()


def test_the_same_recording_replaces_itself(
    experiment: Experiment, recording: Recording, path: Path
) -> None:
    record(recording, experiment.pairs, path)
    assert replay(experiment).provenance == recording.provenance


def test_activations_that_are_not_contiguous_are_recorded_as_they_are(
    experiment: Experiment, recording: Recording, path: Path
) -> None:
    turned = np.asfortranarray(recording.activations.mlp_out)
    activations = replace(recording.activations, mlp_out=turned)
    record(replace(recording, kept=activations), experiment.pairs, path)
    assert np.array_equal(replay(experiment).activations.mlp_out, turned)


def test_a_missing_file_is_refused(experiment: Experiment) -> None:
    assert refused(experiment) == "there is no such file"


@pytest.mark.parametrize("kept", [0, 4, 8, 100, -100, -1])
def test_a_truncated_file_is_refused(experiment: Experiment, path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    assert refused(experiment).startswith("not a whole safetensors file")


def test_a_file_that_goes_on_after_its_end_is_refused(experiment: Experiment, path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")
    assert refused(experiment).startswith("not a whole safetensors file")


def test_no_changed_byte_of_the_tensors_goes_unnoticed(experiment: Experiment, path: Path) -> None:
    good = path.read_bytes()
    size = 4 * (3 * 2 * 2 * 12 + 3 * 2 * 2 * 3 * 4) + 8 * 3 * 2
    for place in range(len(good) - size, len(good), 7):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert refused(experiment) == "the recording was changed after it was made"


def test_a_recording_without_a_digest_is_refused(experiment: Experiment, path: Path) -> None:
    tensors, metadata = read(path)
    del metadata["digest"]
    save_file(tensors, path, metadata)
    assert refused(experiment) == "the recording was changed after it was made"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"model":"test/gpt2"', '"model":"test/gpt3"'),
        ('"device":"cpu"', '"device":"gpu"'),
        ('"precision":"float32"', '"precision":"float64"'),
        ('"torch":"2.13.0+cpu"', '"torch":"2.14.0+cpu"'),
        ('"platform":"none"', '"platform":"Other"'),
        (WEIGHTS, "0a" * 32),
        ('"revision":null', '"revision":"main"'),
        ('"configuration_sha256":null', f'"configuration_sha256":"{"0a" * 32}"'),
        ('{"configuration', '{ "configuration'),
    ],
)
def test_no_changed_provenance_goes_unnoticed(
    experiment: Experiment, path: Path, old: str, new: str
) -> None:
    tensors, metadata = read(path)
    assert metadata["provenance"].count(old) == 1
    changed = metadata["provenance"].replace(old, new)
    save_file(tensors, path, metadata | {"provenance": changed})
    assert refused(experiment) == "the recording was changed after it was made"


def test_no_metadata_added_go_unnoticed(experiment: Experiment, path: Path) -> None:
    tensors, metadata = read(path)
    save_file(tensors, path, metadata | {"note": "checked by many"})
    assert refused(experiment) == "the recording was changed after it was made"


def test_the_digest_is_one_of_the_canonical_metadata_and_the_tensors(path: Path) -> None:
    tensors, metadata = read(path)
    header = (
        '[{"format":"replication.mean-activations.4","pairs":'
        + json.dumps(metadata["pairs"], ensure_ascii=False)
        + ',"provenance":'
        + json.dumps(metadata["provenance"], ensure_ascii=False)
        + ',"tokens":'
        + json.dumps(metadata["tokens"], ensure_ascii=False)
        + '},{"inner.mlp_out":["float32",[3,2,2,12]],"inner.token_lengths":["int64",[3,2]],'
        '"inner.z":["float32",[3,2,2,3,4]],"mlp_out":["float32",[3,2,2,12]],'
        '"token_lengths":["int64",[3,2]],"z":["float32",[3,2,2,3,4]]}]'
    )
    content = b"".join(tensors[name].tobytes() for name in sorted(tensors))
    assert metadata["digest"] == hashlib.sha256(header.encode() + content).hexdigest()
    assert metadata["pairs"].startswith('[["Oh great.","Great."],["“Naïve”')


@pytest.mark.parametrize(
    ("whole", "inner", "reason"),
    [
        (0, 0, "token_lengths: pair 2: expected 1 to 100000000 tokens, found 0"),
        (-3, 0, "token_lengths: pair 2: expected 1 to 100000000 tokens, found -3"),
        (2**62, 2**62 - 1, f"token_lengths: pair 2: expected 1 to 100000000 tokens, found {2**62}"),
        (9, -1, "inner.token_lengths: pair 2: expected 1 to 9 tokens, found -1"),
        (9, 0, "inner.token_lengths: pair 2: expected 1 to 9 tokens, found 0"),
        (9, 10, "inner.token_lengths: pair 2: expected 1 to 9 tokens, found 10"),
        (2**62, -(2**63), f"token_lengths: pair 2: expected 1 to 100000000 tokens, found {2**62}"),
    ],
)
def test_a_length_that_no_prompt_has_is_refused_whatever_the_digest(
    experiment: Experiment, recording: Recording, whole: int, inner: int, reason: str
) -> None:
    assert recording.activations.inner is not None
    recording.activations.token_lengths[1, 1] = whole
    recording.activations.inner.token_lengths[1, 1] = inner
    record(recording, experiment.pairs, recorded_path(experiment))
    assert refused(experiment) == reason


EXPECTED = {
    "mlp_out": "float32 of shape (3, 2, 2, 12)",
    "z": "float32 of shape (3, 2, 2, 3, 4)",
    "token_lengths": "int64 of shape (3, 2)",
}


@pytest.mark.parametrize(
    ("name", "dtype", "shape"),
    [
        ("mlp_out", "float32", (3, 2, 2, 13)),
        ("z", "float32", (3, 2, 2, 4, 3)),
        ("token_lengths", "int64", (3, 1)),
        ("mlp_out", "float64", (3, 2, 2, 12)),
        ("z", "float16", (3, 2, 2, 3, 4)),
        ("token_lengths", "int32", (3, 2)),
    ],
)
def test_a_tensor_of_another_shape_or_type_is_refused(
    experiment: Experiment,
    recording: Recording,
    name: str,
    dtype: str,
    shape: tuple[int, ...],
) -> None:
    activations = replace(recording.activations, **{name: np.ones(shape, dtype)})
    record(replace(recording, kept=activations), PAIRS, recorded_path(experiment))
    assert (
        refused(experiment) == f"{name}: expected {EXPECTED[name]}, found {dtype} of shape {shape}"
    )


@pytest.mark.parametrize("name", ["mlp_out", "z", "inner.mlp_out"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused(
    experiment: Experiment, recording: Recording, name: str, value: float
) -> None:
    tensor = attrgetter(name)(recording.activations)
    tensor.flat[5] = value
    record(recording, experiment.pairs, recorded_path(experiment))
    assert refused(experiment) == f"{name}: holds NaN or infinity"


@pytest.mark.parametrize("name", ["mlp_out", "z", "token_lengths", "inner.z"])
def test_a_missing_tensor_is_refused(experiment: Experiment, path: Path, name: str) -> None:
    tensors, metadata = read(path)
    del tensors[name]
    save_file(tensors, path, metadata)
    assert refused(experiment) == f"{name}: missing"


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        (PAIRS[:2], "pairs: recorded from 2 pairs, expected 3"),
        ([*PAIRS, PAIRS[0]], "pairs: recorded from 4 pairs, expected 3"),
        (
            [*PAIRS[:2], Pair("Wow", "I see!")],
            "pairs: pair 3 was recorded as ['Wow', 'I see!'], expected ['Wow', 'I see.']",
        ),
        (
            [PAIRS[0], Pair("ok", "“Naïve”\n"), PAIRS[2]],
            r"pairs: pair 2 was recorded as ['ok', '“Naïve”\n'], expected ['“Naïve”\n', 'ok']",
        ),
    ],
)
def test_a_recording_of_other_pairs_is_refused(
    experiment: Experiment, recording: Recording, pairs: list[Pair], reason: str
) -> None:
    record(recording, pairs, recorded_path(experiment))
    assert refused(experiment) == reason


def test_a_recording_from_another_shape_of_model_is_refused(
    experiment: Experiment, recording: Recording
) -> None:
    other = SHAPE.model_copy(update={"n_layers": 4})
    from_other = recording.provenance.model_copy(update={"shape": other})
    record(replace(recording, provenance=from_other), PAIRS, recorded_path(experiment))
    assert refused(experiment) == f"recorded from {other}; expected {SHAPE}"


def pinned(experiment: Experiment, sha256: str) -> Experiment:
    model = experiment.spec.model.model_copy(update={"sha256": sha256})
    return replace(experiment, spec=experiment.spec.model_copy(update={"model": model}))


@pytest.mark.usefixtures("path")
def test_a_recording_from_other_weights_than_the_pinned_ones_is_refused(
    experiment: Experiment,
) -> None:
    reason = refused(pinned(experiment, "0a" * 32))
    assert WEIGHTS in reason
    assert f"the experiment pins {'0a' * 32}" in reason
    assert replay(pinned(experiment, WEIGHTS)).provenance.weights_sha256 == WEIGHTS


@pytest.mark.parametrize("found", ["replication.mean-activations.2", "", None])
def test_a_file_of_another_format_is_refused(
    experiment: Experiment, path: Path, found: str | None
) -> None:
    tensors, metadata = read(path)
    others = {key: value for key, value in metadata.items() if key != "format"}
    save_file(tensors, path, others if found is None else {**others, "format": found})
    assert refused(experiment) == (
        f"format: expected replication.mean-activations.4, found {found};"
        " `replication record` writes it anew"
    )


def test_a_safetensors_file_without_metadata_is_refused(experiment: Experiment, path: Path) -> None:
    save_file(load_file(path), path)
    assert refused(experiment).startswith("format: expected replication.mean-activations.4, found")


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda good: {name: value for name, value in good.items() if name != key}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda good: good | {"shape": SHAPE.model_dump() | {"d_head": "4"}}, "shape: d_head: "),
        (lambda good: good | {"shape": SHAPE.model_dump() | {"d_head": 0}}, "shape: d_head: "),
        (lambda good: good | {"device": 3}, "device: "),
        (lambda good: good | {"by": "me"}, "by: unknown key"),
        (without("weights_sha256"), "weights_sha256: missing"),
        (lambda _: [], "the whole file: "),
        (lambda _: None, "the whole file: "),
    ],
)
def test_provenance_that_is_no_provenance_is_refused(
    experiment: Experiment, path: Path, change: Callable[[dict[str, Any]], Any], reason: str
) -> None:
    tensors, metadata = read(path)
    changed = json.dumps(change(json.loads(metadata["provenance"])))
    save_file(tensors, path, metadata | {"provenance": changed})
    assert refused(experiment).startswith(reason)


@pytest.mark.parametrize("key", ["provenance", "pairs"])
@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a": 1, "a": 2}'])
def test_metadata_that_are_not_json_are_refused(
    experiment: Experiment, path: Path, key: str, text: str
) -> None:
    tensors, metadata = read(path)
    save_file(tensors, path, metadata | {key: text})
    assert refused(experiment).startswith(f"{key}: ")


@pytest.mark.parametrize("text", ["null", "3", "{}", '"Wow"'])
def test_pairs_that_are_no_list_are_refused(experiment: Experiment, path: Path, text: str) -> None:
    tensors, metadata = read(path)
    save_file(tensors, path, metadata | {"pairs": text})
    assert refused(experiment) == "pairs: recorded from no pairs, expected 3"


def test_a_tensor_too_many_is_refused(experiment: Experiment, path: Path) -> None:
    tensors, metadata = read(path)
    tensors["more"] = np.zeros(2, np.float32)
    save_file(tensors, path, metadata | {"digest": tensors_digest(tensors, metadata)})
    assert "more" in refused(experiment)


def test_a_tensor_of_a_type_that_numpy_lacks_is_refused(experiment: Experiment, path: Path) -> None:
    _, metadata = read(path)
    size = 2 * 3 * 2 * 2 * 12
    tensor = {"dtype": "BF16", "shape": [3, 2, 2, 12], "data_offsets": [0, size]}
    header = json.dumps({"__metadata__": metadata, "mlp_out": tensor}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    assert "bfloat16" in refused(experiment)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_nothing_half_written_stays_when_writing_fails_midway(
    experiment: Experiment, recording: Recording
) -> None:
    before = sorted(experiment.folder.iterdir())
    with files_no_larger_than(1000), pytest.raises(OSError, match="too large"):
        record(recording, experiment.pairs, recorded_path(experiment))
    assert sorted(experiment.folder.iterdir()) == before


def test_a_recording_stays_whole_when_writing_over_it_fails_midway(
    experiment: Experiment, recording: Recording, path: Path
) -> None:
    before, content = sorted(experiment.folder.iterdir()), path.read_bytes()
    changed = replace(recording.activations, mlp_out=recording.activations.mlp_out + 1)
    with files_no_larger_than(1000), pytest.raises(OSError, match="too large"):
        record(replace(recording, kept=changed), experiment.pairs, path)
    assert sorted(experiment.folder.iterdir()) == before
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('special = "bos"', 'special = "none"', 'recorded with special = "bos"; the experiment'),
        (
            'special = "bos"',
            "chat_template = true",
            'recorded with special = "bos"; the experiment states "tokenizer"',
        ),
        (
            'mlp_out = "centred"',
            'mlp_out = "centred"\nmlp_at = "module"',
            'recorded with mlp_at = "residual"; the experiment states "module"',
        ),
    ],
)
def test_a_recording_made_in_another_way_than_the_experiment_states_is_refused(
    experiment: Experiment, path: Path, old: str, new: str, reason: str
) -> None:
    assert path.is_file()
    edit(experiment.folder / "experiment.toml", old, new)
    assert refused(read_experiment(experiment.folder)).startswith(reason)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"first_pair": (["a"], ["b"])}, "tokens: the first pair's are not as many as its"),
        ({"added": (7, 7)}, "tokens: not as many were added to the first pair as it says"),
    ],
)
def test_tokens_that_do_not_fit_their_lengths_are_refused(
    experiment: Experiment, recording: Recording, changed: dict[str, Any], reason: str
) -> None:
    seen = recording.seen.model_copy(update=changed)
    record(replace(recording, seen=seen), experiment.pairs, recorded_path(experiment))
    assert refused(experiment).startswith(reason)
