"""Neighbours, Leiden clusters, UMAP, cell types, markers and conditions of the cohort."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.files import io, sample_files
from ctcflow.records.cluster import Clustering, ClusterType, Markers, Stability
from ctcflow.records.reduce import Reduce
from ctcflow.settings.params import ClusterParams
from ctcflow.stats.clusters import annotation, conditions, graph_clusters, markers, pseudobulk
from ctcflow.stats.clusters.neighbors import distance_graph
from ctcflow.stats.clusters.stability import finest_stable
from ctcflow.stats.threads import blas_threads
from ctcflow.steps import delivery
from ctcflow.steps.collect import (
    Collected,
    Groups,
    classes_of,
    collect,
    counts_of,
    genes_to_deliver,
    units_of,
)

if TYPE_CHECKING:
    from anndata import AnnData

UNASSIGNED: Final = "unassigned"
"""Cell type of clusters that no marker set fits."""
MIN_CELLS: Final = 3
"""Fewest cells for a neighbour graph (cells)."""
SKETCH: Final = 50_000
"""Above this number of cells, clusters, UMAP and markers are computed on a sketch (cells)."""
_ENOUGH: Final = 0.9
_FLOOR: Final = 0.25
_N_MARKERS: Final = 20

Codes = npt.NDArray[np.intp]
Matrix = npt.NDArray[np.float64]


def cluster(
    adata: AnnData, cohort: Iterable[AnnData], cell_types: pd.DataFrame, *, params: ClusterParams
) -> AnnData:
    """Cluster cells in the corrected embedding, assign cell types, and compute a UMAP.

    Above 50,000 cells, clusters, UMAP and markers are computed on a sketch: all cells that are not
    `blood`, up to a fifth of it, and a random sample of the blood cells. Every other cell gets the
    most frequent cluster among its nearest cells in the sketch, and a position between them on the
    UMAP. Neighbours are exact up to 100,000 cells; above, 98 % of them are found (measured on
    blood).

    Parameters
    ----------
    adata
        Result of `integrate`.
    cohort
        The same samples, X log-normalised CSR; iterated once.
    cell_types
        Marker sets: columns `set`, `gene`, `direction`.
    params
        Neighbours, quality function, resolutions, map, seed.

    Returns
    -------
    AnnData
        X log-normalised (CSR float32) of all genes, with layers `counts`, or of variable genes,
        panel genes and markers, as `params.genes` says; obs of `adata` with `score_<signature>`,
         `leiden_<resolution>`, `cluster`, `cell_type` (of the cluster, with the borders
        between types drawn by the markers around each cell:
        see `stats.clusters.annotation.border_types`;
        the class itself for cells whose class is not `blood`); obsm `X_pca`, `X_integrated`,
        `X_umap`, `cell_type_scores` (with varm `cell_type_loadings`); obsp `connectivities`,
        `distances`; uns `neighbors`, `pca`, `hvg`, `log1p`, `rank_genes_groups` (from two clusters
        on) and colours as scanpy has them; uns `markers` and `cluster`, `conditions` (JSON;
        conditions are compared in the clusters of a type).

    Raises
    ------
    CtcflowError
        A cell of `adata` is in no sample.
    """
    adata.var[keys.TYPE_MARKER.key] = adata.var_names.isin(cell_types["gene"])
    delivered, with_counts = genes_to_deliver(adata, params.genes)
    result, groups, report = _embedded(adata, params, delivered)
    compared = conditions.comparisons(units_of(adata.obs))
    if not compared.pairs:
        groups = groups._replace(pseudobulk=groups.codes[:0])
    collected = collect(adata, sample_files.values(cohort), groups, delivered=delivered)
    result.X = collected.values
    if with_counts:
        counts = counts_of(collected.values, collected.size_factors)
        result.layers[keys.COUNTS_LAYER.key] = counts
    sums = collected.sums[:, delivered]
    types, of_cells, report["cell_types"], report["scored_types"] = _cell_types(
        result, sums, groups, cell_types
    )
    named = _types_of_cells(of_cells, adata.obs)
    result.obs[keys.CELL_TYPE.key] = pd.Categorical(named)
    _add_markers(result, collected, groups, adata.var_names, delivered)
    delivery.add_colours(result)
    of_groups = ["" if name == UNASSIGNED else str(name) for name in types] + groups.classes
    tested, not_run = pseudobulk.compare(collected.units, types=of_groups, pairs=compared.pairs)
    table = pseudobulk.table(tested, adata.var_names.to_numpy(object))
    io.write_record(result, keys.CONDITIONS, table)
    refused = [*compared.not_run, *not_run]
    report["not_run"] = [{"what": what, "reason": why} for what, why in refused]
    io.write_record(result, keys.CLUSTERING, report)
    return result


def _embedded(
    adata: AnnData, params: ClusterParams, delivered: npt.NDArray[np.bool_]
) -> tuple[AnnData, Groups, Clustering]:
    """All that needs only the embedding: graph, clusters and UMAP; X is added later."""
    points = np.asarray(adata.obsm[keys.X_INTEGRATED.key], dtype=np.float64)
    small = adata.n_obs < MIN_CELLS or points.shape[1] == 0
    # Without components all points are equal: no neighbours, one cluster.
    k, seed, threads = 1 if small else params.n_neighbors, params.seed, blas_threads()
    method, resolutions = params.quality.method, params.resolutions
    classes = classes_of(adata.obs)
    rare = classes != "blood"
    indices, distances, graph = graph_clusters.neighbor_graph(points, k=k, n_threads=threads)
    part = graph_clusters.sketched(
        points, rare, graph=graph, size=SKETCH, k=k, seed=seed, n_threads=threads
    )
    memberships = graph_clusters.communities(
        part, method=method, resolutions=resolutions, seed=seed
    )
    table = graph_clusters.stabilities(
        points, rare, method=method, resolutions=resolutions, k=k, seed=seed, n_threads=threads
    )
    used = _resolution(params, table)
    report = _report(adata, memberships, table, used, sketched=int(part.chosen.size))
    if small:
        size = f"{adata.n_obs} cells with {points.shape[1]} components"
        report["reason"] = f"{size}: no neighbours, one cluster"
    result = _build(adata, delivered, n_neighbors=k, seed=seed)
    for resolution, membership in zip(resolutions, memberships, strict=True):
        result.obs[f"leiden_{resolution:g}"] = _categories(membership)
    codes = memberships[resolutions.index(used)]
    result.obs[keys.CLUSTER.key] = _categories(codes)
    result.obsm[keys.X_UMAP.key] = graph_clusters.layout(
        part, points, min_dist=params.min_dist, seed=seed
    )
    result.obsp[keys.CONNECTIVITIES.key] = graph
    result.obsp[keys.DISTANCES.key] = distance_graph(indices, distances)
    others = sorted(set(classes[rare]))
    n = _n_groups(codes)
    grouped = np.where(rare, n + pd.Index(others).get_indexer(classes), codes)
    return result, Groups(codes, n, part.chosen, grouped, others), report


def _report(
    adata: AnnData,
    memberships: Sequence[Codes],
    table: Sequence[Stability],
    used: float,
    *,
    sketched: int,
) -> Clustering:
    """Record of the clusters; cell types are not known yet."""
    return {
        "resolutions": [
            {**row, "n_clusters": _n_groups(membership)}
            for row, membership in zip(table, memberships, strict=True)
        ],
        "resolution": used,
        "sketch": {"cells": sketched, "of": adata.n_obs},
        "reason": "",
        "cell_types": [],
        "scored_types": [],
        "not_run": [],
    }


def _n_groups(codes: Codes) -> int:
    return int(codes.max()) + 1 if codes.size else 0


def _resolution(params: ClusterParams, table: Sequence[Stability]) -> float:
    if params.resolution != "auto":
        return params.resolution
    stabilities = [np.nan if row["stability"] is None else row["stability"] for row in table]
    return finest_stable(params.resolutions, stabilities, share_of_best=_ENOUGH)


def _categories(codes: Codes) -> pd.Categorical:
    names = [str(code) for code in range(_n_groups(codes))]
    return pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype=object))


def _cell_types(
    result: AnnData, sums: npt.NDArray[np.float64], groups: Groups, cell_types: pd.DataFrame
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_], list[ClusterType], list[str]]:
    """Cell type of each cluster and of each cell, why, and which types are scored.

    `sums` are over the genes of `result`.

    Adds to `result` the scores of the cells, and the gene loadings of the scores.
    """
    delivered = result.var_names
    sets = list(dict.fromkeys(cell_types["set"]))
    weights, expected, unexpected = annotation.set_weights(
        delivered.get_indexer(cell_types["gene"]),
        sets=pd.Index(sets).get_indexer(cell_types["set"]),
        directions=cell_types["direction"].to_numpy(np.float64),
        n_genes=delivered.size,
    )
    sizes = np.bincount(groups.codes, minlength=groups.n)
    means = sums / np.maximum(sizes, 1)[:, None]
    loadings = annotation.score_loadings(weights, expected, unexpected)
    loadings /= annotation.largest_means(means)[:, None]
    scores = means @ loadings
    chosen = annotation.best_types(scores, floor=_FLOOR)
    assigned_types = np.unique(chosen.best[chosen.best >= 0])
    graph = result.obsp[keys.CONNECTIVITIES.key]
    around = annotation.diffused_scores(
        result.X @ loadings[:, assigned_types].astype(np.float32),
        ties=graph,
        outside=None,
        total=np.asarray(graph.sum(axis=1), dtype=np.float32).reshape(-1, 1),
    )
    of_clusters = pd.Index(assigned_types).get_indexer(chosen.best)
    of_cells = annotation.border_types(of_clusters[groups.codes], around)
    result.varm[keys.TYPE_LOADINGS.key] = loadings[:, assigned_types]
    result.obsm[keys.TYPE_SCORES.key] = around
    table = _types_in_words(chosen, scores, sizes, sets)
    scored = [sets[type_] for type_ in assigned_types]
    names = np.array([*scored, UNASSIGNED], dtype=object)
    return names[of_clusters], names[of_cells], table, scored


def _types_in_words(
    chosen: annotation.Annotation, scores: Matrix, sizes: npt.NDArray[np.intp], sets: list[str]
) -> list[ClusterType]:
    table: list[ClusterType] = []
    for number, best in enumerate(chosen.best):
        order = np.argsort(-np.nan_to_num(scores[number], nan=-np.inf), kind="stable")
        table.append(
            {
                "cluster": str(number),
                "cells": int(sizes[number]),
                "cell_type": UNASSIGNED if best < 0 else sets[best],
                "score": _number(chosen.score[number]),
                "margin": _number(chosen.margin[number]),
                "second": sets[order[1]] if len(sets) > 1 else None,
            }
        )
    return table


def _types_of_cells(types: npt.NDArray[np.object_], obs: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Cell types, with the class instead for cells other than blood: a CTC is never a T cell."""
    classes = classes_of(obs)
    return np.where(classes == "blood", types, classes)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _build(
    adata: AnnData, delivered: npt.NDArray[np.bool_], *, n_neighbors: int, seed: int
) -> AnnData:
    import anndata

    result = anndata.AnnData(obs=adata.obs.copy(), var=adata.var[delivered].copy())
    for slot in (keys.X_PCA, keys.X_INTEGRATED):
        result.obsm[slot.key] = adata.obsm[slot.key]
    result.varm[keys.LOADINGS.key] = np.asarray(adata.varm[keys.LOADINGS.key])[delivered]
    for key, value in adata.uns.items():
        result.uns[key] = value
    delivery.add_scores(result, adata.obsm.get(keys.SIGNATURES.key))
    reduced = io.record(adata, keys.REDUCE, Reduce)
    delivery.add_embedding_records(result, n_neighbors=n_neighbors, seed=seed, reduced=reduced)
    return result


