"""Embeddings: principal components, batch correction, mapping onto references."""
