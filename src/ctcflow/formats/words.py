"""Words that producers write above columns and before rows that hold no counts.

Upper and lower case, blanks, `.`, `_` and `-` are one.
"""

from __future__ import annotations

import re
from typing import Final

SYMBOLS: Final = frozenset(
    {
        *("gene", "genes", "symbol", "symbols", "gene name", "gene names", "genename"),
        *("gene symbol", "gene symbols", "genesymbol", "hgnc symbol", "external gene name"),
        *("feature name", "feature", "features"),
    }
)
"""Above symbols of genes, or above names of which nothing is known."""
IDS: Final = frozenset(
    {
        *("geneid", "gene id", "gene ids", "ensembl", "ensembl id", "ensembl gene id", "ensemblid"),
        *("accession", "feature id", "id"),
    }
)
TYPES: Final = frozenset({"feature type", "feature types"})
CELLS: Final = frozenset(
    {
        *("cell", "cells", "barcode", "barcodes", "cell id", "cell ids", "cellid", "cell name"),
        *("cell names", "cellname", "cell barcode", "cell barcodes", "cb", "bc"),
        *("bc wells", "cell index"),  # Parse, BD Rhapsody
    }
)
COUNTS: Final = frozenset({"count", "counts", "umi", "umis", "umi count", "n", "value"})
ROW_NUMBERS: Final = frozenset({"", "x", "index", "unnamed: 0", "v1"})
"""Above the first column, as R and pandas write row numbers or row names."""

OF_GENES: Final = frozenset(
    {
        *("chr", "start", "end", "strand", "length"),  # featureCounts
        *("gene length", "genelength", "effective length", "transcript length", "exon length"),
        *("width", "seqnames", "chromosome", "gene start", "gene end", "chrom"),
        *("biotype", "gene biotype", "gene type", "genetype", "description", "gene description"),
        *("entrez", "entrez id", "entrezid", "entrezgene", "hgnc id", "transcript ids"),
        *("transcript id", "transcript id(s)", "gc content"),
        *("genome", "locus", "tss id"),
        # scanpy and Seurat
        *("n cells", "n cells by counts", "mean counts", "pct dropout by counts", "total counts"),
        *("log1p mean counts", "log1p total counts", "highly variable", "highly variable rank"),
        *("means", "dispersions", "dispersions norm", "variances", "variances norm"),
        # sums over cells
        *("total", "sum", "mean", "median", "average", "max", "min", "maximum", "minimum", "sd"),
        *("std", "variance", "row sum", "row sums", "rowsum", "rowsums", "grand total"),
    }
)
"""What a column says of genes, beside those of the counts. Some are symbols of genes, which are no
names of cells."""
OF_CELLS: Final = frozenset(
    {
        # Seurat
        *("ncount rna", "nfeature rna", "ncount sct", "nfeature sct", "percent mt", "percent mito"),
        *("orig ident", "seurat clusters", "numi", "ngene", "s score", "g2m score", "phase"),
        # scanpy
        *("n genes", "n genes by counts", "log1p n genes by counts", "total counts", "n counts"),
        *("log1p total counts", "pct counts mt", "total counts mt", "percent mt", "leiden"),
        *("louvain", "doublet score", "doublet scores", "predicted doublet", "predicted doublets"),
        # Parse, BD Rhapsody
        *("gene count", "tscp count", "mread count", "sample tag", "sample name", "species"),
        # authors
        *("cluster", "clusters", "cell type", "celltype", "celltypes", "cell types", "annotation"),
        *("sample", "sample id", "batch", "patient", "patient id", "donor", "donor id", "tissue"),
        *("condition", "plate", "well", "tumor", "tumour", "malignant", "label", "labels"),
        *("umap 1", "umap 2", "tsne 1", "tsne 2", "group", "treatment", "timepoint", "sex"),
    }
)
"""What a column or row says of cells, beside those of the counts."""
_MANY_OF_CELLS: Final = (
    *("ncount ", "nfeature ", "percent ", "rna snn res", "integrated snn res", "sct snn res"),
    *("pct ", "leiden ", "umap ", "tsne ", "pca ", "pc "),
)
"""Beginnings of further words of cells."""
_CODES: Final = re.compile(r"\(.*=.*\)")
"""A key behind a name, as `malignant(1=no,2=yes,0=unresolved)` in GSE72056."""


def plain(word: str) -> str:
    """A word as the tables have it."""
    return re.sub(r"[\s._-]+", " ", word).strip().lower()


def is_of_genes(word: str) -> bool:
    """Whether a column says something of genes, and holds no counts of a cell."""
    return plain(word) in OF_GENES or _is_numbered(word)


def is_of_cells(word: str) -> bool:
    """Whether a column or row says something of cells, and holds no counts of a gene."""
    bare = plain(word)
    return (
        bare in OF_CELLS
        or bare.startswith(_MANY_OF_CELLS)
        or _CODES.search(word) is not None
        or _is_numbered(word)
    )


def _is_numbered(word: str) -> bool:
    """Whether pandas named a first column that has no name: row numbers that were written again."""
    return plain(word).startswith("unnamed: 0")
