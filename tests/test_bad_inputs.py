"""Every input is used, or refused with status 2 and one line: no traceback, no hang, no file.

Files are spoilt at random and on purpose, and put before every command that reads them and before
a run of pytest, `Session`.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from replication import cli
from replication.circuits.components import ModelShape
from replication.engine.recording import record, recorded_path
from replication.experiment.spec import read_experiment
from replication.inputs.files import InputError
from replication.inputs.messages import one_line
from replication.inputs.visible import visible
from replication.session import Options, Session
from tests.make import means, run_of
from tests.paths import ROOT
from tests.runs import Run
from tests.signals import hearing_sigint

EXAMPLES, MANY_EXAMPLES = 20, 1000  # of each file
SECONDS = 30  # what any of these inputs may take
MEMORY = 2**30  # bytes that this process may have at once, with the modules that it loads
MORE_MEMORY = 2**28  # bytes that one input may add where other tests have taken that much before
LONGEST = 300
SHAPE = ModelShape(n_layers=2, n_heads=2, d_model=8, d_head=4)

SPEC = """\
title = "An experiment"
task = "nothing"
sides = ["one", "other"]
pairs = "pairs.jsonl"
measures = "mine"
recorded = "recorded.safetensors"
claims = "claims.toml"

[model]
package = "no_such_package"
folder = "model"
shape = { n_layers = 2, n_heads = 2, d_model = 8, d_head = 4 }

[scoring]
mlp_out = "raw"

[selection]
budget = 100
mlp_threshold = 0.5
input_counts = true

[verification]
resamples = 50
seed = 1

[results.paper]
about = "a paper"
circuit = "paper.circuit.json"
scores = "paper.scores.json"
lengths = "paper.lengths.json"
"""
CLAIMS = """\
[[claim]]
id = "C1"
made_by = "the tests"
source = "nowhere"
statement = "MLP 0 scores 3.5."

[[claim.check]]
kind = "scores"
result = "paper"
scores = { "m0" = "3.5" }

[[claim]]
id = "C2"
made_by = "the tests"
source = "nowhere"
statement = "There are 2 MLPs, and the best heads are these."
expect = "refuted"
reason = "none"
check = [
  { kind = "count", mlp = 2 },
  { kind = "count", circuit = "paper", heads_in_layers = { "0-1" = 1, other = 0 } },
  { kind = "control", component = "m0" },
]
"""
PAIRS = [
    ("One prompt here.", "Another one, which is longer."),
    ("Great.", "Good, and how."),
    ("One more.", "Another one."),
    ("Fine.", "It is well, as it was."),
]
CIRCUIT = {
    "nodes": ["input", "m0", "m1", "a0.h1"],
    "metadata": {"total_components": 4, "write_budget_used": 28, "write_budget_max": 100}
    | {"budget_utilization": "28.0%", "d_model": 8, "d_head": 4, "model": "none", "more": [1]},
}
SCORES = {
    "components": {"m0": 3.5, "m1": "2.25", "a0.h0": 1, "a0.h1": "1.50"},
    "metadata": {"best_listed": {"head": 2}, "by_pair": {"1": {"m0": 3.25}}, "more": {"a": None}},
}
LENGTHS = {
    "note": "none",
    "token_lengths": [[4, 7], [2, 5], [4, 7], [2, 5]],
    "mean_norms": {"1": {"m0": {"one": "20.5", "other": "12.25"}}},
}
FILES = [
    "experiment.toml",
    "claims.toml",
    "pairs.jsonl",
    "pairs.csv",
    "paper.circuit.json",
    "paper.scores.json",
    "paper.lengths.json",
    "recorded.safetensors",
]


def make(folder: Path) -> Path:
    """An experiment with a file of every kind."""
    folder.mkdir(parents=True)
    texts = {
        "experiment.toml": SPEC,
        "claims.toml": CLAIMS,
        "pairs.jsonl": "".join(
            json.dumps({"one": one, "other": other}) + "\n" for one, other in PAIRS
        ),
        "pairs.csv": "one,other\n" + "".join(f'"{one}","{other}"\n' for one, other in PAIRS),
        "paper.circuit.json": json.dumps(CIRCUIT, indent=2),
        "paper.scores.json": json.dumps(SCORES, indent=2),
        "paper.lengths.json": json.dumps(LENGTHS, indent=2),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    experiment = read_experiment(folder)
    whole, inner = means(SHAPE, len(PAIRS)), means(SHAPE, len(PAIRS), seed=1)
    inner = replace(inner, token_lengths=whole.token_lengths - 1)
    run = run_of(replace(whole, inner=inner))
    record(run, experiment.pairs, recorded_path(experiment))
    return folder


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("whole") / "mine")


@pytest.fixture
def mine(whole: Path, tmp_path: Path) -> Path:
    """The experiment, to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "mine"))


