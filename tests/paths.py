"""Where the project's files are that tests read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures"
PUBLISHED = FIXTURES / "sarcasm-gpt2" / "published"
MINILM = FIXTURES / "sarcasm-minilm"
