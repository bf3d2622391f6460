"""Freeze a finished run as a reference, onto which new samples can be mapped and labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import __version__, keys
from ctcflow.errors import CtcflowError
from ctcflow.files import bundle, io
from ctcflow.records.call import Call, Controls
from ctcflow.records.cluster import Clustering
from ctcflow.records.integrate import Integrate
from ctcflow.records.reference import FrozenStep, Manifest, NoveltyLimit, NoveltyLimits
from ctcflow.records.run import RunRecord
from ctcflow.settings.params import FreezeParams
from ctcflow.stats.embedding import novelty
from ctcflow.stats.embedding.label_transfer import place
from ctcflow.stats.threads import blas_threads

if TYPE_CHECKING:
    from anndata import AnnData

FILE: Final = "reference.zip"
"""File name of the bundle, in the folder of the step."""
BLOOD: Final = "blood"
_FOLDS: Final = 10
_BLOCK: Final = 8_192

Codes = npt.NDArray[np.int32]


class _Expression(NamedTuple):
    """Summaries of X."""

    sums: npt.NDArray[np.float64]
    """(folds, groups, genes) sums of the log-normalised values."""
    sizes: npt.NDArray[np.float64]
    """(folds, groups) number of cells."""
    asked: sparse.csr_matrix
    """Values of the leukocytes on which the limits are measured."""


def freeze(adata: AnnData, call: AnnData, *, params: FreezeParams) -> dict[str, bytes]:
    """Pack a finished run into one file, onto which later runs map new samples.

    The limits of novelty are measured on leukocytes of the reference. Each is compared only with
    cells of other samples, because a new sample is not in the reference either. With more than ten
    samples, a tenth of the samples is left out at a time; with one sample, a tenth of its cells.

    Parameters
    ----------
    adata
        Result of `cluster`.
    call
        Result of `call`: its controls are used by runs that have none.
    params
        Neighbours, and how the limits of novelty are measured.

    Returns
    -------
    dict[str, bytes]
        `reference.zip`. The same run gives the same bytes.

    Raises
    ------
    CtcflowError
        There are no cells or no components, or the run is of a version that did not record the
        correction.
    """
    used = adata.var[keys.HIGHLY_VARIABLE.key].to_numpy(np.bool_)
    loadings = np.asarray(adata.varm[keys.LOADINGS.key], dtype=np.float64)[used]
    _refuse_unusable(adata, loadings)
    cluster, clusters = _codes(adata.obs[keys.CLUSTER.key])
    cell_type, cell_types = _codes(adata.obs[keys.CELL_TYPE.key])
    group = np.unique(cluster * len(cell_types) + cell_type, return_inverse=True)[1]
    folds, asked = _left_out(adata, params.null_cells)
    expression = _expression(adata, used, groups=group, folds=folds, asked=asked)
    sums, sizes = expression.sums.sum(axis=0), expression.sizes.sum(axis=0)
    correction = adata.uns[keys.CORRECTION.key]
    markers = np.asarray(adata.varm[keys.TYPE_LOADINGS.key], dtype=np.float64)
    of_types = (markers != 0).any(axis=1)
    limits = _limits(adata, expression, groups=group, folds=folds, asked=asked, params=params)
    frozen = bundle.Reference(
        _manifest(adata, call, limits, clusters, cell_types, n_neighbors=params.n_neighbors),
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
        marker_genes=_text(adata.var_names[of_types]),
        marker_loadings=markers[of_types],
        type_scores=np.asarray(adata.obsm[keys.TYPE_SCORES.key], dtype=np.float32),
    )
    return {FILE: bundle.packed(frozen)}


def _refuse_unusable(adata: AnnData, loadings: npt.NDArray[np.float64]) -> None:
    if adata.n_obs == 0 or loadings.shape[1] == 0:
        raise CtcflowError(
            f"the run has {adata.n_obs} cells with {loadings.shape[1]} components, which is no"
            " reference: freeze a run with more cells"
        )
    for slot in (keys.CORRECTION, keys.TYPE_SCORES):
        if slot.key not in getattr(adata, slot.container):
            raise CtcflowError(f"the run has no {slot}: run `integrate` and `cluster` again")


def _manifest(
    adata: AnnData,
    call: AnnData,
    limits: NoveltyLimits,
    clusters: list[str],
    cell_types: list[str],
    *,
    n_neighbors: int,
) -> Manifest:
    """Describe how the reference was made."""
    steps = _steps(adata)
    return {
        "format": bundle.FORMAT,
        "ctcflow": __version__,
        "cells": int(adata.n_obs),
        "samples": int(adata.obs[keys.SAMPLE.key].nunique()),
        "method": io.record(adata, keys.INTEGRATE, Integrate).get("method"),
        "target_umis": steps["normalize"]["params"]["target_umis"],
        "scored_types": io.record(adata, keys.CLUSTERING, Clustering)["scored_types"],
        "controls": _controls(call),
        "steps": steps,
        "n_neighbors": n_neighbors,
        "clusters": clusters,
        "cell_types": cell_types,
        "limits": limits,
    }


def _codes(column: pd.Series) -> tuple[Codes, list[str]]:
    codes, names = pd.factorize(column.astype(str).to_numpy(dtype=object), sort=True)
    return codes.astype(np.int32), [str(name) for name in names]


def _text(names: Any) -> npt.NDArray[np.str_]:
    return np.array([str(name) for name in names], dtype=np.str_)


def _steps(adata: AnnData) -> dict[str, FrozenStep]:
    """Version, parameters and digests of the inputs of each step, without names of samples."""
    steps: dict[str, FrozenStep] = {}
    for name, record in io.record(adata, keys.CTCFLOW, RunRecord)["steps"].items():
        steps[name] = {"version": record["version"], "params": record["params"]}
        if "inputs" in record:
            steps[name]["inputs"] = record["inputs"]
    return steps


def _controls(call: AnnData) -> Controls:
    record = io.record(call, keys.CALL, Call)
    return {
        "dispersion": record["dispersion"],
        "blanks": record["blanks"],
        "healthy": record["healthy"],
    }


def _left_out(adata: AnnData, null_cells: int) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """The fold in which each cell is left out, and the (evenly spaced) leukocytes to measure."""
    samples = _samples(adata)
    folds = (samples if samples.max() > 0 else np.arange(samples.size)) % _FOLDS
    blood = np.flatnonzero((adata.obs[keys.CLASS.key].astype(str) == BLOOD).to_numpy())
    spaced = np.linspace(0, blood.size - 1, min(blood.size, null_cells))
    asked = np.zeros(folds.size, dtype=np.bool_)
    asked[blood[spaced.astype(np.int64)]] = True
    return folds.astype(np.int32), asked


def _samples(adata: AnnData) -> npt.NDArray[np.intp]:
    codes: npt.NDArray[np.intp] = pd.factorize(adata.obs[keys.SAMPLE.key].astype(str), sort=True)[0]
    return codes


def _expression(
    adata: AnnData,
    genes: npt.NDArray[np.bool_],
    *,
    groups: npt.NDArray[np.integer],
    folds: Codes,
    asked: npt.NDArray[np.bool_],
) -> _Expression:
    """Summarise X in blocks of rows: a million cells would take several GB at once."""
    n_folds, n_groups = int(folds.max()) + 1, int(groups.max()) + 1
    member_of = folds.astype(np.int64) * n_groups + groups
    sums = np.zeros((n_folds * n_groups, int(genes.sum())))
    blocks = []
    for start in range(0, adata.n_obs, _BLOCK):
        rows = slice(start, min(start + _BLOCK, adata.n_obs))
        values = _rows(adata, rows)[:, genes]
        cells = np.arange(values.shape[0])
        member = sparse.csr_matrix(
            (np.ones(cells.size), (member_of[rows], cells)), shape=(sums.shape[0], cells.size)
        )
        sums += (member @ values.astype(np.float64)).toarray()
        blocks.append(values[asked[rows]])
    sizes = np.bincount(member_of, minlength=n_folds * n_groups).astype(np.float64)
    return _Expression(
        sums.reshape(n_folds, n_groups, -1),
        sizes.reshape(n_folds, n_groups),
        sparse.vstack(blocks, format="csr"),
    )


def _rows(adata: AnnData, rows: slice) -> sparse.csr_matrix:
    try:
        return sparse.csr_matrix(adata.X[rows])
    except OSError as error:  # X is read from the file only here
        raise CtcflowError(
            f"the values of cells {rows.start} to {rows.stop} of the cohort cannot be read"
            f" ({error}): call `ctcflow run` again, which compares the file of `cluster` with what"
            " was written and makes it again where it differs"
        ) from error


def _limits(
    adata: AnnData,
    expression: _Expression,
    *,
    groups: npt.NDArray[np.integer],
    folds: Codes,
    asked: npt.NDArray[np.bool_],
    params: FreezeParams,
) -> NoveltyLimits:
    """Limits of both measures of novelty, from left-out leukocytes."""
    points = np.asarray(adata.obsm[keys.X_INTEGRATED.key], dtype=np.float32)
    umis = adata.obs[keys.TOTAL_COUNTS.key].to_numpy(np.float64)
    samples, fold_of_asked = _samples(adata), folds[asked]
    distances, unexpected, depths = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    for fold in np.unique(fold_of_asked):
        others = folds != fold
        if not others.any():
            continue
        sums = expression.sums.sum(axis=0) - expression.sums[fold]
        sizes = expression.sizes.sum(axis=0) - expression.sizes[fold]
        cells = np.flatnonzero(asked & ~others)
        placed = place(
            expression.asked[fold_of_asked == fold],
            points[cells].astype(np.float64),
            embedding=points[others],
            groups=groups[others],
            group_means=sums / np.maximum(sizes, 1.0)[:, None],
            batches=samples[cells],
            fitted=np.ones(cells.size, dtype=np.bool_),
            k=params.n_neighbors,
            n_threads=blas_threads(),
        )
        distances.append(placed.distances.mean(axis=1))
        unexpected.append(placed.unexpected)
        depths.append(umis[cells])
    depth, share = np.concatenate(depths), params.novel_share
    if depth.size < novelty.FEWEST:
        return {"null_cells": int(depth.size), "distance": None, "unexpected": None}
    return {
        "null_cells": int(depth.size),
        "distance": _limit(np.concatenate(distances), depth, share),
        "unexpected": _limit(np.concatenate(unexpected), depth, share),
    }


def _limit(
    values: npt.NDArray[np.float64], umis: npt.NDArray[np.float64], share: float
) -> NoveltyLimit:
    limit = novelty.fit_limit(values, umis=umis, share=share)
    return {"intercept": limit.intercept, "slope": limit.slope, "above": limit.above}
