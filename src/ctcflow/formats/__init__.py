"""Readers of count files, one module per family; `detect` imports only the standard library."""
