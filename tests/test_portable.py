from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import portable
from tests.portable import SETTINGS, by_capability, differences, outcome_of

FIRST = {"S1, live": "holds", "m0": "artefact, selected", "circuit": "input m0"}


@pytest.mark.parametrize(
    ("found", "n_lacking"), [("DEFAULT", 2), ("NEON", 2), ("AVX2", 0), ("AVX512", 0)]
)
def test_a_setting_that_the_processor_lacks_is_left_out(found: str, n_lacking: int) -> None:
    possible, lacking = by_capability(found)
    assert {one.needs for one in lacking} <= {"AVX2"}
    assert (len(lacking), len(possible)) == (n_lacking, len(SETTINGS) - n_lacking)
    assert possible[0] == SETTINGS[0]


def test_what_is_left_out_is_named_and_a_failure_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(portable, "by_capability", lambda _: by_capability("DEFAULT"))
    monkeypatch.setattr(portable, "run", lambda _: FIRST)
    assert portable.main() == 0
    *skipped, last = capsys.readouterr().out.splitlines()
    assert last == "the same verdicts, words and circuits under every setting"
    assert len(skipped) == 2
    assert skipped[0] == "AVX2, 2 threads: skipped: the processor has no AVX2"
    monkeypatch.setattr(portable, "run", lambda one: FIRST if "1 thread" in one.name else None)
    assert portable.main() == 1
    monkeypatch.setattr(portable, "run", lambda one: FIRST | {"m0": one.name})
    assert portable.main() == 1


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, []),
        ({"S1, live": "refuted"}, ["S1, live: holds (as found), but refuted (old)"]),
        ({"m0": "none", "circuit": "input"}, ["m0: artefact, selected (as found), but none (old)"]),
        ({"m1": "none"}, ["m1: nothing (as found), but none (old)"]),
    ],
)
def test_the_first_difference_is_named(other: dict[str, str], expected: list[str]) -> None:
    assert differences({"as found": FIRST, "same": FIRST, "old": FIRST | other}) == expected


def test_a_setting_is_free_of_the_others_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    program = "import os; print(os.environ.get('MKL_CBWR'), os.environ['OMP_NUM_THREADS'])"
    done = portable.python({"OMP_NUM_THREADS": "2"}, "-c", program)
    assert done.stdout.split() == ["None", "2"]


def test_an_outcome_holds_verdicts_words_and_circuits(tmp_path: Path) -> None:
    def write(name: str, content: Any) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")

    judgements = [{"evidence": "live", "verdict": "holds"}]
    claim = {"id": "S1", "judgements": judgements}
    write("claims.json", {"experiments": [{"name": "mine", "claims": [claim]}]})
    components = [{"component": "m0", "word": "artefact", "selected": True}]
    verified = {"result": "run", "evidence": "live", "components": components}
    write("mine/verification.json", {"verifications": [verified]})
    write("mine/circuit.json", {"nodes": ["input", "m0"]})
    assert outcome_of(tmp_path) == {
        "mine, S1, live": "holds",
        "mine, run, live, m0": "artefact, selected",
        "mine, circuit": "input m0",
    }
