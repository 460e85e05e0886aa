from __future__ import annotations

from pathlib import Path

import pytest

from replication.inputs.files import InputError
from replication.inputs.settings import SECTIONS, settings_around

FILES = {
    "pytest.toml": '[pytest]\nreports = "a"\n',
    ".pytest.toml": '[pytest]\nreports = "a"\n',
    "pytest.ini": "[pytest]\nreports = a\n",
    ".pytest.ini": "[pytest]\nreports = a\n",
    "pyproject.toml": '[tool.pytest.ini_options]\nreports = "a"\n',
    "tox.ini": "[tox]\nreports = b\n[pytest]\nreports = a\n",
    "setup.cfg": "[pytest]\nreports = b\n[tool:pytest]\nreports = a\n",
}


@pytest.mark.parametrize("name", SECTIONS)
def test_each_ini_file_of_pytest_is_read_from_a_folder_below(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    (tmp_path / "sub").mkdir()
    found = settings_around(tmp_path / "sub")
    assert found is not None
    assert (found[0], found[1]["reports"]) == (tmp_path / name, "a")


def test_the_nearest_one_that_is_pytests_counts(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(FILES["pytest.ini"], encoding="utf-8")
    below = tmp_path / "sub"
    below.mkdir()
    (below / "pyproject.toml").write_text('[project]\nname = "x"\n', encoding="utf-8")
    (below / "tox.ini").write_text("[tox]\n", encoding="utf-8")
    found = settings_around(below)
    assert found is not None
    assert found[0] == tmp_path / "pytest.ini"
    (below / "pyproject.toml").write_text('[tool.pytest]\nreports = "b"\n', encoding="utf-8")
    found = settings_around(below)
    assert found is not None
    assert (found[0], dict(found[1])) == (below / "pyproject.toml", {"reports": "b"})


@pytest.mark.parametrize("name", ["tox.ini", "pyproject.toml"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[pytest\n", encoding="utf-8")
    with pytest.raises(InputError, match=name):
        settings_around(tmp_path)
