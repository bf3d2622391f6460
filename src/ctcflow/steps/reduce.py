"""Variable genes of the cohort and exact principal components, one sample in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import keys
from ctcflow.files import io, sample_files
from ctcflow.records.reduce import Reduce
from ctcflow.settings.params import ReduceParams
from ctcflow.stats.counts import variable_genes
from ctcflow.stats.counts.gene_sets import in_set
from ctcflow.stats.embedding import components as pca
from ctcflow.stats.threads import blas_threads

if TYPE_CHECKING:
    from anndata import AnnData

_MEASURED: Final = tuple(
    slot.key for slot in (keys.MEAN, keys.VARIANCE, keys.CLIPPED_VARIANCE, keys.VARIABLE_RANK)
)
_NOT_CARRIED: Final = (keys.SIZE_FACTOR.key, keys.KEEP.key, keys.BARCODE.key)

Flags = npt.NDArray[np.bool_]


class _Genes(NamedTuple):
    """Union of the genes of all samples, and the results of `normalize` per sample."""

    names: pd.Index
    ids: npt.NDArray[np.object_]
    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    clipped: npt.NDArray[np.float64]
    ranks: npt.NDArray[np.float32]


class _Moments(NamedTuple):
    """Results of `normalize` for one sample, by gene, and its number of cells."""

    names: npt.NDArray[np.object_]
    table: dict[str, npt.NDArray[np.float64]]
    n_cells: int


def reduce(
    cohort: Iterable[AnnData],
    panels: pd.DataFrame,
    technical: pd.DataFrame,
    *,
    params: ReduceParams,
) -> AnnData:
    """Choose variable genes over samples and project every cell on principal components.

    A gene that is missing from a sample counts as not expressed there. The components are those of
    the covariance of the log-normalised values, centred and not scaled, as in scanpy.

    Parameters
    ----------
    cohort
        Samples, each X (n_cells, n_genes) log-normalised CSR with obs `sample` and the slots of
        `normalize`; iterated three times.
    panels
        Tumour panels: columns `set`, `gene`, `direction`.
    technical
        Technical genes: columns `set`, `gene`, `pattern` (one of the two is filled).
    params
        Number of genes and components, and which genes are used.

    Returns
    -------
    AnnData
        Without X. obs_names `sample:barcode`; obs `sample`, `barcode` and the samples' own columns;
        var (all genes) `gene_id`, `means`, `variances`, `variances_norm`, `highly_variable`,
        `highly_variable_nbatches`, `panel`; obsm `X_pca` (n_cells, k) float32; varm `PCs`
        (n_genes, k); uns `reduce` (JSON). Fewer components where there are fewer cells; none below
        two cells.
    """
    import anndata

    genes, obs = _survey(sample_files.described(cohort))
    panel = np.isin(genes.names, panels.loc[panels["direction"] == 1, "gene"].to_numpy(object))
    excluded = np.zeros(panel.size, dtype=np.bool_)
    for name in params.exclude:
        excluded |= in_set(genes.names.to_numpy(object), technical, name)
    own_ranks = _ranks_of_usable(genes, excluded)
    variable = variable_genes.consensus(own_ranks, n_genes=params.n_genes)
    used = variable | panel if params.include_panel else variable
    names = genes.names[used]
    components = _components(sample_files.values(cohort), names, params.n_components)
    k = components.variance.size
    blocks = [pca.project(_columns(s, names), components) for s in sample_files.values(cohort)]
    loadings = np.zeros((used.size, k))
    loadings[used] = components.loadings
    var = pd.DataFrame(
        {
            keys.GENE_ID.key: genes.ids,
            keys.MEANS.key: genes.mean,
            keys.VARIANCES.key: genes.variance,
            keys.VARIANCES_NORM.key: genes.clipped,
            keys.HIGHLY_VARIABLE.key: used,
            keys.HIGHLY_VARIABLE_NBATCHES.key: (own_ranks < params.n_genes).sum(axis=0),
            keys.PANEL.key: panel,
        },
        index=genes.names,
    )
    adata = anndata.AnnData(obs=obs, var=var)
    adata.obsm[keys.X_PCA.key] = np.concatenate([*blocks, np.zeros((0, k), dtype=np.float32)])
    adata.varm[keys.LOADINGS.key] = loadings
    report = _report(genes, components, excluded, used, len(obs), params)
    io.write_record(adata, keys.REDUCE, report)
    return adata


def _survey(cohort: Iterable[AnnData]) -> tuple[_Genes, pd.DataFrame]:
    """Read every sample once: its genes, their moments and ranks, and its cells."""
    moments: list[_Moments] = []
    cells: list[pd.DataFrame] = []
    ids: dict[str, str] = {}
    for sample in cohort:
        names = sample.var_names.to_numpy(dtype=object)
        gene_ids = np.full(names.size, "", dtype=object)
        if keys.GENE_ID.key in sample.var:
            gene_ids = sample.var[keys.GENE_ID.key].to_numpy(dtype=object)
        for name, gene_id in zip(names, gene_ids, strict=True):
            if not ids.get(name):
                ids[name] = gene_id
        table = {c: sample.var[c].to_numpy(np.float64) for c in _MEASURED}
        moments.append(_Moments(names, table, sample.n_obs))
        cells.append(_cells(sample))
    union = pd.Index(np.array(list(ids), dtype=object))
    return _pooled(union, np.array(list(ids.values()), dtype=object), moments), _all_cells(cells)


def _pooled(union: pd.Index, ids: npt.NDArray[np.object_], moments: list[_Moments]) -> _Genes:
    """Moments over all cells of the samples that have enough cells."""
    total, squares, clipped = np.zeros((3, union.size))
    ranks = np.full((len(moments), union.size), np.nan, dtype=np.float32)
    n_cells, n_samples = 0, 0
    for row, (names, table, size) in enumerate(moments):
        position = union.get_indexer(names)
        ranks[row, position] = table[keys.VARIABLE_RANK.key]
        mean = table[keys.MEAN.key]
        if np.isnan(mean).all():
            continue
        n_cells, n_samples = n_cells + size, n_samples + 1
        total[position] += size * mean
        squares[position] += (size - 1) * table[keys.VARIANCE.key] + size * mean**2
        clipped[position] += table[keys.CLIPPED_VARIANCE.key]
    if not n_samples:
        missing = np.full(union.size, np.nan)
        return _Genes(union, ids, missing, missing, missing, ranks)
    mean = total / n_cells
    variance = np.maximum(squares - n_cells * mean**2, 0.0) / max(n_cells - 1, 1)
    return _Genes(union, ids, mean, variance, clipped / n_samples, ranks)


def _cells(sample: AnnData) -> pd.DataFrame:
    barcodes = sample.obs_names.to_numpy(dtype=object)
    carried = [c for c in sample.obs.columns if c not in _NOT_CARRIED]
    obs = pd.DataFrame({c: sample.obs[c] for c in carried})
    obs.insert(0, keys.BARCODE.key, barcodes)
    names = obs[keys.SAMPLE.key].to_numpy(dtype=object)
    obs.index = pd.Index([f"{s}:{b}" for s, b in zip(names, barcodes, strict=True)], dtype=object)
    return obs


def _all_cells(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Concatenate the samples; each column gets a single type, so that it can be written."""
    first = [keys.SAMPLE.key, keys.BARCODE.key]
    filled = [table.astype(object) for table in tables if len(table)]
    if not filled:
        columns = dict.fromkeys(first + [column for table in tables for column in table])
        index = pd.Index([], dtype=object)
        return pd.DataFrame(index=index, columns=list(columns), dtype=object)
    obs = pd.concat(filled)
    obs = obs[first + [column for column in obs if column not in first]]
    return obs.apply(_one_type)


