"""Circuits: components, scores, the selection rule, and what two circuits share; no model."""
