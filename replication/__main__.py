"""`python -m replication`: the `replication` command."""

from __future__ import annotations

from replication.cli import main

if __name__ == "__main__":
    main()