class TookTooLong(BaseException):
    """No error that anything catches."""


@contextmanager
def in_time() -> Iterator[None]:
    def stop(_: int, __: FrameType | None) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def in_memory() -> Iterator[None]:
    """Fail where the most memory that this process ever had at once comes to too much in here."""
    before = most_memory()
    yield
    assert most_memory() <= max(before + MORE_MEMORY, MEMORY)


def most_memory() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Done(NamedTuple):
    status: int
    out: str
    error: str


def ask(*arguments: object) -> Done:
    """What a command gives, run in this process; whatever it raises but its end is raised."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    before = sys.argv, sys.stdout, sys.stderr, signal.getsignal(signal.SIGTERM)
    sys.argv, sys.stdout, sys.stderr = ["replication", *map(str, arguments)], *streams
    status: object = None
    try:
        with in_time(), in_memory():
            cli.main()
    except SystemExit as end:
        status = end.code
    finally:
        sys.argv, sys.stdout, sys.stderr, handler = before
        signal.signal(signal.SIGTERM, handler)
    texts = []
    for stream in streams:
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return Done(int(str(status or 0)), *texts)


def tree(folder: Path) -> list[str]:
    return sorted(
        f"{path}: {path.stat().st_mtime_ns if path.is_file() else ''}" for path in folder.rglob("*")
    )


def assert_clear(done: Done) -> None:
    """Used, or refused in one line; `check` prints its lines, one for each problem."""
    assert "Traceback" not in done.out + done.error
    assert done.status in (0, 2)
    if done.status == 0:
        assert done.error == ""
    elif done.error:
        assert re.fullmatch(r"replication: [^\n]+\n", done.error)
        assert len(done.error) <= LONGEST + 1
        assert visible(done.error[:-1]) == done.error[:-1]
        assert done.out == ""
    else:
        assert done.out
        assert max(map(len, done.out.splitlines())) <= LONGEST
        assert visible(done.out.replace("\n", "")) == done.out.replace("\n", "")
    assert not re.search(r"trust_remote_code|_CircuitFile|instance of|pydantic", done.error)


def refused(*arguments: object) -> str:
    """The line with which a command refuses its input."""
    done = ask(*arguments)
    assert_clear(done)
    assert done.status == 2
    return done.error or done.out


def judged(experiments: Path) -> str | None:
    """Judge everything as pytest does; the line with which it refuses to start, if it does."""
    with in_time(), in_memory():
        try:
            session = Session(Options(experiments, experiments))
        except (InputError, OSError) as error:
            return one_line(error)
        for case in session.cases():
            session.judge(case)
    return None


def try_everything(folder: Path) -> None:
    """Put the experiment before everything that reads it."""
    outside = folder.parent
    before = tree(outside)
    assert_clear(ask("check", folder))
    assert_clear(ask("compare", folder / "paper.circuit.json", folder / "paper.circuit.json"))
    rule = ["--budget=40", "--mlp-threshold=0.5", "--d-model=8", "--d-head=4"]
    assert_clear(ask("select", folder / "paper.scores.json", *rule))
    nowhere = ["--model", outside / "nowhere"]
    refused("record", folder, *nowhere)
    for pairs in ("pairs.jsonl", "pairs.csv"):
        out = ["--out", outside / "out", "--pairs", folder / pairs]
        refused("run", folder, *out, *nowhere)
    judged(folder)
    assert tree(outside) == before


def test_the_experiment_is_used_as_it_stands(mine: Path) -> None:
    done = ask("check", mine)
    assert done.status == 0, done
    assert judged(mine) is None
    try_everything(mine)


# What stands in a value's stead: in JSON, in TOML, or in both.
VALUES = [
    "1e400", "-1e400", "9" * 400, "9" * 5000, "0x" + "f" * 5000, str(2**63), str(-(2**63) - 1),
    "1000000000", "100000000", "0", "-1", "1.5", "1e308", "1e-320", "nan", "inf", "NaN", "null",
    "true", "[]", "{}", '""', '" "', '"\\u0000"', '"\\ud800"', '"\\u001b[31m"', '"a\\nb"',
    '"' + "x" * 300 + '"', '"' + "1" * 300 + '"', '"' + "x" * 100_000 + '"', '"~nouser/x"',
    '".."', '"/dev/zero"', '"/dev/null"', '"a/b/c"', '"é→"', '"m0"', '"m999999"', '"input"',
    '"1"', '"paper"', "[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900, "[" * 10_000,
    "{ a = 1 }", "[1, [2, {}]]", "1979-05-27", "'",
]  # fmt: skip
JUNK = ["\0", "\x1b[31m", "\u202e", "\u2028", "\r", "\n", '"', "[", "}", "é", "x" * 100_000]
TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null|\{[^{}]*\}|\[[^\[\]]*\]')


@st.composite
def spoilings(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A change of a file: of a value, a line, a few bytes, or its end."""
    at = draw(st.floats(0, 1, exclude_max=True))
    kind = draw(st.sampled_from(["value"] * 4 + ["delete", "double", "insert", "flip", "cut"]))
    value = draw(st.sampled_from(VALUES)).encode()
    junk = draw(st.sampled_from([text.encode() for text in JUNK] + [b"\xff", b"\xed\xa0\x80"]))
    bit = draw(st.integers(0, 7))

    def spoil(content: bytes) -> bytes:
        place = int(at * len(content))
        lines = content.splitlines(keepends=True)
        line = int(at * len(lines))
        match kind:
            case "value":
                found = list(TOKEN.finditer(content))
                token = found[int(at * len(found))]
                return content[: token.start()] + value + content[token.end() :]
            case "delete":
                return b"".join(lines[:line] + lines[line + 1 :])
            case "double":
                return b"".join(lines[: line + 1] + lines[line:])
            case "insert":
                return content[:place] + junk + content[place:]
            case "flip":
                changed = bytes([content[place] ^ 1 << bit])
                return content[:place] + changed + content[place + 1 :]
        return content[:place]

    return spoil


