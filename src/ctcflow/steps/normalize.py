"""Size factors, and moments per gene that later steps combine over samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import sparse

from ctcflow import keys
from ctcflow.files import io
from ctcflow.records.normalize import Normalize
from ctcflow.settings.sample_params import NormalizeParams
from ctcflow.stats.counts.moments import column_moments, log_normalised
from ctcflow.stats.counts.variable_genes import clipped_variance, ranks

if TYPE_CHECKING:
    from anndata import AnnData

MIN_CELLS: Final = 10
"""Fewest cells for measuring the variance of genes (cells)."""
_SPAN: Final = 0.3


def normalize(adata: AnnData, *, params: NormalizeParams) -> AnnData:
    """Compute size factors, and mean and variance of every gene; counts are not changed.

    Parameters
    ----------
    adata
        Kept cells of one sample: X (n_cells, n_genes) raw counts, CSR.
    params
        Target of the size factors.

    Returns
    -------
    AnnData
        obs `size_factor` (total counts / target; 1 for a cell without counts); var
        `lognorm_mean` and `lognorm_variance` of log1p(counts / size factor), `clipped_variance`
        and `variable_rank` (Stuart 2019, doi:10.1016/j.cell.2019.05.031); uns `normalize` (JSON).
        Moments and ranks are NaN below 10 cells, with the reason in uns.
    """
    counts = sparse.csr_matrix(adata.X)
    totals = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    factors = np.where(totals > 0, totals / params.target_umis, 1.0)
    report: Normalize = {
        "n_cells": adata.n_obs,
        "cells_without_counts": int((totals == 0).sum()),
    }
    adata.obs[keys.SIZE_FACTOR.key] = factors
    missing = np.full(adata.n_vars, np.nan)
    if adata.n_obs < MIN_CELLS:
        report["not_run"] = (
            f"variable genes: {adata.n_obs} cells were kept, at least {MIN_CELLS} are needed"
        )
        mean, variance, clipped = missing, missing, missing
        rank = missing.astype(np.float32)
    else:
        mean, variance = column_moments(log_normalised(counts, size_factors=factors))
        clipped = clipped_variance(counts, span=_SPAN)
        rank = ranks(clipped)
    adata.var[keys.MEAN.key] = mean
    adata.var[keys.VARIANCE.key] = variance
    adata.var[keys.CLIPPED_VARIANCE.key] = clipped
    adata.var[keys.VARIABLE_RANK.key] = rank
    io.write_record(adata, keys.NORMALIZE, report)
    return adata
