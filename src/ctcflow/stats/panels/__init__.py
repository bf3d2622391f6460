"""Genes of tumours, and what of them a cell shows."""
