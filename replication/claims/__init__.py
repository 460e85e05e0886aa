"""Claims: the kinds of check, and the verdict on a claim."""
