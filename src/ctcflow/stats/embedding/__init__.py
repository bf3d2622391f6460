"""Coordinates of cells: components, batches, references."""
