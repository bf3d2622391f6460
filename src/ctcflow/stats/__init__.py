"""Kernels: arrays in, arrays out; no AnnData, no pydantic, no logging."""
