"""Neighbours, communities, map, cell types and markers of the cohort."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.params import ClusterParams
from ctcflow.stats import annotation, markers
from ctcflow.stats.communities import agreement, leiden
from ctcflow.stats.layout import umap_layout
from ctcflow.stats.neighbors import blas_threads, distance_graph, fuzzy_graph, nearest

if TYPE_CHECKING:
    from anndata import AnnData

UNASSIGNED: Final = "unassigned"
"""Cell type of clusters that no marker set fits."""
MIN_CELLS: Final = 3
"""Below this number of cells there is no graph (cells)."""
_FLOOR: Final = 0.25
_SEEDS: Final = 3
_N_MARKERS: Final = 20
_EPOCHS: Final = 200

Codes = npt.NDArray[np.intp]


class _Gathered(NamedTuple):
    """What one pass over the samples gives."""

    values: sparse.csr_matrix
    sums: npt.NDArray[np.float64]


def cluster(
    adata: AnnData, cohort: Iterable[AnnData], cell_types: pd.DataFrame, *, params: ClusterParams
) -> AnnData:
    """Find groups of cells in the corrected embedding, name them, and draw the map.

    Parameters
    ----------
    adata
        As `integrate` gives it.
    cohort
        The same samples, X log-normalised CSR; iterated once.
    cell_types
        Marker sets: columns `set`, `gene`, `direction`.
    params
        Neighbours, resolutions, map, seed.

    Returns
    -------
    AnnData
        X log-normalised variable and panel genes (CSR float32); obs of `adata` with
        `leiden_<resolution>`, `cluster`, `cell_type` (of the cluster; the class itself for cells
        whose class is not `blood`); obsm `X_pca`, `X_integrated`, `X_umap`; obsp
        `connectivities`, `distances`; uns `markers` and `cluster` (JSON).

    Raises
    ------
    CtcflowError
        A cell of `adata` is in no sample.
    """
    points: npt.NDArray[np.float64] = np.asarray(
        adata.obsm[keys.X_INTEGRATED.key], dtype=np.float64
    )
    small = adata.n_obs < MIN_CELLS or points.shape[1] == 0
    # Points without coordinates are all equal: no neighbours, one cluster.
    k = 1 if small else params.n_neighbors
    indices, distances = nearest(points, k=k, n_threads=blas_threads())
    graph = fuzzy_graph(indices, distances)
    found, report = _communities(graph, params)
    codes = found[params.resolution]
    n_clusters = int(codes.max()) + 1 if codes.size else 0
    gathered = _gather(adata, cohort, codes, n_clusters)
    sizes = np.bincount(codes, minlength=n_clusters)
    types, named = _cell_types(adata.var_names, gathered.sums, sizes, cell_types)
    result = _build(adata, gathered.values)
    for resolution, membership in found.items():
        result.obs[f"leiden_{resolution:g}"] = _categories(membership)
    result.obs[keys.CLUSTER.key] = _categories(codes)
    result.obs[keys.CELL_TYPE.key] = pd.Categorical(_types_of_cells(types[codes], adata.obs))
    result.obsm[keys.X_UMAP.key] = _map(graph, points, params)
    result.obsp[keys.CONNECTIVITIES.key] = graph
    result.obsp[keys.DISTANCES.key] = distance_graph(indices, distances)
    report["cell_types"] = named
    if small:
        report["reason"] = (
            f"{adata.n_obs} cells with {points.shape[1]} components: no neighbours, one cluster"
        )
    result.uns[keys.CLUSTERING.key] = json.dumps(report, sort_keys=True)
    result.uns[keys.MARKERS.key] = json.dumps(
        _markers(gathered.values, codes, n_clusters, result.var_names), sort_keys=True
    )
    return result


def _communities(
    graph: sparse.csr_matrix, params: ClusterParams
) -> tuple[dict[float, Codes], dict[str, Any]]:
    """Communities per resolution, and how much they depend on the seed."""
    found: dict[float, Codes] = {}
    rows = []
    for resolution in params.resolutions:
        runs = [
            leiden(graph, resolution=resolution, seed=params.seed + step) for step in range(_SEEDS)
        ]
        pairs = [agreement(runs[i], runs[j]) for i in range(_SEEDS) for j in range(i + 1, _SEEDS)]
        found[resolution] = runs[0]
        stability = float(np.mean(pairs))
        rows.append(
            {
                "resolution": resolution,
                "n_clusters": int(runs[0].max()) + 1 if runs[0].size else 0,
                "stability": None if np.isnan(stability) else stability,
            }
        )
    return found, {"resolutions": rows, "resolution": params.resolution}


def _categories(codes: Codes) -> pd.Categorical:
    names = [str(code) for code in range(int(codes.max()) + 1 if codes.size else 0)]
    return pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype=object))


def _gather(adata: AnnData, cohort: Iterable[AnnData], codes: Codes, n_clusters: int) -> _Gathered:
    """Collect the delivered genes of every cell, and sums of all genes per cluster."""
    delivered = (adata.var[keys.VARIABLE.key] | adata.var[keys.PANEL.key]).to_numpy(np.bool_)
    column = np.where(delivered, np.cumsum(delivered) - 1, -1)
    n_genes = int(delivered.sum())
    sums = np.zeros((n_clusters, adata.n_vars))
    blocks = [sparse.csr_matrix((0, n_genes), dtype=np.float32)]
    places = [np.zeros(0, dtype=np.intp)]
    for sample in cohort:
        if sample.n_obs == 0:
            continue
        names = sample.obs[keys.SAMPLE.key].to_numpy(dtype=object)
        own = [f"{s}:{b}" for s, b in zip(names, sample.obs_names, strict=True)]
        place = adata.obs_names.get_indexer(pd.Index(own, dtype=object))
        gene = adata.var_names.get_indexer(sample.var_names)
        matrix = sparse.csr_matrix(sample.X)[np.flatnonzero(place >= 0)]
        place = place[place >= 0]
        part = markers.group_sums(matrix, groups=codes[place], n_groups=n_clusters)
        sums[:, gene[gene >= 0]] += part[:, gene >= 0]
        target = np.where(gene >= 0, column[gene], -1)
        kept = np.flatnonzero(target >= 0)
        values = matrix[:, kept].tocsr().astype(np.float32)
        blocks.append(
            sparse.csr_matrix(
                (values.data, target[kept][values.indices], values.indptr),
                shape=(place.size, n_genes),
            )
        )
        places.append(place)
    order = np.concatenate(places)
    if order.size != adata.n_obs:
        raise CtcflowError(
            f"{adata.n_obs - order.size} cells of the embedding are in no sample: the samples"
            " changed since `reduce`; run it again"
        )
    stacked = sparse.vstack(blocks, format="csr")[np.argsort(order, kind="stable")]
    stacked.sort_indices()
    return _Gathered(stacked, sums)


def _cell_types(
    names: pd.Index,
    sums: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.intp],
    cell_types: pd.DataFrame,
) -> tuple[npt.NDArray[np.object_], list[dict[str, Any]]]:
    """Type of each cluster, and why."""
    sets = list(dict.fromkeys(cell_types["set"]))
    weights = np.zeros((len(sets), names.size))
    gene = names.get_indexer(cell_types["gene"])
    here = gene >= 0
    row = pd.Index(sets).get_indexer(cell_types["set"])
    weights[row[here], gene[here]] = cell_types["direction"].to_numpy(np.float64)[here]
    means = sums / np.maximum(sizes, 1)[:, None]
    up = cell_types["direction"].to_numpy() > 0
    scores = annotation.type_scores(
        annotation.relative_expression(means),
        weights=weights,
        n_expected=np.bincount(row[up], minlength=len(sets)).astype(np.float64),
        n_unexpected=np.bincount(row[~up], minlength=len(sets)).astype(np.float64),
    )
    chosen = annotation.best_types(scores, floor=_FLOOR)
    types = np.array([*sets, UNASSIGNED], dtype=object)[chosen.best]
    rows = []
    for number, best in enumerate(chosen.best):
        order = np.argsort(-np.nan_to_num(scores[number], nan=-np.inf), kind="stable")
        rows.append(
            {
                "cluster": str(number),
                "cells": int(sizes[number]),
                "cell_type": UNASSIGNED if best < 0 else sets[best],
                "score": _number(chosen.score[number]),
                "margin": _number(chosen.margin[number]),
                "second": sets[order[1]] if len(sets) > 1 else None,
            }
        )
    return types, rows


def _types_of_cells(types: npt.NDArray[np.object_], obs: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Give a cell that is not blood its own class: five CTCs in a T-cell cluster are no T cells."""
    if keys.CLASS.key not in obs:
        return types
    classes = obs[keys.CLASS.key].to_numpy(dtype=object)
    return np.where(classes == "blood", types, classes)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _build(adata: AnnData, values: sparse.csr_matrix) -> AnnData:
    import anndata

    delivered = (adata.var[keys.VARIABLE.key] | adata.var[keys.PANEL.key]).to_numpy(np.bool_)
    result = anndata.AnnData(X=values, obs=adata.obs.copy(), var=adata.var[delivered].copy())
    for slot in (keys.X_PCA, keys.X_INTEGRATED):
        result.obsm[slot.key] = adata.obsm[slot.key]
    result.varm[keys.LOADINGS.key] = np.asarray(adata.varm[keys.LOADINGS.key])[delivered]
    for key, value in adata.uns.items():
        result.uns[key] = value
    return result