def try_spoilt(whole: Path, name: str, spoil: Callable[[bytes], bytes]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(whole, Path(place) / "mine"))
        content = (folder / name).read_bytes()
        if name == "recorded.safetensors":  # its header, and the header's length
            length = 8 + int.from_bytes(content[:8], "little")
            header = spoil(content[8:length])
            (folder / name).write_bytes(
                len(header).to_bytes(8, "little") + header + content[length:]
            )
        else:
            (folder / name).write_bytes(spoil(content))
        if name == "pairs.csv":
            spec = folder / "experiment.toml"
            text = spec.read_text(encoding="utf-8").replace("pairs.jsonl", name)
            spec.write_text(text, encoding="utf-8")
        try_everything(folder)


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.parametrize("name", FILES)
@given(spoil=spoilings())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=QUIET)
def test_a_spoilt_file_is_used_or_refused(
    whole: Path, name: str, spoil: Callable[[bytes], bytes]
) -> None:
    try_spoilt(whole, name, spoil)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@given(spoil=spoilings())
@settings(max_examples=MANY_EXAMPLES, deadline=None, suppress_health_check=QUIET)
def test_a_file_spoilt_in_many_ways_is_used_or_refused(
    whole: Path, name: str, spoil: Callable[[bytes], bytes]
) -> None:
    try_spoilt(whole, name, spoil)


def link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def endless_line(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(100_000_000)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (link_to_nothing, "a link that leads nowhere"),
        (link_to_itself, "symbolic links"),
        (pipe, "a pipe or a device, where a file is to be"),
        (device, "a pipe or a device, where a file is to be"),
        (folder, "a folder, where a file is to be"),
        (endless_line, "cannot be read: |not a whole safetensors file"),
    ],
)
def test_what_is_no_file_is_refused_as_what_it_is(
    mine: Path, name: str, spoil: Callable[[Path], None], reason: str
) -> None:
    if name == "pairs.csv":
        spec = mine / "experiment.toml"
        text = spec.read_text(encoding="utf-8").replace("pairs.jsonl", name)
        spec.write_text(text, encoding="utf-8")
    spoil(mine / name)
    line = refused("check", mine)
    assert re.search(f"{name}.*({reason})", line)
    assert "no such file" not in line
    if name != "recorded.safetensors":
        assert re.search(reason, judged(mine) or "")


