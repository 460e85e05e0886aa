"""How a report was made: by which command, on which day, from which state of the experiments."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SECONDS = 10  # that git may take


@dataclass(frozen=True)
class Made:
    """The command, the day, and the commit of the experiments' repository, if they are in one."""

    command: str
    date: str
    commit: str | None = None

    @property
    def said(self) -> str:
        """The day and the commit, in words."""
        commit = f" from commit {self.commit} of the experiments' repository" if self.commit else ""
        return f"Made on {self.date}{commit}"


def made_by(command: str, experiments: Path) -> Made:
    """How a report is made that is made now."""
    return Made(command, datetime.now(UTC).date().isoformat(), commit_of(experiments))


def commit_of(folder: Path) -> str | None:
    """The commit that a folder's files are checked out from; None where git keeps none of them.

    Files that were changed since are said.
    """
    if not _git(folder, "ls-files", "."):
        return None
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--", ".")
    return f"{commit}, with changes since," if commit and changed else commit or None


def _git(folder: Path, *arguments: str) -> str:
    """What git prints, started so that it runs no monitor of the repository's; else nothing."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.strip()