def _map(
    graph: sparse.csr_matrix, points: npt.NDArray[np.float64], params: ClusterParams
) -> npt.NDArray[np.float32]:
    start = np.zeros((points.shape[0], 2))
    start[:, : min(points.shape[1], 2)] = points[:, :2]
    return umap_layout(
        graph,
        start=start,
        min_dist=params.min_dist,
        n_epochs=_EPOCHS,
        seed=params.seed,
    )


def _markers(
    values: sparse.csr_matrix, codes: Codes, n_clusters: int, names: pd.Index
) -> dict[str, list[dict[str, Any]]]:
    """Genes of each cluster by AUC, ties by difference of means; no p-values.

    The clusters were made from the same counts, so that a p-value would be about nothing.
    """
    aucs = markers.group_aucs(values, groups=codes, n_groups=n_clusters)
    sums = markers.group_sums(values, groups=codes, n_groups=n_clusters)
    sizes = np.bincount(codes, minlength=n_clusters)[:, None].astype(np.float64)
    inside = sums / np.maximum(sizes, 1)
    outside = (sums.sum(axis=0) - sums) / np.maximum(codes.size - sizes, 1)
    difference = inside - outside
    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(n_clusters):
        if np.isnan(aucs[number]).all():
            found[str(number)] = []
            continue
        order = np.lexsort((-difference[number], -np.round(aucs[number], 12)))[:_N_MARKERS]
        found[str(number)] = [
            {
                "gene": str(names[gene]),
                "auc": float(aucs[number, gene]),
                "difference": float(difference[number, gene]),
                "mean": float(inside[number, gene]),
            }
            for gene in order
            if difference[number, gene] > 0
        ]
    return found
