"""`uns["ingest"]`, and the names of features other than genes."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class OfNames(TypedDict):
    """How names of genes were resolved: numbers of genes."""

    genes_recognised: int
    prefixes_removed: int
    ids_to_symbols: int
    ids_unknown: int
    symbols_updated: int
    symbols_without_id: int


class Ingest(TypedDict):
    """What was read, and what had to be corrected."""

    format: NotRequired[str]
    notes: NotRequired[list[str]]
    """Sentences."""
    n_cells: NotRequired[int]
    n_genes_found: NotRequired[int]
    genes_of_other_species: NotRequired[int]
    n_genes: NotRequired[int]
    duplicates_summed: NotRequired[int]
    values_rounded: NotRequired[int]
    genes_recognised: NotRequired[int]
    prefixes_removed: NotRequired[int]
    ids_to_symbols: NotRequired[int]
    ids_unknown: NotRequired[int]
    symbols_updated: NotRequired[int]
    symbols_without_id: NotRequired[int]
    mt_genes: NotRequired[int]
    """Mitochondrial genes among the genes."""
    features_kept_apart: NotRequired[int]
    """Features that are no genes, or no human ones."""


class SampleIngest(TypedDict):
    """What `ingest` recorded of a sample, as one row of a table."""

    sample: str
    format: str
    cells: int
    genes: int
    genes_known: int
    mt_genes: int
    panel_genes: str
    """Panel genes in the data, of all."""
    features_kept_apart: int
    genes_summed: int
    values_rounded: int
    notes: str
    """Sentences."""


class Features(TypedDict):
    """Features of a table in obsm, in the order of its columns, as written in the file."""

    name: NotRequired[list[str]]
    id: NotRequired[list[str]]
    type: NotRequired[list[str]]
