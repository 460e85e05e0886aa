"""Arithmetic of printed figures: what their digits allow, and what then follows, or cannot be."""