def test_a_recording_that_is_not_there_is_missing(mine: Path) -> None:
    (mine / "recorded.safetensors").unlink()
    assert "recorded evidence: missing" in ask("check", mine).out


def test_a_recording_that_is_a_loop_fails_its_claims(mine: Path) -> None:
    link_to_itself(mine / "recorded.safetensors")
    session = Session(Options(mine, mine))
    found = [session.judge(case) for case in session.cases() if case.evidence == "recorded"]
    assert found
    assert all("symbolic links" in (one.failure or "") for one in found)


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("experiment.toml", "n_layers = 2", "n_layers = 1000000000", "less than or equal to 1000"),
        ("experiment.toml", "resamples = 50", "resamples = 100000000", "or equal to 100000"),
        ("experiment.toml", "resamples = 50", f"resamples = {'9' * 400}", "too large a number"),
        ("experiment.toml", "threshold = 0.5", "threshold = 1e400", "1e400 is too large a number"),
        ("experiment.toml", '"a paper"', "[" * 900 + "]" * 900, "nested too deeply"),
        ("experiment.toml", "paper.scores.json", "\\u0000", "embedded null"),
        ("experiment.toml", "paper.scores.json", "x" * 300, "name too long"),
        ("experiment.toml", 'measures = "mine"', f'measures = "{"x" * 300}"', "at most 100"),
        ("experiment.toml", "[results.paper]", "[results]\nx = 1\n[results.paper]", "an object"),
        ("claims.toml", '"scores"', f'"{"x" * 500}"', "x..."),
        ("paper.circuit.json", '"more": [\n      1', '"more": [\n      "\\ud800"', "surrogate"),
        ("paper.circuit.json", '"a0.h1"', f'"{"x" * 5000}"', "is no component"),
        ("paper.scores.json", "3.5", "1e60", "1e-50 to 1e+50"),
        ("paper.scores.json", "3.5", "9" * 400, "too large a number"),
        ("paper.scores.json", "null", "[" * 900 + "]" * 900, "nested too deeply"),
        ("pairs.jsonl", '"Great."', "[1, 2]", "one: expected a text, found [1, 2]"),
        ("pairs.jsonl", '"Great."', json.dumps([["x" * 1000]]), "one: expected a text, found [['x"),
        ("pairs.jsonl", '"Great."', "null", "one: expected a text, found None"),
        ("pairs.jsonl", '"Great."', '"\\ud800"', "one: half a surrogate pair"),
        ("pairs.jsonl", '"one": "Great."', json.dumps("x" * 900) + ": 1", "found 'xxx"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_named(
    mine: Path, name: str, old: str, new: str, reason: str
) -> None:
    path = mine / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    line = refused("check", mine)
    assert reason in line
    assert judged(mine) is not None
    refused("run", mine, "--out", mine.parent / "out")
    assert not (mine.parent / "out").exists()


def test_a_circuit_of_many_nodes_is_read_in_time(mine: Path) -> None:
    path = mine / "many.json"
    nodes = [f"a{layer}.h{head}" for layer in range(300) for head in range(100)]
    path.write_text(json.dumps({"nodes": nodes, "metadata": {}}), encoding="utf-8")
    started = time.monotonic()
    assert ask("compare", path, path).status == 0
    path.write_text(json.dumps({"nodes": nodes * 2, "metadata": {}}), encoding="utf-8")
    assert "and 29" in refused("compare", path, path)
    assert time.monotonic() - started < SECONDS / 2


def test_a_recording_of_an_unknown_type_is_refused(mine: Path) -> None:
    path = mine / "recorded.safetensors"
    content = path.read_bytes()
    length = 8 + int.from_bytes(content[:8], "little")
    for dtype in (b'"XYZ"', b'"F8_E4M3"', b'"BF16"'):
        header = content[8:length].replace(b'"F32"', dtype)
        path.write_bytes(len(header).to_bytes(8, "little") + header + content[length:])
        assert "recorded.safetensors: " in refused("check", mine)


def test_a_linked_experiment_that_leads_nowhere_is_named(mine: Path) -> None:
    link_to_nothing(mine / "experiment.toml")
    assert "leads nowhere" in (judged(mine.parent) or "")


def test_a_folder_whose_name_is_no_text_is_refused(mine: Path) -> None:
    other = mine.rename(mine.parent / os.fsdecode(b"\xff"))
    assert "no text" in refused("check", other)
    assert "no text" in (judged(other) or "")


def test_a_check_runs_nothing_of_a_package_that_a_spec_names(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mine.parent / "boobytrap" / "inner").mkdir(parents=True)
    for place in ("boobytrap", "boobytrap/inner"):
        (mine.parent / place / "__init__.py").write_text("raise SystemExit(7)", encoding="utf-8")
    monkeypatch.syspath_prepend(mine.parent)
    spec = mine / "experiment.toml"
    for name, word, status in [
        ("boobytrap.inner", "boobytrap/inner/model: no weights in it", 2),
        ("boobytrap", "boobytrap/model: no weights in it", 2),
        ("boobytrap.x", "live evidence: missing: the package boobytrap.x is not", 0),
    ]:
        text = re.sub('package = ".*"', f'package = "{name}"', spec.read_text(encoding="utf-8"))
        spec.write_text(text, encoding="utf-8")
        done = ask("check", mine)
        assert (done.status, word in done.out) == (status, True)
    assert "boobytrap" not in sys.modules


STRANGE = [
    "",
    " ",
    "x" * 300,
    "~nouser/x",
    "a\nb",
    "\x1b[31m",
    os.fsdecode(b"\xff"),
    "é→",
    "/dev/zero",
]
NUMBERS = ["9" * 400, "9" * 5000, "1e400", "-1", "nan", "", "x" * 300, "0x10"]


@pytest.mark.parametrize("value", STRANGE)
def test_a_strange_argument_is_used_or_refused(
    mine: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mine.parent)
    before = tree(mine.parent)
    circuit, rule = mine / "paper.circuit.json", ["--budget=40", "--mlp-threshold=0.5"]
    for arguments in (
        ["check", value],
        ["schema", value],
        ["compare", circuit, value],
        ["compare", value, circuit],
        ["select", value, *rule, "--d-model=8", "--d-head=4"],
        ["run", value, "--out", "out"],
        ["run", mine, "--out", "out", "--pairs", value or "no"],
        ["run", mine, "--out", "out", "--model", value or "no"],
        ["run", mine, "--out", "out", "--device", value],
        ["run", mine, "--out", "out", "--precision", value],
        ["run", mine, "--out", value],
        ["record", mine, "--model", value or "no"],
        ["record", mine, "--device", value],
        [value],
        ["check", mine, f"--x{value}"],
    ):
        refused(*arguments)
    assert tree(mine.parent) == before
    if value != "~nouser/x":  # a folder, and an experiment's name
        refused("new", mine / value)
    live = Options(mine, mine, live="on", model=value or "no")
    for options in (live, Options(mine, mine, names=[value]), Options(mine / value / "no", mine)):
        with pytest.raises((InputError, OSError)) as raised:
            Session(options)
        assert len(str(raised.value)) <= LONGEST or isinstance(raised.value, OSError)


TEXTS = st.one_of(
    st.sampled_from([*STRANGE, *NUMBERS, *JUNK[1:], "..", "/", "-", "--", "=", "mine", "gpt2"]),
    st.text(st.characters(exclude_characters="\0"), max_size=40),
    st.binary(max_size=40).map(lambda content: os.fsdecode(content.replace(b"\0", b""))),
)
# Braces stand for any text; nothing here writes, as there is no such model.
COMMANDS = [
    "{} EXPERIMENT",
    "check EXPERIMENT --{}",
    "check nowhere/{}",
    "schema x{}",
    "compare CIRCUIT nowhere/{}",
    "compare nowhere/{} CIRCUIT --json",
    "compare CIRCUIT CIRCUIT x{}",
    "select nowhere/{} --budget=40 --mlp-threshold=0.5 --d-model=8 --d-head=4",
    "select SCORES --budget=x{} --mlp-threshold=0.5 --d-model=8 --d-head=4",
    "select SCORES --budget=40 --mlp-threshold=x{} --d-model=8 --d-head=4",
    "select SCORES --budget=40 --mlp-threshold=0.5 --d-model=x{} --d-head=4",
    "select SCORES --budget=40 --mlp-threshold=0.5 --d-model=8 --d-head=x{}",
    "run nowhere/{} --out=out",
    "run EXPERIMENT --out={}",
    "run EXPERIMENT --out=out --pairs={}",
    "run EXPERIMENT --out=out --model={}",
    "run EXPERIMENT --out=out --device={}",
    "run EXPERIMENT --out=out --precision={}",
    "record EXPERIMENT --model={}",
    "record EXPERIMENT --device={}",
    "new CIRCUIT/{}",
]


def arguments_of(command: str, folder: Path, text: str) -> list[str]:
    places = {
        "EXPERIMENT": folder,
        "CIRCUIT": folder / "paper.circuit.json",
        "SCORES": folder / "paper.scores.json",
    }
    for word, path in places.items():
        command = command.replace(word, str(path))
    return [word.replace("{}", text) for word in command.split()]


def try_text(whole: Path, command: str, text: str) -> None:
    before = tree(whole.parent)
    assert_clear(ask(*arguments_of(command, whole, text)))
    assert tree(whole.parent) == before


@pytest.mark.parametrize("command", COMMANDS)
@given(word=TEXTS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=QUIET)
def test_any_text_as_an_argument_is_used_or_refused(whole: Path, command: str, word: str) -> None:
    try_text(whole, command, word)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
@given(word=TEXTS)
@settings(max_examples=MANY_EXAMPLES, deadline=None, suppress_health_check=QUIET)
def test_any_of_many_texts_as_an_argument_is_used_or_refused(
    whole: Path, command: str, word: str
) -> None:
    try_text(whole, command, word)


SESSIONS: list[Callable[[Path, str], Options]] = [
    lambda mine, text: Options(mine, mine, names=[text]),
    lambda mine, text: Options(mine / text, mine),
    lambda mine, text: Options(mine, mine, live="on", model=text),
]


def try_session(whole: Path, options: Callable[[Path, str], Options], word: str) -> None:
    with in_time(), in_memory():
        try:
            Session(options(whole, word))
        except (InputError, OSError) as error:
            line = one_line(f"replication: {error}")
            assert visible(line) == line
            assert len(line) <= LONGEST


@pytest.mark.slow
@pytest.mark.parametrize("options", SESSIONS, ids=["experiment", "experiments", "model"])
@given(word=TEXTS)
@settings(max_examples=MANY_EXAMPLES, deadline=None, suppress_health_check=QUIET)
def test_any_of_many_texts_as_an_option_of_pytest_is_used_or_refused(
    whole: Path, options: Callable[[Path, str], Options], word: str
) -> None:
    try_session(whole, options, word)


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("option", ["budget", "mlp-threshold", "d-model", "d-head"])
def test_a_number_that_is_none_is_refused(mine: Path, option: str, value: str) -> None:
    rule = {"budget": "40", "mlp-threshold": "0.5", "d-model": "8", "d-head": "4", option: value}
    options = [f"--{name}={number}" for name, number in rule.items()]
    assert f"--{option}" in refused("select", mine / "paper.scores.json", *options)


def no_layers(model: Path) -> None:
    change_config(model, n_layer=0)


def no_heads(model: Path) -> None:
    change_config(model, n_head=0)


def a_billion_layers(model: Path) -> None:
    change_config(model, n_layer=10**9)


def layers_in_words(model: Path) -> None:
    change_config(model, n_layer="three")


def foreign_code(model: Path) -> None:
    change_config(model, model_type="mine", auto_map={"AutoConfig": "a.B"}, architectures=["B"])


def list_for_configuration(model: Path) -> None:
    (model / "config.json").write_text("[1]", encoding="utf-8")


def change_config(model: Path, **changed: object) -> None:
    path = model / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | changed), encoding="utf-8")


