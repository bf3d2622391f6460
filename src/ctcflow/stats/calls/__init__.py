"""Probabilities, counts and intervals of calls."""
