"""`uns["ingest"]`, and the names of features other than genes."""

from __future__ import annotations

from typing import NotRequired, TypedDict


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
    values_rounded: NotRequired[bool]


class Features(TypedDict):
    """Features of a table in obsm, in the order of its columns, as written in the file."""

    name: NotRequired[list[str]]
    id: NotRequired[list[str]]
    type: NotRequired[list[str]]