def broken_second_file(model: Path) -> None:
    (model / "model-00002-of-00002.safetensors").write_bytes(b"no weights")


def cut_second_file(model: Path) -> None:
    whole = (model / "model.safetensors").read_bytes()
    (model / "model-00002-of-00002.safetensors").write_bytes(whole[: len(whole) // 2])


def pipe_for_weights(model: Path) -> None:
    pipe(model / "model.safetensors")


def lost_weights(model: Path) -> None:
    link_to_nothing(model / "model.safetensors")


def a_billion_words(model: Path) -> None:
    change_config(model, vocab_size=10**9)


def a_billion_positions(model: Path) -> None:
    change_config(model, n_positions=10**9)


def no_words(model: Path) -> None:
    path = model / "tokenizer.json"
    own = json.loads(path.read_text(encoding="utf-8"))
    own["model"] |= {"vocab": {}, "merges": []}
    path.write_text(json.dumps(own), encoding="utf-8")


def pickled_nonsense(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n." + bytes(10_000))


def nonsense_for_words(model: Path) -> None:
    (model / "tokenizer.json").write_text('{"model": {"type": "BPE"}}', encoding="utf-8")


def other_type_of_weights(model: Path) -> None:
    import numpy as np

    save_file({"h.0.x": np.zeros(2, dtype=np.int8)}, model / "model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (no_layers, "config.json: n_layers: Input should be greater than 0, found 0"),
        (no_heads, "config.json: n_heads: Input should be greater than 0, found 0"),
        (a_billion_layers, "config.json: n_layers: Input should be less than or equal to 1000"),
        (layers_in_words, "config.json: n_layers: Input should be a valid integer, found 'three'"),
        (list_for_configuration, "config.json: expected an object, found [1]"),
        (foreign_code, "transformers cannot read it: "),
        (broken_second_file, "model-00002-of-00002.safetensors: not a whole safetensors file"),
        (cut_second_file, "model-00002-of-00002.safetensors: not a whole safetensors file"),
        (pipe_for_weights, "model.safetensors: cannot be read: a pipe or a device"),
        (lost_weights, "model.safetensors: cannot be read: a link that leads nowhere"),
        (a_billion_words, "its sizes ask for 32,000,040,224 weights, and the weight files hold"),
        (
            a_billion_positions,
            "its sizes ask for 32,000,050,816 weights, and the weight files hold",
        ),
        (pickled_nonsense, "cannot be loaded as gpt2: "),
        (nonsense_for_words, "its tokenizer cannot be loaded: "),
        (no_words, "has no tokens"),
        (other_type_of_weights, "its sizes ask for 52,864 weights, and the weight files hold"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused(
    gpt2_experiment: Path,
    gpt2_folder: Path,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    reason: str,
) -> None:
    model = Path(shutil.copytree(gpt2_folder, tmp_path / "gpt2"))
    spoil(model)
    line = refused("run", gpt2_experiment, "--model", model, "--out", tmp_path / "out")
    assert reason in line
    assert not re.search("trust_remote_code|weights_only", line)
    assert not (tmp_path / "out").exists()


HOSTILE = "a\x1b[31m\u202e\n##[group]b"
ENVIRONMENT = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def start(*arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT | environment,
    )


def test_a_locale_that_cannot_encode_what_is_printed_changes_nothing(mine: Path) -> None:
    claims = mine / "claims.toml"
    text = claims.read_text(encoding="utf-8").replace("the tests", "the tëstș →")
    claims.write_text(text, encoding="utf-8")
    circuit = mine / "paper.circuit.json"
    # As bytes: this locale may not be able to encode them either.
    naive, spec = (os.fsdecode(name.encode()) for name in ("naïve→", "spëc→"))
    other = Path(shutil.copy(circuit, mine / f"{naive}.json"))
    out = mine.parent / "out"
    run = ["-m", "pytest", "--pyargs", "replication", "--replication-experiments", mine]
    for command, status in (
        (["-m", "replication", "compare", circuit, other], 0),
        (["-m", "replication", "check", mine], 0),
        (["-m", "replication", "check", mine / naive], 2),
        (["-m", "replication", "schema", spec], 2),
        (["-m", "replication", "schema", "claims"], 0),
        ([*run, "--replication-reports", out], 0),
        ([*run, "--replication-experiment", spec, "--replication-reports", out], 2),
    ):
        process = start(*command, **ASCII)
        printed, error = process.communicate(timeout=2 * SECONDS)
        assert process.returncode == status, (command, printed, error)
        assert b"Traceback" not in printed + error
        assert b"UnicodeEncodeError" not in printed + error
        if status == 2 and error:
            assert error.count(b"\n") == 1
            assert len(error) <= LONGEST + 1


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
@pytest.mark.parametrize("module", ["numpy", "pydantic", "typer"])
def test_a_signal_while_modules_load_ends_a_command_with_one_line(
    mine: Path, tmp_path: Path, module: str, number: signal.Signals, status: int
) -> None:
    stop = f"import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(20)"
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / f"{module}.py").write_text(stop, encoding="utf-8")
    path = f"{tmp_path / 'early'}{os.pathsep}{ROOT}"
    with hearing_sigint():
        process = start("-m", "replication", "check", mine, PYTHONPATH=path)
    printed, error = process.communicate(timeout=SECONDS)
    assert (process.returncode, printed) == (status, b"")
    assert re.fullmatch(rb"replication: interrupted; [^\n]+\n", error)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_when_a_command_is_done_changes_nothing(number: signal.Signals) -> None:
    """Ray takes a while to end; a process that is told to end then was torn out of it."""
    late = f"atexit.register(os.kill, os.getpid(), {int(number)}); sys.argv[1:] = ['--version']"
    code = f"import atexit, os, sys; {late}; from replication.__main__ import main; main()"
    with hearing_sigint():
        process = start("-c", code)
    printed, error = process.communicate(timeout=SECONDS)
    assert (process.returncode, error) == (0, b"")
    assert printed


def test_a_command_that_is_told_to_end_leaves_but_its_parts_behind(
    gpt2_experiment: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    pairs, out = tmp_path / "mine.jsonl", tmp_path / "out"
    lines = [f'{{"first": "Perfect, it crashed.", "second": "{n}"}}\n' for n in range(16_000)]
    pairs.write_text("".join(lines), encoding="utf-8")
    arguments = ["run", gpt2_experiment, "--pairs", pairs, "--model", gpt2_folder, "--out", out]
    process = start("-m", "replication", *arguments)
    with process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not any(
            path.stat().st_size for path in tmp_path.glob(".out.*/pair_scores.csv")
        ):
            time.sleep(0.1)
        process.terminate()
        printed, error = process.communicate(timeout=SECONDS)
    assert error.startswith(b"replication: interrupted; ")
    assert (process.returncode, printed) == (143, b"")
    assert sorted(tmp_path.iterdir()) == [pairs, out]
    assert [path.name for path in out.iterdir()] == ["parts"]


@pytest.mark.parametrize("plugin", ["junitxml", "benchmark", "cacheprovider", "terminal", "xdist"])
def test_pytest_runs_without_its_other_plugins(mine: Path, plugin: str, tmp_path: Path) -> None:
    folders = {"experiments": mine, "reports": tmp_path / "reports"}
    options = [f"--replication-{name}={folder}" for name, folder in folders.items()]
    arguments = ["pytest", "--pyargs", "replication", "-p", f"no:{plugin}", *options]
    status, printed = Run(arguments, tmp_path).end()
    assert status == 0
    assert "INTERNALERROR" not in printed
    assert "Traceback" not in printed
    assert (tmp_path / "reports" / "claims.json").is_file()


@pytest.mark.parametrize(
    "options",
    [
        ["--replication-device", "tpu"],
        ["--replication-device", "x" * 900],
        ["--replication-live", "--replication-model", "~nouser/x"],
        ["--replication-experiment", "x" * 900],
        ["--replication-experiments", "x" * 300],
        ["--replication-experiments", "loop"],
        ["--replication-reports", "loop/x", "--replication-experiments", "/dev/null"],
        ["--replication-live=nonsense"],
        ["--replication-live="],
        ["--replication-live", "--replication-live=" + "x" * 900],
        [f"--replication-live={HOSTILE}"],
        ["--replication-device", HOSTILE],
    ],
)
def test_pytest_refuses_an_option_with_one_line(
    mine: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mine.parent)
    Path("loop").symlink_to("loop")
    arguments = ["--pyargs", "replication", "--replication-experiments", str(mine), *options]
    assert_is_refusal(*Run(["pytest", *arguments], mine.parent).end())


def assert_is_refusal(status: int | None, printed: str) -> str:
    """The line with which a run of pytest ended before it had begun."""
    assert status == 2, printed
    line = printed.removesuffix("\n")
    assert line.startswith("Exit: replication: ")
    assert line.isprintable()
    assert "##[" not in line
    assert len(line) <= LONGEST + len("Exit: ")
    return line


def test_what_hides_the_package_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (HOSTILE, "x" * 200):
        own = tmp_path / name / "replication"
        own.mkdir(parents=True)
        (own / "__init__.py").touch()
        monkeypatch.chdir(own.parent)
        process = start("-m", "pytest", "--replication-device", "cpu")
        printed, error = process.communicate(timeout=2 * SECONDS)
        line = assert_is_refusal(process.returncode, (error or printed).decode())
        assert " hides the package of " in line


def test_a_loop_among_pytests_arguments_is_left_to_pytest(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    process = start("-m", "pytest", tmp_path / "loop")
    printed, error = process.communicate(timeout=2 * SECONDS)
    assert b"INTERNALERROR" not in printed + error
    assert b"Traceback" not in printed + error
