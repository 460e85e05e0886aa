"""Calibration: how often the controls' words are right, on models with a planted truth."""
