"""Freeze a finished run: all that a new sample needs to be mapped, labelled and judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import __version__, bundle, keys
from ctcflow.errors import CtcflowError
from ctcflow.params import FreezeParams
from ctcflow.stats import novelty
from ctcflow.stats.threads import blas_threads
from ctcflow.stats.transfer import place

if TYPE_CHECKING:
    from anndata import AnnData

FILE: Final = "reference.zip"
"""The bundle, below the folder of the step."""
BLOOD: Final = "blood"
_FOLDS: Final = 10
_BLOCK: Final = 32_768
_CONTROLS: Final = ("dispersion", "blanks", "healthy")

Codes = npt.NDArray[np.int32]


def freeze(adata: AnnData, call: AnnData, *, params: FreezeParams) -> dict[str, bytes]:
    """Put a finished run into one file that later runs map new samples onto.

    The limits of novelty come from leukocytes of the reference, each against cells of other
    samples only (of a tenth of the samples at a time where there are more than ten; of a tenth of
    the cells where there is one sample), since a new sample is not in the reference either.

    Parameters
    ----------
    adata
        What `cluster` leaves.
    call
        What `call` leaves: its controls are the nulls of runs that have none.
    params
        Neighbours, and how the limits of novelty are measured.

    Returns
    -------
    dict[str, bytes]
        `reference.zip`. The same run gives the same bytes.

    Raises
    ------
    CtcflowError
        There are no cells or no components, or the run is of a version that kept no correction.
    """
    used = adata.var[keys.VARIABLE.key].to_numpy(np.bool_)
    loadings = np.asarray(adata.varm[keys.LOADINGS.key], dtype=np.float64)[used]
    if adata.n_obs == 0 or loadings.shape[1] == 0:
        raise CtcflowError(
            f"the run has {adata.n_obs} cells with {loadings.shape[1]} components, which is no"
            " reference: freeze a run with more cells"
        )
    if keys.CORRECTION.key not in adata.uns:
        raise CtcflowError(f"the run has no {keys.CORRECTION}: run `integrate` and `cluster` again")
    values = sparse.csr_matrix(adata.X)[:, used]
    cluster, clusters = _codes(adata.obs[keys.CLUSTER.key])
    cell_type, cell_types = _codes(adata.obs[keys.CELL_TYPE.key])
    group = np.unique(cluster * len(cell_types) + cell_type, return_inverse=True)[1]
    correction = adata.uns[keys.CORRECTION.key]
    steps = _steps(adata)
    manifest = {
        "format": bundle.FORMAT,
        "ctcflow": __version__,
        "cells": int(adata.n_obs),
        "samples": int(adata.obs[keys.SAMPLE.key].nunique()),
        "method": json.loads(str(adata.uns[keys.INTEGRATE.key])).get("method"),
        "target_umis": steps["normalize"]["params"]["target_umis"],
        "n_neighbors": params.n_neighbors,
        "clusters": clusters,
        "cell_types": cell_types,
        "limits": _limits(adata, values, group, params),
        "controls": _controls(call),
        "steps": steps,
    }
    sums, sizes = _group_sums(values, group, int(group.max()) + 1)
    frozen = bundle.Reference(
        manifest,
        genes=_text(adata.var_names[used]),
        gene_ids=_text(adata.var[keys.GENE_ID.key][used]),
        means=sums.sum(axis=0) / adata.n_obs,
        loadings=loadings,
        cluster_sizes=np.asarray(correction["cluster_sizes"], dtype=np.float64),
        cluster_sums=np.asarray(correction["cluster_sums"], dtype=np.float64),
        lineages=_text(correction["lineages"]),
        lineage_means=np.asarray(correction["lineage_means"], dtype=np.float64),
        embedding=np.asarray(adata.obsm[keys.X_INTEGRATED.key], dtype=np.float32),
        umap=np.asarray(adata.obsm[keys.X_UMAP.key], dtype=np.float32),
        cluster=cluster,
        cell_type=cell_type,
        group=group.astype(np.int32),
        group_means=(sums / sizes[:, None]).astype(np.float32),
    )
    return {FILE: bundle.packed(frozen)}


def _codes(column: pd.Series) -> tuple[Codes, list[str]]:
    codes, names = pd.factorize(column.astype(str).to_numpy(dtype=object), sort=True)
    return codes.astype(np.int32), [str(name) for name in names]


def _text(names: Any) -> npt.NDArray[np.str_]:
    return np.array([str(name) for name in names], dtype=np.str_)


def _steps(adata: AnnData) -> dict[str, Any]:
    """Version, parameters and digests of the inputs of each step; no name of a sample."""
    recorded = json.loads(str(adata.uns[keys.CTCFLOW.key]))["steps"]
    wanted = ("version", "params", "inputs")
    return {
        step: {key: found[key] for key in wanted if key in found}
        for step, found in recorded.items()
    }


def _controls(call: AnnData) -> dict[str, Any]:
    found = json.loads(str(call.uns[keys.CALL.key]))
    return {key: found[key] for key in _CONTROLS}


def _group_sums(
    values: sparse.csr_matrix, groups: npt.NDArray[np.integer], n_groups: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sum of each gene in each group, and cells of each group."""
    sums = np.zeros((n_groups, values.shape[1]))
    for start in range(0, groups.size, _BLOCK):
        own = groups[start : start + _BLOCK]
        place = (np.ones(own.size), (own, np.arange(own.size)))
        member = sparse.csr_matrix(place, shape=(n_groups, own.size))
        sums += (member @ values[start : start + _BLOCK].astype(np.float64)).toarray()
    return sums, np.bincount(groups, minlength=n_groups).astype(np.float64)


