"""Preprocessing in memory: the workflow's steps for one sample, up to normalised counts.

Each function returns a new object and leaves its argument unchanged. Slots and values are the same
as those that the workflow writes (`docs/slots.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ctcflow import in_memory, keys
from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.in_memory import Tables
from ctcflow.settings.keyword_params import takes
from ctcflow.settings.sample_params import IngestParams, NormalizeParams, QCParams
from ctcflow.settings.sheet_columns import add_row
from ctcflow.steps import ingest as ingest_step
from ctcflow.steps import normalize as normalize_step
from ctcflow.steps import qc as qc_step

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["ingest", "normalize", "qc"]


@takes(IngestParams)
def ingest(
    adata: AnnData,
    *,
    sample: str = "sample",
    about: Mapping[str, Any] | None = None,
    params: IngestParams,
) -> AnnData:
    """Check raw counts and name genes as the workflow does.

    Parameters
    ----------
    adata
        Raw counts (n_cells, n_features) in layers `counts` if it exists, else in X; var_names gene
        symbols or Ensembl ids; var `feature_types` if some features are not genes. Counts of
        surface proteins and hashtags may be DataFrames in obsm (`protein`, `hashtag`, ...).
    sample
        Name of the sample.
    about
        Other columns of the sample sheet, such as `role`, `cancer_type`, `chemistry`.

    Returns
    -------
    AnnData
        X canonical CSR, var `gene_id`, obs with the columns of the sheet; obsm `protein` and
        `hashtag` where they were measured. Embeddings, layers and columns of the user's own are not
        carried over.

    Raises
    ------
    CtcflowError
        The values are not raw counts, the names are not human genes, or `about` is not a valid row
        of a sample sheet.
    """
    in_memory.is_adata(adata, "cf.pp.ingest")
    row = in_memory.row_of(sample, about)
    genes = in_memory.shipped_table("genes")
    ingested = ingest_step.ingest(in_memory.as_read(adata, genes), genes, params=params)
    add_row(ingested, row)
    io.write_record(ingested, keys.CTCFLOW, {"sample": row, "steps": {}})
    return in_memory.recorded(ingested, "ingest", params)


@takes(QCParams)
def qc(
    adata: AnnData,
    *,
    unfiltered: AnnData | None = None,
    tables: Tables = None,
    params: QCParams,
) -> AnnData:
    """Measure cells and flag those to set aside; nothing is removed.

    Parameters
    ----------
    adata
        Result of `ingest`; raw counts are passed through `ingest` first, as sample `sample`.
    unfiltered
        All droplets of the same library over the same genes, to estimate ambient RNA.
    tables
        Your own tables by name (`panels`, ...), instead of the shipped ones.

    Returns
    -------
    AnnData
        The slots of `qc`: obs `total_counts`, `pct_counts_mt`, `keep`, ...; uns `qc`.

    Raises
    ------
    CtcflowError
        As `ingest`; `unfiltered` has other genes; a parameter or a table is not one of `qc`.
    """
    in_memory.is_adata(adata, "cf.pp.qc")
    step_tables = in_memory.tables_of("qc", tables)
    ingested = adata.copy() if keys.CTCFLOW.key in adata.uns else ingest(adata)
    if unfiltered is not None and not unfiltered.var_names.equals(ingested.var_names):
        raise CtcflowError(
            "unfiltered has other genes than adata: give cf.pp.ingest(unfiltered)[:,"
            " adata.var_names] of the same library"
        )
    return in_memory.recorded(
        qc_step.qc(ingested, unfiltered, *step_tables, params=params), "qc", params
    )


@takes(NormalizeParams)
def normalize(adata: AnnData, *, params: NormalizeParams) -> AnnData:
    """Compute size factors, and mean and variance of each gene; counts are not changed.

    Parameters
    ----------
    adata
        Result of `qc`.

    Returns
    -------
    AnnData
        The kept cells with obs `size_factor` (log1p(X / size factor) are the log-normalised values
        of the workflow), var `lognorm_mean`, `variable_rank`, ...

    Raises
    ------
    CtcflowError
        `qc` was not called.
    """
    in_memory.needs(adata, "normalize", "cf.pp.qc")
    kept_cells = in_memory.kept(adata)
    corrected = kept_cells.layers.get(keys.CORRECTED.key)
    counts = kept_cells.X
    if corrected is not None:
        kept_cells.X = corrected
    normalised = normalize_step.normalize(kept_cells, params=params)
    normalised.X = counts
    return in_memory.recorded(normalised, "normalize", params)
