"""Gene sets and reference tables that are shipped."""

from __future__ import annotations

from typing import Final

GENE_SETS: Final = frozenset({"panels", "gene_programs", "cell_types"})
"""The tables that hold gene sets; a user may replace them."""

SHIPPED = {
    "genes": "genes/genes.tsv.gz",
    "rates": "genes/lineage_rates.tsv.gz",
    "normal_profiles": "genes/normal_profiles.tsv.gz",
    "normal_types": "genes/normal_types.tsv",
    "background": "genes/blood_background.tsv",
    "identity_null": "genes/identity_null.tsv",
    "panels": "signatures/tumour_panels.tsv",
    "gene_programs": "signatures/gene_programs.tsv",
    "cell_types": "signatures/cell_types.tsv",
    "technical": "signatures/technical.tsv",
    "tissue_markers": "signatures/tissue_markers.tsv",
    "ontology_terms": "ontology/terms.tsv",
    "retired_genes": "ontology/retired_genes.tsv",
}
"""Every table that a step or an export may read, and its file below `resources`."""