def _one_type(column: pd.Series) -> pd.Series:
    values = column.dropna()
    kinds = {type(value) for value in values}
    if kinds and all(issubclass(kind, bool | np.bool_) for kind in kinds):
        return column.astype(bool if len(values) == len(column) else float)
    if all(issubclass(kind, int | np.integer) for kind in kinds) and len(values) == len(column):
        return column.astype(np.int64)
    if all(issubclass(kind, int | float | np.number | np.bool_) for kind in kinds):
        return column.astype(np.float64)
    return column.where(column.notna(), "").astype(str).astype(object)


def _ranks_of_usable(genes: _Genes, excluded: Flags) -> npt.NDArray[np.float32]:
    """Ranks among the usable genes, so that each sample contributes the same number of them."""
    ranks_of_samples = [
        variable_genes.ranks(np.where(excluded | np.isnan(row), np.nan, -row + row.size))
        for row in genes.ranks
    ]
    return np.array(ranks_of_samples, dtype=np.float32).reshape(
        len(ranks_of_samples), excluded.size
    )


def _columns(sample: AnnData, names: pd.Index) -> sparse.csr_matrix:
    """Values of these genes, zero for those that the sample lacks."""
    matrix = sparse.csr_matrix(sample.X)
    target = names.get_indexer(sample.var_names)
    kept = np.flatnonzero(target >= 0)
    columns = matrix[:, kept].tocsr()
    moved = sparse.csr_matrix(
        (columns.data, target[kept][columns.indices], columns.indptr),
        shape=(matrix.shape[0], names.size),
    )
    moved.sort_indices()
    return moved


def _components(cohort: Iterable[AnnData], names: pd.Index, n_components: int) -> pca.Components:
    sums, n_threads = pca.no_sums(names.size), blas_threads()
    for sample in cohort:
        sums = pca.add_cells(sums, _columns(sample, names), n_threads=n_threads)
    return pca.principal_components(sums, n_components=n_components)


def _report(
    genes: _Genes,
    components: pca.Components,
    excluded: Flags,
    used: Flags,
    n_cells: int,
    params: ReduceParams,
) -> Reduce:
    ranked = int((~np.isnan(genes.ranks)).any(axis=1).sum())
    report: Reduce = {
        "n_samples": int(genes.ranks.shape[0]),
        "n_samples_ranked": ranked,
        "n_cells": n_cells,
        "n_genes": int(used.size),
        "n_used": int(used.sum()),
        "n_excluded": int(excluded.sum()),
        "variance": [float(v) for v in components.variance],
        "variance_explained": [float(v / components.total_variance) for v in components.variance],
    }
    if components.variance.size < params.n_components:
        report["reason"] = (
            f"{components.variance.size} of {params.n_components} components: "
            f"{n_cells} cells and {int(used.sum())} genes give no more"
        )
    return report
