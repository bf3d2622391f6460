"""Neighbours, clusters, their names and markers."""
