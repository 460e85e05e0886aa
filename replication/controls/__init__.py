"""Controls: whether a score means what it is taken to mean; arrays in, typed results out."""
