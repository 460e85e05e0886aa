"""The benchmarks that this repository's own run includes; no wheel carries them."""
