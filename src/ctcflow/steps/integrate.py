"""Remove differences between batches from the embedding, without moving tumour cells to blood."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.params import HarmonyParams, IntegrateParams
from ctcflow.stats import mixing
from ctcflow.stats.harmony import harmony, mean_shift
from ctcflow.stats.neighbors import blas_threads, nearest

if TYPE_CHECKING:
    from anndata import AnnData

MIN_CELLS: Final = 20
"""Below this number of leukocytes nothing is fitted (cells)."""
BLOOD: Final = "blood"
# Itself included: three times the perplexity of 30 that Korsunsky 2019 use.
_NEIGHBORS: Final = 91
_MOST_MEASURED: Final = 20_000
_ALPHA: Final = 0.05

Embedding = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def integrate(adata: AnnData, *, params: IntegrateParams) -> AnnData:
    """Correct the principal components for batches.

    The correction is fitted on cells of class `blood` only. Every other cell is moved by the mean
    correction of the leukocytes of its sample (of its batch where the sample has none), so that it
    can neither pull nor be pulled.

    Parameters
    ----------
    adata
        As `reduce` gives it, with obs `class`.
    params
        Method and batch column.

    Returns
    -------
    AnnData
        The same object with obs `batch_used`, obsm `X_integrated` (n_cells, k) float32, uns
        `correction` (arrays: see `keys`) and uns `integrate` (JSON: method, batches, reason where
        nothing was corrected, mixing of the leukocytes before and after).
    """
    points: Embedding = np.asarray(adata.obsm[keys.X_PCA.key], dtype=np.float64)
    labels = _batches(adata.obs, params.batch)
    adata.obs[keys.BATCH.key] = labels
    batches, names = pd.factorize(labels, sort=True)
    blood = (adata.obs[keys.CLASS.key].astype(object) == BLOOD).to_numpy(dtype=np.bool_)
    reason = _reason(params, points, blood, batches)
    corrected, terms = points, _no_terms(points.shape[1])
    if not reason and isinstance(params.method, HarmonyParams):
        corrected, terms = _correct(
            points, blood, batches, adata.obs[keys.SAMPLE.key], params.method
        )
    report: dict[str, Any] = {
        "method": "none" if reason else params.method.method,
        "batch": params.batch,
        "reason": reason,
        "batches": {
            str(name): {
                "cells": int((batches == code).sum()),
                "leukocytes": int((blood & (batches == code)).sum()),
            }
            for code, name in enumerate(names)
        },
    }
    report |= _mixing(points[blood], corrected[blood], batches[blood], bool(reason))
    adata.obsm[keys.X_INTEGRATED.key] = corrected.astype(np.float32)
    adata.uns[keys.CORRECTION.key] = terms
    adata.uns[keys.INTEGRATE.key] = json.dumps(report, sort_keys=True)
    return adata


def _batches(obs: pd.DataFrame, column: str) -> npt.NDArray[np.object_]:
    samples: npt.NDArray[np.object_] = obs[keys.SAMPLE.key].to_numpy(dtype=object)
    if column not in obs:
        return samples.copy()
    values = obs[column].to_numpy(dtype=object)
    empty = pd.isna(values) | (values == "")
    return np.array([str(v) for v in np.where(empty, samples, values)], dtype=object)


def _reason(
    params: IntegrateParams, points: Embedding, blood: npt.NDArray[np.bool_], batches: Codes
) -> str:
    """Say why nothing can be corrected; empty where it can."""
    n_blood, n_batches = int(blood.sum()), np.unique(batches[blood]).size
    if not isinstance(params.method, HarmonyParams):
        return "method is none"
    if n_blood < MIN_CELLS:
        return f"{n_blood} leukocytes in the cohort, at least {MIN_CELLS} are needed"
    if n_batches < 2:
        return f"leukocytes of one batch only (column {params.batch})"
    if points.shape[1] == 0:
        return "there are no components"
    return ""


def _correct(
    points: Embedding,
    blood: npt.NDArray[np.bool_],
    batches: Codes,
    samples: pd.Series,
    method: HarmonyParams,
) -> tuple[Embedding, dict[str, Any]]:
    corrected = points.copy()
    fitted = harmony(
        points[blood],
        batches=batches[blood],
        theta=method.theta,
        max_iterations=method.max_iterations,
        seed=method.seed,
    )
    corrected[blood] = fitted.points
    shifts = (corrected - points)[blood]
    others = np.flatnonzero(~blood)
    for groups in (batches, pd.factorize(samples.to_numpy(dtype=object), sort=True)[0]):
        # Samples come last, so that the batch stands where a sample has no leukocytes.
        means = mean_shift(shifts, groups=groups[blood], n_groups=int(groups.max()) + 1)
        known = others[~np.isnan(means[groups[others]]).any(axis=1)]
        corrected[known] = points[known] + means[groups[known]]
    terms = {"cluster_sizes": fitted.cluster_sizes, "cluster_sums": fitted.cluster_sums}
    return corrected, _no_terms(points.shape[1]) | terms


def _no_terms(n_components: int) -> dict[str, Any]:
    return {
        "cluster_sizes": np.zeros(0),
        "cluster_sums": np.zeros((0, n_components)),
        "lineages": np.zeros(0, dtype=object),
        "lineage_means": np.zeros((0, n_components)),
    }


def _mixing(before: Embedding, after: Embedding, batches: Codes, same: bool) -> dict[str, Any]:
    """Mixing of batches among leukocytes, before and after."""
    chosen = np.arange(batches.size)
    if chosen.size > _MOST_MEASURED:
        rng = np.random.default_rng(0)
        chosen = np.sort(rng.choice(chosen.size, _MOST_MEASURED, replace=False))
    codes = pd.factorize(batches[chosen], sort=True)[0]
    n_batches = int(codes.max()) + 1 if codes.size else 0
    if n_batches < 2 or before.shape[1] == 0:
        return {"mixing": None, "mixing_reason": "leukocytes of fewer than two batches"}
    first = _measure(before[chosen], codes, n_batches)
    second = first if same else _measure(after[chosen], codes, n_batches)
    shares = np.bincount(codes) / codes.size
    return {
        "mixing": {"before": first, "after": second},
        "mixing_neighbors": min(_NEIGHBORS, codes.size) - 1,
        "iLISI_of_random": float((1 / (shares**2).sum() - 1) / (n_batches - 1)),
    }


def _measure(points: Embedding, codes: Codes, n_batches: int) -> dict[str, float]:
    indices, distances = nearest(points, k=_NEIGHBORS, n_threads=blas_threads())
    neighbors, distances = codes[indices[:, 1:]], distances[:, 1:]
    shares = np.bincount(codes) / codes.size
    seen = mixing.lisi(distances, neighbors, n_labels=n_batches, perplexity=distances.shape[1] / 3)
    return {
        "iLISI": float((seen.mean() - 1) / (n_batches - 1)),
        "batch_entropy": float(mixing.batch_entropy(neighbors, shares=shares).mean()),
        "acceptance": float(mixing.acceptance(neighbors, shares=shares, alpha=_ALPHA).mean()),
    }
