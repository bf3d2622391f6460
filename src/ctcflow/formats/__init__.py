"""Readers of count files, one module per family; `detect` imports the standard library only."""
