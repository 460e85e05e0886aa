"""`python -m replication`, and the `replication` command."""

from __future__ import annotations

import os
import signal
from types import FrameType


def main() -> None:
    """Run the command; before it is there, while its modules load, a signal ends it at once.

    Once it is done a signal changes nothing: what libraries do at the end, such as Ray, is theirs.
    """
    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in heard.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _end_at_once)
    from replication.cli import main as run

    for number, handler in heard.items():
        signal.signal(number, handler)
    try:
        run()
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_IGN)


def _end_at_once(number: int, _: FrameType | None) -> None:
    """End without what a module half loaded would make of an exception."""
    os.write(2, b"replication: interrupted; nothing was written\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
