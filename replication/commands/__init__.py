"""Commands: what `replication` does, with what it writes."""
