"""Inputs: reading and writing what a person wrote, with errors that name file and line."""
