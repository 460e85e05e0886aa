"""Models and experiments that several test files use; tests leave them as they are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# Each worker process has a core to itself: threads of several wait for each other in busy loops.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Runs inside tests forget the modules that they load, so these are loaded before.
import scipy.special  # noqa: F401
import vl_convert  # noqa: F401

import replication.report.write
import replication.session  # noqa: F401
from replication.experiment.pairs import Pair
from tests.asking import make_asking
from tests.attending import make_attending
from tests.gpt2 import make_experiment, make_gpt2
from tests.notebook import scores_as_a_notebook

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
os.environ["HF_HUB_OFFLINE"] = "1"
# Runs inside tests hand nothing on to the step of GitHub Actions that the tests may run in, and
# print without colours, and no warnings but their own, wherever they run.
STEP = ("GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
for name in (*STEP, "FORCE_COLOR", "PY_COLORS", "PYTHONWARNINGS"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small GPT-2 with random weights."""
    return make_gpt2(tmp_path_factory.mktemp("models") / "gpt2")


@pytest.fixture(scope="session")
def gpt2_experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment on that model, alone in its own folder of experiments."""
    return make_experiment(tmp_path_factory.mktemp("experiments") / "random-gpt2")


@pytest.fixture(scope="session")
def asking_experiment(tmp_path_factory: pytest.TempPathFactory, gpt2_folder: Path) -> Path:
    """The folder of an experiment on behaviours of that model."""
    return make_asking(tmp_path_factory.mktemp("experiments") / "asking", gpt2_folder)


@pytest.fixture(scope="session")
def attending_experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment on the attention of a small random GPT-2."""
    experiment, _ = make_attending(tmp_path_factory.mktemp("attending"))
    return experiment


@pytest.fixture
def attending_copy(attending_experiment: Path, tmp_path: Path) -> Path:
    """A copy of it, to change."""
    for name in ("experiment.toml", "pairs.jsonl"):
        (tmp_path / name).write_bytes((attending_experiment / name).read_bytes())
    return tmp_path


@pytest.fixture(scope="session")
def notebook_scores() -> Callable[[Any, Sequence[Pair]], dict[str, float]]:
    """The scores as a notebook computes them."""
    return scores_as_a_notebook


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real browser; where there is none, `BROWSER_TESTS=require` fails instead of skipping."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        reason = f"no browser on the PATH ({', '.join(BROWSERS)}): pages are not tested in one"
        if os.environ.get("BROWSER_TESTS") == "require":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found)
        yield started
        started.close()
