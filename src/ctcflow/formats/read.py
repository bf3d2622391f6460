"""Read a count matrix of any format, as found."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ctcflow.errors import CtcflowError
from ctcflow.formats.detect import Source, locate
from ctcflow.formats.known import FORMATS
from ctcflow.formats.known_genes import KnownGenes
from ctcflow.formats.raw import Parts, RawCounts, assemble


def read_counts(
    path: Path,
    *,
    format: str | None,
    genes: pd.DataFrame | None = None,
    genes_only: bool = False,
    matrix: str | None = None,
) -> RawCounts:
    """Read a count matrix, without renaming, rounding or dropping anything.

    Parameters
    ----------
    path
        A file or folder of one of `known.FORMATS`.
    format
        One of `known.FORMATS`, or None to detect it.
    genes
        Table with `gene_id` and `symbol`. It is used to tell genes from cells in a `table`, and to
        recognise genes among features without a type. Without it only Ensembl ids are recognised.
    genes_only
        Drop modalities other than RNA.
    matrix
        Which matrix of an .h5ad or .h5mu holds the counts: `X`, `raw.X` or the name of a layer.
        None to look at all that may.

    Returns
    -------
    RawCounts
        `adata`: X (cells x genes, CSR, values as found), obs_names, var_names, var `gene_id`
        ("" where the file has none), uns `ingest` (JSON: format, notes); surface proteins and
        hashtags in obsm `protein` and `hashtag` (DataFrames of whole numbers), other features
        that are not genes in obsm `other_features` (CSR), with their names in uns
        `protein_features`, `hashtag_features` and `other_features` (JSON).
        `format`, `notes`: also on their own.

    Raises
    ------
    CtcflowError
        A file is missing, damaged, ambiguous, or its matrix and names do not fit together.
    """
    source = locate(path, format=format)
    named = source.files[0] if len(source.files) == 1 else path
    known = KnownGenes.of(genes).names
    if matrix is None:
        parts = FORMATS[source.format].read(source.files, genes)
    else:
        parts = _chosen(source, matrix)
    return assemble(named, parts, source.format, known_genes=known, genes_only=genes_only)


def _chosen(source: Source, matrix: str) -> Parts:
    if source.format not in ("h5ad", "h5mu"):
        raise CtcflowError(
            f"`{source.files[0]}` is of format `{source.format}` and has one matrix: leave `matrix`"
            " empty"
        )
    from ctcflow.formats.hdf5 import read_hdf5

    return read_hdf5(source.files[0], source.format, matrix=matrix)
