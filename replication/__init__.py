"""Replicate and verify published circuit-discovery results, each claim a test."""
