"""`uns["ingest"]`, and what features beside genes are called."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Ingest(TypedDict):
    """What was read, and what of it was not as it should be."""

    format: NotRequired[str]
    notes: NotRequired[list[str]]
    """Sentences."""
    n_cells: NotRequired[int]
    n_genes_found: NotRequired[int]
    genes_of_other_species: NotRequired[int]
    n_genes: NotRequired[int]
    duplicates_summed: NotRequired[int]
    values_rounded: NotRequired[bool]


class Features(TypedDict):
    """Features of a table in obsm, in the order of its columns; the file's own words."""

    name: NotRequired[list[str]]
    id: NotRequired[list[str]]
    type: NotRequired[list[str]]
