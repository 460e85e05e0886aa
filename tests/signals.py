"""Signals that the processes which tests start hear."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hearing_sigint() -> Iterator[None]:
    """A process that is started in this block hears SIGINT, even under `nohup`.

    A child ignores what its parent ignores when it starts.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
