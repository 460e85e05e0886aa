"""Experiments: a spec and its prompt pairs."""
