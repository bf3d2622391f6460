"""Nearest neighbours, clusters, cell types and marker genes."""
