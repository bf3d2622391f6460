"""Write the slots that scanpy's functions and plots look for into a cohort file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.records.reduce import Reduce

if TYPE_CHECKING:
    from anndata import AnnData

N_RANKED: Final = 100
"""Genes per cluster in uns `rank_genes_groups`."""

Matrix = npt.NDArray[np.float64]


class RankedGenes(TypedDict):
    """Layout of scanpy's `rank_genes_groups`: record arrays with a field per group."""

    params: dict[str, str | bool]
    names: npt.NDArray[Any]
    scores: npt.NDArray[Any]
    """AUC."""
    logfoldchanges: npt.NDArray[Any]
    """Log2 ratio of means, computed as in scanpy."""
    pvals: npt.NDArray[Any]
    pvals_adj: npt.NDArray[Any]
    """NaN, likewise `pvals`."""


def add_scores(adata: AnnData, scores: pd.DataFrame | None) -> None:
    """Add signature scores (n_cells, n_signatures) to obs, as columns `score_<signature>`."""
    if scores is not None:
        for name in scores.columns:
            adata.obs[f"{keys.SCORE_PREFIX}{name}"] = scores[name].to_numpy(np.float32)


def add_embedding_records(adata: AnnData, *, n_neighbors: int, seed: int, reduced: Reduce) -> None:
    """Record in uns how neighbours, components and variable genes were computed, as scanpy does.

    Parameters
    ----------
    adata
        With obsp, obsm `X_pca`, varm `PCs`.
    n_neighbors, seed
        Parameters of the graph.
    reduced
        Record of `reduce`; empty where it was not run.
    """
    variance: list[float] = reduced.get("variance") or []
    explained: list[float] = reduced.get("variance_explained") or []
    adata.uns[keys.NEIGHBORS.key] = {
        "connectivities_key": keys.CONNECTIVITIES.key,
        "distances_key": keys.DISTANCES.key,
        "params": {
            "n_neighbors": n_neighbors,
            "method": "umap",
            "metric": "euclidean",
            "random_state": seed,
            "use_rep": keys.X_INTEGRATED.key,
        },
    }
    mask = keys.HIGHLY_VARIABLE.key
    adata.uns[keys.PCA.key] = {
        "params": {"zero_center": True, "use_highly_variable": True, "mask_var": mask},
        "variance": np.asarray(variance, dtype=np.float64),
        "variance_ratio": np.asarray(explained, dtype=np.float64),
    }
    adata.uns[keys.HVG.key] = {"flavor": "seurat_v3"}
    adata.uns[keys.LOG1P.key] = {}


def add_colours(adata: AnnData) -> None:
    """Add colours of classes, types and clusters as scanpy reads them; classes as in the report."""
    from ctcflow.render.marks import (  # matplotlib is slow to import
        CLASS_MARKS,
        level_colours,
    )

    of_classes = {name: mark.colour for name, mark in CLASS_MARKS.items()}
    for slot, target in (
        (keys.CLASS, keys.CLASS_COLOURS),
        (keys.CELL_TYPE, keys.TYPE_COLOURS),
        (keys.CLUSTER, keys.CLUSTER_COLOURS),
    ):
        column = adata.obs[slot.key] if slot.key in adata.obs else pd.Series([], dtype=object)
        values = column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("str")
        names = pd.Categorical(values).remove_unused_categories()
        if slot.key in adata.obs:
            adata.obs[slot.key] = names
        sizes = np.bincount(names.codes, minlength=names.categories.size)
        others = np.array([n for n in names.categories if n not in of_classes], dtype=str)
        is_class = np.isin(names.categories.to_numpy(dtype=object), list(of_classes))
        colours = of_classes | (level_colours(others, sizes[~is_class]) if others.size else {})
        adata.uns[target.key] = np.array([colours[n] for n in names.categories], dtype=object)


def ranked_genes(
    aucs: Matrix, inside: Matrix, outside: Matrix, *, names: Sequence[str], groups: Sequence[str]
) -> RankedGenes:
    """Genes of each group by AUC, in the layout of scanpy's `rank_genes_groups`.

    Parameters
    ----------
    aucs : (n_groups, n_genes)
        Probability that a cell of the group exceeds one of the rest.
    inside, outside : (n_groups, n_genes)
        Mean log-normalised values in the group and in the rest.
    names : (n_genes,)
    groups : (n_groups,)
    """
    n = min(N_RANKED, len(names))
    order = [
        np.lexsort((outside[g] - inside[g], -np.round(aucs[g], 12)))[:n] for g in range(len(groups))
    ]
    # the constant that scanpy adds, so that the ratio is finite for a gene absent in the rest
    change = np.log2((np.expm1(inside) + 1e-9) / (np.expm1(outside) + 1e-9))
    genes = np.asarray(names, dtype=object)

    def table(values: Sequence[npt.NDArray[Any]], kind: str) -> Any:
        return np.rec.fromarrays(
            [np.asarray(column) for column in values], dtype=[(group, kind) for group in groups]
        )

    missing = [np.full(n, np.nan)] * len(groups)
    return {
        "params": {
            "groupby": keys.CLUSTER.key,
            "reference": "rest",
            "method": "AUC",
            "use_raw": False,
            "corr_method": "none",
        },
        "names": table([genes[rows] for rows in order], "O"),
        "scores": table([aucs[g][rows] for g, rows in enumerate(order)], "f4"),
        "logfoldchanges": table([change[g][rows] for g, rows in enumerate(order)], "f4"),
        "pvals": table(missing, "f8"),
        "pvals_adj": table(missing, "f8"),
    }
