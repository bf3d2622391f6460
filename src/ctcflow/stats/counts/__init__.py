"""Counts and genes of one matrix."""
