"""Fixtures that `tests/` and `replication/` share."""