def _limits(
    adata: AnnData,
    values: sparse.csr_matrix,
    groups: npt.NDArray[np.integer],
    params: FreezeParams,
) -> dict[str, Any]:
    """Limits of both measures of novelty, from leukocytes that are left out."""
    n_groups = int(groups.max()) + 1
    points = np.asarray(adata.obsm[keys.X_INTEGRATED.key], dtype=np.float32)
    umis = adata.obs[keys.N_UMIS.key].to_numpy(np.float64)
    samples = pd.factorize(adata.obs[keys.SAMPLE.key].astype(str), sort=True)[0]
    folds = (samples if samples.max() > 0 else np.arange(samples.size)) % _FOLDS
    chosen = np.zeros(folds.size, dtype=np.bool_)
    blood = np.flatnonzero((adata.obs[keys.CLASS.key].astype(str) == BLOOD).to_numpy())
    spaced = np.linspace(0, blood.size - 1, min(blood.size, params.null_cells))
    chosen[blood[spaced.astype(np.int64)]] = True
    sums, sizes = _group_sums(values, groups, n_groups)
    found: dict[str, list[npt.NDArray[np.float64]]] = {"distance": [], "unexpected": [], "umis": []}
    for fold in np.unique(folds[chosen]):
        mine = folds == fold
        if mine.all():
            continue
        asked = np.flatnonzero(chosen & mine)
        own_sums, own_sizes = _group_sums(values[mine], groups[mine], n_groups)
        placed = place(
            values[asked],
            points[asked].astype(np.float64),
            embedding=points[~mine],
            groups=groups[~mine],
            group_means=(sums - own_sums) / np.maximum(sizes - own_sizes, 1.0)[:, None],
            batches=samples[asked],
            fitted=np.ones(asked.size, dtype=np.bool_),
            k=params.n_neighbors,
            n_threads=blas_threads(),
        )
        found["distance"].append(placed.distance)
        found["unexpected"].append(placed.unexpected)
        found["umis"].append(umis[asked])
    joined = {name: np.concatenate([np.zeros(0), *parts]) for name, parts in found.items()}
    limits = {
        name: novelty.fit_limit(joined[name], umis=joined["umis"], share=params.novel_share)
        for name in ("distance", "unexpected")
    }
    if joined["umis"].size < novelty.FEWEST:
        return {"null_cells": int(joined["umis"].size), "distance": None, "unexpected": None}
    return {
        "null_cells": int(joined["umis"].size),
        **{name: limit._asdict() for name, limit in limits.items()},
    }
