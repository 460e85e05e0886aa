"""Evidence: what claims are judged on: published, recorded or live."""
