"""Scores: what a run of the model says of each component, one kind a module."""