def _add_markers(
    result: AnnData,
    collected: Collected,
    groups: Groups,
    names: pd.Index,
    delivered: npt.NDArray[np.bool_],
) -> None:
    """Marker genes by AUC (on the sketch), ties by difference of means (of all cells).

    There are no p-values: the clusters come from the same counts, so a test would not be valid.
    """
    in_sketch = np.bincount(groups.codes[groups.sketch], minlength=groups.n)
    aucs = markers.group_aucs(collected.sketch, sizes=in_sketch)
    sizes = np.bincount(groups.codes, minlength=groups.n)[:, None].astype(np.float64)
    inside = collected.sums / np.maximum(sizes, 1)
    rest = collected.sums.sum(axis=0) - collected.sums
    outside = rest / np.maximum(groups.codes.size - sizes, 1)
    best_markers = _best_markers(aucs, inside, outside, names)
    io.write_record(result, keys.MARKERS, best_markers)
    if groups.n > 1:
        result.uns[keys.RANKED.key] = delivery.ranked_genes(
            aucs[:, delivered],
            inside[:, delivered],
            outside[:, delivered],
            names=list(names[delivered]),
            groups=[str(number) for number in range(groups.n)],
        )


def _best_markers(aucs: Matrix, inside: Matrix, outside: Matrix, names: pd.Index) -> Markers:
    found: Markers = {}
    difference = inside - outside
    for number in range(len(aucs)):
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
