"""One pass over the samples of a cohort, to collect what `cluster` needs from their counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.settings.params import MOST_COUNTS
from ctcflow.stats.clusters import conditions, markers, pseudobulk
from ctcflow.stats.counts import aligned_rows

if TYPE_CHECKING:
    from anndata import AnnData

_BLOCK: Final = 20_000

Codes = npt.NDArray[np.intp]


class Groups(NamedTuple):
    """Cluster of each cell, and other inputs of the pass over the samples."""

    codes: Codes
    n: int
    sketch: npt.NDArray[np.int64]
    pseudobulk: Codes
    """Cluster of blood cells, then one group per other class; empty if there is no comparison."""
    classes: list[str]


class Collected(NamedTuple):
    """Results of one pass over the samples."""

    values: sparse.csr_matrix
    size_factors: npt.NDArray[np.float64]
    """Size factor of every cell."""
    sums: npt.NDArray[np.float64]
    sketch: list[markers.ByGene]
    """Values of the cells of the sketch."""
    units: dict[pseudobulk.Unit, pseudobulk.Sums]


def collect(
    adata: AnnData,
    cohort: Iterable[AnnData],
    groups: Groups,
    *,
    delivered: npt.NDArray[np.bool_],
) -> Collected:
    """Collect the delivered genes of every cell, and sums of all genes per cluster."""
    column = np.where(delivered, np.cumsum(delivered) - 1, -1)
    n_genes = int(delivered.sum())
    sums = np.zeros((groups.n, adata.n_vars))
    blocks = [sparse.csr_matrix((0, n_genes), dtype=np.float32)]
    places = [np.zeros(0, dtype=np.intp)]
    in_sketch = np.zeros(adata.n_obs, dtype=np.bool_)
    in_sketch[groups.sketch] = True
    collected = Collected(blocks[0], np.ones(adata.n_obs), sums, [], {})
    for sample in cohort:
        if sample.n_obs == 0:
            continue
        place = _places(adata, sample)
        gene = adata.var_names.get_indexer(sample.var_names)
        whole = sparse.csr_matrix(sample.X)
        factors = sample.obs[keys.SIZE_FACTOR.key].to_numpy(np.float64)
        if (place < 0).any():
            in_cohort = np.flatnonzero(place >= 0)
            whole, factors, place = whole[in_cohort], factors[in_cohort], place[in_cohort]
        matrix = aligned_rows.on_genes(whole, places=gene, n_genes=adata.n_vars)
        codes = groups.codes[place]
        collected.size_factors[place] = factors
        sums += markers.group_sums(matrix, groups=codes, n_groups=groups.n)
        target = np.where(gene >= 0, column[gene], -1)
        blocks.append(aligned_rows.on_genes(whole, places=target, n_genes=n_genes))
        places.append(place)
        chosen = np.flatnonzero(in_sketch[place])
        of_sketch = matrix if chosen.size == place.size else matrix[chosen]
        collected.sketch.append(markers.by_gene(of_sketch, groups=codes[chosen], n_groups=groups.n))
        if groups.pseudobulk.size:
            _add_units(collected.units, sample, matrix, factors, groups, place)
    order = np.concatenate(places)
    if order.size != adata.n_obs:
        raise CtcflowError(
            f"{adata.n_obs - order.size} cells of the embedding are in no sample: the samples"
            " changed since `reduce`; run it again"
        )
    stacked = aligned_rows.stack(blocks, n_genes=n_genes)
    if (order[1:] < order[:-1]).any():
        stacked = stacked[np.argsort(order, kind="stable")]
    return collected._replace(values=stacked)


def _places(adata: AnnData, sample: AnnData) -> Codes:
    names = sample.obs[keys.SAMPLE.key].to_numpy(dtype=object)
    cell_names = [f"{s}:{b}" for s, b in zip(names, sample.obs_names, strict=True)]
    found: Codes = adata.obs_names.get_indexer(pd.Index(cell_names, dtype=object))
    return found


def _add_units(
    units: dict[pseudobulk.Unit, pseudobulk.Sums],
    sample: AnnData,
    matrix: sparse.csr_matrix,
    factors: npt.NDArray[np.float64],
    groups: Groups,
    place: Codes,
) -> None:
    """Add the raw counts of a sample to its patient's."""
    counts = conditions.raw_counts(matrix, size_factors=factors)
    codes, n = groups.pseudobulk[place], groups.n + len(groups.classes)
    summed = sparse.csr_matrix(markers.group_sums(counts, groups=codes, n_groups=n))
    for unit in units_of(sample.obs):
        cells = np.bincount(codes, minlength=n)
        units[unit] = pseudobulk.add(units.get(unit), summed, cells)


def genes_to_deliver(
    adata: AnnData, wanted: Literal["auto", "full", "panel"]
) -> tuple[npt.NDArray[np.bool_], bool]:
    """Choose the genes in the cohort's matrix, and whether raw counts are delivered too.

    Parameters
    ----------
    adata
        All cells and genes; obs `n_genes_by_counts` is the number of stored counts of a cell.
    wanted
        `cluster.genes`.
    """
    whole = wanted == "full"
    if wanted == "auto":
        whole = float(adata.obs[keys.N_GENES_BY_COUNTS.key].sum()) <= MOST_COUNTS
    return (np.ones(adata.n_vars, dtype=np.bool_) if whole else delivered_genes(adata)), whole


def counts_of(
    values: sparse.csr_matrix, size_factors: npt.NDArray[np.float64]
) -> sparse.csr_matrix:
    """Recover raw counts from log-normalised values, (n_cells, n_genes) CSR int32, same indices."""
    data = np.empty(values.nnz, dtype=np.int32)
    for start in range(0, values.shape[0], _BLOCK):
        stop = min(start + _BLOCK, values.shape[0])
        rows = slice(values.indptr[start], values.indptr[stop])
        data[rows] = conditions.raw_counts(
            values[start:stop], size_factors=size_factors[start:stop]
        ).data
    return sparse.csr_matrix((data, values.indices, values.indptr), shape=values.shape)


def delivered_genes(adata: AnnData) -> npt.NDArray[np.bool_]:
    """Variable genes, panel genes and cell-type markers, which are in the cohort's matrix."""
    flags = [slot.key for slot in (keys.HIGHLY_VARIABLE, keys.PANEL, keys.TYPE_MARKER)]
    return np.asarray(adata.var[flags].to_numpy(np.bool_).any(axis=1))


def classes_of(obs: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Class of each cell; `blood` where no cell was called."""
    if keys.CLASS.key not in obs:
        return np.full(len(obs), "blood", dtype=object)
    found: npt.NDArray[np.object_] = obs[keys.CLASS.key].to_numpy(dtype=object)
    return found


def units_of(obs: pd.DataFrame) -> list[pseudobulk.Unit]:
    """Condition and patient of each draw, from the sample sheet."""
    if "condition" not in obs:
        return []
    patient = obs["patient"] if "patient" in obs else obs[keys.SAMPLE.key]
    table = pd.DataFrame({"condition": obs["condition"].astype(object), "patient": patient})
    table = table.astype(object).where(table.notna(), "").drop_duplicates()
    return [(str(a), str(b)) for a, b in zip(table["condition"], table["patient"], strict=True)]
